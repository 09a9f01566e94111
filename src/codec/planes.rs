//! Numbers of a fixed width, the bytes of one place together.

use super::bytes::{take_slice, take_u8};
use super::{Codec, Effort, Nature, decode as decode_stream, encode_as, varint};
use crate::error::{Error, Result};

/// The width, then for each place: codec, length, bytes.
pub(super) fn encode(data: &[u8], width: u8, effort: Effort) -> Option<Vec<u8>> {
    let mut out = vec![width];
    for place in 0..usize::from(width) {
        let plane: Vec<u8> = data.iter().skip(place).step_by(usize::from(width)).copied().collect();
        let coded = encode_as(&plane, Nature::Bytes, effort);
        out.push(coded.codec as u8);
        varint::put(&mut out, coded.bytes.len() as u64);
        out.extend(coded.bytes);
        if out.len() >= data.len() {
            return None;
        }
    }
    Some(out)
}

pub(super) fn decode(mut bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let width = usize::from(take_u8(&mut bytes)?);
    if width < 2 {
        return Err(Error::corrupt("width of numbers is out of range").found(width));
    }
    let mut out = vec![0; raw_len];
    for place in 0..width {
        let codec = Codec::from_u8(take_u8(&mut bytes)?)?;
        // Planes of planes would let a small stream ask for endless work.
        if codec == Codec::Planes {
            return Err(Error::corrupt("planes of a stream are themselves in planes"));
        }
        let left = bytes.len();
        let coded_len = varint::take_len(&mut bytes, left)?;
        let coded = take_slice(&mut bytes, coded_len)?;
        let plane_len = raw_len.saturating_sub(place).div_ceil(width);
        let plane = decode_stream(codec, coded, plane_len)?;
        for (slot, byte) in out.iter_mut().skip(place).step_by(width).zip(plane) {
            *slot = byte;
        }
    }
    if !bytes.is_empty() {
        return Err(Error::corrupt("bytes are left after the planes of a stream"));
    }
    Ok(out)
}
