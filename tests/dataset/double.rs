//! A store whose every request a test answers: the objects are a map, a request is a function call.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use genomic_objects::store::{Store, StoreOptions};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, path::Path,
};

/// All objects of a store.
pub(crate) type Objects = BTreeMap<String, Bytes>;

/// What a store is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Request {
    Get(String),
    Head(String),
    List,
    Create(String, Bytes),
    Put(String, Bytes),
    Delete(String),
}

impl Request {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::List => "",
            Self::Get(key) | Self::Head(key) | Self::Delete(key) => key,
            Self::Create(key, _) | Self::Put(key, _) => key,
        }
    }

    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::Create(..) | Self::Put(..) | Self::Delete(_))
    }

    /// Whether it is the one that commits a version.
    pub(crate) fn is_commit(&self) -> bool {
        matches!(self, Self::Create(key, _) if key.starts_with("_manifests/v"))
    }

    /// What a sound store does and says.
    pub(crate) fn serve(&self, objects: &mut Objects) -> Answer {
        match self {
            Self::Get(key) => objects.get(key).cloned().map_or(Answer::Missing, Answer::Object),
            Self::Head(key) => {
                objects.get(key).map_or(Answer::Missing, |bytes| Answer::Size(bytes.len() as u64))
            }
            Self::List => Answer::Listed(
                objects.iter().map(|(key, bytes)| (key.clone(), bytes.len() as u64)).collect(),
            ),
            Self::Create(key, _) if objects.contains_key(key) => Answer::Exists,
            Self::Create(key, bytes) | Self::Put(key, bytes) => {
                objects.insert(key.clone(), bytes.clone());
                Answer::Done
            }
            Self::Delete(key) => {
                objects.remove(key);
                Answer::Done
            }
        }
    }
}

/// What a store says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Object(Bytes),
    Size(u64),
    Listed(Vec<(String, u64)>),
    Done,
    Missing,
    Exists,
    /// 412 to a request that another may have preceded.
    Failed,
    /// The connection broke, or the server did.
    Lost,
    /// 403.
    Denied,
}

/// When all objects of a double were written.
pub(crate) fn written() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

type Reply = dyn Fn(Request) -> Answer + Send + Sync;

/// A store that answers by `reply`, which must not wait for the store itself.
pub(crate) fn store_of(reply: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Store {
    over(Double { reply: Arc::new(reply), waits: false })
}

/// As [`store_of`], for a `reply` that may wait for other stores.
pub(crate) fn waiting_store_of(reply: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Store {
    over(Double { reply: Arc::new(reply), waits: true })
}

/// A sound store of these objects.
pub(crate) fn sound_store(objects: &Arc<Mutex<Objects>>) -> Store {
    let objects = objects.clone();
    store_of(move |request| request.serve(&mut objects.lock().unwrap()))
}

fn over(double: Double) -> Store {
    // Nobody is there to be waited for.
    let options = StoreOptions { first_wait: Duration::ZERO, ..StoreOptions::default() };
    Store::over(Arc::new(double), &options)
}

struct Double {
    reply: Arc<Reply>,
    waits: bool,
}

impl std::fmt::Debug for Double {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Double")
    }
}

impl std::fmt::Display for Double {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Double")
    }
}

impl Double {
    async fn ask(&self, request: Request) -> Result<Answer> {
        let path = request.key().to_owned();
        let source = || "a fault of the test".into();
        let answer = if self.waits {
            let reply = self.reply.clone();
            tokio::task::spawn_blocking(move || reply(request)).await.unwrap_or(Answer::Lost)
        } else {
            (self.reply)(request)
        };
        match answer {
            Answer::Missing => Err(Error::NotFound { path, source: source() }),
            Answer::Exists => Err(Error::AlreadyExists { path, source: source() }),
            Answer::Failed => Err(Error::Precondition { path, source: source() }),
            Answer::Denied => Err(Error::PermissionDenied { path, source: source() }),
            Answer::Lost => Err(Error::Generic { store: "double", source: source() }),
            answer => Ok(answer),
        }
    }
}

fn meta(key: &str, size: u64) -> ObjectMeta {
    ObjectMeta {
        location: Path::from(key),
        last_modified: written().into(),
        size,
        e_tag: None,
        version: None,
    }
}

#[async_trait]
impl ObjectStore for Double {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let (key, bytes) = (location.to_string(), Bytes::from(payload));
        let request = match opts.mode {
            PutMode::Create => Request::Create(key, bytes),
            _ => Request::Put(key, bytes),
        };
        self.ask(request).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "multipart".into(), implementer: "double".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = location.to_string();
        let result = |bytes: Bytes, size: u64, range: Range<u64>| GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta: meta(&key, size),
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        };
        if options.head {
            return match self.ask(Request::Head(key.clone())).await? {
                Answer::Size(size) => Ok(result(Bytes::new(), size, 0..size)),
                answer => panic!("{answer:?} to a HEAD"),
            };
        }
        let Answer::Object(bytes) = self.ask(Request::Get(key.clone())).await? else {
            panic!("no object for a GET");
        };
        let size = bytes.len() as u64;
        let range = match options.range {
            Some(GetRange::Bounded(range)) => range.start..range.end.min(size),
            _ => 0..size,
        };
        Ok(result(bytes.slice(range.start as usize..range.end as usize), size, range))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let double = Self { reply: self.reply.clone(), waits: self.waits };
        locations
            .then(move |location| {
                let double = Self { reply: double.reply.clone(), waits: double.waits };
                async move {
                    let location = location?;
                    double.ask(Request::Delete(location.to_string())).await.map(|_| location)
                }
            })
            .boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let double = Self { reply: self.reply.clone(), waits: self.waits };
        let listed = async move {
            match double.ask(Request::List).await {
                Ok(Answer::Listed(objects)) => {
                    objects.iter().map(|(key, size)| Ok(meta(key, *size))).collect()
                }
                Ok(answer) => panic!("{answer:?} to a LIST"),
                Err(error) => vec![Err(error)],
            }
        };
        stream::once(listed).flat_map(stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotImplemented { operation: "folders".into(), implementer: "double".into() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".into(), implementer: "double".into() })
    }
}
