//! Reading the numbers and bytes inside a stream, with the stream's name in every error.

use super::varint;
use crate::error::{Error, Result};

/// Walks over a stream; every step past its end is an error.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`; `what` names the stream in errors.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.short())?;
        self.at += 1;
        Ok(byte)
    }

    /// The next unsigned number.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        self.with_rest(varint::take)
    }

    /// The next signed number.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64> {
        self.with_rest(varint::take_signed)
    }

    #[inline]
    fn with_rest<T>(&mut self, take: impl FnOnce(&mut &'a [u8]) -> Result<T>) -> Result<T> {
        let mut rest = &self.bytes[self.at..];
        let value = take(&mut rest).map_err(|error| error.at(format!("stream {}", self.what)))?;
        self.at = self.bytes.len() - rest.len();
        Ok(value)
    }

    /// The next number, which must fit `T`.
    #[inline]
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let value = self.varint()?;
        T::try_from(value).map_err(|_| self.wrong(value))
    }

    /// The next signed number, which must fit `T`.
    #[inline]
    pub fn signed<T: TryFrom<i64>>(&mut self) -> Result<T> {
        let value = self.zigzag()?;
        T::try_from(value).map_err(|_| self.wrong(value))
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or_else(|| self.short())?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.short())?;
        self.at = end;
        Ok(taken)
    }

    /// The bytes up to the next NUL, which is passed over.
    #[inline]
    pub fn until_nul(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let len = memchr::memchr(0, rest).ok_or_else(|| self.short())?;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    /// How many bytes are ahead.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Fails unless all has been read.
    pub fn finish(self) -> Result<()> {
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
                varint::put(&mut out, unsigned);
                varint::put_signed(&mut out, signed);
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
