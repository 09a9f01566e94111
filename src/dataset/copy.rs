//! Copying datasets between stores: objects first, what makes them visible last.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use super::{
    commit::{Transaction, TransactionId, refresh_metadata},
    digest::Checksum,
    gc::{CONDEMNED_KIND, condemned_ever},
    manifest::{Manifest, Operation},
    open::{At, Dataset, find_version, missing, read_checked},
    paths::manifest_path,
};
use crate::{
    error::{Error, ErrorKind, Result},
    pipeline::Progress,
    store::{Creation, Store},
};

/// What a copy did.
#[derive(Debug)]
pub struct Copied {
    /// The dataset as it is now at its new place.
    pub dataset: Dataset,
    /// Objects sent.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Objects that were there already, as after an interrupted copy.
    pub skipped: u64,
}

/// Copies one version into `target`, where it becomes a version of its own: the first, or with
/// `overwrite` the next. Every object is checked against its checksum on the way.
///
/// # Errors
///
/// [`Exists`](ErrorKind::Exists) when there is a dataset, unless it is to be overwritten.
pub fn copy(
    source: &Dataset,
    target: &Store,
    overwrite: bool,
    created: &str,
    id: TransactionId,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Copied> {
    let transaction = Transaction::for_output(target, overwrite, id)?;
    let objects = objects_of(source)?;
    let operation = match transaction.base() {
        Some(_) => {
            let condemned = condemned_ever(target)?;
            if let Some(path) = objects.keys().find(|path| condemned.contains_key(*path)) {
                return Err(Error::conflict(
                    "an object to be copied was collected there before, and its name cannot be used again",
                )
                .help("copy to another place")
                .at(target.name(path)));
            }
            Operation::Overwrite
        }
        None => Operation::Copy,
    };
    let sent = send(source.store(), target, &objects, threads, progress)?;

    let old = source.manifest();
    let draft = source.redraft(operation, created);
    let dataset = transaction.commit_with(draft, &|next| {
        next.chunk_segments.clone_from(&old.chunk_segments);
        next.chunks.clone_from(&old.chunks);
        next.source = Some(source.own_ref());
    })?;
    Ok(Copied { dataset, objects: sent.objects, bytes: sent.bytes, skipped: sent.skipped })
}

/// Copies a dataset with its history into `target`: all versions that are kept, and the manifests
/// of those that are not. A copy that was interrupted, or is behind, is continued.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when another history is there.
pub fn copy_all(
    source: &Store,
    target: &Store,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Copied> {
    let newest = Dataset::open(source, At::Newest)?.manifest().clone();
    let mut objects = Objects::new();
    for version in newest.oldest_version..=newest.dataset_version {
        let manifest = find_version(source, version)?
            .ok_or_else(|| missing(source, &manifest_path(version)))?;
        objects.extend(objects_of(&Dataset::new(source, manifest))?);
    }
    if let Some(there) = Dataset::find(target)? {
        check_same_history(source, there.manifest(), target)?;
    }
    let sent = send(source, target, &objects, threads, progress)?;

    let mut last = None;
    for version in 1..=newest.dataset_version {
        let key = manifest_path(version);
        let bytes = source.find(&key)?.ok_or_else(|| missing(source, &key))?;
        match target.create(&key, bytes.clone())? {
            Creation::Created => {}
            Creation::Existed | Creation::Unknown(_) => {
                if target.find(&key)?.as_ref() != Some(&bytes) {
                    return Err(other_history(target, version));
                }
            }
        }
        last = Some(bytes);
    }
    if let Some(bytes) = last {
        refresh_metadata(target, newest.dataset_version, bytes);
    }
    let dataset = Dataset::open(target, At::Newest)?;
    Ok(Copied { dataset, objects: sent.objects, bytes: sent.bytes, skipped: sent.skipped })
}

fn check_same_history(source: &Store, there: &Manifest, target: &Store) -> Result<()> {
    let version = there.dataset_version;
    match find_version(source, version)? {
        Some(here) if here.digest == there.digest => Ok(()),
        _ => Err(other_history(target, version)),
    }
}

fn other_history(target: &Store, version: u64) -> Error {
    Error::conflict(format!("there is a dataset with another history, from version {version} on"))
        .help("copy to another place")
        .at(target.name(""))
}

/// Size and checksum of objects by path.
type Objects = BTreeMap<String, (u64, Checksum)>;

/// The objects of a version that a copy needs: all but its manifest and the names it condemned.
fn objects_of(dataset: &Dataset) -> Result<Objects> {
    let manifest = dataset.manifest();
    let mut objects = Objects::new();
    for object in manifest.objects.iter().filter(|object| object.kind != CONDEMNED_KIND) {
        objects.insert(object.path.clone(), (object.size_bytes, object.checksum));
    }
    for segment in &manifest.chunk_segments {
        objects.insert(segment.path.clone(), (segment.size_bytes, segment.checksum));
    }
    for chunk in dataset.chunks()?.iter() {
        objects.insert(chunk.path.clone(), (chunk.size_bytes, chunk.checksum));
    }
    Ok(objects)
}

#[derive(Default)]
struct Sent {
    objects: u64,
    bytes: u64,
    skipped: u64,
}

/// Copies objects, `threads` at a time. Names are never reused, so an object that is there with
/// the right size is the same one.
fn send(
    source: &Store,
    target: &Store,
    objects: &Objects,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Sent> {
    let present: HashMap<String, u64> =
        target.list("")?.into_iter().map(|object| (object.key, object.size)).collect();
    let mut sent = Sent::default();
    let mut tasks = Vec::new();
    for (path, &(size, checksum)) in objects {
        if present.get(path) == Some(&size) {
            sent.skipped += 1;
        } else {
            sent.objects += 1;
            sent.bytes += size;
            tasks.push((path, size, checksum));
        }
    }
    if let Some(progress) = progress {
        progress.set_total_in(sent.bytes);
    }
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || -> Result<()> {
        while let Some(&(path, size, checksum)) = tasks.get(next.fetch_add(1, Relaxed)) {
            if failed.load(Relaxed) {
                break;
            }
            let outcome = read_checked(source, path, size, checksum)
                .and_then(|bytes| target.put(path, bytes));
            if outcome.is_err() {
                failed.store(true, Relaxed);
                return outcome;
            }
            if let Some(progress) = progress {
                progress.add_bytes_in(size);
                progress.add_bytes_out(size);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads.clamp(1, tasks.len().max(1))).map(|_| scope.spawn(work)).collect();
        let died = |_| Err(Error::new(ErrorKind::Internal, "a thread that copied objects died"));
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(died))
    })?;
    Ok(sent)
}
