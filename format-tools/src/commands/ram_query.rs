//! `ram-query`: alignments, coverage and candidate variants of a cohort.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use genomic_objects::error::{Error, Result};
use genomic_objects::ram::query::Writer;
use genomic_objects::ram::read::{Content, QueryStats, Reader, Request};
use genomic_objects::ram::{depths, query, vcf};
use genomic_objects::records::alignments::{Header, Validation, sink};
use genomic_objects::store::Store;
use serde_json::json;

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;
use crate::report::{self, Summary};
use crate::units::{self, parse_size};

/// Print alignments, coverage or candidate variants of regions and samples
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
#[command(after_help = "\
Regions are 1-based and closed, as in samtools: chr1, chr1:1,000-2,000, chr1:1M-2M, {HLA:01}:5-6,
* for reads without a place. Without a region, everything comes.

Alignments of one sample are those that samtools view prints of its file. Those of several come by
window, then sample, then position; SAM and BAM say whose they are in a tag, sI:Z:NAME.

Coverage counts what samtools depth -s counts. Candidate variants are for research: single bases,
samples judged one by one.

Examples:
  ram-query cohort.ram chr1:1M-2M
  ram-query -s NA12878 -O bam -o region.bam s3://bucket/cohort.ram chr1:1M-2M
  ram-query --coverage --window 1000 --sum cohort.ram chr1:1M-2M
  ram-query --variants cohort.ram chr1:1M-2M > sites.vcf")]
pub(crate) struct RamQuery {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Regions
    #[arg(value_name = "REGION")]
    regions: Vec<String>,

    /// Regions of a BED file (- for standard input)
    #[arg(short = 'L', long = "regions-file", value_name = "BED")]
    regions_file: Option<PathBuf>,

    /// Only these samples; may be repeated, and hold commas
    #[arg(short = 's', long = "sample", value_name = "NAME", value_delimiter = ',')]
    samples: Vec<String>,

    /// Print coverage: of each sample, as stretches of equal depth
    #[arg(long, conflicts_with = "variants")]
    coverage: bool,

    /// Print coverage of windows of so many bases: mean, least, greatest depth, bases covered
    #[arg(long, value_name = "BASES", requires = "coverage", value_parser = parse_size)]
    window: Option<u64>,

    /// Print coverage of all samples together
    #[arg(long, requires = "coverage")]
    sum: bool,

    /// Print candidate variants as VCF
    #[arg(long)]
    variants: bool,

    /// Only count the alignments
    #[arg(short = 'c', long, conflicts_with_all = ["coverage", "variants"])]
    count: bool,

    /// Format of the output: sam (default), bam, arrow or json; of coverage bed (default),
    /// bedgraph, arrow or json
    #[arg(short = 'O', long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    output_fmt: Option<Format>,

    /// Print the header before the alignments (BAM always has it)
    #[arg(short = 'h', long)]
    with_header: bool,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell on standard error what the query cost: round trips, requests, bytes, batches
    #[arg(long)]
    stats: bool,

    /// Fail before fetching more than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_bytes: Option<u64>,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
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
    Sam,
    Bam,
    Arrow,
    Json,
    Bed,
    Bedgraph,
    Vcf,
}

impl RamQuery {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let request = Request {
            regions: self.regions.clone(),
            bed: match &self.regions_file {
                Some(path) => {
                    let name = path.display().to_string();
                    let text = self.stores.read_text(&name)?;
                    Some((name, text))
                }
                None => None,
            },
            samples: self.samples.clone(),
        };
        let content = match (self.coverage, self.variants) {
            (true, _) => Content::Coverage,
            (_, true) => Content::Sites,
            _ => Content::Alignments,
        };
        let format = self.format(content)?;
        let reader = Reader::open(&store, self.dataset.version(), content, &request)?;
        let is_binary = matches!(format, Format::Bam | Format::Arrow) && !self.count;
        let output = match is_binary {
            true => Output::open_binary(self.output.as_deref(), "this format")?,
            false => Output::open(self.output.as_deref())?,
        };
        let stats = match content {
            Content::Alignments => self.alignments(&reader, format, &output)?,
            Content::Coverage => self.depths(&reader, format, &output)?,
            Content::Sites => {
                let threads = self.threads.count().get();
                let mut out = output.writer();
                vcf::write(&reader, threads, self.max_bytes, |text| emit(&mut out, &text))?
            }
        };
        output.finish()?;
        if self.stats {
            let text = report_stats(&stats);
            self.messages.summarise(Summary { text, json: json!(stats), data_on_stdout: true })?;
        }
        Ok(())
    }

    /// The format asked for, which must be one of those of the content.
    fn format(&self, content: Content) -> Result<Format> {
        let known: &[Format] = match content {
            Content::Alignments => &[Format::Sam, Format::Bam, Format::Arrow, Format::Json],
            Content::Coverage => &[Format::Bed, Format::Bedgraph, Format::Arrow, Format::Json],
            Content::Sites => &[Format::Vcf],
        };
        match self.output_fmt {
            None => Ok(known[0]),
            Some(format) if known.contains(&format) => Ok(format),
            Some(_) => Err(Error::usage("-O names a format that this is not written in").expected(
                match content {
                    Content::Alignments => "sam, bam, arrow or json",
                    Content::Coverage => "bed, bedgraph, arrow or json",
                    Content::Sites => "vcf",
                },
            )),
        }
    }

    fn alignments(&self, reader: &Reader, format: Format, output: &Output) -> Result<QueryStats> {
        let threads = self.threads.count().get();
        let wanted = match format {
            _ if self.count => query::Format::Nothing,
            Format::Arrow => query::Format::Arrow,
            Format::Json => query::Format::Json,
            _ => query::Format::Sam,
        };
        let writer = Writer::new(reader, wanted);
        let header = match format == Format::Bam || self.with_header {
            true => Some(query_header(reader)?),
            false => None,
        };
        if let (Format::Bam, Some(header), false) = (format, &header, self.count) {
            let mut bam = sink::create(sink::Format::Bam, output.writer(), header, threads)?;
            let stats = writer.records(threads, self.max_bytes, |batch| bam.write(batch))?;
            bam.finish()?;
            return Ok(stats);
        }
        let mut out = output.writer();
        if let (Format::Sam, Some(header), false) = (format, &header, self.count) {
            emit(&mut out, &header.to_sam_text())?;
        }
        emit(&mut out, &writer.head()?)?;
        let stats = writer.write(threads, self.max_bytes, |text| emit(&mut out, &text))?;
        emit(&mut out, &writer.tail())?;
        if self.count {
            emit(&mut out, format!("{}\n", stats.rows).as_bytes())?;
        }
        Ok(stats)
    }

    fn depths(&self, reader: &Reader, format: Format, output: &Output) -> Result<QueryStats> {
        let options = depths::Options {
            format: match format {
                Format::Bedgraph => depths::Format::Bedgraph,
                Format::Arrow => depths::Format::Arrow,
                Format::Json => depths::Format::Json,
                _ => depths::Format::Bed,
            },
            window: self.window.filter(|&window| window > 0),
            summed: self.sum,
        };
        let mut out = output.writer();
        let threads = self.threads.count().get();
        depths::write(reader, &options, threads, self.max_bytes, |text| emit(&mut out, &text))
    }
}

fn emit(out: &mut Box<dyn Write + Send>, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|error| Error::store("writing the output failed").caused_by(error))
}

/// The header of what a query writes: its contigs as the dataset counts them. Of one sample, what
/// else its own header says; of several, a line that says so.
fn query_header(reader: &Reader) -> Result<Header> {
    let mut text = "@HD\tVN:1.6\tSO:unsorted\n".to_owned();
    for contig in reader.contigs().iter() {
        text += &format!("@SQ\tSN:{}\tLN:{}", contig.name, contig.length);
        if let Some(md5) = &contig.md5 {
            text += &format!("\tM5:{md5}");
        }
        text.push('\n');
    }
    if reader.samples().len() == 1 {
        let own = reader.header()?;
        // With its own dictionary in the dataset's order, the header can stay as it is.
        if own
            .contigs()
            .iter()
            .map(|contig| &contig.name)
            .eq(reader.contigs().iter().map(|contig| &contig.name))
        {
            return Ok(own);
        }
        for line in String::from_utf8_lossy(own.text()).lines() {
            if !line.starts_with("@HD") && !line.starts_with("@SQ") {
                text += line;
                text.push('\n');
            }
        }
    } else {
        text += "@CO\tseveral samples: the tag sI names the one that a read is of\n";
    }
    Header::parse_sam_text(text.as_bytes(), Validation::Lenient)
}

/// What a query cost, for people.
fn report_stats(stats: &QueryStats) -> String {
    format!(
        "{} rows of {} decoded, of {} samples, from {} batches (the dataset has {} of alignments)\n{}",
        units::count(stats.rows),
        units::count(stats.rows_decoded),
        units::count(stats.samples),
        units::count(stats.batches),
        units::count(stats.batches_total),
        report::traffic(&stats.traffic),
    )
}
