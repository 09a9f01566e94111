//! BAM files: records framed out of BGZF blocks (SAM specification §4), and written into them.

use std::io::Write;
use std::num::NonZero;

use noodles_bgzf as bgzf;

use super::sink::{Sink, write_failure};
use super::source::{Limit, Source};
use super::validate::RecordChecks;
use super::{Header, Record, RecordBatch, Validation, header};
use crate::error::{Error, Result};
use crate::records::stream::Stream;

/// No header text is longer than this; the longest known are some 100 MB of `@PG` lines.
const MAX_TEXT_BYTES: u32 = 1 << 30;

/// No contig's name is longer than this.
const MAX_NAME_BYTES: u32 = 1 << 16;

/// No record is longer than this: reads of 100 Mb with a dozen bytes of tags to each base would
/// still fit. A damaged length beyond it is found before any memory is asked for.
const MAX_RECORD_BYTES: u32 = 1 << 30;

/// Reads BAM.
pub(super) struct BamSource {
    stream: Stream,
    header: Header,
    checks: RecordChecks,
    /// A record that lies across two blocks.
    partial: Vec<u8>,
    records: u64,
}

impl BamSource {
    /// Reads the header.
    pub(super) fn open(mut stream: Stream, validation: Validation) -> Result<Self> {
        let header = read_header(&mut stream, validation)
            .map_err(|error| error.at("BAM header").at(stream.name()))?;
        let checks = RecordChecks::new(&header, validation);
        Ok(Self { stream, header, checks, partial: Vec::new(), records: 0 })
    }

    /// Appends the records that lie whole in the stream's current block.
    fn push_whole(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        let Self { stream, checks, records, .. } = self;
        let block = stream.fill()?;
        let is_end = block.is_empty();
        let mut rest = block;
        let mut pushed = Ok(());
        while !limit.is_reached_by(batch) {
            let Some((&size, after)) = rest.split_first_chunk::<4>() else { break };
            let Some((bytes, after)) = after.split_at_checked(u32::from_le_bytes(size) as usize)
            else {
                break;
            };
            pushed = push(checks, batch, bytes);
            if pushed.is_err() {
                break;
            }
            *records += 1;
            rest = after;
        }
        let consumed = block.len() - rest.len();
        stream.consume(consumed);
        pushed.map_err(|error| self.locate(error))?;
        Ok(is_end)
    }

    /// Appends the record that continues in the next block.
    fn push_partial(&mut self, batch: &mut RecordBatch) -> Result<()> {
        self.partial.clear();
        let got = self.stream.read_into(4, &mut self.partial)?;
        let Some(size) = self.partial.first_chunk::<4>().map(|size| u32::from_le_bytes(*size))
        else {
            return Err(self.locate(truncated("a record's length", 4, got)));
        };
        if size > MAX_RECORD_BYTES {
            let error = Error::input("the record's length is absurd")
                .expected(format!("at most {MAX_RECORD_BYTES} bytes"))
                .found(format!("{size} bytes"))
                .help("the file is damaged; make it again");
            return Err(self.locate(error));
        }
        self.partial.clear();
        let got = self.stream.read_into(size as usize, &mut self.partial)?;
        if got < size as usize {
            return Err(self.locate(truncated("a record", size as usize, got)));
        }
        push(&mut self.checks, batch, &self.partial).map_err(|error| self.locate(error))?;
        self.records += 1;
        Ok(())
    }

    fn locate(&self, error: Error) -> Error {
        error
            .at(format!("record {}, {}", self.records + 1, self.stream.place()))
            .at(self.stream.name())
    }
}

fn push(checks: &mut RecordChecks, batch: &mut RecordBatch, bytes: &[u8]) -> Result<()> {
    checks.check(&Record::new(bytes)?)?;
    batch.push_trusted(bytes);
    Ok(())
}

impl Source for BamSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        batch.clear();
        while !limit.is_reached_by(batch) {
            let before = batch.len();
            if self.push_whole(batch, limit)? {
                break;
            }
            // A block that holds no whole record holds the start of one, or has been used up.
            if batch.len() == before && !limit.is_reached_by(batch) {
                self.push_partial(batch)?;
            }
        }
        Ok(!batch.is_empty())
    }
}

fn read_header(stream: &mut Stream, validation: Validation) -> Result<Header> {
    read_bytes(stream, 4, "the magic")?;
    let text_len = read_u32(stream, "the length of the text")?;
    if text_len > MAX_TEXT_BYTES {
        return Err(absurd("the length of the text", text_len, MAX_TEXT_BYTES));
    }
    let mut text = read_bytes(stream, text_len as usize, "the text")?;
    let padding = text.iter().rev().take_while(|byte| **byte == 0).count();
    text.truncate(text.len() - padding);
    let count = read_u32(stream, "the number of contigs")?;
    if count > i32::MAX as u32 {
        return Err(absurd("the number of contigs", count, i32::MAX as u32));
    }
    let mut contigs = Vec::new();
    for ordinal in 0..count {
        contigs.push(
            read_contig(stream).map_err(|error| error.at(format!("contig {}", ordinal + 1)))?,
        );
    }
    Header::from_bam(&text, contigs, validation)
}

fn read_contig(stream: &mut Stream) -> Result<(String, u64)> {
    let name_len = read_u32(stream, "the length of the name")?;
    if !(1..=MAX_NAME_BYTES).contains(&name_len) {
        return Err(absurd("the length of the name", name_len, MAX_NAME_BYTES));
    }
    let name = read_bytes(stream, name_len as usize, "the name")?;
    let Some((0, name)) = name.split_last() else {
        return Err(Error::input("the name of a contig does not end in NUL")
            .help("the file is damaged; make it again"));
    };
    let length = read_u32(stream, "the contig's length")?;
    if length > i32::MAX as u32 {
        return Err(absurd("the contig's length", length, i32::MAX as u32));
    }
    Ok((header::contig_name(name)?, u64::from(length)))
}

fn read_u32(stream: &mut Stream, what: &str) -> Result<u32> {
    let bytes = read_bytes(stream, 4, what)?;
    Ok(bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
}

fn read_bytes(stream: &mut Stream, count: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let got = stream.read_into(count, &mut bytes)?;
    if got < count { Err(truncated(what, count, got)) } else { Ok(bytes) }
}

fn truncated(what: &str, expected: usize, found: usize) -> Error {
    Error::input(format!("the file is truncated: it ends within {what}"))
        .expected(format!("{expected} bytes"))
        .found(format!("{found} bytes"))
        .help("copy the file again, or make it again with the program that wrote it")
}

fn absurd(what: &str, found: u32, most: u32) -> Error {
    Error::input(format!("{what} is absurd"))
        .expected(format!("at most {most}"))
        .found(found)
        .help("the file is damaged; make it again")
}

/// Writes BAM with samtools' compression level.
pub(super) struct BamSink {
    writer: bgzf::io::MultithreadedWriter<Box<dyn Write + Send>>,
    /// After a failure the writer must not be used again.
    is_broken: bool,
    frame: Vec<u8>,
}

impl BamSink {
    /// Writes the header.
    pub(super) fn new(out: Box<dyn Write + Send>, header: &Header, threads: usize) -> Result<Self> {
        let writer = bgzf::io::MultithreadedWriter::with_worker_count(
            NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN),
            out,
        );
        let mut sink = Self { writer, is_broken: false, frame: Vec::new() };
        sink.write_all(&header.to_bam_bytes()?)?;
        Ok(sink)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        if self.is_broken {
            return Err(Error::internal("a BAM file was written to after a failure"));
        }
        self.writer.write_all(bytes).map_err(|error| {
            self.is_broken = true;
            write_failure(error)
        })
    }
}

impl Sink for BamSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        for index in 0..batch.len() {
            let bytes = batch.bytes(index);
            frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            frame.extend_from_slice(bytes);
        }
        let written = self.write_all(&frame);
        self.frame = frame;
        written
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.is_broken {
            return Err(Error::internal("a BAM file was finished after a failure"));
        }
        let mut out = self.writer.finish().map_err(write_failure)?;
        out.flush().map_err(write_failure)
    }
}
