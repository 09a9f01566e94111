//! `ram-to-bam`: a sample of a cohort becomes an alignment file again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use genomic_objects::error::Result;
use genomic_objects::pipeline::Progress;
use genomic_objects::ram::export::export;
use genomic_objects::ram::read::{Content, Reader, Request};
use genomic_objects::records::alignments::sink;
use genomic_objects::store::Store;
use serde_json::json;

use crate::options::{DatasetAt, Messages, Sorting, Stores, Threads};
use crate::output::Output;
use crate::report::Summary;
use crate::units;

/// Convert a sample of a RAM dataset back to BAM, SAM or CRAM
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Header and reads are those of the file that the sample came from, in its order. They are checked
against the digest taken then, and the command fails if they differ.

Examples:
  ram-to-bam -s NA12878 cohort.ram > NA12878.bam
  ram-to-bam -s NA12878 -O cram -o NA12878.cram s3://bucket/cohort.ram")]
pub(crate) struct RamToBam {
    #[command(flatten)]
    dataset: DatasetAt,

    /// The sample
    #[arg(short = 's', long = "sample", value_name = "NAME")]
    sample: String,

    /// Format of the output: bam, sam or cram (3.0, needing no reference)
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    output_fmt: Format,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    sorting: Sorting,
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

impl RamToBam {
    pub(crate) fn run(self) -> Result<()> {
        let started = Instant::now();
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let request = Request { samples: vec![self.sample.clone()], ..Request::default() };
        let reader = Reader::open(&store, self.dataset.version(), Content::Alignments, &request)?;
        let header = reader.header()?;
        let (format, name) = match self.output_fmt {
            Format::Bam => (sink::Format::Bam, "BAM"),
            Format::Sam => (sink::Format::Sam, "SAM"),
            Format::Cram => (sink::Format::Cram, "CRAM"),
        };
        let output = match self.output_fmt {
            Format::Sam => Output::open(self.output.as_deref())?,
            Format::Bam | Format::Cram => Output::open_binary(self.output.as_deref(), name)?,
        };
        let threads = self.threads.count().get();
        let sort = self.sorting.options(threads);
        let progress = Arc::new(Progress::default());
        let display = self.messages.show(&progress, "wrote", &output);
        let mut sink = sink::create(format, output.writer(), &header, threads)?;
        let reads = export(&reader, &header, sort, &progress, |batch| sink.write(batch))?;
        sink.finish()?;
        drop(display);
        let (name, is_stdout) = (output.name(), output.is_stdout());
        output.finish()?;
        if is_stdout && !self.messages.json {
            // The next program in the pipe has the word.
            return Ok(());
        }
        let seconds = started.elapsed();
        self.messages.summarise(Summary {
            text: format!(
                "wrote {} reads to {name} in {}",
                units::count(reads),
                units::duration(seconds)
            ),
            json: json!({
                "reads": reads,
                "sample": self.sample,
                "output": name,
                "dataset_version": reader.dataset().manifest().dataset_version,
                "seconds": seconds.as_secs_f64(),
            }),
            data_on_stdout: is_stdout,
        })
    }
}
