//! Base qualities that run and compress like those of real instruments.
//!
//! Each quality depends on the one before, the cycle, and how good the read is as a whole. The
//! dependence is a table of 256 equally likely outcomes, so that one random byte makes a quality.

use super::random::Random;

/// Which qualities an instrument reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QualityProfile {
    /// HiSeq 2000 and before: each value from 2 to 41.
    Hiseq40,
    /// HiSeq 4000 and X: eight values.
    Binned8,
    /// NovaSeq: 2, 11, 25 and 37.
    #[default]
    Binned4,
}

/// Parts of the read, from its first cycle to its last.
const PARTS: usize = 8;
/// Good, middling and bad reads.
const GRADES: usize = 3;

#[derive(Clone, Debug)]
pub(super) struct QualityModel {
    values: Vec<u8>,
    /// By grade, part and previous state; each of 256 outcomes is a state.
    outcomes: Vec<[u8; 256]>,
}

impl QualityModel {
    pub(super) fn new(profile: QualityProfile) -> Self {
        let values: Vec<u8> = match profile {
            QualityProfile::Hiseq40 => (2..=41).collect(),
            QualityProfile::Binned8 => vec![2, 11, 16, 22, 27, 32, 37, 42],
            QualityProfile::Binned4 => vec![2, 11, 25, 37],
        };
        let mut outcomes = Vec::with_capacity(GRADES * PARTS * values.len());
        for grade in 0..GRADES {
            for part in 0..PARTS {
                for previous in 0..values.len() {
                    let weights: Vec<u64> = (0..values.len())
                        .map(|state| match profile {
                            QualityProfile::Hiseq40 => smooth(grade, part, previous, state),
                            QualityProfile::Binned8 => binned(grade, part, previous, state, 8, 30),
                            QualityProfile::Binned4 => {
                                binned(grade, part, previous, state, 4, 2_200)
                            }
                        })
                        .collect();
                    outcomes.push(share_out(&weights));
                }
            }
        }
        Self { values, outcomes }
    }

    /// Appends `len` qualities in the order of cycles; later reads of a template are worse.
    pub(super) fn fill(&self, random: &mut Random, is_second: bool, len: usize, out: &mut Vec<u8>) {
        let states = self.values.len();
        let dice = random.below(100) + if is_second { 6 } else { 0 };
        let grade = match dice {
            0..80 => 0,
            80..96 => 1,
            _ => 2,
        };
        let mut state = states - 1;
        let start = out.len();
        out.resize(start + len, 0);
        let out = &mut out[start..];
        for part in 0..PARTS {
            let tables = &self.outcomes[(grade * PARTS + part) * states..][..states];
            let cycles = part * len / PARTS..(part + 1) * len / PARTS;
            for qualities in out[cycles].chunks_mut(8) {
                for (quality, outcome) in qualities.iter_mut().zip(random.next().to_le_bytes()) {
                    state = usize::from(tables[state][usize::from(outcome)]);
                    *quality = self.values[state];
                }
            }
        }
    }
}

/// Forty values: near the previous one, drawn to a mean that falls along the read.
fn smooth(grade: usize, part: usize, previous: usize, state: usize) -> u64 {
    const MEANS: [[i64; PARTS]; GRADES] = [
        [35, 38, 39, 39, 39, 38, 37, 36],
        [32, 35, 35, 34, 33, 31, 28, 25],
        [26, 28, 26, 22, 17, 12, 6, 2],
    ];
    let (state, previous) = (state as i64, previous as i64);
    // Q2 is a verdict over the rest of a read rather than a measurement.
    if previous == 0 && grade > 0 {
        return u64::from(state == 0) * 1_000 + u64::from(state > 20);
    }
    let target = (2 * previous + MEANS[grade][part] - 2) / 3;
    let distance = (state - target).abs();
    // As on real instruments, odd values of a stretch come more often than even ones.
    let preference = 2 + u64::from((state * 7 + 3) % 4 == 0) * 5;
    let near = 40_000 * preference / (12 + distance * distance) as u64;
    near + u64::from(state == previous) * 3_000
}

/// Few values: mostly the previous one or the best, which weighs `calm`, with dips in between.
fn binned(
    grade: usize,
    part: usize,
    previous: usize,
    state: usize,
    states: usize,
    calm: u64,
) -> u64 {
    let best = states - 1;
    let worse = ((1 + grade * grade * 4) * (2 + part)) as u64;
    let down = (best - state) as u64;
    let mut weight = match down {
        0 => calm / (1 + grade as u64 * 2),
        _ => 8 * worse / (down * down),
    };
    if state == previous {
        weight += 6 * worse + 20;
    }
    // The lowest value lasts: the rest of the read is lost.
    if previous == 0 && state == 0 && grade == GRADES - 1 {
        weight += 100_000;
    }
    weight
}

/// Gives each state its share of 256 outcomes.
fn share_out(weights: &[u64]) -> [u8; 256] {
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let mut outcomes = [0; 256];
    let mut cumulated = 0;
    let mut from = 0;
    for (state, weight) in weights.iter().enumerate() {
        cumulated += weight;
        let to = (cumulated * 256 / total) as usize;
        outcomes[from..to].fill(state as u8);
        from = to;
    }
    outcomes
}
