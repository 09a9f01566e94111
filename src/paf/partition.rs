//! Where blocks and chunks end.
//!
//! The cuts follow from the records and the window size alone, never from threads or from how well
//! something compressed, so that equal input gives equal chunks.

use super::place::Place;
use crate::records::alignments::{Record, RecordBatch};

/// Most records in a block.
pub const BLOCK_RECORDS: usize = 10_000;
/// A block ends before its records pass this many bytes.
pub const BLOCK_BYTES: usize = 4 << 20;
/// A chunk ends at the next window once its records have this many bytes: about 1 MB as coded.
pub const MIN_CHUNK_BYTES: u64 = 6 << 20;
/// A chunk ends within a window once its records have this many bytes: below 64 MB as coded.
pub const MAX_CHUNK_BYTES: u64 = 64 << 20;

/// Records that become one block.
#[derive(Debug, Default)]
pub struct Section {
    /// The records, in order of place.
    pub batch: RecordBatch,
    /// Their numbers in the input, where the order there was another.
    pub ordinals: Vec<u64>,
    /// Whether its chunk ends with it.
    pub ends_chunk: bool,
}

/// Cuts a run of records, given one by one in order of place.
#[derive(Debug)]
pub struct Partitioner {
    window: u64,
    current: Section,
    last: Option<Place>,
    chunk_bytes: u64,
}

impl Partitioner {
    /// Windows of `window` bases.
    pub fn new(window: u64) -> Self {
        Self { window: window.max(1), current: Section::default(), last: None, chunk_bytes: 0 }
    }

    /// Adds a record; returns the section that ends before it, if one does.
    pub fn push(&mut self, record: &Record<'_>, ordinal: Option<u64>) -> Option<Section> {
        let place = Place::of(record);
        let section = self.cut_before(place, record.bytes().len());
        self.current.batch.push_trusted(record.bytes());
        self.current.ordinals.extend(ordinal);
        self.chunk_bytes += record.bytes().len() as u64;
        self.last = Some(place);
        section
    }

    /// The last section, if any record is left.
    pub fn finish(mut self) -> Option<Section> {
        (!self.current.batch.is_empty()).then(|| self.cut(true))
    }

    fn cut_before(&mut self, place: Place, record_len: usize) -> Option<Section> {
        let last = self.last?;
        let becomes_unplaced = place.contig().is_none() && last.contig().is_some();
        let enters_window = self.window_of(place) != self.window_of(last);
        if becomes_unplaced || (enters_window && self.chunk_bytes >= MIN_CHUNK_BYTES) {
            return Some(self.cut(true));
        }
        let batch = &self.current.batch;
        let is_full = batch.len() >= BLOCK_RECORDS || batch.byte_len() + record_len > BLOCK_BYTES;
        (is_full && !batch.is_empty()).then(|| self.cut(self.chunk_bytes >= MAX_CHUNK_BYTES))
    }

    fn cut(&mut self, ends_chunk: bool) -> Section {
        if ends_chunk {
            self.chunk_bytes = 0;
        }
        Section { ends_chunk, ..std::mem::take(&mut self.current) }
    }

    fn window_of(&self, place: Place) -> (i32, u64) {
        let position = u64::try_from(place.position()).unwrap_or(0);
        (place.ref_id(), if place.contig().is_some() { position / self.window } else { 0 })
    }
}
