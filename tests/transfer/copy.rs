//! Copies that are interrupted, continued and large.

use genomic_objects::{
    dataset::{self, Dataset, Operation, Outstanding},
    error::ErrorKind,
    pipeline::Progress,
    store::Store,
};
use testkit::s3;

use crate::{
    commit, content, id, newest, noise, small,
    support::{disk_store, on_every_store, s3_store},
    verified,
};

#[test]
fn test_push_that_dies_at_any_request_is_finished_by_the_next() {
    let server = s3::Server::start().unwrap();
    let source = small();
    let whole = content(&source);
    let mut died = 0;
    for step in 0.. {
        let target = s3_store(&server, &format!("step{step}.test"));
        server.die_after(Some(step));
        let outcome = dataset::copy_all(&source, &target, 1, None);
        server.die_after(None);
        let ended = outcome.is_ok();
        died += u32::from(!ended);
        match Dataset::find(&target).unwrap() {
            // What is seen is whole, whenever it is seen.
            Some(seen) => assert!(verified(&seen).unwrap().problems.is_empty(), "step {step}"),
            None => assert!(!ended),
        }
        let again = dataset::copy_all(&source, &target, 2, None).unwrap();
        assert!(content(&target) == whole, "step {step}");
        assert_eq!(again.objects + again.skipped, 5);
        assert!(verified(&again.dataset).unwrap().problems.is_empty());
        // The last request of all copies a manifest to where readers begin; it may fail.
        if ended && dataset::copy_all(&source, &target, 1, None).unwrap().objects == 0 {
            break;
        }
    }
    assert!(died > 8, "every object and manifest is a step: {died}");
}

#[test]
fn test_copy_of_one_version_that_dies_at_any_request_is_finished_by_the_next() {
    let server = s3::Server::start().unwrap();
    let source = newest(&small());
    for step in 0.. {
        let target = s3_store(&server, &format!("step{step}.test"));
        server.die_after(Some(step));
        let outcome = dataset::copy(&source, &target, false, crate::NOW, id(), 1, None);
        server.die_after(None);
        if let Some(seen) = Dataset::find(&target).unwrap() {
            assert!(verified(&seen).unwrap().problems.is_empty(), "step {step}");
            assert_eq!(seen.chunks().unwrap(), source.chunks().unwrap());
        } else {
            assert!(outcome.is_err());
            let copied = dataset::copy(&source, &target, false, crate::NOW, id(), 1, None).unwrap();
            assert_eq!(copied.dataset.chunks().unwrap(), source.chunks().unwrap());
        }
        if outcome.is_ok() {
            break;
        }
    }
}

#[test]
fn test_copy_sends_only_what_is_missing() {
    on_every_store(|target| {
        let source = small();
        let all = dataset::outstanding_of_all(&source, target).unwrap();
        assert_eq!(all, Outstanding { objects: 5, bytes: 7000, skipped: 0 });
        let progress = Progress::default();
        let copied = dataset::copy_all(&source, target, 4, Some(&progress)).unwrap();
        assert_eq!((copied.objects, copied.bytes, copied.skipped), (5, 7000, 0));
        let seen = progress.snapshot();
        assert_eq!((seen.items, seen.bytes_in, seen.total_in), (5, 7000, Some(7000)));

        let before = target.meter();
        let again = dataset::copy_all(&source, target, 4, None).unwrap();
        assert_eq!((again.objects, again.skipped), (0, 5));
        assert_eq!(target.meter().since(&before).bytes_sent, 0);

        // An object that was cut short is sent again; one of another dataset is let be.
        let chunks = newest(&source).chunks().unwrap();
        target.put(&chunks[0].path, noise(1, 999)).unwrap();
        target.put("notes.txt", noise(1, 10)).unwrap();
        commit(&source, Operation::Append, &[50]);
        let more = dataset::copy_all(&source, target, 4, None).unwrap();
        assert_eq!((more.objects, more.skipped), (3, 4));
        assert!(verified(&more.dataset).unwrap().problems.is_empty());
    });
}

#[test]
fn test_large_objects_are_copied_in_equal_parts() {
    const MIB: usize = 1 << 20;
    let server = s3::Server::start().unwrap();
    let source = Store::in_memory();
    commit(&source, Operation::Create, &[16 * MIB, 16 * MIB + 1, 27 * MIB]);
    let target = s3_store(&server, "large.test");
    let copied = dataset::copy_all(&source, &target, 3, None).unwrap();
    assert!(verified(&copied.dataset).unwrap().problems.is_empty());

    let log = server.log();
    let parts = |chunk: &str| -> Vec<usize> {
        let puts = log.iter().filter(|r| r.method == "PUT" && r.path.contains(chunk));
        // Two are under way at once, and may arrive in any order.
        let mut parts: Vec<(u32, usize)> = puts
            .filter_map(|put| {
                let (_, number) = put.query.as_ref()?.split_once("partNumber=")?;
                let number = number.split('&').next()?.parse().ok()?;
                Some((number, put.headers["content-length"].parse().unwrap()))
            })
            .collect();
        parts.sort_unstable();
        parts.into_iter().map(|(_, length)| length).collect()
    };
    assert_eq!(parts("chunk_0000"), [0; 0]);
    assert_eq!(parts("chunk_0001"), [8 * MIB, 8 * MIB, 1]);
    assert_eq!(parts("chunk_0002"), [8 * MIB, 8 * MIB, 8 * MIB, 3 * MIB]);
    for put in log.iter().filter(|request| request.method == "PUT") {
        assert!(put.headers.contains_key("x-amz-checksum-sha256"), "{put:?}");
    }

    // From there to disk, by ranges.
    let dir = tempfile::tempdir().unwrap();
    let disk = disk_store(&dir);
    dataset::copy_all(&target, &disk, 3, None).unwrap();
    assert!(content(&disk) == content(&source));
}

#[test]
fn test_large_object_that_is_damaged_leaves_nothing() {
    let source = Store::in_memory();
    let dataset = commit(&source, Operation::Create, &[17 << 20]);
    let path = &dataset.chunks().unwrap()[0].path;
    let mut bytes = source.get(path).unwrap().to_vec();
    bytes[9 << 20] ^= 1;
    source.put(path, bytes.into()).unwrap();
    on_every_store(|target| {
        let error = dataset::copy_all(&source, target, 2, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(path), "{error}");
        assert_eq!(target.find(path).unwrap(), None);
        assert!(Dataset::find(target).unwrap().is_none());
    });
}

#[test]
fn test_copy_clears_what_it_left_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let target = disk_store(&dir);
    let source = small();
    let path = &newest(&source).chunks().unwrap()[0].path;
    let staged = dir.path().join("not/yet/there.paf").join(format!("{path}#1"));
    std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
    std::fs::write(&staged, "half").unwrap();
    dataset::copy_all(&source, &target, 2, None).unwrap();
    assert!(!staged.exists());
}

#[test]
fn test_push_copies_lists_of_condemned_names_too() {
    let source = Store::in_memory();
    commit(&source, Operation::Create, &[1; 600]);
    commit(&source, Operation::Overwrite, &[2]);
    let options = dataset::GcOptions {
        keep: Some(1),
        older_than: None,
        grace: std::time::Duration::ZERO,
        now: std::time::SystemTime::now() + std::time::Duration::from_secs(60),
        created: crate::NOW.into(),
        id: id(),
        dry_run: false,
    };
    assert!(dataset::gc(&source, &options).unwrap().objects.len() > 500);
    let target = Store::in_memory();
    let copied = dataset::copy_all(&source, &target, 2, None).unwrap();
    assert!(verified(&copied.dataset).unwrap().problems.is_empty());
}

#[test]
fn test_push_keeps_many_requests_under_way() {
    let server = s3::Server::start().unwrap();
    let source = Store::in_memory();
    commit(&source, Operation::Create, &[1000; 200]);
    let target = s3_store(&server, "many.test");
    server.set_latency(std::time::Duration::from_millis(30));
    dataset::copy_all(&source, &target, 64, None).unwrap();
    // Without latency it takes a moment; with it, so many times 30 ms.
    let trips = server.dependent_round_trips();
    assert!(trips < 30, "{trips} requests one after the other for 200 objects");
}

#[test]
fn test_push_waits_for_four_answers_in_turn() {
    let server = s3::Server::start().unwrap();
    let source = Store::in_memory();
    commit(&source, Operation::Create, &[1000; 5]);
    let target = s3_store(&server, "new.test");
    server.set_latency(std::time::Duration::from_millis(100));
    let copied = dataset::copy_all(&source, &target, 64, None).unwrap();
    // What is there; the objects; the manifest; what readers begin from.
    assert_eq!(server.dependent_round_trips(), 4);
    assert!(verified(&copied.dataset).unwrap().problems.is_empty());
}
