//! What of the records a query has to read.

use std::collections::BTreeSet;

use super::schema::Schema;

/// Which fields of INFO or FORMAT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// All.
    #[default]
    All,
    /// Those of these keys, as far as there are any.
    Some(BTreeSet<String>),
}

impl Fields {
    /// None.
    pub fn none() -> Self {
        Self::Some(BTreeSet::new())
    }

    /// Whether a key is among them.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(keys) => keys.contains(key),
        }
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Some(mut keys), Self::Some(more)) => {
                keys.extend(more);
                Self::Some(keys)
            }
            _ => Self::All,
        }
    }
}

/// What of the records is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// CHROM to FILTER, by name; and END, which is not among all that a line needs.
    pub fixed: Fields,
    /// What lines of text need besides columns.
    pub text: bool,
    /// Fields of INFO.
    pub info: Fields,
    /// Fields of FORMAT.
    pub format: Fields,
    /// Samples, by their place in the header, in the order of the output.
    pub samples: Vec<usize>,
}

impl Needs {
    /// Everything of all samples.
    pub fn all(schema: &Schema) -> Self {
        Self {
            fixed: Fields::All,
            text: true,
            info: Fields::All,
            format: Fields::All,
            samples: (0..schema.samples.len()).collect(),
        }
    }

    /// These and others, of the same samples or none.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.and(other.fixed),
            text: self.text || other.text,
            info: self.info.and(other.info),
            format: self.format.and(other.format),
            samples: if self.samples.is_empty() { other.samples } else { self.samples },
        }
    }
}
