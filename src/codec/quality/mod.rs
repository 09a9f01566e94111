//! Base qualities of many reads.

mod model;
mod tree;

use super::adaptive::{Decoder, Encoder};
use super::bytes::take_slice;
use super::rans::Alphabet;
use super::{Codec, Coded, Effort, Nature, encode_as, entropy};
use crate::error::{Error, Result};
use model::Model;
use tree::Tree;

/// Codes the qualities of reads that follow one another; `read_lens` says where each ends, and
/// sums to `quals.len()`. `selectors`, one for each read, split the reads into groups whose
/// qualities differ, such as first and second of a pair (0 and 1; only the lowest bit counts); a
/// read without one is of group 0.
///
/// ```
/// use genomic_objects::codec::{Effort, quality};
///
/// let quals = [30, 30, 31, 12, 30, 30, 30, 2];
/// let coded = quality::encode(&quals, &[5, 3], &[0, 1], Effort::Archive);
/// let decoded = quality::decode(coded.codec, &coded.bytes, &[5, 3], &[0, 1], quals.len())?;
/// assert_eq!(decoded, quals);
/// # Ok::<(), genomic_objects::Error>(())
/// ```
pub fn encode(quals: &[u8], read_lens: &[u32], selectors: &[u8], effort: Effort) -> Coded {
    let coded = encode_as(quals, Nature::Symbols, effort.min(Effort::Default));
    if effort < Effort::Archive {
        return coded;
    }
    match encode_model(quals, read_lens, selectors) {
        Some(bytes) if bytes.len() < coded.bytes.len() => {
            Coded { codec: Codec::Quality, bytes }.credible(quals)
        }
        _ => coded,
    }
}

/// The inverse of [`encode`]; `total` is the sum of `read_lens`, bounded by the caller.
///
/// # Errors
/// `Corrupt` as [`super::decode`], and when `read_lens` does not sum to `total`.
pub fn decode(
    codec: Codec,
    bytes: &[u8],
    read_lens: &[u32],
    selectors: &[u8],
    total: usize,
) -> Result<Vec<u8>> {
    if read_lens.iter().map(|&len| u64::from(len)).sum::<u64>() != total as u64 {
        return Err(Error::corrupt("read lengths do not sum to the number of qualities"));
    }
    super::check_expansion(bytes.len(), total)?;
    if codec != Codec::Quality {
        return super::decode(codec, bytes, total);
    }
    decode_model(bytes, read_lens, selectors, total)
}

fn encode_model(quals: &[u8], read_lens: &[u32], selectors: &[u8]) -> Option<Vec<u8>> {
    let counts = entropy::histogram(quals);
    let alphabet = Alphabet::of(&counts);
    let present: Vec<u32> = counts.iter().copied().filter(|&c| c > 0).collect();
    let lengths = Tree::lengths(&present);
    let tree = Tree::new(&lengths)?;
    let mut out = Vec::new();
    alphabet.write(&mut out);
    out.extend(&lengths);

    let mut ranks = alphabet.ranks(quals);
    let mut rest = ranks.as_mut_slice();
    let mut coder = Encoder::new();
    let mut model = Model::new(&tree);
    for (i, &len) in read_lens.iter().enumerate() {
        let (read, tail) = rest.split_at_mut_checked(len as usize)?;
        model.code_read(&mut coder, read, selectors.get(i).copied().unwrap_or(0));
        rest = tail;
    }
    out.extend(coder.finish());
    Some(out)
}

fn decode_model(
    mut bytes: &[u8],
    read_lens: &[u32],
    selectors: &[u8],
    total: usize,
) -> Result<Vec<u8>> {
    let alphabet = Alphabet::read(&mut bytes)?;
    let lengths = take_slice(&mut bytes, alphabet.len())?;
    let tree = Tree::new(lengths)
        .ok_or_else(|| Error::corrupt("code lengths of qualities are not those of a tree"))?;
    let mut decoder = Decoder::new(bytes);
    let mut model = Model::new(&tree);
    let mut ranks = vec![0; total];
    let mut rest = ranks.as_mut_slice();
    for (i, &len) in read_lens.iter().enumerate() {
        let (read, tail) = rest.split_at_mut(len as usize);
        model.code_read(&mut decoder, read, selectors.get(i).copied().unwrap_or(0));
        rest = tail;
        if decoder.is_past_end() {
            break;
        }
    }
    decoder.finish()?;
    alphabet.restore(&mut ranks);
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads whose qualities move on as they moved before, among `symbols` values.
    fn reads(symbols: u32, lens: &[u32], seed: u32) -> Vec<u8> {
        let mut x = seed | 1;
        let (mut current, mut before) = (symbols - 1, symbols - 1);
        let total: u32 = lens.iter().sum();
        (0..total)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let next = match x >> 28 {
                    0 => (x >> 8) % symbols,
                    1..=2 => current,
                    _ => (2 * current + symbols - before) % symbols,
                };
                (before, current) = (current, next);
                next as u8
            })
            .collect()
    }

    fn round_trip(quals: &[u8], lens: &[u32], selectors: &[u8]) -> [Coded; 3] {
        [Effort::Fast, Effort::Default, Effort::Archive].map(|effort| {
            let coded = encode(quals, lens, selectors, effort);
            let decoded = decode(coded.codec, &coded.bytes, lens, selectors, quals.len()).unwrap();
            assert_eq!(decoded, quals);
            coded
        })
    }

    #[test]
    fn test_model_beats_static_tables() {
        let lens = vec![100; 2000];
        let selectors: Vec<u8> = (0..2000).map(|i| (i % 2) as u8).collect();
        for symbols in [20, 40] {
            let quals = reads(symbols, &lens, symbols);
            let [_, default, archive] = round_trip(&quals, &lens, &selectors);
            assert_eq!(archive.codec, Codec::Quality);
            assert!(archive.bytes.len() < default.bytes.len());
        }
    }

    #[test]
    fn test_round_trip_of_odd_reads() {
        round_trip(&[], &[], &[]);
        round_trip(&[], &[0, 0], &[]);
        round_trip(&[40; 10], &[10], &[]);
        round_trip(&[0, 255], &[0, 1, 0, 1], &[7, 8]);
        let all: Vec<u8> = (0..=255).collect();
        round_trip(&all.repeat(20), &[256 * 20], &[1]);
    }

    #[test]
    fn test_decode_refuses_other_lengths_and_cut_streams() {
        let lens = [500; 4];
        let quals = reads(40, &lens, 3);
        let coded = encode_model(&quals, &lens, &[]).unwrap();
        let decode =
            |bytes: &[u8], lens: &[u32], total| decode(Codec::Quality, bytes, lens, &[], total);
        assert_eq!(decode(&coded, &lens, 2000).unwrap(), quals);
        assert!(decode(&coded, &lens, 1999).is_err());
        assert!(decode(&coded, &[500; 5], 2500).is_err());
        assert!(decode(&coded[..coded.len() - 1], &lens, 2000).is_err());
        assert!(decode(&[&coded[..], &[0]].concat(), &lens, 2000).is_err());
        assert!(decode(&coded, &[u32::MAX; 2], 1).is_err());
    }

    proptest! {
        #[test]
        fn test_round_trip_of_any_reads(
            reads in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..50), any::<u8>()), 0..20),
        ) {
            let quals: Vec<u8> = reads.iter().flat_map(|(q, _)| q.clone()).collect();
            let lens: Vec<u32> = reads.iter().map(|(q, _)| q.len() as u32).collect();
            let selectors: Vec<u8> = reads.iter().map(|&(_, s)| s).collect();
            round_trip(&quals, &lens, &selectors);
            if let Some(bytes) = encode_model(&quals, &lens, &selectors) {
                prop_assert_eq!(decode_model(&bytes, &lens, &selectors, quals.len()).unwrap(), quals);
            }
        }

        #[test]
        fn test_decode_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            place in any::<proptest::sample::Index>(),
            value: u8,
        ) {
            let _ = decode(Codec::Quality, &bytes, &[60, 40], &[], 100);
            let quals = reads(6, &[60, 40], u32::from(value));
            if let Some(mut coded) = encode_model(&quals, &[60, 40], &[]) {
                let at = place.index(coded.len());
                coded[at] = value;
                let _ = decode(Codec::Quality, &coded, &[60, 40], &[], 100);
            }
        }
    }
}
