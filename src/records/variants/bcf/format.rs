//! A record as a line of text.

use super::Header;
use super::value::{
    Cursor, Type, integers, push_bits, push_elements, push_genotype, push_integer, push_text,
};
use crate::error::{Context, Error, Result};

/// Bytes of a site before its values.
pub(super) const SITE_FIXED: usize = 24;

/// A field of FORMAT: what all samples have of it.
struct Column<'a> {
    kind: Type,
    is_genotype: bool,
    /// Bytes of a sample.
    step: usize,
    bytes: &'a [u8],
}

/// Appends the line of a record, without its line feed.
pub(super) fn push_record(
    header: &Header,
    site: &[u8],
    samples: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut cursor = Cursor(site);
    let fixed = cursor.take(SITE_FIXED)?;
    let word = |at: usize| {
        let bytes = fixed.get(4 * at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    let (info_count, allele_count) = (word(4) & 0xffff, word(4) >> 16);
    let (sample_count, format_count) = (word(5) & 0xff_ffff, word(5) >> 24);
    let contig = header.contig(word(0) as usize);
    let contig = contig.ok_or_else(|| unknown("CHROM", "contig", i64::from(word(0) as i32)))?;
    out.extend_from_slice(contig);
    out.push(b'\t');
    // Position 0, in front of the first base, is the one that is negative.
    let position = if word(1) == u32::MAX { 0 } else { u64::from(word(1)) + 1 };
    out.extend_from_slice(position.to_string().as_bytes());
    out.push(b'\t');
    let (kind, id) = cursor.value().at(|| "ID")?;
    push_elements(kind, id, out);
    push_alleles(&mut cursor, allele_count, out)?;
    out.push(b'\t');
    push_bits(word(3), out);
    push_filters(header, &mut cursor, out).at(|| "FILTER")?;
    out.push(b'\t');
    for number in 0..info_count {
        if number > 0 {
            out.push(b';');
        }
        push_info(header, &mut cursor, out).at(|| format!("INFO entry {}", number + 1))?;
    }
    if info_count == 0 {
        out.push(b'.');
    }
    if sample_count == 0 {
        return Ok(());
    }
    if sample_count as usize != header.sample_count() {
        return Err(Error::input("a record has not as many samples as the header")
            .expected(header.sample_count())
            .found(sample_count));
    }
    push_samples(header, samples, sample_count as usize, format_count, out)
}

fn unknown(field: &str, what: &str, place: i64) -> Error {
    Error::input(format!("{field} refers to a {what} that the header does not have"))
        .found(format!("number {place}"))
}

fn push_alleles(cursor: &mut Cursor<'_>, count: u32, out: &mut Vec<u8>) -> Result<()> {
    for number in 0..count {
        out.push(if number < 2 { b'\t' } else { b',' });
        let (kind, text) = cursor.value().at(|| format!("allele {number}"))?;
        push_elements(kind, text, out);
    }
    for _ in count..2 {
        out.extend_from_slice(b"\t.");
    }
    Ok(())
}

fn push_filters(header: &Header, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'\t');
    let (kind, bytes) = cursor.value()?;
    if bytes.is_empty() {
        out.push(b'.');
        return Ok(());
    }
    if !matches!(kind, Type::Int8 | Type::Int16 | Type::Int32) {
        return Err(Error::input("filters are no integers"));
    }
    for (at, place) in integers(kind, bytes).0.enumerate() {
        if at > 0 {
            out.push(b';');
        }
        let name = usize::try_from(place).ok().and_then(|place| header.string(place));
        out.extend_from_slice(name.ok_or_else(|| unknown("FILTER", "filter", i64::from(place)))?);
    }
    Ok(())
}

fn push_key<'h>(header: &'h Header, cursor: &mut Cursor<'_>) -> Result<&'h [u8]> {
    let place = cursor.integer()?;
    let key = usize::try_from(place).ok().and_then(|place| header.string(place));
    key.ok_or_else(|| unknown("a key", "field", i64::from(place)))
}

fn push_info(header: &Header, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(push_key(header, cursor)?);
    let (kind, length) = cursor.descriptor()?;
    let bytes = cursor.take(length.saturating_mul(kind.width()))?;
    if length == 0 || kind == Type::Null {
        return Ok(());
    }
    out.push(b'=');
    match kind {
        // One integer has no early end.
        Type::Int8 | Type::Int16 | Type::Int32 if length == 1 => {
            let (mut items, least) = integers(kind, bytes);
            match items.next() {
                Some(value) if value != least => push_integer(value, out),
                _ => out.push(b'.'),
            }
        }
        Type::Char => push_text(bytes, out),
        _ => push_elements(kind, bytes, out),
    }
    Ok(())
}

fn push_samples(
    header: &Header,
    samples: &[u8],
    sample_count: usize,
    format_count: u32,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut cursor = Cursor(samples);
    let mut columns = Vec::with_capacity(format_count as usize);
    out.push(b'\t');
    for number in 0..format_count {
        if number > 0 {
            out.push(b':');
        }
        let column = (|| {
            let key = push_key(header, &mut cursor)?;
            out.extend_from_slice(key);
            let (kind, length) = cursor.descriptor()?;
            let is_genotype = key == b"GT";
            if is_genotype && matches!(kind, Type::Float | Type::Char) {
                return Err(Error::input("genotypes are no integers"));
            }
            let step = length.saturating_mul(kind.width());
            let bytes = cursor.take(step.saturating_mul(sample_count))?;
            Ok(Column { kind, is_genotype, step, bytes })
        })();
        columns.push(column.at(|| format!("FORMAT entry {}", number + 1))?);
    }
    if format_count == 0 {
        out.push(b'.');
    }
    // Of several, htslib takes the last for genotypes, and prints the others as integers.
    let last = columns.iter().rposition(|column| column.is_genotype);
    for column in columns.iter_mut().take(last.unwrap_or(0)) {
        column.is_genotype = false;
    }
    out.reserve(samples.len() * 2);
    for sample in 0..sample_count {
        out.push(b'\t');
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b':');
            }
            let from = sample * column.step;
            let bytes = &column.bytes[from..from + column.step];
            match (column.is_genotype, column.kind, bytes) {
                // Most genotypes: two alleles below ten.
                (true, Type::Int8, &[a @ 2..22, b @ 2..22]) => {
                    let separator = if b & 1 == 1 { b'|' } else { b'/' };
                    out.extend_from_slice(&[b'/' + (a >> 1), separator, b'/' + (b >> 1)]);
                }
                (true, ..) => push_genotype(column.kind, bytes, out),
                _ => push_elements(column.kind, bytes, out),
            }
        }
        if columns.is_empty() {
            out.push(b'.');
        }
    }
    Ok(())
}
