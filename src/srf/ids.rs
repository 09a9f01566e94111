//! The index by name: some bits of a hash and the batch, sorted, as short gaps in pages.

use super::batch::stem;
use super::manifest::Page;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::pipeline::{SortOptions, Sorter};

/// Entries of a page, at most twice as many and about.
const PAGE_ENTRIES: u64 = 16_384;
/// Most pages, as a power of two: their list is in the manifest.
const MAX_PAGE_BITS: u32 = 11;
/// Bits of a hash that are told apart at most.
const HASH_BITS: u32 = 40;
/// Bits of a batch's number.
const BATCH_BITS: u32 = 24;
/// Bits of a hash beyond those that number the names: one name in 16 that is not there seems to be.
const SPARE_BITS: u32 = 4;
/// Memory for entries until they go to temporary files.
const SORT_MEMORY: usize = 256 << 20;

/// FNV-1a (64 bits) of a name without `/1` or `/2`, mixed so that names that differ little lie apart.
pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in stem(name) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The page of a hash among so many, which are a power of two.
pub(super) fn page_of(hash: u64, pages: usize) -> usize {
    ((u128::from(hash) * pages as u128) >> 64) as usize
}

/// Gathers names.
#[derive(Debug)]
pub(super) struct Builder {
    /// The upper bits of the hash, and the batch.
    entries: Sorter,
}

impl Builder {
    pub(super) fn new(threads: usize) -> Self {
        let options = SortOptions { memory: SORT_MEMORY, threads, ..SortOptions::default() };
        Self { entries: Sorter::new(options) }
    }

    pub(super) fn push(&mut self, hash: u64, batch: u64) -> Result<()> {
        if batch >> BATCH_BITS > 0 {
            return Err(Error::unsupported("a dataset of more than 16,777,216 batches")
                .help("raise --batch-reads"));
        }
        self.entries.push(hash >> (64 - HASH_BITS) << BATCH_BITS | batch, &[])
    }

    /// The index object and its pages, for so many batches.
    pub(super) fn finish(self, batches: u64) -> Result<(Vec<u8>, Vec<Page>)> {
        let names = self.entries.len();
        let bits_of = |count: u64| u64::BITS - count.leading_zeros();
        let form = Form {
            hash_bits: (bits_of(names) + SPARE_BITS).min(HASH_BITS),
            batch_bits: bits_of(batches.saturating_sub(1)),
        };
        let page_bits = bits_of((names / PAGE_ENTRIES).max(1)).saturating_sub(1);
        let page_bits = page_bits.min(MAX_PAGE_BITS);
        let mut sorted = self.entries.finish()?;
        let (mut object, mut pages) = (Vec::new(), Vec::new());
        // Entries of the page, and those of one hash, whose batches may not ascend.
        let (mut entries, mut same): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut next = sorted.next()?.map(|(entry, _)| entry);
        for page in 0..1_u64 << page_bits {
            entries.clear();
            while let Some(entry) = next {
                let hash = entry >> BATCH_BITS;
                if hash >> (HASH_BITS - page_bits) != page {
                    break;
                }
                let hash = hash >> (HASH_BITS - form.hash_bits);
                let entry = hash << form.batch_bits | (entry & ((1 << BATCH_BITS) - 1));
                if same.first().is_some_and(|first| first >> form.batch_bits != hash) {
                    same.sort_unstable();
                    same.dedup();
                    entries.append(&mut same);
                }
                same.push(entry);
                next = sorted.next()?.map(|(entry, _)| entry);
            }
            same.sort_unstable();
            same.dedup();
            entries.append(&mut same);
            let start = object.len();
            form.push(&entries, page << (form.entry_bits() - page_bits), page_bits, &mut object);
            pages.push(Page {
                size: (object.len() - start) as u32,
                crc: crc32c::crc32c(&object[start..]),
                rows: entries.len() as u64,
                batches: 0,
            });
        }
        Ok((object, pages))
    }
}

/// How entries are cut: the upper bits of a hash above the number of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    hash_bits: u32,
    batch_bits: u32,
}

impl Form {
    fn entry_bits(self) -> u32 {
        self.hash_bits + self.batch_bits
    }

    /// A page: gaps between ascending entries, each its upper part in ones and a zero, and so many
    /// lower bits.
    fn push(self, entries: &[u64], first: u64, page_bits: u32, object: &mut Vec<u8>) {
        let range = 1_u64 << (self.entry_bits() - page_bits);
        let low_bits = (range / (entries.len() as u64).max(1)).max(1).ilog2().min(48);
        object.extend([self.hash_bits as u8, self.batch_bits as u8, low_bits as u8]);
        varint::put(object, entries.len() as u64);
        let mut bits = Bits { out: object, byte: 0, filled: 0 };
        let mut last = first;
        for &entry in entries {
            let gap = entry - std::mem::replace(&mut last, entry);
            (0..gap >> low_bits).for_each(|_| bits.push(1, 1));
            bits.push(0, 1);
            bits.push(gap & ((1 << low_bits) - 1), low_bits);
        }
        bits.finish();
    }
}

/// Bits from the lowest of each byte on.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    byte: u64,
    filled: u32,
}

impl Bits<'_> {
    /// At most 56 bits.
    fn push(&mut self, bits: u64, count: u32) {
        self.byte |= bits << self.filled;
        self.filled += count;
        while self.filled >= 8 {
            self.out.push(self.byte as u8);
            self.byte >>= 8;
            self.filled -= 8;
        }
    }

    fn finish(self) {
        if self.filled > 0 {
            self.out.push(self.byte as u8);
        }
    }
}

fn damaged() -> Error {
    Error::corrupt("a page of the index by name is damaged")
}

/// The batches that may hold the name of a hash, from the page of that hash among so many.
pub(super) fn find(page: &[u8], pages: usize, wanted: u64, batches: &mut Vec<u32>) -> Result<()> {
    let (&[hash_bits, batch_bits, low_bits], mut rest) =
        page.split_first_chunk::<3>().ok_or_else(damaged)?;
    let form = Form { hash_bits: hash_bits.into(), batch_bits: batch_bits.into() };
    let low_bits = u32::from(low_bits);
    let page_bits = pages.max(1).ilog2();
    if form.hash_bits > HASH_BITS || form.batch_bits > BATCH_BITS || form.hash_bits < page_bits {
        return Err(damaged());
    }
    if low_bits > form.entry_bits() {
        return Err(damaged());
    }
    let most = 8 * rest.len();
    let count = varint::take_len(&mut rest, most)?;
    let mut at = 0_usize;
    let mut bit = || {
        let bit = rest.get(at / 8).map(|byte| u64::from(byte >> (at % 8) & 1));
        at += 1;
        bit.ok_or_else(damaged)
    };
    let wanted = wanted.checked_shr(64 - form.hash_bits).unwrap_or(0);
    let page = wanted >> (form.hash_bits - page_bits);
    let mut entry = page.checked_shl(form.entry_bits() - page_bits).unwrap_or(0);
    for _ in 0..count {
        let mut gap = 0_u64;
        while bit()? == 1 {
            gap += 1;
        }
        gap = gap.checked_shl(low_bits).ok_or_else(damaged)?;
        for place in 0..low_bits {
            gap |= bit()? << place;
        }
        entry = entry.checked_add(gap).ok_or_else(damaged)?;
        let hash = entry >> form.batch_bits;
        if hash == wanted {
            batches.push((entry & ((1 << form.batch_bits) - 1)) as u32);
        } else if hash > wanted {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(names: u64, batches: u64) -> (Vec<u8>, Vec<Page>) {
        let mut builder = Builder::new(1);
        for name in 0..names {
            let batch = name * batches / names;
            builder.push(hash(format!("read:{name}").as_bytes()), batch).unwrap();
        }
        builder.finish(batches).unwrap()
    }

    fn look(object: &[u8], pages: &[Page], name: &str) -> Vec<u32> {
        let hash = hash(name.as_bytes());
        let number = page_of(hash, pages.len());
        let start: usize = pages[..number].iter().map(|page| page.size as usize).sum();
        let page = &object[start..start + pages[number].size as usize];
        assert_eq!(crc32c::crc32c(page), pages[number].crc);
        let mut found = Vec::new();
        find(page, pages.len(), hash, &mut found).unwrap();
        found
    }

    #[test]
    fn test_every_name_leads_to_its_batch_and_few_others() {
        for (names, batches) in [(1, 1), (10, 2), (3000, 7), (100_000, 20), (100_000, 100_000)] {
            let (object, pages) = build(names, batches);
            let mut others = 0;
            for name in (0..names).step_by(1 + names as usize / 500) {
                let found = look(&object, &pages, &format!("read:{name}/2"));
                assert!(found.contains(&((name * batches / names) as u32)), "{name}");
                others += found.len() - 1;
            }
            assert!(others <= 70, "{others} others of {names}");
            let absent = (0..500).filter(|n| !look(&object, &pages, &format!("x{n}")).is_empty());
            assert!(absent.count() < 70);
        }
    }

    #[test]
    fn test_entries_cost_about_as_many_bits_as_they_must() {
        let (object, pages) = build(100_000, 20);
        // Four spare bits, five for the batch, one and a half for gaps, and up to one for rounding.
        assert!(object.len() * 8 < 100_000 * 12, "{} bytes", object.len());
        assert_eq!(pages.len(), 4);
        let entries: u64 = pages.iter().map(|page| page.rows).sum();
        assert!((99_000..=100_000).contains(&entries), "{entries}");
    }

    #[test]
    fn test_names_that_repeat_lead_to_all_their_batches() {
        let mut builder = Builder::new(1);
        for batch in [3, 1, 2, 1] {
            builder.push(hash(b"same"), batch).unwrap();
        }
        let (object, pages) = builder.finish(4).unwrap();
        assert_eq!(look(&object, &pages, "same"), [1, 2, 3]);
        assert!(Builder::new(1).push(0, 1 << 24).is_err());
        let (object, pages) = Builder::new(1).finish(0).unwrap();
        assert!(look(&object, &pages, "any").is_empty());
    }

    #[test]
    fn test_damaged_pages_never_panic() {
        let (object, _) = build(2000, 9);
        for at in 0..object.len().min(200) {
            for bit in 0..8 {
                let mut page = object.clone();
                page[at] ^= 1 << bit;
                let _ = find(&page, 1, u64::MAX / 3, &mut Vec::new());
                let _ = find(&page[..at], 1, u64::MAX / 3, &mut Vec::new());
            }
        }
    }
}
