//! Datasets on every kind of store: commits, faults, history, corruption.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use genomic_objects::{
    dataset::{
        self, At, Checksum, ChunkEntry, Counts, Dataset, Draft, Fields, GcOptions, Manifest,
        Operation, Transaction, TransactionId, manifest_path,
    },
    error::{ErrorKind, Result},
    store::{Store, StoreOptions},
};
use support::{disk_store, on_every_store, s3_options, s3_store};
use testkit::{http, python, s3, server::Fault};

const NOW: &str = "2026-01-15T10:30:00Z";

/// An id no other transaction of this test has.
fn id() -> TransactionId {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    TransactionId::from_bytes([NEXT.fetch_add(1, Ordering::Relaxed); 16])
}

fn draft(operation: Operation) -> Draft {
    let mut fields = Fields::default();
    fields.set("sample", "NA12878").unwrap();
    Draft {
        format: "test".into(),
        version: "1.0".into(),
        fields,
        created: NOW.into(),
        required_features: vec![],
        inputs: vec![],
        objects: vec![],
        chunks: vec![],
        keep_chunks: operation == Operation::Append,
        operation,
    }
}

/// A chunk of the test format: one byte per read.
fn put_chunk(transaction: &Transaction, stem: &str, reads: usize) -> ChunkEntry {
    let bytes = Bytes::from(vec![b'r'; reads]);
    let path = transaction.path("chr1", stem, "bin").unwrap();
    transaction.store().put(&path, bytes.clone()).unwrap();
    ChunkEntry::new(path, &bytes, Counts::from([("reads".into(), reads as u64)]))
}

fn count_reads(_: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    Ok(Counts::from([("reads".into(), bytes.len() as u64)]))
}

/// Commits a version of one chunk with so many reads, and an index.
fn commit(store: &Store, operation: Operation, reads: usize) -> Result<Dataset> {
    let base = Dataset::find(store)?;
    let transaction = Transaction::begin(store, base.as_ref(), id())?;
    let mut draft = draft(operation);
    draft.chunks.push(put_chunk(&transaction, "chunk_0", reads));
    let index = Bytes::from(format!("index of {reads}"));
    draft.objects.push(transaction.put_object("index", "_index", "root", "idx", index)?);
    transaction.commit(draft)
}

fn reads(dataset: &Dataset) -> u64 {
    dataset.counts().unwrap()["reads"]
}

fn keys(store: &Store) -> Vec<String> {
    store.list("").unwrap().into_iter().map(|object| object.key).collect()
}

#[test]
fn test_dataset_appears_by_its_commit() {
    on_every_store(|store| {
        assert_eq!(Dataset::open(store, At::Newest).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(Dataset::find(store).unwrap().is_none());

        let transaction = Transaction::for_output(store, false, id()).unwrap();
        let mut content = draft(Operation::Create);
        content.chunks.push(put_chunk(&transaction, "chunk_0", 5));
        assert!(Dataset::find(store).unwrap().is_none(), "nothing is visible before the commit");
        let committed = transaction.commit(content).unwrap();

        let opened = Dataset::open(store, At::Newest).unwrap();
        assert_eq!(opened.manifest(), committed.manifest());
        assert_eq!(opened.manifest().dataset_version, 1);
        assert_eq!(opened.manifest().fields.read::<String>("sample").unwrap(), "NA12878");
        assert_eq!(opened.read_chunk(&opened.chunks().unwrap()[0]).unwrap(), "rrrrr");
        assert_eq!(store.get("_metadata.json").unwrap(), store.get(&manifest_path(1)).unwrap());

        let error = Transaction::for_output(store, false, id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        assert!(error.help_text().unwrap().contains("--overwrite"));
    });
}

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
fn test_abandoned_transaction_leaves_nothing() {
    on_every_store(|store| {
        let transaction = Transaction::for_output(store, false, id()).unwrap();
        put_chunk(&transaction, "chunk_0", 5);
        put_chunk(&transaction, "chunk_1", 5);
        transaction.abandon();
        assert_eq!(keys(store), [""; 0]);
    });
}

#[test]
fn test_one_of_many_committers_wins_and_the_others_clean_up() {
    on_every_store(|store| {
        for operation in [Operation::Create, Operation::Overwrite] {
            let before = Dataset::find(store).unwrap();
            let barrier = Arc::new(Barrier::new(6));
            let committers: Vec<_> = (1..=6)
                .map(|n| {
                    let (store, barrier, base) = (store.clone(), barrier.clone(), before.clone());
                    thread::spawn(move || {
                        let transaction = Transaction::begin(&store, base.as_ref(), id()).unwrap();
                        let mut draft = draft(operation);
                        draft.chunks.push(put_chunk(&transaction, "chunk_0", n));
                        barrier.wait();
                        transaction.commit(draft).map(|dataset| reads(&dataset))
                    })
                })
                .collect();
            let outcomes: Vec<_> = committers.into_iter().map(|c| c.join().unwrap()).collect();
            let won: Vec<u64> = outcomes.iter().filter_map(|o| o.as_ref().ok().copied()).collect();
            assert_eq!(won.len(), 1, "{outcomes:?}");
            let expected = if before.is_none() { ErrorKind::Exists } else { ErrorKind::Conflict };
            for error in outcomes.into_iter().filter_map(Result::err) {
                assert_eq!(error.kind(), expected, "{error}");
            }
            let newest = Dataset::open(store, At::Newest).unwrap();
            assert_eq!(reads(&newest), won[0]);
        }
        let chunks = keys(store).iter().filter(|key| key.starts_with("chr1/")).count();
        assert_eq!(chunks, 2, "losers remove what they uploaded");
    });
}

#[test]
fn test_lost_acknowledgement_is_no_conflict() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "d");
    for (times, operation) in [(1, Operation::Create), (2, Operation::Append)] {
        server.fail("PUT", "_manifests/v", Fault::LoseReply, times);
        commit(&store, operation, 3).unwrap();
    }
    // S3 answers 409 when another conditional write of the key is under way.
    server.fail("PUT", "_manifests/v", Fault::Answer(409), 2);
    commit(&store, Operation::Append, 3).unwrap();
    server.fail("PUT", "_manifests/v", Fault::Answer(412), 1);
    let last = commit(&store, Operation::Append, 3).unwrap();
    assert_eq!((last.manifest().dataset_version, reads(&last)), (4, 12));
    assert_eq!(dataset::log(&store).unwrap().len(), 4);
}

#[test]
fn test_commit_that_cannot_be_settled_says_so_and_keeps_its_objects() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "d");
    server.fail("PUT", "_manifests/v", Fault::Answer(409), 100);
    let error = commit(&store, Operation::Create, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(keys(&store).len(), 2);
}

#[test]
fn test_server_that_ignores_conditions_is_for_a_single_writer_who_says_so() {
    let server = s3::Server::start().unwrap();
    server.ignore_conditions();
    let store = s3_store(&server, "x.paf");
    let error = Transaction::begin(&store, None, id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("--single-writer"), "{error}");
    assert_eq!(keys(&store), [""; 0]);
    let options = StoreOptions { single_writer: true, ..s3_options(&server) };
    let store = Store::open(&format!("s3://{}/x.paf", s3::BUCKET), &options).unwrap();
    assert_eq!(reads(&commit(&store, Operation::Create, 5).unwrap()), 5);
}

#[test]
fn test_denied_commit_fails_at_once() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "d");
    server.fail("PUT", "_manifests/v", Fault::Answer(403), 1);
    let error = commit(&store, Operation::Create, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    assert_eq!(keys(&store), [""; 0]);
}

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

/// Commits so many chunks that they get lists of their own.
fn commit_many(store: &Store, operation: Operation, chunks: usize) -> Dataset {
    let base = Dataset::find(store).unwrap();
    let transaction = Transaction::begin(store, base.as_ref(), id()).unwrap();
    let mut draft = draft(operation);
    for i in 0..chunks {
        let path = transaction.path("chr1", &format!("chunk_{i}"), "bin").unwrap();
        let counts = Counts::from([("reads".into(), 1)]);
        draft.chunks.push(ChunkEntry::new(path, b"r", counts));
    }
    transaction.commit(draft).unwrap()
}

#[test]
fn test_long_chunk_lists_are_shared_between_versions() {
    let store = Store::in_memory();
    let first = commit_many(&store, Operation::Create, 1000);
    assert_eq!(first.manifest().chunk_segments.len(), 1);
    assert_eq!(first.manifest().chunks.len(), 0);
    let second = commit_many(&store, Operation::Append, 10);
    assert_eq!(second.manifest().chunk_segments, first.manifest().chunk_segments);
    assert_eq!(second.manifest().chunks.len(), 10);
    let third = commit_many(&store, Operation::Append, 1000);
    assert_eq!(third.manifest().chunk_segments.len(), 2);
    assert_eq!(third.manifest().chunks.len(), 0);

    let opened = Dataset::open(&store, At::Newest).unwrap();
    let chunks = opened.chunks().unwrap();
    assert_eq!(chunks.len(), 2010);
    assert_eq!(chunks[..1000], first.chunks().unwrap()[..]);
    assert_eq!(chunks[1000..1010], second.manifest().chunks[..]);
    assert_eq!(reads(&opened), 2010);
}

#[test]
fn test_chunk_lists_are_merged_when_there_are_many() {
    let store = Store::in_memory();
    commit_many(&store, Operation::Create, 500);
    for _ in 0..70 {
        commit_many(&store, Operation::Append, 500);
    }
    let newest = Dataset::open(&store, At::Newest).unwrap();
    assert!(newest.manifest().chunk_segments.len() <= 64);
    assert_eq!(reads(&newest), 71 * 500);
    let mut paths: Vec<_> = newest.chunks().unwrap().iter().map(|c| c.path.clone()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 71 * 500);
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

fn gc_options(keep: u64, grace: u64) -> GcOptions {
    GcOptions {
        keep: Some(keep),
        older_than: None,
        grace: Duration::from_secs(grace),
        now: SystemTime::now() + Duration::from_secs(10),
        created: NOW.into(),
        id: id(),
        dry_run: false,
    }
}

#[test]
fn test_gc_gives_up_old_versions_and_orphans_only() {
    on_every_store(|store| {
        for n in 1..=4 {
            commit(store, if n == 1 { Operation::Create } else { Operation::Overwrite }, n)
                .unwrap();
        }
        let orphan = Transaction::begin(store, None, id()).unwrap();
        let orphan = put_chunk(&orphan, "chunk_9", 9).path;
        store.put("README.txt", Bytes::from_static(b"mine")).unwrap();

        let dry = GcOptions { dry_run: true, ..gc_options(2, 0) };
        let would = dataset::gc(store, &dry).unwrap();
        assert_eq!((would.oldest_version, would.version, would.objects.len()), (3, None, 5));
        assert!(keys(store).contains(&orphan));

        let done = dataset::gc(store, &gc_options(2, 3600)).unwrap();
        assert_eq!((done.oldest_version, done.version, done.objects.len()), (3, Some(5), 4));
        let left = keys(store);
        assert!(left.contains(&orphan), "too young");
        assert!(left.contains(&"README.txt".to_owned()), "not ours");
        for version in 1..=5 {
            assert!(left.contains(&manifest_path(version)), "manifests are never deleted");
        }
        for (version, expected) in [(3, 3), (4, 4), (5, 4)] {
            assert_eq!(reads(&Dataset::open(store, At::Version(version)).unwrap()), expected);
        }
        let error = Dataset::open(store, At::Version(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(
            dataset::rollback(store, &At::Version(1), NOW, id()).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(reads(&dataset::rollback(store, &At::Version(3), NOW, id()).unwrap()), 3);
        assert_eq!(dataset::log(store).unwrap().iter().filter(|entry| entry.kept).count(), 4);

        let done = dataset::gc(store, &gc_options(9, 0)).unwrap();
        assert_eq!(done.objects.iter().map(|o| &o.key).collect::<Vec<_>>(), [&orphan]);
        assert_eq!(dataset::gc(store, &gc_options(9, 0)).unwrap().version, None);
    });
}

#[test]
fn test_gc_lists_many_names_in_an_object() {
    let store = Store::in_memory();
    let orphans = Transaction::begin(&store, None, id()).unwrap();
    for i in 0..600 {
        put_chunk(&orphans, &format!("chunk_{i}"), 1);
    }
    commit(&store, Operation::Create, 1).unwrap();
    let done = dataset::gc(&store, &gc_options(1, 0)).unwrap();
    assert_eq!(done.objects.len(), 600);
    let newest = Dataset::open(&store, At::Newest).unwrap();
    assert_eq!(newest.manifest().condemned.len(), 0);
    assert_eq!(newest.manifest().objects_of("condemned").count(), 1);
    assert_eq!(keys(&store).len(), 2 + 2 + 2, "metadata, manifests, content, list");
    let next = commit(&store, Operation::Overwrite, 2).unwrap();
    assert_eq!(next.manifest().objects_of("condemned").count(), 0);
}

#[test]
fn test_writer_goes_on_over_a_collection_unless_it_lost_objects() {
    on_every_store(|store| {
        commit(store, Operation::Create, 1).unwrap();
        let base = commit(store, Operation::Overwrite, 2).unwrap();

        let lucky = Transaction::begin(store, Some(&base), id()).unwrap();
        let mut content = draft(Operation::Append);
        content.chunks.push(put_chunk(&lucky, "chunk_1", 3));
        dataset::gc(store, &gc_options(1, 3600)).unwrap();
        let after = lucky.commit(content).unwrap();
        assert_eq!((after.manifest().dataset_version, reads(&after)), (4, 5));
        assert_eq!(after.manifest().oldest_version, 2);

        let unlucky = Transaction::begin(store, Some(&after), id()).unwrap();
        let mut content = draft(Operation::Append);
        content.chunks.push(put_chunk(&unlucky, "chunk_2", 4));
        dataset::gc(store, &gc_options(9, 0)).unwrap();
        let error = unlucky.commit(content).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let newest = Dataset::open(store, At::Newest).unwrap();
        assert!(dataset::verify(&newest, &count_reads, 2, None).unwrap().problems.is_empty());
    });
}

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
    let target = Store::in_memory();

    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut add = |bytes: &[u8]| {
        let path = dir.path().join(format!("{}.json", files.len()));
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    };
    for version in 1..=6 {
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
    ];
    for bad in &bad {
        assert_ne!(bad, &good);
        add(bad.as_bytes());
    }
    if !python::require(&["jsonschema"]) {
        return;
    }
    let valid = python::conform(&["manifest.schema.json"], &files).unwrap();
    assert_eq!(valid, [[true; 6].as_slice(), &[false; 6]].concat());
}
