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
  format-tools plot -o region.svg cohort.ram chr1:1M-2M
  format-tools plot -o region.png cohort.ram chr1:1M-2M")]
pub(crate) struct Plot {
    #[command(flatten)]
    dataset: DatasetAt,

    /// Region
    #[arg(value_name = "REGION")]
    region: String,

    /// Only these samples; may be repeated, and hold commas
    #[arg(short = 's', long = "sample", value_name = "NAME", value_delimiter = ',')]
    samples: Vec<String>,

    /// Write a picture, x.svg or x.png, instead of text
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
        let drawing = match self.output.as_ref().map(|path| path.extension()) {
            None => None,
            Some(Some(extension)) if extension == "svg" => Some(Drawing::Svg),
            Some(Some(extension)) if extension == "png" => Some(Drawing::Png),
            Some(_) => {
                return Err(Error::usage("plots are written as SVG or PNG")
                    .help("name a file x.svg or x.png"));
            }
        };
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let request = Request {
            regions: vec![self.region.clone()],
            samples: self.samples.clone(),
            ..Request::default()
        };
        let reader = Reader::open(&store, self.dataset.version(), Content::Coverage, &request)?;
        let bars = if drawing.is_some() { Picture::drawn_bars() } else { self.width };
        let (picture, _) = Picture::read(&reader, bars, self.threads.count().get())?;
        let output = Output::open(self.output.as_deref())?;
        let bytes = match drawing {
            Some(Drawing::Svg) => picture.to_svg().into_bytes(),
            Some(Drawing::Png) => picture.to_png()?,
            None => picture.to_text().into_bytes(),
        };
        output.write_bytes(&bytes)?;
        output.finish()
    }
}

enum Drawing {
    Svg,
    Png,
}
