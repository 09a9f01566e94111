//! The `MD` tag: what the reference has where a read differs (SAM optional fields specification).
//!
//! Read one way it tells the reference under a read; written the other way, from reference and read,
//! it need not be stored.

use super::codes::first_difference;
use super::core::Core;
use super::reference::{Reference, is_covered};
use crate::records::alignments::record::BASES;

/// The 4-bit code of an upper-case base letter.
fn code_of(letter: u8) -> Option<u8> {
    BASES.iter().position(|&base| base == letter && base != b'=').map(|code| code as u8)
}

/// Sets the bases of `reference` that are still unknown from a read and its `MD` text; `false`, with
/// nothing set, where the text does not fit the alignment.
pub(super) fn apply(
    text: &[u8],
    core: &Core,
    index: usize,
    bases: &[u8],
    reference: &mut Reference,
) -> bool {
    // The first pass only checks, so that a misfit leaves no trace.
    walk(text, core, index, |_, _| {}).is_some_and(|()| {
        let contig = core.contig[index];
        let set = |reference: &mut Reference, offset: usize, code: u8| {
            if reference.codes[offset] == 0 {
                reference.codes[offset] = code;
            }
        };
        walk(text, core, index, |position, step| match step {
            Step::Match { read_at, len } => {
                let offset = reference.offset(contig, position);
                let codes = &mut reference.codes[offset..offset + len];
                // Written in any case, so that many bases are done at once.
                for (code, &base) in codes.iter_mut().zip(&bases[read_at..read_at + len]) {
                    *code = if *code == 0 { base } else { *code };
                }
            }
            Step::Base(code) => {
                let offset = reference.offset(contig, position);
                set(reference, offset, code);
            }
        })
        .is_some()
    })
}

enum Step {
    Match { read_at: usize, len: usize },
    Base(u8),
}

/// Walks alignment and text together; `None` where they disagree.
fn walk(text: &[u8], core: &Core, index: usize, mut visit: impl FnMut(i64, Step)) -> Option<()> {
    let mut rest = text;
    let mut equal = take_number(&mut rest)?;
    let (mut position, mut read_at) = (i64::from(core.position[index]), 0_usize);
    for &op in core.cigar(index) {
        let len = op.len() as usize;
        if op.is_match() {
            let mut left = len;
            while left > 0 {
                let run = left.min(usize::try_from(equal).ok()?);
                if run > 0 {
                    visit(position, Step::Match { read_at, len: run });
                    (position, read_at, left) = (position + run as i64, read_at + run, left - run);
                    equal -= run as u64;
                }
                if left > 0 {
                    let (&letter, after) = rest.split_first()?;
                    visit(position, Step::Base(code_of(letter)?));
                    rest = after;
                    (position, read_at, left) = (position + 1, read_at + 1, left - 1);
                    equal = take_number(&mut rest)?;
                }
            }
            continue;
        }
        if op.code() == 2 && len > 0 {
            if equal != 0 || rest.first() != Some(&b'^') {
                return None;
            }
            rest = &rest[1..];
            for _ in 0..len {
                let (&letter, after) = rest.split_first()?;
                let code = code_of(letter)?;
                if is_covered(op) {
                    visit(position, Step::Base(code));
                }
                rest = after;
                position += 1;
            }
            equal = take_number(&mut rest)?;
            continue;
        }
        if op.consumes_read() {
            read_at += len;
        }
        if op.consumes_reference() {
            position += len as i64;
        }
    }
    (rest.is_empty() && equal == 0).then_some(())
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    if digits == 0 || digits > 10 {
        return None;
    }
    Some(number.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// Appends the `MD` text that reference and read imply; `false` where they imply none.
pub(super) fn derive(
    core: &Core,
    index: usize,
    bases: &[u8],
    reference: &Reference,
    out: &mut Vec<u8>,
) -> bool {
    if !core.is_aligned(index) {
        return false;
    }
    let contig = core.contig[index];
    let (mut position, mut read_at) = (i64::from(core.position[index]), 0_usize);
    let mut equal = 0_u64;
    for &op in core.cigar(index) {
        let len = op.len() as usize;
        if op.is_match() && len > 0 {
            let offset = reference.offset(contig, position);
            let mut codes = &reference.codes[offset..offset + len];
            let mut read = &bases[read_at..read_at + len];
            while let Some(at) = first_difference(codes, read) {
                put_number(out, equal + at as u64);
                out.push(BASES[usize::from(codes[at] & 0xf)]);
                equal = 0;
                (codes, read) = (&codes[at + 1..], &read[at + 1..]);
            }
            equal += codes.len() as u64;
        } else if op.code() == 2 && len > 0 {
            if !is_covered(op) {
                return false;
            }
            put_number(out, equal);
            out.push(b'^');
            let offset = reference.offset(contig, position);
            out.extend(
                reference.codes[offset..offset + len]
                    .iter()
                    .map(|&code| BASES[usize::from(code & 0xf)]),
            );
            equal = 0;
        }
        if op.consumes_read() {
            read_at += len;
        }
        if op.consumes_reference() {
            position += len as i64;
        }
    }
    put_number(out, equal);
    true
}

/// Appends a number in decimal.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
