use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::genome::Contig;
use crate::records::alignments::arrow;

fn contigs() -> Contigs {
    let contig = |name: &str| Contig { name: name.into(), length: 1_000_000, md5: None };
    Contigs::new(vec![contig("chr1"), contig("HLA-A*01:01\"")]).unwrap()
}

fn line(columns: &str, record: &[u8]) -> Result<String> {
    let contigs = contigs();
    let lines = JsonLines::new(&Column::parse_list(columns)?, &contigs);
    let mut out = b"before".to_vec();
    let pushed = lines.push(&Record::new(record)?, &mut out);
    if pushed.is_err() {
        assert_eq!(out, b"before", "a line that fails leaves nothing");
    }
    pushed.map(|()| String::from_utf8(out[6..].to_vec()).unwrap())
}

fn all_columns() -> String {
    Column::ALL.map(|column| column.to_string()).join(",")
}

#[test]
fn test_push_writes_every_column_with_its_type() {
    let tags =
        b"NMC\x02MDZ3\"\\\x01\0XAAcXFf\0\0\x80\x3fXNf\0\0\xc0\x7fMLBs\x02\0\0\0\x05\0\xff\xff";
    let text = line(&all_columns(), &arrow::tests::record(tags)).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    assert!(text.contains("\"XF\":1.0"), "a float keeps its point: {text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "read_name": "r1",
            "flags": 99,
            "contig": "chr1",
            "position": 8,
            "end": 11,
            "mapping_quality": null,
            "cigar": "2S3M1D",
            "mate_contig": "HLA-A*01:01\"",
            "mate_position": 41,
            "template_length": -33,
            "sequence": "ACGTN",
            "quality": [2, 11, 25, 37, 93],
            "tags": {
                "NM": 2,
                "MD": "3\"\\\u{1}",
                "XA": {"type": "A", "value": "c"},
                "XF": 1.0,
                "XN": {"type": "f", "value": "NaN"},
                "ML": {"type": "Bs", "value": [5, -1]},
            },
        })
    );
}

#[test]
fn test_push_writes_tags_as_columns() {
    let tags = b"NMC\x02XFf\0\0\0\x3fMLBs\x02\0\0\0\x05\0\xff\xff";
    for (column, expected) in [
        ("NM", "2"),
        ("NM:Z", "\"2\""),
        ("XF:f", "0.5"),
        ("XF", "\"0.5\""),
        ("ML", "[5,-1]"),
        ("ML:Z", "\"5,-1\""),
        ("XX", "null"),
    ] {
        let name = &column[..2];
        let text = line(column, &arrow::tests::record(tags)).unwrap();
        assert_eq!(text, format!("{{\"{name}\":{expected}}}\n"));
    }
    for column in ["NM:f", "NM:Bi", "XF:i", "ML:Bf", "ML:i"] {
        let error = line(column, &arrow::tests::record(tags)).unwrap_err();
        assert!(error.to_string().contains(&format!("{}:Z", &column[..2])), "{error}");
    }
    assert!(line("CO", &arrow::tests::record(b"COZ\xe4\0")).is_err());
}

proptest! {
    #[test]
    fn test_push_writes_valid_json_of_any_record(bytes in testkit::arbitrary::odd_record_bytes()) {
        let record = Record::new(&bytes)?;
        if let Ok(text) = line(&all_columns(), &bytes) {
            let value: Value = serde_json::from_str(&text).expect("valid JSON");
            prop_assert_eq!(&value["flags"], &json!(record.flags()));
            prop_assert_eq!(&value["template_length"], &json!(record.template_length()));
            let quality = value["quality"].as_array().map(Vec::len);
            prop_assert!(quality.is_none_or(|len| len == record.sequence_len()));
            prop_assert_eq!(
                value["tags"].as_object().map(serde_json::Map::len),
                Some(visible_tags(&record).count())
            );
        }
    }
}
