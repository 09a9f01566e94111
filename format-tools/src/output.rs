//! Where data goes: standard output, or a file that appears when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use genomic_objects::error::{Error, Result};
use tempfile::NamedTempFile;

use crate::interrupt;

/// Set when the reader of standard output has gone away.
static PIPE_CLOSED: AtomicBool = AtomicBool::new(false);

/// Bytes gathered before each write.
const BUFFER: usize = 256 << 10;

/// Whether the reader of standard output has closed it.
pub(crate) fn pipe_closed() -> bool {
    PIPE_CLOSED.load(Relaxed)
}

/// A place for data: hand its [`writer`](Output::writer) to whoever writes, then
/// [`finish`](Output::finish). A file that is not finished leaves nothing behind.
pub(crate) struct Output {
    target: Arc<Mutex<Target>>,
    path: Option<PathBuf>,
}

enum Target {
    /// Standard output, or a path that is no ordinary file (`/dev/null`, a named pipe).
    Stream(BufWriter<Watched>),
    /// A new file beside its final name.
    File(BufWriter<NamedTempFile>),
    Finished,
}

impl Output {
    /// Standard output for `None` and `-`, else a file.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.filter(|path| path.as_os_str() != "-");
        let target = match path {
            None => Target::Stream(BufWriter::with_capacity(BUFFER, Watched::Stdout(io::stdout()))),
            Some(path) => open_file(path).map_err(|error| cannot_write(path, error))?,
        };
        Ok(Self { target: Arc::new(Mutex::new(target)), path: path.map(Path::to_owned) })
    }

    /// As [`open`](Output::open), but refuses to write what is no text to a terminal.
    pub(crate) fn open_binary(path: Option<&Path>, format: &str) -> Result<Self> {
        let output = Self::open(path)?;
        if output.path.is_none() && io::stdout().is_terminal() {
            return Err(Error::usage(format!("{format} is no text for a terminal"))
                .help("write it to a file with -o FILE, or pipe it into a program"));
        }
        Ok(output)
    }

    /// Whether this is standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.path.is_none()
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        self.path.as_ref().map_or("standard output".into(), |path| path.display().to_string())
    }

    /// Something to write with; several write one after the other.
    pub(crate) fn writer(&self) -> Box<dyn Write + Send> {
        Box::new(Writer(Arc::clone(&self.target)))
    }

    /// Writes `text`.
    pub(crate) fn write_text(&self, text: &str) -> Result<()> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes `bytes`.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        self.writer().write_all(bytes).map_err(|error| self.failed(error))
    }

    /// Writes what is still buffered and gives a file its name.
    pub(crate) fn finish(self) -> Result<()> {
        let target = std::mem::replace(&mut *lock(&self.target), Target::Finished);
        match target {
            Target::Stream(mut writer) => writer.flush(),
            Target::File(writer) => {
                writer.into_inner().map_err(|error| error.into_error()).and_then(|file| {
                    let path = self.path.as_deref().unwrap_or(Path::new("-"));
                    file.persist(path).map_err(|error| error.error)?;
                    interrupt::keep_file();
                    Ok(())
                })
            }
            Target::Finished => Ok(()),
        }
        .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        cannot_write(Path::new(&self.name()), error)
    }
}

fn open_file(path: &Path) -> io::Result<Target> {
    let is_special = path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
    if is_special {
        let file = File::options().write(true).open(path)?;
        return Ok(Target::Stream(BufWriter::with_capacity(BUFFER, Watched::Special(file))));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the umask leaves of it, as for any new file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".format-tools-").suffix(".part");
    let file = interrupt::create_removable(|| builder.tempfile_in(folder))?;
    Ok(Target::File(BufWriter::with_capacity(BUFFER, file)))
}

/// A panic elsewhere leaves the target as good as it was: each write is all or nothing to it.
fn lock(target: &Mutex<Target>) -> MutexGuard<'_, Target> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer(Arc<Mutex<Target>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *lock(&self.0) {
            Target::Stream(writer) => writer.write(bytes),
            Target::File(writer) => writer.write(bytes),
            Target::Finished => Err(io::Error::other("the output is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *lock(&self.0) {
            Target::Stream(writer) => writer.flush(),
            Target::File(writer) => writer.flush(),
            Target::Finished => Ok(()),
        }
    }
}

/// A stream that remembers when its reader went away.
pub(crate) enum Watched {
    Stdout(io::Stdout),
    Special(File),
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        note(match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Special(file) => file.write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        note(match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Special(file) => file.flush(),
        })
    }
}

fn note<T>(result: io::Result<T>) -> io::Result<T> {
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        PIPE_CLOSED.store(true, Relaxed);
    }
    result
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::store("cannot write the output")
        .caused_by(error)
        .help("choose a folder that exists, that you may write to, and that has room")
        .at(path.display())
}

/// Writes `text` to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let output = Output::open(None)?;
    output.write_text(text)?;
    output.finish()
}
