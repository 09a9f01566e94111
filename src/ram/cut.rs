//! What was put aside, region by region, in the pieces that are encoded: batches of alignments,
//! of coverage and of calls.

use std::sync::Arc;

use super::calls::Call;
use super::coverage::{Row, Window};
use super::grid::{Grid, SAMPLE_BITS};
use super::rows::Place;
use super::sites::{Candidate, Site};
use super::spill::{Entry, Spills, region_of_site};
use crate::error::{Error, Result};
use crate::pipeline::Sorted;
use crate::records::alignments::RecordBatch;

/// Most rows of a batch.
pub(super) const MOST_ROWS: usize = 4096;
/// Rows below which a batch goes on with the next sub-window.
const FEW_ROWS: usize = 1024;
/// Bytes of records, or of what stands for coverage, that end a batch.
const MOST_BYTES: usize = 4 << 20;

/// A record of a section.
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) clip: Option<u32>,
}

/// What is encoded in one piece.
pub(super) enum Section {
    Reads {
        region: u64,
        items: Vec<Item>,
        records: RecordBatch,
        /// Where samples are judged, and up to where no more reads come, as the region counts.
        sites: Arc<Vec<Site>>,
        settled: u64,
    },
    Coverage {
        region: u64,
        windows: Vec<Window>,
        bytes: usize,
    },
    /// Samples that were judged before.
    Calls {
        region: u64,
        calls: Vec<Call>,
    },
    End {
        region: u64,
        sites: Arc<Vec<Site>>,
    },
}

impl Section {
    /// About as many bytes as it takes up.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Reads { records, items, .. } => records.byte_len() + 32 * items.len(),
            Self::Coverage { bytes, .. } => 4 * bytes,
            Self::Calls { calls, .. } => 256 * calls.len(),
            Self::End { .. } => 1,
        }
    }
}

/// A sorter's records, the next of which can be looked at.
struct Peeked {
    sorted: Sorted,
    head: Option<(u64, Vec<u8>)>,
}

impl Peeked {
    fn new(sorted: Sorted) -> Result<Self> {
        let mut peeked = Self { sorted, head: None };
        peeked.advance()?;
        Ok(peeked)
    }

    fn advance(&mut self) -> Result<()> {
        let mut bytes = self.head.take().map_or_else(Vec::new, |(_, bytes)| bytes);
        bytes.clear();
        self.head = self.sorted.next()?.map(|(key, record)| {
            bytes.extend_from_slice(record);
            (key, bytes)
        });
        Ok(())
    }

    fn key(&self) -> Option<u64> {
        self.head.as_ref().map(|(key, _)| *key)
    }
}

/// Cuts what was put aside into sections.
pub(super) struct Cutter<'a> {
    grid: &'a Grid,
    reads: Peeked,
    coverage: Peeked,
    sites: Peeked,
    calls: Peeked,
    /// The region being cut, and its sites.
    current: Option<(u64, Arc<Vec<Site>>)>,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(spills: Spills, grid: &'a Grid) -> Result<Self> {
        Ok(Self {
            grid,
            reads: Peeked::new(spills.reads.finish()?)?,
            coverage: Peeked::new(spills.coverage.finish()?)?,
            sites: Peeked::new(spills.sites.finish()?)?,
            calls: Peeked::new(spills.calls.finish()?)?,
            current: None,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Section>> {
        let region_of = |key: u64| self.grid.of_key(key).1;
        let next = [
            self.reads.key().map(region_of),
            self.coverage.key().map(region_of),
            self.calls.key().map(region_of_site),
        ];
        let Some((region, sites)) = self.current.clone() else {
            let Some(first) = next.into_iter().flatten().min() else { return Ok(None) };
            let sites = Arc::new(self.sites_of(first)?);
            self.current = Some((first, sites));
            return self.next();
        };
        let section = match next.map(|next| next == Some(region)) {
            [true, ..] => self.reads(region, sites)?,
            [_, true, _] => self.windows(region)?,
            [.., true] => self.calls(region)?,
            _ => {
                self.current = None;
                Section::End { region, sites }
            }
        };
        Ok(Some(section))
    }

    fn reads(&mut self, region: u64, sites: Arc<Vec<Site>>) -> Result<Section> {
        let (mut items, mut records) = (Vec::new(), RecordBatch::new());
        let (mut first, mut last) = (None, None);
        while let Some((key, bytes)) = &self.reads.head {
            let (window, of) = self.grid.of_key(*key);
            let is_full = items.len() >= MOST_ROWS || records.byte_len() >= MOST_BYTES;
            if of != region || is_full || is_end(last, window, items.len()) {
                break;
            }
            first = first.or(Some(window));
            last = Some(window);
            let entry = Entry::parse(bytes)?;
            items.push(Item { place: entry.place(sample_of(*key)), clip: entry.clip });
            records.push_trusted(entry.record);
            self.reads.advance()?;
        }
        let settled = first.map_or(0, |window| self.grid.window_start(window));
        Ok(Section::Reads { region, items, records, sites, settled })
    }

    fn windows(&mut self, region: u64) -> Result<Section> {
        let (mut windows, mut last, mut size) = (Vec::new(), None, 0);
        while let Some((key, bytes)) = &self.coverage.head {
            let (window, of) = self.grid.of_key(*key);
            let is_full = windows.len() >= MOST_ROWS || size >= MOST_BYTES / 4;
            if of != region || is_full || is_end(last, window, windows.len()) {
                break;
            }
            last = Some(window);
            size += bytes.len();
            let (contig, row) = Row::parse(bytes)?;
            windows.push(Window { sample: sample_of(*key), contig, row });
            self.coverage.advance()?;
        }
        windows.sort_by_key(|window| window.sample);
        Ok(Section::Coverage { region, windows, bytes: size })
    }

    /// Calls up to the end of a site, if it is not the last one of its region.
    fn calls(&mut self, region: u64) -> Result<Section> {
        let (mut calls, mut last) = (Vec::new(), None);
        while let Some((key, bytes)) = &self.calls.head {
            let is_new = last.is_some_and(|last| last != *key);
            if region_of_site(*key) != region || is_new && calls.len() >= MOST_ROWS {
                break;
            }
            last = Some(*key);
            calls.push(
                serde_json::from_slice(bytes).map_err(|error| {
                    Error::internal("the sorter changed a call").caused_by(error)
                })?,
            );
            self.calls.advance()?;
        }
        Ok(Section::Calls { region, calls })
    }

    /// The sites of a region, in order.
    fn sites_of(&mut self, region: u64) -> Result<Vec<Site>> {
        let mut sites: Vec<Site> = Vec::new();
        while let Some((key, bytes)) = &self.sites.head {
            if region_of_site(*key) > region {
                break;
            }
            let candidate = Candidate::parse(bytes)?;
            // Those of other groups may lie between.
            let is_here = |site: &&mut Site| {
                (site.contig, site.position) == (candidate.contig, candidate.position)
            };
            let mut here = sites.iter_mut().rev().take_while(is_here);
            if !here.any(|site| site.admit(candidate)) {
                sites.push(candidate.into());
            }
            self.sites.advance()?;
        }
        Ok(sites)
    }
}

/// Whether a batch of so many rows ends before a row of `window`.
fn is_end(last: Option<u64>, window: u64, rows: usize) -> bool {
    rows >= FEW_ROWS && last.is_some_and(|last| last != window)
}

fn sample_of(key: u64) -> u32 {
    (key & ((1 << SAMPLE_BITS) - 1)) as u32
}
