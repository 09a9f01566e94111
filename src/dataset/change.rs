//! What a conversion does to the dataset at its output.

use super::{
    commit::{Transaction, TransactionId},
    manifest::Operation,
    open::Dataset,
};
use crate::{
    error::{Error, Result},
    store::Store,
};

/// What becomes of the dataset that is where a conversion writes to.
///
/// A conversion that appends or replaces is based on the newest version: it refers to the chunks
/// that stay by their names, and loses against any other that commits first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// There must be none.
    #[default]
    Create,
    /// All of it is replaced, if there is one.
    Overwrite,
    /// The input is added to it; what that means is the format's.
    Append,
    /// The parts of these names are replaced by what the input has of them.
    Replace(Vec<String>),
}

impl Change {
    /// Begins the transaction; a dry run may write where there is a dataset.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::error::ErrorKind::Exists) where there must be none and is one,
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none to change.
    pub fn begin(&self, store: &Store, id: TransactionId, dry_run: bool) -> Result<Transaction> {
        let verb = match self {
            Self::Create => return Transaction::for_output(store, dry_run, id),
            Self::Overwrite => return Transaction::for_output(store, true, id),
            Self::Append => "append to",
            Self::Replace(_) => "replace a part of",
        };
        let base = Dataset::find(store)?.ok_or_else(|| {
            Error::not_found(format!("there is no dataset to {verb}"))
                .help("check the path, or convert without that option to make one")
                .at(store.name(""))
        })?;
        Transaction::begin(store, Some(&base), id)
    }

    /// The version that the change keeps something of.
    pub fn base<'a>(&self, transaction: &'a Transaction) -> Option<&'a Dataset> {
        match self {
            Self::Create | Self::Overwrite => None,
            Self::Append | Self::Replace(_) => transaction.base(),
        }
    }

    /// What the manifest calls it; a create over a base is recorded as an overwrite.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Create | Self::Overwrite => Operation::Create,
            Self::Append => Operation::Append,
            Self::Replace(_) => Operation::Replace,
        }
    }
}
