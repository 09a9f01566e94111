//! A share of the templates, the same that `samtools view -s` takes on Linux.

use crate::error::{Error, Result};

/// Keeps a share of the templates, chosen by a hash of the read name, so that mates stay together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subsample {
    scramble: u32,
    /// Of 2²⁴.
    below: f64,
}

impl Subsample {
    /// Reads `SEED.FRACTION`: `35.25` keeps a quarter of the templates, chosen by seed 35.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for what is no decimal number, for a fraction of
    /// zero, which would keep nothing, and for a seed over 4,294,967,295.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::usage(format!("{text:?} is no share to keep"))
                .expected("SEED.FRACTION, as in 7.05 for 5 % of the templates chosen by seed 7")
        };
        let (seed, fraction) = text.split_once('.').ok_or_else(invalid)?;
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(seed) || !all_digits(fraction) {
            return Err(invalid());
        }
        let seed = if seed.is_empty() { 0 } else { seed.parse().map_err(|_| invalid())? };
        let share: f64 = format!("0.{fraction}").parse().map_err(|_| invalid())?;
        if share <= 0.0 {
            return Err(invalid().found("a share of zero"));
        }
        let scramble = if seed == 0 { 0 } else { first_random(seed) };
        Ok(Self { scramble, below: share * f64::from(1 << 24) })
    }

    /// Whether the template of this name is kept.
    pub fn keeps(&self, name: &[u8]) -> bool {
        f64::from(mix(hash(name) ^ self.scramble) & 0xff_ffff) < self.below
    }
}

/// X31: the hash of Java's strings.
fn hash(name: &[u8]) -> u32 {
    // Bytes beyond ASCII count as negative, as `char` does on x86.
    name.iter()
        .fold(0_u32, |hash, &byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte as i8) as u32))
}

/// Thomas Wang's mix of 32 bits.
fn mix(key: u32) -> u32 {
    let mut key = key;
    key = key.wrapping_add(!(key << 15));
    key ^= key >> 10;
    key = key.wrapping_add(key << 3);
    key ^= key >> 6;
    key = key.wrapping_add(!(key << 11));
    key ^ (key >> 16)
}

/// What `rand()` of the GNU C library returns first after `srand(seed)`: an additive feedback
/// generator over 31 words, of which the first 310 outputs are thrown away.
fn first_random(seed: u32) -> u32 {
    const DISCARDED: usize = 310;
    let mut words = vec![i64::from(seed as i32)];
    for at in 1..31 {
        let next = 16_807 * words[at - 1] % 0x7fff_ffff;
        words.push(if next < 0 { next + 0x7fff_ffff } else { next });
    }
    let mut words: Vec<u32> = words.into_iter().map(|word| word as u32).collect();
    words.extend_from_within(..3);
    for at in 34..=34 + DISCARDED {
        words.push(words[at - 31].wrapping_add(words[at - 3]));
    }
    words[34 + DISCARDED] >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_first_random_is_that_of_the_c_library() {
        // What `srand(seed); rand()` prints with glibc.
        for (seed, random) in [(1, 1_804_289_383), (2, 1_505_335_290), (42, 71_876_166)] {
            assert_eq!(first_random(seed), random);
        }
    }

    #[test]
    fn test_subsample_keeps_about_the_share_asked_for() {
        let subsample = Subsample::parse("35.25").unwrap();
        let kept = (0..10_000).filter(|n| subsample.keeps(format!("read{n}").as_bytes())).count();
        assert!((2_300..2_700).contains(&kept), "{kept}");
        assert_eq!(Subsample::parse(".25").unwrap(), Subsample::parse("0.250").unwrap());
    }

    #[test]
    fn test_subsample_refuses_shares_that_are_none() {
        for text in ["", "5", "1.0", "-1.5", "1.-5", "1.5e1", "x.5", "4294967296.5"] {
            assert!(Subsample::parse(text).is_err(), "{text}");
        }
    }
}
