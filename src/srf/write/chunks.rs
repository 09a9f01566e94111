//! Encoded batches become chunks, and the indexes that say where they are.

use arrow_array::RecordBatch;
use arrow_ipc::writer::IpcWriteOptions;

use super::base::Kept;
use super::encode::{Encoded, schema};
use super::{Outlet, Written};
use crate::columnar::ArrowFile;
use crate::dataset::{ChunkEntry, Counts};
use crate::error::Result;
use crate::records::reads::Style;
use crate::srf::index::{self, BatchRef, Buffers, ChunkRef, Extremes};
use crate::srf::manifest::{self, Layout, Order, View};
use crate::srf::plain::Shape;

/// Bytes from which on a chunk ends.
const MAX_CHUNK: usize = 256 << 20;

/// A chunk being gathered.
struct OpenChunk {
    file: ArrowFile,
    fixed: [u32; 2],
    first_row: u64,
    batches: Vec<BatchRef>,
    columns: Vec<Buffers>,
}

/// The chunks of one view.
pub(super) struct Chunks {
    order: Order,
    layout: Layout,
    styles: Vec<Style>,
    open: Option<OpenChunk>,
    rows: u64,
    entries: Vec<ChunkEntry>,
    /// The index of batches, and that of columns.
    batches: Vec<u8>,
    columns: Vec<u8>,
    extremes: Vec<Extremes>,
    view: View,
    /// Chunks that were written, and their bytes; the others were there.
    pub(super) written: (u64, u64),
}

impl Chunks {
    pub(super) fn new(order: Order, layout: Layout, styles: &[Style]) -> Self {
        Self {
            order,
            layout,
            styles: styles.to_vec(),
            open: None,
            rows: 0,
            entries: Vec::new(),
            batches: Vec::new(),
            columns: Vec::new(),
            extremes: Vec::new(),
            view: View::default(),
            written: (0, 0),
        }
    }

    /// Batches so far.
    pub(super) fn batches(&self) -> u64 {
        self.view.batch_count
    }

    /// Chunks so far, the open one included.
    pub(super) fn count(&self) -> u64 {
        self.view.chunk_count + u64::from(self.open.is_some())
    }

    /// Takes a chunk of the base over as it is.
    pub(super) fn keep(&mut self, kept: &Kept, outlet: &mut Outlet<'_>) -> Result<()> {
        self.close(outlet)?;
        self.view.batches.push(kept.page);
        self.batches.extend_from_slice(&kept.batches);
        if let Some((page, bytes)) = &kept.columns {
            self.view.columns.push(*page);
            self.columns.extend_from_slice(bytes);
        }
        self.extremes.extend_from_slice(&kept.extremes);
        self.rows += kept.page.rows;
        self.view.batch_count += u64::from(kept.page.batches);
        self.view.chunk_count += 1;
        self.view.chunk_bytes += kept.entry.size_bytes;
        self.entries.push(kept.entry.clone());
        Ok(())
    }

    pub(super) fn push(&mut self, encoded: Encoded, outlet: &mut Outlet<'_>) -> Result<()> {
        let is_full = self.open.as_ref().is_some_and(|open| open.file.len() >= MAX_CHUNK);
        if encoded.starts_chunk || is_full {
            self.close(outlet)?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let shape = Shape {
                    styles: &self.styles,
                    fixed: encoded.fixed,
                    has_numbers: self.order != Order::None,
                };
                let empty = RecordBatch::new_empty(schema(self.layout, shape));
                OpenChunk {
                    file: ArrowFile::new(&empty, &IpcWriteOptions::default())?,
                    fixed: encoded.fixed,
                    first_row: self.rows,
                    batches: Vec::new(),
                    columns: Vec::new(),
                }
            }
        };
        let message = &encoded.message;
        let offset = open.file.push(&message.bytes, message.head);
        open.batches.push(BatchRef {
            offset,
            size: message.bytes.len() as u32,
            head: message.head,
            rows: encoded.rows as u32,
            crc: encoded.sums.message,
            digests: encoded.digests,
        });
        open.columns.push(encoded.sums.buffers);
        self.open = Some(open);
        self.extremes.push(encoded.extremes);
        self.rows += encoded.rows as u64;
        self.view.batch_count += 1;
        Ok(())
    }

    fn close(&mut self, outlet: &mut Outlet<'_>) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mates = self.styles.len() as u64;
        let (first, end) = (open.first_row * mates, self.rows * mates);
        let stem = format!("{first:010}-{:010}", end.saturating_sub(1));
        let path = outlet.transaction.path(self.order.folder(), &stem, "srf")?;
        let bytes = open.file.finish();
        // Reads of a second view are the same ones again.
        let count = if self.order == Order::None { manifest::READS } else { manifest::AGAIN };
        let counts = Counts::from([(count.to_owned(), end - first)]);
        self.entries.push(ChunkEntry::new(&path, &bytes, counts));
        let chunk = ChunkRef { path, fixed: open.fixed, batches: open.batches };
        self.view.batches.push(chunk.push(&mut self.batches));
        if self.layout == Layout::Plain {
            self.view.columns.push(index::push_columns(&open.columns, &mut self.columns));
        }
        self.view.chunk_count += 1;
        self.view.chunk_bytes += bytes.len() as u64;
        self.written.0 += 1;
        self.written.1 += bytes.len() as u64;
        outlet.put(&chunk.path, bytes)
    }

    /// Writes the last chunk and the indexes.
    pub(super) fn finish(mut self, outlet: &mut Outlet<'_>) -> Result<Written> {
        self.close(outlet)?;
        let (quality, length) = index::extremes(&self.extremes);
        let mut indexes = vec![
            (manifest::BATCHES_KIND, self.batches),
            (manifest::QUALITY_KIND, quality),
            (manifest::LENGTH_KIND, length),
        ];
        if self.layout == Layout::Plain {
            indexes.push((manifest::COLUMNS_KIND, self.columns));
        }
        let mut objects = Vec::new();
        for (kind, bytes) in indexes {
            objects.push(outlet.put_index(&manifest::kind_of(kind, self.order), bytes)?);
        }
        let lengths = self.extremes.iter().map(|batch| batch.length);
        let length = lengths
            .fold((u32::MAX, 0), |(min, max), (least, most)| (min.min(least), max.max(most)));
        let Self { view, entries, written, .. } = self;
        Ok(Written { view, entries, objects, length, written })
    }
}
