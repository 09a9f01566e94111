//! How the values of a data series are stored (CRAM specification §13): bits of the core block and
//! streams of external blocks.

use std::collections::HashMap;

use super::bytes::{Bytes, Numbers};
use crate::error::{Error, Result};

/// The data of a slice, being read.
pub(super) struct Streams<'a> {
    pub(super) core: Bits<'a>,
    pub(super) external: Vec<Bytes<'a>>,
}

/// Bits of a block, the highest of each byte first.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// How many bits of `bytes` have been read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Result<u32> {
        let byte = self.bytes.get(self.at / 8).ok_or_else(|| {
            Error::input("the core block ends too early").help("the file is damaged; make it again")
        })?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(u32::from(bit))
    }

    fn bits(&mut self, count: u32) -> Result<u32> {
        (0..count).try_fold(0u32, |value, _| Ok(value << 1 | self.bit()?))
    }

    /// How many bits of value `until` come before one of the other.
    fn run(&mut self, of: u32) -> Result<u32> {
        let mut count = 0;
        while self.bit()? == of {
            count += 1;
        }
        Ok(count)
    }
}

/// Which external stream; the stream of a block that is not in the slice is empty.
pub(super) type Slot = usize;

/// An encoding of single values; `External` refers to a content id, or once bound, to a slot.
#[derive(Clone, Debug)]
pub(super) enum Values {
    External(i32),
    Huffman(Huffman),
    Beta { offset: i32, bits: u32 },
    Gamma { offset: i32 },
    SubExponential { offset: i32, k: u32 },
    GolombRice { offset: i32, log2_m: u32 },
    Golomb { offset: i32, m: i32 },
}

impl Values {
    /// Parses an encoding; `None` for the null encoding of a series that is not used.
    pub(super) fn parse(bytes: &mut Bytes<'_>) -> Result<Option<Self>> {
        let (codec, mut parameters) = split(bytes)?;
        let p = &mut parameters;
        Ok(Some(match codec {
            0 => return Ok(None),
            1 => Self::External(p.itf8()?),
            2 => Self::Golomb { offset: p.itf8()?, m: p.itf8()? },
            3 => Self::Huffman(Huffman::parse(p)?),
            6 => Self::Beta { offset: p.itf8()?, bits: bit_count(p)? },
            7 => Self::SubExponential { offset: p.itf8()?, k: bit_count(p)? },
            8 => Self::GolombRice { offset: p.itf8()?, log2_m: bit_count(p)? },
            9 => Self::Gamma { offset: p.itf8()? },
            codec => return Err(unknown(codec)),
        }))
    }

    fn bind(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self {
        match self {
            Self::External(id) => Self::External(slots.get(id).copied().unwrap_or(missing) as i32),
            other => other.clone(),
        }
    }

    /// The next number.
    pub(super) fn int(&self, streams: &mut Streams<'_>) -> Result<i32> {
        match self {
            Self::External(slot) => streams.external[*slot as usize].itf8(),
            other => other.bits(&mut streams.core),
        }
    }

    /// The next byte.
    pub(super) fn byte(&self, streams: &mut Streams<'_>) -> Result<u8> {
        match self {
            Self::External(slot) => streams.external[*slot as usize].u8(),
            other => Ok(other.bits(&mut streams.core)? as u8),
        }
    }

    /// Appends the next `count` bytes.
    pub(super) fn bytes(
        &self,
        streams: &mut Streams<'_>,
        count: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self {
            Self::External(slot) => {
                out.extend_from_slice(streams.external[*slot as usize].take(count)?);
            }
            other => {
                for _ in 0..count {
                    out.push(other.bits(&mut streams.core)? as u8);
                }
            }
        }
        Ok(())
    }

    fn bits(&self, core: &mut Bits<'_>) -> Result<i32> {
        Ok(match self {
            Self::External(_) => 0,
            Self::Huffman(huffman) => huffman.decode(core)?,
            Self::Beta { offset, bits } => (core.bits(*bits)? as i32).wrapping_sub(*offset),
            Self::Gamma { offset } => {
                let zeros = core.run(0)?.min(31);
                let value = 1u32 << zeros | core.bits(zeros)?;
                (value as i32).wrapping_sub(*offset)
            }
            Self::SubExponential { offset, k } => {
                let ones = core.run(1)?;
                let value = if ones == 0 {
                    core.bits(*k)?
                } else {
                    let bits = (ones + k - 1).min(31);
                    1u32 << bits | core.bits(bits)?
                };
                (value as i32).wrapping_sub(*offset)
            }
            Self::GolombRice { offset, log2_m } => {
                let quotient = core.run(1)?;
                let value = quotient.wrapping_shl(*log2_m) | core.bits(*log2_m)?;
                (value as i32).wrapping_sub(*offset)
            }
            Self::Golomb { offset, m } => {
                let m = (*m).max(1) as u32;
                let quotient = core.run(1)?;
                let bits = 32 - (m - 1).leading_zeros();
                let short = (1u64 << bits) as u32 - m;
                let mut rest = core.bits(bits.saturating_sub(1))?;
                if rest >= short && bits > 0 {
                    rest = (rest << 1 | core.bit()?) - short;
                }
                (quotient.wrapping_mul(m).wrapping_add(rest) as i32).wrapping_sub(*offset)
            }
        })
    }
}

/// An encoding of byte arrays.
#[derive(Clone, Debug)]
pub(super) enum Arrays {
    /// Each array ends in a byte that it does not contain.
    Stop { stop: u8, external: i32 },
    /// Lengths and contents apart.
    Len { lengths: Values, contents: Values },
}

impl Arrays {
    /// Parses an encoding; `None` for the null encoding of a series that is not used.
    pub(super) fn parse(bytes: &mut Bytes<'_>) -> Result<Option<Self>> {
        let (codec, mut p) = split(bytes)?;
        Ok(Some(match codec {
            0 => return Ok(None),
            4 => match (Values::parse(&mut p)?, Values::parse(&mut p)?) {
                (Some(lengths), Some(contents)) => Self::Len { lengths, contents },
                _ => return Err(unknown(0)),
            },
            5 => Self::Stop { stop: p.u8()?, external: p.itf8()? },
            codec => return Err(unknown(codec)),
        }))
    }

    fn bind(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self {
        match self {
            Self::Stop { stop, external } => Self::Stop {
                stop: *stop,
                external: slots.get(external).copied().unwrap_or(missing) as i32,
            },
            Self::Len { lengths, contents } => Self::Len {
                lengths: lengths.bind(slots, missing),
                contents: contents.bind(slots, missing),
            },
        }
    }

    /// Appends the next array and returns its length, which must be at most `most`.
    pub(super) fn read(
        &self,
        streams: &mut Streams<'_>,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        match self {
            Self::Stop { stop, external } => {
                let stream = &mut streams.external[*external as usize];
                let count = memchr::memchr(*stop, stream.0).ok_or_else(|| {
                    Error::input("a value does not end").help("the file is damaged; make it again")
                })?;
                if count > most {
                    return Err(too_long(count, most));
                }
                out.extend_from_slice(stream.take(count)?);
                stream.u8()?;
                Ok(count)
            }
            Self::Len { lengths, contents } => {
                let count = lengths.int(streams)?;
                let count = usize::try_from(count).ok().filter(|count| *count <= most);
                let count = count.ok_or_else(|| too_long(usize::MAX, most))?;
                contents.bytes(streams, count, out)?;
                Ok(count)
            }
        }
    }
}

fn too_long(found: usize, most: usize) -> Error {
    let error = Error::input("a value is too long").expected(format!("at most {most} bytes"));
    let error = if found == usize::MAX { error } else { error.found(format!("{found} bytes")) };
    error.help("the file is damaged; make it again")
}

/// What a data series is encoded with, bound to the streams of a slice.
pub(super) trait Bind: Sized {
    fn bound(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self;
}

impl Bind for Option<Values> {
    fn bound(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self {
        self.as_ref().map(|values| values.bind(slots, missing))
    }
}

impl Bind for Option<Arrays> {
    fn bound(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self {
        self.as_ref().map(|arrays| arrays.bind(slots, missing))
    }
}

/// A canonical Huffman code.
#[derive(Clone, Debug)]
pub(super) struct Huffman {
    /// Ordered by length, then by symbol: length, code, symbol.
    codes: Vec<(u32, u32, i32)>,
}

impl Huffman {
    fn parse(bytes: &mut Bytes<'_>) -> Result<Self> {
        let count = bytes.length()?;
        let symbols =
            (0..count.min(bytes.0.len() + 1)).map(|_| bytes.itf8()).collect::<Result<Vec<_>>>()?;
        let length_count = bytes.length()?;
        if symbols.len() != count || length_count != count || count == 0 {
            return Err(bad_huffman());
        }
        let mut codes = symbols
            .into_iter()
            .map(|symbol| Ok((bytes.itf8()? as u32, 0, symbol)))
            .collect::<Result<Vec<_>>>()?;
        codes.sort_unstable_by_key(|(length, _, symbol)| (*length, *symbol));
        let (mut code, mut last_length) = (0u64, 0);
        for (index, entry) in codes.iter_mut().enumerate() {
            if entry.0 > 31 {
                return Err(bad_huffman());
            }
            if index > 0 {
                code = (code + 1) << (entry.0 - last_length);
            }
            if code >> entry.0 != 0 {
                return Err(bad_huffman());
            }
            last_length = entry.0;
            entry.1 = code as u32;
        }
        Ok(Self { codes })
    }

    fn decode(&self, core: &mut Bits<'_>) -> Result<i32> {
        let (mut code, mut length) = (0, 0);
        for (of_length, of_code, symbol) in &self.codes {
            if *of_length > length {
                code = code << (of_length - length) | core.bits(of_length - length)?;
                length = *of_length;
            }
            if code == *of_code {
                return Ok(*symbol);
            }
        }
        Err(bad_huffman())
    }
}

fn bad_huffman() -> Error {
    Error::input("a Huffman code is malformed").help("the file is damaged; make it again")
}

/// An encoding's number and the bytes of its parameters.
fn split<'a>(bytes: &mut Bytes<'a>) -> Result<(i32, Bytes<'a>)> {
    let codec = bytes.itf8()?;
    let len = bytes.length()?;
    Ok((codec, Bytes(bytes.take(len)?)))
}

fn bit_count(bytes: &mut Bytes<'_>) -> Result<u32> {
    match bytes.itf8()? {
        count @ 0..=32 => Ok(count as u32),
        count => Err(Error::input("an encoding uses an impossible number of bits")
            .expected("0 to 32")
            .found(count)
            .help("the file is damaged; make it again")),
    }
}

fn unknown(codec: i32) -> Error {
    Error::unsupported(format!("encoding {codec} is not known here"))
        .help("convert the file with `samtools view -O cram,version=3.0`")
}
