//! Purges: what is left of what was there, nothing; also when they are interrupted, raced and copied.

use std::sync::Mutex;

use genomic_objects::dataset::{Draft, InputInfo, Left, PurgeOptions, Purged};

use super::crashes::{FAULTS, faulty};
use super::double::{Objects, Request, sound_store, waiting_store_of};
use super::*;

/// What must be nowhere afterwards.
const SECRET: &str = "withdrawn";

fn options() -> PurgeOptions {
    PurgeOptions { created: NOW.into(), id: id(), copies: vec!["copy.txt".into()], dry_run: false }
}

/// Commits a version with a chunk of all samples, and for the withdrawn one a chunk, an object, an
/// input and a field.
fn commit_secret(store: &Store, operation: Operation, chunks: usize) {
    let base = Dataset::find(store).unwrap();
    let transaction = Transaction::begin(store, base.as_ref(), id()).unwrap();
    let mut content = draft(operation);
    content.fields.set("samples", ["NA1", SECRET]).unwrap();
    content.inputs.push(InputInfo {
        name: format!("{SECRET}.bam"),
        size_bytes: None,
        checksum: None,
        program: None,
    });
    for i in 0..chunks {
        let bytes = Bytes::from(format!("reads of {SECRET} {i}"));
        let path = transaction.path("chr1", &format!("both_{i}"), "bin").unwrap();
        store.put(&path, bytes.clone()).unwrap();
        content.chunks.push(ChunkEntry::new(path, &bytes, Counts::new()));
    }
    content.chunks.push(put_chunk(&transaction, "other", 4));
    let object = Bytes::from(format!("header of {SECRET}"));
    content.objects.push(transaction.put_object("x", "", "head", "txt", object).unwrap());
    transaction.commit(content).unwrap();
}

/// What is left without the secret: chunks of other names, and a new one.
fn without(base: &Dataset, transaction: &Transaction) -> Result<Option<Draft>> {
    if base.manifest().fields.get("samples").is_none() {
        return Ok(None);
    }
    let mut content = draft(Operation::Replace);
    let chunks = base.chunks()?;
    content.chunks.extend(chunks.iter().filter(|chunk| chunk.path.contains("other")).cloned());
    content.chunks.push(upload_chunk(transaction, "rewritten", 5)?);
    Ok(Some(content))
}

fn purge(store: &Store) -> Result<Purged> {
    dataset::purge(store, &options(), without)
}

fn holds_secret(objects: &Objects) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    let holders = objects.iter().filter(|(key, bytes)| holds(key.as_bytes()) || holds(bytes));
    holders.map(|(key, _)| key.clone()).collect()
}

fn content(store: &Store) -> Objects {
    keys(store).into_iter().map(|key| (key.clone(), store.get(&key).unwrap())).collect()
}

/// Three versions that know of the secret, one of them by name, and what a dead transaction left.
fn history(store: &Store) {
    commit_secret(store, Operation::Create, 1);
    commit_secret(store, Operation::Append, 700);
    dataset::tag(store, SECRET, &At::Version(1), NOW, id()).unwrap();
    dataset::rollback(store, &At::Version(1), NOW, id()).unwrap();
    let dead = Transaction::begin(store, None, id()).unwrap();
    let bytes = Bytes::from(format!("reads of {SECRET}"));
    store.put(&dead.path("chr1", "orphan", "bin").unwrap(), bytes.clone()).unwrap();
    store.put("copy.txt", bytes).unwrap();
}

/// The same in few objects.
fn short_history() -> Objects {
    let objects = Arc::new(Mutex::new(Objects::new()));
    let store = sound_store(&objects);
    commit_secret(&store, Operation::Create, 1);
    dataset::tag(&store, SECRET, &At::Version(1), NOW, id()).unwrap();
    commit_secret(&store, Operation::Append, 1);
    objects.lock().unwrap().clone()
}

#[test]
fn test_purge_leaves_nothing_of_what_was_purged() {
    on_every_store(|store| {
        history(store);
        assert!(holds_secret(&content(store)).len() > 700);
        let dry = PurgeOptions { dry_run: true, ..options() };
        let before = content(store);
        let nothing = |base: &Dataset, _: &Transaction| {
            let mut content = draft(Operation::Replace);
            content
                .chunks
                .extend(base.chunks()?.iter().filter(|c| c.path.contains("other")).cloned());
            Ok(Some(content))
        };
        let would = dataset::purge(store, &dry, nothing).unwrap();
        assert_eq!((would.version, &would.versions[..]), (None, &[1, 2, 3, 4][..]));
        assert!(content(store) == before);

        let done = purge(store).unwrap();
        assert_eq!((done.version, done.finished, &done.left[..]), (Some(5), None, &[][..]));
        assert_eq!(done.versions, [1, 2, 3, 4]);
        assert_eq!(done.objects, would.objects);
        assert_eq!(holds_secret(&content(store)), [""; 0]);
        assert_sound(store);
        let newest = Dataset::open(store, At::Newest).unwrap();
        let manifest = newest.manifest();
        assert_eq!((manifest.operation, manifest.oldest_version), (Operation::Purge, 5));
        assert_eq!((reads(&newest), manifest.tags.len()), (9, 0));
        assert!(dataset::verify(&newest, &count_reads, 2, None).unwrap().problems.is_empty());
        for version in 1..5 {
            let error = Dataset::open(store, At::Version(version)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("given up"), "{error}");
            let bytes = store.get(&manifest_path(version)).unwrap();
            let stub = Manifest::parse(&bytes).unwrap();
            assert!(
                stub.is_stub() && stub.inputs.is_empty() && stub.fields.iter().next().is_none()
            );
        }
        assert_eq!(dataset::log(store).unwrap().len(), 5);
        // A name that was never there, and the same again.
        let again = purge(store).unwrap();
        assert_eq!(again, Purged::default());
        // Life goes on, and another purge leaves the stubs as they are.
        let stub = store.get(&manifest_path(2)).unwrap();
        commit(store, Operation::Append, 3).unwrap();
        commit_secret(store, Operation::Append, 2);
        assert_eq!(purge(store).unwrap().version, Some(8));
        assert_eq!(holds_secret(&content(store)), [""; 0]);
        assert_eq!(store.get(&manifest_path(2)).unwrap(), stub);
        assert_sound(store);
    });
}

#[test]
fn test_purge_reports_what_it_cannot_answer_for() {
    let store = Store::in_memory();
    history(&store);
    store.put("README.txt", Bytes::from_static(b"mine")).unwrap();
    store.put(&manifest_path(2), Bytes::from_static(b"damaged")).unwrap();
    let left = purge(&store).unwrap().left;
    let paths: Vec<(&str, bool)> = left.iter().map(|l: &Left| (&l.path[..], l.is_ours)).collect();
    assert_eq!(paths, [("README.txt", false), (&manifest_path(2)[..], true)]);
}

#[test]
fn test_purge_survives_faults_at_every_request() {
    let before = short_history();
    let shared = Arc::new(Mutex::new(before.clone()));
    let (store, count) = faulty(&shared, usize::MAX, FAULTS[0]);
    purge(&store).unwrap();
    let requests = count.load(Ordering::SeqCst);
    assert!(requests > 20, "{requests}");
    let mut interrupted = 0;
    for fault in FAULTS {
        for at in 0..requests {
            for finish_by_gc in [false, true] {
                let place = format!("{fault:?} at request {at}");
                let objects = Arc::new(Mutex::new(before.clone()));
                let outcome = purge(&faulty(&objects, at, fault).0);
                let store = sound_store(&objects);
                assert_eq!(dataset::audit(&store).unwrap(), [""; 0], "{place}");
                let newest = Dataset::open(&store, At::Newest).unwrap();
                let is_done = newest.manifest().operation == Operation::Purge;
                let is_clean = holds_secret(&objects.lock().unwrap()).is_empty();
                match &outcome {
                    Ok(purged) => {
                        let left = purged.left.iter().any(|left| left.is_ours);
                        assert!(is_done && (is_clean || left), "{place}");
                    }
                    Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
                    Err(error) if is_done => {
                        assert!(
                            error.to_string().contains("not all is deleted"),
                            "{place}: {error}"
                        );
                    }
                    Err(_) => {}
                }
                interrupted += u32::from(is_done && !is_clean);
                if is_done && finish_by_gc {
                    dataset::gc(&store, &gc_options(9, 0)).unwrap();
                } else {
                    let again = purge(&store).unwrap();
                    assert_eq!(again.left, [], "{place}");
                    assert_eq!(again.version.is_some(), !is_done, "{place}");
                }
                assert_eq!(holds_secret(&objects.lock().unwrap()), [""; 0], "{place}");
                assert_eq!(dataset::audit(&store).unwrap(), [""; 0], "{place}");
            }
        }
    }
    assert!(interrupted > 20, "{interrupted}");
}

#[test]
fn test_purge_starts_over_when_others_commit_first() {
    let objects = Arc::new(Mutex::new(short_history()));
    let (shared, raced) = (objects.clone(), Mutex::new(false));
    let store = waiting_store_of(move |request| {
        if request.is_commit() && !std::mem::replace(&mut *raced.lock().unwrap(), true) {
            commit_secret(&sound_store(&shared), Operation::Append, 1);
        }
        request.serve(&mut shared.lock().unwrap())
    });
    let mut calls = 0;
    let rewrite = |base: &Dataset, transaction: &Transaction| {
        calls += 1;
        without(base, transaction)
    };
    let purged = dataset::purge(&store, &options(), rewrite).unwrap();
    assert_eq!((purged.version, calls), (Some(5), 2));
    assert_eq!(holds_secret(&objects.lock().unwrap()), [""; 0]);
    assert_sound(&store);
}

/// A hint of an earlier version that arrives after the purge.
#[test]
fn test_gc_replaces_a_hint_from_before_the_purge() {
    let objects = Arc::new(Mutex::new(short_history()));
    let store = sound_store(&objects);
    let hint = store.get("_metadata.json").unwrap();
    purge(&store).unwrap();
    store.put("_metadata.json", hint).unwrap();
    assert_eq!(holds_secret(&objects.lock().unwrap()), ["_metadata.json"]);
    dataset::gc(&store, &gc_options(9, 0)).unwrap();
    assert_eq!(holds_secret(&objects.lock().unwrap()), [""; 0]);
}

#[test]
fn test_copy_from_before_a_purge_becomes_as_clean_as_its_source() {
    on_every_store(|target| {
        let source = Store::in_memory();
        commit_secret(&source, Operation::Create, 2);
        commit_secret(&source, Operation::Overwrite, 3);
        dataset::copy_all(&source, target, 2, None).unwrap();
        // The source collects what the target still has, goes on, and is purged.
        dataset::gc(&source, &gc_options(1, 0)).unwrap();
        commit_secret(&source, Operation::Append, 700);
        purge(&source).unwrap();
        commit(&source, Operation::Append, 3).unwrap();
        let copied = dataset::copy_all(&source, target, 2, None).unwrap();
        assert_eq!(copied.left, []);
        assert_eq!(holds_secret(&content(target)), [""; 0]);
        assert!(content(target) == content(&source));
        assert_sound(target);
        // The other way round, an old copy brings nothing back.
        let old = Store::in_memory();
        for (key, bytes) in short_history() {
            old.put(&key, bytes).unwrap();
        }
        dataset::copy_all(&old, target, 2, None).unwrap_err();
        assert_eq!(holds_secret(&content(target)), [""; 0]);
    });
}

#[test]
fn test_copy_from_before_a_purge_is_finished_wherever_it_is_interrupted() {
    let old = short_history();
    let objects = Arc::new(Mutex::new(old.clone()));
    let source = sound_store(&objects);
    purge(&source).unwrap();
    let whole = content(&source);
    let target = Arc::new(Mutex::new(old.clone()));
    let (store, count) = faulty(&target, usize::MAX, FAULTS[0]);
    dataset::copy_all(&source, &store, 1, None).unwrap();
    for fault in FAULTS {
        for at in 0..count.load(Ordering::SeqCst) {
            for start in [&old, &Objects::new()] {
                let target = Arc::new(Mutex::new(start.clone()));
                let _ = dataset::copy_all(&source, &faulty(&target, at, fault).0, 1, None);
                let store = sound_store(&target);
                dataset::copy_all(&source, &store, 1, None).unwrap();
                assert!(content(&store) == whole, "{fault:?} at request {at}");
            }
        }
    }
}

#[test]
fn test_repair_from_a_copy_before_the_purge_brings_nothing_back() {
    let old = Arc::new(Mutex::new(short_history()));
    let objects = Arc::new(Mutex::new(old.lock().unwrap().clone()));
    let store = sound_store(&objects);
    purge(&store).unwrap();
    let clean = content(&store);
    let verify = |dataset: &Dataset| dataset::verify(dataset, &count_reads, 1, None);
    for version in 1..4 {
        for damage in [None, Some(Bytes::from_static(b"damaged"))] {
            match damage {
                None => store.delete(&[manifest_path(version)]).unwrap(),
                Some(bytes) => store.put(&manifest_path(version), bytes).unwrap(),
            }
            dataset::repair(&store, At::Newest, &sound_store(&old), &verify).unwrap();
            assert!(content(&store) == clean, "version {version}");
        }
    }
}

#[test]
fn test_stub_is_written_after_what_it_names_is_deleted() {
    let objects = Arc::new(Mutex::new(short_history()));
    let order: Arc<Mutex<Vec<Request>>> = Arc::default();
    let (shared, told) = (objects.clone(), order.clone());
    let store = super::double::store_of(move |request| {
        told.lock().unwrap().push(request.clone());
        request.serve(&mut shared.lock().unwrap())
    });
    purge(&store).unwrap();
    let order = order.lock().unwrap();
    let is_stub =
        |r: &&Request| matches!(r, Request::Put(key, _) if key.starts_with("_manifests/v"));
    let stubs: Vec<&str> = order.iter().filter(is_stub).map(Request::key).collect();
    assert_eq!(stubs, [1, 2, 3].map(manifest_path));
    let last_delete = order.iter().rposition(|r| matches!(r, Request::Delete(_))).unwrap();
    assert!(order.iter().position(|r| is_stub(&r)).unwrap() > last_delete);
}
