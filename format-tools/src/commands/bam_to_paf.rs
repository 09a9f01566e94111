//! `bam-to-paf`: an alignment file becomes a dataset.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use genomic_objects::codec::Effort;
use genomic_objects::dataset::Change;
use genomic_objects::error::Result;
use genomic_objects::paf::order::Ordering;
use genomic_objects::paf::write::{WriteOptions, write};
use genomic_objects::records::alignments::{
    self as records, Header, Limit, RecordBatch, Source, SourceOptions, Validation,
};
use genomic_objects::store::{Store, open_input};

use crate::conversion::{Amount, Changes, Conversion, InputOutput, input_info};
use crate::environment;
use crate::options::{Messages, Sorting, Threads, WritableStores};
use crate::units::{self, parse_size};

/// Convert BAM, SAM or CRAM to a PAF dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools bam-to-paf [OPTIONS] <INPUT> <OUTPUT>")]
#[command(after_help = "\
Input sorted by coordinate streams straight through to the output; anything else is sorted first,
stable on ties. The dataset becomes visible when it is complete, and not before.

--append adds reads of the same contigs, as samtools merge does; --replace redoes contigs. Chunks
that the new reads do not touch stay as they are. Both keep window and level of the dataset.

Examples:
  bam-to-paf sample.bam sample.paf
  bam-to-paf --verify -@ 8 sample.cram s3://bucket/sample.paf
  samtools view -u sample.bam chr20 | bam-to-paf - chr20.paf
  bam-to-paf --append lane2.bam sample.paf
  bam-to-paf --replace chr20,chr21 realigned.bam sample.paf")]
pub(crate) struct BamToPaf {
    #[command(flatten)]
    paths: InputOutput,

    /// Bases of a contig per window
    #[arg(long, value_name = "BASES", default_value = "1M", value_parser = parse_size)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    chunk_size: u64,

    /// How hard to compress: fast, default (about CRAM 3.0) or archive (about CRAM 3.1)
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, hide_possible_values = true)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    level: Level,

    /// Name of the sample (default: SM of the read groups, if they agree)
    #[arg(long, value_name = "NAME")]
    sample: Option<String>,

    /// FASTA file for a CRAM that needs one [default: REF_PATH and REF_CACHE]
    #[arg(long, value_name = "FASTA")]
    reference: Option<PathBuf>,

    #[command(flatten)]
    changes: Changes,

    /// Accept what breaks the SAM specification but can be kept exactly
    #[arg(long)]
    lenient: bool,

    /// Sort the reads even where the header says that they are sorted
    #[arg(long)]
    sort: bool,

    /// Add a @PG line for this conversion to the header
    #[arg(long)]
    add_pg: bool,

    #[command(flatten)]
    sorting: Sorting,
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
        let (input, output) =
            self.paths.places("bam-to-paf INPUT OUTPUT, as in: bam-to-paf x.bam x.paf")?;
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let threads = self.threads.count().get();
        let change = self.changes.change();
        let conversion =
            Conversion::start(&self.messages, &store, change.clone(), self.changes.dry_run);
        let input = open_input(&input, &options)?.count_into(conversion.progress.clone());
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
        let write_options = WriteOptions {
            chunk_size: self.chunk_size,
            effort: self.level.into(),
            sample: self.sample.clone(),
            threads,
            ordering: Ordering { sort: self.sort, options: self.sorting.options(threads) },
            change,
            verify: self.changes.verify,
            dry_run: self.changes.dry_run,
            created: environment::now(),
            transaction: environment::transaction_id()?,
            input: input_info(&input.name, input.size),
        };
        let written =
            conversion.run(|progress| write(source.as_mut(), &store, &write_options, progress))?;
        let amount = Amount {
            bytes: written.total_bytes,
            objects: written.objects,
            of: format!("{} chunks, {} blocks", written.chunks, written.blocks),
        };
        let mut lines = Vec::new();
        if written.reordered {
            lines.push(
                match write_options.change {
                    Change::Create | Change::Overwrite => {
                        "the reads were sorted by coordinate; their order in the input is kept, see \
                         paf-to-bam --original-order"
                    }
                    Change::Append | Change::Replace(_) => "the reads were sorted by coordinate",
                }
                .to_owned(),
            );
        }
        let reads = format!("{} reads", units::count(written.reads));
        conversion.summarise(&written, &reads, &amount, &lines)
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
