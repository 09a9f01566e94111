//! Coverage of one sample, read by read: what `samtools depth -s` counts.
//!
//! It is counted while a sample's file is read from beginning to end, not region by region, so that
//! no seam between regions can show. A base counts where a read has a base on it (`M`, `=`, `X`);
//! deletions and skips do not count, and what a read's mate has covered already counts once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::coverage::Row;
use super::grid::Windows;
use super::sites::{Candidate, Finder, KnownSite};
use crate::error::Result;
use crate::genome::{Interval, Region};
use crate::records::alignments::Record;
use crate::records::alignments::record::flags::{MATE_UNMAPPED, PAIRED};

/// Ends of reads whose mates may lie over them.
///
/// The rule is that of samtools 1.13 and later: of two reads of one name on one contig, the later
/// one counts from where the earlier one ended, whatever lies between.
#[derive(Debug, Default)]
struct Mates {
    contig: i32,
    ends: HashMap<Vec<u8>, u64>,
}

impl Mates {
    /// From where on a read counts.
    fn clip(&mut self, record: &Record<'_>) -> u64 {
        if record.ref_id() != self.contig {
            self.contig = record.ref_id();
            self.ends.clear();
        }
        if record.flags() & PAIRED == 0 || record.flags() & MATE_UNMAPPED != 0 {
            return 0;
        }
        if let Some(end) = self.ends.remove(record.name()) {
            return end;
        }
        let end = record.interval().end();
        let mate = record.mate_position();
        let is_near = record.mate_ref_id() == record.ref_id() && i64::from(mate) <= end as i64;
        if mate == -1 || is_near {
            self.ends.insert(record.name().to_vec(), end);
        }
        0
    }
}

/// Changes of depth ahead.
#[derive(Debug, Default)]
struct Pile {
    changes: BTreeMap<u64, i64>,
    at: u64,
    depth: i64,
}

impl Pile {
    fn add(&mut self, start: u64, end: u64) {
        *self.changes.entry(start).or_default() += 1;
        *self.changes.entry(end).or_default() -= 1;
    }

    /// Reports everything before `position`, which no later read can change.
    fn advance(&mut self, position: u64, mut report: impl FnMut(Interval, u32)) {
        while let Some(entry) = self.changes.first_entry() {
            if *entry.key() >= position {
                return;
            }
            let (next, change) = entry.remove_entry();
            if change == 0 {
                continue;
            }
            if self.depth > 0 {
                report(Interval::new(self.at, next), self.depth as u32);
            }
            self.at = next;
            self.depth += change;
        }
    }
}

impl Windows {
    /// The row of coverage that a base belongs to.
    fn row_of(&self, position: u64) -> Interval {
        let region = position / self.region * self.region;
        let start = region + (position - region) / self.coverage * self.coverage;
        Interval::new(start, (start + self.coverage).min(region + self.region))
    }
}

/// What a scan found, in order.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Contig of the dataset, and coverage.
    pub(super) rows: Vec<(u32, Row)>,
    /// Where the sample may differ from the reference.
    pub(super) sites: Vec<Candidate>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.sites.is_empty()
    }
}

/// What is counted, where.
pub(super) struct Scope<'a> {
    pub(super) windows: Windows,
    pub(super) exclude_flags: u16,
    /// Lengths of the dataset's contigs.
    pub(super) lengths: &'a [u64],
    /// Only here, in order and apart from one another.
    pub(super) parts: Option<&'a [Region]>,
}

/// The state of one sample.
pub(super) struct Scanner<'a> {
    scope: &'a Scope<'a>,
    contig: i32,
    mates: Mates,
    pile: Pile,
    finder: Option<Finder<'a>>,
    row: Option<(Interval, Row)>,
    pub(super) found: Found,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, finder: Option<Finder<'a>>) -> Self {
        Self {
            scope,
            contig: -1,
            mates: Mates { contig: -1, ..Mates::default() },
            pile: Pile::default(),
            finder,
            row: None,
            found: Found::default(),
        }
    }

    /// Sets the sites to look at, where only those of a dataset are.
    pub(super) fn know(&mut self, sites: &Arc<Vec<KnownSite>>) {
        self.finder.iter_mut().for_each(|finder| finder.know(sites));
    }

    /// The sites to look at, where only those of a dataset are.
    pub(super) fn known(&self) -> &[KnownSite] {
        self.finder.as_ref().map_or(&[], Finder::known)
    }

    /// Counts a record, which refers to contigs of the dataset; records come in order of place.
    /// Says from which base on it counts, or `None` where it does not.
    pub(super) fn add(&mut self, record: &Record<'_>) -> Result<Option<u32>> {
        if record.flags() & self.scope.exclude_flags != 0 || record.ref_id() < 0 {
            return Ok(None);
        }
        let Ok(mut position) = u64::try_from(record.position()) else { return Ok(None) };
        if record.ref_id() != self.contig {
            self.finish_contig();
            self.contig = record.ref_id();
            self.pile = Pile::default();
        }
        self.advance(position);
        let clip = self.mates.clip(record);
        let mut read_at = 0_usize;
        for op in record.cigar() {
            let length = u64::from(op.len());
            let end = position + length;
            if op.is_match() && end > clip {
                let from = position.max(clip);
                self.pile.add(from, end);
                if let Some(finder) = &mut self.finder {
                    finder.add(record, read_at + (from - position) as usize, from, end)?;
                }
            }
            if op.consumes_read() {
                read_at += op.len() as usize;
            }
            if op.consumes_reference() {
                position = end;
            }
        }
        Ok(Some(u32::try_from(clip).unwrap_or(u32::MAX)))
    }

    /// Everything up to the end of the contig.
    pub(super) fn finish_contig(&mut self) {
        self.advance(u64::MAX);
        self.flush();
        if let Some(finder) = &mut self.finder {
            finder.start_contig();
        }
    }

    fn advance(&mut self, position: u64) {
        let Ok(contig) = u32::try_from(self.contig) else { return };
        let mut pile = std::mem::take(&mut self.pile);
        let length = self.scope.lengths.get(contig as usize).copied().unwrap_or(0);
        pile.advance(position, |run, depth| {
            let run = Interval::new(run.start(), run.end().min(length));
            match self.scope.parts {
                None => self.cover(contig, run, depth),
                Some(parts) => {
                    let first = parts.partition_point(|part| {
                        (part.contig.0, part.interval.end()) <= (contig, run.start())
                    });
                    for part in &parts[first..] {
                        if part.contig.0 != contig || part.interval.start() >= run.end() {
                            break;
                        }
                        let start = part.interval.start().max(run.start());
                        let end = part.interval.end().min(run.end());
                        self.cover(contig, Interval::new(start, end), depth);
                    }
                }
            }
        });
        self.pile = pile;
    }

    /// A stretch of equal depth, to be cut into rows.
    fn cover(&mut self, contig: u32, run: Interval, depth: u32) {
        if let Some(finder) = &mut self.finder {
            finder.judge(contig, run, depth, &mut self.found.sites);
        }
        let mut start = run.start();
        while start < run.end() {
            let window = self.scope.windows.row_of(start);
            if self.row.as_ref().is_some_and(|(current, _)| *current != window) {
                self.flush();
            }
            let (_, row) = self.row.get_or_insert_with(|| (window, Row::new(window.start())));
            let end = run.end().min(window.end());
            row.push(start, end, depth);
            start = end;
        }
    }

    fn flush(&mut self) {
        let (Some((window, mut row)), Ok(contig)) = (self.row.take(), u32::try_from(self.contig))
        else {
            return;
        };
        let length = self.scope.lengths.get(contig as usize).copied().unwrap_or(0);
        row.finish(window.end().min(length));
        self.found.rows.push((contig, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_pile_reports_stretches_of_equal_depth() {
        let mut pile = Pile::default();
        let mut found = Vec::new();
        let mut report = |run: Interval, depth| found.push((run.start(), run.end(), depth));
        pile.add(5, 10);
        pile.add(8, 12);
        pile.advance(10, &mut report);
        pile.add(10, 12);
        pile.add(20, 21);
        pile.advance(u64::MAX, &mut report);
        assert_eq!(found, [(5, 8, 1), (8, 12, 2), (20, 21, 1)]);
    }

    #[test]
    fn test_rows_end_with_their_region() {
        let windows = Windows { region: 2500, sub: 1000, coverage: 1000 };
        assert_eq!(windows.row_of(2400), Interval::new(2000, 2500));
        assert_eq!(windows.row_of(2500), Interval::new(2500, 3500));
    }
}
