//! What is put aside by region until all samples have been read: records, coverage, candidates and
//! calls, each in a sorter.

use std::path::Path;

use super::calls::Call;
use super::coverage::Row;
use super::grid::Grid;
use super::rows::Place;
use super::sites::Candidate;
use crate::error::{Error, Result};
use crate::pipeline::{Kept, SortOptions, Sorter};

/// Bytes in front of a record: what it is, from where it counts, its number.
const PREFIX: usize = 13;
/// The record starts in this region.
const OWNER: u8 = 1;
/// The record counts for coverage and sites.
const COUNTS: u8 = 2;
/// The record has a number.
const NUMBERED: u8 = 4;

/// What a sorter gives back of a record.
pub(super) struct Entry<'a> {
    pub(super) is_owner: bool,
    /// From where it counts for coverage and sites, if it does.
    pub(super) clip: Option<u32>,
    pub(super) ordinal: Option<u64>,
    pub(super) record: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let flag = |flag: u8, is_set: bool| if is_set { flag } else { 0 };
        out.clear();
        out.push(
            flag(OWNER, self.is_owner)
                | flag(COUNTS, self.clip.is_some())
                | flag(NUMBERED, self.ordinal.is_some()),
        );
        out.extend_from_slice(&self.clip.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.ordinal.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(self.record);
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (prefix, record) = bytes
            .split_first_chunk::<PREFIX>()
            .ok_or_else(|| Error::internal("the sorter changed a record"))?;
        let &[flags, c0, c1, c2, c3, ref ordinal @ ..] = prefix;
        let clip = u32::from_le_bytes([c0, c1, c2, c3]);
        let ordinal = u64::from_le_bytes(*ordinal);
        Ok(Self {
            is_owner: flags & OWNER != 0,
            clip: Some(clip).filter(|_| flags & COUNTS != 0),
            ordinal: Some(ordinal).filter(|_| flags & NUMBERED != 0),
            record,
        })
    }

    /// What a row says of it besides the record.
    pub(super) fn place(&self, sample: u32) -> Place {
        Place { sample, is_owner: self.is_owner, ordinal: self.ordinal }
    }
}

/// What was put aside. Records and coverage come by sub-window and sample, candidates and calls by
/// region and position.
pub(super) struct Spills {
    pub(super) reads: Sorter,
    pub(super) coverage: Sorter,
    /// Where samples are to be judged.
    pub(super) sites: Sorter,
    /// Samples that were judged already.
    pub(super) calls: Sorter,
    line: Vec<u8>,
}

impl Spills {
    /// Of all samples, to be read back.
    pub(super) fn new(options: &SortOptions) -> Self {
        Self::with(options, Sorter::new)
    }

    /// Of one sample, to be kept in files.
    pub(super) fn to_keep(options: &SortOptions) -> Self {
        Self::with(options, Sorter::to_keep)
    }

    fn with(options: &SortOptions, sorter: fn(SortOptions) -> Sorter) -> Self {
        let part = |part: usize| {
            sorter(SortOptions { memory: options.memory / 16 * part, ..options.clone() })
        };
        Self { reads: part(9), coverage: part(4), sites: part(1), calls: part(2), line: Vec::new() }
    }

    /// Puts a record aside, under the key of where it is.
    pub(super) fn push_read(&mut self, key: u64, entry: &Entry<'_>) -> Result<()> {
        entry.write(&mut self.line);
        self.reads.push(key, &self.line)
    }

    /// Puts a window of a sample aside.
    pub(super) fn push_window(
        &mut self,
        grid: &Grid,
        sample: u32,
        contig: u32,
        row: &Row,
    ) -> Result<()> {
        self.coverage.push(grid.key_at(contig, row.start, sample), &row.to_bytes(contig))
    }

    pub(super) fn push_candidate(&mut self, grid: &Grid, candidate: Candidate) -> Result<()> {
        let key = site_key(grid, candidate.contig, candidate.position.into());
        self.sites.push(key, &candidate.to_bytes())
    }

    pub(super) fn push_call(&mut self, grid: &Grid, call: &Call) -> Result<()> {
        let bytes = serde_json::to_vec(call)
            .map_err(|error| Error::internal("putting a call aside").caused_by(error))?;
        self.calls.push(site_key(grid, call.contig, call.position), &bytes)
    }

    /// Leaves what a sample came to in files, whose names `path` tells.
    pub(super) fn keep(self, path: impl Fn(&str) -> std::path::PathBuf) -> Result<KeptSpills> {
        Ok(KeptSpills {
            reads: self.reads.keep(&path("reads"))?,
            coverage: self.coverage.keep(&path("coverage"))?,
            sites: self.sites.keep(&path("sites"))?,
        })
    }

    /// Takes in what a sample, of this number now, came to.
    pub(super) fn adopt(
        &mut self,
        sample: u32,
        kept: &KeptSpills,
        path: impl Fn(&str) -> std::path::PathBuf,
    ) {
        self.reads.adopt(path("reads"), kept.reads, sample.into());
        self.coverage.adopt(path("coverage"), kept.coverage, sample.into());
        self.sites.adopt(path("sites"), kept.sites, 0);
    }
}

/// Region and position as one number.
fn site_key(grid: &Grid, contig: u32, position: u64) -> u64 {
    let region = *grid.regions(contig, position, position + 1).start();
    region << 32 | (grid.linear(contig, position) & 0xffff_ffff)
}

/// The region of what candidates and calls are sorted by.
pub(super) fn region_of_site(key: u64) -> u64 {
    key >> 32
}

/// The files of a sample that was read.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct KeptSpills {
    reads: Kept,
    coverage: Kept,
    sites: Kept,
}

impl KeptSpills {
    /// Whether the files are there and have their sizes.
    pub(super) fn are_whole(&self, path: impl Fn(&str) -> std::path::PathBuf) -> bool {
        let is_whole = |path: &Path, kept: &Kept| {
            std::fs::metadata(path).is_ok_and(|found| found.len() == kept.bytes)
        };
        is_whole(&path("reads"), &self.reads)
            && is_whole(&path("coverage"), &self.coverage)
            && is_whole(&path("sites"), &self.sites)
    }
}
