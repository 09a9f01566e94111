//! Columns of variants as tables: Arrow streams, Parquet files, JSON lines, text with tabs.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::cells::{Style, rows_as_text};
use super::needs::{Fields, Needs};
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
    chosen: Vec<Chosen>,
    /// Their types.
    pub schema: SchemaRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    /// A column of the files of sites, by its place.
    Site(usize),
    /// A field of FORMAT of a sample in a block.
    Call { sample: usize, field: usize },
}

impl Columns {
    /// The columns of `names`; else all of the files of sites, with those of `samples` only.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a name that no column has.
    pub fn new(
        schema: &Schema,
        names: Option<&[String]>,
        samples: Option<&[usize]>,
    ) -> Result<Self> {
        let sites = schema.site_columns();
        let chosen = match names {
            None => all_columns(schema, samples),
            Some(names) => {
                names.iter().map(|name| column_of(schema, name)).collect::<Result<_>>()?
            }
        };
        let fields = chosen.iter().map(|chosen| match *chosen {
            Chosen::Site(place) => sites.field(place).clone(),
            Chosen::Call { sample, field } => {
                let spec = &schema.format[field];
                let name = format!("{}_{}", schema.samples[sample], spec.id);
                let is_genotype = schema.genotype() == Some(field);
                let kind = if is_genotype { DataType::Utf8 } else { spec.data_type() };
                Field::new(name, kind, true)
            }
        });
        let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { chosen, schema })
    }

    /// What has to be read for them.
    pub fn needs(&self, schema: &Schema) -> Needs {
        let width = schema.format.len().max(1);
        let first_sample = schema.first_sample_column();
        let (mut fixed, mut info, mut format) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut samples = Vec::new();
        for chosen in &self.chosen {
            let (sample, field) = match *chosen {
                Chosen::Site(place) if place < FIXED.len() => {
                    fixed.insert(FIXED[place].to_owned());
                    continue;
                }
                Chosen::Site(place) if place < first_sample => {
                    info.extend(schema.info.get(place - FIXED.len()).map(|spec| spec.id.clone()));
                    continue;
                }
                Chosen::Site(place) => {
                    ((place - first_sample) / width, (place - first_sample) % width)
                }
                Chosen::Call { sample, field } => (sample, field),
            };
            format.extend(schema.format.get(field).map(|spec| spec.id.clone()));
            if !samples.contains(&sample) {
                samples.push(sample);
            }
        }
        let [fixed, info, format] = [fixed, info, format].map(Fields::Some);
        Needs { fixed, text: false, info, format, samples }
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
        let numbers = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
        let columns: Result<Vec<ArrayRef>> = self
            .schema
            .fields()
            .iter()
            .zip(&self.chosen)
            .map(|(field, chosen)| {
                if let Chosen::Call { sample, field } = *chosen {
                    return loaded.calls_of(sample, field, rows);
                }
                let column = loaded.batch.column_by_name(field.name());
                let column = column.ok_or_else(|| Error::internal("a column was not read"))?;
                if is_all {
                    return Ok(column.clone());
                }
                arrow_select::take::take(column, &numbers, None).map_err(failed)
            })
            .collect();
        RecordBatch::try_new(self.schema.clone(), columns?).map_err(failed)
    }
}

fn all_columns(schema: &Schema, samples: Option<&[usize]>) -> Vec<Chosen> {
    let width = schema.format.len();
    let sites = (0..schema.first_sample_column()).map(Chosen::Site);
    // Thousands of samples are named, or left out.
    let everyone: Vec<usize> = (0..schema.samples.len()).collect();
    let samples = match samples {
        Some(samples) => samples,
        None if schema.has_blocks() => &[],
        None => &everyone,
    };
    let calls = samples.iter().flat_map(|&sample| (0..width).map(move |field| (sample, field)));
    let calls = calls.map(|(sample, field)| call_column(schema, sample, field));
    sites.chain(calls).collect()
}

fn call_column(schema: &Schema, sample: usize, field: usize) -> Chosen {
    match schema.has_blocks() {
        true => Chosen::Call { sample, field },
        false => Chosen::Site(schema.first_sample_column() + sample * schema.format.len() + field),
    }
}

fn column_of(schema: &Schema, name: &str) -> Result<Chosen> {
    let all = schema.site_columns();
    if let Ok(place) = all.index_of(name) {
        return Ok(Chosen::Site(place));
    }
    // By the names that bcftools uses.
    let info = name.strip_prefix("INFO/").unwrap_or(name);
    if let Some(at) = schema.info_index(info) {
        return Ok(Chosen::Site(FIXED.len() + at));
    }
    let call = (0..).zip(&schema.format).find_map(|(field, spec)| {
        let sample = name.strip_suffix(spec.id.as_str())?.strip_suffix('_')?;
        let sample = schema.samples.iter().position(|other| other == sample)?;
        Some(call_column(schema, sample, field))
    });
    call.ok_or_else(|| {
        Error::usage(format!("there is no column {name:?}")).help(
            "_schema.json lists the columns: CHROM, POS, ID, REF, ALT, QUAL, FILTER, END, \
             INFO_…, and those of a sample as in NA12878_GT",
        )
    })
}

/// Rows made ready for a kind of table, on any thread.
pub enum Rows {
    /// Lines.
    Text(Vec<u8>),
    /// Columns.
    Batch(RecordBatch),
}

impl Rows {
    /// Of a batch.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) for a column of an unknown type.
    pub fn new(format: TableFormat, batch: RecordBatch) -> Result<Self> {
        Ok(match format {
            TableFormat::Tsv => Self::Text(rows_as_text(&batch, Style::Tabs)?),
            TableFormat::Json => Self::Text(rows_as_text(&batch, Style::Json)?),
            TableFormat::Arrow | TableFormat::Parquet => Self::Batch(batch),
        })
    }
}

/// Writes rows to an output.
pub struct TableWriter {
    target: Target,
}

enum Target {
    Text(Box<dyn Write + Send>),
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
                Target::Text(out)
            }
            TableFormat::Json => Target::Text(out),
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
    pub fn write(&mut self, rows: &Rows) -> Result<()> {
        match (&mut self.target, rows) {
            (Target::Text(out), Rows::Text(text)) => out.write_all(text).map_err(write_failed),
            (Target::Arrow(writer), Rows::Batch(batch)) => {
                writer.write(batch).map_err(write_failed)
            }
            (Target::Parquet(writer), Rows::Batch(batch)) => {
                writer.write(batch).map_err(write_failed)
            }
            _ => Err(Error::internal("rows of another kind of table")),
        }
    }

    /// Ends the table.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn finish(self) -> Result<()> {
        match self.target {
            Target::Text(mut out) => out.flush().map_err(write_failed),
            Target::Arrow(mut writer) => writer.finish().map_err(write_failed),
            Target::Parquet(writer) => writer.close().map(|_| ()).map_err(write_failed),
        }
    }
}
