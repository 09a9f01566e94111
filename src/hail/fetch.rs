//! The bytes of one part, fetched a piece ahead of the decoder.

use bytes::{Buf, Bytes};

use crate::error::{Error, Result};
use crate::store::{Pending, RangeRequest, Store};

/// Bytes that one fetch asks for.
const STEP: u64 = 8 << 20;

/// The bytes of a file, in order.
pub(super) struct PartBytes {
    source: Option<Source>,
    current: Bytes,
    /// Bytes taken so far.
    taken: u64,
}

/// A file in a store.
struct Source {
    store: Store,
    key: String,
    size: u64,
    /// The first byte that is not asked for yet.
    next: u64,
    ahead: Option<Pending<Vec<Bytes>>>,
}

impl PartBytes {
    /// The file `key` of `size` bytes; its first bytes are under way when this returns.
    pub(super) fn of(store: &Store, key: &str, size: u64) -> Self {
        let mut source =
            Source { store: store.clone(), key: key.to_owned(), size, next: 0, ahead: None };
        source.ask();
        Self { source: Some(source), current: Bytes::new(), taken: 0 }
    }

    /// Bytes in memory.
    #[cfg(any(test, fuzzing))]
    pub(super) fn in_memory(bytes: Bytes) -> Self {
        Self { source: None, current: bytes, taken: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn position(&self) -> u64 {
        self.taken
    }

    /// Whether all bytes were taken.
    pub(super) fn is_at_end(&mut self) -> Result<bool> {
        while self.current.is_empty() {
            let Some(source) = &mut self.source else { return Ok(true) };
            let Some(bytes) = source.fetched()? else { return Ok(true) };
            self.current = bytes;
        }
        Ok(false)
    }

    /// The next bytes, at most `most`; none at the end.
    pub(super) fn some(&mut self, most: usize) -> Result<Bytes> {
        if self.is_at_end()? {
            return Ok(Bytes::new());
        }
        let count = self.current.len().min(most);
        self.taken += count as u64;
        Ok(self.current.split_to(count))
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8> {
        if self.is_at_end()? {
            return Err(self.ended());
        }
        self.taken += 1;
        Ok(self.current.get_u8())
    }

    /// The next `count` bytes, put together in `scratch` where they come in pieces.
    pub(super) fn take<'a>(&mut self, count: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        scratch.clear();
        while scratch.len() < count {
            let piece = self.some(count - scratch.len())?;
            if piece.is_empty() {
                return Err(self.ended());
            }
            scratch.extend_from_slice(&piece);
        }
        Ok(scratch)
    }

    fn ended(&self) -> Error {
        Error::corrupt("the part ends within a block")
            .found(format!("{} bytes", self.taken))
            .help("it was truncated: copy the table again")
    }
}

impl Source {
    fn ask(&mut self) {
        let end = self.size.min(self.next.saturating_add(STEP));
        if end > self.next {
            let request = RangeRequest::new(self.key.clone(), self.next..end);
            self.ahead = Some(self.store.start_get_ranges(&[request]));
            self.next = end;
        }
    }

    /// The next piece, while the one after it is asked for.
    fn fetched(&mut self) -> Result<Option<Bytes>> {
        let Some(pending) = self.ahead.take() else { return Ok(None) };
        let pieces = pending.wait()?;
        self.ask();
        Ok(pieces.into_iter().next())
    }
}
