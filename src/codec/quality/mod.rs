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
/// qualities differ, such as first and second of a pair; pass an empty slice for one group.
pub fn encode(quals: &[u8], read_lens: &[u32], selectors: &[u8], effort: Effort) -> Coded {
    let coded = encode_as(quals, Nature::Symbols, effort);
    if effort < Effort::Archive {
        return coded;
    }
    match encode_model(quals, read_lens, selectors) {
        Some(bytes) if bytes.len() < coded.bytes.len() => Coded { codec: Codec::Quality, bytes },
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
