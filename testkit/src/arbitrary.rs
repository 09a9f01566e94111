//! Generated alignments in BAM's binary layout (SAM specification §4.2), for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

/// How many contigs the generated records may refer to; ids are below this, or -1.
pub const CONTIGS: i32 = 3;

/// The length of each of those contigs in bases.
pub const CONTIG_LENGTH: i32 = 1_000_000;

/// One record without `block_size`: every flag, tag type and base code, odd lengths, absent CIGAR,
/// SEQ and QUAL. What samtools would not change on the way through SAM text: mapped records have a
/// CIGAR and a position, CIGAR and SEQ agree, no tag occurs twice, and `bin` is right.
pub fn record_bytes() -> impl Strategy<Value = Vec<u8>> {
    (place(), mate(), 0u16..0x1000, any::<u8>(), name(), cigar(), any::<bool>(), tags())
        .prop_flat_map(|(place, mate, flags, mapq, name, cigar, has_sequence, tags)| {
            let read_length: usize =
                cigar.iter().filter(|op| consumes_read(**op)).map(|op| (op >> 4) as usize).sum();
            let length = match (cigar.is_empty(), has_sequence) {
                (_, false) => 0..=0,
                (true, true) => 0..=40,
                (false, true) => read_length..=read_length,
            };
            length.prop_flat_map(move |length| {
                let parts = (place, mate, flags, mapq, name.clone(), cigar.clone(), tags.clone());
                (vec(0u8..16, length), qualities(length)).prop_map(move |(bases, qualities)| {
                    let (place, mate, flags, mapq, name, cigar, tags) = parts.clone();
                    layout(place, mate, flags, mapq, &name, &cigar, &bases, &qualities, &tags)
                })
            })
        })
}

/// A record of [`record_bytes`], with `bin`, flags and places as any program might leave them.
pub fn odd_record_bytes() -> impl Strategy<Value = Vec<u8>> {
    let id = -1..CONTIGS;
    let position = prop_oneof![Just(-1), 0..CONTIG_LENGTH, Just(i32::MAX - 1)];
    (record_bytes(), any::<u16>(), any::<u16>(), id.clone(), position.clone(), id, position)
        .prop_map(|(mut bytes, bin, flags, id, position, mate_id, mate_position)| {
            bytes[0..4].copy_from_slice(&id.to_le_bytes());
            bytes[4..8].copy_from_slice(&position.to_le_bytes());
            bytes[10..12].copy_from_slice(&bin.to_le_bytes());
            bytes[14..16].copy_from_slice(&(flags & 0xfff).to_le_bytes());
            bytes[20..24].copy_from_slice(&mate_id.to_le_bytes());
            bytes[24..28].copy_from_slice(&mate_position.to_le_bytes());
            bytes
        })
}

fn place() -> impl Strategy<Value = (i32, i32)> {
    prop_oneof![1 => Just((-1, -1)), 5 => (0..CONTIGS, 0..CONTIG_LENGTH)]
}

fn mate() -> impl Strategy<Value = (i32, i32, i32)> {
    (place(), prop_oneof![Just(0), -1000..1000, any::<i32>()])
        .prop_map(|((id, position), length)| (id, position, length))
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![b'!'..=b'?', b'A'..=b'~'];
    prop_oneof![8 => vec(letter.clone(), 1..20), 1 => vec(letter, 254), 1 => Just(b"*".to_vec())]
}

fn cigar() -> impl Strategy<Value = Vec<u32>> {
    let inner = vec((0u32..50, prop_oneof![0u32..4, 6u32..9]), 0..8);
    let clip = || prop_oneof![Just(None), (0u32..9, 4u32..6).prop_map(Some)];
    (clip(), inner, clip()).prop_map(|(head, inner, tail)| {
        let ops = head.into_iter().chain(inner).chain(tail);
        ops.map(|(length, code)| length << 4 | code).collect()
    })
}

fn qualities(length: usize) -> impl Strategy<Value = Vec<u8>> {
    // A single quality of 9 is `*` in text, which says that there is none.
    let known =
        vec((0u8..94).prop_filter("reads as absent", move |q| length > 1 || *q != 9), length);
    prop_oneof![1 => Just(vec![0xff; length]), 4 => known]
}

fn tags() -> impl Strategy<Value = Vec<u8>> {
    vec((b'X'..=b'Z', b'0'..=b'z', tag_value()), 0..6).prop_map(|tags| {
        let mut seen = Vec::new();
        let mut bytes = Vec::new();
        for (first, second, value) in tags {
            let name = [first, second];
            if second.is_ascii_alphanumeric() && !seen.contains(&name) {
                seen.push(name);
                bytes.extend(name);
                bytes.extend(value);
            }
        }
        bytes
    })
}

/// A tag's type and value; integers in the narrowest type, as htslib reads them from text.
fn tag_value() -> impl Strategy<Value = Vec<u8>> {
    let text = || vec(b' '..=b'~', 0..12);
    let hex = vec(prop_oneof![b'0'..=b'9', b'A'..=b'F'], 0..6).prop_map(|half| half.repeat(2));
    prop_oneof![
        (b'!'..=b'~').prop_map(|letter| vec![b'A', letter]),
        integer().prop_map(narrow_integer),
        any::<i8>().prop_map(|small| float(f32::from(small) / 4.0)).prop_map(|f| kind(b'f', f)),
        text().prop_map(|text| kind(b'Z', with_nul(text))),
        hex.prop_map(|text| kind(b'H', with_nul(text))),
        array(b'c', 1),
        array(b'C', 1),
        array(b's', 2),
        array(b'S', 2),
        array(b'i', 4),
        array(b'I', 4),
        vec(any::<i8>(), 0..5).prop_map(|values| {
            let floats = values.iter().flat_map(|v| float(f32::from(*v) / 8.0)).collect();
            array_bytes(b'f', values.len(), floats)
        }),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    let full = i64::from(i32::MIN)..=i64::from(u32::MAX);
    prop_oneof![-300i64..300, -70_000i64..70_000, full]
}

fn narrow_integer(value: i64) -> Vec<u8> {
    let (letter, width) = match value {
        -0x80..0 => (b'c', 1),
        0..0x100 => (b'C', 1),
        -0x8000..-0x80 => (b's', 2),
        0x100..0x1_0000 => (b'S', 2),
        i64::MIN..-0x8000 => (b'i', 4),
        _ => (b'I', 4),
    };
    kind(letter, value.to_le_bytes()[..width].to_vec())
}

fn array(of: u8, width: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(vec(any::<u8>(), width), 0..5)
        .prop_map(move |values| array_bytes(of, values.len(), values.concat()))
}

fn array_bytes(of: u8, count: usize, values: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![b'B', of];
    bytes.extend((count as u32).to_le_bytes());
    bytes.extend(values);
    bytes
}

fn float(value: f32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn kind(letter: u8, value: Vec<u8>) -> Vec<u8> {
    [vec![letter], value].concat()
}

fn with_nul(mut text: Vec<u8>) -> Vec<u8> {
    text.push(0);
    text
}

fn consumes_read(op: u32) -> bool {
    matches!(op & 0xf, 0 | 1 | 4 | 7 | 8)
}

#[allow(clippy::too_many_arguments)]
fn layout(
    (id, position): (i32, i32),
    (mate_id, mate_position, template_length): (i32, i32, i32),
    flags: u16,
    mapq: u8,
    name: &[u8],
    cigar: &[u32],
    bases: &[u8],
    qualities: &[u8],
    tags: &[u8],
) -> Vec<u8> {
    let flags = if id < 0 || cigar.is_empty() { flags | 4 } else { flags };
    let reference_span: i64 = cigar
        .iter()
        .filter(|op| matches!(*op & 0xf, 0 | 2 | 3 | 7 | 8))
        .map(|op| i64::from(op >> 4))
        .sum();
    let span = if flags & 4 != 0 { 1 } else { reference_span.max(1) };
    let mut bytes = Vec::new();
    bytes.extend(id.to_le_bytes());
    bytes.extend(position.to_le_bytes());
    bytes.extend([name.len() as u8 + 1, mapq]);
    bytes.extend(bin(i64::from(position), i64::from(position) + span).to_le_bytes());
    bytes.extend((cigar.len() as u16).to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend((bases.len() as u32).to_le_bytes());
    bytes.extend(mate_id.to_le_bytes());
    bytes.extend(mate_position.to_le_bytes());
    bytes.extend(template_length.to_le_bytes());
    bytes.extend(name);
    bytes.push(0);
    bytes.extend(cigar.iter().flat_map(|op| op.to_le_bytes()));
    bytes.extend(bases.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)));
    bytes.extend(qualities);
    bytes.extend(tags);
    bytes
}

/// The UCSC bin of a 0-based half-open interval (SAM specification §5.3).
fn bin(start: i64, end: i64) -> u16 {
    let end = end - 1;
    let levels = [(14, 4_681), (17, 585), (20, 73), (23, 9), (26, 1)];
    let level = levels.iter().find(|(shift, _)| start >> shift == end >> shift);
    level.map_or(0, |(shift, offset)| offset + (start >> shift)) as u16
}
