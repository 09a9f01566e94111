//! Bytes at a URL: the only room of this crate that touches disk and network.
//!
//! A [`Store`] is a prefix in an object store or a folder on disk; everything else addresses
//! objects below it by [keys](validate_key). The interface is synchronous, because the work around it is
//! computation on threads; requests run concurrently on a runtime of this module's own.
//!
//! What callers can rely on:
//!
//! - A range read returns exactly the bytes asked for, or an error that names object and range.
//! - Near ranges of one object are fetched together and long ones in parallel, by a
//!   [policy](Coalesce) that bounds what is fetched in vain.
//! - [`Store::create`] never replaces an object. Where the store's answer does not prove what
//!   happened, it says so ([`Creation`]), and the caller must read the object back.
//! - Reads never list: a plain web server is enough to read a dataset.
//! - Messages and logs never hold credentials, nor the query string of a signed URL.
//! - Bytes go to S3 with their SHA-256, so that it refuses what was damaged on its way.

mod backend;
mod bucket;
mod cache;
pub mod doctor;
mod failure;
mod input;
mod links;
mod location;
mod login;
mod meter;
mod options;
mod parts;
mod planner;
mod profile;
mod read;
mod runtime;
mod share;
mod upload;
mod write;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use object_store::{ObjectStore, memory::InMemory, path::Path};
use tokio::sync::Semaphore;

use self::{backend::Backend, cache::Cache, location::Location, meter::Counters};
use crate::error::{Error, Result};

pub use self::{
    input::{Input, open_input},
    meter::{Meter, Traffic},
    options::{Coalesce, Credentials, StoreOptions},
    parts::Parts,
    read::{Lookup, RangeRequest},
    runtime::Pending,
    share::Share,
    upload::Uploader,
    write::{Creation, ObjectInfo},
};

/// A prefix in an object store, or a folder on disk; cheap to clone.
///
/// ```
/// use bytes::Bytes;
/// use genomic_objects::store::{RangeRequest, Store};
///
/// let store = Store::in_memory();
/// store.put("chr1/a.bin", Bytes::from_static(b"0123456789"))?;
/// let ranges = [RangeRequest::new("chr1/a.bin", 2..4), RangeRequest::new("chr1/a.bin", 8..10)];
/// assert_eq!(store.get_ranges(&ranges)?, ["23", "89"]);
/// assert_eq!(store.meter().requests, 2, "one PUT, and one GET for both ranges");
/// # Ok::<(), genomic_objects::Error>(())
/// ```
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// How the root is written in messages: as the user gave it, without credentials.
    name: String,
    backend: Backend,
    /// The object-store path of the root; empty at the root of a bucket.
    prefix: String,
    /// The folder, for a store on local disk.
    folder: Option<PathBuf>,
    /// Whether this store created its own folder, and so may remove it again when it is empty.
    made_folder: AtomicBool,
    options: StoreOptions,
    permits: Semaphore,
    meter: Arc<Counters>,
    cache: Option<Cache>,
}

impl Store {
    /// Opens the prefix at `location`: a local path, or a `file://`, `s3://`, `r2://`, `gs://`,
    /// `az://`, `http://` or `https://` URL. Nothing is read and nothing is created yet, except
    /// that a file whose name ends in `.share` is read as the [`Share`] of a dataset.
    ///
    /// # Errors
    ///
    /// When the scheme is unknown, the URL holds credentials or a query, the path is a file, or the
    /// options and environment do not suffice to address the store.
    pub fn open(location: &str, options: &StoreOptions) -> Result<Self> {
        let place = Location::parse(location)?;
        if share::is_share(&place) {
            return Self::open_share(location, &place.name(), options);
        }
        let location = place;
        location.check_root()?;
        let name = location.name();
        let (backend, prefix) = Backend::open(&location, options)?;
        let folder = location.local_path().map(PathBuf::from);
        let cache = match (&options.cache_dir, &folder) {
            (Some(dir), None) => {
                let identity =
                    format!("{} {name}", options.endpoint_url.as_deref().unwrap_or_default());
                Some(Cache::new(dir.clone(), options.cache_bytes, &identity))
            }
            _ => None,
        };
        Ok(Self::assemble(name, backend, prefix, folder, options.clone(), cache))
    }

    /// An empty store in memory, for tests and examples.
    pub fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()), &StoreOptions::default())
    }

    /// A store over any client, such as one that counts, delays or breaks requests: for tests.
    #[doc(hidden)]
    pub fn over(client: Arc<dyn ObjectStore>, options: &StoreOptions) -> Self {
        let backend = Backend::plain(client.clone(), Some(client));
        Self::assemble("memory:".into(), backend, String::new(), None, options.clone(), None)
    }

    fn assemble(
        name: String,
        backend: Backend,
        prefix: String,
        folder: Option<PathBuf>,
        options: StoreOptions,
        cache: Option<Cache>,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            backend,
            prefix,
            folder,
            made_folder: AtomicBool::new(false),
            permits: Semaphore::new(options.max_in_flight.clamp(1, 4096)),
            options,
            meter: Arc::default(),
            cache,
        }))
    }

    /// How an object, or the store itself (`""`), is written in messages: never with credentials.
    pub fn name(&self, key: &str) -> String {
        self.0.name_of(key)
    }

    /// Whether this store can be written to at all (a web server cannot).
    pub fn is_writable(&self) -> bool {
        self.0.backend.write.is_some()
    }

    /// Whether it has to be tried, before writers rely on it, that the store keeps what exists when
    /// it is asked to create: servers that only speak like Amazon's.
    pub(crate) fn is_to_be_tried(&self) -> bool {
        self.0.backend.is_lookalike && !self.0.options.single_writer
    }

    /// The longest wait before a request whose outcome is open is sent for the second time.
    pub(crate) fn first_wait(&self) -> Duration {
        self.0.options.first_wait
    }

    /// What this store has been asked so far.
    pub fn meter(&self) -> Meter {
        self.0.meter.read()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.name).finish()
    }
}

impl Inner {
    fn name_of(&self, key: &str) -> String {
        match (key, self.name.as_str()) {
            ("", name) => name.to_owned(),
            (key, name) if name.ends_with([':', '/']) => format!("{name}{key}"),
            (key, name) => format!("{name}/{key}"),
        }
    }

    /// The object-store path of a key, after checking the key.
    fn path(&self, key: &str) -> Result<Path> {
        validate_key(key).map_err(|e| e.at(self.name_of("")))?;
        self.path_below(key)
    }

    /// As [`Self::path`]; the empty key is the root itself.
    fn path_below(&self, key: &str) -> Result<Path> {
        let full = match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        Path::parse(full).map_err(|e| {
            Error::usage("not a usable object name").at(self.name_of(key)).caused_by(e)
        })
    }
}

/// The longest key, in bytes: what S3 allows, less room for a prefix.
const MAX_KEY: usize = 900;

/// Checks that `key` names an object below its store, and nothing else: relative, `/` between
/// segments that are not empty, `.` or `..`, no backslash and no control character.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt), because keys come from manifests.
pub fn validate_key(key: &str) -> Result<()> {
    let problem = if key.is_empty() {
        "it is empty"
    } else if key.len() > MAX_KEY {
        "it is too long"
    } else if key.contains('\\') || key.chars().any(char::is_control) {
        "it holds a backslash or a control character"
    } else if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "it is absolute, or holds an empty, '.' or '..' segment"
    } else {
        return Ok(());
    };
    let shown: String = key.chars().take(80).flat_map(char::escape_default).collect();
    Err(Error::corrupt(format!("'{shown}' is not the key of an object: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_validate_key_refuses_what_leaves_the_store() {
        for good in ["a", "chr1/chunk.bin", "_metadata.json", "a/b=c/d+e.x", "..a", "a.."] {
            assert!(validate_key(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", "a/./b", "a\\b", "a\nb", "a\0"] {
            assert_eq!(validate_key(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad:?}");
        }
        assert!(validate_key(&"x".repeat(MAX_KEY + 1)).is_err());
    }

    #[test]
    fn test_store_refuses_bad_keys_on_every_path() {
        let store = Store::in_memory();
        assert!(store.get("../a").is_err());
        assert!(store.put("a/../b", bytes::Bytes::new()).is_err());
        assert!(store.get_ranges(&[RangeRequest::new("/etc/passwd", 0..1)]).is_err());
        assert!(store.delete(&["..".to_owned()]).is_err());
    }
}
