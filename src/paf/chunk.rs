//! A chunk: one immutable object of blocks, with a header and a directory in front.
//!
//! ```text
//!  0  "PAF1"                 magic
//!  4  version        u16     1
//!  6  compression    u8      1: every stream names its codec
//!  7  chromosome     u8      contig id; 255 for ids from 255 on, none, or several contigs
//!  8  start          u32     first base that a read starts at, 0-based; 0 for several contigs
//! 12  end            u32     one past the last base that a read reaches; 0 for several contigs
//! 16  read count     u32
//! 20  checksum       32 B    SHA-256 of all bytes from 64 on
//! 52  contig         u32     id of the first read's contig; 2^32-1 for none
//! 56  directory      u32     its length
//! 60  header check   u32     CRC-32C of bytes 0 to 59
//! 64  directory, and the CRC-32C of its bytes before
//!     streams of the first block, of the second, …
//! ```
//! All numbers are little-endian.

use sha2::{Digest as _, Sha256};

use super::block::{self, CodedStream, series};
use super::directory::{self, BlockEntry, DIGEST_LEN, MAX_FAR, NEAR, StreamEntry};
use super::place::{Extent, Place};
use crate::codec::{self, Effort};
use crate::error::{Error, Result};
use crate::genome::Interval;
use crate::records::alignments::{Fields, RecordBatch};

/// First bytes of every chunk.
pub const MAGIC: [u8; 4] = *b"PAF1";
/// Version of the chunk layout.
pub const VERSION: u16 = 1;
/// Bytes before the directory.
pub const HEADER_LEN: usize = 64;
/// `compression`: every stream names its codec.
const BY_STREAM: u8 = 1;
/// `chromosome`: see the contig field, or several.
const NO_CHROMOSOME: u8 = 255;

/// A block, encoded and ready to be put into a chunk.
#[derive(Debug)]
pub struct EncodedBlock {
    entry: BlockEntry,
    data: Vec<u8>,
}

impl EncodedBlock {
    /// Encodes records, which must be in order of place, and their numbers in the input if given.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn new(batch: &RecordBatch, ordinals: &[u64], effort: Effort) -> Result<Self> {
        let streams = block::encode(batch, ordinals, effort)?;
        let mut data = Vec::with_capacity(streams.iter().map(|stream| stream.bytes.len()).sum());
        let mut entries = Vec::with_capacity(streams.len());
        for CodedStream { series, codec, raw_len, bytes } in streams {
            entries.push(StreamEntry {
                series,
                codec,
                offset: data.len() as u64,
                len: length(bytes.len())?,
                raw_len: length(raw_len)?,
                crc32c: crc32c::crc32c(&bytes),
            });
            data.extend_from_slice(&bytes);
        }
        let (extent, far) = extent_of(batch);
        let entry = BlockEntry {
            records: length(batch.len())?,
            raw_bytes: batch.byte_len() as u64,
            extent,
            far,
            digest: digest_of(batch),
            streams: entries,
        };
        Ok(Self { entry, data })
    }

    /// What the block holds; offsets of streams count from its own start.
    pub fn entry(&self) -> &BlockEntry {
        &self.entry
    }
}

fn length(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| Error::unsupported("a block is larger than 4 GiB"))
}

/// The digest of a block's records: half a BLAKE3 over the bytes of all records, then the length of
/// each as BAM's `block_size`. Lengths come last so that the bytes are hashed in one piece.
pub fn digest_of(batch: &RecordBatch) -> [u8; DIGEST_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(batch.all_bytes());
    let lengths: Vec<u8> = (0..batch.len())
        .flat_map(|index| (batch.bytes(index).len() as u32).to_le_bytes())
        .collect();
    hasher.update(&lengths);
    let mut digest = [0; DIGEST_LEN];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..DIGEST_LEN]);
    digest
}

/// What records in order cover, and the few that reach far beyond the rest.
fn extent_of(batch: &RecordBatch) -> (Extent, Vec<Interval>) {
    let last_index = batch.len().saturating_sub(1);
    let (first, last) = if batch.is_empty() {
        (Place::new(-1, -1), Place::new(-1, -1))
    } else {
        (Place::of(&batch.get(0)), Place::of(&batch.get(last_index)))
    };
    let on_last_contig =
        || batch.iter().filter(|r| Place::of(r).contig() == last.contig()).map(|r| r.interval());
    let mut ends: Vec<u64> = on_last_contig().map(|interval| interval.end()).collect();
    // All but MAX_FAR reads end here or before.
    let mut near = 0;
    if ends.len() > MAX_FAR {
        let at = ends.len() - 1 - MAX_FAR;
        near = *ends.select_nth_unstable(at).1;
    }
    let near = near.max(u64::try_from(last.position()).unwrap_or(0) + NEAR);
    let far: Vec<Interval> = on_last_contig().filter(|read| read.end() > near).collect();
    let reach = ends.into_iter().filter(|&end| end <= near).max().unwrap_or(0);
    (Extent { first, last, reach }, far)
}

/// A chunk's blocks while they are gathered.
#[derive(Debug, Default)]
pub struct ChunkBuilder {
    blocks: Vec<BlockEntry>,
    data: Vec<u8>,
}

/// A finished chunk.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes of the object.
    pub bytes: Vec<u8>,
    /// Its blocks, with offsets in `bytes`.
    pub blocks: Vec<BlockEntry>,
}

impl ChunkBuilder {
    /// Adds the next block.
    pub fn push(&mut self, block: EncodedBlock) {
        self.blocks.push(block.entry);
        self.data.extend_from_slice(&block.data);
    }

    /// Whether no block has been added.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Lays out header, directory and streams.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) beyond 2^32 - 1 records.
    pub fn finish(self) -> Result<Chunk> {
        let mut directory = Vec::new();
        directory::encode(&self.blocks, &mut directory);
        directory.extend_from_slice(&crc32c::crc32c(&directory).to_le_bytes());
        let mut bytes = Vec::with_capacity(HEADER_LEN + directory.len() + self.data.len());
        bytes.resize(HEADER_LEN, 0);
        bytes.extend_from_slice(&directory);
        bytes.extend_from_slice(&self.data);
        let header = Header::describe(&self.blocks, &directory, &bytes[HEADER_LEN..])?;
        bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        let data_start = (HEADER_LEN + directory.len()) as u64;
        let blocks = directory::decode(&directory[..directory.len() - 4], data_start)?;
        Ok(Chunk { bytes, blocks })
    }
}

/// The 64 bytes at the front of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// See the layout.
    pub chromosome: u8,
    /// First base that a read starts at; 0 for several contigs.
    pub start: u32,
    /// One past the last base that a read reaches; 0 for several contigs.
    pub end: u32,
    /// How many reads.
    pub reads: u32,
    /// SHA-256 of all bytes behind the header.
    pub checksum: [u8; 32],
    /// Id of the first read's contig; `u32::MAX` for none.
    pub contig: u32,
    /// Length of the directory with its check.
    pub directory_len: u32,
}

impl Header {
    fn describe(blocks: &[BlockEntry], directory: &[u8], body: &[u8]) -> Result<Self> {
        let extent = blocks
            .iter()
            .map(BlockEntry::full_extent)
            .reduce(|all, next| all.joined(&next))
            .ok_or_else(|| Error::internal("a chunk without a block"))?;
        let contig = extent.first.ref_id() as u32;
        let is_single = extent.first.contig() == extent.last.contig();
        let in_u32 = |position: u64| u32::try_from(position).unwrap_or(u32::MAX);
        let start = u64::try_from(extent.first.position()).unwrap_or(0);
        Ok(Self {
            chromosome: u8::try_from(contig).ok().filter(|_| is_single).unwrap_or(NO_CHROMOSOME),
            start: if is_single { in_u32(start) } else { 0 },
            end: if is_single { in_u32(extent.reach) } else { 0 },
            reads: length(blocks.iter().map(|block| block.records as usize).sum())?,
            checksum: Sha256::digest(body).into(),
            contig,
            directory_len: length(directory.len())?,
        })
    }

    fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&[BY_STREAM, self.chromosome]);
        for field in [self.start, self.end, self.reads] {
            put(&field.to_le_bytes());
        }
        put(&self.checksum);
        put(&self.contig.to_le_bytes());
        put(&self.directory_len.to_le_bytes());
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let header = bytes
            .first_chunk::<HEADER_LEN>()
            .ok_or_else(|| Error::corrupt("the chunk is shorter than its header"))?;
        if header[..4] != MAGIC {
            return Err(Error::corrupt("not a PAF chunk")
                .expected("\"PAF1\" at its start")
                .found(format!("{:?}", String::from_utf8_lossy(&header[..4]))));
        }
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        if number(60) != crc32c::crc32c(&header[..60]) {
            return Err(Error::corrupt("bytes 0-63: the header does not match its check"));
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != VERSION || header[6] != BY_STREAM {
            return Err(Error::unsupported(format!(
                "chunk version {version} with compression {} is not known",
                header[6]
            ))
            .help("use a newer version of format-tools"));
        }
        let mut checksum = [0; 32];
        checksum.copy_from_slice(&header[20..52]);
        Ok(Self {
            chromosome: header[7],
            start: number(8),
            end: number(12),
            reads: number(16),
            checksum,
            contig: number(52),
            directory_len: number(56),
        })
    }
}

/// Sets the checksums of a chunk right, as far as it is long enough to have them.
#[cfg(any(test, fuzzing))]
pub(super) fn set_checksums(bytes: &mut [u8]) {
    let Some((header, body)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else { return };
    let length = u32::from_le_bytes([header[56], header[57], header[58], header[59]]) as usize;
    if let Some((directory, check)) =
        body.get_mut(..length).and_then(|directory| directory.split_last_chunk_mut::<4>())
    {
        *check = crc32c::crc32c(directory).to_le_bytes();
    }
    header[20..52].copy_from_slice(&Sha256::digest(&body));
    let check = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&check.to_le_bytes());
}

impl Chunk {
    /// Reads a whole chunk object and checks all of its checksums.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) naming the range that is wrong.
    pub fn parse(bytes: Vec<u8>) -> Result<(Header, Self)> {
        let header = Header::parse(&bytes)?;
        let body = &bytes[HEADER_LEN..];
        if <[u8; 32]>::from(Sha256::digest(body)) != header.checksum {
            return Err(Error::corrupt(format!(
                "bytes {HEADER_LEN}-{}: the body does not match the header's checksum",
                bytes.len().saturating_sub(1)
            )));
        }
        let directory = body
            .get(..header.directory_len as usize)
            .and_then(|directory| directory.split_last_chunk::<4>())
            .filter(|(directory, check)| crc32c::crc32c(directory) == u32::from_le_bytes(**check))
            .map(|(directory, _)| directory)
            .ok_or_else(|| Error::corrupt("the directory does not match its check"))?;
        let data_start = HEADER_LEN as u64 + u64::from(header.directory_len);
        let blocks = directory::decode(directory, data_start)?;
        let end = blocks
            .iter()
            .flat_map(|block| &block.streams)
            .last()
            .map_or(data_start, |stream| stream.offset + u64::from(stream.len));
        if end != bytes.len() as u64 {
            return Err(Error::corrupt("the chunk and its directory differ in length")
                .expected(format!("{end} bytes"))
                .found(format!("{} bytes", bytes.len())));
        }
        let reads: u64 = blocks.iter().map(|block| u64::from(block.records)).sum();
        if reads != u64::from(header.reads) {
            return Err(Error::corrupt("the header's read count is not the directory's")
                .expected(reads)
                .found(header.reads));
        }
        Ok((header, Self { bytes, blocks }))
    }

    /// Decodes one of its blocks whole.
    ///
    /// # Errors
    ///
    /// As [`decode_block`].
    pub fn decode_block(&self, block: &BlockEntry) -> Result<RecordBatch> {
        let fetch = |stream: &StreamEntry| {
            let start = usize::try_from(stream.offset).ok()?;
            self.bytes.get(start..start.checked_add(stream.len as usize)?)
        };
        decode_block(block, &Fields::ALL, fetch)
    }
}

/// Decodes a block from the streams that `fields` needs; `fetch` gives a stream's bytes, and `None`
/// for those that were not fetched.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where a stream does not match its check, streams
/// contradict each other, or, with all fields, the records do not match their digest.
pub fn decode_block<'a>(
    entry: &BlockEntry,
    fields: &Fields,
    fetch: impl Fn(&StreamEntry) -> Option<&'a [u8]>,
) -> Result<RecordBatch> {
    let mut streams = Vec::with_capacity(entry.streams.len());
    for stream in &entry.streams {
        if block::is_needed(stream.series, fields) {
            let bytes = checked(stream, &fetch)?;
            streams.push((stream.series, stream.codec, stream.raw_len as usize, bytes));
        }
    }
    let coding =
        block::Coding { records: entry.records as usize, raw_bytes: entry.raw_bytes, streams };
    let batch = block::decode(&coding, fields)?;
    if *fields == Fields::ALL && digest_of(&batch) != entry.digest {
        return Err(Error::corrupt("the records of a block do not match their digest").help(
            "keep the object and report this: its bytes are intact, so the reader is wrong",
        ));
    }
    Ok(batch)
}

/// The numbers of a block's records in the input, where that order was another and is kept.
///
/// # Errors
///
/// As [`decode_block`].
pub fn decode_ordinals<'a>(
    entry: &BlockEntry,
    fetch: impl Fn(&StreamEntry) -> Option<&'a [u8]>,
) -> Result<Option<Vec<u64>>> {
    let Some(stream) = entry.streams.iter().find(|stream| stream.series == series::ORDINAL) else {
        return Ok(None);
    };
    let raw = codec::decode(stream.codec, checked(stream, &fetch)?, stream.raw_len as usize)?;
    block::decode_ordinals(&raw, entry.records as usize).map(Some)
}

/// The bytes of a stream, after comparing them with their check.
fn checked<'a>(
    stream: &StreamEntry,
    fetch: &impl Fn(&StreamEntry) -> Option<&'a [u8]>,
) -> Result<&'a [u8]> {
    let range = || {
        let end = (stream.offset + u64::from(stream.len)).saturating_sub(1);
        format!("bytes {}-{end}", stream.offset)
    };
    let bytes =
        fetch(stream).ok_or_else(|| Error::internal("a stream was not fetched").at(range()))?;
    if crc32c::crc32c(bytes) != stream.crc32c {
        let name = stream.series.name();
        return Err(Error::corrupt(format!("stream {name} does not match its check"))
            .help("restore the object from a copy")
            .at(range()));
    }
    Ok(bytes)
}
