//! Parquet files that grow by row groups.

use std::io::Write;

use arrow_array::ArrayRef;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;

use crate::error::{Error, Result};

/// How pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCompression {
    /// zstd of a level from 1 to 22.
    Zstd(i32),
    /// snappy, for readers that lack zstd.
    Snappy,
}

impl PageCompression {
    /// From `zstd:LEVEL`, `zstd` for the level `usual`, or `snappy`.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for any other text.
    pub fn parse(text: &str, usual: i32) -> Result<Self> {
        match text.split_once(':').map_or((text, None), |(codec, level)| (codec, Some(level))) {
            ("snappy", None) => Ok(Self::Snappy),
            ("zstd", None) => Ok(Self::Zstd(usual)),
            ("zstd", Some(level)) => match level.parse() {
                Ok(level @ 1..=22) => Ok(Self::Zstd(level)),
                _ => Err(Error::usage("zstd has levels from 1 to 22")),
            },
            _ => Err(Error::usage("not one of zstd, zstd:LEVEL, snappy")),
        }
    }

    /// What a manifest calls it.
    pub fn name(self) -> String {
        match self {
            Self::Zstd(level) => format!("zstd:{level}"),
            Self::Snappy => "snappy".to_owned(),
        }
    }

    /// What goes by a name.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for a name that is not known.
    pub fn of_name(name: &str) -> Result<Self> {
        Self::parse(name, 0).ok().filter(|known| known.name() == name).ok_or_else(|| {
            Error::unsupported(format!("the compression {name:?} is not known"))
                .help("use a newer version of this program")
        })
    }

    fn for_parquet(self) -> Result<Compression> {
        Ok(match self {
            Self::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level).map_err(|_| {
                Error::usage("zstd has no such level").expected("1 to 22").found(level)
            })?),
            Self::Snappy => Compression::SNAPPY,
        })
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("writing a Parquet file").caused_by(error)
}

/// Chooses how the columns of a row group are encoded, by their values.
type Tune = fn(&Schema, &[ArrayRef], WriterPropertiesBuilder) -> WriterPropertiesBuilder;

/// Files of one schema, and how they are written.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    columns: SchemaRef,
    compression: Compression,
    tune: Tune,
}

impl Kind {
    /// Files of `columns`, with encodings that `tune` chooses.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a level that zstd does not have.
    pub(crate) fn new(
        columns: SchemaRef,
        compression: PageCompression,
        tune: Tune,
    ) -> Result<Self> {
        Ok(Self { columns, compression: compression.for_parquet()?, tune })
    }

    /// How many columns a file has in Parquet's own count, where each part of a nested one counts.
    pub(crate) fn leaves(&self) -> Result<usize> {
        let schema = ArrowSchemaConverter::new().convert(&self.columns).map_err(failed)?;
        Ok(schema.num_columns())
    }

    fn writer<W: Write + Send>(
        &self,
        out: W,
        columns: &[ArrayRef],
    ) -> Result<SerializedFileWriter<W>> {
        let properties = WriterProperties::builder()
            .set_created_by("genomic-objects".to_owned())
            .set_compression(self.compression)
            .set_offset_index_disabled(true)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(64));
        let properties = (self.tune)(&self.columns, columns, properties).build();
        let schema = ArrowSchemaConverter::new().convert(&self.columns).map_err(failed)?;
        SerializedFileWriter::new(out, schema.root_schema_ptr(), properties.into()).map_err(failed)
    }

    /// Encodes the columns of a row group; on any thread.
    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> Result<EncodedGroup> {
        let writer = self.writer(std::io::sink(), columns)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, self.columns.clone());
        let mut writers = factory.create_column_writers(0).map_err(failed)?.into_iter();
        let mut chunks = Vec::new();
        for (field, array) in self.columns.fields().iter().zip(columns) {
            for leaf in compute_leaves(field, array).map_err(failed)? {
                let mut column =
                    writers.next().ok_or_else(|| Error::internal("a column without a writer"))?;
                column.write(&leaf).map_err(failed)?;
                chunks.push(column.close().map_err(failed)?);
            }
        }
        Ok(EncodedGroup(chunks))
    }
}

/// The encoded columns of a row group.
pub(crate) struct EncodedGroup(Vec<ArrowColumnChunk>);

/// A file that grows by row groups, in memory.
pub(crate) struct ParquetFile(SerializedFileWriter<Vec<u8>>);

impl ParquetFile {
    /// A file without row groups.
    pub(crate) fn new(kind: &Kind) -> Result<Self> {
        kind.writer(Vec::new(), &[]).map(Self)
    }

    /// Adds a row group.
    pub(crate) fn push(&mut self, group: EncodedGroup) -> Result<()> {
        let mut row_group = self.0.next_row_group().map_err(failed)?;
        for chunk in group.0 {
            chunk.append_to_row_group(&mut row_group).map_err(failed)?;
        }
        row_group.close().map(|_| ()).map_err(failed)
    }

    /// How long it is so far.
    pub(crate) fn len(&self) -> usize {
        self.0.bytes_written()
    }

    /// Writes the metadata, and gives it too.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, ParquetMetaData)> {
        let metadata = self.0.finish().map_err(failed)?;
        Ok((std::mem::take(self.0.inner_mut()), metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_compression_is_read_as_users_write_it() {
        let parse = |text| PageCompression::parse(text, 9);
        assert_eq!(parse("zstd").unwrap(), PageCompression::Zstd(9));
        assert_eq!(parse("snappy").unwrap(), PageCompression::Snappy);
        assert_eq!(parse("zstd:22").unwrap().name(), "zstd:22");
        for text in ["zstd:0", "zstd:23", "zstd:", "snappy:1", "gzip", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
