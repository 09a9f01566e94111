//! The bytes of an input file, however they are compressed.

use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use flate2::read::MultiGzDecoder;
use noodles_bgzf as bgzf;

use crate::error::{Error, ErrorKind, Result};

/// An input as it lies in its file.
pub(crate) type Raw = Box<dyn Read + Send>;

type Buffered = BufReader<Counted>;

pub(crate) const BUFFER_BYTES: usize = if cfg!(fuzzing) { 256 } else { 256 << 10 };

/// The empty BGZF block that ends every complete file (SAM specification §4.1.2).
const BGZF_EOF: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

/// How the bytes of an input are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// Blocked gzip, whose blocks decompress in parallel.
    Bgzf,
    /// gzip of any other kind.
    Gzip,
}

impl Compression {
    /// Tells from the first 18 bytes of a file or more.
    pub(crate) fn of(start: &[u8]) -> Self {
        if start.len() >= 18 && start[..4] == BGZF_EOF[..4] && start[10..16] == BGZF_EOF[10..16] {
            Self::Bgzf
        } else if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else {
            Self::None
        }
    }
}

/// A buffered reader of decompressed bytes that knows whether the file is whole.
pub(crate) struct Stream {
    name: String,
    decoder: Decoder,
    tail: Arc<Mutex<Tail>>,
}

enum Decoder {
    Plain(Buffered),
    Gzip(Box<BufReader<MultiGzDecoder<Buffered>>>),
    Bgzf(bgzf::io::Reader<Buffered>),
    ParallelBgzf(bgzf::io::MultithreadedReader<Buffered>),
}

impl Stream {
    /// A stream over the file called `name` in messages, decompressed by `threads` threads.
    pub(crate) fn new(name: String, raw: Raw, compression: Compression, threads: usize) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let counted = Counted { inner: raw, tail: Arc::clone(&tail) };
        let buffered = BufReader::with_capacity(BUFFER_BYTES, counted);
        let decoder = match (compression, NonZero::new(threads).filter(|threads| threads.get() > 1))
        {
            (Compression::None, _) => Decoder::Plain(buffered),
            (Compression::Gzip, _) => {
                let decoder = MultiGzDecoder::new(buffered);
                Decoder::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)))
            }
            (Compression::Bgzf, None) => Decoder::Bgzf(bgzf::io::Reader::new(buffered)),
            (Compression::Bgzf, Some(threads)) => Decoder::ParallelBgzf(
                bgzf::io::MultithreadedReader::with_worker_count(threads, buffered),
            ),
        };
        Self { name, decoder, tail }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The decompressed bytes that follow; none at the end of the file.
    ///
    /// # Errors
    ///
    /// `Input` when the file is damaged or cut short, `Store` when it cannot be read.
    pub(crate) fn fill(&mut self) -> Result<&[u8]> {
        // Asked twice, since an error is all that a borrow of the buffer would leave room for.
        let filled = match &mut self.decoder {
            Decoder::Plain(reader) => reader.fill_buf().map(<[u8]>::len),
            Decoder::Gzip(reader) => reader.fill_buf().map(<[u8]>::len),
            Decoder::Bgzf(reader) => reader.fill_buf().map(<[u8]>::len),
            Decoder::ParallelBgzf(reader) => reader.fill_buf().map(<[u8]>::len),
        };
        match filled {
            Ok(0) => self.check_end()?,
            Ok(_) => {}
            Err(error) => return Err(self.damage(error)),
        }
        Ok(self.buffer())
    }

    fn buffer(&mut self) -> &[u8] {
        let buffer = match &mut self.decoder {
            Decoder::Plain(reader) => reader.fill_buf(),
            Decoder::Gzip(reader) => reader.fill_buf(),
            Decoder::Bgzf(reader) => reader.fill_buf(),
            Decoder::ParallelBgzf(reader) => reader.fill_buf(),
        };
        buffer.unwrap_or_default()
    }

    /// Goes past `count` of the bytes that [`fill`](Self::fill) returned.
    pub(crate) fn consume(&mut self, count: usize) {
        match &mut self.decoder {
            Decoder::Plain(reader) => reader.consume(count),
            Decoder::Gzip(reader) => reader.consume(count),
            Decoder::Bgzf(reader) => reader.consume(count),
            Decoder::ParallelBgzf(reader) => reader.consume(count),
        }
    }

    /// Appends up to `count` bytes to `out` and says how many there were.
    pub(crate) fn read_into(&mut self, count: usize, out: &mut Vec<u8>) -> Result<usize> {
        let mut missing = count;
        while missing > 0 {
            let available = self.fill()?;
            if available.is_empty() {
                break;
            }
            let taken = available.len().min(missing);
            out.extend_from_slice(&available[..taken]);
            self.consume(taken);
            missing -= taken;
        }
        Ok(count - missing)
    }

    /// Where in the file the bytes of [`fill`](Self::fill) come from, as well as can be told.
    pub(crate) fn place(&self) -> String {
        let block = match &self.decoder {
            Decoder::Bgzf(reader) => Some(reader.position()),
            Decoder::ParallelBgzf(reader) => Some(reader.position()),
            _ => None,
        };
        match block {
            Some(position) => format!("before byte {position} of the compressed file"),
            None => format!("before byte {}", self.tail().total),
        }
    }

    /// A BGZF file ends in an empty block; without it, the rest may be missing.
    fn check_end(&self) -> Result<()> {
        if !matches!(self.decoder, Decoder::Bgzf(_) | Decoder::ParallelBgzf(_)) {
            return Ok(());
        }
        let tail = self.tail();
        if tail.last == BGZF_EOF {
            return Ok(());
        }
        Err(Error::input("the file is truncated: it does not end in the BGZF end-of-file block")
            .found(format!("{} bytes", tail.total))
            .help("copy the file again, or make it again with the program that wrote it")
            .at(&self.name))
    }

    fn damage(&self, error: io::Error) -> Error {
        let position = match &self.decoder {
            Decoder::Bgzf(reader) => reader.position(),
            Decoder::ParallelBgzf(reader) => reader.position(),
            _ => self.tail().total,
        };
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the file is truncated: it ends within a block",
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                "the compressed data is damaged"
            }
            _ => return read_failure(&self.name, error),
        };
        let damage = Error::input(what)
            .help("copy the file again, or make it again with the program that wrote it")
            .at(format!("byte {position}"))
            .at(&self.name);
        // What libdeflate says is about its own buffers, and would mislead.
        if error.to_string().contains("libdeflater") { damage } else { damage.caused_by(error) }
    }

    fn tail(&self) -> Tail {
        self.tail.lock().map_or_else(|poisoned| *poisoned.into_inner(), |tail| *tail)
    }
}

/// The disk or network failed, not the file.
pub(crate) fn read_failure(name: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, "reading failed")
        .caused_by(error)
        .help("check the disk or the network, then try again")
        .at(name)
}

/// The last bytes that were read of a file, and how many there were in all.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    last: [u8; BGZF_EOF.len()],
    total: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let size = self.last.len();
        let kept = bytes.len().min(size);
        self.last.rotate_left(kept);
        self.last[size - kept..].copy_from_slice(&bytes[bytes.len() - kept..]);
        self.total += bytes.len() as u64;
    }
}

/// A reader that remembers its last bytes.
struct Counted {
    inner: Raw,
    tail: Arc<Mutex<Tail>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Ok(mut tail) = self.tail.lock() {
            tail.push(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_tail_keeps_the_last_bytes_of_short_and_long_reads() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut tail = Tail::default();
        for piece in [&bytes[..3], &bytes[3..60], &bytes[60..60], &bytes[60..99], &bytes[99..]] {
            tail.push(piece);
        }
        assert_eq!(tail.last[..], bytes[72..]);
        assert_eq!(tail.total, 100);
    }

    #[test]
    fn test_compression_tells_bgzf_from_gzip() {
        assert_eq!(Compression::of(&BGZF_EOF), Compression::Bgzf);
        assert_eq!(Compression::of(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), Compression::Gzip);
        assert_eq!(Compression::of(b"@HD\tVN:1.6\n"), Compression::None);
    }
}
