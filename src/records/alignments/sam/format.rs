//! Records to text.

use crate::genome::{ContigId, Contigs};
use crate::records::alignments::record::BASES;
use crate::records::alignments::{Record, Tag};
use crate::records::float::push_float;

/// Two letters for each byte of a packed sequence.
const BASE_PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [BASES[byte >> 4], BASES[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// Appends a record as `samtools view` prints it, with its line feed. A CIGAR kept in the `CG` tag
/// is shown in its place, and the tag is not.
pub fn write_record(out: &mut Vec<u8>, record: &Record<'_>, contigs: &Contigs) {
    out.extend_from_slice(record.name());
    out.push(b'\t');
    push_integer(out, i64::from(record.flags()));
    out.push(b'\t');
    push_contig(out, record.ref_id(), contigs);
    out.push(b'\t');
    push_integer(out, i64::from(record.position()) + 1);
    out.push(b'\t');
    push_integer(out, i64::from(record.mapping_quality()));
    out.push(b'\t');
    let ops = record.cigar();
    if ops.len() == 0 {
        out.push(b'*');
    }
    for op in ops {
        push_integer(out, i64::from(op.len()));
        out.push(op.letter());
    }
    out.push(b'\t');
    if record.mate_ref_id() >= 0 && record.mate_ref_id() == record.ref_id() {
        out.push(b'=');
    } else {
        push_contig(out, record.mate_ref_id(), contigs);
    }
    out.push(b'\t');
    push_integer(out, i64::from(record.mate_position()) + 1);
    out.push(b'\t');
    push_integer(out, i64::from(record.template_length()));
    out.push(b'\t');
    push_sequence(out, record);
    let long_cigar = record.long_cigar().map(|tag| tag.value.as_ptr());
    for tag in record.tags().filter(|tag| Some(tag.value.as_ptr()) != long_cigar) {
        push_tag(out, &tag);
    }
    out.push(b'\n');
}

fn push_contig(out: &mut Vec<u8>, id: i32, contigs: &Contigs) {
    let contig = u32::try_from(id).ok().and_then(|id| contigs.get(ContigId(id)));
    out.extend_from_slice(contig.map_or(b"*", |contig| contig.name.as_bytes()));
}

/// SEQ and QUAL.
fn push_sequence(out: &mut Vec<u8>, record: &Record<'_>) {
    let length = record.sequence_len();
    if length == 0 {
        return out.extend_from_slice(b"*\t*");
    }
    let start = out.len();
    for byte in record.packed_sequence() {
        out.extend_from_slice(&BASE_PAIRS[usize::from(*byte)]);
    }
    out.truncate(start + length);
    out.push(b'\t');
    let qualities = record.qualities();
    if qualities[0] == 0xff {
        out.push(b'*');
    } else {
        out.extend(qualities.iter().map(|quality| quality.wrapping_add(33)));
    }
}

fn push_tag(out: &mut Vec<u8>, tag: &Tag<'_>) {
    out.extend_from_slice(&[b'\t', tag.name[0], tag.name[1], b':']);
    match tag.kind {
        b'A' => {
            out.extend_from_slice(b"A:");
            out.extend_from_slice(tag.value);
        }
        b'f' => {
            out.extend_from_slice(b"f:");
            push_number(out, b'f', tag.value);
        }
        b'Z' | b'H' => {
            out.extend_from_slice(&[tag.kind, b':']);
            out.extend_from_slice(tag.as_text().unwrap_or_default());
        }
        b'B' => {
            let of = tag.value[0];
            out.extend_from_slice(&[b'B', b':', of]);
            for value in tag.value[5..].chunks_exact(number_width(of)) {
                out.push(b',');
                push_number(out, of, value);
            }
        }
        kind => {
            out.extend_from_slice(b"i:");
            push_number(out, kind, tag.value);
        }
    }
}

fn number_width(kind: u8) -> usize {
    match kind {
        b'c' | b'C' => 1,
        b's' | b'S' => 2,
        _ => 4,
    }
}

fn push_number(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    match (kind, value) {
        (b'f', &[a, b, c, d]) => push_float(out, f32::from_le_bytes([a, b, c, d])),
        _ => {
            let integer = Tag { name: *b"  ", kind, value }.as_int();
            push_integer(out, integer.unwrap_or_default());
        }
    }
}

/// Appends a number in decimal digits.
pub(in crate::records::alignments) fn push_integer(out: &mut Vec<u8>, value: i64) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}
