//! Paths that lead out of the dataset.

use genomic_objects::dataset::copy_all;

use super::*;

const PATHS: [&str; 15] = [
    "../secret.bin",
    "chr1/../../secret.bin",
    "/etc/passwd",
    "//host/x",
    "./x",
    "a//b",
    "a/",
    "a\\..\\b",
    "%2e%2e/secret.bin",
    "..%2fsecret.bin",
    "http://other.example/x",
    "s3://bucket/x",
    "_metadata.json",
    "_manifests/v00000000000000000002.json",
    "chr1/é",
];

#[test]
fn test_paths_out_of_the_dataset_are_refused_by_name() {
    for format in FORMATS {
        let made = Made::new(format);
        let secret = made.folder.path().join("secret.bin");
        std::fs::write(&secret, b"secret").unwrap();
        let good = made.manifest();
        for path in PATHS {
            for list in ["chunks", "objects"] {
                let mut members = good.clone();
                members[list][0]["path"] = path.into();
                made.put_manifest(&members);
                let error = made.ask().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{format:?} {path}: {error}");
                let shown: String = path.chars().flat_map(char::escape_default).collect();
                let text = error.to_string();
                assert!(text.contains(&shown) && text.contains("dataset"), "{path}: {text}");
                let target = Store::in_memory();
                assert!(copy_all(&made.store(), &target, 1, None).is_err());
                assert!(target.list("").unwrap().is_empty(), "{path}");
            }
        }
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    }
}

#[test]
fn test_paths_in_lists_of_chunks_are_refused() {
    for path in PATHS {
        let made = Made::new(Format::Paf);
        let mut chunk = made.manifest()["chunks"][0].clone();
        chunk["path"] = path.into();
        let list = serde_json::json!({ "chunks": [chunk] }).to_string();
        let place = "_manifests/segments/00000.0707070707070707.json";
        std::fs::create_dir_all(made.path().join("_manifests/segments")).unwrap();
        std::fs::write(made.path().join(place), &list).unwrap();
        made.change(|members| {
            members["chunks"] = Value::Array(Vec::new());
            members["chunk_segments"] = serde_json::json!([{
                "path": place, "size_bytes": list.len(), "chunks": 1,
                "checksum": Checksum::of(list.as_bytes()).to_string(),
            }]);
        });
        let dataset = Dataset::open(&made.store(), At::Newest).unwrap();
        let error = dataset.chunks().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{path}: {error}");
        assert!(error.to_string().contains("segments/00000"), "{error}");
    }
}

#[test]
fn test_paths_in_indexes_are_refused() {
    // Of alignments: the object with the pages. The others name it among `objects`.
    for path in PATHS {
        let made = Made::new(Format::Paf);
        made.change(|members| {
            let index = members["index"].as_object_mut().unwrap();
            index.remove("inline");
            index.insert("path".into(), path.into());
        });
        let error = made.ask().unwrap_err();
        assert!(is_refusal(error.kind()), "{path}: {error}");
    }
}

#[test]
fn test_pages_outside_of_their_object_or_over_each_other_are_refused() {
    let made = Made::new(Format::Paf);
    let good = made.manifest();
    let page = good["index"]["pages"][0].clone();
    for (field, lie) in [(5, 1_u64 << 40), (5, u64::MAX), (6, 0), (6, 1 << 31), (7, 1 << 27)] {
        let mut members = good.clone();
        members["index"]["pages"][0][field] = lie.into();
        made.put_manifest(&members);
        let error = made.ask().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{field} {lie}: {error}");
    }
    let mut members = good;
    members["index"]["pages"] = Value::Array(vec![page.clone(), page]);
    made.put_manifest(&members);
    let error = made.ask().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
