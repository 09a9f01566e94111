//! The index: where the row groups of each part lie, what they cover, and their values' ranges.
//!
//! Three objects have one page per part, and the manifest lists the pages: *spatial* (rows,
//! positions, reach of each row group), *quality* (ranges of QUAL, FILTER and DP), *layout* (names,
//! Parquet metadata, checksums of every byte range). A query fetches the pages of the parts that
//! its regions overlap, all at once, and then knows each byte range it wants. `sample` tells the
//! block and bit, or the columns, of each sample.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::codec::cursor::Cursor;
use crate::codec::{self, Codec, Effort, varint};
use crate::error::{Error, Result};

/// Names of the index objects, in the order of a part's pages.
pub const KINDS: [&str; 3] = ["spatial", "quality", "layout"];
/// The place of each among a part's pages.
pub(super) const SPATIAL: usize = 0;
pub(super) const QUALITY: usize = 1;
pub(super) const LAYOUT: usize = 2;

/// No page is longer than this before compression.
const MAX_PAGE: usize = 1 << 30;

/// The bytes of a page in its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRef {
    /// First byte.
    pub offset: u64,
    /// Bytes as coded.
    pub size: u32,
    /// CRC-32C of them.
    pub crc32c: u32,
}

/// A part: rows of one contig, in one file of sites and a file per block of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The contig, among those of the manifest.
    pub contig: u32,
    /// Rows.
    pub rows: u64,
    /// Row groups.
    pub groups: u32,
    /// The first position, from 1.
    pub first: i64,
    /// The last position.
    pub last: i64,
    /// The last base that any row reaches.
    pub reach: i64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Its pages, in the order of [`KINDS`].
    pub pages: [PageRef; 3],
}

/// The parts, as the manifest has them: coded and in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// How many parts.
    pub parts: u64,
    /// Row groups of all.
    pub row_groups: u64,
    /// Bytes before compression.
    raw_size: u64,
    codec: u8,
    data: String,
}

impl Directory {
    /// Of parts in their order.
    pub fn new(parts: &[Part]) -> Self {
        let mut raw = Vec::new();
        for part in parts {
            for number in [u64::from(part.contig), part.rows, u64::from(part.groups), part.bytes] {
                varint::put(&mut raw, number);
            }
            for number in [part.first, part.last - part.first, part.reach - part.last] {
                varint::put_signed(&mut raw, number);
            }
            for page in &part.pages {
                varint::put(&mut raw, page.offset);
                varint::put(&mut raw, u64::from(page.size));
                raw.extend_from_slice(&page.crc32c.to_le_bytes());
            }
        }
        let coded = codec::encode(&raw, Effort::Fast);
        Self {
            parts: parts.len() as u64,
            row_groups: parts.iter().map(|part| u64::from(part.groups)).sum(),
            raw_size: raw.len() as u64,
            codec: coded.codec as u8,
            data: STANDARD.encode(&coded.bytes),
        }
    }

    /// The parts.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they are not as written.
    pub fn read(&self) -> Result<Vec<Part>> {
        let coded = STANDARD
            .decode(&self.data)
            .map_err(|error| Error::corrupt("the index in the manifest").caused_by(error))?;
        let size = usize::try_from(self.raw_size).ok().filter(|&size| size <= MAX_PAGE);
        let size = size.ok_or_else(|| Error::corrupt("the index is longer than any real one"))?;
        let raw = codec::decode(Codec::from_u8(self.codec)?, &coded, size)?;
        let mut cursor = Cursor::new(&raw, "parts");
        let mut parts = Vec::new();
        while !cursor.is_done() {
            let (contig, rows, groups) = (cursor.number()?, cursor.number()?, cursor.number()?);
            let bytes = cursor.number()?;
            let first: i64 = cursor.signed()?;
            let last = first.saturating_add(cursor.signed()?);
            let reach = last.saturating_add(cursor.signed()?);
            let mut pages = [PageRef::default(); 3];
            for page in &mut pages {
                *page = PageRef {
                    offset: cursor.number()?,
                    size: cursor.number()?,
                    crc32c: u32_of(&mut cursor)?,
                };
            }
            parts.push(Part { contig, rows, groups, first, last, reach, bytes, pages });
        }
        Ok(parts)
    }
}

fn u32_of(cursor: &mut Cursor<'_>) -> Result<u32> {
    let bytes = cursor.take(4)?;
    Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// What a row group covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spatial {
    /// Rows.
    pub rows: u32,
    /// The first position, from 1.
    pub first: i64,
    /// The last position.
    pub last: i64,
    /// The last base that any row reaches.
    pub reach: i64,
}

/// Ranges of a row group's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// Least and greatest QUAL, where any row has one.
    pub qual: Option<(f64, f64)>,
    /// Rows without QUAL.
    pub qual_missing: u32,
    /// Least and greatest INFO/DP, where it is one integer and any row has it.
    pub dp: Option<(i64, i64)>,
    /// Rows without DP.
    pub dp_missing: u32,
    /// The texts of FILTER, unless they are many.
    pub filters: Option<Vec<String>>,
}

/// Most texts of FILTER that the index lists for a row group.
pub(super) const MOST_FILTERS: usize = 32;

/// Where a part's bytes lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The file of sites, then those of blocks of samples.
    pub files: Vec<FileLayout>,
    /// The object of residuals.
    pub exact: String,
    /// For each row group, its sections of that object: of sites, then of blocks.
    pub sections: Vec<Vec<PageRef>>,
    /// For each row group, BLAKE3 of its lines, each with its line feed.
    pub digests: Vec<[u8; 32]>,
}

/// A Parquet file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLayout {
    /// Its key.
    pub path: String,
    /// Its metadata.
    pub footer: Vec<u8>,
    /// CRC-32C of each leaf column of each row group.
    pub checksums: Vec<Vec<u32>>,
}

/// Codes a page: codec, length, bytes.
fn encode_page(raw: &[u8]) -> Vec<u8> {
    let coded = codec::encode(raw, Effort::Fast);
    let mut out = vec![coded.codec as u8];
    varint::put(&mut out, raw.len() as u64);
    out.extend_from_slice(&coded.bytes);
    out
}

/// The bytes of a page, after checking them.
fn decode_page(page: &PageRef, coded: &[u8]) -> Result<Vec<u8>> {
    check(page, coded)?;
    let mut cursor = Cursor::new(coded, "index page");
    let codec = Codec::from_u8(cursor.byte()?)?;
    let size: usize = cursor.number()?;
    if size > MAX_PAGE {
        return Err(Error::corrupt("an index page is longer than any real one"));
    }
    let left = cursor.left();
    codec::decode(codec, cursor.take(left)?, size)
}

/// Checks bytes that were fetched.
pub(super) fn check(expected: &PageRef, bytes: &[u8]) -> Result<()> {
    let found = crc32c::crc32c(bytes);
    if bytes.len() as u64 == u64::from(expected.size) && found == expected.crc32c {
        return Ok(());
    }
    Err(Error::corrupt("bytes of the object are damaged")
        .expected(format!("CRC-32C {:08x} of {} bytes", expected.crc32c, expected.size))
        .found(format!("{found:08x} of {}", bytes.len()))
        .help("restore the object from a copy of the dataset"))
}

/// Codes the spatial page of a part.
pub(super) fn encode_spatial(groups: &[Spatial]) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut last = 0;
    for group in groups {
        varint::put(&mut raw, u64::from(group.rows));
        for number in [group.first - last, group.last - group.first, group.reach - group.last] {
            varint::put_signed(&mut raw, number);
        }
        last = group.last;
    }
    encode_page(&raw)
}

/// Reads a spatial page.
pub(super) fn decode_spatial(page: &PageRef, coded: &[u8]) -> Result<Vec<Spatial>> {
    let raw = decode_page(page, coded)?;
    let mut cursor = Cursor::new(&raw, "spatial index");
    let mut groups = Vec::new();
    let mut before = 0_i64;
    while !cursor.is_done() {
        let rows = cursor.number()?;
        let first = before.saturating_add(cursor.signed()?);
        let last = first.saturating_add(cursor.signed()?);
        let reach = last.saturating_add(cursor.signed()?);
        groups.push(Spatial { rows, first, last, reach });
        before = last;
    }
    Ok(groups)
}

/// Codes the quality page of a part.
pub(super) fn encode_quality(groups: &[Quality]) -> Vec<u8> {
    let mut raw = Vec::new();
    for group in groups {
        let flags = u8::from(group.qual.is_some())
            | u8::from(group.dp.is_some()) << 1
            | u8::from(group.filters.is_some()) << 2;
        raw.push(flags);
        varint::put(&mut raw, u64::from(group.qual_missing));
        varint::put(&mut raw, u64::from(group.dp_missing));
        if let Some((least, greatest)) = group.qual {
            raw.extend_from_slice(&least.to_le_bytes());
            raw.extend_from_slice(&greatest.to_le_bytes());
        }
        if let Some((least, greatest)) = group.dp {
            varint::put_signed(&mut raw, least);
            varint::put_signed(&mut raw, greatest);
        }
        if let Some(filters) = &group.filters {
            varint::put(&mut raw, filters.len() as u64);
            for text in filters {
                varint::put(&mut raw, text.len() as u64);
                raw.extend_from_slice(text.as_bytes());
            }
        }
    }
    encode_page(&raw)
}

/// Reads a quality page.
pub(super) fn decode_quality(page: &PageRef, coded: &[u8]) -> Result<Vec<Quality>> {
    let raw = decode_page(page, coded)?;
    let mut cursor = Cursor::new(&raw, "quality index");
    let mut groups = Vec::new();
    while !cursor.is_done() {
        let flags = cursor.byte()?;
        let mut group = Quality {
            qual_missing: cursor.number()?,
            dp_missing: cursor.number()?,
            ..Quality::default()
        };
        if flags & 1 != 0 {
            group.qual = Some((f64_of(&mut cursor)?, f64_of(&mut cursor)?));
        }
        if flags & 2 != 0 {
            group.dp = Some((cursor.signed()?, cursor.signed()?));
        }
        if flags & 4 != 0 {
            let count: usize = cursor.number()?;
            let mut filters = Vec::new();
            for _ in 0..count {
                filters.push(text_of(&mut cursor)?);
            }
            group.filters = Some(filters);
        }
        groups.push(group);
    }
    Ok(groups)
}

fn f64_of(cursor: &mut Cursor<'_>) -> Result<f64> {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(cursor.take(8)?);
    Ok(f64::from_le_bytes(bytes))
}

fn text_of(cursor: &mut Cursor<'_>) -> Result<String> {
    let length: usize = cursor.number()?;
    let text = std::str::from_utf8(cursor.take(length)?)
        .map_err(|error| Error::corrupt("a text of the index").caused_by(error))?;
    Ok(text.to_owned())
}

/// Codes the layout page of a part.
pub(super) fn encode_layout(layout: &Layout) -> Vec<u8> {
    let mut raw = Vec::new();
    let put_bytes = |raw: &mut Vec<u8>, bytes: &[u8]| {
        varint::put(raw, bytes.len() as u64);
        raw.extend_from_slice(bytes);
    };
    varint::put(&mut raw, layout.files.len() as u64);
    for file in &layout.files {
        put_bytes(&mut raw, file.path.as_bytes());
        put_bytes(&mut raw, &file.footer);
        varint::put(&mut raw, file.checksums.len() as u64);
        for sums in &file.checksums {
            varint::put(&mut raw, sums.len() as u64);
            sums.iter().for_each(|sum| raw.extend_from_slice(&sum.to_le_bytes()));
        }
    }
    put_bytes(&mut raw, layout.exact.as_bytes());
    varint::put(&mut raw, layout.sections.len() as u64);
    for (sections, digest) in layout.sections.iter().zip(&layout.digests) {
        varint::put(&mut raw, sections.len() as u64);
        for section in sections {
            varint::put(&mut raw, section.offset);
            varint::put(&mut raw, u64::from(section.size));
            raw.extend_from_slice(&section.crc32c.to_le_bytes());
        }
        raw.extend_from_slice(digest);
    }
    encode_page(&raw)
}

/// Reads a layout page.
pub(super) fn decode_layout(page: &PageRef, coded: &[u8]) -> Result<Layout> {
    let raw = decode_page(page, coded)?;
    let mut cursor = Cursor::new(&raw, "layout index");
    let mut layout = Layout::default();
    let files: usize = cursor.number()?;
    for _ in 0..files {
        let path = text_of(&mut cursor)?;
        crate::store::validate_key(&path)?;
        let length: usize = cursor.number()?;
        let footer = cursor.take(length)?.to_vec();
        let groups: usize = cursor.number()?;
        let mut checksums = Vec::new();
        for _ in 0..groups {
            let count: usize = cursor.number()?;
            let sums: Result<Vec<u32>> = (0..count).map(|_| u32_of(&mut cursor)).collect();
            checksums.push(sums?);
        }
        layout.files.push(FileLayout { path, footer, checksums });
    }
    layout.exact = text_of(&mut cursor)?;
    crate::store::validate_key(&layout.exact)?;
    let groups: usize = cursor.number()?;
    for _ in 0..groups {
        let count: usize = cursor.number()?;
        let mut sections = Vec::new();
        for _ in 0..count {
            sections.push(PageRef {
                offset: cursor.number()?,
                size: cursor.number()?,
                crc32c: u32_of(&mut cursor)?,
            });
        }
        layout.sections.push(sections);
        let mut digest = [0; 32];
        digest.copy_from_slice(cursor.take(32)?);
        layout.digests.push(digest);
    }
    cursor.finish()?;
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(coded: &[u8]) -> PageRef {
        PageRef { offset: 0, size: coded.len() as u32, crc32c: crc32c::crc32c(coded) }
    }

    #[test]
    fn test_pages_are_read_as_written() {
        let spatial = vec![
            Spatial { rows: 5, first: 10, last: 20, reach: 4_000_000_000 },
            Spatial { rows: 1, first: 20, last: 20, reach: 20 },
        ];
        let coded = encode_spatial(&spatial);
        assert_eq!(decode_spatial(&page_of(&coded), &coded).unwrap(), spatial);
        let quality = vec![
            Quality {
                qual: Some((0.5, 99.0)),
                dp: Some((-1, 7)),
                dp_missing: 3,
                filters: Some(vec!["PASS".into(), "q10;s50".into()]),
                ..Quality::default()
            },
            Quality { qual_missing: 9, ..Quality::default() },
        ];
        let coded = encode_quality(&quality);
        assert_eq!(decode_quality(&page_of(&coded), &coded).unwrap(), quality);
        let file = |path: &str| FileLayout {
            path: path.into(),
            footer: vec![1, 2, 3],
            checksums: vec![vec![7, 8], vec![9, u32::MAX]],
        };
        let layout = Layout {
            files: vec![file("data/a.parquet"), file("_calls/a.parquet")],
            exact: "_exact/a.bin".into(),
            sections: vec![vec![PageRef { offset: 1, size: 2, crc32c: 3 }], Vec::new()],
            digests: vec![[1; 32], [2; 32]],
        };
        let coded = encode_layout(&layout);
        assert_eq!(decode_layout(&page_of(&coded), &coded).unwrap(), layout);
        for at in 0..coded.len() {
            let mut bad = coded.clone();
            bad[at] ^= 1;
            assert!(decode_layout(&page_of(&coded), &bad).is_err());
        }
        let parts =
            vec![Part { contig: 3, rows: 9, first: 5, last: 7, reach: 6, ..Part::default() }];
        assert_eq!(Directory::new(&parts).read().unwrap(), parts);
    }
}
