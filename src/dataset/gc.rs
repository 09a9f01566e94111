//! Collection: giving up old versions, and removing objects that nothing refers to.
//!
//! What is to be deleted is first [condemned](Manifest::condemned) by a commit, and only then
//! deleted. A writer that loses the race against that commit sees the list, and a collection that
//! loses against a writer starts over; so no delete, however late, hits a live object. Ages only
//! save work: they keep the objects of a transaction under way from being condemned, which would
//! make it fail.
//!
//! What is live follows from manifests alone, each read by its name. A listing only proposes what
//! to delete, so one that is old can neither spare nor hit anything that matters; and no clock can.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use super::{
    commit::{Draft, Transaction, TransactionId},
    history::{LogEntry, log},
    manifest::{MAX_MANIFEST, Manifest, Operation},
    open::{At, Dataset, find_version, live_paths, missing, read_checked},
    paths::{CONDEMNED, manifest_path, token_of},
    purge,
    time::parse_time,
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
/// How often a collection is tried when writers commit first.
const TRIES: u32 = 4;

/// What to collect. A version is given up only if neither `keep` nor `older_than` keeps it, nor a
/// tag; without both, none is.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Give up all but so many of the newest versions; at least 1.
    pub keep: Option<u64>,
    /// Give up versions that were made longer ago. The newest is kept, and so is every version
    /// after one that is younger, whatever its manifest says of its time.
    pub older_than: Option<Duration>,
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
    /// From this version on, all versions can still be read; before it, those with a name.
    pub oldest_version: u64,
    /// The versions given up, or to be given up.
    pub versions: Vec<u64>,
    /// The objects deleted, or to be deleted.
    pub objects: Vec<ObjectInfo>,
    /// The version that condemned them; `None` if there was nothing to do, or for a dry run.
    pub version: Option<u64>,
}

/// Gives up old versions, and deletes objects that no version kept refers to. A [purge](super::purge())
/// that was interrupted is finished first. Objects without a
/// transaction's token in their name are not ours and stay.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when writers kept committing first. An error while deleting
/// leaves objects for the next collection.
pub fn gc(store: &Store, options: &GcOptions) -> Result<Collected> {
    let mut tries = 1;
    let mut id = options.id;
    loop {
        match try_gc(store, options, id) {
            // Another collection may delete what this one is about to read.
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Corrupt)
                    && tries < TRIES =>
            {
                id = options.id.of_try(tries);
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

fn try_gc(store: &Store, options: &GcOptions, id: TransactionId) -> Result<Collected> {
    if options.keep == Some(0) {
        return Err(Error::usage("a collection keeps at least one version"));
    }
    let dataset = Dataset::open(store, At::Newest)?;
    let newest = dataset.manifest();
    if !options.dry_run {
        purge::finish(store, newest)?;
    }
    let versions = kept_manifests(store, newest)?;
    let oldest = oldest_to_keep(newest, &versions, options);
    let stays = |version: u64| version >= oldest || newest.tags_of(version).next().is_some();

    let mut live: HashSet<String> = HashSet::new();
    let mut given_up: HashSet<String> = HashSet::new();
    for manifest in &versions {
        given_up.extend(condemned(store, manifest)?);
        let paths = live_paths(store, manifest);
        if stays(manifest.dataset_version) {
            live.extend(paths?);
        } else {
            // What a damaged list names is left without a version, and goes once it is old.
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
    let numbers = versions.iter().map(|manifest| manifest.dataset_version);
    let mut collected = Collected {
        oldest_version: oldest,
        versions: numbers.filter(|&version| !stays(version)).collect(),
        objects,
        version: None,
    };
    if collected.objects.is_empty() {
        // Nothing would be won by giving up a version.
        collected.oldest_version = newest.oldest_version;
        collected.versions.clear();
    }
    if options.dry_run || collected.objects.is_empty() {
        return Ok(collected);
    }

    let names: Vec<String> = collected.objects.iter().map(|object| object.key.clone()).collect();
    let transaction = Transaction::begin(store, Some(&dataset), id)?;
    let mut draft = dataset.redraft(Operation::Gc, &options.created);
    let inline = condemn(&transaction, &mut draft, &names)?;
    let committed = transaction.commit_with(draft, &|next, _| {
        next.chunk_segments.clone_from(&newest.chunk_segments);
        next.chunks.clone_from(&newest.chunks);
        next.oldest_version = oldest;
        next.condemned.clone_from(&inline);
        Ok(())
    })?;
    collected.version = Some(committed.manifest().dataset_version);
    for batch in names.chunks(1000) {
        store.delete(batch)?;
    }
    Ok(collected)
}

/// The names to condemn that a manifest lists itself; if they are many, none, and `draft` gets an
/// object that does.
pub(super) fn condemn(
    transaction: &Transaction,
    draft: &mut Draft,
    names: &[String],
) -> Result<Vec<String>> {
    if names.len() <= INLINE_NAMES {
        return Ok(names.to_vec());
    }
    let text =
        serde_json::to_vec(names).map_err(|e| Error::internal("cannot write JSON").caused_by(e))?;
    let list = transaction.put_object(CONDEMNED_KIND, CONDEMNED, "names", "json", text.into())?;
    draft.objects.push(list);
    Ok(Vec::new())
}

/// The manifests of all versions that are kept now.
fn kept_manifests(store: &Store, newest: &Manifest) -> Result<Vec<Manifest>> {
    let read = |version: u64| {
        if version == newest.dataset_version {
            return Ok(newest.clone());
        }
        find_version(store, version)?.ok_or_else(|| missing(store, &manifest_path(version)))
    };
    newest.kept_versions().map(read).collect()
}

/// The version from which on all are kept: versions are given up from the oldest on, as long as all
/// options allow it. So a version whose clock was wrong keeps some that could go, and no version is
/// kept without all that came after it.
fn oldest_to_keep(newest: &Manifest, versions: &[Manifest], options: &GcOptions) -> u64 {
    let is_wanted = |manifest: &Manifest| {
        let version = manifest.dataset_version;
        let among_newest = options.keep.is_some_and(|keep| newest.dataset_version - version < keep);
        // A time that cannot be read, or is yet to come, is no reason to give it up.
        let age = parse_time(&manifest.created).and_then(|at| options.now.duration_since(at).ok());
        let is_young = options.older_than.is_some_and(|most| age.is_none_or(|age| age <= most));
        let is_any = options.keep.is_none() && options.older_than.is_none();
        is_any || among_newest || is_young || version == newest.dataset_version
    };
    let mut recent = versions.iter().filter(|m| m.dataset_version >= newest.oldest_version);
    recent.find(|m| is_wanted(m)).map_or(newest.dataset_version, |m| m.dataset_version)
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
