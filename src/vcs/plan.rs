//! Which bytes of a row group a query fetches.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::calls;
use super::file::Footer;
use super::index::{Layout, PageRef, Quality, Spatial};
use super::needs::{Fields, Needs};
use super::read::GroupId;
use super::schema::{FIXED, Schema};
use super::sites::fixed;
use crate::error::{Error, Result};
use crate::store::{Pending, RangeRequest, Store};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;

/// A part whose index pages were read.
pub(super) struct OpenPart {
    pub(super) contig: u32,
    pub(super) spatial: Vec<Spatial>,
    pub(super) quality: Vec<Quality>,
    pub(super) layout: Layout,
    /// The metadata of each file, read when it is first needed: a sample's block is one of many.
    pub(super) footers: Vec<OnceLock<Footer>>,
}

/// The columns to read of each file.
pub(super) struct Roots {
    sites: Vec<usize>,
    /// Blocks of samples and their columns.
    blocks: Vec<(usize, Vec<usize>)>,
    /// Sections of the residual.
    sections: Vec<usize>,
}

impl Roots {
    pub(super) fn new(schema: &Schema, needs: &Needs, all_places: bool) -> Self {
        let mut sites: BTreeSet<usize> = BTreeSet::new();
        sites.extend((0..fixed::END).filter(|&at| needs.fixed.has(FIXED[at])));
        let has_end =
            matches!(&needs.fixed, Fields::Some(names) if names.contains(FIXED[fixed::END]));
        if has_end || needs.info.has("END") {
            sites.insert(fixed::END);
        }
        if !all_places {
            sites.extend([fixed::POS, fixed::END]);
        }
        let info = schema.info.iter().enumerate().filter(|(_, field)| needs.info.has(&field.id));
        sites.extend(info.map(|(at, _)| fixed::COUNT + at));
        if schema.ordinal {
            sites.insert(fixed::COUNT + schema.info.len());
        }
        let mut sections = if needs.text { vec![0] } else { Vec::new() };
        let mut blocks = Vec::new();
        let fields: Vec<usize> = (0..schema.format.len())
            .filter(|&at| needs.format.has(&schema.format[at].id))
            .collect();
        if !needs.samples.is_empty() && !schema.has_blocks() {
            if needs.text {
                sections.push(1);
            }
            let width = schema.format.len();
            let first = schema.first_sample_column();
            for sample in &needs.samples {
                sites.extend(fields.iter().map(|field| first + sample * width + field));
            }
        }
        if schema.has_blocks() {
            let step = schema.block_samples;
            let wanted: BTreeSet<usize> =
                needs.samples.iter().map(|sample| sample / step).collect();
            let columns: Vec<usize> =
                fields.iter().flat_map(|&field| calls::block_columns(schema, field)).collect();
            for block in wanted {
                if needs.text {
                    sections.push(block + 1);
                }
                blocks.push((block, columns.clone()));
            }
        }
        Self { sites: sites.into_iter().collect(), blocks, sections }
    }
}

/// What a fetched range belongs to: a Parquet file, or a section of the residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceOf {
    File(usize),
    Section(usize),
}

pub(super) struct Piece {
    pub(super) file: PieceOf,
    pub(super) range: Range<u64>,
    pub(super) expected: PageRef,
}

/// A row group to read.
pub(super) struct Task {
    pub(super) part: Arc<OpenPart>,
    pub(super) id: GroupId,
    pub(super) rows: usize,
    /// The rows that are asked for, if they are not chosen by place.
    pub(super) wanted: Option<Vec<usize>>,
    /// Files, and the columns of each.
    pub(super) files: Vec<(usize, Vec<usize>)>,
    pub(super) pieces: Vec<Piece>,
}

impl Task {
    pub(super) fn new(
        part: &Arc<OpenPart>,
        id: GroupId,
        rows: usize,
        wanted: Option<Vec<usize>>,
        roots: &Roots,
    ) -> Result<Self> {
        let group = id.1;
        let mut files = vec![(0, roots.sites.clone())];
        files.extend(roots.blocks.iter().map(|(block, columns)| {
            let mut columns = columns.clone();
            columns.sort_unstable();
            (block + 1, columns)
        }));
        let missing = || Error::corrupt("the index lacks a part of a row group");
        let mut pieces = Vec::new();
        for (file, columns) in &files {
            let footer = part.footer(*file)?;
            let sums = part.layout.files.get(*file).and_then(|file| file.checksums.get(group));
            let sums = sums.ok_or_else(missing)?;
            for (leaf, range) in footer.ranges(group, columns) {
                let size = u32::try_from(range.end - range.start).map_err(|_| missing())?;
                let crc32c = *sums.get(leaf).ok_or_else(missing)?;
                let expected = PageRef { offset: range.start, size, crc32c };
                pieces.push(Piece { file: PieceOf::File(*file), range, expected });
            }
        }
        let sections = part.layout.sections.get(group).ok_or_else(missing)?;
        for &section in &roots.sections {
            let expected = *sections.get(section).ok_or_else(missing)?;
            let range = expected.offset..expected.offset + u64::from(expected.size);
            pieces.push(Piece { file: PieceOf::Section(section), range, expected });
        }
        Ok(Self { part: part.clone(), id, rows, wanted, files, pieces })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.expected.size)).sum()
    }
}

impl OpenPart {
    /// The metadata of a file.
    pub(super) fn footer(&self, file: usize) -> Result<&Footer> {
        let missing = || Error::corrupt("the index lacks a file of a part");
        let known = self.footers.get(file).ok_or_else(missing)?;
        if let Some(footer) = known.get() {
            return Ok(footer);
        }
        let footer = Footer::parse(&self.layout.files.get(file).ok_or_else(missing)?.footer)?;
        Ok(known.get_or_init(|| footer))
    }

    /// The object of a piece.
    pub(super) fn key(&self, of: PieceOf) -> &str {
        match of {
            PieceOf::File(file) => self.layout.files.get(file).map_or("", |file| &file.path),
            PieceOf::Section(_) => &self.layout.exact,
        }
    }

    /// From its pages.
    pub(super) fn new(
        contig: u32,
        spatial: Vec<Spatial>,
        quality: Vec<Quality>,
        layout: Layout,
    ) -> Result<Self> {
        let footers = layout.files.iter().map(|_| OnceLock::new()).collect();
        if layout.digests.len() != spatial.len() {
            return Err(Error::corrupt("the pages of the index disagree on the row groups"));
        }
        Ok(Self { contig, spatial, quality, layout, footers })
    }
}

/// Asks for the next row groups together.
pub(super) fn start(
    store: &Store,
    tasks: &mut impl Iterator<Item = Task>,
) -> (Vec<Task>, Pending<Vec<Bytes>>) {
    let (mut group, mut requests) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while bytes < GROUP_BYTES {
        let Some(task) = tasks.next() else { break };
        bytes += task.bytes();
        requests.extend(
            task.pieces
                .iter()
                .map(|piece| RangeRequest::new(task.part.key(piece.file), piece.range.clone())),
        );
        group.push(task);
    }
    (group, store.start_get_ranges(&requests))
}
