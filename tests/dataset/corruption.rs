//! Damage, and the published schema.

use super::*;

/// Every object of a small dataset with history, a list of chunks and an index.
fn small_dataset() -> Store {
    let store = Store::in_memory();
    commit(&store, Operation::Create, 3).unwrap();
    commit(&store, Operation::Append, 4).unwrap();
    store
}

#[test]
fn test_every_flipped_byte_is_an_error_or_changes_nothing() {
    let store = small_dataset();
    let answer = |store: &Store| -> Result<(Manifest, Vec<Bytes>)> {
        let dataset = Dataset::open(store, At::Newest)?;
        let mut bytes = Vec::new();
        for object in &dataset.manifest().objects {
            bytes.push(dataset.read(object)?);
        }
        for chunk in dataset.chunks()?.iter() {
            bytes.push(dataset.read_chunk(chunk)?);
        }
        Ok((dataset.manifest().clone(), bytes))
    };
    let good = answer(&store).unwrap();
    let newest = manifest_path(2);
    let dataset = Dataset::open(&store, At::Newest).unwrap();
    let live: Vec<String> = dataset.files().unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(live.len(), 4);
    for object in store.list("").unwrap() {
        let original = store.get(&object.key).unwrap();
        for at in 0..original.len() {
            let mut bad = original.to_vec();
            bad[at] ^= 1 << (at % 8);
            store.put(&object.key, bad.into()).unwrap();
            let place = format!("{} byte {at}", object.key);
            match answer(&store) {
                Ok(found) => assert!(found == good, "{place}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{place}: {error}");
                    assert!(error.to_string().contains(&object.key), "{place}: {error}");
                }
            }
            let report = dataset::verify(&dataset, &count_reads, 2, None).unwrap();
            let needed = live.contains(&object.key) || object.key == "_metadata.json";
            let named: Vec<_> = report.problems.iter().map(|p| p.path.as_str()).collect();
            assert_eq!(named, if needed { vec![object.key.as_str()] } else { vec![] }, "{place}");
        }
        for length in [0, original.len() / 2, original.len() - 1] {
            store.put(&object.key, original.slice(..length)).unwrap();
            if live.contains(&object.key) && object.key != newest {
                assert!(answer(&store).is_err(), "{} cut to {length}", object.key);
            }
        }
        store.put(&object.key, original).unwrap();
    }
    assert!(answer(&store).unwrap() == good);
}

#[test]
fn test_verify_reports_all_problems_at_once() {
    on_every_store(|store| {
        commit(store, Operation::Create, 3).unwrap();
        let dataset = commit(store, Operation::Append, 4).unwrap();
        let report = dataset::verify(&dataset, &count_reads, 3, None).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!((report.objects, report.counts["reads"]), (5, 7));
        assert_eq!(report.notes.len(), 1, "the index of version 1: {:?}", report.notes);

        let chunks = dataset.chunks().unwrap();
        store.delete(&[chunks[0].path.clone()]).unwrap();
        store.put(&chunks[1].path, Bytes::from_static(b"rrr")).unwrap();
        store.put("_metadata.json", Bytes::from_static(b"{")).unwrap();
        let report = dataset::verify(&dataset, &count_reads, 3, None).unwrap();
        let paths: Vec<&str> = report.problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["_metadata.json", &chunks[0].path, &chunks[1].path]);

        let wrong = |_: &ChunkEntry, _: &Bytes| Ok(Counts::from([("reads".into(), 5)]));
        let sound = commit(store, Operation::Overwrite, 4).unwrap();
        let report = dataset::verify(&sound, &wrong, 1, None).unwrap();
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].error.to_string().contains("expected {\"reads\": 4}"));
    });
}

#[test]
fn test_manifests_conform_to_the_published_schema() {
    let store = Store::in_memory();
    commit_many(&store, Operation::Create, 1000);
    commit(&store, Operation::Append, 3).unwrap();
    commit(&store, Operation::Overwrite, 4).unwrap();
    commit(&store, Operation::Overwrite, 5).unwrap();
    dataset::rollback(&store, &At::Version(3), NOW, id()).unwrap();
    dataset::gc(&store, &gc_options(1, 0)).unwrap();
    dataset::tag(&store, "freeze-1.0_b", &At::Newest, NOW, id()).unwrap();
    let target = Store::in_memory();

    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut add = |bytes: &[u8]| {
        let path = dir.path().join(format!("{}.json", files.len()));
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    };
    for version in 1..=7 {
        add(&store.get(&manifest_path(version)).unwrap());
    }
    commit(&target, Operation::Create, 1).unwrap();
    let good = String::from_utf8(target.get(&manifest_path(1)).unwrap().to_vec()).unwrap();
    let bad = [
        good.replace("\"dataset_version\": 1", "\"dataset_version\": 0"),
        good.replace("chr1/", "../"),
        good.replace("\"reads\":1", "\"reads\":\"one\""),
        good.replace("sha256:", "sha1:"),
        good.replace("\"operation\": \"create\"", "\"operation\": \"guess\""),
        good.replace("  \"condemned\": [],\n", ""),
        good.replace("  \"condemned\"", "  \"tags\": {\"v7\": 1},\n  \"condemned\""),
        good.replace("  \"condemned\"", "  \"tags\": {\"x\": 0},\n  \"condemned\""),
    ];
    for bad in &bad {
        assert_ne!(bad, &good);
        add(bad.as_bytes());
    }
    if !python::require(&["jsonschema"]) {
        return;
    }
    let valid = python::conform(&["manifest.schema.json"], &files).unwrap();
    assert_eq!(valid, [[true; 7].as_slice(), &[false; 8]].concat());
}
