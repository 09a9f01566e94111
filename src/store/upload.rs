//! Writing many objects in the background within a bounded amount of memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::PutMode;

use super::{Store, meter::Wave, runtime::detach};
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
/// Dropping an uploader waits for what is under way, so that it can be deleted afterwards.
pub struct Uploader {
    store: Store,
    most: usize,
    shared: Arc<Shared>,
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
    /// That of the object handed over last.
    wave: Option<Wave>,
    error: Option<Error>,
    failed: bool,
}

impl Uploader {
    /// An uploader into `store` that holds at most `max_bytes_in_flight` bytes, or one object.
    pub fn new(store: Store, max_bytes_in_flight: usize) -> Self {
        Self { store, most: max_bytes_in_flight, shared: Arc::default(), progress: None }
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
        let wave = self.store.0.meter.wave();
        state.bytes += length;
        state.objects += 1;
        state.wave = Some(wave);
        drop(state);

        let room = Room { shared: self.shared.clone(), length, left: false };
        let (store, key, progress) = (self.store.clone(), key.to_owned(), self.progress.clone());
        detach(async move {
            let outcome = store.0.send(wave, &key, bytes, PutMode::Overwrite).await;
            if let (Ok(()), Some(progress)) = (&outcome, &progress) {
                progress.add_bytes_out(length as u64);
            }
            room.leave(outcome.map_err(|failure| failure.error));
        })
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
        if let Some(wave) = state.wave {
            self.store.0.meter.waited_for(wave);
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

impl Drop for Uploader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        while state.objects > 0 {
            state = self.shared.wait(state);
        }
    }
}

/// The room that one object takes up. An object whose task dies has failed.
struct Room {
    shared: Arc<Shared>,
    length: usize,
    left: bool,
}

impl Room {
    fn leave(mut self, outcome: Result<()>) {
        self.left = true;
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
        state.failed |= !self.left;
        state.bytes = state.bytes.saturating_sub(self.length);
        state.objects = state.objects.saturating_sub(1);
        drop(state);
        self.shared.changed.notify_all();
    }
}
