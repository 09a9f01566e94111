//! `plot`: coverage of a cohort over a region as a picture.

use std::path::PathBuf;

use clap::Args;
use genomic_objects::error::{Error, Result};
use genomic_objects::ram::plot::Picture;
use genomic_objects::ram::read::{Content, Reader, Request};
use genomic_objects::store::Store;

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::output::Output;

/// Draw the coverage of all samples of a RAM dataset over a region
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools plot cohort.ram chr1:1M-2M
  format-tools plot -o region.svg cohort.ram chr1:1M-2M")]
pub(crate) struct Plot {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Region
    #[arg(value_name = "REGION")]
    region: String,

    /// Only these samples; may be repeated, and hold commas
    #[arg(short = 's', long = "sample", value_name = "NAME", value_delimiter = ',')]
    samples: Vec<String>,

    /// Write an SVG file instead of text
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Characters of a row of text
    #[arg(long, value_name = "N", default_value_t = 72)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    width: u64,

    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Plot {
    pub(crate) fn run(self) -> Result<()> {
        let extension = self.output.as_ref().map(|path| path.extension().unwrap_or_default());
        if extension.is_some_and(|extension| extension != "svg") {
            return Err(Error::usage("plots are written as SVG").help("name a file x.svg"));
        }
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let request = Request {
            regions: vec![self.region.clone()],
            samples: self.samples.clone(),
            ..Request::default()
        };
        let reader = Reader::open(&store, self.dataset.version(), Content::Coverage, &request)?;
        let bars = if self.output.is_some() { Picture::svg_bars() } else { self.width };
        let (picture, _) = Picture::read(&reader, bars, self.threads.count().get())?;
        let output = Output::open(self.output.as_deref())?;
        match self.output {
            Some(_) => output.write_text(&picture.to_svg())?,
            None => output.write_text(&picture.to_text())?,
        }
        output.finish()
    }
}
