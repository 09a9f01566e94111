//! What is refused, and what the message says.

use genomic_objects::error::ErrorKind;

use super::*;

fn fails(folder: &Path) -> (ErrorKind, String) {
    let error = match open(folder) {
        Err(error) => error,
        Ok(table) => rows(&table, BatchLimits::default()).expect_err("it should be refused"),
    };
    (error.kind(), error.to_string())
}

fn part_of(folder: &Path, starts: &str) -> PathBuf {
    let parts = std::fs::read_dir(folder.join("rows/parts")).unwrap();
    let mut parts = parts.map(|entry| entry.unwrap().path());
    parts.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(starts)).unwrap()
}

#[test]
fn test_other_things_than_tables_are_refused_by_name() {
    let Some(data) = fixtures() else { return };
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Edit<'_>, ErrorKind, &str); 6] = [
        (
            "metadata.json.gz",
            &|json| json["name"] = "MatrixTableSpec".into(),
            ErrorKind::Unsupported,
            "MatrixTable",
        ),
        (
            "metadata.json.gz",
            &|json| json["name"] = "BlockMatrix".into(),
            ErrorKind::Unsupported,
            "BlockMatrix",
        ),
        (
            "metadata.json.gz",
            &|json| json["file_version"] = (67_584 + 256).into(),
            ErrorKind::Unsupported,
            "newer Hail",
        ),
        (
            "metadata.json.gz",
            &|json| json["file_version"] = (2 << 16).into(),
            ErrorKind::Unsupported,
            "newer Hail",
        ),
        (
            "rows/metadata.json.gz",
            &|json| json["_codecSpec"]["_bufferSpec"]["child"]["name"] = "Sparkling".into(),
            ErrorKind::Unsupported,
            "Sparkling",
        ),
        (
            "rows/metadata.json.gz",
            &|json| {
                let of = json["_codecSpec"]["_eType"].as_str().unwrap().replacen(
                    "EArray",
                    "EPackedIntArray",
                    1,
                );
                json["_codecSpec"]["_eType"] = of.into();
            },
            ErrorKind::Unsupported,
            "EPackedIntArray",
        ),
    ];
    for (file, edit, kind, text) in cases {
        let copy = copy_of(&data.join("v1.7/vrs.ht"));
        edit_metadata(&copy.path().join(file), edit);
        let (found, message) = fails(copy.path());
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(text) && message.contains("metadata.json.gz"), "{message}");
    }
}

#[test]
fn test_newer_tables_of_a_known_version_are_read() {
    let Some(data) = fixtures() else { return };
    let copy = copy_of(&data.join("v1.8/vrs.ht"));
    edit_metadata(&copy.path().join("metadata.json.gz"), |json| {
        json["file_version"] = (67_584 + 3).into();
        json["news"] = "unknown members are ignored".into();
    });
    assert_eq!(open(copy.path()).unwrap().file_version(), "1.8.3");
}

#[test]
fn test_incomplete_tables_are_refused() {
    let Some(data) = fixtures() else { return };
    let table = data.join("v1.7/vrs.ht");
    let copy = copy_of(&table);
    std::fs::remove_file(copy.path().join("_SUCCESS")).unwrap();
    let (kind, message) = fails(copy.path());
    assert!(kind == ErrorKind::Input && message.contains("_SUCCESS"), "{message}");

    let copy = copy_of(&table);
    let part = part_of(copy.path(), "part-3");
    std::fs::remove_file(&part).unwrap();
    let (_, message) = fails(copy.path());
    assert!(message.contains("missing") && message.contains("part-3-"), "{message}");
    let error = open(copy.path()).unwrap().sizes().unwrap_err().to_string();
    assert!(error.contains("1 of the table's 8 parts") && error.contains("part-3-"), "{error}");

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(fails(empty.path()).0, ErrorKind::NotFound);

    let copy = copy_of(&table);
    edit_metadata(&copy.path().join("metadata.json.gz"), |json| {
        json["components"]["partition_counts"]["counts"][2] = 706.into();
    });
    let (kind, message) = fails(copy.path());
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("706 rows") && message.contains("705"), "{message}");
    assert!(message.contains("part-2-"), "{message}");
}

#[test]
fn test_truncated_parts_are_always_found_out() {
    let Some(data) = fixtures() else { return };
    for table in [
        "v1.7/vrs.ht",
        "v1.8/vrs.ht",
        "v1.7/codec_lz4size.ht",
        "v1.7/codec_stream.ht",
        "v1.8/codec_plain.ht",
    ] {
        let copy = copy_of(&data.join(table));
        let part = part_of(copy.path(), "part-1");
        let whole = std::fs::read(&part).unwrap();
        let read = || rows(&open(copy.path()).unwrap(), BatchLimits::default());
        let good = read().unwrap().len();
        let mut lengths: Vec<usize> = (0..whole.len()).step_by(whole.len() / 40 + 1).collect();
        lengths.extend(whole.len().saturating_sub(30)..whole.len());
        let mut whole_rows = 0;
        for length in lengths {
            std::fs::write(&part, &whole[..length]).unwrap();
            match read() {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("part-1-"), "{table} cut to {length}: {text}");
                }
                // The empty block at the end holds nothing that could be lost.
                Ok(found) => {
                    assert_eq!(found.len(), good, "{table} cut to {length}");
                    whole_rows += 1;
                }
            }
        }
        assert!(whole_rows <= 30, "{table}");
    }
}

#[test]
fn test_flipped_bits_never_panic_and_name_the_part() {
    let Some(data) = fixtures() else { return };
    for table in [
        "v1.7/vrs.ht",
        "v1.8/types.ht",
        "v1.7/types.ht",
        "v1.7/codec_lz4.ht",
        "v1.8/codec_plain.ht",
        "v1.7/codec_tiny.ht",
    ] {
        let copy = copy_of(&data.join(table));
        let part = part_of(copy.path(), "part-0");
        let whole = std::fs::read(&part).unwrap();
        let mut found_out = 0;
        for at in (0..whole.len()).step_by(whole.len() / 150 + 1) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&part, bytes).unwrap();
            if let Err(error) = rows(&open(copy.path()).unwrap(), BatchLimits::default()) {
                assert!(error.to_string().contains("part-0-"), "{table}: {error}");
                assert_ne!(error.kind(), ErrorKind::Internal, "{table}: {error}");
                found_out += 1;
            }
        }
        assert!(found_out > 10, "{table}: {found_out}");
    }
}

#[test]
fn test_bytes_after_the_end_are_refused() {
    let Some(data) = fixtures() else { return };
    let copy = copy_of(&data.join("v1.7/codec_stream.ht"));
    let part = part_of(copy.path(), "part-1");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes.push(7);
    std::fs::write(&part, bytes).unwrap();
    let (kind, message) = fails(copy.path());
    assert!(kind == ErrorKind::Corrupt && message.contains("follow the end"), "{message}");
}
