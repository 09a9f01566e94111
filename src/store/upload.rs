//! Writing many objects in the background within a bounded amount of memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::PutMode;

use super::{
    Store,
    runtime::{Pending, start},
};
use crate::{
    error::{Error, Result},
    pipeline::Progress,
};

/// How many objects are sent at once.
const AT_ONCE: usize = 8;

/// Sends objects in the background, each by one request.
///
/// [`Self::put`] blocks while the bytes under way exceed the bound. The first failure is reported
/// by the next `put`, or by [`Self::finish`], without which nothing is known to be written.
/// Dropping an uploader cancels what is under way.
pub struct Uploader {
    store: Store,
    most: usize,
    shared: Arc<Shared>,
    tasks: Mutex<Vec<Pending<()>>>,
    progress: Option<Arc<Progress>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: usize,
    objects: usize,
    error: Option<Error>,
    failed: bool,
}

impl Uploader {
    /// An uploader into `store` that holds at most `max_bytes_in_flight` bytes, or one object.
    pub fn new(store: Store, max_bytes_in_flight: usize) -> Self {
        Self {
            store,
            most: max_bytes_in_flight,
            shared: Arc::default(),
            tasks: Mutex::default(),
            progress: None,
        }
    }

    /// Counts the bytes of finished objects as output of `progress`.
    #[must_use]
    pub fn count_into(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Hands over an object, waiting for room.
    ///
    /// # Errors
    ///
    /// Those of earlier objects: after an error, give up.
    pub fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let length = bytes.len();
        let mut state = self.shared.lock();
        while !state.failed
            && state.objects > 0
            && (state.objects >= AT_ONCE || state.bytes.saturating_add(length) > self.most)
        {
            state = self.shared.wait(state);
        }
        state.check()?;
        state.bytes += length;
        state.objects += 1;
        drop(state);

        let guard = Room { shared: self.shared.clone(), length };
        let (store, key, progress) = (self.store.clone(), key.to_owned(), self.progress.clone());
        let task = start(async move {
            let outcome = store.0.send(&key, bytes, PutMode::Overwrite).await;
            if let (Ok(()), Some(progress)) = (&outcome, &progress) {
                progress.add_bytes_out(length as u64);
            }
            guard.leave(outcome.map_err(|failure| failure.error));
            Ok(())
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.len() >= 4 * AT_ONCE {
            tasks.retain(Pending::is_running);
        }
        tasks.push(task);
        Ok(())
    }

    /// Waits until every object is written.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub fn finish(self) -> Result<()> {
        let mut state = self.shared.lock();
        while !state.failed && state.objects > 0 {
            state = self.shared.wait(state);
        }
        state.check()
    }
}

impl State {
    fn check(&mut self) -> Result<()> {
        match (self.error.take(), self.failed) {
            (Some(error), _) => Err(error),
            (None, true) => Err(Error::store("an earlier object could not be written")),
            (None, false) => Ok(()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that one object takes up; given back even if its task dies.
struct Room {
    shared: Arc<Shared>,
    length: usize,
}

impl Room {
    fn leave(self, outcome: Result<()>) {
        if let Err(error) = outcome {
            let mut state = self.shared.lock();
            state.failed = true;
            state.error.get_or_insert(error);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.bytes = state.bytes.saturating_sub(self.length);
        state.objects = state.objects.saturating_sub(1);
        drop(state);
        self.shared.changed.notify_all();
    }
}
