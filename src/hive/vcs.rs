//! VCS datasets, and so VCF, as a source of rows.
//!
//! A task is a window of a contig. REF and ALT are `alleles`, as in Hail; fields of INFO have
//! columns of their own names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, FieldRef, Schema as Columns, SchemaRef};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::columns::{Flatten, Names};
use super::files::hex;
use super::manifest::Origin;
use super::plan::MIN_FILE_BYTES;
use super::source::{Sink, Source, Task};
use crate::dataset::At;
use crate::error::{Context, Error, Result};
use crate::store::Store;
use crate::vcs::needs::Needs;
use crate::vcs::places::Places;
use crate::vcs::read::Reader;
use crate::vcs::schema::{FIXED, ORDINAL, Schema};
use crate::vcs::table;

/// Variants of a task, about.
const TASK_ROWS: u64 = 250_000;
/// The struct that fields of INFO are in, unless it is flattened.
const INFO: &str = "info";

/// Which rows of a dataset, and how they are cut and laid out.
#[derive(Clone, Debug)]
pub struct VcsOptions {
    /// Contigs; all if `None`.
    pub contigs: Option<Vec<String>>,
    /// Intervals: contig, first and last position, 1-based. All rows if empty.
    pub intervals: Vec<(String, i64, i64)>,
    /// So many tasks for a contig at most.
    pub coalesce_per_contig: Option<usize>,
    /// Otherwise windows of a contig that take about so many bytes in the dataset, at the least.
    pub min_file_bytes: u64,
    /// Whether fields of INFO become columns: if `info` is to be flattened.
    pub flatten: Flatten,
    /// Leave out the samples' columns.
    pub no_samples: bool,
    /// What the rows are of, if not of the dataset itself: a kind, and a name.
    pub made_from: Option<(String, String)>,
}

impl Default for VcsOptions {
    fn default() -> Self {
        Self {
            contigs: None,
            intervals: Vec::new(),
            coalesce_per_contig: None,
            min_file_bytes: MIN_FILE_BYTES,
            flatten: Flatten::default(),
            no_samples: false,
            made_from: None,
        }
    }
}

/// A dataset of variants, ready to be exported.
pub struct VcsSource {
    store: Store,
    at: At,
    schema: SchemaRef,
    flatten: bool,
    /// The columns that are read.
    table: table::Columns,
    info: usize,
    needs: Needs,
    origin: Origin,
    tasks: Vec<Task>,
    /// The places of each task.
    places: Vec<Vec<String>>,
    expected: Option<u64>,
    choices: Value,
}

impl VcsSource {
    /// Opens the dataset at `store` and plans its tasks.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where samples have no columns of their
    /// own and are not left out, [`Usage`](crate::error::ErrorKind::Usage) for a contig that the
    /// dataset does not have; what opening it reports.
    pub fn open(store: &Store, at: At, options: &VcsOptions) -> Result<Self> {
        let reader = Reader::open(store, at, &Places::default())?;
        // Each task opens it again, and must find the same.
        let at = At::Version(reader.dataset().manifest().dataset_version);
        let schema = reader.schema();
        let has_calls = !schema.samples.is_empty() && !schema.format.is_empty();
        if has_calls && schema.has_blocks() && !options.no_samples {
            return Err(Error::unsupported(format!(
                "the calls of {} samples lie in blocks, which are no columns",
                schema.samples.len()
            ))
            .help("leave them out with --no-samples; vcs-query and the files of _calls have them")
            .at(store.name("")));
        }
        let names: Vec<String> = FIXED
            .iter()
            .map(|&name| name.to_owned())
            .chain(schema.info.iter().map(|field| field.column.clone()))
            .chain(schema.sample_columns.iter().filter(|_| !options.no_samples).cloned())
            .collect();
        let table = table::Columns::new(schema, Some(&names), None)?;
        let needs = table.needs(schema);
        let flatten = options.flatten.has(INFO);
        let (tasks, places, expected) = plan(&reader, options)?;
        let choices = json!({
            "contigs": options.contigs,
            "intervals": options.intervals,
            "coalesce_per_contig": options.coalesce_per_contig,
            "min_file_bytes": options.min_file_bytes,
            "flatten": options.flatten.names(),
            "samples": !options.no_samples,
        });
        Ok(Self {
            store: store.clone(),
            at,
            schema: columns(schema, &table, flatten),
            flatten,
            info: schema.info.len(),
            table,
            needs,
            origin: origin(store, &reader, options)?,
            tasks,
            places,
            expected,
            choices,
        })
    }

    /// The columns of the export, of a table's.
    fn rows_of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (fixed, rest) = batch.columns().split_at(FIXED.len().min(batch.num_columns()));
        let [chrom, pos, id, reference, alternates, qual, filter, end] = fixed else {
            return Err(Error::internal("variants without their fixed columns"));
        };
        let (info, samples) = rest.split_at(self.info.min(rest.len()));
        let mut columns = vec![chrom.clone(), pos.clone(), alleles(reference, alternates)];
        columns.extend([id, qual, filter, end].map(Arc::clone));
        if self.flatten {
            columns.extend_from_slice(info);
        } else if let Some(field) = self.schema.fields().iter().find(|field| field.name() == INFO)
            && let DataType::Struct(fields) = field.data_type()
        {
            let parts = StructArray::try_new(fields.clone(), info.to_vec(), None);
            columns.push(Arc::new(parts.map_err(internal)?));
        }
        columns.extend_from_slice(samples);
        RecordBatch::try_new(self.schema.clone(), columns).map_err(internal)
    }
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::internal("choosing columns").caused_by(error)
}

/// The columns of the export.
fn columns(schema: &Schema, table: &table::Columns, flatten: bool) -> SchemaRef {
    let mut names = Names::default();
    let alleles = DataType::List(Arc::new(Field::new("element", DataType::Utf8, false)));
    let mut fields: Vec<FieldRef> = Vec::new();
    let add = |field: &FieldRef, name: &str| -> FieldRef {
        Arc::new(field.as_ref().clone().with_name(name))
    };
    let [chrom, pos, id, .., qual, filter, end] = &table.schema.fields()[..FIXED.len()] else {
        return table.schema.clone();
    };
    for (field, name) in [(chrom, "contig"), (pos, "position")] {
        fields.push(add(field, &names.unique(name, "")));
    }
    fields.push(Arc::new(Field::new(names.unique("alleles", ""), alleles, false)));
    for field in [id, qual, filter, end] {
        fields.push(add(field, &names.unique(field.name(), "")));
    }
    let info = table.schema.fields().iter().skip(FIXED.len()).take(schema.info.len());
    let info = info.zip(&schema.info);
    if flatten {
        fields.extend(info.map(|(field, of)| add(field, &names.unique(&of.id, INFO))));
    } else if !schema.info.is_empty() {
        let mut inner = Names::default();
        let parts: Vec<FieldRef> =
            info.map(|(field, of)| add(field, &inner.unique(&of.id, INFO))).collect();
        let name = names.unique(INFO, "");
        fields.push(Arc::new(Field::new(name, DataType::Struct(parts.into()), false)));
    }
    for field in table.schema.fields().iter().skip(FIXED.len() + schema.info.len()) {
        if field.name() != ORDINAL {
            fields.push(add(field, &names.unique(field.name(), "sample")));
        }
    }
    Arc::new(Columns::new(fields))
}

/// REF and the alternates, which stand in one text.
fn alleles(reference: &ArrayRef, alternates: &ArrayRef) -> ArrayRef {
    let item = Arc::new(Field::new("element", DataType::Utf8, false));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
    let (reference, alternates) = (reference.as_string::<i32>(), alternates.as_string::<i32>());
    for row in 0..reference.len() {
        lists.values().append_value(reference.value(row));
        if alternates.is_valid(row) {
            let alternates = alternates.value(row).split(',');
            alternates.for_each(|allele| lists.values().append_value(allele));
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

type Plan = (Vec<Task>, Vec<Vec<String>>, Option<u64>);

/// Windows of contigs, with the places that each is; and how many rows they have in all.
fn plan(reader: &Reader, options: &VcsOptions) -> Result<Plan> {
    let details = reader.details();
    let contigs = &details.chromosomes;
    let mut intervals: BTreeMap<&str, BTreeSet<(i64, i64)>> = BTreeMap::new();
    for (contig, first, last) in &options.intervals {
        intervals.entry(contig).or_default().insert((*first, *last));
    }
    let asked =
        options.contigs.iter().flatten().map(String::as_str).chain(intervals.keys().copied());
    for name in asked {
        if !contigs.iter().any(|contig| contig == name) {
            let names: Vec<&str> = contigs.iter().take(30).map(String::as_str).collect();
            return Err(Error::usage(format!("there are no variants of contig {name:?}"))
                .help(format!("there are of {}", names.join(", "))));
        }
    }
    let bytes = details.chunk_bytes();
    let (mut tasks, mut places, mut expected) = (Vec::new(), Vec::new(), 0);
    for (at, contig) in contigs.iter().enumerate() {
        let chosen = options.contigs.as_ref().is_none_or(|names| names.contains(contig));
        let is_inside = intervals.is_empty() || intervals.contains_key(contig.as_str());
        if !chosen || !is_inside {
            continue;
        }
        let rows = details.contigs.variants.get(at).copied().unwrap_or(0);
        let length = details.contigs.lengths.get(at).copied().unwrap_or(0);
        expected += rows;
        let share = |rows: u64| {
            (u128::from(bytes) * u128::from(rows) / u128::from(details.variant_count.max(1))) as u64
        };
        let task = |number: u64, rows: u64| Task {
            contig: contig.clone(),
            number,
            rows,
            bytes: share(rows),
            parts: 1,
        };
        if let Some(intervals) = intervals.get(contig.as_str()) {
            let own = intervals.iter().map(|(first, last)| format!("{{{contig}}}:{first}-{last}"));
            places.push(own.collect());
            tasks.push(task(0, rows));
            continue;
        }
        let most = match options.coalesce_per_contig {
            Some(most) => most.max(1) as u64,
            None => (share(rows) / options.min_file_bytes.max(1)).max(1),
        };
        let windows = if length == 0 { 1 } else { rows.div_ceil(TASK_ROWS).clamp(1, most) };
        let width = length.div_ceil(windows).max(1);
        for window in 0..windows {
            let first = window * width + 1;
            let place = match (window, window + 1 == windows) {
                (0, true) => format!("{{{contig}}}"),
                (0, false) => format!("{{{contig}}}:-{width}"),
                // What lies beyond the contig's end is of the last one.
                (_, true) => format!("{{{contig}}}:{first}"),
                _ => format!("{{{contig}}}:{first}-{}", first + width - 1),
            };
            let rows = rows / windows;
            places.push(vec![place]);
            tasks.push(task(window, rows));
        }
    }
    Ok((tasks, places, intervals.is_empty().then_some(expected)))
}

fn origin(store: &Store, reader: &Reader, options: &VcsOptions) -> Result<Origin> {
    let mut digest = Sha256::new();
    digest.update(&reader.schema().header);
    for chunk in reader.dataset().chunks()?.iter() {
        // That of the lines, whatever the bytes are called.
        if let Some(of) = &chunk.digest {
            digest.update(of.to_string());
        }
    }
    let details = reader.details();
    let own = store.name("");
    let own = own.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let (kind, name) = options.made_from.clone().unwrap_or_else(|| ("vcs".to_owned(), own));
    Ok(Origin {
        kind,
        name,
        digest: format!("sha256:{}", hex(&digest.finalize())),
        rows: details.variant_count,
        details: BTreeMap::from([
            ("samples".to_owned(), json!(details.sample_count)),
            ("values_left_out".to_owned(), json!(details.exceptions)),
        ]),
    })
}

impl Source for VcsSource {
    type Ahead = ();

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    fn orders_alleles(&self) -> bool {
        false
    }

    fn choices(&self) -> Value {
        self.choices.clone()
    }

    fn expected_rows(&self) -> Option<u64> {
        self.expected
    }

    fn ahead(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn read(&self, (): (), task: usize, _: usize, _: u64, sink: &mut Sink<'_>) -> Result<()> {
        let places = self.places.get(task).cloned().unwrap_or_default();
        let places = Places { targets: places, ..Places::default() };
        let reader = Reader::open(&self.store, self.at.clone(), &places)?;
        let mut enough = false;
        let outcome = reader.scan(
            &self.needs,
            &|_| true,
            1,
            None,
            |loaded| self.rows_of(&self.table.take(loaded, &loaded.rows)?),
            |batch: RecordBatch| {
                let sizes = batch.columns().iter().map(|of| of.to_data().get_slice_memory_size());
                let bytes: usize =
                    sizes.collect::<Result<Vec<_>, _>>().map_err(internal)?.iter().sum();
                enough = !sink(batch, bytes as u64)?;
                // The only way to end a scan early.
                if enough { Err(Error::internal("enough was read")) } else { Ok(()) }
            },
        );
        if enough { Ok(()) } else { outcome.map(drop).at(|| self.store.name("")) }
    }
}
