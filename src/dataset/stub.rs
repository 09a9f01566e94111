//! Stubs: what is left of the manifest of a version that a purge gave up.
//!
//! A manifest names inputs and describes content, so that it may tell of what was purged. It cannot
//! be deleted, since versions are found by their consecutive numbers, and later ones name it by its
//! digest. So another manifest takes its place, with all that the protocol needs and nothing else,
//! and the digest of the one it stands for.

use super::{
    fields::Fields,
    manifest::{Manifest, Tags},
};
use crate::error::{Error, Result};

impl Manifest {
    /// Whether this stands for a manifest whose content was purged.
    pub fn is_stub(&self) -> bool {
        self.stands_for.is_some()
    }

    /// The stub of this manifest: always the same, so that it does not matter how often, or how
    /// late, it is written.
    pub(super) fn stub(&self) -> Self {
        Self {
            format: self.format.clone(),
            version: self.version.clone(),
            fields: Fields::default(),
            created: self.created.clone(),
            created_by: self.created_by.clone(),
            dataset_version: self.dataset_version,
            parent: self.parent,
            transaction: self.transaction,
            operation: self.operation,
            source: self.source,
            stands_for: Some(self.own_ref().digest),
            oldest_version: self.oldest_version,
            tags: Tags::new(),
            required_features: Vec::new(),
            inputs: Vec::new(),
            objects: Vec::new(),
            chunk_segments: Vec::new(),
            chunks: Vec::new(),
            condemned: self.condemned.clone(),
            digest: self.digest,
        }
    }

    /// Checks that a stub shows nothing.
    pub(super) fn check_stub(&self) -> Result<()> {
        let is_empty = self.fields.iter().next().is_none()
            && self.tags.is_empty()
            && self.required_features.is_empty()
            && self.inputs.is_empty()
            && self.paths().next().is_none();
        if self.is_stub() && !is_empty {
            return Err(Error::corrupt("a stub of a manifest has content"));
        }
        Ok(())
    }
}
