//! What is said of a read's qualities.

use std::sync::OnceLock;

/// Parts of an expected error that sums are counted in.
const SCALE: f64 = (1_u64 << 34) as f64;

/// Errors expected of a quality, by its character, in those parts.
fn error_table() -> &'static [u64; 256] {
    static TABLE: OnceLock<[u64; 256]> = OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|byte| {
            let phred = (byte as f64 - 33.0).max(0.0);
            (10_f64.powf(-phred / 10.0) * SCALE).round() as u64
        })
    })
}

/// What is said of a read's qualities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The arithmetic mean, in steps of 1/64.
    pub average: f32,
    /// The sum of the error probabilities, to eight significant bits.
    pub expected_errors: f32,
}

impl Quality {
    /// Of qualities as FASTQ writes them, and their sum; `None` where there are none.
    pub fn of(qualities: &[u8]) -> Option<(Self, u64)> {
        if qualities.is_empty() {
            return None;
        }
        let table = error_table();
        // Several sums hide the time of an addition.
        let mut errors = [0_u64; 4];
        let (quads, rest) = qualities.as_chunks::<4>();
        for quad in quads {
            for (sum, &byte) in errors.iter_mut().zip(quad) {
                *sum += table[usize::from(byte)];
            }
        }
        let rest: u64 = rest.iter().map(|&byte| table[usize::from(byte)]).sum();
        let errors = errors.iter().sum::<u64>() + rest;
        let sum = sum_of(qualities);
        let length = qualities.len() as u64;
        let average = (sum * 64 + length / 2) / length;
        let bits = ((errors as f64 / SCALE) as f32).to_bits();
        let bits = bits.wrapping_add(0x8000) & 0xffff_0000;
        let expected_errors = f32::from_bits(bits);
        Some((Self { average: average as f32 / 64.0, expected_errors }, sum))
    }
}

/// The sum of the scores.
fn sum_of(qualities: &[u8]) -> u64 {
    let scores = |part: &[u8]| part.iter().map(|&b| u32::from(b.saturating_sub(33))).sum::<u32>();
    qualities.chunks(1 << 16).map(|part| u64::from(scores(part))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_quality_is_as_specified() {
        // Q20, Q10 and Q3: 11 on average, and 0.01 + 0.1 + 0.501 errors.
        let (quality, sum) = Quality::of(b"5+$").unwrap();
        assert_eq!((quality.average, sum), (11.0, 33));
        assert!((quality.expected_errors - 0.611_187).abs() < 0.002_5);
        assert_eq!(quality.expected_errors.to_bits() & 0xffff, 0);
        assert_eq!(Quality::of(b""), None);
        let (long, _) = Quality::of(&[b'~'; 100_000]).unwrap();
        assert_eq!(long.average, 93.0);
        assert!((long.expected_errors - 5.0e-5).abs() < 5.0e-6, "{}", long.expected_errors);
    }

    #[test]
    fn test_errors_lie_within_a_part_in_250_of_their_sum() {
        for length in 1..200 {
            let qualities: Vec<u8> = (0..length).map(|i| 33 + (i * 7 % 41) as u8).collect();
            let sum: f64 =
                qualities.iter().map(|&q| 10_f64.powf(-(f64::from(q) - 33.0) / 10.0)).sum();
            let found = f64::from(Quality::of(&qualities).unwrap().0.expected_errors);
            assert!((found - sum).abs() <= sum / 250.0, "{found} {sum}");
        }
    }
}
