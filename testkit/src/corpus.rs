//! Where the corpora of real and conformance files are.
//!
//! The environment variable `GENOMIC_OBJECTS_TEST_DATA` names the folder; without it,
//! `../shared/data` beside the workspace is tried. Tests that need a corpus skip where there is
//! none, except in CI, where its absence is a failure.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the corpora, or `None` after printing why it is missing.
///
/// # Panics
///
/// When there is none and the environment variable `CI` is `true`.
pub fn require() -> Option<PathBuf> {
    let (folder, origin) = match env::var_os("GENOMIC_OBJECTS_TEST_DATA") {
        Some(folder) => (PathBuf::from(folder), "GENOMIC_OBJECTS_TEST_DATA"),
        None => (beside_workspace(), "../shared/data beside the workspace"),
    };
    if folder.join("alignments").is_dir() {
        return Some(folder);
    }
    skip(&format!("no corpora at {} ({origin})", folder.display()));
    None
}

/// Prints that a test is skipped and why.
///
/// # Panics
///
/// When the environment variable `CI` is `true`: there, nothing may be skipped.
#[allow(clippy::panic)]
pub fn skip(reason: &str) {
    if env::var_os("CI").is_some_and(|value| value == "true") {
        panic!("{reason}, and CI=true forbids skipping");
    }
    println!("skipped: {reason}");
}

/// All files in `folder` whose name ends in `suffix`, sorted; its subfolders are not searched.
pub fn files(folder: impl AsRef<Path>, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// All files below `folder`, however deep, sorted.
pub fn files_below(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn beside_workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}
