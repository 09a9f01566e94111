//! Sharing a dataset for a time: a small file of signed URLs, which opens like the dataset.
//!
//! Everything that a version consists of is immutable and known by name, so a URL for each of its
//! objects, signed by someone who may read them, is all that another person needs: no account, no
//! credentials and no right to list. Whoever has the file can read what it names until it ends, so
//! it is a secret itself; it holds none of the signer's.

use std::{collections::BTreeMap, fmt, io::Read, sync::Arc, time::Duration};

use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as Answer,
    client::{HttpClient, HttpConnector, ReqwestConnector},
    http::HttpBuilder,
    path::Path,
    signer::Method,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Store, StoreOptions,
    backend::{Backend, reading, retry},
    cache::Cache,
    failure::Failure,
    input::open_input,
    location::Location,
    runtime::start,
    validate_key,
};
use crate::error::{Error, Result};

/// What the name of such a file ends in.
const EXTENSION: &str = ".share";
const FORMAT: &str = "genomic-objects-share";
const VERSION: &str = "1.0";
/// The largest file that is read, and what it may grow to.
const MAX_FILE: u64 = 64 << 20;
const MAX_TEXT: u64 = 512 << 20;
/// How long the owners of S3 and Google's store let a signature last.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is said where a server refuses a signed URL; [`until`] finds the time in the same text.
pub(super) const REFUSED: &str = "the share does not open this object any more";
const UNTIL: &str = "it was good until ";

/// Signed URLs of the objects of a dataset.
///
/// The file is JSON, compressed by Zstandard: `format`, `version`, `name` (where the dataset is),
/// `until` (RFC 3339) and `objects`, URLs by the path within the dataset.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Share {
    format: String,
    version: String,
    /// Where the dataset is, without credentials.
    pub name: String,
    /// When it ends, in RFC 3339.
    pub until: String,
    objects: BTreeMap<String, String>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} objects of {} until {})", self.objects.len(), self.name, self.until)
    }
}

impl Share {
    /// How many objects it opens.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether it opens none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The bytes of the file.
    ///
    /// # Errors
    ///
    /// Never in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::internal("cannot write JSON").caused_by(e))?;
        zstd::encode_all(text.as_slice(), 9)
            .map_err(|e| Error::internal("cannot compress").caused_by(e))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) when they are no share. The message repeats
    /// nothing of it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::input("this is no share of a dataset").help("ask for the file anew");
        let mut text = Vec::new();
        let reader = zstd::Decoder::new(bytes).map_err(|_| wrong())?;
        reader.take(MAX_TEXT).read_to_end(&mut text).map_err(|_| wrong())?;
        let share: Self = serde_json::from_slice(&text).map_err(|_| wrong())?;
        if share.format != FORMAT {
            return Err(wrong());
        }
        if share.version.split('.').next() != VERSION.split('.').next() {
            return Err(Error::unsupported("the share was made by a newer program")
                .expected(format!("version {VERSION}"))
                .found(format!("version {}", share.version.escape_debug())));
        }
        let mut origin = None;
        for (key, url) in &share.objects {
            validate_key(key)?;
            let url = Url::parse(url).map_err(|_| wrong())?;
            let is_plain = matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none();
            // One dataset lies in one place.
            if !is_plain || origin.get_or_insert_with(|| url.origin()) != &url.origin() {
                return Err(wrong());
            }
        }
        Ok(share)
    }
}

impl Store {
    /// Signs URLs by which anyone can read `keys` for a time: the objects of a share by their names
    /// in it, with the keys that they have here.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a store that has nothing to sign with, or a
    /// time that is longer than such signatures last.
    pub fn share(&self, keys: &[(String, String)], lasts: Duration, until: &str) -> Result<Share> {
        let Some(signer) = self.0.backend.signer.clone() else {
            return Err(Error::usage("only what is in a bucket can be shared, with credentials")
                .help("push the dataset to a bucket first")
                .at(self.name("")));
        };
        if lasts > LONGEST || lasts.is_zero() {
            return Err(Error::usage("the stores let no signature last that long")
                .expected("from one second to seven days"));
        }
        let inner = self.0.clone();
        let paths = keys.iter().map(|(_, key)| inner.path(key)).collect::<Result<Vec<_>>>()?;
        let urls = start(async move {
            let signed = signer.signed_urls(Method::GET, &paths, lasts).await;
            signed.map_err(|cause| Failure::new(&cause, &inner.name_of("")).error)
        })
        .wait()?;
        let names = keys.iter().map(|(name, _)| name.clone());
        Ok(Share {
            format: FORMAT.to_owned(),
            version: VERSION.to_owned(),
            name: self.name(""),
            until: until.to_owned(),
            objects: names.zip(urls.into_iter().map(String::from)).collect(),
        })
    }

    /// Whether the credentials of this store are temporary, so that what they sign may end before
    /// its time.
    pub fn has_temporary_credentials(&self) -> bool {
        self.0.backend.ends_by_itself
    }

    pub(super) fn open_share(location: &str, name: &str, options: &StoreOptions) -> Result<Self> {
        let mut bytes = Vec::new();
        let input = open_input(location, options)?;
        input
            .reader
            .take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::store("cannot read the file").caused_by(e).at(name))?;
        let share = Share::parse(&bytes).map_err(|error| error.at(name))?;
        let cache = options.cache_dir.as_ref().map(|dir| {
            Cache::new(dir.clone(), options.cache_bytes, &format!("shared {}", share.name))
        });
        let connector = ReqwestConnector::default();
        let client = connector.connect(&reading()).map_err(|e| Failure::new(&e, name).error)?;
        let read = Arc::new(Shared { share, connector: Connected(client) });
        let backend = Backend::plain(read, None);
        Ok(Self::assemble(name.into(), backend, String::new(), None, options.clone(), cache))
    }
}

/// Whether a location is that of a share: by its name, because folders are no files.
pub(super) fn is_share(location: &Location) -> bool {
    match location {
        Location::Local { path, .. } => {
            path.to_str().is_some_and(|path| path.ends_with(EXTENSION)) && path.is_file()
        }
        Location::Http(url) => url.path().ends_with(EXTENSION),
        Location::Bucket { .. } => false,
    }
}

/// The time in the text of a refusal.
pub(super) fn until(text: &str) -> String {
    let time = text.split_once(UNTIL).map_or("", |(_, rest)| rest);
    let time: String = time.chars().take_while(|c| c.is_ascii_graphic()).take(30).collect();
    format!("{UNTIL}{time}")
}

/// The objects of a share, as a store that can only be read.
#[derive(Debug)]
struct Shared {
    share: Share,
    connector: Connected,
}

/// One set of connections for all URLs.
#[derive(Clone, Debug)]
struct Connected(HttpClient);

impl HttpConnector for Connected {
    fn connect(&self, _: &ClientOptions) -> Answer<HttpClient> {
        Ok(self.0.clone())
    }
}

/// A server's refusal of a signed URL.
#[derive(Debug)]
struct Refusal {
    until: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REFUSED}: {UNTIL}{}", self.until)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.share)
    }
}

impl Shared {
    /// Amazon and Microsoft deny what is out of time, Google calls it a bad request.
    fn explain(&self, error: object_store::Error, path: &Path) -> object_store::Error {
        let is_refusal = match &error {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => true,
            other => other.to_string().contains("ExpiredToken"),
        };
        if !is_refusal {
            return error;
        }
        let source = Box::new(Refusal { until: self.share.until.clone() });
        object_store::Error::PermissionDenied { path: path.to_string(), source }
    }
}

fn read_only<T>() -> Answer<T> {
    Err(object_store::Error::NotSupported { source: "a share can only be read".into() })
}

#[async_trait::async_trait]
impl ObjectStore for Shared {
    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Answer<GetResult> {
        let Some(url) = self.share.objects.get(location.as_ref()) else {
            return Err(object_store::Error::NotFound {
                path: location.to_string(),
                source: "it is no part of the share".into(),
            });
        };
        if options.head {
            // The URL is signed for GET, whose answer tells the size too.
            options.head = false;
            options.range = Some(GetRange::Bounded(0..1));
        }
        let object = HttpBuilder::new()
            .with_url(url)
            .with_client_options(reading())
            .with_retry(retry())
            .with_http_connector(self.connector.clone())
            .build()?;
        let answer = object.get_opts(&Path::default(), options).await;
        let mut answer = answer.map_err(|error| self.explain(error, location))?;
        answer.meta.location = location.clone();
        Ok(answer)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Answer<PutResult> {
        read_only()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Answer<Box<dyn MultipartUpload>> {
        read_only()
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Answer<Path>>,
    ) -> BoxStream<'static, Answer<Path>> {
        stream::once(async { read_only() }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Answer<ObjectMeta>> {
        stream::once(async { read_only() }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Answer<ListResult> {
        read_only()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Answer<()> {
        read_only()
    }
}
