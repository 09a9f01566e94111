//! What a store really does: whether the promises that datasets rest on are kept there.
//!
//! Stores that speak S3 differ where it matters most. Some ignore `If-None-Match`, so that two
//! writers who commit the same version both believe that they won; one such answer is enough to
//! lose the work of the other. So it is tried, on objects of our own that are removed again.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use object_store::{GetOptions, ObjectStore as _, ObjectStoreExt as _};

use super::{Creation, RangeRequest, Store, failure::Failure, parts::Parts, runtime::start};
use crate::error::{Error, Result};

/// How many writers race for one object.
const RIVALS: usize = 32;
/// How many objects they race for.
const RACES: usize = 8;
/// How often an object is replaced and read again.
const REPLACEMENTS: u8 = 8;
/// The least that S3 takes as a part that is not the last.
const PART: usize = 5 << 20;
/// A clock that is off by more confuses the grace of collections and signed requests.
const TOLERABLE_SKEW: Duration = Duration::from_secs(300);

/// What a promise is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Any use.
    Everything,
    /// Several writers at a time.
    ConcurrentWriters,
    /// Nothing that could be lost.
    Comfort,
}

/// A promise, and whether it was kept.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// The promise.
    pub promise: &'static str,
    /// What for.
    pub needed_for: Need,
    /// Whether it was kept.
    pub kept: bool,
    /// What was seen.
    pub seen: String,
}

/// What was found out about a store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Diagnosis {
    /// Each promise that was tried.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether one writer at a time, and readers, are safe.
    pub fn is_usable(&self) -> bool {
        self.keeps(Need::Everything)
    }

    /// Whether any number of writers are safe.
    pub fn is_safe_for_concurrent_writers(&self) -> bool {
        self.is_usable() && self.keeps(Need::ConcurrentWriters)
    }

    fn keeps(&self, need: Need) -> bool {
        self.findings.iter().all(|finding| finding.kept || finding.needed_for != need)
    }
}

/// Tries what datasets need of `store`, on objects in `folder`, which must be empty and is
/// emptied again. `now` is the time here, to compare the store's clock with.
///
/// # Errors
///
/// When the store cannot be written to or fails otherwise: then nothing is known about it.
pub fn examine(store: &Store, folder: &str, now: SystemTime) -> Result<Diagnosis> {
    if !store.is_writable() {
        return Err(Error::usage("a web server can be read from only")
            .help("examine the bucket by its own scheme, such as s3://")
            .at(store.name("")));
    }
    let outcome = try_all(store, folder, now);
    let left: Vec<String> = store.list(folder)?.into_iter().map(|object| object.key).collect();
    store.delete(&left)?;
    Ok(Diagnosis { findings: outcome? })
}

fn try_all(store: &Store, folder: &str, now: SystemTime) -> Result<Vec<Finding>> {
    Ok(vec![
        gives_back(store, folder)?,
        joins_parts(store, folder)?,
        shows_the_newest(store, folder)?,
        reads_ranges(store, folder)?,
        keeps_what_exists(store, folder)?,
        lets_one_creator_win(store, folder)?,
        notices_a_replaced_object(store, folder)?,
        refuses_damaged_bytes(store, folder)?,
        lists(store, folder)?,
        deletes(store, folder)?,
        tells_the_time(store, folder, now)?,
    ])
}

fn finding(promise: &'static str, needed_for: Need, kept: bool, seen: String) -> Finding {
    Finding { promise, needed_for, kept, seen }
}

fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length).map(|at| ((at * 31 + seed) % 251) as u8).collect()
}

fn gives_back(store: &Store, folder: &str) -> Result<Finding> {
    let mut wrong = Vec::new();
    for (name, length) in [("empty", 0), ("small", 1_000), ("large", 9 << 20)] {
        let key = format!("{folder}/{name}");
        store.put(&key, pattern(length, 1))?;
        if store.get(&key)? != pattern(length, 1) {
            wrong.push(format!("{length} bytes come back as others"));
        }
    }
    let seen = if wrong.is_empty() { "0 B, 1 kB and 9 MiB".to_owned() } else { wrong.join(", ") };
    Ok(finding("an object comes back as it was written", Need::Everything, wrong.is_empty(), seen))
}

fn joins_parts(store: &Store, folder: &str) -> Result<Finding> {
    let promise = "an object sent in parts is there once all are, and not before";
    let whole = pattern(12 << 20, 2);
    let send = |key: &str, parts: usize| -> Result<Parts> {
        let mut sent = store.start_parts(key, whole.len() as u64)?;
        for at in (0..whole.len()).step_by(PART).take(parts) {
            sent.put(whole.slice(at..whole.len().min(at + PART)))?;
        }
        Ok(sent)
    };
    let (given_up, complete) = (format!("{folder}/some_parts"), format!("{folder}/all_parts"));
    let try_both = || -> Result<&str> {
        drop(send(&given_up, 1)?);
        if store.find(&given_up)?.is_some() {
            return Ok("one of which a part was sent, and then given up, is there");
        }
        let sent = send(&complete, usize::MAX)?;
        if store.find(&complete)?.is_some() {
            return Ok("one is there before it is finished");
        }
        sent.finish()?;
        Ok(match store.get(&complete)? == whole {
            true => "",
            false => "other bytes came back",
        })
    };
    let (kept, seen) = match try_both() {
        Ok("") => {
            (true, "12 MiB in parts of 5 MiB came back, and parts given up left nothing".into())
        }
        Ok(wrong) => (false, wrong.to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Ok(finding(promise, Need::Everything, kept, seen))
}

fn shows_the_newest(store: &Store, folder: &str) -> Result<Finding> {
    let key = format!("{folder}/replaced");
    let mut stale = 0;
    for round in 0..REPLACEMENTS {
        store.put(&key, Bytes::from(vec![round; 100]))?;
        stale += u32::from(store.get(&key)? != vec![round; 100]);
    }
    let seen = format!("{stale} of {REPLACEMENTS} reads after a write were old");
    Ok(finding("a read after a write sees it", Need::Everything, stale == 0, seen))
}

fn reads_ranges(store: &Store, folder: &str) -> Result<Finding> {
    let key = format!("{folder}/large");
    let whole = pattern(9 << 20, 1);
    let length = whole.len();
    let ranges = [0..1, 5..4_000, length / 2..length / 2 + 70_000, length - 1..length];
    let wanted = ranges
        .clone()
        .map(|range| RangeRequest::new(key.clone(), range.start as u64..range.end as u64));
    let promise = "a range is answered with just its bytes";
    let (kept, seen) = match store.get_ranges(&wanted) {
        Ok(got) => {
            let right = got.iter().zip(ranges).filter(|(got, range)| **got == whole[range.clone()]);
            let right = right.count();
            (right == wanted.len(), format!("{right} of {} ranges were right", wanted.len()))
        }
        Err(error) => (false, error.to_string()),
    };
    Ok(finding(promise, Need::Everything, kept, seen))
}

fn keeps_what_exists(store: &Store, folder: &str) -> Result<Finding> {
    let kept = store.refuses_to_create_twice(&format!("{folder}/created"))?;
    let seen = if kept {
        "the second was refused, and the first stayed"
    } else {
        "the second replaced the first, or was said to"
    };
    let promise = "what exists is not created again";
    Ok(finding(promise, Need::ConcurrentWriters, kept, seen.to_owned()))
}

fn lets_one_creator_win(store: &Store, folder: &str) -> Result<Finding> {
    let mut contested = 0;
    for race in 0..RACES {
        let key = format!("{folder}/race{race}");
        let line = Barrier::new(RIVALS);
        let winners: Vec<usize> = thread::scope(|scope| -> Result<Vec<usize>> {
            let rivals: Vec<_> = (0..RIVALS)
                .map(|rival| {
                    let (line, key) = (&line, &key);
                    scope.spawn(move || {
                        line.wait();
                        let creation = store.create(key, Bytes::from(vec![rival as u8; 100]))?;
                        Ok(matches!(creation, Creation::Created).then_some(rival))
                    })
                })
                .collect();
            let answers = rivals.into_iter().map(|rival| {
                rival.join().unwrap_or_else(|_| Err(Error::internal("a rival's thread failed")))
            });
            answers.filter_map(Result::transpose).collect()
        })?;
        let body = store.get(&key)?;
        let is_fair = match winners[..] {
            // An answer may have been lost on its way.
            [] => true,
            [winner] => body == vec![winner as u8; 100],
            _ => false,
        };
        contested += usize::from(!is_fair);
    }
    let seen = format!(
        "in {contested} of {RACES} races of {RIVALS} writers, more than one was told that it won, \
         or the wrong one"
    );
    let promise = "of many creators one wins, and knows it";
    Ok(finding(promise, Need::ConcurrentWriters, contested == 0, seen))
}

fn notices_a_replaced_object(store: &Store, folder: &str) -> Result<Finding> {
    let promise = "a read that asks for a state of an object gets no other";
    let key = format!("{folder}/changed");
    store.put(&key, Bytes::from_static(b"first"))?;
    let Some(first) = store.state(&key)? else {
        return Ok(finding(promise, Need::Comfort, true, "it gives objects no ETag".to_owned()));
    };
    let same = store.is_in_state(&key, &first)?;
    store.put(&key, Bytes::from_static(b"the second"))?;
    let (kept, seen) = match (same, store.is_in_state(&key, &first)?) {
        (false, _) => (false, "the object is refused though it did not change"),
        (_, true) => (false, "If-Match is ignored, so that an input may change while it is read"),
        (true, false) => (true, "If-Match is honoured"),
    };
    Ok(finding(promise, Need::Comfort, kept, seen.to_owned()))
}

fn refuses_damaged_bytes(store: &Store, folder: &str) -> Result<Finding> {
    let promise = "bytes that arrive damaged are refused";
    let key = format!("{folder}/damaged");
    let (kept, seen) = match store.put_damaged(&key)? {
        None => (true, "not tried: nothing here signs requests".to_owned()),
        Some(answer) if answer.status >= 400 && store.find(&key)?.is_none() => {
            (true, format!("a wrong checksum is answered with {}", answer.status))
        }
        Some(answer) => {
            let what = "a wrong checksum is not looked at; 'verify' finds what was damaged";
            (false, format!("{what} (status {})", answer.status))
        }
    };
    Ok(finding(promise, Need::Comfort, kept, seen))
}

fn lists(store: &Store, folder: &str) -> Result<Finding> {
    let names = |prefix: &str| -> Result<Vec<String>> {
        Ok(store.list(prefix)?.into_iter().map(|object| object.key).collect())
    };
    let below = format!("{folder}/listed");
    let mut wanted: Vec<String> = (0..20).map(|at| format!("{below}/{at:02}")).collect();
    for key in &wanted {
        store.put(key, Bytes::from_static(b"x"))?;
    }
    let all = names(&below)? == wanted;
    let gone = wanted.split_off(10);
    store.delete(&gone)?;
    let rest = names(&below)? == wanted;
    let seen = match (all, rest) {
        (true, true) => "new objects are there at once, deleted ones are not".to_owned(),
        (false, _) => "new objects are missing".to_owned(),
        (_, false) => "deleted objects are still there".to_owned(),
    };
    Ok(finding("a listing shows what is there", Need::Comfort, all && rest, seen))
}

fn deletes(store: &Store, folder: &str) -> Result<Finding> {
    let key = format!("{folder}/deleted");
    store.put(&key, Bytes::from_static(b"x"))?;
    store.delete(std::slice::from_ref(&key))?;
    let kept = store.find(&key)?.is_none();
    let seen = if kept { "it is gone at once" } else { "it can still be read" };
    Ok(finding("a deleted object is gone", Need::Comfort, kept, seen.to_owned()))
}

fn tells_the_time(store: &Store, folder: &str, now: SystemTime) -> Result<Finding> {
    let key = format!("{folder}/time");
    store.put(&key, Bytes::from_static(b"x"))?;
    let listed = store.list(folder)?;
    let found = listed.iter().find(|object| object.key == key);
    let skew = found.map(|object| {
        let later = object.modified.duration_since(now);
        later.unwrap_or_else(|error| error.duration())
    });
    let seen = match skew {
        Some(skew) => format!("{} s apart from the clock here", skew.as_secs()),
        None => "the listing does not have the object".to_owned(),
    };
    let kept = skew.is_some_and(|skew| skew <= TOLERABLE_SKEW);
    Ok(finding("the store's clock is right", Need::Comfort, kept, seen))
}

impl Store {
    /// Whether the store, asked to create an object that exists, keeps the one that is there.
    /// `key` must be free; it is freed again.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to, or its answers prove nothing.
    pub fn refuses_to_create_twice(&self, key: &str) -> Result<bool> {
        let create = |bytes: &'static [u8]| match self.create(key, Bytes::from_static(bytes))? {
            Creation::Created => Ok(true),
            Creation::Existed => Ok(false),
            Creation::Unknown(error) => Err(error),
        };
        create(b"first")?;
        let is_refused = !create(b"second")?;
        let stayed = self.get(key)? == b"first"[..];
        self.delete(&[key.to_owned()])?;
        Ok(is_refused && stayed)
    }

    /// What tells the state of an object from any other: its ETag, if it has one.
    fn state(&self, key: &str) -> Result<Option<String>> {
        let (inner, key) = (self.0.clone(), key.to_owned());
        start(async move {
            let meta = inner.backend.read.head(&inner.path(&key)?).await;
            let meta = meta.map_err(|cause| Failure::new(&cause, &inner.name_of(&key)).error)?;
            // Weak ones cannot be used in a condition.
            Ok(meta.e_tag.filter(|tag| !tag.starts_with("W/")))
        })
        .wait()
    }

    /// Whether the object is given to a read that asks for this state of it.
    fn is_in_state(&self, key: &str, state: &str) -> Result<bool> {
        let (inner, key) = (self.0.clone(), key.to_owned());
        let options = GetOptions { if_match: Some(state.to_owned()), ..GetOptions::default() };
        start(async move {
            match inner.backend.read.get_opts(&inner.path(&key)?, options).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::Precondition { .. }) => Ok(false),
                Err(cause) => Err(Failure::new(&cause, &inner.name_of(&key)).error),
            }
        })
        .wait()
    }
}
