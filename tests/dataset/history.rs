//! Versions: listing, comparing, going back.

use super::*;

#[test]
fn test_versions_follow_each_other() {
    on_every_store(|store| {
        commit(store, Operation::Create, 1).unwrap();
        commit(store, Operation::Append, 2).unwrap();
        let third = commit(store, Operation::Overwrite, 7).unwrap();
        assert_eq!(third.manifest().dataset_version, 3);
        let read = |at| reads(&Dataset::open(store, at).unwrap());
        assert_eq!(
            [At::Version(1), At::Version(2), At::Version(3), At::Newest].map(read),
            [1, 3, 7, 7]
        );
        let error = Dataset::open(store, At::Version(4)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("up to 3"), "{error}");

        let log = dataset::log(store).unwrap();
        let operations: Vec<_> = log.iter().map(|entry| entry.manifest.operation).collect();
        assert_eq!(operations, [Operation::Overwrite, Operation::Append, Operation::Create]);
        for pair in log.windows(2) {
            let parent = pair[0].manifest.parent.unwrap();
            assert_eq!(parent.version, pair[1].manifest.dataset_version);
            assert_eq!(parent.digest, pair[1].manifest.digest);
        }
    });
}

#[test]
fn test_diff_shows_what_changed() {
    let store = Store::in_memory();
    let one = commit(&store, Operation::Create, 1).unwrap();
    let two = commit(&store, Operation::Append, 2).unwrap();
    let difference = dataset::diff(&one, &two).unwrap();
    assert_eq!(difference.common, 1);
    assert_eq!(difference.counts_before["reads"], 1);
    assert_eq!(difference.counts_after["reads"], 3);
    let kinds = |objects: &[dataset::LiveObject]| -> Vec<String> {
        objects.iter().map(|object| object.kind.clone()).collect()
    };
    assert_eq!(kinds(&difference.added), ["index", "chunk"]);
    assert_eq!(kinds(&difference.removed), ["index"]);
}

#[test]
fn test_rollback_repeats_old_content_as_a_new_version() {
    on_every_store(|store| {
        let one = commit(store, Operation::Create, 1).unwrap();
        commit(store, Operation::Overwrite, 2).unwrap();
        let third = dataset::rollback(store, &At::Version(1), NOW, id()).unwrap();
        let manifest = third.manifest();
        assert_eq!((manifest.dataset_version, manifest.operation), (3, Operation::Rollback));
        assert_eq!(manifest.source.unwrap().digest, one.manifest().digest);
        assert_eq!(manifest.objects, one.manifest().objects);
        assert_eq!(manifest.fields, one.manifest().fields);
        assert_eq!(reads(&Dataset::open(store, At::Newest).unwrap()), 1);
        for (version, kind) in [(3, ErrorKind::Usage), (9, ErrorKind::NotFound)] {
            let error = dataset::rollback(store, &At::Version(version), NOW, id()).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
        let second = Dataset::open(store, At::Version(2)).unwrap();
        store.delete(&[second.chunks().unwrap()[0].path.clone()]).unwrap();
        let error = dataset::rollback(store, &At::Version(2), NOW, id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    });
}
