//! What a manifest counts of reads.

use crate::records::alignments::Record;
use crate::records::alignments::stats::{ContigCounts, Flagstat};

/// Counts of reads, which add up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) reads: u64,
    pub(super) bases: u64,
    pub(super) flagstat: Flagstat,
    pub(super) contigs: ContigCounts,
}

impl Tally {
    /// Of no reads.
    pub(super) fn new(contigs: usize) -> Self {
        Self { contigs: ContigCounts::new(contigs), ..Self::default() }
    }

    /// Counts a read.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        self.reads += 1;
        self.bases += record.sequence_len() as u64;
        self.flagstat.add(record);
        self.contigs.add(record);
    }

    /// Adds what others counted.
    pub(super) fn merge(&mut self, others: &Self) {
        self.reads += others.reads;
        self.bases += others.bases;
        self.flagstat.merge(&others.flagstat);
        self.contigs.merge(&others.contigs);
    }

    /// Takes off what was counted of reads that are among these.
    pub(super) fn take_off(&mut self, others: &Self) {
        self.reads = self.reads.saturating_sub(others.reads);
        self.bases = self.bases.saturating_sub(others.bases);
        self.flagstat.take_off(&others.flagstat);
        self.contigs.take_off(&others.contigs);
    }
}
