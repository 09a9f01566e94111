//! Reads as text and tables.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Float32Builder, Int8Builder, Int32Builder, ListBuilder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamWriter, write_message,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde_json::json;

use super::batch::Fields;
use super::manifest::Details;
use super::read::Found;
use crate::error::{Error, Result};
use crate::records::reads::Style;

/// How reads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Nothing,
    /// As they were in their file.
    Fastq,
    /// Header and bases on a line each.
    Fasta,
    /// An Arrow IPC stream.
    Arrow,
    /// One JSON object a line.
    Json,
    /// A line of names, and one of values for each read, between tabs.
    Tsv,
}

/// A column of a table of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The number of the read, from 0.
    Number,
    /// The name.
    ReadId,
    /// What follows the name.
    Description,
    /// The bases.
    Sequence,
    /// The qualities.
    Quality,
    /// How many bases.
    Length,
    /// The arithmetic mean of the qualities.
    AvgQuality,
    /// The sum of the error probabilities.
    ExpectedErrors,
}

/// All columns, by name.
const COLUMNS: [(&str, Column); 8] = [
    ("number", Column::Number),
    ("read_id", Column::ReadId),
    ("description", Column::Description),
    ("sequence", Column::Sequence),
    ("quality", Column::Quality),
    ("length", Column::Length),
    ("avg_quality", Column::AvgQuality),
    ("expected_errors", Column::ExpectedErrors),
];

/// The columns of a list of names; the document's five, and expected errors, for none.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for a name that is no column's.
pub fn parse_columns(list: Option<&str>) -> Result<Vec<Column>> {
    let list = list.unwrap_or("read_id,sequence,quality,length,avg_quality,expected_errors");
    list.split(',')
        .map(|name| {
            let found = COLUMNS.iter().find(|(known, _)| *known == name.trim());
            found.map(|(_, column)| *column).ok_or_else(|| {
                let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
                Error::usage(format!("there is no column {name:?}")).expected(known.join(", "))
            })
        })
        .collect()
}

impl Column {
    fn name(self) -> &'static str {
        COLUMNS.iter().find(|(_, column)| *column == self).map_or("", |(name, _)| name)
    }

    /// What of a read it needs.
    fn fields(self) -> Fields {
        match self {
            Self::Number | Self::Length => Fields::LENGTHS,
            Self::ReadId => Fields::NAMES,
            Self::Description => Fields::DESCRIPTIONS,
            Self::Sequence => Fields::BASES,
            Self::Quality => Fields::QUALITIES,
            Self::AvgQuality | Self::ExpectedErrors => Fields::SCORES,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Number => DataType::Int64,
            Self::ReadId | Self::Description => DataType::Utf8,
            Self::Sequence => DataType::Binary,
            Self::Quality => DataType::List(Arc::new(Field::new("item", DataType::Int8, true))),
            Self::Length => DataType::Int32,
            Self::AvgQuality | Self::ExpectedErrors => DataType::Float32,
        }
    }
}

/// What of reads a format with these columns needs.
pub fn fields_of(format: Format, columns: &[Column]) -> Fields {
    match format {
        Format::Nothing => Fields::LENGTHS,
        Format::Fastq => Fields::TEXT,
        Format::Fasta => Fields::NAMES.and(Fields::DESCRIPTIONS).and(Fields::BASES),
        Format::Arrow | Format::Json | Format::Tsv => {
            columns.iter().fold(Fields::LENGTHS, |fields, column| fields.and(column.fields()))
        }
    }
}

/// Writes found reads.
pub struct Table {
    format: Format,
    columns: Vec<Column>,
    schema: Arc<Schema>,
    styles: Vec<Style>,
}

fn failed(error: ArrowError) -> Error {
    Error::internal("writing an Arrow stream").caused_by(error)
}

impl Table {
    /// For a dataset.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for FASTQ of a dataset without qualities.
    pub fn new(format: Format, columns: Vec<Column>, details: &Details) -> Result<Self> {
        let field = |column: &Column| Field::new(column.name(), column.data_type(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Ok(Self { format, columns, schema, styles: details.styles.clone() })
    }

    /// What comes before all reads.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn head(&self) -> Result<Vec<u8>> {
        match self.format {
            Format::Tsv => {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name()).collect();
                Ok(format!("{}\n", names.join("\t")).into_bytes())
            }
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(failed)?;
                Ok(writer.get_ref().clone())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What comes after all reads.
    pub fn tail(&self) -> Vec<u8> {
        match self.format {
            Format::Arrow => vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            _ => Vec::new(),
        }
    }

    /// The reads found in a batch.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn format(&self, found: &Found) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut scratch = [Vec::new(), Vec::new()];
        let reads = found.reads.iter().map(|&(row, mate)| (row as usize, usize::from(mate)));
        match self.format {
            Format::Nothing => {}
            Format::Arrow => return self.arrow(found),
            Format::Fastq => {
                reads.for_each(|(row, mate)| {
                    let start = out.len();
                    found.batch.push_text(row, mate, &mut scratch, &mut out);
                    // The last record of a file may lack its line end, and others may follow here.
                    if out.len() > start && out.last() != Some(&b'\n') {
                        out.push(b'\n');
                    }
                });
            }
            Format::Fasta => {
                for (row, mate) in reads {
                    let style = Style {
                        fasta: true,
                        separator: self.styles[mate].separator,
                        ..Style::default()
                    };
                    style.push(&found.batch.parts(row, mate, &mut scratch), &mut out);
                }
            }
            Format::Json | Format::Tsv => {
                for (row, mate) in reads {
                    self.line(found, row, mate, &mut scratch, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    fn line(
        &self,
        found: &Found,
        row: usize,
        mate: usize,
        scratch: &mut [Vec<u8>; 2],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let parts = found.batch.parts(row, mate, scratch);
        let number = found.number(row, mate);
        let quality = found.batch.quality(row, mate);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = |column: Column| match column {
            Column::Number => json!(number),
            Column::ReadId => json!(text(parts.name)),
            Column::Description => json!(parts.description.map(text)),
            Column::Sequence => json!(text(parts.bases)),
            Column::Quality if self.format == Format::Tsv => json!(text(parts.qualities)),
            Column::Quality => {
                json!(parts.qualities.iter().map(|q| q - 33).collect::<Vec<u8>>())
            }
            Column::Length => json!(found.batch.length(row, mate)),
            Column::AvgQuality => json!(quality.map(|quality| quality.average)),
            Column::ExpectedErrors => json!(quality.map(|quality| quality.expected_errors)),
        };
        if self.format == Format::Json {
            let mut object = serde_json::Map::new();
            for &column in &self.columns {
                object.insert(column.name().to_owned(), value(column));
            }
            return writeln!(out, "{}", serde_json::Value::Object(object))
                .map_err(|error| Error::internal("writing into memory").caused_by(error));
        }
        for (index, &column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            match value(column) {
                serde_json::Value::Null => {}
                // A description may hold tabs, which would shift the columns.
                serde_json::Value::String(text) => {
                    out.extend_from_slice(text.replace('\t', " ").as_bytes());
                }
                value => out.extend_from_slice(value.to_string().as_bytes()),
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn arrow(&self, found: &Found) -> Result<Vec<u8>> {
        if found.reads.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut scratch = [Vec::new(), Vec::new()];
        for &column in &self.columns {
            let mut numbers = arrow_array::builder::Int64Builder::new();
            let (mut texts, mut bytes) = (StringBuilder::new(), BinaryBuilder::new());
            let mut lists = ListBuilder::new(Int8Builder::new());
            let (mut lengths, mut floats) = (Int32Builder::new(), Float32Builder::new());
            for &(row, mate) in &found.reads {
                let (row, mate) = (row as usize, usize::from(mate));
                let parts = found.batch.parts(row, mate, &mut scratch);
                match column {
                    Column::Number => numbers.append_value(found.number(row, mate) as i64),
                    Column::ReadId => texts.append_value(String::from_utf8_lossy(parts.name)),
                    Column::Description => {
                        texts.append_option(parts.description.map(String::from_utf8_lossy));
                    }
                    Column::Sequence => bytes.append_value(parts.bases),
                    Column::Quality => {
                        let phred = parts.qualities.iter().map(|q| Some((q - 33) as i8));
                        lists.append_value(phred.collect::<Vec<_>>());
                    }
                    Column::Length => lengths.append_value(found.batch.length(row, mate) as i32),
                    Column::AvgQuality => {
                        let quality = found.batch.quality(row, mate);
                        floats.append_option(quality.map(|quality| quality.average));
                    }
                    Column::ExpectedErrors => {
                        let quality = found.batch.quality(row, mate);
                        floats.append_option(quality.map(|quality| quality.expected_errors));
                    }
                }
            }
            columns.push(match column {
                Column::Number => Arc::new(numbers.finish()),
                Column::ReadId | Column::Description => Arc::new(texts.finish()),
                Column::Sequence => Arc::new(bytes.finish()),
                Column::Quality => Arc::new(lists.finish()),
                Column::Length => Arc::new(lengths.finish()),
                Column::AvgQuality | Column::ExpectedErrors => Arc::new(floats.finish()),
            });
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(failed)?;
        let options = IpcWriteOptions::default();
        let mut tracker = DictionaryTracker::new(true);
        let (_, encoded) = IpcDataGenerator::default()
            .encode(&batch, &mut tracker, &options, &mut Default::default())
            .map_err(failed)?;
        let mut out = Vec::new();
        write_message(&mut out, encoded, &options).map_err(failed)?;
        Ok(out)
    }
}
