//! Which series a set of fields needs, after following what is derived from what.

use super::series::{self, Series};
use crate::records::alignments::fields::{Fields, TagNames};

/// What has to be decoded for some fields, beyond place, CIGAR and flags, which always are.
#[derive(Clone, Copy, Debug)]
pub(in crate::paf) struct Needs {
    pub(super) name: bool,
    pub(super) mapping_quality: bool,
    pub(super) mate: bool,
    /// Bases must be known, be it for a tag.
    pub(super) sequence: bool,
    /// Bases must be in the record.
    pub(super) show_sequence: bool,
    pub(super) qualities: bool,
    pub(super) tags: bool,
}

impl Needs {
    /// What `fields` needs.
    pub(in crate::paf) fn of(fields: &Fields) -> Self {
        let wants = |names: [&[u8; 2]; 2]| match fields.tags() {
            TagNames::All => true,
            TagNames::Some(tags) => names.iter().any(|name| tags.contains(*name)),
        };
        let show_sequence = fields.contains(&Fields::SEQUENCE);
        Self {
            name: fields.contains(&Fields::NAME),
            mapping_quality: fields.contains(&Fields::MAPPING_QUALITY) || wants([b"MQ", b"MQ"]),
            mate: fields.contains(&Fields::MATE),
            sequence: show_sequence || wants([b"MD", b"NM"]),
            show_sequence,
            qualities: fields.contains(&Fields::QUALITIES),
            tags: *fields.tags() != TagNames::default(),
        }
    }
}

/// Whether `fields` cannot be had without this series.
pub(in crate::paf) fn is_needed(series: Series, fields: &Fields) -> bool {
    let needs = Needs::of(fields);
    if series.is_tag() {
        return match fields.tags() {
            TagNames::All => true,
            TagNames::Some(names) => names.contains(&[series.tag[0], series.tag[1]]),
        };
    }
    match series {
        series::MAPQ | series::MATE_MAPQ => needs.mapping_quality,
        series::MATE_CONTIG | series::MATE_POSITION | series::TLEN | series::TLEN_RULE => {
            needs.mate
        }
        series::REFERENCE
        | series::REFERENCE_ODD
        | series::DIFF_COUNT
        | series::DIFF_GAP
        | series::DIFF_BASE
        | series::CLIPPED_BASES
        | series::PLAIN_BASES
        | series::PADDING => needs.sequence,
        series::QUAL | series::QUAL_PRESENT => needs.qualities,
        series::NAME => needs.name,
        series::TAG_LIST | series::TAG_LISTS => needs.tags,
        // Asked for by itself.
        series::ORDINAL => false,
        _ => true,
    }
}
