//! Input files: streams of bytes from disk, standard input or a URL.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, GetResult, ObjectStore, path::Path};

use super::{
    StoreOptions,
    backend::Backend,
    failure::{Failure, Reason},
    location::Location,
    runtime::{Pending, start},
};
use crate::{
    error::{Error, Result},
    pipeline::Progress,
};

/// How many bytes of a remote input the first request fetches: whoever only looks at the head of a
/// file needs no more.
const FIRST: u64 = 256 << 10;
/// How many bytes later requests fetch, at most: each as many as those before it together.
const STEP: u64 = 8 << 20;
/// How many requests run ahead of the reader.
const AHEAD: usize = 4;

/// A file to read from beginning to end.
pub struct Input {
    /// How it is written in messages: never with credentials.
    pub name: String,
    /// Its size in bytes, where that is known.
    pub size: Option<u64>,
    /// What changes with its content, where that is known: when it was written, or its entity tag.
    pub version: Option<String>,
    /// Its bytes.
    pub reader: Box<dyn Read + Send>,
}

impl Input {
    /// Counts the bytes that are read as input of `progress`, and tells it the size.
    #[must_use]
    pub fn count_into(self, progress: Arc<Progress>) -> Self {
        if let Some(size) = self.size {
            progress.set_total_in(size);
        }
        Self { reader: Box::new(Counted { reader: self.reader, progress }), ..self }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("size", &self.size).finish()
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.progress.add_bytes_in(count as u64);
        Ok(count)
    }
}

/// Opens an input: a local path, a URL of any scheme that [`Store::open`](super::Store::open)
/// accepts (signed `https://` URLs included), or `-` for standard input. Remote files are read
/// ahead of the reader.
///
/// # Errors
///
/// [`NotFound`](crate::error::ErrorKind::NotFound) when there is no such file,
/// [`Usage`](crate::error::ErrorKind::Usage) for a folder or an unknown scheme. What goes wrong
/// later surfaces as the [`io::Error`] of a read, with the same message.
pub fn open_input(location: &str, options: &StoreOptions) -> Result<Input> {
    if location == "-" {
        let reader = Box::new(io::stdin());
        return Ok(Input { name: "standard input".into(), size: None, version: None, reader });
    }
    let parsed = Location::parse(location)?;
    match parsed.local_path() {
        Some(path) => open_file(path, parsed.name()),
        None => open_remote(&parsed, options),
    }
}

fn open_file(path: &std::path::Path, name: String) -> Result<Input> {
    let explain = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => Error::not_found("no such file").at(&name),
        _ => Error::store("cannot open the file").caused_by(e).at(&name),
    };
    let file = File::open(path).map_err(explain)?;
    let meta = file.metadata().map_err(explain)?;
    if meta.is_dir() {
        return Err(Error::usage("this is a folder, not a file").at(name));
    }
    // A pipe has no size.
    let size = meta.is_file().then_some(meta.len());
    let modified = meta.modified().ok().filter(|_| meta.is_file());
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let version = since.map(|since| format!("modified {}", since.as_nanos()));
    Ok(Input { name, size, version, reader: Box::new(file) })
}

fn open_remote(location: &Location, options: &StoreOptions) -> Result<Input> {
    let name = location.name();
    let (backend, path) = Backend::open(location, options)?;
    let path = Path::parse(path)
        .map_err(|e| Error::usage("not the URL of an object").caused_by(e).at(&name))?;
    let source = Arc::new(Source { client: backend.read, path, name: name.clone() });

    // The first range tells the size: signed URLs allow no other request than GET.
    let opening = source.clone();
    let first = start(async move {
        match opening.get(Some(0..FIRST), None).await {
            Ok(answer) => Ok(First::Ranged(Box::new(opening.read(answer).await?))),
            Err(failure) if matches!(failure.reason, Reason::Refused | Reason::OutOfRange) => {
                let answer = opening.get(None, None).await.map_err(|f| f.error)?;
                Ok(First::Whole { size: answer.meta.size, body: answer.into_stream() })
            }
            Err(failure) => Err(failure.error),
        }
    })
    .wait()?;
    Ok(match first {
        First::Ranged(part) => {
            let size = part.size;
            let next = part.bytes.len() as u64;
            let version = part.e_tag.clone();
            let reader = RangeReader {
                source,
                size,
                e_tag: part.e_tag,
                next,
                current: part.bytes,
                ahead: VecDeque::new(),
                flows: false,
                failed: false,
            };
            Input { name, size: Some(size), version, reader: Box::new(reader) }
        }
        First::Whole { size, body } => {
            let next = Some(source.start_chunk(body));
            let reader =
                StreamReader { source, size, seen: 0, current: Bytes::new(), next, failed: false };
            Input { name, size: Some(size), version: None, reader: Box::new(reader) }
        }
    })
}

type Body = BoxStream<'static, object_store::Result<Bytes>>;

enum First {
    Ranged(Box<Part>),
    /// The server ignores ranges, or the object is empty.
    Whole {
        size: u64,
        body: Body,
    },
}

struct Part {
    bytes: Bytes,
    size: u64,
    e_tag: Option<String>,
}

/// A remote object.
struct Source {
    client: Arc<dyn ObjectStore>,
    path: Path,
    name: String,
}

impl Source {
    async fn get(
        &self,
        range: Option<Range<u64>>,
        e_tag: Option<String>,
    ) -> Result<GetResult, Failure> {
        let shown = range.as_ref().map_or("whole".to_owned(), |r| format!("{}-{}", r.start, r.end));
        tracing::debug!(object = self.name, range = shown, "GET input");
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            if_match: e_tag,
            ..GetOptions::default()
        };
        self.client
            .get_opts(&self.path, options)
            .await
            .map_err(|cause| Failure::new(&cause, &self.name))
    }

    async fn read(&self, answer: GetResult) -> Result<Part> {
        let size = answer.meta.size;
        // Weak tags cannot be used in a condition.
        let e_tag = answer.meta.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        let wanted = answer.range.end - answer.range.start;
        let bytes = answer.bytes().await.map_err(|cause| Failure::new(&cause, &self.name).error)?;
        if bytes.len() as u64 != wanted {
            return Err(self.cut_short(wanted, bytes.len() as u64));
        }
        Ok(Part { bytes, size, e_tag })
    }

    fn start_part(self: &Arc<Self>, range: Range<u64>, e_tag: Option<String>) -> Pending<Part> {
        let source = self.clone();
        start(async move {
            match source.get(Some(range), e_tag).await {
                Ok(answer) => source.read(answer).await,
                Err(failure) if matches!(failure.reason, Reason::Exists | Reason::OutOfRange) => {
                    Err(Error::input("the file was changed while it was being read")
                        .help("run the command again")
                        .at(&source.name))
                }
                Err(failure) => Err(failure.error),
            }
        })
    }

    fn start_chunk(self: &Arc<Self>, mut body: Body) -> Pending<Option<(Bytes, Body)>> {
        let source = self.clone();
        start(async move {
            match body.next().await {
                None => Ok(None),
                Some(Ok(bytes)) => Ok(Some((bytes, body))),
                Some(Err(cause)) => Err(Failure::new(&cause, &source.name).error),
            }
        })
    }

    fn cut_short(&self, expected: u64, found: u64) -> Error {
        Error::store("the transfer ended early")
            .expected(format!("{expected} bytes"))
            .found(format!("{found} bytes"))
            .help("try again")
            .at(&self.name)
    }
}

/// Reads ranges, several ahead.
struct RangeReader {
    source: Arc<Source>,
    size: u64,
    e_tag: Option<String>,
    /// The first byte that is not asked for yet.
    next: u64,
    current: Bytes,
    ahead: VecDeque<Pending<Part>>,
    /// Whether more was needed than came first.
    flows: bool,
    /// Set by an error, after which the position is lost.
    failed: bool,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("an earlier read failed"));
        }
        self.flows |= self.current.is_empty();
        while self.flows && self.ahead.len() < AHEAD && self.next < self.size {
            let step = self.next.clamp(FIRST, STEP);
            let range = self.next..self.size.min(self.next.saturating_add(step));
            self.next = range.end;
            self.ahead.push_back(self.source.start_part(range, self.e_tag.clone()));
        }
        if self.current.is_empty() {
            let Some(part) = self.ahead.pop_front() else { return Ok(0) };
            self.failed = true;
            self.current = part.wait().map_err(io::Error::other)?.bytes;
            self.failed = false;
        }
        Ok(take(&mut self.current, buffer))
    }
}

/// Reads the body of one request, a piece ahead.
struct StreamReader {
    source: Arc<Source>,
    size: u64,
    seen: u64,
    current: Bytes,
    next: Option<Pending<Option<(Bytes, Body)>>>,
    /// Set by an error, after which the position is lost.
    failed: bool,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("an earlier read failed"));
        }
        while self.current.is_empty() {
            let Some(next) = self.next.take() else { return Ok(0) };
            self.failed = true;
            match next.wait().map_err(io::Error::other)? {
                Some((bytes, body)) => {
                    self.seen += bytes.len() as u64;
                    self.current = bytes;
                    self.next = Some(self.source.start_chunk(body));
                    self.failed = false;
                }
                None if self.seen != self.size => {
                    return Err(io::Error::other(self.source.cut_short(self.size, self.seen)));
                }
                None => {
                    self.failed = false;
                    return Ok(0);
                }
            }
        }
        Ok(take(&mut self.current, buffer))
    }
}

fn take(from: &mut Bytes, buffer: &mut [u8]) -> usize {
    let count = from.len().min(buffer.len());
    from.copy_to_slice(&mut buffer[..count]);
    count
}
