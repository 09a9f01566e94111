//! Many records in one buffer.

use super::Record;
use crate::error::Result;

/// A run of records in BAM's binary layout, in one allocation.
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `records` of `bytes` together.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(records) }
    }

    /// Checks and appends one record (without `block_size`).
    ///
    /// # Errors
    ///
    /// As [`Record::new`]; the batch is then unchanged.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        Record::new(record)?;
        self.push_trusted(record);
        Ok(())
    }

    /// Appends a record that has been checked before.
    pub fn push_trusted(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// Appends what `write` puts behind the bytes given to it; keeps nothing if it fails.
    ///
    /// # Errors
    ///
    /// What `write` returns, and as [`Record::new`].
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let start = self.bytes.len();
        let written =
            write(&mut self.bytes).and_then(|()| Record::new(&self.bytes[start..]).map(|_| ()));
        match written {
            Ok(()) => self.ends.push(self.bytes.len()),
            Err(_) => self.bytes.truncate(start),
        }
        written
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of all records, one after another.
    pub fn all_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of record `index`, counted from 0.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// A view of record `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds, as for a slice.
    pub fn get(&self, index: usize) -> Record<'_> {
        match Record::trusted(self.bytes(index)) {
            Some(record) => record,
            None => unreachable!("records are checked when they are pushed"),
        }
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
