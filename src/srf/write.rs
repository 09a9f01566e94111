//! Making a dataset from reads: frame, take apart, encode, put, index, commit.
//!
//! One thread cuts text into records; batches of them are parsed, checked and encoded on several,
//! and come out in order. Nothing is visible before the commit.

use std::sync::Arc;

use arrow_schema::Schema;
use bytes::Bytes;

use super::batch::{Batch, Quality};
use super::file::{self, FileBuilder, Message};
use super::index::{self, BatchRef, ChunkRef, Extremes};
use super::manifest::{self, Details, Layout, Order, Page};
use super::{compact, ids, plain};
use crate::codec::Effort;
use crate::dataset::{
    Checksum, ChunkEntry, Counts, Draft, InputInfo, ObjectRef, Operation, Transaction,
    TransactionId,
};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, ordered_by_weight};
use crate::records::reads::{Framed, Framer, Style};
use crate::store::{Store, Uploader};

/// Bytes of chunks that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 128 << 20;
/// Bytes of text that may be between reader and encoder.
const TEXT_IN_FLIGHT: usize = 64 << 20;
/// Bytes of text of a batch: two neighbours, as a query fetches, then stay well below 1.5 MiB.
const BATCH_TEXT: usize = 1_792 << 10;
/// Bytes from which on a chunk ends.
const MAX_CHUNK: usize = 256 << 20;

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
    /// Whether one file holds pairs, first and second by turns.
    pub interleaved: bool,
    /// Threads that encode.
    pub threads: usize,
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
            interleaved: false,
            threads: 1,
            overwrite: false,
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
    /// How many chunks.
    pub chunks: u64,
    /// How many batches they have.
    pub batches: u64,
    /// Bytes of all chunks.
    pub chunk_bytes: u64,
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
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and `overwrite` is not set;
/// [`Input`](crate::error::ErrorKind::Input) with file, record and line; what the store reports.
/// Then nothing is visible, and what was uploaded is deleted as far as the store lets.
pub fn write(
    open: impl FnOnce() -> Result<Vec<Framer>>,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let may_exist = options.overwrite || options.dry_run;
    let transaction = Transaction::for_output(store, may_exist, options.transaction)?;
    let written = open().and_then(|framers| {
        let mut source = Source::new(framers, options)?;
        Writer::new(store, &transaction, &source, options, progress).run(&mut source)
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

/// Records of one batch.
struct Section {
    framed: Vec<Framed>,
    fixed: [u32; 2],
    starts_chunk: bool,
}

/// Cuts files into sections.
struct Source {
    framers: Vec<Framer>,
    styles: Vec<Style>,
    interleaved: bool,
    batch_rows: usize,
    chunk_rows: u64,
    /// Rows that the chunk may still take.
    room: u64,
    /// The lengths of the reads, once known and while they are equal.
    fixed: Option<[u32; 2]>,
}

impl Source {
    fn new(framers: Vec<Framer>, options: &WriteOptions) -> Result<Self> {
        let Some(first) = framers.first() else {
            return Err(Error::usage("there is no input"));
        };
        if framers.iter().any(|framer| framer.kind() != first.kind()) {
            return Err(Error::input("one file is FASTQ and the other FASTA")
                .help("give two files of one kind"));
        }
        let is_paired = options.interleaved || framers.len() == 2;
        let mates = 1 + usize::from(is_paired);
        let mut styles: Vec<Style> = framers.iter().map(Framer::style).collect();
        styles.resize(mates, first.style());
        let chunk_rows = (options.chunk_reads / mates as u64).max(1);
        Ok(Self {
            framers,
            styles,
            interleaved: options.interleaved,
            batch_rows: (options.batch_reads / mates).max(1),
            chunk_rows,
            room: 0,
            fixed: None,
        })
    }

    fn next(&mut self) -> Result<Option<Section>> {
        let mut starts_chunk = self.room == 0;
        if starts_chunk {
            self.room = self.chunk_rows;
        }
        let rows = self.batch_rows.min(usize::try_from(self.room).unwrap_or(usize::MAX));
        let framed = match (self.interleaved, self.framers.as_mut_slice()) {
            (true, [only]) => {
                // Whole pairs: an odd number is the end of the file, or of the batch's bytes.
                match only.next_even(2 * rows, BATCH_TEXT)? {
                    Some(framed) => framed.deinterleave()?.to_vec(),
                    None => return Ok(None),
                }
            }
            (_, [only]) => match only.next(rows, BATCH_TEXT)? {
                Some(framed) => vec![framed],
                None => return Ok(None),
            },
            (_, [first, second]) => {
                let one = first.next(rows, BATCH_TEXT / 2)?;
                let wanted = one.as_ref().map_or(1, |one| one.frames.len());
                let two = second.next(wanted, usize::MAX)?;
                match (one, two) {
                    (None, None) => return Ok(None),
                    (Some(one), Some(two)) if one.frames.len() == two.frames.len() => {
                        vec![one, two]
                    }
                    (one, two) => return Err(unequal(first, second, one, two)),
                }
            }
            _ => return Err(Error::usage("reads come from one file, or from two")),
        };
        let now = lengths(&framed, &self.styles);
        let fixed = match self.fixed {
            None => now,
            Some(before) if before == now => before,
            Some([0, 0]) => [0, 0],
            Some(_) => {
                // Columns of the chunk so far cannot hold these: they begin another.
                starts_chunk = true;
                self.room = self.chunk_rows;
                [0, 0]
            }
        };
        self.fixed = Some(fixed);
        self.room = self.room.saturating_sub(framed[0].frames.len() as u64);
        Ok(Some(Section { framed, fixed, starts_chunk }))
    }
}

/// The one length of each file's reads; zeros unless all have one.
fn lengths(framed: &[Framed], styles: &[Style]) -> [u32; 2] {
    let mut fixed = [0; 2];
    for ((file, style), fixed) in framed.iter().zip(styles).zip(&mut fixed) {
        let length = file.frames.first().map_or(0, |frame| frame.length);
        if style.fasta || length == 0 || file.frames.iter().any(|frame| frame.length != length) {
            return [0, 0];
        }
        *fixed = length;
    }
    fixed
}

fn unequal(first: &Framer, second: &Framer, one: Option<Framed>, two: Option<Framed>) -> Error {
    let end = |framed: &Option<Framed>, framer: &Framer| {
        framed.as_ref().map_or(framer.records(), |f| f.first_record + f.frames.len() as u64)
    };
    let (ends_at, name) = match end(&one, first) < end(&two, second) {
        true => (end(&one, first), first.name()),
        false => (end(&two, second), second.name()),
    };
    Error::input(format!("{name} ends after record {ends_at}, and the other file goes on"))
        .expected("as many reads in both files")
        .help("the files are no pair, or one is cut short: get whole copies")
        .at(format!("record {}", ends_at + 1))
        .at(name)
}

/// One batch, encoded, with what was counted of it.
struct Encoded {
    message: Message,
    fixed: [u32; 2],
    starts_chunk: bool,
    rows: usize,
    digests: Vec<[u8; 8]>,
    hashes: Vec<u32>,
    extremes: Extremes,
    bases: u64,
    quality: u64,
    text_bytes: u64,
    kept_as_text: u64,
}

/// What encoding needs to know.
struct Encoding<'a> {
    styles: &'a [Style],
    metadata: Vec<(String, String)>,
    layout: Layout,
    effort: Effort,
}

/// What the schema of a chunk says of it besides columns.
pub(super) fn metadata(layout: Layout, styles: &[Style]) -> Vec<(String, String)> {
    let styles = serde_json::to_string(styles).unwrap_or_default();
    let layout = match layout {
        Layout::Plain => "plain",
        Layout::Compact => "compact",
    };
    vec![
        ("srf.version".to_owned(), manifest::VERSION.to_owned()),
        ("srf.layout".to_owned(), layout.to_owned()),
        ("srf.styles".to_owned(), styles),
    ]
}

/// The schema of a chunk.
pub(super) fn schema(layout: Layout, styles: &[Style], fixed: [u32; 2]) -> Arc<Schema> {
    let metadata = metadata(layout, styles);
    match layout {
        Layout::Plain => plain::schema(styles, fixed, &metadata),
        Layout::Compact => compact::schema(styles, &metadata),
    }
}

/// The level of zstd for an effort.
fn level(effort: Effort) -> i32 {
    match effort {
        Effort::Fast => 1,
        Effort::Default => 3,
        Effort::Archive => 15,
    }
}

impl Encoding<'_> {
    fn encode(&self, section: Section) -> Result<Encoded> {
        let Section { framed, fixed, starts_chunk } = section;
        let batch = Batch::parse(&framed, self.styles)?;
        let rows = batch.rows();
        let (mut digests, mut text_bytes) = (Vec::new(), 0);
        for file in &framed {
            let bytes =
                |frame: &crate::records::reads::Frame| frame.start as usize..frame.end as usize;
            let (first, last) = (&file.frames[0], &file.frames[rows - 1]);
            let is_whole = file.stride == 1;
            let mut gathered = Vec::new();
            let text = match is_whole {
                true => &file.text[first.start as usize..last.end as usize],
                false => {
                    file.frames
                        .iter()
                        .for_each(|f| gathered.extend_from_slice(&file.text[bytes(f)]));
                    gathered.as_slice()
                }
            };
            digests.push(Batch::digest(text));
            text_bytes += text.len() as u64;
        }
        let hashes = (0..rows).map(|row| ids::hash(batch.names.get(row))).collect();
        let (mut extremes, mut quality) = (Extremes::default(), 0);
        let mut qualities = Vec::with_capacity(batch.mates());
        for mate in 0..batch.mates() {
            let mut of_mate = Vec::with_capacity(rows);
            for row in 0..rows {
                extremes.add_length(batch.length(row, mate) as u32);
                let found = Quality::of(batch.qualities(row, mate));
                if let Some(found) = found {
                    quality += found.sum;
                    extremes.add_quality(found.average, found.expected_errors);
                }
                of_mate.push(found);
            }
            qualities.push(of_mate);
        }
        let bases = batch.mates.iter().map(|mate| mate.bases.bytes.len() as u64).sum();
        let kept_as_text = batch.mates.iter().map(|mate| mate.exact.len() as u64).sum();
        let message = match self.layout {
            Layout::Plain => {
                let schema = plain::schema(self.styles, fixed, &self.metadata);
                file::encode(
                    &plain::columns(batch, &qualities, &schema, fixed)?,
                    Some(level(self.effort)),
                )?
            }
            Layout::Compact => {
                let schema = compact::schema(self.styles, &self.metadata);
                file::encode(&compact::columns(&batch, &schema, self.effort)?, None)?
            }
        };
        Ok(Encoded {
            message,
            fixed,
            starts_chunk,
            rows,
            digests,
            hashes,
            extremes,
            bases,
            quality,
            text_bytes,
            kept_as_text,
        })
    }
}

/// A chunk being gathered.
struct OpenChunk {
    file: FileBuilder,
    fixed: [u32; 2],
    first_row: u64,
    batches: Vec<BatchRef>,
}

/// The state of a conversion on the side where batches come out in order.
struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    options: &'a WriteOptions,
    progress: &'a Arc<Progress>,
    styles: Vec<Style>,
    uploader: Uploader,
    open: Option<OpenChunk>,
    rows: u64,
    chunks: Vec<ChunkEntry>,
    /// The index of batches.
    batches: Vec<u8>,
    pages: Vec<Page>,
    extremes: Vec<Extremes>,
    ids: ids::Builder,
    quality: u64,
    fixed: Option<[u32; 2]>,
    summary: Summary,
}

impl<'a> Writer<'a> {
    fn new(
        store: &'a Store,
        transaction: &'a Transaction,
        source: &Source,
        options: &'a WriteOptions,
        progress: &'a Arc<Progress>,
    ) -> Self {
        Self {
            store,
            transaction,
            options,
            progress,
            styles: source.styles.clone(),
            uploader: Uploader::new(store.clone(), UPLOADS_IN_FLIGHT).count_into(progress.clone()),
            open: None,
            rows: 0,
            chunks: Vec::new(),
            batches: Vec::new(),
            pages: Vec::new(),
            extremes: Vec::new(),
            ids: ids::Builder::default(),
            quality: 0,
            fixed: None,
            summary: Summary::default(),
        }
    }

    fn run(mut self, source: &mut Source) -> Result<(Draft, Summary)> {
        let options = self.options;
        let styles = self.styles.clone();
        let encoding = Encoding {
            styles: &styles,
            metadata: metadata(options.layout, &styles),
            layout: options.layout,
            effort: options.effort,
        };
        ordered_by_weight(
            options.threads,
            TEXT_IN_FLIGHT,
            |section: &Section| section.framed.iter().map(Framed::byte_len).sum(),
            || source.next(),
            |section| encoding.encode(section),
            |encoded| self.take(encoded),
        )?;
        self.finish()
    }

    fn take(&mut self, encoded: Encoded) -> Result<()> {
        let is_full = self.open.as_ref().is_some_and(|open| open.file.len() >= MAX_CHUNK);
        if encoded.starts_chunk || is_full {
            self.close_chunk()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenChunk {
                file: FileBuilder::new(schema(self.options.layout, &self.styles, encoded.fixed))?,
                fixed: encoded.fixed,
                first_row: self.rows,
                batches: Vec::new(),
            },
        };
        let number = u32::try_from(self.extremes.len())
            .map_err(|_| Error::unsupported("a dataset of more than 4,294,967,295 batches"))?;
        encoded.hashes.iter().for_each(|&hash| self.ids.push(hash, number));
        self.extremes.push(encoded.extremes);
        let offset = open.file.push(&encoded.message);
        let message = &encoded.message;
        open.batches.push(BatchRef {
            offset,
            size: message.bytes.len() as u32,
            head: message.head,
            rows: encoded.rows as u32,
            crc: crc32c::crc32c(&message.bytes),
            digests: encoded.digests,
        });
        self.fixed = match self.fixed {
            None => Some(encoded.fixed),
            Some(fixed) if fixed == encoded.fixed => Some(fixed),
            Some(_) => Some([0, 0]),
        };
        self.open = Some(open);
        let reads = (encoded.rows * self.styles.len()) as u64;
        self.rows += encoded.rows as u64;
        self.quality += encoded.quality;
        self.summary.reads += reads;
        self.summary.bases += encoded.bases;
        self.summary.text_bytes += encoded.text_bytes;
        self.summary.reads_kept_as_text += encoded.kept_as_text;
        self.summary.batches += 1;
        self.progress.add_items(reads);
        Ok(())
    }

    fn close_chunk(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mates = self.styles.len() as u64;
        let (first, end) = (open.first_row * mates, self.rows * mates);
        let stem = format!("{first:010}-{:010}", end.saturating_sub(1));
        let path = self.transaction.path("chunks", &stem, "srf")?;
        let bytes = open.file.finish();
        let counts = Counts::from([(manifest::READS.to_owned(), end - first)]);
        self.chunks.push(ChunkEntry::new(&path, &bytes, counts));
        let chunk = ChunkRef { path, fixed: open.fixed, batches: open.batches };
        self.pages.push(chunk.push(&mut self.batches));
        self.summary.chunks += 1;
        self.summary.chunk_bytes += bytes.len() as u64;
        self.put(&chunk.path, bytes)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.summary.objects += 1;
        self.summary.total_bytes += bytes.len() as u64;
        if self.options.dry_run {
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

    fn finish(mut self) -> Result<(Draft, Summary)> {
        self.close_chunk()?;
        let (quality, length) = index::extremes(&self.extremes);
        let (read_ids, id_pages) = std::mem::take(&mut self.ids).finish();
        let batches = std::mem::take(&mut self.batches);
        let objects = vec![
            self.put_index(manifest::BATCHES_KIND, batches)?,
            self.put_index(manifest::QUALITY_KIND, quality)?,
            self.put_index(manifest::LENGTH_KIND, length)?,
            self.put_index(manifest::IDS_KIND, read_ids)?,
        ];
        let uploader = std::mem::replace(&mut self.uploader, Uploader::new(self.store.clone(), 0));
        uploader.finish()?;
        let details = self.details(id_pages);
        if self.options.verify && !self.options.dry_run {
            super::verify::read_back(self.store, &details, &objects, self.options.threads)?;
            self.summary.verified = true;
        }
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation: Operation::Create,
            keep_chunks: false,
            created: self.options.created.clone(),
            inputs: self.options.inputs.clone(),
            fields: details.to_fields()?,
            objects,
            chunks: std::mem::take(&mut self.chunks),
            required_features: Vec::new(),
        };
        self.summary.objects += 2;
        Ok((draft, self.summary))
    }

    fn details(&self, read_ids: Vec<Page>) -> Details {
        let bases = self.summary.bases;
        let has_quality = bases > 0 && self.styles.iter().all(|style| !style.fasta);
        let lengths = self.extremes.iter().map(|batch| batch.length);
        let (min, max) = lengths
            .fold((u32::MAX, 0), |(min, max), (least, most)| (min.min(least), max.max(most)));
        Details {
            total_reads: self.summary.reads,
            total_bases: bases,
            avg_quality: has_quality.then(|| self.quality as f64 / bases as f64),
            read_length: (min == max).then_some(max),
            min_length: min.min(max),
            max_length: max,
            chunk_count: self.summary.chunks,
            layout: self.options.layout,
            order: Order::None,
            reads_per_row: self.styles.len() as u32,
            interleaved: self.options.interleaved,
            styles: self.styles.clone(),
            reads_kept_as_text: self.summary.reads_kept_as_text,
            text_bytes: self.summary.text_bytes,
            chunk_bytes: self.summary.chunk_bytes,
            compression: "zstd".to_owned(),
            level: level_name(self.options.effort).to_owned(),
            batch_count: self.summary.batches,
            batches: self.pages.clone(),
            read_ids,
        }
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
