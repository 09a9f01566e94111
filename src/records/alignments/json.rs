//! Alignments as lines of JSON: one object for each record, with the columns that
//! [`columns`](super::columns) lists.
//!
//! Names and numbers are those of the Arrow form; what is null there is null here, `quality` is an
//! array, `sequence` a string. `tags` is an object by name: integers (`i`) and text (`Z`) as they
//! are, floats always with a point or an exponent, so that a reader can tell the three apart. A
//! value of another type says so: `{"type": "A", "value": "c"}`, `{"type": "Bs", "value": [1, -2]}`,
//! and likewise `f` for infinities and NaN, which JSON writes as text only. A tag's own column has
//! the plain value.
//!
//! ```text
//! {"read_name":"r1","flags":99,"contig":"chr1","position":7,…,"tags":{"NM":1,"MD":"3A96"}}
//! ```

use super::columns::{
    Column, TagKind, TagValue, last_base, misfit, name, one_based, push_cigar, qualities, utf8,
    visible_tags,
};
use super::record::BASES;
use super::sam::push_integer;
use super::{Record, Tag};
use crate::error::Result;
use crate::genome::{ContigId, Contigs};

/// Writes records as lines of JSON.
///
/// ```
/// use genomic_objects::genome::Contigs;
/// use genomic_objects::records::alignments::columns::Column;
/// use genomic_objects::records::alignments::json::JsonLines;
///
/// let contigs = Contigs::default();
/// let lines = JsonLines::new(&Column::parse_list("read_name,NM")?, &contigs);
/// # let _ = lines;
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonLines<'a> {
    columns: Vec<(Column, String)>,
    contigs: &'a Contigs,
}

impl<'a> JsonLines<'a> {
    /// For records that refer to `contigs`.
    pub fn new(columns: &[Column], contigs: &'a Contigs) -> Self {
        let columns = columns.iter().map(|column| (*column, format!("\"{column}\":"))).collect();
        Self { columns, contigs }
    }

    /// Appends the line of a record, with its line feed; nothing if this fails.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) for text that is not UTF-8, and for a tag of
    /// another type than its column.
    pub fn push(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let written = self.push_object(record, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn push_object(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        for (at, (column, key)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            self.push_column(*column, record, out)?;
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn push_column(&self, column: Column, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match column {
            Column::ReadName => match name(record) {
                Some(name) => push_string(out, utf8(name, "its name", record)?),
                None => push_null(out),
            },
            Column::Flags => push_integer(out, record.flags().into()),
            Column::Contig => self.push_contig(record.ref_id(), out),
            Column::Position => push_optional(out, one_based(record.position())),
            Column::End => push_optional(out, last_base(record)),
            Column::MappingQuality => {
                let quality = record.mapping_quality();
                push_optional(out, (quality != 255).then_some(quality.into()));
            }
            Column::Cigar if record.cigar().len() == 0 => push_null(out),
            Column::Cigar => {
                out.push(b'"');
                push_cigar(out, record);
                out.push(b'"');
            }
            Column::MateContig => self.push_contig(record.mate_ref_id(), out),
            Column::MatePosition => push_optional(out, one_based(record.mate_position())),
            Column::TemplateLength => push_integer(out, record.template_length().into()),
            Column::Sequence if record.sequence_len() == 0 => push_null(out),
            Column::Sequence => {
                out.push(b'"');
                out.extend(record.base_codes().map(|code| BASES[usize::from(code)]));
                out.push(b'"');
            }
            Column::Quality => match qualities(record) {
                Some(qualities) => push_list(out, qualities.iter(), |out, quality| {
                    push_integer(out, i64::from(*quality));
                }),
                None => push_null(out),
            },
            Column::Tags => push_tags(out, record)?,
            Column::Tag(name, kind) => match visible_tags(record).find(|tag| tag.name == name) {
                Some(tag) => push_tag_column(out, kind, &tag, record)?,
                None => push_null(out),
            },
        }
        Ok(())
    }

    fn push_contig(&self, id: i32, out: &mut Vec<u8>) {
        match u32::try_from(id).ok().and_then(|id| self.contigs.get(ContigId(id))) {
            Some(contig) => push_string(out, &contig.name),
            None => push_null(out),
        }
    }
}

fn push_tags(out: &mut Vec<u8>, record: &Record<'_>) -> Result<()> {
    out.push(b'{');
    for (at, tag) in visible_tags(record).enumerate() {
        let what = format!("tag {}", String::from_utf8_lossy(&tag.name));
        if at > 0 {
            out.push(b',');
        }
        push_string(out, utf8(&tag.name, "the name of a tag", record)?);
        out.push(b':');
        let value = TagValue::new(&tag).ok_or_else(|| misfit(tag.name, &tag, record))?;
        let kind = match (tag.kind, value) {
            (b'A' | b'H', _) => Some(char::from(tag.kind).to_string()),
            (_, TagValue::Array(of, _)) => Some(format!("B{}", char::from(of))),
            (_, TagValue::Float(value)) if !value.is_finite() => Some("f".into()),
            _ => None,
        };
        match kind {
            Some(kind) => {
                out.extend_from_slice(b"{\"type\":");
                push_string(out, &kind);
                out.extend_from_slice(b",\"value\":");
                push_value(out, value, &what, record)?;
                out.push(b'}');
            }
            None => push_value(out, value, &what, record)?,
        }
    }
    out.push(b'}');
    Ok(())
}

fn push_tag_column(
    out: &mut Vec<u8>,
    kind: TagKind,
    tag: &Tag<'_>,
    record: &Record<'_>,
) -> Result<()> {
    let what = format!("tag {}", String::from_utf8_lossy(&tag.name));
    let value = TagValue::new(tag).ok_or_else(|| misfit(tag.name, tag, record))?;
    match (kind, value) {
        (TagKind::Integer, TagValue::Integer(_)) | (TagKind::Float, TagValue::Float(_)) => {}
        (TagKind::Integers, TagValue::Array(of, _)) if of != b'f' => {}
        (TagKind::Floats, TagValue::Array(b'f', _)) => {}
        (TagKind::Text, _) => {
            let mut text = Vec::new();
            value.push_text(&mut text);
            push_string(out, utf8(&text, what, record)?);
            return Ok(());
        }
        _ => return Err(misfit(tag.name, tag, record)),
    }
    push_value(out, value, &what, record)
}

fn push_value(
    out: &mut Vec<u8>,
    value: TagValue<'_>,
    what: &str,
    record: &Record<'_>,
) -> Result<()> {
    match value {
        TagValue::Text(text) => push_string(out, utf8(text, what, record)?),
        TagValue::Array(..) => push_list(out, value.elements(), push_number),
        number => push_number(out, number),
    }
    Ok(())
}

/// Infinities and NaN become strings.
fn push_number(out: &mut Vec<u8>, value: TagValue<'_>) {
    let is_finite = !matches!(value, TagValue::Float(value) if !value.is_finite());
    if is_finite {
        value.push_text(out);
    } else {
        out.push(b'"');
        value.push_text(out);
        out.push(b'"');
    }
}

fn push_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, push: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

fn push_optional(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => push_integer(out, value),
        None => push_null(out),
    }
}

fn push_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
