//! Batches on their way from the store, and decoded.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::Layout;
use super::plan::Plan;
use crate::error::{Context, Error, Result};
use crate::pipeline::ordered_by_weight;
use crate::srf::batch::{Batch, Fields};
use crate::srf::index::{BatchRef, Buffers, ChunkRef};
use crate::srf::manifest::{Details, Order};
use crate::srf::plain::Shape;
use crate::srf::{compact, ipc, plain};
use crate::store::{RangeRequest, Store};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;
/// Ranges that are asked for together.
const GROUP_RANGES: usize = 1024;
/// Groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Bytes of batches that may wait for the consumer.
const BYTES_IN_FLIGHT: usize = 64 << 20;

/// Bytes of a batch's message: all of them, or some of its buffers.
#[derive(Clone, Debug)]
struct Piece {
    /// Bytes of the chunk.
    range: Range<u64>,
    /// Numbers of the buffers; none for the whole message.
    buffers: Range<usize>,
}

/// One batch to read.
#[derive(Clone, Debug)]
pub(super) struct Task {
    chunk: Arc<ChunkRef>,
    columns: Option<Arc<Vec<Buffers>>>,
    batch: usize,
    /// The first row, in the view.
    first_row: u64,
    pieces: Vec<Piece>,
}

impl Task {
    /// Batch `batch` of a chunk: the buffers needed where their places are known, or all of it.
    pub(super) fn new(
        chunk: Arc<ChunkRef>,
        columns: Option<Arc<Vec<Buffers>>>,
        needed: Arc<Vec<usize>>,
        batch: usize,
        first_row: u64,
    ) -> Self {
        let entry = &chunk.batches[batch];
        let pieces = match columns.as_ref().and_then(|columns| columns.get(batch)) {
            Some(buffers) => pieces(entry, buffers, &needed),
            None => {
                let range = entry.offset..entry.offset + u64::from(entry.size);
                vec![Piece { range, buffers: 0..0 }]
            }
        };
        Self { chunk, columns, batch, first_row, pieces }
    }

    pub(super) fn entry(&self) -> &BatchRef {
        &self.chunk.batches[self.batch]
    }

    pub(super) fn chunk(&self) -> &str {
        &self.chunk.path
    }

    /// The columns of its chunk.
    pub(super) fn shape<'a>(&self, details: &'a Details, order: Order) -> Shape<'a> {
        let has_numbers = order != Order::None;
        Shape { styles: &details.styles, fixed: self.chunk.fixed, has_numbers }
    }

    pub(super) fn rows(&self) -> usize {
        self.entry().rows as usize
    }

    pub(super) fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Bytes that are fetched for it.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.range.end - piece.range.start).sum()
    }
}

/// The buffers needed of a batch, neighbours together.
fn pieces(entry: &BatchRef, buffers: &Buffers, needed: &[usize]) -> Vec<Piece> {
    let body = entry.offset + u64::from(entry.head);
    let places: Vec<Range<usize>> = ipc::places(buffers.iter().map(|(size, _)| *size)).collect();
    let mut pieces: Vec<Piece> = Vec::new();
    for &number in needed {
        let Some(place) = places.get(number).filter(|place| !place.is_empty()) else { continue };
        let range = body + place.start as u64..body + place.end as u64;
        match pieces.last_mut() {
            // Padding of up to seven bytes lies between neighbours, and empty buffers.
            Some(last) if range.start < last.range.end + 8 => {
                last.range.end = range.end;
                last.buffers.end = number + 1;
            }
            _ => pieces.push(Piece { range, buffers: number..number + 1 }),
        }
    }
    pieces
}

/// Fetches and decodes batches in order.
pub(super) fn fetch<T: Send>(
    store: &Store,
    details: &Details,
    plan: &Plan,
    threads: usize,
    work: impl Fn(&Task, Batch) -> Result<T> + Sync,
    sink: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut rest = plan.tasks.iter().peekable();
    let mut coming = VecDeque::new();
    let mut ready: VecDeque<(&Task, Vec<Bytes>)> = VecDeque::new();
    let source = || {
        while ready.is_empty() {
            while coming.len() <= GROUPS_AHEAD && rest.peek().is_some() {
                let (mut group, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < GROUP_BYTES && requests.len() < GROUP_RANGES {
                    let Some(task) = rest.next() else { break };
                    bytes += task.bytes();
                    let range =
                        |piece: &Piece| RangeRequest::new(task.chunk(), piece.range.clone());
                    requests.extend(task.pieces.iter().map(range));
                    group.push(task);
                }
                coming.push_back((group, store.start_get_ranges(&requests)));
            }
            let Some((group, pending)) = coming.pop_front() else { return Ok(None) };
            let mut bytes = pending.wait()?.into_iter();
            ready.extend(group.into_iter().map(|task| {
                let of_task = bytes.by_ref().take(task.pieces.len()).collect();
                (task, of_task)
            }));
        }
        Ok(ready.pop_front())
    };
    ordered_by_weight(
        threads,
        BYTES_IN_FLIGHT,
        |(_, bytes): &(&Task, Vec<Bytes>)| bytes.iter().map(Bytes::len).sum(),
        source,
        |(task, bytes)| {
            let place = || {
                let entry = task.entry();
                let end = entry.offset + u64::from(entry.size);
                format!("{}: bytes {}-{}", store.name(task.chunk()), entry.offset, end)
            };
            let batch = decode(details, plan.order, plan.fields, task, &bytes);
            drop(bytes);
            batch.and_then(|batch| work(task, batch)).at(place)
        },
        sink,
    )
}

fn check(bytes: &[u8], wanted: u32) -> Result<()> {
    let found = crc32c::crc32c(bytes);
    if found == wanted {
        return Ok(());
    }
    Err(Error::corrupt("a batch is not as it was written")
        .expected(format!("CRC-32C {wanted:08x}"))
        .found(format!("{found:08x}"))
        .help("restore the object from a copy, or convert the original again"))
}

fn decode(
    details: &Details,
    order: Order,
    fields: Fields,
    task: &Task,
    pieces: &[Bytes],
) -> Result<Batch> {
    let entry = task.entry();
    let shape = task.shape(details, order);
    let buffers = match &task.columns {
        Some(columns) => {
            let buffers = columns.get(task.batch).map(Vec::as_slice).unwrap_or_default();
            partial(task, buffers, pieces)?
        }
        None => {
            let bytes = pieces.first().map(Bytes::as_ref).unwrap_or_default();
            check(bytes, entry.crc)?;
            ipc::buffers(bytes, entry.head)?
        }
    };
    match details.layout {
        Layout::Plain => plain::batch(&buffers, task.rows(), shape, fields),
        Layout::Compact => compact::batch(&buffers, shape, task.rows()),
    }
}

/// The buffers that were fetched, checked; the others are empty.
fn partial<'a>(task: &Task, buffers: &[(u32, u32)], pieces: &'a [Bytes]) -> Result<Vec<&'a [u8]>> {
    let cut = || Error::corrupt("buffers of a batch are not where the index says");
    let places: Vec<Range<usize>> = ipc::places(buffers.iter().map(|(size, _)| *size)).collect();
    let mut found: Vec<&[u8]> = vec![&[]; buffers.len()];
    for (piece, bytes) in task.pieces.iter().zip(pieces) {
        let base = places.get(piece.buffers.start).ok_or_else(cut)?.start;
        for number in piece.buffers.clone() {
            let (place, (_, crc)) = places.get(number).zip(buffers.get(number)).ok_or_else(cut)?;
            if place.is_empty() {
                continue;
            }
            let buffer = bytes.get(place.start - base..place.end - base).ok_or_else(cut)?;
            check(buffer, *crc)?;
            found[number] = buffer;
        }
    }
    Ok(found)
}
