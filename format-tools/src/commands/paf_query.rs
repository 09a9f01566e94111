//! `paf-query`: the reads of some regions, as `samtools view` would give them.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use genomic_objects::error::{Error, Result};

use crate::filters::FilterOptions;
use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::units::parse_size;

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

    /// Fetch and print only these fields (name,flag,chrom,pos,… or tags)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,

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
        Err(Error::unsupported("not wired"))
    }
}
