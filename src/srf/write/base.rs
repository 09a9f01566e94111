//! What stays of a version when reads are added to it, or those of a lane are redone.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;

use super::order::{RowsToOrder, rows_of};
use super::{WriteOptions, effort_of};
use crate::dataset::{Change, ChunkEntry, Dataset, InputInfo};
use crate::error::{Context, Error, Result};
use crate::records::reads::Style;
use crate::srf::batch::Fields;
use crate::srf::ids;
use crate::srf::index::{self, ChunkRef, Extremes};
use crate::srf::manifest::{self, Details, Lane, Layout, Order, Page};
use crate::srf::read;

/// A version that a change keeps something of.
pub(super) struct Base {
    dataset: Dataset,
    pub(super) details: Details,
    /// The chunks in the order of the input.
    chunks: Vec<Kept>,
    /// The lanes that are redone: none behind the last, where reads are added.
    redone: Range<usize>,
}

/// A chunk that stays, with its pages of the indexes.
pub(super) struct Kept {
    pub(super) entry: ChunkEntry,
    fixed: [u32; 2],
    pub(super) page: Page,
    pub(super) batches: Bytes,
    pub(super) columns: Option<(Page, Bytes)>,
    pub(super) extremes: Vec<Extremes>,
}

impl Kept {
    /// The length of all reads of each file, or 0.
    pub(super) fn fixed(&self) -> [u32; 2] {
        self.fixed
    }
}

/// What the indexes need of a batch.
pub(super) struct ReadAgain {
    pub(super) hashes: Vec<u64>,
    pub(super) rows: RowsToOrder,
}

impl Base {
    /// Fetches the indexes of the version that `change` is based on.
    pub(super) fn read(dataset: &Dataset, change: &Change) -> Result<Self> {
        let store = dataset.store();
        let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
        let redone = match change {
            Change::Replace(names) => {
                let lane = lane_of(&details.lanes, &dataset.manifest().inputs, names)?;
                lane..lane + 1
            }
            _ => details.lanes.len()..details.lanes.len(),
        };
        let chunks = read_chunks(dataset, &details).at(|| store.name(""))?;
        if Lane::total(&details.lanes).chunks != chunks.len() as u64 {
            return Err(
                Error::corrupt("the lanes have not as many chunks as there are").at(store.name(""))
            );
        }
        Ok(Self { dataset: dataset.clone(), details, chunks, redone })
    }

    /// The options of a conversion that must be those of the dataset.
    pub(super) fn adopted(&self, options: &WriteOptions) -> WriteOptions {
        WriteOptions {
            layout: self.details.layout,
            order: self.details.order,
            effort: effort_of(&self.details.level),
            interleaved: self.details.interleaved,
            ..options.clone()
        }
    }

    /// Makes sure that an input has reads of the same kind.
    pub(super) fn check_input(&self, found: &[Style]) -> Result<()> {
        let expected = &self.details.styles;
        let kind = |styles: &[Style]| {
            let name = if styles.iter().any(|style| style.fasta) { "FASTA" } else { "FASTQ" };
            match styles.len() {
                1 => format!("single reads in {name}"),
                _ => format!("pairs in {name}"),
            }
        };
        if kind(expected) == kind(found) {
            return Ok(());
        }
        Err(Error::input("the input has another kind of reads than the dataset")
            .expected(kind(expected))
            .found(kind(found))
            .help("convert it to a dataset of its own"))
    }

    /// The length of all reads of each file, or zeros, as far as chunks that stay tell.
    pub(super) fn fixed(&self) -> Option<[u32; 2]> {
        let kept = [self.before(), self.after()].map(|range| self.chunks(range));
        let mut all = kept.into_iter().flatten().map(Kept::fixed);
        let first = all.next()?;
        Some(all.fold(first, |known, next| if known == [0, 0] { next } else { known }))
    }

    /// The chunks of a range.
    pub(super) fn chunks(&self, range: Range<usize>) -> &[Kept] {
        self.chunks.get(range).unwrap_or_default()
    }

    /// The chunks in front of the new ones.
    pub(super) fn before(&self) -> Range<usize> {
        0..self.chunks_until(self.redone.start)
    }

    /// The chunks behind the new ones.
    pub(super) fn after(&self) -> Range<usize> {
        self.chunks_until(self.redone.end)..self.chunks.len()
    }

    fn chunks_until(&self, lane: usize) -> usize {
        Lane::total(&self.details.lanes[..lane]).chunks as usize
    }

    /// Whether all chunks of the version stay, in front of the new ones.
    pub(super) fn is_prefix(&self) -> bool {
        self.redone.start == self.details.lanes.len() && self.details.order == Order::None
    }

    /// How many chunks the version has in the order of the input.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The lanes and inputs of the new version.
    pub(super) fn with(&self, lane: Lane, inputs: &[InputInfo]) -> (Vec<Lane>, Vec<InputInfo>) {
        let until = |lane: usize| Lane::total(&self.details.lanes[..lane]).inputs as usize;
        let redone = until(self.redone.start)..until(self.redone.end);
        let (mut lanes, mut all) =
            (self.details.lanes.clone(), self.dataset.manifest().inputs.clone());
        lanes.splice(self.redone.clone(), [lane]);
        all.splice(redone.start.min(all.len())..redone.end.min(all.len()), inputs.iter().cloned());
        (lanes, all)
    }

    /// Reads chunks again: names for the index by name, and all for a view in another order.
    pub(super) fn scan(
        &self,
        kept: &[Kept],
        order: Order,
        threads: usize,
        sink: impl FnMut(ReadAgain) -> Result<()>,
    ) -> Result<()> {
        let fields = match order {
            Order::None => Fields::NAMES,
            _ => Fields::TEXT.and(Fields::SCORES),
        };
        let paths: HashSet<&str> = kept.iter().map(|chunk| chunk.entry.path.as_str()).collect();
        read::scan_batches(
            &self.dataset,
            &self.details,
            fields,
            threads,
            |chunks| chunks.iter().map(|chunk| paths.contains(chunk)).collect(),
            |batch| {
                let names = (0..batch.rows()).map(|row| ids::hash(batch.names.get(row)));
                Ok(ReadAgain { hashes: names.collect(), rows: rows_of(&batch, order) })
            },
            sink,
        )
    }

    /// Whether the last record of chunks that stay lacks its line end.
    pub(super) fn is_open(&self, kept: &[Kept]) -> Result<bool> {
        let Some(last) = kept.last() else { return Ok(false) };
        let mut is_open = false;
        read::scan_batches(
            &self.dataset,
            &self.details,
            Fields::TEXT,
            1,
            |chunks| {
                let at = chunks.iter().rposition(|&chunk| chunk == last.entry.path);
                (0..chunks.len()).map(|batch| Some(batch) == at).collect()
            },
            |batch| {
                let (mut text, mut scratch) = (Vec::new(), [Vec::new(), Vec::new()]);
                Ok((0..batch.mates()).any(|mate| {
                    text.clear();
                    batch.push_text(batch.rows() - 1, mate, &mut scratch, &mut text);
                    text.last() != Some(&b'\n')
                }))
            },
            |found| {
                is_open = found;
                Ok(())
            },
        )?;
        Ok(is_open)
    }
}

/// The lane that has inputs of these names.
fn lane_of(lanes: &[Lane], inputs: &[InputInfo], names: &[String]) -> Result<usize> {
    let mut inputs = inputs.iter();
    let mut found = Vec::new();
    for (number, lane) in lanes.iter().enumerate() {
        let of_lane = inputs.by_ref().take(lane.inputs as usize);
        let has: HashSet<&str> = of_lane.map(|input| input.name.as_str()).collect();
        if !names.is_empty() && names.iter().all(|name| has.contains(name.as_str())) {
            found.push(number);
        }
    }
    match found[..] {
        [lane] => Ok(lane),
        [] => Err(Error::usage(format!("no reads came from {}", names.join(" and ")))
            .help("'log' tells the files that reads came from")),
        _ => Err(Error::usage(format!("reads came from {} more than once", names.join(" and ")))
            .help("name all files of the lane, or convert the reads anew")),
    }
}

/// The chunks of a version in the order of the input, with their pages of the indexes.
fn read_chunks(dataset: &Dataset, details: &Details) -> Result<Vec<Kept>> {
    let object = |kind: &str| {
        let found = dataset.manifest().objects_of(kind).next();
        let found = found.ok_or_else(|| {
            Error::corrupt(format!("the manifest lists no object of kind {kind:?}"))
        });
        found.and_then(|object| dataset.read(object))
    };
    let view = &details.input_order;
    let batches = cut(&object(manifest::BATCHES_KIND)?, &view.batches)?;
    let columns = match details.layout {
        Layout::Plain => cut(&object(manifest::COLUMNS_KIND)?, &view.columns)?,
        Layout::Compact => Vec::new(),
    };
    let count: usize = view.batches.iter().map(|page| page.batches as usize).sum();
    let quality = object(manifest::QUALITY_KIND)?;
    // Sizes are compared before so many entries are made room for.
    if quality.len() != 16 * count {
        return Err(Error::corrupt("the index by quality has not one entry per batch"));
    }
    let mut extremes = vec![Extremes::ANY; count];
    index::read_quality(&quality, &mut extremes)?;
    index::read_length(&object(manifest::LENGTH_KIND)?, &mut extremes)?;
    let mut extremes = extremes.into_iter();
    let mut columns = view.columns.iter().copied().zip(columns);
    let entries = dataset.chunks()?;
    let mut chunks = Vec::new();
    for ((&page, batches), entry) in view.batches.iter().zip(batches).zip(entries.iter()) {
        let chunk = ChunkRef::parse(&batches, details.styles.len())?;
        let columns = columns.next();
        let lacks_columns = details.layout == Layout::Plain && columns.is_none();
        if chunk.path != entry.path || chunk.batches.len() != page.batches as usize || lacks_columns
        {
            return Err(Error::corrupt("the indexes list other chunks than the manifest"));
        }
        chunks.push(Kept {
            entry: entry.clone(),
            fixed: chunk.fixed,
            page,
            batches,
            columns,
            extremes: extremes.by_ref().take(page.batches as usize).collect(),
        });
    }
    Ok(chunks)
}

/// The pages of an index object.
fn cut(object: &Bytes, pages: &[Page]) -> Result<Vec<Bytes>> {
    let mut rest = object.clone();
    let mut cut = Vec::with_capacity(pages.len());
    for page in pages {
        if page.size as usize > rest.len() {
            return Err(Error::corrupt("an index is shorter than its pages"));
        }
        cut.push(rest.split_to(page.size as usize));
    }
    Ok(cut)
}
