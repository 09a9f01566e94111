//! What a long job has done so far, for whoever wants to look.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that a job advances and a display polls; reading them never slows the job.
#[derive(Debug, Default)]
pub struct Progress {
    items: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    total_in: AtomicU64,
    total_items: AtomicU64,
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
    /// How many records or reads there are in all, where that is known.
    pub total_items: Option<u64>,
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

    /// States how many records there are in all.
    pub fn set_total_items(&self, items: u64) {
        self.total_items.store(items, Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let known = |total: &AtomicU64| Some(total.load(Relaxed)).filter(|&total| total > 0);
        Snapshot {
            items: self.items.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            total_in: known(&self.total_in),
            total_items: known(&self.total_items),
        }
    }
}
