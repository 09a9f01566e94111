//! A look over Thrift's compact protocol, in which Parquet writes its metadata, before the parquet
//! library reads it: it takes sizes on trust, and would loop or allocate as often as they say.

use crate::codec;
use crate::codec::cursor::Cursor;
use crate::error::{Error, Result};

/// Structures nested deeper than this are refused.
const MAX_DEPTH: usize = 32;
/// Columns nested deeper than this are refused: the library goes down by recursion.
const MAX_COLUMN_DEPTH: usize = 128;

/// The field of a file's metadata that lists its columns, and where those are in what it nests.
const SCHEMA: i64 = 2;
const ELEMENT_DEPTH: usize = 2;
/// The field of a column that counts those within it, which follow it.
const CHILDREN: i64 = 5;

/// The fields of a page's header: sizes of its body, inflated and as it is.
const UNCOMPRESSED_SIZE: i64 = 2;
const COMPRESSED_SIZE: i64 = 3;

/// Checks the metadata of a file: a structure whose sizes fit its bytes.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they do not.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    let mut walk = Walk::new(bytes, "Parquet metadata");
    walk.structure(0)?;
    check_schema(&walk.children)
}

/// Checks columns by how many each has within it: the library makes room for so many.
fn check_schema(children: &[i64]) -> Result<()> {
    let damaged = || Error::corrupt("the columns of Parquet metadata are not as they are counted");
    let mut open: Vec<usize> = Vec::new();
    for (at, &count) in children.iter().enumerate() {
        let count = usize::try_from(count).map_err(|_| damaged())?;
        if count >= children.len() - at {
            return Err(damaged());
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if count > 0 {
            open.push(count);
        }
        if open.len() > MAX_COLUMN_DEPTH {
            return Err(Error::corrupt("the columns of Parquet metadata are nested too deep"));
        }
        while open.pop_if(|left| *left == 0).is_some() {}
    }
    Ok(())
}

/// Checks the pages of a column: what their headers say, and that they do not inflate to more than
/// they can.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_pages(bytes: &[u8]) -> Result<()> {
    let (mut rest, mut inflated) = (bytes, 0_usize);
    while !rest.is_empty() {
        let mut walk = Walk::new(rest, "Parquet page");
        walk.structure(0)?;
        let size = |field: i64| {
            usize::try_from(walk.numbers[field as usize])
                .map_err(|_| Error::corrupt("the size of a Parquet page is negative"))
        };
        let (whole, packed) = (size(UNCOMPRESSED_SIZE)?, size(COMPRESSED_SIZE)?);
        inflated = inflated.saturating_add(whole);
        walk.cursor.take(packed)?;
        rest = &rest[rest.len() - walk.cursor.left()..];
    }
    codec::check_expansion(bytes.len(), inflated)
}

/// On its way through nested structures.
struct Walk<'a> {
    cursor: Cursor<'a>,
    /// Integers of the outermost structure, by the numbers of their fields.
    numbers: [i64; 4],
    /// The field of the outermost structure that the walk is in.
    outermost: i64,
    /// Of each column of a schema, how many are within it.
    children: Vec<i64>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], what: &'static str) -> Self {
        let cursor = Cursor::new(bytes, what);
        Self { cursor, numbers: [0; 4], outermost: 0, children: Vec::new() }
    }

    fn structure(&mut self, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::corrupt("Parquet metadata is nested too deep"));
        }
        let is_column = depth == ELEMENT_DEPTH && self.outermost == SCHEMA;
        if is_column {
            self.children.push(0);
        }
        let mut field = 0_i64;
        loop {
            let head = self.cursor.byte()?;
            if head == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => self.cursor.zigzag()?,
                step => field.saturating_add(i64::from(step)),
            };
            if depth == 0 {
                self.outermost = field;
            }
            if depth == 0 && field == SCHEMA {
                // Of two, the last counts.
                self.children.clear();
            }
            match head & 15 {
                // A flag is in the type.
                1 | 2 => {}
                kind @ 4..=6 if depth == 0 => {
                    let number = self.integer(kind)?;
                    let known = usize::try_from(field).ok().and_then(|at| self.numbers.get_mut(at));
                    if let Some(known) = known {
                        *known = number;
                    }
                }
                kind @ 4..=6 if is_column && field == CHILDREN => {
                    let number = self.integer(kind)?;
                    if let Some(count) = self.children.last_mut() {
                        *count = number;
                    }
                }
                kind => self.value(kind, depth)?,
            }
        }
    }

    fn integer(&mut self, kind: u8) -> Result<i64> {
        let number = self.cursor.zigzag()?;
        let fits = match kind {
            4 => i16::try_from(number).is_ok(),
            5 => i32::try_from(number).is_ok(),
            _ => true,
        };
        if fits {
            Ok(number)
        } else {
            Err(Error::corrupt("a number of Parquet metadata is too large"))
        }
    }

    /// A value on its own, as in a list.
    fn value(&mut self, kind: u8, depth: usize) -> Result<()> {
        match kind {
            1..=3 => self.cursor.byte().map(|_| ()),
            4..=6 => self.integer(kind).map(|_| ()),
            7 => self.cursor.take(8).map(|_| ()),
            8 => {
                let length = self.cursor.number()?;
                self.cursor.take(length).map(|_| ())
            }
            9 | 10 => {
                let head = self.cursor.byte()?;
                let count = match head >> 4 {
                    15 => self.cursor.number()?,
                    count => usize::from(count),
                };
                self.items(count, &[head & 15], depth)
            }
            11 => match self.cursor.number()? {
                0 => Ok(()),
                count => {
                    let kinds = self.cursor.byte()?;
                    self.items(count, &[kinds >> 4, kinds & 15], depth)
                }
            },
            12 => self.structure(depth + 1),
            13 => self.cursor.take(16).map(|_| ()),
            _ => Err(Error::corrupt("Parquet metadata holds a value of unknown type").found(kind)),
        }
    }

    fn items(&mut self, count: usize, kinds: &[u8], depth: usize) -> Result<()> {
        // Every item takes a byte at least.
        if count > self.cursor.left() {
            return Err(Error::corrupt("a list of Parquet metadata is longer than its bytes"));
        }
        if depth > MAX_DEPTH {
            return Err(Error::corrupt("Parquet metadata is nested too deep"));
        }
        for _ in 0..count {
            for &kind in kinds {
                self.value(kind, depth + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_check_refuses_sizes_that_lie() {
        // Field 1, a list of 2^31 - 1 flags; a text of 2^31 - 1 bytes; lists in lists.
        let deep = [&[0x19][..], &[0x19; 100]].concat();
        for bytes in [
            &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7][..],
            &[0x18, 0xff, 0xff, 0xff, 0xff, 7],
            &deep,
        ] {
            assert!(check(bytes).is_err(), "{bytes:?}");
        }
        // Fields 1 (5, as a number), 2 (a list of two flags), 3 (an empty structure).
        check(&[0x15, 10, 0x19, 0x21, 1, 2, 0x1c, 0, 0]).unwrap();
    }

    fn varint(bytes: &mut Vec<u8>, mut number: u32) {
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }

    /// Metadata whose schema has columns with so many within each.
    fn schema(children: &[i32]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc];
        varint(&mut bytes, children.len() as u32);
        for &count in children {
            bytes.push(0x55);
            varint(&mut bytes, (count << 1 ^ count >> 31) as u32);
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn test_check_refuses_columns_that_are_not_there() {
        for children in [&[3, 0, 1, 0, 0][..], &[0], &[], &[2, 2, 0, 0, 0]] {
            check(&schema(children)).unwrap();
        }
        for children in [&[1][..], &[i32::MAX, 0], &[2, 0], &[-1, 0], &[1, 1, 1]] {
            assert!(check(&schema(children)).is_err(), "{children:?}");
        }
        let nested = |depth| schema(&[vec![1; depth], vec![0]].concat());
        check(&nested(MAX_COLUMN_DEPTH)).unwrap();
        let error = check(&nested(MAX_COLUMN_DEPTH + 1)).unwrap_err();
        assert!(error.to_string().contains("too deep"), "{error}");
    }

    #[test]
    fn test_check_pages_refuses_a_bomb() {
        // A page of 3 bytes that says it inflates to 7, and one that says 2^31 - 1.
        let page = |size: &[u8]| [&[0x15, 0, 0x15][..], size, &[0x15, 6, 0, 1, 2, 3]].concat();
        check_pages(&page(&[14]).repeat(2)).unwrap();
        let error = check_pages(&page(&[0xfe, 0xff, 0xff, 0xff, 0xf])).unwrap_err();
        assert!(error.to_string().contains("claims to hold more"), "{error}");
        assert!(check_pages(&page(&[14])[..8]).is_err());
    }
}
