//! Sending the objects of a dataset from one store to another: what is missing, many at a time,
//! checked on the way, in a bounded amount of memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use sha2::{Digest, Sha256};

use super::{copy::Outstanding, digest::Checksum, open::check_bytes, open::missing};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    pipeline::Progress,
    store::{ObjectInfo, RangeRequest, Store},
};

/// Larger objects are sent in parts of this size.
const PART: u64 = 8 << 20;
/// Up to this size, an object is sent by one request.
const WHOLE: u64 = 2 * PART;
/// What S3 allows.
const MAX_PARTS: u64 = 10_000;
/// How many parts of an object are read ahead of the one that is being sent.
const AHEAD: usize = 1;
/// How much of objects may be in memory at once, unless a single part is larger.
const MEMORY: u64 = 192 << 20;
/// How often an object is sent whose bytes are not right: they may be so only on their way.
const TRIES: u32 = 2;

/// Size and checksum of objects by path.
pub(super) type Objects = BTreeMap<String, (u64, Checksum)>;

/// An object to be sent.
type Task<'a> = (&'a String, u64, Checksum);

/// What is to be sent, and how much is there.
pub(super) struct Sorted<'a> {
    tasks: Vec<Task<'a>>,
    present: u64,
}

impl Sorted<'_> {
    pub(super) fn outstanding(&self) -> Outstanding {
        Outstanding {
            objects: self.tasks.len() as u64,
            bytes: self.tasks.iter().map(|(_, size, _)| size).sum(),
            skipped: self.present,
        }
    }
}

/// Finds out what is missing where there is what is `listed`. Names are never reused and objects
/// appear whole, so one that is there with the right size is the same one.
pub(super) fn sort_out(listed: Vec<ObjectInfo>, objects: &Objects) -> Sorted<'_> {
    let there: HashMap<String, u64> =
        listed.into_iter().map(|object| (object.key, object.size)).collect();
    let is_missing = |&(path, size, _): &Task<'_>| there.get(path) != Some(&size);
    let all = objects.iter().map(|(path, &(size, checksum))| (path, size, checksum));
    let tasks: Vec<Task<'_>> = all.filter(is_missing).collect();
    let present = (objects.len() - tasks.len()) as u64;
    Sorted { tasks, present }
}

/// Sends what is missing, `threads` objects at a time.
pub(super) fn send(
    source: &Store,
    target: &Store,
    sorted: Sorted<'_>,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Outstanding> {
    let outstanding = sorted.outstanding();
    if let Some(progress) = progress {
        progress.set_total_in(outstanding.bytes);
        progress.set_total_items(outstanding.objects);
    }
    let tasks = sorted.tasks;
    let paths: Vec<String> = tasks.iter().map(|(path, ..)| (*path).clone()).collect();
    target.remove_staged_of(&paths)?;

    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let memory = Memory::default();
    let work = || -> Result<()> {
        while let Some(&task) = tasks.get(next.fetch_add(1, Relaxed)) {
            if failed.load(Relaxed) {
                break;
            }
            let outcome = send_one(source, target, task, &memory, progress);
            if outcome.is_err() {
                failed.store(true, Relaxed);
                return outcome;
            }
            if let Some(progress) = progress {
                progress.add_items(1);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads.clamp(1, tasks.len().max(1))).map(|_| scope.spawn(work)).collect();
        let died = |_| Err(Error::internal("a thread that sent objects died"));
        // All of them are waited for, and the first failure is told.
        let outcomes: Vec<_> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(died)).collect();
        outcomes.into_iter().collect::<Result<()>>()
    })?;
    Ok(outstanding)
}

/// Sends an object whether it is there or not.
pub(super) fn send_again(
    source: &Store,
    target: &Store,
    path: &str,
    size: u64,
    checksum: Checksum,
) -> Result<()> {
    send_one(source, target, (&path.to_owned(), size, checksum), &Memory::default(), None)
}

fn send_one(
    source: &Store,
    target: &Store,
    task: Task<'_>,
    memory: &Memory,
    progress: Option<&Progress>,
) -> Result<()> {
    let (_, size, _) = task;
    let needed = if size <= WHOLE { size } else { (AHEAD as u64 + 3) * part_size(size) };
    let _room = memory.take(needed);
    let mut tries = 1;
    loop {
        let outcome = match size <= WHOLE {
            true => send_whole(source, target, task),
            false => send_in_parts(source, target, task),
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::Corrupt && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    if let Some(progress) = progress {
        progress.add_bytes_in(size);
    }
    Ok(())
}

fn send_whole(source: &Store, target: &Store, (path, size, checksum): Task<'_>) -> Result<()> {
    // Never from a cache: its entries may be older than the damage that a copy is to find.
    let bytes = source.find(path)?.ok_or_else(|| missing(source, path))?;
    check_bytes(&bytes, size, checksum).at(|| source.name(path))?;
    target.put(path, bytes)
}

fn send_in_parts(source: &Store, target: &Store, (path, size, checksum): Task<'_>) -> Result<()> {
    let part = part_size(size);
    let mut starts = (0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX));
    let mut upload = target.start_parts(path, size)?;
    let mut digest = Sha256::new();
    let mut ahead = VecDeque::new();
    let mut fetch = || {
        let start = starts.next()?;
        let range = start..size.min(start.saturating_add(part));
        Some(source.start_get_part(&RangeRequest::new(path, range)))
    };
    ahead.extend((0..=AHEAD).map_while(|_| fetch()));
    while let Some(coming) = ahead.pop_front() {
        let bytes = coming.wait().map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(source, path),
            _ => error,
        })?;
        ahead.extend(fetch());
        digest.update(&bytes);
        upload.put(bytes)?;
    }
    let found = Checksum::from_bytes(digest.finalize().into());
    if found != checksum {
        return Err(Error::corrupt("the object is damaged")
            .expected(checksum)
            .found(found)
            .help("restore the object from a copy of the dataset")
            .at(source.name(path)));
    }
    upload.finish()
}

/// The size of all parts but the last.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MAX_PARTS))
}

/// Room for bytes, which is waited for.
#[derive(Default)]
struct Memory {
    taken: Mutex<u64>,
    changed: Condvar,
}

struct Room<'a> {
    memory: &'a Memory,
    bytes: u64,
}

impl Memory {
    fn take(&self, bytes: u64) -> Room<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > MEMORY {
            taken = self.changed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(bytes);
        Room { memory: self, bytes }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut taken = self.memory.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
        drop(taken);
        self.memory.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_part_size_keeps_to_what_stores_allow() {
        assert_eq!(part_size(WHOLE + 1), PART);
        assert_eq!(part_size(MAX_PARTS * PART), PART);
        let huge = 5_u64 << 40;
        assert!(huge.div_ceil(part_size(huge)) <= MAX_PARTS);
    }
}
