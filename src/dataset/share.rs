//! Sharing one version of a dataset for a time.

use std::time::Duration;

use super::{
    open::Dataset,
    paths::{METADATA, manifest_path},
};
use crate::{error::Result, store::Share};

/// Signs URLs of everything that a version consists of, good for `lasts` from now, which is
/// `until`. The version stays readable by them although newer ones are made, unless it is
/// collected.
///
/// # Errors
///
/// As [`Store::share`](crate::store::Store::share).
pub fn share(dataset: &Dataset, lasts: Duration, until: &str) -> Result<Share> {
    let manifest = manifest_path(dataset.manifest().dataset_version);
    let same = |path: String| (path.clone(), path);
    let mut keys: Vec<(String, String)> =
        dataset.files()?.into_iter().map(|file| same(file.path)).collect();
    // Where reading starts: the manifest itself, which never changes under its name.
    keys.push((METADATA.to_owned(), manifest));
    dataset.store().share(&keys, lasts, until)
}
