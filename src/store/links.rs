//! Symbolic links within a dataset on disk.
//!
//! Reading follows them: a tool that keeps versions of files may have put links in the place of
//! objects, and every byte is checked against the manifest. But nothing is listed, written or
//! deleted behind a folder that is a link, which may lead to another dataset or anywhere. The root
//! itself may be one.

use std::path::Path;

use crate::error::{Error, Result};

/// Whether a folder of `key`, below `root`, is a link.
pub(super) fn is_behind_link(root: &Path, key: &str) -> bool {
    let mut folder = root.to_owned();
    let Some((folders, _)) = key.rsplit_once('/') else { return false };
    folders.split('/').any(|name| {
        folder.push(name);
        folder.is_symlink()
    })
}

/// Fails for a `key` that would be written or deleted behind a link.
pub(super) fn check(root: Option<&Path>, key: &str) -> Result<()> {
    match root {
        Some(root) if is_behind_link(root, key) => Err(Error::unsupported(
            "a folder of this object is a symbolic link, behind which nothing is changed",
        )
        .help("put the folder itself in its place")),
        _ => Ok(()),
    }
}
