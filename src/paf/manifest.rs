//! What a manifest says of a PAF dataset beyond what all datasets say.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde::{Deserialize, Serialize};

use super::index;
use crate::codec::{self, Effort};
use crate::dataset::{Fields, Manifest};
use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::records::alignments::Header;
use crate::records::alignments::stats::{ContigCounts, Flagstat};

/// `format` of a PAF dataset's manifest.
pub const FORMAT: &str = "paf";
/// `version` of a PAF dataset's manifest.
pub const VERSION: &str = "1.0";
/// `compression`: each stream names its codec.
pub const COMPRESSION: &str = "series";
/// The kind of the object with the SAM header, compressed with zstd.
pub const HEADER_KIND: &str = "header";
/// The kind of the object with the pages of the spatial index.
pub const INDEX_KIND: &str = "index";

/// The members of a PAF manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// The sample, from `--sample` or the header's only `@RG SM`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample: Option<String>,
    /// The assembly, from the header's only `@SQ AS`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// All contigs, in the order of the header.
    pub chromosomes: Vec<String>,
    /// Bases per window.
    pub chunk_size: u64,
    /// How streams are coded: `series` (each names its codec).
    pub compression: String,
    /// `fast`, `default` or `archive`.
    pub level: String,
    /// How many reads.
    pub read_count: u64,
    /// More about contigs.
    pub contigs: ContigFields,
    /// Counts that add up when datasets are joined: those of `flagstat`, `bases` and
    /// `chunk_bytes`.
    pub statistics: BTreeMap<String, u64>,
    /// Whether the order of the input, which was another, is kept.
    pub keeps_input_order: bool,
    /// Where the bytes of each region are.
    pub index: index::Root,
}

/// The members in the order in which they are written.
const MEMBERS: [&str; 11] = [
    "sample",
    "reference",
    "chromosomes",
    "chunk_size",
    "compression",
    "level",
    "read_count",
    "contigs",
    "statistics",
    "keeps_input_order",
    "index",
];

/// What is known of the contigs, in the order of `chromosomes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContigFields {
    /// Lengths in bases.
    pub lengths: Vec<u64>,
    /// `@SQ M5`, by ordinal, where given.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub md5: Vec<(u32, String)>,
    /// Ordinal, mapped reads and placed unmapped reads of the contigs that have any.
    pub reads: Vec<(u32, u64, u64)>,
    /// Reads without a contig.
    pub unplaced_reads: u64,
}

impl ContigFields {
    /// From a dictionary and counts.
    pub fn new(contigs: &Contigs, counts: &ContigCounts) -> Self {
        let ordinals = || 0_u32..;
        Self {
            lengths: contigs.iter().map(|contig| contig.length).collect(),
            md5: contigs.md5_column(),
            reads: ordinals()
                .zip(counts.counts())
                .filter(|(_, counts)| **counts != [0, 0])
                .map(|(ordinal, &[mapped, unmapped])| (ordinal, mapped, unmapped))
                .collect(),
            unplaced_reads: counts.unplaced(),
        }
    }
}

impl Details {
    /// Reads them from a manifest.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for another format,
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where a member is missing or of another type.
    pub fn read(manifest: &Manifest) -> Result<Self> {
        manifest.details(FORMAT)
    }

    /// As members of a manifest.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn to_fields(&self) -> Result<Fields> {
        Fields::in_order(self, &MEMBERS)
    }

    /// The dictionary.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where names and lengths do not pair.
    pub fn dictionary(&self) -> Result<Contigs> {
        Contigs::from_columns(&self.chromosomes, &self.contigs.lengths, &self.contigs.md5)
    }

    /// Bytes of all chunks.
    pub fn chunk_bytes(&self) -> u64 {
        self.statistics.get(CHUNK_BYTES).copied().unwrap_or(0)
    }

    /// The counts of `samtools idxstats`.
    pub fn contig_counts(&self) -> ContigCounts {
        let mut counts = vec![[0; 2]; self.chromosomes.len()];
        for &(ordinal, mapped, unmapped) in &self.contigs.reads {
            if let Some(count) = counts.get_mut(ordinal as usize) {
                *count = [mapped, unmapped];
            }
        }
        ContigCounts::from_parts(counts, self.contigs.unplaced_reads)
    }

    /// The counts of `samtools flagstat`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where one is missing.
    pub fn flagstat(&self) -> Result<Flagstat> {
        let named = self.statistics.iter().map(|(name, &count)| (name.as_str(), count));
        Flagstat::from_named(named.filter(|(name, _)| ![BASES, CHUNK_BYTES].contains(name)))
    }
}

/// What a manifest calls an effort.
pub fn level_name(effort: Effort) -> &'static str {
    match effort {
        Effort::Fast => "fast",
        Effort::Default => "default",
        Effort::Archive => "archive",
    }
}

/// The count of a chunk's reads.
pub const READS: &str = "reads";

/// The statistic that counts bases of reads.
pub const BASES: &str = "bases";

/// The statistic that counts bytes of chunks.
pub const CHUNK_BYTES: &str = "chunk_bytes";

/// The text of a header object.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where it is no zstd frame, or its text passes 2 GiB.
pub fn unpack_header(object: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| Error::corrupt("decompressing the header").caused_by(error);
    let mut text = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(object).map_err(failed)?;
    let most = codec::most_expanded(object.len()).min(MAX_HEADER);
    decoder.take(most + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > most {
        return Err(Error::corrupt("the header is longer than BAM allows, or than it can be"));
    }
    Ok(text)
}

/// BAM's limit of header text.
const MAX_HEADER: u64 = i32::MAX as u64;

/// The one assembly that the header's `@SQ` lines name in `AS`.
pub fn assembly_of(header: &Header) -> Option<String> {
    let text = String::from_utf8_lossy(header.text());
    let mut names: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("@SQ\t"))
        .flat_map(|line| line.split('\t').filter_map(|field| field.strip_prefix("AS:")))
        .collect();
    names.sort_unstable();
    names.dedup();
    match names[..] {
        [name] => Some(name.to_owned()),
        _ => None,
    }
}
