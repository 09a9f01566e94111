//! Reading and writing the numbers inside a stream.

use crate::error::{Error, Result};

/// Appends `value` as LEB128: seven bits a byte, low bits first, high bit set on all but the last.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as LEB128 after folding the sign into the low bit: 0, -1, 1, -2, …
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Walks over a stream; every step past its end is an error.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`; `what` names the stream in errors.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.short())?;
        self.at += 1;
        Ok(byte)
    }

    /// The next unsigned number.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::corrupt(format!("stream {}: a number has more than 64 bits", self.what)))
    }

    /// The next signed number.
    #[inline]
    pub(super) fn zigzag(&mut self) -> Result<i64> {
        let folded = self.varint()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// The next number, which must fit `T`.
    #[inline]
    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let value = self.varint()?;
        T::try_from(value).map_err(|_| self.wrong(value))
    }

    /// The next signed number, which must fit `T`.
    #[inline]
    pub(super) fn signed<T: TryFrom<i64>>(&mut self) -> Result<T> {
        let value = self.zigzag()?;
        T::try_from(value).map_err(|_| self.wrong(value))
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or_else(|| self.short())?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.short())?;
        self.at = end;
        Ok(taken)
    }

    /// The bytes up to the next NUL, which is passed over.
    #[inline]
    pub(super) fn until_nul(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let len = memchr::memchr(0, rest).ok_or_else(|| self.short())?;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    /// How many bytes are ahead.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all has been read.
    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Fails unless all has been read.
    pub(super) fn finish(self) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        Err(Error::corrupt(format!("stream {} is longer than its records need", self.what))
            .expected(format!("{} bytes", self.at))
            .found(format!("{} bytes", self.bytes.len())))
    }

    #[cold]
    fn short(&self) -> Error {
        Error::corrupt(format!("stream {} ends too early", self.what))
            .found(format!("{} bytes", self.bytes.len()))
    }

    #[cold]
    fn wrong(&self, value: impl std::fmt::Display) -> Error {
        Error::corrupt(format!("stream {}: the number {value} is out of bounds", self.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn test_cursor_reads_what_was_put(numbers: Vec<(u64, i64)>) {
            let mut out = Vec::new();
            for &(unsigned, signed) in &numbers {
                put_varint(&mut out, unsigned);
                put_zigzag(&mut out, signed);
            }
            let mut cursor = Cursor::new(&out, "test");
            for &(unsigned, signed) in &numbers {
                prop_assert_eq!(cursor.varint().unwrap(), unsigned);
                prop_assert_eq!(cursor.zigzag().unwrap(), signed);
            }
            prop_assert!(cursor.finish().is_ok());
        }

        #[test]
        fn test_cursor_never_panics(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes, "test");
            while cursor.varint().is_ok() {}
        }
    }
}
