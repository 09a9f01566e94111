//! Buffers of Arrow batches as zstd frames, each by parameters for what it holds.
//!
//! A coded buffer is its length as a signed 64-bit number and a frame; -1 stands before bytes that
//! a frame would not make fewer. Any reader of Arrow decodes them, whatever the parameters were.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, Strategy};

use crate::codec::{self, Effort};
use crate::error::{Error, Result};

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names and other text.
    Text,
    /// Ends of texts: numbers that grow by nearly the same each time.
    Offsets,
    /// Bases, a letter each.
    Bases,
    /// Qualities as numbers.
    Qualities,
    /// Numbers, and bits that say what is null.
    Numbers,
}

const KINDS: usize = 5;

thread_local! {
    /// A compressor of each effort and kind: parameters stay as they are once set.
    static COMPRESSORS: RefCell<[Option<Compressor<'static>>; 3 * KINDS]> =
        const { RefCell::new([const { None }; 3 * KINDS]) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Three bytes of four stay the same from number to number: matches are short and many.
const OFFSETS: [CParameter; 6] = [
    CParameter::Strategy(Strategy::ZSTD_btopt),
    CParameter::MinMatch(3),
    CParameter::WindowLog(15),
    CParameter::HashLog(12),
    CParameter::ChainLog(12),
    CParameter::SearchLog(1),
];

/// Two bits a base is what entropy coding gives. Short repeats come by chance among four letters
/// and cost more than that, so that only long ones are looked for, and few short ones.
const BASES: [CParameter; 6] = [
    CParameter::MinMatch(7),
    CParameter::HashLog(6),
    CParameter::EnableLongDistanceMatching(true),
    CParameter::LdmMinMatch(32),
    CParameter::LdmHashRateLog(4),
    CParameter::LdmHashLog(15),
];

fn level_and_parameters(kind: Kind, effort: Effort) -> (i32, &'static [CParameter]) {
    match (effort, kind) {
        (Effort::Fast, Kind::Bases) => (1, &BASES[..2]),
        (Effort::Fast, _) => (1, &[]),
        (Effort::Default, Kind::Offsets) => (1, &OFFSETS),
        (Effort::Default, Kind::Bases) => (1, &BASES),
        // Higher levels take several times the time for a fiftieth of the bytes.
        (Effort::Default, _) => (1, &[]),
        (Effort::Archive, Kind::Qualities) => (15, &[]),
        (Effort::Archive, _) => (19, &[]),
    }
}

fn compressor(kind: Kind, effort: Effort) -> io::Result<Compressor<'static>> {
    let (level, parameters) = level_and_parameters(kind, effort);
    let mut compressor = Compressor::new(level)?;
    parameters.iter().try_for_each(|&parameter| compressor.set_parameter(parameter))?;
    Ok(compressor)
}

/// A zstd frame of these bytes.
pub(super) fn frame(data: &[u8], kind: Kind, effort: Effort) -> Result<Vec<u8>> {
    COMPRESSORS
        .with_borrow_mut(|all| {
            let slot = &mut all[effort as usize * KINDS + kind as usize];
            let compressor = match slot {
                Some(compressor) => compressor,
                None => slot.insert(compressor(kind, effort)?),
            };
            compressor.compress(data)
        })
        .map_err(|error: io::Error| Error::internal("compressing a buffer").caused_by(error))
}

/// A coded buffer; empty for an empty one.
pub(super) fn encode(data: &[u8], kind: Kind, effort: Effort) -> Result<Vec<u8>> {
    if data.is_empty() {
        return Ok(Vec::new());
    }
    let frame = frame(data, kind, effort)?;
    let is_credible = codec::check_expansion(frame.len(), data.len()).is_ok();
    let (length, bytes) = match frame.len() < data.len() && is_credible {
        true => (data.len() as i64, frame.as_slice()),
        false => (-1, data),
    };
    let mut coded = Vec::with_capacity(8 + bytes.len());
    coded.extend_from_slice(&length.to_le_bytes());
    coded.extend_from_slice(bytes);
    Ok(coded)
}

/// The `length` bytes of a coded buffer. The caller bounds `length`: that much is allocated.
pub(super) fn decode(coded: &[u8], length: usize) -> Result<Vec<u8>> {
    let wrong = |found: usize| {
        Error::corrupt("a buffer of an Arrow batch has another length than it must")
            .expected(length)
            .found(found)
    };
    let Some((said, bytes)) = coded.split_first_chunk::<8>() else {
        return if length == 0 && coded.is_empty() { Ok(Vec::new()) } else { Err(wrong(0)) };
    };
    codec::check_expansion(bytes.len(), length)?;
    let data = match i64::from_le_bytes(*said) {
        -1 => bytes.to_vec(),
        said if usize::try_from(said) == Ok(length) => DECOMPRESSOR
            .with_borrow_mut(|slot| {
                let decompressor = match slot {
                    Some(decompressor) => decompressor,
                    None => slot.insert(Decompressor::new()?),
                };
                decompressor.decompress(bytes, length)
            })
            .map_err(|error: io::Error| {
                Error::corrupt("decompressing a buffer of an Arrow batch").caused_by(error)
            })?,
        said => return Err(wrong(usize::try_from(said).unwrap_or(usize::MAX))),
    };
    if data.len() == length { Ok(data) } else { Err(wrong(data.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 5] =
        [Kind::Text, Kind::Offsets, Kind::Bases, Kind::Qualities, Kind::Numbers];
    const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Default, Effort::Archive];

    fn noise(length: usize, of: &[u8]) -> Vec<u8> {
        let mut x = 1_u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            of[(x >> 16) as usize % of.len()]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn test_buffers_come_back_from_every_kind_and_effort() {
        let all: Vec<u8> = (0..=255).collect();
        for data in [vec![], vec![9], vec![0; 40_000], noise(3000, &all), noise(90_000, b"ACGT")] {
            for effort in EFFORTS {
                for kind in KINDS {
                    let coded = encode(&data, kind, effort).unwrap();
                    assert!(coded.len() <= data.len() + 8);
                    assert_eq!(decode(&coded, data.len()).unwrap(), data);
                    assert!(decode(&coded, data.len() + 1).is_err());
                }
            }
        }
    }

    #[test]
    fn test_bases_cost_little_more_than_two_bits_and_repeats_nothing() {
        let bases = noise(400_000, b"ACGT");
        let once = encode(&bases, Kind::Bases, Effort::Default).unwrap().len();
        assert!(once < 104_000, "{once}");
        let twice = encode(&bases.repeat(2), Kind::Bases, Effort::Default).unwrap().len();
        assert!(twice < once + once / 10, "{twice}");
    }

    #[test]
    fn test_cut_and_foreign_buffers_are_refused() {
        let data = noise(5000, b"ACGT");
        let coded = encode(&data, Kind::Bases, Effort::Default).unwrap();
        for length in 0..coded.len() {
            assert!(decode(&coded[..length], data.len()).is_err(), "{length}");
        }
        assert!(decode(&[0xfe; 20], 12).is_err());
    }
}
