//! The series: one stream of bytes per kind of value, for all records of a block.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Names one stream of a block: a fixed number, and for values of tags which tag and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Which series; see the constants.
    pub id: u8,
    /// Tag name and type for series from [`TAG_VALUES`] on, else zeros.
    pub tag: [u8; 3],
}

macro_rules! series {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Series = Series { id: $id, tag: [0; 3] };)*
        /// What a series is called in messages.
        pub fn name(id: u8) -> &'static str {
            match id {
                $($id => $text,)*
                TAG_VALUES => "tag values",
                TAG_EXTRA => "tag extras",
                TAG_DERIVED => "tag derivations",
                _ => "unknown",
            }
        }
    };
}

series! {
    /// Signed step of the contig id from the record before (from 0 at first).
    CONTIG = 0x01, "contig";
    /// Signed step of the position from the record before on the same contig, else from 0.
    POSITION = 0x02, "position";
    /// Read length in bases.
    LENGTH = 0x03, "length";
    /// 0: no CIGAR; 1: all bases matched; else one more than the number of operations that follow.
    CIGAR_SHAPE = 0x04, "CIGAR shape";
    /// Operation codes; the high bit on a record's first says that no length is left out.
    CIGAR_OPS = 0x05, "CIGAR operations";
    /// Lengths of `M`, `=` and `X`.
    CIGAR_MATCHES = 0x06, "CIGAR match lengths";
    /// Lengths of `I`, `D` and `P`.
    CIGAR_GAPS = 0x07, "CIGAR gap lengths";
    /// Lengths of `S` and `H`.
    CIGAR_CLIPS = 0x08, "CIGAR clip lengths";
    /// Lengths of `N`.
    CIGAR_SKIPS = 0x09, "CIGAR skip lengths";
    /// Distance to the mate further down in this block; 0 for none. Mates found so have no entry.
    MATE_LINK = 0x0a, "mate link";
    /// How a linked pair's template lengths are derived.
    TLEN_RULE = 0x0b, "template length rule";
    /// Low bytes of the flags of all but linked mates.
    FLAGS_LOW = 0x0c, "flags (low)";
    /// High bytes of the flags of all but linked mates.
    FLAGS_HIGH = 0x0d, "flags (high)";
    /// Flags of linked mates, XORed with what their partners let expect.
    MATE_FLAGS = 0x0e, "mate flags";
    /// Mapping qualities of all but linked mates.
    MAPQ = 0x0f, "mapping quality";
    /// Mapping qualities of linked mates, minus their partners', modulo 256.
    MATE_MAPQ = 0x10, "mate mapping quality";
    /// The mate's contig, of unlinked records: 0 none, 1 the same, else 2 more than its id.
    MATE_CONTIG = 0x11, "mate contig";
    /// The mate's position, of unlinked records.
    MATE_POSITION = 0x12, "mate position";
    /// Template lengths that are stated, as differences from an estimate.
    TLEN = 0x13, "template length";
    /// Records whose `bin` is not the computed one.
    BIN = 0x14, "bin exceptions";
    /// Sequence under the aligned reads, two bits a base.
    REFERENCE = 0x20, "reference";
    /// Bases of the sequence outside ACGT.
    REFERENCE_ODD = 0x21, "reference exceptions";
    /// How many aligned bases differ, per aligned record.
    DIFF_COUNT = 0x22, "difference counts";
    /// Aligned bases between differences.
    DIFF_GAP = 0x23, "difference gaps";
    /// The differing bases.
    DIFF_BASE = 0x24, "differing bases";
    /// Inserted and soft-clipped bases.
    CLIPPED_BASES = 0x25, "clipped bases";
    /// Bases of records without a usable alignment.
    PLAIN_BASES = 0x26, "plain bases";
    /// Half-bytes behind odd sequences that are not zero.
    PADDING = 0x27, "padding exceptions";
    /// 1 where a record has qualities, 0 where they are absent.
    QUAL_PRESENT = 0x30, "quality presence";
    /// Qualities.
    QUAL = 0x31, "qualities";
    /// Read names of all but linked mates.
    NAME = 0x38, "names";
    /// The distinct lists of tag names and types.
    TAG_LISTS = 0x40, "tag lists";
    /// Which list each record has.
    TAG_LIST = 0x41, "tag list choice";
    /// Signed step of the record's number in the input, where the order there was another.
    ORDINAL = 0x48, "input order";
}

/// Values of one tag and type.
pub const TAG_VALUES: u8 = 0x80;
/// What belongs to the values of a tag: dictionary, numbers, or counts.
pub const TAG_EXTRA: u8 = 0x81;
/// 1 where a tag's value follows from the rest of the record.
pub const TAG_DERIVED: u8 = 0x82;

impl Series {
    /// The series `id` of a tag with this name and type.
    pub const fn of_tag(id: u8, name: [u8; 2], kind: u8) -> Self {
        Self { id, tag: [name[0], name[1], kind] }
    }

    /// Whether it belongs to a tag.
    pub const fn is_tag(self) -> bool {
        self.id >= TAG_VALUES
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        name(self.id)
    }
}

/// Streams while a block is being encoded; an absent stream is an empty one.
#[derive(Debug, Default)]
pub struct StreamsOut(BTreeMap<Series, Vec<u8>>);

impl StreamsOut {
    /// Adds a whole stream.
    pub fn set(&mut self, series: Series, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0.insert(series, bytes);
        }
    }

    /// All streams that hold anything, in order of series.
    pub fn into_streams(self) -> impl Iterator<Item = (Series, Vec<u8>)> {
        self.0.into_iter()
    }
}

/// Streams while a block is being decoded: raw bytes by series.
#[derive(Debug, Default)]
pub struct StreamsIn(BTreeMap<Series, Vec<u8>>);

impl StreamsIn {
    /// Adds a decoded stream.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) when it is there already.
    pub fn add(&mut self, series: Series, bytes: Vec<u8>) -> Result<()> {
        if self.0.insert(series, bytes).is_some() {
            return Err(Error::corrupt(format!("stream {} occurs twice", series.name())));
        }
        Ok(())
    }

    /// The bytes of a stream; none for an absent one.
    pub fn get(&self, series: Series) -> &[u8] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }
}
