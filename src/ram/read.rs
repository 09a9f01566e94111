//! Opening a dataset for some regions and samples: plan, fetch, decode.
//!
//! A cold query costs three dependent round trips: the manifest; the pages of the index for the
//! regions asked for, the lists of samples and a look for a newer version beside them; the batches.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch as Columns;
use arrow_schema::Schema;
use bytes::Bytes;

use super::grid::{Place, in_shared};
use super::index::{BatchRef, Kind, Page, Table, UNPLACED};
use super::layer::{self, Samples};
use super::manifest::{Details, Layer};
use super::rows::Names;
use super::{calls, coverage, file, rows};
use crate::dataset::{At, Checksum, Dataset, ObjectRef};
use crate::error::{Context, Error, Result};
use crate::genome::interval::merge as merge_intervals;
use crate::genome::{ContigId, Contigs, Interval, Region, Target, bed};
use crate::pipeline::ordered_by_weight;
use crate::records::alignments::Header;
use crate::store::{Meter, RangeRequest, Store, Traffic};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;
/// Groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Bytes of batches that may wait for the consumer.
const BYTES_IN_FLIGHT: usize = 64 << 20;

/// What of a dataset to read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Regions, as in [`Target::parse`].
    pub regions: Vec<String>,
    /// A BED file's name and text.
    pub bed: Option<(String, String)>,
    /// Names of samples; all for none.
    pub samples: Vec<String>,
}

/// What a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The alignments.
    Alignments,
    /// Their depth.
    Coverage,
    /// Candidate variants.
    Sites,
}

impl Content {
    fn kind(self) -> Kind {
        match self {
            Self::Alignments => Kind::Alignments,
            Self::Coverage => Kind::Coverage,
            Self::Sites => Kind::Sites,
        }
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryStats {
    /// Rows handed on.
    pub rows: u64,
    /// Rows decoded to find them.
    pub rows_decoded: u64,
    /// Samples asked for.
    pub samples: u64,
    /// Batches fetched.
    pub batches: u64,
    /// Batches of alignments of the dataset.
    pub batches_total: u64,
    /// What was moved for it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// Which places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    /// In order and apart from one another; and whether reads without a place, too.
    Some {
        spans: Vec<Region>,
        unplaced: bool,
    },
}

impl Selection {
    fn new(request: &Request, contigs: &Contigs) -> Result<Self> {
        if request.regions.is_empty() && request.bed.is_none() {
            return Ok(Self::All);
        }
        let mut by_contig: HashMap<u32, Vec<Interval>> = HashMap::new();
        let mut unplaced = false;
        let mut add = |region: Region| {
            by_contig.entry(region.contig.0).or_default().push(region.interval);
        };
        for region in &request.regions {
            match Target::parse(region, contigs)? {
                Target::All => return Ok(Self::All),
                Target::Unplaced => unplaced = true,
                Target::Region(region) => add(region),
            }
        }
        if let Some((name, text)) = &request.bed {
            bed::parse(text, name, contigs)?.into_iter().for_each(add);
        }
        let mut spans = Vec::new();
        for (contig, intervals) in by_contig {
            for interval in merge_intervals(intervals) {
                spans.push(Region { contig: ContigId(contig), interval });
            }
        }
        spans.sort_unstable();
        Ok(Self::Some { spans, unplaced })
    }

    /// The spans on a contig that reach beyond a position.
    pub(super) fn from(&self, contig: u32, position: u64) -> &[Region] {
        let Self::Some { spans, .. } = self else { return &[] };
        let first = spans
            .partition_point(|span| (span.contig.0, span.interval.end()) <= (contig, position));
        let end = spans.partition_point(|span| span.contig.0 <= contig);
        &spans[first..end.max(first)]
    }

    /// What is asked for of a region, in positions as it counts them.
    fn within(&self, place: &Place, size: u64, lengths: &[u64]) -> Vec<(u64, u64)> {
        let (spans, unplaced) = match self {
            Self::All => return vec![(0, u64::MAX)],
            Self::Some { spans, unplaced } => (spans, *unplaced),
        };
        if place.contig == UNPLACED {
            return if unplaced { vec![(0, u64::MAX)] } else { Vec::new() };
        }
        let bounds = |span: &Region| (span.interval.start(), span.interval.end());
        if place.is_shared() {
            let last = place.contig.saturating_add(place.contigs - 1);
            let first = spans.partition_point(|span| span.contig.0 < place.contig);
            let here = spans[first..].iter().take_while(|span| span.contig.0 <= last);
            return here
                .map(|span| in_shared(place, lengths, span.contig.0, bounds(span)))
                .collect();
        }
        let start = u64::from(place.ordinal).saturating_mul(size);
        let length = lengths.get(place.contig as usize).copied().unwrap_or(0);
        // Reads may reach beyond their contig, and are in its last region.
        let end = match start.saturating_add(size) {
            end if end >= length => u64::MAX,
            end => end,
        };
        let here = self.from(place.contig, start).iter();
        here.map(bounds).take_while(|(from, _)| *from < end).collect()
    }
}

/// The samples of a layer, as a query needs them.
pub(super) struct Part {
    pub(super) layer: Layer,
    pub(super) list: Samples,
    /// Whether each sample is asked for.
    pub(super) chosen: Vec<bool>,
}

/// One batch to read.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) part: usize,
    pub(super) place: Place,
    table: Arc<Table>,
    batch: usize,
}

impl Task {
    fn entry(&self) -> &BatchRef {
        &self.table.batches[self.batch]
    }

    fn path(&self) -> &str {
        &self.table.files[self.entry().file as usize]
    }

    fn range(&self) -> Range<u64> {
        let entry = self.entry();
        entry.offset..entry.offset + u64::from(entry.size)
    }
}

/// A dataset opened for reading some of it.
pub struct Reader {
    pub(super) store: Store,
    opened_at: Meter,
    dataset: Dataset,
    details: Details,
    contigs: Contigs,
    content: Content,
    pub(super) selection: Selection,
    pub(super) parts: Vec<Part>,
    pub(super) tasks: Vec<Task>,
}

struct Plan {
    details: Details,
    contigs: Contigs,
    selection: Selection,
    parts: Vec<Part>,
    tasks: Vec<Task>,
}

impl Reader {
    /// Opens the dataset at `store` and plans which batches a query fetches.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is no cohort,
    /// [`Usage`](crate::error::ErrorKind::Usage) for a region or sample that it does not have.
    pub fn open(store: &Store, at: At, content: Content, request: &Request) -> Result<Self> {
        let opened_at = store.meter();
        let (dataset, plan) = Dataset::open_and(store, at, |dataset| {
            plan(store, dataset, content.kind(), request).at(|| store.name(""))
        })?;
        let Plan { details, contigs, selection, parts, tasks } = plan;
        let store = store.clone();
        Ok(Self { store, opened_at, dataset, details, contigs, content, selection, parts, tasks })
    }

    /// The version that is read.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the manifest says of it.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// The dictionary.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// The samples asked for, in order.
    pub fn samples(&self) -> Vec<&str> {
        self.parts
            .iter()
            .flat_map(|part| part.list.samples.iter().zip(&part.chosen))
            .filter(|(_, chosen)| **chosen)
            .map(|(sample, _)| sample.name.as_str())
            .collect()
    }

    /// The one region asked for, if it is one.
    pub(super) fn only_span(&self) -> Option<Region> {
        match &self.selection {
            Selection::Some { spans, .. } if spans.len() == 1 => spans.first().copied(),
            _ => None,
        }
    }

    /// The header of the one sample asked for.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) and [`Store`](crate::error::ErrorKind::Store);
    /// [`Usage`](crate::error::ErrorKind::Usage) where there is not exactly one.
    pub fn header(&self) -> Result<Header> {
        let Some((part, at)) = self.only_sample() else {
            return Err(Error::usage("the header of one sample is asked for")
                .found(format!("{} samples", self.samples().len())));
        };
        self.header_of(&self.parts[part], at)
    }

    /// The header of a sample of a layer.
    pub(super) fn header_of(&self, part: &Part, at: usize) -> Result<Header> {
        let object = object(&self.dataset, &part.layer.headers)?;
        let range = |(start, size, _): (u64, u64, u32)| {
            let end = start.checked_add(size).filter(|&end| end <= object.size_bytes);
            let end = end.ok_or_else(|| Error::corrupt("a header lies outside its object"))?;
            Ok::<_, Error>(RangeRequest::new(&object.path, start..end))
        };
        let mut wanted = vec![range(part.list.samples[at].header)?];
        if at > 0 {
            wanted.push(range(part.list.samples[0].header)?);
        }
        let frames = self.store.get_ranges(&wanted)?;
        for (frame, number) in frames.iter().zip([at, 0]) {
            let (.., crc) = part.list.samples[number].header;
            check_crc(frame, crc).at(|| self.store.name(&object.path))?;
        }
        layer::read_header(&frames[0], frames.get(1).map(|frame| frame.as_ref()))
            .at(|| self.store.name(&object.path))
    }

    /// Part and number of the sample, where exactly one is asked for.
    pub(super) fn only_sample(&self) -> Option<(usize, usize)> {
        let mut chosen = (0..).zip(&self.parts).flat_map(|(part, of)| {
            let all = of.chosen.iter().enumerate();
            all.filter(|(_, chosen)| **chosen).map(move |(at, _)| (part, at))
        });
        let first = chosen.next()?;
        chosen.next().is_none().then_some(first)
    }

    pub(super) fn names<'a>(&'a self, task: &Task) -> Names<'a> {
        Names { contigs: &self.contigs, keys: &self.parts[task.part].list.contigs }
    }

    /// The contig of the dataset that a key in a file of this task's layer stands for.
    pub(super) fn contig_of(&self, task: &Task, key: u32) -> Option<u32> {
        self.parts[task.part].list.contigs.get(key as usize).copied()
    }

    /// The one region in which a row of this interval is handed on, where it is asked for.
    pub(super) fn home(&self, contig: u32, start: u64, end: u64) -> Option<u32> {
        let size = self.details.region_size;
        let position = match &self.selection {
            Selection::All => start,
            Selection::Some { .. } => {
                let span = self.selection.from(contig, start).first()?;
                (span.interval.start() < end).then(|| start.max(span.interval.start()))?
            }
        };
        let length = self.details.lengths.get(contig as usize).copied().unwrap_or(0);
        let last = length.div_ceil(size).max(1) - 1;
        u32::try_from((position / size).min(last)).ok()
    }

    /// Turns each batch into something, on several threads, and hands the results on in order, each
    /// with a count of rows.
    pub(super) fn scan<T: Send>(
        &self,
        tasks: &[Task],
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Task, Columns) -> Result<(u64, T)> + Sync,
        mut sink: impl FnMut(&Task, T) -> Result<()>,
    ) -> Result<QueryStats> {
        let wanted: u64 = tasks.iter().map(|task| u64::from(task.entry().size)).sum();
        if let Some(limit) = max_bytes.filter(|&limit| wanted > limit) {
            return Err(Error::usage("the query would fetch more than --max-bytes allows")
                .expected(format!("at most {limit} bytes"))
                .found(format!("{wanted} bytes in {} batches", tasks.len()))
                .help("ask for fewer regions or samples, or raise --max-bytes"));
        }
        let mut stats = QueryStats {
            rows_decoded: tasks.iter().map(|task| task.entry().rows()).sum(),
            samples: self.samples().len() as u64,
            batches: tasks.len() as u64,
            batches_total: self.details.layers.iter().map(|layer| layer.batch_count).sum(),
            traffic: Traffic {
                bytes_used: wanted,
                bytes_total: self.details.chunk_bytes,
                ..Traffic::default()
            },
            ..QueryStats::default()
        };
        let schema = Arc::new(physical(self.content.kind(), self.details.exclude_flags));
        let mut fetch = Fetch::new(&self.store, tasks);
        ordered_by_weight(
            threads,
            BYTES_IN_FLIGHT,
            |fetched: &Fetched<'_>| fetched.bytes.len(),
            || fetch.next(),
            |Fetched { task, bytes }| {
                let place = || {
                    let range = task.range();
                    format!("{}: bytes {}-{}", self.store.name(task.path()), range.start, range.end)
                };
                let decoded = decode(&schema, task.entry(), &bytes);
                decoded.and_then(|columns| work(task, columns)).at(place).map(|out| (task, out))
            },
            |(task, (count, result))| {
                stats.rows += count;
                sink(task, result)
            },
        )?;
        let meter = self.store.meter().since(&self.opened_at);
        Ok(QueryStats { traffic: stats.traffic.metered(&meter), ..stats })
    }
}

/// The schema of the batches of a kind.
pub(super) fn physical(kind: Kind, exclude_flags: u16) -> Schema {
    file::physical(&match kind {
        Kind::Alignments => rows::schema(),
        Kind::Coverage => coverage::schema(exclude_flags),
        Kind::Sites => calls::schema(),
    })
}

/// A batch with its bytes.
struct Fetched<'a> {
    task: &'a Task,
    bytes: Bytes,
}

/// Batches in order, some on their way while earlier ones are decoded.
struct Fetch<'a> {
    store: &'a Store,
    rest: std::slice::Iter<'a, Task>,
    coming: VecDeque<(Vec<&'a Task>, crate::store::Pending<Vec<Bytes>>)>,
    ready: VecDeque<Fetched<'a>>,
}

impl<'a> Fetch<'a> {
    fn new(store: &'a Store, tasks: &'a [Task]) -> Self {
        Self { store, rest: tasks.iter(), coming: VecDeque::new(), ready: VecDeque::new() }
    }

    fn next(&mut self) -> Result<Option<Fetched<'a>>> {
        while self.ready.is_empty() {
            while self.coming.len() <= GROUPS_AHEAD && !self.rest.as_slice().is_empty() {
                let (mut group, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < GROUP_BYTES {
                    let Some(task) = self.rest.next() else { break };
                    bytes += u64::from(task.entry().size);
                    requests.push(RangeRequest::new(task.path(), task.range()));
                    group.push(task);
                }
                self.coming.push_back((group, self.store.start_get_ranges(&requests)));
            }
            let Some((group, pending)) = self.coming.pop_front() else { return Ok(None) };
            let bytes = pending.wait()?;
            let fetched = group.into_iter().zip(bytes);
            self.ready.extend(fetched.map(|(task, bytes)| Fetched { task, bytes }));
        }
        Ok(self.ready.pop_front())
    }
}

fn decode(schema: &Arc<Schema>, entry: &BatchRef, bytes: &Bytes) -> Result<Columns> {
    check_crc(bytes, entry.crc)?;
    let columns = file::decode(schema, bytes, entry.head)?;
    if columns.num_rows() as u64 != entry.rows() {
        return Err(Error::corrupt("a batch has another number of rows than its index says"));
    }
    Ok(columns)
}

fn check_crc(bytes: &Bytes, expected: u32) -> Result<()> {
    let found = crc32c::crc32c(bytes);
    if found == expected {
        return Ok(());
    }
    Err(Error::corrupt("the bytes are not as they were written")
        .expected(format!("CRC-32C {expected:08x}"))
        .found(format!("{found:08x}"))
        .help("restore the object from a copy, or convert the originals again"))
}

fn object<'a>(dataset: &'a Dataset, path: &str) -> Result<&'a ObjectRef> {
    dataset
        .manifest()
        .objects
        .iter()
        .find(|object| object.path == path)
        .ok_or_else(|| Error::corrupt(format!("the manifest does not list {path:?}")))
}

fn checked_samples(object: &ObjectRef, bytes: &Bytes, layer: &Layer) -> Result<Samples> {
    let found = Checksum::of(bytes);
    if found != object.checksum {
        return Err(Error::corrupt("the list of samples is not as it was written")
            .expected(object.checksum)
            .found(found)
            .help("restore the object from a copy, or convert the originals again"));
    }
    let list = Samples::parse(bytes)?;
    if list.samples.len() as u64 != layer.sample_count {
        return Err(Error::corrupt("the list has not as many samples as the manifest says"));
    }
    Ok(list)
}

/// The names of all samples of a dataset.
pub(super) fn sample_names(dataset: &Dataset, details: &Details) -> Result<Vec<String>> {
    let samples = sample_lists(dataset, details)?.into_iter().flat_map(|list| list.samples);
    Ok(samples.map(|sample| sample.name).collect())
}

/// The samples of each layer.
pub(super) fn sample_lists(dataset: &Dataset, details: &Details) -> Result<Vec<Samples>> {
    let list = |layer: &Layer| {
        let object = object(dataset, &layer.samples)?;
        checked_samples(object, &dataset.read(object)?, layer)
    };
    details.layers.iter().map(list).collect()
}

/// A page of a layer for a region, and what is asked for of that.
type PageToRead = (usize, Place, Page, Vec<(u64, u64)>);

/// Fetches the lists of samples and the pages of the index, all at once, and plans.
fn plan(store: &Store, dataset: &Dataset, kind: Kind, request: &Request) -> Result<Plan> {
    let details = Details::read(dataset.manifest())?;
    let contigs = details.dictionary()?;
    let selection = Selection::new(request, &contigs)?;
    let size = details.region_size;
    let mut requests = Vec::new();
    let mut pages: Vec<PageToRead> = Vec::new();
    for (number, layer) in details.layers.iter().enumerate() {
        let object = object(dataset, &layer.samples)?;
        requests.push(RangeRequest::new(&object.path, 0..object.size_bytes));
        for region in &layer.regions.0 {
            let page = region.pages[kind as usize];
            let wanted = selection.within(&region.place, size, &details.lengths);
            if page.size > 0 && !wanted.is_empty() {
                pages.push((number, region.place, page, wanted));
            }
        }
    }
    for (number, _, page, _) in &pages {
        let range = page.offset..page.offset + u64::from(page.size);
        requests.push(RangeRequest::new(&details.layers[*number].index, range));
    }
    let mut fetched = store.start_get_ranges(&requests).wait()?.into_iter();
    let mut parts = Vec::new();
    for layer in &details.layers {
        let object = object(dataset, &layer.samples)?;
        let bytes = fetched.next().unwrap_or_default();
        let list = checked_samples(object, &bytes, layer).at(|| store.name(&object.path))?;
        let chosen = vec![request.samples.is_empty(); list.samples.len()];
        parts.push(Part { layer: layer.clone(), list, chosen });
    }
    choose(&mut parts, &request.samples)?;
    let mut tasks = Vec::new();
    for ((part, place, page, wanted), bytes) in pages.into_iter().zip(fetched) {
        let name = || store.name(&details.layers[part].index);
        check_crc(&bytes, page.crc).at(name)?;
        let table = Arc::new(Table::parse(&bytes).at(name)?);
        let chosen = &parts[part].chosen;
        for (batch, entry) in table.batches.iter().enumerate() {
            let samples = (entry.first_sample as usize..).zip(&entry.counts);
            let has_sample = samples
                .filter(|(_, count)| **count > 0)
                .any(|(sample, _)| chosen.get(sample) == Some(&true));
            // Reads without a place reach over nothing.
            let end = entry.end.max(entry.start.saturating_add(1));
            if has_sample && wanted.iter().any(|&(from, to)| from < end && entry.start < to) {
                tasks.push(Task { part, place, table: table.clone(), batch });
            }
        }
    }
    tasks.sort_by_key(|task| (task.place.contig, task.place.ordinal, task.part, task.batch));
    Ok(Plan { details, contigs, selection, parts, tasks })
}

/// Marks the samples of these names.
fn choose(parts: &mut [Part], names: &[String]) -> Result<()> {
    let mut wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    for part in parts.iter_mut() {
        for (sample, chosen) in part.list.samples.iter().zip(&mut part.chosen) {
            *chosen |= wanted.remove(sample.name.as_str());
        }
    }
    let Some(unknown) = names.iter().find(|name| wanted.contains(name.as_str())) else {
        return Ok(());
    };
    let known = parts.iter().flat_map(|part| &part.list.samples).take(5);
    let known: Vec<&str> = known.map(|sample| sample.name.as_str()).collect();
    Err(Error::usage(format!("the dataset has no sample {unknown:?}"))
        .expected(format!("one of its samples, such as {}", known.join(", "))))
}
