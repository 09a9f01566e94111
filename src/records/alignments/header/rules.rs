//! The lines of a header, and what the SAM specification (§1.3) demands of them.

use std::collections::HashSet;

use super::Validation;
use crate::error::{Context, Error, Result};

/// One header line; comments have no fields.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The two letters after `@`.
    pub(super) kind: [u8; 2],
    fields: Vec<([u8; 2], &'a [u8])>,
}

impl<'a> Line<'a> {
    /// The value of a field.
    pub(super) fn value(&self, tag: &[u8; 2]) -> Option<&'a [u8]> {
        self.fields.iter().find(|(name, _)| name == tag).map(|(_, value)| *value)
    }

    /// The value of a field that must be there.
    pub(super) fn required(&self, tag: &[u8; 2]) -> Result<&'a [u8]> {
        self.value(tag).ok_or_else(|| {
            Error::input(format!("the @{} line has no {}", ascii(&self.kind), ascii(tag)))
                .help("repair the header, for example with `samtools reheader`")
        })
    }
}

/// Splits a header into lines, and strictly, checks each.
pub(super) fn lines(text: &[u8], validation: Validation) -> Result<Vec<Line<'_>>> {
    let strict = validation == Validation::Strict;
    let mut checks = Checks::default();
    let mut lines = Vec::new();
    for (index, bytes) in split_lines(text).enumerate() {
        let line = match line(index + 1, bytes) {
            Ok(line) => line,
            Err(error) if strict => return Err(error.at(format!("header line {}", index + 1))),
            Err(_) => continue,
        };
        if strict {
            checks.check(&line).at(|| format!("header line {}", line.number))?;
        }
        lines.push(line);
    }
    if strict {
        checks.check_chains()?;
    }
    Ok(lines)
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let count = if text.is_empty() { 0 } else { usize::MAX };
    text.split(|byte| *byte == b'\n')
        .take(count)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn line(number: usize, bytes: &[u8]) -> Result<Line<'_>> {
    let malformed = |what: &str| {
        Error::input(format!("malformed header line: {what}"))
            .found(excerpt(bytes))
            .help("repair the header, for example with `samtools reheader`")
    };
    let [b'@', first, second, rest @ ..] = bytes else {
        return Err(malformed("it does not begin with @ and two letters"));
    };
    let kind = [*first, *second];
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(malformed("it does not begin with @ and two letters"));
    }
    if kind == *b"CO" {
        return match rest {
            [] | [b'\t', ..] => Ok(Line { number, kind, fields: Vec::new() }),
            _ => Err(malformed("there is no TAB after @CO")),
        };
    }
    let Some(rest) = rest.strip_prefix(b"\t") else {
        return Err(malformed("there is no TAB after the record type"));
    };
    let mut fields: Vec<([u8; 2], &[u8])> = Vec::new();
    for field in rest.split(|byte| *byte == b'\t') {
        let [first, second, b':', value @ ..] = field else {
            return Err(malformed("a field is not of the form TAG:VALUE"));
        };
        let tag = [*first, *second];
        if !first.is_ascii_alphabetic() || !second.is_ascii_alphanumeric() {
            return Err(malformed("a field's tag is not a letter and a letter or digit"));
        }
        if fields.iter().any(|(name, _)| *name == tag) {
            return Err(malformed(&format!("the field {} occurs twice", ascii(&tag))));
        }
        fields.push((tag, value));
    }
    Ok(Line { number, kind, fields })
}

/// What the checks of one line need to know of those before it.
#[derive(Default)]
struct Checks<'a> {
    contigs: HashSet<&'a [u8]>,
    read_groups: HashSet<&'a [u8]>,
    programs: HashSet<&'a [u8]>,
    /// Where a program names its predecessor, which may come later: line number and name.
    predecessors: Vec<(usize, &'a [u8])>,
}

impl<'a> Checks<'a> {
    fn check(&mut self, line: &Line<'a>) -> Result<()> {
        for (tag, value) in &line.fields {
            let text = std::str::from_utf8(value)
                .map_err(|_| bad_value(tag, value).expected("text in UTF-8"))?;
            if text.chars().any(char::is_control) {
                return Err(bad_value(tag, value).expected("no control characters"));
            }
        }
        match &line.kind {
            b"HD" => check_hd(line),
            b"SQ" => {
                check_sq(line)?;
                unique(&mut self.contigs, line, b"SN")
            }
            b"RG" => {
                check_rg(line)?;
                unique(&mut self.read_groups, line, b"ID")
            }
            b"PG" => {
                if let Some(name) = line.value(b"PP") {
                    self.predecessors.push((line.number, name));
                }
                unique(&mut self.programs, line, b"ID")
            }
            _ => Ok(()),
        }
    }

    fn check_chains(&self) -> Result<()> {
        let missing = self.predecessors.iter().find(|(_, name)| !self.programs.contains(name));
        let Some((number, name)) = missing else { return Ok(()) };
        Err(bad_value(b"PP", name)
            .expected("the ID of a @PG line")
            .at(format!("header line {number}")))
    }
}

fn unique<'a>(seen: &mut HashSet<&'a [u8]>, line: &Line<'a>, tag: &[u8; 2]) -> Result<()> {
    let value = line.required(tag)?;
    if seen.insert(value) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} {} is declared by two @{} lines",
        ascii(tag),
        excerpt(value),
        ascii(&line.kind)
    ))
    .help("give each line an identifier of its own, or remove the copy"))
}

fn check_hd(line: &Line<'_>) -> Result<()> {
    if line.number != 1 {
        return Err(Error::input("@HD is not the first line of the header")
            .help("move it there, or remove the copy"));
    }
    let version = line.required(b"VN")?;
    let is_version = matches!(
        version.iter().position(|byte| *byte == b'.').map(|dot| version.split_at(dot)),
        Some((major, [b'.', minor @ ..])) if is_number(major) && is_number(minor)
    );
    expect(is_version, b"VN", version, "a version such as 1.6")?;
    if let Some(order) = line.value(b"SO") {
        let known: [&[u8]; 4] = [b"unknown", b"unsorted", b"queryname", b"coordinate"];
        expect(known.contains(&order), b"SO", order, "unknown, unsorted, queryname or coordinate")?;
    }
    if let Some(grouping) = line.value(b"GO") {
        let known: [&[u8]; 3] = [b"none", b"query", b"reference"];
        expect(known.contains(&grouping), b"GO", grouping, "none, query or reference")?;
    }
    if let Some(sub_sort) = line.value(b"SS") {
        let mut parts = sub_sort.split(|byte| *byte == b':');
        let order = parts.next();
        let known = matches!(order, Some(b"coordinate" | b"queryname" | b"unsorted"));
        let mut parts = parts.peekable();
        let keys = parts.peek().is_some()
            && parts.all(|key| !key.is_empty() && key.iter().all(|byte| is_key_byte(*byte)));
        expect(known && keys, b"SS", sub_sort, "ORDER:KEY with ORDER as in SO")?;
    }
    Ok(())
}

fn check_sq(line: &Line<'_>) -> Result<()> {
    let name = line.required(b"SN")?;
    expect(
        is_contig_name(name),
        b"SN",
        name,
        "a name without blanks, quotes, brackets or commas, not beginning with * or =",
    )?;
    let length = line.required(b"LN")?;
    expect(
        is_number(length) && length.iter().any(|digit| *digit != b'0'),
        b"LN",
        length,
        "a length from 1 to 2147483647",
    )?;
    if let Some(md5) = line.value(b"M5") {
        let is_md5 = md5.len() == 32 && md5.iter().all(u8::is_ascii_hexdigit);
        expect(is_md5, b"M5", md5, "32 hexadecimal digits")?;
    }
    if let Some(locus) = line.value(b"AH") {
        let start = locus.iter().rposition(|byte| *byte == b':');
        let is_range =
            |range: &[u8]| range.split(|byte| *byte == b'-').map(is_number).eq([true, true]);
        let is_locus = locus == b"*"
            || is_contig_name(locus)
            || start.is_some_and(|at| is_contig_name(&locus[..at]) && is_range(&locus[at + 1..]));
        expect(is_locus, b"AH", locus, "*, CONTIG or CONTIG:START-END")?;
    }
    Ok(())
}

fn check_rg(line: &Line<'_>) -> Result<()> {
    line.required(b"ID")?;
    if let Some(date) = line.value(b"DT") {
        expect(is_date(date), b"DT", date, "an ISO 8601 date such as 2024-05-31T12:00:00Z")?;
    }
    if let Some(platform) = line.value(b"PL") {
        let known = PLATFORMS.iter().any(|name| name.eq_ignore_ascii_case(platform));
        expect(known, b"PL", platform, "a platform of the SAM specification, such as ILLUMINA")?;
    }
    if let Some(flow) = line.value(b"FO") {
        let is_flow = flow == b"*"
            || !flow.is_empty() && flow.iter().all(|base| b"ACMGRSVTWYHKDBN".contains(base));
        expect(is_flow, b"FO", flow, "* or bases")?;
    }
    Ok(())
}

/// The platforms of `@RG PL`, which files also write in lower case.
const PLATFORMS: [&[u8]; 12] = [
    b"CAPILLARY",
    b"DNBSEQ",
    b"ELEMENT",
    b"HELICOS",
    b"ILLUMINA",
    b"IONTORRENT",
    b"LS454",
    b"ONT",
    b"PACBIO",
    b"SINGULAR",
    b"SOLID",
    b"ULTIMA",
];

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// §1.2.1: printable, but for ``\ , " ' ` ( ) [ ] { } < >``, and not beginning with `*` or `=`.
fn is_contig_name(name: &[u8]) -> bool {
    !matches!(name.first(), None | Some(b'*' | b'='))
        && name.iter().all(|byte| byte.is_ascii_graphic() && !b"\\,\"'`()[]{}<>".contains(byte))
}

/// An ISO 8601 date, alone or with a time and a zone.
fn is_date(text: &[u8]) -> bool {
    let digits = |at: usize, len: usize| -> Option<u32> {
        let part = text.get(at..at + len)?;
        is_number(part).then(|| part.iter().fold(0, |sum, d| sum * 10 + u32::from(d - b'0')))
    };
    let dashed = text.get(4) == Some(&b'-');
    let (month_at, day_at, time_at) = if dashed { (5, 8, 10) } else { (4, 6, 8) };
    let dash_fits = !dashed || text.get(7) == Some(&b'-');
    let day_fits =
        matches!(digits(month_at, 2), Some(1..=12)) && matches!(digits(day_at, 2), Some(1..=31));
    let time = text.get(time_at..).unwrap_or_default();
    let time_fits = match time {
        [] => true,
        [b'T' | b't' | b' ', rest @ ..] => {
            rest.first().is_some_and(u8::is_ascii_digit)
                && rest.iter().all(|byte| byte.is_ascii_digit() || b":.,+-Zz".contains(byte))
        }
        _ => false,
    };
    digits(0, 4).is_some() && dash_fits && day_fits && time_fits
}

fn expect(fits: bool, tag: &[u8; 2], value: &[u8], expected: &str) -> Result<()> {
    if fits { Ok(()) } else { Err(bad_value(tag, value).expected(expected)) }
}

/// An error about the value of a header field.
pub(super) fn bad_value(tag: &[u8; 2], value: &[u8]) -> Error {
    Error::input(format!("the value of {} is not allowed", ascii(tag)))
        .found(excerpt(value))
        .help("repair the header, for example with `samtools reheader`, or read the file leniently")
}

fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(60)];
    let dots = if bytes.len() > 60 { "…" } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(shown))
}

fn ascii(letters: &[u8; 2]) -> String {
    String::from_utf8_lossy(letters).into_owned()
}
