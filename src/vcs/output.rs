//! VCF text on its way out, plain or in BGZF.

use std::io::Write;
use std::num::NonZero;

use noodles_bgzf::io::MultithreadedWriter;

use crate::error::{Error, Result};

/// Takes text.
pub struct TextWriter(Target);

enum Target {
    Plain(Box<dyn Write + Send>),
    Bgzf(MultithreadedWriter<Box<dyn Write + Send>>),
}

fn failed(error: std::io::Error) -> Error {
    Error::store("writing the output failed").caused_by(error)
}

impl TextWriter {
    /// Plain text.
    pub fn plain(out: Box<dyn Write + Send>) -> Self {
        Self(Target::Plain(out))
    }

    /// Text in BGZF, compressed by so many threads.
    pub fn bgzf(out: Box<dyn Write + Send>, threads: usize) -> Self {
        let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
        Self(Target::Bgzf(MultithreadedWriter::with_worker_count(threads, out)))
    }

    /// Writes text.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn write(&mut self, text: &[u8]) -> Result<()> {
        match &mut self.0 {
            Target::Plain(out) => out.write_all(text),
            Target::Bgzf(out) => out.write_all(text),
        }
        .map_err(failed)
    }

    /// Writes what is still buffered, and the end of BGZF.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Target::Plain(mut out) => out.flush(),
            Target::Bgzf(mut out) => out.finish().and_then(|mut out| out.flush()),
        }
        .map_err(failed)
    }
}
