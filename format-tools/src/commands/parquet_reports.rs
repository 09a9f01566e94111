//! `ht-info` and `parquet-check`: what a table is, and how an export is laid out.

use clap::Args;
use genomic_objects::error::{Error, Result};
use genomic_objects::hail::Table;
use genomic_objects::hive::{Check, CheckOptions, ContigCheck, Target, check};
use genomic_objects::store::Store;
use serde_json::{Value, json};

use crate::options::{Messages, Stores, Threads};
use crate::output;
use crate::units::{self, parse_size};

/// Describe a Hail Table from its metadata; reads no partition
#[derive(Args, Clone, Debug)]
pub(crate) struct HtInfo {
    /// Hail Table: a folder or a URL that ends in .ht
    #[arg(value_name = "TABLE")]
    table: String,

    /// Print every partition: file, rows, bytes, range bounds
    #[arg(long)]
    partitions: bool,

    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Check that queries of partitioned Parquet skip what they need not read; reads footers only
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit code 1 when files or row groups overlap, sizes are skewed, statistics are missing, a file is not
as the manifest has it, or a query of 1 kb would read more than --max-query-bytes.")]
pub(crate) struct ParquetCheck {
    /// Folder of contig=…/*.parquet, or its URL
    #[arg(value_name = "DIR")]
    folder: String,

    /// Most bytes of row groups that a query of 1 kb may read on average
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = parse_size)]
    max_query_bytes: u64,

    /// Print every file and row group with its range of positions
    #[arg(long)]
    files: bool,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl HtInfo {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.table, &self.stores.options())?;
        let table = Table::open(&store)?;
        let of = table.table_type();
        let sizes = table.sizes()?;
        let references = table.references()?;
        let globals = table.globals_json()?;
        let schema = table.schema();
        if self.messages.json {
            let partitions: Vec<Value> = table
                .partitions()
                .zip(&sizes)
                .map(|(partition, bytes)| {
                    json!({
                        "file": partition.name,
                        "rows": partition.rows,
                        "bytes": bytes,
                        "bounds": partition.bounds.text(),
                    })
                })
                .collect();
            let fields: Vec<Value> = schema
                .fields()
                .iter()
                .zip(of.row.fields())
                .map(|(field, (name, of))| {
                    json!({ "name": name, "type": of.to_string(), "arrow": field.data_type().to_string() })
                })
                .collect();
            let json = json!({
                "format": "hail-table",
                "file_version": table.file_version(),
                "hail_version": table.hail_version(),
                "key": of.key,
                "rows": table.rows(),
                "partitions": sizes.len(),
                "bytes": sizes.iter().sum::<u64>(),
                "codec": table.codec(),
                "references": references.iter().map(|(name, contigs)| json!({
                    "name": name,
                    "contigs": contigs.as_ref().map(Vec::len),
                })).collect::<Vec<_>>(),
                "globals_type": of.globals.to_string(),
                "globals": globals,
                "fields": fields,
                "partition_list": if self.partitions { json!(partitions) } else { Value::Null },
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
        line("format", format!("Hail Table {}", table.file_version()));
        line("written by", format!("Hail {}", table.hail_version()));
        line("key", if of.key.is_empty() { "none".to_owned() } else { of.key.join(", ") });
        line("rows", units::count(table.rows()));
        let empty = table.partitions().filter(|partition| partition.rows == 0).count();
        let total: u64 = sizes.iter().sum();
        let mut shown =
            format!("{} of {} in all", units::count(sizes.len() as u64), units::bytes(total));
        if empty > 0 {
            shown += &format!(", {empty} without rows");
        }
        line("partitions", shown);
        let most = table.partitions().map(|partition| partition.rows).max().unwrap_or(0);
        line("largest", format!("{} rows", units::count(most)));
        line("codec", table.codec());
        for (name, contigs) in &references {
            let contigs = contigs.as_ref().map_or_else(
                || "known to Hail".to_owned(),
                |contigs| format!("{} contigs, of the table's own", contigs.len()),
            );
            line("reference", format!("{name}, {contigs}"));
        }
        line("globals", globals.map_or_else(|| "none".to_owned(), |globals| globals.to_string()));
        text += "\nrow\n";
        for (field, (name, of)) in schema.fields().iter().zip(of.row.fields()) {
            text += &format!("  {name}: {of}\n    {}\n", field.data_type());
        }
        if self.partitions {
            text += "\npartitions\n";
            for (partition, bytes) in table.partitions().zip(&sizes) {
                text += &format!(
                    "  {}\t{} rows\t{bytes} bytes\t{}\n",
                    partition.name,
                    partition.rows,
                    partition.bounds.text()
                );
            }
        }
        output::print(&text)
    }
}

impl ParquetCheck {
    pub(crate) fn run(self) -> Result<()> {
        let target = Target::open(&self.folder, &self.stores.options())?;
        let options = CheckOptions {
            threads: self.threads.count().get(),
            max_query_bytes: self.max_query_bytes,
            ..CheckOptions::default()
        };
        let mut found = check(&target, options)?;
        let text = match self.messages.json {
            true => {
                if !self.files {
                    found.details.clear();
                }
                format!("{}\n", json!(found))
            }
            false => describe(&found, self.files),
        };
        output::print(&text)?;
        if found.problems.is_empty() {
            return Ok(());
        }
        Err(Error::input(format!(
            "queries would read more than they need, or rows are not as they should be: {}",
            found.problems.iter().take(20).cloned().collect::<Vec<_>>().join("; ")
        ))
        .help("write it again from its source")
        .at(target.name()))
    }
}

fn describe(found: &Check, with_files: bool) -> String {
    let mut text = format!(
        "{} rows, {} in {} files of {} contigs; {}\n\n",
        units::count(found.rows),
        units::bytes(found.bytes),
        units::count(found.files),
        found.contigs.len(),
        if found.has_manifest { "as the manifest has them" } else { "no manifest" },
    );
    text += &format!(
        "{:<16}{:>7}{:>10}{:>10}{:>10}{:>8}{:>26}{:>12}{:>10}{:>11}{:>12}\n",
        "contig",
        "files",
        "bytes",
        "median",
        "largest",
        "groups",
        "positions",
        "width",
        "overlaps",
        "footers",
        "1 kb reads"
    );
    for of in &found.contigs {
        text += &contig_line(of);
    }
    text += "\nencodings\n";
    for (column, encodings) in &found.encodings {
        text += &format!("  {column:<50}{}\n", encodings.join(", "));
    }
    if with_files {
        text += "\nfiles\n";
        for file in &found.details {
            text += &format!("  {}\t{} rows\t{} bytes\n", file.path, file.rows, file.bytes);
            for (at, group) in file.groups.iter().enumerate() {
                let range = group.positions.map_or_else(
                    || "no statistics".to_owned(),
                    |(first, last)| format!("{first}-{last}"),
                );
                text += &format!("    {at}\t{} rows\t{} bytes\t{range}\n", group.rows, group.bytes);
            }
        }
    }
    text
}

fn contig_line(of: &ContigCheck) -> String {
    let positions = of.positions.map_or_else(String::new, |(first, last)| {
        format!("{}-{}", units::count(first.unsigned_abs()), units::count(last.unsigned_abs()))
    });
    format!(
        "{:<16}{:>7}{:>10}{:>10}{:>10}{:>8}{:>26}{:>12}{:>10}{:>11}{:>12}\n",
        of.contig,
        units::count(of.files),
        units::bytes(of.bytes),
        units::bytes(of.median_bytes),
        units::bytes(of.largest_bytes),
        units::count(of.row_groups),
        positions,
        units::count(of.mean_group_width),
        of.overlapping_files + of.overlapping_groups,
        units::bytes(of.footer_bytes),
        units::bytes(of.query_bytes),
    )
}
