//! Copies of one version and of all.

use super::*;

#[test]
fn test_copy_makes_a_clean_dataset_of_one_version() {
    on_every_store(|target| {
        let source = Store::in_memory();
        commit(&source, Operation::Create, 1).unwrap();
        commit(&source, Operation::Append, 2).unwrap();
        let second = commit_many(&source, Operation::Append, 0);
        let copied = dataset::copy(&second, target, false, NOW, id(), 2, None).unwrap();
        assert_eq!((copied.objects, copied.skipped), (2, 0));
        let opened = Dataset::open(target, At::Newest).unwrap();
        assert_eq!(opened.manifest().dataset_version, 1);
        assert_eq!(opened.manifest().operation, Operation::Copy);
        assert_eq!(opened.manifest().source.unwrap().version, 3);
        assert_eq!(opened.chunks().unwrap(), second.chunks().unwrap());
        assert!(dataset::verify(&opened, &count_reads, 2, None).unwrap().problems.is_empty());

        let again = dataset::copy(&second, target, false, NOW, id(), 2, None);
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Exists);
        let again = dataset::copy(&second, target, true, NOW, id(), 2, None).unwrap();
        assert_eq!((again.objects, again.skipped), (0, 2));
        assert_eq!(again.dataset.manifest().dataset_version, 2);
    });
}

#[test]
fn test_copy_of_all_versions_can_be_continued() {
    on_every_store(|target| {
        let source = Store::in_memory();
        for n in 1..=3 {
            let operation = if n == 1 { Operation::Create } else { Operation::Overwrite };
            commit(&source, operation, n).unwrap();
        }
        dataset::gc(&source, &gc_options(2, 0)).unwrap();
        dataset::copy_all(&source, target, 2, None).unwrap();
        commit(&source, Operation::Append, 9).unwrap();
        let copied = dataset::copy_all(&source, target, 2, None).unwrap();
        assert_eq!(copied.dataset.manifest().dataset_version, 5);
        assert_eq!((copied.objects, copied.skipped), (2, 4));
        let digests = |store: &Store| -> Vec<Checksum> {
            dataset::log(store).unwrap().iter().map(|entry| entry.manifest.digest).collect()
        };
        assert_eq!(digests(target), digests(&source));
        assert_eq!(keys(target), keys(&source));

        commit(target, Operation::Append, 1).unwrap();
        commit(&source, Operation::Append, 2).unwrap();
        let error = dataset::copy_all(&source, target, 2, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    });
}

#[test]
fn test_copy_notices_a_damaged_source() {
    let source = Store::in_memory();
    let dataset = commit(&source, Operation::Create, 5).unwrap();
    source.put(&dataset.chunks().unwrap()[0].path, Bytes::from_static(b"rrrrR")).unwrap();
    let target = Store::in_memory();
    let error = dataset::copy(&dataset, &target, false, NOW, id(), 2, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(Dataset::find(&target).unwrap().is_none());
}
