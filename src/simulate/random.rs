//! Random numbers that are the same everywhere and in every version.
//!
//! xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64. Only integer arithmetic, and
//! floating-point operations that IEEE 754 defines to the last bit: results do not depend on the
//! platform.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random([u64; 4]);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let word = |n: u64| mix(seed.wrapping_add(n.wrapping_mul(GOLDEN)));
        Self([word(1), word(2), word(3), word(4)])
    }

    pub(super) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number from 0 up to but excluding `bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((self.next() >> 32) * u64::from(bound) >> 32) as u32
    }

    /// A number in `low..high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low))
    }

    pub(super) fn happens(&mut self, chance: Chance) -> bool {
        self.next() >> 32 < chance.0
    }

    /// Roughly normal: the sum of four uniform numbers, which never leaves 3.5 deviations.
    pub(super) fn bell(&mut self, mean: u32, deviation: u32) -> u32 {
        let bits = self.next();
        let sum: i64 = (0..4).map(|at| i64::from((bits >> (16 * at)) as u16)).sum();
        // The sum has mean 2¹⁷ and deviation 2¹⁶ / √3.
        let offset = (sum - (1 << 17)) * 1_732 / 1_000 * i64::from(deviation) >> 16;
        (i64::from(mean) + offset).max(0) as u32
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of a number: the finisher of SplitMix64.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random number that belongs to a place.
pub(super) fn hash(seed: u64, contig: u32, place: u64) -> u64 {
    mix(mix(seed ^ u64::from(contig).wrapping_mul(GOLDEN)) ^ place.wrapping_mul(GOLDEN))
}

/// How often something happens, of 2³².
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64)
    }
}
