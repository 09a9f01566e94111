//! `vcs-to-parquet` and `vcf-to-parquet`: variants become partitioned Parquet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::dataset::{At, InputInfo};
use genomic_objects::error::{Error, Result};
use genomic_objects::hive::{Target, VcsOptions, VcsSource};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::store::{Store, StoreOptions, open_input};
use genomic_objects::vcs::PageCompression;
use genomic_objects::vcs::needs::Fields;
use genomic_objects::vcs::select::Subset;
use genomic_objects::vcs::text;
use genomic_objects::vcs::write::{WriteOptions, write};

use super::parquet_options::{ParquetOptions, places};
use crate::environment;
use crate::options::{Messages, Stores, Threads};

/// Export a VCS dataset to partitioned Parquet in the layout of ht-to-parquet
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools vcs-to-parquet [OPTIONS] <DATASET> <OUTPUT>")]
#[command(after_help = "\
REF and ALT are the list alleles, fields of INFO have columns of their own names.

Examples:
  vcs-to-parquet cohort.vcs parquet_out
  vcs-to-parquet --no-samples --contigs chr20 s3://bucket/cohort.vcs s3://bucket/parquet_out")]
pub(crate) struct VcsToParquet {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    input: Option<String>,

    /// Folder of Parquet files to make, or its URL
    #[arg(value_name = "OUTPUT")]
    output: Option<String>,

    /// The dataset, instead of DATASET
    #[arg(long = "vcs-path", visible_alias = "input", value_name = "DATASET")]
    input_option: Option<String>,

    /// The output, instead of OUTPUT
    #[arg(short = 'o', long = "out", visible_alias = "output", value_name = "OUTPUT")]
    output_option: Option<String>,

    /// Version to read: its number, or a name that 'tag' gave it [default: the newest]
    #[arg(long, value_name = "N|NAME")]
    at: Option<At>,

    /// Leave out the columns of samples
    #[arg(long)]
    no_samples: bool,

    #[command(flatten)]
    parquet: ParquetOptions,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Export VCF to partitioned Parquet in the layout of ht-to-parquet
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools vcf-to-parquet [OPTIONS] <INPUT> <OUTPUT>")]
#[command(after_help = "\
The records are first put in columns and in order in a temporary folder, which takes about as much
disk as the gzipped VCF. REF and ALT are the list alleles, fields of INFO have columns of their own
names.

Examples:
  vcf-to-parquet sites.vcf.gz parquet_out
  bcftools view -Ov sites.bcf | vcf-to-parquet - parquet_out")]
pub(crate) struct VcfToParquet {
    /// VCF, plain or gzipped: a path, a URL, or - for standard input
    #[arg(value_name = "INPUT")]
    input: Option<String>,

    /// Folder of Parquet files to make, or its URL
    #[arg(value_name = "OUTPUT")]
    output: Option<String>,

    /// The input, instead of INPUT
    #[arg(long = "vcf-path", visible_alias = "input", value_name = "INPUT")]
    input_option: Option<String>,

    /// The output, instead of OUTPUT
    #[arg(short = 'o', long = "out", visible_alias = "output", value_name = "OUTPUT")]
    output_option: Option<String>,

    /// Leave out the columns of samples
    #[arg(long)]
    no_samples: bool,

    /// Fields of INFO to keep, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    info: Option<Vec<String>>,

    /// Folder for what is temporary [default: the system's]
    #[arg(long, value_name = "DIR", help_heading = "Resources")]
    temp_dir: Option<PathBuf>,

    #[command(flatten)]
    parquet: ParquetOptions,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

fn options_of(
    parquet: &ParquetOptions,
    stores: &Stores,
    no_samples: bool,
    made_from: Option<(String, String)>,
) -> Result<VcsOptions> {
    Ok(VcsOptions {
        contigs: parquet.contigs.clone(),
        intervals: parquet.intervals(stores)?,
        coalesce_per_contig: parquet.coalesce(),
        min_file_bytes: parquet.min_file_bytes,
        flatten: parquet.flatten(),
        no_samples,
        made_from,
    })
}

impl VcsToParquet {
    pub(crate) fn run(self) -> Result<()> {
        let positional = [&self.input, &self.output];
        let (input, output) =
            places("vcs-to-parquet", positional, &self.input_option, &self.output_option)?;
        let started = Instant::now();
        self.parquet.explain(&self.messages);
        let stores = self.stores.options();
        let target = Target::open(&output, &stores)?;
        let options = options_of(&self.parquet, &self.stores, self.no_samples, None)?;
        let at = self.at.clone().unwrap_or_default();
        let source = VcsSource::open(&Store::open(&input, &stores)?, at, &options)?;
        let progress = Arc::new(Progress::default());
        self.parquet.run(&source, &target, self.threads, &self.messages, &progress, started)
    }
}

impl VcfToParquet {
    pub(crate) fn run(self) -> Result<()> {
        let positional = [&self.input, &self.output];
        let (input, output) =
            places("vcf-to-parquet", positional, &self.input_option, &self.output_option)?;
        let started = Instant::now();
        self.parquet.explain(&self.messages);
        let target = Target::open(&output, &self.stores.options())?;
        let folder = match &self.temp_dir {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        }
        .map_err(|error| Error::store("cannot make a temporary folder").caused_by(error))?;
        let path = folder.path().join("variants.vcs");
        let store = Store::open(&path.to_string_lossy(), &StoreOptions::default())?;
        let name = self.convert(&input, &store)?;
        let made_from = Some(("vcf".to_owned(), name));
        let options = options_of(&self.parquet, &self.stores, self.no_samples, made_from)?;
        let source = VcsSource::open(&store, At::Newest, &options)?;
        let progress = Arc::new(Progress::default());
        self.parquet.run(&source, &target, self.threads, &self.messages, &progress, started)
    }

    /// Puts the input's records in columns and in order; returns its name.
    fn convert(&self, input: &str, store: &Store) -> Result<String> {
        let stores = self.stores.options();
        let threads = self.threads.count().get();
        let progress = Arc::new(Progress::default());
        let first = open_input(input, &stores)?;
        let name = first.name.rsplit('/').next().unwrap_or_default().to_owned();
        let info =
            InputInfo { name: name.clone(), size_bytes: first.size, checksum: None, program: None };
        let transactions = [environment::transaction_id()?, environment::transaction_id()?];
        let memory = usize::try_from(self.parquet.memory / 2).unwrap_or(usize::MAX);
        let options = WriteOptions {
            // It is read once, and at once.
            compression: PageCompression::Zstd(1),
            most_column_samples: usize::MAX,
            threads,
            sort: input == "-",
            sorting: SortOptions { memory, temp_dir: self.temp_dir.clone(), threads },
            ..WriteOptions::new(environment::now(), transactions, info)
        };
        let subset = Subset {
            samples: self.no_samples.then(Vec::new),
            info: match &self.info {
                Some(keys) => Fields::Some(keys.iter().cloned().collect()),
                None => Fields::All,
            },
            format: Fields::All,
        };
        let mut first = Some(first);
        let mut open = || {
            let input = match first.take() {
                Some(input) => input,
                None => open_input(input, &stores)?,
            };
            subset.of(text::open(input.count_into(progress.clone()))?)
        };
        let display = self.messages.start_progress(&progress, "read");
        let outcome = write(&mut open, store, &options, &progress);
        drop(display);
        outcome.map(|_| name)
    }
}
