//! Transactions: names nobody else uses, and the one step that makes them visible.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::{
    digest::{Checksum, parse_hex},
    fields::Fields,
    gc::condemned,
    invariants::{self, Conflict, conflict},
    manifest::{
        ChunkEntry, InputInfo, MAX_MANIFEST, Manifest, ObjectRef, Operation, SegmentRef, Tags,
        VersionRef, segment_bytes,
    },
    open::{Dataset, climb, find_version, live_paths, missing},
    paths::{METADATA, SEGMENTS, manifest_path, token_path},
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    store::{Creation, Lookup, Pending, Store},
};

/// The most JSON, in bytes, that chunks may take up in the manifest itself.
const INLINE_CHUNKS: usize = 64 << 10;
/// The most chunks in one list of their own; about 4 MB.
const SEGMENT_CHUNKS: usize = 16_384;
/// When a version would have more lists than this, they are merged.
const MAX_SEGMENTS: usize = 64;
/// How often the manifest is sent while it cannot be found where it was sent to.
const TRIES: u32 = 6;
/// How often a commit follows the newest version before it gives up.
const REBASES: u32 = 16;

/// Tells a transaction from all others: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId([u8; 16]);

impl TransactionId {
    /// The id of these bytes, which must come from a good source of randomness and be used once.
    pub fn from_bytes(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// What the names of the transaction's objects carry: the first 16 hexadecimal digits.
    pub fn token(self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id for try `attempt` of the same work, which must not use the names of another try again.
    pub(super) fn of_try(self, attempt: u32) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&self.dice(attempt)[..16]);
        Self(id)
    }

    /// A wait before try `attempt`, up to `first` · 2^(attempt − 1), so that rivals do not keep step.
    fn wait(self, attempt: u32, first: Duration) -> Duration {
        let [dice, ..] = self.dice(attempt);
        first * (1 << attempt.clamp(1, 7) >> 1) * (u32::from(dice) + 1) / 256
    }

    /// Bytes that differ between transactions and tries.
    fn dice(self, attempt: u32) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(attempt.to_le_bytes());
        hasher.finalize().into()
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TransactionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TransactionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_hex(&text).map(Self).ok_or_else(|| de::Error::custom("not 32 hex digits"))
    }
}

/// The content of a version to be committed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The format, such as `paf`.
    pub format: String,
    /// The version of the format.
    pub version: String,
    /// What the format records about the dataset.
    pub fields: Fields,
    /// The time, in RFC 3339.
    pub created: String,
    /// Features that a reader must understand, each the format and a slash before its name.
    pub required_features: Vec<String>,
    /// What the dataset was made from.
    pub inputs: Vec<InputInfo>,
    /// All objects other than chunks.
    pub objects: Vec<ObjectRef>,
    /// The chunks, or with [`Self::keep_chunks`] the chunks to add.
    pub chunks: Vec<ChunkEntry>,
    /// Whether the chunks of the base stay.
    pub keep_chunks: bool,
    /// What the transaction does; a create over a base is recorded as an overwrite.
    pub operation: Operation,
}

/// Sets what the draft of a version does not say, given the version before.
pub(super) type Amend<'a> = &'a dyn Fn(&mut Manifest, Option<&Manifest>) -> Result<()>;

/// A change to a dataset, from naming its first object to its commit.
///
/// Upload objects under names from [`Self::path`], then [`commit`](Self::commit). A transaction
/// that fails earlier should be [abandoned](Self::abandon); one that dies leaves objects that
/// nothing refers to, which a later collection removes.
#[derive(Debug)]
pub struct Transaction {
    store: Store,
    base: Option<Dataset>,
    id: TransactionId,
    names: Mutex<Vec<String>>,
}

impl Transaction {
    /// Begins a change of `base`, or of an empty place.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to; [`Unsupported`](ErrorKind::Unsupported) when it ignores
    /// the condition that commits rest on, unless there is a
    /// [single writer](crate::store::StoreOptions::single_writer).
    pub fn begin(store: &Store, base: Option<&Dataset>, id: TransactionId) -> Result<Self> {
        if !store.is_writable() {
            return Err(Error::usage("a web server can be read from only")
                .help("write to a folder or a bucket: PATH, s3://, r2://, gs:// or az://")
                .at(store.name("")));
        }
        let transaction =
            Self { store: store.clone(), base: base.cloned(), id, names: Mutex::default() };
        if store.is_to_be_tried() {
            let probe = transaction.path("", "_probe", "tmp")?;
            if !store.refuses_to_create_twice(&probe)? {
                return Err(Error::unsupported(
                    "the server replaces objects that it is asked only to create, so that a second \
                     writer would destroy what this one commits",
                )
                .help(
                    "'format-tools doctor' tells what it does; pass --single-writer if nothing \
                     else writes here",
                )
                .at(store.name("")));
            }
        }
        Ok(transaction)
    }

    /// Begins the making of a dataset at `store`.
    ///
    /// # Errors
    ///
    /// [`Exists`](ErrorKind::Exists) when there is a dataset, unless it is to be overwritten.
    pub fn for_output(store: &Store, overwrite: bool, id: TransactionId) -> Result<Self> {
        let base = Dataset::find(store)?;
        match base {
            Some(_) if !overwrite => Err(exists(store)),
            base => Self::begin(store, base.as_ref(), id),
        }
    }

    /// The version this change is based on.
    pub fn base(&self) -> Option<&Dataset> {
        self.base.as_ref()
    }

    /// The store of the dataset.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A name for a new object: `folder/stem.token.extension`.
    ///
    /// # Errors
    ///
    /// When that is no legal path.
    pub fn path(&self, folder: &str, stem: &str, extension: &str) -> Result<String> {
        let path = token_path(folder, stem, self.id, extension)?;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(path)
    }

    /// Names, describes and uploads an object that is not a chunk.
    pub fn put_object(
        &self,
        kind: &str,
        folder: &str,
        stem: &str,
        extension: &str,
        bytes: Bytes,
    ) -> Result<ObjectRef> {
        let object = ObjectRef {
            kind: kind.to_owned(),
            path: self.path(folder, stem, extension)?,
            size_bytes: bytes.len() as u64,
            checksum: Checksum::of(&bytes),
        };
        self.store.put(&object.path, bytes)?;
        Ok(object)
    }

    /// Removes what this transaction uploaded, as far as that succeeds. Finish or drop uploads
    /// first.
    pub fn abandon(self) {
        let names = self.names.into_inner().unwrap_or_else(PoisonError::into_inner);
        for batch in names.chunks(1000) {
            if let Err(error) = self.store.delete(batch) {
                tracing::warn!(%error, "objects of an abandoned transaction stay behind");
                return;
            }
        }
    }

    /// Commits `draft` as the next version.
    ///
    /// When another transaction was first, the draft is committed after it where the
    /// [table](conflict()) allows that.
    ///
    /// # Errors
    ///
    /// [`Exists`](ErrorKind::Exists) or [`Conflict`](ErrorKind::Conflict) when another transaction
    /// was first; [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) when it could not be learnt whether
    /// the commit took place. After any other error nothing was committed, and the objects of this
    /// transaction have been removed again as far as possible.
    pub fn commit(self, draft: Draft) -> Result<Dataset> {
        self.commit_with(draft, &|_, _| Ok(()))
    }

    /// As [`Self::commit`], for versions that repeat another, and for what changes other versions:
    /// `amend` sets what a draft does not. It is called for each try, with the version before.
    pub(super) fn commit_with(self, draft: Draft, amend: Amend<'_>) -> Result<Dataset> {
        match self.try_commit(draft, amend) {
            Err(error) if error.kind() != ErrorKind::OutcomeUnknown => {
                self.abandon();
                Err(error)
            }
            outcome => outcome,
        }
    }

    fn try_commit(&self, draft: Draft, amend: Amend<'_>) -> Result<Dataset> {
        let mut next = self.first_manifest(draft)?;
        let mut parent = self.base.as_ref().map(|base| base.manifest().clone());
        for _ in 0..REBASES {
            next.dataset_version = parent.as_ref().map_or(1, |p| p.dataset_version + 1);
            next.parent = parent.as_ref().map(Manifest::own_ref);
            if let Some(parent) = &parent {
                next.oldest_version = parent.oldest_version;
                next.tags.clone_from(&parent.tags);
            }
            amend(&mut next, parent.as_ref())?;
            if next.operation == Operation::Purge {
                // What it gave up, no name may keep.
                let oldest = next.oldest_version;
                next.tags.retain(|_, version| *version >= oldest);
            }
            let bytes = next.seal().at(|| self.store.name(""))?;
            invariants::check(parent.as_ref(), &next)?;
            match self.send(&next, &bytes)? {
                Sent::Committed => {
                    let there = self.store.start_lookup(METADATA, MAX_MANIFEST);
                    refresh_metadata(there, &self.store, next.dataset_version, bytes);
                    return Ok(Dataset::new(&self.store, next));
                }
                Sent::Lost(winner) => parent = Some(self.rebase(&next, *winner)?),
            }
        }
        Err(Error::conflict("other transactions kept committing first")
            .help("run the command again when the dataset is quieter")
            .at(self.store.name("")))
    }

    fn first_manifest(&self, draft: Draft) -> Result<Manifest> {
        let operation = match (draft.operation, &self.base) {
            (Operation::Create, Some(_)) => Operation::Overwrite,
            (Operation::Overwrite, None) => Operation::Create,
            (operation, _) => operation,
        };
        let (chunk_segments, chunks) = self.place_chunks(draft.chunks, draft.keep_chunks)?;
        Ok(Manifest {
            format: draft.format,
            version: draft.version,
            fields: draft.fields,
            created: draft.created,
            created_by: concat!("genomic-objects ", env!("CARGO_PKG_VERSION")).to_owned(),
            dataset_version: 1,
            parent: None,
            transaction: self.id,
            operation,
            source: None,
            stands_for: None,
            oldest_version: 1,
            tags: Tags::new(),
            required_features: draft.required_features,
            inputs: draft.inputs,
            objects: draft.objects,
            chunk_segments,
            chunks,
            condemned: Vec::new(),
            digest: Checksum::of(b""),
        })
    }

    /// Decides which chunks the manifest lists itself, and uploads lists of the others.
    fn place_chunks(
        &self,
        new: Vec<ChunkEntry>,
        keep: bool,
    ) -> Result<(Vec<SegmentRef>, Vec<ChunkEntry>)> {
        let (mut segments, mut inline) = match &self.base {
            Some(base) if keep => {
                (base.manifest().chunk_segments.clone(), base.manifest().chunks.clone())
            }
            _ => (Vec::new(), Vec::new()),
        };
        inline.extend(new);
        if segment_bytes(&inline)?.len() <= INLINE_CHUNKS {
            return Ok((segments, inline));
        }
        if let Some(base) = &self.base
            && segments.len() + inline.len().div_ceil(SEGMENT_CHUNKS) > MAX_SEGMENTS
        {
            let added = inline.split_off(base.manifest().chunks.len());
            inline = base.chunks()?.to_vec();
            inline.extend(added);
            segments.clear();
        }
        for (ordinal, chunks) in inline.chunks(SEGMENT_CHUNKS).enumerate() {
            let bytes = segment_bytes(chunks)?;
            let path = self.path(SEGMENTS, &format!("{ordinal:05}"), "json")?;
            segments.push(SegmentRef {
                path: path.clone(),
                size_bytes: bytes.len() as u64,
                checksum: Checksum::of(&bytes),
                chunks: chunks.len() as u64,
            });
            self.store.put(&path, bytes)?;
        }
        Ok((segments, Vec::new()))
    }

    /// The atomic step: creates the manifest, and finds out whether that succeeded.
    ///
    /// No answer but success proves anything: "exists" may speak of our own object, created by a
    /// request whose answer was lost. So the object is read back, and its transaction decides.
    fn send(&self, next: &Manifest, bytes: &Bytes) -> Result<Sent> {
        let key = manifest_path(next.dataset_version);
        let place = || self.store.name(&key);
        let mut doubt: Option<Error> = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                thread::sleep(self.id.wait(attempt, self.store.first_wait()));
            }
            // Not written by the last request; but the client may have sent several.
            let mut refused = None;
            match self.store.create(&key, bytes.clone()) {
                Ok(Creation::Created) => return Ok(Sent::Committed),
                Ok(Creation::Existed) => {}
                Ok(Creation::Unknown(error)) => doubt = Some(error),
                Err(error) => refused = Some(error),
            }
            match self.store.start_lookup(&key, MAX_MANIFEST).wait() {
                Ok(Lookup::Found(found)) => {
                    let winner = match Manifest::parse(&found) {
                        Ok(winner) => winner,
                        Err(error) if error.kind() == ErrorKind::Corrupt => {
                            doubt = Some(error);
                            break;
                        }
                        // Made by a newer program, hence not by this one.
                        Err(error) => return Err(error.at(place())),
                    };
                    return Ok(if winner.transaction == self.id {
                        Sent::Committed
                    } else {
                        Sent::Lost(Box::new(winner))
                    });
                }
                // It may still arrive: the same bytes are sent again to the same place.
                Ok(Lookup::Missing) => match refused {
                    Some(error) if doubt.is_none() => return Err(error),
                    Some(error) => doubt = Some(error),
                    None if doubt.is_none() => {
                        doubt =
                            Some(Error::store("the store says that there is one, but has none"));
                    }
                    None => {}
                },
                Ok(Lookup::Denied(error)) | Err(error) => doubt = Some(error),
            }
        }
        let unknown = Error::outcome_unknown("it is not known whether the commit took place")
            .help(format!(
                "'format-tools log {}' tells: it did if transaction {} is listed; what was \
                 uploaded is kept",
                self.store.name(""),
                self.id
            ))
            .at(place());
        Err(match doubt {
            Some(cause) => unknown.caused_by(cause),
            None => unknown,
        })
    }

    /// The newest version to commit after, now that `winner` took the place of `mine`.
    fn rebase(&self, mine: &Manifest, winner: Manifest) -> Result<Manifest> {
        let newest = climb(&self.store, winner.clone())?;
        let mut theirs = winner;
        loop {
            if theirs.transaction == self.id {
                return Err(Error::internal("a transaction was committed twice"));
            }
            if conflict(mine.operation, theirs.operation) == Conflict::Fail {
                return Err(match self.base {
                    None => exists(&self.store),
                    Some(_) => self.lost_to(&theirs),
                });
            }
            if self.has_lost_objects(mine, &theirs)? {
                return Err(self.lost_to(&theirs));
            }
            if theirs.dataset_version == newest.dataset_version {
                return Ok(newest);
            }
            let version = theirs.dataset_version + 1;
            theirs = find_version(&self.store, version)?
                .ok_or_else(|| missing(&self.store, &manifest_path(version)))?;
        }
    }

    /// Whether `theirs` condemned an object that `mine` refers to.
    fn has_lost_objects(&self, mine: &Manifest, theirs: &Manifest) -> Result<bool> {
        let gone: HashSet<String> = match condemned(&self.store, theirs) {
            Ok(names) => names.into_iter().collect(),
            // The list was collected in its turn, so that nobody knows.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(true),
            Err(error) => return Err(error),
        };
        if gone.is_empty() {
            return Ok(false);
        }
        // The lists of chunks first: if they are gone, they cannot be read.
        Ok(mine.paths().any(|path| gone.contains(path))
            || live_paths(&self.store, mine)?.iter().any(|path| gone.contains(path)))
    }

    fn lost_to(&self, theirs: &Manifest) -> Error {
        Error::conflict(format!(
            "another '{}' was committed first, as version {}",
            theirs.operation, theirs.dataset_version
        ))
        .help("look at 'log', then run the command again")
        .at(self.store.name(""))
    }
}

enum Sent {
    Committed,
    Lost(Box<Manifest>),
}

fn exists(store: &Store) -> Error {
    Error::exists("there is a dataset already")
        .help("choose another place, or pass --overwrite to make a new version of it")
        .at(store.name(""))
}

/// Copies a new manifest to where readers begin, unless a look at what is `there` finds a newer one.
/// A failure costs readers a few requests, so it is only reported in the log.
pub(super) fn refresh_metadata(there: Pending<Lookup>, store: &Store, version: u64, bytes: Bytes) {
    let current = match there.wait() {
        Ok(Lookup::Found(bytes)) => Manifest::parse(&bytes).ok(),
        _ => None,
    };
    if current.is_some_and(|current| current.dataset_version >= version) {
        return;
    }
    if let Err(error) = store.put(METADATA, bytes) {
        tracing::warn!(%error, "the commit took place, but its hint for readers could not be renewed");
    }
}

impl Dataset {
    /// A draft that repeats the content of this version.
    pub(super) fn redraft(&self, operation: Operation, created: &str) -> Draft {
        let manifest = self.manifest();
        Draft {
            format: manifest.format.clone(),
            version: manifest.version.clone(),
            fields: manifest.fields.clone(),
            created: created.to_owned(),
            required_features: manifest.required_features.clone(),
            inputs: manifest.inputs.clone(),
            objects: manifest.content_objects().cloned().collect(),
            chunks: Vec::new(),
            keep_chunks: false,
            operation,
        }
    }

    pub(super) fn own_ref(&self) -> VersionRef {
        self.manifest().own_ref()
    }
}
