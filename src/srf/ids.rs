//! The index by name: 32 bits of a hash and the batch, sorted and cut into pages.

use super::batch::stem;
use super::manifest::Page;
use crate::codec::varint;
use crate::error::{Error, Result};

/// Entries of a page, about.
const PAGE_ENTRIES: u64 = 16_384;
/// Most pages: their list is in the manifest.
const MAX_PAGES: u64 = 2048;

/// The upper half of FNV-1a (64 bits) of a name without `/1` or `/2`, mixed so that names that
/// differ little lie apart.
pub fn hash(name: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in stem(name) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((hash ^ (hash >> 33)) >> 32) as u32
}

/// The page of a hash, among so many.
pub(super) fn page_of(hash: u32, pages: usize) -> usize {
    ((u64::from(hash) * pages as u64) >> 32) as usize
}

/// Gathers names.
#[derive(Default)]
pub(super) struct Builder {
    /// The hash in the upper half, the batch in the lower.
    entries: Vec<u64>,
}

impl Builder {
    pub(super) fn push(&mut self, hash: u32, batch: u32) {
        self.entries.push(u64::from(hash) << 32 | u64::from(batch));
    }

    /// The index object and its pages.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<Page>) {
        self.entries.sort_unstable();
        self.entries.dedup();
        let count = self.entries.len() as u64;
        let pages = count.div_ceil(PAGE_ENTRIES).clamp(1, MAX_PAGES) as usize;
        let (mut object, mut list) = (Vec::new(), Vec::new());
        let mut rest = self.entries.as_slice();
        for page in 0..pages {
            let end = rest.partition_point(|entry| page_of((entry >> 32) as u32, pages) <= page);
            let (entries, tail) = rest.split_at(end);
            rest = tail;
            let start = object.len();
            let mut last = 0;
            for entry in entries {
                let hash = entry >> 32;
                varint::put(&mut object, hash - std::mem::replace(&mut last, hash));
                varint::put(&mut object, entry & 0xffff_ffff);
            }
            list.push(Page {
                size: (object.len() - start) as u32,
                crc: crc32c::crc32c(&object[start..]),
                rows: entries.len() as u64,
                batches: 0,
            });
        }
        (object, list)
    }
}

/// The batches that may hold a name, from the page of its hash.
pub(super) fn find(mut page: &[u8], wanted: u32, batches: &mut Vec<u32>) -> Result<()> {
    let mut hash = 0_u64;
    while !page.is_empty() {
        hash = hash
            .checked_add(varint::take(&mut page)?)
            .ok_or_else(|| Error::corrupt("a page of the index by name is damaged"))?;
        let batch = varint::take(&mut page)?;
        if hash == u64::from(wanted) {
            batches.push(
                u32::try_from(batch)
                    .map_err(|_| Error::corrupt("a page of the index by name is damaged"))?,
            );
        } else if hash > u64::from(wanted) {
            break;
        }
    }
    Ok(())
}
