//! What typed columns leave out of a text, as a few coded streams.
//!
//! ```text
//! residual:  count, then of each stream: id, codec (byte), length, coded length; then their bytes
//! ```
//!
//! Numbers are variable-length integers. Codecs are those of `spec/codecs.md`.

use std::collections::BTreeMap;

use crate::codec::cursor::Cursor;
use crate::codec::{self, Codec, Effort, varint};
use crate::error::{Error, Result};

/// The longest stream that is read.
const MAX_STREAM: usize = 1 << 30;

/// How many streams of the greatest expansion there may be.
const MOST_LARGE: usize = 8;

/// Streams by id.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<u32, Vec<u8>>);

impl Streams {
    /// Sets a stream; an empty one is as good as none.
    pub(super) fn set(&mut self, id: u32, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0.insert(id, bytes);
        }
    }

    /// Takes a stream out.
    pub(super) fn take(&mut self, id: u32) -> Vec<u8> {
        self.0.remove(&id).unwrap_or_default()
    }

    /// As bytes of a file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let coded: Vec<_> = self
            .0
            .iter()
            .map(|(id, raw)| (*id, raw.len(), codec::encode(raw, Effort::Fast)))
            .collect();
        let mut out = Vec::new();
        varint::put(&mut out, coded.len() as u64);
        for (id, len, stream) in &coded {
            varint::put(&mut out, u64::from(*id));
            out.push(stream.codec as u8);
            varint::put(&mut out, *len as u64);
            varint::put(&mut out, stream.bytes.len() as u64);
        }
        for (_, _, stream) in &coded {
            out.extend_from_slice(&stream.bytes);
        }
        out
    }

    /// Reads them back.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, "residual");
        let count: usize = cursor.number()?;
        let (mut entries, mut whole) = (Vec::new(), 0_usize);
        for _ in 0..count {
            let id: u32 = cursor.number()?;
            let codec = Codec::from_u8(cursor.byte()?)?;
            let (len, coded): (usize, usize) = (cursor.number()?, cursor.number()?);
            if len > MAX_STREAM {
                return Err(Error::corrupt("a stream of exceptions is longer than any real one"));
            }
            whole = whole.saturating_add(len);
            entries.push((id, codec, len, coded));
        }
        // Streams are bounded one by one, and there are not so many.
        codec::check_expansion(bytes.len(), whole / MOST_LARGE)?;
        let mut streams = BTreeMap::new();
        for (id, codec, len, coded) in entries {
            streams.insert(id, codec::decode(codec, cursor.take(coded)?, len)?);
        }
        cursor.finish()?;
        Ok(Self(streams))
    }
}

/// Texts kept as they were, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl Texts {
    /// Appends a text.
    pub(super) fn push(&mut self, text: &[u8]) {
        varint::put(&mut self.lengths, text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    /// As one stream: their number and lengths, then the texts.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        if self.lengths.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::new();
        varint::put(&mut out, self.lengths.len() as u64);
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.bytes);
        out
    }

    /// Puts them away as two streams.
    pub(super) fn store(self, streams: &mut Streams, lengths: u32, bytes: u32) {
        streams.set(lengths, self.lengths);
        streams.set(bytes, self.bytes);
    }
}

/// Texts that were read.
#[derive(Debug, Default)]
pub(super) struct TextView {
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl TextView {
    /// From two streams.
    pub(super) fn load(streams: &mut Streams, lengths: u32, bytes: u32) -> Result<Self> {
        let lengths = streams.take(lengths);
        Self::new(&lengths, streams.take(bytes))
    }

    /// From what [`Texts::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut cursor = Cursor::new(bytes, "texts");
        let lengths: usize = cursor.number()?;
        let lengths = cursor.take(lengths)?;
        let left = cursor.left();
        Self::new(lengths, cursor.take(left)?.to_vec())
    }

    fn new(lengths: &[u8], bytes: Vec<u8>) -> Result<Self> {
        let mut cursor = Cursor::new(lengths, "lengths of texts");
        let mut ends = Vec::new();
        let mut end = 0_usize;
        while !cursor.is_done() {
            end = end
                .checked_add(cursor.number()?)
                .filter(|&end| end <= bytes.len())
                .ok_or_else(|| Error::corrupt("the texts kept are shorter than their lengths"))?;
            ends.push(end);
        }
        Ok(Self { ends, bytes })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|at| self.get(at).ok())
    }

    /// Text `at`.
    pub(super) fn get(&self, at: usize) -> Result<&[u8]> {
        let start = if at == 0 { Some(0) } else { self.ends.get(at - 1).copied() };
        match (start, self.ends.get(at)) {
            (Some(start), Some(&end)) => Ok(&self.bytes[start..end]),
            _ => Err(Error::corrupt("a text kept is missing")),
        }
    }
}
