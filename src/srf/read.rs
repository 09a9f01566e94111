//! Asking a dataset: open, plan, fetch, decode, filter, emit.
//!
//! A cold query by number costs three dependent round trips: the manifest; the pages of the index
//! of batches that cover the numbers, with a look for a newer version beside them; the batches. One
//! by name takes the page of the name's hash along in the second.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::Schema;
use bytes::Bytes;

use super::batch::{Batch, Quality, stem};
use super::index::{self, BatchRef, ChunkRef, Extremes};
use super::manifest::{self, Details, Layout, Page};
use super::{compact, file, ids, plain, write};
use crate::dataset::{At, Dataset, ObjectRef};
use crate::error::{Context, Error, Result};
use crate::pipeline::ordered_by_weight;
use crate::store::{Meter, RangeRequest, Store};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;
/// Groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Bytes of batches that may wait for the consumer.
const BYTES_IN_FLIGHT: usize = 64 << 20;

/// Which reads, by number or name.
#[derive(Clone, Debug, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those of these numbers, from 0; pairs are reads 2k and 2k+1.
    Numbers(Vec<Range<u64>>),
    /// Those of these names; `/1` or `/2` asks for one of a pair.
    Names(Vec<String>),
}

/// What reads must be like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter {
    /// Least average quality.
    pub min_quality: Option<f32>,
    /// Least number of bases.
    pub min_length: Option<u32>,
    /// Greatest number of bases.
    pub max_length: Option<u32>,
    /// Greatest number of expected errors.
    pub max_errors: Option<f32>,
    /// This part of the reads, chosen by a hash of the name and the seed; mates stay together.
    pub sample: Option<(f64, u64)>,
}

impl Filter {
    fn may_be_in(&self, batch: &Extremes) -> bool {
        self.min_quality.is_none_or(|least| batch.average.1 >= least)
            && self.max_errors.is_none_or(|most| batch.errors.0 <= most)
            && self.min_length.is_none_or(|least| batch.length.1 >= least)
            && self.max_length.is_none_or(|most| batch.length.0 <= most)
    }

    fn by_quality(&self) -> bool {
        self.min_quality.is_some() || self.max_errors.is_some()
    }

    fn by_length(&self) -> bool {
        self.min_length.is_some() || self.max_length.is_some()
    }

    fn keeps(&self, batch: &Batch, row: usize, mate: usize) -> bool {
        let length = batch.length(row, mate) as u64;
        if self.min_length.is_some_and(|least| length < u64::from(least))
            || self.max_length.is_some_and(|most| length > u64::from(most))
        {
            return false;
        }
        if let Some((fraction, seed)) = self.sample {
            let hash = ids::hash(&[stem(batch.names.get(row)), &seed.to_le_bytes()[..]].concat());
            if f64::from(hash) >= fraction * 4_294_967_296.0 {
                return false;
            }
        }
        if !self.by_quality() {
            return true;
        }
        Quality::of(batch.qualities(row, mate)).is_some_and(|quality| {
            self.min_quality.is_none_or(|least| quality.average >= least)
                && self.max_errors.is_none_or(|most| quality.expected_errors <= most)
        })
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryStats {
    /// Reads handed on.
    pub reads: u64,
    /// Reads decoded to find them.
    pub reads_decoded: u64,
    /// Batches fetched.
    pub batches: u64,
    /// Batches of the numbers or names asked for that an index ruled out.
    pub batches_skipped: u64,
    /// Batches of the dataset.
    pub batches_total: u64,
    /// Chunks touched.
    pub chunks: u64,
    /// Chunks of the dataset.
    pub chunks_total: u64,
    /// Requests sent, from opening the dataset on.
    pub requests: u64,
    /// The longest chain of requests that waited for one another.
    pub round_trips: u64,
    /// Bytes received, from opening the dataset on.
    pub bytes_fetched: u64,
    /// Bytes of the batches that were decoded.
    pub bytes_used: u64,
    /// Bytes of all chunks.
    pub bytes_total: u64,
}

/// One batch to read.
#[derive(Clone, Debug)]
pub(super) struct Task {
    chunk: Arc<ChunkRef>,
    batch: usize,
    /// The first row, in the dataset.
    first_row: u64,
}

impl Task {
    fn entry(&self) -> &BatchRef {
        &self.chunk.batches[self.batch]
    }

    fn range(&self) -> Range<u64> {
        let entry = self.entry();
        entry.offset..entry.offset + u64::from(entry.size)
    }
}

/// A batch with the reads asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The reads of the batch.
    pub batch: Batch,
    /// The number of its first read.
    pub first_read: u64,
    /// Row and mate of those asked for, in order.
    pub reads: Vec<(u32, u8)>,
}

/// A dataset opened for reading some of it.
pub struct Reader {
    store: Store,
    opened_at: Meter,
    dataset: Dataset,
    details: Details,
    selection: Selection,
    filter: Filter,
    tasks: Vec<Task>,
    skipped: u64,
}

impl Reader {
    /// Opens the dataset at `store` and plans which batches a query fetches.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is none of reads,
    /// [`Usage`](crate::error::ErrorKind::Usage) for numbers behind the last read.
    pub fn open(store: &Store, at: At, selection: Selection, filter: Filter) -> Result<Self> {
        let opened_at = store.meter();
        let (dataset, (details, tasks, skipped)) = Dataset::open_and(store, at, |dataset| {
            let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
            let objects = &dataset.manifest().objects;
            let (tasks, skipped) = plan(store, &details, objects, &selection, &filter)?;
            Ok((details, tasks, skipped))
        })?;
        let store = store.clone();
        Ok(Self { store, opened_at, dataset, details, selection, filter, tasks, skipped })
    }

    /// The version that is read.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the manifest says of it.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// Turns each batch with reads asked for into something, on several threads, and hands the
    /// results on in order.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`;
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) and
    /// [`Store`](crate::error::ErrorKind::Store) naming object and range; what `work` and `sink`
    /// return.
    pub fn scan<T: Send>(
        &self,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(Found) -> Result<T> + Sync,
        mut sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let wanted: u64 = self.tasks.iter().map(|task| u64::from(task.entry().size)).sum();
        if let Some(limit) = max_bytes.filter(|&limit| wanted > limit) {
            return Err(Error::usage("the query would fetch more than --max-bytes allows")
                .expected(format!("at most {limit} bytes"))
                .found(format!("{wanted} bytes in {} batches", self.tasks.len()))
                .help("ask for fewer reads, or raise --max-bytes"));
        }
        let mates = u64::from(self.details.reads_per_row);
        let chunks: HashSet<&str> =
            self.tasks.iter().map(|task| task.chunk.path.as_str()).collect();
        let rows: u64 = self.tasks.iter().map(|task| u64::from(task.entry().rows)).sum();
        let mut stats = QueryStats {
            reads_decoded: rows * mates,
            batches: self.tasks.len() as u64,
            batches_skipped: self.skipped,
            batches_total: self.details.batch_count,
            chunks: chunks.len() as u64,
            chunks_total: self.details.chunk_count,
            bytes_used: wanted,
            bytes_total: self.details.chunk_bytes,
            ..QueryStats::default()
        };
        let names: HashSet<&[u8]> = match &self.selection {
            Selection::Names(names) => names.iter().map(String::as_bytes).collect(),
            _ => HashSet::new(),
        };
        fetch(
            &self.store,
            &self.details,
            &self.tasks,
            threads,
            |task, batch| {
                let found = self.choose(task, batch, &names);
                let count = found.reads.len() as u64;
                Ok((count, work(found)?))
            },
            |(count, result)| {
                stats.reads += count;
                sink(result)
            },
        )?;
        let meter = self.store.meter().since(&self.opened_at);
        Ok(QueryStats {
            requests: meter.requests,
            round_trips: meter.round_trips,
            bytes_fetched: meter.bytes,
            ..stats
        })
    }

    fn choose(&self, task: &Task, batch: Batch, names: &HashSet<&[u8]>) -> Found {
        let mates = batch.mates() as u64;
        let first_read = task.first_row * mates;
        let mut reads = Vec::new();
        let mut scratch = [Vec::new(), Vec::new()];
        for row in 0..batch.rows() {
            for mate in 0..batch.mates() {
                let number = first_read + row as u64 * mates + mate as u64;
                let is_chosen = match &self.selection {
                    Selection::All => true,
                    Selection::Numbers(ranges) => {
                        ranges.iter().any(|range| range.contains(&number))
                    }
                    Selection::Names(_) => {
                        let of_row = batch.names.get(row);
                        // Both of a pair go by the name without /1 and /2.
                        names.contains(stem(of_row)) || names.contains(of_row) && mate == 0 || {
                            mate > 0 && names.contains(batch.parts(row, mate, &mut scratch).name)
                        }
                    }
                };
                if is_chosen && self.filter.keeps(&batch, row, mate) {
                    reads.push((row as u32, mate as u8));
                }
            }
        }
        Found { batch, first_read, reads }
    }

    /// Hands on the text of each file's reads as it was, or of both by turns, batch by batch and
    /// checked against the digests taken at conversion; with how many reads it is. BGZF text lacks
    /// the block [`BGZF_END`].
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan), and [`Corrupt`](crate::error::ErrorKind::Corrupt) where the text is
    /// another.
    pub fn export(
        &self,
        threads: usize,
        by_turns: bool,
        as_bgzf: bool,
        mut sink: impl FnMut(&[Vec<u8>], u64) -> Result<()>,
    ) -> Result<()> {
        let last_row = self.details.total_reads / u64::from(self.details.reads_per_row);
        fetch(
            &self.store,
            &self.details,
            &self.tasks,
            threads,
            |task, batch| {
                let mut texts = texts(task.entry(), &batch)?;
                let reads = (batch.rows() * batch.mates()) as u64;
                if by_turns {
                    texts = vec![woven(&batch, task.first_row + batch.rows() as u64 == last_row)];
                }
                if as_bgzf {
                    texts = texts.iter().map(|text| bgzf(text)).collect::<Result<_>>()?;
                }
                Ok((texts, reads))
            },
            |(texts, reads)| sink(&texts, reads),
        )
    }
}

/// Both reads of each row by turns.
fn woven(batch: &Batch, is_last: bool) -> Vec<u8> {
    let (mut text, mut scratch) = (Vec::new(), [Vec::new(), Vec::new()]);
    for row in 0..batch.rows() {
        for mate in 0..batch.mates() {
            batch.push_text(row, mate, &mut scratch, &mut text);
            // The last record of the first file may lack the line end that the next needs.
            let is_end = is_last && row + 1 == batch.rows() && mate + 1 == batch.mates();
            if !is_end && text.last() != Some(&b'\n') {
                text.push(b'\n');
            }
        }
    }
    text
}

/// The block that ends a BGZF file.
pub const BGZF_END: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

/// Text as BGZF blocks, without the one that ends a file.
fn bgzf(text: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
    let failed = |error: std::io::Error| Error::internal("compressing").caused_by(error);
    writer.write_all(text).map_err(failed)?;
    let mut blocks = writer.finish().map_err(failed)?;
    if blocks.ends_with(&BGZF_END) {
        blocks.truncate(blocks.len() - BGZF_END.len());
    }
    Ok(blocks)
}

/// The text of each file's reads, checked.
fn texts(entry: &BatchRef, batch: &Batch) -> Result<Vec<Vec<u8>>> {
    let mut texts = Vec::with_capacity(batch.mates());
    for (mate, digest) in entry.digests.iter().enumerate() {
        let mut text = Vec::new();
        batch.push_file(mate, &mut text);
        if Batch::digest(&text) != *digest {
            return Err(Error::corrupt("a batch does not give back the reads that were converted")
                .help("restore the dataset from a copy, or convert the original again"));
        }
        texts.push(text);
    }
    Ok(texts)
}

/// Reads everything, and compares it with its digests; how many reads there are.
pub(super) fn check_all(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    threads: usize,
) -> Result<(u64, Vec<String>)> {
    let (tasks, _) = plan(store, details, objects, &Selection::All, &Filter::default())?;
    let mut rows = 0;
    fetch(
        store,
        details,
        &tasks,
        threads,
        |task, batch| texts(task.entry(), &batch).map(|_| batch.rows() as u64),
        |count| {
            rows += count;
            Ok(())
        },
    )?;
    let mut paths: Vec<String> = tasks.iter().map(|task| task.chunk.path.clone()).collect();
    paths.dedup();
    Ok((rows * u64::from(details.reads_per_row), paths))
}

fn object<'a>(objects: &'a [ObjectRef], kind: &str) -> Result<&'a ObjectRef> {
    objects
        .iter()
        .find(|object| object.kind == kind)
        .ok_or_else(|| Error::corrupt(format!("the manifest lists no object of kind {kind:?}")))
}

/// Where each page lies in its object.
fn ranges(pages: &[Page]) -> Vec<Range<u64>> {
    let mut end = 0;
    pages
        .iter()
        .map(|page| {
            let start = end;
            end += u64::from(page.size);
            start..end
        })
        .collect()
}

fn checked(bytes: Bytes, page: &Page) -> Result<Bytes> {
    if crc32c::crc32c(&bytes) == page.crc {
        return Ok(bytes);
    }
    Err(Error::corrupt("a page of an index is not as it was written")
        .expected(format!("CRC-32C {:08x}", page.crc))
        .found(format!("{:08x}", crc32c::crc32c(&bytes)))
        .help("restore the object from a copy, or convert the original again"))
}

/// Which batches to fetch; and how many an index ruled out.
fn plan(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    selection: &Selection,
    filter: &Filter,
) -> Result<(Vec<Task>, u64)> {
    let mates = u64::from(details.reads_per_row);
    let rows: Option<Vec<Range<u64>>> = match selection {
        Selection::Numbers(ranges) => {
            for range in ranges {
                if range.start >= details.total_reads {
                    return Err(Error::usage("these reads are behind the last one")
                        .expected(format!("numbers below {}", details.total_reads))
                        .found(format!("{}-{}", range.start, range.end.saturating_sub(1))));
                }
            }
            Some(ranges.iter().map(|r| r.start / mates..r.end.div_ceil(mates)).collect())
        }
        _ => None,
    };
    let is_wanted = |first: u64, count: u64| {
        rows.as_ref().is_none_or(|rows| {
            rows.iter().any(|range| range.start < first + count && first < range.end)
        })
    };
    // Pages of the index of batches; all of them for names, whose batches are not known yet.
    let batches = object(objects, manifest::BATCHES_KIND)?;
    let (mut first_row, mut first_batch) = (0, 0_u64);
    let mut wanted = Vec::new();
    for (page, range) in details.batches.iter().zip(ranges(&details.batches)) {
        if is_wanted(first_row, page.rows) {
            wanted.push((*page, range, first_row, first_batch));
        }
        first_row += page.rows;
        first_batch += u64::from(page.batches);
    }
    let pages: Vec<RangeRequest> = wanted
        .iter()
        .map(|(_, range, ..)| RangeRequest::new(&batches.path, range.clone()))
        .collect();
    let pages = store.start_get_ranges(&pages);
    let named = match selection {
        Selection::Names(names) => {
            let ids = object(objects, manifest::IDS_KIND)?;
            let places = ranges(&details.read_ids);
            let mut of_names: Vec<(u32, usize)> = Vec::new();
            for name in names {
                let hash = ids::hash(name.as_bytes());
                of_names.push((hash, ids::page_of(hash, places.len())));
            }
            let mut needed: Vec<usize> = of_names.iter().map(|&(_, page)| page).collect();
            needed.sort_unstable();
            needed.dedup();
            let get = |&page: &usize| {
                places.get(page).map(|range| RangeRequest::new(&ids.path, range.clone()))
            };
            let requests: Option<Vec<RangeRequest>> = needed.iter().map(get).collect();
            let requests =
                requests.ok_or_else(|| Error::corrupt("the index by name has no pages"))?;
            Some((of_names, needed, store.start_get_ranges(&requests), ids))
        }
        _ => None,
    };
    let extremes = start_extremes(store, objects, filter)?;
    let mut tasks = Vec::new();
    let mut numbers = Vec::new();
    for ((page, _, mut row, first), bytes) in wanted.into_iter().zip(pages.wait()?) {
        let place = || store.name(&batches.path);
        let bytes = checked(bytes, &page).at(place)?;
        let chunk = Arc::new(ChunkRef::parse(&bytes, mates as usize).at(place)?);
        crate::store::validate_key(&chunk.path)?;
        for (number, entry) in chunk.batches.iter().enumerate() {
            if is_wanted(row, entry.rows.into()) {
                tasks.push(Task { chunk: chunk.clone(), batch: number, first_row: row });
                numbers.push(first + number as u64);
            }
            row += u64::from(entry.rows);
        }
    }
    if let Some((of_names, needed, pages, ids)) = named {
        let mut found = Vec::new();
        let fetched = pages.wait()?;
        for (&page, bytes) in needed.iter().zip(fetched) {
            let bytes = checked(bytes, &details.read_ids[page]).at(|| store.name(&ids.path))?;
            for (hash, _) in of_names.iter().filter(|(_, of)| *of == page) {
                ids::find(&bytes, *hash, &mut found).at(|| store.name(&ids.path))?;
            }
        }
        let found: HashSet<u64> = found.into_iter().map(u64::from).collect();
        let mut of_task = numbers.iter();
        tasks.retain(|_| of_task.next().is_some_and(|number| found.contains(number)));
        numbers.retain(|number| found.contains(number));
    }
    let before = tasks.len();
    if let Some(extremes) = extremes.wait(details)? {
        let mut of_task = numbers.iter();
        let keep = |number: &u64| {
            usize::try_from(*number)
                .ok()
                .and_then(|at| extremes.get(at))
                .is_some_and(|e| filter.may_be_in(e))
        };
        tasks.retain(|_| of_task.next().is_some_and(keep));
    }
    let skipped = before - tasks.len();
    Ok((tasks, skipped as u64))
}

/// Index objects on their way.
struct ComingExtremes {
    objects: Vec<(ObjectRef, crate::store::Pending<Vec<Bytes>>)>,
    name: Store,
}

fn start_extremes(store: &Store, objects: &[ObjectRef], filter: &Filter) -> Result<ComingExtremes> {
    let mut coming = Vec::new();
    for (is_needed, kind) in
        [(filter.by_quality(), manifest::QUALITY_KIND), (filter.by_length(), manifest::LENGTH_KIND)]
    {
        if is_needed {
            let object = object(objects, kind)?.clone();
            let whole = RangeRequest::new(&object.path, 0..object.size_bytes);
            let pending = store.start_get_ranges(&[whole]);
            coming.push((object, pending));
        }
    }
    Ok(ComingExtremes { objects: coming, name: store.clone() })
}

impl ComingExtremes {
    fn wait(self, details: &Details) -> Result<Option<Vec<Extremes>>> {
        if self.objects.is_empty() {
            return Ok(None);
        }
        let count = usize::try_from(details.batch_count).unwrap_or(usize::MAX);
        let any = Extremes {
            average: (f32::NEG_INFINITY, f32::INFINITY),
            errors: (f32::NEG_INFINITY, f32::INFINITY),
            length: (0, u32::MAX),
        };
        let mut extremes: Option<Vec<Extremes>> = None;
        for (object, pending) in self.objects {
            let bytes = pending.wait()?.pop().unwrap_or_default();
            let read = || {
                if crate::dataset::Checksum::of(&bytes) != object.checksum {
                    return Err(Error::corrupt("an index is not as it was written")
                        .help("restore the object from a copy, or convert the original again"));
                }
                let width = if object.kind == manifest::QUALITY_KIND { 16 } else { 8 };
                if bytes.len() / width != count {
                    return Err(Error::corrupt("an index has not one entry per batch"));
                }
                let into = extremes.get_or_insert_with(|| vec![any; count]);
                match width {
                    16 => index::read_quality(&bytes, into),
                    _ => index::read_length(&bytes, into),
                }
            };
            let mut read = read;
            read().at(|| self.name.name(&object.path))?;
        }
        Ok(extremes)
    }
}

/// A batch with its bytes.
struct Fetched {
    task: Task,
    bytes: Bytes,
}

/// Fetches and decodes batches in order.
fn fetch<T: Send>(
    store: &Store,
    details: &Details,
    tasks: &[Task],
    threads: usize,
    work: impl Fn(&Task, Batch) -> Result<T> + Sync,
    sink: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut rest = tasks.iter().cloned().peekable();
    let mut coming = VecDeque::new();
    let mut ready: VecDeque<Fetched> = VecDeque::new();
    let source = || {
        while ready.is_empty() {
            while coming.len() <= GROUPS_AHEAD && rest.peek().is_some() {
                let (mut group, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < GROUP_BYTES {
                    let Some(task) = rest.next() else { break };
                    bytes += u64::from(task.entry().size);
                    requests.push(RangeRequest::new(task.chunk.path.clone(), task.range()));
                    group.push(task);
                }
                coming.push_back((group, store.start_get_ranges(&requests)));
            }
            let Some((group, pending)) = coming.pop_front() else { return Ok(None) };
            let bytes = pending.wait()?;
            ready.extend(group.into_iter().zip(bytes).map(|(task, bytes)| Fetched { task, bytes }));
        }
        Ok(ready.pop_front())
    };
    ordered_by_weight(
        threads,
        BYTES_IN_FLIGHT,
        |fetched: &Fetched| fetched.bytes.len(),
        source,
        |Fetched { task, bytes }| {
            let place = || {
                let range = task.range();
                format!("{}: bytes {}-{}", store.name(&task.chunk.path), range.start, range.end)
            };
            decode(details, &task, &bytes).and_then(|batch| work(&task, batch)).at(place)
        },
        sink,
    )
}

fn decode(details: &Details, task: &Task, bytes: &Bytes) -> Result<Batch> {
    let entry = task.entry();
    let crc = crc32c::crc32c(bytes);
    if crc != entry.crc {
        return Err(Error::corrupt("a batch is not as it was written")
            .expected(format!("CRC-32C {:08x}", entry.crc))
            .found(format!("{crc:08x}"))
            .help("restore the object from a copy, or convert the original again"));
    }
    let schema: Arc<Schema> = write::schema(details.layout, &details.styles, task.chunk.fixed);
    let columns = file::decode(&schema, bytes, entry.head)?;
    let batch = match details.layout {
        Layout::Plain => plain::batch(&columns, &details.styles)?,
        Layout::Compact => compact::batch(&columns, &details.styles, entry.rows as usize)?,
    };
    if batch.rows() != entry.rows as usize {
        return Err(Error::corrupt("a batch has another number of reads than its index says"));
    }
    Ok(batch)
}
