//! Crashes and lost answers at every request of what writes: the promises hold, nobody is told what
//! is not so, a retry succeeds, and a collection brings the store back to what is needed.

use std::io::Cursor;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use genomic_objects::codec::Effort;
use genomic_objects::dataset::InputInfo;
use genomic_objects::paf;
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::records::alignments::{SourceOptions, open};

use super::double::{Answer, Objects, Request, sound_store, store_of};
use super::*;

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing is done any more, from this request on.
    Crash,
    /// It is done, and the answer is lost.
    LoseReply,
    /// It is not done, as a 503 says after all tries of the client.
    Refuse,
    /// It is done, but the store says 409: another write of the key is under way.
    Exist,
    /// It is done, but the store says 412, to the second try of the client.
    Fail,
    /// It is done, then the credentials expire: 403 to the second try of the client.
    Deny,
}

pub(crate) const FAULTS: [Fault; 6] =
    [Fault::Crash, Fault::LoseReply, Fault::Refuse, Fault::Exist, Fault::Fail, Fault::Deny];

/// A store of `objects` where `fault` befalls request number `at`; and how many requests there were.
pub(crate) fn faulty(
    objects: &Arc<Mutex<Objects>>,
    at: usize,
    fault: Fault,
) -> (Store, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let (objects, counter) = (objects.clone(), count.clone());
    let store = store_of(move |request| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let mut objects = objects.lock().unwrap();
        let is_create = matches!(request, Request::Create(..));
        match fault {
            Fault::Crash if number >= at => Answer::Lost,
            Fault::Refuse if number == at => Answer::Lost,
            Fault::LoseReply | Fault::Exist | Fault::Fail | Fault::Deny if number == at => {
                request.serve(&mut objects);
                match fault {
                    Fault::Exist if is_create => Answer::Exists,
                    Fault::Fail if is_create => Answer::Failed,
                    Fault::Deny => Answer::Denied,
                    _ => Answer::Lost,
                }
            }
            _ => request.serve(&mut objects),
        }
    });
    (store, count)
}

/// Does `act` with every fault at every request, and checks what must be true afterwards. `committed`
/// tells from a store whether `act` was done; `fails_late` if it may fail after that.
fn at_every_request(
    before: &Objects,
    act: impl Fn(&Store) -> Result<()>,
    committed: impl Fn(&Store) -> bool,
    fails_late: bool,
) {
    let objects = Arc::new(Mutex::new(before.clone()));
    let (store, count) = faulty(&objects, usize::MAX, Fault::Crash);
    act(&store).unwrap();
    assert!(committed(&store));
    let requests = count.load(Ordering::SeqCst);
    assert!(requests >= 5);
    println!("{requests} requests");

    for fault in FAULTS {
        for at in 0..requests {
            let place = format!("{fault:?} at request {at}");
            let objects = Arc::new(Mutex::new(before.clone()));
            let (store, _) = faulty(&objects, at, fault);
            let outcome = act(&store);
            let store = sound_store(&objects);
            assert_eq!(dataset::audit(&store).unwrap(), [""; 0], "{place}");
            let is_done = committed(&store);
            match &outcome {
                Ok(()) => assert!(is_done, "{place}"),
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                    assert!(error.to_string().contains("format-tools log memory:"), "{error}");
                }
                Err(error) => assert!(!is_done || fails_late, "{place}: {error}"),
            }

            if let Err(error) = act(&store) {
                assert!(is_done && error.kind() == ErrorKind::Exists, "{place}: {error}");
            }
            assert!(committed(&store), "{place}");
            assert_minimal(&store, &place);
        }
    }
}

/// After a collection, only what the newest version and the manifests need is there.
fn assert_minimal(store: &Store, place: &str) {
    dataset::gc(store, &gc_options(1, 0)).unwrap();
    assert_eq!(dataset::audit(store).unwrap(), [""; 0], "{place}");
    let newest = Dataset::open(store, At::Newest).unwrap();
    let live: Vec<String> = newest.files().unwrap().into_iter().map(|file| file.path).collect();
    for key in keys(store) {
        let is_manifest = key.starts_with("_manifests/v") || key == "_metadata.json";
        assert!(is_manifest || live.contains(&key), "{place}: {key} is left");
    }
}

fn versions_by(store: &Store, operation: Operation) -> usize {
    let Ok(log) = dataset::log(store) else { return 0 };
    log.iter().filter(|entry| entry.manifest.operation == operation).count()
}

/// A dataset of two versions that share nothing.
fn two_versions() -> Objects {
    let objects = Arc::new(Mutex::new(Objects::new()));
    let store = sound_store(&objects);
    commit(&store, Operation::Create, 1).unwrap();
    commit(&store, Operation::Overwrite, 2).unwrap();
    objects.lock().unwrap().clone()
}

/// As [`commit`], without panicking where the store fails.
fn append(store: &Store) -> Result<()> {
    let base = Dataset::find(store)?;
    let transaction = Transaction::begin(store, base.as_ref(), id())?;
    let mut content = draft(Operation::Append);
    match upload_chunk(&transaction, "chunk_1", 3) {
        Ok(chunk) => content.chunks.push(chunk),
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    }
    transaction.commit(content).map(drop)
}

const SAM: &str = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:3000000\n@SQ\tSN:chr2\tLN:1000\n\
    a\t0\tchr1\t7\t60\t4M\t*\t0\t0\tACGT\tIIII\n\
    b\t0\tchr1\t2000007\t60\t4M\t*\t0\t0\tACGT\tIIII\n\
    c\t16\tchr2\t9\t60\t4M\t*\t0\t0\tACGT\tIIII\n\
    d\t4\t*\t0\t0\t*\t*\t0\t0\tACGT\tIIII\n";

fn convert(store: &Store) -> Result<()> {
    let mut source =
        open("x.sam", Box::new(Cursor::new(SAM.as_bytes())), &SourceOptions::default())?;
    let options = paf::write::WriteOptions {
        chunk_size: 1_000_000,
        effort: Effort::Default,
        sample: None,
        threads: 1,
        ordering: paf::order::Ordering { sort: false, options: SortOptions::default() },
        change: dataset::Change::Create,
        verify: false,
        dry_run: false,
        created: NOW.into(),
        transaction: id(),
        input: InputInfo { name: "x.sam".into(), size_bytes: None, checksum: None, program: None },
    };
    paf::write::write(source.as_mut(), store, &options, &Arc::new(Progress::default())).map(drop)
}

#[test]
fn test_conversion_survives_faults_at_every_request() {
    let is_done = |store: &Store| Dataset::find(store).unwrap().is_some();
    at_every_request(&Objects::new(), convert, is_done, false);
}

#[test]
fn test_append_survives_faults_at_every_request() {
    let is_done = |store: &Store| versions_by(store, Operation::Append) > 0;
    at_every_request(&two_versions(), append, is_done, false);
}

#[test]
fn test_rollback_survives_faults_at_every_request() {
    let is_done = |store: &Store| versions_by(store, Operation::Rollback) > 0;
    let act = |store: &Store| dataset::rollback(store, &At::Version(1), NOW, id()).map(drop);
    at_every_request(&two_versions(), act, is_done, false);
}

#[test]
fn test_tag_survives_faults_at_every_request() {
    let is_done = |store: &Store| versions_by(store, Operation::Tag) > 0;
    let act = |store: &Store| dataset::tag(store, "x", &At::Newest, NOW, id()).map(drop);
    at_every_request(&two_versions(), act, is_done, false);
}

#[test]
fn test_gc_survives_faults_at_every_request() {
    let is_done = |store: &Store| versions_by(store, Operation::Gc) > 0;
    let act = |store: &Store| dataset::gc(store, &gc_options(1, 0)).map(drop);
    // It may be unable to delete what it condemned.
    at_every_request(&two_versions(), act, is_done, true);
}
