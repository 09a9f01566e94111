//! Opening a dataset, and reading what it consists of.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::{
    digest::Checksum,
    manifest::{ChunkEntry, MAX_MANIFEST, Manifest, ObjectRef, SegmentRef, parse_segment},
    paths::{METADATA, manifest_path},
    tag::check_tag,
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    store::{Lookup, Pending, Store},
};

/// Which version of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest.
    #[default]
    Newest,
    /// The one of this number, counted from 1.
    Version(u64),
    /// The one that has this name in the newest version.
    Tag(String),
}

impl FromStr for At {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let version = text.strip_prefix('v').unwrap_or(text).parse().ok().filter(|&v| v > 0);
        match version {
            Some(version) => Ok(Self::Version(version)),
            None if check_tag(text).is_ok() => Ok(Self::Tag(text.to_owned())),
            None => Err(Error::usage(format!("'{}' is not a version", text.escape_debug()))
                .expected("a number from 1, or the name of a version")
                .help("'log' lists the versions of a dataset")),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest version"),
            Self::Version(version) => write!(f, "version {version}"),
            Self::Tag(name) => write!(f, "version '{name}'"),
        }
    }
}

/// One version of a dataset in a store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Dataset {
    store: Store,
    manifest: Arc<Manifest>,
    chunks: Arc<OnceLock<Arc<[ChunkEntry]>>>,
}

/// A live object of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveObject {
    /// Where it is, relative to the dataset.
    pub path: String,
    /// `manifest`, `chunks` for a list of chunks, `chunk`, or a kind of the format.
    pub kind: String,
    /// Its size in bytes; that of the manifest itself is not recorded anywhere.
    pub size_bytes: Option<u64>,
}

impl Dataset {
    /// Opens a version, knowing for certain which is the newest.
    ///
    /// That takes two round trips: `_metadata.json`, then a look for the version after it; a tagged
    /// version takes one more. Use [`Self::open_and`] to spend the second one on something useful.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when there is no dataset or no such version,
    /// [`Corrupt`](ErrorKind::Corrupt) when its manifest is damaged.
    pub fn open(store: &Store, at: At) -> Result<Self> {
        Self::open_and(store, at, |_| Ok(())).map(|(dataset, ())| dataset)
    }

    /// Opens a version and at once does `work` with it, such as fetching its index, while the
    /// search for a newer version runs in the background. Should there be one, the result is
    /// dropped and `work` runs again on that; so it must have no other effect than its result.
    pub fn open_and<T>(
        store: &Store,
        at: At,
        work: impl Fn(&Self) -> Result<T>,
    ) -> Result<(Self, T)> {
        let dataset = match &at {
            At::Version(version) => Self::open_version(store, *version)?,
            At::Tag(_) => {
                let newest = Self::open(store, At::Newest)?;
                newest.at(newest.resolve(&at)?)?
            }
            At::Newest => {
                let (found, probe) = find_hint(store, None)?.ok_or_else(|| none_at(store))?;
                let dataset = Self::new(store, found.clone());
                let result = work(&dataset);
                match settle(store, found, probe)? {
                    None => {
                        refuse_stub(store, dataset.manifest())?;
                        return result.map(|result| (dataset, result));
                    }
                    Some(newer) => Self::new(store, newer),
                }
            }
        };
        refuse_stub(store, dataset.manifest())?;
        let result = work(&dataset)?;
        Ok((dataset, result))
    }

    /// Opens the newest version, or `None` where there is no dataset.
    pub fn find(store: &Store) -> Result<Option<Self>> {
        let found = Self::find_any(store)?;
        if let Some(dataset) = &found {
            refuse_stub(store, dataset.manifest())?;
        }
        Ok(found)
    }

    /// As [`Self::find`], where a copy may have ended amid versions that were purged.
    pub(super) fn find_any(store: &Store) -> Result<Option<Self>> {
        Self::settled(store, find_hint(store, None)?)
    }

    /// As [`Self::find_any`], in one round trip less where there is none, for one request more.
    pub(super) fn find_ahead(store: &Store) -> Result<Option<Self>> {
        let first = store.start_lookup(&manifest_path(1), MAX_MANIFEST);
        Self::settled(store, find_hint(store, Some(first))?)
    }

    fn settled(store: &Store, hint: Option<(Manifest, Probe)>) -> Result<Option<Self>> {
        let Some((found, probe)) = hint else { return Ok(None) };
        let newer = settle(store, found.clone(), probe)?;
        Ok(Some(Self::new(store, newer.unwrap_or(found))))
    }

    pub(super) fn new(store: &Store, manifest: Manifest) -> Self {
        Self { store: store.clone(), manifest: Arc::new(manifest), chunks: Arc::default() }
    }

    fn open_version(store: &Store, version: u64) -> Result<Self> {
        let hint = store.start_lookup(METADATA, MAX_MANIFEST);
        let wanted = find_version(store, version)?;
        // The hint only serves for messages here.
        let newest = match hint.wait() {
            Ok(Lookup::Found(bytes)) => Manifest::parse(&bytes).ok(),
            Ok(Lookup::Denied(error)) if wanted.is_none() => return Err(error),
            _ => None,
        };
        let Some(manifest) = wanted else {
            let Some(newest) = newest else { return Err(none_at(store)) };
            if newest.dataset_version == version {
                return Ok(Self::new(store, newest));
            }
            return Err(Error::not_found(format!("the dataset has no version {version}"))
                .found(format!("versions up to {}", newest.dataset_version))
                .help("'log' lists the versions of a dataset")
                .at(store.name("")));
        };
        // Versions that were given up do not come back, so even an old hint is right here.
        let is_after = |newest: &Manifest| newest.dataset_version > version;
        if let Some(newest) = newest.filter(|newest| is_after(newest) && !newest.keeps(version)) {
            return Err(given_up(store, &newest, version));
        }
        refuse_stub(store, &manifest)?;
        Ok(Self::new(store, manifest))
    }

    /// The number of a version that this one, the newest, keeps.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when there is no such version, or it was given up.
    pub(super) fn resolve(&self, at: &At) -> Result<u64> {
        let newest = self.manifest();
        let not_found = |what: String| {
            let error = Error::not_found(what).help("'log' lists the versions of a dataset");
            error.at(self.store.name(""))
        };
        match at {
            At::Newest => Ok(newest.dataset_version),
            At::Version(version) if newest.keeps(*version) => Ok(*version),
            At::Version(version) if *version > newest.dataset_version || *version == 0 => {
                Err(not_found(format!("the dataset has no version {version}"))
                    .found(format!("versions up to {}", newest.dataset_version)))
            }
            At::Version(version) => Err(given_up(&self.store, newest, *version)),
            At::Tag(name) => newest.tags.get(name).copied().ok_or_else(|| {
                let names: Vec<&str> = newest.tags.keys().map(String::as_str).collect();
                let shown = name.escape_debug();
                let error = not_found(format!("no version of the dataset has the name '{shown}'"));
                match names.is_empty() {
                    true => error,
                    false => error.found(names.join(", ")),
                }
            }),
        }
    }

    /// Version `version`, which this one, the newest, keeps.
    pub(super) fn at(&self, version: u64) -> Result<Self> {
        if version == self.manifest.dataset_version {
            return Ok(self.clone());
        }
        let manifest = find_version(&self.store, version)?
            .ok_or_else(|| missing(&self.store, &manifest_path(version)))?;
        Ok(Self::new(&self.store, manifest))
    }

    /// The store that holds the dataset.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What this version consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All chunks, in order. Lists kept outside the manifest are fetched once, all at a time.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when a list is damaged or missing.
    pub fn chunks(&self) -> Result<Arc<[ChunkEntry]>> {
        if let Some(chunks) = self.chunks.get() {
            return Ok(chunks.clone());
        }
        let segments = &self.manifest.chunk_segments;
        let fetched = fetch_all(&self.store, segments.iter().map(|s| s.path.as_str()))?;
        let mut chunks = Vec::new();
        for (segment, bytes) in segments.iter().zip(fetched) {
            let place = || self.store.name(&segment.path);
            check_bytes(&bytes, segment.size_bytes, segment.checksum).at(place)?;
            chunks.extend(parse_segment(segment, &bytes).at(place)?);
        }
        chunks.extend_from_slice(&self.manifest.chunks);
        Ok(self.chunks.get_or_init(|| chunks.into()).clone())
    }

    /// Reads an object and checks it against its checksum.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when it is missing, or not as it was written.
    pub fn read(&self, object: &ObjectRef) -> Result<Bytes> {
        read_checked(&self.store, &object.path, object.size_bytes, object.checksum)
    }

    /// Reads a whole chunk and checks it against its checksum.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_chunk(&self, chunk: &ChunkEntry) -> Result<Bytes> {
        read_checked(&self.store, &chunk.path, chunk.size_bytes, chunk.checksum)
    }

    /// Every object of this version: the manifest, then what it refers to.
    pub fn files(&self) -> Result<Vec<LiveObject>> {
        let live = |path: &str, kind: &str, size| LiveObject {
            path: path.to_owned(),
            kind: kind.to_owned(),
            size_bytes: size,
        };
        let manifest = &self.manifest;
        let mut files = vec![live(&manifest_path(manifest.dataset_version), "manifest", None)];
        let objects = manifest.objects.iter();
        files.extend(objects.map(|o| live(&o.path, &o.kind, Some(o.size_bytes))));
        let segments = manifest.chunk_segments.iter();
        files.extend(segments.map(|s| live(&s.path, "chunks", Some(s.size_bytes))));
        files.extend(self.chunks()?.iter().map(|c| live(&c.path, "chunk", Some(c.size_bytes))));
        Ok(files)
    }
}

/// Fetches whole objects, all in the background at once.
fn fetch_all<'a>(store: &Store, paths: impl Iterator<Item = &'a str>) -> Result<Vec<Bytes>> {
    let pending: Vec<(&str, Pending<Option<Bytes>>)> =
        paths.map(|path| (path, store.start_find(path))).collect();
    let wait = |(path, pending): (&str, Pending<Option<Bytes>>)| {
        pending.wait()?.ok_or_else(|| missing(store, path))
    };
    pending.into_iter().map(wait).collect()
}

pub(super) fn read_checked(store: &Store, path: &str, size: u64, sum: Checksum) -> Result<Bytes> {
    let bytes = store.get_immutable(path, size).map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(store, path),
        _ => error,
    })?;
    check_bytes(&bytes, size, sum).at(|| store.name(path))?;
    Ok(bytes)
}

pub(super) fn check_bytes(bytes: &[u8], size: u64, checksum: Checksum) -> Result<()> {
    let help = "restore the object from a copy of the dataset";
    if bytes.len() as u64 != size {
        return Err(Error::corrupt("the object has another size than the manifest says")
            .expected(format!("{size} bytes"))
            .found(format!("{} bytes", bytes.len()))
            .help(help));
    }
    let found = Checksum::of(bytes);
    if found != checksum {
        return Err(Error::corrupt("the object is damaged")
            .expected(checksum)
            .found(found)
            .help(help));
    }
    Ok(())
}

pub(super) fn missing(store: &Store, path: &str) -> Error {
    Error::corrupt("an object of the dataset is missing")
        .help("restore it from a copy of the dataset")
        .at(store.name(path))
}

fn given_up(store: &Store, newest: &Manifest, version: u64) -> Error {
    Error::not_found(format!("version {version} was given up: its objects are no longer kept"))
        .found(format!("versions from {}, and those with a name", newest.oldest_version))
        .help("'log' lists the versions of a dataset")
        .at(store.name(""))
}

/// A stub is a version that was given up, and cannot be the newest.
fn refuse_stub(store: &Store, manifest: &Manifest) -> Result<()> {
    if !manifest.is_stub() {
        return Ok(());
    }
    let version = manifest.dataset_version;
    Err(Error::not_found(format!("version {version} was given up by a purge"))
        .help(
            "open the newest version; if there is none but this, finish the copy ('push', 'pull' or \
             'cp --all') that was interrupted, or ask for a new share",
        )
        .at(store.name("")))
}

fn none_at(store: &Store) -> Error {
    Error::not_found("there is no dataset here")
        .help("check the path: it is that of the folder that holds _metadata.json")
        .at(store.name(""))
}

/// Reads version `version`; `None` where there is none, or a denial that means the same.
pub(super) fn find_version(store: &Store, version: u64) -> Result<Option<Manifest>> {
    let key = manifest_path(version);
    read_version(store, version, store.start_lookup(&key, MAX_MANIFEST))
}

fn read_version(store: &Store, version: u64, answer: Pending<Lookup>) -> Result<Option<Manifest>> {
    let bytes = match answer.wait()? {
        Lookup::Found(bytes) => bytes,
        // To users who may not list a bucket, S3 says so of objects that do not exist.
        Lookup::Missing | Lookup::Denied(_) => return Ok(None),
    };
    let place = || store.name(&manifest_path(version));
    let manifest = Manifest::parse(&bytes).at(place)?;
    if manifest.dataset_version != version {
        return Err(Error::corrupt("this is the manifest of another version")
            .expected(version)
            .found(manifest.dataset_version)
            .at(place()));
    }
    Ok(Some(manifest))
}

/// A look for a version that may not be there.
type Probe = Pending<Lookup>;

fn probe_after(store: &Store, found: &Manifest) -> Probe {
    let next = manifest_path(found.dataset_version.saturating_add(1));
    store.start_lookup(&next, MAX_MANIFEST)
}

/// The version in `_metadata.json`, or the first version where that file is missing or damaged;
/// `first` may be a look for that one.
fn find_hint(store: &Store, first: Option<Probe>) -> Result<Option<(Manifest, Probe)>> {
    let mut denied = None;
    let found = match store.start_lookup(METADATA, MAX_MANIFEST).wait()? {
        Lookup::Found(bytes) => match Manifest::parse(&bytes) {
            Ok(manifest) => Some(manifest),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Err(error.at(store.name(METADATA)));
            }
            Err(error) => {
                tracing::warn!(object = store.name(METADATA), %error, "using the manifests instead");
                None
            }
        },
        Lookup::Missing => None,
        Lookup::Denied(error) => {
            denied = Some(error);
            None
        }
    };
    let found = match found {
        Some(found) => Some(found),
        None => {
            let first =
                first.unwrap_or_else(|| store.start_lookup(&manifest_path(1), MAX_MANIFEST));
            read_version(store, 1, first)?
        }
    };
    match (found, denied) {
        (Some(found), _) => {
            let probe = probe_after(store, &found);
            Ok(Some((found, probe)))
        }
        // Not even the first manifest can be read, so this is no missing hint.
        (None, Some(error)) => Err(error),
        (None, None) => Ok(None),
    }
}

/// Waits for the look for a newer version, and searches on where there is one. Versions are
/// consecutive and never deleted, so a gap ends the search.
fn settle(store: &Store, found: Manifest, probe: Probe) -> Result<Option<Manifest>> {
    let next = found.dataset_version.saturating_add(1);
    match read_version(store, next, probe)? {
        None => Ok(None),
        Some(newer) => climb(store, newer).map(Some),
    }
}

/// The newest version, from any: steps of 1, 2, 4, … up to a gap, then bisection.
pub(super) fn climb(store: &Store, from: Manifest) -> Result<Manifest> {
    let mut best = from;
    let mut step = 1_u64;
    let mut gap = loop {
        let next = best.dataset_version.saturating_add(step);
        match find_version(store, next)? {
            Some(newer) => best = newer,
            None => break next,
        }
        step = step.saturating_mul(2);
    };
    while gap - best.dataset_version > 1 {
        let middle = best.dataset_version + (gap - best.dataset_version) / 2;
        match find_version(store, middle)? {
            Some(newer) => best = newer,
            None => gap = middle,
        }
    }
    Ok(best)
}

/// The paths that `manifest` refers to, chunks listed in segments included.
pub(super) fn live_paths(store: &Store, manifest: &Manifest) -> Result<Vec<String>> {
    let dataset = Dataset::new(store, manifest.clone());
    let own = manifest.objects.iter().map(|o| &o.path);
    let segments = manifest.chunk_segments.iter().map(|s: &SegmentRef| &s.path);
    let mut paths: Vec<String> = own.chain(segments).cloned().collect();
    paths.extend(dataset.chunks()?.iter().map(|chunk| chunk.path.clone()));
    Ok(paths)
}
