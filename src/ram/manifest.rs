//! What a manifest says of a RAM dataset beyond what all datasets say.

use serde::{Deserialize, Serialize};

use super::grid::Windows;
use super::index::Regions;
use crate::dataset::{Fields, Manifest};
use crate::error::{Error, Result};
use crate::genome::Contigs;

/// `format` of a RAM dataset's manifest.
pub const FORMAT: &str = "ram";
/// `version` of a RAM dataset's manifest.
pub const VERSION: &str = "1.0";
/// The kind of the list of a layer's samples.
pub const SAMPLES_KIND: &str = "samples";
/// The kind of the headers of a layer's samples.
pub const HEADERS_KIND: &str = "headers";
/// The kind of the index of a layer's regions.
pub const INDEX_KIND: &str = "regions";
/// The kinds of all objects of a layer.
pub(super) const KINDS: [&str; 3] = [SAMPLES_KIND, HEADERS_KIND, INDEX_KIND];
/// The count of reads that start in a chunk of alignments.
pub const READS: &str = "reads";
/// The count of rows of a chunk.
pub const ROWS: &str = "rows";

/// The members of a RAM manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// How many samples.
    pub sample_count: u64,
    /// How many reads, each counted once.
    pub read_count: u64,
    /// Bases of a region.
    pub region_size: u64,
    /// Bases of a sub-window of a region, by which batches are ordered.
    pub sub_window: u64,
    /// Bases of a row of coverage.
    pub coverage_window: u64,
    /// Reads with any of these flags do not count for coverage and sites.
    pub exclude_flags: u16,
    /// The contigs.
    pub chromosomes: Vec<String>,
    /// Their lengths.
    pub lengths: Vec<u64>,
    /// The MD5 of the sequences of some, by their number.
    pub md5: Vec<(u32, String)>,
    /// Only these parts of the genome were taken: contig, start, end (0-based, half-open).
    pub parts: Option<Vec<(String, u64, u64)>>,
    /// How chunks are compressed.
    pub compression: String,
    /// Bytes of all chunks.
    pub chunk_bytes: u64,
    /// Samples by the transaction that added them.
    pub layers: Vec<Layer>,
}

/// Samples that were added together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The object that lists them.
    pub samples: String,
    /// The object of their headers.
    pub headers: String,
    /// The object with the pages of the index.
    pub index: String,
    /// How many they are.
    pub sample_count: u64,
    /// How many reads they have.
    pub read_count: u64,
    /// How many batches of alignments.
    pub batch_count: u64,
    /// Whether candidate sites were looked for.
    pub has_sites: bool,
    /// Regions with data, and where their pages lie.
    pub regions: Regions,
}

/// The members in the order in which they are written.
const MEMBERS: [&str; 13] = [
    "sample_count",
    "read_count",
    "region_size",
    "sub_window",
    "coverage_window",
    "exclude_flags",
    "chromosomes",
    "lengths",
    "md5",
    "parts",
    "compression",
    "chunk_bytes",
    "layers",
];

impl Details {
    /// Reads them from a manifest.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for another format,
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where a member is missing or of another type.
    pub fn read(manifest: &Manifest) -> Result<Self> {
        let details: Self = manifest.details(FORMAT)?;
        if details.region_size == 0 || details.sub_window == 0 || details.coverage_window == 0 {
            return Err(Error::corrupt("the manifest has a window of no bases"));
        }
        Ok(details)
    }

    /// As members of a manifest.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn to_fields(&self) -> Result<Fields> {
        Fields::in_order(self, &MEMBERS)
    }

    /// How the genome is cut.
    pub(super) fn windows(&self) -> Windows {
        Windows { region: self.region_size, sub: self.sub_window, coverage: self.coverage_window }
    }

    /// The dictionary.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where names and lengths do not pair.
    pub fn dictionary(&self) -> Result<Contigs> {
        Contigs::from_columns(&self.chromosomes, &self.lengths, &self.md5)
    }

    /// Sets the dictionary.
    pub(super) fn set_dictionary(&mut self, contigs: &Contigs) {
        self.chromosomes = contigs.iter().map(|contig| contig.name.clone()).collect();
        self.lengths = contigs.iter().map(|contig| contig.length).collect();
        self.md5 = contigs.md5_column();
    }
}
