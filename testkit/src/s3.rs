//! An S3 server in the test process, on loopback, over a temporary folder.

use std::{io, ops::Deref, path::PathBuf};

use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use crate::server::{BoxBody, BoxError, Control, Listener, listen};

/// The bucket that tests use.
pub const BUCKET: &str = "bucket";
/// Another bucket.
pub const OTHER_BUCKET: &str = "other";
/// The access key id that the server accepts.
pub const ACCESS_KEY: &str = "test-access-key";
/// The secret that goes with [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test-secret-key";

/// A running server; see [`Control`] for its log, latency and faults.
///
/// Conditional PUTs of one key are served one after the other, because the implementation checks
/// first and renames later, so that two creators could both win.
pub struct Server {
    listener: Listener,
    folder: TempDir,
}

impl Server {
    /// Starts a server with the empty buckets [`BUCKET`] and [`OTHER_BUCKET`].
    ///
    /// # Errors
    ///
    /// When no port or temporary folder can be had.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for bucket in [BUCKET, OTHER_BUCKET] {
            std::fs::create_dir(folder.path().join(bucket))?;
        }
        let files =
            FileSystem::new(folder.path()).map_err(|e| io::Error::other(format!("{e:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = listen(0, move |request| {
            let service = service.clone();
            async move {
                use http_body_util::BodyExt;
                let answer = service.call(request.map(s3s::Body::from)).await;
                let answer = answer.map_err(|e| BoxError::from(format!("{e:?}")))?;
                Ok(answer.map(|body| BoxBody::new(body.map_err(|e| BoxError::from(e.to_string())))))
            }
        })?;
        Ok(Self { listener, folder })
    }

    /// The URL to give as endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// The folder that holds the objects of `bucket`, one file each.
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.folder.path().join(bucket)
    }
}

impl Deref for Server {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.listener.control
    }
}
