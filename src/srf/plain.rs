//! The plain layout: a column per field, which any reader of Arrow understands.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array,
    Int8Array, Int32Array, ListArray, RecordBatch, StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::batch::{Batch, Mate, Quality, Sparse, Texts};
use crate::error::{Error, Result};
use crate::records::reads::Style;

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Int8, false))
}

/// The schema, for reads of one length each (or of several, for 0).
pub(super) fn schema(
    styles: &[Style],
    fixed: [u32; 2],
    metadata: &[(String, String)],
) -> Arc<Schema> {
    let mut fields = vec![Field::new("read_id", DataType::Utf8, false)];
    for (mate, (style, fixed)) in styles.iter().zip(fixed).enumerate() {
        let suffix = if mate == 0 { "" } else { "_2" };
        let name = |name: &str| format!("{name}{suffix}");
        let (bases, qualities) = match i32::try_from(fixed) {
            Ok(length @ 1..) => {
                (DataType::FixedSizeBinary(length), DataType::FixedSizeList(item(), length))
            }
            _ => (DataType::Binary, DataType::List(item())),
        };
        fields.extend([
            Field::new(name("sequence"), bases, false),
            Field::new(name("quality"), qualities, style.fasta),
            Field::new(name("length"), DataType::Int32, false),
            Field::new(name("avg_quality"), DataType::Float32, true),
            Field::new(name("expected_errors"), DataType::Float32, true),
            Field::new(name("description"), DataType::Utf8, true),
            Field::new(name("exact"), DataType::Binary, true),
        ]);
    }
    Arc::new(Schema::new(fields).with_metadata(metadata.iter().cloned().collect()))
}

/// Columns of one read of a row.
const MATE_COLUMNS: usize = 7;

fn failed(error: ArrowError) -> Error {
    Error::internal("building Arrow columns").caused_by(error)
}

fn offsets(ends: &[u32]) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend(ends.iter().map(|&end| end as i32));
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

fn sparse_texts(sparse: &Sparse, rows: usize) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let mut texts = sparse.iter().peekable();
    for row in 0..rows {
        match texts.next_if(|(at, _)| *at as usize == row) {
            Some((_, text)) => builder.append_value(String::from_utf8_lossy(text)),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn sparse_bytes(sparse: &Sparse, rows: usize) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    let mut texts = sparse.iter().peekable();
    for row in 0..rows {
        match texts.next_if(|(at, _)| *at as usize == row) {
            Some((_, text)) => builder.append_value(text),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// The columns of a batch.
pub(super) fn columns(
    batch: Batch,
    qualities: &[Vec<Option<Quality>>],
    schema: &Arc<Schema>,
    fixed: [u32; 2],
) -> Result<RecordBatch> {
    let rows = batch.rows();
    let Batch { names, descriptions, has_description, second_descriptions, mates, styles } = batch;
    let names = StringArray::try_new(offsets(&names.ends), Buffer::from_vec(names.bytes), None)
        .map_err(failed)?;
    let nulls = NullBuffer::from(has_description);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let first_descriptions = StringArray::try_new(
        offsets(&descriptions.ends),
        Buffer::from_vec(descriptions.bytes),
        nulls,
    )
    .map_err(failed)?;
    let mut first_descriptions = Some(first_descriptions);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
    for (((mate, style), fixed), quality) in
        mates.into_iter().zip(&styles).zip(fixed).zip(qualities)
    {
        let Mate { bases: Texts { bytes, ends }, qualities, exact } = mate;
        let mut start = 0;
        let lengths: Vec<i32> =
            ends.iter().map(|&end| (end - std::mem::replace(&mut start, end)) as i32).collect();
        let phred: Vec<i8> = qualities.iter().map(|&byte| byte.wrapping_sub(33) as i8).collect();
        let phred: ArrayRef = Arc::new(Int8Array::new(phred.into(), None));
        match i32::try_from(fixed) {
            Ok(length @ 1..) => {
                let bases = FixedSizeBinaryArray::try_new(length, Buffer::from_vec(bytes), None);
                columns.push(Arc::new(bases.map_err(failed)?));
                let list = FixedSizeListArray::try_new(item(), length, phred, None);
                columns.push(Arc::new(list.map_err(failed)?));
            }
            _ => {
                let offsets = offsets(&ends);
                let bases = BinaryArray::try_new(offsets.clone(), Buffer::from_vec(bytes), None);
                columns.push(Arc::new(bases.map_err(failed)?));
                let list = if style.fasta {
                    let none = OffsetBuffer::new_zeroed(rows);
                    ListArray::try_new(item(), none, phred, Some(NullBuffer::new_null(rows)))
                } else {
                    ListArray::try_new(item(), offsets, phred, None)
                };
                columns.push(Arc::new(list.map_err(failed)?));
            }
        }
        columns.push(Arc::new(Int32Array::from(lengths)));
        let average = |quality: &Option<Quality>| quality.map(|quality| quality.average);
        let errors = |quality: &Option<Quality>| quality.map(|quality| quality.expected_errors);
        columns.push(Arc::new(quality.iter().map(average).collect::<Float32Array>()));
        columns.push(Arc::new(quality.iter().map(errors).collect::<Float32Array>()));
        columns.push(match first_descriptions.take() {
            Some(first) => Arc::new(first),
            None => sparse_texts(&second_descriptions, rows),
        });
        columns.push(sparse_bytes(&exact, rows));
    }
    RecordBatch::try_new(schema.clone(), columns).map_err(failed)
}

/// The reads of a record batch.
pub(super) fn batch(columns: &RecordBatch, styles: &[Style]) -> Result<Batch> {
    let wrong = || Error::corrupt("an Arrow batch has other columns than its schema says");
    if columns.num_columns() != 1 + MATE_COLUMNS * styles.len() {
        return Err(wrong());
    }
    let rows = columns.num_rows();
    let names = columns.column(0).as_string_opt::<i32>().ok_or_else(wrong)?;
    let mut batch =
        Batch { names: texts_of_strings(names), styles: styles.to_vec(), ..Batch::default() };
    for (number, style) in styles.iter().enumerate() {
        let column = |at: usize| columns.column(1 + number * MATE_COLUMNS + at);
        let bases = match column(0).data_type() {
            DataType::Binary => {
                let bases = column(0).as_binary_opt::<i32>().ok_or_else(wrong)?;
                texts(bases.offsets(), bases.value_data())
            }
            DataType::FixedSizeBinary(length) => {
                let bases = column(0).as_fixed_size_binary_opt().ok_or_else(wrong)?;
                let length = u32::try_from(*length).map_err(|_| wrong())?;
                let total = length as usize * rows;
                let bytes = bases.value_data().get(..total).ok_or_else(wrong)?.to_vec();
                Texts { bytes, ends: (1..=rows as u32).map(|row| row * length).collect() }
            }
            _ => return Err(wrong()),
        };
        let phred = match column(1).data_type() {
            DataType::List(_) => column(1).as_list_opt::<i32>().ok_or_else(wrong)?.values(),
            DataType::FixedSizeList(..) => {
                column(1).as_fixed_size_list_opt().ok_or_else(wrong)?.values()
            }
            _ => return Err(wrong()),
        };
        let phred = phred.as_primitive_opt::<Int8Type>().ok_or_else(wrong)?.values();
        let qualities: Vec<u8> =
            phred.iter().map(|&quality| (quality as u8).wrapping_add(33)).collect();
        if !style.fasta && qualities.len() != bases.bytes.len() {
            return Err(Error::corrupt("an Arrow batch has not one quality per base"));
        }
        let descriptions = column(5).as_string_opt::<i32>().ok_or_else(wrong)?;
        if number == 0 {
            batch.descriptions = texts_of_strings(descriptions);
            batch.has_description = (0..rows).map(|row| descriptions.is_valid(row)).collect();
        } else {
            let some = |row: usize| {
                descriptions
                    .is_valid(row)
                    .then(|| (row as u32, descriptions.value(row).as_bytes().to_vec()))
            };
            batch.second_descriptions = (0..rows).filter_map(some).collect();
        }
        let exact = column(6).as_binary_opt::<i32>().ok_or_else(wrong)?;
        let exact = if exact.null_count() == rows {
            Sparse::new()
        } else {
            let some =
                |row: usize| exact.is_valid(row).then(|| (row as u32, exact.value(row).to_vec()));
            (0..rows).filter_map(some).collect()
        };
        batch.mates.push(Mate { bases, qualities, exact });
    }
    Ok(batch)
}

fn texts_of_strings(strings: &StringArray) -> Texts {
    texts(strings.offsets(), strings.value_data())
}

fn texts(offsets: &OffsetBuffer<i32>, bytes: &[u8]) -> Texts {
    let first = offsets.first().copied().unwrap_or(0);
    let last = offsets.last().copied().unwrap_or(0);
    let ends = offsets.iter().skip(1).map(|&end| (end - first) as u32).collect();
    Texts { bytes: bytes[first as usize..last as usize].to_vec(), ends }
}
