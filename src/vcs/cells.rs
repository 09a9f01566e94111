//! Cells of columns as text: what stands between tabs, or in a JSON object.

use std::io::Write as _;

use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_schema::DataType;

use super::number;
use crate::error::{Error, Result};

/// How cells are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Tabs between, `.` for null, commas between items.
    Tabs,
    /// An object a row.
    Json,
}

/// The rows of a batch as text, a line each.
pub(super) fn rows_as_text(batch: &RecordBatch, style: Style) -> Result<Vec<u8>> {
    let columns: Vec<Cells<'_>> = batch.columns().iter().map(Cells::of).collect::<Result<_>>()?;
    let schema = batch.schema();
    let name = |name: &str| format!("{}:", serde_json::Value::from(name)).into_bytes();
    let names: Vec<Vec<u8>> = schema.fields().iter().map(|field| name(field.name())).collect();
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        for (at, (name, cells)) in names.iter().zip(&columns).enumerate() {
            match style {
                Style::Tabs if at == 0 => {}
                Style::Tabs => text.push(b'\t'),
                Style::Json => {
                    text.push(if at == 0 { b'{' } else { b',' });
                    text.extend_from_slice(name);
                }
            }
            cells.push(row, style, &mut text);
        }
        if style == Style::Json {
            text.push(b'}');
        }
        text.push(b'\n');
    }
    Ok(text)
}

/// The cells of a column.
enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Text(&'a StringArray),
    List(&'a ListArray, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        fn cast<T: 'static>(array: &ArrayRef) -> Result<&T> {
            let found = array.as_any().downcast_ref::<T>();
            found.ok_or_else(|| Error::internal("a column of an unknown type"))
        }
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(cast(array)?),
            DataType::Int32 => Self::Int32(cast(array)?),
            DataType::Int64 => Self::Int64(cast(array)?),
            DataType::Float32 => Self::Float32(cast(array)?),
            DataType::Float64 => Self::Float64(cast(array)?),
            DataType::Utf8 => Self::Text(cast(array)?),
            DataType::List(_) => {
                let list: &ListArray = cast(array)?;
                Self::List(list, Box::new(Self::of(list.values())?))
            }
            other => return Err(Error::internal("a column of an unknown type").found(other)),
        })
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(at),
            Self::Int32(array) => array.is_null(at),
            Self::Int64(array) => array.is_null(at),
            Self::Float32(array) => array.is_null(at),
            Self::Float64(array) => array.is_null(at),
            Self::Text(array) => array.is_null(at),
            Self::List(array, _) => array.is_null(at),
        }
    }

    fn push(&self, at: usize, style: Style, out: &mut Vec<u8>) {
        if self.is_null(at) {
            out.extend_from_slice(if style == Style::Json { b"null" } else { b"." });
            return;
        }
        // Writing into a vector cannot fail.
        match self {
            Self::Bool(array) => {
                out.extend_from_slice(if array.value(at) { b"true" } else { b"false" });
            }
            Self::Int32(array) => number::push_integer(i64::from(array.value(at)), out),
            Self::Int64(array) => number::push_integer(array.value(at), out),
            Self::Float32(array) => drop(write!(out, "{}", array.value(at))),
            Self::Float64(array) => drop(write!(out, "{}", array.value(at))),
            Self::Text(array) if style == Style::Json => {
                drop(serde_json::to_writer(out, array.value(at)));
            }
            Self::Text(array) => out.extend_from_slice(array.value(at).as_bytes()),
            Self::List(array, items) => {
                let offsets = array.value_offsets();
                let range = offsets[at] as usize..offsets[at + 1] as usize;
                let is_json = style == Style::Json;
                out.extend_from_slice(if is_json { b"[" } else { b"" });
                for item in range.clone() {
                    if item > range.start {
                        out.push(b',');
                    }
                    items.push(item, style, out);
                }
                out.extend_from_slice(if is_json { b"]" } else { b"" });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{Float32Array, Int64Array};

    use super::*;

    #[test]
    fn test_rows_are_text_with_tabs_or_objects() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), None, Some(-3)]);
        lists.append_null();
        let columns: [(&str, ArrayRef); 4] = [
            ("POS", Arc::new(Int64Array::from(vec![5, 1_000]))),
            ("ID", Arc::new(StringArray::from(vec![Some("a\"b"), None]))),
            ("AF", Arc::new(Float32Array::from(vec![Some(0.1), Some(1e-7)]))),
            ("AC", Arc::new(lists.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = |style| String::from_utf8(rows_as_text(&batch, style).unwrap()).unwrap();
        assert_eq!(text(Style::Tabs), "5\ta\"b\t0.1\t1,.,-3\n1000\t.\t0.0000001\t.\n");
        assert_eq!(
            text(Style::Json),
            "{\"POS\":5,\"ID\":\"a\\\"b\",\"AF\":0.1,\"AC\":[1,null,-3]}\n\
             {\"POS\":1000,\"ID\":null,\"AF\":0.0000001,\"AC\":null}\n"
        );
    }
}
