//! Making a dataset from variants: read, order, cut, encode, put, index, commit.
//!
//! Nothing is visible before the commit. Row groups are encoded on several threads and gathered
//! into parts, which are uploaded while later ones are read. Records that are added to a dataset, or
//! take the place of a contig's, become parts of their own; the others stay as they are.

mod base;
mod writer;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;

use super::file::kind_of;
use super::group::{Exceptions, Group, Section};
use super::index::{Quality, Spatial};
use super::infer::{self, Declarations};
use super::manifest;
use super::odd::{self, Checker, Found, Odd};
use super::order::{LineSource, Outcome, Sections};
use super::schema::{MOST_COLUMN_SAMPLES, Schema};
use crate::columnar::{EncodedGroup, Kind, PageCompression};
use crate::dataset::{Change, Draft, InputInfo, Transaction, TransactionId};
use crate::error::Result;
use crate::pipeline::{Progress, SortOptions, ordered_by_weight};
use crate::store::Store;
use base::{Base, Stays};
use writer::Writer;

/// Rows of a row group.
pub const ROW_GROUP_ROWS: usize = 16_384;

/// How a dataset is made.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Most rows of a row group.
    pub row_group_rows: usize,
    /// How pages are compressed.
    pub compression: PageCompression,
    /// Most samples whose fields have columns of their own.
    pub most_column_samples: usize,
    /// Threads that encode.
    pub threads: usize,
    /// Sort from the start, as for input that cannot be read twice.
    pub sort: bool,
    /// Memory, temporary folder and threads of sorting.
    pub sorting: SortOptions,
    /// Bytes of text that may be between reader and encoder.
    pub memory: usize,
    /// What becomes of a dataset that is there: records are added to it, or take the place of those
    /// of some contigs. Both take columns, rows of a row group and compression from the dataset.
    pub change: Change,
    /// Read everything back and compare it with the input before the commit.
    pub verify: bool,
    /// Encode everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
    /// Another, from randomness: for a second attempt, where the input turns out to be unsorted.
    pub second_transaction: TransactionId,
    /// What the dataset is made from.
    pub input: InputInfo,
}

impl WriteOptions {
    /// Ordinary options of a transaction at a time, made from an input.
    pub fn new(created: String, transactions: [TransactionId; 2], input: InputInfo) -> Self {
        let [transaction, second_transaction] = transactions;
        Self {
            row_group_rows: ROW_GROUP_ROWS,
            compression: PageCompression::Zstd(9),
            most_column_samples: MOST_COLUMN_SAMPLES,
            threads: 1,
            sort: false,
            sorting: SortOptions::default(),
            memory: 64 << 20,
            change: Change::default(),
            verify: false,
            dry_run: false,
            created,
            transaction,
            second_transaction,
            input,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// How many variants.
    pub variants: u64,
    /// How many samples.
    pub samples: u64,
    /// Bytes of the records as text.
    pub text_bytes: u64,
    /// How many parts.
    pub parts: u64,
    /// How many row groups they have.
    pub row_groups: u64,
    /// Bytes of all parts.
    pub part_bytes: u64,
    /// Bytes of all objects but the manifest and its copy.
    pub total_bytes: u64,
    /// How many objects, the manifest and its copy included.
    pub objects: u64,
    /// Rows of which something is kept as text.
    pub rows_with_exceptions: u64,
    /// Lines kept whole.
    pub lines_kept_whole: u64,
    /// Which fields have how many values kept as texts.
    pub exceptions: BTreeMap<String, u64>,
    /// What was odd, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub odd: BTreeMap<String, Found>,
    /// Whether the records had to be put in order.
    pub reordered: bool,
    /// Whether everything was read back and compared.
    pub verified: bool,
    /// The version of the dataset; 0 for a dry run.
    pub dataset_version: u64,
}

/// An input: what its header says, and its lines.
pub struct Lines {
    /// The header.
    pub declarations: Declarations,
    /// Contigs of the header and their lengths, 0 where it gives none.
    pub contigs: Vec<(String, u64)>,
    /// The assembly, if the header names it.
    pub reference: Option<String>,
    /// How many lines the header has in the input.
    pub header_lines: u64,
    /// The records.
    pub source: Box<dyn LineSource>,
}

/// Opens an input, each time from its beginning.
pub type Open<'a> = dyn FnMut() -> Result<Lines> + 'a;

/// Makes a dataset at `store` of all records of the input that `open` opens.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and must be none, before
/// anything is read; what the source and the store report;
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where verification finds a difference. Then
/// nothing is visible, and what was uploaded is deleted as far as the store lets.
pub fn write(
    open: &mut Open<'_>,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let begin = |id| options.change.begin(store, id, options.dry_run);
    let mut transaction = begin(options.transaction)?;
    let mut sort = options.sort;
    loop {
        let input = match open() {
            Ok(input) => input,
            Err(error) => {
                transaction.abandon();
                return Err(error);
            }
        };
        match attempt(input, store, &transaction, options, sort, progress) {
            Ok(Some((draft, summary, schema))) => {
                if options.dry_run {
                    return Ok(summary);
                }
                return commit(transaction, draft, summary, &schema);
            }
            // The names of the first attempt are used up.
            Ok(None) => {
                transaction.abandon();
                transaction = begin(options.second_transaction)?;
                sort = true;
            }
            Err(error) => {
                transaction.abandon();
                return Err(error);
            }
        }
    }
}

fn commit(
    transaction: Transaction,
    draft: Draft,
    mut summary: Summary,
    schema: &[u8],
) -> Result<Summary> {
    let dataset = transaction.commit(draft)?;
    summary.dataset_version = dataset.manifest().dataset_version;
    copy_schema(dataset.store(), schema);
    Ok(summary)
}

/// Puts the schema at the name that people look for. The dataset does not depend on it.
pub fn copy_schema(store: &Store, schema: &[u8]) {
    if let Err(error) = store.put(manifest::SCHEMA_COPY, Bytes::copy_from_slice(schema)) {
        tracing::warn!(%error, "the copy of the schema was not refreshed");
    }
}

/// A row group, encoded.
struct Encoded {
    chrom: Vec<u8>,
    sites: EncodedGroup,
    blocks: Vec<EncodedGroup>,
    residuals: Vec<Vec<u8>>,
    spatial: Spatial,
    quality: Quality,
    digest: [u8; 32],
    exceptions: Exceptions,
    odd: Odd,
    text_bytes: u64,
}

/// How the files of a dataset are written.
struct Kinds {
    sites: Kind,
    blocks: Vec<Kind>,
}

impl Kinds {
    fn new(schema: &Schema, compression: PageCompression) -> Result<Self> {
        let blocks = if schema.has_blocks() { schema.blocks() } else { Vec::new() };
        let block =
            |samples: &Range<usize>| kind_of(schema.block_columns(samples.len()), compression);
        Ok(Self {
            sites: kind_of(schema.site_columns(), compression)?,
            blocks: blocks.iter().map(block).collect::<Result<_>>()?,
        })
    }
}

/// Converts everything up to the commit; `None` where lines are out of order, and `sort` is not set.
pub(super) fn attempt(
    input: Lines,
    store: &Store,
    transaction: &Transaction,
    options: &WriteOptions,
    sort: bool,
    progress: &Arc<Progress>,
) -> Result<Option<(Draft, Summary, Vec<u8>)>> {
    let base = options.change.base(transaction);
    let base = base.map(|base| Base::read(base, &options.change)).transpose()?;
    let (input, options) = match &base {
        Some(base) => (base.admit(input)?, base.adopted(options)?),
        None => (input, options.clone()),
    };
    let Lines { declarations, contigs, reference, header_lines, mut source } = input;
    let (mut sections, reordered) = if sort {
        Sections::sorted(
            source.as_mut(),
            options.row_group_rows,
            options.sorting.clone(),
            progress,
        )?
    } else {
        (Sections::streamed(source.as_mut(), options.row_group_rows), false)
    };
    if let Some(base) = &base {
        base.check_order(reordered)?;
        sections.number_from(base.first_ordinal());
    }
    let first = match sections.next()? {
        Outcome::Section(section) => Some(section),
        Outcome::End => None,
        Outcome::OutOfOrder => return Ok(None),
    };
    let schema = match &base {
        Some(base) => base.schema_for(&declarations),
        None => {
            infer::schema(&declarations, first.as_ref(), reordered, options.most_column_samples)
        }
    };
    if let Some(first) = first {
        sections.put_back(first);
    }
    let kinds = Kinds::new(&schema, options.compression)?;
    let out_of_order = AtomicBool::new(false);
    let (checker, header_odd) = Checker::new(&schema.header, schema.samples.len());
    let mut writer = Writer::new(store, transaction, &schema, &kinds, &contigs, &options, progress);
    writer.odd = if base.is_none() { header_odd } else { Odd::default() };
    writer.header_lines = header_lines;
    if let Some(base) = &base {
        writer.keep(base)?;
    }
    ordered_by_weight(
        options.threads,
        options.memory,
        |section: &Section| section.bytes.len(),
        || {
            Ok(match sections.next()? {
                Outcome::Section(section) => Some(section),
                Outcome::End => None,
                Outcome::OutOfOrder => {
                    out_of_order.store(true, Relaxed);
                    None
                }
            })
        },
        |section| encode(&schema, &kinds, &checker, section),
        |encoded| {
            if !sort {
                progress.add_items(u64::from(encoded.spatial.rows));
            }
            if out_of_order.load(Relaxed) { Ok(()) } else { writer.take(encoded) }
        },
    )?;
    if out_of_order.load(Relaxed) {
        writer.uploader.finish()?;
        return Ok(None);
    }
    let ending = String::from_utf8_lossy(sections.ending()).into_owned();
    if let Some((count, first)) = sections.moved() {
        writer.odd.count(odd::Kind::Order, count, writer.header_lines + 1 + first);
    }
    if ending != "\n" || !schema.header.ends_with(b"\n") {
        let last = writer.header_lines + writer.summary.variants;
        writer.odd.count(odd::Kind::Ending, 1, last);
    }
    let before = match &base {
        Some(base) => base.what_stays(&checker, options.threads)?,
        None => Stays { reference, reordered, ..Stays::default() },
    };
    writer.finish(before, ending, base.as_ref()).map(Some)
}

fn encode(schema: &Schema, kinds: &Kinds, checker: &Checker, section: Section) -> Result<Encoded> {
    let odd = checker.check(&section);
    let group = Group::encode(schema, &section)?;
    let Section { chrom, bytes, .. } = section;
    let text_bytes = bytes.len() as u64;
    drop(bytes);
    let blocks = kinds.blocks.iter().zip(&group.blocks);
    Ok(Encoded {
        chrom,
        sites: kinds.sites.encode(&group.sites)?,
        blocks: blocks.map(|(kind, columns)| kind.encode(columns)).collect::<Result<_>>()?,
        residuals: group.residuals,
        spatial: group.spatial,
        quality: group.quality,
        digest: group.digest,
        exceptions: group.exceptions,
        odd,
        text_bytes,
    })
}
