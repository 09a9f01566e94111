//! An S3 server in the test process, on loopback, over a temporary folder.

use std::{
    io,
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

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
    ignores_conditions: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server with the empty buckets [`BUCKET`] and [`OTHER_BUCKET`].
    ///
    /// # Errors
    ///
    /// When no port or temporary folder can be had.
    pub fn start() -> io::Result<Self> {
        Self::start_for(Some((ACCESS_KEY, SECRET_KEY)))
    }

    /// Starts a server with the same buckets that knows nobody: it serves unsigned requests, and
    /// refuses those that are signed. Google's store is asked in the same words.
    ///
    /// # Errors
    ///
    /// When no port or temporary folder can be had.
    pub fn start_public() -> io::Result<Self> {
        Self::start_for(None)
    }

    fn start_for(keys: Option<(&str, &str)>) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for bucket in [BUCKET, OTHER_BUCKET] {
            std::fs::create_dir(folder.path().join(bucket))?;
        }
        let files =
            FileSystem::new(folder.path()).map_err(|e| io::Error::other(format!("{e:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        if let Some((access_key, secret_key)) = keys {
            builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        }
        let service = builder.build();
        let root = folder.path().to_owned();
        let ignores_conditions = Arc::new(AtomicBool::new(false));
        let ignores = ignores_conditions.clone();
        let listener = listen(0, move |request| {
            let service = service.clone();
            let key = request.uri().path().trim_start_matches('/').replace("%3D", "=");
            let path = root.join(key);
            let is_conditional = request.headers().contains_key(hyper::header::IF_NONE_MATCH);
            if request.method() == hyper::Method::PUT && is_conditional && ignores.load(Relaxed) {
                // What is not there any more does not stand in the way. It may not be there at all.
                let _ = std::fs::remove_file(&path);
            }
            // The implementation fails where a range from the end is longer than the object.
            let range = request.headers().get(hyper::header::RANGE);
            let suffix =
                range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes=-")?.parse().ok());
            let length = path.metadata().map_or(u64::MAX, |found| found.len());
            let whole = suffix.filter(|&suffix: &u64| suffix > length).map(|_| path.clone());
            // It fails on what is a folder to it, too; to S3 that is no object.
            let is_folder = request.method() == hyper::Method::HEAD && path.is_dir();
            let is_no_object = is_folder && path.parent().is_some_and(|parent| parent != root);
            async move {
                use http_body_util::BodyExt;
                if let Some(path) = whole {
                    return whole_object(&path);
                }
                if is_no_object {
                    let mut answer = hyper::Response::new(crate::server::text(""));
                    *answer.status_mut() = hyper::StatusCode::NOT_FOUND;
                    return Ok(answer);
                }
                let answer = service.call(request.map(s3s::Body::http_body_unsync)).await;
                let answer = answer.map_err(|e| BoxError::from(format!("{e:?}")))?;
                Ok(answer.map(|body| BoxBody::new(body.map_err(|e| BoxError::from(e.to_string())))))
            }
        })?;
        Ok(Self { listener, folder, ignores_conditions })
    }

    /// From now on replaces objects that it is asked only to create, as some servers do.
    pub fn ignore_conditions(&self) {
        self.ignores_conditions.store(true, Relaxed);
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

/// An object as the answer to a range of it that is longer.
fn whole_object(path: &std::path::Path) -> Result<hyper::Response<BoxBody>, BoxError> {
    use http_body_util::BodyExt;
    let bytes = std::fs::read(path)?;
    let last = bytes.len().saturating_sub(1);
    let range = format!("bytes 0-{last}/{}", bytes.len());
    let body = http_body_util::Full::new(bytes::Bytes::from(bytes)).map_err(|e| match e {});
    Ok(hyper::Response::builder()
        .status(hyper::StatusCode::PARTIAL_CONTENT)
        .header(hyper::header::CONTENT_RANGE, range)
        .header(hyper::header::ETAG, "\"whole\"")
        .header(hyper::header::LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT")
        .body(BoxBody::new(body))?)
}
