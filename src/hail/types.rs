//! What values mean: Hail's virtual types, and their Arrow types.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields};

use super::encoded::{EKind, EType};
use super::grammar::Grammar;
use crate::error::{Context, Error, Result};

/// A Hail type, as Hail's metadata writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VType {
    /// `Boolean`.
    Boolean,
    /// `Int32`.
    Int32,
    /// `Int64`.
    Int64,
    /// `Float32`.
    Float32,
    /// `Float64`.
    Float64,
    /// `String`.
    String,
    /// `Call`: a genotype.
    Call,
    /// `Locus(GENOME)`: a contig and a 1-based position of a reference genome.
    Locus(String),
    /// `Interval[T]`.
    Interval(Box<VType>),
    /// `Array[T]`.
    Array(Box<VType>),
    /// `Set[T]`.
    Set(Box<VType>),
    /// `Dict[K,V]`.
    Dict(Box<VType>, Box<VType>),
    /// `Struct{name:T,…}`.
    Struct(Vec<(String, VType)>),
    /// `Tuple[T,…]`.
    Tuple(Vec<VType>),
    /// `NDArray[T,n]`.
    NdArray(Box<VType>, usize),
}

/// What `table_type` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableType {
    /// The type of the globals.
    pub globals: VType,
    /// The fields of the key; none where the table is unkeyed.
    pub key: Vec<String>,
    /// The type of a row.
    pub row: VType,
}

impl VType {
    /// Reads a type.
    ///
    /// ```
    /// use genomic_objects::hail::VType;
    ///
    /// let of = VType::parse("Struct{locus:Locus(GRCh38),`a b`:Array[Int32]}")?;
    /// assert_eq!(of.to_string(), "struct{locus: locus<GRCh38>, `a b`: array<int32>}");
    /// # Ok::<(), genomic_objects::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where the text is no type,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for a type that is not known.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_legacy(text).map(|(of, _)| of)
    }

    /// Reads a type of before 0.2.24, whose `+` say what is required, with the way it is encoded.
    pub(super) fn parse_legacy(text: &str) -> Result<(Self, EType)> {
        let mut grammar = Grammar::new(text);
        let found = typed(&mut grammar)?;
        grammar.end()?;
        Ok(found)
    }

    /// The fields of a struct.
    pub fn fields(&self) -> &[(String, Self)] {
        match self {
            Self::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The same in Arrow; `encoded` says which parts are never missing.
    pub(super) fn data_type(&self, encoded: &EType) -> DataType {
        match (self, &encoded.kind) {
            (Self::Boolean, _) => DataType::Boolean,
            (Self::Int32, _) => DataType::Int32,
            (Self::Int64, _) => DataType::Int64,
            (Self::Float32, _) => DataType::Float32,
            (Self::Float64, _) => DataType::Float64,
            (Self::String | Self::Call, _) => DataType::Utf8,
            (Self::Array(item) | Self::Set(item), EKind::Array(_, of)) => list_of(item, of),
            (Self::Dict(key, value), EKind::Array(_, of)) => {
                let pair = [(KEY.to_owned(), (**key).clone()), (VALUE.into(), (**value).clone())];
                list_of(&Self::Struct(pair.to_vec()), of)
            }
            (Self::NdArray(item, _), EKind::NdArray(of, _)) => {
                DataType::Struct(Fields::from(vec![
                    Field::new("shape", DataType::List(element(DataType::Int64, false)), false),
                    Field::new("data", list_of(item, of), false),
                ]))
            }
            (of, EKind::Struct(_)) => {
                let parts = of.parts();
                if parts.is_empty() {
                    // Parquet has no struct without fields.
                    return DataType::Boolean;
                }
                let fields = parts.iter().filter_map(|part| {
                    let encoded = encoded.field(&part.encoded)?;
                    let nullable = !encoded.required;
                    Some(Field::new(&part.name, part.of.data_type(encoded), nullable))
                });
                DataType::Struct(fields.collect())
            }
            _ => DataType::Null,
        }
    }

    /// The parts of what is laid out as a struct, in the order of the Arrow type.
    pub(super) fn parts(&self) -> Vec<Part> {
        let part = |name: &str, encoded: &str, of: &Self| Part {
            name: name.to_owned(),
            encoded: encoded.to_owned(),
            of: of.clone(),
        };
        match self {
            Self::Locus(_) => vec![
                part("contig", "contig", &Self::String),
                part("position", "position", &Self::Int32),
            ],
            Self::Interval(point) => vec![
                part("start", "start", point),
                part("end", "end", point),
                part("includeStart", "includesStart", &Self::Boolean),
                part("includeEnd", "includesEnd", &Self::Boolean),
            ],
            Self::Struct(fields) => fields.iter().map(|(name, of)| part(name, name, of)).collect(),
            Self::Tuple(items) => {
                let named = items.iter().enumerate();
                named.map(|(at, of)| part(&at.to_string(), &at.to_string(), of)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The parts of a pair of a dict.
pub(super) const KEY: &str = "key";
pub(super) const VALUE: &str = "value";

/// A part of what is laid out as a struct.
pub(super) struct Part {
    /// Its name in Arrow.
    pub(super) name: String,
    /// Its name in the encoded type.
    pub(super) encoded: String,
    pub(super) of: VType,
}

fn list_of(item: &VType, encoded: &EType) -> DataType {
    DataType::List(element(item.data_type(encoded), !encoded.required))
}

/// The field of a list's items.
pub(super) fn element(of: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new("element", of, nullable))
}

impl TableType {
    /// Reads `Table{global:…,key:[…],row:…}`.
    ///
    /// # Errors
    ///
    /// As [`VType::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let mut grammar = Grammar::new(text);
            for token in ["Table", "{", "global", ":"] {
                grammar.expect(token)?;
            }
            let (globals, _) = typed(&mut grammar)?;
            for token in [",", "key", ":"] {
                grammar.expect(token)?;
            }
            // The notation of before 0.2.24 was `None` for a table without a key.
            let key = match grammar.take("None") {
                true => Vec::new(),
                false => grammar.list("[", "]", Grammar::name)?,
            };
            for token in [",", "row", ":"] {
                grammar.expect(token)?;
            }
            let (row, _) = typed(&mut grammar)?;
            grammar.expect("}")?;
            grammar.end()?;
            Ok(Self { globals, key, row })
        };
        read().at(|| "table_type")
    }

    /// The type of the first field of the key.
    pub fn key_type(&self) -> Option<&VType> {
        let first = self.key.first()?;
        self.row.fields().iter().find(|(name, _)| name == first).map(|(_, of)| of)
    }
}

fn typed(grammar: &mut Grammar<'_>) -> Result<(VType, EType)> {
    grammar.nested(|grammar| {
        let required = grammar.take("+");
        let (of, kind) = kind(grammar)?;
        Ok((of, EType { required, kind }))
    })
}

fn boxed(grammar: &mut Grammar<'_>) -> Result<(Box<VType>, EType)> {
    grammar.expect("[")?;
    let (of, encoded) = typed(grammar)?;
    grammar.expect("]")?;
    Ok((Box::new(of), encoded))
}

fn array(item: EType) -> EKind {
    EKind::Array(super::encoded::Length::Buffer, Box::new(item))
}

fn plain(kind: EKind) -> EType {
    EType { required: true, kind }
}

/// A type, and how releases before 0.2.24 encoded it.
fn kind(grammar: &mut Grammar<'_>) -> Result<(VType, EKind)> {
    use super::encoded::Length::Buffer;
    let word = grammar.word()?;
    Ok(match word {
        "Boolean" => (VType::Boolean, EKind::Boolean),
        "Int32" | "Int" => (VType::Int32, EKind::Int32),
        "Int64" => (VType::Int64, EKind::Int64),
        "Float32" => (VType::Float32, EKind::Float32),
        "Float64" | "Float" => (VType::Float64, EKind::Float64),
        "String" => (VType::String, EKind::Binary(Buffer)),
        "Call" => (VType::Call, EKind::Int32),
        "Locus" => {
            grammar.expect("(")?;
            let genome = grammar.name()?;
            grammar.expect(")")?;
            let fields = vec![
                ("contig".to_owned(), plain(EKind::Binary(Buffer))),
                ("position".to_owned(), plain(EKind::Int32)),
            ];
            (VType::Locus(genome), EKind::Struct(fields))
        }
        "Interval" => {
            let (point, encoded) = boxed(grammar)?;
            let fields = vec![
                ("start".to_owned(), encoded.clone()),
                ("end".to_owned(), encoded),
                ("includesStart".to_owned(), plain(EKind::Boolean)),
                ("includesEnd".to_owned(), plain(EKind::Boolean)),
            ];
            (VType::Interval(point), EKind::Struct(fields))
        }
        "Array" => {
            let (item, encoded) = boxed(grammar)?;
            (VType::Array(item), array(encoded))
        }
        "Set" => {
            let (item, encoded) = boxed(grammar)?;
            (VType::Set(item), array(encoded))
        }
        "Dict" => {
            grammar.expect("[")?;
            let (key, encoded_key) = typed(grammar)?;
            grammar.expect(",")?;
            let (value, encoded_value) = typed(grammar)?;
            grammar.expect("]")?;
            let pair = vec![(KEY.to_owned(), encoded_key), (VALUE.to_owned(), encoded_value)];
            (VType::Dict(Box::new(key), Box::new(value)), array(plain(EKind::Struct(pair))))
        }
        "Struct" => {
            let fields = grammar.list("{", "}", |grammar| {
                let name = grammar.name()?;
                grammar.expect(":")?;
                Ok((name, typed(grammar)?))
            })?;
            let names: HashSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            if names.len() != fields.len() {
                return Err(grammar.error("fields of different names"));
            }
            let encoded = fields.iter().map(|(name, (_, of))| (name.clone(), of.clone()));
            let encoded = EKind::Struct(encoded.collect());
            let fields = fields.into_iter().map(|(name, (of, _))| (name, of));
            (VType::Struct(fields.collect()), encoded)
        }
        "Tuple" => {
            let items = grammar.list("[", "]", typed)?;
            let encoded =
                items.iter().enumerate().map(|(at, (_, of))| (at.to_string(), of.clone()));
            let encoded = EKind::Struct(encoded.collect());
            (VType::Tuple(items.into_iter().map(|(of, _)| of).collect()), encoded)
        }
        "NDArray" => {
            grammar.expect("[")?;
            let (item, encoded) = typed(grammar)?;
            grammar.expect(",")?;
            let dimensions = grammar.number()?;
            grammar.expect("]")?;
            let encoded = EKind::NdArray(Box::new(plain(encoded.kind)), dimensions);
            (VType::NdArray(Box::new(item), dimensions), encoded)
        }
        other => {
            return Err(Error::unsupported(format!("the type {other:?} is not known")).help(
                "the table may be of a newer Hail; have Hail write it with the types it documents",
            ));
        }
    })
}

impl fmt::Display for VType {
    /// As Hail's Python prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("bool"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Float32 => f.write_str("float32"),
            Self::Float64 => f.write_str("float64"),
            Self::String => f.write_str("str"),
            Self::Call => f.write_str("call"),
            Self::Locus(genome) => write!(f, "locus<{genome}>"),
            Self::Interval(point) => write!(f, "interval<{point}>"),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Set(item) => write!(f, "set<{item}>"),
            Self::Dict(key, value) => write!(f, "dict<{key}, {value}>"),
            Self::NdArray(item, dimensions) => write!(f, "ndarray<{item}, {dimensions}>"),
            Self::Struct(fields) => {
                f.write_str("struct{")?;
                for (at, (name, of)) in fields.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {of}", shown(name))?;
                }
                f.write_str("}")
            }
            Self::Tuple(items) => {
                f.write_str("tuple(")?;
                for (at, of) in items.iter().enumerate() {
                    write!(f, "{}{of}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A name, between backticks where it needs them.
fn shown(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_plain = is_word && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if is_plain { name.to_owned() } else { format!("`{}`", name.replace('`', "\\`")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_parse_reads_every_type_and_name() {
        let text = "Struct{a:+Boolean, b:Int,`a.b`:Dict[String,Array[Float32]],`b\\`t`:Tuple[],\
                    `\\u00e9`:NDArray[Float64,2],c:Interval[Locus(GRCh37)],d:Set[Call],e:Int64}";
        let of = VType::parse(text).unwrap();
        assert_eq!(
            of.to_string(),
            "struct{a: bool, b: int32, `a.b`: dict<str, array<float32>>, `b\\`t`: tuple(), é: \
             ndarray<float64, 2>, c: interval<locus<GRCh37>>, d: set<call>, e: int64}"
        );
        let table = TableType::parse(
            "Table{global:Struct{},key:[locus,`a b`],row:Struct{locus:Locus(GRCh38),`a b`:Int32}}",
        )
        .unwrap();
        assert_eq!(table.key, ["locus", "a b"]);
        assert_eq!(table.key_type(), Some(&VType::Locus("GRCh38".into())));
    }

    #[test]
    fn test_parse_refuses_what_is_no_type() {
        for text in
            ["", "Int32]", "Struct{a}", "Array[", "Struct{`a:Int32}", "Locus", "Struct{a:Int32,}"]
        {
            assert_eq!(VType::parse(text).unwrap_err().kind(), ErrorKind::Input, "{text}");
        }
        assert_eq!(VType::parse("Blob").unwrap_err().kind(), ErrorKind::Unsupported);
        let deep = format!("{}Int32{}", "Array[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(VType::parse(&deep).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
