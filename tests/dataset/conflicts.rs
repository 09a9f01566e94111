//! Two transactions that race: the table of conflicts, a cell at a time, and what it rests on.

use std::collections::HashSet;
use std::sync::Mutex;

use dataset::{Conflict, conflict};

use super::double::{Objects, sound_store, waiting_store_of};
use super::*;

type Act<'a> = &'a (dyn Fn(&Store) -> Result<u64> + Send + Sync);

/// Does `mine`, and `theirs` just before the first commit that `mine` sends. No name may be given to
/// two objects.
fn race(
    objects: &Arc<Mutex<Objects>>,
    mine: impl FnOnce(&Store) -> Result<u64>,
    theirs: impl FnOnce(&Store) -> Result<u64> + Send + 'static,
) -> (Result<u64>, Result<u64>) {
    let theirs = Mutex::new(Some(theirs));
    let outcome = Arc::new(Mutex::new(None));
    let named: Mutex<HashSet<String>> = Mutex::default();
    let (shared, told) = (objects.clone(), outcome.clone());
    let store = waiting_store_of(move |request| {
        if request.is_commit()
            && let Some(theirs) = theirs.lock().unwrap().take()
        {
            *told.lock().unwrap() = Some(theirs(&sound_store(&shared)));
        }
        let key = request.key().to_owned();
        let is_new = !matches!(request, super::double::Request::Put(..))
            || key == "_metadata.json"
            || named.lock().unwrap().insert(key.clone());
        assert!(is_new, "{key} is written twice");
        request.serve(&mut shared.lock().unwrap())
    });
    let mine = mine(&store);
    let theirs = outcome.lock().unwrap().take().expect("both commit");
    (mine, theirs)
}

const ALL: [Operation; 9] = [
    Operation::Create,
    Operation::Overwrite,
    Operation::Append,
    Operation::Replace,
    Operation::Purge,
    Operation::Tag,
    Operation::Rollback,
    Operation::Copy,
    Operation::Gc,
];

/// Longer than objects of doubles are old.
const LONG: u64 = 100 * 365 * 86_400;

/// Does `operation` and returns the version it made; `name` tells two of a kind apart.
fn act(store: &Store, operation: Operation, name: &str) -> Result<u64> {
    let made = match operation {
        Operation::Tag => dataset::tag(store, name, &At::Newest, NOW, id())?,
        Operation::Rollback => dataset::rollback(store, &At::Version(1), NOW, id())?,
        Operation::Gc => {
            let collected = dataset::gc(store, &gc_options(1, LONG))?;
            return Ok(collected.version.unwrap_or(0));
        }
        Operation::Purge => {
            let rewrite = |_: &Dataset, transaction: &Transaction| {
                let mut content = draft(Operation::Purge);
                content.chunks.push(upload_chunk(transaction, "chunk_0", 5)?);
                Ok(Some(content))
            };
            let options = dataset::PurgeOptions {
                created: NOW.into(),
                id: id(),
                copies: Vec::new(),
                dry_run: false,
            };
            return Ok(dataset::purge(store, &options, rewrite)?.version.unwrap_or(0));
        }
        Operation::Copy => {
            let source = Store::in_memory();
            let source = commit(&source, Operation::Create, 7)?;
            dataset::copy(&source, store, Dataset::find(store)?.is_some(), NOW, id(), 1, None)?
                .dataset
        }
        operation => commit(store, operation, 5)?,
    };
    Ok(made.manifest().dataset_version)
}

/// A dataset of three versions, of which a collection could give up two.
fn three_versions(store: &Store) -> Result<u64> {
    commit(store, Operation::Create, 1)?;
    commit(store, Operation::Overwrite, 2)?;
    commit(store, Operation::Append, 3)?;
    Ok(3)
}

#[test]
fn test_conflict_table_holds_in_every_cell() {
    for mine in ALL {
        for theirs in ALL {
            let cell = format!("{mine} over {theirs}");
            let objects = Arc::new(Mutex::new(Objects::new()));
            let is_first = matches!(mine, Operation::Create | Operation::Copy);
            if !is_first {
                three_versions(&sound_store(&objects)).unwrap();
            }
            let (outcome, before) = race(
                &objects,
                |store| act(store, mine, "mine"),
                move |store| {
                    // What creates cannot lose against any but a dataset that came to be.
                    if is_first && !matches!(theirs, Operation::Create | Operation::Copy) {
                        three_versions(store)?;
                    }
                    act(store, theirs, "theirs")
                },
            );
            let before = before.unwrap();
            let store = sound_store(&objects);
            assert_sound(&store);
            // A purge over it leaves a stub of it.
            let done = dataset::log(&store).unwrap();
            let done = done.into_iter().find(|e| e.manifest.dataset_version == before).unwrap();
            // Where there is a dataset, a create or copy is an overwrite.
            let recorded = done.manifest.operation;
            assert!(recorded == theirs || recorded == Operation::Overwrite, "{cell}");

            let newest = Dataset::open(&store, At::Newest).unwrap();
            let version = newest.manifest().dataset_version;
            let reads_of_theirs =
                Dataset::open(&store, At::Version(before)).map(|done| reads(&done));
            match (conflict(mine, recorded), outcome) {
                (Conflict::Rebase, outcome) => {
                    assert_eq!(outcome.unwrap(), before + 1, "{cell}");
                    assert_eq!(newest.manifest().operation, mine, "{cell}");
                    let expected = match mine {
                        Operation::Append => 5 + reads_of_theirs.unwrap(),
                        Operation::Tag => reads_of_theirs.unwrap(),
                        _ => 5,
                    };
                    assert_eq!(reads(&newest), expected, "{cell}");
                    let tags = &newest.manifest().tags;
                    assert_eq!(tags.contains_key("theirs"), theirs == Operation::Tag, "{cell}");
                    assert_eq!(tags.contains_key("mine"), mine == Operation::Tag, "{cell}");
                }
                // They start over, and give up what they can by then.
                (Conflict::Fail, Ok(made)) if mine == Operation::Purge => {
                    assert_eq!((made, version), (before + 1, before + 1), "{cell}");
                    assert!(newest.manifest().kept_versions().eq([version]), "{cell}");
                }
                (Conflict::Fail, Ok(made)) if mine == Operation::Gc => {
                    let has_rest = !matches!(recorded, Operation::Gc | Operation::Purge);
                    let expected = if has_rest { before + 1 } else { 0 };
                    assert_eq!(made, expected, "{cell}");
                }
                (Conflict::Fail, outcome) => {
                    let error = outcome.expect_err(&cell);
                    let expected = if is_first { ErrorKind::Exists } else { ErrorKind::Conflict };
                    assert_eq!(error.kind(), expected, "{cell}: {error}");
                    assert_eq!(version, before, "{cell}");
                }
            }
            let report = dataset::verify(&newest, &count_reads, 2, None).unwrap();
            assert!(report.problems.is_empty(), "{cell}: {:?}", report.problems);
        }
    }
}

fn versions() -> Arc<Mutex<Objects>> {
    let objects = Arc::new(Mutex::new(Objects::new()));
    three_versions(&sound_store(&objects)).unwrap();
    objects
}

/// The error of `mine`, which loses against `theirs`.
fn loses(
    objects: &Arc<Mutex<Objects>>,
    mine: Act<'_>,
    theirs: impl FnOnce(&Store) -> Result<u64> + Send + 'static,
) {
    let (outcome, before) = race(objects, mine, theirs);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let store = sound_store(objects);
    assert_sound(&store);
    let newest = Dataset::open(&store, At::Newest).unwrap();
    assert_eq!(newest.manifest().dataset_version, before.unwrap());
}

fn version(dataset: Dataset) -> u64 {
    dataset.manifest().dataset_version
}

#[test]
fn test_tag_loses_against_a_collection_of_its_version() {
    let mine = |store: &Store| dataset::tag(store, "x", &At::Version(1), NOW, id()).map(version);
    loses(&versions(), &mine, |store| act(store, Operation::Gc, ""));
}

#[test]
fn test_tag_loses_against_another_of_the_same_name() {
    let theirs = |store: &Store| dataset::tag(store, "x", &At::Version(2), NOW, id()).map(version);
    let tag = |store: &Store| dataset::tag(store, "x", &At::Version(1), NOW, id()).map(version);
    loses(&versions(), &tag, theirs);
    let objects = versions();
    tag(&sound_store(&objects)).unwrap();
    loses(&objects, &|store| dataset::untag(store, "x", NOW, id()).map(version), theirs);
}

#[test]
fn test_tag_loses_when_the_name_that_kept_its_version_is_taken_away() {
    let objects = versions();
    let store = sound_store(&objects);
    dataset::tag(&store, "kept", &At::Version(1), NOW, id()).unwrap();
    dataset::gc(&store, &gc_options(1, 0)).unwrap();
    let mine =
        |store: &Store| dataset::tag(store, "x", &At::Tag("kept".into()), NOW, id()).map(version);
    loses(&objects, &mine, |store| dataset::untag(store, "kept", NOW, id()).map(version));
}

#[test]
fn test_append_with_a_list_of_chunks_loses_when_one_of_them_is_condemned() {
    // The chunks are uploaded before the collection lists, their list after it.
    let objects = versions();
    let collected = Mutex::new(false);
    let shared = objects.clone();
    let store = waiting_store_of(move |request| {
        if request.key().starts_with("_manifests/segments/")
            && !std::mem::replace(&mut *collected.lock().unwrap(), true)
        {
            dataset::gc(&sound_store(&shared), &gc_options(9, 0)).unwrap();
        }
        request.serve(&mut shared.lock().unwrap())
    });
    let base = Dataset::open(&store, At::Newest).unwrap();
    let transaction = Transaction::begin(&store, Some(&base), id()).unwrap();
    let mut draft = draft(Operation::Append);
    for i in 0..600 {
        draft.chunks.push(put_chunk(&transaction, &format!("chunk_{i}"), 1));
    }
    let error = transaction.commit(draft).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_sound(&sound_store(&objects));
}

#[test]
fn test_gc_that_starts_over_uses_no_name_twice() {
    let objects = versions();
    let store = sound_store(&objects);
    let orphans = Transaction::begin(&store, None, id()).unwrap();
    for i in 0..600 {
        put_chunk(&orphans, &format!("chunk_{i}"), 1);
    }
    let mine = |store: &Store| {
        dataset::gc(store, &gc_options(1, 0)).map(|collected| collected.version.unwrap())
    };
    let (mine, theirs) = race(&objects, mine, |store| act(store, Operation::Append, ""));
    assert_eq!(mine.unwrap(), theirs.unwrap() + 1);
    assert_sound(&store);
    assert_eq!(dataset::gc(&store, &gc_options(1, 0)).unwrap().version, None);
}
