//! A genome that exists only as a function of seed, contig and position, and a person's two copies.

use super::random::{hash, mix};

const BLOCK: u64 = 32;
const SNP_WINDOW: u64 = 256;
const INDEL_WINDOW: u64 = 2_048;

/// The longest germline insertion or deletion.
pub(super) const MAX_INDEL: u32 = 10;

/// A reference and what one person has instead: a single-base variant in every 1,000 bases or so,
/// an insertion or deletion in every 8,000, on one copy or on both.
#[derive(Clone, Debug)]
pub(super) struct Genome {
    reference: u64,
    snps: u64,
    indels: u64,
}

/// Bases are put in, or left out, after the base at `offset` from the start asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Indel {
    pub(super) offset: u32,
    pub(super) len: u32,
    /// The inserted bases, two bits each; nothing for a deletion.
    pub(super) inserted: Option<u64>,
}

impl Genome {
    pub(super) fn new(seed: u64) -> Self {
        Self { reference: mix(seed ^ 1), snps: mix(seed ^ 2), indels: mix(seed ^ 3) }
    }

    /// Fills `bases` with the reference from `start` on: 0 to 3 for `ACGT`.
    pub(super) fn reference(&self, contig: u32, start: u64, bases: &mut Vec<u8>, len: usize) {
        bases.clear();
        let mut block = start / BLOCK;
        let mut skip = (start % BLOCK) as usize;
        while bases.len() < len {
            let bits = hash(self.reference, contig, block);
            let unpacked: [u8; BLOCK as usize] =
                std::array::from_fn(|at| (bits >> (2 * at)) as u8 & 3);
            let take = (len - bases.len()).min(unpacked.len() - skip);
            bases.extend_from_slice(&unpacked[skip..skip + take]);
            skip = 0;
            block += 1;
        }
    }

    /// Puts the single-base variants of one copy (0 or 1) into reference bases from `start` on.
    pub(super) fn apply_snps(&self, contig: u32, start: u64, copy: u8, bases: &mut [u8]) {
        let end = start + bases.len() as u64;
        for window in start / SNP_WINDOW..=end / SNP_WINDOW {
            let bits = hash(self.snps, contig, window);
            let place = window * SNP_WINDOW + (bits >> 8) % SNP_WINDOW;
            if bits & 3 == 0
                && on_copy(bits >> 32, copy)
                && let Some(at) = place.checked_sub(start)
                && let Some(base) = bases.get_mut(at as usize)
            {
                *base = (*base + 1 + ((bits >> 24) % 3) as u8) & 3;
            }
        }
    }

    /// The insertions and deletions of one copy in `start..start + len`, in order.
    pub(super) fn indels(
        &self,
        contig: u32,
        start: u64,
        len: u32,
        copy: u8,
        found: &mut Vec<Indel>,
    ) {
        found.clear();
        for window in start / INDEL_WINDOW..=(start + u64::from(len)) / INDEL_WINDOW {
            let bits = hash(self.indels, contig, window);
            let place = window * INDEL_WINDOW + (bits >> 8) % (INDEL_WINDOW - 64);
            let offset = place.checked_sub(start).and_then(|offset| u32::try_from(offset).ok());
            if let Some(offset) = offset
                && bits & 3 == 0
                && offset < len
                && on_copy(bits >> 32, copy)
            {
                let len = 1 + (bits >> 40).trailing_ones().min(MAX_INDEL - 1);
                found.push(Indel { offset, len, inserted: (bits & 4 == 0).then(|| mix(bits)) });
            }
        }
    }
}

/// A third of the variants is on the first copy only, a third on the second, a third on both.
fn on_copy(bits: u64, copy: u8) -> bool {
    bits % 3 != u64::from(copy)
}
