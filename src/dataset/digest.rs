//! Checksums of objects, and the digest by which a manifest vouches for its own bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The SHA-256 of some bytes; written `sha256:` and 64 lower-case hexadecimal digits.
///
/// ```
/// use genomic_objects::dataset::Checksum;
///
/// let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// assert_eq!(Checksum::of(b"").to_string(), empty);
/// assert_eq!(empty.parse::<Checksum>()?, Checksum::of(b""));
/// # Ok::<(), genomic_objects::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Wraps a SHA-256 computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.strip_prefix("sha256:").and_then(parse_hex).map(Self).ok_or_else(|| {
            Error::corrupt("not a checksum").expected("'sha256:' and 64 lower-case hex digits")
        })
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not a checksum 'sha256:<64 hex digits>'"))
    }
}

/// Bytes from lower-case hexadecimal digits, exactly as many as fit.
pub(super) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

const BEFORE: &[u8] = b"\"digest\": \"sha256:";
const AFTER: &[u8] = b"\"\n}\n";
const DIGITS: usize = 64;

/// Ends the JSON object that `text` is the beginning of (up to and without its last member) with
/// the digest of the whole: the SHA-256 of the file with 64 zeros in place of its own digits.
pub(super) fn seal(mut text: Vec<u8>) -> (Vec<u8>, Checksum) {
    text.extend_from_slice(b"  ");
    text.extend_from_slice(BEFORE);
    let at = text.len();
    text.resize(at + DIGITS, b'0');
    text.extend_from_slice(AFTER);
    let digest = Checksum::of(&text);
    let hex = digest.to_string();
    text[at..at + DIGITS].copy_from_slice(&hex.as_bytes()[hex.len() - DIGITS..]);
    (text, digest)
}

/// Checks that a sealed file is as it was written, and returns its digest.
pub(super) fn check_seal(text: &[u8]) -> Result<Checksum> {
    let damaged = || {
        Error::corrupt("the manifest is damaged: its digest does not match its bytes")
            .help("restore the object from a copy of the dataset")
    };
    let head = text.strip_suffix(AFTER).ok_or_else(damaged)?;
    let (head, digits) =
        head.split_at_checked(head.len().wrapping_sub(DIGITS)).ok_or_else(damaged)?;
    if !head.ends_with(BEFORE) {
        return Err(damaged());
    }
    let claimed: [u8; 32] =
        std::str::from_utf8(digits).ok().and_then(parse_hex).ok_or_else(damaged)?;
    let mut hasher = Sha256::new();
    hasher.update(head);
    hasher.update([b'0'; DIGITS]);
    hasher.update(AFTER);
    let found: [u8; 32] = hasher.finalize().into();
    if found != claimed {
        return Err(damaged());
    }
    Ok(Checksum(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_seal_detects_every_changed_byte() {
        let (sealed, digest) = seal(b"{\n  \"a\": 1,\n".to_vec());
        assert_eq!(check_seal(&sealed).unwrap(), digest);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                assert!(check_seal(&bad).is_err(), "byte {at} bit {bit}");
            }
            assert!(check_seal(&sealed[..at]).is_err());
        }
        assert!(check_seal(&[sealed.clone(), b"\n".to_vec()].concat()).is_err());
    }

    #[test]
    fn test_checksum_text_has_one_form() {
        let text = Checksum::of(b"x").to_string();
        assert!(text.parse::<Checksum>().is_ok());
        for bad in [&text[1..], &text.to_uppercase(), &text[..70], "", "sha256:", "md5:00"] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }
}
