//! A folder that keeps immutable bytes between runs.
//!
//! The cache can only save requests: an entry that is missing, damaged or unreadable is fetched
//! again, and an entry that cannot be written is left out.

use std::{
    fs::{self, File},
    io::{Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Before the bytes of an entry: their CRC-32C and their number, both little-endian.
const PREAMBLE: usize = 4 + 8;

pub(super) struct Cache {
    folder: PathBuf,
    most: u64,
    identity: String,
    /// Bytes in the folder, as far as known; `None` before the first look.
    held: Mutex<Option<u64>>,
}

impl Cache {
    /// A cache in `folder` of at most `most` bytes, for the store that `identity` tells from all
    /// others.
    pub(super) fn new(folder: PathBuf, most: u64, identity: &str) -> Self {
        Self { folder, most, identity: identity.to_owned(), held: Mutex::new(None) }
    }

    pub(super) fn read(&self, key: &str, range: &Range<u64>) -> Option<Bytes> {
        let path = self.path(key, range);
        let mut file = File::open(path).ok()?;
        let wanted = usize::try_from(range.end - range.start).ok()?;
        if file.metadata().ok()?.len() != (PREAMBLE + wanted) as u64 {
            return None;
        }
        let mut bytes = Vec::with_capacity(PREAMBLE + wanted);
        file.read_to_end(&mut bytes).ok()?;
        let bytes = Bytes::from(bytes);
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        let (length, data) = rest.split_first_chunk::<8>()?;
        let whole = data.len() == wanted
            && u64::from_le_bytes(*length) == wanted as u64
            && u32::from_le_bytes(*crc) == crc32c::crc32c(data);
        if !whole {
            return None;
        }
        // The time of last use decides what is dropped first; it need not be exact.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes.slice(PREAMBLE..))
    }

    pub(super) fn write(&self, key: &str, range: &Range<u64>, bytes: &Bytes) {
        let length = (PREAMBLE + bytes.len()) as u64;
        if bytes.is_empty() || length > self.most / 4 {
            return;
        }
        let path = self.path(key, range);
        if self.try_write(&path, bytes).is_some() {
            self.make_room(length);
        }
    }

    fn try_write(&self, path: &Path, bytes: &Bytes) -> Option<()> {
        let folder = path.parent()?;
        fs::create_dir_all(folder).ok()?;
        let mut file = tempfile::NamedTempFile::new_in(folder).ok()?;
        file.write_all(&crc32c::crc32c(bytes).to_le_bytes()).ok()?;
        file.write_all(&(bytes.len() as u64).to_le_bytes()).ok()?;
        file.write_all(bytes).ok()?;
        file.persist(path).ok()?;
        Some(())
    }

    /// Drops what was used least recently once the cache is over its bound.
    fn make_room(&self, added: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let total = match *held {
            Some(total) => total.saturating_add(added),
            None => self.entries().iter().map(|entry| entry.size).sum(),
        };
        *held = Some(if total > self.most { self.evict() } else { total });
    }

    fn evict(&self) -> u64 {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries {
            if total <= self.most / 10 * 9 {
                break;
            }
            if fs::remove_file(&entry.path).is_ok() {
                total = total.saturating_sub(entry.size);
            }
        }
        total
    }

    fn entries(&self) -> Vec<Entry> {
        let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        files(&self.folder)
            .flat_map(|shelf| files(&shelf.path()))
            .filter_map(|file| {
                let meta = file.metadata().ok().filter(fs::Metadata::is_file)?;
                Some(Entry { path: file.path(), size: meta.len(), used: meta.modified().ok()? })
            })
            .collect()
    }

    fn path(&self, key: &str, range: &Range<u64>) -> PathBuf {
        let text = format!("{}\n{key}\n{}-{}", self.identity, range.start, range.end);
        let name: String =
            Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(&name[..2]).join(&name[2..])
    }
}

struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_cache_returns_what_was_written_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), 1 << 20, "s3://b");
        let bytes = Bytes::from_static(b"0123456789");
        cache.write("k", &(5..15), &bytes);
        assert_eq!(cache.read("k", &(5..15)).unwrap(), bytes);
        assert!(cache.read("k", &(5..14)).is_none());
        assert!(cache.read("l", &(5..15)).is_none());
        assert!(Cache::new(dir.path().into(), 1, "s3://c").read("k", &(5..15)).is_none());
    }

    #[test]
    fn test_cache_ignores_damaged_entries() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), 1 << 20, "");
        let bytes = Bytes::from_static(b"0123456789");
        cache.write("k", &(0..10), &bytes);
        let path = cache.path("k", &(0..10));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(cache.read("k", &(0..10)).is_none(), "byte {at}");
        }
        fs::write(&path, &good[..5]).unwrap();
        assert!(cache.read("k", &(0..10)).is_none());
    }

    #[test]
    fn test_cache_stays_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), 10_000, "");
        for i in 0..50 {
            cache.write(&format!("k{i}"), &(0..1000), &Bytes::from(vec![i; 1000]));
        }
        let total: u64 = cache.entries().iter().map(|entry| entry.size).sum();
        assert!(total <= 10_000, "{total}");
        assert!(cache.read("k49", &(0..1000)).is_some());
        cache.write("huge", &(0..9000), &Bytes::from(vec![0; 9000]));
        assert!(cache.read("huge", &(0..9000)).is_none());
    }
}
