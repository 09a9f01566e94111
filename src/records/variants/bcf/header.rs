//! The header: lines of VCF text, and the two dictionaries that records refer to by number.
//!
//! Lines are read as leniently as htslib reads them, and those that it drops are dropped: so the
//! numbers are the same where the text does not give them as `IDX`.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};

/// The first entry of the dictionary of strings in every BCF.
const PASS: &[u8] = b"##FILTER=<ID=PASS,Description=\"All filters passed\">";
/// Numbers that a header may give beyond the number of its lines.
const SPARE_PLACES: usize = 1 << 20;

/// What the values of a field are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    String,
    Flag,
}

/// A field of INFO or FORMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) place: u32,
    pub(super) kind: Kind,
}

/// The header of a BCF.
#[derive(Clone, Debug, Default)]
pub struct Header {
    lines: Vec<Line>,
    samples: Vec<Vec<u8>>,
    contigs: Dictionary,
    /// FILTER, INFO and FORMAT share one.
    strings: Dictionary,
    filters: HashSet<Vec<u8>>,
    info: HashMap<Vec<u8>, Field>,
    format: HashMap<Vec<u8>, Field>,
    /// Lines without structure, to know them again.
    plain: HashSet<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    key: Vec<u8>,
    body: Body,
    /// Its number in a dictionary.
    place: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Text(Vec<u8>),
    /// Keys and values, in quotes where they had any.
    Pairs(Vec<(Vec<u8>, Vec<u8>)>),
}

/// Names by number and numbers by name.
#[derive(Clone, Debug, Default)]
struct Dictionary {
    names: Vec<Option<Vec<u8>>>,
    places: HashMap<Vec<u8>, u32>,
}

impl Dictionary {
    fn name(&self, place: usize) -> Option<&[u8]> {
        self.names.get(place)?.as_deref()
    }

    /// Adds a name at the place given, else behind all others.
    fn add(&mut self, name: &[u8], place: Option<u32>) -> Result<u32> {
        let at = place.map_or(self.names.len(), |place| place as usize);
        if at >= self.names.len() {
            if at > self.places.len() + SPARE_PLACES {
                return Err(
                    Error::input("a number of the dictionary is absurd").found(format!("IDX={at}"))
                );
            }
            self.names.resize(at + 1, None);
        }
        if self.names[at].is_some() {
            return Err(Error::input("two entries of the dictionary have one number")
                .found(format!("IDX={at}")));
        }
        self.names[at] = Some(name.to_vec());
        self.places.insert(name.to_vec(), at as u32);
        Ok(at as u32)
    }
}

impl Line {
    fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let Body::Pairs(pairs) = &self.body else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_slice())
    }

    /// Appends the line, with its number or without.
    fn push(&self, with_place: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"##");
        out.extend_from_slice(&self.key);
        out.push(b'=');
        match &self.body {
            Body::Text(text) => out.extend_from_slice(text),
            Body::Pairs(pairs) => {
                let mut separator = b'<';
                for (key, value) in pairs.iter().filter(|(key, _)| key != b"IDX") {
                    out.push(separator);
                    separator = b',';
                    out.extend_from_slice(key);
                    out.push(b'=');
                    out.extend_from_slice(value);
                }
                if let Some(place) = self.place.filter(|_| with_place) {
                    out.extend_from_slice(format!("{}IDX={place}", separator as char).as_bytes());
                } else if separator == b'<' {
                    out.push(b'<');
                }
                out.push(b'>');
            }
        }
        out.push(b'\n');
    }
}

impl Header {
    /// Reads the text of a header, up to the line `#CHROM`.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where that line is missing, and for numbers that
    /// contradict one another.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut header = Self::default();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.starts_with(b"#CHROM\t") || line.starts_with(b"#CHROM ") {
                let names = line.trim_ascii_end().split(|&byte| byte == b'\t').skip(9);
                header.samples = names.map(<[u8]>::to_vec).collect();
                header.add(PASS)?;
                return Ok(header);
            }
            header.add(line).map_err(|error| error.at(format!("line {}", number + 1)))?;
            if number == 0 {
                header.add(PASS)?;
            }
        }
        Err(Error::input("the header has no line of column names").expected("#CHROM, POS, …"))
    }

    /// The header as VCF text, `#CHROM` and its line feed included.
    pub fn text(&self) -> Vec<u8> {
        self.lines_of(false)
    }

    /// How a BCF with this header begins: all before the first record.
    pub fn to_bcf(&self) -> Vec<u8> {
        let mut text = self.lines_of(true);
        text.push(0);
        let mut out = super::MAGIC.to_vec();
        out.push(2);
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(&text);
        out
    }

    fn lines_of(&self, with_places: bool) -> Vec<u8> {
        let mut out = Vec::new();
        self.lines.iter().for_each(|line| line.push(with_places, &mut out));
        out.extend_from_slice(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO");
        if !self.samples.is_empty() {
            out.extend_from_slice(b"\tFORMAT");
        }
        for sample in &self.samples {
            out.push(b'\t');
            out.extend_from_slice(sample);
        }
        out.push(b'\n');
        out
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// Declares a contig, unless it is declared.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn declare_contig(&mut self, name: &str) -> Result<()> {
        self.add(format!("##contig=<ID={name}>").as_bytes())
    }

    /// Declares a filter, unless it is declared.
    ///
    /// # Errors
    ///
    /// As [`declare_contig`](Self::declare_contig).
    pub fn declare_filter(&mut self, name: &str) -> Result<()> {
        self.add(format!("##FILTER=<ID={name},Description=\"Dummy\">").as_bytes())
    }

    /// Declares a field of INFO, unless it is declared.
    ///
    /// # Errors
    ///
    /// As [`declare_contig`](Self::declare_contig).
    pub fn declare_info(&mut self, key: &str, is_flag: bool) -> Result<()> {
        let (number, kind) = if is_flag { ("0", "Flag") } else { ("1", "String") };
        self.declare("INFO", key, number, kind)
    }

    /// Declares a field of FORMAT, unless it is declared.
    ///
    /// # Errors
    ///
    /// As [`declare_contig`](Self::declare_contig).
    pub fn declare_format(&mut self, key: &str) -> Result<()> {
        self.declare("FORMAT", key, "1", "String")
    }

    fn declare(&mut self, class: &str, key: &str, number: &str, kind: &str) -> Result<()> {
        let line =
            format!("##{class}=<ID={key},Number={number},Type={kind},Description=\"Dummy\">");
        self.add(line.as_bytes())
    }

    /// The name of a contig.
    pub(super) fn contig(&self, place: usize) -> Option<&[u8]> {
        self.contigs.name(place)
    }

    /// A filter's name, or the key of a field.
    pub(super) fn string(&self, place: usize) -> Option<&[u8]> {
        self.strings.name(place)
    }

    /// The number of a contig.
    pub(super) fn contig_place(&self, name: &[u8]) -> Option<u32> {
        self.contigs.places.get(name).copied()
    }

    /// The number of a filter.
    pub(super) fn filter_place(&self, name: &[u8]) -> Option<u32> {
        self.filters.contains(name).then(|| self.strings.places.get(name).copied())?
    }

    /// A field of INFO.
    pub(super) fn info(&self, key: &[u8]) -> Option<Field> {
        self.info.get(key).copied()
    }

    /// A field of FORMAT.
    pub(super) fn format(&self, key: &[u8]) -> Option<Field> {
        self.format.get(key).copied()
    }

    /// Adds a line, unless htslib would drop it: for want of a form, or because it is there.
    fn add(&mut self, line: &[u8]) -> Result<()> {
        let Some(mut line) = parse_line(line) else { return Ok(()) };
        if let Body::Text(text) = &line.body {
            // Of the format's version the first counts.
            let value = if line.key == b"fileformat" { Vec::new() } else { text.clone() };
            if self.plain.insert((line.key.clone(), value)) {
                self.lines.push(line);
            }
            return Ok(());
        }
        let class = line.key.clone();
        if !matches!(class.as_slice(), b"contig" | b"FILTER" | b"INFO" | b"FORMAT") {
            self.lines.push(line);
            return Ok(());
        }
        let Some(id) = line.value(b"ID").map(<[u8]>::to_vec) else { return Ok(()) };
        let wanted = match line.value(b"IDX") {
            None => None,
            Some(text) => match number(text).and_then(|place| u32::try_from(place).ok()) {
                Some(place) => Some(place),
                None => return Ok(()),
            },
        };
        if class == b"contig" {
            let is_length = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
            let fits = line.value(b"length").is_none_or(is_length);
            if !fits || self.contigs.places.contains_key(&id) {
                return Ok(());
            }
            line.place = Some(self.contigs.add(&id, wanted)?);
            self.lines.push(line);
            return Ok(());
        }
        let is_known = match class.as_slice() {
            b"FILTER" => self.filters.contains(&id),
            b"INFO" => self.info.contains_key(&id),
            _ => self.format.contains_key(&id),
        };
        if is_known {
            return Ok(());
        }
        let place = match self.strings.places.get(&id) {
            Some(&place) => place,
            None => self.strings.add(&id, wanted)?,
        };
        let kind = match line.value(b"Type") {
            Some(b"Integer") => Kind::Integer,
            Some(b"Float") => Kind::Float,
            Some(b"Flag") => Kind::Flag,
            _ => Kind::String,
        };
        match class.as_slice() {
            b"FILTER" => drop(self.filters.insert(id)),
            b"INFO" => drop(self.info.insert(id, Field { place, kind })),
            _ => drop(self.format.insert(id, Field { place, kind })),
        }
        line.place = Some(place);
        self.lines.push(line);
        Ok(())
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A line of the header; `None` where it has no form that htslib knows.
fn parse_line(line: &[u8]) -> Option<Line> {
    let rest = line.strip_prefix(b"##")?;
    let equals = memchr::memchr(b'=', rest).filter(|&at| at > 0)?;
    let (key, text) = (rest[..equals].to_vec(), &rest[equals + 1..]);
    if text.first() != Some(&b'<') {
        return Some(Line { key, body: Body::Text(text.to_vec()), place: None });
    }
    let byte = |at: usize| text.get(at).copied();
    let after_spaces = |at: usize| {
        at + text.get(at..).unwrap_or_default().iter().take_while(|&&byte| byte == b' ').count()
    };
    let mut pairs = Vec::new();
    let (mut at, mut depth) = (0, 1_usize);
    while at < text.len() && depth > 0 {
        let start = after_spaces(at + 1);
        at = start;
        if byte(at).is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
            at += text[at..].iter().take_while(|byte| is_name(byte)).count();
        }
        let name = text.get(start..at).unwrap_or_default();
        at = after_spaces(at);
        if name.is_empty() || byte(at) != Some(b'=') {
            return None;
        }
        at = after_spaces(at + 1);
        let value = match byte(at) {
            Some(b'"') => {
                let start = at + 1;
                at = closing(text, start, b'"').unwrap_or(text.len());
                let quoted = trim_spaces(&text[start..at]);
                at += usize::from(at < text.len());
                [b"\"", quoted, b"\""].concat()
            }
            Some(b'[') => {
                let start = at;
                at = closing(text, start + 1, b']')? + 1;
                text[start..at].to_vec()
            }
            _ => {
                let start = at;
                while let Some(byte) = byte(at) {
                    match byte {
                        b'<' => depth += 1,
                        b'>' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || (byte == b',' && depth == 1) {
                        break;
                    }
                    at += 1;
                }
                trim_spaces(&text[start.min(text.len())..at.min(text.len())]).to_vec()
            }
        };
        pairs.push((name.to_vec(), value));
        if byte(at) == Some(b'>') {
            depth = depth.saturating_sub(1);
            at += 1;
        }
    }
    Some(Line { key, body: Body::Pairs(pairs), place: None })
}

/// The first `end` from `start` on that no backslash escapes.
fn closing(text: &[u8], start: usize, end: u8) -> Option<usize> {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate().skip(start) {
        if byte == end && !escaped {
            return Some(at);
        }
        escaped = byte == b'\\' && !escaped;
    }
    None
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().rev().take_while(|&&byte| byte == b' ').count();
    &text[..text.len() - spaces]
}
