//! `simulate`: reads for demonstrations and benchmarks, the same for the same seed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use genomic_objects::error::Result;
use genomic_objects::pipeline::Progress;
use genomic_objects::records::alignments::{Limit, RecordBatch, Source, sink};
use genomic_objects::simulate::{Alignments, QualityProfile, SimulateOptions, human_like};
use serde_json::json;

use crate::options::{Messages, Threads};
use crate::output::Output;
use crate::report::Summary;
use crate::units::{self, parse_size};

/// Bases of a read.
const READ_LENGTH: u64 = 150;

/// Make a BAM of simulated paired reads, sorted by coordinate
#[derive(Args, Clone, Debug)]
pub(crate) struct Simulate {
    /// How many reads
    #[arg(long, value_name = "N", default_value = "100k", value_parser = parse_size)]
    reads: u64,

    /// The same seed gives the same reads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Reads over each base, on average; decides how long the contigs are
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    coverage: u32,

    /// Name of the sample
    #[arg(long, value_name = "NAME", default_value = "simulated")]
    sample: String,

    /// Base qualities: full (forty values) or binned (four)
    #[arg(long, value_enum, value_name = "KIND", default_value_t, hide_possible_values = true)]
    qualities: Qualities,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Qualities {
    #[default]
    Full,
    Binned,
}

impl Simulate {
    pub(crate) fn run(self) -> Result<()> {
        let started = Instant::now();
        let bases = self.reads.saturating_mul(READ_LENGTH) / u64::from(self.coverage);
        let mut simulation = Alignments::new(SimulateOptions {
            reads: self.reads,
            seed: self.seed,
            sample: self.sample.clone(),
            contigs: human_like(bases),
            qualities: match self.qualities {
                Qualities::Full => QualityProfile::Hiseq40,
                Qualities::Binned => QualityProfile::Binned4,
            },
            ..SimulateOptions::default()
        })?;
        let header = simulation.header().clone();
        let bases: u64 = header.contigs().iter().map(|contig| contig.length).sum();

        let output = Output::open_binary(self.output.as_deref(), "BAM")?;
        let progress = Arc::new(Progress::default());
        let display = self.messages.show(&progress, "wrote", &output);
        let threads = self.threads.count().get();
        let mut bam = sink::create(sink::Format::Bam, output.writer(), &header, threads)?;
        let mut batch = RecordBatch::new();
        while simulation.read(&mut batch, Limit::default())? {
            bam.write(&batch)?;
            progress.add_items(batch.len() as u64);
        }
        bam.finish()?;
        drop(display);
        let is_stdout = output.is_stdout();
        output.finish()?;
        let text = format!(
            "wrote {} reads over {} bases in {}",
            units::count(self.reads),
            units::count(bases),
            units::duration(started.elapsed())
        );
        let json = json!({
            "reads": self.reads,
            "bases": bases,
            "seconds": started.elapsed().as_secs_f64(),
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: is_stdout })
    }
}
