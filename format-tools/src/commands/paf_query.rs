//! `paf-query`: the reads of some regions, as `samtools view` would give them.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use genomic_objects::error::{Error, Result};
use genomic_objects::paf::read::{Places, Query, QueryStats, Reader};
use genomic_objects::records::alignments::columns::Column;
use genomic_objects::records::alignments::filter::{FilterContext, Libraries};
use genomic_objects::records::alignments::{Fields, Record, Sink, sink};
use genomic_objects::store::Store;
use serde_json::json;

use crate::filters::FilterOptions;
use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;
use crate::report::{self, Summary};
use crate::tables::{ArrowSink, JsonSink};
use crate::units::{self, parse_size};

/// Print the reads of regions, as samtools view does
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
#[command(after_help = "\
Regions are 1-based and closed, as in samtools: chr1, chr1:1,000-2,000, chr1:1M-2M, {HLA:01}:5-6,
* for reads without a place. Overlapping ones are merged: each read comes once, in the dataset's
order. Without a region all reads come.

Examples:
  paf-query sample.paf chr1:1M-2M
  paf-query -O bam -o exons.bam -L exons.bed s3://bucket/sample.paf
  paf-query -c -F DUP -q 30 --stats sample.paf chr20")]
pub(crate) struct PafQuery {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Regions, each read once however many it lies in
    #[arg(value_name = "REGION")]
    regions: Vec<String>,

    /// Regions of a BED file (- for standard input)
    #[arg(short = 'L', long = "regions-file", alias = "targets-file", value_name = "BED")]
    regions_file: Option<PathBuf>,

    /// Also print the mates of the reads found, wherever they lie
    #[arg(short = 'P', long)]
    fetch_pairs: bool,

    /// Only count the reads
    #[arg(short = 'c', long)]
    count: bool,

    /// Fields or tags to fetch and print as JSON or Arrow, as in read_name,position,NM
    #[arg(long, value_name = "LIST")]
    columns: Option<String>,

    /// Format of the output: sam, bam, json (an object a line) or arrow (IPC stream)
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    output_fmt: Format,

    /// Print the header before the reads (BAM always has it)
    #[arg(short = 'h', long)]
    with_header: bool,

    /// Print only the header
    #[arg(short = 'H', long)]
    header_only: bool,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell on standard error what the query cost: round trips, requests, bytes, blocks
    #[arg(long)]
    stats: bool,

    /// Fail before fetching more than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,

    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    #[command(flatten)]
    filter: FilterOptions,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// Text, without a header unless asked for
    #[default]
    Sam,
    /// BAM
    Bam,
    /// One JSON object a line
    Json,
    /// An Arrow IPC stream
    Arrow,
}

impl PafQuery {
    pub(crate) fn run(self) -> Result<()> {
        let options = self.stores.options();
        let store = Store::open(&self.dataset.dataset, &options)?;
        let filter = self.filter.build(&self.stores)?;
        let places = Places { regions: self.regions.clone(), bed: self.bed_text()? };
        let columns = match &self.columns {
            Some(list) => Column::parse_list(list)?,
            None => Column::ALL.to_vec(),
        };
        if self.columns.is_some() && !matches!(self.output_fmt, Format::Json | Format::Arrow) {
            return Err(Error::usage("--columns chooses fields of -O json and -O arrow")
                .help("add -O json or -O arrow, or leave --columns out"));
        }
        if self.fetch_pairs && self.regions.is_empty() && self.regions_file.is_none() {
            return Err(Error::usage("-P fetches mates from outside regions, and there are none")
                .help("name a region, or leave -P out: all reads are printed anyway"));
        }
        let fields = filter.needs() | self.fields_of_output(&columns);
        let (at, budget) = (self.dataset.version(), self.max_bytes);
        let reader = match self.header_only || self.fetch_pairs {
            true => Reader::open(&store, at, &places)?,
            false => Reader::open_for(&store, at, &places, &fields, budget)?,
        };
        let libraries = Libraries::of_header(&String::from_utf8_lossy(reader.header().text()));
        let context = FilterContext { contigs: reader.contigs(), libraries: &libraries };
        let keep = |record: &Record<'_>| filter.matches(record, &context);
        let query = Query {
            keep: Some(&keep),
            fields,
            with_mates: self.fetch_pairs,
            max_bytes: self.max_bytes,
            threads: self.threads.count().get(),
        };
        let output = match self.output_fmt {
            Format::Bam | Format::Arrow if !self.count && !self.header_only => {
                Output::open_binary(self.output.as_deref(), "this format")?
            }
            _ => Output::open(self.output.as_deref())?,
        };
        let stats = if self.header_only {
            output.write_text(&String::from_utf8_lossy(&reader.header().to_sam_text()))?;
            QueryStats::default()
        } else if self.count {
            let stats = reader.query(&query, |_| Ok(()))?;
            output.write_text(&format!("{}\n", stats.records))?;
            stats
        } else {
            let mut sink = self.sink(&reader, &output, &columns, query.threads)?;
            let stats = reader.query(&query, |batch| sink.write(batch))?;
            sink.finish()?;
            stats
        };
        output.finish()?;
        if self.stats {
            let text = report_stats(&stats);
            let json = json!(stats);
            self.messages.summarise(Summary { text, json, data_on_stdout: true })?;
        }
        Ok(())
    }

    fn bed_text(&self) -> Result<Option<(String, String)>> {
        let Some(path) = &self.regions_file else { return Ok(None) };
        let name = path.display().to_string();
        let text = self.stores.read_text(&name)?;
        Ok(Some((name, text)))
    }

    fn fields_of_output(&self, columns: &[Column]) -> Fields {
        match self.output_fmt {
            _ if self.count || self.header_only => Fields::NONE,
            Format::Sam | Format::Bam => Fields::ALL,
            Format::Json | Format::Arrow => Column::needs(columns),
        }
    }

    fn sink(
        &self,
        reader: &Reader,
        output: &Output,
        columns: &[Column],
        threads: usize,
    ) -> Result<Box<dyn Sink>> {
        let writer = output.writer();
        let contigs = reader.contigs();
        Ok(match self.output_fmt {
            Format::Json => Box::new(JsonSink::new(writer, columns.to_vec(), contigs.clone())),
            Format::Arrow => Box::new(ArrowSink::new(writer, columns.to_vec(), contigs.clone())?),
            Format::Bam => sink::create(sink::Format::Bam, writer, reader.header(), threads)?,
            Format::Sam => {
                let format =
                    if self.with_header { sink::Format::Sam } else { sink::Format::SamRecords };
                sink::create(format, writer, reader.header(), threads)?
            }
        })
    }
}

/// What a query cost, for people.
fn report_stats(stats: &QueryStats) -> String {
    format!(
        "{} reads of {} decoded, from {} of {} blocks in {} of {} chunks\n{}",
        units::count(stats.records),
        units::count(stats.records_decoded),
        units::count(stats.blocks),
        units::count(stats.blocks_total),
        units::count(stats.chunks),
        units::count(stats.chunks_total),
        report::traffic(&stats.traffic),
    )
}
