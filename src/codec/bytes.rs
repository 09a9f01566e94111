//! Reading from the front of a byte slice, with errors in place of panics.

use crate::error::{Error, Result};

pub(super) fn take_u8(bytes: &mut &[u8]) -> Result<u8> {
    let (&first, rest) = bytes.split_first().ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(first)
}

pub(super) fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(len).ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(front)
}

pub(super) fn cut_off() -> Error {
    Error::corrupt("compressed stream ends early")
}
