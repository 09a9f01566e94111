//! What is damaged or missing comes back from a copy.

use bytes::Bytes;
use genomic_objects::{
    dataset::{self, At, Operation, manifest_path},
    error::ErrorKind,
    store::Store,
};

use crate::{commit, content, newest, small, support::on_every_store, verified};

#[test]
fn test_repair_puts_back_every_object_of_a_version() {
    on_every_store(|store| {
        let copy = small();
        dataset::copy_all(&copy, store, 2, None).unwrap();
        let whole = content(store);
        for (key, bytes) in &whole {
            for damage in ["flip", "cut", "delete"] {
                match damage {
                    "flip" => {
                        let mut bad = bytes.to_vec();
                        bad[bytes.len() / 2] ^= 1;
                        store.put(key, bad.into()).unwrap();
                    }
                    "cut" => store.put(key, bytes.slice(..bytes.len() - 1)).unwrap(),
                    _ => store.delete(std::slice::from_ref(key)).unwrap(),
                }
                let done = dataset::repair(store, At::Newest, &copy, &verified).unwrap();
                assert!(done.report.problems.is_empty(), "{damage} {key}: {:?}", done.report);
                // What only an older version needs is restored by repairing that one.
                if !content(store).iter().eq(&whole) {
                    let done = dataset::repair(store, At::Version(1), &copy, &verified).unwrap();
                    assert!(done.report.problems.is_empty(), "{damage} {key}: {:?}", done.report);
                }
                // A missing copy of the manifest is no damage, and is left to the next commit.
                if key != "_metadata.json" || damage != "delete" {
                    assert!(content(store) == whole, "{damage} {key}");
                }
                store.put(key, bytes.clone()).unwrap();
            }
        }
        let done = dataset::repair(store, At::Newest, &copy, &verified).unwrap();
        assert_eq!(done.restored, [""; 0]);
    });
}

#[test]
fn test_repair_follows_lists_of_chunks() {
    let store = Store::in_memory();
    let dataset = commit(&store, Operation::Create, &[1; 900]);
    let segment = dataset.manifest().chunk_segments[0].path.clone();
    let copy = Store::in_memory();
    dataset::copy_all(&store, &copy, 2, None).unwrap();
    let chunk = dataset.chunks().unwrap()[5].path.clone();
    store.put(&segment, Bytes::from_static(b"[]")).unwrap();
    store.delete(std::slice::from_ref(&chunk)).unwrap();
    store.put("_metadata.json", Bytes::from_static(b"{")).unwrap();
    let done = dataset::repair(&store, At::Newest, &copy, &verified).unwrap();
    assert!(done.report.problems.is_empty(), "{:?}", done.report.problems);
    assert_eq!(done.restored.len(), 3, "{:?}", done.restored);
    assert!(content(&store) == content(&copy));
}

#[test]
fn test_repair_when_every_manifest_is_damaged() {
    let copy = small();
    let store = Store::in_memory();
    dataset::copy_all(&copy, &store, 2, None).unwrap();
    for key in ["_metadata.json", &manifest_path(1), &manifest_path(2)] {
        store.put(key, Bytes::from_static(b"{}")).unwrap();
    }
    let done = dataset::repair(&store, At::Newest, &copy, &verified).unwrap();
    assert!(done.report.problems.is_empty(), "{:?}", done.report.problems);
    assert!(content(&store) == content(&copy));
}

#[test]
fn test_repair_takes_nothing_from_another_dataset_nor_from_a_damaged_copy() {
    let store = small();
    let other = Store::in_memory();
    commit(&other, Operation::Create, &[1000]);
    let chunk = newest(&store).chunks().unwrap()[0].path.clone();
    store.put(&chunk, Bytes::from_static(b"bad")).unwrap();
    let error = dataset::repair(&store, At::Newest, &other, &verified).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");

    let copy = Store::in_memory();
    dataset::copy_all(&small(), &copy, 2, None).unwrap();
    let twin = Store::in_memory();
    for (key, bytes) in content(&store) {
        twin.put(&key, bytes).unwrap();
    }
    let done = dataset::repair(&store, At::Newest, &twin, &verified).unwrap();
    assert_eq!(done.report.problems.len(), 1);
    assert_eq!(store.get(&chunk).unwrap(), "bad", "nothing unverified is written");
    let notes = done.report.notes.join("\n");
    assert!(notes.contains("the copy is no help") && notes.contains(&chunk), "{notes}");
}

#[test]
fn test_repair_of_nothing_is_refused() {
    let error = dataset::repair(&Store::in_memory(), At::Newest, &small(), &verified).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
