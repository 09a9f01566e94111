//! From the bytes of a part to one stream of inflated bytes, and the primitives in it.
//!
//! ```text
//! file bytes (fetched ahead) → blocks → inflated blocks, end to end → bytes, integers, texts
//! ```
//!
//! In memory are one fetch, one compressed block and one inflated block, whatever the file says.

use zstd::bulk::Decompressor;

use super::codec::{BlockCodec, BufferSpec, Framing};
use super::encoded::Length;
use super::fetch::PartBytes;
use super::lz4;
use crate::error::{Error, Result};

/// Bytes that the stream takes at once where there are no blocks.
const UNFRAMED_STEP: usize = 64 << 10;
/// The longest primitive: a varint of 64 bits.
const LONGEST: usize = 10;

/// Inflated bytes.
pub(super) struct Stream {
    blocks: Blocks,
    leb128: bool,
    window: Vec<u8>,
    at: usize,
    /// Inflated bytes in front of the window.
    before: u64,
}

impl Stream {
    pub(super) fn new(bytes: PartBytes, spec: &BufferSpec) -> Result<Self> {
        let inflater = match spec.framing {
            Some(Framing { codec: BlockCodec::Zstd, .. }) => Some(
                Decompressor::new()
                    .map_err(|error| Error::internal("setting up zstd").caused_by(error))?,
            ),
            _ => None,
        };
        let blocks = Blocks { bytes, framing: spec.framing.clone(), inflater, scratch: Vec::new() };
        Ok(Self { blocks, leb128: spec.leb128, window: Vec::new(), at: 0, before: 0 })
    }

    /// How many inflated bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// How many bytes of the file were read.
    pub(super) fn file_position(&self) -> u64 {
        self.blocks.bytes.position()
    }

    /// Adds a block to the window; `false` at the end of the file.
    #[cold]
    fn refill(&mut self) -> Result<bool> {
        let rest = self.window.len() - self.at;
        self.window.copy_within(self.at.., 0);
        self.window.truncate(rest);
        self.before += self.at as u64;
        self.at = 0;
        // Empty blocks are legal, and say nothing.
        while self.window.len() == rest {
            if !self.blocks.next(&mut self.window)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Bytes at hand, at least `count` of them.
    #[inline]
    fn ready(&mut self, count: usize) -> Result<&[u8]> {
        while self.window.len() - self.at < count {
            if !self.refill()? {
                return Err(self.ended());
            }
        }
        Ok(&self.window[self.at..])
    }

    #[cold]
    fn ended(&self) -> Error {
        Error::corrupt("the part ends within a row")
            .help("it was truncated: copy the table again")
            .at(format!("byte {} of the file", self.blocks.bytes.position()))
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.ready(N)?.first_chunk::<N>().copied().unwrap_or([0; N]);
        self.at += N;
        Ok(bytes)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        if let Some(&byte) = self.window.get(self.at) {
            self.at += 1;
            return Ok(byte);
        }
        self.fixed::<1>().map(|[byte]| byte)
    }

    /// A varint of at most `BITS` bits.
    #[inline]
    fn varint<const BITS: u32>(&mut self) -> Result<u64> {
        if let Some(&first) = self.window.get(self.at)
            && first < 0x80
        {
            self.at += 1;
            return Ok(u64::from(first));
        }
        self.long_varint(BITS)
    }

    fn long_varint(&mut self, bits: u32) -> Result<u64> {
        let mut value = 0_u64;
        let mut shift = 0;
        if self.window.len() - self.at < LONGEST {
            self.refill()?;
        }
        loop {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            // What would be shifted out of the number must be zero.
            if bits - shift < 7 && low >> (bits - shift) != 0 {
                break;
            }
            value |= low << shift;
            shift += 7;
            if byte < 0x80 {
                return Ok(value);
            }
            if shift >= bits {
                break;
            }
        }
        Err(Error::corrupt(format!("a number is longer than {bits} bits")))
    }

    /// An integer of 32 bits, always a varint if `varint`.
    #[inline]
    pub(super) fn int32(&mut self, varint: bool) -> Result<i32> {
        if varint || self.leb128 {
            return Ok(self.varint::<32>()? as u32 as i32);
        }
        self.fixed::<4>().map(i32::from_le_bytes)
    }

    /// As [`int32`](Self::int32) for 64 bits.
    #[inline]
    pub(super) fn int64(&mut self, varint: bool) -> Result<i64> {
        if varint || self.leb128 {
            return Ok(self.varint::<64>()? as i64);
        }
        self.fixed::<8>().map(i64::from_le_bytes)
    }

    pub(super) fn float32(&mut self) -> Result<f32> {
        self.fixed::<4>().map(f32::from_le_bytes)
    }

    pub(super) fn float64(&mut self) -> Result<f64> {
        self.fixed::<8>().map(f64::from_le_bytes)
    }

    /// A length, which must not be negative.
    #[inline]
    pub(super) fn length(&mut self, length: Length) -> Result<usize> {
        let value = self.int32(length == Length::Varint)?;
        usize::try_from(value).map_err(|_| Error::corrupt("a length is negative").found(value))
    }

    /// Appends `count` bytes to `out`, as they come: memory grows with what is there, not with what
    /// is said to be.
    #[inline]
    pub(super) fn copy(&mut self, count: usize, out: &mut Vec<u8>) -> Result<()> {
        let at_hand = self.window.get(self.at..).unwrap_or_default();
        if let Some(bytes) = at_hand.get(..count) {
            out.extend_from_slice(bytes);
            self.at += count;
            return Ok(());
        }
        let mut left = count;
        while left > 0 {
            let bytes = self.ready(1)?;
            let taken = bytes.len().min(left);
            out.extend_from_slice(&bytes[..taken]);
            self.at += taken;
            left -= taken;
        }
        Ok(())
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let taken = self.ready(1)?.len().min(left);
            self.at += taken;
            left -= taken;
        }
        Ok(())
    }

    /// That nothing is left but empty blocks.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.at == self.window.len() && !self.refill()? {
            return Ok(());
        }
        Err(Error::corrupt("bytes follow the end of the partition")
            .at(format!("byte {} of the inflated part", self.position())))
    }
}

/// The blocks of a part.
struct Blocks {
    bytes: PartBytes,
    framing: Option<Framing>,
    inflater: Option<Decompressor<'static>>,
    scratch: Vec<u8>,
}

impl Blocks {
    /// Appends the next block to `window`; `false` at the end of the file.
    fn next(&mut self, window: &mut Vec<u8>) -> Result<bool> {
        let Some(framing) = &self.framing else {
            let piece = self.bytes.some(UNFRAMED_STEP)?;
            window.extend_from_slice(&piece);
            return Ok(!piece.is_empty());
        };
        if self.bytes.is_at_end()? {
            return Ok(false);
        }
        let start = self.bytes.position();
        let place = |error: Error| error.at(format!("the block at byte {start} of the file"));
        let size = framing.read_size(&mut self.bytes).map_err(place)?;
        let most = framing.most_compressed();
        if size > most {
            return Err(place(
                Error::corrupt("a block is longer than its codec can make it")
                    .expected(format!("at most {most} bytes"))
                    .found(format!("{size} bytes")),
            ));
        }
        let block = self.bytes.take(size, &mut self.scratch).map_err(place)?;
        let inflated = framing.inflate(block, self.inflater.as_mut(), window);
        inflated.map(|()| true).map_err(place)
    }
}

impl Framing {
    fn read_size(&self, bytes: &mut PartBytes) -> Result<usize> {
        let size = if self.varint_sizes {
            let mut value = 0_u32;
            for shift in (0..).step_by(7) {
                let byte = bytes.byte()?;
                if shift > 28 || (shift == 28 && byte > 7) {
                    return Err(Error::corrupt("the size of a block is no number"));
                }
                value |= u32::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            i64::from(value)
        } else {
            let number = [bytes.byte()?, bytes.byte()?, bytes.byte()?, bytes.byte()?];
            i64::from(i32::from_le_bytes(number))
        };
        usize::try_from(size)
            .map_err(|_| Error::corrupt("the size of a block is negative").found(size))
    }

    /// Bytes that a block of the greatest size can take in the file.
    fn most_compressed(&self) -> usize {
        let worst = match self.codec {
            BlockCodec::Stored => return self.block_size,
            BlockCodec::Zstd => zstd::zstd_safe::compress_bound(self.block_size),
            BlockCodec::Lz4 | BlockCodec::Lz4BySize => self.block_size + self.block_size / 255 + 16,
        };
        worst + 8
    }

    /// Appends the content of a block.
    fn inflate(
        &self,
        block: &[u8],
        inflater: Option<&mut Decompressor<'static>>,
        window: &mut Vec<u8>,
    ) -> Result<()> {
        let (mut compressed, mut stored) = (block, self.codec == BlockCodec::Stored);
        if self.codec == BlockCodec::Lz4BySize {
            stored = match number(&mut compressed)? {
                0 => true,
                1 => false,
                other => {
                    return Err(Error::corrupt("a block is neither stored nor compressed")
                        .expected("0 or 1")
                        .found(other));
                }
            };
        }
        if stored {
            self.check(compressed.len() as i64)?;
            window.extend_from_slice(compressed);
            return Ok(());
        }
        let size = self.check(i64::from(number(&mut compressed)?))?;
        let start = window.len();
        window.resize(start + size, 0);
        let out = &mut window[start..];
        match inflater {
            None => lz4::inflate(compressed, out),
            Some(inflater) => {
                let found = inflater.decompress_to_buffer(compressed, out).map_err(|error| {
                    Error::corrupt("a zstd frame cannot be inflated")
                        .caused_by(error)
                        .help("the part is damaged: copy the table again")
                })?;
                if found == size {
                    return Ok(());
                }
                Err(Error::corrupt("a zstd frame inflates to another size")
                    .expected(format!("{size} bytes"))
                    .found(format!("{found} bytes")))
            }
        }
    }

    fn check(&self, size: i64) -> Result<usize> {
        usize::try_from(size).ok().filter(|&size| size <= self.block_size).ok_or_else(|| {
            Error::corrupt("a block inflates to more than the table's block size")
                .expected(format!("at most {} bytes", self.block_size))
                .found(format!("{size} bytes"))
        })
    }
}

/// The number at the front of a block.
fn number(block: &mut &[u8]) -> Result<i32> {
    let (first, rest) = block
        .split_first_chunk::<4>()
        .ok_or_else(|| Error::corrupt("a block is too short for its own header"))?;
    *block = rest;
    Ok(i32::from_le_bytes(*first))
}
