//! Cutting FASTQ and FASTA into records.
//!
//! A FASTQ record is a line that begins with `@`, lines of bases up to one that begins with `+`, and
//! lines of qualities until there are as many as bases: so a quality line may begin with `@` or `+`.
//! Most records have four lines, for which four searches for line feeds are all it takes.

use std::io::Read;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::style::Style;
use crate::error::{Error, Result};

/// Bytes asked of the reader at a time.
const STEP: usize = if cfg!(fuzzing) { 256 } else { 512 << 10 };
/// Most bytes to make room for before there is a need.
const MAX_RESERVED: usize = 2 << 20;
/// The longest record, in bytes.
const MAX_RECORD: usize = 1 << 30;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bases and qualities.
    Fastq,
    /// Bases.
    Fasta,
}

/// Where the parts of a record lie in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The first byte of the record.
    pub start: u32,
    /// The end of the header, which begins behind the mark.
    pub header_end: u32,
    /// The bases, line ends among them where they are wrapped.
    pub bases: (u32, u32),
    /// The text behind `+`.
    pub plus: (u32, u32),
    /// The qualities, line ends among them where they are wrapped.
    pub qualities: (u32, u32),
    /// The end of the record, its last line end included.
    pub end: u32,
    /// How many bases there are.
    pub length: u32,
    /// Bases and qualities have one line each, and all lines end alike.
    pub is_plain: bool,
    /// Whether lines end in carriage return and line feed.
    pub crlf: bool,
}

/// Records that follow one another in a file.
#[derive(Clone, Debug)]
pub struct Framed {
    /// The text of all records.
    pub text: Arc<Vec<u8>>,
    /// Where they lie in it.
    pub frames: Vec<Frame>,
    /// The number of the first record in its file, from 0.
    pub first_record: u64,
    /// How many records of the file lie between two of these.
    pub stride: u64,
    /// The line that the text begins at, from 1.
    pub first_line: u64,
    /// The file.
    pub name: Arc<str>,
}

impl Framed {
    /// An error in record `index`, at byte `at` of the text.
    pub fn error(&self, index: usize, at: u32, error: Error) -> Error {
        let lines = self.text.get(..at as usize).unwrap_or(&self.text);
        let line = self.first_line + memchr::memchr_iter(b'\n', lines).count() as u64;
        let record = self.first_record + index as u64 * self.stride + 1;
        error.at(format!("record {record}, line {line}")).at(&self.name)
    }

    /// Bytes of the text.
    pub fn byte_len(&self) -> usize {
        self.text.len()
    }

    /// First and second of each pair.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where the last has no mate.
    pub fn deinterleave(self) -> Result<[Self; 2]> {
        if !self.frames.len().is_multiple_of(2) {
            let last = self.frames.len() - 1;
            let at = self.frames[last].start;
            return Err(self.error(
                last,
                at,
                Error::input("the last read has no mate")
                    .help("repair the file, or convert it without --interleaved"),
            ));
        }
        let half = |odd: usize| Self {
            text: self.text.clone(),
            frames: self.frames.iter().skip(odd).step_by(2).copied().collect(),
            first_record: self.first_record + odd as u64,
            stride: 2,
            first_line: self.first_line,
            name: self.name.clone(),
        };
        Ok([half(0), half(1)])
    }
}

/// Cuts a stream of text into records.
pub struct Framer {
    reader: Box<dyn Read + Send>,
    name: Arc<str>,
    buffer: Vec<u8>,
    at_end: bool,
    /// Why nothing more can be read; told once what was read is used up.
    failure: Option<std::io::Error>,
    record: u64,
    line: u64,
    kind: Kind,
    style: Style,
}

/// What a look at the buffer gave.
enum Found {
    Frame(Frame, u64),
    /// The record may go on behind the buffer.
    More,
}

impl Framer {
    /// Begins to read a file, and finds out what it holds and how it is written.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where it is empty, or neither FASTQ nor FASTA.
    pub fn new(reader: Box<dyn Read + Send>, name: &str) -> Result<Self> {
        let mut framer = Self {
            reader,
            name: name.into(),
            buffer: Vec::new(),
            at_end: false,
            failure: None,
            record: 0,
            line: 1,
            kind: Kind::Fastq,
            style: Style::default(),
        };
        framer.grow(0, 0)?;
        framer.kind = match framer.buffer.first() {
            Some(b'@') => Kind::Fastq,
            Some(b'>') => Kind::Fasta,
            None => {
                return Err(Error::input("the file is empty")
                    .expected("at least one read")
                    .help("check what should have written it")
                    .at(name));
            }
            Some(&byte) => {
                return Err(Error::input("this is neither FASTQ nor FASTA")
                    .expected("'@' or '>'")
                    .found(format!("byte {:?}", char::from(byte)))
                    .help("give a FASTQ or FASTA file, plain or compressed, or an unaligned BAM")
                    .at("line 1")
                    .at(name));
            }
        };
        let first = loop {
            match framer.look(0).map_err(|error| framer.place(error, 0, 0))? {
                Found::Frame(frame, _) => break frame,
                Found::More => framer.grow(0, 0)?,
            }
        };
        framer.style = Style::of(&framer.buffer, &first, framer.kind);
        Ok(framer)
    }

    /// What the file holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How its first record is written.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many records were handed out.
    pub fn records(&self) -> u64 {
        self.record
    }

    /// As [`next`](Self::next), but an even number of records unless the file ends.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_even(&mut self, max_records: usize, max_bytes: usize) -> Result<Option<Framed>> {
        self.take(max_records, max_bytes, 2)
    }

    /// The next records: at most so many, and not much more than so many bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) with record and line, and what the reader reports.
    pub fn next(&mut self, max_records: usize, max_bytes: usize) -> Result<Option<Framed>> {
        self.take(max_records, max_bytes, 1)
    }

    fn take(&mut self, max_records: usize, max_bytes: usize, of: usize) -> Result<Option<Framed>> {
        // At once, as growing step by step would move what is there again and again.
        self.buffer.reserve(max_bytes.min(MAX_RESERVED) + STEP);
        let (mut frames, mut at, mut lines) = (Vec::<Frame>::new(), 0_usize, 0_u64);
        while frames.len() < max_records
            && (frames.is_empty() || at < max_bytes || !frames.len().is_multiple_of(of))
        {
            if at == self.buffer.len() {
                if self.at_end {
                    break;
                }
                self.grow(frames.len(), lines)?;
                continue;
            }
            match self.look(at).map_err(|error| self.place(error, frames.len(), lines))? {
                Found::Frame(frame, count) => {
                    at = frame.end as usize;
                    lines += count;
                    frames.push(frame);
                }
                Found::More => self.grow(frames.len(), lines)?,
            }
        }
        if frames.is_empty() {
            return Ok(None);
        }
        let rest = self.buffer.split_off(at);
        let text = std::mem::replace(&mut self.buffer, rest);
        let framed = Framed {
            text: Arc::new(text),
            first_record: self.record,
            stride: 1,
            first_line: self.line,
            name: self.name.clone(),
            frames,
        };
        self.record += framed.frames.len() as u64;
        self.line += lines;
        Ok(Some(framed))
    }

    fn place(&self, error: Error, records: usize, lines: u64) -> Error {
        let record = self.record + records as u64 + 1;
        error.at(format!("record {record}, from line {}", self.line + lines)).at(&self.name)
    }

    /// Reads more; `records` and `lines` of the buffer are framed already.
    fn grow(&mut self, records: usize, lines: u64) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            let (record, line) = (self.record + records as u64, self.line + lines);
            return Err(Error::input("the file cannot be read to its end")
                .caused_by(failure)
                .help("it may be cut short or damaged: get a whole copy")
                .at(format!("after record {record}, in the record from line {line}"))
                .at(&self.name));
        }
        let length = self.buffer.len();
        if length > MAX_RECORD + STEP {
            return Err(Error::unsupported("a record is longer than 1 GiB").at(&self.name));
        }
        let step = STEP.max(length / 2).min(64 << 20);
        self.buffer.resize(length + step, 0);
        let mut filled = length;
        while filled < self.buffer.len() {
            match self.reader.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.buffer.truncate(filled);
        match self.failure {
            Some(_) if filled == length => self.grow(records, lines),
            _ => Ok(()),
        }
    }

    /// Frames the record that begins at `start`.
    fn look(&self, start: usize) -> Result<Found> {
        let found = match self.kind {
            Kind::Fastq => self.look_plain(start),
            Kind::Fasta => None,
        };
        match (found, self.kind) {
            // Nothing but blank lines may follow the last record, and they belong to it.
            (Some(found), _) => Ok(found),
            (None, Kind::Fastq) => self.look_wrapped(start),
            (None, Kind::Fasta) => self.look_fasta(start),
        }
    }

    /// A record of four lines that ends before the end of the buffer.
    fn look_plain(&self, start: usize) -> Option<Found> {
        let text = &self.buffer;
        if text[start] != b'@' {
            return None;
        }
        let header_end = start + memchr(b'\n', &text[start..])?;
        let bases = header_end + 1;
        let bases_end = bases + memchr(b'\n', &text[bases..])?;
        let plus = bases_end + 1;
        if *text.get(plus)? != b'+' {
            return None;
        }
        let plus_end = match text.get(plus + 1)? {
            b'\n' => plus + 1,
            _ => plus + memchr(b'\n', &text[plus..])?,
        };
        let qualities = plus_end + 1;
        // They are as long as the bases as a rule.
        let end = qualities + (bases_end - bases);
        if text.get(end) != Some(&b'\n') || memchr(b'\n', &text[qualities..end]).is_some() {
            return None;
        }
        // What follows decides whether this is the end, so it must be there.
        if *text.get(end + 1)? != b'@' {
            return None;
        }
        let crlf = text[header_end - 1] == b'\r';
        let cr = usize::from(crlf);
        let ends = [bases_end, plus_end, end];
        if bases_end - bases < cr || ends.iter().any(|&e| (text[e - 1] == b'\r') != crlf) {
            return None;
        }
        let frame = Frame {
            start: start as u32,
            header_end: (header_end - cr) as u32,
            bases: (bases as u32, (bases_end - cr) as u32),
            plus: (plus as u32 + 1, (plus_end - cr) as u32),
            qualities: (qualities as u32, (end - cr) as u32),
            end: end as u32 + 1,
            length: (bases_end - cr - bases) as u32,
            is_plain: true,
            crlf,
        };
        Some(Found::Frame(frame, 4))
    }

    /// A line from `start`: its end without line end, and the start of the next.
    fn line(&self, start: usize) -> Option<(usize, usize)> {
        match memchr(b'\n', &self.buffer[start..]) {
            Some(length) => {
                let end = start + length;
                let cr = usize::from(length > 0 && self.buffer[end - 1] == b'\r');
                Some((end - cr, end + 1))
            }
            None if self.at_end => {
                let end = self.buffer.len();
                let cr = usize::from(end > start && self.buffer[end - 1] == b'\r');
                Some((end - cr, end))
            }
            None => None,
        }
    }

    fn look_wrapped(&self, start: usize) -> Result<Found> {
        let text = &self.buffer;
        if text[start] != b'@' {
            return Err(self.no_record(start, "'@'"));
        }
        let Some((header_end, mut at)) = self.line(start) else { return Ok(Found::More) };
        let cut = |what: &str| {
            Error::input("the last record is cut short")
                .expected(what)
                .found("the end of the file")
                .help("get a whole copy of the file")
        };
        let (bases, mut bases_end, mut length) = (at, at, 0);
        let plus = loop {
            if at == text.len() {
                if self.at_end {
                    return Err(cut("a line that begins with '+'"));
                }
                return Ok(Found::More);
            }
            let Some((end, next)) = self.line(at) else { return Ok(Found::More) };
            if text[at] == b'+' {
                break at;
            }
            if let Some(bad) = text[at..end].iter().find(|&&byte| !is_base(byte)) {
                return Err(Error::input("the bases hold a character that is no base")
                    .expected("letters, or a line that begins with '+'")
                    .found(format!("{:?}", char::from(*bad)))
                    .help("every record is @name, bases, +, qualities: repair this one"));
            }
            length += end - at;
            bases_end = end;
            at = next;
        };
        let Some((plus_end, mut at)) = self.line(plus) else { return Ok(Found::More) };
        let (qualities, mut qualities_end, mut count) = (at, at, 0);
        let mut has_line = false;
        while count < length || !has_line {
            if at == text.len() {
                if !self.at_end {
                    return Ok(Found::More);
                }
                // A read without bases may lack its empty line of qualities at the very end.
                if length == 0 {
                    break;
                }
                return Err(if count == 0 {
                    cut("a line of qualities")
                } else {
                    self.lengths(length, count).help("the file may be cut short")
                });
            }
            let Some((end, next)) = self.line(at) else { return Ok(Found::More) };
            has_line = true;
            count += end - at;
            qualities_end = end;
            at = next;
            if length == 0 {
                break;
            }
        }
        if count != length {
            return Err(self.lengths(length, count));
        }
        self.finish(start, at, |end| Frame {
            start: start as u32,
            header_end: header_end as u32,
            bases: (bases as u32, bases_end as u32),
            plus: (plus as u32 + 1, plus_end as u32),
            qualities: (qualities as u32, qualities_end as u32),
            end: end as u32,
            length: length as u32,
            is_plain: false,
            crlf: false,
        })
    }

    fn lengths(&self, bases: usize, qualities: usize) -> Error {
        Error::input("a read has not one quality per base")
            .expected(format!("{bases} qualities"))
            .found(qualities)
            .help("repair or remove this record")
    }

    fn look_fasta(&self, start: usize) -> Result<Found> {
        let text = &self.buffer;
        if text[start] != b'>' {
            return Err(self.no_record(start, "'>'"));
        }
        let Some((header_end, mut at)) = self.line(start) else { return Ok(Found::More) };
        let (bases, mut bases_end, mut length) = (at, at, 0);
        loop {
            if at == text.len() {
                if self.at_end {
                    break;
                }
                return Ok(Found::More);
            }
            if text[at] == b'>' {
                break;
            }
            let Some((end, next)) = self.line(at) else { return Ok(Found::More) };
            if let Some(bad) = text[at..end].iter().find(|&&byte| !is_residue(byte)) {
                return Err(Error::input("the sequence holds a character that is none of one")
                    .expected("letters, '*', '-' or '.'")
                    .found(format!("{:?}", char::from(*bad)))
                    .help("repair this line"));
            }
            if end > at {
                bases_end = end;
                length += end - at;
            }
            at = next;
        }
        self.finish(start, at, |end| Frame {
            start: start as u32,
            header_end: header_end as u32,
            bases: (bases as u32, bases_end as u32),
            end: end as u32,
            length: length as u32,
            ..Frame::default()
        })
    }

    /// Ends a record at `at`, or behind the blank lines that end the file.
    fn finish(&self, start: usize, at: usize, frame: impl Fn(usize) -> Frame) -> Result<Found> {
        let text = &self.buffer;
        let lines = |end: usize| {
            let lines = memchr::memchr_iter(b'\n', &text[start..end]).count() as u64;
            lines + u64::from(memrchr(b'\n', &text[start..end]) != Some(end - start - 1))
        };
        let blank = text[at..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        if blank == 0 && at < text.len() {
            return Ok(Found::Frame(frame(at), lines(at)));
        }
        if at + blank < text.len() {
            // Something follows blank lines, which no record may begin with.
            return Ok(Found::Frame(frame(at), lines(at)));
        }
        if !self.at_end {
            return Ok(Found::More);
        }
        Ok(Found::Frame(frame(text.len()), lines(text.len())))
    }

    fn no_record(&self, start: usize, mark: &str) -> Error {
        let line = &self.buffer[start..self.buffer.len().min(start + 30)];
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or(line);
        Error::input("a record does not begin as it must")
            .expected(mark)
            .found(format!("{:?}", String::from_utf8_lossy(line)))
            .help("the record before may have a line too many or too few: repair it")
    }
}

/// Whether a byte may stand among the bases of FASTQ.
pub(super) fn is_base(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'-' | b'*')
}

fn is_residue(byte: u8) -> bool {
    is_base(byte)
}

#[cfg(test)]
mod tests;
