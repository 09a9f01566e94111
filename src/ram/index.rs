//! Where batches lie: pages of the index, and which page is about which region.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::grid::Place;
use crate::codec::varint;
use crate::error::{Error, Result};

/// Most regions of a layer, batches and files of a region, samples of a batch.
const MOST: usize = 1 << 24;

/// The contig of the region of reads without a place.
pub(super) const UNPLACED: u32 = u32::MAX;
/// That region.
pub(super) const UNPLACED_REGION: Place = Place { contig: UNPLACED, ordinal: 0, contigs: 1 };

/// What a region holds: a page each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Alignments.
    Alignments,
    /// Coverage.
    Coverage,
    /// Candidate variants.
    Sites,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Alignments, Self::Coverage, Self::Sites];

    /// The stem of the names of its files.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Self::Alignments => "alignments",
            Self::Coverage => "coverage",
            Self::Sites => "variants",
        }
    }
}

/// A page of the index object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) crc: u32,
}

/// A region with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegionRef {
    pub(super) place: Place,
    /// One for each [`Kind`]; of size 0 where there is nothing.
    pub(super) pages: [Page; 3],
}

/// The regions of a layer in order; in JSON as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions(pub(super) Vec<RegionRef>);

impl Regions {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, self.0.len() as u64);
        for region in &self.0 {
            varint::put(&mut bytes, region.place.contig.into());
            varint::put(&mut bytes, region.place.ordinal.into());
            varint::put(&mut bytes, region.place.contigs.into());
            for page in &region.pages {
                varint::put(&mut bytes, page.size.into());
                if page.size > 0 {
                    bytes.extend_from_slice(&page.crc.to_le_bytes());
                }
            }
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let rest = &mut &*bytes;
        let count = varint::take_len(rest, MOST)?;
        let mut regions = Vec::new();
        let mut offset = 0_u64;
        for _ in 0..count {
            let (contig, ordinal, contigs) = (take_u32(rest)?, take_u32(rest)?, take_u32(rest)?);
            if contigs == 0 || contig.checked_add(contigs - 1).is_none() {
                return Err(damaged());
            }
            let mut pages = [Page::default(); 3];
            for page in &mut pages {
                let size = take_u32(rest)?;
                let crc = if size > 0 { take_crc(rest)? } else { 0 };
                *page = Page { offset, size, crc };
                offset = offset.checked_add(size.into()).ok_or_else(damaged)?;
            }
            regions.push(RegionRef { place: Place { contig, ordinal, contigs }, pages });
        }
        let is_sorted = regions.is_sorted_by_key(|region: &RegionRef| region.place);
        if rest.is_empty() && is_sorted { Ok(Self(regions)) } else { Err(damaged()) }
    }
}

impl Serialize for Regions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Regions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(|_| de::Error::custom("no base64"))?;
        Self::parse(&bytes).map_err(de::Error::custom)
    }
}

/// One batch of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchRef {
    /// The file, of those of the region.
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) size: u32,
    /// Bytes of the head of its message.
    pub(super) head: u32,
    pub(super) crc: u32,
    /// Where its first row starts, and one past where any reaches; 0-based, and as the region counts
    /// where contigs share it.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The first sample, and how many rows it and those after it have.
    pub(super) first_sample: u32,
    pub(super) counts: Vec<u32>,
}

impl BatchRef {
    pub(super) fn rows(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }
}

/// The files of a region of one kind, and their batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) files: Vec<String>,
    pub(super) batches: Vec<BatchRef>,
}

impl Table {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, self.files.len() as u64);
        for file in &self.files {
            varint::put(&mut out, file.len() as u64);
            out.extend_from_slice(file.as_bytes());
        }
        varint::put(&mut out, self.batches.len() as u64);
        for batch in &self.batches {
            varint::put(&mut out, batch.file.into());
            varint::put(&mut out, batch.offset);
            varint::put(&mut out, batch.size.into());
            varint::put(&mut out, batch.head.into());
            out.extend_from_slice(&batch.crc.to_le_bytes());
            varint::put(&mut out, batch.start);
            varint::put(&mut out, batch.end.saturating_sub(batch.start));
            varint::put(&mut out, batch.first_sample.into());
            varint::put(&mut out, batch.counts.len() as u64);
            batch.counts.iter().for_each(|&count| varint::put(&mut out, count.into()));
        }
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let rest = &mut &*bytes;
        let mut table = Self::default();
        for _ in 0..varint::take_len(rest, MOST)? {
            let length = varint::take_len(rest, 4096)?;
            let (path, tail) = rest.split_at_checked(length).ok_or_else(damaged)?;
            let path = String::from_utf8(path.to_vec()).map_err(|_| damaged())?;
            crate::store::validate_key(&path)?;
            table.files.push(path);
            *rest = tail;
        }
        for _ in 0..varint::take_len(rest, MOST)? {
            let file = take_u32(rest)?;
            let offset = varint::take(rest)?;
            let (size, head, crc) = (take_u32(rest)?, take_u32(rest)?, take_crc(rest)?);
            let start = varint::take(rest)?;
            let end = start.checked_add(varint::take(rest)?).ok_or_else(damaged)?;
            let first_sample = take_u32(rest)?;
            let samples = varint::take_len(rest, MOST)?;
            let counts = (0..samples).map(|_| take_u32(rest)).collect::<Result<Vec<_>>>()?;
            if file as usize >= table.files.len() || offset.checked_add(size.into()).is_none() {
                return Err(damaged());
            }
            let batch =
                BatchRef { file, offset, size, head, crc, start, end, first_sample, counts };
            table.batches.push(batch);
        }
        if rest.is_empty() { Ok(table) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::corrupt("a page of the index of regions is damaged")
}

fn take_u32(rest: &mut &[u8]) -> Result<u32> {
    u32::try_from(varint::take(rest)?).map_err(|_| damaged())
}

fn take_crc(rest: &mut &[u8]) -> Result<u32> {
    let (crc, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    *rest = tail;
    Ok(u32::from_le_bytes(*crc))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch() -> impl Strategy<Value = BatchRef> {
        let place = (0..2_u32, 0..1_u64 << 40, any::<u32>(), any::<u32>(), any::<u32>());
        let extent = (0..1_u64 << 33, 0..1_u64 << 30, any::<u32>());
        (place, extent, prop::collection::vec(any::<u32>(), 0..5)).prop_map(
            |((file, offset, size, head, crc), (start, length, first_sample), counts)| {
                let end = start + length;
                BatchRef { file, offset, size, head, crc, start, end, first_sample, counts }
            },
        )
    }

    proptest! {
        #[test]
        fn test_table_reads_back_and_refuses_a_part(batches in prop::collection::vec(batch(), 0..5)) {
            let table = Table { files: vec!["a/b".into(), "c".into()], batches };
            let bytes = table.to_bytes();
            prop_assert_eq!(Table::parse(&bytes).unwrap(), table);
            for end in 0..bytes.len() {
                prop_assert!(Table::parse(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn test_table_does_not_panic_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Table::parse(&bytes);
            let _ = Regions::parse(&bytes);
        }
    }

    #[test]
    fn test_regions_read_back_with_offsets() {
        let page = |offset, size| Page { offset, size, crc: if size > 0 { 7 } else { 0 } };
        let region = |contig, ordinal, offset| RegionRef {
            place: Place { contig, ordinal, contigs: 1 + ordinal },
            pages: [page(offset, 5), page(offset + 5, 0), page(offset + 5, 3)],
        };
        let regions = Regions(vec![region(0, 1, 0), region(2, 0, 8), region(UNPLACED, 0, 16)]);
        assert_eq!(Regions::parse(&regions.to_bytes()).unwrap(), regions);
    }
}
