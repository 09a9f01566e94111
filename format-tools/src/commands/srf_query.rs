//! `srf-query`: reads by number, by name, by quality and by length.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use genomic_objects::error::{Error, Result};
use genomic_objects::srf::manifest::Order;
use genomic_objects::srf::query::{Format as Wanted, Table, fields_of, parse_columns};
use genomic_objects::srf::read::{Filter, QueryStats, Reader, Selection};
use genomic_objects::store::Store;
use serde_json::json;

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;
use crate::report::{self, Summary};
use crate::units::{self, parse_size};

/// Print reads by number, name, quality or length
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Reads are numbered from 0, as in the names of chunks; those of a pair are 2k and 2k+1. All
conditions must hold. An index of quality and length per batch rules batches out; in reads as a
machine gives them nearly every batch holds some of every quality, and little can be ruled out:
--stats says how much. With the second view that fastq-to-srf --order makes, such a query reads only
the batches that have what is asked for, and gives reads in the order of that view.

Examples:
  srf-query --reads 1000000-1000999 sample.srf
  srf-query --read-id LH00181:37:22GTKCLT4:1:1101:41752:1056 s3://bucket/sample.srf
  srf-query -c --min-avg-quality 30 --min-length 100 --stats sample.srf")]
pub(crate) struct SrfQuery {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Numbers of reads, from 0 and inclusive, as 1000000-1000999 or 7; may be given again
    #[arg(long, value_name = "RANGE", value_parser = parse_range, conflicts_with = "read_id")]
    reads: Vec<Range<u64>>,

    /// Name of a read, or a file with a name a line (- for standard input); may be given again
    #[arg(long, value_name = "ID|FILE")]
    read_id: Vec<String>,

    /// Reads whose qualities have at least this arithmetic mean
    #[arg(long, value_name = "Q")]
    min_avg_quality: Option<f32>,

    /// Reads of at least so many bases
    #[arg(long, value_name = "N")]
    min_length: Option<u32>,

    /// Reads of at most so many bases
    #[arg(long, value_name = "N")]
    max_length: Option<u32>,

    /// Reads with at most so many errors expected from their qualities
    #[arg(long, value_name = "N")]
    max_expected_errors: Option<f32>,

    /// This part of the reads, from 0 to 1; pairs stay together
    #[arg(long, value_name = "PART", value_parser = parse_fraction)]
    sample_fraction: Option<f64>,

    /// Another seed samples other reads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Only count the reads
    #[arg(short = 'c', long)]
    count: bool,

    /// Format of the output: fastq, fasta, arrow (IPC stream), json (an object a line) or tsv
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    output_fmt: Format,

    /// Columns of arrow, json and tsv, as in read_id,length,avg_quality
    #[arg(long, value_name = "LIST")]
    columns: Option<String>,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell on standard error what the query cost: round trips, requests, bytes, batches
    #[arg(long)]
    stats: bool,

    /// Fail before fetching more than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Fastq,
    Fasta,
    Arrow,
    Json,
    Tsv,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.replace(',', "").parse::<u64>().map_err(|_| format!("{text:?} is no number"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    match last.checked_add(1) {
        Some(end) if first < end => Ok(first..end),
        _ => Err("the first number is above the last".to_owned()),
    }
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part @ 0.0..=1.0) => Ok(part),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

impl SrfQuery {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let is_table = matches!(self.output_fmt, Format::Arrow | Format::Json | Format::Tsv);
        if self.columns.is_some() && !is_table {
            return Err(Error::usage("--columns chooses columns of -O arrow, json and tsv")
                .help("add one of these, or leave --columns out"));
        }
        let columns = parse_columns(self.columns.as_deref())?;
        let selection = self.selection()?;
        let filter = Filter {
            min_quality: self.min_avg_quality,
            min_length: self.min_length,
            max_length: self.max_length,
            max_errors: self.max_expected_errors,
            sample: self.sample_fraction.map(|part| (part, self.seed)),
        };
        let wanted = match self.output_fmt {
            _ if self.count => Wanted::Nothing,
            Format::Fastq => Wanted::Fastq,
            Format::Fasta => Wanted::Fasta,
            Format::Arrow => Wanted::Arrow,
            Format::Json => Wanted::Json,
            Format::Tsv => Wanted::Tsv,
        };
        let at = self.dataset.version();
        let fields = fields_of(wanted, &columns);
        let reader = Reader::open_for(&store, at, selection, filter, fields)?;
        let output = match wanted {
            Wanted::Arrow => Output::open_binary(self.output.as_deref(), "Arrow")?,
            _ => Output::open(self.output.as_deref())?,
        };
        let failed = |error| Error::store("writing the output failed").caused_by(error);
        let mut writer = output.writer();
        let table = Table::new(wanted, columns, reader.details())?;
        writer.write_all(&table.head()?).map_err(failed)?;
        let threads = self.threads.count().get();
        let stats = reader.scan(
            threads,
            self.max_bytes,
            |found| table.format(&found),
            |text| writer.write_all(&text).map_err(failed),
        )?;
        writer.write_all(&table.tail()).map_err(failed)?;
        if self.count {
            output.write_text(&format!("{}\n", stats.reads))?;
        }
        writer.flush().map_err(failed)?;
        drop(writer);
        output.finish()?;
        if self.stats {
            let filter = (self.min_avg_quality.is_some() || self.max_expected_errors.is_some())
                .then_some("quality");
            let by_length = self.min_length.is_some() || self.max_length.is_some();
            let text = report_stats(&stats, filter.or(by_length.then_some("length")));
            self.messages.summarise(Summary { text, json: json!(stats), data_on_stdout: true })?;
        }
        Ok(())
    }

    fn selection(&self) -> Result<Selection> {
        if !self.reads.is_empty() {
            return Ok(Selection::Numbers(self.reads.clone()));
        }
        if self.read_id.is_empty() {
            return Ok(Selection::All);
        }
        let mut names = Vec::new();
        for id in &self.read_id {
            if id == "-" || Path::new(id).is_file() {
                let text = self.stores.read_text(id)?;
                let lines = text.lines().map(|line| line.trim_start_matches('@'));
                let names_of = lines.filter_map(|line| line.split_whitespace().next());
                names.extend(names_of.map(str::to_owned));
            } else {
                names.push(id.trim_start_matches('@').to_owned());
            }
        }
        Ok(Selection::Names(names))
    }
}

/// What a query cost, for people; `filter` is what reads were filtered by.
fn report_stats(stats: &QueryStats, filter: Option<&str>) -> String {
    let view = match stats.order {
        Order::None => "",
        Order::Quality => " of the view by quality",
        Order::Length => " of the view by length",
    };
    // Less than one batch in ten is as good as none.
    let is_vain = stats.order == Order::None && stats.batches_skipped * 10 < stats.batches_total;
    let hint = match filter {
        Some(filter) if is_vain && stats.batches > 1 => format!(
            "; nearly every batch holds reads of such {filter}, and only a view made by \
             fastq-to-srf --order {filter} can keep them together"
        ),
        _ => String::new(),
    };
    format!(
        "{} reads of {} decoded, from {} of {} batches in {} of {} chunks{view}; an index of \
         quality and length ruled out {}{hint}\n{}",
        units::count(stats.reads),
        units::count(stats.reads_decoded),
        units::count(stats.batches),
        units::count(stats.batches_total),
        units::count(stats.chunks),
        units::count(stats.chunks_total),
        units::count(stats.batches_skipped),
        report::traffic(&stats.traffic),
    )
}
