//! Names for versions: setting, reading by, keeping, taking away.

use super::*;

fn tag(store: &Store, name: &str, at: At) -> Result<Dataset> {
    dataset::tag(store, name, &at, NOW, id())
}

fn open(store: &Store, name: &str) -> Result<Dataset> {
    Dataset::open(store, name.parse()?)
}

#[test]
fn test_tag_names_a_version_for_readers() {
    on_every_store(|store| {
        commit(store, Operation::Create, 1).unwrap();
        commit(store, Operation::Overwrite, 2).unwrap();
        let made = tag(store, "published", At::Newest).unwrap();
        assert_eq!(made.manifest().operation, Operation::Tag);
        assert_eq!((made.manifest().dataset_version, reads(&made)), (3, 2));
        assert_eq!(made.manifest().tags["published"], 2);
        commit(store, Operation::Append, 5).unwrap();
        tag(store, "first", At::Version(1)).unwrap();
        assert_eq!(reads(&open(store, "published").unwrap()), 2);
        assert_eq!(reads(&open(store, "first").unwrap()), 1);
        assert_eq!(reads(&open(store, "v4").unwrap()), 7);

        // A name moves; its version may be given by another name.
        tag(store, "published", At::Tag("first".into())).unwrap();
        assert_eq!(reads(&open(store, "published").unwrap()), 1);
        let log = dataset::log(store).unwrap();
        assert_eq!(log[5].tags, ["first", "published"]);
        assert_eq!(reads(&Dataset::open(store, At::Newest).unwrap()), 7);
        assert_sound(store);

        let error = open(store, "publish").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("first, published"), "{error}");
        for (name, at, kind) in [
            ("7", At::Newest, ErrorKind::Usage),
            ("v7", At::Newest, ErrorKind::Usage),
            ("a b", At::Newest, ErrorKind::Usage),
            ("x", At::Version(9), ErrorKind::NotFound),
            ("x", At::Tag("y".into()), ErrorKind::NotFound),
        ] {
            assert_eq!(tag(store, name, at).unwrap_err().kind(), kind, "{name}");
        }
    });
}

#[test]
fn test_tagged_versions_survive_collections_until_untagged() {
    on_every_store(|store| {
        for n in 1..=4 {
            commit(store, if n == 1 { Operation::Create } else { Operation::Overwrite }, n)
                .unwrap();
        }
        tag(store, "kept", At::Version(2)).unwrap();
        let collected = dataset::gc(store, &gc_options(1, 0)).unwrap();
        assert_eq!((collected.oldest_version, &collected.versions[..]), (5, &[1, 3, 4][..]));
        assert_sound(store);
        let kept = open(store, "kept").unwrap();
        assert_eq!(reads(&kept), 2);
        assert_eq!(reads(&Dataset::open(store, At::Version(2)).unwrap()), 2);
        assert_eq!(Dataset::open(store, At::Version(3)).unwrap_err().kind(), ErrorKind::NotFound);
        let report = dataset::verify(&kept, &count_reads, 2, None).unwrap();
        assert!(report.problems.is_empty());
        let log = dataset::log(store).unwrap();
        let kept: Vec<u64> = log
            .iter()
            .filter(|entry| entry.kept)
            .map(|entry| entry.manifest.dataset_version)
            .collect();
        assert_eq!(kept, [6, 5, 2]);
        assert_eq!(dataset::gc(store, &gc_options(1, 0)).unwrap().version, None);

        // A version that was given up cannot be named, and one that is kept can be gone back to.
        assert_eq!(tag(store, "x", At::Version(3)).unwrap_err().kind(), ErrorKind::NotFound);
        let back = dataset::rollback(store, &At::Tag("kept".into()), NOW, id()).unwrap();
        assert_eq!((back.manifest().source.unwrap().version, reads(&back)), (2, 2));
        assert_eq!(back.manifest().tags["kept"], 2);

        commit(store, Operation::Overwrite, 9).unwrap();
        let made = dataset::untag(store, "kept", NOW, id()).unwrap();
        assert!(made.manifest().tags.is_empty());
        assert_eq!(
            dataset::untag(store, "kept", NOW, id()).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(Dataset::open(store, At::Version(2)).unwrap_err().kind(), ErrorKind::NotFound);
        dataset::gc(store, &gc_options(1, 0)).unwrap();
        assert_sound(store);
        let chunks = keys(store).iter().filter(|key| key.starts_with("chr1/")).count();
        assert_eq!(chunks, 1);
    });
}

#[test]
fn test_copies_of_all_versions_carry_tags_and_those_of_one_do_not() {
    on_every_store(|target| {
        let source = Store::in_memory();
        commit(&source, Operation::Create, 1).unwrap();
        commit(&source, Operation::Overwrite, 2).unwrap();
        tag(&source, "old", At::Version(1)).unwrap();
        dataset::gc(&source, &gc_options(1, 0)).unwrap();
        commit(&source, Operation::Overwrite, 3).unwrap();
        dataset::gc(&source, &gc_options(1, 0)).unwrap();
        dataset::copy_all(&source, target, 2, None).unwrap();
        assert_eq!(reads(&open(target, "old").unwrap()), 1);
        assert_sound(target);

        let single = Store::in_memory();
        let old = open(&source, "old").unwrap();
        let copied = dataset::copy(&old, &single, false, NOW, id(), 1, None).unwrap();
        assert!(copied.dataset.manifest().tags.is_empty());
        assert_sound(&single);
    });
}

#[test]
fn test_tag_of_another_dataset_is_no_tag_of_the_copy_over_it() {
    let source = Store::in_memory();
    let newest = commit(&source, Operation::Create, 1).unwrap();
    let target = Store::in_memory();
    commit(&target, Operation::Create, 5).unwrap();
    tag(&target, "mine", At::Newest).unwrap();
    let copied = dataset::copy(&newest, &target, true, NOW, id(), 1, None).unwrap();
    assert_eq!(copied.dataset.manifest().tags["mine"], 1);
    assert_eq!(reads(&open(&target, "mine").unwrap()), 5);
    assert_sound(&target);
}
