//! Fields whose Number and Type the specification gives (VCF 4.3, §1.6.1 and §1.6.2).

use super::value::{Count, Type};

/// A field of INFO or FORMAT that is reserved.
pub(super) struct Reserved {
    pub(super) id: &'static str,
    pub(super) count: Count,
    /// The types that are right; of a field without declaration the first counts.
    pub(super) types: &'static [Type],
}

const fn field(id: &'static str, count: Count, types: &'static [Type]) -> Reserved {
    Reserved { id, count, types }
}

const INTEGER: &[Type] = &[Type::Integer];
const FLOAT: &[Type] = &[Type::Float];
const STRING: &[Type] = &[Type::String];
/// AA and FT are single texts, and a Character is one of a kind.
const TEXT: &[Type] = &[Type::String, Type::Character];
const FLAG: &[Type] = &[Type::Flag];
/// The specification changed its mind.
const NUMBER: &[Type] = &[Type::Float, Type::Integer];

pub(super) const INFO: &[Reserved] = &[
    field("AA", Count::Fixed(1), TEXT),
    field("AC", Count::PerAlt, INTEGER),
    field("AD", Count::PerAllele, INTEGER),
    field("ADF", Count::PerAllele, INTEGER),
    field("ADR", Count::PerAllele, INTEGER),
    field("AF", Count::PerAlt, FLOAT),
    field("AN", Count::Fixed(1), INTEGER),
    field("BQ", Count::Fixed(1), FLOAT),
    field("CIGAR", Count::PerAlt, STRING),
    field("DB", Count::Fixed(0), FLAG),
    field("DP", Count::Fixed(1), INTEGER),
    field("END", Count::Fixed(1), INTEGER),
    field("H2", Count::Fixed(0), FLAG),
    field("H3", Count::Fixed(0), FLAG),
    field("MQ", Count::Fixed(1), NUMBER),
    field("MQ0", Count::Fixed(1), INTEGER),
    field("NS", Count::Fixed(1), INTEGER),
    field("SOMATIC", Count::Fixed(0), FLAG),
    field("VALIDATED", Count::Fixed(0), FLAG),
    field("1000G", Count::Fixed(0), FLAG),
];

pub(super) const FORMAT: &[Reserved] = &[
    field("AD", Count::PerAllele, INTEGER),
    field("ADF", Count::PerAllele, INTEGER),
    field("ADR", Count::PerAllele, INTEGER),
    field("DP", Count::Fixed(1), INTEGER),
    field("EC", Count::PerAlt, INTEGER),
    field("FT", Count::Fixed(1), STRING),
    field("GL", Count::PerGenotype, FLOAT),
    field("GLE", Count::PerGenotype, STRING),
    field("GP", Count::PerGenotype, FLOAT),
    field("GQ", Count::Fixed(1), INTEGER),
    field("GT", Count::Fixed(1), STRING),
    field("HQ", Count::Fixed(2), INTEGER),
    field("MQ", Count::Fixed(1), INTEGER),
    field("PL", Count::PerGenotype, INTEGER),
    field("PQ", Count::Fixed(1), INTEGER),
    field("PS", Count::Fixed(1), INTEGER),
];

/// Counts of INFO that are never negative.
pub(super) const COUNTS: &[&str] = &["AC", "AD", "ADF", "ADR", "AN", "DP", "MQ0", "NS"];

/// Kinds of symbolic alleles, in front of a colon.
pub(super) const SYMBOLIC: &[&str] = &["DEL", "INS", "DUP", "INV", "CNV", "BND"];
