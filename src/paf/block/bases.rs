//! Read bases: differences from the block's reference, and what has no reference.

use super::codes::{Bases, first_difference};
use super::core::Core;
use super::reference::{Reference, for_each_match, letter_of};
use super::series::{self, StreamsIn, StreamsOut};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::records::alignments::Record;

/// Stands for N among the differing bases.
const DIFF_N: u8 = 3;
/// Added to a 4-bit code that has no shorter symbol.
const DIFF_CODE: u8 = 4;

/// Calls `visit(read_at, len)` for every run of inserted or clipped bases of an aligned record.
fn for_each_clip(core: &Core, index: usize, mut visit: impl FnMut(usize, usize)) {
    let mut read_at = 0;
    for op in core.cigar(index) {
        if op.consumes_read() {
            if !op.is_match() {
                visit(read_at, op.len() as usize);
            }
            read_at += op.len() as usize;
        }
    }
}

/// The symbol for `base` where the reference has `reference`.
fn difference(reference: u8, base: u8) -> u8 {
    match (letter_of(reference), letter_of(base)) {
        // A-G and C-T are two apart, so the commonest substitution comes out as 0.
        (Some(from), Some(to)) => match (to + 4 - from) % 4 {
            2 => 0,
            1 => 1,
            _ => 2,
        },
        (_, None) if base == 15 => DIFF_N,
        _ => DIFF_CODE + base,
    }
}

/// The base that `symbol` stands for where the reference has `reference`.
fn substitute(reference: u8, symbol: u8) -> Option<u8> {
    match symbol {
        0..DIFF_N => {
            let step = [2, 1, 3][usize::from(symbol)];
            letter_of(reference).map(|from| [1, 2, 4, 8][(from + step) % 4])
        }
        DIFF_N => Some(15),
        _ => Some(symbol - DIFF_CODE).filter(|&code| code < 16),
    }
}

/// Writes the streams of all bases; returns how many aligned bases of each record differ.
pub(super) fn encode(
    core: &Core,
    records: &[Record<'_>],
    bases: &Bases,
    reference: &Reference,
    out: &mut StreamsOut,
) -> Vec<u32> {
    let (mut counts, mut gaps, mut symbols) = (Vec::new(), Vec::new(), Vec::new());
    let (mut clipped, mut plain) = (Vec::new(), Vec::new());
    let mut differing = vec![0; core.len()];
    for (index, differing) in differing.iter_mut().enumerate() {
        let codes = bases.of(index);
        if !core.is_aligned(index) {
            plain.extend_from_slice(codes);
            continue;
        }
        let mut equal = 0_u64;
        for_each_match(core, index, reference, |reference, offset, read_at, len| {
            let mut expected = &reference.codes[offset..offset + len];
            let mut actual = &codes[read_at..read_at + len];
            while let Some(at) = first_difference(expected, actual) {
                varint::put(&mut gaps, equal + at as u64);
                symbols.push(difference(expected[at], actual[at]));
                equal = 0;
                *differing += 1;
                (expected, actual) = (&expected[at + 1..], &actual[at + 1..]);
            }
            equal += expected.len() as u64;
        });
        varint::put(&mut counts, u64::from(*differing));
        for_each_clip(core, index, |read_at, len| {
            clipped.extend_from_slice(&codes[read_at..read_at + len]);
        });
    }
    out.set(series::DIFF_COUNT, counts);
    out.set(series::DIFF_GAP, gaps);
    out.set(series::DIFF_BASE, symbols);
    out.set(series::CLIPPED_BASES, clipped);
    out.set(series::PLAIN_BASES, plain);
    encode_padding(records, out);
    differing
}

/// Writes the half-bytes behind odd sequences, which should be zero.
fn encode_padding(records: &[Record<'_>], out: &mut StreamsOut) {
    let mut padding = Vec::new();
    let mut last = 0;
    for (index, record) in records.iter().enumerate() {
        let nibble = match record.packed_sequence().last() {
            Some(byte) if record.sequence_len() % 2 == 1 => byte & 0xf,
            _ => 0,
        };
        if nibble != 0 {
            varint::put(&mut padding, (index - last) as u64);
            padding.push(nibble);
            last = index;
        }
    }
    out.set(series::PADDING, padding);
}

/// Reads the padding exceptions: record index and half-byte.
pub(super) fn decode_padding(streams: &StreamsIn, count: usize) -> Result<Vec<(usize, u8)>> {
    let mut padding = Cursor::new(streams.get(series::PADDING), "padding exceptions");
    let mut exceptions = Vec::new();
    let mut index = 0_usize;
    while !padding.is_done() {
        index = index.saturating_add(padding.number()?);
        let nibble = padding.byte()?;
        if index >= count || nibble > 15 {
            return Err(Error::corrupt("a padding exception is out of bounds"));
        }
        exceptions.push((index, nibble));
    }
    Ok(exceptions)
}

/// Reads all bases back; also how many aligned bases of each record differ.
pub(super) fn decode(
    streams: &StreamsIn,
    core: &Core,
    reference: &Reference,
) -> Result<(Bases, Vec<u32>)> {
    let mut counts = Cursor::new(streams.get(series::DIFF_COUNT), "difference counts");
    let mut gaps = Cursor::new(streams.get(series::DIFF_GAP), "difference gaps");
    let mut symbols = Cursor::new(streams.get(series::DIFF_BASE), "differing bases");
    let mut clipped = Cursor::new(streams.get(series::CLIPPED_BASES), "clipped bases");
    let mut plain = Cursor::new(streams.get(series::PLAIN_BASES), "plain bases");

    // Every base comes from one of these three, all of which are in memory already.
    let available = reference_reach(core) + (clipped.left() + plain.left()) as u64;
    let wanted: u64 = core.length.iter().map(|&length| u64::from(length)).sum();
    if wanted > available {
        return Err(Error::corrupt("the reads of a block are longer than its bases")
            .expected(format!("{wanted} bases"))
            .found(format!("at most {available} bases")));
    }
    let mut bases = Bases { codes: Vec::with_capacity(wanted as usize), ends: Vec::new() };
    let mut differing = vec![0; core.len()];
    for (index, differing) in differing.iter_mut().enumerate() {
        let start = bases.codes.len();
        let length = core.length[index] as usize;
        if !core.is_aligned(index) {
            bases.codes.extend_from_slice(plain.take(length)?);
            bases.ends.push(bases.codes.len());
            continue;
        }
        bases.codes.resize(start + length, 0);
        let read = &mut bases.codes[start..];
        for_each_match(core, index, reference, |reference, offset, read_at, len| {
            read[read_at..read_at + len].copy_from_slice(&reference.codes[offset..offset + len]);
        });
        let count: u32 = counts.number()?;
        *differing = count;
        if count > 0 {
            substitute_all(core, index, count, &mut gaps, &mut symbols, read)?;
        }
        let mut result = Ok(());
        for_each_clip(core, index, |read_at, len| match clipped.take(len) {
            Ok(codes) => read[read_at..read_at + len].copy_from_slice(codes),
            Err(error) => result = Err(error),
        });
        result?;
        bases.ends.push(bases.codes.len());
    }
    counts.finish()?;
    gaps.finish()?;
    symbols.finish()?;
    clipped.finish()?;
    plain.finish()?;
    if bases.codes.iter().any(|&code| code > 15) {
        return Err(Error::corrupt("a base code is above 15"));
    }
    Ok((bases, differing))
}

/// Puts the differing bases into a read that holds the reference's.
fn substitute_all(
    core: &Core,
    index: usize,
    count: u32,
    gaps: &mut Cursor<'_>,
    symbols: &mut Cursor<'_>,
    read: &mut [u8],
) -> Result<()> {
    let outside = || Error::corrupt("a differing base lies outside its read");
    let mut ops = core.cigar(index).iter();
    // The read bases of the current match operation that are still ahead.
    let (mut at, mut left) = (0_usize, 0_usize);
    let mut read_at = 0_usize;
    for _ in 0..count {
        let mut gap: usize = gaps.number()?;
        while gap >= left {
            gap -= left;
            let op = ops.next().ok_or_else(outside)?;
            (at, left) = (read_at, if op.is_match() { op.len() as usize } else { 0 });
            if op.consumes_read() {
                read_at += op.len() as usize;
            }
        }
        at += gap;
        left -= gap + 1;
        let base = read.get_mut(at).ok_or_else(outside)?;
        *base = substitute(*base, symbols.byte()?)
            .ok_or_else(|| Error::corrupt("a differing base has an unknown symbol"))?;
        at += 1;
    }
    Ok(())
}

/// How many bases the aligned reads can take from the reference.
fn reference_reach(core: &Core) -> u64 {
    (0..core.len())
        .filter(|&index| core.is_aligned(index))
        .flat_map(|index| core.cigar(index).iter())
        .filter(|op| op.is_match())
        .map(|op| u64::from(op.len()))
        .sum()
}
