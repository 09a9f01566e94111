//! Every interleaving of two writers, a collection and a rollback, each with one lost answer and one
//! crash, in which the promises of the specification must hold in every state.
//!
//! It is the library's own code that runs. What it does next depends only on the answers it got so
//! far, so an actor's state is the list of its requests and answers, and its next request is found
//! by running it from the start and repeating those. Since each list is run once, all else is the
//! search of a graph: a state is the store's content, each actor's list, and the writes whose answer
//! was lost and that may still arrive at any time.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Mutex;
use std::time::Instant;

use genomic_objects::error::Error;

use super::double::{Answer, Objects, Request, sound_store, store_of, written};
use super::*;

/// What an actor does.
type Work = dyn Fn(&Store) -> Result<()>;

/// One of those who work on the dataset at the same time.
struct Actor {
    name: &'static str,
    /// The transaction by which it commits, if it has only one.
    id: Option<TransactionId>,
    work: Box<Work>,
    /// Whether it may lose an answer, and crash.
    has_faults: bool,
    /// Whether it lists what there is, as collections do.
    lists: bool,
}

/// What became of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Committed,
    Failed,
    Unknown,
}

/// Where an actor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It has got these answers.
    Running(u32),
    Crashed,
    Done(Outcome),
}

/// Most actors of a model.
const MOST: usize = 4;
/// In the place of a request where there is none.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    store: u32,
    /// Of each actor; who is not there has crashed.
    stages: [Stage; MOST],
    /// Who can lose an answer yet.
    may_lose: [bool; MOST],
    /// Writes whose answer was lost and that may still arrive, in order of their numbers.
    late: [u32; MOST],
}

impl State {
    fn is_running(&self, actor: usize) -> bool {
        matches!(self.stages[actor], Stage::Running(_))
    }

    fn late(&self) -> impl Iterator<Item = u32> {
        self.late.into_iter().take_while(|&request| request != NONE)
    }

    fn add_late(&mut self, request: u32) {
        self.late[MOST - 1] = request;
        self.late.sort_unstable();
    }

    fn remove_late(&mut self, at: usize) -> u32 {
        let request = std::mem::replace(&mut self.late[at], NONE);
        self.late.sort_unstable();
        request
    }
}

/// A hash of a few numbers, of which there are millions.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

/// Whether an object is of one transaction, and no manifest nor the hint.
fn is_own(key: &str) -> bool {
    dataset::token_of(key).is_some()
}

/// Numbers for values, so that states are small.
struct Interned<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn new() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }

    fn number(&mut self, value: T) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}

/// What is known of a store's content: who committed there.
struct Content {
    transactions: Vec<TransactionId>,
}

struct Model {
    actors: Vec<Actor>,
    stores: Interned<Objects>,
    requests: Interned<Request>,
    answers: Interned<Answer>,
    /// A list of requests and answers: the one before, and the last of each.
    lists: Interned<Option<(u32, u32, u32)>>,
    /// What an actor with a list does next: a request, or nothing any more.
    next: HashMap<(usize, u32), std::result::Result<u32, Outcome>>,
    served: HashMap<(u32, u32), (u32, u32)>,
    contents: HashMap<u32, Content>,
    /// Every name that was ever written, with its bytes.
    names: HashMap<String, Bytes>,
    runs: u64,
    /// Whether one of them purges, so that manifests may become stubs.
    has_purge: bool,
    /// Whether nobody gets to renew the hint for readers, so that all climb from the version before.
    has_old_hint: bool,
}

impl Model {
    fn new(actors: Vec<Actor>) -> Self {
        Self {
            has_purge: actors.iter().any(|actor| actor.name == "purge"),
            actors,
            stores: Interned::new(),
            requests: Interned::new(),
            answers: Interned::new(),
            lists: Interned::new(),
            next: HashMap::new(),
            served: HashMap::new(),
            contents: HashMap::new(),
            names: HashMap::new(),
            runs: 0,
            has_old_hint: false,
        }
    }

    /// What `actor` does after `list`.
    fn next(&mut self, actor: usize, list: u32) -> std::result::Result<u32, Outcome> {
        if let Some(&next) = self.next.get(&(actor, list)) {
            return next;
        }
        let mut told = Vec::new();
        let mut at = list;
        while let Some((before, request, answer)) = *self.lists.get(at) {
            told.push((self.requests.get(request).clone(), self.answers.get(answer).clone()));
            at = before;
        }
        // The last first, so that popping gives them in order.
        let told = Mutex::new(told);
        let asked: Arc<Mutex<Option<Request>>> = Arc::default();
        let ask = asked.clone();
        let store = store_of(move |request| {
            let mut told = told.lock().unwrap();
            let mut asked = ask.lock().unwrap();
            match told.pop() {
                Some((expected, answer)) if asked.is_none() => {
                    assert_eq!(expected, request, "an actor is not determined by its answers");
                    answer
                }
                // From its first new request on, the run only has to end.
                _ => {
                    asked.get_or_insert(request);
                    Answer::Lost
                }
            }
        });
        self.runs += 1;
        let outcome = (self.actors[actor].work)(&store);
        let next = match (asked.lock().unwrap().take(), outcome) {
            (Some(request), _) => Ok(self.requests.number(request)),
            (None, Ok(())) => Err(Outcome::Committed),
            (None, Err(error)) if error.kind() == ErrorKind::OutcomeUnknown => {
                Err(Outcome::Unknown)
            }
            (None, Err(error)) => {
                let expected = [ErrorKind::Conflict, ErrorKind::Store];
                assert!(expected.contains(&error.kind()), "{}: {error}", self.actors[actor].name);
                Err(Outcome::Failed)
            }
        };
        self.next.insert((actor, list), next);
        next
    }

    /// The store after a request, and its answer.
    fn serve(&mut self, store: u32, request: u32) -> (u32, u32) {
        if let Some(&served) = self.served.get(&(store, request)) {
            return served;
        }
        let asked = self.requests.get(request).clone();
        if let Request::Put(key, bytes) | Request::Create(key, bytes) = &asked {
            if matches!(asked, Request::Put(..)) && key.starts_with("_manifests/v") {
                let objects = self.stores.get(store);
                let [old, new] = [&objects[key], bytes].map(|b| Manifest::parse(b).unwrap());
                let stands_for = old.stands_for.unwrap_or(old.digest);
                assert_eq!(new.stands_for, Some(stands_for), "only stubs take their place");
            }
            let is_named = key != METADATA && !key.starts_with("_manifests/v");
            if is_named && let Some(old) = self.names.insert(key.clone(), bytes.clone()) {
                assert_eq!(old, bytes, "a name has one object");
            }
        }
        if let Request::Delete(key) = &asked {
            assert!(!key.starts_with("_manifests/v"), "manifests are never deleted");
        }
        let mut objects = self.stores.get(store).clone();
        let answer = match asked {
            Request::Put(key, _) if key == METADATA && self.has_old_hint => Answer::Done,
            asked => asked.serve(&mut objects),
        };
        let served = (self.stores.number(objects), self.answers.number(answer));
        self.served.insert((store, request), served);
        served
    }

    /// Whether no other actor can change what the request says: a manifest stays as it is, unless a
    /// stub can take its place.
    fn is_settled(&self, store: u32, request: u32) -> bool {
        let is_stub = |bytes: &Bytes| Manifest::parse(bytes).is_ok_and(|found| found.is_stub());
        match self.requests.get(request) {
            Request::Get(key) | Request::Put(key, _) if key == METADATA => self.has_old_hint,
            Request::Get(key) if key.starts_with("_manifests/v") => {
                let found = self.stores.get(store).get(key);
                found.is_some_and(|bytes| !self.has_purge || is_stub(bytes))
            }
            _ => false,
        }
    }

    /// The state with `actor` run on as far as nothing another does matters, without what makes no
    /// difference to anybody any more.
    fn settle(&mut self, mut state: State, actor: usize) -> State {
        while let Stage::Running(list) = state.stages[actor] {
            match self.next(actor, list) {
                Err(outcome) => state.stages[actor] = Stage::Done(outcome),
                Ok(request) if self.is_settled(state.store, request) => {
                    let (_, answer) = self.serve(state.store, request);
                    let list = self.lists.number(Some((list, request, answer)));
                    state.stages[actor] = Stage::Running(list);
                }
                Ok(_) => break,
            }
        }
        self.without_remains(state)
    }

    fn without_remains(&self, mut state: State) -> State {
        for actor in 0..self.actors.len() {
            state.may_lose[actor] &= state.is_running(actor);
        }
        let is_listed = self.is_listed(&state);
        for at in (0..MOST).rev().filter(|&at| state.late[at] != NONE).collect::<Vec<_>>() {
            if !self.has_effect(&state, at, is_listed) {
                state.remove_late(at);
            }
        }
        state
    }

    /// Whether anyone may yet list what there is.
    fn is_listed(&self, state: &State) -> bool {
        (0..self.actors.len()).any(|actor| self.actors[actor].lists && state.is_running(actor))
    }

    /// Whether a late write can change anything that anybody sees: what exists is not created
    /// again, what is not there and will not come is not deleted, and what has no version is seen
    /// by listing only.
    fn has_effect(&self, state: &State, at: usize, is_listed: bool) -> bool {
        let request = self.requests.get(state.late[at]);
        let objects = self.stores.get(state.store);
        match request {
            Request::Create(key, _) if key.starts_with("_manifests/v") => {
                !objects.contains_key(key)
            }
            Request::Put(key, _) if is_own(key) => is_listed,
            Request::Delete(key) => {
                let comes = |late: u32| {
                    let late = self.requests.get(late);
                    late.key() == key && !matches!(late, Request::Delete(_))
                };
                objects.contains_key(key) || state.late().any(comes)
            }
            _ => true,
        }
    }

    fn told(&mut self, state: &State, actor: usize, request: u32, answer: Answer) -> State {
        let Stage::Running(list) = state.stages[actor] else { panic!("it has ended") };
        let answer = self.answers.number(answer);
        let mut state = *state;
        state.stages[actor] = Stage::Running(self.lists.number(Some((list, request, answer))));
        self.settle(state, actor)
    }

    /// Every state that may follow. Where an actor is about to do what neither depends on others
    /// nor is seen by them, it goes first: all other orders come to the same.
    fn after(&mut self, state: &State, after: &mut Vec<State>) {
        let is_listed = self.is_listed(state);
        let mut asked = Vec::new();
        for actor in 0..self.actors.len() {
            let Stage::Running(list) = state.stages[actor] else { continue };
            let Ok(request) = self.next(actor, list) else { continue };
            asked.push((actor, request));
            let key = self.requests.get(request).key();
            let is_alone = !is_listed
                && is_own(key)
                && state.late().all(|late| self.requests.get(late).key() != key)
                && self.is_of(actor, key);
            if is_alone {
                return self.step(state, actor, request, after);
            }
        }
        for (actor, request) in asked {
            self.step(state, actor, request, after);
        }
        for at in 0..state.late().count() {
            let mut arrived = *state;
            let request = arrived.remove_late(at);
            arrived.store = self.serve(state.store, request).0;
            after.push(self.without_remains(arrived));
        }
    }

    /// Whether the object has a name of this actor's only transaction.
    fn is_of(&self, actor: usize, key: &str) -> bool {
        self.actors[actor].id.is_some_and(|id| dataset::token_of(key) == Some(&id.token()))
    }

    /// What follows when `actor` asks for this.
    fn step(&mut self, state: &State, actor: usize, request: u32, after: &mut Vec<State>) {
        let (store, answer) = self.serve(state.store, request);
        let answer = self.answers.get(answer).clone();
        after.push(self.told(&State { store, ..*state }, actor, request, answer));
        // Nobody notices a read, so that to crash before one is to crash before the next write.
        if !self.actors[actor].has_faults || !self.requests.get(request).is_write() {
            return;
        }
        let mut crashed = *state;
        crashed.stages[actor] = Stage::Crashed;
        after.push(self.without_remains(crashed));
        if state.may_lose[actor] {
            let mut lost = *state;
            lost.may_lose[actor] = false;
            lost.add_late(request);
            after.push(self.told(&lost, actor, request, Answer::Lost));
        }
    }

    /// Checks what must hold in every state.
    fn check(&mut self, state: &State) {
        let content = self.contents.entry(state.store).or_insert_with(|| {
            let objects = Arc::new(Mutex::new(self.stores.get(state.store).clone()));
            let store = sound_store(&objects);
            assert_sound(&store);
            // A reader finds the newest version, whatever the hint says.
            let log = dataset::log(&store).unwrap();
            let versions = keys(&store).iter().filter(|key| key.contains("s/v")).count();
            assert_eq!(log.len(), versions);
            Content { transactions: log.iter().map(|entry| entry.manifest.transaction).collect() }
        });
        for (actor, stage) in self.actors.iter().zip(&state.stages) {
            let (Some(id), Stage::Done(outcome)) = (actor.id, stage) else { continue };
            let is_there = content.transactions.contains(&id);
            match outcome {
                Outcome::Committed => assert!(is_there, "{}: an acknowledged commit", actor.name),
                Outcome::Failed => assert!(!is_there, "{}: a failed commit", actor.name),
                Outcome::Unknown => {}
            }
        }
    }

    /// Checks that the next collection leaves only what is needed, also after late writes arrive.
    fn check_end(&self, state: &State) {
        let objects = Arc::new(Mutex::new(self.stores.get(state.store).clone()));
        let store = sound_store(&objects);
        let options = GcOptions {
            now: written() + Duration::from_secs(60),
            id: id_of(1_000_000),
            ..gc_options(1, 0)
        };
        dataset::gc(&store, &options).unwrap();
        assert_sound(&store);
        let newest = Dataset::open(&store, At::Newest).unwrap();
        let mut live: Vec<String> =
            newest.files().unwrap().into_iter().map(|file| file.path).collect();
        for version in newest.manifest().kept_versions() {
            let kept = Dataset::open(&store, At::Version(version)).unwrap();
            live.extend(kept.files().unwrap().into_iter().map(|file| file.path));
        }
        for key in keys(&store) {
            let is_manifest = key.starts_with("_manifests/v") || key == METADATA;
            assert!(is_manifest || live.contains(&key), "{key} is left");
        }
        for request in state.late() {
            self.requests.get(request).serve(&mut objects.lock().unwrap());
        }
        assert_sound(&store);
    }

    /// Visits every state; returns how many there are.
    fn explore(&mut self, before: Objects) -> usize {
        let started = Instant::now();
        let store = self.stores.number(before);
        let empty = self.lists.number(None);
        let mut first = State {
            store,
            stages: [Stage::Crashed; MOST],
            may_lose: [false; MOST],
            late: [NONE; MOST],
        };
        for (at, actor) in self.actors.iter().enumerate() {
            first.stages[at] = Stage::Running(empty);
            first.may_lose[at] = actor.has_faults;
        }
        for actor in 0..self.actors.len() {
            first = self.settle(first, actor);
        }
        let mut seen: HashSet<State, BuildHasherDefault<Mix>> = HashSet::default();
        seen.insert(first);
        let mut ends = HashSet::new();
        let (mut open, mut after) = (vec![first], Vec::new());
        let mut steps = 0_u64;
        while let Some(state) = open.pop() {
            self.check(&state);
            self.after(&state, &mut after);
            steps += after.len() as u64;
            let is_end = (0..MOST).all(|actor| !state.is_running(actor));
            if is_end && ends.insert((state.store, state.late)) {
                self.check_end(&state);
            }
            open.extend(after.drain(..).filter(|next| seen.insert(*next)));
        }
        println!(
            "{}: {} states, {steps} steps, {} contents of the store, {} ends, {} runs of an actor \
             in {:.1} s",
            self.actors.iter().map(|actor| actor.name).collect::<Vec<_>>().join(" | "),
            seen.len(),
            self.stores.values.len(),
            ends.len(),
            self.runs,
            started.elapsed().as_secs_f64(),
        );
        seen.len()
    }
}

/// The ids of actors are above those that the checks of all states use up.
const ACTORS: u64 = 1 << 40;

fn writer(name: &'static str, operation: Operation, number: u64) -> Actor {
    let id = id_of(ACTORS + number);
    let work = move |store: &Store| {
        let base = Dataset::find(store)?;
        let transaction = Transaction::begin(store, base.as_ref(), id)?;
        let mut content = draft(operation);
        match upload_chunk(&transaction, "chunk", 3) {
            Ok(chunk) => content.chunks.push(chunk),
            Err(error) => {
                transaction.abandon();
                return Err(error);
            }
        }
        transaction.commit(content).map(drop)
    };
    Actor { name, id: Some(id), work: Box::new(work), has_faults: true, lists: false }
}

/// Gives up all versions but the newest, and takes everything without a version for left over, as a
/// collection does whose clock is a year ahead.
fn collector() -> Actor {
    let options =
        GcOptions { id: id_of(ACTORS + 2_000), now: written() + YEAR, ..gc_options(1, 0) };
    let work = move |store: &Store| dataset::gc(store, &options).map(drop);
    Actor { name: "gc", id: None, work: Box::new(work), has_faults: true, lists: true }
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Takes all content away but a new chunk.
fn purger() -> Actor {
    let options = dataset::PurgeOptions {
        created: NOW.into(),
        id: id_of(ACTORS + 2_500),
        copies: Vec::new(),
        dry_run: false,
    };
    let work = move |store: &Store| {
        dataset::purge(store, &options, |base, transaction| {
            if base.manifest().operation == Operation::Purge {
                return Ok(None);
            }
            let mut content = draft(Operation::Purge);
            content.chunks.push(upload_chunk(transaction, "chunk", 3)?);
            Ok(Some(content))
        })
        .map(drop)
    };
    Actor { name: "purge", id: None, work: Box::new(work), has_faults: true, lists: true }
}

fn roller() -> Actor {
    let id = id_of(ACTORS + 3_000);
    let work = move |store: &Store| match dataset::rollback(store, &At::Version(1), NOW, id) {
        // The collection was first.
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::conflict("given up")),
        outcome => outcome.map(drop),
    };
    Actor { name: "rollback", id: Some(id), work: Box::new(work), has_faults: true, lists: false }
}

fn tagger(name: &'static str, at: At, number: u64) -> Actor {
    let id = id_of(ACTORS + 4_000 + number);
    let work = move |store: &Store| match dataset::tag(store, name, &at, NOW, id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::conflict("given up")),
        outcome => outcome.map(drop),
    };
    Actor { name: "tag", id: Some(id), work: Box::new(work), has_faults: true, lists: false }
}

fn untagger(name: &'static str) -> Actor {
    let id = id_of(ACTORS + 5_000);
    let work = move |store: &Store| match dataset::untag(store, name, NOW, id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::conflict("no such tag")),
        outcome => outcome.map(drop),
    };
    Actor { name: "untag", id: Some(id), work: Box::new(work), has_faults: true, lists: false }
}

/// Two versions of a chunk each; if `tagged`, the first has the name `old`.
fn before(tagged: bool) -> Objects {
    let objects = Arc::new(Mutex::new(Objects::new()));
    let store = sound_store(&objects);
    for (operation, number) in [(Operation::Create, 1), (Operation::Overwrite, 2)] {
        (writer("", operation, number).work)(&store).unwrap();
    }
    if tagged {
        dataset::tag(&store, "old", &At::Version(1), NOW, id()).unwrap();
    }
    objects.lock().unwrap().clone()
}

#[test]
fn test_model_of_two_writers_a_collection_and_a_rollback() {
    let append = || writer("append", Operation::Append, 11);
    let overwrite = || writer("overwrite", Operation::Overwrite, 12);
    // Each with a lost answer and a crash.
    for actors in [
        vec![append(), overwrite(), collector()],
        vec![append(), overwrite(), roller()],
        vec![append(), collector(), roller()],
    ] {
        assert!(Model::new(actors).explore(before(false)) > 10_000);
    }
    // All four at once, without what they do to the hint for readers.
    let mut model = Model::new(vec![append(), overwrite(), collector(), roller()]);
    model.has_old_hint = true;
    assert!(model.explore(before(false)) > 10_000);
}

#[test]
fn test_model_of_a_purge() {
    let append = || writer("append", Operation::Append, 11);
    let tag = || tagger("new", At::Version(1), 1);
    for (mut actors, faulty) in [
        (vec![append(), purger()], 2),
        (vec![purger(), collector()], 2),
        (vec![append(), tag(), purger()], 0),
    ] {
        for (at, actor) in actors.iter_mut().enumerate() {
            actor.has_faults = at < faulty;
        }
        assert!(Model::new(actors).explore(before(false)) > 1_000);
    }
}

#[test]
fn test_model_of_names_a_collection_and_a_writer() {
    let append = || writer("append", Operation::Append, 11);
    let tag = || tagger("new", At::Version(1), 1);
    for actors in [vec![append(), tag(), collector()], vec![tag(), collector(), untagger("old")]] {
        assert!(Model::new(actors).explore(before(true)) > 10_000);
    }
}
