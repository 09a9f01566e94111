//! Alignments as JSON lines and Arrow streams on an output.

use std::io::Write;

use arrow_ipc::writer::StreamWriter;
use genomic_objects::error::{Error, Result};
use genomic_objects::genome::Contigs;
use genomic_objects::records::alignments::arrow::{BatchBuilder, schema};
use genomic_objects::records::alignments::columns::Column;
use genomic_objects::records::alignments::json::JsonLines;
use genomic_objects::records::alignments::{RecordBatch, Sink};

/// One JSON object a line.
pub(crate) struct JsonSink {
    out: Box<dyn Write + Send>,
    columns: Vec<Column>,
    contigs: Contigs,
}

impl JsonSink {
    pub(crate) fn new(out: Box<dyn Write + Send>, columns: Vec<Column>, contigs: Contigs) -> Self {
        Self { out, columns, contigs }
    }
}

impl Sink for JsonSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let lines = JsonLines::new(&self.columns, &self.contigs);
        let mut text = Vec::new();
        for record in batch.iter() {
            lines.push(&record, &mut text)?;
        }
        self.out.write_all(&text).map_err(write_failed)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().map_err(write_failed)
    }
}

/// An Arrow IPC stream.
pub(crate) struct ArrowSink {
    writer: StreamWriter<Box<dyn Write + Send>>,
    rows: BatchBuilder,
}

/// Rows after which a batch is sent on.
const ROWS: usize = 65_536;

impl ArrowSink {
    pub(crate) fn new(
        out: Box<dyn Write + Send>,
        columns: Vec<Column>,
        contigs: Contigs,
    ) -> Result<Self> {
        let writer = StreamWriter::try_new(out, &schema(&columns)).map_err(write_failed)?;
        Ok(Self { writer, rows: BatchBuilder::new(&columns, &contigs) })
    }

    fn send(&mut self) -> Result<()> {
        let batch = self.rows.finish()?;
        self.writer.write(&batch).map_err(write_failed)
    }
}

impl Sink for ArrowSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for record in batch.iter() {
            self.rows.append(&record)?;
            if self.rows.is_full() || self.rows.len() >= ROWS {
                self.send()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if !self.rows.is_empty() {
            self.send()?;
        }
        self.writer.finish().map_err(write_failed)
    }
}

fn write_failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::store("writing the output failed").caused_by(error)
}
