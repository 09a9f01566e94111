//! The columns in which alignments are shown as a table: by [`arrow`](super::arrow) and
//! [`json`](super::json).
//!
//! | Column | Holds | Arrow type |
//! |---|---|---|
//! | `read_name` | QNAME; null for `*` | utf8 |
//! | `flags` | FLAG | uint16 |
//! | `contig` | RNAME; null for `*` | dictionary of utf8 |
//! | `position` | leftmost base, 1-based; null where there is none | int64 |
//! | `end` | rightmost base, 1-based and inclusive; null where `position` is | int64 |
//! | `mapping_quality` | MAPQ; null for 255, unknown | uint8 |
//! | `cigar` | CIGAR; null for `*` | utf8 |
//! | `mate_contig` | RNEXT, by its name also where SAM writes `=` | dictionary of utf8 |
//! | `mate_position` | PNEXT, 1-based | int64 |
//! | `template_length` | TLEN | int32 |
//! | `sequence` | SEQ in letters; null for `*` | binary |
//! | `quality` | QUAL as numbers, 0-based; null for `*` | list of uint8 |
//! | `tags` | all tags, in order | list of struct (`tag`, `type`, `value`, all utf8) |
//! | `NM` and so on | one tag; null where it is absent | by its type |
//!
//! A tag's own column is named by the tag, and its type follows from the SAM tags specification, or
//! from what is asked for: `NM:i` (int64), `XF:f` (float32), `XX:Z` (utf8; also of `A` and `H`),
//! `ML:Bi` (list of int64), `ZF:Bf` (list of float32). A tag that the specification does not name
//! is text unless its type is given. A value of another type than its column is an error, but text
//! columns take every type, arrays with commas between.
//!
//! Positions are 1-based and intervals closed, as in SAM and as people write them; they are 64 bits
//! wide so that none overflows. Unsigned types are wider than those of schemas made for short reads
//! only (`flags` as int16, qualities as int8), which cannot hold all that BAM can.

use std::fmt;
use std::str::FromStr;

use super::sam::push_integer;
use super::{Fields, Record, Tag};
use crate::error::{Error, Result};

/// One column of a table of alignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `read_name`.
    ReadName,
    /// `flags`.
    Flags,
    /// `contig`.
    Contig,
    /// `position`.
    Position,
    /// `end`.
    End,
    /// `mapping_quality`.
    MappingQuality,
    /// `cigar`.
    Cigar,
    /// `mate_contig`.
    MateContig,
    /// `mate_position`.
    MatePosition,
    /// `template_length`.
    TemplateLength,
    /// `sequence`.
    Sequence,
    /// `quality`.
    Quality,
    /// `tags`.
    Tags,
    /// A tag.
    Tag([u8; 2], TagKind),
}

/// The type of a tag's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// Integers of every width: `i`.
    Integer,
    /// `f`.
    Float,
    /// `Z`, and whatever else there is, as text.
    Text,
    /// Arrays of integers of every width: `Bi`.
    Integers,
    /// Arrays of floating-point numbers: `Bf`.
    Floats,
}

impl Column {
    /// The columns of an alignment that are no single tag, in the order of a table without a choice.
    pub const ALL: [Self; 13] = [
        Self::ReadName,
        Self::Flags,
        Self::Contig,
        Self::Position,
        Self::End,
        Self::MappingQuality,
        Self::Cigar,
        Self::MateContig,
        Self::MatePosition,
        Self::TemplateLength,
        Self::Sequence,
        Self::Quality,
        Self::Tags,
    ];

    /// Reads a list such as `read_name,position,NM,XF:f`.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a name that is none, naming all that there are,
    /// and for a column named twice.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let mut columns: Vec<Self> = Vec::new();
        for name in text.split(',') {
            let column: Self = name.trim().parse()?;
            if columns.iter().any(|earlier| earlier.to_string() == column.to_string()) {
                return Err(Error::usage(format!("column {column} is asked for twice"))
                    .help("name each column once"));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// The fields and tags that these columns need.
    pub fn needs(columns: &[Self]) -> Fields {
        columns.iter().fold(Fields::NONE, |needs, column| {
            needs
                | match column {
                    Self::ReadName => Fields::NAME,
                    Self::Flags => Fields::FLAGS,
                    Self::Contig | Self::Position => Fields::PLACE,
                    Self::End => Fields::PLACE | Fields::CIGAR | Fields::FLAGS,
                    Self::MappingQuality => Fields::MAPPING_QUALITY,
                    // A long CIGAR is in a tag.
                    Self::Cigar => Fields::PLACE | Fields::CIGAR | Fields::tag(*b"CG"),
                    Self::MateContig | Self::MatePosition | Self::TemplateLength => Fields::MATE,
                    Self::Sequence => Fields::SEQUENCE,
                    Self::Quality => Fields::QUALITIES,
                    Self::Tags => Fields::all_tags(),
                    Self::Tag(name, _) => Fields::tag(*name),
                }
        })
    }

    /// What the column holds, in words.
    pub fn description(self) -> &'static str {
        match self {
            Self::ReadName => "QNAME",
            Self::Flags => "FLAG",
            Self::Contig => "RNAME",
            Self::Position => "POS: leftmost base, 1-based",
            Self::End => "rightmost base, 1-based and inclusive",
            Self::MappingQuality => "MAPQ",
            Self::Cigar => "CIGAR",
            Self::MateContig => "RNEXT",
            Self::MatePosition => "PNEXT, 1-based",
            Self::TemplateLength => "TLEN",
            Self::Sequence => "SEQ in letters",
            Self::Quality => "QUAL as numbers from 0",
            Self::Tags => "all tags in order, with SAM types and values as text",
            Self::Tag(..) => "a tag",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadName => "read_name",
            Self::Flags => "flags",
            Self::Contig => "contig",
            Self::Position => "position",
            Self::End => "end",
            Self::MappingQuality => "mapping_quality",
            Self::Cigar => "cigar",
            Self::MateContig => "mate_contig",
            Self::MatePosition => "mate_position",
            Self::TemplateLength => "template_length",
            Self::Sequence => "sequence",
            Self::Quality => "quality",
            Self::Tags => "tags",
            Self::Tag([first, second], _) => {
                return write!(f, "{}{}", char::from(*first), char::from(*second));
            }
        })
    }
}

impl FromStr for Column {
    type Err = Error;

    /// Reads the name of a column.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage), naming the columns that there are.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(column) = Self::ALL.into_iter().find(|column| column.to_string() == text) {
            return Ok(column);
        }
        let unknown = || {
            let known: Vec<_> = Self::ALL.iter().map(Self::to_string).collect();
            Error::usage(format!("there is no column {text:?}")).expected(format!(
                "{}, or a tag such as NM, also with its type: i, f, Z, Bi or Bf, as in XF:f",
                known.join(", ")
            ))
        };
        let (name, kind) = match text.split_once(':') {
            Some((name, kind)) => (name, Some(kind)),
            None => (text, None),
        };
        let &[first, second] = name.as_bytes() else { return Err(unknown()) };
        if !first.is_ascii_alphabetic() || !second.is_ascii_alphanumeric() {
            return Err(unknown());
        }
        let kind = match kind {
            None => usual_kind([first, second]),
            Some("i") => TagKind::Integer,
            Some("f") => TagKind::Float,
            Some("Z" | "A" | "H") => TagKind::Text,
            Some("Bi") => TagKind::Integers,
            Some("Bf") => TagKind::Floats,
            Some(_) => return Err(unknown()),
        };
        Ok(Self::Tag([first, second], kind))
    }
}

/// The type of a tag by the SAM tags specification, and those that aligners in wide use agree on.
fn usual_kind(name: [u8; 2]) -> TagKind {
    const INTEGERS: [&[u8; 2]; 23] = [
        b"AM", b"AS", b"CM", b"CP", b"FI", b"H0", b"H1", b"H2", b"HI", b"HP", b"IH", b"MQ", b"NH",
        b"NM", b"OP", b"PQ", b"PS", b"SM", b"TC", b"UQ", b"MN", b"ms", b"nM",
    ];
    const ARRAYS: [&[u8; 2]; 2] = [b"FZ", b"ML"];
    match &name {
        name if INTEGERS.contains(&name) => TagKind::Integer,
        name if ARRAYS.contains(&name) => TagKind::Integers,
        b"CG" => TagKind::Integers,
        _ => TagKind::Text,
    }
}

/// The value of a tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TagValue<'a> {
    Integer(i64),
    Float(f32),
    Text(&'a [u8]),
    /// The type of the elements, and their bytes.
    Array(u8, &'a [u8]),
}

impl<'a> TagValue<'a> {
    /// `None` for a tag that no checked record has.
    pub(super) fn new(tag: &Tag<'a>) -> Option<Self> {
        Some(match (tag.kind, tag.value) {
            (b'A', letter) => Self::Text(letter),
            (b'Z' | b'H', value) => Self::Text(value.split_last()?.1),
            (b'f', &[b0, b1, b2, b3]) => Self::Float(f32::from_le_bytes([b0, b1, b2, b3])),
            (b'B', value) => Self::Array(*value.first()?, value.get(5..)?),
            _ => Self::Integer(tag.as_int()?),
        })
    }

    /// The elements of an array, one by one; one value of another tag.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        let (kind, bytes) = match self {
            Self::Array(kind, bytes) => (kind, bytes),
            _ => (b'i', &[][..]),
        };
        let width = match kind {
            b'c' | b'C' => 1,
            b's' | b'S' => 2,
            _ => 4,
        };
        bytes
            .chunks_exact(width)
            .filter_map(move |value| Self::new(&Tag { name: *b"  ", kind, value }))
    }

    /// Appends the value as text: arrays with commas between, floats so that they read back alike.
    pub(super) fn push_text(self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(value) => push_integer(out, value),
            Self::Float(value) => out.extend_from_slice(format!("{value:?}").as_bytes()),
            Self::Text(text) => out.extend_from_slice(text),
            Self::Array(..) => {
                for (at, element) in self.elements().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    element.push_text(out);
                }
            }
        }
    }
}

/// The tags of a record as readers see them: without the `CG` that holds a long CIGAR.
pub(super) fn visible_tags<'a>(record: &Record<'a>) -> impl Iterator<Item = Tag<'a>> {
    let is_long = record.long_cigar().is_some();
    record.tags().filter(move |tag| !is_long || tag.name != *b"CG")
}

/// Appends the CIGAR as in SAM; nothing where there is none.
pub(super) fn push_cigar(out: &mut Vec<u8>, record: &Record<'_>) {
    for op in record.cigar() {
        push_integer(out, op.len().into());
        out.push(op.letter());
    }
}

/// A record's qualities, where it has any.
pub(super) fn qualities<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    Some(record.qualities()).filter(|qualities| !matches!(qualities, [] | [0xff, ..]))
}

/// A record's name, where it has one.
pub(super) fn name<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    Some(record.name()).filter(|name| !matches!(*name, b"" | b"*"))
}

/// 1-based, where there is a position.
pub(super) fn one_based(position: i32) -> Option<i64> {
    (position >= 0).then_some(i64::from(position) + 1)
}

/// The last base of a placed record, 1-based.
pub(super) fn last_base(record: &Record<'_>) -> Option<i64> {
    one_based(record.position()).and_then(|_| i64::try_from(record.interval().end()).ok())
}

/// Text of a record that must be UTF-8 in the form it goes to.
pub(super) fn utf8<'a>(
    text: &'a [u8],
    what: impl fmt::Display,
    record: &Record<'_>,
) -> Result<&'a str> {
    std::str::from_utf8(text).map_err(|_| {
        Error::input(format!("{what} is not UTF-8, as JSON and Arrow need it"))
            .found(format!("{:?}", String::from_utf8_lossy(text)))
            .help("leave this column out by --columns, or choose SAM or BAM")
            .at(place(record))
    })
}

/// A record as errors name it.
pub(super) fn place(record: &Record<'_>) -> String {
    format!("read {:?}", String::from_utf8_lossy(record.name()))
}

/// That a tag's value does not fit its column.
pub(super) fn misfit(name: [u8; 2], tag: &Tag<'_>, record: &Record<'_>) -> Error {
    let column = Column::Tag(name, TagKind::Text);
    Error::input(format!("tag {column} has a value that its column cannot hold"))
        .found(format!("type {}", char::from(tag.kind)))
        .help(format!("ask for {column}:Z, a column of text, which takes every type"))
        .at(place(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_column_parses_what_it_displays() {
        for column in Column::ALL {
            assert_eq!(column.to_string().parse::<Column>().unwrap(), column);
        }
        for (text, kind) in [
            ("NM", TagKind::Integer),
            ("MD", TagKind::Text),
            ("ML", TagKind::Integers),
            ("XS", TagKind::Text),
            ("XS:i", TagKind::Integer),
            ("XF:f", TagKind::Float),
            ("ZF:Bf", TagKind::Floats),
        ] {
            let name = <[u8; 2]>::try_from(&text.as_bytes()[..2]).unwrap();
            assert_eq!(text.parse::<Column>().unwrap(), Column::Tag(name, kind));
        }
    }

    #[test]
    fn test_parse_list_names_what_exists_and_refuses_repetition() {
        let columns = Column::parse_list("read_name, position,NM").unwrap();
        assert_eq!(columns[1], Column::Position);
        for text in ["", "pos", "N", "NM:x", "1M", "read_name,"] {
            let error = Column::parse_list(text).unwrap_err().to_string();
            assert!(error.contains("mapping_quality, cigar"), "{text}: {error}");
        }
        assert!(Column::parse_list("NM,flags,NM:i").unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn test_needs_asks_for_no_more_than_the_columns() {
        let needs = Column::needs(&[Column::Flags, Column::Tag(*b"NM", TagKind::Integer)]);
        assert_eq!(needs, Fields::FLAGS | Fields::tag(*b"NM"));
        assert!(Column::needs(&Column::ALL).contains(&Fields::ALL));
    }
}
