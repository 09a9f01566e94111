//! A line of text as a record.

use super::Header;
use super::format::SITE_FIXED;
use super::header::{Field, Kind};
use super::value::{
    END, FLOAT_END, FLOAT_MISSING, LEAST, MISSING, Type, put_as, put_descriptor, put_integer,
    put_text, width_of,
};
use crate::error::{Context, Error, Result};

/// Makes records of lines.
///
/// ```
/// use genomic_objects::records::variants::bcf::{Encoder, Header};
///
/// let header = Header::parse(
///     b"##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
/// )?;
/// let mut bcf = header.to_bcf();
/// Encoder::new(&header).push(b"1\t5\t.\tA\tC\t.\tPASS\t.", &mut bcf)?;
/// assert!(bcf.starts_with(b"BCF\x02\x02"));
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
pub struct Encoder<'h> {
    header: &'h Header,
    /// Fields of FORMAT, of which the room is used again.
    columns: Vec<Column>,
    /// Numbers of a list in INFO.
    numbers: Vec<i32>,
}

/// The values of all samples of a field.
#[derive(Default)]
struct Column {
    field: Option<Field>,
    is_genotype: bool,
    key: Vec<u8>,
    /// Integers, and bits of floats.
    numbers: Vec<i32>,
    text: Vec<u8>,
    /// Where the values of each sample end, among numbers or text.
    ends: Vec<usize>,
}

impl<'h> Encoder<'h> {
    /// For lines of a file with this header.
    pub fn new(header: &'h Header) -> Self {
        Self { header, columns: Vec::new(), numbers: Vec::new() }
    }

    /// Appends the record of a line, which may end in a carriage return.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) naming the field where BCF has no place
    /// for a value, or the header does not declare what the line uses;
    /// [`Input`](crate::error::ErrorKind::Input) where the line is none of a VCF.
    pub fn push(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = out.len();
        self.push_parts(line, out)
            .at(|| {
                let mut fields = line.split(|&byte| byte == b'\t').map(String::from_utf8_lossy);
                let mut next = || fields.next().unwrap_or_default();
                format!("{}:{}", next(), next())
            })
            .inspect_err(|_| out.truncate(start))
    }

    fn push_parts(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut fields = line.splitn(10, |&byte| byte == b'\t');
        let mut next = |name: &str| {
            let field = fields.next();
            field.ok_or_else(|| Error::input("a record has too few columns").expected(name))
        };
        let (chrom, pos, id) = (next("CHROM")?, next("POS")?, next("ID")?);
        let (reference, alt, qual) = (next("REF")?, next("ALT")?, next("QUAL")?);
        let (filter, info) = (next("FILTER")?, next("INFO")?);
        let (format, cells) = (fields.next(), fields.next());

        let start = out.len();
        out.resize(start + 8 + SITE_FIXED, 0);
        let contig = self.header.contig_place(chrom).ok_or_else(|| undeclared("contig", chrom))?;
        let position = position_of(pos)?;
        put_text(if id == b"." { b"" } else { id }, out);
        put_text(reference, out);
        let mut allele_count = 1_u32;
        if alt != b"." {
            for allele in alt.split(|&byte| byte == b',') {
                put_text(allele, out);
                allele_count += 1;
            }
        }
        let qual = match qual {
            b"." => FLOAT_MISSING,
            text => float_of(text).at(|| "QUAL")?,
        };
        self.put_filters(filter, out)?;
        let (info_count, end) = self.put_infos(info, out)?;
        let site_end = out.len();
        let (mut sample_count, mut format_count) = (0, 0);
        if let Some(format) = format.filter(|_| self.header.sample_count() > 0) {
            sample_count = self.header.sample_count();
            format_count = self.put_samples(format, cells.unwrap_or_default(), out)?;
        }

        let length = match end.map(|end| end - i64::from(position)) {
            Some(length @ 1..) => length,
            _ => reference.len() as i64,
        };
        let counts = [
            ("alternative alleles", u64::from(allele_count), 0xffff),
            ("entries in INFO", u64::from(info_count), 0xffff),
            ("entries in FORMAT", u64::from(format_count), 0xff),
            ("samples", sample_count as u64, 0xff_ffff),
            ("bytes", (out.len() - start) as u64, 0x7fff_ffff),
        ];
        for (what, count, most) in counts {
            if count > most {
                return Err(Error::unsupported(format!("BCF has no room for so many {what}"))
                    .expected(format!("at most {most}"))
                    .found(count));
            }
        }
        let words = [
            (site_end - start - 8) as u32,
            (out.len() - site_end) as u32,
            contig,
            position as u32,
            i32::try_from(length).unwrap_or(i32::MAX) as u32,
            qual,
            allele_count << 16 | info_count,
            format_count << 24 | sample_count as u32,
        ];
        for (at, word) in words.into_iter().enumerate() {
            out[start + 4 * at..start + 4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn put_filters(&mut self, filter: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if filter == b"." {
            out.push(0);
            return Ok(());
        }
        self.numbers.clear();
        for name in filter.split(|&byte| byte == b';').filter(|name| !name.is_empty()) {
            let place = self.header.filter_place(name);
            self.numbers.push(place.ok_or_else(|| undeclared("FILTER", name))? as i32);
        }
        put_list(&self.numbers, out);
        Ok(())
    }

    /// Appends the entries of INFO; returns how many there are, and what END is.
    fn put_infos(&mut self, info: &[u8], out: &mut Vec<u8>) -> Result<(u32, Option<i64>)> {
        let (mut count, mut end) = (0, None);
        if info == b"." {
            return Ok((0, None));
        }
        for entry in info.split(|&byte| byte == b';').filter(|entry| !entry.is_empty()) {
            let (key, value) = match memchr::memchr(b'=', entry) {
                Some(at) => (&entry[..at], Some(&entry[at + 1..])),
                None => (entry, None),
            };
            let field = self.header.info(key).ok_or_else(|| undeclared("INFO", key))?;
            put_integer(field.place as i32, out);
            count += 1;
            let Some(value) = value else {
                out.push(0);
                continue;
            };
            let place = || format!("INFO/{}", String::from_utf8_lossy(key));
            match field.kind {
                // A flag that has a value is as good as text.
                Kind::String | Kind::Flag => put_text(value, out),
                Kind::Integer => {
                    self.numbers.clear();
                    for item in value.split(|&byte| byte == b',') {
                        self.numbers.push(integer_of(item).at(place)?);
                    }
                    if key == b"END" && self.numbers[..] != [MISSING] {
                        end = self.numbers.first().map(|&end| i64::from(end));
                    }
                    put_list(&self.numbers, out);
                }
                Kind::Float => {
                    let items = memchr::memchr_iter(b',', value).count() + 1;
                    put_descriptor(Type::Float, items, out);
                    for item in value.split(|&byte| byte == b',') {
                        out.extend_from_slice(&float_of(item).at(place)?.to_le_bytes());
                    }
                }
            }
        }
        Ok((count, end))
    }

    /// Appends the fields of FORMAT; returns how many there are.
    fn put_samples(&mut self, format: &[u8], cells: &[u8], out: &mut Vec<u8>) -> Result<u32> {
        let found = memchr::memchr_iter(b'\t', cells).count() + 1;
        if found != self.header.sample_count() {
            return Err(Error::input("a record has not as many samples as the header")
                .expected(self.header.sample_count())
                .found(found));
        }
        if format == b"." {
            return Ok(0);
        }
        let mut count = 0;
        for key in format.split(|&byte| byte == b':') {
            let field = self.header.format(key).ok_or_else(|| undeclared("FORMAT", key))?;
            if self.columns.len() == count {
                self.columns.push(Column::default());
            }
            self.columns[count].start(key, field)?;
            count += 1;
        }
        let columns = &mut self.columns[..count];
        for cell in cells.split(|&byte| byte == b'\t') {
            let mut rest = Some(cell);
            for column in &mut *columns {
                let Some(text) = rest else {
                    column.push_absent();
                    continue;
                };
                let value = match text.iter().position(|&byte| byte == b':') {
                    Some(at) => {
                        rest = Some(&text[at + 1..]);
                        &text[..at]
                    }
                    None => {
                        rest = None;
                        text
                    }
                };
                column
                    .push(value)
                    .map_err(|error| error.at(format!("FORMAT/{}", column.name())))?;
            }
            if rest.is_some() {
                return Err(Error::input("a sample has more values than FORMAT has keys")
                    .expected(count)
                    .found(format!("{:?}", String::from_utf8_lossy(cell))));
            }
        }
        columns.iter().for_each(|column| column.put(out));
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl Column {
    fn start(&mut self, key: &[u8], field: Field) -> Result<()> {
        if field.kind == Kind::Flag {
            return Err(Error::unsupported("FORMAT has no flags in BCF")
                .found(String::from_utf8_lossy(key).into_owned()));
        }
        self.field = Some(field);
        self.is_genotype = key == b"GT";
        self.key.clear();
        self.key.extend_from_slice(key);
        self.numbers.clear();
        self.text.clear();
        self.ends.clear();
        Ok(())
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.key).into_owned()
    }

    fn kind(&self) -> Kind {
        self.field.map_or(Kind::String, |field| field.kind)
    }

    /// Adds the value of a sample.
    fn push(&mut self, value: &[u8]) -> Result<()> {
        if self.is_genotype {
            self.push_genotype(value)?;
            self.ends.push(self.numbers.len());
            return Ok(());
        }
        match self.kind() {
            Kind::Integer => {
                for item in value.split(|&byte| byte == b',') {
                    self.numbers.push(integer_of(item)?);
                }
            }
            Kind::Float => {
                for item in value.split(|&byte| byte == b',') {
                    self.numbers.push(float_of(item)? as i32);
                }
            }
            Kind::String | Kind::Flag => {
                self.text.extend_from_slice(value);
                self.ends.push(self.text.len());
                return Ok(());
            }
        }
        self.ends.push(self.numbers.len());
        Ok(())
    }

    /// Adds the value of a sample whose last values were dropped.
    fn push_absent(&mut self) {
        match self.kind() {
            _ if self.is_genotype => self.numbers.push(0),
            Kind::Integer => self.numbers.push(MISSING),
            Kind::Float => self.numbers.push(FLOAT_MISSING as i32),
            Kind::String | Kind::Flag => {
                self.text.push(b'.');
                return self.ends.push(self.text.len());
            }
        }
        self.ends.push(self.numbers.len());
    }

    fn push_genotype(&mut self, text: &[u8]) -> Result<()> {
        let bad = |why: &str| {
            let found = format!("{:?}", String::from_utf8_lossy(text));
            Err(Error::unsupported(format!("BCF has no place for this genotype: {why}"))
                .found(found)
                .help("-O vcf or vcf.gz keeps it"))
        };
        let mut phase = 0;
        let mut rest = text;
        if text.is_empty() {
            self.numbers.push(0);
            return Ok(());
        }
        loop {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (allele, after) = match rest.split_first() {
                Some((b'.', after)) => (phase, after),
                _ if digits == 0 => return bad("an allele is no number"),
                _ => {
                    let (number, after) = rest.split_at(digits);
                    let allele = number.iter().fold(0_i64, |sum, &byte| {
                        sum.saturating_mul(10).saturating_add(i64::from(byte - b'0'))
                    });
                    if allele >= 1 << 29 {
                        return bad("an allele's number is too large");
                    }
                    ((allele as i32 + 1) << 1 | phase, after)
                }
            };
            self.numbers.push(allele);
            match after.split_first() {
                None => return Ok(()),
                Some((b'/', after)) => (phase, rest) = (0, after),
                Some((b'|', after)) => (phase, rest) = (1, after),
                Some(_) => return bad("alleles are separated by / or |"),
            }
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_integer(self.field.map_or(0, |field| field.place as i32), out);
        let lengths = self.ends.iter().scan(0, |before, &end| {
            let length = end - *before;
            *before = end;
            Some(length)
        });
        let most = lengths.clone().max().unwrap_or(0);
        let kind = match self.kind() {
            _ if self.is_genotype => range_of(&self.numbers),
            Kind::Integer => range_of(&self.numbers),
            Kind::Float => Type::Float,
            Kind::String | Kind::Flag => Type::Char,
        };
        put_descriptor(kind, most, out);
        out.reserve(most * kind.width() * self.ends.len());
        let mut from = 0;
        for length in lengths {
            let values = from..from + length;
            from += length;
            match kind {
                Type::Char => {
                    out.extend_from_slice(&self.text[values]);
                    out.resize(out.len() + most - length, 0);
                }
                Type::Float => {
                    let padding = std::iter::repeat_n(FLOAT_END as i32, most - length);
                    for bits in self.numbers[values].iter().copied().chain(padding) {
                        out.extend_from_slice(&bits.to_le_bytes());
                    }
                }
                _ => {
                    let padding = std::iter::repeat_n(END, most - length);
                    for value in self.numbers[values].iter().copied().chain(padding) {
                        put_as(kind, value, out);
                    }
                }
            }
        }
    }
}

fn undeclared(what: &str, name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::unsupported(format!(
        "{what} {name} is not declared in the header, as BCF needs it to be"
    ))
    .help("-O vcf or vcf.gz keeps it; bcftools reheader adds declarations")
}

/// The narrowest type of some integers.
fn range_of(numbers: &[i32]) -> Type {
    let known = numbers.iter().copied().filter(|&number| number >= LEAST);
    let (least, greatest) = known
        .fold((i32::MAX, i32::MIN), |(least, most), number| (least.min(number), most.max(number)));
    if least > greatest { Type::Int8 } else { width_of(least, greatest) }
}

fn put_list(numbers: &[i32], out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return out.push(0);
    }
    let kind = range_of(numbers);
    put_descriptor(kind, numbers.len(), out);
    numbers.iter().for_each(|&number| put_as(kind, number, out));
}

/// POS from 0; −1 for position 0.
fn position_of(text: &[u8]) -> Result<i32> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let position = text_of(text).parse::<i64>().ok().filter(|_| is_number);
    match position {
        Some(position @ 0..=0x7fff_fffe) => Ok(position as i32 - 1),
        Some(_) => Err(Error::unsupported("BCF has no place for this POS")
            .expected("at most 2147483646")
            .found(text_of(text))
            .help("-O vcf or vcf.gz keeps it")),
        None => Err(Error::unsupported("POS is no number").found(text_of(text))),
    }
}

/// An integer; missing for `.` and nothing.
fn integer_of(text: &[u8]) -> Result<i32> {
    let (negative, digits) = match text {
        b"." | b"" => return Ok(MISSING),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value = 0_i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(unfit("integer", text));
        }
        value = value * 10 + i64::from(byte - b'0');
        if value > 1 << 32 {
            break;
        }
    }
    let value = if negative { -value } else { value };
    match i32::try_from(value) {
        Ok(value) if value >= LEAST && !digits.is_empty() => Ok(value),
        _ => Err(unfit("integer of 32 bits", text)),
    }
}

/// The bits of a float; of one missing for `.` and nothing.
fn float_of(text: &[u8]) -> Result<u32> {
    if matches!(text, b"." | b"") {
        return Ok(FLOAT_MISSING);
    }
    let value: Option<f64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let narrow = value.map(|value| (value, value as f32));
    match narrow {
        Some((value, narrow)) if narrow.is_finite() || !value.is_finite() => Ok(narrow.to_bits()),
        _ => Err(unfit("float of 32 bits", text)),
    }
}

fn unfit(expected: &str, text: &[u8]) -> Error {
    Error::unsupported("BCF has no place for this value of its type")
        .expected(format!("an {expected}").replace("an float", "a float"))
        .found(format!("{:?}", text_of(text)))
        .help("-O vcf or vcf.gz keeps it")
}

fn text_of(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
