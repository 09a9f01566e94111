//! What to simulate.

use super::QualityProfile;
use crate::genome::Contig;

/// What to make.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// Where all randomness comes from.
    pub seed: u64,
    /// How many reads; secondary and supplementary alignments come on top.
    pub reads: u64,
    /// The contigs, over which reads are spread evenly; those too short for a template get none.
    pub contigs: Vec<Contig>,
    /// What kind of reads.
    pub kind: ReadKind,
    /// Which qualities the instrument reports.
    pub qualities: QualityProfile,
    /// Sequencing errors, as a multiple of what the qualities promise.
    pub error_rate: f64,
    /// How often what happens.
    pub shares: Shares,
    /// The name of the sample.
    pub sample: String,
}

/// Kinds of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    /// Pairs of reads of so many bases, from 50 to 500.
    Paired(u32),
    /// Single reads of 10,000 to 20,000 bases with frequent small insertions and deletions.
    Long,
}

/// Shares between 0 and 1; of templates unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Marked as duplicates of the template before.
    pub duplicates: f64,
    /// With one mate unmapped.
    pub mate_unmapped: f64,
    /// With neither mate mapped: the pairs at the end.
    pub unplaced: f64,
    /// With mates further apart than they should be; of these, a tenth on another contig.
    pub distant_mates: f64,
    /// Of reads: with an end that does not align.
    pub soft_clipped: f64,
    /// Of reads: split, with a supplementary alignment.
    pub supplementary: f64,
    /// Of reads: with a secondary alignment.
    pub secondary: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            duplicates: 0.08,
            mate_unmapped: 0.006,
            unplaced: 0.005,
            distant_mates: 0.01,
            soft_clipped: 0.05,
            supplementary: 0.005,
            secondary: 0.003,
        }
    }
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            reads: 100_000,
            contigs: human_like(11_500_000),
            kind: ReadKind::Paired(150),
            qualities: QualityProfile::default(),
            error_rate: 1.0,
            shares: Shares::default(),
            sample: "simulated".into(),
        }
    }
}

/// Four contigs, named like human ones, of together about so many bases: `chr1` with nearly half of
/// them, `chr2`, `chr20`, `chrX`; and `chrM` with its 16,569 bases.
pub fn human_like(bases: u64) -> Vec<Contig> {
    let part = |name: &str, share| Contig {
        name: name.into(),
        length: (bases / 100).saturating_mul(share).max(20_000),
        md5: None,
    };
    let mut contigs = vec![part("chr1", 44), part("chr2", 26), part("chr20", 17), part("chrX", 13)];
    contigs.push(Contig { name: "chrM".into(), length: 16_569, md5: None });
    contigs
}
