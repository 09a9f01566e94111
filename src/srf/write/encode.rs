//! The records of a batch become a message of an Arrow file.

use std::sync::Arc;

use arrow_schema::Schema;

use super::WriteOptions;
use super::order::{self, RowsToOrder};
use super::source::Section;
use crate::codec::Effort;
use crate::error::Result;
use crate::records::reads::{Frame, Framed, Style};
use crate::srf::batch::Batch;
use crate::srf::index::{Extremes, Sums};
use crate::srf::ipc::Message;
use crate::srf::manifest::{self, Layout, Order};
use crate::srf::plain::{self, Shape};
use crate::srf::quality::Quality;
use crate::srf::{compact, ids};

/// Bases below which a batch is small.
const SMALL: u64 = 128 << 10;

/// One batch, encoded, with what was counted of it.
pub(super) struct Encoded {
    pub(super) message: Message,
    /// Of the message.
    pub(super) sums: Sums,
    pub(super) fixed: [u32; 2],
    pub(super) starts_chunk: bool,
    pub(super) rows: usize,
    pub(super) digests: Vec<[u8; 8]>,
    pub(super) hashes: Vec<u64>,
    pub(super) rows_to_order: RowsToOrder,
    pub(super) extremes: Extremes,
    pub(super) bases: u64,
    pub(super) quality: u64,
    pub(super) text_bytes: u64,
    pub(super) kept_as_text: u64,
    /// Whether the last record of a file lacks its line end.
    pub(super) is_open: bool,
}

/// What encoding needs to know.
pub(super) struct Encoding<'a> {
    pub(super) styles: &'a [Style],
    pub(super) layout: Layout,
    pub(super) effort: Effort,
    pub(super) order: Order,
    pub(super) threads: usize,
    pub(super) batch_rows: usize,
    pub(super) chunk_rows: u64,
}

/// What the schema of a chunk says of it besides columns.
fn metadata(layout: Layout, styles: &[Style]) -> Vec<(String, String)> {
    let styles = serde_json::to_string(styles).unwrap_or_default();
    let layout = match layout {
        Layout::Plain => "plain",
        Layout::Compact => "compact",
    };
    vec![
        ("srf.version".to_owned(), manifest::VERSION.to_owned()),
        ("srf.layout".to_owned(), layout.to_owned()),
        ("srf.styles".to_owned(), styles),
    ]
}

/// The schema of a chunk.
pub(super) fn schema(layout: Layout, shape: Shape<'_>) -> Arc<Schema> {
    let metadata = metadata(layout, shape.styles);
    match layout {
        Layout::Plain => plain::schema(shape, &metadata),
        Layout::Compact => compact::schema(shape.styles, shape.has_numbers, &metadata),
    }
}

/// The text of a file's records, in one piece.
fn text_of<'a>(file: &'a Framed, gathered: &'a mut Vec<u8>) -> &'a [u8] {
    let place = |frame: &Frame| frame.start as usize..frame.end as usize;
    let (Some(first), Some(last)) = (file.frames.first(), file.frames.last()) else { return &[] };
    if file.stride == 1 {
        return &file.text[first.start as usize..last.end as usize];
    }
    gathered.clear();
    file.frames.iter().for_each(|frame| gathered.extend_from_slice(&file.text[place(frame)]));
    gathered
}

impl<'a> Encoding<'a> {
    pub(super) fn new(options: &WriteOptions, styles: &'a [Style]) -> Self {
        Self {
            styles,
            layout: options.layout,
            effort: options.effort,
            order: options.order,
            threads: options.threads,
            batch_rows: (options.batch_reads / styles.len().max(1)).max(1),
            chunk_rows: (options.chunk_reads / styles.len().max(1) as u64).max(1),
        }
    }

    /// A batch in the order of the input.
    pub(super) fn encode(&self, section: Section) -> Result<Encoded> {
        let Section { framed, fixed, starts_chunk } = section;
        let batch = Batch::parse(&framed, self.styles)?;
        let (mut digests, mut text_bytes, mut gathered) = (Vec::new(), 0, Vec::new());
        let mut is_open = false;
        for file in &framed {
            let text = text_of(file, &mut gathered);
            digests.push(Batch::digest(text));
            text_bytes += text.len() as u64;
            is_open |= text.last().is_some_and(|&last| last != b'\n');
        }
        // Texts may be large, and are not needed any more.
        drop((framed, gathered));
        let hashes = (0..batch.rows()).map(|row| ids::hash(batch.names.get(row))).collect();
        let encoded = self.encode_batch(batch, fixed, digests)?;
        Ok(Encoded { starts_chunk, hashes, text_bytes, is_open, ..encoded })
    }

    /// A batch whose text has these digests.
    pub(super) fn encode_batch(
        &self,
        mut batch: Batch,
        fixed: [u32; 2],
        digests: Vec<[u8; 8]>,
    ) -> Result<Encoded> {
        let rows = batch.rows();
        let (mut extremes, mut quality) = (Extremes::default(), 0);
        for mate in 0..batch.mates() {
            let mut scores = Vec::with_capacity(rows);
            for row in 0..rows {
                extremes.add_length(batch.length(row, mate) as u32);
                let found = Quality::of(batch.qualities(row, mate));
                if let Some((found, sum)) = found {
                    quality += sum;
                    extremes.add_quality(found.average, found.expected_errors);
                }
                scores.push(found.map(|(found, _)| found));
            }
            batch.mates[mate].scores = scores;
        }
        let bases = batch.mates.iter().map(|mate| mate.bases.bytes.len() as u64).sum();
        // Little text takes no time, and is small only if it is coded as well as it can be.
        let effort = match self.effort {
            Effort::Default if bases < SMALL => Effort::Archive,
            effort => effort,
        };
        let kept_as_text = batch.mates.iter().map(|mate| mate.exact.len() as u64).sum();
        let has_numbers = !batch.numbers.is_empty();
        let rows_to_order = match has_numbers {
            true => RowsToOrder::default(),
            false => order::rows_of(&batch, self.order),
        };
        let message = match self.layout {
            Layout::Plain => {
                plain::message(batch, Shape { styles: self.styles, fixed, has_numbers }, effort)?
            }
            Layout::Compact => compact::message(batch, effort)?,
        };
        Ok(Encoded {
            sums: Sums::of(&message, self.layout == Layout::Plain),
            message,
            fixed,
            starts_chunk: false,
            rows,
            digests,
            hashes: Vec::new(),
            rows_to_order,
            extremes,
            bases,
            quality,
            text_bytes: 0,
            kept_as_text,
            is_open: false,
        })
    }
}
