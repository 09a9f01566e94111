//! Depth of coverage, as `samtools depth` (1.16) counts it, from places, CIGARs and flags alone.

use std::collections::BTreeMap;

use super::read::Reader;
use super::selection::Selection;
use crate::error::Result;
use crate::genome::{ContigId, Interval, Region};
use crate::records::alignments::record::flags::{DUPLICATE, QC_FAIL, SECONDARY, UNMAPPED};
use crate::records::alignments::{Fields, Record};

/// Which positions without coverage are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zeros {
    /// None.
    #[default]
    Skipped,
    /// Those of the regions asked for, or of contigs with any coverage (`-a`).
    OfUsedContigs,
    /// Those of the regions asked for, or of all contigs (`-aa`).
    OfAllContigs,
}

/// What counts.
#[derive(Clone, Debug)]
pub struct DepthOptions {
    /// Reads with any of these flags do not count.
    pub exclude_flags: u16,
    /// Reads below this mapping quality do not count.
    pub min_mapping_quality: u8,
    /// Bases below this quality do not count.
    pub min_base_quality: u8,
    /// Deletions count as if they were bases.
    pub count_deletions: bool,
    /// Which positions without coverage are reported.
    pub zeros: Zeros,
    /// Threads that decode.
    pub threads: usize,
}

impl Default for DepthOptions {
    fn default() -> Self {
        Self {
            exclude_flags: UNMAPPED | SECONDARY | QC_FAIL | DUPLICATE,
            min_mapping_quality: 0,
            min_base_quality: 0,
            count_deletions: false,
            zeros: Zeros::default(),
            threads: 1,
        }
    }
}

impl DepthOptions {
    fn fields(&self) -> Fields {
        let mut fields = Fields::PLACE | Fields::CIGAR | Fields::FLAGS;
        if self.min_mapping_quality > 0 {
            fields = fields | Fields::MAPPING_QUALITY;
        }
        if self.min_base_quality > 0 {
            fields = fields | Fields::QUALITIES;
        }
        fields
    }

    /// The stretches of the reference that the read counts for.
    fn runs(&self, record: &Record<'_>, mut add: impl FnMut(u64, u64)) {
        let is_out = record.flags() & self.exclude_flags != 0
            || record.mapping_quality() < self.min_mapping_quality;
        let Ok(mut position) = u64::try_from(record.position()) else { return };
        if is_out {
            return;
        }
        let mut read_at = 0_usize;
        for op in record.cigar() {
            let len = u64::from(op.len());
            if op.is_match() && self.min_base_quality == 0 {
                add(position, position + len);
            } else if op.is_match() {
                let qualities = record.qualities().iter().skip(read_at).take(op.len() as usize);
                for (offset, &quality) in (0..).zip(qualities) {
                    if quality >= self.min_base_quality {
                        add(position + offset, position + offset + 1);
                    }
                }
            } else if op.code() == 2 && self.count_deletions {
                add(position, position + len);
            }
            if op.consumes_read() {
                read_at += op.len() as usize;
            }
            if op.consumes_reference() {
                position += len;
            }
        }
    }
}

/// Reports the depth at the places the reader was opened for, as stretches of equal depth in order:
/// contig, interval, depth. Neighbouring stretches may have the same depth.
///
/// # Errors
///
/// As [`Reader::query`].
pub fn depth(
    reader: &Reader,
    options: &DepthOptions,
    sink: impl FnMut(ContigId, Interval, u64) -> Result<()>,
) -> Result<()> {
    let mut pile = Pile::new(reader, options.zeros, sink);
    reader.scan_each(
        &options.fields(),
        options.threads,
        |batch| {
            let mut runs: Vec<Run> = Vec::with_capacity(batch.len());
            for record in batch.iter() {
                if let (Some(contig), Ok(from)) =
                    (record.contig(), u64::try_from(record.position()))
                {
                    options.runs(&record, |start, end| runs.push(Run { contig, from, start, end }));
                }
            }
            Ok(runs)
        },
        |runs| runs.into_iter().try_for_each(|run| pile.add(run)),
    )?;
    pile.finish()
}

/// A stretch that a read counts for.
struct Run {
    contig: ContigId,
    /// Where the read starts.
    from: u64,
    start: u64,
    end: u64,
}

/// Changes of depth ahead, and what has been reported.
struct Pile<F> {
    sink: F,
    /// What to report on, in order.
    spans: Vec<Region>,
    /// The first span that is not done with.
    span: usize,
    /// Whether positions without coverage are reported, and whether those of contigs without any.
    zeros: Zeros,
    has_regions: bool,
    contig: ContigId,
    changes: BTreeMap<u64, i64>,
    at: u64,
    depth: i64,
}

impl<F: FnMut(ContigId, Interval, u64) -> Result<()>> Pile<F> {
    fn new(reader: &Reader, zeros: Zeros, sink: F) -> Self {
        let length_of = |contig: ContigId| {
            reader.contigs().get(contig).map_or(u64::MAX, |contig| contig.length)
        };
        let (spans, has_regions) = match reader.selection() {
            Selection::All => {
                let all = (0..reader.contigs().len() as u32).map(ContigId);
                let whole =
                    |contig| Region { contig, interval: Interval::new(0, length_of(contig)) };
                (all.map(whole).collect(), false)
            }
            Selection::Some { regions, .. } => {
                let clip = |region: &Region| {
                    let end = region.interval.end().min(length_of(region.contig));
                    Region { interval: Interval::new(region.interval.start(), end), ..*region }
                };
                (regions.iter().map(clip).collect(), true)
            }
        };
        Self {
            sink,
            spans,
            span: 0,
            zeros,
            has_regions,
            contig: ContigId(0),
            changes: BTreeMap::new(),
            at: 0,
            depth: 0,
        }
    }

    /// Adds a stretch. Reads come in order of their starts, so nothing before `from` changes again.
    fn add(&mut self, run: Run) -> Result<()> {
        if run.contig != self.contig {
            self.flush()?;
            self.enter(run.contig)?;
        }
        self.advance(run.from)?;
        *self.changes.entry(run.start).or_default() += 1;
        *self.changes.entry(run.end).or_default() -= 1;
        Ok(())
    }

    /// Reports everything before `position`, which no later read can change.
    fn advance(&mut self, position: u64) -> Result<()> {
        while let Some(entry) = self.changes.first_entry() {
            if *entry.key() >= position {
                break;
            }
            let (next, change) = entry.remove_entry();
            self.report(self.at, next, self.depth)?;
            self.at = next;
            self.depth += change;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.advance(u64::MAX)
    }

    /// Moves on to another contig.
    fn enter(&mut self, contig: ContigId) -> Result<()> {
        self.fill(contig, 0)?;
        (self.contig, self.at, self.depth) = (contig, 0, 0);
        Ok(())
    }

    /// Reports a stretch of one depth, as far as it is asked for.
    fn report(&mut self, start: u64, end: u64, depth: i64) -> Result<()> {
        if depth <= 0 || start >= end {
            return Ok(());
        }
        self.fill(self.contig, start)?;
        while let Some(span) = self.spans.get_mut(self.span) {
            if span.contig != self.contig || span.interval.start() >= end {
                break;
            }
            let shown =
                Interval::new(span.interval.start().max(start), span.interval.end().min(end));
            if !shown.is_empty() {
                (self.sink)(self.contig, shown, depth.unsigned_abs())?;
            }
            if span.interval.end() > end {
                span.interval = Interval::new(span.interval.start().max(end), span.interval.end());
                break;
            }
            self.span += 1;
        }
        Ok(())
    }

    /// Reports depth 0 up to `position` of `contig`.
    fn fill(&mut self, contig: ContigId, position: u64) -> Result<()> {
        while let Some(span) = self.spans.get_mut(self.span) {
            let Region { contig: of, interval } = *span;
            if (of, interval.start()) >= (contig, position) {
                break;
            }
            let end = if of == contig { interval.end().min(position) } else { interval.end() };
            // Without regions, -a leaves out contigs that have no coverage at all.
            let is_used = self.has_regions || of == self.contig && self.at > 0;
            let shows = match self.zeros {
                Zeros::Skipped => false,
                Zeros::OfUsedContigs => is_used || of == contig && position > 0,
                Zeros::OfAllContigs => true,
            };
            if shows {
                (self.sink)(of, Interval::new(interval.start(), end), 0)?;
            }
            if end < interval.end() {
                span.interval = Interval::new(end, interval.end());
                break;
            }
            self.span += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.fill(ContigId(u32::MAX), u64::MAX)
    }
}
