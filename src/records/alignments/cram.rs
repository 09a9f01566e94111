//! CRAM 3.0 and 3.1, read and written.

use std::io::Write;

use super::Header;
use super::sink::Sink;
use super::source::{Source, SourceOptions};
use super::stream::Raw;
use crate::error::{Error, Result};

pub(super) fn open(_name: &str, _raw: Raw, _options: &SourceOptions) -> Result<Box<dyn Source>> {
    Err(Error::unsupported("CRAM"))
}

pub(super) fn create(
    _out: Box<dyn Write + Send>,
    _header: &Header,
    _threads: usize,
) -> Result<Box<dyn Sink>> {
    Err(Error::unsupported("CRAM"))
}
