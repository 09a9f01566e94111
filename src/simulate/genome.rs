//! A genome without an end, and a diploid sample's differences from it, both functions of a seed.

use super::random::scatter;

/// Bases per cell with one single-base variant.
const SNV_CELL: u64 = 1_024;
/// Bases per cell with one insertion or deletion.
const INDEL_CELL: u64 = 8_192;

#[derive(Clone, Copy, Debug)]
pub(super) struct Genome {
    seed: u64,
}

/// How one of the sample's two copies differs from the reference at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Another base, as a number from 0 to 3.
    Base(u8),
    /// So many bases of this seed come before the place.
    Insertion(u32, u64),
    /// The place and what follows it are missing: so many bases.
    Deletion(u32),
}

impl Genome {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: scatter(seed ^ 0x6765_6e6f_6d65) }
    }

    fn hash(&self, kind: u64, contig: u32, index: u64) -> u64 {
        scatter(self.seed ^ kind << 60 ^ u64::from(contig) << 40 ^ index)
    }

    /// A walk along one copy (0 or 1) of a contig.
    pub(super) fn copy(&self, contig: u32, copy: u8) -> Copy {
        Copy {
            genome: *self,
            contig,
            copy,
            word: (u64::MAX, 0),
            snv: (u64::MAX, None),
            indel: (u64::MAX, None),
        }
    }
}

/// One of the two copies of a contig; remembers the last place it was asked for.
#[derive(Debug)]
pub(super) struct Copy {
    genome: Genome,
    contig: u32,
    copy: u8,
    word: (u64, u64),
    snv: (u64, Option<(u64, Variant)>),
    indel: (u64, Option<(u64, Variant)>),
}

impl Copy {
    /// The reference's base, as a number from 0 to 3.
    pub(super) fn reference(&mut self, position: u64) -> u8 {
        let word = position / 32;
        if self.word.0 != word {
            self.word = (word, self.genome.hash(1, self.contig, word));
        }
        (self.word.1 >> (2 * (position % 32)) & 3) as u8
    }

    /// This copy's difference from the reference, where it has one.
    pub(super) fn variant(&mut self, position: u64) -> Option<Variant> {
        let cell = position / SNV_CELL;
        if self.snv.0 != cell {
            self.snv = (cell, self.snv_of(cell));
        }
        let cell = position / INDEL_CELL;
        if self.indel.0 != cell {
            self.indel = (cell, self.indel_of(cell));
        }
        let at = |found: Option<(u64, Variant)>| found.filter(|(place, _)| *place == position);
        at(self.indel.1).or(at(self.snv.1)).map(|(_, variant)| variant)
    }

    /// A third of the variants is on both copies, the others on one.
    fn is_here(&self, hash: u64) -> bool {
        let copies = hash >> 40 & 0xff;
        copies.is_multiple_of(3) || copies & 1 == u64::from(self.copy)
    }

    fn snv_of(&mut self, cell: u64) -> Option<(u64, Variant)> {
        let hash = self.genome.hash(2, self.contig, cell);
        let place = cell * SNV_CELL + hash % SNV_CELL;
        let shift = 1 + (hash >> 20) % 3;
        let base = (self.reference(place) + shift as u8) & 3;
        self.is_here(hash).then_some((place, Variant::Base(base)))
    }

    fn indel_of(&self, cell: u64) -> Option<(u64, Variant)> {
        let hash = self.genome.hash(3, self.contig, cell);
        let place = cell * INDEL_CELL + hash % INDEL_CELL;
        let length = 1 + ((hash >> 20) % 8) as u32;
        let variant = if hash >> 30 & 1 == 0 {
            Variant::Insertion(length, hash)
        } else {
            Variant::Deletion(length)
        };
        self.is_here(hash).then_some((place, variant))
    }
}
