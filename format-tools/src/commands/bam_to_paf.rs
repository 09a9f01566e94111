//! `bam-to-paf`: an alignment file becomes a dataset.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use genomic_objects::codec::Effort;
use genomic_objects::dataset::InputInfo;
use genomic_objects::error::{Error, Result};
use genomic_objects::paf::order::Ordering;
use genomic_objects::paf::write::{Summary as Written, WriteOptions, write};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::records::alignments::{
    self as records, Header, Limit, RecordBatch, Source, SourceOptions, Validation,
};
use genomic_objects::store::{Store, open_input};
use serde_json::json;

use crate::environment;
use crate::options::{Messages, Threads, WritableStores};
use crate::report::Summary;
use crate::units::{self, parse_size};

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

    /// Name of the sample (default: SM of the read groups, if they agree)
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

    /// Accept what breaks the SAM specification but can be kept exactly
    #[arg(long)]
    lenient: bool,

    /// Sort the reads even where the header says that they are sorted
    #[arg(long)]
    sort: bool,

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
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Level {
    /// Largest and quickest
    Fast,
    /// Some 10 % smaller than CRAM 3.0, as fast to write
    #[default]
    Default,
    /// Some 10 % smaller than CRAM 3.1, slower to write
    Archive,
}

impl BamToPaf {
    pub(crate) fn run(self) -> Result<()> {
        let (input, output) = self.places()?;
        let started = Instant::now();
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let threads = self.threads.count().get();
        let progress = Arc::new(Progress::default());
        let input = open_input(&input, &options)?.count_into(progress.clone());
        let info = InputInfo {
            name: input.name.rsplit('/').next().unwrap_or_default().to_owned(),
            size_bytes: input.size,
            checksum: None,
            program: Some(concat!("format-tools ", env!("CARGO_PKG_VERSION")).to_owned()),
        };
        let source_options = SourceOptions {
            validation: if self.lenient { Validation::Lenient } else { Validation::Strict },
            threads,
            reference: self.reference.clone(),
            ref_path: std::env::var("REF_PATH").ok(),
            ref_cache: std::env::var("REF_CACHE").ok(),
        };
        let mut source = records::open(&input.name, input.reader, &source_options)?;
        if self.add_pg {
            source = Box::new(WithProgram::new(source)?);
        }
        let sort = SortOptions {
            memory: usize::try_from(self.memory).unwrap_or(usize::MAX),
            temp_dir: self.temp_dir.clone(),
            threads,
        };
        let write_options = WriteOptions {
            chunk_size: self.chunk_size,
            effort: self.level.into(),
            sample: self.sample.clone(),
            threads,
            ordering: Ordering { sort: self.sort, options: sort },
            overwrite: self.overwrite,
            verify: self.verify,
            dry_run: self.dry_run,
            created: environment::now(),
            transaction: environment::transaction_id()?,
            input: info,
        };
        let display = self.messages.start_progress(&progress, "converted");
        let written = write(source.as_mut(), &store, &write_options, &progress);
        drop(display);
        self.messages.summarise(self.summary(&written?, &store.name(""), &progress, started))
    }

    fn summary(
        &self,
        written: &Written,
        output: &str,
        progress: &Progress,
        started: Instant,
    ) -> Summary {
        let seconds = started.elapsed();
        let read = progress.snapshot().bytes_in;
        let verb = if self.dry_run { "would write" } else { "wrote" };
        let mut text = format!(
            "{verb} {} reads to {output}: {} in {} objects ({} chunks, {} blocks) in {}",
            units::count(written.reads),
            units::bytes(written.total_bytes),
            written.objects,
            written.chunks,
            written.blocks,
            units::duration(seconds),
        );
        if self.dry_run {
            text += &format!("\n{} PUT requests, the manifests' two included", written.objects);
        }
        if written.reordered {
            text += "\nthe reads were sorted by coordinate; their order in the input is kept, see \
                     paf-to-bam --original-order";
        }
        if written.verified {
            text += "\nverified: everything was read back and compared with the input";
        }
        let mut json = json!(written);
        json["output"] = json!(output);
        json["dry_run"] = json!(self.dry_run);
        json["input_bytes"] = json!(read);
        json["seconds"] = json!(seconds.as_secs_f64());
        Summary { text, json, data_on_stdout: false }
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

impl From<Level> for Effort {
    fn from(level: Level) -> Self {
        match level {
            Level::Fast => Self::Fast,
            Level::Default => Self::Default,
            Level::Archive => Self::Archive,
        }
    }
}

/// A source whose header names this program.
struct WithProgram {
    source: Box<dyn Source>,
    header: Header,
}

impl WithProgram {
    fn new(source: Box<dyn Source>) -> Result<Self> {
        let header = environment::with_program(source.header())?;
        Ok(Self { source, header })
    }
}

impl Source for WithProgram {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        self.source.read(batch, limit)
    }
}
