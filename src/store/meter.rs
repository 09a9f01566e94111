//! What a store was asked, and how many waits in a row that took.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests, bytes and dependent round trips of a store at one moment.
///
/// Round trips are counted from order in time alone: the depth of a request is one more than that
/// of the deepest request that had ended when it was submitted. So the count is never below the
/// number of dependent waits, and requests submitted together count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Requests sent, including those that found nothing; retries are not counted.
    pub requests: u64,
    /// Bytes of objects received.
    pub bytes: u64,
    /// Bytes of objects sent.
    pub bytes_sent: u64,
    /// The longest chain of requests, each submitted after the one before had ended.
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

#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    meter: Meter,
    ended_depth: u64,
}

/// The depth of a request under way.
#[derive(Debug)]
pub(super) struct Ticket(u64);

impl Counters {
    pub(super) fn read(&self) -> Meter {
        self.lock().meter
    }

    pub(super) fn start(&self) -> Ticket {
        let mut state = self.lock();
        let depth = state.ended_depth + 1;
        state.meter.requests += 1;
        state.meter.round_trips = state.meter.round_trips.max(depth);
        Ticket(depth)
    }

    pub(super) fn end(&self, ticket: Ticket, received: usize, sent: usize) {
        let mut state = self.lock();
        state.meter.bytes += received as u64;
        state.meter.bytes_sent += sent as u64;
        state.ended_depth = state.ended_depth.max(ticket.0);
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
        let first = counters.start();
        counters.end(first, 10, 0);
        let (a, b) = (counters.start(), counters.start());
        counters.end(a, 1, 0);
        counters.end(b, 2, 0);
        let meter = counters.read();
        assert_eq!((meter.requests, meter.bytes, meter.round_trips), (3, 13, 2));
        let last = counters.start();
        counters.end(last, 0, 7);
        let since = counters.read().since(&meter);
        assert_eq!(since, Meter { requests: 1, bytes: 0, bytes_sent: 7, round_trips: 1 });
    }
}
