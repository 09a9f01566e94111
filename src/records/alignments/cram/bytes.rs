//! The numbers of CRAM (specification §2.3): fixed little-endian, ITF8 and LTF8.

use crate::error::{Error, Result};

/// Where numbers are read from.
pub(super) trait Numbers {
    /// The next byte.
    fn u8(&mut self) -> Result<u8>;

    /// Four bytes, the lowest first.
    fn u32_le(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]))
    }

    /// Up to five bytes; the count of leading ones in the first says how many follow.
    fn itf8(&mut self) -> Result<i32> {
        let first = self.u8()?;
        let following = first.leading_ones().min(4);
        let mut value = match following {
            4 => u32::from(first & 0x0f),
            n => u32::from(first) & (0x7f >> n),
        };
        for index in 0..following {
            let byte = u32::from(self.u8()?);
            // Of a fifth byte only half is used.
            value = if index == 3 { value << 4 | byte & 0x0f } else { value << 8 | byte };
        }
        Ok(value as i32)
    }

    /// An ITF8 number that cannot be negative.
    fn length(&mut self) -> Result<usize> {
        let value = self.itf8()?;
        usize::try_from(value).map_err(|_| {
            Error::input("a length is negative")
                .found(value)
                .help("the file is damaged; make it again")
        })
    }

    /// Up to nine bytes.
    fn ltf8(&mut self) -> Result<i64> {
        let first = self.u8()?;
        let following = first.leading_ones();
        let mut value = if following >= 7 { 0 } else { u64::from(first) & (0x7f >> following) };
        for _ in 0..following {
            value = value << 8 | u64::from(self.u8()?);
        }
        Ok(value as i64)
    }
}

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(ended)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl Numbers for Bytes<'_> {
    fn u8(&mut self) -> Result<u8> {
        let (&first, rest) = self.0.split_first().ok_or_else(ended)?;
        self.0 = rest;
        Ok(first)
    }
}

fn ended() -> Error {
    Error::input("the data ends too early").help("the file is damaged; make it again")
}

/// Appends an ITF8 number.
pub(super) fn push_itf8(out: &mut Vec<u8>, value: i32) {
    let value = value as u32;
    let bytes = value.to_be_bytes();
    match value {
        0..0x80 => out.push(bytes[3]),
        0x80..0x4000 => out.extend_from_slice(&[bytes[2] | 0x80, bytes[3]]),
        0x4000..0x20_0000 => out.extend_from_slice(&[bytes[1] | 0xc0, bytes[2], bytes[3]]),
        0x20_0000..0x1000_0000 => {
            out.extend_from_slice(&[bytes[0] | 0xe0, bytes[1], bytes[2], bytes[3]]);
        }
        _ => {
            let shifted = (value >> 4).to_be_bytes();
            out.extend_from_slice(&[0xf0 | shifted[0] & 0x0f, shifted[1], shifted[2], shifted[3]]);
            out.push(bytes[3] & 0x0f);
        }
    }
}

/// Appends an LTF8 number.
pub(super) fn push_ltf8(out: &mut Vec<u8>, value: u64) {
    let bits = 64 - value.leading_zeros();
    // Each byte after the first adds seven bits, the ninth eight.
    let following = match bits {
        57.. => 8,
        _ => (bits.max(1) - 1) / 7,
    };
    let bytes = value.to_be_bytes();
    let first_byte = 8usize.saturating_sub(following as usize);
    let prefix = !(0xffu16 >> following) as u8;
    let high = if first_byte == 0 { 0 } else { bytes[first_byte - 1] };
    out.push(prefix | high);
    out.extend_from_slice(&bytes[first_byte..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn test_itf8_comes_back(value in any::<i32>(), shift in 0u32..32) {
            let value = (value as u32 >> shift) as i32;
            let mut bytes = Vec::new();
            push_itf8(&mut bytes, value);
            let mut reader = Bytes(&bytes);
            prop_assert_eq!(reader.itf8().unwrap(), value);
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn test_ltf8_comes_back(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            push_ltf8(&mut bytes, value);
            let mut reader = Bytes(&bytes);
            prop_assert_eq!(reader.ltf8().unwrap() as u64, value);
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn test_numbers_survive_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
            let _ = Bytes(&bytes).itf8();
            let _ = Bytes(&bytes).ltf8();
        }
    }

    #[test]
    fn test_itf8_has_the_forms_of_the_specification() {
        let cases: [(i32, &[u8]); 5] = [
            (127, &[0x7f]),
            (128, &[0x80, 0x80]),
            (0x4000, &[0xc0, 0x40, 0x00]),
            (0x1000_0000, &[0xf1, 0x00, 0x00, 0x00, 0x00]),
            (-1, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, expected) in cases {
            let mut bytes = Vec::new();
            push_itf8(&mut bytes, value);
            assert_eq!(bytes, expected);
        }
    }
}
