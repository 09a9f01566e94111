//! The spatial index: for every chunk in order, its name, checksum and directory.
//!
//! It is cut into pages, and the manifest lists them, so that a query fetches the manifest and the
//! pages of its region and then knows every byte range it wants. Where all pages together are small,
//! the manifest holds them itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::directory::{self, BlockEntry};
use super::place::{Extent, Place};
use crate::codec::varint;
use crate::codec::{self, cursor::Cursor};
use crate::error::{Error, Result};

/// A page ends once it has this many bytes before compression.
const PAGE_BYTES: usize = 96 << 10;
/// Indexes up to this size as coded are kept in the manifest.
const INLINE_BYTES: usize = 24 << 10;
/// No page is larger than this before compression.
const MAX_PAGE_BYTES: usize = 256 << 20;

/// A chunk as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Its key in the dataset.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the object.
    pub checksum: [u8; 32],
    /// Its blocks, with offsets in the object.
    pub blocks: Vec<BlockEntry>,
}

impl ChunkRef {
    /// What the chunk covers, far reads and all.
    pub fn extent(&self) -> Option<Extent> {
        self.blocks.iter().map(BlockEntry::full_extent).reduce(|all, next| all.joined(&next))
    }
}

/// One page: what it covers, and where it lies in the index object or the inline bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PageNumbers", try_from = "PageNumbers")]
pub struct Page {
    /// What its chunks cover.
    pub extent: Extent,
    /// First byte.
    pub offset: u64,
    /// Bytes as coded.
    pub size: u32,
    /// Bytes before compression.
    pub raw_size: u32,
    /// CRC-32C of the coded bytes.
    pub crc32c: u32,
    /// How many chunks it lists.
    pub chunks: u32,
    /// How many blocks they have.
    pub blocks: u32,
}

/// A page in JSON: first contig and position, last contig and position, reach, then the rest.
type PageNumbers = (i32, i32, i32, i32, u64, u64, u32, u32, u32, u32, u32);

impl From<Page> for PageNumbers {
    fn from(page: Page) -> Self {
        let Extent { first, last, reach } = page.extent;
        (
            first.ref_id(),
            first.position(),
            last.ref_id(),
            last.position(),
            reach,
            page.offset,
            page.size,
            page.raw_size,
            page.crc32c,
            page.chunks,
            page.blocks,
        )
    }
}

impl TryFrom<PageNumbers> for Page {
    type Error = String;

    fn try_from(n: PageNumbers) -> Result<Self, String> {
        let extent = Extent { first: Place::new(n.0, n.1), last: Place::new(n.2, n.3), reach: n.4 };
        if extent.last < extent.first || n.7 as usize > MAX_PAGE_BYTES {
            return Err("an index page contradicts itself".into());
        }
        let (offset, size, raw_size) = (n.5, n.6, n.7);
        Ok(Self { extent, offset, size, raw_size, crc32c: n.8, chunks: n.9, blocks: n.10 })
    }
}

/// The index as the manifest has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The object with the pages; absent where they are inline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// The pages themselves, in base64, where they are small.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inline: Option<String>,
    /// The pages in order of what they cover.
    pub pages: Vec<Page>,
}

impl Root {
    /// The inline bytes, if the pages are inline.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they are no base64.
    pub fn inline_bytes(&self) -> Result<Option<Vec<u8>>> {
        let decode =
            |text| BASE64.decode(text).map_err(|e| Error::corrupt("inline index").caused_by(e));
        self.inline.as_ref().map(decode).transpose()
    }

    /// How many chunks the whole dataset has.
    pub fn chunks(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.chunks)).sum()
    }

    /// How many blocks the whole dataset has.
    pub fn blocks(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.blocks)).sum()
    }
}

/// Builds the index while chunks are written in order.
#[derive(Debug, Default)]
pub struct Builder {
    pages: Vec<Page>,
    coded: Vec<u8>,
    raw: Vec<u8>,
    extent: Option<Extent>,
    chunks: u32,
    blocks: u32,
}

impl Builder {
    /// Adds the next chunk.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn push(&mut self, chunk: &ChunkRef) -> Result<()> {
        let Some(extent) = chunk.extent() else { return Ok(()) };
        let mut entries = Vec::new();
        directory::encode(&chunk.blocks, &mut entries);
        varint::put(&mut self.raw, chunk.path.len() as u64);
        self.raw.extend_from_slice(chunk.path.as_bytes());
        varint::put(&mut self.raw, chunk.size);
        self.raw.extend_from_slice(&chunk.checksum);
        let data_start = chunk
            .blocks
            .iter()
            .flat_map(|block| &block.streams)
            .next()
            .map_or(chunk.size, |stream| stream.offset);
        varint::put(&mut self.raw, data_start);
        varint::put(&mut self.raw, entries.len() as u64);
        self.raw.extend_from_slice(&entries);
        self.extent = Some(self.extent.map_or(extent, |all| all.joined(&extent)));
        self.chunks += 1;
        self.blocks += chunk.blocks.len() as u32;
        if self.raw.len() >= PAGE_BYTES {
            self.close_page()?;
        }
        Ok(())
    }

    fn close_page(&mut self) -> Result<()> {
        let Some(extent) = self.extent.take() else { return Ok(()) };
        let raw = std::mem::take(&mut self.raw);
        let coded = zstd::bulk::compress(&raw, 9)
            .map_err(|error| Error::internal("compressing an index page").caused_by(error))?;
        let too_large = |_| Error::unsupported("an index page is larger than 4 GiB");
        self.pages.push(Page {
            extent,
            offset: self.coded.len() as u64,
            size: u32::try_from(coded.len()).map_err(too_large)?,
            raw_size: u32::try_from(raw.len()).map_err(too_large)?,
            crc32c: crc32c::crc32c(&coded),
            chunks: std::mem::take(&mut self.chunks),
            blocks: std::mem::take(&mut self.blocks),
        });
        self.coded.extend_from_slice(&coded);
        Ok(())
    }

    /// The root, and the bytes of the index object unless the root holds them; the caller gives the
    /// root that object's path.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn finish(mut self) -> Result<(Root, Option<Vec<u8>>)> {
        self.close_page()?;
        let mut root = Root { path: None, inline: None, pages: self.pages };
        if self.coded.len() <= INLINE_BYTES {
            root.inline = Some(BASE64.encode(&self.coded));
            return Ok((root, None));
        }
        Ok((root, Some(self.coded)))
    }
}

/// Reads the chunks of a page from its coded bytes.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where the bytes do not match their check.
pub fn decode_page(page: &Page, coded: &[u8]) -> Result<Vec<ChunkRef>> {
    if crc32c::crc32c(coded) != page.crc32c {
        return Err(Error::corrupt("an index page does not match its check")
            .help("restore the object from a copy")
            .at(format!(
                "bytes {}-{}",
                page.offset,
                page.offset.saturating_add(page.size.into())
            )));
    }
    codec::check_expansion(coded.len(), page.raw_size as usize)?;
    let raw = zstd::bulk::decompress(coded, page.raw_size as usize)
        .map_err(|error| Error::corrupt("decompressing an index page").caused_by(error))?;
    let chunks = parse_page(&raw)?;
    if chunks.len() != page.chunks as usize {
        return Err(Error::corrupt("an index page lists other chunks than the manifest says"));
    }
    Ok(chunks)
}

/// Reads the chunks of a page.
pub(super) fn parse_page(raw: &[u8]) -> Result<Vec<ChunkRef>> {
    let mut cursor = Cursor::new(raw, "index page");
    let mut chunks = Vec::new();
    while !cursor.is_done() {
        let path_len = cursor.number()?;
        let path = std::str::from_utf8(cursor.take(path_len)?)
            .map_err(|_| Error::corrupt("a path in the index is not UTF-8"))?
            .to_owned();
        crate::store::validate_key(&path)?;
        let size = cursor.varint()?;
        let mut checksum = [0; 32];
        checksum.copy_from_slice(cursor.take(32)?);
        let data_start = cursor.varint()?;
        let entries_len = cursor.number()?;
        let blocks = directory::decode(cursor.take(entries_len)?, data_start)?;
        chunks.push(ChunkRef { path, size, checksum, blocks });
    }
    Ok(chunks)
}
