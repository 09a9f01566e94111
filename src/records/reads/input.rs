//! Opening reads, whatever they are compressed with.

use std::io::{self, Chain, Cursor, Read};
use std::num::NonZeroUsize;

use crossbeam_channel::{Receiver, bounded};

use super::ubam::BamText;
use crate::error::{Context, Error, Result};
use crate::store::Input;

/// Bytes of a piece that is decompressed ahead.
const PIECE: usize = 1 << 20;
/// Bytes looked at to tell what a file is: one BGZF block.
const SNIFFED: usize = 64 << 10;
/// Pieces decompressed ahead.
const AHEAD: usize = 4;

type Start = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// The text of an input: gzip, BGZF, Zstandard and bzip2 are told by their first bytes and
/// decompressed on threads of their own.
///
/// # Errors
///
/// What the first read reports; [`Unsupported`](crate::error::ErrorKind::Unsupported) for other
/// compressions.
pub fn open(input: Input, threads: usize) -> Result<(String, Box<dyn Read + Send>)> {
    let Input { name, mut reader, .. } = input;
    let mut start = vec![0; SNIFFED];
    let mut filled = 0;
    while filled < start.len() {
        match reader.read(&mut start[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::store("cannot read the file").caused_by(error).at(&name));
            }
        }
    }
    start.truncate(filled);
    let is_bgzf = start.len() > 18 && start[3] & 4 != 0 && start[12..14] == *b"BC";
    let magic = start[..start.len().min(18)].to_vec();
    let is_bam = is_bgzf && {
        let mut first = [0; 4];
        let block = flate2::read::GzDecoder::new(start.as_slice()).read_exact(&mut first);
        block.is_ok() && first == *b"BAM\x01"
    };
    let whole: Start = Cursor::new(start).chain(reader);
    let text: Box<dyn Read + Send> = match magic.as_slice() {
        _ if is_bam => Box::new(BamText::open(&name, Box::new(whole), threads)?),
        [0x1f, 0x8b, ..] if is_bgzf => {
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            let blocks = noodles_bgzf::io::MultithreadedReader::with_worker_count(threads, whole);
            Box::new(blocks)
        }
        [0x1f, 0x8b, ..] => ahead(Box::new(flate2::read::MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::new(whole)
                .map_err(|error| Error::store("starting to decompress").caused_by(error))
                .at(|| name.clone())?;
            ahead(Box::new(decoder))
        }
        [b'B', b'Z', b'h', ..] => ahead(Box::new(bzip2::read::MultiBzDecoder::new(whole))),
        [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'P', b'K', 3, 4, ..] => {
            return Err(Error::unsupported("reads compressed with xz or zip")
                .help("decompress them first, and give - as the input")
                .at(name));
        }
        _ => Box::new(whole),
    };
    Ok((name, text))
}

/// Reads ahead on a thread, which ends when nobody listens any more.
fn ahead(mut reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let (send, pieces) = bounded::<io::Result<Vec<u8>>>(AHEAD);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let mut filled = 0;
            let failure = loop {
                match reader.read(&mut piece[filled..]) {
                    Ok(0) => break None,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(error),
                }
                if filled == piece.len() {
                    break None;
                }
            };
            let is_last = filled < piece.len();
            piece.truncate(filled);
            if send.send(Ok(piece)).is_err() {
                return;
            }
            if let Some(error) = failure {
                // Nobody may be left to tell.
                let _ = send.send(Err(error));
                return;
            }
            if is_last {
                return;
            }
        }
    });
    Box::new(Ahead { pieces, current: Cursor::new(Vec::new()) })
}

struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    current: Cursor<Vec<u8>>,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.pieces.recv() {
                Ok(piece) => self.current = Cursor::new(piece?),
                Err(_) => return Ok(0),
            }
        }
    }
}
