//! Raw LZ4 blocks, as the LZ4 block format describes them: no frame, no checksum.
//!
//! A block is a run of sequences: a token, literals, and a match, which repeats bytes that came up
//! to 65,535 bytes before. The last sequence has literals only.

use crate::error::{Error, Result};

/// The shortest match.
const MIN_MATCH: usize = 4;

/// Inflates `block` into all of `out`.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where the block is damaged, or inflates to another
/// number of bytes.
pub(super) fn inflate(block: &[u8], out: &mut [u8]) -> Result<()> {
    let mut rest = block;
    let mut end = 0;
    loop {
        let token = usize::from(byte(&mut rest)?);
        let literals = length(token >> 4, &mut rest)?;
        let (copied, after) = rest.split_at_checked(literals).ok_or_else(damaged)?;
        let place = out.get_mut(end..).and_then(|free| free.get_mut(..literals));
        place.ok_or_else(damaged)?.copy_from_slice(copied);
        end += literals;
        rest = after;
        if rest.is_empty() {
            return if end == out.len() { Ok(()) } else { Err(damaged()) };
        }
        let distance = usize::from(byte(&mut rest)?) | usize::from(byte(&mut rest)?) << 8;
        let count = length(token & 15, &mut rest)?.checked_add(MIN_MATCH).ok_or_else(damaged)?;
        if distance == 0 || distance > end || count > out.len() - end {
            return Err(damaged());
        }
        let start = end - distance;
        if distance >= count {
            out.copy_within(start..start + count, end);
        } else {
            // The match runs into the bytes it makes.
            for at in 0..count {
                out[end + at] = out[start + at];
            }
        }
        end += count;
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8> {
    let (&first, after) = rest.split_first().ok_or_else(damaged)?;
    *rest = after;
    Ok(first)
}

/// A length of four bits, which 15 continues in further bytes.
fn length(bits: usize, rest: &mut &[u8]) -> Result<usize> {
    let mut length = bits;
    if bits == 15 {
        loop {
            let more = byte(rest)?;
            length += usize::from(more);
            if more < 255 {
                break;
            }
        }
    }
    Ok(length)
}

fn damaged() -> Error {
    Error::corrupt("an LZ4 block cannot be inflated")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn test_inflate_copies_literals_and_overlapping_matches() {
        // "ab", then 10 bytes from 2 back, then "!".
        let block = [0x26, b'a', b'b', 2, 0, 0x10, b'!'];
        let mut out = [0; 13];
        inflate(&block, &mut out).unwrap();
        assert_eq!(&out, b"abababababab!");
        for wrong in [12, 14] {
            assert!(inflate(&block, &mut vec![0; wrong]).is_err());
        }
        for cut in 0..block.len() {
            assert!(inflate(&block[..cut], &mut out).is_err(), "{cut}");
        }
        assert!(inflate(&[0x20, b'a', b'b', 3, 0], &mut out).is_err(), "a match before the start");
        inflate(&[0], &mut []).unwrap();
    }

    #[test]
    fn test_inflate_reads_long_lengths() {
        let mut block = vec![0xf0, 255, 30];
        block.extend(vec![b'x'; 15 + 255 + 30]);
        let mut out = vec![0; 300];
        inflate(&block, &mut out).unwrap();
        assert_eq!(out, vec![b'x'; 300]);
    }

    proptest! {
        #[test]
        fn test_inflate_never_panics(block in prop::collection::vec(any::<u8>(), 0..200), size in 0..400_usize) {
            let _ = inflate(&block, &mut vec![0; size]);
        }
    }
}
