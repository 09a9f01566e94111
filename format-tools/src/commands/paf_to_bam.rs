//! `paf-to-bam`: a dataset becomes an alignment file again.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use genomic_objects::error::{Error, Result};

use crate::options::{DatasetAt, Messages, Stores, Threads};

/// Convert a PAF dataset back to BAM, SAM or CRAM
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Header and reads are those of the file that the dataset was made from, in the dataset's order. They
are checked against the digests taken then, and the command fails if they differ.

Examples:
  paf-to-bam sample.paf > sample.bam
  paf-to-bam -O cram -o sample.cram s3://bucket/sample.paf")]
pub(crate) struct PafToBam {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Format of the output: bam, sam or cram (3.0, needing no reference)
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    output_fmt: Format,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write reads in the order of the original file, where sorting changed it
    #[arg(long)]
    original_order: bool,

    /// Add a @PG line for this conversion to the header
    #[arg(long)]
    add_pg: bool,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// BAM
    #[default]
    Bam,
    /// Text
    Sam,
    /// CRAM 3.0, needing no reference
    Cram,
}

impl PafToBam {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}
