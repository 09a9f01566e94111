//! `simulate`: reads for demonstrations and benchmarks, the same for the same seed.

use std::path::PathBuf;

use clap::Args;
use genomic_objects::error::{Error, Result};

use crate::options::{Messages, Threads};
use crate::units::parse_size;

/// Make a BAM of simulated paired reads, sorted by coordinate
#[derive(Args, Clone, Debug)]
pub(crate) struct Simulate {
    /// How many reads
    #[arg(long, value_name = "N", default_value = "100k", value_parser = parse_size)]
    reads: u64,

    /// The same seed gives the same reads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Simulate {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}
