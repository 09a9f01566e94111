//! A look over Thrift's compact protocol, in which Parquet writes its metadata, before the parquet
//! library reads it: it takes sizes on trust, and would loop or allocate as often as they say.

use super::parquet_fields::{COLUMN, FILE, Fields, Kind, PAGE};
use crate::codec;
use crate::codec::cursor::Cursor;
use crate::error::{Error, Result};

/// Structures nested deeper than this are refused.
const MAX_DEPTH: usize = 32;
/// Columns nested deeper than this are refused: the library goes down by recursion.
const MAX_COLUMN_DEPTH: usize = 128;

/// Fields of a page's header.
const UNCOMPRESSED_SIZE: usize = 2;
const COMPRESSED_SIZE: usize = 3;
/// The field of a column that counts those within it.
const CHILDREN: usize = 5;

/// Integers of a structure by the numbers of their fields.
type Numbers = [i64; 6];

/// Checks the metadata of a file: a structure whose sizes fit its bytes, and whose columns are as
/// many as it says.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they do not.
pub(crate) fn check_parquet_metadata(bytes: &[u8]) -> Result<()> {
    let mut walk = Walk::new(bytes, "Parquet metadata");
    walk.structure(FILE, 0)?;
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
/// As [`check_parquet_metadata`].
pub(crate) fn check_parquet_pages(bytes: &[u8]) -> Result<()> {
    let (mut rest, mut inflated) = (bytes, 0_usize);
    while !rest.is_empty() {
        let mut walk = Walk::new(rest, "Parquet page");
        let numbers = walk.structure(PAGE, 0)?;
        let size = |field: usize| {
            usize::try_from(numbers[field])
                .map_err(|_| Error::corrupt("the size of a Parquet page is negative"))
        };
        let (whole, packed) = (size(UNCOMPRESSED_SIZE)?, size(COMPRESSED_SIZE)?);
        inflated = inflated.saturating_add(whole);
        walk.cursor.take(packed)?;
        rest = &rest[rest.len() - walk.cursor.left()..];
    }
    codec::check_expansion(bytes.len(), inflated)
}

/// On its way through nested structures, in step with the library: that does not look at the types
/// of fields it knows, and would take a field of another type for something else.
struct Walk<'a> {
    cursor: Cursor<'a>,
    /// Of each column of a schema, how many are within it.
    children: Vec<i64>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { cursor: Cursor::new(bytes, what), children: Vec::new() }
    }

    /// Goes over a structure of which these fields are known.
    fn structure(&mut self, fields: Fields, depth: usize) -> Result<Numbers> {
        let mut numbers = Numbers::default();
        let mut field = 0_i64;
        loop {
            let head = self.cursor.byte()?;
            if head == 0 {
                return Ok(numbers);
            }
            field = match head >> 4 {
                0 => self.cursor.zigzag()?,
                step => field + i64::from(step),
            };
            if i16::try_from(field).is_err() {
                return Err(Error::corrupt("a field of Parquet metadata has too large a number"));
            }
            let known = fields.iter().find(|(number, _)| *number == field);
            let known = known.map_or(Kind::Any, |(_, kind)| *kind);
            let number = match (head & 15, known) {
                // A flag is in the type.
                (1 | 2, Kind::Any | Kind::Flag) => 0,
                (kind, known) => self.value(kind, known, depth + 1)?,
            };
            let place = usize::try_from(field).ok().and_then(|at| numbers.get_mut(at));
            if let Some(place) = place {
                *place = number;
            }
        }
    }

    /// Goes over a value of type `kind`; the number, if it is one.
    fn value(&mut self, kind: u8, known: Kind, depth: usize) -> Result<i64> {
        if depth > MAX_DEPTH {
            return Err(Error::corrupt("Parquet metadata is nested too deep"));
        }
        match (kind, known) {
            (4..=6, Kind::Any) => return self.integer(kind),
            (4..=6, Kind::Plain(plain)) if plain == kind => return self.integer(kind),
            // Flags in lists, which no metadata has, the library skips as if they took no bytes, as
            // often as it is told.
            (3, Kind::Any | Kind::Plain(3)) => {
                self.cursor.byte()?;
            }
            (7, Kind::Any | Kind::Plain(7)) => {
                self.cursor.take(8)?;
            }
            (8, Kind::Any | Kind::Plain(8)) => {
                let length = self.cursor.number()?;
                self.cursor.take(length)?;
            }
            (9 | 10, Kind::Any) => self.list(Kind::Any, depth)?,
            (9, Kind::List(items)) => self.list(*items, depth)?,
            (11, Kind::Any) => self.map(depth)?,
            (12, Kind::Any) => {
                self.structure(&[], depth)?;
            }
            (12, Kind::Structure(fields)) => {
                self.structure(fields, depth)?;
            }
            (12, Kind::Column) => {
                let numbers = self.structure(COLUMN, depth)?;
                self.children.push(numbers[CHILDREN]);
            }
            (13, Kind::Any) => {
                self.cursor.take(16)?;
            }
            _ => {
                return Err(Error::corrupt(
                    "a value of Parquet metadata has a type it cannot have",
                )
                .found(format!("type {kind}")));
            }
        }
        Ok(0)
    }

    fn list(&mut self, known: Kind, depth: usize) -> Result<()> {
        let head = self.cursor.byte()?;
        let count = match head >> 4 {
            15 => self.cursor.number()?,
            count => usize::from(count),
        };
        self.items(count, &[head & 15], known, depth)
    }

    fn map(&mut self, depth: usize) -> Result<()> {
        let count = self.cursor.number()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.cursor.byte()?;
        self.items(count, &[kinds >> 4, kinds & 15], Kind::Any, depth)
    }

    fn items(&mut self, count: usize, kinds: &[u8], known: Kind, depth: usize) -> Result<()> {
        // Every item takes a byte at least.
        if count > self.cursor.left() {
            return Err(Error::corrupt("a list of Parquet metadata is longer than its bytes"));
        }
        for _ in 0..count {
            for &kind in kinds {
                self.value(kind, known, depth + 1)?;
            }
        }
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Metadata with one column, and fields from number 3 on.
    fn with(fields: &[u8]) -> Vec<u8> {
        let mut bytes = schema(&[0]);
        bytes.pop();
        [&bytes, fields].concat()
    }

    #[test]
    fn test_check_refuses_sizes_that_lie() {
        // A list of 2^31 - 1 flags; a text of 2^31 - 1 bytes; lists in lists.
        let deep = [&[0x89][..], &[0x19; 100]].concat();
        for fields in [
            &[0x89, 0xf1, 0xff, 0xff, 0xff, 0xff, 7][..],
            &[0x88, 0xff, 0xff, 0xff, 0xff, 7],
            &deep,
        ] {
            assert!(check_parquet_metadata(&with(fields)).is_err(), "{fields:?}");
        }
        // 5, as a number; a list of two bytes, and an empty structure, that are not known.
        check_parquet_metadata(&with(&[0x16, 10, 0x79, 0x23, 1, 2, 0x1c, 0, 0])).unwrap();
    }

    #[test]
    fn test_check_refuses_what_the_library_would_read_as_something_else() {
        let column = |fields: &[u8]| [&[0x29, 0x1c][..], fields, &[0, 0]].concat();
        // A name; a flag in a logical type; a field that is not known.
        for fields in [&[0x48, 1, b'x'][..], &[0xac, 0xac, 0x13, 8, 0x11, 0, 0], &[0xc6, 2]] {
            check_parquet_metadata(&column(fields)).unwrap();
        }
        // A name that is a number, a count that is a list, a number of 64 bits, a name in the place
        // of a logical type, a flag that is a number, a field 65,541.
        for fields in [
            &[0x45, 2][..],
            &[0x59, 0x13, 9],
            &[0x56, 2],
            &[0xa8, 1, b'x'],
            &[0xac, 0xac, 0x13, 8, 0x15, 0, 0, 0],
            &[0x05, 0x8a, 0x80, 8, 2],
        ] {
            assert!(check_parquet_metadata(&column(fields)).is_err(), "{fields:?}");
        }
        // Row groups that are a number, or one whose columns are texts.
        check_parquet_metadata(&with(&[0x29, 0x1c, 0x19, 0x1c, 0, 0, 0])).unwrap();
        for fields in [&[0x25, 2, 0][..], &[0x29, 0x1c, 0x19, 0x18, 1, b'x', 0, 0]] {
            assert!(check_parquet_metadata(&with(fields)).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn test_check_refuses_flags_in_lists_and_maps() {
        for fields in [&[0x89, 0x22, 1, 2, 0][..], &[0x8b, 2, 0x22, 1, 1, 1, 1, 0]] {
            assert!(check_parquet_metadata(&with(fields)).is_err(), "{fields:?}");
        }
        check_parquet_metadata(&with(&[0x8b, 2, 0x33, 1, 1, 1, 1, 0])).unwrap();
    }

    #[test]
    fn test_check_refuses_columns_that_are_not_there() {
        for children in [&[3, 0, 1, 0, 0][..], &[0], &[], &[2, 2, 0, 0, 0]] {
            check_parquet_metadata(&schema(children)).unwrap();
        }
        for children in [&[1][..], &[i32::MAX, 0], &[2, 0], &[-1, 0], &[1, 1, 1]] {
            assert!(check_parquet_metadata(&schema(children)).is_err(), "{children:?}");
        }
        let nested = |depth| schema(&[vec![1; depth], vec![0]].concat());
        check_parquet_metadata(&nested(MAX_COLUMN_DEPTH)).unwrap();
        let error = check_parquet_metadata(&nested(MAX_COLUMN_DEPTH + 1)).unwrap_err();
        assert!(error.to_string().contains("too deep"), "{error}");
    }

    #[test]
    fn test_check_pages_refuses_a_bomb() {
        // A page of 3 bytes that says it inflates to 7, and one that says 2^31 - 1.
        let page = |size: &[u8]| [&[0x15, 0, 0x15][..], size, &[0x15, 6, 0, 1, 2, 3]].concat();
        check_parquet_pages(&page(&[14]).repeat(2)).unwrap();
        let error = check_parquet_pages(&page(&[0xfe, 0xff, 0xff, 0xff, 0xf])).unwrap_err();
        assert!(error.to_string().contains("claims to hold more"), "{error}");
        assert!(check_parquet_pages(&page(&[14])[..8]).is_err());
        // The size that it inflates to as a list, which the library would take for a number.
        assert!(check_parquet_pages(&[0x15, 0, 0x19, 0x13, 9, 0x15, 6, 0, 1, 2, 3]).is_err());
    }
}
