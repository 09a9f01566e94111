//! Where batches lie, and what they hold.

use super::ipc::{self, Message};
use super::manifest::Page;
use super::plain::MAX_ROWS;
use crate::codec::varint;
use crate::error::{Error, Result};

/// One batch of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchRef {
    /// Where it begins in the chunk.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) size: u32,
    /// Bytes of the head of its message.
    pub(super) head: u32,
    pub(super) rows: u32,
    pub(super) crc: u32,
    /// Digests of the text of each file's reads.
    pub(super) digests: Vec<[u8; 8]>,
}

/// One chunk with its batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkRef {
    pub(super) path: String,
    /// The length of all reads of each file, or 0.
    pub(super) fixed: [u32; 2],
    pub(super) batches: Vec<BatchRef>,
}

/// Buffers of a batch: the size and the CRC-32C of each.
pub(super) type Buffers = Vec<(u32, u32)>;

/// Checksums of a message: CRC-32C of all of it, and of each buffer.
pub(super) struct Sums {
    pub(super) message: u32,
    pub(super) buffers: Buffers,
}

impl Sums {
    /// Of a message, with those of its buffers where they are wanted.
    pub(super) fn of(message: &Message, with_buffers: bool) -> Self {
        let body = message.bytes.get(message.head as usize..).unwrap_or_default();
        let sizes = message.buffers.iter().copied();
        let sums = ipc::places(sizes)
            .map(|place| (place.len() as u32, crc32c::crc32c(body.get(place).unwrap_or_default())));
        Self {
            message: crc32c::crc32c(&message.bytes),
            buffers: if with_buffers { sums.collect() } else { Buffers::new() },
        }
    }
}

/// Appends the buffers of a chunk's batches as a page of the index of columns.
pub(super) fn push_columns(chunk: &[Buffers], object: &mut Vec<u8>) -> Page {
    let start = object.len();
    for &(size, crc) in chunk.iter().flatten() {
        varint::put(object, size.into());
        if size > 0 {
            object.extend_from_slice(&crc.to_le_bytes());
        }
    }
    Page {
        size: (object.len() - start) as u32,
        crc: crc32c::crc32c(&object[start..]),
        rows: 0,
        batches: chunk.len() as u32,
    }
}

/// Reads such a page, for so many batches of so many buffers.
pub(super) fn parse_columns(
    mut bytes: &[u8],
    batches: usize,
    count: usize,
) -> Result<Vec<Buffers>> {
    let damaged = || Error::corrupt("a page of the index of columns is damaged");
    let rest = &mut bytes;
    let mut chunk = Vec::new();
    for _ in 0..batches {
        let mut buffers = Buffers::with_capacity(count);
        for _ in 0..count {
            let size = u32::try_from(varint::take(rest)?).map_err(|_| damaged())?;
            let mut crc = [0; 4];
            if size > 0 {
                let (found, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
                crc = *found;
                *rest = tail;
            }
            buffers.push((size, u32::from_le_bytes(crc)));
        }
        chunk.push(buffers);
    }
    if rest.is_empty() { Ok(chunk) } else { Err(damaged()) }
}

/// Most batches of a chunk.
const MAX_BATCHES: usize = 1 << 24;

impl ChunkRef {
    pub(super) fn rows(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.rows)).sum()
    }

    /// The page of this chunk, at the end of `object`.
    pub(super) fn push(&self, object: &mut Vec<u8>) -> Page {
        let start = object.len();
        varint::put(object, self.path.len() as u64);
        object.extend_from_slice(self.path.as_bytes());
        self.fixed.iter().for_each(|&length| varint::put(object, length.into()));
        varint::put(object, self.batches.len() as u64);
        let mut end = 0;
        for batch in &self.batches {
            varint::put(object, batch.offset - end);
            varint::put(object, batch.size.into());
            varint::put(object, batch.head.into());
            varint::put(object, batch.rows.into());
            object.extend_from_slice(&batch.crc.to_le_bytes());
            batch.digests.iter().for_each(|digest| object.extend_from_slice(digest));
            end = batch.offset + u64::from(batch.size);
        }
        Page {
            size: (object.len() - start) as u32,
            crc: crc32c::crc32c(&object[start..]),
            rows: self.rows(),
            batches: self.batches.len() as u32,
        }
    }

    /// Reads a page, for so many reads of a row.
    pub(super) fn parse(mut bytes: &[u8], mates: usize) -> Result<Self> {
        let damaged = || Error::corrupt("a page of the index of batches is damaged");
        let rest = &mut bytes;
        let length = varint::take_len(rest, 4096)?;
        let path = rest.get(..length).ok_or_else(damaged)?;
        let path = String::from_utf8(path.to_vec()).map_err(|_| damaged())?;
        *rest = &rest[length..];
        let mut chunk = Self { path, ..Self::default() };
        let number = |rest: &mut &[u8]| u32::try_from(varint::take(rest)?).map_err(|_| damaged());
        for length in &mut chunk.fixed {
            *length = number(rest)?;
        }
        let count = varint::take_len(rest, MAX_BATCHES)?;
        let mut end = 0_u64;
        for _ in 0..count {
            let gap = varint::take(rest)?;
            let offset = end.checked_add(gap).ok_or_else(damaged)?;
            let (size, head, rows) = (number(rest)?, number(rest)?, number(rest)?);
            if rows as usize > MAX_ROWS {
                return Err(damaged());
            }
            let mut take = |length: usize| {
                let (taken, tail) = rest.split_at_checked(length).ok_or_else(damaged)?;
                *rest = tail;
                Ok::<_, Error>(taken)
            };
            let crc = take(4)?.iter().rev().fold(0, |crc, &byte| crc << 8 | u32::from(byte));
            let mut digests = Vec::with_capacity(mates);
            for _ in 0..mates {
                digests.push(<[u8; 8]>::try_from(take(8)?).map_err(|_| damaged())?);
            }
            end = offset.checked_add(size.into()).ok_or_else(damaged)?;
            chunk.batches.push(BatchRef { offset, size, head, rows, crc, digests });
        }
        if rest.is_empty() { Ok(chunk) } else { Err(damaged()) }
    }
}

/// What the reads of a batch are like: least and greatest of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extremes {
    pub(super) average: (f32, f32),
    pub(super) errors: (f32, f32),
    pub(super) length: (u32, u32),
}

impl Default for Extremes {
    fn default() -> Self {
        Self {
            average: (f32::INFINITY, f32::NEG_INFINITY),
            errors: (f32::INFINITY, f32::NEG_INFINITY),
            length: (u32::MAX, 0),
        }
    }
}

impl Extremes {
    /// What could be in a batch of which nothing is known.
    pub(super) const ANY: Self = Self {
        average: (f32::NEG_INFINITY, f32::INFINITY),
        errors: (f32::NEG_INFINITY, f32::INFINITY),
        length: (0, u32::MAX),
    };

    pub(super) fn add_quality(&mut self, average: f32, errors: f32) {
        self.average = (self.average.0.min(average), self.average.1.max(average));
        self.errors = (self.errors.0.min(errors), self.errors.1.max(errors));
    }

    pub(super) fn add_length(&mut self, length: u32) {
        self.length = (self.length.0.min(length), self.length.1.max(length));
    }
}

/// The objects by quality (16 bytes a batch) and by length (8 bytes a batch).
pub(super) fn extremes(batches: &[Extremes]) -> (Vec<u8>, Vec<u8>) {
    let (mut quality, mut length) = (Vec::new(), Vec::new());
    for batch in batches {
        let (average, errors) = (batch.average, batch.errors);
        for value in [average.0, average.1, errors.0, errors.1] {
            quality.extend_from_slice(&value.to_le_bytes());
        }
        length.extend_from_slice(&batch.length.0.to_le_bytes());
        length.extend_from_slice(&batch.length.1.to_le_bytes());
    }
    (quality, length)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// Puts the object by quality into the extremes.
pub(super) fn read_quality(bytes: &[u8], into: &mut [Extremes]) -> Result<()> {
    if bytes.len() != 16 * into.len() {
        return Err(Error::corrupt("the index by quality has not one entry per batch"));
    }
    for (entry, batch) in bytes.chunks_exact(16).zip(into) {
        let value = |at: usize| f32::from_bits(number(&entry[at..at + 4]));
        batch.average = (value(0), value(4));
        batch.errors = (value(8), value(12));
    }
    Ok(())
}

/// Puts the object by length into the extremes.
pub(super) fn read_length(bytes: &[u8], into: &mut [Extremes]) -> Result<()> {
    if bytes.len() != 8 * into.len() {
        return Err(Error::corrupt("the index by length has not one entry per batch"));
    }
    for (entry, batch) in bytes.chunks_exact(8).zip(into) {
        batch.length = (number(&entry[..4]), number(&entry[4..]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> ChunkRef {
        let batch = |offset, size| BatchRef {
            offset,
            size,
            head: 200,
            rows: 5,
            crc: 0xdead_beef,
            digests: vec![[1, 2, 3, 4, 5, 6, 7, 8], [8; 8]],
        };
        ChunkRef {
            path: "chunks/0-9.x.srf".to_owned(),
            fixed: [100, 0],
            batches: vec![batch(1000, 300), batch(1304, 77)],
        }
    }

    #[test]
    fn test_pages_of_batches_and_columns_come_back() {
        let mut object = vec![9];
        let page = chunk().push(&mut object);
        assert_eq!((page.rows, page.batches, page.size as usize), (10, 2, object.len() - 1));
        assert_eq!(ChunkRef::parse(&object[1..], 2).unwrap(), chunk());
        assert!(ChunkRef::parse(&object[1..], 1).is_err());
        let columns = vec![vec![(0, 0), (300, 7), (1, u32::MAX)]; 2];
        let mut object = Vec::new();
        let page = push_columns(&columns, &mut object);
        assert_eq!(page.size as usize, object.len());
        assert_eq!(parse_columns(&object, 2, 3).unwrap(), columns);
        assert!(parse_columns(&object, 2, 4).is_err() && parse_columns(&object, 1, 3).is_err());
    }

    #[test]
    fn test_cut_pages_are_refused() {
        let (mut batches, mut columns) = (Vec::new(), Vec::new());
        chunk().push(&mut batches);
        push_columns(&[vec![(300, 7), (2, 3)]], &mut columns);
        (0..batches.len()).for_each(|end| assert!(ChunkRef::parse(&batches[..end], 2).is_err()));
        (0..columns.len()).for_each(|end| assert!(parse_columns(&columns[..end], 1, 2).is_err()));
    }

    #[test]
    fn test_extremes_come_back() {
        let mut some = Extremes::default();
        some.add_quality(30.5, 0.25);
        some.add_quality(12.0, 4.0);
        some.add_length(70);
        let batches = [some, Extremes::default()];
        let (quality, length) = extremes(&batches);
        let mut found = [Extremes::ANY; 2];
        read_quality(&quality, &mut found).unwrap();
        read_length(&length, &mut found).unwrap();
        assert_eq!(found, batches);
        assert!(read_quality(&quality[1..], &mut found).is_err());
        assert!(read_length(&length[1..], &mut found).is_err());
    }
}
