//! What a long job has done so far, for whoever wants to look.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that a job advances and a display polls; reading them never slows the job.
#[derive(Debug, Default)]
pub struct Progress {
    items: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    total_in: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Records or reads done.
    pub items: u64,
    /// Bytes of input consumed, as they lie in the file (compressed).
    pub bytes_in: u64,
    /// Bytes handed to the store.
    pub bytes_out: u64,
    /// The size of the whole input, where it is known.
    pub total_in: Option<u64>,
}

impl Progress {
    /// Counts `items` more records.
    pub fn add_items(&self, items: u64) {
        self.items.fetch_add(items, Relaxed);
    }

    /// Counts `bytes` more of input.
    pub fn add_bytes_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    /// Counts `bytes` more of output.
    pub fn add_bytes_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    /// States the size of the whole input.
    pub fn set_total_in(&self, bytes: u64) {
        self.total_in.store(bytes, Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let total = self.total_in.load(Relaxed);
        Snapshot {
            items: self.items.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            total_in: (total > 0).then_some(total),
        }
    }
}
