//! What a manifest says of a PAF dataset beyond what all datasets say.

use serde::{Deserialize, Serialize};

use super::index;
use crate::error::{Error, Result};
use crate::genome::{Contig, Contigs};
use crate::records::alignments::Header;
use crate::records::alignments::stats::{ContigCounts, Flagstat};

/// `format` of a PAF dataset's manifest.
pub const FORMAT: &str = "paf";
/// The kind of the object with the SAM header, compressed with zstd.
pub const HEADER_KIND: &str = "header";
/// The kind of the object with the pages of the spatial index.
pub const INDEX_KIND: &str = "index";

/// The members of a PAF manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fields {
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
    /// Counts that add up when datasets are joined: those of `flagstat`, and `bases`.
    pub statistics: std::collections::BTreeMap<String, u64>,
    /// Whether the order of the input, which was another, is kept.
    pub keeps_input_order: bool,
    /// Where the bytes of each region are.
    pub index: index::Root,
}

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
            md5: ordinals()
                .zip(contigs.iter())
                .filter_map(|(ordinal, contig)| Some((ordinal, contig.md5.clone()?)))
                .collect(),
            reads: ordinals()
                .zip(counts.counts())
                .filter(|(_, counts)| **counts != [0, 0])
                .map(|(ordinal, &[mapped, unmapped])| (ordinal, mapped, unmapped))
                .collect(),
            unplaced_reads: counts.unplaced(),
        }
    }
}

impl Fields {
    /// The dictionary.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where names and lengths do not pair.
    pub fn dictionary(&self) -> Result<Contigs> {
        if self.chromosomes.len() != self.contigs.lengths.len() {
            return Err(Error::corrupt("the manifest has not one length per chromosome"));
        }
        let mut list: Vec<Contig> = self
            .chromosomes
            .iter()
            .zip(&self.contigs.lengths)
            .map(|(name, &length)| Contig { name: name.clone(), length, md5: None })
            .collect();
        for (ordinal, md5) in &self.contigs.md5 {
            if let Some(contig) = list.get_mut(*ordinal as usize) {
                contig.md5 = Some(md5.clone());
            }
        }
        Contigs::new(list)
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
        Flagstat::from_named(named.filter(|(name, _)| *name != BASES))
    }
}

/// The statistic that counts bases of reads.
pub const BASES: &str = "bases";

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
