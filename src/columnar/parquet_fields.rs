//! What the parquet library expects of the fields of Parquet's metadata, by their numbers.
//!
//! The structures are those of
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>. Fields that
//! are not here are skipped by their types.

pub(super) type Fields = &'static [(i64, Kind)];

/// What a value is taken for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Whatever its type says.
    Any,
    /// In a structure, true and false are types of their own.
    Flag,
    /// Of this type of Thrift's compact protocol.
    Plain(u8),
    List(&'static Kind),
    Structure(Fields),
    /// A structure with the fields of a column.
    Column,
}

use Kind::{Column, Flag, List, Plain, Structure};

const BYTE: Kind = Plain(3);
const SHORT: Kind = Plain(4);
const NUMBER: Kind = Plain(5);
const LONG: Kind = Plain(6);
const DOUBLE: Kind = Plain(7);
const TEXT: Kind = Plain(8);
const NOTHING: Kind = Structure(&[]);

/// The metadata of a file.
pub(super) const FILE: Fields = &[
    (1, NUMBER),
    (2, List(&Column)),
    (3, LONG),
    (4, List(&ROW_GROUP)),
    (5, List(&KEY_VALUE)),
    (6, TEXT),
    (7, List(&Structure(&[(1, NOTHING), (2, NOTHING)]))),
];

/// A column of the schema, or what has columns within it; how many is field 5.
pub(super) const COLUMN: Fields = &[
    (1, NUMBER),
    (2, NUMBER),
    (3, NUMBER),
    (4, TEXT),
    (5, NUMBER),
    (6, NUMBER),
    (7, NUMBER),
    (8, NUMBER),
    (9, NUMBER),
    (10, Structure(LOGICAL_TYPE)),
];

const LOGICAL_TYPE: Fields = &[
    (1, NOTHING),
    (2, NOTHING),
    (3, NOTHING),
    (4, NOTHING),
    (5, Structure(&[(1, NUMBER), (2, NUMBER)])),
    (6, NOTHING),
    (7, TIME),
    (8, TIME),
    (10, Structure(&[(1, BYTE), (2, Flag)])),
    (11, NOTHING),
    (12, NOTHING),
    (13, NOTHING),
    (14, NOTHING),
    (15, NOTHING),
    (16, Structure(&[(1, BYTE)])),
    (17, Structure(&[(1, TEXT)])),
    (18, Structure(&[(1, TEXT), (2, NUMBER)])),
];

const TIME: Kind = Structure(&[(1, Flag), (2, TIME_UNIT)]);
const TIME_UNIT: Kind = Structure(&[(1, NOTHING), (2, NOTHING), (3, NOTHING)]);

const KEY_VALUE: Kind = Structure(&[(1, TEXT), (2, TEXT)]);

const ROW_GROUP: Kind = Structure(&[
    (1, List(&COLUMN_CHUNK)),
    (2, LONG),
    (3, LONG),
    (4, List(&Structure(&[(1, NUMBER), (2, Flag), (3, Flag)]))),
    (5, LONG),
    (6, LONG),
    (7, SHORT),
]);

const COLUMN_CHUNK: Kind = Structure(&[
    (1, TEXT),
    (2, LONG),
    (3, Structure(COLUMN_METADATA)),
    (4, LONG),
    (5, NUMBER),
    (6, LONG),
    (7, NUMBER),
]);

const COLUMN_METADATA: Fields = &[
    (1, NUMBER),
    (2, List(&NUMBER)),
    (3, List(&TEXT)),
    (4, NUMBER),
    (5, LONG),
    (6, LONG),
    (7, LONG),
    (8, List(&KEY_VALUE)),
    (9, LONG),
    (10, LONG),
    (11, LONG),
    (12, STATISTICS),
    (13, List(&Structure(&[(1, NUMBER), (2, NUMBER), (3, NUMBER)]))),
    (14, LONG),
    (15, NUMBER),
    (16, Structure(&[(1, LONG), (2, List(&LONG)), (3, List(&LONG))])),
    (17, Structure(&[(1, BOX), (2, List(&NUMBER))])),
];

const STATISTICS: Kind = Structure(&[
    (1, TEXT),
    (2, TEXT),
    (3, LONG),
    (4, LONG),
    (5, TEXT),
    (6, TEXT),
    (7, Flag),
    (8, Flag),
]);

const BOX: Kind = Structure(&[
    (1, DOUBLE),
    (2, DOUBLE),
    (3, DOUBLE),
    (4, DOUBLE),
    (5, DOUBLE),
    (6, DOUBLE),
    (7, DOUBLE),
    (8, DOUBLE),
]);

/// The header of a page; fields 2 and 3 are the sizes of its body, inflated and as it is.
pub(super) const PAGE: Fields = &[
    (1, NUMBER),
    (2, NUMBER),
    (3, NUMBER),
    (4, NUMBER),
    (5, Structure(&[(1, NUMBER), (2, NUMBER), (3, NUMBER), (4, NUMBER), (5, STATISTICS)])),
    (6, NOTHING),
    (7, Structure(&[(1, NUMBER), (2, NUMBER), (3, Flag)])),
    (8, Structure(DATA_PAGE_2)),
];

const DATA_PAGE_2: Fields = &[
    (1, NUMBER),
    (2, NUMBER),
    (3, NUMBER),
    (4, NUMBER),
    (5, NUMBER),
    (6, NUMBER),
    (7, Flag),
    (8, STATISTICS),
];
