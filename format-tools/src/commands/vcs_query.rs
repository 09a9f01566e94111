//! `vcs-query`: the variants of some regions, samples and conditions, as bcftools would give them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use genomic_objects::error::{Error, Result};
use genomic_objects::store::Store;
use genomic_objects::vcs::filter::Filter;
use genomic_objects::vcs::places::Places;
use genomic_objects::vcs::query::{self, Output as Form, Query};
use genomic_objects::vcs::read::{QueryStats, Reader};
use genomic_objects::vcs::table::TableFormat;
use serde_json::json;

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;
use crate::report::{self, Summary};
use crate::units::{self, parse_size};

/// Print the variants of regions, samples and conditions, as bcftools does
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
#[command(after_help = "\
Regions are 1-based and closed, as in bcftools: chr1, chr1:1,000-2,000, chr1:1M-2M. Each variant
comes once, in the dataset's order. Without a region all variants come. -s counts AC and AN
anew from the genotypes that are left, unless -I is given.

Expressions are those of bcftools: QUAL>30 && (GT=\"het\" | FMT/DP>10). They look at all samples;
with -f at those of -s, and loops pass over the samples that an expression does not hold for.

Examples:
  vcs-query cohort.vcs chr1:1M-2M
  vcs-query -c -r chr20 s3://bucket/cohort.vcs
  vcs-query -i 'QUAL>30 && N_PASS(GT=\"alt\")>2' s3://bucket/cohort.vcs chr20
  vcs-query -f '%CHROM\\t%POS[\\t%SAMPLE=%GT]\\n' -i 'GT=\"het\"' cohort.vcs
  vcs-query -s NA12878 -O vcf.gz -o NA12878.vcf.gz cohort.vcs
  vcs-query -O parquet --columns CHROM,POS,INFO_AF -o af.parquet cohort.vcs")]
pub(crate) struct VcsQuery {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Regions that variants overlap
    #[arg(value_name = "REGION")]
    positional: Vec<String>,

    /// Regions that variants overlap, separated by commas
    #[arg(short = 'r', long, value_name = "REGIONS")]
    regions: Vec<String>,

    /// The same in a file: BED if it is named so, else contig, first and last position
    #[arg(short = 'R', long, value_name = "FILE")]
    regions_file: Option<PathBuf>,

    /// Regions that POS lies in; with ^ in front, those that it does not
    #[arg(short = 't', long, value_name = "REGIONS", allow_hyphen_values = true)]
    targets: Option<String>,

    /// The same in a file
    #[arg(short = 'T', long, value_name = "FILE", conflicts_with = "targets")]
    targets_file: Option<String>,

    /// Samples, separated by commas; with ^ in front, all others
    #[arg(short = 's', long, value_name = "LIST")]
    samples: Option<String>,

    /// Samples of a file, one a line
    #[arg(short = 'S', long, value_name = "FILE", conflicts_with = "samples")]
    samples_file: Option<String>,

    /// Pass over samples of -s or -S that there are not
    #[arg(long)]
    force_samples: bool,

    /// Leave AC and AN as they are
    #[arg(short = 'I', long)]
    no_update: bool,

    /// Only variants that the expression holds for
    #[arg(short = 'i', long, value_name = "EXPR", allow_hyphen_values = true)]
    include: Option<String>,

    /// Only variants that the expression does not hold for
    #[arg(short = 'e', long, value_name = "EXPR", conflicts_with = "include")]
    #[arg(allow_hyphen_values = true)]
    exclude: Option<String>,

    /// Print this for each variant, as bcftools query does: %CHROM, %INFO/X, [loops over %SAMPLE],
    /// \n, \t
    #[arg(short = 'f', long, value_name = "FORMAT", conflicts_with_all = ["columns", "output_fmt"])]
    #[arg(allow_hyphen_values = true)]
    format: Option<String>,

    /// Only list the samples
    #[arg(short = 'l', long)]
    list_samples: bool,

    /// Only count the variants
    #[arg(short = 'c', long)]
    count: bool,

    /// Columns of a table, as in CHROM,POS,INFO_DP [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Option<Vec<String>>,

    /// Format of the output: vcf, vcf.gz, bcf, tsv, json (an object a line), arrow (IPC stream) or
    /// parquet
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT")]
    #[arg(hide_possible_values = true)]
    output_fmt: Option<Format>,

    /// Leave the header out; with -f begin with a line of names
    #[arg(short = 'H', long)]
    no_header: bool,

    /// Print only the header
    #[arg(short = 'h', long)]
    header_only: bool,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell on standard error what the query cost: round trips, requests, bytes, row groups
    #[arg(long)]
    stats: bool,

    /// Fail before fetching more than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,

    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// VCF text
    #[value(alias = "v")]
    Vcf,
    /// VCF in BGZF
    #[value(name = "vcf.gz", alias = "z")]
    VcfGz,
    /// BCF 2.2
    #[value(alias = "b")]
    Bcf,
    /// Text with tabs
    Tsv,
    /// One JSON object a line
    Json,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

impl VcsQuery {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let reader = Reader::open(&store, self.dataset.version(), &self.places()?)?;
        let samples = self.samples(&reader)?;
        let form = self.form()?;
        let filter = self.filter(&reader, samples.as_deref())?;
        let is_text = self.count
            || matches!(form, Form::Vcf | Form::Table(TableFormat::Tsv | TableFormat::Json));
        let output = match is_text {
            true => Output::open(self.output.as_deref())?,
            false => Output::open_binary(self.output.as_deref(), "this format")?,
        };
        if self.list_samples {
            let names = &reader.schema().samples;
            let all: Vec<usize> = (0..names.len()).collect();
            for &place in samples.as_deref().unwrap_or(&all) {
                output.write_text(&format!("{}\n", names[place]))?;
            }
            return output.finish();
        }
        if self.header_only {
            let header =
                query::header(&reader, samples.as_deref(), samples.is_some() && !self.no_update)?;
            output.write_text(&String::from_utf8_lossy(&header))?;
            return output.finish();
        }
        let query = Query {
            samples,
            keep_counts: self.no_update,
            filter,
            columns: self.columns.clone(),
            with_header: self.no_header == self.format.is_some(),
            threads: self.threads.count().get(),
            max_bytes: self.max_bytes,
        };
        let stats = match &self.format {
            _ if self.count => {
                let stats = query::count(&reader, &query)?;
                output.write_text(&format!("{}\n", stats.records))?;
                stats
            }
            Some(format) => query::print(&reader, &query, format, output.writer())?,
            None => query::run(&reader, &query, form, output.writer())?,
        };
        output.finish()?;
        if self.stats {
            let (text, json) = (report_stats(&stats), json!(stats));
            self.messages.summarise(Summary { text, json, data_on_stdout: true })?;
        }
        Ok(())
    }

    fn places(&self) -> Result<Places> {
        let file = |path: &Option<PathBuf>| -> Result<Option<(String, String)>> {
            let Some(path) = path else { return Ok(None) };
            let name = path.display().to_string();
            Ok(Some((name.clone(), self.stores.read_text(&name)?)))
        };
        let (targets, excluded) = split_caret(self.targets.as_deref());
        let (target_file, file_excluded) = split_caret(self.targets_file.as_deref());
        Ok(Places {
            regions: self.positional.iter().chain(&self.regions).cloned().collect(),
            region_file: file(&self.regions_file)?,
            targets: targets.into_iter().collect(),
            target_file: file(&target_file.map(PathBuf::from))?,
            exclude_targets: excluded || file_excluded,
        })
    }

    fn filter(&self, reader: &Reader, samples: Option<&[usize]>) -> Result<Option<Filter>> {
        let Some(text) = self.include.as_ref().or(self.exclude.as_ref()) else { return Ok(None) };
        // Formats are made of the samples chosen only.
        let samples = samples.filter(|_| self.format.is_some() && !self.count);
        let read = |name: &str| self.stores.read_text(name);
        Filter::new(text, self.exclude.is_some(), reader, samples, &read).map(Some)
    }

    /// The places of the samples asked for in the header, in the order asked for.
    fn samples(&self, reader: &Reader) -> Result<Option<Vec<usize>>> {
        let (list, excluded) = match (&self.samples, &self.samples_file) {
            (Some(list), _) => {
                let (list, excluded) = split_caret(Some(list));
                let list = list.unwrap_or_default();
                (list.split(',').map(str::to_owned).collect::<Vec<_>>(), excluded)
            }
            (None, Some(file)) => {
                let (file, excluded) = split_caret(Some(file));
                let text = self.stores.read_text(&file.unwrap_or_default())?;
                let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
                (text.lines().filter_map(first).collect(), excluded)
            }
            (None, None) => return Ok(None),
        };
        let names = &reader.schema().samples;
        let mut places = Vec::new();
        for name in list.iter().filter(|name| !name.is_empty()) {
            let Some(place) = names.iter().position(|other| other == name) else {
                if self.force_samples {
                    continue;
                }
                return Err(Error::usage(format!("there is no sample {name:?}"))
                    .help("vcs-query -l lists the samples; --force-samples passes over others"));
            };
            if places.contains(&place) {
                return Err(Error::usage(format!("sample {name:?} is asked for twice")));
            }
            places.push(place);
        }
        if excluded {
            let named: BTreeSet<usize> = places.into_iter().collect();
            places = (0..names.len()).filter(|place| !named.contains(place)).collect();
        }
        Ok(Some(places))
    }

    fn form(&self) -> Result<Form> {
        let table = |format| Ok(Form::Table(format));
        match (self.output_fmt, &self.columns) {
            (None, None) | (Some(Format::Vcf), None) => Ok(Form::Vcf),
            (None, Some(_)) | (Some(Format::Tsv), _) => table(TableFormat::Tsv),
            (Some(Format::VcfGz), None) => Ok(Form::VcfGz),
            (Some(Format::Bcf), None) => Ok(Form::Bcf),
            (Some(Format::Json), _) => table(TableFormat::Json),
            (Some(Format::Arrow), _) => table(TableFormat::Arrow),
            (Some(Format::Parquet), _) => table(TableFormat::Parquet),
            (Some(_), Some(_)) => Err(Error::usage("--columns chooses columns of a table")
                .help("add -O tsv, json, arrow or parquet, or leave --columns out")),
        }
    }
}

/// A list, and whether it is of what to leave out.
fn split_caret(text: Option<&str>) -> (Option<String>, bool) {
    match text.map(|text| (text, text.strip_prefix('^'))) {
        Some((_, Some(rest))) => (Some(rest.to_owned()), true),
        Some((text, None)) => (Some(text.to_owned()), false),
        None => (None, false),
    }
}

/// What a query cost, for people.
fn report_stats(stats: &QueryStats) -> String {
    format!(
        "{} variants of {} decoded, from {} of {} row groups\n{}",
        units::count(stats.records),
        units::count(stats.records_decoded),
        units::count(stats.row_groups),
        units::count(stats.row_groups_total),
        report::traffic(&stats.traffic),
    )
}
