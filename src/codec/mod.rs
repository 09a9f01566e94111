//! Codecs of byte streams: what the blocks of chunks are coded with.
//!
//! [`encode_as`] picks the smallest of the forms that the effort allows and says which it was;
//! [`decode`] is told that, and how many bytes there were. The bytes of each codec are specified
//! in `spec/codecs.md`. Equal input gives equal bytes, on every machine and at any thread count.
//!
//! ```
//! use genomic_objects::codec::{self, Effort};
//!
//! let data = b"ACGTTGCA".repeat(100);
//! let coded = codec::encode(&data, Effort::Default);
//! assert!(coded.bytes.len() < 60);
//! assert_eq!(codec::decode(coded.codec, &coded.bytes, data.len())?, data);
//! # Ok::<(), genomic_objects::Error>(())
//! ```

mod adaptive;
mod bytes;
mod choose;
pub mod cursor;
mod entropy;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod names;
mod order2;
mod planes;
pub mod quality;
mod rans;
pub mod varint;
mod zstd;

pub use choose::{Nature, encode, encode_as};

use crate::error::{Error, Result};

/// How hard to try: `--level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Effort {
    /// Least time.
    Fast,
    /// Small, and about as fast to read.
    #[default]
    Default,
    /// Smallest: several times slower to write, and for some streams to read.
    Archive,
}

/// What a stream is coded with. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The bytes themselves.
    Raw = 0,
    /// A zstd frame.
    Zstd = 1,
    /// Static entropy coding by asymmetric numeral systems.
    Rans = 2,
    /// Names that each end in NUL; see [`names`].
    Names = 3,
    /// Qualities by an adaptive model; see [`quality`].
    Quality = 4,
    /// One byte value, repeated.
    Constant = 5,
    /// Numbers, the bytes of each place coded apart.
    Planes = 6,
    /// Any bytes, by an adaptive model.
    Order2 = 7,
}

impl Codec {
    /// The codec of a number in a file.
    ///
    /// # Errors
    /// `Unsupported` for a number that this version does not know.
    pub fn from_u8(number: u8) -> Result<Self> {
        Ok(match number {
            0 => Self::Raw,
            1 => Self::Zstd,
            2 => Self::Rans,
            3 => Self::Names,
            4 => Self::Quality,
            5 => Self::Constant,
            6 => Self::Planes,
            7 => Self::Order2,
            _ => {
                return Err(Error::unsupported("unknown codec of a stream")
                    .found(number)
                    .help("a newer version of format-tools may read this dataset"));
            }
        })
    }
}

/// A coded stream. The caller keeps the length of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// What `bytes` is coded with.
    pub codec: Codec,
    /// The coded bytes.
    pub bytes: Vec<u8>,
}

/// So many bytes may come out of a stream of any length.
const ALWAYS_EXPANDED: u64 = 32 << 20;
/// Beyond that, no byte may become more than so many. Writers keep to it by leaving such a stream
/// uncompressed, so that what is small in a store cannot fill a reader's memory.
const MOST_EXPANSION: u64 = 4_096;

/// The most bytes that a stream of `coded` bytes may stand for.
pub(crate) fn most_expanded(coded: usize) -> u64 {
    ALWAYS_EXPANDED.max((coded as u64).saturating_mul(MOST_EXPANSION))
}

/// Fails where `coded` bytes claim to stand for more than any writer would let them.
pub(crate) fn check_expansion(coded: usize, raw_len: usize) -> Result<()> {
    let most = most_expanded(coded);
    if raw_len as u64 <= most {
        return Ok(());
    }
    Err(Error::corrupt(format!("a stream of {coded} bytes claims to hold more than it can"))
        .expected(format!("at most {most} bytes"))
        .found(format!("{raw_len} bytes")))
}

impl Coded {
    /// The same, or `data` itself where a reader would not believe that it comes out of so little.
    fn credible(self, data: &[u8]) -> Self {
        match check_expansion(self.bytes.len(), data.len()) {
            Ok(()) => self,
            Err(_) => Self { codec: Codec::Raw, bytes: data.to_vec() },
        }
    }
}

/// The `raw_len` bytes that `bytes` stands for. The caller bounds `raw_len`: that much is
/// allocated.
///
/// # Errors
/// `Corrupt` when the bytes cannot be what [`encode`] wrote for a stream of that length. Not
/// every damage is noticed: streams have no checksums of their own.
pub fn decode(codec: Codec, bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    check_expansion(bytes.len(), raw_len)?;
    match codec {
        Codec::Raw if bytes.len() == raw_len => Ok(bytes.to_vec()),
        Codec::Raw => Err(Error::corrupt("raw stream has another length")
            .expected(raw_len)
            .found(bytes.len())),
        Codec::Constant => match *bytes {
            [value] => Ok(vec![value; raw_len]),
            _ => Err(Error::corrupt("constant stream is not one byte").found(bytes.len())),
        },
        Codec::Zstd => zstd::decode(bytes, raw_len),
        Codec::Rans => rans::decode(bytes, raw_len),
        Codec::Planes => planes::decode(bytes, raw_len),
        Codec::Order2 => order2::decode(bytes, raw_len),
        Codec::Names => names::decode_list(bytes, raw_len),
        Codec::Quality => {
            Err(Error::corrupt("a stream other than qualities is coded with their model"))
        }
    }
}

#[cfg(test)]
mod tests;
