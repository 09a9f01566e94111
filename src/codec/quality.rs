//! Base qualities of many reads.

use super::{Codec, Coded, Effort, Nature, encode_as};
use crate::error::{Error, Result};

/// Codes the qualities of reads that follow one another; `read_lens` says where each ends, and
/// sums to `quals.len()`. `selectors`, one for each read, split the reads into groups whose
/// qualities differ, such as first and second of a pair; pass an empty slice for one group.
pub fn encode(quals: &[u8], read_lens: &[u32], selectors: &[u8], effort: Effort) -> Coded {
    let _ = (read_lens, selectors);
    encode_as(quals, Nature::Symbols, effort)
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
    let _ = selectors;
    if read_lens.iter().map(|&len| u64::from(len)).sum::<u64>() != total as u64 {
        return Err(Error::corrupt("read lengths do not sum to the number of qualities"));
    }
    super::decode(codec, bytes, total)
}
