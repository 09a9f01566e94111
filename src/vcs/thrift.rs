//! A look over Thrift's compact protocol, in which Parquet writes its metadata, before the parquet
//! library reads it: it takes sizes on trust, and would loop or allocate as often as they say.

use crate::codec;
use crate::codec::cursor::Cursor;
use crate::error::{Error, Result};

/// Structures nested deeper than this are refused.
const MAX_DEPTH: usize = 32;
/// Columns nested deeper than this are refused: the library goes down by recursion.
const MAX_COLUMN_DEPTH: usize = 128;

/// The fields of a page's header: sizes of its body, inflated and as it is.
const UNCOMPRESSED_SIZE: usize = 2;
const COMPRESSED_SIZE: usize = 3;
/// The field of a column that counts those within it, which follow it.
const CHILDREN: usize = 5;

/// Integers of a structure by the numbers of their fields.
type Numbers = [i64; 6];

/// What the library expects of fields, by number. It does not look at the types in the file, and
/// would read on out of step with this walk where they differ. Fields that are not here are
/// skipped by their types.
type Fields = &'static [(i64, Kind)];

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Byte,
    /// Of 32 bits.
    Number,
    /// Of 64 bits.
    Long,
    Text,
    Structure(Fields),
    /// Structures with the fields of a column.
    Columns,
}

use Kind::{Byte, Columns, Flag, Long, Number, Structure, Text};

// The structures of <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>:
// a file's metadata up to the schema, which has to come first, and the header of a page.
const FILE: Fields = &[(1, Number), (2, Columns)];
const COLUMN: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Text),
    (5, Number),
    (6, Number),
    (7, Number),
    (8, Number),
    (9, Number),
    (10, Structure(LOGICAL_TYPE)),
];
const LOGICAL_TYPE: Fields = &[
    (1, NOTHING),
    (2, NOTHING),
    (3, NOTHING),
    (4, NOTHING),
    (5, Structure(&[(1, Number), (2, Number)])),
    (6, NOTHING),
    (7, TIME),
    (8, TIME),
    (10, Structure(&[(1, Byte), (2, Flag)])),
    (11, NOTHING),
    (12, NOTHING),
    (13, NOTHING),
    (14, NOTHING),
    (15, NOTHING),
    (16, Structure(&[(1, Byte)])),
    (17, Structure(&[(1, Text)])),
    (18, Structure(&[(1, Text), (2, Number)])),
];
const TIME: Kind =
    Structure(&[(1, Flag), (2, Structure(&[(1, NOTHING), (2, NOTHING), (3, NOTHING)]))]);
const NOTHING: Kind = Structure(&[]);
const PAGE: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Number),
    (5, Structure(&[(1, Number), (2, Number), (3, Number), (4, Number), (5, STATISTICS)])),
    (6, NOTHING),
    (7, Structure(&[(1, Number), (2, Number), (3, Flag)])),
    (8, Structure(DATA_PAGE_2)),
];
const DATA_PAGE_2: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Flag),
    (8, STATISTICS),
];
const STATISTICS: Kind = Structure(&[
    (1, Text),
    (2, Text),
    (3, Long),
    (4, Long),
    (5, Text),
    (6, Text),
    (7, Flag),
    (8, Flag),
]);

/// Checks the metadata of a file: a structure whose sizes fit its bytes, and whose columns are as
/// many as it says.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they do not.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
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
/// As [`check`].
pub(crate) fn check_pages(bytes: &[u8]) -> Result<()> {
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

/// On its way through nested structures.
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
        if depth > MAX_DEPTH {
            return Err(Error::corrupt("Parquet metadata is nested too deep"));
        }
        let is_file = matches!(fields.last(), Some((_, Columns)));
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
            let is_before_schema = is_file && self.children.is_empty();
            let known = fields.iter().find(|(number, _)| *number == field).map(|(_, kind)| kind);
            match (known, head & 15) {
                (None, _) if is_before_schema => {
                    return Err(Error::corrupt("Parquet metadata does not begin with its columns"));
                }
                // A flag is in the type.
                (None | Some(Flag), 1 | 2) => {}
                (None, kind @ 4..=6) | (Some(Number), kind @ 5) | (Some(Long), kind @ 6) => {
                    let number = self.integer(kind)?;
                    let place = usize::try_from(field).ok().and_then(|at| numbers.get_mut(at));
                    if let Some(place) = place {
                        *place = number;
                    }
                }
                (Some(Structure(fields)), 12) => {
                    self.structure(fields, depth + 1)?;
                }
                (Some(Columns), 9) if is_before_schema => self.columns(depth)?,
                (None, kind) | (Some(Byte), kind @ 3) | (Some(Text), kind @ 8) => {
                    self.value(kind, depth)?;
                }
                (Some(_), kind) => {
                    return Err(Error::corrupt(
                        "a field of Parquet metadata is not as it should be",
                    )
                    .found(format!("type {kind} of field {field}")));
                }
            }
        }
    }

    /// The list of columns.
    fn columns(&mut self, depth: usize) -> Result<()> {
        let (count, kind) = self.list()?;
        if count > 0 && kind != 12 {
            return Err(Error::corrupt("the columns of Parquet metadata have another type"));
        }
        for _ in 0..count {
            // Its place is before those within it, which follow.
            let numbers = self.structure(COLUMN, depth + 1)?;
            self.children.push(numbers[CHILDREN]);
        }
        Ok(())
    }

    /// How many items a list has, and of which type.
    fn list(&mut self) -> Result<(usize, u8)> {
        let head = self.cursor.byte()?;
        let count = match head >> 4 {
            15 => self.cursor.number()?,
            count => usize::from(count),
        };
        // Every item takes a byte at least.
        if count > self.cursor.left() {
            return Err(Error::corrupt("a list of Parquet metadata is longer than its bytes"));
        }
        Ok((count, head & 15))
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
                let (count, kind) = self.list()?;
                self.items(count, &[kind], depth)
            }
            11 => match self.cursor.number()? {
                0 => Ok(()),
                count => {
                    let kinds = self.cursor.byte()?;
                    self.items(count, &[kinds >> 4, kinds & 15], depth)
                }
            },
            12 => self.structure(&[], depth + 1).map(|_| ()),
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
        let deep = [&[0x19][..], &[0x19; 100]].concat();
        for fields in [
            &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7][..],
            &[0x18, 0xff, 0xff, 0xff, 0xff, 7],
            &deep,
        ] {
            assert!(check(&with(fields)).is_err(), "{fields:?}");
        }
        // 5, as a number; a list of two flags; an empty structure.
        check(&with(&[0x15, 10, 0x19, 0x21, 1, 2, 0x1c, 0, 0])).unwrap();
    }

    #[test]
    fn test_check_refuses_what_the_library_would_read_as_something_else() {
        let column = |fields: &[u8]| [&[0x29, 0x1c][..], fields, &[0, 0]].concat();
        // A name; a flag in a logical type; a field that is not known.
        for fields in [&[0x48, 1, b'x'][..], &[0xac, 0xac, 0x13, 8, 0x11, 0, 0], &[0xc6, 2]] {
            check(&column(fields)).unwrap();
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
            assert!(check(&column(fields)).is_err(), "{fields:?}");
        }
        // Other fields before the schema, and a schema twice.
        assert!(check(&[0x35, 2, 0x09, 4, 0x1c, 0, 0]).is_err());
        assert!(check(&with(&[0x09, 4, 0x1c, 0, 0])).is_err());
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
        // The size that it inflates to as a list, which the library would take for a number.
        assert!(check_pages(&[0x15, 0, 0x19, 0x13, 9, 0x15, 6, 0, 1, 2, 3]).is_err());
    }
}
