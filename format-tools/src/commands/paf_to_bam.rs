//! `paf-to-bam`: a dataset becomes an alignment file again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use genomic_objects::error::Result;
use genomic_objects::paf::read::{Places, Query, Reader};
use genomic_objects::pipeline::Progress;
use genomic_objects::records::alignments::header::SortOrder;
use genomic_objects::records::alignments::{Fields, RecordBatch, sink};
use genomic_objects::store::Store;
use serde_json::json;

use crate::environment;
use crate::options::{DatasetAt, Messages, Sorting, Stores, Threads};
use crate::output::Output;
use crate::report::Summary;
use crate::units;

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

impl PafToBam {
    pub(crate) fn run(self) -> Result<()> {
        let started = Instant::now();
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let at = self.dataset.version();
        let reader = Reader::open_for(&store, at, &Places::default(), &Fields::ALL, None)?;
        if self.original_order && !reader.details().keeps_input_order {
            tracing::debug!("the reads were in coordinate order already");
        }
        let header = match self.add_pg {
            true => environment::with_program(reader.header())?,
            false => reader.header().clone(),
        };
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
        let progress = Arc::new(Progress::default());
        progress.set_total_items(reader.details().read_count);
        let display = self.messages.show(&progress, "wrote", &output);
        let mut sink = sink::create(format, output.writer(), &header, threads)?;
        let mut emit = |batch: &RecordBatch| {
            progress.add_items(batch.len() as u64);
            sink.write(batch)
        };
        if self.original_order && reader.details().keeps_input_order {
            let sort = self.sorting.options(threads);
            reader.original_order(sort, &mut emit)?;
        } else {
            let declares_order = header.sort_order();
            if reader.details().keeps_input_order && declares_order != SortOrder::Coordinate {
                self.messages.say(
                    "note: the reads come in coordinate order, which is not what the header says; \
                     --original-order restores the input's order",
                );
            }
            reader.query(&Query { threads, ..Query::default() }, &mut emit)?;
        }
        sink.finish()?;
        drop(display);
        let (name, is_stdout) = (output.name(), output.is_stdout());
        output.finish()?;
        if is_stdout && !self.messages.json {
            // The next program in the pipe has the word.
            return Ok(());
        }
        let (reads, seconds) = (progress.snapshot().items, started.elapsed());
        self.messages.summarise(Summary {
            text: format!(
                "wrote {} reads to {name} in {}",
                units::count(reads),
                units::duration(seconds)
            ),
            json: json!({
                "reads": reads,
                "output": name,
                "dataset_version": reader.dataset().manifest().dataset_version,
                "seconds": seconds.as_secs_f64(),
            }),
            data_on_stdout: is_stdout,
        })
    }
}
