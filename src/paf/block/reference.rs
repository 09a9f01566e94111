//! The sequence under the aligned reads of a block, inferred from the reads themselves.
//!
//! Where reads carry an `MD` tag, that tag and the read give the true reference base; elsewhere the
//! most frequent read base stands in. A wrong guess costs bytes, never correctness: every read is
//! stored as its differences from this sequence.
//!
//! No coordinates are stored: the covered spans follow from positions and CIGARs.

use super::codes::Bases;
use super::core::Core;
use super::md;
use super::series::{self, StreamsIn, StreamsOut};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::records::alignments::{CigarOp, Record};

/// Deletions longer than this are not part of the sequence, so that memory follows the reads.
pub(super) const MAX_DELETION: u32 = 1_000;

/// 4-bit codes of A, C, G, T.
const ACGT: [u8; 4] = [1, 2, 4, 8];

/// A covered stretch of one contig, and where its bases begin in `codes`.
#[derive(Clone, Copy, Debug)]
struct Span {
    contig: i32,
    start: i64,
    end: i64,
    offset: usize,
}

/// Bases of all covered stretches, as 4-bit codes, one a byte.
#[derive(Debug)]
pub(super) struct Reference {
    spans: Vec<Span>,
    pub(super) codes: Vec<u8>,
}

/// Whether an operation's reference bases belong to the sequence.
pub(super) fn is_covered(op: CigarOp) -> bool {
    op.is_match() || (op.code() == 2 && op.len() <= MAX_DELETION)
}

impl Reference {
    /// The covered spans, with all bases still 0.
    fn spanned(core: &Core) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        for index in (0..core.len()).filter(|&index| core.is_aligned(index)) {
            let contig = core.contig[index];
            let mut at = i64::from(core.position[index]);
            let mut start = at;
            for &op in core.cigar(index).iter().filter(|op| op.consumes_reference()) {
                let next = at + i64::from(op.len());
                if !is_covered(op) {
                    push_span(&mut spans, contig, start, at);
                    start = next;
                }
                at = next;
            }
            push_span(&mut spans, contig, start, at);
        }
        spans.sort_unstable_by_key(|span| (span.contig, span.start));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        let mut total = 0;
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.contig == span.contig && span.start <= last.end => {
                    total += (span.end - last.end).max(0) as usize;
                    last.end = last.end.max(span.end);
                }
                _ => {
                    merged.push(Span { offset: total, ..span });
                    total += (span.end - span.start) as usize;
                }
            }
        }
        Self { spans: merged, codes: vec![0; total] }
    }

    /// Where the base at `position` lies in `codes`; it must be covered.
    #[inline]
    pub(super) fn offset(&self, contig: i32, position: i64) -> usize {
        let after = self.spans.partition_point(|s| (s.contig, s.start) <= (contig, position));
        let span = &self.spans[after - 1];
        span.offset + (position - span.start) as usize
    }

    /// Infers the sequence from the reads of a block.
    pub(super) fn infer(core: &Core, records: &[Record<'_>], bases: &Bases) -> Self {
        let mut reference = Self::spanned(core);
        let mut uninformed = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if !core.is_aligned(index) {
                continue;
            }
            let informed = record
                .tag(*b"MD")
                .and_then(|tag| tag.as_text())
                .is_some_and(|text| md::apply(text, core, index, bases.of(index), &mut reference));
            if !informed {
                uninformed.push(index);
            }
        }
        reference.vote(core, bases, &uninformed);
        reference
    }

    /// Fills the bases that no `MD` tag has given by majority among the reads without one.
    fn vote(&mut self, core: &Core, bases: &Bases, voters: &[usize]) {
        let mut votes = vec![[0_u16; 4]; if voters.is_empty() { 0 } else { self.codes.len() }];
        for &index in voters {
            for_each_match(core, index, self, |_, offset, read_at, len| {
                for (vote, &code) in votes[offset..offset + len]
                    .iter_mut()
                    .zip(&bases.of(index)[read_at..read_at + len])
                {
                    if let Some(letter) = letter_of(code) {
                        vote[letter] = vote[letter].saturating_add(1);
                    }
                }
            });
        }
        for (offset, code) in self.codes.iter_mut().enumerate().filter(|(_, code)| **code == 0) {
            // Equal counts go to the first letter, an uncovered base (in a deletion) to A.
            let best = votes
                .get(offset)
                .map_or(0, |vote| (0..4).rev().max_by_key(|&letter| vote[letter]).unwrap_or(0));
            *code = ACGT[best];
        }
    }

    /// Writes the sequence: two bits a base, four to a byte, the first lowest; then exceptions.
    pub(super) fn encode(&self, out: &mut StreamsOut) {
        let mut packed = vec![0_u8; self.codes.len().div_ceil(4)];
        let mut odd = Vec::new();
        let mut last = 0;
        for (at, &code) in self.codes.iter().enumerate() {
            match letter_of(code) {
                Some(letter) => packed[at / 4] |= (letter as u8) << (2 * (at % 4)),
                None => {
                    varint::put(&mut odd, (at - last) as u64);
                    odd.push(code);
                    last = at;
                }
            }
        }
        out.set(series::REFERENCE, packed);
        out.set(series::REFERENCE_ODD, odd);
    }

    /// Reads the sequence of a block back.
    pub(super) fn decode(streams: &StreamsIn, core: &Core) -> Result<Self> {
        let packed = streams.get(series::REFERENCE);
        // What the spans cover is bounded before it is allocated.
        let covered: u64 = (0..core.len())
            .filter(|&index| core.is_aligned(index))
            .flat_map(|index| core.cigar(index).iter())
            .filter(|op| is_covered(**op))
            .map(|op| u64::from(op.len()))
            .sum();
        if (packed.len() as u64) > covered.div_ceil(4) || covered > u64::from(u32::MAX) {
            return Err(Error::corrupt("stream reference does not fit its reads"));
        }
        let mut reference = Self::spanned(core);
        if packed.len() != reference.codes.len().div_ceil(4) {
            return Err(Error::corrupt("stream reference has the wrong length")
                .expected(format!("{} bytes", reference.codes.len().div_ceil(4)))
                .found(format!("{} bytes", packed.len())));
        }
        for (codes, byte) in reference.codes.chunks_mut(4).zip(packed) {
            for (at, code) in codes.iter_mut().enumerate() {
                *code = ACGT[usize::from(byte >> (2 * at) & 3)];
            }
        }
        let mut odd = Cursor::new(streams.get(series::REFERENCE_ODD), "reference exceptions");
        let mut at = 0_usize;
        while !odd.is_done() {
            at = at.saturating_add(odd.number()?);
            let code = odd.byte()? & 0xf;
            *reference
                .codes
                .get_mut(at)
                .ok_or_else(|| Error::corrupt("a reference exception lies outside"))? = code;
        }
        Ok(reference)
    }
}

fn push_span(spans: &mut Vec<Span>, contig: i32, start: i64, end: i64) {
    if end > start {
        spans.push(Span { contig, start, end, offset: 0 });
    }
}

/// Which of A, C, G, T a 4-bit code is.
#[inline]
pub(super) fn letter_of(code: u8) -> Option<usize> {
    match code {
        1 => Some(0),
        2 => Some(1),
        4 => Some(2),
        8 => Some(3),
        _ => None,
    }
}

/// Calls `visit(reference, offset, read_at, len)` for every run of aligned bases of an aligned record.
pub(super) fn for_each_match(
    core: &Core,
    index: usize,
    reference: &Reference,
    mut visit: impl FnMut(&Reference, usize, usize, usize),
) {
    let (mut position, mut read_at) = (i64::from(core.position[index]), 0_usize);
    for op in core.cigar(index) {
        let len = op.len() as usize;
        if op.is_match() && len > 0 {
            let offset = reference.offset(core.contig[index], position);
            visit(reference, offset, read_at, len);
        }
        if op.consumes_read() {
            read_at += len;
        }
        if op.consumes_reference() {
            position += i64::from(op.len());
        }
    }
}
