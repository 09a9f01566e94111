//! Large objects, written in parts of one size, of which few are in memory at a time.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use object_store::{MultipartUpload, PutMultipartOptions};

use super::{
    Inner, Store,
    failure::Failure,
    meter::Wave,
    runtime::{Pending, start_wave},
};
use crate::error::{Error, Result};

/// How many parts of an object are under way at once.
const AT_ONCE: usize = 2;

/// An object that is being written in parts. It becomes visible, whole, by [`Self::finish`]; one
/// that is dropped before is taken back, as far as the store lets us.
///
/// All parts but the last must have the same size, at least 5 MiB: that is what R2 wants, and S3
/// does not mind.
pub struct Parts {
    inner: Arc<Inner>,
    key: String,
    /// `None` once it is finished.
    upload: Option<Box<dyn MultipartUpload>>,
    under_way: VecDeque<Pending<()>>,
}

impl Store {
    /// Begins an object of `size` bytes that is written in parts.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    pub fn start_parts(&self, key: &str, size: u64) -> Result<Parts> {
        let inner = self.0.clone();
        let name = key.to_owned();
        let upload = start_wave(&self.0.meter, |wave| async move {
            let path = inner.path(&name)?;
            let client = inner.writable()?;
            inner.meter.start(wave);
            let _permit = inner.permit().await?;
            inner.note_new_folder();
            let attributes = inner.backend.attributes(size);
            let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
            let answer = client.put_multipart_opts(&path, options).await;
            inner.meter.end(0, 0);
            tracing::debug!(object = inner.name_of(&name), bytes = size, "POST, to send in parts");
            answer.map_err(|cause| Failure::new(&cause, &inner.name_of(&name)).error)
        })
        .wait()?;
        let (inner, key) = (self.0.clone(), key.to_owned());
        Ok(Parts { inner, key, upload: Some(upload), under_way: VecDeque::new() })
    }
}

impl Parts {
    /// Hands over the next part, waiting while too many are under way.
    ///
    /// # Errors
    ///
    /// Those of earlier parts: after an error, give up.
    pub fn put(&mut self, bytes: Bytes) -> Result<()> {
        while self.under_way.len() >= AT_ONCE {
            self.wait_for_one()?;
        }
        let Some(upload) = &mut self.upload else {
            return Err(Error::internal("a part came after the last"));
        };
        let sending = upload.put_part(bytes.clone().into());
        let (inner, key) = (self.inner.clone(), self.key.clone());
        self.under_way.push_back(start_wave(&self.inner.meter, |wave: Wave| async move {
            inner.meter.start(wave);
            let _permit = inner.permit().await?;
            let answer = sending.await;
            inner.meter.end(0, bytes.len());
            tracing::debug!(object = inner.name_of(&key), bytes = bytes.len(), "PUT of a part");
            answer.map_err(|cause| Failure::new(&cause, &inner.name_of(&key)).error)
        }));
        Ok(())
    }

    /// Waits for every part, and makes the object of them.
    ///
    /// # Errors
    ///
    /// The first failure; then there is no object, or, should only the last answer be lost, the
    /// whole one.
    pub fn finish(mut self) -> Result<()> {
        while !self.under_way.is_empty() {
            self.wait_for_one()?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        let (inner, key) = (self.inner.clone(), self.key.clone());
        start_wave(&self.inner.meter, |wave| async move {
            inner.meter.start(wave);
            let answer = upload.complete().await;
            inner.meter.end(0, 0);
            tracing::debug!(object = inner.name_of(&key), "POST, all parts are sent");
            answer.map(drop).map_err(|cause| Failure::new(&cause, &inner.name_of(&key)).error)
        })
        .wait()
    }

    fn wait_for_one(&mut self) -> Result<()> {
        self.under_way.pop_front().map_or(Ok(()), Pending::wait)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        self.under_way.clear();
        // Parts that cannot be taken back are left to the bucket's rule for unfinished uploads.
        let aborted = start_wave(&self.inner.meter, |_| async move {
            upload.abort().await.map_err(|cause| Failure::new(&cause, "").error)
        });
        if let Err(error) = aborted.wait() {
            tracing::debug!(object = self.inner.name_of(&self.key), %error, "parts stay behind");
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parts").field(&self.inner.name_of(&self.key)).finish()
    }
}
