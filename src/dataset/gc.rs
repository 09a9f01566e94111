//! Collection: giving up old versions, and removing objects that nothing refers to.
//!
//! What is to be deleted is first [condemned](Manifest::condemned) by a commit, and only then
//! deleted. A writer that loses the race against that commit sees the list, and a collection that
//! loses against a writer starts over; so no delete, however late, hits a live object. Ages only
//! save work: they keep the objects of a transaction under way from being condemned, which would
//! make it fail.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use super::{
    commit::{Transaction, TransactionId},
    history::{LogEntry, log},
    manifest::{MAX_MANIFEST, Manifest, Operation},
    open::{At, Dataset, find_version, live_paths, missing, read_checked},
    paths::{CONDEMNED, manifest_path, token_of},
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    json,
    store::{ObjectInfo, Store},
};

/// The kind of the object that lists condemned names when the manifest does not.
pub(super) const CONDEMNED_KIND: &str = "condemned";
/// The most condemned names in the manifest itself.
const INLINE_NAMES: usize = 500;
/// How often a collection starts over when writers commit first.
const TRIES: u32 = 4;

/// What to collect.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// How many of the newest versions to keep; at least 1.
    pub keep: u64,
    /// How old an object without any version must be, because it may belong to a transaction that
    /// is still under way.
    pub grace: Duration,
    /// The time now.
    pub now: SystemTime,
    /// The same, in RFC 3339.
    pub created: String,
    /// The id of the transaction.
    pub id: TransactionId,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The oldest version that can still be read.
    pub oldest_version: u64,
    /// The objects deleted, or to be deleted.
    pub objects: Vec<ObjectInfo>,
    /// The version that condemned them; `None` if there was nothing to do, or for a dry run.
    pub version: Option<u64>,
}

/// Gives up all but the newest versions, and deletes objects that no version kept refers to.
/// Objects without a transaction's token in their name are not ours and stay.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when writers kept committing first. An error while deleting
/// leaves objects for the next collection.
pub fn gc(store: &Store, options: &GcOptions) -> Result<Collected> {
    let mut tries = 1;
    loop {
        match try_gc(store, options) {
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

fn try_gc(store: &Store, options: &GcOptions) -> Result<Collected> {
    if options.keep == 0 {
        return Err(Error::usage("a collection keeps at least one version"));
    }
    let dataset = Dataset::open(store, At::Newest)?;
    let newest = dataset.manifest();
    let oldest = newest.oldest_version.max(newest.dataset_version.saturating_sub(options.keep - 1));

    let mut live: HashSet<String> = HashSet::new();
    let mut given_up: HashSet<String> = HashSet::new();
    for version in newest.oldest_version..=newest.dataset_version {
        let manifest = if version == newest.dataset_version {
            newest.clone()
        } else {
            find_version(store, version)?.ok_or_else(|| missing(store, &manifest_path(version)))?
        };
        given_up.extend(condemned(store, &manifest)?);
        let paths = live_paths(store, &manifest);
        if version >= oldest {
            live.extend(paths?);
        } else {
            // Lists that are gone already have nothing more to give up.
            given_up.extend(paths.unwrap_or_default());
        }
    }

    let is_garbage = |object: &ObjectInfo| {
        let age = options.now.duration_since(object.modified).unwrap_or_default();
        token_of(&object.key).is_some()
            && !live.contains(&object.key)
            && (given_up.contains(&object.key) || age > options.grace)
    };
    let objects: Vec<_> = store.list("")?.into_iter().filter(is_garbage).collect();
    let mut collected = Collected { oldest_version: oldest, objects, version: None };
    if options.dry_run || collected.objects.is_empty() {
        return Ok(collected);
    }

    let names: Vec<String> = collected.objects.iter().map(|object| object.key.clone()).collect();
    let transaction = Transaction::begin(store, Some(&dataset), options.id)?;
    let mut draft = dataset.redraft(Operation::Gc, &options.created);
    let inline = if names.len() <= INLINE_NAMES {
        names.clone()
    } else {
        let text = serde_json::to_vec(&names)
            .map_err(|e| Error::internal("cannot write JSON").caused_by(e))?;
        let list =
            transaction.put_object(CONDEMNED_KIND, CONDEMNED, "names", "json", text.into())?;
        draft.objects.push(list);
        Vec::new()
    };
    let committed = transaction.commit_with(draft, &|next| {
        next.chunk_segments.clone_from(&newest.chunk_segments);
        next.chunks.clone_from(&newest.chunks);
        next.oldest_version = oldest;
        next.condemned.clone_from(&inline);
    })?;
    collected.version = Some(committed.manifest().dataset_version);
    for batch in names.chunks(1000) {
        store.delete(batch)?;
    }
    Ok(collected)
}

/// The names that a version condemned, wherever they are listed.
pub(super) fn condemned(store: &Store, manifest: &Manifest) -> Result<Vec<String>> {
    let mut names = manifest.condemned.clone();
    for list in manifest.objects_of(CONDEMNED_KIND) {
        let bytes = read_checked(store, &list.path, list.size_bytes, list.checksum)?;
        let more: Vec<String> =
            json::parse(&bytes, MAX_MANIFEST, "list of names").at(|| store.name(&list.path))?;
        names.extend(more);
    }
    Ok(names)
}

/// Every name ever condemned in the history of the dataset in `store`, with the version that did.
pub(super) fn condemned_ever(store: &Store) -> Result<HashMap<String, u64>> {
    let mut names = HashMap::new();
    for LogEntry { manifest, .. } in log(store)? {
        // The list of an old collection may itself have been collected.
        let list = condemned(store, &manifest).unwrap_or_else(|_| manifest.condemned.clone());
        names.extend(list.into_iter().map(|name| (name, manifest.dataset_version)));
    }
    Ok(names)
}
