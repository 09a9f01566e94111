//! The order of alignments in a dataset.

use crate::genome::{ContigId, Interval};
use crate::records::alignments::Record;

/// Where a record starts: contig in the dictionary's order, then position; unplaced ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    contig: u32,
    position: i32,
}

impl Place {
    /// Where `record` starts.
    pub fn of(record: &Record<'_>) -> Self {
        Self::new(record.ref_id(), record.position())
    }

    /// From BAM's `refID` and `pos`; any negative `refID` is unplaced.
    pub fn new(ref_id: i32, position: i32) -> Self {
        Self { contig: u32::try_from(ref_id).unwrap_or(u32::MAX), position }
    }

    /// The contig, unless unplaced.
    pub fn contig(self) -> Option<ContigId> {
        (self.contig != u32::MAX).then_some(ContigId(self.contig))
    }

    /// BAM's `refID`: -1 for unplaced.
    pub fn ref_id(self) -> i32 {
        self.contig as i32
    }

    /// The position, 0-based; -1 for none.
    pub fn position(self) -> i32 {
        self.position
    }

    /// As one number with the same order, for sorting.
    pub fn sort_key(self) -> u64 {
        u64::from(self.contig) << 32 | u64::from((self.position as u32) ^ 0x8000_0000)
    }
}

/// What part of the genome a run of records in order can touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the first record starts.
    pub first: Place,
    /// Where the last record starts.
    pub last: Place,
    /// One past the last base that records on the last contig reach.
    pub reach: u64,
}

impl Extent {
    /// Whether a record of the run can overlap `interval` on `contig`.
    pub fn may_overlap(&self, contig: ContigId, interval: Interval) -> bool {
        let ContigId(contig) = contig;
        if contig < self.first.contig || contig > self.last.contig || interval.is_empty() {
            return false;
        }
        let starts_before =
            contig > self.first.contig || i64::from(self.first.position) < clamp(interval.end());
        let ends_after = contig < self.last.contig || self.reach > interval.start();
        starts_before && ends_after
    }

    /// Whether the run has unplaced records.
    pub fn has_unplaced(&self) -> bool {
        self.last.contig == u32::MAX
    }

    /// The extent of this run and the `next`, which follows it.
    #[must_use]
    pub fn joined(&self, next: &Self) -> Self {
        let reach = if self.last.contig == next.last.contig {
            self.reach.max(next.reach)
        } else {
            next.reach
        };
        Self { first: self.first, last: next.last, reach }
    }
}

fn clamp(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
