//! Which parts of an alignment a consumer looks at, so that a reader fetches no others.

use std::collections::BTreeSet;
use std::ops::BitOr;

/// A set of fields. Fields outside it may come back blank: name `*`, flag 0, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    bits: u16,
    tags: TagNames,
}

/// Which tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagNames {
    /// Those with these names; the order within a record stays.
    Some(BTreeSet<[u8; 2]>),
    /// All of them.
    All,
}

impl Default for TagNames {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Fields {
    /// No field.
    pub const NONE: Self = Self::bit(0);
    /// QNAME.
    pub const NAME: Self = Self::bit(1);
    /// FLAG.
    pub const FLAGS: Self = Self::bit(1 << 1);
    /// RNAME and POS.
    pub const PLACE: Self = Self::bit(1 << 2);
    /// MAPQ.
    pub const MAPPING_QUALITY: Self = Self::bit(1 << 3);
    /// CIGAR.
    pub const CIGAR: Self = Self::bit(1 << 4);
    /// RNEXT, PNEXT and TLEN.
    pub const MATE: Self = Self::bit(1 << 5);
    /// SEQ (without it, its length is 0 too).
    pub const SEQUENCE: Self = Self::bit(1 << 6);
    /// QUAL.
    pub const QUALITIES: Self = Self::bit(1 << 7);
    /// Every field and tag.
    pub const ALL: Self = Self { bits: 0xff, tags: TagNames::All };

    const fn bit(bits: u16) -> Self {
        Self { bits, tags: TagNames::Some(BTreeSet::new()) }
    }

    /// The tag of this name.
    pub fn tag(name: [u8; 2]) -> Self {
        Self { bits: 0, tags: TagNames::Some(BTreeSet::from([name])) }
    }

    /// All tags.
    pub fn all_tags() -> Self {
        Self { bits: 0, tags: TagNames::All }
    }

    /// Whether all of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        let tags = match (&self.tags, &other.tags) {
            (TagNames::All, _) => true,
            (TagNames::Some(_), TagNames::All) => false,
            (TagNames::Some(mine), TagNames::Some(others)) => others.is_subset(mine),
        };
        tags && self.bits & other.bits == other.bits
    }

    /// Which tags are in this set.
    pub fn tags(&self) -> &TagNames {
        &self.tags
    }
}

impl BitOr for Fields {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let tags = match (self.tags, other.tags) {
            (TagNames::Some(mut mine), TagNames::Some(others)) => {
                mine.extend(others);
                TagNames::Some(mine)
            }
            _ => TagNames::All,
        };
        Self { bits: self.bits | other.bits, tags }
    }
}
