//! Which records to keep: the conditions of `samtools view`.
//!
//! All conditions given must hold. Each means what it means in samtools 1.16, including the parts
//! that surprise: see [`Filter::read_groups`]. The order of evaluation, cheap conditions first, is
//! no part of the contract.

pub mod expression;
mod flags;
mod subsample;

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::genome::Contigs;

use super::{Fields, Record, Tag};
pub use expression::Expression;
pub use flags::parse_flags;
pub use subsample::Subsample;

/// A set of names, one per read, read group or value.
pub type Names = HashSet<Vec<u8>>;

/// The conditions a record must meet; the default keeps all.
///
/// ```
/// use genomic_objects::genome::Contigs;
/// use genomic_objects::records::alignments::filter::{self, Filter, FilterContext};
///
/// let filter = Filter {
///     exclude_flags: filter::parse_flags("UNMAP,SECONDARY")?,
///     min_mapping_quality: 30,
///     expression: Some("[NM] <= 2 || length(seq) > 1000".parse()?),
///     ..Filter::default()
/// };
/// assert!(!filter.needs().contains(&genomic_objects::records::alignments::Fields::NAME));
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `-f`: flag bits that must all be set.
    pub require_flags: u16,
    /// `-F`: flag bits of which none may be set.
    pub exclude_flags: u16,
    /// `-G`: flag bits that may not all be set; 0 is no condition.
    pub exclude_all_flags: u16,
    /// `--rf`: flag bits of which one must be set; 0 is no condition.
    pub include_any_flags: u16,
    /// `-q`: the least mapping quality.
    pub min_mapping_quality: u8,
    /// `-m`: the least number of bases that the CIGAR takes from the read, clipped ones included.
    pub min_query_length: u64,
    /// `-r` and `-R`: read groups. As in samtools, records without an `RG` tag pass.
    pub read_groups: Option<Names>,
    /// `-d` and `-D`: a tag that must be there.
    pub tag: Option<TagCondition>,
    /// `-N`: read names.
    pub names: Option<Names>,
    /// `-l`: the library of the record's read group.
    pub sequencing_library: Option<Vec<u8>>,
    /// `-s`: a share of the templates.
    pub subsample: Option<Subsample>,
    /// `-e`: an expression over fields and tags.
    pub expression: Option<Expression>,
}

/// A tag that a record must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCondition {
    /// Its name.
    pub name: [u8; 2],
    /// Its possible values as text; any will do if none is given.
    pub values: Option<Names>,
}

/// What a filter must know of the file besides the record.
#[derive(Clone, Copy, Debug)]
pub struct FilterContext<'a> {
    /// The contigs that records refer to.
    pub contigs: &'a Contigs,
    /// The library of each read group.
    pub libraries: &'a Libraries,
}

/// The library (`LB`) of each read group (`ID`) of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries(HashMap<Vec<u8>, Vec<u8>>);

impl Libraries {
    /// Reads the `@RG` lines of a header's text; the first of an `ID` counts.
    pub fn of_header(text: &str) -> Self {
        let mut libraries = HashMap::new();
        for line in text.lines().filter(|line| line.starts_with("@RG\t")) {
            let field = |name| line.split('\t').find_map(|field| field.strip_prefix(name));
            if let (Some(id), Some(library)) = (field("ID:"), field("LB:")) {
                libraries.entry(id.into()).or_insert_with(|| library.into());
            }
        }
        Self(libraries)
    }

    /// The library of a record, by its `RG` tag.
    pub fn of_record(&self, record: &Record<'_>) -> Option<&[u8]> {
        let read_group = record.tag(*b"RG")?;
        self.0.get(read_group.as_text()?).map(Vec::as_slice)
    }
}

impl TagCondition {
    /// Reads `NAME` or `NAME:VALUE`, as after `-d`; as in samtools, `NAME:` is any value too.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) when the name is not of two characters.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value).filter(|value| !value.is_empty())),
            None => (text, None),
        };
        let values = value.map(|value| Names::from([value.into()]));
        Ok(Self { name: tag_name(name, text)?, values })
    }

    /// Takes the name and the text of a file with values, as after `-D NAME:FILE`.
    ///
    /// # Errors
    ///
    /// As [`TagCondition::parse`].
    pub fn with_values_of(name: &str, text: &str) -> Result<Self> {
        Ok(Self { name: tag_name(name, name)?, values: Some(words(text)) })
    }

    fn holds(&self, record: &Record<'_>) -> bool {
        let Some(tag) = record.tag(self.name) else { return false };
        let Some(values) = &self.values else { return true };
        match (tag.kind, tag.value) {
            (b'A', &[letter]) => values.contains(&[letter][..]),
            (b'f', &[b0, b1, b2, b3]) => {
                let number = f32::from_le_bytes([b0, b1, b2, b3]);
                values.iter().any(|value| parse_float(value) == Some(number))
            }
            _ => match (tag.as_int(), tag.as_text()) {
                (Some(number), _) => values.contains(number.to_string().as_bytes()),
                (_, Some(text)) => values.contains(text),
                _ => false,
            },
        }
    }
}

impl Filter {
    /// Whether the record meets all conditions.
    ///
    /// # Errors
    ///
    /// As [`Expression::matches`].
    pub fn matches(&self, record: &Record<'_>, context: &FilterContext<'_>) -> Result<bool> {
        let flags = record.flags();
        let exclude_all = self.exclude_all_flags;
        let keep = flags & self.require_flags == self.require_flags
            && flags & self.exclude_flags == 0
            && (exclude_all == 0 || flags & exclude_all != exclude_all)
            && (self.include_any_flags == 0 || flags & self.include_any_flags != 0)
            && record.mapping_quality() >= self.min_mapping_quality
            && (self.min_query_length == 0 || query_length(record) >= self.min_query_length)
            && self.subsample.is_none_or(|subsample| subsample.keeps(record.name()))
            && self.names.as_ref().is_none_or(|names| names.contains(record.name()))
            && self.read_groups.as_ref().is_none_or(|groups| {
                record.tag(*b"RG").is_none_or(|tag| groups.contains(text_of(&tag)))
            })
            && self.sequencing_library.as_ref().is_none_or(|library| {
                context.libraries.of_record(record) == Some(library.as_slice())
            })
            && self.tag.as_ref().is_none_or(|tag| tag.holds(record));
        match &self.expression {
            Some(expression) if keep => expression.matches(record, context),
            _ => Ok(keep),
        }
    }

    /// The fields and tags that [`Filter::matches`] looks at.
    pub fn needs(&self) -> Fields {
        let flags = [
            self.require_flags,
            self.exclude_flags,
            self.exclude_all_flags,
            self.include_any_flags,
        ];
        let conditions = [
            (flags != [0; 4], Fields::FLAGS),
            (self.min_mapping_quality > 0, Fields::MAPPING_QUALITY),
            (self.min_query_length > 0, expression::real_cigar()),
            (self.subsample.is_some() || self.names.is_some(), Fields::NAME),
            (self.read_groups.is_some() || self.sequencing_library.is_some(), Fields::tag(*b"RG")),
        ];
        let mut needs = conditions
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .fold(Fields::NONE, |needs, (_, fields)| needs | fields);
        if let Some(tag) = &self.tag {
            needs = needs | Fields::tag(tag.name);
        }
        if let Some(expression) = &self.expression {
            needs = needs | expression.needs();
        }
        needs
    }
}

/// The words of a file of read names, read groups or values: what white space separates.
pub fn words(text: &str) -> Names {
    text.split_ascii_whitespace().map(Into::into).collect()
}

fn tag_name(name: &str, text: &str) -> Result<[u8; 2]> {
    <[u8; 2]>::try_from(name.as_bytes()).map_err(|_| {
        Error::usage(format!("{text:?} does not begin with the name of a tag"))
            .expected("two characters, as in NM or RG:group1")
            .found(format!("{name:?}"))
    })
}

fn query_length(record: &Record<'_>) -> u64 {
    let is_hard_clip = |code| code == 5;
    record
        .cigar()
        .filter(|op| op.consumes_read() || is_hard_clip(op.code()))
        .map(|op| u64::from(op.len()))
        .sum()
}

/// The bytes of a text tag; a tag of another type has none.
fn text_of<'a>(tag: &Tag<'a>) -> &'a [u8] {
    match tag.kind {
        b'Z' | b'H' => tag.value.split_last().map_or(&[], |(_, text)| text),
        _ => &[],
    }
}

fn parse_float(text: &[u8]) -> Option<f32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
