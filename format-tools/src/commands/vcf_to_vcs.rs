//! `vcf-to-vcs`: a variant file becomes a dataset.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::dataset::InputInfo;
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::store::{Store, open_input};
use genomic_objects::vcs::PageCompression;
use genomic_objects::vcs::needs::Fields;
use genomic_objects::vcs::odd::Found;
use genomic_objects::vcs::select::Subset;
use genomic_objects::vcs::text;
use genomic_objects::vcs::write::{Summary as Written, WriteOptions, write};
use serde_json::json;

use crate::environment;
use crate::options::{Messages, Threads, WritableStores};
use crate::report::Summary;
use crate::units::{self, parse_size};

/// Convert VCF or BCF to a VCS dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools vcf-to-vcs [OPTIONS] <INPUT> <OUTPUT>")]
#[command(after_help = "\
Records in order of place stream straight through; others are sorted first, and vcs-to-vcf gives
them back in the order of the input. The dataset becomes visible when it is complete.

A file that breaks the VCF specification but can be understood is kept as it is; what was odd is
counted, and told with its first place. One that cannot is refused.

Examples:
  vcf-to-vcs cohort.vcf.gz cohort.vcs
  vcf-to-vcs --verify -@ 8 cohort.bcf s3://bucket/cohort.vcs
  bcftools view -Ou cohort.bcf chr20 | vcf-to-vcs - chr20.vcs")]
pub(crate) struct VcfToVcs {
    /// VCF, plain or gzipped, or BCF: a path, a URL, or - for standard input
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

    /// Samples to keep, separated by commas, in this order
    #[arg(short = 's', long, value_name = "LIST", value_delimiter = ',')]
    samples: Option<Vec<String>>,

    /// Keep sites only
    #[arg(long, conflicts_with_all = ["samples", "format"])]
    no_samples: bool,

    /// Fields of INFO to keep, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    info: Option<Vec<String>>,

    /// Fields of FORMAT to keep, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    format: Option<Vec<String>>,

    /// Most rows of a row group, the unit by which queries skip
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    row_group_rows: u32,

    /// How pages are compressed: zstd, zstd:LEVEL (1 to 22) or snappy
    #[arg(long, value_name = "CODEC", default_value = "zstd:9", value_parser = parse_compression)]
    compression: PageCompression,

    /// Make a new version where a dataset exists already
    #[arg(long)]
    overwrite: bool,

    /// Decode what was written and compare it with the input before it becomes visible
    #[arg(long)]
    verify: bool,

    /// Write nothing, and tell how many objects, bytes and requests it would be
    #[arg(long)]
    dry_run: bool,

    /// Sort from the start, without trying whether the records are in order
    #[arg(long)]
    sort: bool,

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

/// What was odd, a line for each kind.
pub(crate) fn odd_lines(odd: &BTreeMap<String, Found>) -> Vec<String> {
    let line = |(kind, found): (&String, &Found)| {
        let Found { count, line, column, example } = found;
        let example = if example.is_empty() { String::new() } else { format!(": {example:?}") };
        let count = units::count(*count);
        format!("{kind} ({count}), first in line {line}, column {column}{example}")
    };
    odd.iter().map(line).collect()
}

fn parse_compression(text: &str) -> Result<PageCompression, String> {
    PageCompression::parse(text, 9).map_err(|error| error.to_string())
}

impl VcfToVcs {
    pub(crate) fn run(self) -> Result<()> {
        let (input, output) = self.places()?;
        let started = Instant::now();
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let threads = self.threads.count().get();
        let progress = Arc::new(Progress::default());
        let first = open_input(&input, &options)?;
        let info = InputInfo {
            name: first.name.rsplit('/').next().unwrap_or_default().to_owned(),
            size_bytes: first.size,
            checksum: None,
            program: Some(concat!("format-tools ", env!("CARGO_PKG_VERSION")).to_owned()),
        };
        let transactions = [environment::transaction_id()?, environment::transaction_id()?];
        let sorting = SortOptions {
            memory: usize::try_from(self.memory).unwrap_or(usize::MAX),
            temp_dir: self.temp_dir.clone(),
            threads,
        };
        let write_options = WriteOptions {
            row_group_rows: self.row_group_rows as usize,
            compression: self.compression,
            threads,
            // What comes through a pipe comes once.
            sort: self.sort || input == "-",
            sorting,
            overwrite: self.overwrite,
            verify: self.verify,
            dry_run: self.dry_run,
            ..WriteOptions::new(environment::now(), transactions, info)
        };
        let display = self.messages.start_progress(&progress, "converted");
        let subset = self.subset();
        let mut first = Some(first);
        let mut open = || {
            let input = match first.take() {
                Some(input) => input,
                None => open_input(&input, &options)?,
            };
            subset.of(text::open_threaded(input.count_into(progress.clone()), threads)?)
        };
        let written = write(&mut open, &store, &write_options, &progress);
        drop(display);
        self.messages.summarise(self.summary(&written?, &store.name(""), &progress, started))
    }

    fn subset(&self) -> Subset {
        let fields = |keys: &Option<Vec<String>>| match keys {
            Some(keys) => Fields::Some(keys.iter().cloned().collect()),
            None => Fields::All,
        };
        Subset {
            samples: if self.no_samples { Some(Vec::new()) } else { self.samples.clone() },
            info: fields(&self.info),
            format: fields(&self.format),
        }
    }

    fn summary(
        &self,
        written: &Written,
        output: &str,
        progress: &Progress,
        started: Instant,
    ) -> Summary {
        let seconds = started.elapsed();
        let verb = if self.dry_run { "would write" } else { "wrote" };
        let mut text = format!(
            "{verb} {} variants of {} samples to {output}: {} in {} objects ({} parts, {} row \
             groups) in {}",
            units::count(written.variants),
            units::count(written.samples),
            units::bytes(written.total_bytes),
            written.objects,
            written.parts,
            written.row_groups,
            units::duration(seconds),
        );
        if self.dry_run {
            text += &format!("\n{} PUT requests, the manifests' two included", written.objects);
        }
        if written.rows_with_exceptions > 0 {
            let fields: Vec<String> = written
                .exceptions
                .iter()
                .map(|(field, count)| format!("{field} {count}"))
                .collect();
            text += &format!(
                "\n{} variants have values that are kept as text beside the columns: {}",
                units::count(written.rows_with_exceptions),
                if fields.is_empty() { "whole lines".to_owned() } else { fields.join(", ") },
            );
        }
        for line in odd_lines(&written.odd) {
            text += &format!("\nodd: {line}");
        }
        if written.reordered {
            text += "\nthe variants were sorted; vcs-to-vcf restores the order of the input";
        }
        if written.verified {
            text += "\nverified: everything was read back and compared with the input";
        }
        let mut json = json!(written);
        json["output"] = json!(output);
        json["dry_run"] = json!(self.dry_run);
        json["input_bytes"] = json!(progress.snapshot().bytes_in);
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
        .map_err(|error| error.help("vcf-to-vcs INPUT OUTPUT, as in: vcf-to-vcs x.vcf.gz x.vcs"))
    }
}
