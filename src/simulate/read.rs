//! One read: its bases, how they align, and the tags that follow from it.

use super::genome::{Genome, Indel, MAX_INDEL};
use super::random::Random;

const MATCH: u32 = 0;
const INSERTION: u32 = 1;
const DELETION: u32 = 2;
pub(super) const SOFT_CLIP: u32 = 4;
pub(super) const HARD_CLIP: u32 = 5;

/// Stands for "no reference base here": inserted or clipped.
const NONE: u8 = 0xff;

/// A base that the instrument could not tell: `N`.
pub(super) const UNCALLED: u8 = 4;

/// Aligners clip rather than open a gap so near an end.
const MARGIN: usize = 10;

/// A read aligned to the genome. Bases are 0 to 3 for `ACGT`, or [`UNCALLED`].
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub(super) bases: Vec<u8>,
    /// What the reference has for each base.
    expected: Vec<u8>,
    pub(super) cigar: Vec<u32>,
    /// Where bases are missing, and which.
    deletions: Vec<(usize, Vec<u8>)>,
    /// Reference bases covered.
    pub(super) span: u32,
}

/// Buffers and settings for making reads.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    genome: Genome,
    /// One insertion or deletion by the instrument in so many bases; 0 for none.
    pub(super) bases_per_slip: u32,
    reference: Vec<u8>,
    person: Vec<u8>,
    indels: Vec<Indel>,
}

/// Where a read comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) contig: u32,
    pub(super) start: u64,
    /// Which of the two copies of the genome.
    pub(super) copy: u8,
}

impl Reader {
    pub(super) fn new(genome: Genome) -> Self {
        Self {
            genome,
            bases_per_slip: 0,
            reference: Vec::new(),
            person: Vec::new(),
            indels: Vec::new(),
        }
    }

    /// How much of the reference a read of so many bases may need.
    pub(super) fn reach(&self, len: u32) -> u32 {
        let slips = len.checked_div(self.bases_per_slip).map_or(0, |slips| 2 * slips + 8);
        len + (len / 1_984 + 2) * MAX_INDEL + slips
    }

    /// Makes `read` the `len` bases from `origin` on, as they are in the person's genome.
    pub(super) fn read(&mut self, random: &mut Random, origin: Origin, len: u32, read: &mut Read) {
        let Origin { contig, start, copy } = origin;
        let reach = self.reach(len);
        self.genome.reference(contig, start, &mut self.reference, reach as usize);
        self.person.clone_from(&self.reference);
        self.genome.apply_snps(contig, start, copy, &mut self.person);
        self.genome.indels(contig, start, len, copy, &mut self.indels);
        if self.bases_per_slip > 0 {
            for _ in 0..len / self.bases_per_slip {
                let inserted = (random.next() & 1 == 0).then(|| random.next());
                self.indels.push(Indel { offset: random.below(len), len: 1, inserted });
            }
            self.indels.sort_unstable();
        }
        read.clear();
        let mut from = 0;
        for indel in &self.indels {
            let to = indel.offset as usize + 1;
            let len_after = read.bases.len() + to.saturating_sub(from);
            if to < from + MARGIN || len_after + indel.len as usize + MARGIN > len as usize {
                continue;
            }
            read.push_match(&self.person[from..to], &self.reference[from..to]);
            from = to;
            match indel.inserted {
                Some(bits) => {
                    let bases = (0..indel.len).map(|at| (bits >> (2 * at)) as u8 & 3);
                    read.bases.extend(bases);
                    read.expected.resize(read.bases.len(), NONE);
                    read.cigar.push(indel.len << 4 | INSERTION);
                }
                None => {
                    from += indel.len as usize;
                    read.deletions.push((read.bases.len(), self.reference[to..from].to_vec()));
                    read.cigar.push(indel.len << 4 | DELETION);
                    read.span += indel.len;
                }
            }
        }
        let to = from + (len as usize - read.bases.len());
        read.push_match(&self.person[from..to], &self.reference[from..to]);
    }
}

impl Read {
    /// An alignment of `len` bases that are not given.
    pub(super) fn without_bases(len: u32) -> Self {
        Self { cigar: vec![len << 4 | MATCH], span: len, ..Self::default() }
    }

    fn clear(&mut self) {
        self.bases.clear();
        self.expected.clear();
        self.cigar.clear();
        self.deletions.clear();
        self.span = 0;
    }

    fn push_match(&mut self, bases: &[u8], reference: &[u8]) {
        self.bases.extend_from_slice(bases);
        self.expected.extend_from_slice(reference);
        self.cigar.push((bases.len() as u32) << 4 | MATCH);
        self.span += bases.len() as u32;
    }

    /// Makes the read random, as one from somewhere else would be, and aligned nowhere.
    pub(super) fn make_unmapped(&mut self, random: &mut Random, len: u32) {
        self.clear();
        self.bases.extend((0..len).map(|_| (random.next() >> 62) as u8));
        self.expected.resize(len as usize, NONE);
    }

    /// Adds bases that do not align, on the left or on the right.
    pub(super) fn clip(&mut self, on_left: bool, bases: &[u8]) {
        let op = (bases.len() as u32) << 4 | SOFT_CLIP;
        let at = if on_left { 0 } else { self.bases.len() };
        self.bases.splice(at..at, bases.iter().copied());
        self.expected.splice(at..at, bases.iter().map(|_| NONE));
        if on_left {
            self.cigar.insert(0, op);
            for (deletion, _) in &mut self.deletions {
                *deletion += bases.len();
            }
        } else {
            self.cigar.push(op);
        }
    }

    /// Puts in errors where qualities admit them; `scale` of 256 is what qualities promise.
    pub(super) fn add_errors(&mut self, random: &mut Random, qualities: &[u8], scale: u32) {
        // Poor bases one by one, of 1,000; the many good ones, where errors are rare, all at once.
        for (base, quality) in self.bases.iter_mut().zip(qualities) {
            let per_mille: u32 = match quality {
                0..=2 => 250,
                3..=12 => 60,
                13..=19 => 20,
                _ => continue,
            };
            let dice = random.below(256_000);
            if dice < per_mille * scale {
                // Half of the bases of lowest quality that are wrong were not called at all.
                *base = if *quality <= 2 && dice % 2 == 0 {
                    UNCALLED
                } else {
                    (*base + 1 + random.below(3) as u8) & 3
                };
            }
        }
        // One in 2,500 bases.
        const RARITY: u32 = 2_500 * 256;
        let expected = self.bases.len() as u64 * u64::from(scale);
        let more = u64::from(random.below(RARITY)) < expected % u64::from(RARITY);
        for _ in 0..expected / u64::from(RARITY) + u64::from(more) {
            let at = random.below(self.bases.len() as u32) as usize;
            if let Some(base) = self.bases.get_mut(at) {
                *base = (*base + 1 + random.below(3) as u8) & 3;
            }
        }
    }

    /// `NM`: mismatches, and bases inserted or deleted. Writes `MD` into `md`.
    pub(super) fn compare(&self, md: &mut Vec<u8>) -> u32 {
        const LETTERS: &[u8; 4] = b"ACGT";
        md.clear();
        let (mut distance, mut run, mut at) = (0, 0, 0);
        let mut deletions = self.deletions.iter();
        let mut deletion = deletions.next();
        loop {
            let stop = deletion.map_or(self.bases.len(), |(place, _)| *place);
            let same = same_bases(&self.bases[at..stop], &self.expected[at..stop]);
            run += same as u32;
            at += same;
            if at < stop {
                let expected = self.expected[at];
                at += 1;
                if expected != NONE {
                    push_number(md, run);
                    run = 0;
                    md.push(LETTERS[usize::from(expected & 3)]);
                    distance += 1;
                }
            } else if let Some((_, bases)) = deletion {
                push_number(md, run);
                run = 0;
                md.push(b'^');
                md.extend(bases.iter().map(|&base| LETTERS[usize::from(base & 3)]));
                distance += bases.len() as u32;
                deletion = deletions.next();
            } else {
                break;
            }
        }
        push_number(md, run);
        let inserted = self.cigar.iter().filter(|&op| op & 0xf == INSERTION).map(|op| op >> 4);
        distance + inserted.sum::<u32>()
    }

    /// Takes over the bases at the end of another read, errors included.
    pub(super) fn take_tail(&mut self, of: &Self) {
        let start = of.bases.len() - self.bases.len();
        self.bases.copy_from_slice(&of.bases[start..]);
    }

    /// `AS` as bwa counts: 1 a match, -4 a mismatch, -7 a gap's first base and -1 each further.
    pub(super) fn score(&self, distance: u32) -> u32 {
        let mut aligned = 0;
        let mut gaps = 0;
        let mut gap_bases = 0;
        for op in &self.cigar {
            match op & 0xf {
                MATCH => aligned += op >> 4,
                INSERTION | DELETION => {
                    gaps += 1;
                    gap_bases += op >> 4;
                }
                _ => {}
            }
        }
        let mismatches = distance.saturating_sub(gap_bases);
        aligned.saturating_sub(5 * mismatches + 6 * gaps + gap_bases)
    }
}

/// How many bases agree before the first that does not.
fn same_bases(one: &[u8], other: &[u8]) -> usize {
    let chunks = one.chunks_exact(16).zip(other.chunks_exact(16));
    let at = 16 * chunks.take_while(|(one, other)| one == other).count();
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

/// Appends a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a CIGAR as text.
pub(super) fn push_cigar(out: &mut Vec<u8>, cigar: &[u32]) {
    for op in cigar {
        push_number(out, op >> 4);
        out.push(b"MIDNSHP=X"[(op & 0xf).min(8) as usize]);
    }
}
