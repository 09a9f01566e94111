//! What a manifest says of an SRF dataset beyond what all datasets say.

use serde::{Deserialize, Serialize};

use crate::dataset::{Fields, Manifest};
use crate::error::{Error, Result};
use crate::records::reads::Style;

/// `format` of an SRF dataset's manifest.
pub const FORMAT: &str = "srf";
/// `version` of an SRF dataset's manifest.
pub const VERSION: &str = "1.0";
/// The kind of the index of batches.
pub const BATCHES_KIND: &str = "batches";
/// The kind of the index of columns.
pub const COLUMNS_KIND: &str = "columns";
/// The kind of the index by quality.
pub const QUALITY_KIND: &str = "by_quality";
/// The kind of the index by length.
pub const LENGTH_KIND: &str = "by_length";
/// The kind of the index by name.
pub const IDS_KIND: &str = "by_read_id";
/// The count of a chunk's reads.
pub const READS: &str = "reads";
/// The count of a chunk's reads where they are those of other chunks in another order.
pub const AGAIN: &str = "reads_again";

/// The kind of an index of the view in an order.
pub fn kind_of(kind: &str, order: Order) -> String {
    match order {
        Order::None => kind.to_owned(),
        order => format!("{}_in_{}", kind, order.folder()),
    }
}

/// How chunks hold reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A column per field.
    #[default]
    Plain,
    /// A stream of our codecs per field.
    Compact,
}

/// What a second view orders reads by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// There is no second view: reads are in the order of the input only.
    #[default]
    None,
    /// Average quality.
    Quality,
    /// Length.
    Length,
}

impl Order {
    /// The folder of the view's chunks.
    pub fn folder(self) -> &'static str {
        match self {
            Self::None => "chunks",
            Self::Quality => QUALITY_KIND,
            Self::Length => LENGTH_KIND,
        }
    }
}

/// Where the reads of a view lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// How many chunks.
    pub chunk_count: u64,
    /// Their bytes.
    pub chunk_bytes: u64,
    /// How many batches.
    pub batch_count: u64,
    /// Where batches lie: a page for each chunk.
    pub batches: Vec<Page>,
    /// Where the buffers of batches lie: a page for each chunk; none in the compact layout.
    pub columns: Vec<Page>,
}

/// The members of an SRF manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// How many reads; both of a pair count.
    pub total_reads: u64,
    /// How many bases.
    pub total_bases: u64,
    /// The arithmetic mean of all qualities; absent where there are none.
    pub avg_quality: Option<f64>,
    /// The length of all reads, where they are equally long.
    pub read_length: Option<u32>,
    /// The shortest read.
    pub min_length: u32,
    /// The longest read.
    pub max_length: u32,
    /// How chunks hold reads.
    pub layout: Layout,
    /// What the second view orders reads by.
    pub order: Order,
    /// Reads of a row: 2 for pairs.
    pub reads_per_row: u32,
    /// Whether pairs came as one file.
    pub interleaved: bool,
    /// How each file writes its records.
    pub styles: Vec<Style>,
    /// Reads kept as text, because the style would write them in another way.
    pub reads_kept_as_text: u64,
    /// Bytes of the text of all reads.
    pub text_bytes: u64,
    /// How chunks are compressed.
    pub compression: String,
    /// How hard: fast, default or archive.
    pub level: String,
    /// The reads in the order of the input.
    #[serde(flatten)]
    pub input_order: View,
    /// The reads in another order, for queries that it makes cheaper.
    pub ordered: Option<View>,
    /// Where names lie: pages of equal ranges of their hashes.
    pub read_ids: Vec<Page>,
    /// The conversions that the reads came by, in order.
    pub lanes: Vec<Lane>,
}

/// The reads of a conversion, or of an append: a lane, as a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Inputs: the next so many of the manifest's `inputs`.
    pub inputs: u64,
    /// Chunks: the next so many in the order of the input.
    pub chunks: u64,
    /// Reads; both of a pair count.
    pub reads: u64,
    /// Bases.
    pub bases: u64,
    /// The sum of all qualities.
    pub quality: u64,
    /// Bytes of the text.
    pub text_bytes: u64,
    /// Reads kept as text.
    pub reads_kept_as_text: u64,
}

impl Lane {
    /// The sums over lanes.
    pub fn total(lanes: &[Self]) -> Self {
        lanes.iter().fold(Self::default(), |sum, lane| Self {
            inputs: sum.inputs.saturating_add(lane.inputs),
            chunks: sum.chunks.saturating_add(lane.chunks),
            reads: sum.reads.saturating_add(lane.reads),
            bases: sum.bases.saturating_add(lane.bases),
            quality: sum.quality.saturating_add(lane.quality),
            text_bytes: sum.text_bytes.saturating_add(lane.text_bytes),
            reads_kept_as_text: sum.reads_kept_as_text.saturating_add(lane.reads_kept_as_text),
        })
    }
}

/// A part of an index object, as an array of four numbers: size, CRC-32C, rows, batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Page {
    /// Bytes; pages follow one another.
    pub size: u32,
    /// Their checksum.
    pub crc: u32,
    /// Rows it is about.
    pub rows: u64,
    /// Batches it is about.
    pub batches: u32,
}

impl From<[u64; 4]> for Page {
    fn from([size, crc, rows, batches]: [u64; 4]) -> Self {
        Self { size: size as u32, crc: crc as u32, rows, batches: batches as u32 }
    }
}

impl From<Page> for [u64; 4] {
    fn from(page: Page) -> Self {
        [page.size.into(), page.crc.into(), page.rows, page.batches.into()]
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
        let details: Self = manifest.details(FORMAT)?;
        let rows = details.styles.len();
        let has_view = details.order != Order::None;
        if details.ordered.is_some() != has_view || !details.read_ids.len().is_power_of_two() {
            return Err(Error::corrupt("the manifest's SRF members contradict each other"));
        }
        if !(1..=2).contains(&rows) || rows != details.reads_per_row as usize {
            return Err(Error::corrupt("the manifest has not a style for each read of a row"));
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
}

/// The members in the order in which they are written.
const MEMBERS: [&str; 23] = [
    "total_reads",
    "total_bases",
    "avg_quality",
    "read_length",
    "min_length",
    "max_length",
    "chunk_count",
    "layout",
    "order",
    "reads_per_row",
    "interleaved",
    "styles",
    "reads_kept_as_text",
    "text_bytes",
    "lanes",
    "chunk_bytes",
    "compression",
    "level",
    "batch_count",
    "batches",
    "columns",
    "read_ids",
    "ordered",
];
