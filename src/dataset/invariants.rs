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
/// | **overwrite** | fail | fail | fail | fail | fail | rebase | fail | fail | rebase |
/// | **append** | fail | fail | fail | fail | fail | rebase | fail | fail | rebase |
/// | **replace** | fail | fail | fail | fail | fail | rebase | fail | fail | rebase |
/// | **purge** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **tag** | fail | rebase | rebase | rebase | fail | rebase | rebase | fail | rebase |
/// | **rollback** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **copy** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
/// | **gc** | fail | fail | fail | fail | fail | fail | fail | fail | fail |
///
/// Why:
///
/// - Create and copy need an empty place. A create over a base is an overwrite, and so is a copy.
/// - New content must not hide content that nobody had seen: whoever writes content fails over new
///   content. Appends to different places could go on over each other, but only the format can
///   merge its fields; until one does, they fail.
/// - Tags and collections keep the content, so whoever writes content goes on over them, unless a
///   collection condemned an object of theirs.
/// - A tag takes over whatever content there is, so it goes on over new content, too. It fails where
///   the other gave up the version that it names, or changed the same name.
/// - A rollback needs the objects of its version, which the other may have given up; the name that
///   it went to may mean another version now.
/// - A collection must see everything that refers to objects, names included, and a purge all
///   versions. They fail, and start over.
/// - A purge rewrites what all others are based on.
pub fn conflict(mine: Operation, theirs: Operation) -> Conflict {
    use Operation::{Append, Gc, Overwrite, Replace, Rollback, Tag};
    match (mine, theirs) {
        (Overwrite | Append | Replace, Tag | Gc) => Conflict::Rebase,
        (Tag, Overwrite | Append | Replace | Rollback | Tag | Gc) => Conflict::Rebase,
        _ => Conflict::Fail,
    }
}

/// Whether nothing can be said of names and content, which a stub does not show.
fn lacks_content(parent: &Manifest, next: &Manifest) -> bool {
    parent.is_stub() || next.is_stub()
}

/// A promise about a version and the next, and whether it is kept.
type Step = (&'static str, fn(&Manifest, &Manifest) -> bool);

/// What holds between each version and the next.
const STEPS: [Step; 11] = [
    ("versions are consecutive", |parent, next| {
        parent.dataset_version.checked_add(1) == Some(next.dataset_version)
    }),
    ("the parent is the version before, by its digest", |parent, next| {
        next.parent == Some(parent.own_ref())
    }),
    ("a transaction commits once", |parent, next| next.transaction != parent.transaction),
    ("a condemned object is never referred to again", |parent, next| {
        let condemned: HashSet<&str> = parent.condemned.iter().map(String::as_str).collect();
        !next.paths().any(|path| condemned.contains(path))
    }),
    ("versions given up do not come back", |parent, next| {
        next.oldest_version >= parent.oldest_version
    }),
    ("only a collection or a purge gives up versions", |parent, next| {
        next.oldest_version == parent.oldest_version
            || matches!(next.operation, Operation::Gc | Operation::Purge)
    }),
    ("only versions that are kept have names", |parent, next| {
        lacks_content(parent, next) || next.tags.values().all(|&version| parent.keeps(version))
    }),
    ("only a tag changes names, and a purge takes them away", |parent, next| {
        let is_left = |(name, version)| parent.tags.get(name) == Some(version);
        match next.operation {
            _ if lacks_content(parent, next) => true,
            Operation::Tag => true,
            Operation::Purge => next.tags.iter().all(is_left),
            _ => next.tags == parent.tags,
        }
    }),
    ("a tag or a collection keeps the content", |parent, next| {
        !matches!(next.operation, Operation::Tag | Operation::Gc)
            || lacks_content(parent, next)
            || next.repeats(parent)
    }),
    ("only an overwrite or a rollback changes the format", |parent, next| {
        next.format == parent.format
            || matches!(next.operation, Operation::Overwrite | Operation::Rollback)
    }),
    ("only the first version is created or copied", |_, next| {
        !matches!(next.operation, Operation::Create | Operation::Copy)
    }),
];

/// The promises that `next` breaks as the version after `parent`.
pub(super) fn broken(parent: Option<&Manifest>, next: &Manifest) -> Vec<&'static str> {
    match parent {
        Some(parent) => {
            let is_broken = |(_, holds): &&Step| !holds(parent, next);
            STEPS.iter().filter(is_broken).map(|&(promise, _)| promise).collect()
        }
        None if next.dataset_version == 1 && next.parent.is_none() => Vec::new(),
        None => vec!["the first version is 1 and has no parent"],
    }
}

/// Checks a version that is about to be committed after `parent`.
///
/// # Errors
///
/// [`Internal`](crate::error::ErrorKind::Internal): these are promises of this library.
pub(super) fn check(parent: Option<&Manifest>, next: &Manifest) -> Result<()> {
    match broken(parent, next).first() {
        None => Ok(()),
        Some(promise) => {
            Err(Error::internal(format!("a commit would break the dataset: {promise}"))
                .at(format!("version {}", next.dataset_version)))
        }
    }
}
