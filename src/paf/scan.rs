//! Fetching, decoding and filtering blocks, in file order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{self, series};
use super::chunk;
use super::directory::{BlockEntry, StreamEntry};
use super::index::ChunkRef;
use super::selection::Selection;
use crate::error::{Context, Error, Result};
use crate::pipeline::ordered_by_weight;
use crate::records::alignments::{Fields, Record, RecordBatch};
use crate::store::{Pending, RangeRequest, Store};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;
/// Groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Decoded bytes that may wait for the consumer.
const BYTES_IN_FLIGHT: usize = 192 << 20;

/// One block to read.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) chunk: Arc<ChunkRef>,
    pub(super) block: usize,
}

impl Task {
    pub(super) fn entry(&self) -> &BlockEntry {
        &self.chunk.blocks[self.block]
    }

    /// The byte ranges that `fields` needs, neighbours joined; with all fields, and only then, the
    /// order of the input can be asked for besides.
    fn ranges(&self, fields: &Fields, with_ordinals: bool) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for stream in &self.entry().streams {
            let is_wanted = block::is_needed(stream.series, fields)
                || (with_ordinals && stream.series == series::ORDINAL);
            if stream.len == 0 || !is_wanted {
                continue;
            }
            let end = stream.offset + u64::from(stream.len);
            match ranges.last_mut() {
                Some(last) if last.end == stream.offset => last.end = end,
                _ => ranges.push(stream.offset..end),
            }
        }
        ranges
    }

    /// Bytes that `fields` needs of the block.
    pub(super) fn wanted_bytes(&self, fields: &Fields) -> u64 {
        self.ranges(fields, false).iter().map(|range| range.end - range.start).sum()
    }
}

/// A block with the bytes that were fetched for it.
struct Fetched {
    task: Task,
    parts: Vec<(Range<u64>, Bytes)>,
}

impl Fetched {
    fn stream(&self, stream: &StreamEntry) -> Option<&[u8]> {
        if stream.len == 0 {
            return Some(&[]);
        }
        let (range, bytes) = self.parts.iter().find(|(range, _)| range.contains(&stream.offset))?;
        let start = usize::try_from(stream.offset - range.start).ok()?;
        bytes.get(start..start.checked_add(stream.len as usize)?)
    }
}

/// The first blocks of a scan, asked for ahead of it.
pub(super) struct Ahead {
    fields: Fields,
    group: Vec<Task>,
    bytes: Pending<Vec<Bytes>>,
}

impl Ahead {
    /// Asks for the first blocks of `tasks`.
    pub(super) fn start(store: &Store, tasks: &[Task], fields: &Fields) -> Self {
        let (group, bytes) = start_group(store, fields, false, &mut tasks.iter().cloned());
        Self { fields: fields.clone(), group, bytes }
    }
}

/// How blocks are read.
pub(super) struct Scan<'a> {
    pub(super) store: &'a Store,
    pub(super) fields: &'a Fields,
    pub(super) threads: usize,
    /// What was asked for already; of use if it was for the same fields.
    pub(super) ahead: Option<Ahead>,
}

impl Scan<'_> {
    /// Reads `tasks` in order, turns each decoded block into a result, and hands results on in order.
    pub(super) fn run<T: Send>(
        self,
        tasks: &[Task],
        work: impl Fn(&Task, RecordBatch) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let fields = self.fields;
        let decode = |fetched: &Fetched| {
            let batch = chunk::decode_block(fetched.task.entry(), fields, |s| fetched.stream(s))?;
            work(&fetched.task, batch)
        };
        self.fetch(false, tasks, decode, sink)
    }

    /// As [`run`](Self::run) for whole records, with their numbers in the input.
    pub(super) fn run_with_ordinals(
        self,
        tasks: &[Task],
        mut sink: impl FnMut(RecordBatch, Vec<u64>) -> Result<()>,
    ) -> Result<()> {
        let fields = self.fields;
        let decode = |fetched: &Fetched| {
            let entry = fetched.task.entry();
            let batch = chunk::decode_block(entry, fields, |s| fetched.stream(s))?;
            let ordinals = chunk::decode_ordinals(entry, |s| fetched.stream(s))?;
            ordinals
                .map(|ordinals| (batch, ordinals))
                .ok_or_else(|| Error::corrupt("a block does not say the order of its input"))
        };
        self.fetch(true, tasks, decode, |(batch, ordinals)| sink(batch, ordinals))
    }

    fn fetch<T: Send>(
        self,
        with_ordinals: bool,
        tasks: &[Task],
        decode: impl Fn(&Fetched) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let Self { store, fields, threads, ahead } = self;
        let ahead = ahead.filter(|ahead| ahead.fields == *fields && !with_ordinals);
        let is_ahead = ahead.as_ref().map_or(0, |ahead| ahead.group.len());
        let mut tasks = tasks.iter().skip(is_ahead).cloned().peekable();
        let mut coming: VecDeque<(Vec<Task>, Pending<Vec<Bytes>>)> =
            ahead.map(|ahead| (ahead.group, ahead.bytes)).into_iter().collect();
        let mut ready: VecDeque<Fetched> = VecDeque::new();
        let source = || {
            while ready.is_empty() {
                while coming.len() <= GROUPS_AHEAD && tasks.peek().is_some() {
                    coming.push_back(start_group(store, fields, with_ordinals, &mut tasks));
                }
                let Some((group, pending)) = coming.pop_front() else { return Ok(None) };
                ready.extend(split(group, fields, with_ordinals, pending.wait()?));
            }
            Ok(ready.pop_front())
        };
        ordered_by_weight(
            threads,
            BYTES_IN_FLIGHT,
            |fetched: &Fetched| fetched.task.entry().raw_bytes as usize,
            source,
            |fetched: Fetched| decode(&fetched).at(|| store.name(&fetched.task.chunk.path)),
            sink,
        )
    }
}

/// Asks for the next blocks together.
fn start_group(
    store: &Store,
    fields: &Fields,
    with_ordinals: bool,
    tasks: &mut impl Iterator<Item = Task>,
) -> (Vec<Task>, Pending<Vec<Bytes>>) {
    let (mut group, mut requests) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while bytes < GROUP_BYTES {
        let Some(task) = tasks.next() else { break };
        for range in task.ranges(fields, with_ordinals) {
            bytes += range.end - range.start;
            requests.push(RangeRequest::new(task.chunk.path.clone(), range));
        }
        group.push(task);
    }
    (group, store.start_get_ranges(&requests))
}

/// Hands what came for a group to its blocks.
fn split(
    group: Vec<Task>,
    fields: &Fields,
    with_ordinals: bool,
    bytes: Vec<Bytes>,
) -> Vec<Fetched> {
    let mut bytes = bytes.into_iter();
    group
        .into_iter()
        .map(|task| {
            let parts =
                task.ranges(fields, with_ordinals).into_iter().zip(bytes.by_ref()).collect();
            Fetched { task, parts }
        })
        .collect()
}

/// The records of a batch that were asked for, and that `keep` keeps.
pub(super) fn filter(
    batch: RecordBatch,
    selection: &Selection,
    keep: &(dyn Fn(&Record<'_>) -> Result<bool> + Sync),
) -> Result<RecordBatch> {
    let mut kept = Vec::with_capacity(batch.len());
    for (index, record) in batch.iter().enumerate() {
        if selection.accepts(&record) && keep(&record)? {
            kept.push(index);
        }
    }
    if kept.len() == batch.len() {
        return Ok(batch);
    }
    let mut filtered = RecordBatch::new();
    for index in kept {
        filtered.push_trusted(batch.bytes(index));
    }
    Ok(filtered)
}

/// Fails where a query would fetch more than its limit.
pub(super) fn check_budget(tasks: &[Task], fields: &Fields, max_bytes: Option<u64>) -> Result<()> {
    let Some(limit) = max_bytes else { return Ok(()) };
    let wanted: u64 = tasks.iter().map(|task| task.wanted_bytes(fields)).sum();
    if wanted <= limit {
        return Ok(());
    }
    Err(Error::usage("the query would fetch more than --max-bytes allows")
        .expected(format!("at most {limit} bytes"))
        .found(format!("{wanted} bytes in {} blocks", tasks.len()))
        .help("ask for a smaller region or fewer columns, or raise --max-bytes"))
}
