//! Where an export goes: a folder of Parquet files and nothing else, and its manifest beside it.

use crate::error::{Error, Result};
use crate::store::{Store, StoreOptions};

/// The folder of files, and what stands beside it.
///
/// The manifest of `OUT` is `OUT._manifest`, and what an interrupted export needs to go on is in
/// `OUT._resume/`. Inside the folder they would be in the way: Polars refuses a folder that holds
/// anything but Parquet files.
#[derive(Clone, Debug)]
pub struct Target {
    /// The folder.
    pub(super) files: Store,
    /// The folder above it.
    beside: Store,
    name: String,
}

impl Target {
    /// The folder at `location`, a path or a URL.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a bucket's root, which has nothing beside it.
    pub fn open(location: &str, options: &StoreOptions) -> Result<Self> {
        let trimmed = location.trim_end_matches('/');
        let start = trimmed.find("://").map_or(0, |at| at + 3);
        let (above, name) = match trimmed.get(start..).and_then(|rest| rest.rsplit_once('/')) {
            Some((above, name)) => (trimmed.get(..start + above.len()).unwrap_or_default(), name),
            None if start == 0 => (".", trimmed),
            None => ("", ""),
        };
        let above = if above.is_empty() && start == 0 { "/" } else { above };
        if name.is_empty() || name == "." || name == ".." || above.is_empty() {
            return Err(Error::usage("the output needs a folder of its own")
                .help("name a folder in the bucket or on disk, such as s3://bucket/parquet_out")
                .found(format!("{location:?}")));
        }
        Ok(Self {
            files: Store::open(trimmed, options)?,
            beside: Store::open(above, options)?,
            name: name.to_owned(),
        })
    }

    /// The folder, as messages name it.
    pub fn name(&self) -> String {
        self.files.name("")
    }

    /// The manifest, as messages name it.
    pub fn manifest_name(&self) -> String {
        self.beside.name(&self.manifest_key())
    }

    /// The store of the folder's files.
    pub fn files(&self) -> &Store {
        &self.files
    }

    /// The manifest's bytes, if there is one.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn manifest(&self) -> Result<Option<bytes::Bytes>> {
        self.beside.find(&self.manifest_key())
    }

    pub(super) fn beside(&self) -> &Store {
        &self.beside
    }

    pub(super) fn manifest_key(&self) -> String {
        format!("{}._manifest", self.name)
    }

    /// The folder of notes for going on after an interruption.
    pub(super) fn notes(&self) -> String {
        format!("{}._resume", self.name)
    }
}
