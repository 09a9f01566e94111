//! Containers and blocks (CRAM specification §7 and §8), with their checksums.

use std::borrow::Cow;
use std::io::Read;

use flate2::Crc;
use flate2::read::MultiGzDecoder;
use noodles_cram as cram;

use super::bytes::{Bytes, Numbers, push_itf8, push_ltf8};
use super::rans;
use crate::error::{Error, Result};
use crate::guard::guard;

/// No container or decompressed block is longer than this; htslib's defaults stay below a tenth.
pub(super) const MAX_BLOCK_BYTES: usize = 1 << 30;

/// The container that ends every complete file (§9).
pub(super) const EOF_CONTAINER: [u8; 38] = [
    0x0f, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xe0, 0x45, 0x4f, 0x46, 0, 0, 0, 0, 0x01, 0, 0x05,
    0xbd, 0xd9, 0x4f, 0, 0x01, 0, 0x06, 0x06, 0x01, 0, 0x01, 0, 0x01, 0, 0xee, 0x63, 0x01, 0x4b,
];

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    FileHeader = 0,
    CompressionHeader = 1,
    SliceHeader = 2,
    External = 4,
    Core = 5,
}

/// How a block is compressed, as far as this module tells methods apart.
pub(super) const RAW: u8 = 0;
pub(super) const GZIP: u8 = 1;
pub(super) const RANS_4X8: u8 = 4;
const RANS_NX16: u8 = 5;
const ARITHMETIC: u8 = 6;
const FQZCOMP: u8 = 7;
const NAME_TOKENIZER: u8 = 8;

/// A block as it lies in its container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) method: u8,
    pub(super) content: u8,
    pub(super) id: i32,
    raw_len: usize,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    /// Cuts the first block off `bytes` and checks its checksum.
    pub(super) fn read(bytes: &mut Bytes<'a>) -> Result<Self> {
        let whole = bytes.0;
        let method = bytes.u8()?;
        let content = bytes.u8()?;
        let id = bytes.itf8()?;
        let len = bytes.length()?;
        let raw_len = bytes.length()?;
        let data = bytes.take(len)?;
        let covered = &whole[..whole.len() - bytes.0.len()];
        check_crc("a block", crc32(covered), bytes.u32_le()?)?;
        if raw_len > MAX_BLOCK_BYTES {
            return Err(too_long("a block", raw_len));
        }
        Ok(Self { method, content, id, raw_len, data })
    }

    /// As [`read`](Self::read), for content that is known beforehand.
    pub(super) fn read_as(bytes: &mut Bytes<'a>, content: Content) -> Result<Self> {
        let block = Self::read(bytes)?;
        if block.content == content as u8 {
            return Ok(block);
        }
        Err(Error::input("a block is of an unexpected kind")
            .expected(format!("{content:?} ({})", content as u8))
            .found(block.content)
            .help("the file is damaged; make it again"))
    }

    /// The decompressed data.
    pub(super) fn decode(&self) -> Result<Cow<'a, [u8]>> {
        if self.raw_len == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        let decoded = match self.method {
            RAW => Cow::Borrowed(self.data),
            GZIP => Cow::Owned(gunzip(self.data, self.raw_len)?),
            RANS_4X8 => Cow::Owned(rans::decode(self.data, self.raw_len)?),
            method if method <= NAME_TOKENIZER => Cow::Owned(self.decode_by_noodles()?),
            method => {
                return Err(Error::unsupported(format!(
                    "compression method {method} is not known"
                ))
                .help("convert the file with `samtools view -O cram,version=3.1`"));
            }
        };
        if decoded.len() == self.raw_len {
            return Ok(decoded);
        }
        Err(damaged(self.method)
            .expected(format!("{} bytes", self.raw_len))
            .found(format!("{} bytes", decoded.len())))
    }

    /// Decompresses by the codecs of noodles-cram. They can only be reached through a container, so
    /// one is made around this block.
    fn decode_by_noodles(&self) -> Result<Vec<u8>> {
        // They soon allocate more than there is, which ends a fuzzer.
        if cfg!(fuzzing) {
            return Err(damaged(self.method));
        }
        // Their memory goes by the size that the data declares itself.
        if let Some(declared) = self.declared_len().filter(|len| *len != self.raw_len) {
            return Err(damaged(self.method)
                .expected(format!("{} bytes", self.raw_len))
                .found(format!("{declared} bytes")));
        }
        let slice_header = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 2, 1, 0, 0];
        let slice_header = [&slice_header[..], &[0; 16]].concat();
        let mut body = Vec::with_capacity(self.data.len() + 64);
        push_block(&mut body, RAW, Content::SliceHeader, 0, slice_header.len(), &slice_header);
        push_block(&mut body, RAW, Content::Core, 0, 0, &[]);
        push_block(&mut body, self.method, Content::External, 0, self.raw_len, self.data);
        let header = ContainerHeader { blocks: 3, landmarks: vec![0], ..Default::default() };
        let mut container = Vec::new();
        header.push(&mut container, body.len());
        container.extend_from_slice(&body);
        // The checksum has shown the block to be as it was written, but whoever wrote it may have
        // meant harm, and those codecs trust what they read.
        guard(
            || damaged(self.method),
            || first_external(&container).map_err(|error| damaged(self.method).caused_by(error)),
        )
    }
}

impl Block<'_> {
    /// The decompressed size that compressed data begins with, if it does.
    fn declared_len(&self) -> Option<usize> {
        match self.method {
            NAME_TOKENIZER => Some(u32::from_le_bytes(*self.data.first_chunk()?) as usize),
            FQZCOMP => uint7(self.data),
            RANS_NX16 | ARITHMETIC => {
                let (flags, rest) = self.data.split_first()?;
                const NO_SIZE: u8 = 0x10;
                if flags & NO_SIZE == 0 { uint7(rest) } else { None }
            }
            _ => None,
        }
    }
}

/// A number in groups of seven bits, the highest first.
fn uint7(bytes: &[u8]) -> Option<usize> {
    let mut value = 0usize;
    for byte in bytes.iter().take(5) {
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn first_external(container: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut parsed = cram::io::reader::Container::default();
    cram::io::Reader::new(container).read_container(&mut parsed)?;
    let Some(slice) = parsed.slices().next() else { return Ok(Vec::new()) };
    let (_, mut externals) = slice?.decode_blocks()?;
    Ok(externals.pop().map(|(_, data)| data.into_owned()).unwrap_or_default())
}

fn gunzip(data: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let mut decoded = Vec::new();
    MultiGzDecoder::new(data)
        .take(raw_len as u64 + 1)
        .read_to_end(&mut decoded)
        .map_err(|error| damaged(GZIP).caused_by(error))?;
    Ok(decoded)
}

fn damaged(method: u8) -> Error {
    Error::input(format!("a block does not decompress (method {method})"))
        .help("the file is damaged; make it again")
}

fn too_long(what: &str, len: usize) -> Error {
    Error::input(format!("the length of {what} is absurd"))
        .expected(format!("at most {MAX_BLOCK_BYTES} bytes"))
        .found(format!("{len} bytes"))
        .help("the file is damaged; make it again")
}

/// Appends a block whose data is compressed already.
pub(super) fn push_block(
    out: &mut Vec<u8>,
    method: u8,
    content: Content,
    id: i32,
    raw_len: usize,
    data: &[u8],
) {
    let start = out.len();
    out.extend_from_slice(&[method, content as u8]);
    push_itf8(out, id);
    push_itf8(out, data.len() as i32);
    push_itf8(out, raw_len as i32);
    out.extend_from_slice(data);
    let crc = crc32(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The header of a container.
#[derive(Clone, Debug)]
pub(super) struct ContainerHeader {
    pub(super) ref_id: i32,
    pub(super) start: i32,
    pub(super) span: i32,
    pub(super) records: i32,
    pub(super) record_counter: u64,
    pub(super) bases: u64,
    pub(super) blocks: i32,
    /// Where the slices begin in the container's body.
    pub(super) landmarks: Vec<i32>,
}

impl Default for ContainerHeader {
    fn default() -> Self {
        Self {
            ref_id: -1,
            start: 0,
            span: 0,
            records: 0,
            record_counter: 0,
            bases: 0,
            blocks: 0,
            landmarks: Vec::new(),
        }
    }
}

impl ContainerHeader {
    /// Appends the header of a container whose body has `len` bytes.
    pub(super) fn push(&self, out: &mut Vec<u8>, len: usize) {
        let start = out.len();
        out.extend_from_slice(&(len as u32).to_le_bytes());
        for value in [self.ref_id, self.start, self.span, self.records] {
            push_itf8(out, value);
        }
        push_ltf8(out, self.record_counter);
        push_ltf8(out, self.bases);
        push_itf8(out, self.blocks);
        push_itf8(out, self.landmarks.len() as i32);
        for landmark in &self.landmarks {
            push_itf8(out, *landmark);
        }
        let crc = crc32(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Parses a header, from the length of the body to before the checksum; returns that length.
    pub(super) fn parse(bytes: &mut impl Numbers) -> Result<(Self, usize)> {
        let len = bytes.u32_le()? as usize;
        if len > MAX_BLOCK_BYTES {
            return Err(too_long("a container", len));
        }
        let header = Self {
            ref_id: bytes.itf8()?,
            start: bytes.itf8()?,
            span: bytes.itf8()?,
            records: bytes.itf8()?,
            record_counter: bytes.ltf8()? as u64,
            bases: bytes.ltf8()? as u64,
            blocks: bytes.itf8()?,
            landmarks: {
                let count = bytes.length()?;
                // A slice takes more than a byte.
                if count > len {
                    return Err(too_long("a container's list of slices", count));
                }
                (0..count).map(|_| bytes.itf8()).collect::<Result<_>>()?
            },
        };
        Ok((header, len))
    }
}

/// Compares a checksum with the stored one.
pub(super) fn check_crc(what: &str, computed: u32, stored: u32) -> Result<()> {
    // Fuzzing goes for what lies behind checksums.
    if computed == stored || cfg!(fuzzing) {
        return Ok(());
    }
    Err(Error::input(format!("the checksum of {what} is wrong"))
        .expected(format!("{stored:08x}"))
        .found(format!("{computed:08x}"))
        .help("the file is damaged; copy it again, or make it again"))
}

/// The CRC-32 of gzip.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn test_eof_container_is_one() {
        let mut bytes = Bytes(&EOF_CONTAINER);
        let (header, len) = ContainerHeader::parse(&mut bytes).unwrap();
        let covered = EOF_CONTAINER.len() - bytes.0.len();
        check_crc("", crc32(&EOF_CONTAINER[..covered]), bytes.u32_le().unwrap()).unwrap();
        assert_eq!((header.ref_id, len), (-1, bytes.0.len()));
        let block = Block::read_as(&mut bytes, Content::CompressionHeader).unwrap();
        assert_eq!(block.decode().unwrap()[..], [1, 0, 1, 0, 1, 0]);
        assert!(bytes.0.is_empty());
    }

    #[test]
    fn test_block_notices_each_flipped_bit() {
        let mut good = Vec::new();
        push_block(&mut good, RAW, Content::External, 7, 5, b"hello");
        let block = Block::read(&mut Bytes(&good)).unwrap();
        assert_eq!((block.id, &block.decode().unwrap()[..]), (7, &b"hello"[..]));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::read(&mut Bytes(&bad)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn test_block_whose_codec_declares_another_size_is_refused() {
        let mut bytes = Vec::new();
        push_block(&mut bytes, NAME_TOKENIZER, Content::External, 0, 3, &[0xff, 0, 0, 0]);
        let error = Block::read(&mut Bytes(&bytes)).unwrap().decode().unwrap_err();
        assert!(error.to_string().contains("expected 3 bytes, found 255 bytes"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn test_decode_survives_any_data(
            method in 0u8..10, raw_len in 0usize..100, data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = Vec::new();
            push_block(&mut bytes, method, Content::External, 0, raw_len, &data);
            if let Ok(decoded) = Block::read(&mut Bytes(&bytes)).unwrap().decode() {
                prop_assert_eq!(decoded.len(), raw_len);
            }
        }
    }
}
