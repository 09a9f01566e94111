//! Records in order of place, whatever order they come in, cut into sections.

use super::partition::{Partitioner, Section};
use super::place::Place;
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, SortOptions, Sorted, Sorter};
use crate::records::alignments::header::SortOrder;
use crate::records::alignments::{Limit, Record, RecordBatch, Source};

/// Bytes in front of a record in the sorter: its number in the input.
const ORDINAL_LEN: usize = 8;

/// How records that may be out of order are sorted.
#[derive(Clone, Debug, Default)]
pub struct Ordering {
    /// Sort even where the header says that the records are in order.
    pub sort: bool,
    /// Memory, temporary folder, threads.
    pub options: SortOptions,
}

/// Records of a source, in order.
pub(super) struct Ordered<'a> {
    origin: Origin<'a>,
    /// Whether the order of the input was another.
    pub(super) reordered: bool,
    /// Whether all records have been counted as progress.
    pub(super) counted: bool,
}

enum Origin<'a> {
    /// In order already: they pass straight through.
    Stream {
        source: &'a mut dyn Source,
        batch: RecordBatch,
        at: usize,
        seen: u64,
        last: Option<Place>,
    },
    /// Sorted.
    Sorted(Sorted),
}

impl<'a> Ordered<'a> {
    /// Begins. Unless the header declares coordinate order, this reads the whole source and sorts it.
    pub(super) fn new(
        source: &'a mut dyn Source,
        ordering: &Ordering,
        progress: &Progress,
    ) -> Result<Self> {
        let declared = source.header().sort_order() == SortOrder::Coordinate;
        if declared && !ordering.sort {
            let batch = RecordBatch::new();
            let origin = Origin::Stream { source, batch, at: 0, seen: 0, last: None };
            return Ok(Self { origin, reordered: false, counted: false });
        }
        let (sorted, reordered) = sort(source, ordering.options.clone(), progress)?;
        Ok(Self { origin: Origin::Sorted(sorted), reordered, counted: true })
    }

    /// The next record with its place and its number in the input; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Place, &[u8], u64)>> {
        match &mut self.origin {
            Origin::Stream { source, batch, at, seen, last } => {
                if *at == batch.len() {
                    if !source.read(batch, Limit::default())? {
                        return Ok(None);
                    }
                    *at = 0;
                }
                let record = batch.get(*at);
                let place = Place::of(&record);
                *seen += 1;
                if last.is_some_and(|last| place < last) {
                    return Err(out_of_order(&record, *seen));
                }
                *last = Some(place);
                *at += 1;
                Ok(Some((place, record.bytes(), *seen - 1)))
            }
            Origin::Sorted(sorted) => {
                let Some((_, bytes)) = sorted.next()? else { return Ok(None) };
                let (ordinal, bytes) = split_ordinal(bytes)?;
                let record = Record::trusted(bytes)
                    .ok_or_else(|| Error::internal("the sorter changed a record"))?;
                Ok(Some((Place::of(&record), bytes, ordinal)))
            }
        }
    }
}

/// Records of a source, in order, as sections.
pub(super) struct Sections<'a> {
    input: Ordered<'a>,
    partitioner: Option<Partitioner>,
}

impl<'a> Sections<'a> {
    /// Of records in order.
    pub(super) fn new(input: Ordered<'a>, window: u64) -> Self {
        Self { input, partitioner: Some(Partitioner::new(window)) }
    }

    /// The next section; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Section>> {
        let Some(partitioner) = &mut self.partitioner else { return Ok(None) };
        let keep_order = self.input.reordered;
        while let Some((_, bytes, ordinal)) = self.input.next()? {
            let record = Record::trusted(bytes)
                .ok_or_else(|| Error::internal("a record was changed on its way"))?;
            let section = partitioner.push(&record, keep_order.then_some(ordinal));
            if section.is_some() {
                return Ok(section);
            }
        }
        Ok(self.partitioner.take().and_then(Partitioner::finish))
    }
}

fn out_of_order(record: &Record<'_>, number: u64) -> Error {
    Error::input(format!(
        "record {number} ({:?}) lies before the one in front of it, though the header says SO:coordinate",
        String::from_utf8_lossy(record.name())
    ))
    .help("add --sort to sort the records, or correct the header")
}

/// Sorts all records of a source; also whether that moved any.
fn sort(
    source: &mut dyn Source,
    options: SortOptions,
    progress: &Progress,
) -> Result<(Sorted, bool)> {
    let mut sorter = Sorter::new(options);
    let mut batch = RecordBatch::new();
    let mut prefixed = Vec::new();
    let (mut ordinal, mut reordered) = (0_u64, false);
    let mut last = None;
    while source.read(&mut batch, Limit::default())? {
        for record in batch.iter() {
            let place = Place::of(&record);
            reordered |= last.is_some_and(|last| place < last);
            last = Some(place);
            prefixed.clear();
            prefixed.extend_from_slice(&ordinal.to_le_bytes());
            prefixed.extend_from_slice(record.bytes());
            sorter.push(place.sort_key(), &prefixed)?;
            ordinal += 1;
        }
        progress.add_items(batch.len() as u64);
    }
    let sorted = sorter.finish().at(|| "sorting the records")?;
    Ok((sorted, reordered))
}

fn split_ordinal(bytes: &[u8]) -> Result<(u64, &[u8])> {
    bytes
        .split_first_chunk::<ORDINAL_LEN>()
        .map(|(ordinal, record)| (u64::from_le_bytes(*ordinal), record))
        .ok_or_else(|| Error::internal("the sorter changed a record"))
}

/// Puts records back in the order of their numbers in the input.
pub(super) struct Restorer(Sorter);

impl Restorer {
    /// Begins with nothing.
    pub(super) fn new(options: SortOptions) -> Self {
        Self(Sorter::new(options))
    }

    /// Adds records and their numbers.
    pub(super) fn push(&mut self, batch: &RecordBatch, ordinals: &[u64]) -> Result<()> {
        for (index, &ordinal) in ordinals.iter().enumerate() {
            self.0.push(ordinal, batch.bytes(index))?;
        }
        Ok(())
    }

    /// Hands all records on, in order.
    pub(super) fn finish(self, mut sink: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let mut sorted = self.0.finish()?;
        let mut batch = RecordBatch::new();
        while let Some((_, bytes)) = sorted.next()? {
            batch.push_trusted(bytes);
            if Limit::default().records <= batch.len() || batch.byte_len() >= Limit::default().bytes
            {
                sink(&batch)?;
                batch.clear();
            }
        }
        if batch.is_empty() { Ok(()) } else { sink(&batch) }
    }
}
