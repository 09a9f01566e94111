//! Values as JSON, as Hail's documentation and people write them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, StructArray};
use serde_json::{Map, Value};

use super::types::VType;

/// The value of type `of` at `row` of a column that this module's reader made.
///
/// Missing is `null`, NaN and infinities are texts, a call is text, a locus and an interval are
/// objects, a set is a list, a dict a list of `{key, value}`, a tuple a list, an array of several
/// dimensions `{shape, data}`.
pub fn to_json(of: &VType, array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match of {
        VType::Boolean => array.as_boolean().value(row).into(),
        VType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        VType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        VType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        VType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        VType::String | VType::Call => array.as_string::<i32>().value(row).into(),
        VType::Array(item) | VType::Set(item) => list(item, array, row),
        VType::Dict(key, value) => {
            let fields =
                vec![("key".to_owned(), (**key).clone()), ("value".into(), (**value).clone())];
            list(&VType::Struct(fields), array, row)
        }
        VType::NdArray(item, _) => {
            let parts = array.as_struct();
            let mut object = Map::new();
            object.insert("shape".into(), list(&VType::Int64, parts.column(0), row));
            object.insert("data".into(), list(item, parts.column(1), row));
            Value::Object(object)
        }
        VType::Tuple(items) => match array.as_struct_opt() {
            Some(parts) => {
                let items = items.iter().zip(parts.columns());
                Value::Array(items.map(|(of, column)| to_json(of, column, row)).collect())
            }
            None => Value::Array(Vec::new()),
        },
        VType::Locus(_) | VType::Interval(_) | VType::Struct(_) => match array.as_struct_opt() {
            Some(parts) => object(of, parts, row),
            None => Value::Object(Map::new()),
        },
    }
}

fn object(of: &VType, parts: &StructArray, row: usize) -> Value {
    let columns = of.parts().into_iter().zip(parts.columns());
    Value::Object(
        columns.map(|(part, column)| (part.name, to_json(&part.of, column, row))).collect(),
    )
}

fn list(item: &VType, array: &dyn Array, row: usize) -> Value {
    let items = array.as_list::<i32>().value(row);
    Value::Array((0..items.len()).map(|at| to_json(item, &items, at)).collect())
}

fn float(value: f64) -> Value {
    match value {
        _ if value.is_nan() => "nan".into(),
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ => value.into(),
    }
}
