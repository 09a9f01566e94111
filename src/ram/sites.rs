//! Candidate sites: where a sample may differ from the reference, and what all samples show there.
//!
//! This is no clinical caller: single bases only, no realignment, samples judged one by one. A
//! position becomes a candidate while a sample is read from beginning to end; all samples are then
//! counted there. Sums are integers, so that neither the order of reads nor the size of regions can
//! change a result.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reference::{Reference, Stretch};
use crate::error::{Error, Result};
use crate::genome::Interval;
use crate::records::alignments::Record;
use crate::records::alignments::record::flags::REVERSE;

/// Bases below this quality say nothing.
const MIN_BASE_QUALITY: u8 = 13;
/// A candidate has so many bases unlike the reference, and this part of the depth.
const MIN_COUNT: u32 = 2;
const MIN_PART: u32 = 5;
/// Most reads of a sample that are counted at a site; more set a flag.
pub(super) const MOST_READS: u32 = 8_000;
/// How much less likely than the reference a heterozygous and a homozygous site are, in
/// thousandths of Phred: 1.1 in a thousand, and half as many.
const HETEROZYGOUS: u32 = 29_586;
const HOMOZYGOUS: u32 = 32_596;
/// Greatest genotype quality.
const MOST_GQ: u32 = 99;

/// The number of a base, 0 to 3 for A, C, G, T, by its 4-bit code.
pub(super) fn base_of(code: u8) -> Option<usize> {
    match code {
        1 => Some(0),
        2 => Some(1),
        4 => Some(2),
        8 => Some(3),
        _ => None,
    }
}

/// The letters of bases.
pub(super) const LETTERS: &[u8; 4] = b"ACGT";

/// The number of a base, by its letter.
pub(super) fn base_number(letter: &str) -> Option<u8> {
    let position = LETTERS.iter().position(|base| [*base] == *letter.as_bytes())?;
    u8::try_from(position).ok()
}

/// A site of a dataset, where samples are judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KnownSite {
    pub(super) contig: u32,
    /// 0-based.
    pub(super) position: u32,
    /// The base of the reference, 0 to 3.
    pub(super) reference: u8,
    /// Other bases, a bit each.
    pub(super) alternatives: u8,
    /// Which samples are looked at.
    pub(super) group: u32,
}

impl KnownSite {
    /// Those of `sites`, which are in order, at a position.
    pub(super) fn at(sites: &[Self], contig: u32, position: u32) -> &[Self] {
        let start = sites.partition_point(|site| (site.contig, site.position) < (contig, position));
        let end = sites.partition_point(|site| (site.contig, site.position) <= (contig, position));
        &sites[start..end]
    }

    /// Whether the base of a candidate is one of those found here.
    pub(super) fn admits(&self, candidate: &Candidate) -> bool {
        self.reference == candidate.reference && self.alternatives & (1 << candidate.base) != 0
    }
}

/// What is known of the bases that samples are compared with.
enum Bases<'a> {
    Reference(&'a Reference, Stretch),
    /// Those of the sites of a dataset at hand.
    Known(Arc<Vec<KnownSite>>),
}

/// Looks for candidates in one sample.
pub(super) struct Finder<'a> {
    bases: Bases<'a>,
    /// The reference's base, and how many bases unlike it, by position.
    differing: BTreeMap<u64, (u8, [u32; 4])>,
}

/// A base that a sample may have in place of the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) contig: u32,
    /// 0-based.
    pub(super) position: u32,
    /// The reference's base and the sample's, 0 to 3.
    reference: u8,
    base: u8,
    /// Which samples are looked at there; 0 for all.
    pub(super) group: u32,
}

impl Candidate {
    /// The same for a group of samples.
    pub(super) fn for_group(self, group: u32) -> Self {
        Self { group, ..self }
    }

    pub(super) fn to_bytes(self) -> [u8; 14] {
        let ([a, b, c, d], [e, f, g, h]) = (self.contig.to_le_bytes(), self.position.to_le_bytes());
        let [i, j, k, l] = self.group.to_le_bytes();
        [a, b, c, d, e, f, g, h, self.reference, self.base, i, j, k, l]
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let &[a, b, c, d, e, f, g, h, reference, base, i, j, k, l] = bytes else {
            return Err(Error::internal("the sorter changed a candidate"));
        };
        let (contig, position) =
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let group = u32::from_le_bytes([i, j, k, l]);
        Ok(Self { contig, position, reference, base, group })
    }
}

impl<'a> Finder<'a> {
    pub(super) fn new(reference: &'a Reference) -> Self {
        let bases = Bases::Reference(reference, Stretch::default());
        Self { bases, differing: BTreeMap::new() }
    }

    /// Looks at the sites of a dataset only, which [`Self::know`] tells.
    pub(super) fn of_known_sites() -> Self {
        Self { bases: Bases::Known(Arc::default()), differing: BTreeMap::new() }
    }

    /// Sets the sites to look at, in order.
    pub(super) fn know(&mut self, sites: &Arc<Vec<KnownSite>>) {
        self.bases = Bases::Known(sites.clone());
    }

    /// The sites to look at.
    pub(super) fn known(&self) -> &[KnownSite] {
        match &self.bases {
            Bases::Reference(..) => &[],
            Bases::Known(sites) => sites,
        }
    }

    pub(super) fn start_contig(&mut self) {
        self.differing.clear();
    }

    /// Looks at the bases of `record` from `read_at` on, which lie on `start..end`.
    pub(super) fn add(
        &mut self,
        record: &Record<'_>,
        read_at: usize,
        start: u64,
        end: u64,
    ) -> Result<()> {
        let differing = &mut self.differing;
        match &mut self.bases {
            Bases::Reference(reference, at_hand) => {
                let bases = reference.bases(record.ref_id(), start, end, at_hand)?;
                let bases = bases.unwrap_or_default();
                for ((at, position), &expected) in (read_at..).zip(start..end).zip(bases) {
                    look(differing, record, at, position, expected);
                }
            }
            Bases::Known(sites) => {
                let Ok(contig) = u32::try_from(record.ref_id()) else { return Ok(()) };
                let first = sites.partition_point(|site| {
                    (site.contig, u64::from(site.position)) < (contig, start)
                });
                let is_here =
                    |site: &&KnownSite| site.contig == contig && u64::from(site.position) < end;
                let here = sites[first..].iter().take_while(is_here);
                let here: Vec<(u64, u8)> =
                    here.map(|site| (u64::from(site.position), site.reference)).collect();
                for of_position in here.chunk_by(|one, next| one.0 == next.0) {
                    let (position, expected) = of_position[0];
                    let at = read_at + (position - start) as usize;
                    look(differing, record, at, position, expected);
                }
            }
        }
        Ok(())
    }

    /// Decides on the positions of a stretch of equal depth; no later read changes it.
    pub(super) fn judge(
        &mut self,
        contig: u32,
        run: Interval,
        depth: u32,
        out: &mut Vec<Candidate>,
    ) {
        let later = self.differing.split_off(&run.end());
        let now = std::mem::replace(&mut self.differing, later);
        for (&position, &(reference, counts)) in now.range(run.start()..) {
            for (base, count) in (0..).zip(counts) {
                if count >= MIN_COUNT && count.saturating_mul(MIN_PART) >= depth {
                    let position = position as u32;
                    out.push(Candidate { contig, position, reference, base, group: 0 });
                }
            }
        }
    }
}

/// Looks at one base of a record.
fn look(
    differing: &mut BTreeMap<u64, (u8, [u32; 4])>,
    record: &Record<'_>,
    at: usize,
    position: u64,
    expected: u8,
) {
    let (packed, qualities) = (record.packed_sequence(), record.qualities());
    let (Some(byte), Some(&quality)) = (packed.get(at / 2), qualities.get(at)) else { return };
    let code = (byte >> (4 * (1 - at % 2))) & 0xf;
    let Some(base) = base_of(code) else { return };
    if quality >= MIN_BASE_QUALITY && expected < 4 && usize::from(expected) != base {
        differing.entry(position).or_insert((expected, [0; 4])).1[base] += 1;
    }
}

/// A position at which samples are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) contig: u32,
    /// 0-based.
    pub(super) position: u32,
    /// The base of the reference, 0 to 3.
    pub(super) reference: u8,
    /// Other bases that a sample showed.
    pub(super) alternatives: Vec<u8>,
    /// Which samples are looked at; 0 for all.
    pub(super) group: u32,
}

impl Site {
    /// Takes a candidate in, unless it is of another position or group.
    pub(super) fn admit(&mut self, candidate: Candidate) -> bool {
        let of_candidate = (candidate.contig, candidate.position, candidate.group);
        if (self.contig, self.position, self.group) != of_candidate {
            return false;
        }
        if !self.alternatives.contains(&candidate.base) {
            self.alternatives.push(candidate.base);
            self.alternatives.sort_unstable();
        }
        true
    }
}

impl From<Candidate> for Site {
    fn from(candidate: Candidate) -> Self {
        Self {
            contig: candidate.contig,
            position: candidate.position,
            reference: candidate.reference,
            alternatives: vec![candidate.base],
            group: candidate.group,
        }
    }
}

/// What a read says at a site.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vote {
    pub(super) sample: u32,
    pub(super) site: u32,
    base: u8,
    is_reverse: bool,
    quality: u8,
}

/// Adds what `record` says at `sites`, which are in order of contig and position; bases before `clip` are
/// its mate's.
pub(super) fn vote(
    record: &Record<'_>,
    sample: u32,
    clip: u32,
    sites: &[Site],
    out: &mut Vec<Vote>,
) {
    let (Ok(contig), Ok(mut position)) =
        (u32::try_from(record.ref_id()), u64::try_from(record.position()))
    else {
        return;
    };
    let first =
        sites.partition_point(|site| (site.contig, u64::from(site.position)) < (contig, position));
    let mut rest = (first..).zip(&sites[first..]).peekable();
    let mapping_quality = match record.mapping_quality() {
        255 => 20,
        quality => quality.min(60),
    };
    let mut read_at = 0_u64;
    for op in record.cigar() {
        let length = u64::from(op.len());
        if op.consumes_reference() {
            while let Some((number, site)) = rest.next_if(|(_, site)| {
                site.contig == contig && u64::from(site.position) < position + length
            }) {
                if !op.is_match() || site.position < clip {
                    continue;
                }
                let at = (read_at + u64::from(site.position) - position) as usize;
                let (packed, qualities) = (record.packed_sequence(), record.qualities());
                let (Some(byte), Some(&quality)) = (packed.get(at / 2), qualities.get(at)) else {
                    continue;
                };
                let Some(base) = base_of((byte >> (4 * (1 - at % 2))) & 0xf) else { continue };
                if quality >= MIN_BASE_QUALITY && quality != 0xff {
                    out.push(Vote {
                        sample,
                        site: number as u32,
                        base: base as u8,
                        is_reverse: record.flags() & REVERSE != 0,
                        quality: quality.min(mapping_quality).clamp(4, 63),
                    });
                }
            }
            position += length;
        }
        if op.consumes_read() {
            read_at += length;
        }
        if rest.peek().is_none() {
            return;
        }
    }
}

/// What the reads of a sample say at a site, by base.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Reads, forward and reverse.
    pub(super) strands: [[u32; 2]; 4],
    /// How unlikely these bases are, in thousandths of Phred, where both alleles are this base,
    /// one is, and none is.
    costs: [[u32; 3]; 4],
    /// Reads that were looked at, and whether there were more.
    pub(super) reads: u32,
    pub(super) is_capped: bool,
}

/// Costs of one base of each quality.
pub(super) struct Costs([[u32; 3]; 64]);

impl Default for Costs {
    fn default() -> Self {
        let mut costs = [[0; 3]; 64];
        for (quality, costs) in costs.iter_mut().enumerate() {
            let error = 10_f64.powf(-(quality as f64) / 10.0).min(0.75);
            let phred = |likelihood: f64| (-10_000.0 * likelihood.log10()).round() as u32;
            *costs = [1.0 - error, (1.0 - error) / 2.0 + error / 6.0, error / 3.0].map(phred);
        }
        Self(costs)
    }
}

impl Tally {
    pub(super) fn add(&mut self, vote: &Vote, costs: &Costs) {
        if self.reads >= MOST_READS {
            self.is_capped = true;
            return;
        }
        self.reads += 1;
        let base = usize::from(vote.base & 3);
        self.strands[base][usize::from(vote.is_reverse)] += 1;
        for (sum, cost) in self.costs[base].iter_mut().zip(costs.0[usize::from(vote.quality & 63)])
        {
            *sum += cost;
        }
    }

    fn cost_of(&self, first: u8, second: u8) -> u32 {
        let cost = |base: u8| {
            let matching = usize::from(base == first) + usize::from(base == second);
            self.costs[usize::from(base)][2 - matching]
        };
        (0..4).map(cost).sum()
    }
}

/// The genotype of a sample at a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Genotype {
    /// Allele numbers, 0 for the reference; `None` where no read says anything.
    pub(super) alleles: Option<(u8, u8)>,
    /// How sure that is, in Phred.
    pub(super) quality: u32,
    /// Of each genotype in the order of VCF, in Phred, the likeliest 0.
    pub(super) likelihoods: Vec<u32>,
}

/// Finds the likeliest genotype.
pub(super) fn genotype(site: &Site, tally: &Tally) -> Genotype {
    if tally.reads == 0 {
        return Genotype::default();
    }
    let mut alleles = vec![site.reference];
    alleles.extend_from_slice(&site.alternatives);
    let mut all = Vec::new();
    for (second, &base) in (0_u8..).zip(&alleles) {
        for (first, &other) in (0_u8..=second).zip(&alleles) {
            let prior = match (first, second) {
                (0, 0) => 0,
                (0, _) => HETEROZYGOUS,
                _ if first == second => HOMOZYGOUS,
                _ => 2 * HETEROZYGOUS,
            };
            all.push(((first, second), tally.cost_of(other, base), prior));
        }
    }
    let least = all.iter().map(|(_, cost, _)| *cost).min().unwrap_or(0);
    let mut posterior: Vec<(u32, (u8, u8))> =
        all.iter().map(|(alleles, cost, prior)| (cost + prior, *alleles)).collect();
    posterior.sort_unstable();
    let best = posterior[0];
    let margin = posterior.get(1).map_or(0, |next| next.0 - best.0);
    Genotype {
        alleles: Some(best.1),
        quality: ((margin + 500) / 1000).min(MOST_GQ),
        likelihoods: all.iter().map(|(_, cost, _)| (cost - least + 500) / 1000).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(votes: &[(u8, u8, u32)]) -> Tally {
        let (mut tally, costs) = (Tally::default(), Costs::default());
        for &(base, quality, count) in votes {
            for index in 0..count {
                let is_reverse = index % 2 == 1;
                tally.add(&Vote { sample: 0, site: 0, base, is_reverse, quality }, &costs);
            }
        }
        tally
    }

    #[test]
    fn test_genotype_follows_the_reads() {
        let site = Site { contig: 0, position: 5, reference: 0, alternatives: vec![2], group: 0 };
        let of = |votes: &[(u8, u8, u32)]| genotype(&site, &tally(votes));
        assert_eq!(of(&[]).alleles, None);
        assert_eq!(of(&[(0, 30, 20)]).alleles, Some((0, 0)));
        assert_eq!(of(&[(0, 30, 10), (2, 30, 10)]).alleles, Some((0, 1)));
        assert_eq!(of(&[(2, 30, 20)]).alleles, Some((1, 1)));
        assert_eq!(of(&[(0, 30, 30), (2, 15, 1)]).alleles, Some((0, 0)));
        let het = of(&[(0, 30, 10), (2, 30, 10)]);
        assert_eq!((het.likelihoods.len(), het.likelihoods[1], het.quality), (3, 0, 99));
    }

    #[test]
    fn test_tally_is_capped() {
        let tally = tally(&[(1, 40, MOST_READS + 3)]);
        assert!(tally.is_capped);
        assert_eq!(tally.strands[1], [MOST_READS / 2, MOST_READS / 2]);
    }
}
