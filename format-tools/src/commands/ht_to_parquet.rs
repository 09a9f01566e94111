//! `ht-to-parquet`: a Hail Table becomes partitioned Parquet.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::error::Result;
use genomic_objects::hail::Table;
use genomic_objects::hive::{HailOptions, HailSource, Target};
use genomic_objects::pipeline::Progress;
use genomic_objects::store::Store;

use super::parquet_options::{ParquetOptions, places};
use crate::options::{Messages, Stores, Threads};

/// Export a Hail Table keyed by locus to partitioned Parquet, without Hail, Spark or a JVM
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools ht-to-parquet [OPTIONS] <TABLE> <OUTPUT>")]
#[command(after_help = "\
Files are OUTPUT/contig=chr1/part-….parquet, sorted by position: one for each partition of the
table, where small neighbours share one. OUTPUT._manifest lists them; it is written last.

Examples:
  ht-to-parquet sites.ht parquet_out
  ht-to-parquet --dry-run --ht-path sites.ht --out parquet_out
  ht-to-parquet --no-sign-request gs://bucket/sites.ht parquet_out --contigs chr21,chr22")]
pub(crate) struct HtToParquet {
    /// Hail Table: a folder or a URL that ends in .ht
    #[arg(value_name = "TABLE")]
    input: Option<String>,

    /// Folder of Parquet files to make, or its URL
    #[arg(value_name = "OUTPUT")]
    output: Option<String>,

    /// The table, instead of TABLE
    #[arg(long = "ht-path", visible_alias = "input", value_name = "TABLE")]
    input_option: Option<String>,

    /// The output, instead of OUTPUT
    #[arg(short = 'o', long = "out", visible_alias = "output", value_name = "OUTPUT")]
    output_option: Option<String>,

    #[command(flatten)]
    parquet: ParquetOptions,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl HtToParquet {
    pub(crate) fn run(self) -> Result<()> {
        let positional = [&self.input, &self.output];
        let (input, output) =
            places("ht-to-parquet", positional, &self.input_option, &self.output_option)?;
        let started = Instant::now();
        self.parquet.explain(&self.messages);
        let stores = self.stores.options();
        let target = Target::open(&output, &stores)?;
        let table = Table::open(&Store::open(&input, &stores)?)?;
        let options = HailOptions {
            contigs: self.parquet.contigs.clone(),
            intervals: self.parquet.intervals(&self.stores)?,
            coalesce_per_contig: self.parquet.coalesce(),
            min_file_bytes: self.parquet.min_file_bytes,
            flatten: self.parquet.flatten(),
            threads: self.threads.count().get(),
        };
        let source = HailSource::new(table, &options)?;
        let progress = Arc::new(Progress::default());
        self.parquet.run(&source, &target, self.threads, &self.messages, &progress, started)
    }
}
