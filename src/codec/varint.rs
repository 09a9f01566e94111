//! Integers of variable length: LEB128, and zigzag for signed ones.
//!
//! Seven bits a byte, lowest first; the top bit says that another byte follows. A value is read
//! back from its shortest form only, so that equal numbers have equal bytes.

use crate::error::{Error, Result};

/// Bytes that a `u64` takes at most.
pub const MAX_LEN: usize = 10;

/// Appends `value` in 1 to 10 bytes.
///
/// ```
/// use genomic_objects::codec::varint;
///
/// let mut bytes = Vec::new();
/// varint::put(&mut bytes, 300);
/// varint::put_signed(&mut bytes, -2);
/// assert_eq!(bytes, [0xAC, 0x02, 0x03]);
///
/// let mut rest = bytes.as_slice();
/// assert_eq!(varint::take(&mut rest)?, 300);
/// assert_eq!(varint::take_signed(&mut rest)?, -2);
/// assert!(rest.is_empty());
/// # Ok::<(), genomic_objects::Error>(())
/// ```
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` so that numbers near zero of either sign are short: 0, -1, 1, -2 … become
/// 0, 1, 2, 3 ….
#[inline]
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Reads a number from the front of `bytes` and moves past it.
///
/// # Errors
/// `Corrupt` when the bytes end within the number, it exceeds 64 bits, or a shorter form exists.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Result<u64> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first))
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if i == MAX_LEN - 1 && bits > 1 {
            break;
        }
        value |= bits << (7 * i);
        if byte < 0x80 {
            if byte == 0 && i > 0 {
                return Err(Error::corrupt("variable-length integer has superfluous bytes"));
            }
            *bytes = bytes.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(Error::corrupt("variable-length integer is cut off or exceeds 64 bits"))
}

/// Reads what [`put_signed`] wrote.
///
/// # Errors
/// As [`take`].
#[inline]
pub fn take_signed(bytes: &mut &[u8]) -> Result<i64> {
    take(bytes).map(unzigzag)
}

/// Reads a number that says how many bytes, or items, follow.
///
/// # Errors
/// As [`take`]; also `Corrupt` when it exceeds `limit`.
#[inline]
pub fn take_len(bytes: &mut &[u8], limit: usize) -> Result<usize> {
    let value = take(bytes)?;
    match usize::try_from(value) {
        Ok(len) if len <= limit => Ok(len),
        _ => Err(Error::corrupt("length is out of range")
            .expected(format_args!("at most {limit}"))
            .found(value)),
    }
}

/// Maps 0, -1, 1, -2 … to 0, 1, 2, 3 ….
#[inline]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn test_take_rejects_cut_off_overlong_and_oversized() {
        for bytes in [&[][..], &[0x80], &[0x80, 0x00], &[0xFF; 10], &[0xFF; 11]] {
            let mut rest = bytes;
            assert!(take(&mut rest).is_err(), "{bytes:?}");
            assert_eq!(rest, bytes, "a failed read must not move");
        }
        let mut largest = Vec::new();
        put(&mut largest, u64::MAX);
        assert_eq!(largest.len(), MAX_LEN);
        assert_eq!(take(&mut largest.as_slice()).unwrap(), u64::MAX);
    }

    #[test]
    fn test_take_len_enforces_the_limit() {
        assert_eq!(take_len(&mut &[5u8][..], 5).unwrap(), 5);
        assert!(take_len(&mut &[6u8][..], 5).is_err());
    }

    proptest! {
        #[test]
        fn test_put_take_round_trip(values: Vec<u64>, signed: Vec<i64>) {
            let mut bytes = Vec::new();
            values.iter().for_each(|&v| put(&mut bytes, v));
            signed.iter().for_each(|&v| put_signed(&mut bytes, v));
            let mut rest = bytes.as_slice();
            for &v in &values {
                prop_assert_eq!(take(&mut rest).unwrap(), v);
            }
            for &v in &signed {
                prop_assert_eq!(take_signed(&mut rest).unwrap(), v);
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn test_take_never_panics(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while take(&mut rest).is_ok() {}
        }
    }
}
