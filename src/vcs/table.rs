//! Columns of variants as tables: Arrow streams, Parquet files, JSON lines, text with tabs.

use std::io::Write;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::read::Loaded;
use super::schema::{FIXED, Schema};
use crate::error::{Error, Result};

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Text: a line of names, then a line a row, fields separated by tabs.
    Tsv,
    /// A JSON object a line.
    Json,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

/// Columns chosen by name.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Their places in the files of sites, in the order of the output.
    places: Vec<usize>,
    /// Their types.
    pub schema: SchemaRef,
}

impl Columns {
    /// The columns of `names`, or all of the files of sites.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a name that no column has.
    pub fn new(schema: &Schema, names: Option<&[String]>) -> Result<Self> {
        let all = schema.site_columns();
        let places: Vec<usize> = match names {
            None => (0..all.fields().len()).collect(),
            Some(names) => {
                names.iter().map(|name| place_of(schema, name)).collect::<Result<_>>()?
            }
        };
        let schema = all
            .project(&places)
            .map_err(|error| Error::internal("choosing columns").caused_by(error))?;
        Ok(Self { places, schema: schema.into() })
    }

    /// Whether fixed columns besides CHROM and POS are among them.
    pub fn need_fixed(&self) -> bool {
        self.places.iter().any(|&place| (2..FIXED.len()).contains(&place))
    }

    /// The keys of INFO among them.
    pub fn info<'a>(&'a self, schema: &'a Schema) -> impl Iterator<Item = &'a str> {
        let field = |&place: &usize| schema.info.get(place.checked_sub(FIXED.len())?);
        self.places.iter().filter_map(field).map(|field| field.id.as_str())
    }

    /// The samples, and the keys of FORMAT, among them.
    pub fn calls<'a>(&'a self, schema: &'a Schema) -> impl Iterator<Item = (usize, &'a str)> {
        let width = schema.format.len().max(1);
        let first = schema.first_sample_column();
        self.places.iter().filter_map(move |place| {
            let at = place.checked_sub(first)?;
            Some((at / width, schema.format.get(at % width)?.id.as_str()))
        })
    }

    /// Rows of what was read.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) where a column was not read.
    pub fn take(&self, loaded: &Loaded, rows: &[usize]) -> Result<RecordBatch> {
        let failed =
            |error: arrow_schema::ArrowError| Error::internal("choosing rows").caused_by(error);
        let is_all = rows.len() == loaded.total_rows;
        let rows = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
        let columns: Result<Vec<ArrayRef>> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                let column = loaded.batch.column_by_name(field.name());
                let column = column.ok_or_else(|| Error::internal("a column was not read"))?;
                if is_all {
                    return Ok(column.clone());
                }
                arrow_select::take::take(column, &rows, None).map_err(failed)
            })
            .collect();
        RecordBatch::try_new(self.schema.clone(), columns?).map_err(failed)
    }
}

fn place_of(schema: &Schema, name: &str) -> Result<usize> {
    let all = schema.site_columns();
    if let Ok(place) = all.index_of(name) {
        return Ok(place);
    }
    // By the names that bcftools uses.
    let info = name.strip_prefix("INFO/").unwrap_or(name);
    if let Some(at) = schema.info_index(info) {
        return Ok(FIXED.len() + at);
    }
    Err(Error::usage(format!("there is no column {name:?}")).help(
        "_schema.json lists the columns: CHROM, POS, ID, REF, ALT, QUAL, FILTER, END, INFO_…",
    ))
}

/// Writes batches of rows to an output.
pub struct TableWriter {
    target: Target,
}

enum Target {
    Text { out: Box<dyn Write + Send>, json: bool },
    Arrow(StreamWriter<Box<dyn Write + Send>>),
    Parquet(ArrowWriter<Box<dyn Write + Send>>),
}

fn write_failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::store("writing the output failed").caused_by(error)
}

impl TableWriter {
    /// Begins a table of `columns`.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn new(
        format: TableFormat,
        mut out: Box<dyn Write + Send>,
        columns: &Columns,
        with_header: bool,
    ) -> Result<Self> {
        let schema = columns.schema.clone();
        let target = match format {
            TableFormat::Tsv => {
                if with_header {
                    let names: Vec<&str> =
                        schema.fields().iter().map(|field| field.name().as_str()).collect();
                    writeln!(out, "{}", names.join("\t")).map_err(write_failed)?;
                }
                Target::Text { out, json: false }
            }
            TableFormat::Json => Target::Text { out, json: true },
            TableFormat::Arrow => {
                Target::Arrow(StreamWriter::try_new(out, &schema).map_err(write_failed)?)
            }
            TableFormat::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(write_failed)?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(out, schema, Some(properties));
                Target::Parquet(writer.map_err(write_failed)?)
            }
        };
        Ok(Self { target })
    }

    /// Adds rows.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.target {
            Target::Text { out, json } => {
                let text = if *json { json_rows(batch)? } else { tsv_rows(batch)? };
                out.write_all(text.as_bytes()).map_err(write_failed)
            }
            Target::Arrow(writer) => writer.write(batch).map_err(write_failed),
            Target::Parquet(writer) => writer.write(batch).map_err(write_failed),
        }
    }

    /// Ends the table.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn finish(self) -> Result<()> {
        match self.target {
            Target::Text { mut out, .. } => out.flush().map_err(write_failed),
            Target::Arrow(mut writer) => writer.finish().map_err(write_failed),
            Target::Parquet(writer) => writer.close().map(|_| ()).map_err(write_failed),
        }
    }
}

fn json_rows(batch: &RecordBatch) -> Result<String> {
    let mut text = String::new();
    let schema = batch.schema();
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| serde_json::Value::from(field.name().as_str()).to_string())
        .collect();
    for row in 0..batch.num_rows() {
        text.push('{');
        for (at, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            push_json(column, row, &mut text)?;
        }
        text.push_str("}\n");
    }
    Ok(text)
}

fn push_json(column: &ArrayRef, row: usize, text: &mut String) -> Result<()> {
    if column.is_null(row) {
        text.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => {
            let value = column.as_string::<i32>().value(row);
            text.push_str(&serde_json::Value::from(value).to_string());
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            text.push('[');
            for item in 0..items.len() {
                if item > 0 {
                    text.push(',');
                }
                push_json(&items, item, text)?;
            }
            text.push(']');
        }
        _ => push_scalar(column, row, text)?,
    }
    Ok(())
}

fn tsv_rows(batch: &RecordBatch) -> Result<String> {
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                text.push('\t');
            }
            push_tsv(column, row, &mut text)?;
        }
        text.push('\n');
    }
    Ok(text)
}

fn push_tsv(column: &ArrayRef, row: usize, text: &mut String) -> Result<()> {
    if column.is_null(row) {
        text.push('.');
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => text.push_str(column.as_string::<i32>().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            for item in 0..items.len() {
                if item > 0 {
                    text.push(',');
                }
                push_tsv(&items, item, text)?;
            }
        }
        _ => push_scalar(column, row, text)?,
    }
    Ok(())
}

fn push_scalar(column: &ArrayRef, row: usize, text: &mut String) -> Result<()> {
    use std::fmt::Write as _;
    // Writing into a string cannot fail.
    let _ = match column.data_type() {
        DataType::Boolean => write!(text, "{}", column.as_boolean().value(row)),
        DataType::Int32 => write!(text, "{}", column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(text, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => write!(text, "{}", column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => write!(text, "{}", column.as_primitive::<Float64Type>().value(row)),
        other => return Err(Error::internal("a column of an unknown type").found(other)),
    };
    Ok(())
}
