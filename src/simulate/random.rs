//! Pseudo-random numbers that are the same everywhere.

/// The SplitMix64 generator: a counter, and a function that scatters it.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(scatter(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// A number from 0 to `bound - 1`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True once in `count` times.
    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// A number that is roughly normal, as the sum of four even ones.
    pub(super) fn around(&mut self, mean: u64, deviation: u64) -> u64 {
        // Each of the four has a variance of range²/12, so their sum range²/3.
        let range = deviation * 1_732 / 1_000;
        let sum: u64 = (0..4).map(|_| self.below(range)).sum();
        (mean + sum).saturating_sub(2 * range)
    }
}

/// Mixes all bits into all bits.
pub(super) fn scatter(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
