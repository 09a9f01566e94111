//! Copying datasets between stores: objects first, what makes them visible last.

use super::{
    commit::{Transaction, TransactionId, refresh_metadata},
    gc::{CONDEMNED_KIND, condemned_ever},
    manifest::{MAX_MANIFEST, Manifest, Operation},
    open::{At, Dataset, find_version, missing},
    paths::{METADATA, manifest_path},
    purge::{self, Left},
    transfer::{Objects, send, sort_out},
};
use crate::{
    error::{Error, Result},
    pipeline::Progress,
    store::{Creation, ObjectInfo, Store},
};

/// What a copy has yet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Objects to be sent.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Objects that are there already.
    pub skipped: u64,
}

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
    /// Where the history ends in a purge: what is there from before it, and could not be deleted.
    pub left: Vec<Left>,
}

/// Copies one version into `target`, where it becomes a version of its own: the first, or with
/// `overwrite` the next. `threads` objects at a time are sent, each checked against its checksum on
/// the way; a copy that was interrupted sends only what is not there yet.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) when there is a dataset, unless it is to be overwritten.
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
    let objects = content_of(source)?;
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
    let sorted = sort_out(target.list("")?, &objects);
    let sent = send(source.store(), target, sorted, threads, progress)?;

    let draft = source.redraft(operation, created);
    let dataset = transaction.commit_with(draft, &|next, _| {
        next.repeat(source.manifest());
        next.source = Some(source.own_ref());
        Ok(())
    })?;
    let Outstanding { objects, bytes, skipped } = sent;
    Ok(Copied { dataset, objects, bytes, skipped, left: Vec::new() })
}

/// Copies a dataset with its history into `target`: all versions that are kept, and the manifests
/// of those that are not. A copy that was interrupted, or is behind, is continued; if the dataset
/// has been purged since, so is the copy.
///
/// # Errors
///
/// [`Conflict`](crate::error::ErrorKind::Conflict) when another history is there.
pub fn copy_all(
    source: &Store,
    target: &Store,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Copied> {
    let History { newest, objects, there, listed } = history_of(source, target)?;
    let sent = send(source, target, sort_out(listed, &objects), threads, progress)?;

    let hint = target.start_lookup(METADATA, MAX_MANIFEST);
    let manifest = |version: u64| {
        let key = manifest_path(version);
        let bytes = source.find(&key)?.ok_or_else(|| missing(source, &key))?;
        Ok::<_, Error>((key, bytes))
    };
    let mut last = None;
    for version in there + 1..=newest.dataset_version {
        let (key, bytes) = manifest(version)?;
        match target.create(&key, bytes.clone())? {
            Creation::Created => {}
            Creation::Existed | Creation::Unknown(_) => {
                let own = Manifest::parse(&bytes)?.own_ref();
                if find_version(target, version)?.is_none_or(|there| there.own_ref() != own) {
                    return Err(other_history(target, version));
                }
            }
        }
        last = Some(bytes);
    }
    // Also where only this was left to do.
    let bytes = match last {
        Some(bytes) => bytes,
        None => manifest(newest.dataset_version)?.1,
    };
    refresh_metadata(hint, target, newest.dataset_version, bytes);
    let dataset = Dataset::new(target, newest);
    // What was copied before a purge is as it was then.
    purge::finish(target, dataset.manifest())?;
    let left = purge::left(target, dataset.manifest())?;
    let Outstanding { objects, bytes, skipped } = sent;
    Ok(Copied { dataset, objects, bytes, skipped, left })
}

/// What [`copy`] would send.
///
/// # Errors
///
/// When either dataset cannot be read.
pub fn outstanding(source: &Dataset, target: &Store) -> Result<Outstanding> {
    Ok(sort_out(target.list("")?, &content_of(source)?).outstanding())
}

/// What [`copy_all`] would send.
///
/// # Errors
///
/// As [`copy_all`].
pub fn outstanding_of_all(source: &Store, target: &Store) -> Result<Outstanding> {
    let History { objects, listed, .. } = history_of(source, target)?;
    Ok(sort_out(listed, &objects).outstanding())
}

/// A dataset with its history, and what is at the place where it is to go.
struct History {
    newest: Manifest,
    /// Those of all versions kept.
    objects: Objects,
    /// The newest version there of the same history, 0 for none.
    there: u64,
    /// The objects there.
    listed: Vec<ObjectInfo>,
}

fn history_of(source: &Store, target: &Store) -> Result<History> {
    let listed = target.start_list("");
    let newest = Dataset::open(source, At::Newest)?;
    let there = match Dataset::find_ahead(target)? {
        Some(there) => {
            let version = there.manifest().dataset_version;
            let here = find_version(source, version)?;
            if here.is_none_or(|here| here.own_ref() != there.own_ref()) {
                return Err(other_history(target, version));
            }
            version
        }
        None => 0,
    };
    let mut objects = Objects::new();
    for version in newest.manifest().kept_versions() {
        objects.extend(objects_of(&newest.at(version)?, true)?);
    }
    Ok(History { newest: newest.manifest().clone(), objects, there, listed: listed.wait()? })
}

fn other_history(target: &Store, version: u64) -> Error {
    Error::conflict(format!("there is a dataset with another history, from version {version} on"))
        .help("copy to another place")
        .at(target.name(""))
}

/// What a version consists of, but for its manifest and the names it condemned, which concern the
/// place where they were collected.
fn content_of(dataset: &Dataset) -> Result<Objects> {
    objects_of(dataset, false)
}

pub(super) fn objects_of(dataset: &Dataset, with_condemned: bool) -> Result<Objects> {
    let manifest = dataset.manifest();
    let mut objects = Objects::new();
    let is_wanted = |kind: &str| with_condemned || kind != CONDEMNED_KIND;
    for object in manifest.objects.iter().filter(|object| is_wanted(&object.kind)) {
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
