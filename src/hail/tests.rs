//! Parts made by hand: the worked example of the specification, and bytes that lie.

use arrow_array::StructArray;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::codec::Codec;
use super::fetch::PartBytes;
use super::fuzzing::{TYPES, stacks};
use super::json::to_json;
use super::partition::{BatchLimits, PartitionReader};
use super::types::VType;
use crate::error::{ErrorKind, Result};

/// A codec without blocks, or with stored ones.
fn codec(encoded: &str, of: &str, buffers: Value) -> Codec {
    Codec::parse(&json!({
        "name": "TypedCodecSpec", "_eType": encoded, "_vType": of, "_bufferSpec": buffers,
    }))
    .unwrap()
}

fn unframed() -> Value {
    json!({ "name": "LEB128BufferSpec", "child": { "name": "StreamBufferSpec" } })
}

fn read(codec: &Codec, bytes: &[u8], rows: u64) -> Result<Vec<Value>> {
    let bytes = PartBytes::in_memory(Bytes::copy_from_slice(bytes));
    let limits = BatchLimits { rows: 3, bytes: 1 << 20 };
    let mut reader = PartitionReader::of_bytes(bytes, codec, rows, None, limits)?;
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        let batch = StructArray::from(batch);
        let rows = 0..arrow_array::Array::len(&batch);
        found.extend(rows.map(|row| to_json(&codec.of, &batch, row)));
    }
    Ok(found)
}

const VRS: (&str, &str) = TYPES[0];

#[test]
fn test_the_worked_example_is_read() {
    let codec = codec(VRS.0, VRS.1, unframed());
    let bytes = [
        &[1, 4][..],
        b"chr1\xea\x4e\x02\x01C\x02GG\x02",
        &[2, 2, 1, b'C', 2, 0, 0xe9, 0x4e, 0xe9, 0x4e, 0],
    ]
    .concat();
    let row = json!({
        "locus": { "contig": "chr1", "position": 10_090 },
        "alleles": ["C", "GG"],
        "info": { "ids": ["C", null], "error": null, "starts": [10_089, 10_089] },
    });
    assert_eq!(read(&codec, &bytes, 1).unwrap(), [row]);
    for cut in 0..bytes.len() {
        let error = read(&codec, &bytes[..cut], 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{cut}: {error}");
    }
    assert!(read(&codec, &bytes, 2).unwrap_err().to_string().contains("2 rows"));
    assert!(read(&codec, &bytes, 0).is_err());
    let more = [&bytes[..], &[0]].concat();
    assert!(read(&codec, &more, 1).unwrap_err().to_string().contains("follow the end"));
}

#[test]
fn test_lengths_that_lie_are_refused_in_bounded_memory() {
    let cases: [(&str, &str, &[u8]); 11] = [
        // A text of 2 GB, an array of 2 billion numbers, of texts, of structs without fields.
        ("EBaseStruct{a:+EBinary}", "Struct{a:String}", &[1, 0xff, 0xff, 0xff, 0xff, 7][..]),
        (
            "EBaseStruct{a:+EArray[+EInt32]}",
            "Struct{a:Array[Int32]}",
            &[1, 0xff, 0xff, 0xff, 0xff, 7],
        ),
        (
            "EBaseStruct{a:+EArray[EBinary]}",
            "Struct{a:Array[String]}",
            &[1, 0xff, 0xff, 0xff, 0xff, 7],
        ),
        (
            "EBaseStruct{a:+EArray[+EBaseStruct{}]}",
            "Struct{a:Array[Struct{}]}",
            &[1, 0xff, 0xff, 0xff, 0xff, 7],
        ),
        // Negative lengths.
        ("EBaseStruct{a:+EBinary}", "Struct{a:String}", &[1, 0xff, 0xff, 0xff, 0xff, 0xf]),
        (
            "EBaseStruct{a:+EArray[+EInt32]}",
            "Struct{a:Array[Int32]}",
            &[1, 0xff, 0xff, 0xff, 0xff, 0xf],
        ),
        // Numbers that do not end.
        ("EBaseStruct{a:+EInt32}", "Struct{a:Int32}", &[1, 0xff, 0xff, 0xff, 0xff, 0x10]),
        (
            "EBaseStruct{a:+EInt64}",
            "Struct{a:Int64}",
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ),
        // Dimensions whose product passes 64 bits.
        (
            "EBaseStruct{a:+ENDArrayColumnMajor[+EFloat64,2]}",
            "Struct{a:NDArray[Float64,2]}",
            &[
                1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, 0x7f,
            ],
        ),
        (
            "EBaseStruct{a:+ENDArrayColumnMajor[+EFloat64,1]}",
            "Struct{a:NDArray[Float64,1]}",
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        // Neither a row nor the end.
        ("EBaseStruct{}", "Struct{}", &[2]),
    ];
    for (encoded, of, bytes) in cases {
        let codec = codec(encoded, of, unframed());
        let error = read(&codec, bytes, 1).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
            "{encoded}: {error}"
        );
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}

#[test]
fn test_a_row_may_not_grow_without_end() {
    // Arrays of arrays, each long and of items that take no bytes: 2^24 empty lists each.
    let codec = codec(
        "EBaseStruct{a:+EArray[+EArray[EBaseStruct{}]]}",
        "Struct{a:Array[Array[Struct{}]]}",
        unframed(),
    );
    let mut bytes = vec![1, 0x80, 0x80, 0x80, 0x04];
    bytes.extend(vec![0; 4 << 20]);
    let error = read(&codec, &bytes, 1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
}

#[test]
fn test_blocks_that_lie_are_refused() {
    let stored = |size: &str| json!({ "name": "BlockingBufferSpec", "blockSize": 64, "child": { "name": size } });
    let of = ("EBaseStruct{}", "Struct{}");
    let fixed = codec(of.0, of.1, stored("StreamBlockBufferSpec"));
    assert_eq!(read(&fixed, &[1, 0, 0, 0, 0, 0, 0, 0, 0], 0).unwrap(), [] as [Value; 0]);
    for bytes in [&[65, 0, 0, 0][..], &[0xff; 4], &[2, 0, 0, 0, 1], &[1, 0], &[]] {
        let error = read(&fixed, bytes, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes:?}");
    }
    let varint = codec(of.0, of.1, stored("StreamBlockBufferSpec2"));
    assert_eq!(read(&varint, &[0, 1, 0, 0], 0).unwrap(), [] as [Value; 0]);
    for bytes in [&[65][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 1], &[0x80], &[3, 0]] {
        assert!(read(&varint, bytes, 0).is_err(), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn test_any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..300),
        of in 0..TYPES.len(),
        stack in 0..18_usize,
        rows in 0..4_u64,
    ) {
        let stacks = stacks();
        let (encoded, of) = TYPES[of];
        let codec = codec(encoded, of, stacks[stack % stacks.len()].clone());
        if let Err(error) = read(&codec, &bytes, rows) {
            prop_assert_ne!(error.kind(), ErrorKind::Internal, "{}", error);
        }
        // As one stored block, so that more than the sizes of blocks is reached.
        let block = [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
        let stored = super::tests::codec(encoded, of, json!({
            "name": "LEB128BufferSpec",
            "child": { "name": "BlockingBufferSpec", "blockSize": 4_096, "child": { "name": "StreamBlockBufferSpec" } },
        }));
        if let Err(error) = read(&stored, &block, rows) {
            prop_assert_ne!(error.kind(), ErrorKind::Internal, "{}", error);
        }
    }

    #[test]
    fn test_any_text_is_a_type_or_refused(text in "[A-Za-z`{}\\[\\](),:+\\\\0-9 ]{0,60}") {
        let _ = VType::parse(&text);
        let _ = super::encoded::EType::parse(&text);
    }
}

#[test]
fn test_tables_of_before_typed_codecs_are_described() {
    // 0.2.0 to 0.2.23: the type of rows says how they are encoded.
    let component = super::metadata::Component::parse(&json!({
        "name": "OrderedRVDSpec",
        "rvdType": "RVDType{key:[[k]],row:Struct{k:+Int32,s:String,d:Dict[String,Int32],l:Locus(GRCh37)}}",
        "codecSpec": {
            "name": "PackCodecSpec",
            "child": {
                "name": "LEB128BufferSpec",
                "child": {
                    "name": "BlockingBufferSpec",
                    "blockSize": 32_768,
                    "child": {
                        "name": "LZ4BlockBufferSpec",
                        "blockSize": 32_768,
                        "child": { "name": "StreamBlockBufferSpec" },
                    },
                },
            },
        },
        "partFiles": ["part-0"],
        "jRangeBounds": [{ "start": {}, "end": {} }],
    }))
    .unwrap();
    let encoded = "EBaseStruct{k:+EInt32,s:EBinary,d:EArray[+EBaseStruct{key:EBinary,value:EInt32}],\
                   l:EBaseStruct{contig:+EBinary,position:+EInt32}}";
    assert_eq!(component.codec.encoded, super::encoded::EType::parse(encoded).unwrap());
    assert_eq!(component.parts, ["part-0"]);
    assert!(component.codec.buffers.leb128);
}
