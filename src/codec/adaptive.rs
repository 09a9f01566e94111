//! Adaptive binary modelling, for [`super::Effort::Archive`]: bits are predicted by several
//! counters at once, a small mixer weighs their opinions, and an arithmetic coder writes what the
//! prediction left open.
//!
//! The parts are those of the published context-mixing compressors (M. Mahoney, "Data compression
//! explained", chapters 4.1 and 4.3). Encoder and decoder share one model: it is written against
//! [`BitCoder`], which either takes bits or gives them.

use super::bytes::cut_off;
use crate::error::Result;

/// Writes bits, or reads them, at a given probability.
pub(super) trait BitCoder {
    /// Codes one bit whose probability of being 1 is `p / 65536`. The encoder takes `bit`; the
    /// decoder ignores it. Both return the bit.
    fn code(&mut self, bit: bool, p: u32) -> bool;
}

/// Carry-less arithmetic encoder: the interval [low, high] of 32 bits is cut in two for each bit,
/// and leading bytes that agree are written.
pub(super) struct Encoder {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { low: 0, high: u32::MAX, out: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.extend(self.low.to_be_bytes());
        self.out
    }
}

/// Where the interval is cut: 1 owns the lower part, up to and including this.
#[inline(always)]
fn cut(low: u32, high: u32, p: u32) -> u32 {
    low + ((u64::from(high - low) * u64::from(p)) >> 16) as u32
}

impl BitCoder for Encoder {
    #[inline(always)]
    fn code(&mut self, bit: bool, p: u32) -> bool {
        let middle = cut(self.low, self.high, p);
        if bit {
            self.high = middle
        } else {
            self.low = middle + 1
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
        }
        bit
    }
}

/// Reads what [`Encoder`] wrote.
pub(super) struct Decoder<'a> {
    low: u32,
    high: u32,
    code: u32,
    rest: &'a [u8],
    /// Bytes that were asked for after the last.
    missing: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { low: 0, high: u32::MAX, code: 0, rest: bytes, missing: 0 };
        (0..4).for_each(|_| decoder.shift());
        decoder
    }

    #[inline(always)]
    fn shift(&mut self) {
        let byte = match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => {
                self.missing += 1;
                0
            }
        };
        self.code = self.code << 8 | u32::from(byte);
    }

    /// Whether more bytes were asked for than there are: the rest would be made up.
    pub(super) fn is_past_end(&self) -> bool {
        self.missing > 0
    }

    /// Checks that all bytes were used, and no more.
    pub(super) fn finish(self) -> Result<()> {
        if self.missing > 0 || !self.rest.is_empty() { Err(cut_off()) } else { Ok(()) }
    }
}

impl BitCoder for Decoder<'_> {
    #[inline(always)]
    fn code(&mut self, _: bool, p: u32) -> bool {
        let middle = cut(self.low, self.high, p);
        let bit = self.code <= middle;
        if bit {
            self.high = middle
        } else {
            self.low = middle + 1
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
            self.shift();
        }
        bit
    }
}

/// 65536 / (1 + e^-x) for x = -12, -11.5 … 12: the logistic function in steps of one half.
const LOGISTIC: [u32; 49] = [
    0, 1, 1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812,
    11955, 17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816,
    65097, 65269, 65374, 65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535,
    65535, 65536,
];

/// Units of the logistic domain: 256 to 1.
const UNIT: i32 = 256;
/// The domain's end, at which the mixer is cut off.
const REACH: i32 = 12 * UNIT - 1;

/// Tables of the logistic function and its inverse.
pub(super) struct Logistic {
    /// Probability (16 bits) at `x + REACH`.
    squash: Vec<u16>,
    /// x of a probability of 12 bits.
    stretch: Box<[f32; 4096]>,
}

impl Logistic {
    pub(super) fn new() -> Self {
        let squash: Vec<u16> = (-REACH..=REACH)
            .map(|x| {
                let from_start = (x + 12 * UNIT) as u32;
                let (step, within) = ((from_start / 128) as usize, from_start % 128);
                let value = (LOGISTIC[step] * (128 - within) + LOGISTIC[step + 1] * within) / 128;
                value.clamp(32, 65536 - 32) as u16
            })
            .collect();
        // The least x at which squash reaches the middle of each twelve-bit step.
        let mut stretch = Box::new([0.0; 4096]);
        let mut x = 0;
        for (p, slot) in (0u32..).zip(stretch.iter_mut()) {
            while x < squash.len() - 1 && u32::from(squash[x]) < p * 16 + 8 {
                x += 1;
            }
            *slot = (x as i32 - REACH) as f32 / UNIT as f32;
        }
        Self { squash, stretch }
    }

    #[inline(always)]
    fn squash(&self, x: f32) -> u32 {
        let x = (x * UNIT as f32) as i32;
        let place = (x.clamp(-REACH, REACH) + REACH) as usize;
        self.squash.get(place).map_or(1 << 15, |&p| u32::from(p))
    }
}

/// How sure a counter may become: the inverse of its least rate of change.
const LIMIT: u32 = 255;

/// A bit's history in some context: probability in the upper 22 bits, and how often it was seen.
pub(super) type Counter = u32;

/// A counter that has seen nothing.
pub(super) const FRESH: Counter = 1 << 31;

/// 65536 / (n + 1.5), the rate of change of a counter that has seen `n` bits.
const RATES: [u32; LIMIT as usize + 1] = {
    let mut rates = [0; LIMIT as usize + 1];
    let mut n = 0;
    while n < rates.len() {
        rates[n] = (131_072 / (2 * n + 3)) as u32;
        n += 1;
    }
    rates
};

#[inline(always)]
fn learn(counter: &mut Counter, bit: bool) {
    let n = *counter & 0x3FF;
    let p = i64::from(*counter >> 10);
    let target = if bit { (1 << 22) - 1 } else { 0 };
    let rate = i64::from(RATES[(n & LIMIT) as usize]);
    let p = p + (((target - p) * rate) >> 16);
    *counter = (p as u32) << 10 | (n + 1).min(LIMIT);
}

/// Inputs of a mixer; its last is constant.
pub(super) const INPUTS: usize = 8;

/// Codes one bit: `counters` are its histories in up to seven contexts, `weights` the mixer's for
/// this situation. Everything learns from the outcome.
#[inline(always)]
pub(super) fn code_bit<C: BitCoder, const N: usize>(
    coder: &mut C,
    bit: bool,
    logistic: &Logistic,
    counters: [&mut Counter; N],
    weights: &mut [f32; INPUTS],
    rate: f32,
) -> bool {
    let mut inputs = [0f32; INPUTS];
    for (input, counter) in inputs.iter_mut().zip(&counters) {
        *input = logistic.stretch[(**counter >> 20) as usize];
    }
    inputs[INPUTS - 1] = 0.25;
    let mut sums = [0f32; 4];
    for lane in 0..4 {
        sums[lane] = inputs[lane] * weights[lane] + inputs[lane + 4] * weights[lane + 4];
    }
    let p = logistic.squash((sums[0] + sums[2]) + (sums[1] + sums[3]));
    let bit = coder.code(bit, p);
    let error = (if bit { 65536.0 } else { 0.0 } - p as f32) * (rate / 65536.0);
    for (weight, input) in weights.iter_mut().zip(&inputs) {
        *weight += error * input;
    }
    for counter in counters {
        learn(counter, bit);
    }
    bit
}
