//! Sorted records in a temporary file.
//!
//! A run is a sequence of frames, each of which holds whole records:
//!
//! ```text
//! frame:   compressed length u32 | raw length u32 | CRC-32C of what follows u32 | zstd bytes
//! raw:     (key u64 | length u32 | record)*
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::folder;
use super::merge::Merge;
use crate::error::{Context, Error, Result};
use crate::pipeline::ordered;

const FRAME_HEADER: usize = 12;
const RECORD_HEADER: usize = 12;

/// A run in a file.
#[derive(Debug)]
pub(super) struct Run {
    storage: Storage,
    shape: Kept,
    last_key: u64,
    /// What is added to the keys in the file.
    add: u64,
}

/// What tells a run in a file that was kept from any other bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Bytes of the file.
    pub bytes: u64,
    frames: u64,
    /// Lengths of the largest frame, compressed and raw: no length read back may pass them.
    largest: (u32, u32),
}

/// The file of a run.
#[derive(Debug)]
enum Storage {
    /// Gone with the process, however that ends.
    Unnamed(File),
    /// Removed unless it is kept.
    Named(NamedTempFile),
    /// Open only while a frame is read: there may be thousands to merge.
    Kept(PathBuf, Option<File>),
}

impl Storage {
    fn file(&mut self) -> io::Result<&mut File> {
        match self {
            Self::Unnamed(file) => Ok(file),
            Self::Named(file) => Ok(file.as_file_mut()),
            Self::Kept(_, Some(file)) => Ok(file),
            Self::Kept(path, file) => Ok(file.insert(File::open(path)?)),
        }
    }

    /// Gives back what need not be held until the next use.
    fn rest(&mut self) {
        if let Self::Kept(_, file) = self {
            *file = None;
        }
    }
}

/// A frame ready to be written.
struct Frame {
    header: [u8; FRAME_HEADER],
    lengths: (u32, u32),
    compressed: Vec<u8>,
}

impl Run {
    /// An empty run, whose file is in `temp_dir`; one that is to be kept has a name.
    pub(super) fn new(temp_dir: &Path, to_keep: bool) -> Result<Self> {
        let storage = match to_keep {
            true => NamedTempFile::new_in(temp_dir).map(Storage::Named),
            false => tempfile::tempfile_in(temp_dir).map(Storage::Unnamed),
        };
        let storage = storage.map_err(|error| write_error(error, temp_dir))?;
        Ok(Self { storage, shape: Kept::default(), last_key: 0, add: 0 })
    }

    /// A run that was kept at `path`, to whose keys `add` is added.
    pub(super) fn kept(path: PathBuf, shape: Kept, add: u64) -> Self {
        Self { storage: Storage::Kept(path, None), shape, last_key: u64::MAX, add }
    }

    /// Gives the file its name, under which it stays.
    pub(super) fn keep(self, path: &Path) -> Result<Kept> {
        let Storage::Named(file) = self.storage else {
            return Err(Error::internal("a run without a name cannot be kept"));
        };
        file.persist(path).map_err(|error| {
            write_error(error.error, path.parent().unwrap_or_else(|| Path::new(".")))
        })?;
        Ok(self.shape)
    }

    /// Adds all records of `merge`, whose keys are not below those already there.
    pub(super) fn extend(
        &mut self,
        mut merge: Merge,
        temp_dir: &Path,
        frame_bytes: usize,
        threads: usize,
    ) -> Result<()> {
        let failed = |error| write_error(error, temp_dir);
        let Self { storage, shape, last_key, .. } = self;
        let mut file = BufWriter::new(storage.file().map_err(failed)?);
        // A record that did not fit the frame before.
        let mut held = Vec::new();
        ordered(
            threads,
            2 * threads,
            || {
                let mut raw = std::mem::take(&mut held);
                raw.reserve(frame_bytes.saturating_sub(raw.len()));
                while let Some((key, record)) = merge.next()? {
                    *last_key = key;
                    let fits = raw.len() + RECORD_HEADER + record.len() <= frame_bytes;
                    let target = if fits || raw.is_empty() { &mut raw } else { &mut held };
                    target.extend_from_slice(&key.to_le_bytes());
                    target.extend_from_slice(&(record.len() as u32).to_le_bytes());
                    target.extend_from_slice(record);
                    if !held.is_empty() || raw.len() >= frame_bytes {
                        break;
                    }
                }
                Ok((!raw.is_empty()).then_some(raw))
            },
            |raw: Vec<u8>| Frame::new(&raw),
            |frame| {
                file.write_all(&frame.header).map_err(failed)?;
                file.write_all(&frame.compressed).map_err(failed)?;
                shape.bytes += (FRAME_HEADER + frame.compressed.len()) as u64;
                shape.frames += 1;
                let (compressed, raw) = shape.largest;
                shape.largest = (compressed.max(frame.lengths.0), raw.max(frame.lengths.1));
                Ok(())
            },
        )?;
        file.flush().map_err(failed)
    }

    /// Its size in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.shape.bytes
    }

    /// Bytes of memory that reading it takes.
    pub(super) fn memory(&self) -> usize {
        self.shape.largest.1 as usize
    }

    /// Whether it has a file open until it is gone.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.storage, Storage::Kept(..))
    }

    /// The key of its last record.
    pub(super) fn last_key(&self) -> u64 {
        self.last_key
    }
}

impl Frame {
    fn new(raw: &[u8]) -> Result<Self> {
        let too_long = || Error::unsupported("a record of nearly 4 GiB cannot be sorted");
        let raw_len = u32::try_from(raw.len()).map_err(|_| too_long())?;
        let compressed = zstd::bulk::compress(raw, 1)
            .map_err(|error| Error::internal("zstd failed to compress").caused_by(error))?;
        let compressed_len = u32::try_from(compressed.len()).map_err(|_| too_long())?;
        let mut header = [0; FRAME_HEADER];
        header[..4].copy_from_slice(&compressed_len.to_le_bytes());
        header[4..8].copy_from_slice(&raw_len.to_le_bytes());
        header[8..].copy_from_slice(&crc32c::crc32c(&compressed).to_le_bytes());
        Ok(Self { header, lengths: (compressed_len, raw_len), compressed })
    }
}

/// Reads a run, a frame at a time.
#[derive(Debug)]
pub(super) struct RunReader {
    run: Run,
    frames_read: u64,
    /// Where in the file the next frame starts.
    offset: u64,
    raw: Vec<u8>,
    /// Where in `raw` the current record starts, and where the next one does.
    start: usize,
    end: usize,
    key: u64,
}

impl RunReader {
    pub(super) fn new(run: Run) -> Self {
        Self { run, frames_read: 0, offset: 0, raw: Vec::new(), start: 0, end: 0, key: 0 }
    }

    /// Moves to the next record; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        while self.end == self.raw.len() {
            if !self.read_frame().at(|| "temporary file")? {
                return Ok(false);
            }
        }
        let header = self.raw.get(self.end..).and_then(|rest| rest.first_chunk::<RECORD_HEADER>());
        let &[k0, k1, k2, k3, k4, k5, k6, k7, l0, l1, l2, l3] = header.ok_or_else(damaged)?;
        let key = u64::from_le_bytes([k0, k1, k2, k3, k4, k5, k6, k7]);
        self.key = key.checked_add(self.run.add).ok_or_else(damaged)?;
        self.start = self.end + RECORD_HEADER;
        self.end = self.start.saturating_add(u32::from_le_bytes([l0, l1, l2, l3]) as usize);
        if self.end > self.raw.len() {
            return Err(damaged());
        }
        Ok(true)
    }

    pub(super) fn current(&self) -> Option<(u64, &[u8])> {
        Some((self.key, self.raw.get(self.start..self.end)?))
    }

    fn read_frame(&mut self) -> Result<bool> {
        let shape = self.run.shape;
        if self.frames_read == shape.frames {
            return Ok(false);
        }
        let file = self.run.storage.file().map_err(read_error)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(read_error)?;
        let mut header = [0; FRAME_HEADER];
        file.read_exact(&mut header).map_err(read_error)?;
        let [c0, c1, c2, c3, r0, r1, r2, r3, s0, s1, s2, s3] = header;
        let compressed_len = u32::from_le_bytes([c0, c1, c2, c3]);
        let raw_len = u32::from_le_bytes([r0, r1, r2, r3]);
        if compressed_len > shape.largest.0 || raw_len > shape.largest.1 {
            return Err(damaged());
        }
        let mut compressed = vec![0; compressed_len as usize];
        file.read_exact(&mut compressed).map_err(read_error)?;
        self.run.storage.rest();
        if crc32c::crc32c(&compressed) != u32::from_le_bytes([s0, s1, s2, s3]) {
            return Err(damaged());
        }
        self.raw.resize(raw_len as usize, 0);
        let written = zstd::bulk::decompress_to_buffer(&compressed, &mut self.raw[..]);
        if written.ok() != Some(self.raw.len()) {
            return Err(damaged());
        }
        self.frames_read += 1;
        self.offset += FRAME_HEADER as u64 + u64::from(compressed_len);
        (self.start, self.end) = (0, 0);
        Ok(true)
    }
}

fn write_error(error: io::Error, temp_dir: &Path) -> Error {
    let what = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "no space is left for sorting",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "there is no such folder",
        io::ErrorKind::PermissionDenied => "access was denied",
        _ => "writing records to be sorted failed",
    };
    Error::store(what)
        .caused_by(error)
        .help(
            "name a folder with more room by --temp-dir, or sort more in memory by a larger --memory",
        )
        .at(folder(temp_dir))
}

fn read_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => Error::store("reading records back failed")
            .caused_by(error)
            .help("check the disk of the temporary folder, or name another by --temp-dir"),
    }
}

fn damaged() -> Error {
    Error::corrupt("records being sorted came back changed").help(
        "check the disk of the temporary folder, or name another by --temp-dir, and start again",
    )
}

#[cfg(test)]
impl Run {
    /// Overwrites one byte, to see that it is noticed.
    pub(super) fn flip_byte(&mut self, at: u64) {
        let mut byte = [0];
        let file = self.storage.file().unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte[0] ^ 0x10]).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn test_write_error_names_the_folder_and_the_way_out() {
        let error = write_error(io::ErrorKind::StorageFull.into(), Path::new("/scratch"));
        assert_eq!(error.kind(), ErrorKind::Store);
        let text = error.to_string();
        for part in ["/scratch", "--temp-dir", "--memory", "no space"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
