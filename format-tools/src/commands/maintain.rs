//! `files`, `verify`, `log`, `diff`, `rollback`, `gc`: a dataset over its versions.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use genomic_objects::dataset::{
    self, At, Dataset, GcOptions, LiveObject, LogEntry, Manifest, Report,
};
use genomic_objects::error::{Error, Result};
use genomic_objects::paf;
use genomic_objects::pipeline::Progress;
use genomic_objects::ram;
use genomic_objects::srf;
use genomic_objects::store::Store;
use genomic_objects::vcs;
use serde_json::{Value, json};

use crate::environment;
use crate::options::{DatasetAt, Messages, Stores, Threads, WritableStores};
use crate::output;
use crate::report::{Summary, say};
use crate::units::{self, parse_duration};

/// List the objects of a dataset
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools files --table sites cohort.vcs
  format-tools files --duckdb cohort.vcs | duckdb")]
pub(crate) struct Files {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Only the Parquet files of a table, a path or URL a line: sites, or calls of many samples
    #[arg(long, value_enum, value_name = "TABLE", hide_possible_values = true)]
    table: Option<Table>,

    /// Print a query of the table for DuckDB
    #[arg(long, conflicts_with = "polars")]
    duckdb: bool,

    /// Print a query of the table for Polars
    #[arg(long)]
    polars: bool,

    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Sites, and the values of few samples
    #[default]
    Sites,
    /// Values of many samples, in blocks
    Calls,
}

impl Table {
    fn folder(self) -> &'static str {
        match self {
            Self::Sites => "data/",
            Self::Calls => "_calls/",
        }
    }
}

/// Check every byte of a dataset against its checksum, and every count against the manifest
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools verify sample.paf
  format-tools verify --repair s3://bucket/sample.paf sample.paf")]
pub(crate) struct Verify {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Put back what is damaged or missing from this copy of the dataset: a folder or a URL
    #[arg(long, value_name = "FROM")]
    repair: Option<String>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// List the versions of a dataset, the newest first
#[derive(Args, Clone, Debug)]
pub(crate) struct Log {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Tell what changed between two versions of a dataset
#[derive(Args, Clone, Debug)]
pub(crate) struct Diff {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// The older version: its number or name
    #[arg(value_name = "A")]
    from: At,
    /// The newer version
    #[arg(value_name = "B")]
    to: At,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Make a new version with the content of an old one
#[derive(Args, Clone, Debug)]
pub(crate) struct Rollback {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// The version whose content to restore: its number or name
    #[arg(value_name = "N|NAME")]
    version: At,
    /// Write nothing, and tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Give up old versions and delete objects that no version kept refers to
///
/// The newest version is kept, and so is every version with a name. Without --keep and --older-than,
/// no version is given up, and only what interrupted writers left is deleted.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools gc --dry-run --older-than 30d s3://bucket/sample.paf
  format-tools gc --keep 5 --older-than 30d s3://bucket/sample.paf   gives up what both allow")]
pub(crate) struct Gc {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Give up all but so many of the newest versions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,

    /// Give up versions that were made longer ago: 30d, 12h
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Leave alone what is younger than this, for a writer may still be at work
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = parse_duration)]
    grace: Duration,
    /// Delete nothing, and list what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Files {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let dataset = Dataset::open(&store, self.dataset.version())?;
        let files = dataset.files()?;
        if self.table.is_some() || self.duckdb || self.polars {
            return self.print_table(&store, &dataset, &files);
        }
        if self.messages.json {
            let object = |file: &LiveObject| json!({ "path": file.path, "kind": file.kind, "size_bytes": file.size_bytes });
            return print_array(files.iter().map(object));
        }
        let line = |file: &LiveObject| {
            let size = file.size_bytes.map_or_else(|| "-".to_owned(), |size| size.to_string());
            format!("{}\t{}\t{size}\n", file.path, file.kind)
        };
        output::print(&files.iter().map(line).collect::<String>())
    }
}

impl Files {
    /// The Parquet files of a table, or a query over them.
    fn print_table(&self, store: &Store, dataset: &Dataset, files: &[LiveObject]) -> Result<()> {
        // Only such datasets have tables.
        vcs::manifest::Details::read(dataset.manifest())?;
        let folder = self.table.unwrap_or_default().folder();
        let is_of_table =
            |file: &&LiveObject| file.kind == "chunk" && file.path.starts_with(folder);
        let paths: Vec<String> =
            files.iter().filter(is_of_table).map(|file| store.name(&file.path)).collect();
        let quoted: Vec<String> =
            paths.iter().map(|path| format!("'{}'", path.replace('\'', "''"))).collect();
        let list = quoted.join(",\n  ");
        output::print(&match (self.duckdb, self.polars) {
            (true, _) => format!(
                "SELECT * FROM read_parquet([\n  {list}\n], hive_partitioning = false) LIMIT 10;\n"
            ),
            (_, true) => format!(
                "import polars as pl\n\nvariants = pl.scan_parquet([\n  {list}\n], \
                 hive_partitioning=False)\nprint(variants.head(10).collect())\n"
            ),
            _ => paths.iter().map(|path| format!("{path}\n")).collect::<String>(),
        })
    }
}

/// Prints a JSON array, an element a line.
fn print_array(elements: impl Iterator<Item = Value>) -> Result<()> {
    let lines: Vec<String> = elements.map(|element| element.to_string()).collect();
    output::print(&format!("[{}]\n", lines.join(",\n")))
}

impl Verify {
    pub(crate) fn run(self) -> Result<()> {
        let options = self.stores.options();
        let store = Store::open(&self.dataset.dataset, &options)?;
        let progress = Arc::new(Progress::default());
        let display = self.messages.start_progress(&progress, "verified");
        let verify = |dataset: &Dataset| -> Result<(&'static str, Report)> {
            let threads = self.threads.count().get();
            let (counted, report) = match dataset.manifest().format.as_str() {
                vcs::manifest::FORMAT => (
                    vcs::manifest::VARIANTS,
                    vcs::verify::verify(dataset, threads, Some(&progress)),
                ),
                srf::manifest::FORMAT => {
                    (srf::manifest::READS, srf::verify::verify(dataset, threads, Some(&progress)))
                }
                ram::manifest::FORMAT => {
                    (ram::manifest::READS, ram::verify::verify(dataset, threads, Some(&progress)))
                }
                _ => (paf::manifest::READS, paf::verify::verify(dataset, threads, Some(&progress))),
            };
            report.map(|report| (counted, report))
        };
        let (counted, report, restored) = match &self.repair {
            None => {
                let (counted, report) = verify(&Dataset::open(&store, self.dataset.version())?)?;
                (counted, report, Vec::new())
            }
            Some(from) => {
                let from = Store::open(from, &options)?;
                let counted = Cell::new("");
                let check = |dataset: &Dataset| {
                    let (noun, report) = verify(dataset)?;
                    counted.set(noun);
                    Ok(report)
                };
                let repaired = dataset::repair(&store, self.dataset.version(), &from, &check)?;
                (counted.get(), repaired.report, repaired.restored)
            }
        };
        drop(display);
        for path in &restored {
            self.messages.say(&format!("restored {}", store.name(path)));
        }
        for problem in &report.problems {
            say(&format!("{}: {}", store.name(&problem.path), problem.error));
        }
        for note in &report.notes {
            self.messages.say(&format!("note: {note}"));
        }
        let records = report.counts.get(counted).copied().unwrap_or(0);
        let text = format!(
            "{} objects of {} and {} {counted} checked: {}",
            units::count(report.objects),
            units::bytes(report.bytes),
            units::count(records),
            match report.problems.len() {
                0 => "all is well".to_owned(),
                problems => format!("{problems} problems"),
            },
        );
        let problem = |problem: &dataset::Problem| json!({ "path": problem.path, "error": problem.error.to_string() });
        let json = json!({
            "objects": report.objects,
            "bytes": report.bytes,
            counted: records,
            "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
            "restored": restored,
            "notes": report.notes,
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })?;
        if report.problems.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "{} objects are not as they were written",
            report.problems.len()
        ))
        .help("restore them from a copy with --repair, or convert the original again")
        .at(store.name("")))
    }
}

impl Log {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let entries = dataset::log(&store)?;
        if self.messages.json {
            return print_array(entries.iter().map(|LogEntry { manifest, kept, tags }| {
                json!({
                    "dataset_version": manifest.dataset_version,
                    "created": manifest.created,
                    "operation": manifest.operation.to_string(),
                    count_of(manifest).0: count_of(manifest).1,
                    "inputs": manifest.inputs,
                    "transaction": manifest.transaction.to_string(),
                    "tags": tags,
                    "kept": kept,
                    "purged": manifest.is_stub(),
                })
            }));
        }
        let line = |LogEntry { manifest, kept, tags }: &LogEntry| {
            let (name, count) = count_of(manifest);
            let noun = if name == "variant_count" { "variants" } else { "reads" };
            let inputs: Vec<&str> = manifest.inputs.iter().map(|i| i.name.as_str()).collect();
            format!(
                "{}\t{}\t{}\t{count} {noun}\t{}\t{}{}{}\n",
                manifest.dataset_version,
                manifest.created,
                manifest.operation,
                inputs.join(","),
                manifest.transaction,
                if tags.is_empty() { String::new() } else { format!("\t[{}]", tags.join(", ")) },
                match (*kept, manifest.is_stub()) {
                    (true, _) => "",
                    (_, true) => "\t(purged)",
                    _ => "\t(collected)",
                },
            )
        };
        output::print(&entries.iter().map(line).collect::<String>())
    }
}

/// What a manifest counts, and how many.
fn count_of(manifest: &Manifest) -> (&'static str, Value) {
    let name = match manifest.format.as_str() {
        vcs::manifest::FORMAT => "variant_count",
        srf::manifest::FORMAT => "total_reads",
        _ => "read_count",
    };
    (name, manifest.fields.get(name).cloned().unwrap_or_default())
}

impl Diff {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let open = |at| Dataset::open(&store, at);
        let difference = dataset::diff(&open(self.from)?, &open(self.to)?)?;
        if self.messages.json {
            let paths = |files: &[LiveObject]| -> Vec<String> {
                files.iter().map(|file| file.path.clone()).collect()
            };
            let json = json!({
                "removed": paths(&difference.removed),
                "added": paths(&difference.added),
                "common": difference.common,
                "counts_before": difference.counts_before,
                "counts_after": difference.counts_after,
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        for (sign, files) in [('-', &difference.removed), ('+', &difference.added)] {
            for file in files {
                text += &format!("{sign} {}\n", file.path);
            }
        }
        text += &format!("{} objects in common\n", difference.common);
        for (name, after) in &difference.counts_after {
            let before = difference.counts_before.get(name).copied().unwrap_or(0);
            text += &format!("{name}: {before} -> {after}\n");
        }
        output::print(&text)
    }
}

impl Rollback {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        if self.dry_run {
            let target = Dataset::open(&store, self.version)?;
            let source = target.manifest().dataset_version;
            let text = format!(
                "would make a new version with the {} objects of version {source}",
                target.files()?.len()
            );
            let json = json!({ "dry_run": true, "source": source });
            return self.messages.summarise(Summary { text, json, data_on_stdout: false });
        }
        let id = environment::transaction_id()?;
        let dataset = dataset::rollback(&store, &self.version, &environment::now(), id)?;
        refresh_schema(&store, &dataset)?;
        let version = dataset.manifest().dataset_version;
        let source = dataset.manifest().source.map_or(0, |source| source.version);
        let text = format!("version {version} has the content of version {source}");
        let json = json!({ "dataset_version": version, "source": source });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }
}

impl Gc {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let collected = dataset::gc(
            &store,
            &GcOptions {
                keep: self.keep,
                older_than: self.older_than,
                grace: self.grace,
                now: SystemTime::now(),
                created: environment::now(),
                id: environment::transaction_id()?,
                dry_run: self.dry_run,
            },
        )?;
        let bytes: u64 = collected.objects.iter().map(|object| object.size).sum();
        let paths: Vec<&str> = collected.objects.iter().map(|object| object.key.as_str()).collect();
        let verb = if self.dry_run { "would delete" } else { "deleted" };
        let mut text = format!(
            "{verb} {} objects of {}; all versions from {} on can be read",
            paths.len(),
            units::bytes(bytes),
            collected.oldest_version
        );
        if !collected.versions.is_empty() {
            let numbers: Vec<String> = collected.versions.iter().map(u64::to_string).collect();
            let verb = if self.dry_run { "would give up" } else { "gave up" };
            text = format!("{verb} version {}; {text}", numbers.join(", "));
        }
        if self.dry_run {
            text = paths.iter().map(|path| format!("{path}\n")).collect::<String>() + &text;
        }
        let json = json!({
            "dry_run": self.dry_run,
            "objects": paths,
            "bytes": bytes,
            "oldest_version": collected.oldest_version,
            "versions": collected.versions,
            "dataset_version": collected.version,
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }
}

/// Puts the schema of a dataset of variants at the name that people look for.
pub(super) fn refresh_schema(store: &Store, dataset: &Dataset) -> Result<()> {
    if let Some(schema) = dataset.manifest().objects_of(vcs::manifest::SCHEMA_KIND).next() {
        let (_, json) = vcs::schema::Schema::unpack(&dataset.read(schema)?)?;
        vcs::write::copy_schema(store, &json);
    }
    Ok(())
}
