//! Making a dataset from variants: read, order, cut, encode, put, index, commit.
//!
//! Nothing is visible before the commit. Row groups are encoded on several threads and gathered
//! into parts, which are uploaded while later ones are read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::file::{EncodedGroup, FileBuilder, Kind, PageCompression};
use super::group::{Exceptions, Group, Section};
use super::index::{self, Directory, FileLayout, KINDS, Layout, PageRef, Part, Quality, Spatial};
use super::infer::{self, Declarations};
use super::manifest::{self, ContigFields, Details, Statistics};
use super::odd::{self, Checker, Found, Odd};
use super::order::{LineSource, Outcome, Sections};
use super::schema::{MOST_COLUMN_SAMPLES, Schema};
use crate::dataset::{
    Checksum, ChunkEntry, Counts, Draft, InputInfo, ObjectRef, Operation, Transaction,
    TransactionId, folders,
};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, SortOptions, ordered_by_weight};
use crate::store::{Store, Uploader};

/// Bytes of a part, all its files together, from which on it ends.
const PART_BYTES: usize = 64 << 20;
/// Bytes of parts that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 96 << 20;
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
    /// Replace the content of an existing dataset by a new version.
    pub overwrite: bool,
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
            compression: PageCompression::default(),
            most_column_samples: MOST_COLUMN_SAMPLES,
            threads: 1,
            sort: false,
            sorting: SortOptions::default(),
            memory: 64 << 20,
            overwrite: false,
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
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and `overwrite` is not set,
/// before anything is read; what the source and the store report;
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where verification finds a difference. Then
/// nothing is visible, and what was uploaded is deleted as far as the store lets.
pub fn write(
    open: &mut Open<'_>,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let may_exist = options.overwrite || options.dry_run;
    let mut transaction = Transaction::for_output(store, may_exist, options.transaction)?;
    let mut sort = options.sort;
    loop {
        let mut input = match open() {
            Ok(input) => input,
            Err(error) => {
                transaction.abandon();
                return Err(error);
            }
        };
        match attempt(&mut input, store, &transaction, options, sort, progress) {
            Ok(Some((draft, summary, schema))) => {
                if options.dry_run {
                    return Ok(summary);
                }
                return commit(transaction, draft, summary, &schema);
            }
            // The names of the first attempt are used up.
            Ok(None) => {
                transaction.abandon();
                let id = options.second_transaction;
                transaction = Transaction::for_output(store, may_exist, id)?;
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

/// Converts everything up to the commit; `None` where lines are out of order, and `sort` is not set.
fn attempt(
    input: &mut Lines,
    store: &Store,
    transaction: &Transaction,
    options: &WriteOptions,
    sort: bool,
    progress: &Arc<Progress>,
) -> Result<Option<(Draft, Summary, Vec<u8>)>> {
    let Lines { declarations, contigs, reference, header_lines, source } = input;
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
    let first = match sections.next()? {
        Outcome::Section(section) => Some(section),
        Outcome::End => None,
        Outcome::OutOfOrder => return Ok(None),
    };
    let schema =
        infer::schema(declarations, first.as_ref(), reordered, options.most_column_samples);
    if let Some(first) = first {
        sections.put_back(first);
    }
    let blocks = if schema.has_blocks() { schema.blocks() } else { Vec::new() };
    let kinds = Kinds {
        sites: Kind::new(schema.site_columns(), options.compression)?,
        blocks: blocks
            .iter()
            .map(|samples| Kind::new(schema.block_columns(samples.len()), options.compression))
            .collect::<Result<_>>()?,
    };
    let out_of_order = AtomicBool::new(false);
    let mut writer = Writer::new(store, transaction, &schema, &kinds, contigs, options, progress);
    let (checker, header_odd) = Checker::new(&schema.header, schema.samples.len());
    writer.odd = header_odd;
    writer.header_lines = *header_lines;
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
    let (draft, summary, json) = writer.finish(reordered, ending, reference.clone())?;
    Ok(Some((draft, summary, json)))
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

/// A part being gathered.
struct OpenPart {
    chrom: Vec<u8>,
    contig: u32,
    sites: FileBuilder,
    blocks: Vec<FileBuilder>,
    exact: Vec<u8>,
    layout: Layout,
    spatial: Vec<Spatial>,
    quality: Vec<Quality>,
}

impl OpenPart {
    fn len(&self) -> usize {
        self.sites.len()
            + self.blocks.iter().map(FileBuilder::len).sum::<usize>()
            + self.exact.len()
    }
}

/// The state of a conversion on the side where row groups come out in order.
struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    schema: &'a Schema,
    kinds: &'a Kinds,
    options: &'a WriteOptions,
    uploader: Uploader,
    contigs: Vec<(String, u64)>,
    folders: Vec<String>,
    ordinals: HashMap<Vec<u8>, u32>,
    /// Parts of each contig so far, and its variants.
    counts: Vec<(u32, u64)>,
    open: Option<OpenPart>,
    parts: Vec<Part>,
    /// The index objects.
    pages: [Vec<u8>; 3],
    /// Layouts by part, for reading back.
    layouts: Vec<(Vec<Spatial>, Layout)>,
    chunks: Vec<ChunkEntry>,
    exceptions: Exceptions,
    odd: Odd,
    /// Lines of the input before the first record.
    header_lines: u64,
    statistics: Statistics,
    summary: Summary,
}

impl<'a> Writer<'a> {
    fn new(
        store: &'a Store,
        transaction: &'a Transaction,
        schema: &'a Schema,
        kinds: &'a Kinds,
        contigs: &[(String, u64)],
        options: &'a WriteOptions,
        progress: &Arc<Progress>,
    ) -> Self {
        let mut seen = HashSet::new();
        let contigs: Vec<(String, u64)> =
            contigs.iter().filter(|(name, _)| seen.insert(name.as_str())).cloned().collect();
        let names: Vec<&str> = contigs.iter().map(|(name, _)| name.as_str()).collect();
        let ordinals = (0..).zip(&names).map(|(ordinal, name)| (name.as_bytes().to_vec(), ordinal));
        Self {
            store,
            transaction,
            schema,
            kinds,
            options,
            uploader: Uploader::new(store.clone(), UPLOADS_IN_FLIGHT).count_into(progress.clone()),
            folders: folders(&names, &[]),
            ordinals: ordinals.collect(),
            counts: vec![(0, 0); contigs.len()],
            contigs,
            open: None,
            parts: Vec::new(),
            pages: Default::default(),
            layouts: Vec::new(),
            chunks: Vec::new(),
            exceptions: Exceptions::default(),
            odd: Odd::default(),
            header_lines: 0,
            statistics: Statistics::default(),
            summary: Summary { samples: schema.samples.len() as u64, ..Summary::default() },
        }
    }

    /// Adds the next row group.
    fn take(&mut self, group: Encoded) -> Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.chrom != group.chrom || open.len() >= PART_BYTES)
        {
            self.close_part()?;
        }
        let rows = u64::from(group.spatial.rows);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_part(&group.chrom)?,
        };
        self.counts[open.contig as usize].1 += rows;
        open.sites.push(group.sites)?;
        for (file, columns) in open.blocks.iter_mut().zip(group.blocks) {
            file.push(columns)?;
        }
        let mut sections = Vec::new();
        for residual in group.residuals {
            sections.push(page_of(&residual, open.exact.len() as u64)?);
            open.exact.extend_from_slice(&residual);
        }
        open.layout.sections.push(sections);
        open.layout.digests.push(group.digest);
        open.spatial.push(group.spatial);
        open.quality.push(group.quality);
        self.open = Some(open);
        self.exceptions.add(&group.exceptions);
        // Where sorting moved lines, each has its number already.
        let before = if self.schema.ordinal { 0 } else { self.summary.variants };
        self.odd.merge(group.odd, self.header_lines + 1 + before);
        self.summary.variants += rows;
        self.summary.row_groups += 1;
        self.statistics.text_bytes += group.text_bytes;
        Ok(())
    }

    fn open_part(&mut self, chrom: &[u8]) -> Result<OpenPart> {
        let contig = match self.ordinals.get(chrom) {
            Some(&contig) => contig,
            None => self.add_contig(chrom)?,
        };
        Ok(OpenPart {
            chrom: chrom.to_vec(),
            contig,
            sites: FileBuilder::new(&self.kinds.sites)?,
            blocks: self.kinds.blocks.iter().map(FileBuilder::new).collect::<Result<_>>()?,
            exact: Vec::new(),
            layout: Layout::default(),
            spatial: Vec::new(),
            quality: Vec::new(),
        })
    }

    /// A contig that the header does not have.
    fn add_contig(&mut self, chrom: &[u8]) -> Result<u32> {
        let name = std::str::from_utf8(chrom).map_err(|_| {
            Error::unsupported("the name of a contig is no UTF-8")
                .found(format!("{:?}", String::from_utf8_lossy(chrom)))
        })?;
        let contig = u32::try_from(self.contigs.len())
            .map_err(|_| Error::unsupported("more contigs than 4,294,967,295"))?;
        self.contigs.push((name.to_owned(), 0));
        let names: Vec<&str> = self.contigs.iter().map(|(name, _)| name.as_str()).collect();
        self.folders.extend(folders(&names, &[]).pop());
        self.ordinals.insert(chrom.to_vec(), contig);
        self.counts.push((0, 0));
        Ok(contig)
    }

    /// Uploads the gathered row groups as a part.
    fn close_part(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let OpenPart { contig, sites, blocks, exact, mut layout, spatial, quality, .. } = open;
        let count = &mut self.counts[contig as usize].0;
        let stem = format!("part-{count:05}");
        *count += 1;
        let folder = format!("contig={}", self.folders[contig as usize]);
        let rows: u64 = spatial.iter().map(|group| u64::from(group.rows)).sum();
        let mut bytes = exact.len() as u64;

        let mut digest = Sha256::new();
        layout.digests.iter().for_each(|group| digest.update(group));
        let digest = Checksum::from_bytes(digest.finalize().into());
        for (number, file) in std::iter::once(sites).chain(blocks).enumerate() {
            let file = file.finish()?;
            let folder = match number {
                0 => format!("data/{folder}"),
                block => format!("_calls/block={:04}/{folder}", block - 1),
            };
            let path = self.transaction.path(&folder, &stem, "parquet")?;
            let footer = file.bytes.get(file.footer).unwrap_or_default().to_vec();
            layout.files.push(FileLayout { path: path.clone(), footer, checksums: file.checksums });
            let counts = match number {
                0 => Counts::from([(manifest::VARIANTS.to_owned(), rows)]),
                _ => Counts::new(),
            };
            bytes += file.bytes.len() as u64;
            match number {
                0 => self.statistics.site_bytes += file.bytes.len() as u64,
                _ => self.statistics.call_bytes += file.bytes.len() as u64,
            }
            let digest = (number == 0).then_some(digest);
            self.put_chunk(path, file.bytes, counts, digest)?;
        }
        let path = self.transaction.path(&format!("_exact/{folder}"), &stem, "bin")?;
        layout.exact = path.clone();
        self.statistics.exact_bytes += exact.len() as u64;
        self.put_chunk(path, exact, Counts::new(), None)?;

        let mut part = Part {
            contig,
            rows,
            groups: spatial.len() as u32,
            first: spatial.first().map_or(0, |group| group.first),
            last: spatial.last().map_or(0, |group| group.last),
            reach: spatial.iter().map(|group| group.reach).max().unwrap_or(0),
            bytes,
            pages: Default::default(),
        };
        let coded = [
            index::encode_spatial(&spatial),
            index::encode_quality(&quality),
            index::encode_layout(&layout),
        ];
        for ((page, object), bytes) in part.pages.iter_mut().zip(&mut self.pages).zip(coded) {
            *page = page_of(&bytes, object.len() as u64)?;
            object.extend_from_slice(&bytes);
        }
        self.parts.push(part);
        self.summary.parts += 1;
        self.summary.part_bytes += bytes;
        if self.options.verify {
            self.layouts.push((spatial, layout));
        }
        Ok(())
    }

    fn put_chunk(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        counts: Counts,
        digest: Option<Checksum>,
    ) -> Result<()> {
        let mut entry = ChunkEntry::new(&path, &bytes, counts);
        entry.digest = digest;
        self.chunks.push(entry);
        self.put(&path, bytes)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.summary.objects += 1;
        self.summary.total_bytes += bytes.len() as u64;
        if self.options.dry_run {
            return Ok(());
        }
        self.uploader.put(path, Bytes::from(bytes))
    }

    fn put_object(&mut self, kind: &str, path: String, bytes: Vec<u8>) -> Result<ObjectRef> {
        let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        self.put(&path, bytes)?;
        Ok(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum })
    }

    /// Uploads schema and index, verifies, and drafts the manifest.
    fn finish(
        mut self,
        reordered: bool,
        ending: String,
        reference: Option<String>,
    ) -> Result<(Draft, Summary, Vec<u8>)> {
        self.close_part()?;
        let json = self.schema.to_json()?;
        let mut objects = Vec::new();
        let path = self.transaction.path("", "_schema", "zst")?;
        objects.push(self.put_object(manifest::SCHEMA_KIND, path, Schema::pack(&json)?)?);
        for (at, kind) in KINDS.into_iter().enumerate() {
            let pages = std::mem::take(&mut self.pages[at]);
            let path = self.transaction.path("_index", kind, "idx")?;
            objects.push(self.put_object(kind, path, pages)?);
        }
        let path = self.transaction.path("_index", manifest::SAMPLE_KIND, "zst")?;
        let samples = Schema::pack(&sample_index(self.schema))?;
        objects.push(self.put_object(manifest::SAMPLE_KIND, path, samples)?);
        let uploader = std::mem::replace(&mut self.uploader, Uploader::new(self.store.clone(), 0));
        uploader.finish()?;
        if self.options.verify && !self.options.dry_run {
            super::verify::read_back(
                self.store,
                self.schema,
                &self.layouts,
                &self.chunks,
                self.options.threads,
            )?;
            self.summary.verified = true;
        }
        self.summary.reordered = reordered;
        self.summary.text_bytes = self.statistics.text_bytes;
        self.summary.rows_with_exceptions = self.exceptions.rows;
        self.summary.lines_kept_whole = self.exceptions.lines;
        self.summary.exceptions = self.exceptions.named(self.schema);
        self.summary.odd = self.odd.named();
        // The manifest, its copy, and the copy of the schema.
        self.summary.objects += 3;
        let details = self.details(reordered, ending, reference);
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            // A create over a base is recorded as an overwrite.
            operation: Operation::Create,
            keep_chunks: false,
            created: self.options.created.clone(),
            inputs: vec![self.options.input.clone()],
            fields: details.to_fields()?,
            objects,
            chunks: std::mem::take(&mut self.chunks),
            required_features: Vec::new(),
        };
        Ok((draft, self.summary, json))
    }

    fn details(&self, reordered: bool, ending: String, reference: Option<String>) -> Details {
        let mut statistics = self.statistics.clone();
        statistics.rows_with_exceptions = self.exceptions.rows;
        statistics.lines_kept_whole = self.exceptions.lines;
        // Contigs without variants are in the header, which may list thousands.
        let used: Vec<usize> =
            (0..self.contigs.len()).filter(|&at| self.counts[at].1 > 0).collect();
        let mut parts = self.parts.clone();
        for part in &mut parts {
            let at = used.binary_search(&(part.contig as usize)).unwrap_or_default();
            part.contig = at as u32;
        }
        Details {
            sample_count: self.schema.samples.len() as u64,
            reference,
            chromosomes: used.iter().map(|&at| self.contigs[at].0.clone()).collect(),
            contigs: ContigFields {
                lengths: used.iter().map(|&at| self.contigs[at].1).collect(),
                variants: used.iter().map(|&at| self.counts[at].1).collect(),
            },
            variant_count: self.summary.variants,
            row_group_rows: self.options.row_group_rows as u64,
            compression: self.options.compression.name(),
            block_samples: self.schema.block_samples as u64,
            keeps_input_order: reordered,
            ending,
            statistics,
            exceptions: self.summary.exceptions.clone(),
            odd: self.summary.odd.clone(),
            index: Directory::new(&parts),
        }
    }
}

fn page_of(bytes: &[u8], offset: u64) -> Result<PageRef> {
    let size = u32::try_from(bytes.len())
        .map_err(|_| Error::unsupported("a row group has more than 4 GiB of exceptions"))?;
    Ok(PageRef { offset, size, crc32c: crc32c::crc32c(bytes) })
}

/// Where each sample's values are: its block and bit, or its columns.
fn sample_index(schema: &Schema) -> Vec<u8> {
    let width = schema.format.len();
    let entries = schema.samples.iter().enumerate().map(|(at, name)| match schema.block_samples {
        0 => serde_json::json!({
            "sample": name,
            "columns": schema.sample_columns.get(at * width..(at + 1) * width).unwrap_or_default(),
        }),
        step => serde_json::json!({ "sample": name, "block": at / step, "index": at % step }),
    });
    let lines: Vec<String> = entries.map(|entry| entry.to_string()).collect();
    format!("[{}]\n", lines.join(",\n")).into_bytes()
}

impl Exceptions {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.lines += other.lines;
        self.qual += other.qual;
        for (all, more) in [(&mut self.info, &other.info), (&mut self.format, &other.format)] {
            all.resize(all.len().max(more.len()), 0);
            all.iter_mut().zip(more).for_each(|(total, count)| *total += count);
        }
    }

    /// By names of fields, as `INFO/AF`; keys without a column as `INFO/?`.
    fn named(&self, schema: &Schema) -> BTreeMap<String, u64> {
        let info = schema.info.iter().map(|field| format!("INFO/{}", field.id));
        let format = schema.format.iter().map(|field| format!("FORMAT/{}", field.id));
        let info = info.chain(["INFO/?".to_owned()]).zip(&self.info);
        let format = format.chain(["FORMAT/?".to_owned()]).zip(&self.format);
        let all = info.chain(format).filter(|(_, count)| **count > 0);
        let mut named: BTreeMap<String, u64> = all.map(|(name, &count)| (name, count)).collect();
        if self.qual > 0 {
            named.insert("QUAL".to_owned(), self.qual);
        }
        named
    }
}
