//! Purging: content that must go from every version, as when a sample is withdrawn.
//!
//! A purge is a version without that content, which gives up all earlier ones and condemns all
//! objects but its own, of whatever age: what a transaction under way has uploaded may hold what is
//! purged, and it fails over the purge anyway. Then the objects are deleted, and [stubs](super::stub)
//! take the place of the earlier manifests. All of that can be done again, by another purge or a
//! collection, should it be interrupted after the commit.
//!
//! It knows nothing of samples: a format says what the new version consists of.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;

use super::{
    commit::{Draft, Transaction, TransactionId},
    gc::{condemn, condemned},
    history::AT_ONCE,
    manifest::{MAX_MANIFEST, Manifest, Operation},
    open::{At, Dataset, find_version, live_paths, missing},
    paths::{METADATA, manifest_path, token_of},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Lookup, ObjectInfo, Store},
};

/// How often a purge is tried when others commit first.
const TRIES: u32 = 4;
/// So many requests are not worth sending together.
const FEW: usize = 4;

/// How a dataset is purged.
#[derive(Clone, Debug)]
pub struct PurgeOptions {
    /// The time, in RFC 3339.
    pub created: String,
    /// The id of the transaction.
    pub id: TransactionId,
    /// Copies of parts of the content that the format keeps under fixed names, which nothing
    /// refers to. They are deleted before the commit.
    pub copies: Vec<String>,
    /// Only say what would be done; what rewrites must then write nothing.
    pub dry_run: bool,
}

/// What was purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The version that was made; `None` for a dry run, and where there was nothing to purge.
    pub version: Option<u64>,
    /// The earlier purge that was interrupted, and has been finished.
    pub finished: Option<u64>,
    /// The versions given up, or to be given up.
    pub versions: Vec<u64>,
    /// The objects deleted, or to be deleted.
    pub objects: Vec<ObjectInfo>,
    /// What is there afterwards and should not be, or is none of the dataset's.
    pub left: Vec<Left>,
}

/// An object that a purge found in the end and cannot answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it is, relative to the dataset.
    pub path: String,
    /// What it is.
    pub what: &'static str,
    /// Whether it belongs to the dataset, so that the purge is incomplete.
    pub is_ours: bool,
}

/// Commits a version that consists of what `rewrite` makes of the newest one, gives up all others,
/// and deletes all that only they need. `rewrite` returns `None` where there is nothing to purge; it
/// is called again, with another transaction, when others commit first.
///
/// A purge that was interrupted after its commit is finished first.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when others kept committing first; then nothing has changed.
/// [`Store`](ErrorKind::Store), saying so, when the commit took place and something after it failed:
/// the same purge or a [collection](super::gc()) finishes it.
pub fn purge(
    store: &Store,
    options: &PurgeOptions,
    mut rewrite: impl FnMut(&Dataset, &Transaction) -> Result<Option<Draft>>,
) -> Result<Purged> {
    let mut tries = 1;
    let mut id = options.id;
    loop {
        let base = Dataset::open(store, At::Newest)?;
        match try_purge(store, options, &base, id, &mut rewrite) {
            Err(error) if tries < TRIES && is_overtaken(&base, &error) => {
                id = options.id.of_try(tries);
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether a purge of `base` failed since others committed first, or deleted what it was about to
/// read.
fn is_overtaken(base: &Dataset, error: &Error) -> bool {
    let newest = || Dataset::open(base.store(), At::Newest);
    match error.kind() {
        ErrorKind::Conflict => true,
        ErrorKind::Corrupt => newest().is_ok_and(|newest| newest.own_ref() != base.own_ref()),
        _ => false,
    }
}

fn try_purge(
    store: &Store,
    options: &PurgeOptions,
    base: &Dataset,
    id: TransactionId,
    rewrite: &mut dyn FnMut(&Dataset, &Transaction) -> Result<Option<Draft>>,
) -> Result<Purged> {
    let mut purged = Purged::default();
    if !options.dry_run {
        purged.finished = finish(store, base.manifest())?;
    }
    let transaction = Transaction::begin(store, Some(base), id)?;
    let planned = rewrite(base, &transaction).and_then(|draft| {
        let Some(draft) = draft else { return Ok(None) };
        let objects = unneeded(store, base, &draft)?;
        Ok(Some((draft, objects)))
    });
    let (mut draft, objects) = match planned {
        Ok(Some(planned)) => planned,
        Ok(None) => {
            transaction.abandon();
            if purged.finished.is_some() {
                purged.left = left(store, base.manifest())?;
            }
            return Ok(purged);
        }
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    purged.objects = objects;
    purged.versions = base.manifest().kept_versions().collect();
    if options.dry_run {
        return Ok(purged);
    }
    draft.operation = Operation::Purge;
    let names: Vec<String> = purged.objects.iter().map(|object| object.key.clone()).collect();
    let prepared = condemn(&transaction, &mut draft, &names)
        .and_then(|inline| store.delete(&options.copies).map(|()| inline));
    let inline = match prepared {
        Ok(inline) => inline,
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    let committed = transaction.commit_with(draft, &|next, _| {
        next.oldest_version = next.dataset_version;
        next.condemned.clone_from(&inline);
        Ok(())
    })?;
    let newest = committed.manifest();
    purged.version = Some(newest.dataset_version);
    // Bytes of transactions that died may wait under the names of writes that were cut short.
    let unfinished = |error| unfinished(store, newest.dataset_version, error);
    store.remove_staged().map_err(unfinished)?;
    finish(store, newest)?;
    purged.left = left(store, newest).map_err(unfinished)?;
    Ok(purged)
}

/// The objects that a version of `draft` does not refer to.
fn unneeded(store: &Store, base: &Dataset, draft: &Draft) -> Result<Vec<ObjectInfo>> {
    let mut needed: HashSet<String> = HashSet::new();
    needed.extend(draft.objects.iter().map(|object| object.path.clone()));
    needed.extend(draft.chunks.iter().map(|chunk| chunk.path.clone()));
    if draft.keep_chunks {
        let segments = &base.manifest().chunk_segments;
        needed.extend(segments.iter().map(|segment| segment.path.clone()));
        needed.extend(base.chunks()?.iter().map(|chunk| chunk.path.clone()));
    }
    let mut objects = store.list("")?;
    objects.retain(|object| token_of(&object.key).is_some() && !needed.contains(&object.key));
    Ok(objects)
}

fn unfinished(store: &Store, version: u64, cause: Error) -> Error {
    Error::store(format!("version {version} purges the dataset, but not all is deleted yet"))
        .help(format!(
            "run the same command again, or 'format-tools gc {}': either finishes the purge",
            store.name("")
        ))
        .at(store.name(""))
        .caused_by(cause)
}

/// Does what is left to do of the purge since which all versions are kept, and returns its version if
/// there was anything.
///
/// `newest` is the newest version. Whatever gives up more versions finishes the purge first, so that
/// one which is not finished always is the oldest version kept.
///
/// # Errors
///
/// [`Store`](ErrorKind::Store) for anything that fails, saying that the purge took place.
pub(super) fn finish(store: &Store, newest: &Manifest) -> Result<Option<u64>> {
    let Some(purge) = purge_of(store, newest)? else { return Ok(None) };
    let version = purge.dataset_version;
    let rest = || -> Result<bool> {
        let has_renewed = renew_hint(store, newest, version)?;
        Ok(delete_rest(store, newest, &purge)? || has_renewed)
    };
    match rest() {
        Ok(true) => Ok(Some(version)),
        Ok(false) => Ok(None),
        Err(error) => Err(unfinished(store, version, error)),
    }
}

/// The purge since which all versions are kept, if it is one.
fn purge_of(store: &Store, newest: &Manifest) -> Result<Option<Manifest>> {
    let oldest = newest.oldest_version;
    if oldest == 1 {
        return Ok(None);
    }
    let purge = match newest.dataset_version == oldest {
        true => Some(newest.clone()),
        false => find_version(store, oldest)?,
    };
    Ok(purge.filter(|manifest| manifest.operation == Operation::Purge))
}

/// Replaces a copy of a manifest that is older than the purge in the place where readers begin.
fn renew_hint(store: &Store, newest: &Manifest, purge: u64) -> Result<bool> {
    let is_old = match store.start_lookup(METADATA, MAX_MANIFEST).wait()? {
        Lookup::Found(bytes) => {
            !Manifest::parse(&bytes).is_ok_and(|hint| hint.dataset_version >= purge)
        }
        Lookup::Missing => false,
        Lookup::Denied(error) => return Err(error),
    };
    if is_old {
        let key = manifest_path(newest.dataset_version);
        let bytes = store.find(&key)?.ok_or_else(|| missing(store, &key))?;
        store.put(METADATA, bytes)?;
    }
    Ok(is_old)
}

/// Deletes what earlier versions needed, then puts stubs in the place of their manifests. So where
/// all are stubs, nothing is left to do.
fn delete_rest(store: &Store, newest: &Manifest, purge: &Manifest) -> Result<bool> {
    let mut whole = Vec::new();
    for (_, bytes) in manifests_before(store, purge.dataset_version)? {
        // What is damaged cannot be replaced; it is found in the end.
        whole.extend(Manifest::parse(&bytes).ok().filter(|manifest| !manifest.is_stub()));
    }
    if whole.is_empty() {
        return Ok(false);
    }
    let mut live: HashSet<String> = HashSet::new();
    for version in newest.kept_versions() {
        let manifest = match version {
            version if version == newest.dataset_version => newest.clone(),
            version => find_version(store, version)?
                .ok_or_else(|| missing(store, &manifest_path(version)))?,
        };
        live.extend(live_paths(store, &manifest)?);
    }
    let mut gone: BTreeSet<String> = condemned(store, purge)?.into_iter().collect();
    for manifest in &whole {
        // Its lists may be gone already, and then what they named is in the purge's.
        gone.extend(condemned(store, manifest).unwrap_or_default());
        let listed = || manifest.paths().map(str::to_owned).collect();
        gone.extend(live_paths(store, manifest).unwrap_or_else(|_| listed()));
    }
    let there = store.list("")?.into_iter().map(|object| object.key);
    let names: Vec<String> =
        there.filter(|key| gone.contains(key) && !live.contains(key)).collect();
    for batch in names.chunks(1000) {
        store.delete(batch)?;
    }
    for batch in whole.chunks(at_once(whole.len())) {
        let stubs = batch
            .iter()
            .map(|manifest| Ok((manifest_path(manifest.dataset_version), manifest.stub().seal()?)));
        let stubs = stubs.collect::<Result<Vec<(String, Bytes)>>>()?;
        let pending: Vec<_> =
            stubs.into_iter().map(|(key, bytes)| store.start_put(&key, bytes)).collect();
        pending.into_iter().try_for_each(|pending| pending.wait())?;
    }
    Ok(true)
}

/// How many requests are sent together. A few come one after another, in an order that tests can
/// repeat.
fn at_once(requests: usize) -> usize {
    if requests > FEW { AT_ONCE as usize } else { 1 }
}

/// The manifests before version `end` that are there, in order. Where many in a row are not, as in a
/// copy made by other means, the search ends: a manifest may claim any number of predecessors.
fn manifests_before(store: &Store, end: u64) -> Result<Vec<(u64, Bytes)>> {
    let mut found = Vec::new();
    let mut end = end;
    while end > 1 {
        let start = end.saturating_sub(AT_ONCE).max(1);
        let known = found.len();
        let versions: Vec<u64> = (start..end).rev().collect();
        for versions in versions.chunks(at_once(versions.len())) {
            let pending: Vec<_> =
                versions.iter().map(|&v| (v, store.start_find(&manifest_path(v)))).collect();
            for (version, pending) in pending {
                found.extend(pending.wait()?.map(|bytes| (version, bytes)));
            }
        }
        if found.len() == known {
            break;
        }
        end = start;
    }
    found.reverse();
    Ok(found)
}

/// What is in the store besides what the versions kept need, stubs, and the place where readers
/// begin; nothing where no purge is the oldest version that is kept.
pub(super) fn left(store: &Store, newest: &Manifest) -> Result<Vec<Left>> {
    let Some(purge) = purge_of(store, newest)? else { return Ok(Vec::new()) };
    let version = purge.dataset_version;
    let mut known: HashSet<String> = HashSet::new();
    for kept in newest.kept_versions() {
        known.insert(manifest_path(kept));
        if let Some(manifest) = find_version(store, kept)? {
            known.extend(live_paths(store, &manifest)?);
        }
    }
    for (version, bytes) in manifests_before(store, version)? {
        if Manifest::parse(&bytes).is_ok_and(|manifest| manifest.is_stub()) {
            known.insert(manifest_path(version));
        }
    }
    let is_renewed = || -> Result<bool> {
        let hint = store.find(METADATA)?;
        Ok(hint.is_none_or(|bytes| {
            Manifest::parse(&bytes).is_ok_and(|hint| hint.dataset_version >= version)
        }))
    };
    if is_renewed()? {
        known.insert(METADATA.to_owned());
    }
    let mut left = Vec::new();
    for object in store.list("")? {
        if known.contains(&object.key) {
            continue;
        }
        let (what, is_ours) = if object.key == METADATA {
            ("a copy of a manifest from before the purge", true)
        } else if object.key.starts_with("_manifests/") && token_of(&object.key).is_none() {
            ("a manifest that has no stub, for it is damaged or out of place", true)
        } else if token_of(&object.key).is_some() {
            ("an object that no version refers to, of another transaction", true)
        } else {
            ("not of the dataset", false)
        };
        left.push(Left { path: object.key, what, is_ours });
    }
    Ok(left)
}
