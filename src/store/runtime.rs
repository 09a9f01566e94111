//! The runtime behind the synchronous interface, and results that are still under way.

use std::{
    future::Future,
    sync::{Arc, OnceLock, mpsc},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::AbortHandle,
};

use super::{
    backend::provide_cryptography,
    meter::{Counters, Wave},
};
use crate::error::{Error, Result};

/// One runtime for the process, so that all stores share threads and connections.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            provide_cryptography();
            Builder::new_multi_thread().worker_threads(2).thread_name("store").enable_all().build()
        })
        .as_ref()
        .map_err(|e| Error::store(format!("cannot start the threads for input and output: {e}")))
}

/// A result that is being fetched in the background. Dropping it cancels the work.
#[derive(Debug)]
#[must_use = "dropping it cancels the requests"]
pub struct Pending<T> {
    receiver: mpsc::Receiver<Result<T>>,
    task: Option<AbortHandle>,
    /// What is to know that the result has been waited for.
    wave: Option<(Arc<Counters>, Wave)>,
}

impl<T> Pending<T> {
    /// Waits for the result.
    pub fn wait(self) -> Result<T> {
        let result = self
            .receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::internal("a background request died unfinished")));
        if let Some((counters, wave)) = &self.wave {
            counters.waited_for(*wave);
        }
        result
    }

    /// A result that is known already.
    pub fn ready(result: Result<T>) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        // The receiver is alive: it is returned below.
        let _ = sender.send(result);
        Self { receiver, task: None, wave: None }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Starts `work` in the background.
pub(super) fn start<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Pending<T> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Pending::ready(Err(error)),
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let task = runtime.spawn(async move {
        // Nobody waits for a cancelled result.
        let _ = sender.send(work.await);
    });
    Pending { receiver, task: Some(task.abort_handle()), wave: None }
}

/// As [`start`]; the requests of `work` are one wave of those that `counters` counts.
pub(super) fn start_wave<T: Send + 'static, F>(
    counters: &Arc<Counters>,
    work: impl FnOnce(Wave) -> F,
) -> Pending<T>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    let wave = counters.wave();
    let mut pending = start(work(wave));
    pending.wave = Some((Arc::clone(counters), wave));
    pending
}

/// Starts `work` in the background, to be waited for by other means.
pub(super) fn detach(work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    runtime()?.spawn(work);
    Ok(())
}
