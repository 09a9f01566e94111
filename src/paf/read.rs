//! Asking a dataset: open, plan, fetch, decode, filter, emit.
//!
//! A cold region query costs three dependent round trips: the manifest; the pages of the index that
//! cover the region, with the header and a look for a newer version beside them; the blocks. Where
//! the manifest holds the index, the blocks travel beside the header, and it costs two.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::index::{self, ChunkRef};
use super::manifest::{self, Details};
use super::order::Restorer;
use super::scan::{Ahead, Scan, Task, check_budget, filter};
use super::selection::Selection;
use crate::dataset::{At, Checksum, Dataset, METADATA, Manifest};
use crate::error::{Context, Error, Result};
use crate::genome::{ContigId, Contigs, Interval, Region, Target, bed};
use crate::pipeline::SortOptions;
use crate::records::alignments::record::flags::PAIRED;
use crate::records::alignments::{Fields, Header, Record, RecordBatch, Validation};
use crate::store::{Meter, Pending, RangeRequest, Store, Traffic};

/// What to read, by place: regions as text, lines of a BED file, or all.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Regions, as in [`Target::parse`].
    pub regions: Vec<String>,
    /// A BED file's name and text.
    pub bed: Option<(String, String)>,
}

impl Places {
    /// The targets these are in a dictionary; none for everything.
    fn targets(&self, contigs: &Contigs) -> Result<Option<Vec<Target>>> {
        if self.regions.is_empty() && self.bed.is_none() {
            return Ok(None);
        }
        let mut targets = Vec::new();
        for region in &self.regions {
            targets.push(Target::parse(region, contigs)?);
        }
        if let Some((name, text)) = &self.bed {
            targets.extend(bed::parse(text, name, contigs)?.into_iter().map(Target::Region));
        }
        Ok(Some(targets))
    }
}

/// Whether a record is kept.
pub type Keep<'a> = dyn Fn(&Record<'_>) -> Result<bool> + Sync + 'a;

/// What to do with the records at the places that a reader was opened for.
pub struct Query<'a> {
    /// Which of them: all if `None`.
    pub keep: Option<&'a Keep<'a>>,
    /// What `keep` looks at and what the consumer wants.
    pub fields: Fields,
    /// Also the mates of those, wherever they lie.
    pub with_mates: bool,
    /// Fail rather than fetch more bytes of blocks than this.
    pub max_bytes: Option<u64>,
    /// Threads that decode.
    pub threads: usize,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self { keep: None, fields: Fields::ALL, with_mates: false, max_bytes: None, threads: 1 }
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryStats {
    /// Records handed on.
    pub records: u64,
    /// Records decoded to find them.
    pub records_decoded: u64,
    /// Chunks touched.
    pub chunks: u64,
    /// Chunks of the dataset.
    pub chunks_total: u64,
    /// Blocks touched.
    pub blocks: u64,
    /// Blocks of the dataset.
    pub blocks_total: u64,
    /// What was moved for it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// A dataset opened for reading some places.
pub struct Reader {
    store: Store,
    opened_at: Meter,
    dataset: Dataset,
    plan: Plan,
    ahead: Mutex<Option<Ahead>>,
}

/// What is known of a version before its blocks are fetched.
struct Plan {
    details: Details,
    contigs: Contigs,
    header: Header,
    selection: Selection,
    tasks: Vec<Task>,
}

impl Reader {
    /// Opens the dataset at `store` and fetches its header and the index for `places`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is none of alignments,
    /// [`Usage`](crate::error::ErrorKind::Usage) for a region that it does not have.
    pub fn open(store: &Store, at: At, places: &Places) -> Result<Self> {
        Self::open_with(store, at, places, |_| Ok(None))
    }

    /// As [`open`](Self::open), and asks for the first blocks of a query for `fields` as soon as they are known:
    /// they travel beside the header and the look for a newer version.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Usage`](crate::error::ErrorKind::Usage) for more than
    /// `max_bytes`.
    pub fn open_for(
        store: &Store,
        at: At,
        places: &Places,
        fields: &Fields,
        max_bytes: Option<u64>,
    ) -> Result<Self> {
        Self::open_with(store, at, places, |tasks| {
            check_budget(tasks, fields, max_bytes)?;
            Ok((!tasks.is_empty()).then(|| Ahead::start(store, tasks, fields)))
        })
    }

    fn open_with(
        store: &Store,
        at: At,
        places: &Places,
        start: impl Fn(&[Task]) -> Result<Option<Ahead>>,
    ) -> Result<Self> {
        let opened_at = store.meter();
        let (dataset, (plan, ahead)) =
            Dataset::open_and(store, at, |dataset| Plan::fetch(store, dataset, places, &start))?;
        Ok(Self { store: store.clone(), opened_at, dataset, plan, ahead: Mutex::new(ahead) })
    }

    /// The version that is read.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the manifest says of it.
    pub fn details(&self) -> &Details {
        &self.plan.details
    }

    /// The dictionary.
    pub fn contigs(&self) -> &Contigs {
        &self.plan.contigs
    }

    /// The header of the alignments.
    pub fn header(&self) -> &Header {
        &self.plan.header
    }

    /// Which records the reader was opened for.
    pub fn selection(&self) -> &Selection {
        &self.plan.selection
    }

    /// Hands each batch of records to `sink`, in file order, each record once.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`;
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) and
    /// [`Store`](crate::error::ErrorKind::Store) naming object and range; what `keep` and `sink`
    /// return.
    pub fn query(
        &self,
        query: &Query<'_>,
        sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<QueryStats> {
        let keep_all = |_: &Record<'_>| Ok(true);
        let keep: &Keep<'_> = query.keep.unwrap_or(&keep_all);
        let Plan { selection, tasks, .. } = &self.plan;
        if query.with_mates && *selection != Selection::All {
            return self.query_with_mates(query, keep, sink);
        }
        let stats = self.scan(query, &query.fields, tasks, selection, keep, sink)?;
        Ok(self.metered(stats))
    }

    /// Turns each block's records at the places asked for into something, on several threads, and
    /// hands the results on in file order.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn scan_each<T: Send>(
        &self,
        fields: &Fields,
        threads: usize,
        work: impl Fn(RecordBatch) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let Plan { selection, tasks, .. } = &self.plan;
        let all = |_: &Record<'_>| Ok(true);
        self.start_scan(fields, threads).run(
            tasks,
            |_, batch| work(filter(batch, selection, &all)?),
            sink,
        )
    }

    /// Two passes, as `samtools view -P` does it: the first finds which mates lie outside the
    /// regions, the second reads the regions and the places of those mates.
    fn query_with_mates(
        &self,
        query: &Query<'_>,
        keep: &Keep<'_>,
        sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<QueryStats> {
        let fields = query.fields.clone() | Fields::NAME | Fields::MATE;
        let Plan { selection, tasks, details, .. } = &self.plan;
        let mut names: HashSet<Vec<u8>> = HashSet::new();
        let mut mates: Vec<Region> = Vec::new();
        let first = self.scan(query, &fields, tasks, selection, keep, |batch| {
            for record in batch.iter().filter(|record| record.flags() & PAIRED != 0) {
                if let Some(mate) = mate_of(&record).filter(|mate| !selection.covers(mate)) {
                    names.insert(record.name().to_vec());
                    mates.push(mate);
                }
            }
            Ok(())
        })?;
        let widened = selection.with(&mates);
        let chunks = fetch_pages(&self.store, details, &widened.pages(&details.index))?.wait()?;
        let tasks = tasks_in(chunks, &widened);
        let wanted = |record: &Record<'_>| {
            let is_asked_for = selection.accepts(record) || names.contains(record.name());
            if is_asked_for { keep(record) } else { Ok(false) }
        };
        let second = self.scan(query, &fields, &tasks, &widened, &wanted, sink)?;
        let mut stats = self.metered(second);
        stats.traffic.bytes_used += first.traffic.bytes_used;
        Ok(stats)
    }

    fn scan(
        &self,
        query: &Query<'_>,
        fields: &Fields,
        tasks: &[Task],
        selection: &Selection,
        keep: &Keep<'_>,
        mut sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<QueryStats> {
        check_budget(tasks, fields, query.max_bytes)?;
        let index = &self.plan.details.index;
        let chunks: HashSet<&str> = tasks.iter().map(|task| task.chunk.path.as_str()).collect();
        let mut stats = QueryStats {
            records_decoded: tasks.iter().map(|task| u64::from(task.entry().records)).sum(),
            chunks: chunks.len() as u64,
            chunks_total: index.chunks(),
            blocks: tasks.len() as u64,
            blocks_total: index.blocks(),
            traffic: Traffic {
                bytes_used: tasks.iter().map(|task| task.wanted_bytes(fields)).sum(),
                bytes_total: self.plan.details.chunk_bytes(),
                ..Traffic::default()
            },
            ..QueryStats::default()
        };
        self.start_scan(fields, query.threads).run(
            tasks,
            |_, batch| filter(batch, selection, keep),
            |batch| {
                stats.records += batch.len() as u64;
                if batch.is_empty() { Ok(()) } else { sink(&batch) }
            },
        )?;
        Ok(stats)
    }

    fn start_scan<'a>(&'a self, fields: &'a Fields, threads: usize) -> Scan<'a> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        Scan { store: &self.store, fields, threads, ahead }
    }

    fn metered(&self, stats: QueryStats) -> QueryStats {
        let meter = self.store.meter().since(&self.opened_at);
        QueryStats { traffic: stats.traffic.metered(&meter), ..stats }
    }

    /// Hands all records to `sink` in the order of the input, where that was another and is kept.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn original_order(
        &self,
        sort: SortOptions,
        sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut restorer = Restorer::new(sort.clone());
        self.start_scan(&Fields::ALL, sort.threads)
            .run_with_ordinals(&self.plan.tasks, |batch, ordinals| {
                restorer.push(&batch, &ordinals)
            })?;
        restorer.finish(sink)
    }
}

impl Plan {
    /// Fetches index pages and header at the same time, and lets `start` ask for blocks as soon as
    /// the pages are there.
    fn fetch(
        store: &Store,
        dataset: &Dataset,
        places: &Places,
        start: &impl Fn(&[Task]) -> Result<Option<Ahead>>,
    ) -> Result<(Self, Option<Ahead>)> {
        let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
        let contigs = details.dictionary().at(|| store.name(""))?;
        let selection = match places.targets(&contigs)? {
            None => Selection::All,
            Some(targets) => Selection::of(&targets),
        };
        let pages = fetch_pages(store, &details, &selection.pages(&details.index))?;
        let header = fetch_header(store, dataset.manifest(), &contigs)?;
        let tasks = tasks_in(pages.wait()?, &selection);
        for task in &tasks {
            tracing::debug!(
                object = task.chunk.path,
                block = task.block,
                records = task.entry().records,
                "block may hold what is asked for"
            );
        }
        let ahead = start(&tasks)?;
        let header = header.wait()?;
        Ok((Self { details, contigs, header, selection, tasks }, ahead))
    }
}

/// The blocks that may hold what is asked for, in file order.
fn tasks_in(chunks: Vec<ChunkRef>, selection: &Selection) -> Vec<Task> {
    let blocks = chunks.into_iter().map(Arc::new).flat_map(|chunk| {
        (0..chunk.blocks.len()).map(move |block| Task { chunk: chunk.clone(), block })
    });
    blocks.filter(|task| selection.may_be_in(task.entry())).collect()
}

/// Something that is on its way, and how to read it when it is there.
struct Coming<'a, T> {
    bytes: Pending<Vec<Bytes>>,
    decode: Box<dyn FnOnce(Vec<Bytes>) -> Result<T> + 'a>,
}

impl<T> Coming<'_, T> {
    fn wait(self) -> Result<T> {
        (self.decode)(self.bytes.wait()?)
    }
}

/// Asks for some pages of the index, from its object or the manifest.
fn fetch_pages<'a>(
    store: &'a Store,
    details: &'a Details,
    pages: &[usize],
) -> Result<Coming<'a, Vec<ChunkRef>>> {
    let root = &details.index;
    let pages: Vec<index::Page> = pages.iter().map(|&at| root.pages[at]).collect();
    let object = root.path.as_deref().unwrap_or(METADATA);
    tracing::debug!(
        object,
        pages = pages.len(),
        of = root.pages.len(),
        "index pages reach what is asked for"
    );
    let bytes = match root.inline_bytes().at(|| store.name(object))? {
        Some(inline) => {
            let inline = Bytes::from(inline);
            let cut = |page: &index::Page| {
                let start = usize::try_from(page.offset).ok()?;
                let end = start.checked_add(page.size as usize)?;
                (end <= inline.len()).then(|| inline.slice(start..end))
            };
            let missing = || Error::corrupt("a page of the inline index is missing");
            let cut: Option<Vec<Bytes>> = pages.iter().map(cut).collect();
            Pending::ready(cut.ok_or_else(missing).at(|| store.name(object)))
        }
        None => {
            crate::store::validate_key(object)?;
            let range = |page: &index::Page| page.offset..page.offset + u64::from(page.size);
            let request = |page| RangeRequest::new(object, range(page));
            store.start_get_ranges(&pages.iter().map(request).collect::<Vec<_>>())
        }
    };
    let decode = move |fetched: Vec<Bytes>| {
        let mut chunks = Vec::new();
        for (page, coded) in pages.iter().zip(&fetched) {
            chunks.extend(index::decode_page(page, coded).at(|| store.name(object))?);
        }
        Ok(chunks)
    };
    Ok(Coming { bytes, decode: Box::new(decode) })
}

/// All chunks that the index lists.
pub(super) fn fetch_index(store: &Store, details: &Details) -> Result<Vec<ChunkRef>> {
    let all: Vec<usize> = (0..details.index.pages.len()).collect();
    fetch_pages(store, details, &all)?.wait()
}

/// Asks for the header.
fn fetch_header<'a>(
    store: &'a Store,
    manifest: &'a Manifest,
    contigs: &'a Contigs,
) -> Result<Coming<'a, Header>> {
    let object = manifest
        .objects_of(manifest::HEADER_KIND)
        .next()
        .ok_or_else(|| Error::corrupt("the manifest lists no header").at(store.name("")))?;
    let whole = RangeRequest::new(object.path.clone(), 0..object.size_bytes);
    let decode = move |fetched: Vec<Bytes>| {
        let name = || store.name(&object.path);
        let bytes = fetched.first().map_or(&[][..], |bytes| bytes);
        if Checksum::of(bytes) != object.checksum {
            return Err(Error::corrupt("the object does not match its checksum")
                .expected(object.checksum)
                .found(Checksum::of(bytes))
                .help("restore the object from a copy")
                .at(name()));
        }
        let text = manifest::unpack_header(bytes).at(name)?;
        let list = contigs.iter().map(|c| (c.name.clone(), c.length)).collect();
        Header::from_bam(&text, list, Validation::Lenient).at(name)
    };
    Ok(Coming { bytes: store.start_get_ranges(&[whole]), decode: Box::new(decode) })
}

/// The base where a record's mate starts, if it has a contig.
fn mate_of(record: &Record<'_>) -> Option<Region> {
    let contig = u32::try_from(record.mate_ref_id()).ok().map(ContigId)?;
    let start = u64::try_from(record.mate_position()).ok()?;
    Some(Region { contig, interval: Interval::new(start, start + 1) })
}
