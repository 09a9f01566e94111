//! `bam-to-paf`: an alignment file becomes a dataset.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use genomic_objects::error::{Error, Result};

use crate::options::{Messages, Stores, Threads};
use crate::units::parse_size;

/// Convert BAM, SAM or CRAM to a PAF dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools bam-to-paf [OPTIONS] <INPUT> <OUTPUT>")]
#[command(after_help = "\
Input sorted by coordinate streams straight through to the output; anything else is sorted first,
stable on ties. The dataset becomes visible when it is complete, and not before.

Examples:
  bam-to-paf sample.bam sample.paf
  bam-to-paf --verify -@ 8 sample.cram s3://bucket/sample.paf
  samtools view -u sample.bam chr20 | bam-to-paf - chr20.paf")]
pub(crate) struct BamToPaf {
    /// BAM, SAM or CRAM: a path, a URL, or - for standard input
    #[arg(value_name = "INPUT")]
    input: Option<String>,

    /// Dataset to make: a folder or a URL
    #[arg(value_name = "OUTPUT")]
    output: Option<String>,

    /// The input, instead of INPUT
    #[arg(long = "input", value_name = "INPUT")]
    input_option: Option<String>,

    /// The output, instead of OUTPUT
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    output_option: Option<String>,

    /// Bases of a contig per window
    #[arg(long, value_name = "BASES", default_value = "1M", value_parser = parse_size)]
    chunk_size: u64,

    /// How hard to compress: fast, default (about CRAM 3.0) or archive (about CRAM 3.1)
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, hide_possible_values = true)]
    level: Level,

    /// Name of the sample [default: SM of the first @RG line]
    #[arg(long, value_name = "NAME")]
    sample: Option<String>,

    /// FASTA file for a CRAM that needs one [default: REF_PATH and REF_CACHE]
    #[arg(long, value_name = "FASTA")]
    reference: Option<PathBuf>,

    /// Make a new version where a dataset exists already
    #[arg(long)]
    overwrite: bool,

    /// Decode what was written and compare it with the input before it becomes visible
    #[arg(long)]
    verify: bool,

    /// Write nothing, and tell how many objects, bytes and requests it would be
    #[arg(long)]
    dry_run: bool,

    /// Add a @PG line for this conversion to the header
    #[arg(long)]
    add_pg: bool,

    /// Memory for sorting
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = parse_size)]
    #[arg(help_heading = "Resources")]
    memory: u64,

    /// Folder for what does not fit in memory [default: the system's]
    #[arg(long, value_name = "DIR", help_heading = "Resources")]
    temp_dir: Option<PathBuf>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Level {
    /// Largest and quickest
    Fast,
    /// About the size of CRAM 3.0
    #[default]
    Default,
    /// About the size of CRAM 3.1
    Archive,
}

impl BamToPaf {
    pub(crate) fn run(self) -> Result<()> {
        let (_input, _output) = self.places()?;
        Err(Error::unsupported("not wired"))
    }

    /// Input and output, each from its option or the next positional argument.
    fn places(&self) -> Result<(String, String)> {
        let mut positional = [&self.input, &self.output].into_iter().flatten().cloned();
        let input = self.input_option.clone().or_else(|| positional.next());
        let output = self.output_option.clone().or_else(|| positional.next());
        match (input, output, positional.next()) {
            (Some(input), Some(output), None) => Ok((input, output)),
            (_, _, Some(extra)) => Err(Error::usage(format!("one path too many: {extra:?}"))),
            _ => Err(Error::usage("an input and an output are needed")),
        }
        .map_err(|error| error.help("bam-to-paf INPUT OUTPUT, as in: bam-to-paf x.bam x.paf"))
    }
}
