//! Alignments of regions and samples, as text, tables and records.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int32Array, RecordBatch as Columns, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use arrow_select::filter::filter_record_batch;

use super::file;
use super::read::{QueryStats, Reader, Selection, Task};
use super::rows::{Rows, Scratch, column};
use crate::error::{Error, Result};
use crate::genome::ContigId;
use crate::records::alignments::columns::Column;
use crate::records::alignments::json::JsonLines;
use crate::records::alignments::{Record, RecordBatch};

/// How alignments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Nothing,
    /// Lines of SAM.
    Sam,
    /// An Arrow IPC stream.
    Arrow,
    /// One JSON object a line.
    Json,
}

/// The name of the tag that tells samples apart in SAM and BAM of several.
pub const SAMPLE_TAG: &str = "sI";

/// Columns of the files that an Arrow stream leaves out.
const INTERNAL: usize = 3;

fn failed(error: ArrowError) -> Error {
    Error::internal("writing an Arrow stream").caused_by(error)
}

/// Writes the alignments that a reader was opened for.
pub struct Writer<'a> {
    reader: &'a Reader,
    format: Format,
    /// Lines of several samples say whose they are.
    has_tag: bool,
}

impl<'a> Writer<'a> {
    /// For a reader of alignments.
    pub fn new(reader: &'a Reader, format: Format) -> Self {
        Self { reader, format, has_tag: reader.only_sample().is_none() }
    }

    /// What comes before all alignments.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn head(&self) -> Result<Vec<u8>> {
        if self.format != Format::Arrow {
            return Ok(Vec::new());
        }
        let writer = StreamWriter::try_new(Vec::new(), &plain_schema()).map_err(failed)?;
        Ok(writer.get_ref().clone())
    }

    /// What comes after all alignments.
    pub fn tail(&self) -> Vec<u8> {
        match self.format {
            Format::Arrow => vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            _ => Vec::new(),
        }
    }

    /// Hands on the alignments as bytes, in the dataset's order: by window, then sample, then
    /// position; with what it cost.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`; what the store and
    /// `sink` return.
    pub fn write(
        &self,
        threads: usize,
        max_bytes: Option<u64>,
        mut sink: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<QueryStats> {
        let work = |task: &Task, columns: Columns| {
            let rows = Rows::new(columns)?;
            let chosen = self.chosen(task, &rows);
            Ok((chosen.len() as u64, self.text(task, &rows, &chosen)?))
        };
        self.reader.scan(&self.reader.tasks, threads, max_bytes, work, |_, text| sink(text))
    }

    /// Hands on the alignments as records that refer to contigs of the dataset.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn records(
        &self,
        threads: usize,
        max_bytes: Option<u64>,
        mut sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<QueryStats> {
        let work = |task: &Task, columns: Columns| {
            let rows = Rows::new(columns)?;
            let chosen = self.chosen(task, &rows);
            let names = self.reader.names(task);
            let (mut batch, mut scratch) = (RecordBatch::new(), Scratch::default());
            for &row in &chosen {
                let tag = self.tag(task, rows.place(row).sample);
                batch.push_with(|out| {
                    rows.push_record(row, &names, &mut scratch, out)?;
                    if let Some(tag) = &tag {
                        out.extend_from_slice(SAMPLE_TAG.as_bytes());
                        out.push(b'Z');
                        out.extend_from_slice(&tag.as_bytes()[SAMPLE_TAG.len() + 3..]);
                        out.push(0);
                    }
                    Ok(())
                })?;
            }
            Ok((chosen.len() as u64, batch))
        };
        self.reader.scan(&self.reader.tasks, threads, max_bytes, work, |_, batch| sink(&batch))
    }

    /// The rows of a batch that are asked for, each read in one region only.
    fn chosen(&self, task: &Task, rows: &Rows) -> Vec<usize> {
        let samples = &self.reader.parts[task.part].chosen;
        let is_chosen = |row: &usize| {
            let place = rows.place(*row);
            if samples.get(place.sample as usize) != Some(&true) {
                return false;
            }
            let contig = rows.contig_key(*row).and_then(|key| self.reader.contig_of(task, key));
            match (contig, rows.interval(*row)) {
                (Some(contig), Some((start, end))) => {
                    self.reader.home(contig, start, end) == Some(task.place.ordinal)
                }
                // Without a place, it is in no region but that of such reads.
                (contig, _) => {
                    let is_asked_for = contig.is_none() || self.reader.selection == Selection::All;
                    place.is_owner && is_asked_for
                }
            }
        };
        (0..rows.len()).filter(is_chosen).collect()
    }

    fn sample_name(&self, task: &Task, sample: u32) -> &str {
        let samples = &self.reader.parts[task.part].list.samples;
        samples.get(sample as usize).map_or("", |sample| sample.name.as_str())
    }

    fn tag(&self, task: &Task, sample: u32) -> Option<String> {
        self.has_tag.then(|| format!("{SAMPLE_TAG}:Z:{}", self.sample_name(task, sample)))
    }

    fn text(&self, task: &Task, rows: &Rows, chosen: &[usize]) -> Result<Vec<u8>> {
        let names = self.reader.names(task);
        let mut out = Vec::new();
        match self.format {
            Format::Nothing => {}
            Format::Arrow => return self.arrow(task, rows, chosen),
            Format::Sam => {
                for &row in chosen {
                    let tag = self.tag(task, rows.place(row).sample);
                    rows.push_line(row, &names, tag.as_deref(), &mut out)?;
                    out.push(b'\n');
                }
            }
            Format::Json => {
                let lines = JsonLines::new(&Column::ALL, self.reader.contigs());
                let (mut scratch, mut bytes) = (Scratch::default(), Vec::new());
                for &row in chosen {
                    bytes.clear();
                    rows.push_record(row, &names, &mut scratch, &mut bytes)?;
                    let name = self.sample_name(task, rows.place(row).sample);
                    let start = out.len();
                    lines.push(&Record::new(&bytes)?, &mut out)?;
                    let sample = format!("{{\"sample_id\":{},", serde_json::Value::from(name));
                    out.splice(start..=start, sample.into_bytes());
                }
            }
        }
        Ok(out)
    }

    /// A batch whose dictionaries are spelled out, so that batches of several files form one stream.
    fn arrow(&self, task: &Task, rows: &Rows, chosen: &[usize]) -> Result<Vec<u8>> {
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let mut mask = vec![false; rows.len()];
        chosen.iter().for_each(|&row| mask[row] = true);
        let found =
            filter_record_batch(rows.columns(), &BooleanArray::from(mask)).map_err(failed)?;
        let part = &self.reader.parts[task.part];
        let spelled = |at: usize, name: &dyn Fn(usize) -> Option<String>| -> Result<ArrayRef> {
            let keys: Int32Array = column(&found, at)?;
            let names = keys.iter().map(|key| name(usize::try_from(key?).ok()?));
            Ok(Arc::new(names.collect::<StringArray>()))
        };
        let sample = |key: usize| Some(part.list.samples.get(key)?.name.clone());
        let contig = |key: usize| {
            let id = ContigId(*part.list.contigs.get(key)?);
            Some(self.reader.contigs().get(id)?.name.clone())
        };
        let schema = plain_schema();
        let mut columns = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            columns.push(match field.name().as_str() {
                "sample_id" => spelled(at, &sample)?,
                "contig" | "mate_contig" => spelled(at, &contig)?,
                _ => found.column(at).clone(),
            });
        }
        let batch = Columns::try_new(Arc::new(schema), columns).map_err(failed)?;
        file::encode_plain(&batch)
    }
}

/// The schema of a stream: that of the files, with text for dictionaries, and no column that is
/// of no use outside.
fn plain_schema() -> Schema {
    let schema = super::rows::schema();
    let count = schema.fields().len() - INTERNAL;
    let plain = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => {
            Arc::new(field.as_ref().clone().with_data_type(values.as_ref().clone()))
        }
        _ => field.clone(),
    };
    let fields: Vec<Arc<Field>> = schema.fields().iter().take(count).map(plain).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}
