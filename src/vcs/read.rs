//! Asking a dataset: open, plan, fetch, decode.
//!
//! A cold query costs three dependent round trips: the manifest; the schema and the index pages of
//! the parts that its places overlap, with a look for a newer version beside them; the columns.
//! Every byte that is used is checked against the index first.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;

use super::calls;
use super::column::View;
use super::group::Decoded;
use super::index::{self, Layout, Quality, Spatial};
use super::manifest::Details;
use super::needs::Needs;
use super::open::fetch_plan;
use super::places::{Places, Selection};
use super::plan::{OpenPart, PieceOf, Roots, Task, start};
use super::schema::Schema;
use super::sites::{SiteView, fixed};
use crate::dataset::{At, Dataset};
use crate::error::{Context, Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::pipeline::ordered_by_weight;
use crate::store::{Meter, Pending, Store, Traffic};

/// Sets of row groups that are on their way while earlier ones are decoded.
const GROUPS_AHEAD: usize = 3;
/// Fetched bytes that may wait to be decoded, or decoded for the consumer.
const BYTES_IN_FLIGHT: usize = 48 << 20;

/// Decides from the index whether a row group may have what is looked for.
pub type Prune<'a> = dyn Fn(&Quality) -> bool + Sync + 'a;

/// A row group of those that a reader looks at: its part, and its place in that.
pub type GroupId = (usize, usize);

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
    /// What was moved for it.
    #[serde(flatten)]
    pub traffic: Traffic,
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

/// A row group that was read.
pub struct Loaded {
    schema: Arc<Schema>,
    decoded: Decoded,
    /// The columns of blocks of samples that were read.
    pub(super) blocks: Vec<Option<RecordBatch>>,
    /// The columns of sites that were read, in the order of the file.
    pub batch: RecordBatch,
    /// Which row group it is.
    pub group: GroupId,
    /// The rows that were asked for, by place or one by one.
    pub rows: Vec<usize>,
    /// BLAKE3 of the row group's lines.
    pub digest: [u8; 32],
    /// How many rows the row group has.
    pub total_rows: usize,
    samples: Vec<usize>,
}

impl Loaded {
    /// The columns.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

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

    /// The filters of FILTER that the index names, where row groups have few.
    pub fn filters(&self) -> BTreeSet<&str> {
        let qualities = self.parts.list.iter().flat_map(|part| &part.quality);
        let texts = qualities.filter_map(|quality| quality.filters.as_ref()).flatten();
        let names = texts.flat_map(|text| text.split(';'));
        names.filter(|name| !name.is_empty() && *name != ".").collect()
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

    /// As [`scan`](Self::scan), of some rows of some row groups.
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan).
    pub fn scan_rows<T: Send>(
        &self,
        needs: &Needs,
        rows: &BTreeMap<GroupId, Vec<usize>>,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Loaded) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let tasks = self.parts.tasks_of(needs, rows)?;
        let stats = self.parts.run(needs, tasks, threads, max_bytes, work, sink)?;
        Ok(stats.with(&self.cost()))
    }

    /// What the manifest and the index alone have cost so far.
    pub fn cost(&self) -> QueryStats {
        let meter = self.parts.store.meter().since(&self.opened_at);
        QueryStats {
            row_groups_total: self.details.index.row_groups,
            traffic: Traffic { bytes_total: self.details.chunk_bytes(), ..Traffic::default() }
                .metered(&meter),
            ..QueryStats::default()
        }
    }
}

impl QueryStats {
    fn with(self, cost: &Self) -> Self {
        Self {
            row_groups_total: cost.row_groups_total,
            traffic: Traffic { bytes_used: self.traffic.bytes_used, ..cost.traffic },
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

    /// Parts whose index pages were read.
    pub(super) fn of(store: &Store, schema: Schema, list: Vec<Arc<OpenPart>>) -> Self {
        let (store, schema) = (store.clone(), Arc::new(schema));
        Self { store, schema, selection: Selection::default(), list }
    }

    /// As [`Reader::scan`], without what the store counted.
    pub(super) fn scan<T: Send>(
        &self,
        needs: &Needs,
        prune: &Prune<'_>,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Loaded) -> Result<T> + Sync,
        sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        self.run(needs, self.tasks(needs, prune)?, threads, max_bytes, work, sink)
    }

    fn run<T: Send>(
        &self,
        needs: &Needs,
        tasks: Vec<Task>,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(&Loaded) -> Result<T> + Sync,
        mut sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let wanted = tasks.iter().map(Task::bytes).sum();
        let mut stats = QueryStats {
            row_groups: tasks.len() as u64,
            records_decoded: tasks.iter().map(|task| task.rows as u64).sum(),
            traffic: Traffic { bytes_used: wanted, ..Traffic::default() },
            ..QueryStats::default()
        };
        if let Some(limit) = max_bytes.filter(|&limit| wanted > limit) {
            return Err(Error::usage("the query would fetch more than --max-bytes allows")
                .expected(format!("at most {limit} bytes"))
                .found(format!("{wanted} bytes in {} row groups", tasks.len()))
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
        for (number, part) in self.list.iter().enumerate() {
            for (group, spatial) in part.spatial.iter().enumerate() {
                let quality = part.quality.get(group);
                let may = self.selection.may_be_in_group(part.contig, spatial)
                    && quality.is_none_or(prune);
                if may {
                    let id = (number, group);
                    tasks.push(Task::new(part, id, spatial.rows as usize, None, &roots)?);
                }
            }
        }
        Ok(tasks)
    }

    fn tasks_of(&self, needs: &Needs, rows: &BTreeMap<GroupId, Vec<usize>>) -> Result<Vec<Task>> {
        let roots = Roots::new(&self.schema, needs, true);
        let task = |(&id, rows): (&GroupId, &Vec<usize>)| {
            let part = self.list.get(id.0);
            let found = part.and_then(|part| Some((part, part.spatial.get(id.1)?)));
            let (part, spatial) =
                found.ok_or_else(|| Error::internal("a row group that is not there"))?;
            Task::new(part, id, spatial.rows as usize, Some(rows.clone()), &roots)
        };
        rows.iter().map(task).collect()
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
            let read = footer.read(task.id.1, roots, parts).at(|| place(PieceOf::File(*file)))?;
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
        let selected = match &task.wanted {
            Some(wanted) => wanted.clone(),
            None => self.rows_of(task, &decoded)?,
        };
        Ok(Loaded {
            group: task.id,
            schema: self.schema.clone(),
            rows: selected,
            total_rows: rows,
            digest: part.layout.digests.get(task.id.1).copied().unwrap_or_default(),
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

/// The objects that the index knows, to compare with those of the manifest.
pub(super) fn objects_of(reader: &Reader) -> HashSet<String> {
    let mut keys = HashSet::new();
    for part in &reader.parts.list {
        keys.extend(part.layout.files.iter().map(|file| file.path.clone()));
        keys.insert(part.layout.exact.clone());
    }
    keys
}
