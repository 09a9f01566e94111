//! Typed values: a byte of type and length, then numbers or characters.
//!
//! The type is in the lower four bits, the length in the upper four; length 15 means that the
//! length follows as a typed integer.

use crate::error::{Error, Result};
use crate::records::float::push_float;

/// The bits of a float that is missing, and of one that ends a vector early.
pub(super) const FLOAT_MISSING: u32 = 0x7f80_0001;
pub(super) const FLOAT_END: u32 = 0x7f80_0002;
/// Integers of each width have eight values for other uses; 32 bits hold no value below this.
pub(super) const LEAST: i32 = i32::MIN + 8;
/// What is missing, and what ends a vector early, as the encoder holds integers.
pub(super) const MISSING: i32 = i32::MIN;
pub(super) const END: i32 = i32::MIN + 1;

/// What a value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null = 0,
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Float = 5,
    Char = 7,
}

impl Type {
    fn of(code: u8) -> Result<Self> {
        Ok(match code {
            0 => Self::Null,
            1 => Self::Int8,
            2 => Self::Int16,
            3 => Self::Int32,
            5 => Self::Float,
            7 => Self::Char,
            _ => {
                return Err(Error::input("a value has a type that BCF does not have")
                    .expected("0, 1, 2, 3, 5 or 7")
                    .found(code));
            }
        })
    }

    /// Bytes of one element.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Int8 | Self::Char => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float => 4,
        }
    }
}

/// What is left to read of a record.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.0.split_at_checked(count) else {
            return Err(Error::input("a value reaches beyond its record")
                .expected(format!("{count} bytes"))
                .found(format!("{} bytes", self.0.len())));
        };
        self.0 = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The type of the value that follows, and how many elements it has.
    pub(super) fn descriptor(&mut self) -> Result<(Type, usize)> {
        let byte = self.byte()?;
        let kind = Type::of(byte & 15)?;
        let length = match byte >> 4 {
            15 => {
                let length = self.integer()?;
                usize::try_from(length)
                    .map_err(|_| Error::input("a length is negative").found(length))?
            }
            length => usize::from(length),
        };
        Ok((kind, length))
    }

    /// A typed integer.
    pub(super) fn integer(&mut self) -> Result<i32> {
        let byte = self.byte()?;
        let kind = Type::of(byte & 15)?;
        let value = match kind {
            Type::Int8 | Type::Int16 | Type::Int32 if byte >> 4 == 1 => {
                integer_of(kind, self.take(kind.width())?)
            }
            _ => None,
        };
        value.ok_or_else(|| {
            Error::input("a number is missing").expected("one integer").found(format!("{byte:#x}"))
        })
    }

    /// A value whole: its type and its bytes.
    pub(super) fn value(&mut self) -> Result<(Type, &'a [u8])> {
        let (kind, length) = self.descriptor()?;
        Ok((kind, self.take(length.saturating_mul(kind.width()))?))
    }
}

fn integer_of(kind: Type, bytes: &[u8]) -> Option<i32> {
    match (kind, bytes) {
        (Type::Int8, &[a]) => Some(i32::from(a as i8)),
        (Type::Int16, &[a, b]) => Some(i32::from(i16::from_le_bytes([a, b]))),
        (Type::Int32, &[a, b, c, d]) => Some(i32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}

/// Integers of some type as 32 bits each; `least` is what is missing, the next the end.
pub(super) fn integers(kind: Type, bytes: &[u8]) -> (impl Iterator<Item = i32> + '_, i32) {
    let least = match kind {
        Type::Int8 => i32::from(i8::MIN),
        Type::Int16 => i32::from(i16::MIN),
        _ => i32::MIN,
    };
    let items = bytes.chunks_exact(kind.width().max(1));
    (items.map(move |item| integer_of(kind, item).unwrap_or(least)), least)
}

/// Appends an integer as text.
pub(super) fn push_integer(value: i32, out: &mut Vec<u8>) {
    if let 0..10 = value {
        return out.push(b'0' + value as u8);
    }
    let mut buffer = [0; 11];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends the bits of a float as text.
pub(super) fn push_bits(bits: u32, out: &mut Vec<u8>) {
    match bits {
        FLOAT_MISSING => out.push(b'.'),
        _ => push_float(out, f32::from_bits(bits)),
    }
}

/// Appends the elements of a value, with commas between, up to its early end.
pub(super) fn push_elements(kind: Type, bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_empty() {
        return out.push(b'.');
    }
    match kind {
        Type::Null => out.push(b'.'),
        Type::Char => push_text(bytes, out),
        Type::Float => {
            for (at, item) in bytes.chunks_exact(4).enumerate() {
                let bits = item.first_chunk().map_or(FLOAT_END, |item| u32::from_le_bytes(*item));
                if bits == FLOAT_END {
                    break;
                }
                if at > 0 {
                    out.push(b',');
                }
                push_bits(bits, out);
            }
        }
        Type::Int8 | Type::Int16 | Type::Int32 => {
            let (items, least) = integers(kind, bytes);
            for (at, value) in items.enumerate() {
                if value == least + 1 {
                    break;
                }
                if at > 0 {
                    out.push(b',');
                }
                if value == least { out.push(b'.') } else { push_integer(value, out) }
            }
        }
    }
}

/// Appends characters up to the first NUL.
pub(super) fn push_text(bytes: &[u8], out: &mut Vec<u8>) {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    out.extend_from_slice(&bytes[..end]);
}

/// Appends alleles with the separators between them. The phase of the first is not told.
pub(super) fn push_genotype(kind: Type, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let (items, least) = integers(kind, bytes);
    for value in items {
        if value == least + 1 {
            break;
        }
        if out.len() > start {
            out.push(if value & 1 == 1 { b'|' } else { b'/' });
        }
        match value >> 1 {
            allele @ 1.. => push_integer(allele - 1, out),
            _ => out.push(b'.'),
        }
    }
    if out.len() == start {
        out.push(b'.');
    }
}

/// Appends the type and length of a value.
pub(super) fn put_descriptor(kind: Type, length: usize, out: &mut Vec<u8>) {
    if length < 15 {
        return out.push((length as u8) << 4 | kind as u8);
    }
    out.push(15 << 4 | kind as u8);
    put_integer(i32::try_from(length).unwrap_or(i32::MAX), out);
}

/// Appends one integer, as narrow as it fits.
pub(super) fn put_integer(value: i32, out: &mut Vec<u8>) {
    let kind = width_of(value, value);
    put_descriptor(kind, 1, out);
    put_as(kind, value, out);
}

/// Appends text.
pub(super) fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_descriptor(Type::Char, text.len(), out);
    out.extend_from_slice(text);
}

/// The narrowest type for integers from `least` to `greatest`, those missing left aside.
pub(super) fn width_of(least: i32, greatest: i32) -> Type {
    let fits = |low: i32, high: i32| least >= low && greatest <= high;
    if least == MISSING || fits(i32::from(i8::MIN) + 8, i32::from(i8::MAX)) {
        Type::Int8
    } else if fits(i32::from(i16::MIN) + 8, i32::from(i16::MAX)) {
        Type::Int16
    } else {
        Type::Int32
    }
}

/// Appends an integer of a type that holds it.
pub(super) fn put_as(kind: Type, value: i32, out: &mut Vec<u8>) {
    // What is missing and what ends a vector are the least values of each type.
    let special = (value < LEAST).then_some(value.wrapping_sub(i32::MIN));
    match kind {
        Type::Int8 => out.push(special.map_or(value as i8, |v| i8::MIN + v as i8) as u8),
        Type::Int16 => {
            let value = special.map_or(value as i16, |v| i16::MIN + v as i16);
            out.extend_from_slice(&value.to_le_bytes());
        }
        _ => out.extend_from_slice(&value.to_le_bytes()),
    }
}
