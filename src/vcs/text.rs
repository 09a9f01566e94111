//! VCF text as a source of lines.

use std::io::{BufRead, BufReader};

use flate2::bufread::MultiGzDecoder;

use super::infer::{Declarations, Declared};
use super::order::{LineSource, place_of};
use super::write::Lines;
use crate::error::{Context, Error, Result};
use crate::store::Input;

struct TextSource {
    reader: Box<dyn BufRead + Send>,
    name: String,
    line: Vec<u8>,
    number: u64,
    samples: usize,
    ending: Vec<u8>,
}

/// Opens VCF text, plain or in gzip.
pub fn open(input: Input) -> Result<Lines> {
    let name = input.name.clone();
    let mut raw = BufReader::with_capacity(1 << 20, input.reader);
    let failed =
        |error: std::io::Error| Error::input("cannot read the input").caused_by(error).at(&name);
    let is_gzip = raw.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn BufRead + Send> = match is_gzip {
        true => Box::new(BufReader::with_capacity(1 << 20, MultiGzDecoder::new(raw))),
        false => Box::new(raw),
    };
    let mut declarations = Declarations::default();
    let (mut contigs, mut reference) = (Vec::new(), None);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let start = reader.fill_buf().map_err(failed)?;
        if start.first() != Some(&b'#') {
            break;
        }
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        number += 1;
        declarations.header.extend_from_slice(&line);
        let text = String::from_utf8_lossy(&line);
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
    if reader.fill_buf().map_err(failed)?.starts_with(b"BCF") {
        return Err(Error::unsupported("this is BCF")
            .help("pipe it through bcftools: bcftools view FILE | vcf-to-vcs - OUTPUT")
            .at(name));
    }
    if !declarations.header.starts_with(b"##fileformat=VCF") {
        return Err(Error::input("this is no VCF")
            .expected("a first line ##fileformat=VCFv4…")
            .at(name));
    }
    check_header(&declarations, number).at(|| &name)?;
    let samples = declarations.samples.len();
    let ending = b"\n".to_vec();
    let source = Box::new(TextSource { reader, name, line: Vec::new(), number, samples, ending });
    Ok(Lines { declarations, contigs, reference, source })
}

impl LineSource for TextSource {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = self.reader.read_until(b'\n', &mut self.line);
            let failed = |error| Error::input("cannot read the input").caused_by(error);
            let count = read.map_err(|error| failed(error).at(&self.name))?;
            if count == 0 {
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
                        .at(&self.name));
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
        check().at(|| format!("line {}", self.number)).at(|| &self.name)
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
