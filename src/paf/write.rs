//! Making a dataset from alignments: read, order, cut, encode, put, index, commit.
//!
//! Nothing is visible before the commit. Chunks are encoded on several threads and uploaded while
//! later ones are read; what is held in memory is bounded by blocks in flight, the chunk being
//! gathered, and the chunks on their way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::base::Base;
use super::chunk::{Chunk, ChunkBuilder, EncodedBlock};
use super::index::{self, ChunkRef};
use super::manifest::{self, ContigFields, Details};
use super::merge::{Merge, Step};
use super::order::{Ordered, Ordering, Sections};
use super::partition::Section;
use super::tally::Tally;
use crate::codec::Effort;
use crate::dataset::{
    Change, Checksum, ChunkEntry, Counts, Draft, InputInfo, ObjectRef, Transaction, TransactionId,
    folders,
};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, ordered_by_weight};
use crate::records::alignments::{Header, Source};
use crate::store::{Store, Uploader};

/// Bytes of chunks that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 96 << 20;
/// Bytes of records that may be between reader and encoder.
const RECORDS_IN_FLIGHT: usize = 64 << 20;
/// Folder of chunks with several contigs; no contig's own folder begins with `_`.
const SEVERAL_CONTIGS: &str = "_contigs";
/// Folder of chunks with reads that have no contig.
const UNPLACED: &str = "_unplaced";

/// How a dataset is made.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Bases per window.
    pub chunk_size: u64,
    /// How hard to compress.
    pub effort: Effort,
    /// The sample's name, instead of the header's.
    pub sample: Option<String>,
    /// Threads that encode.
    pub threads: usize,
    /// How records out of order are sorted.
    pub ordering: Ordering,
    /// What becomes of a dataset that is there: reads are added to it, or take the place of those
    /// of some contigs. Both take window and effort from the dataset.
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
    pub input: InputInfo,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// How many reads came from the input.
    pub reads: u64,
    /// Bytes of all reads that were encoded, as BAM has them before compression.
    pub record_bytes: u64,
    /// How many chunks.
    pub chunks: u64,
    /// How many blocks they have.
    pub blocks: u64,
    /// Bytes of all chunks.
    pub chunk_bytes: u64,
    /// Bytes of all objects but the manifest and its copy.
    pub total_bytes: u64,
    /// How many objects, the manifest and its copy included: one PUT each.
    pub objects: u64,
    /// Whether the records had to be put in order.
    pub reordered: bool,
    /// Whether everything was read back and compared.
    pub verified: bool,
    /// The version of the dataset; 0 for a dry run.
    pub dataset_version: u64,
}

/// Makes a dataset at `store` of all records of `source`.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and must be none, before
/// anything is read; what the source and the store report; [`Corrupt`](crate::error::ErrorKind::Corrupt) where
/// verification finds a difference. Then nothing is visible, and what was uploaded is deleted as far
/// as the store lets.
pub fn write(
    source: &mut dyn Source,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let transaction = options.change.begin(store, options.transaction, options.dry_run)?;
    let base = options.change.base(&transaction);
    let base = base.map(|base| Base::read(base, &options.change, source.header())).transpose();
    let written = base.and_then(|base| {
        let input = source.header().clone();
        let (header, options) = match &base {
            Some(base) => (base.header.clone(), base.adopted(options, &input)),
            None => (input, options.clone()),
        };
        Writer::new(store, &transaction, &header, &options, progress)?.run(source, base.as_ref())
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
    let dataset = transaction.commit(draft)?;
    summary.dataset_version = dataset.manifest().dataset_version;
    Ok(summary)
}

/// One block, encoded, with what was counted of it.
struct Encoded {
    block: EncodedBlock,
    ends_chunk: bool,
    tally: Tally,
}

/// What comes out in order.
enum Ready {
    Block(Box<Encoded>),
    /// A chunk of the base that stays.
    Kept(usize),
}

/// Where blocks come from.
enum Steps<'a> {
    Sections(Box<Sections<'a>>),
    Merge(Box<Merge<'a>>),
}

impl Steps<'_> {
    fn next(&mut self) -> Result<Option<Step>> {
        match self {
            Self::Sections(sections) => Ok(sections.next()?.map(Step::Section)),
            Self::Merge(merge) => merge.next(),
        }
    }
}

/// The state of a conversion on the side where blocks come out in order.
struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    header: &'a Header,
    options: &'a WriteOptions,
    progress: &'a Arc<Progress>,
    uploader: Uploader,
    folders: Vec<String>,
    chunk: ChunkBuilder,
    stems: HashMap<String, u32>,
    last_window: Option<(u32, u64)>,
    unplaced_reads: u64,
    chunks: Vec<ChunkEntry>,
    index: index::Builder,
    tally: Tally,
    keeps_input_order: bool,
    summary: Summary,
}

impl<'a> Writer<'a> {
    fn new(
        store: &'a Store,
        transaction: &'a Transaction,
        header: &'a Header,
        options: &'a WriteOptions,
        progress: &'a Arc<Progress>,
    ) -> Result<Self> {
        let names: Vec<&str> = header.contigs().iter().map(|contig| contig.name.as_str()).collect();
        Ok(Self {
            store,
            transaction,
            header,
            options,
            progress,
            uploader: Uploader::new(store.clone(), UPLOADS_IN_FLIGHT).count_into(progress.clone()),
            folders: folders(&names, &[]),
            chunk: ChunkBuilder::default(),
            stems: HashMap::new(),
            last_window: None,
            unplaced_reads: 0,
            chunks: Vec::new(),
            index: index::Builder::default(),
            tally: Tally::new(names.len()),
            keeps_input_order: false,
            summary: Summary::default(),
        })
    }

    /// Converts everything up to the commit.
    fn run(mut self, source: &mut dyn Source, base: Option<&Base>) -> Result<(Draft, Summary)> {
        let options = self.options;
        let input = Ordered::new(source, &options.ordering, self.progress)?;
        self.summary.reordered = input.reordered;
        self.keeps_input_order = match base {
            Some(base) => base.first_ordinal().is_some(),
            None => input.reordered,
        };
        // Sorted records have been counted while they were read.
        let counts_here = !input.counted;
        let mut steps = match base {
            Some(base) => Steps::Merge(Box::new(Merge::new(base, input, options.chunk_size)?)),
            None => Steps::Sections(Box::new(Sections::new(input, options.chunk_size))),
        };
        let progress = self.progress.clone();
        let contig_count = self.header.contigs().len();
        ordered_by_weight(
            options.threads,
            RECORDS_IN_FLIGHT,
            |step: &Step| match step {
                Step::Section(section) => section.batch.byte_len(),
                Step::Keep(_) => 0,
            },
            || steps.next(),
            |step| match step {
                Step::Section(section) => {
                    encode(section, contig_count, options.effort).map(Box::new).map(Ready::Block)
                }
                Step::Keep(number) => Ok(Ready::Kept(number)),
            },
            |ready| match ready {
                Ready::Block(encoded) => {
                    if counts_here {
                        progress.add_items(u64::from(encoded.block.entry().records));
                    }
                    self.take(*encoded)
                }
                Ready::Kept(number) => self.keep(base, number),
            },
        )?;
        self.summary.reads = self.tally.reads;
        if let (Steps::Merge(merge), Some(base)) = (&steps, base) {
            let mut tally = base.tally()?;
            tally.take_off(&merge.gone);
            self.tally.merge(&tally);
            self.summary.reads = merge.added;
        }
        self.finish(base)
    }

    /// Adds the next block.
    fn take(&mut self, encoded: Encoded) -> Result<()> {
        self.summary.record_bytes += encoded.block.entry().raw_bytes;
        self.summary.blocks += 1;
        self.tally.merge(&encoded.tally);
        self.chunk.push(encoded.block);
        if encoded.ends_chunk { self.close_chunk() } else { Ok(()) }
    }

    /// Takes a chunk of the base over as it is.
    fn keep(&mut self, base: Option<&Base>, number: usize) -> Result<()> {
        let kept = base.and_then(|base| base.chunks.get(number));
        let (chunk, entry) = kept.ok_or_else(|| Error::internal("a chunk of no version"))?;
        if chunk.extent().is_some_and(|extent| extent.first.contig().is_none()) {
            self.unplaced_reads += entry.counts.get(manifest::READS).copied().unwrap_or(0);
        }
        self.last_window = None;
        self.index.push(chunk)?;
        self.chunks.push(entry.clone());
        Ok(())
    }

    /// Uploads the gathered blocks as a chunk.
    fn close_chunk(&mut self) -> Result<()> {
        let Chunk { bytes, blocks } = std::mem::take(&mut self.chunk).finish()?;
        let reads: u64 = blocks.iter().map(|block| u64::from(block.records)).sum();
        let (folder, stem) = self.place_of(&blocks, reads)?;
        let path = self.transaction.path(&folder, &stem, "bin")?;
        let mut entry =
            ChunkEntry::new(&path, &bytes, Counts::from([(manifest::READS.to_owned(), reads)]));
        let mut digest = Sha256::new();
        blocks.iter().for_each(|block| digest.update(block.digest));
        entry.digest = Some(Checksum::from_bytes(digest.finalize().into()));
        let chunk = ChunkRef {
            path,
            size: bytes.len() as u64,
            checksum: *entry.checksum.as_bytes(),
            blocks,
        };
        self.index.push(&chunk)?;
        self.summary.chunks += 1;
        self.summary.chunk_bytes += entry.size_bytes;
        self.chunks.push(entry);
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

    fn put_object(&mut self, kind: &str, path: String, bytes: Vec<u8>) -> Result<ObjectRef> {
        let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        self.put(&path, bytes)?;
        Ok(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum })
    }

    /// Folder and stem of the name of a chunk: the windows that its reads start in.
    fn place_of(
        &mut self,
        blocks: &[super::directory::BlockEntry],
        reads: u64,
    ) -> Result<(String, String)> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Err(Error::internal("a chunk without a block"));
        };
        let (first, last) = (first.extent.first, last.extent.last);
        let (folder, from, to) = match (first.contig(), last.contig()) {
            (Some(contig), Some(end)) if contig == end => {
                let window = self.options.chunk_size.max(1);
                let start = u64::try_from(first.position()).unwrap_or(0);
                let last = u64::try_from(last.position()).unwrap_or(0);
                let is_split = self.last_window == Some((contig.0, start / window));
                let from = if is_split { start } else { start / window * window };
                self.last_window = Some((contig.0, last / window));
                (self.folders[contig.0 as usize].clone(), from, (last / window + 1) * window)
            }
            (None, _) => {
                let from = self.unplaced_reads;
                self.unplaced_reads += reads;
                (UNPLACED.to_owned(), from, self.unplaced_reads)
            }
            (Some(contig), end) => {
                let end = end.map_or(self.folders.len() as u64, |end| u64::from(end.0) + 1);
                (SEVERAL_CONTIGS.to_owned(), u64::from(contig.0), end)
            }
        };
        let stem = format!("chunk_{from:010}-{to:010}");
        // Many reads at one position can fill several chunks, which would have one name.
        let repeats = self.stems.entry(format!("{folder}/{stem}")).or_default();
        let name = if *repeats == 0 { stem } else { format!("{stem}-{repeats}") };
        *repeats += 1;
        Ok((folder, name))
    }

    /// Uploads header and index, verifies, and drafts the manifest.
    fn finish(mut self, base: Option<&Base>) -> Result<(Draft, Summary)> {
        if !self.chunk.is_empty() {
            self.close_chunk()?;
        }
        let mut objects = Vec::new();
        let header = zstd::bulk::compress(self.header.text(), 19)
            .map_err(|error| Error::internal("compressing the header").caused_by(error))?;
        let path = self.transaction.path("", "_header", "sam.zst")?;
        objects.push(self.put_object(manifest::HEADER_KIND, path, header)?);

        let (mut root, pages) = std::mem::take(&mut self.index).finish()?;
        if let Some(pages) = pages {
            let path = self.transaction.path("_index", "spatial", "idx")?;
            root.path = Some(path.clone());
            objects.push(self.put_object(manifest::INDEX_KIND, path, pages)?);
        }
        let uploader = std::mem::replace(&mut self.uploader, Uploader::new(self.store.clone(), 0));
        uploader.finish()?;
        if self.options.verify && !self.options.dry_run {
            super::verify::read_back(self.store, &self.chunks, self.options.threads)?;
            self.summary.verified = true;
        }
        let details = self.details(root);
        let mut chunks = std::mem::take(&mut self.chunks);
        // Lists of chunks are shared with the base where nothing lies between its chunks.
        let known = base.map_or(&[][..], |base| &base.chunks);
        let keep_chunks = !known.is_empty()
            && chunks.len() >= known.len()
            && chunks.iter().zip(known).all(|(entry, (_, known))| entry.path == known.path);
        if keep_chunks {
            chunks.drain(..known.len());
        }
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation: self.options.change.operation(),
            keep_chunks,
            created: self.options.created.clone(),
            inputs: base.map_or_else(
                || vec![self.options.input.clone()],
                |base| base.with(&self.options.input),
            ),
            fields: details.to_fields()?,
            objects,
            chunks,
            required_features: Vec::new(),
        };
        self.summary.objects += 2;
        Ok((draft, self.summary))
    }

    fn details(&self, index: index::Root) -> Details {
        let contigs = self.header.contigs();
        let tally = &self.tally;
        let mut statistics: BTreeMap<String, u64> = tally.flagstat.to_named().into_iter().collect();
        let chunk_bytes = self.chunks.iter().map(|chunk| chunk.size_bytes).sum();
        statistics.insert(manifest::BASES.to_owned(), tally.bases);
        statistics.insert(manifest::CHUNK_BYTES.to_owned(), chunk_bytes);
        Details {
            sample: self.options.sample.clone().or_else(|| self.header.sample().map(str::to_owned)),
            reference: manifest::assembly_of(self.header),
            chromosomes: contigs.iter().map(|contig| contig.name.clone()).collect(),
            chunk_size: self.options.chunk_size,
            compression: manifest::COMPRESSION.to_owned(),
            level: manifest::level_name(self.options.effort).to_owned(),
            read_count: tally.reads,
            contigs: ContigFields::new(contigs, &tally.contigs),
            statistics,
            keeps_input_order: self.keeps_input_order,
            index,
        }
    }
}

/// Encodes a section and counts what is in it.
fn encode(section: Section, contig_count: usize, effort: Effort) -> Result<Encoded> {
    let mut tally = Tally::new(contig_count);
    section.batch.iter().for_each(|record| tally.add(&record));
    let block = EncodedBlock::new(&section.batch, &section.ordinals, effort)?;
    Ok(Encoded { block, ends_chunk: section.ends_chunk, tally })
}
