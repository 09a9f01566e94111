//! The manifest: what one version of a dataset consists of, as JSON.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    commit::TransactionId,
    digest::{self, Checksum},
    fields::Fields,
    gc::CONDEMNED_KIND,
    paths::{SEGMENTS, check_path},
    tag::check_tag,
};
use crate::{
    error::{Error, Result},
    json,
};

/// The largest manifest or list of chunks that is read, in bytes.
pub(super) const MAX_MANIFEST: u64 = 64 << 20;

/// Counts of a chunk, by name, such as `reads`.
pub type Counts = BTreeMap<String, u64>;

/// Names of versions, such as `published`, and the versions they stand for.
pub type Tags = BTreeMap<String, u64>;

/// One version of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The format of the dataset, such as `paf`.
    pub format: String,
    /// The version of the format, such as `1.0`.
    pub version: String,
    /// What the format records about the dataset.
    pub fields: Fields,
    /// When this version was made, in RFC 3339.
    pub created: String,
    /// The program that made it.
    pub created_by: String,
    /// The number of this version; the first is 1.
    pub dataset_version: u64,
    /// The version this one was made from; `None` for the first.
    pub parent: Option<VersionRef>,
    /// The transaction that made it.
    pub transaction: TransactionId,
    /// What the transaction did.
    pub operation: Operation,
    /// The version whose content this one repeats, for a rollback or a copy.
    pub source: Option<VersionRef>,
    /// The digest of the manifest that this one, a [stub](Self::is_stub), stands for.
    pub stands_for: Option<Checksum>,
    /// From this version on, the objects of all versions exist; of those before, only the tagged
    /// ones are [kept](Self::keeps).
    pub oldest_version: u64,
    /// The names that versions before this one have, as of this version.
    pub tags: Tags,
    /// What a reader must understand: `dataset/…`, or a name after the format and a slash.
    pub required_features: Vec<String>,
    /// What the dataset was made from.
    pub inputs: Vec<InputInfo>,
    /// Objects other than chunks.
    pub objects: Vec<ObjectRef>,
    /// Objects that list chunks, which come before those of `chunks`.
    pub chunk_segments: Vec<SegmentRef>,
    /// Chunks listed here; see [`Dataset::chunks`](super::Dataset::chunks) for all.
    pub chunks: Vec<ChunkEntry>,
    /// Objects that this version gave up: they may be deleted and are never referred to again.
    pub condemned: Vec<String>,
    /// The digest of this manifest.
    pub digest: Checksum,
}

/// A version of a dataset and the digest of its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRef {
    /// The number of the version.
    pub version: u64,
    /// The digest of its manifest.
    pub digest: Checksum,
}

/// What a transaction does to a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Makes the first version.
    Create,
    /// Replaces all content.
    Overwrite,
    /// Adds to the content.
    Append,
    /// Puts new content in the place of some: a contig done again.
    Replace,
    /// Takes content out of every version: a sample that was withdrawn.
    Purge,
    /// Keeps the content, and gives a version a name or takes one away.
    Tag,
    /// Repeats the content of an earlier version.
    Rollback,
    /// Makes the first version, with the content of another dataset.
    Copy,
    /// Keeps the content, and gives up objects that only older versions need.
    Gc,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Purge => "purge",
            Self::Tag => "tag",
            Self::Rollback => "rollback",
            Self::Copy => "copy",
            Self::Gc => "gc",
        })
    }
}

/// An input that a dataset was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputInfo {
    /// Its file name, without folders and credentials.
    pub name: String,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The checksum of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// The program and version that wrote it, as far as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// An immutable object that is not a chunk, such as a header or an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// What it is for, by a name of the format.
    pub kind: String,
    /// Where it is, relative to the dataset.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The checksum of its bytes.
    pub checksum: Checksum,
}

/// A chunk of the dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Where it is, relative to the dataset.
    pub path: String,
    /// What it holds how many of, by names of the format, such as `reads`.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The checksum of its bytes.
    pub checksum: Checksum,
    /// A digest of the records it was made from, in a way that the format defines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Checksum>,
}

impl ChunkEntry {
    /// The entry of a chunk of these bytes.
    pub fn new(path: impl Into<String>, bytes: &[u8], counts: Counts) -> Self {
        Self {
            path: path.into(),
            counts,
            size_bytes: bytes.len() as u64,
            checksum: Checksum::of(bytes),
            digest: None,
        }
    }
}

/// An object that lists chunks: `{"chunks": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// Where it is, relative to the dataset.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The checksum of its bytes.
    pub checksum: Checksum,
    /// How many chunks it lists.
    pub chunks: u64,
}

impl Manifest {
    /// Reads a manifest, after checking its digest.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) when a byte was changed or the content makes
    /// no sense, [`Unsupported`](crate::error::ErrorKind::Unsupported) when it requires a feature
    /// that this version lacks.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let digest = digest::check_seal(bytes)?;
        let mut members: Fields = json::parse(bytes, MAX_MANIFEST, "manifest")?;
        members.take::<Value>("digest")?;
        let format: String = members.need("format")?;
        let required_features: Vec<String> = members.need("required_features")?;
        // First, because an unknown feature may change what the rest means.
        check_scopes(&format, &required_features)?;
        let manifest = Self {
            format,
            required_features,
            version: members.need("version")?,
            created: members.need("created")?,
            created_by: members.need("created_by")?,
            dataset_version: members.need("dataset_version")?,
            parent: members.need("parent")?,
            transaction: members.need("transaction")?,
            operation: members.need("operation")?,
            source: members.take("source")?,
            stands_for: members.take("stands_for")?,
            oldest_version: members.need("oldest_version")?,
            tags: members.take("tags")?.unwrap_or_default(),
            inputs: members.need("inputs")?,
            objects: members.need("objects")?,
            chunk_segments: members.need("chunk_segments")?,
            chunks: members.need("chunks")?,
            condemned: members.need("condemned")?,
            fields: members,
            digest,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as it is stored; sets [`Self::digest`].
    ///
    /// # Errors
    ///
    /// When a value cannot be written as JSON.
    pub fn seal(&mut self) -> Result<Bytes> {
        self.check()?;
        let mut text = Text(b"{\n".to_vec());
        text.member("format", &self.format)?;
        text.member("version", &self.version)?;
        for (name, value) in self.fields.iter() {
            match value {
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    text.list(name, items)?
                }
                value => text.member(name, value)?,
            }
        }
        text.member("created", &self.created)?;
        text.member("created_by", &self.created_by)?;
        text.member("dataset_version", &self.dataset_version)?;
        text.member("parent", &self.parent)?;
        text.member("transaction", &self.transaction)?;
        text.member("operation", &self.operation)?;
        if let Some(source) = &self.source {
            text.member("source", source)?;
        }
        if let Some(digest) = &self.stands_for {
            text.member("stands_for", digest)?;
        }
        text.member("oldest_version", &self.oldest_version)?;
        if !self.tags.is_empty() {
            text.member("tags", &self.tags)?;
        }
        text.member("required_features", &self.required_features)?;
        text.list("inputs", &self.inputs)?;
        text.list("objects", &self.objects)?;
        text.list("chunk_segments", &self.chunk_segments)?;
        text.list("chunks", &self.chunks)?;
        text.list("condemned", &self.condemned)?;
        let (bytes, digest) = digest::seal(text.0);
        self.digest = digest;
        Ok(bytes.into())
    }

    /// The objects of `kind`, in order.
    pub fn objects_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a ObjectRef> {
        self.objects.iter().filter(move |object| object.kind == kind)
    }

    /// Checks that the reader knows every feature that the format requires; `known` are names
    /// without the format's prefix.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported), naming the feature.
    pub fn check_features(&self, known: &[&str]) -> Result<()> {
        for feature in &self.required_features {
            let own = feature.strip_prefix(self.format.as_str()).and_then(|f| f.strip_prefix('/'));
            if own.is_some_and(|name| !known.contains(&name)) {
                return Err(unknown_feature(feature));
            }
        }
        Ok(())
    }

    /// What a format says of the dataset, for a reader of that format that knows no feature of it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for another format, and for a feature
    /// that is required; [`Corrupt`](crate::error::ErrorKind::Corrupt) where a member is missing or
    /// of another type.
    pub fn details<T: DeserializeOwned>(&self, format: &str) -> Result<T> {
        let name = format.to_uppercase();
        if self.format != format {
            return Err(Error::unsupported(format!("this is no {name} dataset"))
                .expected(format!("format {format:?}"))
                .found(format!("format {:?}", self.format)));
        }
        self.check_features(&[])?;
        let members = self.fields.iter().map(|(name, value)| (name.to_owned(), value.clone()));
        serde_json::from_value(Value::Object(members.collect())).map_err(|error| {
            Error::corrupt(format!("the manifest's {name} members")).caused_by(error)
        })
    }

    /// This version and its digest, which for a stub is that of the manifest it stands for.
    pub(super) fn own_ref(&self) -> VersionRef {
        let digest = self.stands_for.unwrap_or(self.digest);
        VersionRef { version: self.dataset_version, digest }
    }

    /// Whether, as of this version, all objects of `version` exist.
    pub fn keeps(&self, version: u64) -> bool {
        let is_recent = version >= self.oldest_version && version <= self.dataset_version;
        is_recent || self.tags.values().any(|&tagged| tagged == version)
    }

    /// The versions whose objects all exist as of this version, from the oldest on: as many as the
    /// manifest claims, which are not to be gathered before one of them was found.
    pub fn kept_versions(&self) -> impl Iterator<Item = u64> + use<> {
        let tagged = self.tags.values().copied().filter(|&tagged| tagged < self.oldest_version);
        let older: BTreeSet<u64> = tagged.collect();
        older.into_iter().chain(self.oldest_version..=self.dataset_version)
    }

    /// The names of `version`, as of this version.
    pub fn tags_of(&self, version: u64) -> impl Iterator<Item = &str> {
        let tags = self.tags.iter().filter(move |&(_, &tagged)| tagged == version);
        tags.map(|(name, _)| name.as_str())
    }

    /// Takes over what `other` holds.
    pub(super) fn repeat(&mut self, other: &Self) {
        self.format.clone_from(&other.format);
        self.version.clone_from(&other.version);
        self.fields.clone_from(&other.fields);
        self.required_features.clone_from(&other.required_features);
        self.inputs.clone_from(&other.inputs);
        self.objects = other.content_objects().cloned().collect();
        self.chunk_segments.clone_from(&other.chunk_segments);
        self.chunks.clone_from(&other.chunks);
    }

    /// Whether this version holds what `other` holds.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.format == other.format
            && self.version == other.version
            && self.fields == other.fields
            && self.required_features == other.required_features
            && self.inputs == other.inputs
            && self.content_objects().eq(other.content_objects())
            && self.chunk_segments == other.chunk_segments
            && self.chunks == other.chunks
    }

    /// The objects that are content, which lists of condemned names are not.
    pub(super) fn content_objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.iter().filter(|object| object.kind != CONDEMNED_KIND)
    }

    fn check(&self) -> Result<()> {
        if self.dataset_version == 0 || self.oldest_version == 0 {
            return Err(Error::corrupt("versions are counted from 1"));
        }
        if self.oldest_version > self.dataset_version {
            return Err(Error::corrupt("the oldest version is newer than this one"));
        }
        let follows =
            self.parent.is_none_or(|p| p.version.checked_add(1) == Some(self.dataset_version));
        if !follows || self.parent.is_none() != (self.dataset_version == 1) {
            return Err(Error::corrupt("the parent is not the version before this one"));
        }
        check_scopes(&self.format, &self.required_features)?;
        self.check_stub()?;
        for (name, &version) in &self.tags {
            check_tag(name)?;
            if version == 0 || version >= self.dataset_version {
                return Err(Error::corrupt("a tag is not that of an earlier version")
                    .found(format!("'{name}' for version {version}")));
            }
        }
        let mut seen = HashSet::new();
        for path in self.paths() {
            check_path(path)?;
            if !seen.insert(path) {
                return Err(Error::corrupt(format!("'{path}' is listed twice")));
            }
        }
        if let Some(path) = self.condemned.iter().find(|path| seen.contains(path.as_str())) {
            return Err(Error::corrupt(format!("'{path}' is in use and condemned")));
        }
        let outside = self.chunk_segments.iter().find(|s| !s.path.starts_with(SEGMENTS));
        match outside {
            Some(segment) => Err(Error::corrupt(format!("'{}' is no chunk list", segment.path))),
            None => Ok(()),
        }
    }

    /// The paths this manifest itself refers to; not those of chunks listed in segments.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let objects = self.objects.iter().map(|object| object.path.as_str());
        let segments = self.chunk_segments.iter().map(|segment| segment.path.as_str());
        let chunks = self.chunks.iter().map(|chunk| chunk.path.as_str());
        objects.chain(segments).chain(chunks)
    }
}

/// Checks that every feature is one of the format; the dataset itself has none so far.
fn check_scopes(format: &str, features: &[String]) -> Result<()> {
    match features.iter().find(|feature| feature.split('/').next() != Some(format)) {
        Some(feature) => Err(unknown_feature(feature)),
        None => Ok(()),
    }
}

fn unknown_feature(feature: &str) -> Error {
    let shown = feature.escape_default();
    Error::unsupported(format!("the dataset requires the feature '{shown}'"))
        .help("use a newer version of this program")
}

/// JSON that is pleasant to read: a line per member, and per element of a list of objects.
struct Text(Vec<u8>);

impl Text {
    fn name(&mut self, name: &str) -> Result<()> {
        self.0.extend_from_slice(b"  ");
        self.value(&name)?;
        self.0.extend_from_slice(b": ");
        Ok(())
    }

    fn value(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, value)
            .map_err(|e| Error::internal("cannot write JSON").caused_by(e))
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        self.name(name)?;
        self.value(value)?;
        self.0.extend_from_slice(b",\n");
        Ok(())
    }

    fn list(&mut self, name: &str, items: &[impl Serialize]) -> Result<()> {
        self.name(name)?;
        self.lines(items, "  ")?;
        self.0.extend_from_slice(b",\n");
        Ok(())
    }

    fn lines(&mut self, items: &[impl Serialize], indent: &str) -> Result<()> {
        for (i, item) in items.iter().enumerate() {
            self.0.extend_from_slice(if i == 0 { b"[\n" } else { b",\n" });
            self.0.extend_from_slice(indent.as_bytes());
            self.0.extend_from_slice(b"  ");
            self.value(item)?;
        }
        if items.is_empty() {
            self.0.push(b'[');
        } else {
            self.0.push(b'\n');
            self.0.extend_from_slice(indent.as_bytes());
        }
        self.0.push(b']');
        Ok(())
    }
}

/// The object that lists `chunks`.
pub(super) fn segment_bytes(chunks: &[ChunkEntry]) -> Result<Bytes> {
    let mut text = Text(b"{\"chunks\": ".to_vec());
    text.lines(chunks, "")?;
    text.0.extend_from_slice(b"}\n");
    Ok(text.0.into())
}

/// Reads an object that lists chunks, whose bytes were checked.
pub(super) fn parse_segment(segment: &SegmentRef, bytes: &[u8]) -> Result<Vec<ChunkEntry>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Segment {
        chunks: Vec<ChunkEntry>,
    }
    let Segment { chunks } = json::parse(bytes, MAX_MANIFEST, "list of chunks")?;
    if chunks.len() as u64 != segment.chunks {
        return Err(Error::corrupt("the list has another length than the manifest says")
            .expected(format!("{} chunks", segment.chunks))
            .found(format!("{} chunks", chunks.len())));
    }
    chunks.iter().try_for_each(|chunk| check_path(&chunk.path))?;
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn example() -> Manifest {
        let mut fields = Fields::default();
        fields.set("sample", "NA12878").unwrap();
        fields.set("chromosomes", ["chr2", "chr1"]).unwrap();
        fields.set("contigs", [serde_json::json!({"name": "chr2", "length": 5})]).unwrap();
        fields.set("read_count", 12534_u64).unwrap();
        let counts = Counts::from([("reads".to_owned(), 12534)]);
        Manifest {
            format: "paf".into(),
            version: "1.0".into(),
            fields,
            created: "2026-01-15T10:30:00Z".into(),
            created_by: "genomic-objects 0.1.0".into(),
            dataset_version: 1,
            parent: None,
            transaction: TransactionId::from_bytes([7; 16]),
            operation: Operation::Create,
            source: None,
            stands_for: None,
            oldest_version: 1,
            tags: Tags::new(),
            required_features: vec![],
            inputs: vec![InputInfo {
                name: "x.bam".into(),
                size_bytes: Some(3),
                checksum: None,
                program: None,
            }],
            objects: vec![],
            chunk_segments: vec![],
            chunks: vec![ChunkEntry::new("chr1/a.0707070707070707.bin", b"abc", counts)],
            condemned: vec![],
            digest: Checksum::of(b""),
        }
    }

    #[test]
    fn test_manifest_is_read_back_as_written() {
        let mut manifest = example();
        let bytes = manifest.seal().unwrap();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(
            text.starts_with("{\n  \"format\": \"paf\",\n  \"version\": \"1.0\",\n  \"sample\"")
        );
        let chunk = "    {\"path\":\"chr1/a.0707070707070707.bin\",\"reads\":12534,\"size_bytes\":3,\"checksum\":\"sha256:";
        assert!(text.contains(chunk), "{text}");
    }

    #[test]
    fn test_manifest_with_any_byte_changed_is_refused() {
        let bytes = example().seal().unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.to_vec();
            bad[at] ^= 1;
            assert_eq!(Manifest::parse(&bad).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
            assert!(Manifest::parse(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn test_manifest_that_makes_no_sense_is_refused() {
        type Change = fn(&mut Manifest);
        let changes: [Change; 11] = [
            |m| m.dataset_version = 0,
            |m| m.dataset_version = 2,
            |m| m.oldest_version = 2,
            |m| m.tags = Tags::from([("x".into(), 1)]),
            |m| m.tags = Tags::from([("x".into(), 0)]),
            |m| m.tags = Tags::from([("7".into(), 1)]),
            |m| m.parent = Some(VersionRef { version: 1, digest: Checksum::of(b"") }),
            |m| m.chunks[0].path = "../x".into(),
            |m| m.chunks.push(m.chunks[0].clone()),
            |m| m.condemned.push(m.chunks[0].path.clone()),
            |m| {
                m.chunk_segments.push(SegmentRef {
                    path: "x".into(),
                    size_bytes: 0,
                    checksum: Checksum::of(b""),
                    chunks: 0,
                });
            },
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut manifest = example();
            change(&mut manifest);
            assert!(manifest.seal().is_err(), "change {i}");
        }
    }

    /// A manifest with a valid digest around any members.
    fn sealed(members: &str) -> Vec<u8> {
        digest::seal(format!("{{\n{members}\n").into_bytes()).0
    }

    #[test]
    fn test_manifest_reader_survives_hostile_json() {
        let nested = format!("\"a\": {}1{},", "[".repeat(100_000), "]".repeat(100_000));
        for members in ["", "\"format\": 1,", "\"format\": \"x\", \"format\": \"x\",", &nested] {
            assert_eq!(Manifest::parse(&sealed(members)).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn test_manifest_names_the_feature_it_lacks() {
        let mut manifest = example();
        manifest.required_features = vec!["paf/new".into()];
        let manifest = Manifest::parse(&manifest.seal().unwrap()).unwrap();
        manifest.check_features(&["new"]).unwrap();
        let error = manifest.check_features(&["old"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("paf/new"));
        let mut other = example();
        other.required_features = vec!["dataset/new".into()];
        assert_eq!(other.seal().unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn test_segment_is_read_back_as_written() {
        let chunks: Vec<_> =
            (0..3).map(|i| ChunkEntry::new(format!("c/{i}"), b"", Counts::new())).collect();
        let bytes = segment_bytes(&chunks).unwrap();
        let mut segment = SegmentRef {
            path: String::new(),
            size_bytes: bytes.len() as u64,
            checksum: Checksum::of(&bytes),
            chunks: 3,
        };
        assert_eq!(parse_segment(&segment, &bytes).unwrap(), chunks);
        segment.chunks = 2;
        assert!(parse_segment(&segment, &bytes).is_err());
    }
}
