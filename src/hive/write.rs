//! An export: preflight, tasks in parallel, manifest.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use serde_json::{Value, json};

use super::files::{Files, Written, check_order};
use super::group::{GroupLimits, Grouper};
use super::manifest::{ColumnEntry, FORMAT, FileEntry, Manifest, VERSION, folder_of};
use super::parquet::kind_of;
use super::resume::{Notes, difference};
use super::source::{Source, Task};
use super::target::Target;
use crate::columnar::{Kind, PageCompression, ParquetFile};
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, ordered_by_weight};
use crate::store::Creation;

/// Bytes of a row group's values, before compression: some 5,000 rows and 0.25 MB of VRS in the
/// file. Smaller ones make reading and writing all of a table dearer, by 5 % to 8 % from twice this.
const GROUP_BYTES: u64 = 1 << 20;
/// Where there are many columns, bytes of a row group for each of them: each costs some 100 bytes
/// of metadata in every row group.
const GROUP_BYTES_PER_COLUMN: u64 = 32 << 10;
/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;
/// Bytes of a file.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes that a task needs whatever its size: two fetches under way, and codecs.
const TASK_BYTES: u64 = 20 << 20;
/// What holds the folder that keeps contigs from being read as numbers.
const PLACEHOLDER: &str = "_";

/// How an export is written.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// How pages are compressed.
    pub compression: PageCompression,
    /// Most rows of a row group.
    pub row_group_rows: usize,
    /// Most bytes of a row group's values, before compression; by default 1 MiB, or more where
    /// there are many columns.
    pub row_group_bytes: Option<u64>,
    /// Most bytes of a file.
    pub target_file_bytes: u64,
    /// Sort the rows of each task in memory; else they must come in order of position.
    pub sort: bool,
    /// Go on with an export that was interrupted.
    pub resume: bool,
    /// Threads that decode and encode.
    pub threads: usize,
    /// Bytes of memory that work under way may take.
    pub memory: u64,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            // Of higher levels the files are no smaller, and cost more to write.
            compression: PageCompression::Zstd(1),
            row_group_rows: GROUP_ROWS,
            row_group_bytes: None,
            target_file_bytes: FILE_BYTES,
            sort: false,
            resume: false,
            threads: 1,
            memory: 1 << 30,
        }
    }
}

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// How many rows were written, by this call or before it was resumed.
    pub rows: u64,
    /// How many files there are.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their row groups.
    pub row_groups: u64,
    /// How many contigs they are of.
    pub contigs: u64,
    /// How many files an interrupted export had written already.
    pub files_before: u64,
}

/// A contig in a [`Preflight`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ContigPlan {
    /// Its name.
    pub contig: String,
    /// How many partitions of a Hail Table it has rows in, or windows of a dataset.
    pub partitions: u64,
    /// Its rows, before intervals are applied.
    pub rows: u64,
    /// Bytes that they take in the source.
    pub source_bytes: u64,
    /// Bytes that they are likely to take in Parquet, by those of a sample.
    pub estimated_bytes: u64,
    /// How many files they are likely to be.
    pub estimated_files: u64,
}

/// What an export would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Preflight {
    /// Its contigs, in order.
    pub contigs: Vec<ContigPlan>,
    /// The columns of its files.
    pub columns: SchemaRef,
    /// The first files of each contig, by name.
    pub first_files: Vec<String>,
    /// The options that its bytes depend on.
    pub options: Value,
}

/// What the work on every task needs.
struct Job<'a, S: Source> {
    source: &'a S,
    target: &'a Target,
    kind: Kind,
    limits: GroupLimits,
    options: &'a ExportOptions,
}

impl<'a, S: Source> Job<'a, S> {
    fn new(source: &'a S, target: &'a Target, options: &'a ExportOptions) -> Result<Self> {
        let kind = kind_of(source.schema(), options.compression)?;
        let default = GROUP_BYTES.max(GROUP_BYTES_PER_COLUMN * kind.leaves()? as u64);
        let bytes = options.row_group_bytes.unwrap_or(default).clamp(1, 1 << 30);
        let limits = GroupLimits { rows: options.row_group_rows.max(1), bytes };
        Ok(Self { source, target, kind, limits, options })
    }

    /// The options that bytes depend on.
    fn choices(&self) -> Value {
        json!({
            "compression": self.options.compression.name(),
            "row_group_rows": self.limits.rows,
            "row_group_bytes": self.limits.bytes,
            "target_file_bytes": self.options.target_file_bytes,
            "sort_within_partitions": self.options.sort,
            "source": self.source.choices(),
        })
    }

    /// Turns a task into files, which are on their way when this returns.
    fn run(&self, task: usize, ahead: S::Ahead) -> Result<Written> {
        let of = self.task(task)?;
        let store = self.target.files();
        let mut files = Files::new(store, &self.kind, of, self.options.target_file_bytes);
        let mut groups = Grouper::new(self.limits, self.source.orders_alleles(), self.options.sort);
        let GroupLimits { rows, bytes } = self.limits;
        let read = || {
            self.source.read(ahead, task, rows, bytes, &mut |batch, bytes| {
                groups.push(batch, bytes, &mut |group| files.push(&group))?;
                Ok(true)
            })?;
            groups.finish(&mut |group| files.push(&group))
        };
        read().at(|| format!("contig {}, part {}", of.contig, of.number))?;
        files.finish()
    }

    fn task(&self, task: usize) -> Result<&Task> {
        let of = self.source.tasks().get(task);
        of.ok_or_else(|| Error::internal("a task that the source does not have"))
    }

    /// Bytes of memory that a task takes while it is under way.
    fn weight(&self, task: &Task) -> u64 {
        // A file in the making, one on its way, and what both are made of.
        let file = task.bytes.saturating_mul(2).min(self.options.target_file_bytes);
        let rows = if self.options.sort { task.bytes.saturating_mul(16) } else { 0 };
        3 * file + 6 * self.limits.bytes + TASK_BYTES.min(2 * task.bytes + (4 << 20)) + rows
    }
}

/// Finds out what an export would do; reads the beginning of one task.
///
/// # Errors
///
/// When the source cannot be read.
pub fn preflight<S: Source>(
    source: &S,
    target: &Target,
    options: &ExportOptions,
) -> Result<Preflight> {
    let job = Job::new(source, target, options)?;
    let (sample_rows, sample_bytes) = sample(&job)?;
    let estimate = |rows: u64| {
        (u128::from(rows) * u128::from(sample_bytes) / u128::from(sample_rows.max(1))) as u64
    };
    let mut contigs: Vec<ContigPlan> = Vec::new();
    let mut first_files = Vec::new();
    for task in source.tasks() {
        if contigs.last().is_none_or(|last| last.contig != task.contig) {
            contigs.push(ContigPlan {
                contig: task.contig.clone(),
                partitions: 0,
                rows: 0,
                source_bytes: 0,
                estimated_bytes: 0,
                estimated_files: 0,
            });
            let folder = folder_of(&task.contig);
            first_files.push(format!("{folder}/part-{:05}-000.parquet", task.number));
        }
        let Some(of) = contigs.last_mut() else { continue };
        let bytes = estimate(task.rows);
        of.partitions += task.parts;
        of.rows += task.rows;
        of.source_bytes += task.bytes;
        of.estimated_bytes += bytes;
        of.estimated_files += bytes.div_ceil(options.target_file_bytes.max(1)).max(1);
    }
    Ok(Preflight { contigs, columns: source.schema(), first_files, options: job.choices() })
}

/// Rows and bytes of a row group of the largest task.
fn sample<S: Source>(job: &Job<'_, S>) -> Result<(u64, u64)> {
    let tasks = job.source.tasks().iter().enumerate();
    let Some((largest, _)) = tasks.max_by_key(|(_, task)| task.rows) else { return Ok((0, 0)) };
    let (mut rows, mut bytes) = (0, 0);
    let ahead = job.source.ahead(largest)?;
    job.source.read(ahead, largest, job.limits.rows, job.limits.bytes, &mut |batch, _| {
        let mut file = ParquetFile::new(&job.kind)?;
        file.push(job.kind.encode(batch.columns())?)?;
        rows += batch.num_rows() as u64;
        bytes += file.len() as u64;
        Ok(false)
    })?;
    Ok((rows, bytes))
}

/// Writes all rows of `source` to `target`.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) where the target is not empty, unless `resume` is set
/// and it is of the same export; what the source and the store report. Then whole files are left,
/// and notes by which the same call with `resume` goes on.
pub fn export<S: Source>(
    source: &S,
    target: &Target,
    options: &ExportOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let job = Job::new(source, target, options)?;
    let plan = json!({
        "format": FORMAT,
        "version": VERSION,
        "source": source.origin(),
        "options": job.choices(),
    });
    if let Some(manifest) = target.manifest()? {
        return already(target, &manifest, &plan, options.resume);
    }
    let (mut notes, done) = start(target, &plan, options.resume)?;
    let tasks = source.tasks();
    if done.len() > tasks.len() {
        return Err(Error::internal("notes of more tasks than there are"));
    }
    progress.set_total_items(tasks.iter().map(|task| task.rows).sum());
    let mut files: Vec<FileEntry> = done.iter().flatten().cloned().collect();
    let files_before = files.len() as u64;
    progress.add_items(files.iter().map(|file| file.rows).sum());

    let heaviest = tasks.iter().map(|task| job.weight(task)).max().unwrap_or(0);
    let memory = usize::try_from(options.memory.saturating_sub(heaviest)).unwrap_or(usize::MAX);
    let mut next = done.len()..tasks.len();
    ordered_by_weight(
        options.threads,
        memory.max(1),
        |(task, _)| {
            let weight = tasks.get(*task).map_or(0, |of| job.weight(of));
            usize::try_from(weight).unwrap_or(usize::MAX)
        },
        || next.next().map(|task| Ok((task, source.ahead(task)?))).transpose(),
        |(task, ahead)| job.run(task, ahead),
        |written| {
            let written = written.wait()?;
            for file in &written {
                if let Some(before) = files.last() {
                    check_order(before, file)?;
                }
                progress.add_items(file.rows);
                progress.add_bytes_out(file.bytes);
                files.push(file.clone());
            }
            notes.add(&written)
        },
    )?;
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    if let Some(expected) = source.expected_rows().filter(|&expected| expected != rows) {
        return Err(Error::corrupt("other rows were written than the source has")
            .expected(format!("{expected} rows"))
            .found(format!("{rows} rows")));
    }
    let placeholder = placeholder(&job, &files)?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION.to_owned(),
        source: source.origin().clone(),
        options: job.choices(),
        columns: columns_of(&source.schema()),
        rows,
        files,
        placeholder,
    };
    commit(target, &manifest)?;
    Ok(Summary { files_before, ..summary_of(&manifest) })
}

/// What to say where an export is complete already.
fn already(target: &Target, manifest: &[u8], plan: &Value, resume: bool) -> Result<Summary> {
    let exists = |what: &str| Error::exists(what).at(target.manifest_name());
    if !resume {
        return Err(exists("there is an export already")
            .help("choose another output, or delete the folder and its manifest"));
    }
    let found: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| exists("there is something else already").caused_by(error))?;
    let there = json!({ "source": found.source, "options": found.options });
    let wanted = json!({ "source": plan["source"], "options": plan["options"] });
    if there != wanted {
        return Err(exists("there is an export of another source, or with other options")
            .found(difference(&there, &wanted))
            .help("choose another output"));
    }
    let files_before = found.files.len() as u64;
    Ok(Summary { files_before, ..summary_of(&found) })
}

/// Begins an export, or goes on with one.
fn start<'a>(
    target: &'a Target,
    plan: &Value,
    resume: bool,
) -> Result<(Notes<'a>, Vec<Vec<FileEntry>>)> {
    if resume {
        target.files().remove_staged()?;
        if let Some(found) = Notes::go_on(target, plan)? {
            return Ok(found);
        }
    }
    if Notes::exist(target)? {
        return Err(Error::exists("an export was begun here and did not end")
            .help("go on with --resume and the same options, or delete the folder and its notes")
            .at(target.name()));
    }
    if !target.files().list("")?.is_empty() {
        return Err(Error::exists("the output folder is not empty")
            .help("choose another, or delete it")
            .at(target.name()));
    }
    Ok((Notes::begin(target, plan)?, Vec::new()))
}

/// Puts an empty file where engines would take the names of all contigs for numbers or dates, or
/// find no file at all.
fn placeholder<S: Source>(job: &Job<'_, S>, files: &[FileEntry]) -> Result<Option<String>> {
    let mut contigs = job.source.tasks().iter().map(|task| task.contig.as_str());
    let has_letters = contigs.any(|contig| contig.chars().any(char::is_alphabetic));
    if has_letters && !files.is_empty() {
        return Ok(None);
    }
    let path = format!("contig={PLACEHOLDER}/part-00000-000.parquet");
    let (empty, _) = ParquetFile::new(&job.kind)?.finish()?;
    job.target.files().put(&path, Bytes::from(empty))?;
    Ok(Some(path))
}

/// Puts the manifest, which makes the export complete.
fn commit(target: &Target, manifest: &Manifest) -> Result<()> {
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|error| Error::internal("writing the manifest").caused_by(error))?;
    let text = Bytes::from([text.as_slice(), b"\n"].concat());
    let outcome = target.beside().create(&target.manifest_key(), text.clone())?;
    if !matches!(outcome, Creation::Created) && target.manifest()? != Some(text) {
        return Err(match outcome {
            Creation::Unknown(error) => {
                Error::outcome_unknown("the manifest may not have been written").caused_by(error)
            }
            _ => Error::conflict("another export into this folder ended first"),
        }
        .help("run the same command with --resume")
        .at(target.manifest_name()));
    }
    Notes::remove(target)
}

fn columns_of(schema: &SchemaRef) -> Vec<ColumnEntry> {
    let entry = |field: &arrow_schema::FieldRef| ColumnEntry {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(entry).collect()
}

fn summary_of(manifest: &Manifest) -> Summary {
    let mut contigs: HashMap<&str, u64> = HashMap::new();
    for file in &manifest.files {
        let folder = file.path.split('/').next().unwrap_or_default();
        *contigs.entry(folder).or_default() += 1;
    }
    Summary {
        rows: manifest.rows,
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        row_groups: manifest.files.iter().map(|file| file.row_groups).sum(),
        contigs: contigs.len() as u64,
        files_before: 0,
    }
}
