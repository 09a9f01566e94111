//! What must hold between a version and the next, and which operations may follow each other
//! unseen.

use std::collections::HashSet;

use super::manifest::{Manifest, Operation};
use crate::error::{Error, Result};

/// What to do when another transaction committed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Commit the same content after it.
    Rebase,
    /// Fail; the user decides on the newest version.
    Fail,
}

/// What becomes of a transaction whose base was the newest version until `theirs` was committed.
///
/// | mine ↓ theirs → | create | overwrite | append | replace | purge | tag | rollback | copy | gc |
/// |---|---|---|---|---|---|---|---|---|---|
/// | **create** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **overwrite** | fail | fail | fail | fail | fail | fail | fail | fail | rebase |
/// | **append** | fail | fail | fail | fail | fail | fail | fail | fail | rebase |
/// | **replace** | fail | fail | fail | fail | fail | fail | fail | fail | rebase |
/// | **purge** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **tag** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **rollback** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **copy** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **gc** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
///
/// An overwrite or rollback that went on would hide content nobody had seen; a rollback or gc may
/// need objects that the other gave up. Collection keeps the content, so writers may go on over
/// it, unless it condemned an object of theirs. Appends to different places could go on over each
/// other, but only the format can merge its fields; until one does, they fail.
pub fn conflict(mine: Operation, theirs: Operation) -> Conflict {
    match (mine, theirs) {
        (Operation::Overwrite | Operation::Append | Operation::Replace, Operation::Gc) => {
            Conflict::Rebase
        }
        _ => Conflict::Fail,
    }
}

/// Checks a version that is about to be committed after `parent`.
///
/// # Errors
///
/// [`Internal`](crate::error::ErrorKind::Internal): these are promises of this library.
pub(super) fn check(parent: Option<&Manifest>, next: &Manifest) -> Result<()> {
    let broken = |what: &str| {
        Err(Error::internal(format!("a commit would break the dataset: {what}"))
            .at(format!("version {}", next.dataset_version)))
    };
    let Some(parent) = parent else {
        return match (next.dataset_version, next.parent) {
            (1, None) => Ok(()),
            _ => broken("the first version is 1 and has no parent"),
        };
    };
    if parent.dataset_version.checked_add(1) != Some(next.dataset_version) {
        return broken("versions are consecutive");
    }
    if next.parent != Some(parent.own_ref()) {
        return broken("the parent is the version before, by its digest");
    }
    if next.transaction == parent.transaction {
        return broken("a transaction commits once");
    }
    if next.oldest_version < parent.oldest_version {
        return broken("versions given up do not come back");
    }
    if next.format != parent.format && next.operation != Operation::Overwrite {
        return broken("only an overwrite changes the format");
    }
    let condemned: HashSet<&str> = parent.condemned.iter().map(String::as_str).collect();
    match next.paths().find(|path| condemned.contains(path)) {
        Some(_) => broken("a condemned object is never referred to again"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_conflict_table_has_three_cells_that_rebase() {
        use Operation::{Append, Copy, Create, Gc, Overwrite, Purge, Replace, Rollback, Tag};
        let all = [Create, Overwrite, Append, Replace, Purge, Tag, Rollback, Copy, Gc];
        for mine in all {
            for theirs in all {
                let expected = match (mine, theirs) {
                    (Overwrite | Append | Replace, Gc) => Conflict::Rebase,
                    _ => Conflict::Fail,
                };
                assert_eq!(conflict(mine, theirs), expected, "{mine} over {theirs}");
            }
        }
    }
}
