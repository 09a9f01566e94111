//! Fuzz targets of types, metadata and parts; see [`crate::fuzzing`].

use std::sync::LazyLock;

use arrow_array::{Array, StructArray};
use bytes::Bytes;
use serde_json::{Value, json};

use super::codec::Codec;
use super::encoded::EType;
use super::fetch::PartBytes;
use super::json::to_json;
use super::metadata::{Component, TableMetadata};
use super::partition::{BatchLimits, PartitionReader};
use super::types::{TableType, VType};
use crate::error::ErrorKind;
use crate::fuzzing::Choices;

/// Types that take every path of the decoder.
pub(crate) const TYPES: [(&str, &str); 5] = [
    (
        "EBaseStruct{locus:+EBaseStruct{contig:+EBinary,position:+EInt32},alleles:+EArray[+EBinary],\
         info:+EBaseStruct{ids:EArray[EBinary],error:EArray[EBinary],starts:EArray[EInt32]}}",
        "Struct{locus:Locus(GRCh38),alleles:Array[String],\
         info:Struct{ids:Array[String],error:Array[String],starts:Array[Int32]}}",
    ),
    (
        "EBaseStruct{a:EArray[EBaseStruct{b:EBoolean,c:EFloat32,d:EInt64}],e:EInt32,f:EFloat64}",
        "Struct{a:Array[Struct{b:Boolean,c:Float32,d:Int64}],e:Call,f:Float64}",
    ),
    (
        "EBaseStruct{a:EArray2[+EBaseStruct{key:EBinary2,value:EVarint}],b:ENDArrayColumnMajor[+EVarint,3]}",
        "Struct{a:Dict[String,Int32],b:NDArray[Int64,3]}",
    ),
    (
        "EBaseStruct{i:EBaseStruct{start:EInt32,end:EInt32,includesStart:+EBoolean,includesEnd:+EBoolean},t:EBaseStruct{`0`:EBinary,`1`:EBaseStruct{}}}",
        "Struct{t:Tuple[String,Struct{}],i:Interval[Int32]}",
    ),
    (
        "EBaseStruct{a:EArray[EArray[EArray[EBaseStruct{}]]]}",
        "Struct{a:Array[Array[Array[Struct{}]]]}",
    ),
];

/// Every way of packing.
pub(super) fn stacks() -> Vec<Value> {
    let mut stacks = vec![json!({ "name": "StreamBufferSpec" })];
    for codec in [
        None,
        Some("ZstdBlockBufferSpec"),
        Some("LZ4BlockBufferSpec"),
        Some("LZ4SizeBasedBlockBufferSpec"),
    ] {
        for stream in ["StreamBlockBufferSpec", "StreamBlockBufferSpec2"] {
            let stream = json!({ "name": stream });
            let child = codec.map_or(
                stream.clone(),
                |name| json!({ "name": name, "blockSize": 4_096, "child": stream }),
            );
            stacks
                .push(json!({ "name": "BlockingBufferSpec", "blockSize": 4_096, "child": child }));
        }
    }
    let with_varints = |child: &Value| json!({ "name": "LEB128BufferSpec", "child": child });
    let more: Vec<Value> = stacks.iter().map(with_varints).collect();
    stacks.extend(more);
    stacks
}

static CODECS: LazyLock<Vec<Codec>> = LazyLock::new(|| {
    let of = |stack: Value, (encoded, of): (&str, &str)| {
        Codec::parse(&json!({
            "name": "TypedCodecSpec", "_eType": encoded, "_vType": of, "_bufferSpec": stack,
        }))
    };
    let all = stacks().into_iter().flat_map(|stack| TYPES.map(|types| of(stack.clone(), types)));
    all.filter_map(Result::ok).collect()
});

/// A part: its types and packing, how many rows it should have, then its bytes.
pub(crate) fn part(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, rows) = (usize::from(choices.byte()), u64::from(choices.byte()));
    let codec = &CODECS[kind % CODECS.len()];
    for wanted in [None, Some(&["a", "alleles", "t"][..])] {
        let bytes = PartBytes::in_memory(Bytes::copy_from_slice(choices.0));
        let limits = BatchLimits { rows: 3, bytes: 1 << 16 };
        let Ok(mut reader) = PartitionReader::of_bytes(bytes, codec, rows, wanted, limits) else {
            continue;
        };
        if wanted.is_some() {
            let _ = reader.skip_rows(1);
        }
        loop {
            match reader.next_batch() {
                Ok(Some(batch)) if wanted.is_none() => {
                    let batch = StructArray::from(batch);
                    for row in 0..batch.len() {
                        let _ = to_json(&codec.of, &batch, row);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                    break;
                }
            }
        }
    }
}

/// The types that metadata spells.
pub(crate) fn types(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (EType::parse(text), TableType::parse(text));
    if let Ok((of, encoded)) = VType::parse_legacy(text) {
        assert!(encoded.check(&of).is_ok(), "{text:?}");
        let _ = (of.to_string(), of.data_type(&encoded));
    }
}

/// The metadata of a table and of a component.
pub(crate) fn metadata(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    let _ = (TableMetadata::parse(&json), Component::parse(&json));
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        // The worked example of the specification, as a stream and in a stored block.
        let row = [
            &[1, 4][..],
            b"chr1\xea\x4e\x02\x01C\x02GG\x02",
            &[2, 2, 1, b'C', 2, 0, 0xe9, 0x4e, 0xe9, 0x4e, 0],
        ]
        .concat();
        let mut all = vec![("hail_part", [&[45, 1][..], &row].concat())];
        for (of, row) in [
            (1, &[1, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0][..]),
            (2, &[1, 0, 1, 1, b'a', 0, 5, 1, 1, 1, 7, 0]),
            (3, &[1, 0, 0, 1, 2, 3, 0, 1, b'x', 0]),
            (4, &[1, 0, 1, 0, 2, 0, 1, 0, 1, 0, 0, 0]),
        ] {
            for stack in [9, 10, 11] {
                let size: &[u8] = match stack {
                    9 => &[],
                    10 => &(row.len() as u32).to_le_bytes(),
                    _ => &[row.len() as u8],
                };
                all.push(("hail_part", [&[stack * 5 + of, 1][..], size, row].concat()));
            }
        }
        let packed = zstd::bulk::compress(&row, 1).unwrap();
        let block = [&(row.len() as u32).to_le_bytes()[..], &packed].concat();
        let size = (block.len() as u32).to_le_bytes();
        all.push(("hail_part", [&[60, 1][..], &size, &block].concat()));
        let table = json!({
            "file_version": 67_328, "hail_version": "0.2.137", "references_rel_path": "references",
            "name": "TableSpec", "table_type": format!("Table{{global:Struct{{}},key:[locus],row:{}}}", TYPES[0].1),
            "components": { "rows": { "name": "RVDComponentSpec", "rel_path": "rows" },
                "partition_counts": { "name": "PartitionCountsComponentSpec", "counts": [4, 5] } },
        });
        let component = json!({
            "name": "OrderedRVDSpec2", "_key": ["locus"], "_partFiles": ["part-0"],
            "_jRangeBounds": [{ "start": { "locus": { "contig": "chr1", "position": 1 } },
                "end": { "locus": { "contig": "chr1", "position": 9 } }, "includeStart": true, "includeEnd": true }],
            "_codecSpec": { "name": "TypedCodecSpec", "_eType": TYPES[0].0, "_vType": TYPES[0].1,
                "_bufferSpec": stacks()[12] },
        });
        all.push(("hail_metadata", table.to_string().into_bytes()));
        all.push(("hail_metadata", component.to_string().into_bytes()));
        all
    }
}
