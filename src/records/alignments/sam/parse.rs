//! Text to records.

use std::ops::RangeInclusive;

use memchr::memchr;

use crate::error::{Error, Result};
use crate::genome::Contigs;
use crate::records::alignments::record::{FIXED_LEN, flags, reg2bin};
use crate::records::alignments::{CigarOp, Validation};
use crate::records::float::parse_float;

/// The highest position of SAM text that fits a record's 32 bits.
const MAX_POSITION: i64 = i32::MAX as i64;

/// No record is longer than this.
const MAX_SEQUENCE_LENGTH: usize = i32::MAX as usize;

/// CIGAR operations a record can count; more go into a `CG` tag (§4.2.2).
const MAX_CIGAR_OPS: usize = 0xffff;

const FIELDS: [&str; 11] =
    ["QNAME", "FLAG", "RNAME", "POS", "MAPQ", "CIGAR", "RNEXT", "PNEXT", "TLEN", "SEQ", "QUAL"];

/// The 4-bit code of each letter of SEQ as htslib has them; 0xff for what is no IUPAC letter.
pub(in crate::records::alignments) const BASE_CODES: [u8; 256] = {
    let letters = crate::records::alignments::record::BASES;
    let mut codes = [0xff; 256];
    let mut code = 0;
    while code < 16 {
        codes[letters[code] as usize] = code as u8;
        codes[letters[code].to_ascii_lowercase() as usize] = code as u8;
        code += 1;
    }
    codes[b'U' as usize] = 8;
    codes[b'u' as usize] = 8;
    codes[b'.' as usize] = 15;
    codes
};

/// Reads the lines of one file.
#[derive(Debug, Default)]
pub struct LineParser {
    validation: Validation,
    ops: Vec<u32>,
    last_contig: (Vec<u8>, i32),
}

impl LineParser {
    /// A parser for lines without their ends.
    pub fn new(validation: Validation) -> Self {
        Self { validation, ..Self::default() }
    }

    /// Appends the record that a line describes to `out`, without `block_size`.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) naming the field, what it should be and what it is;
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for positions beyond 2,147,483,647.
    /// `out` may then hold a part of the record.
    pub fn parse(&mut self, line: &[u8], contigs: &Contigs, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldReader { line, field: &[], number: 0, next: Some(0) };
        self.parse_fields(&mut fields, contigs, out).map_err(|error| {
            error
                .at(fields.place())
                .help("repair the line, or write the file again with the program that made it")
        })
    }

    fn parse_fields(
        &mut self,
        fields: &mut FieldReader<'_>,
        contigs: &Contigs,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(&[0; FIXED_LEN]);
        let name = fields.mandatory()?;
        check_name(name)?;
        out.extend_from_slice(name);
        out.push(0);

        let mut flags = number(fields.mandatory()?, 0..=0xffff)? as u16;
        let mut ref_id = self.contig(fields.mandatory()?, contigs)?;
        let position = parse_position(fields.mandatory()?)?;
        if position < 0 {
            ref_id = -1;
        }
        if ref_id < 0 {
            flags |= flags::UNMAPPED;
        }
        let mapping_quality = number(fields.mandatory()?, 0..=255)? as u8;
        self.cigar(fields.mandatory()?)?;
        if self.ops.is_empty() {
            flags |= flags::UNMAPPED;
        }
        let span = self.reference_span()?;
        let counted = if flags & flags::UNMAPPED != 0 { 1 } else { span.max(1) };
        let bin = reg2bin(i64::from(position), i64::from(position) + i64::from(counted));

        let mut mate_ref_id = match fields.mandatory()? {
            b"=" => ref_id,
            name => self.contig(name, contigs)?,
        };
        let mate_position = parse_position(fields.mandatory()?)?;
        if mate_position < 0 {
            mate_ref_id = -1;
        }
        let template_length = signed(fields.mandatory()?, i64::from(i32::MIN)..=MAX_POSITION)?;

        let sequence = match fields.mandatory()? {
            b"*" => &[],
            letters => letters,
        };
        self.push_cigar(sequence.len(), span, out);
        self.push_sequence(sequence, out)?;
        push_qualities(fields.mandatory()?, sequence.len(), out)?;
        while let Some(tag) = fields.optional() {
            push_tag(tag, self.validation, out)?;
        }
        let count = self.ops.len();
        if count > MAX_CIGAR_OPS {
            out.extend_from_slice(b"CGBI");
            out.extend_from_slice(&(count as u32).to_le_bytes());
            out.extend(self.ops.iter().flat_map(|op| op.to_le_bytes()));
        }

        let stored_count = if count > MAX_CIGAR_OPS { 2 } else { count as u16 };
        let fixed = &mut out[start..start + FIXED_LEN];
        fixed[0..4].copy_from_slice(&ref_id.to_le_bytes());
        fixed[4..8].copy_from_slice(&position.to_le_bytes());
        fixed[8] = name.len() as u8 + 1;
        fixed[9] = mapping_quality;
        fixed[10..12].copy_from_slice(&bin.to_le_bytes());
        fixed[12..14].copy_from_slice(&stored_count.to_le_bytes());
        fixed[14..16].copy_from_slice(&flags.to_le_bytes());
        fixed[16..20].copy_from_slice(&(sequence.len() as u32).to_le_bytes());
        fixed[20..24].copy_from_slice(&mate_ref_id.to_le_bytes());
        fixed[24..28].copy_from_slice(&mate_position.to_le_bytes());
        fixed[28..32].copy_from_slice(&(template_length as i32).to_le_bytes());
        Ok(())
    }

    /// The id of a contig, remembering the last one.
    fn contig(&mut self, name: &[u8], contigs: &Contigs) -> Result<i32> {
        if name == b"*" {
            return Ok(-1);
        }
        if self.last_contig.0 == name {
            return Ok(self.last_contig.1);
        }
        let id = std::str::from_utf8(name)
            .ok()
            .and_then(|name| contigs.id(name))
            .and_then(|id| i32::try_from(id.0).ok())
            .ok_or_else(|| {
                bad(name)
                    .expected("*, or a contig that the header declares with @SQ")
                    .help("add the contig to the header, or align to the reference it names")
            })?;
        self.last_contig.0.clear();
        self.last_contig.0.extend_from_slice(name);
        self.last_contig.1 = id;
        Ok(id)
    }

    fn cigar(&mut self, text: &[u8]) -> Result<()> {
        self.ops.clear();
        if text == b"*" {
            return Ok(());
        }
        let mut length = 0u32;
        let mut has_digits = false;
        for &byte in text {
            if byte.is_ascii_digit() {
                length = length * 10 + u32::from(byte - b'0');
                has_digits = true;
                if length >= 1 << 28 {
                    return Err(bad(text).expected("operations shorter than 268,435,456 bases"));
                }
                continue;
            }
            let code = match byte {
                b'M' => 0,
                b'I' => 1,
                b'D' => 2,
                b'N' => 3,
                b'S' => 4,
                b'H' => 5,
                b'P' => 6,
                b'=' => 7,
                b'X' => 8,
                _ => return Err(bad_cigar(text)),
            };
            if !has_digits {
                return Err(bad_cigar(text));
            }
            self.ops.push(length << 4 | code);
            (length, has_digits) = (0, false);
        }
        if has_digits || self.ops.is_empty() {
            return Err(bad_cigar(text));
        }
        Ok(())
    }

    fn reference_span(&self) -> Result<u32> {
        let ops = self.ops.iter().map(|op| CigarOp(*op));
        let span: u64 =
            ops.filter(|op| op.consumes_reference()).map(|op| u64::from(op.len())).sum();
        u32::try_from(span).ok().filter(|span| *span <= i32::MAX as u32).ok_or_else(|| {
            Error::unsupported("the CIGAR spans more than 2,147,483,647 bases of the reference")
        })
    }

    fn push_cigar(&self, sequence_length: usize, span: u32, out: &mut Vec<u8>) {
        if self.ops.len() > MAX_CIGAR_OPS {
            let placeholder = [(sequence_length as u32) << 4 | 4, span << 4 | 3];
            out.extend(placeholder.iter().flat_map(|op| op.to_le_bytes()));
        } else {
            out.extend(self.ops.iter().flat_map(|op| op.to_le_bytes()));
        }
    }

    fn push_sequence(&self, letters: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if letters.len() > MAX_SEQUENCE_LENGTH {
            return Err(Error::unsupported("SEQ is longer than 2,147,483,647 bases"));
        }
        let start = out.len();
        let code = |letter: u8| BASE_CODES[usize::from(letter)];
        let mut seen = 0;
        out.extend(letters.chunks(2).map(|pair| {
            let (high, low) = (code(pair[0]), pair.get(1).map_or(0, |letter| code(*letter)));
            seen |= high | low;
            high << 4 | low & 0xf
        }));
        if seen < 16 {
            return Ok(());
        }
        let odd = letters.iter().find(|letter| code(**letter) == 0xff).copied().unwrap_or(b'?');
        if self.validation == Validation::Strict || !odd.is_ascii_alphabetic() {
            return Err(Error::input("a base is not a letter of the IUPAC code")
                .expected("* or letters of =ACMGRSVTWYHKDBN")
                .found(format!("{:?}", char::from(odd))));
        }
        // As htslib reads them: any other letter is an unknown base.
        out.truncate(start);
        let code = |letter: u8| code(letter).min(15);
        out.extend(
            letters
                .chunks(2)
                .map(|pair| code(pair[0]) << 4 | pair.get(1).map_or(0, |letter| code(*letter))),
        );
        Ok(())
    }
}

/// Walks along the fields of a line.
struct FieldReader<'a> {
    line: &'a [u8],
    field: &'a [u8],
    /// How many fields have been read.
    number: usize,
    /// Where the next field begins; `None` after the last.
    next: Option<usize>,
}

impl<'a> FieldReader<'a> {
    fn optional(&mut self) -> Option<&'a [u8]> {
        let start = self.next?;
        let rest = &self.line[start..];
        let length = memchr(b'\t', rest);
        self.field = &rest[..length.unwrap_or(rest.len())];
        self.next = length.map(|length| start + length + 1);
        self.number += 1;
        Some(self.field)
    }

    fn mandatory(&mut self) -> Result<&'a [u8]> {
        self.optional().ok_or_else(|| {
            Error::input("the line ends too early")
                .expected("at least 11 fields with a TAB between them")
                .found(format!("{} fields", self.number))
        })
    }

    fn place(&self) -> String {
        let column = self.field.as_ptr() as usize - self.line.as_ptr() as usize + 1;
        let name = match (FIELDS.get(self.number.saturating_sub(1)), self.field) {
            (Some(name), _) => (*name).to_owned(),
            (None, [first, second, b':', ..]) => {
                format!("tag {}", String::from_utf8_lossy(&[*first, *second]))
            }
            (None, _) => "tag".to_owned(),
        };
        format!("{name} (field {}, column {column})", self.number)
    }
}

fn bad(found: &[u8]) -> Error {
    let shown = &found[..found.len().min(40)];
    let dots = if found.len() > 40 { "…" } else { "" };
    Error::input("the value is not allowed")
        .found(format!("{:?}{dots}", String::from_utf8_lossy(shown)))
}

fn bad_cigar(text: &[u8]) -> Error {
    bad(text).expected("*, or lengths each followed by one of MIDNSHP=X")
}

fn check_name(name: &[u8]) -> Result<()> {
    let fits = (1..=254).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'@');
    if fits {
        return Ok(());
    }
    Err(bad(name).expected("1 to 254 printable characters other than @ and blanks"))
}

/// A number without sign or leading zeros.
fn number(text: &[u8], range: RangeInclusive<i64>) -> Result<i64> {
    let is_plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
    let value = if is_plain { digits(text) } else { None };
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        bad(text).expected(format!("a whole number from {} to {}", range.start(), range.end()))
    })
}

/// A number that may have a sign and leading zeros.
fn signed(text: &[u8], range: RangeInclusive<i64>) -> Result<i64> {
    let value = match text {
        [b'-', rest @ ..] => digits(rest).map(|value| -value),
        [b'+', rest @ ..] => digits(rest),
        _ => digits(text),
    };
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        bad(text).expected(format!("a whole number from {} to {}", range.start(), range.end()))
    })
}

/// The value of decimal digits, or `i64::MAX` if that is less.
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value.saturating_mul(10).saturating_add(i64::from(digit)))
    })
}

/// A 1-based position with 0 for none, as the 0-based one with -1 for none.
fn parse_position(text: &[u8]) -> Result<i32> {
    match number(text, 0..=i64::MAX) {
        Ok(value @ 0..=MAX_POSITION) => Ok((value - 1) as i32),
        Err(_) => Err(bad(text).expected(format!("a whole number from 0 to {MAX_POSITION}"))),
        Ok(_) => {
            Err(Error::unsupported("the position does not fit the 32 bits of alignment records")
                .expected(format!("at most {MAX_POSITION}"))
                .found(String::from_utf8_lossy(text))
                .help("split the contig into pieces, and align to those"))
        }
    }
}

fn push_qualities(text: &[u8], length: usize, out: &mut Vec<u8>) -> Result<()> {
    if text == b"*" {
        out.resize(out.len() + length, 0xff);
        return Ok(());
    }
    if text.len() != length {
        return Err(Error::input("SEQ and QUAL are of different length")
            .expected(format!("* or {length} qualities, one for each base"))
            .found(format!("{} characters", text.len())));
    }
    if let Some(odd) = text.iter().find(|byte| !byte.is_ascii_graphic()) {
        return Err(Error::input("a quality is not printable")
            .expected("characters from ! to ~")
            .found(format!("byte {odd:#04x}")));
    }
    out.extend(text.iter().map(|byte| byte - 33));
    Ok(())
}

fn push_tag(text: &[u8], validation: Validation, out: &mut Vec<u8>) -> Result<()> {
    let &[first, second, b':', kind, b':', ref value @ ..] = text else {
        return Err(bad(text).expected("a tag of the form TAG:TYPE:VALUE"));
    };
    if !first.is_ascii_alphabetic() || !second.is_ascii_alphanumeric() {
        return Err(bad(&text[..2]).expected("a tag of a letter and a letter or digit"));
    }
    out.extend_from_slice(&[first, second]);
    match kind {
        b'A' => match value {
            [letter] if letter.is_ascii_graphic() => out.extend_from_slice(&[b'A', *letter]),
            _ => return Err(bad(value).expected("one printable character for type A")),
        },
        b'i' => push_integer_tag(value, out)?,
        b'f' => {
            out.push(b'f');
            out.extend_from_slice(&float(value, validation)?.to_le_bytes());
        }
        b'Z' => {
            if !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(bad(value).expected("printable text for type Z"));
            }
            push_text(b'Z', value, out);
        }
        b'H' => {
            let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            if value.len() % 2 != 0 || !value.iter().all(is_hex) {
                return Err(bad(value).expected("pairs of hexadecimal digits for type H"));
            }
            push_text(b'H', value, out);
        }
        b'B' => push_array(value, validation, out)?,
        _ => return Err(bad(&[kind]).expected("a type out of A, i, f, Z, H and B")),
    }
    Ok(())
}

fn push_text(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(value);
    out.push(0);
}

/// Stores an integer in the type that htslib chooses: the narrowest, signed only below zero.
fn push_integer_tag(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let value = signed(text, i64::from(i32::MIN)..=i64::from(u32::MAX))?;
    let (kind, width) = match (text.first() == Some(&b'-'), value) {
        (true, -0x80..) => (b'c', 1),
        (true, -0x8000..) => (b's', 2),
        (true, _) => (b'i', 4),
        (false, ..0x100) => (b'C', 1),
        (false, ..0x1_0000) => (b'S', 2),
        (false, _) => (b'I', 4),
    };
    out.push(kind);
    out.extend_from_slice(&value.to_le_bytes()[..width]);
    Ok(())
}

fn push_array(text: &[u8], validation: Validation, out: &mut Vec<u8>) -> Result<()> {
    let Some((&of, mut rest)) = text.split_first() else {
        return Err(bad(text).expected("an element type and values for type B"));
    };
    let (width, range) = match of {
        b'c' => (1, -0x80..=0x7f),
        b'C' => (1, 0..=0xff),
        b's' => (2, -0x8000..=0x7fff),
        b'S' => (2, 0..=0xffff),
        b'i' => (4, i64::from(i32::MIN)..=i64::from(i32::MAX)),
        b'I' => (4, 0..=i64::from(u32::MAX)),
        b'f' => (4, 0..=0),
        _ => return Err(bad(&[of]).expected("an element type out of c, C, s, S, i, I and f")),
    };
    out.extend_from_slice(&[b'B', of]);
    let count_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0u32;
    while !rest.is_empty() {
        let Some(after_comma) = rest.strip_prefix(b",") else {
            return Err(bad(rest).expected("a comma before each value of type B"));
        };
        let length = memchr(b',', after_comma).unwrap_or(after_comma.len());
        let (value, after) = after_comma.split_at(length);
        if of == b'f' {
            out.extend_from_slice(&float(value, validation)?.to_le_bytes());
        } else {
            out.extend_from_slice(&signed(value, range.clone())?.to_le_bytes()[..width]);
        }
        count += 1;
        rest = after;
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
    Ok(())
}

/// Leniently also what the specification's pattern has no place for, but BAM files hold.
fn float(text: &[u8], validation: Validation) -> Result<f32> {
    let special = match text {
        _ if validation == Validation::Strict => None,
        b"inf" => Some(f32::INFINITY),
        b"-inf" => Some(f32::NEG_INFINITY),
        b"nan" => Some(f32::NAN),
        b"-nan" => Some(-f32::NAN),
        _ => None,
    };
    special.or_else(|| parse_float(text)).ok_or_else(|| {
        bad(text).expected("a number such as -1.5e-3 that fits 32-bit floating point")
    })
}
