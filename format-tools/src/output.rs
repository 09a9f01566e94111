//! Where data goes: standard output, or a file that appears when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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

/// A place for data; [`finish`](Output::finish) completes it, dropping it leaves nothing behind.
pub(crate) enum Output {
    /// Standard output, or a path that is no ordinary file (`/dev/null`, a named pipe).
    Stream(BufWriter<Watched>),
    /// A new file beside its final name.
    File { writer: BufWriter<NamedTempFile>, path: PathBuf },
}

impl Output {
    /// Standard output for `None` and `-`, else a file.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stream(BufWriter::with_capacity(
                BUFFER,
                Watched::Stdout(io::stdout()),
            )));
        };
        let failed = |error: io::Error| cannot_write(path, error);
        let is_special = path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
        if is_special {
            let file = File::options().write(true).open(path).map_err(failed)?;
            return Ok(Self::Stream(BufWriter::with_capacity(BUFFER, Watched::Special(file))));
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
        let file =
            builder.prefix(".format-tools-").suffix(".part").tempfile_in(folder).map_err(failed)?;
        interrupt::remove_on_signal(Some(file.path().to_owned()));
        Ok(Self::File { writer: BufWriter::with_capacity(BUFFER, file), path: path.to_owned() })
    }

    /// As [`open`](Output::open), but refuses to write bytes that are no text to a terminal.
    pub(crate) fn open_binary(path: Option<&Path>, format: &str) -> Result<Self> {
        let is_stdout = path.is_none_or(|path| path.as_os_str() == "-");
        if is_stdout && io::stdout().is_terminal() {
            return Err(Error::usage(format!("{format} is no text for a terminal"))
                .help("write it to a file with -o FILE, or pipe it into a program"));
        }
        Self::open(path)
    }

    /// Writes what is still buffered and gives a file its name.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stream(mut writer) => writer
                .flush()
                .map_err(|error| Error::store("cannot write the output").caused_by(error)),
            Self::File { writer, path } => {
                let failed = |error: io::Error| cannot_write(&path, error);
                let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
                file.persist(&path).map_err(|error| failed(error.error))?;
                interrupt::remove_on_signal(None);
                Ok(())
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(writer) => writer.write(bytes),
            Self::File { writer, .. } => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(writer) => writer.flush(),
            Self::File { writer, .. } => writer.flush(),
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
    let mut output = Output::open(None)?;
    output
        .write_all(text.as_bytes())
        .map_err(|error| Error::store("cannot write the output").caused_by(error))?;
    output.finish()
}
