//! The directory of a chunk: what its blocks hold, and where each of their streams lies.
//!
//! The same bytes stand at the front of the chunk, which so describes itself, and in the page of
//! the dataset's index, so that a query knows every byte range before it touches a chunk.

use super::block::series::{Series, TAG_VALUES};
use super::place::{Extent, Place};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::codec::{self, Codec};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval};

/// Bytes of a digest of a block's records.
pub const DIGEST_LEN: usize = 16;

/// How many far reads a block lists apart.
pub const MAX_FAR: usize = 32;

/// Bases past the last start of a block that every read may reach without counting as far.
pub const NEAR: u64 = 4_096;

/// No block of a legal chunk is larger than this before coding.
pub const MAX_BLOCK_BYTES: u64 = 1 << 31;

/// The fewest bytes of a record: its fixed fields, and the end of its name.
const MIN_RECORD_BYTES: u64 = 33;

/// Where one coded stream lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// Which series.
    pub series: Series,
    /// Its codec.
    pub codec: Codec,
    /// First byte in the chunk object.
    pub offset: u64,
    /// Bytes as coded.
    pub len: u32,
    /// Bytes before coding.
    pub raw_len: u32,
    /// CRC-32C of the coded bytes.
    pub crc32c: u32,
}

/// What one block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// How many records.
    pub records: u32,
    /// Bytes of all records as BAM has them, without `block_size`.
    pub raw_bytes: u64,
    /// What they cover, far reads aside.
    pub extent: Extent,
    /// The few reads on the last contig that reach much further than the others.
    pub far: Vec<Interval>,
    /// The first half of the SHA-256 of all records as BAM has them, with `block_size`.
    pub digest: [u8; DIGEST_LEN],
    /// Its streams in order of offset.
    pub streams: Vec<StreamEntry>,
}

impl BlockEntry {
    /// Whether a record of the block can overlap `interval` on `contig`.
    pub fn may_overlap(&self, contig: ContigId, interval: Interval) -> bool {
        self.extent.may_overlap(contig, interval)
            || (self.extent.last.contig() == Some(contig)
                && self.far.iter().any(|far| far.overlaps(interval)))
    }

    /// The extent with far reads.
    pub fn full_extent(&self) -> Extent {
        let far = self.far.iter().map(|far| far.end()).max().unwrap_or(0);
        Extent { reach: self.extent.reach.max(far), ..self.extent }
    }

    /// Bytes of all its streams as coded.
    pub fn coded_len(&self) -> u64 {
        self.streams.iter().map(|stream| u64::from(stream.len)).sum()
    }
}

/// Appends the directory of `blocks`; offsets are left out, since streams follow one another.
pub fn encode(blocks: &[BlockEntry], out: &mut Vec<u8>) {
    varint::put(out, blocks.len() as u64);
    for block in blocks {
        let Extent { first, last, reach } = block.extent;
        varint::put(out, u64::from(block.records));
        varint::put(out, block.raw_bytes);
        varint::put_signed(out, i64::from(first.ref_id()));
        varint::put_signed(out, i64::from(first.position()));
        varint::put_signed(out, i64::from(last.ref_id()));
        varint::put_signed(out, i64::from(last.position()));
        varint::put(out, reach);
        varint::put(out, block.far.len() as u64);
        for far in &block.far {
            varint::put(out, far.start());
            varint::put(out, far.len());
        }
        out.extend_from_slice(&block.digest);
        varint::put(out, block.streams.len() as u64);
        for stream in &block.streams {
            out.push(stream.series.id);
            if stream.series.is_tag() {
                out.extend_from_slice(&stream.series.tag);
            }
            out.push(stream.codec as u8);
            varint::put(out, u64::from(stream.len));
            varint::put(out, u64::from(stream.raw_len));
            out.extend_from_slice(&stream.crc32c.to_le_bytes());
        }
    }
}

/// Reads a directory back; `data_start` is where the first stream begins in the chunk object.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) for anything that is no directory.
pub fn decode(bytes: &[u8], data_start: u64) -> Result<Vec<BlockEntry>> {
    let mut cursor = Cursor::new(bytes, "directory");
    let mut offset = data_start;
    let count: u32 = cursor.number()?;
    let mut blocks = Vec::new();
    for _ in 0..count {
        blocks.push(decode_block(&mut cursor, &mut offset)?);
    }
    cursor.finish()?;
    Ok(blocks)
}

/// Fails where a block would take more memory than its bytes in the store account for.
fn check_sizes(raw_bytes: u64, records: u32, streams: &[StreamEntry]) -> Result<()> {
    let sum = |size: fn(&StreamEntry) -> u32| -> u64 {
        streams.iter().map(|stream| u64::from(size(stream))).sum()
    };
    let (coded, raw) = (sum(|stream| stream.len), sum(|stream| stream.raw_len));
    codec::check_expansion(usize::try_from(coded).unwrap_or(usize::MAX), raw_bytes as usize)?;
    // A base takes a byte in the streams and half of one in a record, a number up to ten.
    if raw > 4 * raw_bytes + 64 * u64::from(records) + (64 << 10) {
        return Err(Error::corrupt("the streams of a block are longer than its records")
            .expected(format!("{raw_bytes} bytes of records"))
            .found(format!("{raw} bytes of streams")));
    }
    Ok(())
}

fn decode_block(cursor: &mut Cursor<'_>, offset: &mut u64) -> Result<BlockEntry> {
    let records: u32 = cursor.number()?;
    let raw_bytes = cursor.varint()?;
    if raw_bytes > MAX_BLOCK_BYTES {
        return Err(Error::corrupt(format!("a block of {raw_bytes} bytes is too large")));
    }
    if u64::from(records) * MIN_RECORD_BYTES > raw_bytes {
        return Err(Error::corrupt(format!(
            "a block of {raw_bytes} bytes cannot hold {records} records"
        )));
    }
    let first = Place::new(cursor.signed()?, cursor.signed()?);
    let last = Place::new(cursor.signed()?, cursor.signed()?);
    let reach = cursor.varint()?;
    let far_count: usize = cursor.number()?;
    if last < first || far_count > MAX_FAR {
        return Err(Error::corrupt("the extent of a block contradicts itself"));
    }
    let mut far = Vec::with_capacity(far_count);
    for _ in 0..far_count {
        let start = cursor.varint()?;
        far.push(Interval::new(start, start.saturating_add(cursor.varint()?)));
    }
    let mut digest = [0; DIGEST_LEN];
    digest.copy_from_slice(cursor.take(DIGEST_LEN)?);
    let stream_count: u32 = cursor.number()?;
    let mut streams: Vec<StreamEntry> = Vec::new();
    for _ in 0..stream_count {
        let id = cursor.byte()?;
        let mut tag = [0; 3];
        if id >= TAG_VALUES {
            tag.copy_from_slice(cursor.take(3)?);
        }
        let codec = Codec::from_u8(cursor.byte()?)?;
        let (len, raw_len) = (cursor.number()?, cursor.number()?);
        let mut crc = [0; 4];
        crc.copy_from_slice(cursor.take(4)?);
        let crc32c = u32::from_le_bytes(crc);
        let series = Series { id, tag };
        streams.push(StreamEntry { series, codec, offset: *offset, len, raw_len, crc32c });
        *offset = offset
            .checked_add(u64::from(len))
            .ok_or_else(|| Error::corrupt("the streams of a chunk are too long"))?;
    }
    check_sizes(raw_bytes, records, &streams)?;
    let extent = Extent { first, last, reach };
    Ok(BlockEntry { records, raw_bytes, extent, far, digest, streams })
}
