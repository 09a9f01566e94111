//! `fastq-to-srf`: files of reads become a dataset.

use clap::{Args, ValueEnum};
use genomic_objects::codec::Effort;
use genomic_objects::error::{Error, Result};
use genomic_objects::records::reads::{self, Framer};
use genomic_objects::srf::manifest;
use genomic_objects::srf::write::{WriteOptions, write};
use genomic_objects::store::{Store, open_input};

use crate::conversion::{Amount, Changes, Conversion, input_info};
use crate::environment;
use crate::options::{Messages, Threads, WritableStores};
use crate::units::{self, parse_size};

/// Convert FASTQ, FASTA or unaligned BAM to an SRF dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools fastq-to-srf [OPTIONS] <R1> [R2] <OUTPUT>")]
#[command(after_help = "\
Files may be plain or compressed with gzip, BGZF, Zstandard or bzip2. srf-to-fastq gives the text
back byte for byte. The dataset becomes visible when it is complete.

--append adds reads behind those there, as if the files had been one; --replace FILE redoes those
that came from a file. Other chunks stay as they are. Both keep layout, level, order and pairing.

Examples:
  fastq-to-srf sample_R1.fastq.gz sample_R2.fastq.gz sample.srf
  fastq-to-srf --layout compact -@ 8 reads.fastq.zst s3://bucket/reads.srf
  zcat reads.fastq.gz | fastq-to-srf - reads.srf
  fastq-to-srf --append lane2_R1.fastq.gz lane2_R2.fastq.gz sample.srf
  fastq-to-srf --replace lane2_R1.fastq.gz again_R1.fastq.gz again_R2.fastq.gz sample.srf")]
pub(crate) struct FastqToSrf {
    /// One file of reads, or two of pairs, then the dataset to make; - for standard input
    #[arg(value_name = "PATH", required = true, num_args = 1..=3)]
    paths: Vec<String>,

    /// The output, instead of the last PATH
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    output: Option<String>,

    /// The file holds pairs, first and second reads by turns
    #[arg(long)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    interleaved: bool,

    /// Most reads of a chunk
    #[arg(long, value_name = "N", default_value = "1M", value_parser = parse_size)]
    chunk_reads: u64,

    /// Most reads of a batch, the unit of random access; batches are bounded in bytes too
    #[arg(long, value_name = "N", default_value_t = 8192)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    batch_reads: u32,

    /// How chunks hold reads: plain (any reader of Arrow) or compact (smaller)
    #[arg(long, value_enum, value_name = "LAYOUT", default_value_t, hide_possible_values = true)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    layout: Layout,

    /// How hard to compress: fast, default or archive
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, hide_possible_values = true)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    level: Level,

    /// Write a second view with the reads ordered by quality or length, for queries that filter by
    /// it: it takes about as much space again
    #[arg(long, value_enum, value_name = "ORDER", default_value_t, hide_possible_values = true)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    order: Order,

    #[command(flatten)]
    changes: Changes,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Layout {
    #[default]
    Plain,
    Compact,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Order {
    Quality,
    Length,
    #[default]
    None,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Level {
    Fast,
    #[default]
    Default,
    Archive,
}

impl FastqToSrf {
    pub(crate) fn run(self) -> Result<()> {
        let (inputs, output) = self.places()?;
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let threads = self.threads.count().get();
        let change = self.changes.change();
        let conversion =
            Conversion::start(&self.messages, &store, change.clone(), self.changes.dry_run);
        let progress = &conversion.progress;
        let (mut opened, mut infos, mut total) = (Vec::new(), Vec::new(), Some(0));
        for input in &inputs {
            let input = open_input(input, &options)?;
            total = total.zip(input.size).map(|(total, size)| total + size);
            infos.push(input_info(&input.name, input.size));
            opened.push(input.count_into(progress.clone()));
        }
        if let Some(total) = total {
            progress.set_total_in(total);
        }
        let write_options = WriteOptions {
            chunk_reads: self.chunk_reads,
            batch_reads: self.batch_reads as usize,
            layout: match self.layout {
                Layout::Plain => manifest::Layout::Plain,
                Layout::Compact => manifest::Layout::Compact,
            },
            effort: match self.level {
                Level::Fast => Effort::Fast,
                Level::Default => Effort::Default,
                Level::Archive => Effort::Archive,
            },
            order: match self.order {
                Order::Quality => manifest::Order::Quality,
                Order::Length => manifest::Order::Length,
                Order::None => manifest::Order::None,
            },
            interleaved: self.interleaved,
            threads,
            change,
            verify: self.changes.verify,
            dry_run: self.changes.dry_run,
            ..WriteOptions::new(environment::now(), environment::transaction_id()?, infos)
        };
        let open = || {
            opened
                .into_iter()
                .map(|input| {
                    let (name, text) = reads::open(input, threads)?;
                    Framer::new(text, &name)
                })
                .collect()
        };
        let written = conversion.run(|progress| write(open, &store, &write_options, progress))?;
        let amount = Amount {
            bytes: written.total_bytes,
            objects: written.objects,
            of: format!("{} chunks, {} batches", written.chunks, units::count(written.batches)),
        };
        let mut lines = Vec::new();
        if written.ordered_bytes > 0 {
            lines.push(format!(
                "{} of it are the reads again, ordered for queries that filter by that",
                units::bytes(written.ordered_bytes),
            ));
        }
        if written.reads_kept_as_text > 0 {
            lines.push(format!(
                "{} reads are not written as the first one is, and are kept as text besides",
                units::count(written.reads_kept_as_text),
            ));
        }
        let what = format!(
            "{} reads of {} bases",
            units::count(written.reads),
            units::count(written.bases)
        );
        conversion.summarise(&written, &what, &amount, &lines)
    }

    /// Inputs and output.
    fn places(&self) -> Result<(Vec<String>, String)> {
        let mut paths = self.paths.clone();
        let output = self.output.clone().or_else(|| paths.pop());
        let problem = match (&output, paths.as_slice()) {
            (Some(output), [_] | [_, _]) if !self.interleaved || paths.len() == 1 => {
                return Ok((paths, output.clone()));
            }
            (_, [_, _]) if self.interleaved => "--interleaved takes one file",
            (_, []) => "an input and an output are needed",
            _ => "one path too many",
        };
        Err(Error::usage(problem)
            .help("fastq-to-srf R1 [R2] OUTPUT, as in: fastq-to-srf a.fastq.gz a.srf"))
    }
}
