//! Names for versions: `published`, `freeze-2026`.
//!
//! The names are part of every manifest, so that setting one is a commit like all others: it cannot
//! race with the collection that would give the version up. A version with a name is kept, however
//! old it is.

use super::{
    commit::{Transaction, TransactionId},
    manifest::Operation,
    open::{At, Dataset},
};
use crate::{
    error::{Error, Result},
    store::Store,
};

/// The longest name of a version, in bytes.
const MAX_NAME: usize = 64;

/// Gives version `at` the name `name`, instead of any version that has it. The new version of the
/// dataset has the content of the newest.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) when that is no name,
/// [`NotFound`](crate::error::ErrorKind::NotFound) when there is no such version or it was given up,
/// [`Conflict`](crate::error::ErrorKind::Conflict) when another transaction gave it up, or changed
/// the same name, at the same time.
pub fn tag(
    store: &Store,
    name: &str,
    at: &At,
    created: &str,
    id: TransactionId,
) -> Result<Dataset> {
    check_tag(name).map_err(|error| Error::usage(error.to_string()))?;
    let newest = Dataset::open(store, At::Newest)?;
    let version = newest.resolve(at)?;
    change(&newest, name, Some(version), created, id)
}

/// Takes the name `name` away from the version that has it. A later collection may give up a version
/// that only the name kept.
///
/// # Errors
///
/// [`NotFound`](crate::error::ErrorKind::NotFound) when no version has that name,
/// [`Conflict`](crate::error::ErrorKind::Conflict) when another transaction changed it at the same
/// time.
pub fn untag(store: &Store, name: &str, created: &str, id: TransactionId) -> Result<Dataset> {
    let newest = Dataset::open(store, At::Newest)?;
    newest.resolve(&At::Tag(name.to_owned()))?;
    change(&newest, name, None, created, id)
}

fn change(
    newest: &Dataset,
    name: &str,
    version: Option<u64>,
    created: &str,
    id: TransactionId,
) -> Result<Dataset> {
    let store = newest.store();
    let before = newest.manifest().tags.get(name);
    let lost = |what: String| {
        Err(Error::conflict(what)
            .help("look at 'log', then run the command again")
            .at(store.name("")))
    };
    let draft = newest.redraft(Operation::Tag, created);
    Transaction::begin(store, Some(newest), id)?.commit_with(draft, &|next, parent| {
        let Some(parent) = parent else { return Err(Error::internal("a tag without a dataset")) };
        if parent.tags.get(name) != before {
            return lost(format!("another transaction changed the tag '{name}' first"));
        }
        next.repeat(parent);
        match version {
            Some(version) if !parent.keeps(version) => {
                return lost(format!("version {version} was given up"));
            }
            Some(version) => next.tags.insert(name.to_owned(), version),
            None => next.tags.remove(name),
        };
        Ok(())
    })
}

/// Checks a name: letters, digits, `.`, `_` and `-`, a letter first, and nothing that reads as the
/// number of a version.
pub(super) fn check_tag(name: &str) -> Result<()> {
    let bytes = name.as_bytes();
    let is_plain = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b));
    let is_number = name
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    let starts = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    if is_plain && starts && !is_number && bytes.len() <= MAX_NAME {
        return Ok(());
    }
    let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
    Err(Error::corrupt(format!("'{shown}' is no name for a version")).expected(format!(
        "up to {MAX_NAME} letters, digits, '.', '_' and '-', a letter first, and not a number as in v7"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_check_tag_refuses_numbers_and_what_is_not_plain() {
        for good in ["a", "published", "freeze-2026", "v1.0", "v", "B_2"] {
            assert!(check_tag(good).is_ok(), "{good}");
        }
        for bad in ["", "7", "v7", "-x", ".x", "a b", "a/b", "ä", "x\n"] {
            assert!(check_tag(bad).is_err(), "{bad:?}");
        }
        assert!(check_tag(&"x".repeat(64)).is_ok());
        assert!(check_tag(&"x".repeat(65)).is_err());
    }
}
