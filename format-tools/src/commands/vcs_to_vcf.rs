//! `vcs-to-vcf`: a dataset becomes a variant file again.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use genomic_objects::error::Result;
use genomic_objects::pipeline::Progress;
use genomic_objects::store::Store;
use genomic_objects::vcs::export;
use genomic_objects::vcs::output::TextWriter;
use genomic_objects::vcs::places::Places;
use genomic_objects::vcs::read::Reader;

use crate::options::{DatasetAt, Messages, Sorting, Stores, Threads};
use crate::output::Output;

/// Convert a VCS dataset back to VCF
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
VCF is byte for byte the text that the dataset was made from, header and order included. It is
checked against the digests taken then, and the command fails if it differs. A dataset made from BCF
gives the text that bcftools view prints of that.

BCF holds what it can: a line with a value that it has no place for, such as text in a field of
integers, is refused by name.

Examples:
  vcs-to-vcf cohort.vcs > cohort.vcf
  vcs-to-vcf -O vcf.gz -o cohort.vcf.gz s3://bucket/cohort.vcs
  vcs-to-vcf -O bcf -@ 4 cohort.vcs | bcftools stats -")]
pub(crate) struct VcsToVcf {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Format of the output: vcf, vcf.gz or bcf
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
    /// Text
    #[default]
    #[value(alias = "v")]
    Vcf,
    /// Text in BGZF
    #[value(name = "vcf.gz", alias = "z")]
    VcfGz,
    /// BCF 2.2
    #[value(alias = "b")]
    Bcf,
}

impl VcsToVcf {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let reader = Reader::open(&store, self.dataset.version(), &Places::default())?;
        let threads = self.threads.count().get();
        let output = match self.output_fmt {
            Format::Vcf => Output::open(self.output.as_deref())?,
            Format::VcfGz => Output::open_binary(self.output.as_deref(), "vcf.gz")?,
            Format::Bcf => Output::open_binary(self.output.as_deref(), "bcf")?,
        };
        let progress = Arc::new(Progress::default());
        let display = self.messages.show(&progress, "wrote", &output);
        let sorting = self.sorting.options(threads);
        let mut writer = match self.output_fmt {
            Format::Vcf => TextWriter::plain(output.writer()),
            Format::VcfGz | Format::Bcf => TextWriter::bgzf(output.writer(), threads),
        };
        if let Format::Bcf = self.output_fmt {
            export::bcf(&reader, threads, sorting, &progress, |bytes| writer.write(bytes))?;
        } else {
            writer.write(&reader.schema().header)?;
            export::text(&reader, threads, sorting, &progress, |text| writer.write(text))?;
        }
        writer.finish()?;
        drop(display);
        output.finish()
    }
}
