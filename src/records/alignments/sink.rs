//! Where records go: SAM, BAM or CRAM.

use std::io::{self, Write};

use super::bam::BamSink;
use super::{Header, RecordBatch, sam};
use crate::error::{Error, ErrorKind, Result};
use crate::genome::Contigs;

/// An alignment file being written.
pub trait Sink: Send {
    /// Appends records.
    ///
    /// # Errors
    ///
    /// [`Store`](ErrorKind::Store) when writing fails (see [`is_broken_pipe`]),
    /// [`Unsupported`](ErrorKind::Unsupported) for a record that the format cannot hold. After an
    /// error the sink is of no more use.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn finish(self: Box<Self>) -> Result<()>;
}

/// The formats of [`create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// SAM text with its header.
    Sam,
    /// SAM text without a header.
    SamRecords,
    /// BAM.
    Bam,
    /// CRAM 3.0 that needs no reference.
    Cram,
}

/// Starts an alignment file on `out`, with `threads` threads to compress it.
///
/// # Errors
///
/// As [`Sink::write`], for the header.
pub fn create(
    format: Format,
    out: Box<dyn Write + Send>,
    header: &Header,
    threads: usize,
) -> Result<Box<dyn Sink>> {
    Ok(match format {
        Format::Sam => Box::new(SamSink::new(out, header, true)?),
        Format::SamRecords => Box::new(SamSink::new(out, header, false)?),
        Format::Bam => Box::new(BamSink::new(out, header, threads)?),
        Format::Cram => return super::cram::create(out, header, threads),
    })
}

/// The place in messages of a sink whose reader went away.
const BROKEN_PIPE: &str = "the reader of the output closed it";

/// An output failed.
pub(super) fn write_failure(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::new(ErrorKind::Store, BROKEN_PIPE);
    }
    Error::new(ErrorKind::Store, "writing the output failed")
        .caused_by(error)
        .help("check the disk or the program that reads the output, then try again")
}

/// Whether a sink failed only because whoever read its output has seen enough, which is no failure
/// to a command.
pub fn is_broken_pipe(error: &Error) -> bool {
    error.kind() == ErrorKind::Store && error.to_string().ends_with(BROKEN_PIPE)
}

/// Writes SAM text.
struct SamSink {
    out: Box<dyn Write + Send>,
    contigs: Contigs,
    text: Vec<u8>,
}

impl SamSink {
    fn new(out: Box<dyn Write + Send>, header: &Header, with_header: bool) -> Result<Self> {
        let text = if with_header { header.to_sam_text() } else { Vec::new() };
        let mut sink = Self { out, contigs: header.contigs().clone(), text };
        sink.write_text()?;
        Ok(sink)
    }

    fn write_text(&mut self) -> Result<()> {
        self.out.write_all(&self.text).map_err(write_failure)?;
        self.text.clear();
        Ok(())
    }
}

impl Sink for SamSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for record in batch.iter() {
            sam::write_record(&mut self.text, &record, &self.contigs);
        }
        self.write_text()
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().map_err(write_failure)
    }
}
