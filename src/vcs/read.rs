//! Asking a dataset: open, plan, fetch, decode.
//!
//! A cold query costs three dependent round trips: the manifest; the schema and the index pages of
//! the parts that its places overlap, with a look for a newer version beside them; the columns.
//! Every byte that is used is checked against the index first.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;

use super::calls;
use super::column::View;
use super::file::Footer;
use super::group::Decoded;
use super::index::{self, Layout, PageRef, Part, Quality, Spatial};
use super::manifest::{self, Details};
use super::places::{Places, Selection};
use super::schema::{FIXED, Schema};
use super::sites::{SiteView, fixed};
use crate::dataset::{At, Checksum, Dataset, Manifest, ObjectRef};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::genome::{Contig, ContigId, Contigs};
use crate::pipeline::ordered_by_weight;
use crate::store::{Meter, Pending, RangeRequest, Store};

/// Bytes that are asked for together.
const GROUP_BYTES: u64 = 16 << 20;
/// Sets of row groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Fetched bytes that may wait to be decoded, or decoded for the consumer.
const BYTES_IN_FLIGHT: usize = 48 << 20;

/// Which fields of INFO or FORMAT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// All.
    #[default]
    All,
    /// Those of these keys, as far as there are any.
    Some(BTreeSet<String>),
}

impl Fields {
    /// None.
    pub fn none() -> Self {
        Self::Some(BTreeSet::new())
    }

    /// Whether a key is among them.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(keys) => keys.contains(key),
        }
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Some(mut keys), Self::Some(more)) => {
                keys.extend(more);
                Self::Some(keys)
            }
            _ => Self::All,
        }
    }
}

/// What of the records is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// CHROM to FILTER, by name; and END, which is not among all that a line needs.
    pub fixed: Fields,
    /// What lines of text need besides columns.
    pub text: bool,
    /// Fields of INFO.
    pub info: Fields,
    /// Fields of FORMAT.
    pub format: Fields,
    /// Samples, by their place in the header, in the order of the output.
    pub samples: Vec<usize>,
}

impl Needs {
    /// Everything of all samples.
    pub fn all(schema: &Schema) -> Self {
        Self {
            fixed: Fields::All,
            text: true,
            info: Fields::All,
            format: Fields::All,
            samples: (0..schema.samples.len()).collect(),
        }
    }
}

/// Decides from the index whether a row group may have what is looked for.
pub type Prune<'a> = dyn Fn(&Quality) -> bool + Sync + 'a;

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryStats {
    /// Records handed on.
    pub records: u64,
    /// Records decoded to find them.
    pub records_decoded: u64,
    /// Row groups read.
    pub row_groups: u64,
    /// Row groups of the dataset.
    pub row_groups_total: u64,
    /// Requests sent, from opening the dataset on.
    pub requests: u64,
    /// The longest chain of requests that waited for one another.
    pub round_trips: u64,
    /// Bytes received, from opening the dataset on.
    pub bytes_fetched: u64,
    /// Bytes of the columns and residuals that were decoded.
    pub bytes_used: u64,
    /// Bytes of all parts of the dataset.
    pub bytes_total: u64,
}

/// A dataset opened for reading some places.
pub struct Reader {
    opened_at: Meter,
    dataset: Dataset,
    details: Details,
    contigs: Contigs,
    parts: Parts,
}

/// Parts, and what of them is asked for by place.
pub(super) struct Parts {
    store: Store,
    schema: Arc<Schema>,
    selection: Selection,
    list: Vec<Arc<OpenPart>>,
}

/// A part whose index pages were read.
pub(super) struct OpenPart {
    contig: u32,
    spatial: Vec<Spatial>,
    quality: Vec<Quality>,
    layout: Layout,
    /// The metadata of each file, read when it is first needed: a sample's block is one of many.
    footers: Vec<OnceLock<Footer>>,
}

/// A row group that was read.
pub struct Loaded {
    schema: Arc<Schema>,
    decoded: Decoded,
    /// The columns of blocks of samples that were read.
    blocks: Vec<Option<RecordBatch>>,
    /// The columns of sites that were read, in the order of the file.
    pub batch: RecordBatch,
    /// The rows that were asked for by place.
    pub rows: Vec<usize>,
    /// BLAKE3 of the row group's lines.
    pub digest: [u8; 32],
    /// How many rows the row group has.
    pub total_rows: usize,
    samples: Vec<usize>,
}

impl Loaded {
    /// Appends line `row`, without its line feed, as far as it was read.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where columns and residual disagree.
    pub fn push_line(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.decoded.push_line(row, &self.schema, &self.samples, out)
    }

    /// What `rows` have of a field of FORMAT of a sample in a block: genotypes as text, other
    /// fields as they are typed; null where there is nothing, or what columns cannot hold.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) where it was not read;
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where a row has not a value for each sample.
    pub(super) fn calls_of(&self, sample: usize, field: usize, rows: &[usize]) -> Result<ArrayRef> {
        let step = self.schema.block_samples.max(1);
        let batch = self.blocks.get(sample / step).and_then(Option::as_ref);
        let batch = batch.ok_or_else(|| Error::internal("a block of samples was not read"))?;
        calls::column_of_sample(&self.schema, batch, sample % step, field, rows)
    }

    /// The number of row `row` in the input, where sorting changed the order.
    pub fn ordinal(&self, row: usize) -> Option<i64> {
        let at = fixed::COUNT + self.schema.info.len();
        self.decoded.sites.get(at)?.as_ref()?.integer(row)
    }
}

impl Reader {
    /// Opens the dataset at `store` and fetches schema and index for `places`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is none of variants,
    /// [`Usage`](crate::error::ErrorKind::Usage) for a region that it does not have.
    pub fn open(store: &Store, at: At, places: &Places) -> Result<Self> {
        let opened_at = store.meter();
        let (dataset, (details, contigs, selection, schema, parts)) =
            Dataset::open_and(store, at, |dataset| fetch_plan(store, dataset, places))?;
        let parts =
            Parts { store: store.clone(), schema: Arc::new(schema), selection, list: parts };
        Ok(Self { opened_at, dataset, details, contigs, parts })
    }

    /// The version that is read.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the manifest says of it.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// The columns and the header.
    pub fn schema(&self) -> &Schema {
        &self.parts.schema
    }

    /// The dictionary.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// Reads the row groups at the places asked for that `prune` does not rule out, turns each
    /// into something on several threads, and hands the results on in the dataset's order.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) and
    /// [`Store`](crate::error::ErrorKind::Store) naming the object; what `work` and `sink` return;
    /// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`.
    pub fn scan<T: Send>(
        &self,
        needs: &Needs,
        prune: &Prune<'_>,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Loaded) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let stats = self.parts.scan(needs, prune, threads, max_bytes, work, sink)?;
        Ok(stats.with(&self.cost()))
    }

    /// What the manifest and the index alone have cost so far.
    pub fn cost(&self) -> QueryStats {
        let meter = self.parts.store.meter().since(&self.opened_at);
        QueryStats {
            row_groups_total: self.details.index.row_groups,
            bytes_total: self.details.chunk_bytes(),
            requests: meter.requests,
            round_trips: meter.round_trips,
            bytes_fetched: meter.bytes,
            ..QueryStats::default()
        }
    }
}

impl QueryStats {
    fn with(self, cost: &Self) -> Self {
        Self {
            row_groups_total: cost.row_groups_total,
            bytes_total: cost.bytes_total,
            requests: cost.requests,
            round_trips: cost.round_trips,
            bytes_fetched: cost.bytes_fetched,
            ..self
        }
    }
}

impl Parts {
    /// Parts that no manifest lists yet.
    pub(super) fn uncommitted(
        store: &Store,
        schema: &Schema,
        layouts: &[(Vec<Spatial>, Layout)],
    ) -> Result<Self> {
        let open = |(spatial, layout): &(Vec<Spatial>, Layout)| {
            OpenPart::new(0, spatial.clone(), Vec::new(), layout.clone()).map(Arc::new)
        };
        Ok(Self {
            store: store.clone(),
            schema: Arc::new(schema.clone()),
            selection: Selection::default(),
            list: layouts.iter().map(open).collect::<Result<_>>()?,
        })
    }

    /// As [`Reader::scan`], without what the store counted.
    pub(super) fn scan<T: Send>(
        &self,
        needs: &Needs,
        prune: &Prune<'_>,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Loaded) -> Result<T> + Sync,
        mut sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let tasks = self.tasks(needs, prune)?;
        let mut stats = QueryStats {
            row_groups: tasks.len() as u64,
            records_decoded: tasks.iter().map(|task| task.rows as u64).sum(),
            bytes_used: tasks.iter().map(Task::bytes).sum(),
            ..QueryStats::default()
        };
        if let Some(limit) = max_bytes.filter(|&limit| stats.bytes_used > limit) {
            return Err(Error::usage("the query would fetch more than --max-bytes allows")
                .expected(format!("at most {limit} bytes"))
                .found(format!("{} bytes in {} row groups", stats.bytes_used, tasks.len()))
                .help("ask for a smaller region or fewer columns, or raise --max-bytes"));
        }
        let store = &self.store;
        let mut tasks = tasks.into_iter().peekable();
        let mut coming: VecDeque<(Vec<Task>, Pending<Vec<Bytes>>)> = VecDeque::new();
        let mut ready: VecDeque<(Task, Vec<Bytes>)> = VecDeque::new();
        let source = || {
            while ready.is_empty() {
                while coming.len() <= GROUPS_AHEAD && tasks.peek().is_some() {
                    coming.push_back(start(store, &mut tasks));
                }
                let Some((group, pending)) = coming.pop_front() else { return Ok(None) };
                let mut bytes = pending.wait()?.into_iter();
                ready.extend(group.into_iter().map(|task| {
                    let own = bytes.by_ref().take(task.pieces.len()).collect();
                    (task, own)
                }));
            }
            Ok(ready.pop_front())
        };
        ordered_by_weight(
            threads,
            BYTES_IN_FLIGHT,
            |(task, _): &(Task, Vec<Bytes>)| task.bytes() as usize,
            source,
            |(task, bytes)| {
                let loaded = self.load(&task, bytes, needs)?;
                let count = loaded.rows.len() as u64;
                work(&loaded).map(|result| (count, result))
            },
            |(count, result)| {
                stats.records += count;
                sink(result)
            },
        )?;
        Ok(stats)
    }

    fn tasks(&self, needs: &Needs, prune: &Prune<'_>) -> Result<Vec<Task>> {
        let roots = Roots::new(&self.schema, needs, self.selection.is_all());
        let mut tasks = Vec::new();
        for part in &self.list {
            for (group, spatial) in part.spatial.iter().enumerate() {
                let quality = part.quality.get(group);
                let may = self.selection.may_be_in_group(part.contig, spatial)
                    && quality.is_none_or(prune);
                if may {
                    tasks.push(Task::new(part, group, spatial.rows as usize, &roots)?);
                }
            }
        }
        Ok(tasks)
    }

    /// Checks and decodes what was fetched of a row group.
    fn load(&self, task: &Task, bytes: Vec<Bytes>, needs: &Needs) -> Result<Loaded> {
        let part = &task.part;
        for (piece, bytes) in task.pieces.iter().zip(&bytes) {
            index::check(&piece.expected, bytes).at(|| self.store.name(part.key(piece.file)))?;
        }
        let place = |file: PieceOf| self.store.name(part.key(file));
        let schema = &*self.schema;
        let mut batch = None;
        let mut block_batches = vec![None; schema.blocks().len()];
        let mut sites: Vec<Option<View>> = Vec::new();
        let mut site_residual = None;
        let mut columns_of_block: Vec<Option<Vec<Option<View>>>> = Vec::new();
        let mut block_residuals = Vec::new();
        let blocks = schema.blocks();
        columns_of_block.resize_with(blocks.len(), || None);
        block_residuals.resize_with(blocks.len(), || None);
        for (file, roots) in &task.files {
            let parts: Vec<(Range<u64>, Bytes)> = task
                .pieces
                .iter()
                .zip(&bytes)
                .filter(|(piece, _)| piece.file == PieceOf::File(*file))
                .map(|(piece, bytes)| (piece.range.clone(), bytes.clone()))
                .collect();
            let footer = part.footer(*file)?;
            let read = footer.read(task.group, roots, parts).at(|| place(PieceOf::File(*file)))?;
            let width =
                footer.metadata().file_metadata().schema_descr().root_schema().get_fields().len();
            let mut views: Vec<Option<View>> = vec![None; width];
            for (column, &root) in read.columns().iter().zip(roots) {
                views[root] = Some(View::of(column)?);
            }
            match file {
                0 => {
                    sites = views;
                    batch = Some(read);
                }
                block => {
                    columns_of_block[block - 1] = Some(views);
                    block_batches[block - 1] = Some(read);
                }
            }
        }
        for (piece, bytes) in task.pieces.iter().zip(&bytes) {
            match piece.file {
                PieceOf::File(_) => {}
                PieceOf::Section(0) => site_residual = Some(bytes.clone()),
                PieceOf::Section(block) => block_residuals[block - 1] = Some(bytes.clone()),
            }
        }
        let rows = task.rows;
        let residual = match site_residual {
            Some(bytes) => {
                let view = SiteView::decode(&bytes, rows, schema);
                Some(view.at(|| place(PieceOf::Section(0)))?)
            }
            None => None,
        };
        if !schema.has_blocks()
            && let Some(columns) = columns_of_block.first_mut()
        {
            *columns = sites.get(schema.first_sample_column()..).map(<[_]>::to_vec);
        }
        let mut decoded_blocks = Vec::with_capacity(blocks.len());
        for ((samples, columns), residual) in
            blocks.iter().zip(columns_of_block).zip(block_residuals)
        {
            decoded_blocks.push(match (columns, residual) {
                (Some(columns), Some(residual)) => {
                    let block = Decoded::block(schema, columns, &residual, rows, samples.len());
                    Some(block.at(|| place(PieceOf::Section(1)))?)
                }
                _ => None,
            });
        }
        let decoded = Decoded { rows, sites, residual, blocks: decoded_blocks };
        let selected = self.rows_of(task, &decoded)?;
        Ok(Loaded {
            schema: self.schema.clone(),
            rows: selected,
            total_rows: rows,
            digest: part.layout.digests.get(task.group).copied().unwrap_or_default(),
            batch: batch.ok_or_else(|| Error::internal("no column was fetched"))?,
            blocks: block_batches,
            decoded,
            samples: needs.samples.clone(),
        })
    }

    fn rows_of(&self, task: &Task, decoded: &Decoded) -> Result<Vec<usize>> {
        if self.selection.is_all() {
            return Ok((0..decoded.rows).collect());
        }
        let contig = ContigId(task.part.contig);
        let column = |at: usize| decoded.sites.get(at).and_then(Option::as_ref);
        let (Some(first), Some(last)) = (column(fixed::POS), column(fixed::END)) else {
            return Err(Error::internal("positions were not fetched"));
        };
        let accepts = |&row: &usize| {
            let place = first.integer(row).zip(last.integer(row));
            place.is_some_and(|(first, last)| self.selection.accepts(contig, first, last))
        };
        Ok((0..decoded.rows).filter(accepts).collect())
    }
}

/// The columns to read of each file.
struct Roots {
    sites: Vec<usize>,
    /// Blocks of samples and their columns.
    blocks: Vec<(usize, Vec<usize>)>,
    /// Sections of the residual.
    sections: Vec<usize>,
}

impl Roots {
    fn new(schema: &Schema, needs: &Needs, all_places: bool) -> Self {
        let mut sites: BTreeSet<usize> = BTreeSet::new();
        sites.extend((0..fixed::END).filter(|&at| needs.fixed.has(FIXED[at])));
        let has_end =
            matches!(&needs.fixed, Fields::Some(names) if names.contains(FIXED[fixed::END]));
        if has_end || needs.info.has("END") {
            sites.insert(fixed::END);
        }
        if !all_places {
            sites.extend([fixed::POS, fixed::END]);
        }
        let info = schema.info.iter().enumerate().filter(|(_, field)| needs.info.has(&field.id));
        sites.extend(info.map(|(at, _)| fixed::COUNT + at));
        if schema.ordinal {
            sites.insert(fixed::COUNT + schema.info.len());
        }
        let mut sections = if needs.text { vec![0] } else { Vec::new() };
        let mut blocks = Vec::new();
        let fields: Vec<usize> = (0..schema.format.len())
            .filter(|&at| needs.format.has(&schema.format[at].id))
            .collect();
        if !needs.samples.is_empty() && !schema.has_blocks() {
            if needs.text {
                sections.push(1);
            }
            let width = schema.format.len();
            let first = schema.first_sample_column();
            for sample in &needs.samples {
                sites.extend(fields.iter().map(|field| first + sample * width + field));
            }
        }
        if schema.has_blocks() {
            let step = schema.block_samples;
            let wanted: BTreeSet<usize> =
                needs.samples.iter().map(|sample| sample / step).collect();
            let columns: Vec<usize> =
                fields.iter().flat_map(|&field| calls::block_columns(schema, field)).collect();
            for block in wanted {
                if needs.text {
                    sections.push(block + 1);
                }
                blocks.push((block, columns.clone()));
            }
        }
        Self { sites: sites.into_iter().collect(), blocks, sections }
    }
}

/// What a fetched range belongs to: a Parquet file, or a section of the residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceOf {
    File(usize),
    Section(usize),
}

struct Piece {
    file: PieceOf,
    range: Range<u64>,
    expected: PageRef,
}

/// A row group to read.
struct Task {
    part: Arc<OpenPart>,
    group: usize,
    rows: usize,
    /// Files, and the columns of each.
    files: Vec<(usize, Vec<usize>)>,
    pieces: Vec<Piece>,
}

impl Task {
    fn new(part: &Arc<OpenPart>, group: usize, rows: usize, roots: &Roots) -> Result<Self> {
        let mut files = vec![(0, roots.sites.clone())];
        files.extend(roots.blocks.iter().map(|(block, columns)| {
            let mut columns = columns.clone();
            columns.sort_unstable();
            (block + 1, columns)
        }));
        let missing = || Error::corrupt("the index lacks a part of a row group");
        let mut pieces = Vec::new();
        for (file, columns) in &files {
            let footer = part.footer(*file)?;
            let sums = part.layout.files.get(*file).and_then(|file| file.checksums.get(group));
            let sums = sums.ok_or_else(missing)?;
            for (leaf, range) in footer.ranges(group, columns) {
                let size = u32::try_from(range.end - range.start).map_err(|_| missing())?;
                let crc32c = *sums.get(leaf).ok_or_else(missing)?;
                let expected = PageRef { offset: range.start, size, crc32c };
                pieces.push(Piece { file: PieceOf::File(*file), range, expected });
            }
        }
        let sections = part.layout.sections.get(group).ok_or_else(missing)?;
        for &section in &roots.sections {
            let expected = *sections.get(section).ok_or_else(missing)?;
            let range = expected.offset..expected.offset + u64::from(expected.size);
            pieces.push(Piece { file: PieceOf::Section(section), range, expected });
        }
        Ok(Self { part: part.clone(), group, rows, files, pieces })
    }

    fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.expected.size)).sum()
    }
}

impl OpenPart {
    /// The metadata of a file.
    fn footer(&self, file: usize) -> Result<&Footer> {
        let missing = || Error::corrupt("the index lacks a file of a part");
        let known = self.footers.get(file).ok_or_else(missing)?;
        if let Some(footer) = known.get() {
            return Ok(footer);
        }
        let footer = Footer::parse(&self.layout.files.get(file).ok_or_else(missing)?.footer)?;
        Ok(known.get_or_init(|| footer))
    }

    /// The object of a piece.
    fn key(&self, of: PieceOf) -> &str {
        match of {
            PieceOf::File(file) => self.layout.files.get(file).map_or("", |file| &file.path),
            PieceOf::Section(_) => &self.layout.exact,
        }
    }

    /// From its pages.
    pub(super) fn new(
        contig: u32,
        spatial: Vec<Spatial>,
        quality: Vec<Quality>,
        layout: Layout,
    ) -> Result<Self> {
        let footers = layout.files.iter().map(|_| OnceLock::new()).collect();
        if layout.digests.len() != spatial.len() {
            return Err(Error::corrupt("the pages of the index disagree on the row groups"));
        }
        Ok(Self { contig, spatial, quality, layout, footers })
    }
}

/// Asks for the next row groups together.
fn start(
    store: &Store,
    tasks: &mut impl Iterator<Item = Task>,
) -> (Vec<Task>, Pending<Vec<Bytes>>) {
    let (mut group, mut requests) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while bytes < GROUP_BYTES {
        let Some(task) = tasks.next() else { break };
        bytes += task.bytes();
        requests.extend(
            task.pieces
                .iter()
                .map(|piece| RangeRequest::new(task.part.key(piece.file), piece.range.clone())),
        );
        group.push(task);
    }
    (group, store.start_get_ranges(&requests))
}

type Planned = (Details, Contigs, Selection, Schema, Vec<Arc<OpenPart>>);

/// Fetches the schema and the pages of the parts that places may be in, all at once.
fn fetch_plan(store: &Store, dataset: &Dataset, places: &Places) -> Result<Planned> {
    let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
    let contigs = details.dictionary().at(|| store.name(""))?;
    let selection = match Selection::new(places, &contigs) {
        Ok(selection) => selection,
        // The header may have contigs that no variant lies on.
        Err(error) if error.kind() == ErrorKind::Usage => {
            let (schema, _) = fetch_index(store, dataset.manifest(), &[])?;
            Selection::new(places, &with_header(&contigs, &schema)?)?
        }
        Err(error) => return Err(error),
    };
    let parts = details.index.read().at(|| store.name(""))?;
    let parts: Vec<Part> =
        parts.into_iter().filter(|part| selection.may_be_in_part(part)).collect();
    let (schema, parts) = fetch_index(store, dataset.manifest(), &parts)?;
    Ok((details, contigs, selection, schema, parts))
}

/// The dictionary with the contigs of the header besides.
fn with_header(contigs: &Contigs, schema: &Schema) -> Result<Contigs> {
    let header = String::from_utf8_lossy(&schema.header);
    let declared = header.lines().filter_map(|line| {
        let fields = line.strip_prefix("##contig=<")?.trim_end_matches('>');
        fields.split(',').find_map(|field| field.strip_prefix("ID="))
    });
    let mut all: Vec<Contig> = contigs.iter().cloned().collect();
    for name in declared {
        if !all.iter().any(|contig| contig.name == name) {
            all.push(Contig { name: name.to_owned(), length: 0, md5: None });
        }
    }
    Contigs::new(all)
}

/// Fetches the schema and the pages of `parts`.
fn fetch_index(
    store: &Store,
    manifest: &Manifest,
    parts: &[Part],
) -> Result<(Schema, Vec<Arc<OpenPart>>)> {
    let object = |kind: &str| -> Result<&ObjectRef> {
        let found = manifest.objects.iter().find(|object| object.kind == kind);
        found.ok_or_else(|| {
            Error::corrupt(format!("the manifest lists no {kind}")).at(store.name(""))
        })
    };
    let schema = object(manifest::SCHEMA_KIND)?;
    let mut requests = vec![RangeRequest::new(schema.path.clone(), 0..schema.size_bytes)];
    for (at, kind) in index::KINDS.into_iter().enumerate() {
        let object = object(kind)?;
        requests.extend(parts.iter().map(|part| {
            let page = part.pages[at];
            RangeRequest::new(
                object.path.clone(),
                page.offset..page.offset.saturating_add(u64::from(page.size)),
            )
        }));
    }
    let fetched = store.get_ranges(&requests)?;
    let (json, pages) =
        fetched.split_first().ok_or_else(|| Error::internal("nothing was fetched"))?;
    if Checksum::of(json) != schema.checksum {
        return Err(Error::corrupt("the object does not match its checksum")
            .expected(schema.checksum)
            .found(Checksum::of(json))
            .help("restore the object from a copy")
            .at(store.name(&schema.path)));
    }
    let (schema, _) = Schema::unpack(json).at(|| store.name(&schema.path))?;
    let mut open = Vec::with_capacity(parts.len());
    let page =
        |kind: usize, at: usize| pages.get(kind * parts.len() + at).map_or(&[][..], |bytes| bytes);
    let name = |kind: usize| {
        object(index::KINDS[kind]).map_or_else(|_| String::new(), |object| store.name(&object.path))
    };
    for (at, part) in parts.iter().enumerate() {
        let spatial = index::decode_spatial(&part.pages[index::SPATIAL], page(index::SPATIAL, at))
            .at(|| name(index::SPATIAL))?;
        let quality = index::decode_quality(&part.pages[index::QUALITY], page(index::QUALITY, at))
            .at(|| name(index::QUALITY))?;
        let layout = index::decode_layout(&part.pages[index::LAYOUT], page(index::LAYOUT, at))
            .at(|| name(index::LAYOUT))?;
        let part =
            OpenPart::new(part.contig, spatial, quality, layout).at(|| name(index::LAYOUT))?;
        open.push(Arc::new(part));
    }
    Ok((schema, open))
}

/// The objects that the index knows, to compare with those of the manifest.
pub(super) fn objects_of(reader: &Reader) -> HashSet<String> {
    let mut keys = HashSet::new();
    for part in &reader.parts.list {
        keys.extend(part.layout.files.iter().map(|file| file.path.clone()));
        keys.insert(part.layout.exact.clone());
    }
    keys
}
