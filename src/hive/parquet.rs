//! How the columns of exported Parquet files are encoded.

use std::collections::HashSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::basic::Encoding;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::columnar::{Kind, PageCompression};
use crate::error::Result;

/// Values that are looked at to choose the encoding of a column.
const SAMPLE: usize = 1024;

/// Files of `columns`.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for a level that zstd does not have.
pub(super) fn kind_of(columns: SchemaRef, compression: PageCompression) -> Result<Kind> {
    Kind::new(columns, compression, tune)
}

/// How the columns of a row group are encoded, by their values.
fn tune(
    schema: &Schema,
    columns: &[ArrayRef],
    properties: WriterPropertiesBuilder,
) -> WriterPropertiesBuilder {
    // Rows of a file are of one contig, and in order of position.
    let sorting = SortingColumn { column_idx: 1, descending: false, nulls_first: false };
    let mut properties = properties.set_sorting_columns(Some(vec![sorting]));
    let mut leaves = Vec::new();
    for (field, array) in schema.fields().iter().zip(columns) {
        collect_leaves(vec![field.name().clone()], array, false, &mut leaves);
    }
    for Leaf { path, values, in_list } in leaves {
        let path = ColumnPath::new(path);
        // No engine skips by what is inside of lists, and a footer has it for every row group.
        if in_list {
            properties =
                properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if let Some(encoding) = encoding_of(&values) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding);
        }
    }
    properties
}

/// A column as Parquet has it.
struct Leaf {
    path: Vec<String>,
    values: ArrayRef,
    in_list: bool,
}

fn collect_leaves(path: Vec<String>, array: &ArrayRef, in_list: bool, into: &mut Vec<Leaf>) {
    let below = |names: &[&str]| {
        let mut path = path.clone();
        path.extend(names.iter().map(|&name| name.to_owned()));
        path
    };
    match array.data_type() {
        DataType::List(item) => {
            let values = array.as_list::<i32>().values();
            collect_leaves(below(&["list", item.name()]), values, true, into);
        }
        DataType::Struct(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                collect_leaves(below(&[field.name()]), column, in_list, into);
            }
        }
        _ => into.push(Leaf { path, values: array.clone(), in_list }),
    }
}

/// The encoding of a column; `None` for a dictionary, which is best where values repeat.
fn encoding_of(values: &ArrayRef) -> Option<Encoding> {
    // From the middle, where a batch is more like the rest of its contig.
    let count = values.len().min(SAMPLE);
    let sample = values.slice((values.len() - count) / 2, count);
    let valid = count - sample.null_count();
    let distinct = match sample.data_type() {
        DataType::Int32 => {
            let values = sample.as_primitive::<Int32Type>();
            values.iter().flatten().collect::<HashSet<_>>().len()
        }
        DataType::Int64 => {
            let values = sample.as_primitive::<Int64Type>();
            values.iter().flatten().collect::<HashSet<_>>().len()
        }
        DataType::Float32 => {
            let values = sample.as_primitive::<Float32Type>();
            values.iter().flatten().map(f32::to_bits).collect::<HashSet<_>>().len()
        }
        DataType::Float64 => {
            let values = sample.as_primitive::<Float64Type>();
            values.iter().flatten().map(f64::to_bits).collect::<HashSet<_>>().len()
        }
        DataType::Utf8 => sample.as_string::<i32>().iter().flatten().collect::<HashSet<_>>().len(),
        _ => return None,
    };
    if 4 * distinct <= valid {
        return None;
    }
    match sample.data_type() {
        DataType::Int32 | DataType::Int64 => Some(Encoding::DELTA_BINARY_PACKED),
        DataType::Float32 | DataType::Float64 => Some(Encoding::BYTE_STREAM_SPLIT),
        _ if 2 * distinct > valid => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        _ => None,
    }
}
