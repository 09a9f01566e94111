//! Base codes side by side: unpacked, and where two stretches differ.

use crate::records::alignments::Record;

/// The 4-bit base codes of all records, one a byte.
#[derive(Debug, Default)]
pub(super) struct Bases {
    pub(super) codes: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Bases {
    /// Unpacks the bases of `records`.
    pub(super) fn unpack(records: &[Record<'_>]) -> Self {
        let mut bases = Self::default();
        bases.codes.reserve(records.iter().map(Record::sequence_len).sum::<usize>() + 1);
        for record in records {
            let (start, packed) = (bases.codes.len(), record.packed_sequence());
            bases.codes.resize(start + 2 * packed.len(), 0);
            for (pair, byte) in bases.codes[start..].chunks_exact_mut(2).zip(packed) {
                pair.copy_from_slice(&[byte >> 4, byte & 0xf]);
            }
            bases.codes.truncate(start + record.sequence_len());
            bases.ends.push(bases.codes.len());
        }
        bases
    }

    /// The codes of record `index`.
    #[inline]
    pub(super) fn of(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.codes[start..self.ends[index]]
    }

    /// Appends the bases of record `index` to `out`, two to a byte.
    pub(super) fn pack(&self, index: usize, out: &mut Vec<u8>) {
        let pairs = self.of(index).chunks_exact(2);
        let last = pairs.remainder().first().map(|code| code << 4);
        out.extend(pairs.map(|pair| pair[0] << 4 | pair[1]));
        out.extend(last);
    }
}

/// Where two stretches of bases of one length first differ.
#[inline]
pub(super) fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let (mut words_a, mut words_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let words = words_a.by_ref().zip(words_b.by_ref());
    for (index, (a, b)) in words.enumerate() {
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let difference = word(a) ^ word(b);
        if difference != 0 {
            return Some(8 * index + difference.trailing_zeros() as usize / 8);
        }
    }
    let done = a.len() - words_a.remainder().len();
    let mut tail = words_a.remainder().iter().zip(words_b.remainder());
    tail.position(|(a, b)| a != b).map(|at| done + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_first_difference_agrees_with_a_scan() {
        for len in 0..40 {
            let a: Vec<u8> = (0..len).map(|i| 1 << (i % 4)).collect();
            assert_eq!(first_difference(&a, &a), None);
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at..].iter_mut().for_each(|code| *code = 15);
                assert_eq!(first_difference(&a, &b), Some(at), "{len} bases");
            }
        }
    }
}
