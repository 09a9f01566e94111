//! VCF text and BCF on their way out.

use std::io::Write;
use std::num::NonZero;

use noodles_bgzf::io::MultithreadedWriter;

use super::read::Reader;
use crate::error::{Error, Result};
use crate::records::variants::bcf::{Encoder, Header};

/// Takes text, or the bytes of a BCF.
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

/// The header of a BCF of a dataset's variants, given the VCF header. BCF needs declarations: contigs
/// that the header lacks are added, filters that the index has, and keys that have columns.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) where the header contradicts itself.
pub fn bcf_header(reader: &Reader, text: &[u8]) -> Result<Header> {
    let mut header = Header::parse(text)?;
    for contig in reader.contigs().iter() {
        header.declare_contig(&contig.name)?;
    }
    for filter in reader.filters() {
        header.declare_filter(filter)?;
    }
    let schema = reader.schema();
    for field in schema.info.iter().filter(|field| !field.declared) {
        header.declare_info(&field.id, field.kind == "Flag")?;
    }
    for field in schema.format.iter().filter(|field| !field.declared) {
        header.declare_format(&field.id)?;
    }
    Ok(header)
}

/// Lines, each with its line feed, as records of BCF.
///
/// # Errors
///
/// As [`Encoder::push`].
pub fn bcf_records(encoder: &mut Encoder<'_>, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.into_iter().try_for_each(|line| encoder.push(line, out))
}
