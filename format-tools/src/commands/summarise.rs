//! `info`, `idxstats`, `flagstat`, `depth`: what a dataset holds, in numbers.

use std::path::PathBuf;

use clap::Args;
use genomic_objects::error::{Error, Result};

use crate::options::{DatasetAt, Messages, Stores, Threads};

/// Describe a dataset from its manifest
#[derive(Args, Clone, Debug)]
pub(crate) struct Info {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print reads per contig, in the text of samtools idxstats; reads no chunk
#[derive(Args, Clone, Debug)]
pub(crate) struct Idxstats {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print reads per flag, in the text of samtools flagstat; reads no chunk
#[derive(Args, Clone, Debug)]
pub(crate) struct Flagstat {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print depth of coverage, in the text of samtools depth; fetches only the columns it needs
#[derive(Args, Clone, Debug)]
pub(crate) struct Depth {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Regions [default: all]
    #[arg(value_name = "REGION")]
    regions: Vec<String>,

    /// Regions of a BED file (- for standard input)
    #[arg(short = 'b', long = "regions-file", value_name = "BED")]
    regions_file: Option<PathBuf>,

    /// Also print positions without coverage
    #[arg(short = 'a', long)]
    all: bool,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Info {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Idxstats {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Flagstat {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Depth {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}
