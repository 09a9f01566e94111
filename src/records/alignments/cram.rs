//! CRAM 3.0 and 3.1, read and written.
//!
//! Reading makes the records that samtools 1.16 makes: flags, places and lengths that follow from
//! the mate are filled in, MD and NM are made from the reference where they are not stored, and
//! names are made from the file's where it has none. The rarer codecs of blocks are those of
//! noodles-cram; everything else is here, since its records leave out some of this.
//!
//! Writing needs no reference: bases are stored as they are, mates describe each other, tags keep
//! their order and types. What only CRAM would change (a CIGAR with `=` and `X`, one of an unmapped
//! read) is refused.

mod block;
mod bytes;
mod encode;
mod encoding;
mod features;
mod mates;
mod rans;
mod read;
mod reference;
mod series;
mod slice;
mod write;

use std::io::Write;

use super::Header;
use super::sink::Sink;
use super::source::{Source, SourceOptions};
use crate::error::Result;
use crate::records::stream::Raw;

/// Opens a CRAM file.
pub(super) fn open(name: &str, raw: Raw, options: &SourceOptions) -> Result<Box<dyn Source>> {
    Ok(Box::new(read::CramSource::open(name, raw, options)?))
}

/// Starts a CRAM file.
pub(super) fn create(
    out: Box<dyn Write + Send>,
    header: &Header,
    threads: usize,
) -> Result<Box<dyn Sink>> {
    Ok(Box::new(write::CramSink::new(out, header, threads)?))
}

#[cfg(test)]
mod tests;
