//! Collections: what goes and what stays.

use std::sync::Mutex;

use super::double::{Objects, Request, sound_store, store_of};
use super::*;

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

/// Commits a version that says it was made at `created`.
fn commit_at(store: &Store, created: &str) {
    let base = Dataset::find(store).unwrap();
    let transaction = Transaction::begin(store, base.as_ref(), id()).unwrap();
    let mut content = draft(Operation::Create);
    content.created = created.into();
    content.chunks.push(put_chunk(&transaction, "chunk", 1));
    transaction.commit(content).unwrap();
}

/// A collection on 1 March 2026, of versions older than 30 days and objects without one.
fn march(keep: Option<u64>, days: Option<u64>) -> GcOptions {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_323_200);
    let older_than = days.map(|days| Duration::from_secs(days * 86_400));
    GcOptions { keep, older_than, now, ..gc_options(1, 0) }
}

#[test]
fn test_gc_gives_up_versions_by_age_and_number() {
    let times = [
        "2025-12-01T00:00:00Z",
        "2026-01-15T10:00:00+02:00",
        "2026-01-29T00:00:01.5Z",
        "2026-01-30T00:00:00Z",
        "2026-02-01T00:00:00Z",
    ];
    for (keep, days, oldest) in [
        (None, None, 1),
        (None, Some(30), 4),
        (None, Some(31), 3),
        (None, Some(32), 3),
        (None, Some(0), 5),
        (None, Some(100_000), 1),
        (Some(4), Some(30), 2),
        (Some(1), Some(30), 4),
        (Some(1), None, 5),
        (Some(9), Some(0), 1),
    ] {
        let store = Store::in_memory();
        times.iter().for_each(|time| commit_at(&store, time));
        let dry = GcOptions { dry_run: true, ..march(keep, days) };
        let would = dataset::gc(&store, &dry).unwrap();
        assert_eq!((would.oldest_version, would.version), (oldest, None), "{keep:?} {days:?}");
        assert_eq!(would.versions, (1..oldest).collect::<Vec<u64>>());
        let done = dataset::gc(&store, &march(keep, days)).unwrap();
        assert_eq!((done.oldest_version, done.objects), (oldest, would.objects));
        for version in oldest..=5 {
            assert_eq!(reads(&Dataset::open(&store, At::Version(version)).unwrap()), 1);
        }
        assert_sound(&store);
    }
}

#[test]
fn test_gc_keeps_too_much_rather_than_too_little_when_clocks_were_wrong() {
    for (times, oldest) in [
        // The second was made a year ahead: nobody knows when those after it were made.
        (["2025-01-01T00:00:00Z", "2027-02-01T00:00:00Z", "2025-03-01T00:00:00Z"], 2),
        // The second was made a year back; what came before is younger, so it stays with that.
        (["2026-02-20T00:00:00Z", "2025-02-01T00:00:00Z", "2026-02-21T00:00:00Z"], 1),
        (["2026-02-20T00:00:00Z", "2025-02-01T00:00:00Z", "2025-02-21T00:00:00Z"], 1),
        (["some day", "2025-02-01T00:00:00Z", "2025-02-21T00:00:00Z"], 1),
        // All are older, but the newest stays.
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"], 3),
    ] {
        let store = Store::in_memory();
        times.iter().for_each(|time| commit_at(&store, time));
        let done = dataset::gc(&store, &march(None, Some(30))).unwrap();
        assert_eq!(done.oldest_version, oldest, "{times:?}");
        assert_sound(&store);
    }
}

#[test]
fn test_gc_with_a_clock_a_year_off_hits_nothing_that_lives() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    on_every_store(|store| {
        commit(store, Operation::Create, 1).unwrap();
        let base = commit(store, Operation::Overwrite, 2).unwrap();
        let writer = Transaction::begin(store, Some(&base), id()).unwrap();
        let mut content = draft(Operation::Append);
        content.chunks.push(put_chunk(&writer, "chunk_1", 3));

        // Behind: everything was written in the future, and nothing is old.
        let behind = GcOptions { now: SystemTime::now() - YEAR, ..gc_options(1, 3600) };
        let done = dataset::gc(store, &GcOptions { keep: Some(9), ..behind.clone() }).unwrap();
        assert_eq!(done.version, None);
        // Ahead: what the writer uploaded seems to be left over, so that it has to begin again.
        let ahead = GcOptions { now: SystemTime::now() + YEAR, ..gc_options(1, 3600) };
        dataset::gc(store, &ahead).unwrap();
        let error = writer.commit(content).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_sound(store);
        assert_eq!(reads(&Dataset::open(store, At::Newest).unwrap()), 2);
    });
}

/// A store that lists what was there earlier, or what `listed` makes of it.
fn listing(objects: &Arc<Mutex<Objects>>, listed: Objects) -> Store {
    let objects = objects.clone();
    store_of(move |request| match request {
        Request::List => request.serve(&mut listed.clone()),
        request => request.serve(&mut objects.lock().unwrap()),
    })
}

#[test]
fn test_gc_with_a_stale_listing_hits_nothing_that_lives() {
    let objects = Arc::new(Mutex::new(Objects::new()));
    let store = sound_store(&objects);
    let mut listings = vec![Objects::new()];
    for n in 1..=4 {
        commit(&store, if n == 1 { Operation::Create } else { Operation::Append }, n).unwrap();
        listings.push(objects.lock().unwrap().clone());
    }
    let orphan = Transaction::begin(&store, None, id()).unwrap();
    put_chunk(&orphan, "chunk_9", 9);
    listings.push(objects.lock().unwrap().clone());
    orphan.abandon();
    let now = objects.lock().unwrap().clone();
    // Any one object is missing from the listing.
    for key in now.keys() {
        let mut listed = now.clone();
        listed.remove(key);
        listings.push(listed);
    }
    for (n, listed) in listings.into_iter().enumerate() {
        let objects = Arc::new(Mutex::new(now.clone()));
        // What is listed again after it was deleted is deleted again.
        for _ in 0..2 {
            dataset::gc(&listing(&objects, listed.clone()), &gc_options(1, 0)).unwrap();
            let store = sound_store(&objects);
            assert_sound(&store);
            assert_eq!(reads(&Dataset::open(&store, At::Newest).unwrap()), 10, "listing {n}");
        }
    }
}
