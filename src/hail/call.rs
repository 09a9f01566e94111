//! Genotypes: packed in an integer, given as text such as `0/1`.

use std::io::Write as _;

use crate::error::{Error, Result};

/// Appends a call as Hail prints it: `0/1`, `2|5`, `1`, `|1`, `-`, `|-`.
///
/// Bit 0 says whether it is phased, bits 1 and 2 are its ploidy, the others number the genotype.
pub(super) fn push_text(call: i32, out: &mut Vec<u8>) -> Result<()> {
    let bits = call as u32;
    let (phased, ploidy, number) = (bits & 1 == 1, bits >> 1 & 3, bits >> 3);
    let bar = if phased { "|" } else { "" };
    // Writing into a vector cannot fail.
    let _ = match ploidy {
        0 => write!(out, "{bar}-"),
        1 => write!(out, "{bar}{number}"),
        2 => {
            let (j, k) = pair(number);
            if phased { write!(out, "{j}|{}", k - j) } else { write!(out, "{j}/{k}") }
        }
        _ => return Err(Error::corrupt("a call has a ploidy above 2").found(ploidy)),
    };
    Ok(())
}

/// The pair j <= k that has this number: k (k + 1) / 2 + j.
fn pair(number: u32) -> (u32, u32) {
    let first = |k: u32| u64::from(k) * (u64::from(k) + 1) / 2;
    let mut k = ((f64::from(number) * 8.0 + 1.0).sqrt() / 2.0 - 0.5) as u32;
    while first(k) > u64::from(number) {
        k -= 1;
    }
    while first(k + 1) <= u64::from(number) {
        k += 1;
    }
    ((u64::from(number) - first(k)) as u32, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_pair_inverts_the_numbering() {
        let mut number = 0;
        for k in 0..300 {
            for j in 0..=k {
                assert_eq!(pair(number), (j, k));
                number += 1;
            }
        }
        let (j, k) = pair(u32::MAX >> 3);
        assert!(j <= k);
    }

    #[test]
    fn test_push_text_prints_every_kind() {
        let text = |call: i32| {
            let mut out = Vec::new();
            push_text(call, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(text(0).unwrap(), "-");
        assert_eq!(text(1).unwrap(), "|-");
        assert_eq!(text(4 << 3 | 2).unwrap(), "4");
        assert_eq!(text(4 << 3 | 3).unwrap(), "|4");
        assert_eq!(text(1 << 3 | 4).unwrap(), "0/1");
        assert_eq!(text(2 << 3 | 5).unwrap(), "1|0");
        assert_eq!(text(-1 << 3 | 4).unwrap(), "16383/32767", "the greatest number");
        assert!(text(6).is_err());
    }
}
