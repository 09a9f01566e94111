//! `vcf-to-vcs`: a variant file becomes a dataset.

use std::collections::BTreeMap;

use clap::Args;
use genomic_objects::error::Result;
use genomic_objects::store::{Store, open_input};
use genomic_objects::vcs::PageCompression;
use genomic_objects::vcs::needs::Fields;
use genomic_objects::vcs::odd::Found;
use genomic_objects::vcs::select::Subset;
use genomic_objects::vcs::text;
use genomic_objects::vcs::write::{Summary as Written, WriteOptions, write};

use crate::conversion::{Amount, Changes, Conversion, InputOutput, input_info};
use crate::environment;
use crate::options::{Messages, Sorting, Threads, WritableStores};
use crate::units;

/// Convert VCF or BCF to a VCS dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools vcf-to-vcs [OPTIONS] <INPUT> <OUTPUT>")]
#[command(after_help = "\
Records in order of place stream straight through; others are sorted first, and vcs-to-vcf gives
them back in the order of the input. The dataset becomes visible when it is complete.

A file that breaks the VCF specification but can be understood is kept as it is; what was odd is
counted, and told with its first place. One that cannot is refused.

--append adds records of the same samples behind those of each contig, as bcftools concat does;
--replace redoes contigs. The other parts stay as they are, and columns are those of the dataset.

Examples:
  vcf-to-vcs cohort.vcf.gz cohort.vcs
  vcf-to-vcs --verify -@ 8 cohort.bcf s3://bucket/cohort.vcs
  bcftools view -Ou cohort.bcf chr20 | vcf-to-vcs - chr20.vcs
  vcf-to-vcs --append chr21.vcf.gz cohort.vcs
  vcf-to-vcs --replace chr20 recalled.vcf.gz cohort.vcs")]
pub(crate) struct VcfToVcs {
    #[command(flatten)]
    paths: InputOutput,

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
    #[arg(conflicts_with_all = ["append", "replace"])]
    row_group_rows: u32,

    /// How pages are compressed: zstd, zstd:LEVEL (1 to 22) or snappy
    #[arg(long, value_name = "CODEC", default_value = "zstd:9", value_parser = parse_compression)]
    #[arg(conflicts_with_all = ["append", "replace"])]
    compression: PageCompression,

    #[command(flatten)]
    changes: Changes,

    /// Sort from the start, without trying whether the records are in order
    #[arg(long)]
    sort: bool,

    #[command(flatten)]
    sorting: Sorting,
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
        let (input, output) =
            self.paths.places("vcf-to-vcs INPUT OUTPUT, as in: vcf-to-vcs x.vcf.gz x.vcs")?;
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let threads = self.threads.count().get();
        let change = self.changes.change();
        let conversion =
            Conversion::start(&self.messages, &store, change.clone(), self.changes.dry_run);
        let first = open_input(&input, &options)?;
        let info = input_info(&first.name, first.size);
        let transactions = [environment::transaction_id()?, environment::transaction_id()?];
        let write_options = WriteOptions {
            row_group_rows: self.row_group_rows as usize,
            compression: self.compression,
            threads,
            // What comes through a pipe comes once.
            sort: self.sort || input == "-",
            sorting: self.sorting.options(threads),
            change,
            verify: self.changes.verify,
            dry_run: self.changes.dry_run,
            ..WriteOptions::new(environment::now(), transactions, info)
        };
        let subset = self.subset();
        let mut first = Some(first);
        let progress = conversion.progress.clone();
        let mut open = || {
            let input = match first.take() {
                Some(input) => input,
                None => open_input(&input, &options)?,
            };
            subset.of(text::open_threaded(input.count_into(progress.clone()), threads)?)
        };
        let written =
            conversion.run(|progress| write(&mut open, &store, &write_options, progress))?;
        let amount = Amount {
            bytes: written.total_bytes,
            objects: written.objects,
            of: format!("{} parts, {} row groups", written.parts, written.row_groups),
        };
        let what = format!(
            "{} variants of {} samples",
            units::count(written.variants),
            units::count(written.samples)
        );
        conversion.summarise(&written, &what, &amount, &remarks(&written))
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
}

/// What is to be said of a conversion besides how much was written.
fn remarks(written: &Written) -> Vec<String> {
    let mut lines = Vec::new();
    if written.rows_with_exceptions > 0 {
        let fields: Vec<String> =
            written.exceptions.iter().map(|(field, count)| format!("{field} {count}")).collect();
        lines.push(format!(
            "{} variants have values that are kept as text beside the columns: {}",
            units::count(written.rows_with_exceptions),
            if fields.is_empty() { "whole lines".to_owned() } else { fields.join(", ") },
        ));
    }
    lines.extend(odd_lines(&written.odd).into_iter().map(|line| format!("odd: {line}")));
    if written.reordered {
        lines.push("the variants were sorted; vcs-to-vcf restores the order of the input".into());
    }
    lines
}
