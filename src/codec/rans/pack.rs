//! Packing of several symbols in a byte where there are at most 16 different ones.

use super::table::Alphabet;
use crate::error::{Error, Result};

/// Symbols per packed byte for an alphabet of `symbols`: 8, 4, 2, or 1 where packing is of no use.
pub(super) fn per_byte(symbols: usize) -> usize {
    match symbols {
        0..=2 => 8,
        3..=4 => 4,
        5..=16 => 2,
        _ => 1,
    }
}

/// Puts the ranks of `data` side by side, the first in the lowest bits.
pub(super) fn pack(data: &[u8], alphabet: &Alphabet) -> Vec<u8> {
    let per_byte = per_byte(alphabet.len());
    let width = 8 / per_byte;
    let ranks = alphabet.ranks(data);
    let join = |group: &[u8]| group.iter().rev().fold(0, |byte, rank| byte << width | rank);
    match per_byte {
        8 => ranks.chunks(8).map(join).collect(),
        4 => ranks.chunks(4).map(join).collect(),
        _ => ranks.chunks(2).map(join).collect(),
    }
}

/// The inverse of [`pack`]: `out` has the length of the original.
pub(super) fn unpack(packed: &[u8], alphabet: &Alphabet, out: &mut [u8]) -> Result<()> {
    match per_byte(alphabet.len()) {
        8 => unpack_groups::<8>(packed, alphabet, out),
        4 => unpack_groups::<4>(packed, alphabet, out),
        _ => unpack_groups::<2>(packed, alphabet, out),
    }
}

fn unpack_groups<const PER_BYTE: usize>(
    packed: &[u8],
    alphabet: &Alphabet,
    out: &mut [u8],
) -> Result<()> {
    let width = 8 / PER_BYTE;
    let symbols = alphabet.symbols();
    let limit = symbols.len();
    let mut expanded = [[0u8; PER_BYTE]; 256];
    let mut valid = [true; 256];
    for (byte, group) in expanded.iter_mut().enumerate() {
        for (i, symbol) in group.iter_mut().enumerate() {
            let rank = byte >> (i * width) & ((1 << width) - 1);
            match symbols.get(rank) {
                Some(&known) => *symbol = known,
                None => valid[byte] = false,
            }
        }
    }
    if packed.iter().any(|&byte| !valid[usize::from(byte)]) {
        return Err(Error::corrupt("packed byte holds an unknown symbol")
            .expected(format_args!("ranks below {limit}")));
    }
    let (groups, tail) = out.as_chunks_mut::<PER_BYTE>();
    for (group, &byte) in groups.iter_mut().zip(packed) {
        *group = expanded[usize::from(byte)];
    }
    if let Some(&byte) = packed.get(groups.len()) {
        tail.iter_mut().zip(expanded[usize::from(byte)]).for_each(|(slot, s)| *slot = s);
    }
    Ok(())
}
