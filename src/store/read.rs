//! Reading objects and ranges of objects.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use super::{
    Inner, Store,
    failure::{Failure, Reason},
    meter::Wave,
    planner::{Plan, plan},
    runtime::{Pending, start_wave},
};
use crate::error::{Error, Result};

/// The largest object that is read whole.
const MAX_WHOLE: u64 = 1 << 30;
/// The longest range of an object that is read.
const MAX_RANGE: u64 = 1 << 32;

/// Bytes `range` of the object `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// The object.
    pub key: String,
    /// The bytes wanted, counted from 0; the end is exclusive.
    pub range: Range<u64>,
}

impl RangeRequest {
    /// Bytes `range` of the object `key`.
    pub fn new(key: impl Into<String>, range: Range<u64>) -> Self {
        Self { key: key.into(), range }
    }
}

/// What the store says of an object that may not exist.
#[derive(Debug)]
pub enum Lookup {
    /// The object.
    Found(Bytes),
    /// There is none.
    Missing,
    /// Access was denied. Stores answer so for missing objects, too, to users who may not list.
    Denied(Error),
}

impl Store {
    /// Reads a whole object.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) when there is none.
    pub fn get(&self, key: &str) -> Result<Bytes> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move {
            inner.fetch_whole(wave, &key, MAX_WHOLE).await.map_err(|f| f.error)
        })
        .wait()
    }

    /// As [`Self::get`] for an object whose bytes never change under this name: it is kept in the
    /// cache folder, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::get`]; [`Corrupt`](crate::error::ErrorKind::Corrupt) unless it has `size` bytes.
    pub fn get_immutable(&self, key: &str, size: u64) -> Result<Bytes> {
        if let Some(bytes) = self.0.cache.as_ref().and_then(|c| c.read(key, &(0..size))) {
            return Ok(bytes);
        }
        let inner = self.0.clone();
        let wanted = key.to_owned();
        let bytes = start_wave(&self.0.meter, |wave| async move {
            let most = size.min(MAX_WHOLE);
            inner.fetch_whole(wave, &wanted, most).await.map_err(|f| f.error)
        })
        .wait()?;
        if bytes.len() as u64 != size {
            return Err(Error::corrupt("the object does not have the size recorded for it")
                .expected(format!("{size} bytes"))
                .found(format!("{} bytes", bytes.len()))
                .help("restore the dataset from a copy")
                .at(self.name(key)));
        }
        if let Some(cache) = &self.0.cache {
            cache.write(key, &(0..size), &bytes);
        }
        Ok(bytes)
    }

    /// Reads a whole object, or `None` when there is none.
    pub fn find(&self, key: &str) -> Result<Option<Bytes>> {
        self.start_find(key).wait()
    }

    /// As [`Self::find`], in the background.
    pub fn start_find(&self, key: &str) -> Pending<Option<Bytes>> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move {
            match inner.lookup(wave, &key, MAX_WHOLE).await? {
                Lookup::Found(bytes) => Ok(Some(bytes)),
                Lookup::Missing => Ok(None),
                Lookup::Denied(error) => Err(error),
            }
        })
    }

    /// As [`Self::find`], in the background, for callers who can tell from other answers of this
    /// store what a denial means.
    /// An object of more than `most` bytes is an error.
    pub fn start_lookup(&self, key: &str, most: u64) -> Pending<Lookup> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move { inner.lookup(wave, &key, most).await })
    }

    /// The size of an object in bytes, or `None` when there is none.
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        self.start_size(key).wait()
    }

    /// As [`Self::size`], in the background.
    pub fn start_size(&self, key: &str) -> Pending<Option<u64>> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move {
            let path = inner.path(&key)?;
            inner.meter.start(wave);
            let _permit = inner.permit().await?;
            let answer = inner.backend.read.head(&path).await;
            inner.meter.end(0, 0);
            tracing::debug!(object = inner.name_of(&key), found = answer.is_ok(), "HEAD");
            match answer.map_err(|cause| Failure::new(&cause, &inner.name_of(&key))) {
                Ok(meta) => Ok(Some(meta.size)),
                Err(failure) if failure.reason == Reason::Missing => Ok(None),
                Err(failure) => Err(failure.error),
            }
        })
    }

    /// Reads ranges of immutable objects, in the order asked for; see [`Coalesce`](super::Coalesce)
    /// for what is fetched. Ranges that came out of one request share its buffer.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) when an object does not exist,
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) when it ends before the range does.
    pub fn get_ranges(&self, wanted: &[RangeRequest]) -> Result<Vec<Bytes>> {
        self.start_get_ranges(wanted).wait()
    }

    /// As [`Self::get_ranges`], in the background.
    pub fn start_get_ranges(&self, wanted: &[RangeRequest]) -> Pending<Vec<Bytes>> {
        for request in wanted {
            if let Err(error) = self.0.check(request) {
                return Pending::ready(Err(error));
            }
        }
        let mut answers: Vec<Option<Bytes>> = match &self.0.cache {
            Some(cache) => wanted.iter().map(|r| cache.read(&r.key, &r.range)).collect(),
            None => vec![None; wanted.len()],
        };
        let missing: Vec<RangeRequest> = wanted
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.is_none())
            .map(|(request, _)| request.clone())
            .collect();
        let inner = self.0.clone();
        start_wave(&self.0.meter, |wave| async move {
            let mut fetched = inner.clone().fetch_ranges(wave, missing).await?.into_iter();
            for answer in &mut answers {
                if answer.is_none() {
                    *answer = fetched.next();
                }
            }
            Ok(answers.into_iter().flatten().collect())
        })
    }
}

impl Store {
    /// Reads one range by one request, in the background, and never from a cache.
    pub fn start_get_part(&self, wanted: &RangeRequest) -> Pending<Bytes> {
        if let Err(error) = self.0.check(wanted) {
            return Pending::ready(Err(error));
        }
        let (inner, wanted) = (self.0.clone(), wanted.clone());
        start_wave(&self.0.meter, |wave| async move {
            inner.fetch_exactly(wave, &wanted.key, wanted.range).await
        })
    }
}

impl Inner {
    fn check(&self, request: &RangeRequest) -> Result<()> {
        self.path(&request.key)?;
        if request.range.start > request.range.end {
            return Err(Error::corrupt("a byte range ends before it begins")
                .found(format!("{:?}", request.range))
                .at(self.name_of(&request.key)));
        }
        if request.range.end - request.range.start > MAX_RANGE {
            return Err(Error::corrupt("a byte range is longer than any object")
                .expected(format!("at most {MAX_RANGE} bytes"))
                .found(format!("{:?}", request.range))
                .at(self.name_of(&request.key)));
        }
        Ok(())
    }

    pub(super) async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        self.permits
            .acquire()
            .await
            .map_err(|_| Error::internal("the store was closed while in use"))
    }

    async fn lookup(&self, wave: Wave, key: &str, most: u64) -> Result<Lookup> {
        match self.fetch_whole(wave, key, most).await {
            Ok(bytes) => Ok(Lookup::Found(bytes)),
            Err(failure) => match failure.reason {
                Reason::Missing => Ok(Lookup::Missing),
                Reason::Denied => Ok(Lookup::Denied(failure.error)),
                _ => Err(failure.error),
            },
        }
    }

    async fn fetch_whole(&self, wave: Wave, key: &str, most: u64) -> Result<Bytes, Failure> {
        self.fetch(wave, key, None, most).await
    }

    /// One GET.
    async fn fetch(
        &self,
        wave: Wave,
        key: &str,
        range: Option<Range<u64>>,
        most: u64,
    ) -> Result<Bytes, Failure> {
        let path = self.path(key).map_err(Failure::refused)?;
        self.meter.start(wave);
        let _permit = self.permit().await.map_err(Failure::refused)?;
        let options =
            GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let answer = async {
            let answer = self.backend.read.get_opts(&path, options).await?;
            let length = answer.range.end - answer.range.start;
            if length > most {
                return Ok(Err(length));
            }
            answer.bytes().await.map(Ok)
        }
        .await;
        let received = match &answer {
            Ok(Ok(bytes)) => bytes.len(),
            _ => 0,
        };
        self.meter.end(received, 0);
        let name = self.name_of(key);
        let shown = range.as_ref().map_or("whole".to_owned(), |r| format!("{}-{}", r.start, r.end));
        tracing::debug!(object = name, range = shown, bytes = received, "GET");
        match answer {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(length)) => Err(Failure::refused(
                Error::corrupt("the object is larger than it can be")
                    .expected(format!("at most {most} bytes"))
                    .found(format!("{length} bytes"))
                    .help("restore the dataset from a copy")
                    .at(name),
            )),
            Err(cause) => {
                let mut failure = Failure::new(&cause, &name);
                if let Some(range) = range {
                    failure.error =
                        failure.error.at(format!("bytes {}-{}", range.start, range.end));
                }
                Err(failure)
            }
        }
    }

    /// One GET of a range, which must be there as a whole.
    async fn fetch_exactly(&self, wave: Wave, key: &str, range: Range<u64>) -> Result<Bytes> {
        let length = range.end - range.start;
        let bytes =
            self.fetch(wave, key, Some(range.clone()), length).await.map_err(|f| f.error)?;
        if bytes.len() as u64 != length {
            return Err(Error::corrupt("the object is shorter than it should be")
                .expected(format!("{length} bytes"))
                .found(format!("{} bytes", bytes.len()))
                .help("restore the dataset from a copy")
                .at(format!("bytes {}-{}", range.start, range.end))
                .at(self.name_of(key)));
        }
        Ok(bytes)
    }

    async fn fetch_ranges(
        self: Arc<Self>,
        wave: Wave,
        wanted: Vec<RangeRequest>,
    ) -> Result<Vec<Bytes>> {
        let plan = plan(&wanted, self.options.coalesce);
        let fetches = plan
            .fetches
            .iter()
            .map(|fetch| self.fetch_exactly(wave, &wanted[fetch.of].key, fetch.range.clone()));
        let fetched = try_join_all(fetches).await?;
        let answers = cut(&plan, &fetched);
        if self.cache.is_some() {
            let (inner, kept) = (self.clone(), answers.clone());
            let work = move || {
                for (request, bytes) in wanted.iter().zip(&kept) {
                    if let Some(cache) = &inner.cache {
                        cache.write(&request.key, &request.range, bytes);
                    }
                }
            };
            // A cache that cannot be written is no reason to fail.
            let _ = tokio::task::spawn_blocking(work).await;
        }
        Ok(answers)
    }
}

/// Cuts the wanted ranges out of what was fetched, without copying unless a range was split.
fn cut(plan: &Plan, fetched: &[Bytes]) -> Vec<Bytes> {
    plan.pieces
        .iter()
        .map(|pieces| match pieces.as_slice() {
            [] => Bytes::new(),
            [one] => fetched[one.fetch].slice(one.range.clone()),
            many => {
                let mut whole = BytesMut::with_capacity(many.iter().map(|p| p.range.len()).sum());
                for piece in many {
                    whole.extend_from_slice(&fetched[piece.fetch][piece.range.clone()]);
                }
                whole.freeze()
            }
        })
        .collect()
}
