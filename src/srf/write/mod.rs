//! Making a dataset from reads: frame, take apart, encode, put, index, commit.
//!
//! One thread cuts text into records; batches of them are parsed, checked and encoded on several,
//! and come out in order. A second view in another order is written from sorted rows once the first
//! is complete. Nothing is visible before the commit.
//!
//! Reads that are added to a dataset, or redone in it, become chunks of their own; the others stay
//! as they are, and only the indexes are written anew.

mod base;
mod chunks;
mod encode;
mod order;
mod source;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::ids;
use super::manifest::{self, Details, Lane, Layout, Order, View};
use crate::codec::Effort;
use crate::dataset::{
    Change, Checksum, ChunkEntry, Draft, InputInfo, ObjectRef, Transaction, TransactionId,
};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, ordered_by_weight};
use crate::records::reads::{Framed, Framer, Style};
use crate::store::{Store, Uploader};
use base::Base;
use chunks::Chunks;
use encode::{Encoded, Encoding};
use order::Rows;
use source::Source;

/// Bytes of chunks that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 128 << 20;
/// Bytes of text that may be between reader and encoder.
const TEXT_IN_FLIGHT: usize = 64 << 20;

/// How a dataset is made.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Most reads of a chunk.
    pub chunk_reads: u64,
    /// Most reads of a batch.
    pub batch_reads: usize,
    /// How chunks hold reads.
    pub layout: Layout,
    /// How hard to compress.
    pub effort: Effort,
    /// What a second view orders the reads by.
    pub order: Order,
    /// Whether one file holds pairs, first and second by turns.
    pub interleaved: bool,
    /// Threads that encode.
    pub threads: usize,
    /// What becomes of a dataset that is there: reads are added behind those there, or take the
    /// place of those of a lane, named by an input. Both take layout, effort, order and pairing
    /// from the dataset.
    pub change: Change,
    /// Read everything back and compare it with the input before the commit.
    pub verify: bool,
    /// Encode everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
    /// What the dataset is made from.
    pub inputs: Vec<InputInfo>,
}

impl WriteOptions {
    /// Ordinary options of a transaction at a time, made from some inputs.
    pub fn new(created: String, transaction: TransactionId, inputs: Vec<InputInfo>) -> Self {
        Self {
            chunk_reads: 1_000_000,
            batch_reads: 8192,
            layout: Layout::Plain,
            effort: Effort::Default,
            order: Order::None,
            interleaved: false,
            threads: 1,
            change: Change::default(),
            verify: false,
            dry_run: false,
            created,
            transaction,
            inputs,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// How many reads; both of a pair count.
    pub reads: u64,
    /// How many bases.
    pub bases: u64,
    /// Bytes of the text.
    pub text_bytes: u64,
    /// How many chunks, those of a second view included.
    pub chunks: u64,
    /// How many batches they have.
    pub batches: u64,
    /// Bytes of all chunks, those of a second view included.
    pub chunk_bytes: u64,
    /// Bytes of the chunks of a second view.
    pub ordered_bytes: u64,
    /// Bytes of all objects but the manifest and its copy.
    pub total_bytes: u64,
    /// How many objects, the manifest and its copy included: one PUT each.
    pub objects: u64,
    /// Reads kept as text.
    pub reads_kept_as_text: u64,
    /// Whether everything was read back and compared.
    pub verified: bool,
    /// The version of the dataset; 0 for a dry run.
    pub dataset_version: u64,
}

/// Makes a dataset at `store` of the reads of one file, or the pairs of two.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and must be none;
/// [`Input`](crate::error::ErrorKind::Input) with file, record and line; what the store reports.
/// Then nothing is visible, and what was uploaded is deleted as far as the store lets.
pub fn write(
    open: impl FnOnce() -> Result<Vec<Framer>>,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let transaction = options.change.begin(store, options.transaction, options.dry_run)?;
    let base = options.change.base(&transaction);
    let written = base.map(|base| Base::read(base, &options.change)).transpose().and_then(|base| {
        let options = base.as_ref().map_or_else(|| options.clone(), |base| base.adopted(options));
        let mut source = Source::new(open()?, &options, base.as_ref())?;
        Writer::new(store, &transaction, &source, &options, progress)?
            .run(&mut source, base.as_ref())
    });
    let (draft, mut summary) = match written {
        Ok(written) => written,
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    if options.dry_run {
        return Ok(summary);
    }
    summary.dataset_version = transaction.commit(draft)?.manifest().dataset_version;
    Ok(summary)
}

/// Where objects go.
struct Outlet<'a> {
    transaction: &'a Transaction,
    uploader: Uploader,
    is_dry: bool,
    objects: u64,
    bytes: u64,
}

impl Outlet<'_> {
    fn put(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.objects += 1;
        self.bytes += bytes.len() as u64;
        if self.is_dry {
            return Ok(());
        }
        self.uploader.put(path, Bytes::from(bytes))
    }

    fn put_index(&mut self, kind: &str, bytes: Vec<u8>) -> Result<ObjectRef> {
        let path = self.transaction.path("_index", kind, "idx")?;
        let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        self.put(&path, bytes)?;
        Ok(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum })
    }
}

/// The state of a conversion on the side where batches come out in order.
struct Writer<'a> {
    store: &'a Store,
    options: &'a WriteOptions,
    progress: &'a Arc<Progress>,
    styles: Vec<Style>,
    outlet: Outlet<'a>,
    ids: ids::Builder,
    rows: Option<Rows>,
    quality: u64,
    fixed: Option<[u32; 2]>,
    /// Whether the last record so far lacks its line end, and so must be the last.
    is_open: bool,
    summary: Summary,
}

/// What is known of a view once its chunks are written.
struct Written {
    view: View,
    entries: Vec<ChunkEntry>,
    objects: Vec<ObjectRef>,
    length: (u32, u32),
    /// Chunks that were not there before, and their bytes.
    written: (u64, u64),
}

impl<'a> Writer<'a> {
    fn new(
        store: &'a Store,
        transaction: &'a Transaction,
        source: &Source,
        options: &'a WriteOptions,
        progress: &'a Arc<Progress>,
    ) -> Result<Self> {
        let styles = source.styles.clone();
        let uploader = Uploader::new(store.clone(), UPLOADS_IN_FLIGHT).count_into(progress.clone());
        let outlet =
            Outlet { transaction, uploader, is_dry: options.dry_run, objects: 0, bytes: 0 };
        Ok(Self {
            store,
            options,
            progress,
            rows: Rows::new(options, &styles)?,
            styles,
            outlet,
            ids: ids::Builder::new(options.threads),
            quality: 0,
            fixed: None,
            is_open: false,
            summary: Summary::default(),
        })
    }

    fn run(mut self, source: &mut Source, base: Option<&Base>) -> Result<(Draft, Summary)> {
        let styles = self.styles.clone();
        let encoding = Encoding::new(self.options, &styles);
        let mut chunks = Chunks::new(Order::None, self.options.layout, &styles);
        if let Some(base) = base {
            self.keep(base, base.before(), &mut chunks)?;
        }
        let before = chunks.count();
        ordered_by_weight(
            self.options.threads,
            TEXT_IN_FLIGHT,
            |section: &source::Section| section.framed.iter().map(Framed::byte_len).sum(),
            || source.next(),
            |section| encoding.encode(section),
            |encoded| {
                self.note(&encoded, chunks.batches())?;
                chunks.push(encoded, &mut self.outlet)
            },
        )?;
        let lane = self.lane(chunks.count() - before);
        if let Some(base) = base {
            self.keep(base, base.after(), &mut chunks)?;
        }
        let first = chunks.finish(&mut self.outlet)?;
        let second = match self.rows.take() {
            None => None,
            Some(rows) => {
                let mut chunks = Chunks::new(self.options.order, self.options.layout, &styles);
                let fixed = self.fixed.unwrap_or_default();
                rows.write(&encoding, fixed, |encoded| chunks.push(encoded, &mut self.outlet))?;
                Some(chunks.finish(&mut self.outlet)?)
            }
        };
        self.finish(first, second, lane, base)
    }

    /// Takes over chunks of the base, and what the indexes need of their reads.
    fn keep(&mut self, base: &Base, kept: Range<usize>, chunks: &mut Chunks) -> Result<()> {
        let kept = base.chunks(kept);
        if kept.is_empty() {
            return Ok(());
        }
        self.close_end()?;
        let mut batch = chunks.batches();
        for chunk in kept {
            self.note_lengths(chunk.fixed());
            chunks.keep(chunk, &mut self.outlet)?;
        }
        let (order, threads) = (self.options.order, self.options.threads);
        base.scan(kept, order, threads, |read| {
            read.hashes.iter().try_for_each(|&hash| self.ids.push(hash, batch))?;
            batch += 1;
            self.rows.as_mut().map_or(Ok(()), |rows| rows.push(&read.rows))
        })?;
        self.is_open = base.is_open(kept)?;
        Ok(())
    }

    /// Makes sure that more reads can follow.
    fn close_end(&self) -> Result<()> {
        if !self.is_open {
            return Ok(());
        }
        Err(Error::input("reads cannot follow a file whose last line has no line end")
            .help("convert the files together, each with its last line ended"))
    }

    /// Counts the reads of a batch, and takes down their names.
    fn note(&mut self, encoded: &Encoded, batch: u64) -> Result<()> {
        self.close_end()?;
        self.is_open = encoded.is_open;
        encoded.hashes.iter().try_for_each(|&hash| self.ids.push(hash, batch))?;
        self.note_lengths(encoded.fixed);
        if let Some(rows) = &mut self.rows {
            rows.push(&encoded.rows_to_order)?;
        }
        let reads = (encoded.rows * self.styles.len()) as u64;
        self.quality += encoded.quality;
        self.summary.reads += reads;
        self.summary.bases += encoded.bases;
        self.summary.text_bytes += encoded.text_bytes;
        self.summary.reads_kept_as_text += encoded.kept_as_text;
        self.summary.batches += 1;
        self.progress.add_items(reads);
        Ok(())
    }

    /// Keeps the lengths of each file's reads while they are equal.
    fn note_lengths(&mut self, fixed: [u32; 2]) {
        self.fixed = match self.fixed {
            None => Some(fixed),
            Some(before) if before == fixed => Some(fixed),
            Some(_) => Some([0, 0]),
        };
    }

    /// What was converted.
    fn lane(&self, chunks: u64) -> Lane {
        let Summary { reads, bases, text_bytes, reads_kept_as_text, .. } = self.summary;
        let inputs = self.options.inputs.len() as u64;
        let quality = self.quality;
        Lane { inputs, chunks, reads, bases, quality, text_bytes, reads_kept_as_text }
    }

    fn finish(
        self,
        first: Written,
        second: Option<Written>,
        lane: Lane,
        base: Option<&Base>,
    ) -> Result<(Draft, Summary)> {
        let Self { store, options, styles, mut outlet, ids, mut summary, .. } = self;
        let (names, read_ids) = ids.finish(first.view.batch_count)?;
        let mut objects = first.objects;
        objects.push(outlet.put_index(manifest::IDS_KIND, names)?);
        (summary.chunks, summary.chunk_bytes) = first.written;
        let mut chunks = first.entries;
        let ordered = second.map(|second| {
            objects.extend(second.objects);
            chunks.extend(second.entries);
            summary.chunks += second.view.chunk_count;
            summary.chunk_bytes += second.view.chunk_bytes;
            summary.ordered_bytes = second.view.chunk_bytes;
            second.view
        });
        outlet.uploader.finish()?;
        // The manifest and its copy come on top.
        summary.objects = outlet.objects + 2;
        summary.total_bytes = outlet.bytes;
        let (lanes, inputs) = match base {
            Some(base) => base.with(lane, &options.inputs),
            None => (vec![lane], options.inputs.clone()),
        };
        let total = Lane::total(&lanes);
        let has_quality = total.bases > 0 && styles.iter().all(|style| !style.fasta);
        let (min, max) = first.length;
        let details = Details {
            total_reads: total.reads,
            total_bases: total.bases,
            avg_quality: has_quality.then(|| total.quality as f64 / total.bases as f64),
            read_length: (min == max).then_some(max),
            min_length: min.min(max),
            max_length: max,
            layout: options.layout,
            order: options.order,
            reads_per_row: styles.len() as u32,
            interleaved: options.interleaved,
            styles,
            reads_kept_as_text: total.reads_kept_as_text,
            text_bytes: total.text_bytes,
            compression: "zstd".to_owned(),
            level: level_name(options.effort).to_owned(),
            input_order: first.view,
            ordered,
            read_ids,
            lanes,
        };
        if options.verify && !options.dry_run {
            super::verify::read_back(store, &details, &objects, options.threads)?;
            summary.verified = true;
        }
        // Lists of chunks are shared with the base where nothing lies between its chunks.
        let keep_chunks = base.is_some_and(Base::is_prefix);
        if keep_chunks {
            chunks.drain(..base.map_or(0, Base::len));
        }
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation: options.change.operation(),
            keep_chunks,
            created: options.created.clone(),
            inputs,
            fields: details.to_fields()?,
            objects,
            chunks,
            required_features: Vec::new(),
        };
        Ok((draft, summary))
    }
}

/// What a manifest calls an effort.
fn level_name(effort: Effort) -> &'static str {
    match effort {
        Effort::Fast => "fast",
        Effort::Default => "default",
        Effort::Archive => "archive",
    }
}

/// What an effort of that name is.
fn effort_of(level: &str) -> Effort {
    match level {
        "fast" => Effort::Fast,
        "archive" => Effort::Archive,
        _ => Effort::Default,
    }
}
