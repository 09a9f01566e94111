//! A plain web server: files below a folder, with byte ranges, and nothing else.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    net::SocketAddr,
    ops::{Deref, Range},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{self, Poll},
    time::UNIX_EPOCH,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header,
};

use crate::server::{BoxBody, BoxError, Control, Listener, listen, text};

/// A running server; see [`Control`] for its log, latency and faults.
pub struct Server {
    listener: Listener,
    ignore_ranges: Arc<AtomicBool>,
}

impl Server {
    /// Serves the files below `folder` on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(folder: impl Into<PathBuf>) -> io::Result<Self> {
        Self::start_on(folder, 0)
    }

    /// As [`Self::start`], on a given port.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub fn start_on(folder: impl Into<PathBuf>, port: u16) -> io::Result<Self> {
        let folder: Arc<Path> = folder.into().into();
        let ignore_ranges = Arc::new(AtomicBool::new(false));
        let ignore = ignore_ranges.clone();
        let listener = listen(port, move |request| {
            let answer = answer(&folder, &request, ignore.load(Relaxed));
            async move { answer }
        })?;
        Ok(Self { listener, ignore_ranges })
    }

    /// The URL of the folder, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Whether to answer range requests with the whole file, as the simplest servers do.
    pub fn set_ignore_ranges(&self, ignore: bool) {
        self.ignore_ranges.store(ignore, Relaxed);
    }
}

impl Deref for Server {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.listener.control
    }
}

fn answer<B>(
    folder: &Path,
    request: &Request<B>,
    ignore_ranges: bool,
) -> Result<Response<BoxBody>, BoxError> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(path) = local_path(folder, request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let Ok(mut file) = File::open(path) else { return plain(StatusCode::NOT_FOUND) };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return plain(StatusCode::NOT_FOUND);
    }
    let size = meta.len();
    let changed = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let e_tag = format!("\"{changed:x}-{size:x}\"");
    let wanted = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if wanted(header::IF_MATCH).is_some_and(|tag| tag != "*" && tag != e_tag) {
        return plain(StatusCode::PRECONDITION_FAILED);
    }

    let mut answer = Response::builder()
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, e_tag)
        .header(header::CONTENT_TYPE, "application/octet-stream");
    let range = match wanted(header::RANGE).filter(|_| !ignore_ranges) {
        None => 0..size,
        Some(value) => match parse_range(value, size) {
            Some(Ok(range)) => {
                let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                answer =
                    answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, shown);
                range
            }
            Some(Err(())) => {
                return Ok(Response::builder()
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, format!("bytes */{size}"))
                    .body(text(""))?);
            }
            None => 0..size,
        },
    };
    answer = answer.header(header::CONTENT_LENGTH, range.end - range.start);
    if request.method() == Method::HEAD {
        return Ok(answer.body(text(""))?);
    }
    file.seek(SeekFrom::Start(range.start))?;
    Ok(answer.body(BoxBody::new(FileBody { file, left: range.end - range.start }))?)
}

fn plain(status: StatusCode) -> Result<Response<BoxBody>, BoxError> {
    Ok(Response::builder().status(status).body(text(""))?)
}

/// The file that a URL path addresses, unless it leads out of the folder.
fn local_path(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut full = folder.to_owned();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = decode(segment)?;
        if name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
            return None;
        }
        full.push(name);
    }
    Some(full)
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A single byte range; `None` for what a server may ignore, `Err` for what lies past the end.
fn parse_range(text: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start, end) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (start, "") => start.parse().ok()?..size,
        (start, end) => start.parse().ok()?..end.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some(if range.start < range.end { Ok(range) } else { Err(()) })
}

/// Reads a file piece by piece, as fast as the connection takes it. The reads block, which a test
/// server on a warm file can afford.
struct FileBody {
    file: File,
    left: u64,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; self.left.min(64 << 10) as usize];
        if let Err(error) = self.file.read_exact(&mut piece) {
            return Poll::Ready(Some(Err(error.into())));
        }
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_range_header_is_read_as_the_rfc_says() {
        assert_eq!(parse_range("bytes=0-9", 100), Some(Ok(0..10)));
        assert_eq!(parse_range("bytes=90-", 100), Some(Ok(90..100)));
        assert_eq!(parse_range("bytes=-10", 100), Some(Ok(90..100)));
        assert_eq!(parse_range("bytes=-200", 100), Some(Ok(0..100)));
        assert_eq!(parse_range("bytes=50-1000", 100), Some(Ok(50..100)));
        assert_eq!(parse_range("bytes=100-", 100), Some(Err(())));
        assert_eq!(parse_range("bytes=0-1,5-6", 100), None);
        assert_eq!(parse_range("lines=0-1", 100), None);
    }

    #[test]
    fn test_paths_stay_inside_the_folder() {
        let folder = Path::new("/srv");
        assert_eq!(local_path(folder, "/a/b%20c"), Some("/srv/a/b c".into()));
        assert_eq!(local_path(folder, "/../etc"), None);
        assert_eq!(local_path(folder, "/%2e%2e/etc"), None);
        assert_eq!(local_path(folder, "/a%2fb"), None);
    }
}
