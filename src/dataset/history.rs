//! The versions of a dataset: listing them, comparing two, going back to one.

use std::collections::BTreeMap;

use super::{
    commit::{Transaction, TransactionId},
    manifest::{Counts, Manifest, Operation},
    open::{At, Dataset, LiveObject},
    paths::manifest_path,
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    store::Store,
};

/// How many small requests are sent together.
pub(super) const AT_ONCE: u64 = 256;

/// A version in the history of a dataset.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether its objects are still kept.
    pub kept: bool,
    /// Its names, as of the newest version.
    pub tags: Vec<String>,
}

/// The versions of the dataset in `store`, newest first. Versions whose manifests are not there,
/// as in a copy made by other means, are left out, and a long run of them ends the list: a manifest
/// may claim any number of predecessors.
///
/// # Errors
///
/// [`NotFound`](ErrorKind::NotFound) when there is no dataset.
pub fn log(store: &Store) -> Result<Vec<LogEntry>> {
    let newest = Dataset::open(store, At::Newest)?.manifest().clone();
    let mut end = newest.dataset_version;
    let mut entries = vec![LogEntry { manifest: newest.clone(), kept: true, tags: Vec::new() }];
    while end > 1 {
        let start = end.saturating_sub(AT_ONCE).max(1);
        let known = entries.len();
        let pending: Vec<_> =
            (start..end).rev().map(|v| (v, store.start_find(&manifest_path(v)))).collect();
        for (version, pending) in pending {
            let Some(bytes) = pending.wait()? else { continue };
            let manifest = Manifest::parse(&bytes).at(|| store.name(&manifest_path(version)))?;
            let tags = newest.tags_of(version).map(str::to_owned).collect();
            entries.push(LogEntry { manifest, kept: newest.keeps(version), tags });
        }
        if entries.len() == known {
            break;
        }
        end = start;
    }
    Ok(entries)
}

/// How two versions differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Objects that only the first has.
    pub removed: Vec<LiveObject>,
    /// Objects that only the second has.
    pub added: Vec<LiveObject>,
    /// How many objects both have.
    pub common: u64,
    /// What the chunks of the first hold, summed up.
    pub counts_before: Counts,
    /// What the chunks of the second hold, summed up.
    pub counts_after: Counts,
}

/// Compares the objects and counts of two versions; manifests are left out. Equal names mean equal
/// bytes.
pub fn diff(before: &Dataset, after: &Dataset) -> Result<Difference> {
    let objects = |dataset: &Dataset| -> Result<BTreeMap<String, LiveObject>> {
        let files = dataset.files()?.into_iter().filter(|file| file.kind != "manifest");
        Ok(files.map(|file| (file.path.clone(), file)).collect())
    };
    let (old, mut new) = (objects(before)?, objects(after)?);
    let mut difference = Difference {
        counts_before: before.counts()?,
        counts_after: after.counts()?,
        ..Difference::default()
    };
    for (path, object) in old {
        match new.remove(&path) {
            Some(_) => difference.common += 1,
            None => difference.removed.push(object),
        }
    }
    difference.added = new.into_values().collect();
    Ok(difference)
}

impl Dataset {
    /// What all chunks hold, summed up by name.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when a list of chunks is damaged, or a sum overflows.
    pub fn counts(&self) -> Result<Counts> {
        let mut sums = Counts::new();
        for chunk in self.chunks()?.iter() {
            add_counts(&mut sums, &chunk.counts)?;
        }
        Ok(sums)
    }
}

pub(super) fn add_counts(sums: &mut Counts, counts: &Counts) -> Result<()> {
    for (name, &count) in counts {
        let sum = sums.entry(name.clone()).or_default();
        *sum = sum
            .checked_add(count)
            .ok_or_else(|| Error::corrupt(format!("the sum of '{name}' is beyond all bounds")))?;
    }
    Ok(())
}

/// Commits a new version with the content of version `at`, after checking that all of its
/// objects exist.
///
/// # Errors
///
/// [`NotFound`](ErrorKind::NotFound) when there is no such version or it was given up,
/// [`Corrupt`](ErrorKind::Corrupt) when an object of it is missing.
pub fn rollback(store: &Store, at: &At, created: &str, id: TransactionId) -> Result<Dataset> {
    let newest = Dataset::open(store, At::Newest)?;
    let version = newest.resolve(at)?;
    if version == newest.manifest().dataset_version {
        return Err(
            Error::usage(format!("version {version} is the newest one already")).at(store.name(""))
        );
    }
    let target = newest.at(version)?;
    if let Err(error) = check_presence(&target) {
        // A collection may have given it up meanwhile, which is no damage.
        Dataset::open(store, At::Newest)?.resolve(&At::Version(version))?;
        return Err(error);
    }

    let draft = target.redraft(Operation::Rollback, created);
    Transaction::begin(store, Some(&newest), id)?.commit_with(draft, &|next, _| {
        next.repeat(target.manifest());
        next.source = Some(target.own_ref());
        Ok(())
    })
}

/// Checks that every object is there and has its size.
fn check_presence(dataset: &Dataset) -> Result<()> {
    let store = dataset.store();
    let files = dataset.files()?;
    let sized: Vec<_> = files.iter().filter_map(|f| f.size_bytes.map(|s| (&f.path, s))).collect();
    for batch in sized.chunks(AT_ONCE as usize) {
        let pending: Vec<_> = batch.iter().map(|(path, _)| store.start_size(path)).collect();
        for (&(path, size), pending) in batch.iter().zip(pending) {
            if pending.wait()? != Some(size) {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "an object of that version is missing or has another size",
                )
                .help("run 'verify' on that version")
                .at(store.name(path)));
            }
        }
    }
    Ok(())
}
