//! Lines of text made of records: `%CHROM\t%POS[\t%SAMPLE=%GT]\n`, as `bcftools query -f`.
//!
//! Numbers are written as bcftools does, floats with six digits; `%INFO`, `%FORMAT` and `%LINE` are
//! the text as the file has it.

use super::expression::{Dictionary, Kind, Outcome, Record, alleles, is_missing, kind, numbers};
use super::needs::{Fields, Needs};
use super::number;
use super::schema::Schema;
use crate::error::{Error, Result};

/// A format.
#[derive(Clone, Debug)]
pub struct LineFormat {
    pieces: Vec<Piece>,
    samples: Vec<String>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    Field {
        name: String,
        field: Field,
    },
    /// Once for each sample.
    Samples(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Chrom,
    Pos,
    Pos0,
    End,
    End0,
    Id,
    Ref,
    Alt(Option<usize>),
    FirstAlt,
    Qual,
    Filter,
    Type,
    AllInfo,
    Info {
        key: String,
        kind: Kind,
        at: Option<usize>,
    },
    AllFormat,
    Line,
    Sample,
    Genotype,
    /// The genotype in bases.
    Bases,
    Format {
        key: String,
        kind: Kind,
        at: Option<usize>,
    },
}

impl LineFormat {
    /// Reads a format of the fields that a dataset has.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a field that it does not have, and where
    /// brackets do not pair.
    pub fn parse(text: &str, dictionary: &Dictionary) -> Result<Self> {
        let mut parser = Parser { rest: text, dictionary };
        let pieces = parser.pieces(false).map_err(|error| error.at(format!("format {text:?}")))?;
        Ok(Self { pieces, samples: dictionary.samples.clone() })
    }

    /// What is to be read for it; of `samples`, if any.
    pub(super) fn needs(&self, schema: &Schema, samples: Vec<usize>) -> Needs {
        let mut needs = Needs {
            // Of END, which lines have of their own.
            fixed: columns(&["CHROM", "POS", "END"]),
            text: true,
            info: Fields::none(),
            format: Fields::none(),
            samples,
        };
        let mut sampled = false;
        add_needs(&self.pieces, &mut needs, &mut sampled, schema);
        if !sampled {
            needs.samples = Vec::new();
        }
        needs
    }

    /// Appends the line of names that `bcftools query -H` begins with.
    pub fn push_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"# ");
        let mut column = 0;
        push_names(&self.pieces, None, &self.samples, &mut column, out);
    }

    /// Appends what it makes of a record; loops pass over samples that `kept` leaves out.
    pub fn push(&self, record: &Record<'_>, line: &[u8], kept: &Outcome, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field { field, .. } => push_field(field, record, line, out),
                Piece::Samples(pieces) => self.push_samples(pieces, record, kept, out),
            }
        }
    }

    fn push_samples(
        &self,
        pieces: &[Piece],
        record: &Record<'_>,
        kept: &Outcome,
        out: &mut Vec<u8>,
    ) {
        // What each piece has of each sample, cut out once.
        let columns: Vec<Option<Vec<&[u8]>>> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Field { field: Field::Genotype | Field::Bases, .. } => record.format("GT"),
                Piece::Field { field: Field::Format { key, .. }, .. } => record.format(key),
                _ => None,
            })
            .collect();
        for (at, name) in self.samples.iter().enumerate() {
            let is_kept = kept.samples.as_ref().is_none_or(|kept| kept.get(at) == Some(&true));
            if !is_kept {
                continue;
            }
            for (piece, column) in pieces.iter().zip(&columns) {
                let cell = column.as_ref().and_then(|cells| cells.get(at)).copied();
                let cell = cell.unwrap_or(b".");
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text),
                    Piece::Field { field: Field::Sample, .. } => {
                        out.extend_from_slice(name.as_bytes());
                    }
                    Piece::Field { field: Field::Genotype, .. } => out.extend_from_slice(cell),
                    Piece::Field { field: Field::Bases, .. } => push_bases(cell, record, out),
                    Piece::Field { field: Field::Format { kind, at, .. }, .. } => {
                        push_values(cell, *kind, *at, false, out);
                    }
                    Piece::Field { field, .. } => push_field(field, record, b"", out),
                    Piece::Samples(_) => {}
                }
            }
        }
    }
}

fn columns(names: &[&str]) -> Fields {
    Fields::Some(names.iter().map(|&name| name.to_owned()).collect())
}

fn add_needs(pieces: &[Piece], needs: &mut Needs, sampled: &mut bool, schema: &Schema) {
    let add = |fields: &mut Fields, key: &str| {
        *fields = std::mem::take(fields).and(columns(&[key]));
    };
    for piece in pieces {
        let field = match piece {
            Piece::Text(_) => continue,
            Piece::Samples(pieces) => {
                add_needs(pieces, needs, sampled, schema);
                continue;
            }
            Piece::Field { field, .. } => field,
        };
        let Needs { fixed, info, format, .. } = &mut *needs;
        match field {
            Field::Chrom | Field::Pos | Field::Pos0 | Field::Sample => {}
            Field::End | Field::End0 => {
                add(fixed, "REF");
                add(info, "END");
            }
            Field::Id => add(fixed, "ID"),
            Field::Ref => add(fixed, "REF"),
            Field::Alt(_) | Field::FirstAlt => add(fixed, "ALT"),
            Field::Qual => add(fixed, "QUAL"),
            Field::Filter => add(fixed, "FILTER"),
            Field::Type => {
                add(fixed, "REF");
                add(fixed, "ALT");
            }
            Field::AllInfo => *info = Fields::All,
            Field::Info { key, .. } => add(info, key),
            Field::AllFormat => {
                *format = Fields::All;
                *sampled = true;
            }
            Field::Line => {
                let all = Needs::all(schema);
                (*fixed, *info, *format) = (fixed.clone().and(all.fixed), all.info, all.format);
                *sampled = true;
            }
            Field::Genotype | Field::Bases => {
                add(fixed, "REF");
                add(fixed, "ALT");
                add(format, "GT");
                *sampled = true;
            }
            Field::Format { key, .. } => {
                add(format, key);
                *sampled = true;
            }
        }
    }
}

fn push_names(
    pieces: &[Piece],
    sample: Option<&str>,
    samples: &[String],
    column: &mut usize,
    out: &mut Vec<u8>,
) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Samples(pieces) => {
                for sample in samples {
                    push_names(pieces, Some(sample), samples, column, out);
                }
            }
            Piece::Field { name, field } => {
                *column += 1;
                let prefix = match sample {
                    Some(sample) if *field != Field::Sample => format!("{sample}:"),
                    _ => String::new(),
                };
                let name = if *field == Field::Bases { "GT" } else { name };
                out.extend_from_slice(format!("[{column}]{prefix}{name}").as_bytes());
            }
        }
    }
}

fn push_field(field: &Field, record: &Record<'_>, line: &[u8], out: &mut Vec<u8>) {
    match field {
        Field::Chrom => out.extend_from_slice(record.chrom()),
        Field::Pos => number::push_integer(record.position(), out),
        Field::Pos0 => number::push_integer(record.position() - 1, out),
        Field::End => number::push_integer(record.end(), out),
        Field::End0 => number::push_integer(record.end() - 1, out),
        Field::Id => out.extend_from_slice(record.id()),
        Field::Ref => out.extend_from_slice(record.reference()),
        Field::Alt(None) => out.extend_from_slice(record.alternate()),
        Field::Alt(Some(at)) => {
            out.extend_from_slice(record.alternates().nth(*at).unwrap_or(b"."));
        }
        Field::FirstAlt => out.extend_from_slice(record.alternates().next().unwrap_or(b".")),
        Field::Qual => push_float(record.quality(), out),
        Field::Filter => out.extend_from_slice(record.filter()),
        Field::Type => push_kinds(record.kinds(), out),
        Field::AllInfo => out.extend_from_slice(record.all_info()),
        Field::Info { key, kind, at } => match record.info(key) {
            None => out.push(b'.'),
            Some(None) => out.push(b'1'),
            Some(Some(_)) if *kind == Kind::Flag => out.push(b'1'),
            Some(Some(text)) => push_values(text, *kind, *at, true, out),
        },
        Field::AllFormat => {
            let rest = line.splitn(9, |&byte| byte == b'\t').nth(8);
            out.extend_from_slice(rest.unwrap_or(b"."));
        }
        Field::Line => {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        Field::Sample | Field::Genotype | Field::Bases | Field::Format { .. } => {}
    }
}

fn push_kinds(kinds: u32, out: &mut Vec<u8>) {
    if kinds == 0 {
        out.extend_from_slice(b"REF");
    }
    let mut is_first = true;
    for (bit, name) in [
        (kind::SNP, "SNP"),
        (kind::MNP, "MNP"),
        (kind::INDEL, "INDEL"),
        (kind::OTHER, "OTHER"),
        (kind::BND, "BND"),
        (kind::OVERLAP, "OVERLAP"),
    ] {
        if kinds & bit != 0 {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// The values of a list, or the one at a place. bcftools takes a lone number of INFO at any place.
fn push_values(text: &[u8], kind: Kind, at: Option<usize>, is_info: bool, out: &mut Vec<u8>) {
    if kind == Kind::Text || kind == Kind::Flag {
        let value = match at {
            Some(_) if is_info && text.len() == 1 => Some(text),
            Some(at) => text.split(|&byte| byte == b',').nth(at),
            None => Some(text),
        };
        out.extend_from_slice(value.filter(|value| !value.is_empty()).unwrap_or(b"."));
        return;
    }
    let mut values = Vec::new();
    numbers(text, kind, &mut values);
    let push = |value: f64, out: &mut Vec<u8>| match kind {
        Kind::Integer if !is_missing(value) => number::push_integer(value as i64, out),
        _ => push_float(value, out),
    };
    match at {
        Some(_) if is_info && values.len() == 1 => push(values[0], out),
        Some(at) => match values.get(at) {
            Some(&value) => push(value, out),
            None => out.push(b'.'),
        },
        None => {
            for (at, &value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push(value, out);
            }
        }
    }
}

fn push_bases(genotype: &[u8], record: &Record<'_>, out: &mut Vec<u8>) {
    let mut separators = genotype.iter().filter(|byte| matches!(byte, b'|' | b'/'));
    for (at, allele) in alleles(genotype).enumerate() {
        if at > 0 {
            out.extend(separators.next());
        }
        match allele {
            None => out.push(b'.'),
            Some(0) => out.extend_from_slice(record.reference()),
            Some(at) => out.extend_from_slice(record.alternates().nth(at - 1).unwrap_or_default()),
        }
    }
}

/// Appends a float with six digits, as htslib writes it: from 0.0001 to 999999 rounded from ten
/// decimals, half up; else as `%g`.
fn push_float(value: f64, out: &mut Vec<u8>) {
    const LEAST: f64 = 0.0001;
    const MOST: f64 = 999_999.0;
    if is_missing(value) {
        out.push(b'.');
        return;
    }
    if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    if value.is_nan() || value.is_infinite() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let name = if value.is_nan() { "nan" } else { "inf" };
        out.extend_from_slice(format!("{sign}{name}").as_bytes());
        return;
    }
    let size = value.abs();
    if value < 0.0 {
        out.push(b'-');
    }
    if !(LEAST..=MOST).contains(&size) {
        out.extend_from_slice(general(size).as_bytes());
        return;
    }
    // In units of 1e-10; six digits from the first on are kept.
    let mut unit = 10;
    while size >= unit as f64 * 1e-4 {
        unit *= 10;
    }
    let rounded = ((size * 1e10) as u64 + unit / 2) / unit * unit;
    let (whole, decimals) = (rounded / 10_000_000_000, rounded % 10_000_000_000);
    let text = format!("{whole}.{decimals:010}");
    out.extend_from_slice(text.trim_end_matches('0').trim_end_matches('.').as_bytes());
}

/// `%g` of a positive number.
fn general(value: f64) -> String {
    let text = format!("{value:.5e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        let text = format!("{value:.decimals$}");
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
    }
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

struct Parser<'a> {
    rest: &'a str,
    dictionary: &'a Dictionary,
}

impl Parser<'_> {
    fn pieces(&mut self, in_loop: bool) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                '\\' => {
                    let escaped = self.rest.chars().next();
                    let escaped = escaped.ok_or_else(|| Error::usage("a backslash at its end"))?;
                    self.rest = &self.rest[escaped.len_utf8()..];
                    let meant = match escaped {
                        'n' => '\n',
                        't' => '\t',
                        other => other,
                    };
                    text.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
                }
                '%' => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(self.field(in_loop)?);
                }
                '[' if in_loop => return Err(Error::usage("brackets within brackets")),
                '[' => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Samples(self.pieces(true)?));
                }
                ']' if in_loop => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(text));
                    }
                    return Ok(pieces);
                }
                other => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if in_loop {
            return Err(Error::usage("a bracket is not closed").expected("]"));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(pieces)
    }

    /// What follows a percent sign.
    fn field(&mut self, in_loop: bool) -> Result<Piece> {
        let word = self.word();
        if word.is_empty() {
            return Err(
                Error::usage("a percent sign without a name").help("write \\% for the sign itself")
            );
        }
        let in_info = word == "INFO" && self.rest.starts_with('/');
        let in_format = matches!(word.as_str(), "FORMAT" | "FMT") && self.rest.starts_with('/');
        if in_info || in_format {
            self.rest = &self.rest[1..];
            let key = self.word();
            let field = if in_info { self.info(&key)? } else { self.format(&key, in_loop)? };
            return Ok(Piece::Field { name: key, field });
        }
        let field = match word.as_str() {
            "CHROM" => Field::Chrom,
            "POS" => Field::Pos,
            "POS0" => Field::Pos0,
            "END" => Field::End,
            "END0" => Field::End0,
            "ID" => Field::Id,
            "REF" => Field::Ref,
            "ALT" => Field::Alt(self.index()),
            "FIRST_ALT" => Field::FirstAlt,
            "QUAL" => Field::Qual,
            "FILTER" => Field::Filter,
            "TYPE" => Field::Type,
            "INFO" if !in_loop => Field::AllInfo,
            "FORMAT" if !in_loop => Field::AllFormat,
            "LINE" if !in_loop => Field::Line,
            "SAMPLE" if in_loop => Field::Sample,
            "GT" | "TGT" if in_loop && !self.dictionary.format.contains_key("GT") => {
                return Err(undeclared("FORMAT/GT"));
            }
            "GT" if in_loop => Field::Genotype,
            "TGT" if in_loop => Field::Bases,
            "MASK" | "TBCSQ" | "IUPACGT" | "N_PASS" | "F_PASS" | "PBINOM" | "SAMPLE" | "LINE" => {
                return Err(Error::usage(format!("%{word} is not supported here")).help(
                    "known are CHROM POS POS0 END END0 ID REF ALT FIRST_ALT QUAL FILTER TYPE \
                     INFO INFO/X X X{n} FORMAT LINE, and in brackets SAMPLE GT TGT X",
                ));
            }
            _ if in_loop => self.format(&word, in_loop)?,
            _ => self.info(&word)?,
        };
        Ok(Piece::Field { name: word, field })
    }

    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// `{n}`, if it follows.
    fn index(&mut self) -> Option<usize> {
        let (number, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        let index = number.parse().ok()?;
        self.rest = rest;
        Some(index)
    }

    fn info(&mut self, key: &str) -> Result<Field> {
        let Some(declared) = self.dictionary.info.get(key) else {
            let error = undeclared(&format!("INFO/{key}"));
            return Err(match self.dictionary.format.contains_key(key) {
                true => error.help(format!("fields of FORMAT stand in brackets: [ %{key}]")),
                false => error,
            });
        };
        Ok(Field::Info { key: key.to_owned(), kind: declared.kind, at: self.index() })
    }

    fn format(&mut self, key: &str, in_loop: bool) -> Result<Field> {
        let declared = self.dictionary.format.get(key);
        let declared = declared.ok_or_else(|| undeclared(&format!("FORMAT/{key}")))?;
        if !in_loop {
            return Err(
                Error::usage("fields of FORMAT stand in brackets").help(format!("write [ %{key}]"))
            );
        }
        Ok(Field::Format { key: key.to_owned(), kind: declared.kind, at: self.index() })
    }
}

fn undeclared(name: &str) -> Error {
    Error::usage(format!("the header does not declare {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f32) -> String {
        let mut out = Vec::new();
        push_float(f64::from(value), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn test_floats_have_six_digits() {
        for (value, expected) in [
            (29.5, "29.5"),
            (0.1, "0.1"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.5, "1e+06"),
            (999_999.0, "999999"),
            (123_456.7, "123457"),
            (100_000.5, "100001"),
            (0.000_123_456_79, "0.000123457"),
            (0.000_012_345_67, "1.23457e-05"),
            (0.123_456_5, "0.123457"),
            (-3.25, "-3.25"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f32::INFINITY, "inf"),
            (3.402_82e38, "3.40282e+38"),
            (12.345_678, "12.3457"),
            (0.05, "0.05"),
        ] {
            assert_eq!(float(value), expected, "{value}");
        }
    }

    #[test]
    fn test_format_writes_what_bcftools_writes() {
        let header = "##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n\
            ##INFO=<ID=DB,Number=0,Type=Flag,Description=\"x\">\n\
            ##INFO=<ID=STR,Number=.,Type=String,Description=\"x\">\n\
            ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
            ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"x\">\n";
        let samples = ["A", "B"].map(str::to_owned).to_vec();
        let dictionary = Dictionary::of_header(header, samples);
        let line =
            b"1\t4\trs4\tAT\tA,<DEL>\t29.50\tq10\tAF=0.10,.;DB;STR=a,b\tGT:AD\t0|1:1,2,3\t./.";
        let made = |text: &str, kept: Outcome| {
            let format = LineFormat::parse(text, &dictionary).unwrap();
            let mut out = Vec::new();
            format.push_header(&mut out);
            out.push(b'#');
            format.push(&Record::new(line), line, &kept, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            made("%CHROM:%POS-%END %REF>%ALT{1} %QUAL %FIRST_ALT\\n", Outcome::default()),
            "# [1]CHROM:[2]POS-[3]END [4]REF>[5]ALT [6]QUAL [7]FIRST_ALT\n#1:4-5 AT><DEL> 29.5 A\n"
        );
        assert_eq!(
            made("%AF|%INFO/AF{1}|%DB|%STR{1}|%TYPE", Outcome::default()),
            "# [1]AF|[2]AF|[3]DB|[4]STR|[5]TYPE#0.1,.|.|1|b|INDEL,OTHER"
        );
        let second = Outcome { site: true, samples: Some(vec![false, true]) };
        assert_eq!(
            made("[%SAMPLE=%TGT,%AD{2};]", Outcome::default()),
            "# [1]SAMPLE=[2]A:GT,[3]A:AD;[4]SAMPLE=[5]B:GT,[6]B:AD;#A=AT|A,3;B=./.,.;"
        );
        assert!(made("[%SAMPLE=%GT;]", second).ends_with("#B=./.;"));
        for bad in ["%XX", "[%XX]", "%GT", "[%GT", "[[%GT]]", "a%%b", "%MASK", "[%LINE]", "a\\"] {
            assert!(LineFormat::parse(bad, &dictionary).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn test_any_format_is_made_or_refused(text in "[%\\[\\]{}0-9A-Z/n\\\\ é]{0,30}") {
            let dictionary = Dictionary::of_header("", vec!["A".into()]);
            if let Ok(format) = LineFormat::parse(&text, &dictionary) {
                let line = b"1\t4\t.\tA\tC\t.\t.\t.";
                format.push(&Record::new(line), line, &Outcome::default(), &mut Vec::new());
            }
        }
    }
}
