//! What is small in a store and would be large in memory.

use std::io::Write as _;
use std::time::{Duration, Instant};

use genomic_objects::hail;

use super::*;

/// Zeros that take little room in a zstd frame, more than any address space of these tests.
fn bomb() -> Vec<u8> {
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..2_048 {
        frame.write_all(&zeros).unwrap();
    }
    frame.finish().unwrap()
}

#[test]
fn test_compressed_objects_that_inflate_without_end_are_refused() {
    if !is_alone("bombs::test_compressed_objects_that_inflate_without_end_are_refused", 1 << 30) {
        return;
    }
    let bomb = bomb();
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    for (format, kind) in [
        (Format::Paf, "header"),
        (Format::Vcs, "schema"),
        (Format::Ram, "headers"),
        (Format::Ram, "samples"),
    ] {
        let made = Made::new(format);
        made.replace(kind, &bomb);
        let start = Instant::now();
        let error = made.ask().unwrap_err();
        assert!(is_refusal(error.kind()), "{format:?} {kind}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{format:?} {kind}");
    }
}

#[test]
fn test_arrow_files_whose_buffers_claim_to_inflate_to_more_than_there_is_are_refused() {
    for (format, end) in [(Format::Ram, ".arrow"), (Format::Srf, ".srf")] {
        let made = Made::new(format);
        made.change_chunk(end, |bytes| {
            // Before a buffer that is too short to be compressed stands -1 in place of a length.
            let length = bytes.windows(8).position(|window| window == [0xff; 8]).unwrap();
            bytes[length..length + 8].copy_from_slice(&(1_u64 << 44).to_le_bytes());
        });
        let error = verify(format, &made.store()).unwrap_err();
        assert!(is_refusal(error.kind()), "{format:?}: {error}");
    }
}

#[test]
fn test_json_that_is_huge_wide_or_deep_is_refused() {
    if !is_alone("bombs::test_json_that_is_huge_wide_or_deep_is_refused", 2 << 30) {
        return;
    }
    let made = Made::new(Format::Paf);
    let members: String = made
        .manifest()
        .iter()
        .filter(|(name, _)| *name != "digest")
        .map(|(name, value)| format!("\"{name}\": {value},\n"))
        .collect();
    let wide = format!("\"wide\": [{}[]],\n", "[],".repeat(15 << 20));
    let deep = format!("\"deep\": {}{},\n", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let text = format!("\"text\": \"{}\",\n", "x".repeat(65 << 20));
    for (more, part) in [(wide, "values"), (deep, "recursion"), (text, "larger")] {
        made.put_sealed(&seal_text(format!("{{\n{members}{more}")));
        let start = Instant::now();
        let error = made.ask().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{part}");
    }
}

#[test]
fn test_objects_larger_than_they_should_be_are_not_fetched() {
    if !is_alone("bombs::test_objects_larger_than_they_should_be_are_not_fetched", 1 << 30) {
        return;
    }
    for place in ["_metadata.json", "header"] {
        let made = Made::new(Format::Paf);
        let manifest = made.manifest();
        let path = match place {
            "header" => manifest["objects"][0]["path"].as_str().unwrap(),
            place => place,
        };
        // A file with a hole, which takes no room on disk.
        let file = std::fs::File::options().write(true).open(made.path().join(path)).unwrap();
        file.set_len(3 << 30).unwrap();
        let error = made.ask().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn test_metadata_of_a_hail_table_that_inflates_without_end_is_refused() {
    if !is_alone(
        "bombs::test_metadata_of_a_hail_table_that_inflates_without_end_is_refused",
        1 << 30,
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let spaces = vec![b' '; 1 << 20];
    (0..2_048).for_each(|_| gz.write_all(&spaces).unwrap());
    std::fs::write(folder.path().join("metadata.json.gz"), gz.finish().unwrap()).unwrap();
    std::fs::write(folder.path().join("_SUCCESS"), b"").unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    let error = hail::Table::open(&store).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("metadata.json.gz"), "{error}");
}

#[test]
fn test_a_hail_table_that_points_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t.ht");
    std::fs::create_dir(&table).unwrap();
    std::fs::write(folder.path().join("metadata.json.gz"), b"secret").unwrap();
    for path in ["..", "../x", "/etc", "a/../..", "http://other.example/x", "rows\0"] {
        let json = serde_json::json!({
            "file_version": 67_328, "hail_version": "0.2.137", "references_rel_path": "references",
            "name": "TableSpec", "table_type": "Table{global:Struct{},key:[a],row:Struct{a:Int32}}",
            "components": {
                "rows": { "name": "RVDComponentSpec", "rel_path": path },
                "partition_counts": { "name": "PartitionCountsComponentSpec", "counts": [4] },
            },
        });
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(json.to_string().as_bytes()).unwrap();
        std::fs::write(table.join("metadata.json.gz"), gz.finish().unwrap()).unwrap();
        std::fs::write(table.join("_SUCCESS"), b"").unwrap();
        let store = Store::open(table.to_str().unwrap(), &StoreOptions::default()).unwrap();
        let error = hail::Table::open(&store).err().unwrap();
        assert!(is_refusal(error.kind()), "{path}: {:?} {error}", error.kind());
    }
}
