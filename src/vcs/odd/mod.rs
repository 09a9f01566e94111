//! What is odd about an input: what the VCF specification forbids, and we keep all the same.
//!
//! A file that can be understood is converted and comes back byte for byte, whatever it says. What
//! it should not have said is counted by kind, with the first place of each, and told: in the
//! summary of the conversion and in the manifest. `docs/vcf-validation.md` lists the kinds.

mod alleles;
mod header;
mod record;
mod reserved;
mod samples;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use record::Checker;

/// Bytes of an example that are shown.
const EXAMPLE: usize = 40;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal,)*) => {
        /// What can be odd.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// As it is written.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($doc),*).trim_ascii(),)*
                }
            }
        }
    };
}

kinds! {
    /// `##fileformat` is none of VCFv4.1 to VCFv4.5
    FileFormat = "unknown fileformat",
    /// a line of the header is not `##key=value` or `##key=<key=value,…>`, or has an empty value
    HeaderLine = "malformed header line",
    /// the line `#CHROM` has an empty name, white space at its end, or FORMAT without a sample
    ColumnNames = "malformed column names",
    /// a structured line has no ID, or lacks another key that its kind must have
    HeaderKey = "missing key in header line",
    /// ID, Number, Type and Description of a line are in another order
    HeaderOrder = "header keys in another order",
    /// an ID, or a sample of a pedigree, has characters that are not allowed there
    HeaderId = "forbidden character in header ID",
    /// Number is no count, A, R, G or `.`, nor one of those of VCF 4.4 and 4.5; or not 0 for a flag
    Number = "unknown Number",
    /// Type is none of Integer, Float, Flag, Character and String
    Type = "unknown Type",
    /// quotes are missing around a Description, brackets around Values, or quotes are where
    /// VCF before 4.3 has none
    Quotes = "missing or misplaced quotes",
    /// a URL without a host
    Url = "malformed URL",
    /// a field whose Number and Type the specification gives is declared otherwise
    Reserved = "reserved field declared otherwise",
    /// one ID is declared twice
    DeclaredTwice = "declared twice",
    /// `##ALT` declares a symbolic allele whose kind, before a colon, is not reserved
    SymbolicKind = "unreserved kind of symbolic allele",
    /// CHROM has white space or a character that names of contigs cannot have
    ChromCharacter = "forbidden character in CHROM",
    /// the header declares contigs, but not this one
    ContigUndeclared = "undeclared contig",
    /// POS is negative, or written with other characters than digits
    Pos = "malformed POS",
    /// a record comes after one that it should come before, or the records of a contig are not
    /// together
    Order = "record out of order",
    /// a record says the same as one before it at the same place
    DuplicateRecord = "duplicate record",
    /// ID has white space, an empty entry or one twice
    Id = "malformed ID",
    /// REF has other characters than A, C, G, T and N
    Ref = "unexpected base in REF",
    /// an allele of ALT is neither bases, `*`, symbolic nor a breakend
    Alt = "malformed ALT",
    /// an allele of ALT is there twice, or is REF
    AltDuplicate = "duplicate allele",
    /// a symbolic allele is not declared by `##ALT`
    SymbolicUndeclared = "undeclared symbolic allele",
    /// QUAL is no number, or is below 0
    Qual = "malformed QUAL",
    /// FILTER has white space, an empty entry, one twice, 0, or PASS or `.` beside others
    Filter = "malformed FILTER",
    /// FILTER names a filter that the header does not declare
    FilterUndeclared = "undeclared FILTER",
    /// INFO has an empty entry, or white space before VCF 4.3
    Info = "malformed INFO",
    /// a key of INFO is not declared
    InfoUndeclared = "undeclared INFO key",
    /// a key of INFO is there twice
    InfoDuplicate = "duplicate INFO key",
    /// END lies before POS
    End = "END before POS",
    /// a record has no columns for samples though the header has
    SamplesMissing = "samples left out",
    /// FORMAT has an empty key, one with a forbidden character, or GT not in front
    Format = "malformed FORMAT",
    /// a key of FORMAT is not declared
    FormatUndeclared = "undeclared FORMAT key",
    /// a key of FORMAT is there twice
    FormatDuplicate = "duplicate FORMAT key",
    /// a genotype is not alleles with `/` or `|` between them
    Genotype = "malformed genotype",
    /// an allele of a genotype has a number that ALT does not have
    GenotypeAllele = "allele out of range",
    /// a sample has more values than FORMAT has keys
    CellLength = "more values than FORMAT keys",
    /// a value is not of its declared (or reserved) type
    ValueType = "value of the wrong type",
    /// a value has not as many items as its Number says
    ValueCount = "wrong number of values",
    /// a flag has a value, or another field has none
    ValueMissing = "flag with a value, or value missing",
    /// an integer does not fit 32 bits, or is one of the eight that are reserved
    IntegerRange = "integer out of range",
    /// a count is negative
    Negative = "negative count",
    /// values that symbolic alleles must have are missing or are none of those allowed
    Structural = "malformed structural variant",
    /// text is no UTF-8
    Utf8 = "text that is no UTF-8",
    /// the last line has no line feed, or empty lines follow it
    Ending = "unusual end of file",
}

/// How often something odd was found, and where first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How often.
    pub count: u64,
    /// The first line, from 1; of a BCF, of the text that stands for it.
    pub line: u64,
    /// The column of that line between tabs, from 1.
    pub column: u64,
    /// What stands there, or the part that is odd.
    pub example: String,
}

/// What was found, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Odd(BTreeMap<Kind, Found>);

impl Odd {
    /// Counts something at a line and a column.
    pub(super) fn add(&mut self, kind: Kind, line: u64, column: u64, example: &[u8]) {
        let new = || {
            let shown = example.get(..EXAMPLE).unwrap_or(example);
            let mut example = String::from_utf8_lossy(shown).into_owned();
            example.truncate(example.floor_char_boundary(EXAMPLE));
            Found { count: 1, line, column, example }
        };
        match self.0.get_mut(&kind) {
            None => drop(self.0.insert(kind, new())),
            Some(found) if line < found.line => *found = Found { count: found.count + 1, ..new() },
            Some(found) => found.count += 1,
        }
    }

    /// Counts something that concerns whole lines.
    pub(super) fn count(&mut self, kind: Kind, count: u64, line: u64) {
        let found = Found { count, line, column: 1, example: String::new() };
        self.merge(Self(BTreeMap::from([(kind, found)])), 0);
    }

    /// Counts what others found as well, `lines` further down.
    pub(super) fn merge(&mut self, others: Self, lines: u64) {
        for (kind, mut found) in others.0 {
            found.line += lines;
            match self.0.get_mut(&kind) {
                None => drop(self.0.insert(kind, found)),
                Some(known) => {
                    let count = known.count + found.count;
                    if found.line < known.line {
                        *known = found;
                    }
                    known.count = count;
                }
            }
        }
    }

    /// Whether something of a kind was found.
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains_key(&kind)
    }

    /// By names of kinds.
    pub fn named(&self) -> BTreeMap<String, Found> {
        self.0.iter().map(|(kind, found)| (kind.name().to_owned(), found.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
