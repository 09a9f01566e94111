//! `info`, `idxstats`, `flagstat`, `depth`: what a dataset holds, in numbers.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use genomic_objects::dataset::Dataset;
use genomic_objects::error::Result;
use genomic_objects::paf::depth::{DepthOptions, Zeros, depth};
use genomic_objects::paf::manifest::Details;
use genomic_objects::paf::read::{Places, Reader};
use genomic_objects::ram;
use genomic_objects::srf;
use genomic_objects::store::Store;
use genomic_objects::vcs;
use serde_json::json;

use super::vcf_to_vcs::odd_lines;
use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::{self, Output};
use crate::units;

/// Bytes of text gathered before each write.
const BUFFER: usize = 256 << 10;

/// Describe a dataset from its manifest
#[derive(Args, Clone, Debug)]
pub(crate) struct Info {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print reads per contig, in the text of samtools idxstats; reads no chunk
#[derive(Args, Clone, Debug)]
pub(crate) struct Idxstats {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print reads per flag, in the text of samtools flagstat; reads no chunk
#[derive(Args, Clone, Debug)]
pub(crate) struct Flagstat {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Print depth of coverage, in the text of samtools depth; fetches only the columns it needs
#[derive(Args, Clone, Debug)]
pub(crate) struct Depth {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Regions [default: all]
    #[arg(value_name = "REGION")]
    regions: Vec<String>,

    /// Regions of a BED file (- for standard input)
    #[arg(short = 'b', long = "regions-file", value_name = "BED")]
    regions_file: Option<PathBuf>,

    /// Also print positions without coverage; twice, those of unused contigs, too
    #[arg(short = 'a', long, action = clap::ArgAction::Count)]
    all: u8,

    /// Leave out bases of lower quality
    #[arg(short = 'q', long = "min-BQ", value_name = "N", default_value_t = 0)]
    min_base_quality: u8,

    /// Leave out reads of lower mapping quality
    #[arg(short = 'Q', long = "min-MQ", value_name = "N", default_value_t = 0)]
    min_mapping_quality: u8,

    /// Count deletions as coverage
    #[arg(short = 'J', long)]
    deletions: bool,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Info {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let dataset = Dataset::open(&store, self.dataset.version())?;
        if dataset.manifest().format == vcs::manifest::FORMAT {
            return self.describe_variants(&dataset);
        }
        if dataset.manifest().format == srf::manifest::FORMAT {
            return self.describe_reads(&dataset);
        }
        if dataset.manifest().format == ram::manifest::FORMAT {
            return self.describe_cohort(&dataset);
        }
        let details = Details::read(dataset.manifest())?;
        let manifest = dataset.manifest();
        let sizes: Vec<u64> = dataset.chunks()?.iter().map(|chunk| chunk.size_bytes).collect();
        let total: u64 = sizes.iter().sum();
        if self.messages.json {
            let json = json!({
                "format": manifest.format,
                "version": manifest.version,
                "dataset_version": manifest.dataset_version,
                "created": manifest.created,
                "tags": manifest.tags,
                "sample": details.sample,
                "reference": details.reference,
                "contigs": details.chromosomes.len(),
                "chunk_size": details.chunk_size,
                "level": details.level,
                "read_count": details.read_count,
                "statistics": details.statistics,
                "keeps_input_order": details.keeps_input_order,
                "chunks": sizes.len(),
                "blocks": details.index.blocks(),
                "chunk_bytes": total,
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
        line("format", format!("{} {}", manifest.format, manifest.version));
        line("version", format!("{} ({})", manifest.dataset_version, manifest.created));
        for (name, version) in &manifest.tags {
            line("tag", format!("{name}: version {version}"));
        }
        line("sample", details.sample.clone().unwrap_or_else(|| "-".to_owned()));
        line("reference", details.reference.clone().unwrap_or_else(|| "-".to_owned()));
        line("contigs", units::count(details.chromosomes.len() as u64));
        line("reads", units::count(details.read_count));
        line("level", details.level.clone());
        line("window", format!("{} bases", units::count(details.chunk_size)));
        line("chunks", format!("{} of {} in all", sizes.len(), units::bytes(total)));
        line("blocks", units::count(details.index.blocks()));
        for (bound, chunks) in histogram(&sizes) {
            line("", format!("{chunks} {bound}"));
        }
        output::print(&text)
    }
}

impl Info {
    fn describe_cohort(&self, dataset: &Dataset) -> Result<()> {
        let manifest = dataset.manifest();
        let details = ram::manifest::Details::read(manifest)?;
        let batches: u64 = details.layers.iter().map(|layer| layer.batch_count).sum();
        let has_sites = details.layers.iter().filter(|layer| layer.has_sites).count();
        if self.messages.json {
            let json = json!({
                "format": manifest.format,
                "version": manifest.version,
                "dataset_version": manifest.dataset_version,
                "created": manifest.created,
                "tags": manifest.tags,
                "sample_count": details.sample_count,
                "read_count": details.read_count,
                "contigs": details.chromosomes.len(),
                "region_size": details.region_size,
                "sub_window": details.sub_window,
                "coverage_window": details.coverage_window,
                "layers": details.layers.len(),
                "layers_with_sites": has_sites,
                "batches": batches,
                "chunk_bytes": details.chunk_bytes,
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
        line("format", format!("{} {}", manifest.format, manifest.version));
        line("version", format!("{} ({})", manifest.dataset_version, manifest.created));
        for (name, version) in &manifest.tags {
            line("tag", format!("{name}: version {version}"));
        }
        line("samples", units::count(details.sample_count));
        line("reads", units::count(details.read_count));
        line("contigs", units::count(details.chromosomes.len() as u64));
        line("region", format!("{} bases", units::count(details.region_size)));
        line("sub-window", format!("{} bases", units::count(details.sub_window)));
        line("layers", format!("{}, {has_sites} of them with sites", details.layers.len()));
        line("batches", units::count(batches));
        line("chunks", units::bytes(details.chunk_bytes));
        output::print(&text)
    }
}

impl Info {
    fn describe_variants(&self, dataset: &Dataset) -> Result<()> {
        let manifest = dataset.manifest();
        let details = vcs::manifest::Details::read(manifest)?;
        let statistics = &details.statistics;
        if self.messages.json {
            let json = json!({
                "format": manifest.format,
                "version": manifest.version,
                "dataset_version": manifest.dataset_version,
                "created": manifest.created,
                "tags": manifest.tags,
                "reference": details.reference,
                "contigs": details.chromosomes.len(),
                "variant_count": details.variant_count,
                "sample_count": details.sample_count,
                "block_samples": details.block_samples,
                "compression": details.compression,
                "row_group_rows": details.row_group_rows,
                "parts": details.index.parts,
                "row_groups": details.index.row_groups,
                "statistics": statistics,
                "exceptions": details.exceptions,
                "odd": details.odd,
                "keeps_input_order": details.keeps_input_order,
                "chunk_bytes": details.chunk_bytes(),
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
        line("format", format!("{} {}", manifest.format, manifest.version));
        line("version", format!("{} ({})", manifest.dataset_version, manifest.created));
        for (name, version) in &manifest.tags {
            line("tag", format!("{name}: version {version}"));
        }
        line("reference", details.reference.clone().unwrap_or_else(|| "-".to_owned()));
        line("contigs", units::count(details.chromosomes.len() as u64));
        line("variants", units::count(details.variant_count));
        line("samples", units::count(details.sample_count));
        line("compression", details.compression.clone());
        line("parts", units::count(details.index.parts));
        line("row groups", units::count(details.index.row_groups));
        line("sites", units::bytes(statistics.site_bytes));
        line("calls", units::bytes(statistics.call_bytes));
        line("exact text", units::bytes(statistics.exact_bytes));
        line(
            "exceptions",
            format!("in {} variants", units::count(statistics.rows_with_exceptions)),
        );
        for (field, count) in &details.exceptions {
            line("", format!("{field} {}", units::count(*count)));
        }
        for (at, found) in odd_lines(&details.odd).into_iter().enumerate() {
            line(if at == 0 { "odd" } else { "" }, found);
        }
        output::print(&text)
    }
}

impl Info {
    fn describe_reads(&self, dataset: &Dataset) -> Result<()> {
        let manifest = dataset.manifest();
        let details = srf::manifest::Details::read(manifest)?;
        if self.messages.json {
            let json = json!({
                "format": manifest.format,
                "version": manifest.version,
                "dataset_version": manifest.dataset_version,
                "created": manifest.created,
                "tags": manifest.tags,
                "total_reads": details.total_reads,
                "total_bases": details.total_bases,
                "avg_quality": details.avg_quality,
                "read_length": details.read_length,
                "min_length": details.min_length,
                "max_length": details.max_length,
                "reads_per_row": details.reads_per_row,
                "layout": details.layout,
                "order": details.order,
                "ordered_chunk_bytes": details.ordered.as_ref().map(|view| view.chunk_bytes),
                "level": details.level,
                "chunks": details.input_order.chunk_count,
                "batches": details.input_order.batch_count,
                "reads_kept_as_text": details.reads_kept_as_text,
                "text_bytes": details.text_bytes,
                "chunk_bytes": details.input_order.chunk_bytes,
            });
            return output::print(&format!("{json}\n"));
        }
        let mut text = String::new();
        let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
        line("format", format!("{} {}", manifest.format, manifest.version));
        line("version", format!("{} ({})", manifest.dataset_version, manifest.created));
        for (name, version) in &manifest.tags {
            line("tag", format!("{name}: version {version}"));
        }
        let pairs = if details.reads_per_row == 2 { " in pairs" } else { "" };
        line("reads", format!("{}{pairs}", units::count(details.total_reads)));
        line("bases", units::count(details.total_bases));
        let quality = details.avg_quality.map(|quality| format!("{quality:.2}"));
        line("avg quality", quality.unwrap_or_else(|| "-".to_owned()));
        line(
            "read length",
            match details.read_length {
                Some(length) => length.to_string(),
                None => format!("{} to {}", details.min_length, details.max_length),
            },
        );
        let layout = format!("{:?}", details.layout).to_lowercase();
        line("layout", format!("{layout}, level {}", details.level));
        line("chunks", units::count(details.input_order.chunk_count));
        line("batches", units::count(details.input_order.batch_count));
        if let Some(ordered) = &details.ordered {
            let order = format!("{:?}", details.order).to_lowercase();
            let (chunks, bytes) = (ordered.chunk_count, units::bytes(ordered.chunk_bytes));
            line("second view", format!("by {order}: {bytes} in {chunks} chunks"));
        }
        line("kept as text", units::count(details.reads_kept_as_text));
        line(
            "size",
            format!(
                "{} of chunks, for {} of text",
                units::bytes(details.input_order.chunk_bytes),
                units::bytes(details.text_bytes)
            ),
        );
        output::print(&text)
    }
}

/// How many chunks there are of which size.
fn histogram(sizes: &[u64]) -> Vec<(&'static str, usize)> {
    const MB: u64 = 1_000_000;
    let bounds = [
        ("below 1 MB", 0..MB),
        ("of 1 to 4 MB", MB..4 * MB),
        ("of 4 to 16 MB", 4 * MB..16 * MB),
        ("of 16 to 64 MB", 16 * MB..64 * MB),
        ("from 64 MB on", 64 * MB..u64::MAX),
    ];
    let count =
        |range: &std::ops::Range<u64>| sizes.iter().filter(|&size| range.contains(size)).count();
    bounds.iter().map(|(name, range)| (*name, count(range))).filter(|(_, n)| *n > 0).collect()
}

/// Opens a dataset for its manifest alone.
fn describe(dataset: &DatasetAt, stores: &Stores) -> Result<(Dataset, Details)> {
    let store = Store::open(&dataset.dataset, &stores.options())?;
    let opened = Dataset::open(&store, dataset.version())?;
    let details = Details::read(opened.manifest())?;
    Ok((opened, details))
}

impl Idxstats {
    pub(crate) fn run(self) -> Result<()> {
        let (_, details) = describe(&self.dataset, &self.stores)?;
        output::print(&details.contig_counts().text(&details.dictionary()?))
    }
}

impl Flagstat {
    pub(crate) fn run(self) -> Result<()> {
        let (_, details) = describe(&self.dataset, &self.stores)?;
        output::print(&details.flagstat()?.text())
    }
}

impl Depth {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let bed = match &self.regions_file {
            None => None,
            Some(path) => {
                let name = path.display().to_string();
                let text = self.stores.read_text(&name)?;
                Some((name, text))
            }
        };
        let places = Places { regions: self.regions.clone(), bed };
        let reader = Reader::open(&store, self.dataset.version(), &places)?;
        let options = DepthOptions {
            min_mapping_quality: self.min_mapping_quality,
            min_base_quality: self.min_base_quality,
            count_deletions: self.deletions,
            zeros: match self.all {
                0 => Zeros::Skipped,
                1 => Zeros::OfUsedContigs,
                _ => Zeros::OfAllContigs,
            },
            threads: self.threads.count().get(),
            ..DepthOptions::default()
        };
        let output = Output::open(self.output.as_deref())?;
        let mut text = String::new();
        depth(&reader, &options, |contig, interval, depth| {
            let name = reader.contigs().get(contig).map_or("*", |contig| contig.name.as_str());
            for position in interval.start()..interval.end() {
                // Writing into a string cannot fail.
                let _ = writeln!(text, "{name}\t{}\t{depth}", position + 1);
                if text.len() >= BUFFER {
                    output.write_text(&text)?;
                    text.clear();
                }
            }
            Ok(())
        })?;
        output.write_text(&text)?;
        output.finish()
    }
}
