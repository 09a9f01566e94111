//! One partition, from its file to record batches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::codec::Codec;
use super::encoded::EKind;
use super::fetch::PartBytes;
use super::node::{Layout, Node, Scratch};
use super::skip::Skipped;
use super::stream::Stream;
use super::table::{batch_of, fields_of};
use crate::error::{Context, Error, Result};
use crate::store::Store;

/// No batch is longer than this, so that offsets of 32 bits suffice.
const MAX_BATCH: u64 = 1 << 30;

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// After so many rows.
    pub rows: usize,
    /// After so many bytes of Arrow values, or with the row that passes them.
    pub bytes: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: 65_536, bytes: 8 << 20 }
    }
}

/// The rows of a partition, in order.
///
/// After the last batch it is certain that the partition has as many rows as its table says, that
/// it ended where it should, and that nothing follows.
pub struct PartitionReader {
    place: String,
    stream: Stream,
    layout: Layout,
    columns: Vec<Node>,
    /// A row that is passed over.
    whole: Skipped,
    schema: SchemaRef,
    width: u64,
    scratch: Scratch,
    limits: BatchLimits,
    last_bytes: u64,
    /// Rows that it should have, and those read.
    expected: u64,
    read: u64,
    done: bool,
}

impl PartitionReader {
    pub(super) fn open(
        store: &Store,
        key: &str,
        size: u64,
        codec: &Codec,
        rows: u64,
        columns: Option<&[&str]>,
        limits: BatchLimits,
    ) -> Result<Self> {
        Self::of_bytes(PartBytes::of(store, key, size), codec, rows, columns, limits)
    }

    pub(super) fn of_bytes(
        bytes: PartBytes,
        codec: &Codec,
        rows: u64,
        wanted: Option<&[&str]>,
        limits: BatchLimits,
    ) -> Result<Self> {
        let EKind::Struct(fields) = &codec.encoded.kind else {
            return Err(Error::unsupported("rows are no structs"));
        };
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        let all = fields_of(&codec.of, &codec.encoded);
        for ((name, of), field) in codec.of.fields().iter().zip(&all) {
            let Some(encoded) = codec.encoded.field(name) else { continue };
            names.push(name.as_str());
            if wanted.is_none_or(|wanted| wanted.contains(&name.as_str())) {
                columns.push(Node::new(of, encoded));
                kept.push(field.clone());
            } else {
                columns.push(Node::Skipped(Skipped::new(encoded)));
            }
        }
        Ok(Self {
            place: String::new(),
            stream: Stream::new(bytes, &codec.buffers)?,
            layout: Layout::new(fields, &names),
            whole: Skipped::new(&codec.encoded),
            width: columns.iter().map(Node::width).sum(),
            columns,
            schema: Arc::new(Schema::new(kept)),
            scratch: Scratch::default(),
            limits: BatchLimits { bytes: limits.bytes.min(MAX_BATCH), ..limits },
            last_bytes: 0,
            expected: rows,
            read: 0,
            done: false,
        })
    }

    pub(super) fn named(mut self, place: String) -> Self {
        self.place = place;
        self
    }

    /// The same reader, with batches of other sizes.
    #[must_use]
    pub fn with_limits(mut self, limits: BatchLimits) -> Self {
        self.limits = BatchLimits { bytes: limits.bytes.min(MAX_BATCH), ..limits };
        self
    }

    /// Bytes of the values of the batch that came last, as [`BatchLimits`] counts them.
    pub fn batch_bytes(&self) -> u64 {
        self.last_bytes
    }

    /// The columns of its batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Bytes of the file read so far.
    pub fn bytes_read(&self) -> u64 {
        self.stream.file_position()
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where the partition is damaged or truncated,
    /// or has not as many rows as its table says.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = 0;
        while !self.done && rows < self.limits.rows.max(1) {
            let more = self.row().at(|| format!("row {}", self.read + 1)).at(|| &self.place)?;
            if !more {
                self.done = true;
                break;
            }
            rows += 1;
            self.read += 1;
            if self.scratch.bytes() >= self.limits.bytes {
                break;
            }
        }
        self.last_bytes = self.scratch.bytes();
        self.scratch.clear();
        if rows == 0 {
            return Ok(None);
        }
        let last = self.read;
        let rows_read = || format!("rows {} to {last}", last - rows as u64 + 1);
        self.batch(rows).at(rows_read).at(|| &self.place).map(Some)
    }

    /// Passes over the next `rows` rows.
    ///
    /// # Errors
    ///
    /// As [`next_batch`](Self::next_batch).
    pub fn skip_rows(&mut self, rows: u64) -> Result<()> {
        for _ in 0..rows {
            let skipped = self.skip_row().at(|| format!("row {}", self.read + 1));
            if !skipped.at(|| &self.place)? {
                self.done = true;
                break;
            }
            self.read += 1;
        }
        self.scratch.clear();
        Ok(())
    }

    fn skip_row(&mut self) -> Result<bool> {
        let start = self.stream.position();
        let place = |error: Error| error.at(format!("byte {start} of the inflated part"));
        if !self.begins_row()? {
            return Ok(false);
        }
        self.scratch.begin(0)?;
        self.whole.read(&mut self.stream, &mut self.scratch).map_err(place)?;
        Ok(true)
    }

    /// Reads a row; `false` at the end of the partition.
    fn row(&mut self) -> Result<bool> {
        let start = self.stream.position();
        let place = |error: Error| error.at(format!("byte {start} of the inflated part"));
        if !self.begins_row()? {
            return Ok(false);
        }
        self.scratch.begin(self.width).map_err(place)?;
        let (columns, stream) = (&mut self.columns, &mut self.stream);
        self.layout.read(columns, stream, &mut self.scratch).map_err(place)?;
        Ok(true)
    }

    /// Reads the byte in front of a row; `false` at the end of the partition.
    fn begins_row(&mut self) -> Result<bool> {
        let start = self.stream.position();
        let place = |error: Error| error.at(format!("byte {start} of the inflated part"));
        match self.stream.byte().map_err(place)? {
            1 if self.read == self.expected => Err(self.miscounted("more")),
            1 => Ok(true),
            0 if self.read == self.expected => {
                self.stream.end()?;
                Ok(false)
            }
            0 => Err(self.miscounted(&self.read.to_string())),
            other => Err(place(
                Error::corrupt("neither a row nor the end of the partition")
                    .expected("1 or 0")
                    .found(other)
                    .help("the part is damaged: copy the table again"),
            )),
        }
    }

    fn miscounted(&self, found: &str) -> Error {
        Error::corrupt("the partition has another number of rows than its table says")
            .expected(format!("{} rows", self.expected))
            .found(found)
            .help("copy the table again")
    }

    fn batch(&mut self, rows: usize) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        let names = self.schema.clone();
        for column in &mut self.columns {
            let name = names.fields().get(arrays.len()).map_or("", |field| field.name().as_str());
            arrays.extend(column.finish().at(|| format!("field {name}"))?);
        }
        batch_of(self.schema.clone(), arrays, rows)
    }
}
