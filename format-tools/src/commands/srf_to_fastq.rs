//! `srf-to-fastq`: a dataset becomes files of reads again.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::Progress;
use genomic_objects::srf::read::{Filter, Reader, Selection};
use genomic_objects::store::Store;

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;

/// Convert an SRF dataset back to FASTQ or FASTA
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The text is byte for byte that of the files the dataset was made from. It is checked against the
digests taken then, and the command fails if it differs. Pairs go to two files, or to one with first
and second reads by turns.

Examples:
  srf-to-fastq reads.srf > reads.fastq
  srf-to-fastq -O fastq.gz -1 R1.fastq.gz -2 R2.fastq.gz s3://bucket/sample.srf")]
pub(crate) struct SrfToFastq {
    #[command(flatten)]
    dataset: DatasetAt,

    /// File of the first reads of pairs
    #[arg(short = '1', value_name = "R1", requires = "second")]
    first: Option<PathBuf>,

    /// File of the second reads of pairs
    #[arg(short = '2', value_name = "R2", requires = "first")]
    second: Option<PathBuf>,

    /// Write pairs to one output, first and second reads by turns
    #[arg(long, conflicts_with = "first")]
    interleaved: bool,

    /// Format of the output: fastq or fastq.gz (BGZF)
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    output_fmt: Format,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with = "first")]
    output: Option<PathBuf>,

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
    #[value(name = "fastq.gz")]
    Gz,
}

impl SrfToFastq {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let at = self.dataset.version();
        let reader = Reader::open(&store, at, Selection::All, Filter::default())?;
        let is_paired = reader.details().reads_per_row == 2;
        if is_paired && !self.interleaved && self.first.is_none() && !reader.details().interleaved {
            return Err(Error::usage("the dataset holds pairs, from two files")
                .help("name both with -1 and -2, or ask for --interleaved"));
        }
        if !is_paired && self.first.is_some() {
            return Err(Error::usage("the dataset holds no pairs").help("leave -1 and -2 out"));
        }
        let threads = self.threads.count().get();
        let paths = match (&self.first, &self.second) {
            (Some(first), Some(second)) => vec![Some(first), Some(second)],
            _ => vec![self.output.as_ref()],
        };
        let mut outputs = Vec::new();
        for path in paths {
            let path = path.map(PathBuf::as_path);
            outputs.push(match self.output_fmt {
                Format::Fastq => Output::open(path)?,
                Format::Gz => Output::open_binary(path, "gzip")?,
            });
        }
        let progress = Arc::new(Progress::default());
        let display = self.messages.show(&progress, "wrote", &outputs[0]);
        let failed = |error| Error::store("writing the output failed").caused_by(error);
        let is_gz = self.output_fmt == Format::Gz;
        let mut writers: Vec<Box<dyn Write>> =
            outputs.iter().map(|output| -> Box<dyn Write> { output.writer() }).collect();
        let by_turns = is_paired && writers.len() == 1;
        reader.export(threads, by_turns, is_gz, |texts, reads| {
            for (writer, text) in writers.iter_mut().zip(texts) {
                writer.write_all(text).map_err(failed)?;
            }
            progress.add_items(reads);
            Ok(())
        })?;
        for writer in &mut writers {
            if is_gz {
                writer.write_all(&genomic_objects::srf::BGZF_END).map_err(failed)?;
            }
            writer.flush().map_err(failed)?;
        }
        drop(writers);
        drop(display);
        outputs.into_iter().try_for_each(Output::finish)
    }
}
