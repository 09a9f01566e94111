//! The digest that tells whether a sample comes back as it was.

use crate::error::Result;
use crate::records::alignments::{Header, Record};

/// BLAKE3 takes long stretches several blocks at a time, short ones block by block.
const STRETCH: usize = 64 << 10;

/// BLAKE3 of a header and of the records that follow it in the order of their file.
pub(super) struct Digest {
    hasher: blake3::Hasher,
    waiting: Vec<u8>,
}

impl Digest {
    /// Begins with a header.
    pub(super) fn new(header: &Header) -> Result<Self> {
        Ok(Self { hasher: blake3::Hasher::new(), waiting: header.to_bam_bytes()? })
    }

    pub(super) fn add(&mut self, record: &Record<'_>) {
        self.waiting.extend_from_slice(&(record.bytes().len() as u32).to_le_bytes());
        self.waiting.extend_from_slice(record.bytes());
        if self.waiting.len() >= STRETCH {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    /// In hexadecimal digits.
    pub(super) fn finish(mut self) -> String {
        self.hasher.update(&self.waiting).finalize().to_hex().to_string()
    }
}
