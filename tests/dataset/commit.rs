//! Transactions: what a commit makes visible, and what its failures leave.

use super::*;

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
