use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::paf::place::Place;
use crate::records::alignments::Record;
use crate::records::alignments::fields::TagNames;

fn batch_of(mut records: Vec<Vec<u8>>) -> RecordBatch {
    records.sort_by_key(|bytes| Place::of(&Record::new(bytes).unwrap()));
    let mut batch = RecordBatch::new();
    records.iter().for_each(|bytes| batch.push(bytes).unwrap());
    batch
}

fn decode_all(
    batch: &RecordBatch,
    streams: &[CodedStream],
    fields: &Fields,
) -> Result<RecordBatch> {
    let coding = Coding {
        records: batch.len(),
        raw_bytes: batch.byte_len() as u64,
        streams: streams
            .iter()
            .map(|s| (s.series, s.codec, s.raw_len, s.bytes.as_slice()))
            .collect(),
    };
    decode(&coding, fields)
}

/// Two mates as an aligner leaves them, with `MD`, `NM`, `MC` and `MQ`.
fn pair(name: &str, start: i32, insert: i32, first_is_upper: bool) -> Vec<Vec<u8>> {
    let mate = |position: i32, other: i32, flags: u16, tlen: i32| {
        let mut bytes = Vec::new();
        for field in [0, position] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&[name.len() as u8 + 1, 60]);
        bytes.extend_from_slice(
            &reg2bin(i64::from(position), i64::from(position) + 4).to_le_bytes(),
        );
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        for field in [4, 0, other, tlen] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&(4_u32 << 4).to_le_bytes());
        bytes.extend_from_slice(&[0x12, 0x48, 30, 31, 32, 33]);
        bytes.extend_from_slice(b"MDZ4\0NMC\0MCZ4M\0MQC\x3c");
        bytes
    };
    let (upper, lower) = if first_is_upper { (0x63, 0x93) } else { (0xa3, 0x53) };
    vec![
        mate(start, start + insert - 4, upper, insert),
        mate(start + insert - 4, start, lower, -insert),
    ]
}

#[test]
fn test_encode_leaves_out_what_mates_and_reference_tell() {
    let records =
        (0..400).flat_map(|i| pair(&format!("read{i}"), i * 4, 300, i % 2 == 0)).collect();
    let batch = batch_of(records);
    let streams = encode(&batch, &[], Effort::Default).unwrap();
    let size = |id: u8, tag: &[u8]| -> usize {
        let of =
            |s: &&CodedStream| s.series.id == id && (tag.is_empty() || s.series.tag[..2] == *tag);
        streams.iter().filter(of).map(|s| s.bytes.len()).sum()
    };
    assert_eq!(size(series::MATE_CONTIG.id, b""), 0, "every mate is linked");
    assert_eq!(size(series::TLEN.id, b""), 0);
    for (tag, id) in [
        (b"MD", series::TAG_DERIVED),
        (b"MC", series::TAG_DERIVED),
        (b"NM", series::TAG_VALUES),
        (b"MQ", series::TAG_VALUES),
    ] {
        assert_eq!(size(id, tag), 1, "{}", String::from_utf8_lossy(tag));
    }
    let back = decode_all(&batch, &streams, &Fields::ALL).unwrap();
    assert!((0..batch.len()).all(|i| back.bytes(i) == batch.bytes(i)));
}

#[test]
fn test_decode_ordinals_gives_back_any_numbers() {
    let ordinals = [7, 0, u64::MAX, 3];
    assert_eq!(decode_ordinals(&encode_ordinals(&ordinals), 4).unwrap(), ordinals);
    assert!(decode_ordinals(&encode_ordinals(&ordinals), 3).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..Default::default() })]

    #[test]
    fn test_decode_gives_back_every_bit(
        records in vec(prop_oneof![testkit::arbitrary::record_bytes(), testkit::arbitrary::odd_record_bytes()], 1..40),
        copies in 1_usize..4,
        effort in prop_oneof![Just(Effort::Fast), Just(Effort::Default), Just(Effort::Archive)],
    ) {
        let all = std::iter::repeat_n(records, copies).flatten().collect();
        let batch = batch_of(all);
        let streams = encode(&batch, &[], effort).unwrap();
        let back = decode_all(&batch, &streams, &Fields::ALL).unwrap();
        prop_assert_eq!(back.len(), batch.len());
        for index in 0..batch.len() {
            prop_assert_eq!(back.bytes(index), batch.bytes(index));
        }
    }

    #[test]
    fn test_decode_of_some_fields_keeps_those(
        records in vec(testkit::arbitrary::record_bytes(), 1..20),
        bits in any::<u8>(),
    ) {
        let choices = [Fields::NAME, Fields::MAPPING_QUALITY, Fields::MATE, Fields::SEQUENCE,
            Fields::QUALITIES, Fields::tag(*b"MD"), Fields::tag(*b"NM"), Fields::all_tags()];
        let fields = choices.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1)
            .fold(Fields::NONE, |all, (_, one)| all | one.clone());
        let batch = batch_of(records);
        let streams = encode(&batch, &[], Effort::Default).unwrap();
        let back = decode_all(&batch, &streams, &fields).unwrap();
        for (whole, part) in batch.iter().zip(back.iter()) {
            prop_assert_eq!(whole.ref_id(), part.ref_id());
            prop_assert_eq!(whole.position(), part.position());
            prop_assert_eq!(whole.flags(), part.flags());
            prop_assert_eq!(whole.interval(), part.interval());
            prop_assert!(whole.stored_cigar().eq(part.stored_cigar()));
            if fields.contains(&Fields::NAME) {
                prop_assert_eq!(whole.name(), part.name());
            }
            if fields.contains(&Fields::MAPPING_QUALITY) {
                prop_assert_eq!(whole.mapping_quality(), part.mapping_quality());
            }
            if fields.contains(&Fields::MATE) {
                prop_assert_eq!(whole.template_length(), part.template_length());
                prop_assert_eq!(whole.mate_position(), part.mate_position());
            }
            if fields.contains(&Fields::SEQUENCE) {
                prop_assert_eq!(whole.packed_sequence(), part.packed_sequence());
            }
            if fields.contains(&Fields::QUALITIES) {
                prop_assert_eq!(whole.qualities(), part.qualities());
            }
            if *fields.tags() == TagNames::All {
                prop_assert_eq!(whole.tag_bytes(), part.tag_bytes());
            }
        }
    }

    /// Damage that a checksum would catch must still not panic, hang or exhaust memory.
    #[test]
    fn test_decode_survives_damage(
        records in vec(testkit::arbitrary::record_bytes(), 1..20),
        stream in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let batch = batch_of(records);
        let mut streams = encode(&batch, &[], Effort::Default).unwrap();
        // Raw streams, so that damage reaches the decoder of the series.
        for stream in &mut streams {
            if !matches!(stream.codec, Codec::Quality) {
                stream.bytes = codec::decode(stream.codec, &stream.bytes, stream.raw_len).unwrap();
                stream.codec = Codec::Raw;
            }
        }
        let chosen = stream.index(streams.len());
        let stream = &mut streams[chosen];
        let at = at.index(stream.bytes.len());
        stream.bytes[at] = value;
        if cut {
            stream.bytes.truncate(at);
            if stream.codec == Codec::Raw {
                stream.raw_len = at;
            }
        }
        let _ = decode_all(&batch, &streams, &Fields::ALL);
    }
}
