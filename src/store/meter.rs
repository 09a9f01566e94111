//! What a store was asked, and how many waits in a row that took.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests, bytes and dependent round trips of a store at one moment.
///
/// A request depends on those whose answers its caller has waited for: its depth is one more than
/// that of the deepest of them. Requests that are under way together count as one trip, however
/// early one of them ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Requests sent, including those that found nothing; retries are not counted.
    pub requests: u64,
    /// Bytes of objects received.
    pub bytes: u64,
    /// Bytes of objects sent.
    pub bytes_sent: u64,
    /// The longest chain of requests, each submitted after the answer before had been waited for.
    pub round_trips: u64,
}

impl Meter {
    /// What was added since an earlier reading of the same store.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            round_trips: self.round_trips.saturating_sub(earlier.round_trips),
        }
    }
}

/// What a query moved, of what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Requests sent, from opening the dataset on.
    pub requests: u64,
    /// The longest chain of requests that waited for one another.
    pub round_trips: u64,
    /// Bytes received, from opening the dataset on.
    pub bytes_fetched: u64,
    /// Bytes of those parts of chunks that were decoded.
    pub bytes_used: u64,
    /// Bytes of all chunks of the dataset, or of the view of it that was asked.
    pub bytes_total: u64,
}

impl Traffic {
    /// The same, after what a store was asked since the dataset was opened.
    #[must_use]
    pub fn metered(self, since: &Meter) -> Self {
        let Meter { requests, bytes, round_trips, .. } = *since;
        Self { requests, round_trips, bytes_fetched: bytes, ..self }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    meter: Meter,
    waited_depth: u64,
}

/// The depth of requests that are submitted by one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wave(u64);

impl Counters {
    pub(super) fn read(&self) -> Meter {
        self.lock().meter
    }

    /// The wave of a call that is being made.
    pub(super) fn wave(&self) -> Wave {
        Wave(self.lock().waited_depth + 1)
    }

    /// Counts a request.
    pub(super) fn start(&self, wave: Wave) {
        let mut state = self.lock();
        state.meter.requests += 1;
        state.meter.round_trips = state.meter.round_trips.max(wave.0);
    }

    /// Counts what a request moved.
    pub(super) fn end(&self, received: usize, sent: usize) {
        let mut state = self.lock();
        state.meter.bytes += received as u64;
        state.meter.bytes_sent += sent as u64;
    }

    /// Notes that a caller has waited for the answers of a wave.
    pub(super) fn waited_for(&self, wave: Wave) {
        let mut state = self.lock();
        state.waited_depth = state.waited_depth.max(wave.0);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_meter_counts_dependent_round_trips() {
        let counters = Counters::default();
        let first = counters.wave();
        counters.start(first);
        counters.end(10, 0);
        counters.waited_for(first);
        // The first of two ends before the second is submitted, but nobody has waited for it.
        let a = counters.wave();
        counters.start(a);
        counters.end(1, 0);
        let b = counters.wave();
        counters.start(b);
        counters.end(2, 0);
        counters.waited_for(a);
        counters.waited_for(b);
        let meter = counters.read();
        assert_eq!((meter.requests, meter.bytes, meter.round_trips), (3, 13, 2));
        counters.start(counters.wave());
        counters.end(0, 7);
        let since = counters.read().since(&meter);
        assert_eq!(since, Meter { requests: 1, bytes: 0, bytes_sent: 7, round_trips: 1 });
    }
}
