//! Putting back from another copy what is damaged or missing.

use std::collections::BTreeSet;

use super::{
    copy::objects_of,
    manifest::{MAX_MANIFEST, Manifest, Operation},
    open::{At, Dataset, check_bytes, find_version},
    paths::{METADATA, manifest_path},
    transfer::{Objects, send_again},
    verify::Report,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Lookup, Store},
};

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// The dataset as it is now.
    pub dataset: Dataset,
    /// The objects that were put back.
    pub restored: Vec<String>,
    /// What the verification found afterwards; its notes tell what could not be restored.
    pub report: Report,
}

/// Verifies a version of the dataset in `store`, puts back what is damaged or missing from the copy
/// in `from`, and verifies again. An object is put back under its own name, with the bytes that the
/// manifest vouches for and no others, and is read back.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when the two are not copies of one dataset. What cannot be
/// restored is in the report.
pub fn repair(
    store: &Store,
    at: At,
    from: &Store,
    verify: &dyn Fn(&Dataset) -> Result<Report>,
) -> Result<Repaired> {
    let mut restored: BTreeSet<String> = restore_manifests(store, from)?.into_iter().collect();
    let mut unrestored;
    loop {
        let dataset = Dataset::open(store, at.clone())?;
        let mut report = verify(&dataset)?;
        unrestored = Vec::new();
        let mut has_more = false;
        for problem in &report.problems {
            match restore(&dataset, from, &problem.path) {
                Ok(true) => has_more |= restored.insert(problem.path.clone()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Store => return Err(error),
                Err(error) => unrestored.push(format!("the copy is no help: {error}")),
            }
        }
        // A list of chunks that was put back shows what else is wrong.
        if !has_more {
            report.notes.append(&mut unrestored);
            return Ok(Repaired { dataset, restored: restored.into_iter().collect(), report });
        }
    }
}

/// Puts back the manifests of `store` that are damaged or missing below its newest.
fn restore_manifests(store: &Store, from: &Store) -> Result<Vec<String>> {
    let copy = Dataset::open(from, At::Newest)?;
    let mut damaged = Vec::new();
    let mut missing = Vec::new();
    let (mut newest_here, mut is_same) = (0, false);
    // Up to this version, a purge gave up all: what is put back must not bring back what it took.
    let mut purged = 0;
    let hint = match store.start_lookup(METADATA, MAX_MANIFEST).wait()? {
        Lookup::Found(bytes) => Manifest::parse(&bytes).ok(),
        _ => None,
    };
    for version in 1..=copy.manifest().dataset_version {
        let here = match find_version(store, version) {
            Ok(Some(here)) => Some(here),
            Ok(None) => {
                missing.push(version);
                hint.clone().filter(|hint| hint.dataset_version == version)
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                damaged.push(version);
                newest_here = version;
                None
            }
            Err(error) => return Err(error),
        };
        let Some(here) = here else { continue };
        newest_here = version;
        if here.is_stub() || here.operation == Operation::Purge {
            purged = version;
        }
        if find_version(from, version)?.is_none_or(|there| there.own_ref() != here.own_ref()) {
            return Err(not_the_same(store, version));
        }
        is_same = true;
    }
    // The copy may be older, and know of no purge.
    let newest = hint.as_ref().map_or(0, |hint| hint.dataset_version);
    for version in copy.manifest().dataset_version + 1..=newest {
        let Ok(Some(here)) = find_version(store, version) else { break };
        newest_here = version;
        if here.is_stub() || here.operation == Operation::Purge {
            purged = version;
        }
    }
    damaged.extend(missing.into_iter().filter(|&version| version < newest_here));
    // The manifest that only the hint still shows.
    if hint.is_some_and(|hint| hint.dataset_version == newest_here)
        && find_version(store, newest_here).is_ok_and(|found| found.is_none())
    {
        damaged.push(newest_here);
    }
    if !damaged.is_empty() && !is_same && !shares_objects(&copy, store)? {
        return Err(not_the_same(store, newest_here));
    }
    let mut restored = Vec::new();
    for version in damaged {
        let key = manifest_path(version);
        let Some(bytes) = from.find(&key)? else { continue };
        let manifest = Manifest::parse(&bytes).map_err(|error| error.at(from.name(&key)))?;
        store.put(&key, if version < purged { manifest.stub().seal()? } else { bytes })?;
        restored.push(key);
    }
    Ok(restored)
}

/// Whether an object of `copy` is in `store`: their names tell datasets apart.
fn shares_objects(copy: &Dataset, store: &Store) -> Result<bool> {
    let objects = objects_of(copy, true)?;
    Ok(store.list("")?.iter().any(|object| objects.contains_key(&object.key)))
}

fn not_the_same(store: &Store, version: u64) -> Error {
    Error::conflict(format!("this is no copy of the same dataset, as version {version} shows"))
        .help("name a copy made by 'cp', 'push' or 'pull' with all its versions")
        .at(store.name(""))
}

/// Puts back one object; `false` if it has the right bytes, so that the copy cannot help.
fn restore(dataset: &Dataset, from: &Store, path: &str) -> Result<bool> {
    let store = dataset.store();
    if path == METADATA {
        let newest = Dataset::open(store, At::Newest)?.manifest().dataset_version;
        let Some(bytes) = store.find(&manifest_path(newest))? else { return Ok(false) };
        store.put(METADATA, bytes)?;
        return Ok(true);
    }
    // While the list of chunks is damaged, only it and what comes before it is known.
    let objects = objects_of(dataset, true).or_else(|error| match error.kind() {
        ErrorKind::Corrupt => Ok(listed(dataset)),
        _ => Err(error),
    })?;
    let Some(&(size, checksum)) = objects.get(path) else { return Ok(false) };
    let is_right = || -> Result<bool> {
        let found = store.find(path)?;
        Ok(found.is_some_and(|bytes| check_bytes(&bytes, size, checksum).is_ok()))
    };
    if is_right()? {
        return Ok(false);
    }
    send_again(from, store, path, size, checksum)?;
    match is_right()? {
        true => Ok(true),
        false => Err(Error::store("the store does not give back what was put there")
            .help("'format-tools doctor' tells what it does")
            .at(store.name(path))),
    }
}

/// The objects that the manifest itself lists.
fn listed(dataset: &Dataset) -> Objects {
    let manifest = dataset.manifest();
    let own = manifest.objects.iter().map(|o| (o.path.clone(), (o.size_bytes, o.checksum)));
    let lists = manifest.chunk_segments.iter();
    let lists = lists.map(|s| (s.path.clone(), (s.size_bytes, s.checksum)));
    let chunks = manifest.chunks.iter().map(|c| (c.path.clone(), (c.size_bytes, c.checksum)));
    own.chain(lists).chain(chunks).collect()
}
