//! Many writers at a time, each of which tries again when another was first.

use super::*;

const COMMITTERS: usize = 32;

/// Appends a chunk of `reads` reads, again and again until no other was first; returns the version.
fn append(store: &Store, reads: usize, line: &Barrier) -> u64 {
    line.wait();
    // Each loss means that another won, which happens once for each of the others.
    for _ in 0..COMMITTERS {
        let base = Dataset::open(store, At::Newest).unwrap();
        let transaction = Transaction::begin(store, Some(&base), id()).unwrap();
        let mut content = draft(Operation::Append);
        content.chunks.push(put_chunk(&transaction, "chunk", reads));
        match transaction.commit(content) {
            Ok(made) => return made.manifest().dataset_version,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    panic!("others committed more often than they exist");
}

#[test]
fn test_32_committers_all_commit_exactly_once() {
    on_every_store(|store| {
        commit(store, Operation::Create, 1000).unwrap();
        let line = Barrier::new(COMMITTERS);
        let mut versions: Vec<u64> = thread::scope(|scope| {
            let committers: Vec<_> = (0..COMMITTERS)
                .map(|n| {
                    let line = &line;
                    scope.spawn(move || append(store, 1 << (n % 8), line))
                })
                .collect();
            committers.into_iter().map(|committer| committer.join().unwrap()).collect()
        });
        versions.sort_unstable();
        assert_eq!(versions, (2..=33).collect::<Vec<u64>>());
        let newest = Dataset::open(store, At::Newest).unwrap();
        assert_eq!(newest.chunks().unwrap().len(), 1 + COMMITTERS);
        assert_eq!(reads(&newest), 1000 + 4 * 255);
        assert_sound(store);
        // Those who lost a race removed what they had uploaded.
        let chunks = keys(store).iter().filter(|key| key.starts_with("chr1/")).count();
        assert_eq!(chunks, 1 + COMMITTERS);
    });
}
