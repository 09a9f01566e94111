//! What `ht-to-parquet`, `vcf-to-parquet` and `vcs-to-parquet` have in common.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::error::{Error, ErrorKind, Result};
use genomic_objects::genome::{Contig, ContigId, Contigs, Target as Place, bed};
use genomic_objects::hive::{
    ExportOptions, Flatten, PageCompression, Preflight, Source, Summary as Written, Target, export,
    preflight,
};
use genomic_objects::pipeline::Progress;
use serde_json::json;

use crate::options::{Messages, Stores, Threads};
use crate::output;
use crate::report::Summary;
use crate::units::{self, parse_size};

/// How Parquet is laid out and written.
#[derive(Args, Clone, Debug)]
pub(crate) struct ParquetOptions {
    /// How pages are compressed: zstd (level 1), zstd:LEVEL (1 to 22) or snappy
    #[arg(long, value_name = "CODEC", default_value = "zstd", value_parser = parse_compression)]
    compression: PageCompression,

    /// Contigs to write, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) contigs: Option<Vec<String>>,

    /// Regions to write, separated by commas, such as chr1:1M-2M, or BED files
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    intervals: Vec<String>,

    /// Gather each contig in at most so many files, as far as --target-file-bytes lets
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    coalesce_per_contig: Option<u32>,

    /// Sort the rows of each part in memory; not needed for input in order of position
    #[arg(long)]
    sort_within_partitions: bool,

    /// Most rows of a row group, the unit by which queries skip
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    row_group_rows: u32,

    /// Most bytes of a row group before compression [default: 1Mi, more for many columns]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    row_group_bytes: Option<u64>,

    /// Most bytes of a file; a larger part becomes several
    #[arg(long, value_name = "SIZE", default_value = "64Mi", value_parser = parse_size)]
    target_file_bytes: u64,

    /// Neighbouring parts of a contig share a file until they take about so many bytes in the
    /// source; 0 gives each its own, and --coalesce-per-contig overrides it
    #[arg(long, value_name = "SIZE", default_value = "6Mi", value_parser = parse_size)]
    pub(crate) min_file_bytes: u64,

    /// Structs whose fields become columns, separated by commas
    #[arg(long, value_name = "LIST", default_value = "info", value_delimiter = ',')]
    #[arg(conflicts_with = "keep_struct")]
    flatten: Vec<String>,

    /// Keep structs as they are
    #[arg(long)]
    keep_struct: bool,

    /// Go on with an export that was interrupted; the result is the same
    #[arg(long)]
    resume: bool,

    /// Write nothing, and tell contigs, rows, columns, estimated bytes and files
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Memory for work under way
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_size)]
    #[arg(help_heading = "Resources")]
    pub(crate) memory: u64,

    /// Spark's, and without meaning here: there is no JVM
    #[arg(long, value_name = "SIZE", help_heading = "Resources")]
    driver_memory: Option<String>,

    /// Spark's, and without meaning here: there are no executors
    #[arg(long, value_name = "SIZE", help_heading = "Resources")]
    executor_memory: Option<String>,
}

fn parse_compression(text: &str) -> Result<PageCompression, String> {
    PageCompression::parse(text, 1).map_err(|error| error.to_string())
}

impl ParquetOptions {
    pub(crate) fn flatten(&self) -> Flatten {
        match self.keep_struct {
            true => Flatten::Keep,
            false => Flatten::Named(self.flatten.iter().cloned().collect()),
        }
    }

    pub(crate) fn coalesce(&self) -> Option<usize> {
        self.coalesce_per_contig.map(|most| most as usize)
    }

    /// The regions as contig, first and last position.
    pub(crate) fn intervals(&self, stores: &Stores) -> Result<Vec<(String, i64, i64)>> {
        let mut intervals = Vec::new();
        for text in &self.intervals {
            if text.ends_with(".bed") {
                let lines = stores.read_text(text)?;
                intervals.extend(bed_intervals(text, &lines)?);
            } else {
                intervals.push(interval(text)?);
            }
        }
        Ok(intervals)
    }

    fn export_options(&self, threads: usize) -> ExportOptions {
        ExportOptions {
            compression: self.compression,
            row_group_rows: self.row_group_rows as usize,
            row_group_bytes: self.row_group_bytes,
            target_file_bytes: self.target_file_bytes.max(1),
            sort: self.sort_within_partitions,
            resume: self.resume,
            threads,
            memory: self.memory,
        }
    }

    /// Says which options have no meaning.
    pub(crate) fn explain(&self, messages: &Messages) {
        for (name, value) in
            [("--driver-memory", &self.driver_memory), ("--executor-memory", &self.executor_memory)]
        {
            if value.is_some() {
                messages.say(&format!("{name} means nothing here: --memory bounds this program"));
            }
        }
    }

    /// Exports a source, or tells what would be done; `describe` tells of the source.
    pub(crate) fn run<S: Source>(
        &self,
        source: &S,
        target: &Target,
        threads: Threads,
        messages: &Messages,
        progress: &Arc<Progress>,
        started: Instant,
    ) -> Result<()> {
        let options = self.export_options(threads.count().get());
        if self.dry_run {
            let plan = preflight(source, target, &options)?;
            return show_plan(source, target, &plan, messages);
        }
        let display = messages.start_progress(progress, "exported");
        let written = export(source, target, &options, progress);
        drop(display);
        let written = written.map_err(|error| match error.kind() {
            ErrorKind::Exists | ErrorKind::Usage => error,
            _ => error.help("what is done is kept: the same command with --resume goes on"),
        })?;
        messages.summarise(summary(source, target, &written, started))
    }
}

/// Reads a region without knowing which contigs there are.
fn interval(text: &str) -> Result<(String, i64, i64)> {
    let name = match text.strip_prefix('{') {
        Some(quoted) => quoted.split_once('}').map_or(quoted, |(name, _)| name),
        None => text.rsplit_once(':').map_or(text, |(name, _)| name),
    };
    let contig = Contig { name: name.to_owned(), length: 0, md5: None };
    match Place::parse(text, &Contigs::new(vec![contig])?)? {
        Place::Region(region) => {
            Ok(positions(name, region.interval.start(), region.interval.end()))
        }
        _ => Err(Error::usage(format!("{text:?} is no region")).help("such as chr1:1M-2M")),
    }
}

fn positions(contig: &str, start: u64, end: u64) -> (String, i64, i64) {
    let at = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
    (contig.to_owned(), at(start.saturating_add(1)), at(end))
}

fn bed_intervals(name: &str, text: &str) -> Result<Vec<(String, i64, i64)>> {
    let mut contigs: Vec<Contig> = Vec::new();
    for line in text.lines() {
        let Some(contig) = line.split_whitespace().next() else { continue };
        let is_line = !line.starts_with(['#']) && !["track", "browser"].contains(&contig);
        if is_line && !contigs.iter().any(|known| known.name == contig) {
            contigs.push(Contig { name: contig.to_owned(), length: 0, md5: None });
        }
    }
    let contigs = Contigs::new(contigs)?;
    let name_of = |id: ContigId| contigs.get(id).map_or("", |contig| contig.name.as_str());
    let regions = bed::parse(text, name, &contigs)?;
    let interval = |region: &genomic_objects::genome::Region| {
        positions(name_of(region.contig), region.interval.start(), region.interval.end())
    };
    Ok(regions.iter().map(interval).collect())
}

fn show_plan<S: Source>(
    source: &S,
    target: &Target,
    plan: &Preflight,
    messages: &Messages,
) -> Result<()> {
    let origin = source.origin();
    let columns = plan.columns.fields().iter();
    if messages.json {
        let columns: Vec<_> = columns
            .map(|field| {
                json!({
                    "name": field.name(),
                    "type": field.data_type().to_string(),
                    "nullable": field.is_nullable(),
                })
            })
            .collect();
        let json = json!({
            "dry_run": true,
            "source": origin,
            "output": target.name(),
            "contigs": plan.contigs,
            "columns": columns,
            "first_files": plan.first_files,
            "options": plan.options,
        });
        return output::print(&format!("{json}\n"));
    }
    let mut text = format!("source          {} {}\n", origin.kind, origin.name);
    text += &format!("output          {}\n\n", target.name());
    text += &format!(
        "{:<16}{:>10}{:>16}{:>14}{:>14}{:>10}\n",
        "contig", "parts", "rows", "in source", "estimated", "files"
    );
    let mut total = [0; 5];
    for of in &plan.contigs {
        let counts =
            [of.partitions, of.rows, of.source_bytes, of.estimated_bytes, of.estimated_files];
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        text += &plan_line(&of.contig, counts);
    }
    text += &plan_line("all", total);
    if let Some(of) = origin.details.get("row_type").and_then(|of| of.as_str()) {
        text += &format!("\nrow in          {of}\n");
    }
    text += "\ncolumns out\n";
    for field in columns {
        let nullable = if field.is_nullable() { "" } else { ", never missing" };
        text += &format!("  {:<30}{}{nullable}\n", field.name(), field.data_type());
    }
    text += "\nfiles\n";
    for file in plan.first_files.iter().take(30) {
        text += &format!("  {}/{file} …\n", target.name());
    }
    text += &format!("  {}\n", target.manifest_name());
    output::print(&text)
}

fn plan_line(name: &str, [parts, rows, bytes, estimated, files]: [u64; 5]) -> String {
    format!(
        "{name:<16}{:>10}{:>16}{:>14}{:>14}{:>10}\n",
        units::count(parts),
        units::count(rows),
        units::bytes(bytes),
        units::bytes(estimated),
        units::count(files)
    )
}

fn summary<S: Source>(source: &S, target: &Target, written: &Written, started: Instant) -> Summary {
    let seconds = started.elapsed();
    let mut text = format!(
        "wrote {} rows to {}: {} in {} files of {} contigs ({} row groups) in {}",
        units::count(written.rows),
        target.name(),
        units::bytes(written.bytes),
        units::count(written.files),
        units::count(written.contigs),
        units::count(written.row_groups),
        units::duration(seconds),
    );
    if written.files_before > 0 {
        text += &format!("\n{} files were there already", units::count(written.files_before));
    }
    text += &format!("\nmanifest: {}", target.manifest_name());
    let left_out = source.origin().details.get("values_left_out");
    let left_out = left_out.and_then(|of| of.as_object()).filter(|of| !of.is_empty());
    if let Some(fields) = left_out {
        let fields: Vec<String> =
            fields.iter().map(|(field, count)| format!("{field} {count}")).collect();
        text += &format!(
            "\nvalues that are no numbers, though their field is one of numbers, are missing in \
             Parquet: {}",
            fields.join(", ")
        );
    }
    let mut json = json!(written);
    json["output"] = json!(target.name());
    json["manifest"] = json!(target.manifest_name());
    json["seconds"] = json!(seconds.as_secs_f64());
    Summary { text, json, data_on_stdout: false }
}

/// Source and output, each from its option or the next positional argument.
pub(crate) fn places(
    tool: &str,
    positional: [&Option<String>; 2],
    input: &Option<String>,
    output: &Option<String>,
) -> Result<(String, String)> {
    let mut positional = positional.into_iter().flatten().cloned();
    let input = input.clone().or_else(|| positional.next());
    let output = output.clone().or_else(|| positional.next());
    match (input, output, positional.next()) {
        (Some(input), Some(output), None) => Ok((input, output)),
        (_, _, Some(extra)) => Err(Error::usage(format!("one path too many: {extra:?}"))),
        _ => Err(Error::usage("an input and an output are needed")),
    }
    .map_err(|error| error.help(format!("{tool} INPUT OUTPUT, as in: {tool} in parquet_out")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_interval_reads_regions_without_a_dictionary() {
        let name = |name: &str| name.to_owned();
        assert_eq!(interval("chr1:1k-2k").unwrap(), (name("chr1"), 1_000, 2_000));
        assert_eq!(interval("chrX").unwrap(), (name("chrX"), 1, i64::MAX));
        assert_eq!(interval("{HLA:01}:5-6").unwrap(), (name("HLA:01"), 5, 6));
        assert!(interval("chr1:9-5").is_err());
        let bed = bed_intervals("x.bed", "#c\nchr1\t9\t20\nchr2\t0\t1\n").unwrap();
        assert_eq!(bed, [(name("chr1"), 10, 20), (name("chr2"), 1, 1)]);
    }
}
