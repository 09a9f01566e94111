//! Finding the newest version, whatever the hint says.

use super::*;

#[test]
fn test_open_survives_any_state_of_the_hint() {
    on_every_store(|store| {
        let mut hints = Vec::new();
        for n in 1..=9 {
            commit(store, if n == 1 { Operation::Create } else { Operation::Overwrite }, n)
                .unwrap();
            hints.push(store.get("_metadata.json").unwrap());
        }
        let newest = || Dataset::open(store, At::Newest).map(|d| d.manifest().dataset_version);
        for old in hints {
            store.put("_metadata.json", old).unwrap();
            assert_eq!(newest().unwrap(), 9);
        }
        for bad in ["", "{}", "not json"] {
            store.put("_metadata.json", Bytes::from_static(bad.as_bytes())).unwrap();
            assert_eq!(newest().unwrap(), 9);
        }
        store.delete(&["_metadata.json".into()]).unwrap();
        assert_eq!(newest().unwrap(), 9);

        let mut bad = store.get(&manifest_path(9)).unwrap().to_vec();
        bad[20] ^= 1;
        store.put(&manifest_path(9), bad.into()).unwrap();
        let error = newest().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("v00000000000000000009.json"), "{error}");
    });
}

#[test]
fn test_open_takes_one_round_trip_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    commit(&disk_store(&dir), Operation::Create, 3).unwrap();
    let server = http::Server::start(dir.path().join("not/yet/there.paf")).unwrap();
    server.set_latency(Duration::from_millis(30));
    let store = Store::open(&server.url(), &StoreOptions::default()).unwrap();
    let (dataset, index) = Dataset::open_and(&store, At::Newest, |dataset| {
        dataset.read(&dataset.manifest().objects[0])
    })
    .unwrap();
    assert_eq!(index, "index of 3");
    assert_eq!(server.dependent_round_trips(), 2);
    dataset.read_chunk(&dataset.chunks().unwrap()[0]).unwrap();
    assert_eq!(server.dependent_round_trips(), 3);
    assert_eq!(store.meter().round_trips, 3);
    assert_eq!(server.log().len(), 4, "hint, probe, index, chunk");
    let error = Transaction::for_output(&store, true, id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn test_open_repeats_the_work_on_a_newer_version() {
    let store = Store::in_memory();
    commit(&store, Operation::Create, 1).unwrap();
    let hint = store.get("_metadata.json").unwrap();
    commit(&store, Operation::Overwrite, 2).unwrap();
    store.put("_metadata.json", hint).unwrap();
    let (dataset, index) = Dataset::open_and(&store, At::Newest, |dataset| {
        // On the old version this fails, which must not matter.
        assert!(dataset.manifest().dataset_version <= 2);
        dataset.read(&dataset.manifest().objects[0])
    })
    .unwrap();
    assert_eq!((dataset.manifest().dataset_version, &index[..]), (2, &b"index of 2"[..]));
}

#[test]
fn test_denied_probes_mean_missing_versions() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "d");
    commit(&store, Operation::Create, 1).unwrap();
    server.fail("GET", &manifest_path(2), Fault::Answer(403), 1);
    assert_eq!(Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version, 1);
    server.fail("GET", "/d/", Fault::Answer(403), 10);
    let error = Dataset::open(&store, At::Newest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("access denied"), "{error}");
}
