//! Parquet files, a row group at a time.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd of a level from 1 to 22.
    Zstd(i32),
    /// snappy, for readers that lack zstd.
    Snappy,
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(3)
    }
}

impl Compression {
    /// What the manifest calls it.
    pub fn name(self) -> String {
        match self {
            Self::Zstd(level) => format!("zstd:{level}"),
            Self::Snappy => "snappy".to_owned(),
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("writing a Parquet file").caused_by(error)
}

/// Values that are looked at to choose the encoding of a column.
const SAMPLE: usize = 1024;

/// Files of one schema.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    schema: SchemaRef,
    codec: Codec,
}

impl Kind {
    /// Files of `schema`.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a level that zstd does not have.
    pub(super) fn new(schema: SchemaRef, compression: Compression) -> Result<Self> {
        let codec = match compression {
            Compression::Snappy => Codec::SNAPPY,
            Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level).map_err(|_| {
                Error::usage("zstd has no such level").expected("1 to 22").found(level)
            })?),
        };
        Ok(Self { schema, codec })
    }

    /// How many columns a file has in Parquet's own count, where each part of a nested one counts.
    pub(super) fn leaves(&self) -> Result<usize> {
        let schema = ArrowSchemaConverter::new().convert(&self.schema).map_err(failed)?;
        Ok(schema.num_columns())
    }

    /// How a row group is written: the encoding of each column follows from its first values.
    fn properties(&self, columns: &[ArrayRef]) -> WriterPropertiesPtr {
        // Rows of a file are of one contig, and in order of position.
        let sorting = SortingColumn { column_idx: 1, descending: false, nulls_first: false };
        let mut properties = WriterProperties::builder()
            .set_created_by("genomic-objects".to_owned())
            .set_compression(self.codec)
            .set_offset_index_disabled(true)
            .set_sorting_columns(Some(vec![sorting]))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(64));
        let mut leaves = Vec::new();
        for (field, array) in self.schema.fields().iter().zip(columns) {
            collect_leaves(vec![field.name().clone()], array, false, &mut leaves);
        }
        for Leaf { path, values, in_list } in leaves {
            let path = ColumnPath::new(path);
            if in_list && matches!(values.data_type(), DataType::Utf8) {
                properties =
                    properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            }
            if let Some(encoding) = encoding_of(&values) {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, encoding);
            }
        }
        Arc::new(properties.build())
    }

    fn writer<W: std::io::Write + Send>(
        &self,
        out: W,
        properties: WriterPropertiesPtr,
    ) -> Result<SerializedFileWriter<W>> {
        let schema = ArrowSchemaConverter::new().convert(&self.schema).map_err(failed)?;
        SerializedFileWriter::new(out, schema.root_schema_ptr(), properties).map_err(failed)
    }

    /// Encodes a row group.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<ArrowColumnChunk>> {
        let writer = self.writer(std::io::sink(), self.properties(batch.columns()))?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, self.schema.clone());
        let mut writers = factory.create_column_writers(0).map_err(failed)?.into_iter();
        let mut chunks = Vec::new();
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, array).map_err(failed)? {
                let mut column =
                    writers.next().ok_or_else(|| Error::internal("a column without a writer"))?;
                column.write(&leaf).map_err(failed)?;
                chunks.push(column.close().map_err(failed)?);
            }
        }
        Ok(chunks)
    }

    /// A file without row groups.
    pub(super) fn empty(&self) -> Result<Vec<u8>> {
        FileBuilder::new(self)?.finish()
    }
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

/// A file that grows by row groups, in memory.
pub(super) struct FileBuilder(SerializedFileWriter<Vec<u8>>);

impl FileBuilder {
    /// An empty file.
    pub(super) fn new(kind: &Kind) -> Result<Self> {
        kind.writer(Vec::new(), kind.properties(&[])).map(Self)
    }

    /// Adds a row group.
    pub(super) fn push(&mut self, group: Vec<ArrowColumnChunk>) -> Result<()> {
        let mut row_group = self.0.next_row_group().map_err(failed)?;
        for chunk in group {
            chunk.append_to_row_group(&mut row_group).map_err(failed)?;
        }
        row_group.close().map(|_| ()).map_err(failed)
    }

    /// How long it is so far.
    pub(super) fn len(&self) -> usize {
        self.0.bytes_written()
    }

    /// Writes the metadata.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.0.finish().map_err(failed)?;
        Ok(std::mem::take(self.0.inner_mut()))
    }
}
