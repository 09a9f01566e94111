//! SAM files as a source of records.

use memchr::memchr;

use super::LineParser;
use crate::error::{Error, Result};
use crate::records::alignments::source::{Limit, Source};
use crate::records::alignments::validate::RecordChecks;
use crate::records::alignments::{Header, Record, RecordBatch, Validation};
use crate::records::stream::Stream;

/// No line is longer than this: more than twice the longest read that was ever sequenced, with a
/// letter, a quality and a tag or two for each base.
const MAX_LINE_BYTES: usize = 1 << 30;

/// Reads SAM, plain or compressed.
pub(in crate::records::alignments) struct SamSource {
    lines: Lines,
    header: Header,
    parser: LineParser,
    checks: RecordChecks,
    /// The first line behind the header has been read, but not yet turned into a record.
    has_line: bool,
}

impl SamSource {
    /// Reads the header.
    pub(in crate::records::alignments) fn open(
        stream: Stream,
        validation: Validation,
    ) -> Result<Self> {
        let mut lines = Lines { stream, line: Vec::new(), number: 0 };
        let mut text = Vec::new();
        let mut has_line = lines.advance()?;
        while has_line && lines.line.starts_with(b"@") {
            text.extend_from_slice(&lines.line);
            text.push(b'\n');
            has_line = lines.advance()?;
        }
        let header = Header::parse_sam_text(&text, validation)
            .map_err(|error| error.at(lines.stream.name()))?;
        let checks = RecordChecks::new(&header, validation);
        Ok(Self { lines, header, parser: LineParser::new(validation), checks, has_line })
    }

    fn push(&mut self, batch: &mut RecordBatch) -> Result<()> {
        let Self { lines, header, parser, checks, .. } = self;
        batch
            .push_with(|out| {
                let start = out.len();
                if lines.line.is_empty() {
                    return Err(Error::input("the line is empty").help("remove it"));
                }
                parser.parse(&lines.line, header.contigs(), out)?;
                match Record::trusted(&out[start..]) {
                    Some(record) => checks.check(&record),
                    None => Err(Error::internal("a record was laid out wrongly")),
                }
            })
            .map_err(|error| error.at(format!("line {}", lines.number)).at(lines.stream.name()))
    }
}

impl Source for SamSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        batch.clear();
        while self.has_line && !limit.is_reached_by(batch) {
            self.push(batch)?;
            self.has_line = self.lines.advance()?;
        }
        Ok(!batch.is_empty())
    }
}

/// The lines of a stream, one at a time.
struct Lines {
    stream: Stream,
    /// The current one, without its end.
    line: Vec<u8>,
    /// Its number, from 1.
    number: u64,
}

impl Lines {
    /// Goes to the next line; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        let mut has_any = false;
        loop {
            let available = self.stream.fill()?;
            if available.is_empty() {
                break;
            }
            has_any = true;
            let end = memchr(b'\n', available);
            self.line.extend_from_slice(&available[..end.unwrap_or(available.len())]);
            let consumed = end.map_or(available.len(), |end| end + 1);
            self.stream.consume(consumed);
            if end.is_some() {
                break;
            }
            if self.line.len() > MAX_LINE_BYTES {
                return Err(Error::unsupported("the line is longer than 1 GiB")
                    .help("check that the file is SAM text")
                    .at(format!("line {}", self.number + 1))
                    .at(self.stream.name()));
            }
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        self.number += u64::from(has_any);
        Ok(has_any)
    }
}
