//! What a manifest says of a VCS dataset beyond what all datasets say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::index::Directory;
use super::odd::Found;
use crate::dataset::{Fields, Manifest};
use crate::error::Result;
use crate::genome::Contigs;

/// `format` of a VCS dataset's manifest.
pub const FORMAT: &str = "vcs";
/// `version` of a VCS dataset's manifest.
pub const VERSION: &str = "1.0";
/// The kind of the object with the schema.
pub const SCHEMA_KIND: &str = "schema";
/// The copy of the schema at a fixed name, for people and other programs.
pub const SCHEMA_COPY: &str = "_schema.json";
/// The kind of the sample index.
pub const SAMPLE_KIND: &str = "sample";
/// The count of a chunk's variants.
pub const VARIANTS: &str = "variants";

/// The members of a VCS manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// How many samples.
    pub sample_count: u64,
    /// The assembly, from the header's `##reference` or the contigs' `assembly`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// The contigs that have variants: those of the header in its order, then others in the order in
    /// which records have them.
    pub chromosomes: Vec<String>,
    /// More about contigs.
    pub contigs: ContigFields,
    /// How many variants.
    pub variant_count: u64,
    /// Most rows of a row group.
    pub row_group_rows: u64,
    /// How pages are compressed.
    pub compression: String,
    /// Samples of a block; 0 where samples have columns of their own.
    pub block_samples: u64,
    /// Whether the order of the input, which was another, is kept.
    pub keeps_input_order: bool,
    /// What followed the last record: a line feed as a rule.
    pub ending: String,
    /// Counts that add up when datasets are joined.
    pub statistics: Statistics,
    /// How many values of which field are kept as texts, because the typed value would not give
    /// the text again.
    pub exceptions: BTreeMap<String, u64>,
    /// What was odd about the input, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub odd: BTreeMap<String, Found>,
    /// Where the parts lie.
    pub index: Directory,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Bytes of the lines as text.
    pub text_bytes: u64,
    /// Bytes of the Parquet files of sites.
    pub site_bytes: u64,
    /// Bytes of the Parquet files of blocks of samples.
    pub call_bytes: u64,
    /// Bytes of the objects with what columns leave out.
    pub exact_bytes: u64,
    /// Rows of which something is kept as text.
    pub rows_with_exceptions: u64,
    /// Lines kept whole.
    pub lines_kept_whole: u64,
}

impl Statistics {
    /// Adds what others counted.
    pub(super) fn add(&mut self, others: &Self) {
        self.text_bytes += others.text_bytes;
        self.site_bytes += others.site_bytes;
        self.call_bytes += others.call_bytes;
        self.exact_bytes += others.exact_bytes;
        self.rows_with_exceptions += others.rows_with_exceptions;
        self.lines_kept_whole += others.lines_kept_whole;
    }

    /// Takes off what others counted, as far as it is there.
    pub(super) fn take_off(&mut self, others: &Self) {
        let off = |from: &mut u64, count: u64| *from = from.saturating_sub(count);
        off(&mut self.text_bytes, others.text_bytes);
        off(&mut self.site_bytes, others.site_bytes);
        off(&mut self.call_bytes, others.call_bytes);
        off(&mut self.exact_bytes, others.exact_bytes);
        off(&mut self.rows_with_exceptions, others.rows_with_exceptions);
        off(&mut self.lines_kept_whole, others.lines_kept_whole);
    }
}

/// What is known of the contigs, in the order of `chromosomes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContigFields {
    /// Lengths in bases; 0 where the header does not say.
    pub lengths: Vec<u64>,
    /// How many variants.
    pub variants: Vec<u64>,
}

/// The members in the order in which they are written.
const MEMBERS: [&str; 14] = [
    "sample_count",
    "reference",
    "chromosomes",
    "variant_count",
    "row_group_rows",
    "compression",
    "block_samples",
    "keeps_input_order",
    "ending",
    "contigs",
    "statistics",
    "exceptions",
    "odd",
    "index",
];

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
        Contigs::from_columns(&self.chromosomes, &self.contigs.lengths, &[])
    }

    /// Bytes of all chunks.
    pub fn chunk_bytes(&self) -> u64 {
        let Statistics { site_bytes, call_bytes, exact_bytes, .. } = self.statistics;
        site_bytes + call_bytes + exact_bytes
    }
}
