//! How bytes are laid out: Hail's encoded types.

use std::collections::HashSet;

use super::grammar::Grammar;
use super::types::{KEY, VALUE, VType};
use crate::error::{Context, Error, Result};

/// An encoded type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EType {
    /// Never missing; else its missing bit lies in its parent.
    pub(super) required: bool,
    pub(super) kind: EKind,
}

/// How lengths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As the buffer's `int32`: 4 bytes, or a varint below a LEB128 buffer.
    Buffer,
    /// As a varint.
    Varint,
}

/// A layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EKind {
    Boolean,
    Int32,
    Int64,
    Varint,
    Float32,
    Float64,
    Binary(Length),
    Array(Length, Box<EType>),
    Struct(Vec<(String, EType)>),
    NdArray(Box<EType>, usize),
}

impl EType {
    /// Reads an encoded type; the outermost is never missing.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let read = || {
            let mut grammar = Grammar::new(text);
            let mut of = encoded(&mut grammar)?;
            grammar.end()?;
            of.required = true;
            Ok(of)
        };
        read().at(|| "_eType")
    }

    /// The field of a struct.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            EKind::Struct(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, of)| of),
            _ => None,
        }
    }

    /// That values so laid out can be of type `of`.
    pub(super) fn check(&self, of: &VType) -> Result<()> {
        let bad = || {
            Error::unsupported(format!("a value of type {of} is encoded in an unknown way"))
                .found(self.name())
        };
        match (of, &self.kind) {
            (VType::Boolean, EKind::Boolean)
            | (VType::Int32 | VType::Call, EKind::Int32 | EKind::Varint)
            | (VType::Int64, EKind::Int64 | EKind::Varint)
            | (VType::Float32, EKind::Float32)
            | (VType::Float64, EKind::Float64)
            | (VType::String, EKind::Binary(_)) => Ok(()),
            (VType::Array(item) | VType::Set(item), EKind::Array(_, encoded)) => {
                encoded.check(item)
            }
            (VType::Dict(key, value), EKind::Array(_, pair)) => {
                let parts = [(KEY.to_owned(), (**key).clone()), (VALUE.into(), (**value).clone())];
                pair.check(&VType::Struct(parts.to_vec()))
            }
            (VType::NdArray(item, n), EKind::NdArray(encoded, m)) if n == m && encoded.required => {
                encoded.check(item)
            }
            (
                VType::Locus(_) | VType::Interval(_) | VType::Struct(_) | VType::Tuple(_),
                EKind::Struct(fields),
            ) => {
                let parts = of.parts();
                for part in &parts {
                    let field = self.field(&part.encoded).ok_or_else(bad)?;
                    field.check(&part.of).at(|| part.name.clone())?;
                }
                let names: HashSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                let is_whole = parts.len() == fields.len() && names.len() == fields.len();
                if is_whole { Ok(()) } else { Err(bad()) }
            }
            _ => Err(bad()),
        }
    }

    fn name(&self) -> &'static str {
        match &self.kind {
            EKind::Boolean => "EBoolean",
            EKind::Int32 => "EInt32",
            EKind::Int64 => "EInt64",
            EKind::Varint => "EVarint",
            EKind::Float32 => "EFloat32",
            EKind::Float64 => "EFloat64",
            EKind::Binary(_) => "EBinary",
            EKind::Array(..) => "EArray",
            EKind::Struct(_) => "EBaseStruct with other fields",
            EKind::NdArray(..) => "ENDArrayColumnMajor",
        }
    }
}

fn encoded(grammar: &mut Grammar<'_>) -> Result<EType> {
    grammar.nested(|grammar| {
        let required = grammar.take("+");
        let kind = kind(grammar)?;
        Ok(EType { required, kind })
    })
}

fn kind(grammar: &mut Grammar<'_>) -> Result<EKind> {
    let word = grammar.word()?;
    let array = |grammar: &mut Grammar<'_>, length| {
        grammar.expect("[")?;
        let item = encoded(grammar)?;
        grammar.expect("]")?;
        Ok(EKind::Array(length, Box::new(item)))
    };
    match word {
        "EBoolean" => Ok(EKind::Boolean),
        "EInt32" => Ok(EKind::Int32),
        "EInt64" => Ok(EKind::Int64),
        "EVarint" => Ok(EKind::Varint),
        "EFloat32" => Ok(EKind::Float32),
        "EFloat64" => Ok(EKind::Float64),
        "EBinary" | "EBinaryLegacyFullWidthIntegerLength" => Ok(EKind::Binary(Length::Buffer)),
        "EBinary2" => Ok(EKind::Binary(Length::Varint)),
        "EArray" | "EArrayLegacyFullWidthIntegerLength" => array(grammar, Length::Buffer),
        "EArray2" => array(grammar, Length::Varint),
        "EBaseStruct" => {
            let fields = grammar.list("{", "}", |grammar| {
                let name = grammar.name()?;
                grammar.expect(":")?;
                Ok((name, encoded(grammar)?))
            })?;
            Ok(EKind::Struct(fields))
        }
        "ENDArrayColumnMajor" => {
            grammar.expect("[")?;
            let item = encoded(grammar)?;
            grammar.expect(",")?;
            let dimensions = grammar.number()?;
            grammar.expect("]")?;
            Ok(EKind::NdArray(Box::new(item), dimensions))
        }
        other => Err(Error::unsupported(format!("the encoded type {other:?} is not known"))
            .help("read the table with Hail and write it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_parse_reads_both_generations() {
        let old = EType::parse("EBaseStruct{a:+EArray[EBinary],`b c`:EInt32}").unwrap();
        assert!(old.required, "the outermost is required without its +");
        let new = EType::parse("+EBaseStruct{a:+EArray2[EBinary2],`b c`:EVarint}").unwrap();
        let of = VType::parse("Struct{`b c`:Int32,a:Set[String]}").unwrap();
        for encoded in [&old, &new] {
            encoded.check(&of).unwrap();
            assert!(encoded.field("a").unwrap().required);
        }
        assert!(old.check(&VType::parse("Struct{a:Set[String]}").unwrap()).is_err());
        assert!(old.check(&VType::parse("Struct{a:Set[String],`b c`:Int64}").unwrap()).is_err());
    }

    #[test]
    fn test_parse_refuses_unknown_types_by_name() {
        for name in ["EPackedIntArray", "EStructOfArrays", "EUnsortedSet", "ENDArray"] {
            let error = EType::parse(&format!("EBaseStruct{{a:{name}[EInt32]}}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
        }
        let deep = "EArray[".repeat(100_000);
        assert!(EType::parse(&deep).is_err());
    }
}
