//! A view of one alignment in BAM's binary layout.
//!
//! Within the crate an alignment *is* these bytes, from `refID` to the last tag (SAM specification
//! §4.2, without the leading `block_size`): they hold everything, and nothing that they hold is
//! lost by looking. [`Record::new`] checks every length once, so that the accessors cannot fail.
//!
//! ```text
//! 0      4    8         9     10   12         14    16     20        24        28     32
//! refID  pos  l_name:u8 mapq  bin  n_cigar_op flag  l_seq  next_ref  next_pos  tlen   name\0 cigar seq qual tags
//! ```

use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval};

/// Bits of the flag field (SAM specification §1.4).
pub mod flags {
    #![allow(missing_docs)]
    pub const PAIRED: u16 = 0x1;
    pub const PROPER_PAIR: u16 = 0x2;
    pub const UNMAPPED: u16 = 0x4;
    pub const MATE_UNMAPPED: u16 = 0x8;
    pub const REVERSE: u16 = 0x10;
    pub const MATE_REVERSE: u16 = 0x20;
    pub const READ1: u16 = 0x40;
    pub const READ2: u16 = 0x80;
    pub const SECONDARY: u16 = 0x100;
    pub const QC_FAIL: u16 = 0x200;
    pub const DUPLICATE: u16 = 0x400;
    pub const SUPPLEMENTARY: u16 = 0x800;
}

/// Bytes before the read name.
pub const FIXED_LEN: usize = 32;

/// The letters of 4-bit base codes, by code.
pub const BASES: &[u8; 16] = b"=ACMGRSVTWYHKDBN";

/// The letters of CIGAR operation codes, by code.
pub const CIGAR_LETTERS: &[u8; 9] = b"MIDNSHP=X";

/// One CIGAR operation: a length in bases, and a code from 0 to 8 (`MIDNSHP=X`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CigarOp(pub u32);

impl CigarOp {
    /// The operation's code.
    pub const fn code(self) -> u8 {
        (self.0 & 0xf) as u8
    }

    /// Its length in bases.
    pub const fn len(self) -> u32 {
        self.0 >> 4
    }

    /// Whether its length is zero, which is legal.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its letter.
    pub const fn letter(self) -> u8 {
        CIGAR_LETTERS[self.code() as usize]
    }

    /// Whether it moves along the reference: `M D N = X`.
    pub const fn consumes_reference(self) -> bool {
        matches!(self.code(), 0 | 2 | 3 | 7 | 8)
    }

    /// Whether it moves along the read: `M I S = X`.
    pub const fn consumes_read(self) -> bool {
        matches!(self.code(), 0 | 1 | 4 | 7 | 8)
    }

    /// Whether it puts read bases on reference bases: `M = X`.
    pub const fn is_match(self) -> bool {
        matches!(self.code(), 0 | 7 | 8)
    }
}

/// One tag of a record, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The two characters of its name.
    pub name: [u8; 2],
    /// Its type: one of `A c C s S i I f Z H B`.
    pub kind: u8,
    /// Its value: little-endian number, text with its closing NUL, or array with its header.
    pub value: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The value of an integer tag of any width.
    pub fn as_int(&self) -> Option<i64> {
        let v = self.value;
        Some(match (self.kind, v.len()) {
            (b'c', 1) => i64::from(v[0] as i8),
            (b'C', 1) => i64::from(v[0]),
            (b's', 2) => i64::from(i16::from_le_bytes([v[0], v[1]])),
            (b'S', 2) => i64::from(u16::from_le_bytes([v[0], v[1]])),
            (b'i', 4) => i64::from(i32::from_le_bytes([v[0], v[1], v[2], v[3]])),
            (b'I', 4) => i64::from(u32::from_le_bytes([v[0], v[1], v[2], v[3]])),
            _ => return None,
        })
    }

    /// The text of a `Z` or `H` tag, without its NUL.
    pub fn as_text(&self) -> Option<&'a [u8]> {
        match self.kind {
            b'Z' | b'H' => self.value.split_last().map(|(_, text)| text),
            _ => None,
        }
    }
}

/// A checked view of one alignment.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    cigar_at: usize,
    seq_at: usize,
    qual_at: usize,
    tags_at: usize,
}

impl<'a> Record<'a> {
    /// Checks the lengths of all fields and tags, and that CIGAR codes are known.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) naming the field that does not fit.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let record = Self::trusted(bytes).ok_or_else(|| {
            malformed("its fields are longer than the record")
                .found(format!("{} bytes", bytes.len()))
        })?;
        let name = &bytes[FIXED_LEN..record.cigar_at];
        if name.last() != Some(&0) || name[..name.len() - 1].contains(&0) {
            return Err(malformed("the read name does not end in its only NUL"));
        }
        if let Some(op) = record.stored_cigar().find(|op| op.code() > 8) {
            return Err(malformed(format!("CIGAR operation code {} is unknown", op.code())));
        }
        let mut rest = &bytes[record.tags_at..];
        while !rest.is_empty() {
            let (_, after) = split_tag(rest).ok_or_else(|| {
                let name = String::from_utf8_lossy(&rest[..rest.len().min(2)]).into_owned();
                malformed(format!("tag {name:?} is cut short or of unknown type"))
            })?;
            rest = after;
        }
        Ok(record)
    }

    /// A view of bytes that [`Record::new`] accepted before; `None` if even the layout is off.
    pub fn trusted(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < FIXED_LEN {
            return None;
        }
        let cigar_at = FIXED_LEN + usize::from(bytes[8]);
        let seq_at = cigar_at + 4 * usize::from(u16::from_le_bytes([bytes[12], bytes[13]]));
        let l_seq = usize::try_from(i32_at(bytes, 16)).ok()?;
        let qual_at = seq_at.checked_add(l_seq.div_ceil(2))?;
        let tags_at = qual_at.checked_add(l_seq)?;
        (cigar_at > FIXED_LEN && tags_at <= bytes.len()).then_some(Self {
            bytes,
            cigar_at,
            seq_at,
            qual_at,
            tags_at,
        })
    }

    /// The whole record, without `block_size`.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// `refID`: the contig it is placed on, or -1.
    pub fn ref_id(&self) -> i32 {
        i32_at(self.bytes, 0)
    }

    /// The contig it is placed on.
    pub fn contig(&self) -> Option<ContigId> {
        u32::try_from(self.ref_id()).ok().map(ContigId)
    }

    /// The leftmost base, 0-based; -1 where there is none.
    pub fn position(&self) -> i32 {
        i32_at(self.bytes, 4)
    }

    /// Mapping quality; 255 is unknown.
    pub fn mapping_quality(&self) -> u8 {
        self.bytes[9]
    }

    /// The stored UCSC bin, right or wrong.
    pub fn bin(&self) -> u16 {
        u16::from_le_bytes([self.bytes[10], self.bytes[11]])
    }

    /// The flag bits; see [`flags`].
    pub fn flags(&self) -> u16 {
        u16::from_le_bytes([self.bytes[14], self.bytes[15]])
    }

    /// Read length in bases; 0 where SEQ is `*`.
    pub fn sequence_len(&self) -> usize {
        self.tags_at - self.qual_at
    }

    /// The mate's contig, or -1.
    pub fn mate_ref_id(&self) -> i32 {
        i32_at(self.bytes, 20)
    }

    /// The mate's leftmost base, 0-based, or -1.
    pub fn mate_position(&self) -> i32 {
        i32_at(self.bytes, 24)
    }

    /// Template length.
    pub fn template_length(&self) -> i32 {
        i32_at(self.bytes, 28)
    }

    /// The read name without its NUL.
    pub fn name(&self) -> &'a [u8] {
        &self.bytes[FIXED_LEN..self.cigar_at - 1]
    }

    /// The CIGAR as stored, which for more than 65,535 operations is a placeholder (`kSmN`).
    pub fn stored_cigar(&self) -> impl ExactSizeIterator<Item = CigarOp> + Clone + 'a {
        ops(&self.bytes[self.cigar_at..self.seq_at])
    }

    /// The CIGAR, taken from the `CG` tag where the stored one is a placeholder (§4.2.2).
    pub fn cigar(&self) -> impl ExactSizeIterator<Item = CigarOp> + Clone + 'a {
        ops(self
            .long_cigar()
            .map_or(&self.bytes[self.cigar_at..self.seq_at], |tag| &tag.value[5..]))
    }

    /// The `CG` tag, where it holds the real CIGAR.
    pub fn long_cigar(&self) -> Option<Tag<'a>> {
        let mut stored = self.stored_cigar();
        let (Some(clip), Some(skip), None) = (stored.next(), stored.next(), stored.next()) else {
            return None;
        };
        let is_placeholder =
            clip.code() == 4 && clip.len() as usize == self.sequence_len() && skip.code() == 3;
        if !is_placeholder || self.ref_id() < 0 || self.position() < 0 {
            return None;
        }
        self.tags().find(|tag| {
            tag.name == *b"CG" && tag.kind == b'B' && tag.value[0] == b'I' && tag.value.len() > 5
        })
    }

    /// Bases, two to a byte, the first in the high half (see [`BASES`]).
    pub fn packed_sequence(&self) -> &'a [u8] {
        &self.bytes[self.seq_at..self.qual_at]
    }

    /// The 4-bit codes of all bases, one by one.
    pub fn base_codes(&self) -> impl ExactSizeIterator<Item = u8> + Clone + 'a {
        let packed = self.packed_sequence();
        (0..self.sequence_len()).map(move |i| (packed[i / 2] >> (4 * (1 - i % 2))) & 0xf)
    }

    /// Qualities as numbers; all 0xFF where QUAL is `*`.
    pub fn qualities(&self) -> &'a [u8] {
        &self.bytes[self.qual_at..self.tags_at]
    }

    /// The bytes of all tags.
    pub fn tag_bytes(&self) -> &'a [u8] {
        &self.bytes[self.tags_at..]
    }

    /// The tags in order.
    pub fn tags(&self) -> Tags<'a> {
        Tags { rest: self.tag_bytes() }
    }

    /// The first tag of this name.
    pub fn tag(&self, name: [u8; 2]) -> Option<Tag<'a>> {
        self.tags().find(|tag| tag.name == name)
    }

    /// How many reference bases the alignment spans by its CIGAR.
    pub fn reference_span(&self) -> u64 {
        // The placeholder of a long CIGAR spans what the real one does.
        self.stored_cigar().filter(|op| op.consumes_reference()).map(|op| u64::from(op.len())).sum()
    }

    /// The reference bases it stands for in a region query, as htslib's `bam_endpos` has them: an
    /// unmapped read, or one whose CIGAR spans nothing, counts as one base.
    pub fn interval(&self) -> Interval {
        let start = u64::try_from(self.position()).unwrap_or(0);
        let span = if self.flags() & flags::UNMAPPED != 0 { 0 } else { self.reference_span() };
        // A read at position -1 with a span of one ends before the first base.
        let end = (i64::from(self.position()) + span.max(1) as i64).max(0) as u64;
        Interval::new(start, end)
    }
}

/// Iterates over the tags of a record.
#[derive(Clone, Debug)]
pub struct Tags<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let (tag, rest) = split_tag(self.rest)?;
        self.rest = rest;
        Some(tag)
    }
}

/// Cuts the first tag off `bytes`; `None` where it does not fit or its type is unknown.
fn split_tag(bytes: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (&[n0, n1, kind], value) = bytes.split_first_chunk::<3>()?;
    let len = match kind {
        b'A' | b'c' | b'C' => 1,
        b's' | b'S' => 2,
        b'i' | b'I' | b'f' => 4,
        b'Z' | b'H' => memchr::memchr(0, value)? + 1,
        b'B' => {
            let (&[of, c0, c1, c2, c3], _) = value.split_first_chunk::<5>()?;
            let width = match of {
                b'c' | b'C' => 1,
                b's' | b'S' => 2,
                b'i' | b'I' | b'f' => 4,
                _ => return None,
            };
            (u32::from_le_bytes([c0, c1, c2, c3]) as usize).checked_mul(width)?.checked_add(5)?
        }
        _ => return None,
    };
    let (value, rest) = value.split_at_checked(len)?;
    Some((Tag { name: [n0, n1], kind, value }, rest))
}

fn ops<'a>(bytes: &'a [u8]) -> impl ExactSizeIterator<Item = CigarOp> + Clone + 'a {
    bytes.chunks_exact(4).map(|op| CigarOp(u32::from_le_bytes([op[0], op[1], op[2], op[3]])))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::input(format!("malformed BAM record: {what}"))
        .help("the file is damaged or was written by a faulty program; make it again")
}

/// The UCSC bin of an interval of `start..end`, 0-based (SAM specification §5.3).
pub fn reg2bin(start: i64, end: i64) -> u16 {
    let end = end - 1;
    let levels = [(14, 4_681), (17, 585), (20, 73), (23, 9), (26, 1)];
    let bin = levels
        .iter()
        .find(|(shift, _)| start >> shift == end >> shift)
        .map_or(0, |(shift, offset)| offset + (start >> shift));
    bin as u16
}
