//! Zstandard frames (RFC 8878), with one context per thread: making one costs more than a small
//! stream does.

use std::cell::RefCell;

use ::zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, Result};

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// One frame that holds `data` and its length. `None` if the library fails (out of memory).
pub(super) fn encode(data: &[u8], level: i32) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Compressor::new(level).ok()?);
        }
        let compressor = slot.as_mut()?;
        compressor.set_compression_level(level).ok()?;
        compressor.compress(data).ok()
    })
}

/// The `raw_len` bytes of the single frame in `bytes`.
pub(super) fn decode(bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let damaged = |cause: std::io::Error| {
        Error::corrupt("zstd frame does not decode")
            .expected(format_args!("{raw_len} bytes"))
            .caused_by(cause)
    };
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Decompressor::new().map_err(damaged)?);
        }
        let decompressor =
            slot.as_mut().ok_or_else(|| Error::internal("zstd decompressor is absent"))?;
        let raw = decompressor.decompress(bytes, raw_len).map_err(damaged)?;
        if raw.len() != raw_len {
            return Err(Error::corrupt("zstd frame holds another number of bytes")
                .expected(raw_len)
                .found(raw.len()));
        }
        Ok(raw)
    })
}
