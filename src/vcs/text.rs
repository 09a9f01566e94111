//! VCF text and BCF as sources of lines.

use std::io::{Cursor, Read};

use super::infer::{Declarations, Declared};
use super::order::{LineSource, place_of};
use super::write::Lines;
use crate::error::{Context, Error, Result};
use crate::records::stream::{Compression, Stream, read_failure};
use crate::records::variants::bcf;
use crate::store::Input;

/// Bytes that tell how an input is compressed.
const SNIFFED: usize = 18;

/// Opens VCF text, plain or in gzip, or BCF, and reads it on the caller's thread.
///
/// # Errors
///
/// As [`open_threaded`].
pub fn open(input: Input) -> Result<Lines> {
    open_threaded(input, 1)
}

/// Opens VCF text, plain or in gzip, or BCF. Blocks of BGZF are decompressed, and records of BCF
/// made into text, by so many threads.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) naming the line where the input is neither, or damaged.
pub fn open_threaded(input: Input, threads: usize) -> Result<Lines> {
    let Input { name, mut reader, .. } = input;
    let mut start = Vec::with_capacity(SNIFFED);
    let sniffed = reader.by_ref().take(SNIFFED as u64).read_to_end(&mut start);
    sniffed.map_err(|error| read_failure(&name, error))?;
    let compression = Compression::of(&start);
    let whole = Box::new(Cursor::new(start).chain(reader));
    let mut stream = Stream::new(name, whole, compression, threads);
    match stream.fill()?.starts_with(b"BCF") {
        true => open_bcf(stream, threads),
        false => open_text(stream),
    }
}

fn open_text(mut stream: Stream) -> Result<Lines> {
    let mut header = Vec::new();
    while stream.fill()?.first() == Some(&b'#') {
        read_line(&mut stream, &mut header)?;
    }
    if !header.starts_with(b"##fileformat=VCF") {
        return Err(Error::input("this is no VCF")
            .expected("a first line ##fileformat=VCFv4…")
            .at(stream.name()));
    }
    let mut lines = Lines::of_header(header);
    check_header(&lines.declarations, lines.header_lines).at(|| stream.name().to_owned())?;
    let samples = lines.declarations.samples.len();
    let (line, number, ending) = (Vec::new(), lines.header_lines, b"\n".to_vec());
    lines.source = Box::new(TextSource { stream, line, number, samples, ending });
    Ok(lines)
}

fn open_bcf(stream: Stream, threads: usize) -> Result<Lines> {
    let name = stream.name().to_owned();
    let records = bcf::Lines::open(stream, threads)?;
    let mut lines = Lines::of_header(records.header().text());
    check_header(&lines.declarations, lines.header_lines).at(|| "BCF header").at(|| &name)?;
    let samples = lines.declarations.samples.len();
    lines.source = Box::new(BcfSource { records, name, samples });
    Ok(lines)
}

/// Appends a line with its line feed, if it has one; whether there was any.
fn read_line(stream: &mut Stream, line: &mut Vec<u8>) -> Result<bool> {
    let before = line.len();
    loop {
        let bytes = stream.fill()?;
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let count = end.unwrap_or(bytes.len());
        line.extend_from_slice(&bytes[..count]);
        stream.consume(count);
        if end.is_some() || count == 0 {
            return Ok(line.len() > before);
        }
    }
}

impl Lines {
    /// What a header says, without any records.
    pub(super) fn of_header(header: Vec<u8>) -> Self {
        let mut declarations = Declarations::default();
        let (mut contigs, mut reference, mut header_lines) = (Vec::new(), None, 0);
        for line in header.split_inclusive(|&byte| byte == b'\n') {
            header_lines += 1;
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end();
            let get = |body: &str, key: &str| {
                let at = body.find(&format!("{key}="))?;
                body[at + key.len() + 1..].split([',', '>']).next().map(str::to_owned)
            };
            for (prefix, list) in
                [("##INFO=<", &mut declarations.info), ("##FORMAT=<", &mut declarations.format)]
            {
                if let Some(body) = text.strip_prefix(prefix)
                    && let (Some(id), Some(number), Some(kind)) =
                        (get(body, "ID"), get(body, "Number"), get(body, "Type"))
                {
                    let description = quoted(body, "Description").unwrap_or_default();
                    list.push(Declared { id, number, kind, description });
                }
            }
            if let Some(body) = text.strip_prefix("##contig=<")
                && let Some(id) = get(body, "ID")
            {
                contigs.push((id, get(body, "length").and_then(|n| n.parse().ok()).unwrap_or(0)));
            }
            if let Some(name) = text.strip_prefix("##reference=") {
                reference = Some(name.rsplit('/').next().unwrap_or(name).to_owned());
            }
            if text.starts_with("#CHROM") {
                declarations.samples = text.split('\t').skip(9).map(str::to_owned).collect();
            }
        }
        declarations.header = header;
        Self { declarations, contigs, reference, header_lines, source: Box::new(NoRecords) }
    }
}

struct NoRecords;

impl LineSource for NoRecords {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn ending(&self) -> &[u8] {
        b"\n"
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        place_of(line)
    }
}

struct TextSource {
    stream: Stream,
    line: Vec<u8>,
    number: u64,
    samples: usize,
    ending: Vec<u8>,
}

impl LineSource for TextSource {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        loop {
            self.line.clear();
            self.number += 1;
            if !read_line(&mut self.stream, &mut self.line)? {
                return Ok(None);
            }
            if self.line.last() != Some(&b'\n') {
                self.ending.clear();
                return Ok(Some(&self.line));
            }
            self.line.pop();
            if !self.line.is_empty() {
                if self.ending.len() > 1 {
                    return Err(Error::input("an empty line among the records")
                        .at(format!("line {}", self.number - 1))
                        .at(self.stream.name()));
                }
                return Ok(Some(&self.line));
            }
            self.ending.push(b'\n');
        }
    }

    fn ending(&self) -> &[u8] {
        &self.ending
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        let check = || {
            check_fields(line, self.samples)?;
            place_of(line)
        };
        check().at(|| format!("line {}", self.number)).at(|| self.stream.name().to_owned())
    }
}

struct BcfSource {
    records: bcf::Lines,
    name: String,
    samples: usize,
}

impl LineSource for BcfSource {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        self.records.next_line()
    }

    fn ending(&self) -> &[u8] {
        b"\n"
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        let check = || {
            // A tab or a line feed in a text of BCF would be another record.
            check_fields(line, self.samples)?;
            if memchr::memchr(b'\n', line).is_some() {
                return Err(Error::input("a value has a line feed"));
            }
            place_of(line)
        };
        check().at(|| format!("record {}", self.records.record())).at(|| &self.name)
    }
}

/// The value of a key in quotes.
fn quoted(body: &str, key: &str) -> Option<String> {
    let at = body.find(&format!("{key}=\""))?;
    let text = &body[at + key.len() + 2..];
    let end = text.rfind('"')?;
    Some(text[..end].to_owned())
}

/// The names of the columns before the samples.
const COLUMNS: [&str; 8] = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"];

fn check_header(declarations: &Declarations, lines: u64) -> Result<()> {
    let last = declarations.header.trim_ascii_end().rsplit(|&byte| byte == b'\n').next();
    let last = String::from_utf8_lossy(last.unwrap_or_default());
    if !last.starts_with("#CHROM") {
        return Err(Error::input("the header does not end in a line of column names")
            .expected("#CHROM, POS, …")
            .at(format!("line {lines}")));
    }
    let mut fields = last.trim_end().split('\t');
    for (at, name) in COLUMNS.iter().enumerate() {
        let found = fields.next().unwrap_or_default();
        if found != *name {
            return Err(Error::input("a column of the header has another name")
                .expected(name)
                .found(format!("{found:?}"))
                .at(format!("column {}", at + 1))
                .at(format!("line {lines}")));
        }
    }
    let mut seen = std::collections::HashSet::new();
    match declarations.samples.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(Error::input(format!("sample {name:?} is named twice"))
            .help("give each sample a name of its own")
            .at(format!("line {lines}"))),
        None => Ok(()),
    }
}

/// A record has the columns that the header names; one without FORMAT has none of samples either.
fn check_fields(line: &[u8], samples: usize) -> Result<()> {
    let found = memchr::memchr_iter(b'\t', line).count() + 1;
    let expected = if samples == 0 { 8 } else { 9 + samples };
    if found == expected || found == 8 || (samples == 0 && found == 9) {
        return Ok(());
    }
    Err(Error::input("a record has not as many columns as the header")
        .expected(expected)
        .found(found)
        .at(format!("column {}", found.min(expected))))
}
