//! Every promise about a store, tried on what is there: what `spec/dataset.md` calls invariants.

use std::collections::{HashMap, HashSet};

use super::{
    gc::condemned,
    invariants,
    manifest::{Manifest, Operation},
    open::{Dataset, find_version},
    paths::{MANIFESTS, METADATA, manifest_path},
};
use crate::{
    error::{ErrorKind, Result},
    store::Store,
};

/// Finds the promises that the dataset in `store` breaks, each with the object or version that shows
/// it; none where there is no dataset. Reads all manifests and lists, but no chunks, whose bytes
/// [`verify`](super::verify) checks.
///
/// # Errors
///
/// Only when the store fails.
pub fn audit(store: &Store) -> Result<Vec<String>> {
    let mut audit = Audit { store, broken: Vec::new() };
    let sizes: HashMap<String, u64> =
        store.list("")?.into_iter().map(|object| (object.key, object.size)).collect();
    if let Some(versions) = audit.versions()? {
        audit.check_names(&sizes, versions.len());
        audit.check_steps(&versions);
        audit.check_sources(&versions);
        audit.check_stubs(&versions);
        audit.check_hint(&versions)?;
        audit.check_objects(&versions, &sizes)?;
    }
    Ok(audit.broken)
}

struct Audit<'a> {
    store: &'a Store,
    broken: Vec<String>,
}

impl Audit<'_> {
    fn report(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.broken.push(format!("{place}: {what}"));
    }

    /// All versions in order, as far as they are sound.
    fn versions(&mut self) -> Result<Option<Vec<Manifest>>> {
        let mut versions = Vec::new();
        loop {
            let number = versions.len() as u64 + 1;
            match find_version(self.store, number) {
                Ok(Some(manifest)) => versions.push(manifest),
                Ok(None) => return Ok(Some(versions)),
                Err(error) if error.kind() == ErrorKind::Store => return Err(error),
                Err(error) => {
                    self.report(manifest_path(number), error);
                    return Ok(None);
                }
            }
        }
    }

    /// Versions are consecutive from 1: there is no manifest behind a gap.
    fn check_names(&mut self, sizes: &HashMap<String, u64>, versions: usize) {
        let known: HashSet<String> = (1..=versions as u64).map(manifest_path).collect();
        let first = format!("{MANIFESTS}/v");
        for key in sizes.keys().filter(|key| key.starts_with(&first) && !known.contains(*key)) {
            self.report(key, "versions are consecutive");
        }
    }

    /// What holds between a version and the next, and between all of them.
    fn check_steps(&mut self, versions: &[Manifest]) {
        let mut parent = None;
        let mut transactions = HashSet::new();
        for manifest in versions {
            for promise in invariants::broken(parent, manifest) {
                self.report(manifest_path(manifest.dataset_version), promise);
            }
            if !transactions.insert(manifest.transaction) {
                let place = manifest_path(manifest.dataset_version);
                self.report(place, "a transaction commits once");
            }
            parent = Some(manifest);
        }
    }

    /// A rollback has the content of the version that it names.
    fn check_sources(&mut self, versions: &[Manifest]) {
        let rollbacks = versions.iter().filter(|m| m.operation == Operation::Rollback);
        for manifest in rollbacks.filter(|manifest| !manifest.is_stub()) {
            let source = manifest
                .source
                .and_then(|source| versions.iter().find(|version| version.own_ref() == source));
            let repeats = source.is_some_and(|source| {
                let is_alike = source.is_stub() || manifest.repeats(source);
                source.dataset_version < manifest.dataset_version && is_alike
            });
            if !repeats {
                let place = manifest_path(manifest.dataset_version);
                self.report(place, "a rollback repeats the version it names");
            }
        }
    }

    /// Only manifests that a purge gave up are replaced by stubs.
    fn check_stubs(&mut self, versions: &[Manifest]) {
        let purges = versions.iter().filter(|m| m.operation == Operation::Purge);
        let newest = purges.map(|manifest| manifest.dataset_version).max().unwrap_or(0);
        for stub in versions.iter().filter(|m| m.is_stub() && m.dataset_version >= newest) {
            let place = manifest_path(stub.dataset_version);
            self.report(place, "only what a purge gave up has a stub");
        }
    }

    /// The hint for readers, where there is one, is a copy of a manifest.
    fn check_hint(&mut self, versions: &[Manifest]) -> Result<()> {
        let Some(hint) = self.store.find(METADATA)? else { return Ok(()) };
        let of = Manifest::parse(&hint)
            .ok()
            .filter(|hint| versions.iter().any(|version| version.own_ref() == hint.own_ref()));
        if of.is_none() {
            self.report(METADATA, "it is a copy of a manifest");
        }
        Ok(())
    }

    /// All objects of every version that is kept exist, and nobody condemned them.
    fn check_objects(&mut self, versions: &[Manifest], sizes: &HashMap<String, u64>) -> Result<()> {
        let Some(newest) = versions.last() else { return Ok(()) };
        let mut gone: HashMap<String, u64> = HashMap::new();
        for manifest in versions {
            let version = manifest.dataset_version;
            for path in manifest.paths().filter(|path| gone.contains_key(*path)) {
                let what = "a condemned object is never referred to again";
                self.broken.push(format!("{}: {what}: {path}", manifest_path(version)));
            }
            match condemned(self.store, manifest) {
                Ok(names) => gone.extend(names.into_iter().map(|name| (name, version))),
                Err(error) if error.kind() == ErrorKind::Store => return Err(error),
                // The list of a version that was given up may have been collected.
                Err(_) if !newest.keeps(version) => {}
                Err(error) => self.report(manifest_path(version), error),
            }
        }
        for version in newest.kept_versions() {
            let Some(manifest) = versions.iter().find(|m| m.dataset_version == version) else {
                self.report(manifest_path(version), "manifests are never deleted");
                continue;
            };
            let files = match Dataset::new(self.store, manifest.clone()).files() {
                Ok(files) => files,
                Err(error) if error.kind() == ErrorKind::Store => return Err(error),
                Err(error) => {
                    self.report(manifest_path(version), error);
                    continue;
                }
            };
            for file in files {
                if let Some(by) = gone.get(&file.path) {
                    let what = format!("version {version} needs it, and version {by} condemned it");
                    self.report(&file.path, what);
                }
                if let Some(size) = file.size_bytes
                    && sizes.get(&file.path) != Some(&size)
                {
                    self.report(&file.path, format!("version {version} needs it whole"));
                }
            }
        }
        Ok(())
    }
}
