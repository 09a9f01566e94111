//! Parquet files: written a row group at a time from columns encoded elsewhere, and read from
//! byte ranges fetched ahead.

use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, ListArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnPath;

use crate::columnar::{
    Kind, PageCompression, ParquetFile, check_parquet_metadata, check_parquet_pages,
};
use crate::error::{Error, Result};
use crate::guard::guard;

/// Scalars that are looked at to choose the encoding of a column.
const SAMPLE: usize = 2048;
/// Columns of so few scalars are written plainly: other encodings cost more than they save.
const FEW: usize = 128;

/// How the columns of a row group are encoded, by their values.
fn tune(
    schema: &Schema,
    columns: &[ArrayRef],
    properties: WriterPropertiesBuilder,
) -> WriterPropertiesBuilder {
    let mut properties = properties.set_dictionary_page_size_limit(1 << 20);
    for (field, array) in schema.fields().iter().zip(columns) {
        let mut path = vec![field.name().clone()];
        let mut leaf = array.clone();
        while let Some(list) = leaf.as_any().downcast_ref::<ListArray>() {
            path.extend(["list".to_owned(), "element".to_owned()]);
            let items = list.values().clone();
            leaf = items;
        }
        let is_list = path.len() > 1;
        let path = ColumnPath::new(path);
        let is_plane = matches!(leaf.data_type(), DataType::FixedSizeBinary(_));
        if is_list || is_plane {
            properties =
                properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        let encoding = match leaf.data_type() {
            DataType::Int64 if !is_list => Some(Encoding::DELTA_BINARY_PACKED),
            _ if leaf.len() <= FEW => Some(Encoding::PLAIN),
            DataType::Int32 | DataType::Int64 => Some(integer_encoding(&leaf)),
            DataType::Float32 | DataType::Float64 if is_varied(&leaf) => {
                Some(Encoding::BYTE_STREAM_SPLIT)
            }
            DataType::Utf8 if is_varied(&leaf) => Some(text_encoding(&leaf)),
            DataType::FixedSizeBinary(_) => Some(Encoding::PLAIN),
            _ => None,
        };
        if let Some(encoding) = encoding {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding);
        }
    }
    properties
}

/// Whether most values at the start of a column are different, so that a dictionary would be as
/// long as the column.
fn is_varied(leaf: &ArrayRef) -> bool {
    let count = leaf.len().min(SAMPLE);
    let distinct = match leaf.data_type() {
        DataType::Float32 => {
            let values = leaf.as_primitive::<Float32Type>().values();
            values[..count]
                .iter()
                .map(|value| u64::from(value.to_bits()))
                .collect::<HashSet<_>>()
                .len()
        }
        DataType::Float64 => {
            let values = leaf.as_primitive::<Float64Type>().values();
            values[..count].iter().map(|value| value.to_bits()).collect::<HashSet<_>>().len()
        }
        DataType::Utf8 => {
            let texts = leaf.as_string::<i32>();
            (0..count).map(|at| texts.value(at)).collect::<HashSet<_>>().len()
        }
        _ => 0,
    };
    2 * distinct > count
}

/// What the first integers take less space in. Splitting their bytes takes less than either, but
/// was allowed for integers in 2024 only, and DuckDB 1 does not read it.
fn integer_encoding(leaf: &ArrayRef) -> Encoding {
    let values: Vec<i64> = match leaf.data_type() {
        DataType::Int32 => {
            let values = leaf.as_primitive::<Int32Type>().values();
            values.iter().take(SAMPLE).map(|&value| i64::from(value)).collect()
        }
        _ => leaf.as_primitive::<Int64Type>().values().iter().take(SAMPLE).copied().collect(),
    };
    let width = if leaf.data_type() == &DataType::Int32 { 4 } else { 8 };
    let plain: Vec<u8> =
        values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(width)).collect();
    let plain = zstd::bulk::compress(&plain, 3).map_or(plain.len(), |coded| coded.len());
    let deltas: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let packed = |deltas: &[i64]| {
        let least = deltas.iter().min().copied().unwrap_or(0);
        let most = deltas.iter().max().copied().unwrap_or(0);
        let bits = u64::BITS - most.wrapping_sub(least).unsigned_abs().leading_zeros();
        // A miniblock has 32 deltas, and a byte for their width.
        32 * bits as usize / 8 + 1
    };
    if deltas.chunks(32).map(packed).sum::<usize>() < plain {
        Encoding::DELTA_BINARY_PACKED
    } else {
        Encoding::PLAIN
    }
}

/// Short texts, such as names, share beginnings; long ones are left to the compression.
fn text_encoding(leaf: &ArrayRef) -> Encoding {
    let texts = leaf.as_string::<i32>();
    if texts.value_data().len() > 32 * texts.len() {
        return Encoding::PLAIN;
    }
    Encoding::DELTA_BYTE_ARRAY
}

/// Files of `columns`.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for a level that zstd does not have.
pub(super) fn kind_of(columns: SchemaRef, compression: PageCompression) -> Result<Kind> {
    Kind::new(columns, compression, tune)
}

/// A file.
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    /// Where its metadata lies.
    pub(super) footer: Range<usize>,
    /// CRC-32C of each column of each row group.
    pub(super) checksums: Vec<Vec<u32>>,
}

/// Ends a file.
pub(super) fn finish(file: ParquetFile) -> Result<Finished> {
    let (bytes, metadata) = file.finish()?;
    let end = bytes.len().saturating_sub(8);
    let length = bytes.get(end..end + 4).map_or(0, |mut number| number.get_u32_le() as usize);
    let mut checksums = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let sums = group.columns().iter().map(|column| {
            let (start, length) = column.byte_range();
            let range = start as usize..(start + length) as usize;
            crc32c::crc32c(bytes.get(range).unwrap_or_default())
        });
        checksums.push(sums.collect());
    }
    Ok(Finished { footer: end.saturating_sub(length)..end, checksums, bytes })
}

/// Most rows of a row group that is read.
const MOST_ROWS: usize = 1 << 24;

/// The metadata of a file.
#[derive(Clone)]
pub(super) struct Footer {
    metadata: Arc<ParquetMetaData>,
    arrow: ArrowReaderMetadata,
}

impl Footer {
    /// Reads the metadata at the end of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |error| Error::corrupt("the metadata of a Parquet file").caused_by(error);
        check_parquet_metadata(bytes)?;
        guard(
            || Error::corrupt("the metadata of a Parquet file does not decode"),
            || {
                let metadata = ParquetMetaDataReader::decode_metadata(bytes).map_err(damaged)?;
                check_places(&metadata)?;
                let metadata = Arc::new(metadata);
                // Other programs' descriptions of the schema are not looked at.
                let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
                let arrow =
                    ArrowReaderMetadata::try_new(metadata.clone(), options).map_err(damaged)?;
                Ok(Self { metadata, arrow })
            },
        )
    }

    /// The metadata as the parquet library has it.
    pub(super) fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// The byte ranges of the leaves of the columns `roots` of a row group, with their numbers.
    pub(super) fn ranges(&self, group: usize, roots: &[usize]) -> Vec<(usize, Range<u64>)> {
        let schema = self.metadata.file_metadata().schema_descr();
        let Some(row_group) = self.metadata.row_groups().get(group) else { return Vec::new() };
        let columns = row_group.columns().iter().enumerate();
        columns
            .filter(|(leaf, _)| roots.contains(&schema.get_column_root_idx(*leaf)))
            .map(|(leaf, column)| {
                let (start, length) = column.byte_range();
                (leaf, start..start.saturating_add(length))
            })
            .collect()
    }

    /// Decodes the columns `roots` of a row group out of what was fetched of the file.
    pub(super) fn read(
        &self,
        group: usize,
        roots: &[usize],
        parts: Vec<(Range<u64>, Bytes)>,
    ) -> Result<RecordBatch> {
        let damaged = |error: &dyn std::fmt::Display| {
            Error::corrupt("a row group of a Parquet file").found(error)
        };
        let found = self.metadata.row_groups().get(group);
        let rows =
            found.ok_or_else(|| damaged(&"fewer row groups than the index says"))?.num_rows();
        let rows = usize::try_from(rows).ok().filter(|&rows| rows <= MOST_ROWS);
        let rows = rows.ok_or_else(|| damaged(&"more rows than any real one has"))?;
        if roots.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let columns = Arc::new(Schema::empty());
            return RecordBatch::try_new_with_options(columns, Vec::new(), &options)
                .map_err(|error| damaged(&error));
        }
        parts.iter().try_for_each(|(_, bytes)| check_parquet_pages(bytes))?;
        let schema = self.metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, roots.iter().copied());
        guard(
            || damaged(&"pages that do not decode"),
            || {
                let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(
                    Parts(parts),
                    self.arrow.clone(),
                )
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(rows.max(1))
                .build()
                .map_err(|error| damaged(&error))?;
                match (batches.next(), batches.next()) {
                    (Some(Ok(batch)), None) if batch.num_rows() == rows => Ok(batch),
                    (Some(Err(error)), _) | (_, Some(Err(error))) => Err(damaged(&error)),
                    _ => Err(damaged(&"another number of rows than it declares")),
                }
            },
        )
    }
}

/// Checks that columns lie somewhere: the library ends the program where one does not.
fn check_places(metadata: &ParquetMetaData) -> Result<()> {
    let mut columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let is_place = columns.all(|column| {
        let dictionary = column.dictionary_page_offset().unwrap_or(0);
        column.data_page_offset().min(dictionary).min(column.compressed_size()) >= 0
    });
    match is_place {
        true => Ok(()),
        false => Err(Error::corrupt("a column of a Parquet file has a negative place or size")),
    }
}

/// Parts of a file that were fetched.
struct Parts(Vec<(Range<u64>, Bytes)>);

impl Parts {
    fn part(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let found = self.0.iter().find(|(range, _)| range.contains(&start));
        let (range, bytes) =
            found.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not fetched")))?;
        let skipped = usize::try_from(start - range.start).unwrap_or(usize::MAX);
        Ok(bytes.slice(skipped.min(bytes.len())..))
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.0.iter().map(|(range, _)| range.end).max().unwrap_or(0)
    }
}

impl ChunkReader for Parts {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(Box::new(self.part(start)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let part = self.part(start)?;
        if part.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} were not fetched")));
        }
        Ok(part.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::Field;

    #[test]
    fn test_file_gives_columns_back_from_their_ranges() {
        let columns = Arc::new(Schema::new(vec![
            Field::new("POS", DataType::Int64, false),
            Field::new("ID", DataType::Utf8, true),
        ]));
        let kind = kind_of(columns, PageCompression::Zstd(9)).unwrap();
        let mut file = ParquetFile::new(&kind).unwrap();
        for start in [0, 100] {
            let positions: ArrayRef = Arc::new(Int64Array::from_iter_values(start..start + 50));
            let ids: ArrayRef = Arc::new(StringArray::from_iter(
                (0..50).map(|n| (n % 3 > 0).then(|| n.to_string())),
            ));
            file.push(kind.encode(&[positions, ids]).unwrap()).unwrap();
        }
        let finished = finish(file).unwrap();
        let footer = Footer::parse(&finished.bytes[finished.footer.clone()]).unwrap();
        let parts: Vec<_> = footer
            .ranges(1, &[0])
            .into_iter()
            .map(|(_, range)| {
                let bytes = &finished.bytes[range.start as usize..range.end as usize];
                (range, Bytes::copy_from_slice(bytes))
            })
            .collect();
        assert_eq!(crc32c::crc32c(&parts[0].1), finished.checksums[1][0]);
        let batch = footer.read(1, &[0], parts).unwrap();
        assert_eq!((batch.num_columns(), batch.num_rows()), (1, 50));
        assert!(footer.read(1, &[1], Vec::new()).is_err());
    }
}
