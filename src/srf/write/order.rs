//! A second view: the same rows, sorted by quality or by length.

use super::WriteOptions;
use super::encode::{Encoded, Encoding};
use super::source::BATCH_TEXT;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::pipeline::{SortOptions, Sorted, Sorter, ordered_by_weight};
use crate::records::reads::Style;
use crate::srf::batch::{Batch, Mate};
use crate::srf::manifest::Order;

/// Memory for rows until they go to temporary files.
const SORT_MEMORY: usize = 256 << 20;
/// Bytes of rows between the sort and the encoders.
const ROWS_IN_FLIGHT: usize = 32 << 20;

/// Rows of a batch as records for a sort.
#[derive(Debug, Default)]
pub(super) struct RowsToOrder {
    keys: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// What a row is sorted by: that of all reads of the row together. Rows without qualities come
/// first.
fn key(batch: &Batch, row: usize, order: Order) -> u64 {
    let mates = 0..batch.mates();
    match order {
        Order::None => 0,
        Order::Length => mates.map(|mate| batch.length(row, mate) as u64).sum(),
        Order::Quality => {
            let qualities = mates.filter_map(|mate| batch.quality(row, mate));
            let averages = qualities.map(|quality| 1 + (quality.average * 64.0) as u64);
            averages.sum()
        }
    }
}

/// The rows of a batch, in no order yet.
pub(super) fn rows_of(batch: &Batch, order: Order) -> RowsToOrder {
    let mut rows = RowsToOrder::default();
    if order == Order::None {
        return rows;
    }
    for row in 0..batch.rows() {
        rows.keys.push(key(batch, row, order));
        push_row(batch, row, &mut rows.bytes);
        rows.ends.push(rows.bytes.len());
    }
    rows
}

fn push_text(text: &[u8], out: &mut Vec<u8>) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// A text that may be missing: its length and one, or zero.
fn push_option(text: Option<&[u8]>, out: &mut Vec<u8>) {
    varint::put(out, text.map_or(0, |text| text.len() as u64 + 1));
    out.extend_from_slice(text.unwrap_or_default());
}

fn push_row(batch: &Batch, row: usize, out: &mut Vec<u8>) {
    let at = |sparse: &[(u32, Vec<u8>)]| {
        sparse.binary_search_by_key(&(row as u32), |(row, _)| *row).ok()
    };
    push_text(batch.names.get(row), out);
    let description = batch.has_description[row].then(|| batch.descriptions.get(row));
    push_option(description, out);
    let second =
        at(&batch.second_descriptions).map(|at| batch.second_descriptions[at].1.as_slice());
    push_option(second, out);
    for (number, mate) in batch.mates.iter().enumerate() {
        push_text(mate.bases.get(row), out);
        out.extend_from_slice(batch.qualities(row, number));
        push_option(at(&mate.exact).map(|at| mate.exact[at].1.as_slice()), out);
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (text, rest) = bytes
        .split_at_checked(length)
        .ok_or_else(|| Error::internal("a sorted row is shorter than it says"))?;
    *bytes = rest;
    Ok(text)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let most = bytes.len();
    let length = varint::take_len(bytes, most)?;
    take(bytes, length)
}

fn take_option<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>> {
    let most = bytes.len();
    match varint::take_len(bytes, most)? {
        0 => Ok(None),
        length => take(bytes, length - 1).map(Some),
    }
}

/// Adds a row to a batch.
fn add_row(batch: &mut Batch, number: u64, mut bytes: &[u8]) -> Result<()> {
    let row = batch.rows as u32;
    let from = &mut bytes;
    batch.rows += 1;
    batch.numbers.push(number);
    batch.names.push(take_text(from)?);
    let description = take_option(from)?;
    batch.has_description.push(description.is_some());
    batch.descriptions.push(description.unwrap_or_default());
    if let Some(second) = take_option(from)? {
        batch.second_descriptions.push((row, second.to_vec()));
    }
    for (mate, style) in batch.mates.iter_mut().zip(&batch.styles) {
        let bases = take_text(from)?;
        mate.bases.push(bases);
        if !style.fasta {
            mate.qualities.extend_from_slice(take(from, bases.len())?);
        }
        if let Some(exact) = take_option(from)? {
            mate.exact.push((row, exact.to_vec()));
        }
    }
    Ok(())
}

/// Gathers rows, and gives them back in order.
pub(super) struct Rows {
    sorter: Sorter,
    next: u64,
    styles: Vec<Style>,
    record: Vec<u8>,
}

impl Rows {
    /// `None` where there is no order.
    pub(super) fn new(options: &WriteOptions, styles: &[Style]) -> Result<Option<Self>> {
        if options.order == Order::None {
            return Ok(None);
        }
        if options.order == Order::Quality && styles.iter().any(|style| style.fasta) {
            return Err(Error::usage("FASTA has no qualities to order reads by")
                .help("leave --order out, or order by length"));
        }
        let threads = options.threads;
        let sort = SortOptions { memory: SORT_MEMORY, threads, ..SortOptions::default() };
        let (sorter, styles) = (Sorter::new(sort), styles.to_vec());
        Ok(Some(Self { sorter, next: 0, styles, record: Vec::new() }))
    }

    /// Adds the rows of the next batch.
    pub(super) fn push(&mut self, rows: &RowsToOrder) -> Result<()> {
        let mut start = 0;
        for (&key, &end) in rows.keys.iter().zip(&rows.ends) {
            self.record.clear();
            self.record.extend_from_slice(&self.next.to_le_bytes());
            self.record.extend_from_slice(&rows.bytes[start..end]);
            self.sorter.push(key, &self.record)?;
            self.next += 1;
            start = end;
        }
        Ok(())
    }

    /// Encodes the rows in order, batch by batch.
    pub(super) fn write(
        self,
        encoding: &Encoding<'_>,
        fixed: [u32; 2],
        sink: impl FnMut(Encoded) -> Result<()>,
    ) -> Result<()> {
        let mut sorted = self.sorter.finish()?;
        let mut room = 0;
        ordered_by_weight(
            encoding.threads,
            ROWS_IN_FLIGHT,
            |(batch, _): &(Batch, bool)| batch.mates.iter().map(|m| 2 * m.bases.bytes.len()).sum(),
            || next_batch(&mut sorted, &self.styles, encoding, &mut room),
            |(batch, starts_chunk)| {
                let mut digests = Vec::new();
                let mut text = Vec::new();
                for mate in 0..batch.mates() {
                    text.clear();
                    batch.push_file(mate, &mut text);
                    digests.push(Batch::digest(&text));
                }
                let encoded = encoding.encode_batch(batch, fixed, digests)?;
                Ok(Encoded { starts_chunk, ..encoded })
            },
            sink,
        )
    }
}

/// The next batch in order, and whether it begins a chunk.
fn next_batch(
    sorted: &mut Sorted,
    styles: &[Style],
    encoding: &Encoding<'_>,
    room: &mut u64,
) -> Result<Option<(Batch, bool)>> {
    let starts_chunk = *room == 0;
    if starts_chunk {
        *room = encoding.chunk_rows;
    }
    let most = encoding.batch_rows.min(usize::try_from(*room).unwrap_or(usize::MAX));
    let mates = vec![Mate::default(); styles.len()];
    let mut batch = Batch { styles: styles.to_vec(), mates, ..Batch::default() };
    let mut bytes = 0;
    while batch.rows < most && bytes < BATCH_TEXT {
        let Some((_, record)) = sorted.next()? else { break };
        bytes += record.len();
        let (number, row) = record
            .split_first_chunk::<8>()
            .ok_or_else(|| Error::internal("a sorted row has no number"))?;
        add_row(&mut batch, u64::from_le_bytes(*number), row)?;
    }
    *room -= batch.rows as u64;
    Ok((batch.rows > 0).then_some((batch, starts_chunk)))
}
