//! What an expression consists of.

use std::collections::HashSet;
use std::sync::Arc;

use regex::bytes::Regex;

use super::dictionary::{Declaration, Kind};
use super::lex::{Comparison, Logic, Operator};

/// Which samples count.
pub(super) type Samples = Arc<[bool]>;

/// What holds or not, of a site or of each of its samples.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Joined from right to left: `links[i]` stands between `of[i]` and what follows it.
    Chain {
        of: Vec<Condition>,
        links: Vec<Logic>,
        samples: Option<Samples>,
    },
    Numbers {
        op: Comparison,
        left: Numeric,
        right: Numeric,
        samples: Option<Samples>,
    },
    Texts {
        wanted: bool,
        left: Textual,
        right: Textual,
        samples: Option<Samples>,
    },
    Search {
        wanted: bool,
        text: Textual,
        pattern: Regex,
        /// Whether the pattern would stand for a missing value, if it were none.
        is_missing: bool,
        samples: Option<Samples>,
    },
    Type {
        op: Comparison,
        kinds: u32,
    },
    Filter {
        op: Comparison,
        names: Vec<String>,
    },
    Id {
        wanted: bool,
        names: Names,
    },
}

/// What an ID is looked for in.
#[derive(Clone, Debug)]
pub(super) enum Names {
    One(String),
    Listed(Arc<HashSet<String>>),
    Like(Regex),
}

/// Numbers of a site, or of each of its samples.
#[derive(Clone, Debug)]
pub(super) enum Numeric {
    Constant(f64),
    Missing,
    Quality,
    Position,
    AlternateCount,
    IndelLength,
    /// Samples without a whole genotype.
    Uncalled {
        fraction: bool,
    },
    /// Counted from genotypes, unless INFO has AC and AN.
    Alleles {
        what: AlleleNumber,
        /// Of which alternate allele; of all if `None`.
        at: Option<usize>,
    },
    Flag(String),
    Info {
        key: String,
        declaration: Declaration,
        elements: Elements,
    },
    Format {
        key: String,
        declaration: Declaration,
        elements: Elements,
        samples: Samples,
    },
    /// Computed from right to left: `operators[i]` stands between `of[i]` and what follows it.
    Arithmetic {
        of: Vec<Numeric>,
        operators: Vec<Operator>,
        samples: Option<Samples>,
    },
    Reduce {
        how: Reduction,
        per_sample: bool,
        of: Box<Numeric>,
    },
    Absolute(Box<Numeric>),
    /// How many values there are.
    Count(Box<Numeric>),
    CountTexts(Textual),
    /// How many samples, or which fraction of them, a condition holds for.
    Passing {
        fraction: bool,
        of: Box<Condition>,
    },
    Length(Textual),
}

/// Counts and frequencies of alleles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlleleNumber {
    Count,
    Total,
    Frequency,
    MinorCount,
    MinorFrequency,
}

/// Many numbers to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    Max,
    Min,
    Mean,
    Median,
    Deviation,
    Sum,
}

/// Texts of a site, or of each of its samples; commas separate the values of one.
#[derive(Clone, Debug)]
pub(super) enum Textual {
    Constant(String),
    Chrom,
    Ref,
    Alt(Elements),
    Info { key: String, declaration: Declaration, elements: Elements },
    Format { key: String, elements: Elements, samples: Samples },
    Genotype { class: Class, samples: Samples },
}

/// What is asked of a genotype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Its text.
    Text,
    /// `rr`, `ra`, `aa`, `aA`, `r`, `a`.
    Alleles,
    /// `hom`, `het`, `hap`.
    Zygosity,
    /// `ref`, `alt`, `mis`.
    Presence,
}

/// Which of several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    All,
    One(usize),
    /// Those marked, and all that follow if `open`.
    Listed {
        marked: Vec<bool>,
        open: bool,
    },
}

impl Elements {
    pub(super) fn has(&self, at: usize) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => *one == at,
            Self::Listed { marked, open } => marked.get(at).copied().unwrap_or(*open),
        }
    }
}

/// Samples that count on either side.
pub(super) fn union(left: Option<&Samples>, right: Option<&Samples>) -> Option<Samples> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.iter().zip(&**right).map(|(a, b)| a | b).collect()),
        (one, other) => one.or(other).cloned(),
    }
}

impl Condition {
    /// The samples that it is decided for; none if it is decided for sites only.
    pub(super) fn samples(&self) -> Option<&Samples> {
        match self {
            Self::Chain { samples, .. }
            | Self::Numbers { samples, .. }
            | Self::Texts { samples, .. }
            | Self::Search { samples, .. } => samples.as_ref(),
            Self::Type { .. } | Self::Filter { .. } | Self::Id { .. } => None,
        }
    }
}

impl Numeric {
    /// The samples that it has values of; none if its values are of the site, or there are none.
    pub(super) fn samples(&self) -> Option<&Samples> {
        match self {
            Self::Format { samples, .. } => Some(samples).filter(|all| !all.is_empty()),
            Self::Arithmetic { samples, .. } => samples.as_ref(),
            Self::Reduce { per_sample: true, of, .. } | Self::Absolute(of) => of.samples(),
            _ => None,
        }
    }
}

impl Textual {
    /// As of numbers.
    pub(super) fn samples(&self) -> Option<&Samples> {
        match self {
            Self::Format { samples, .. } | Self::Genotype { samples, .. } => {
                Some(samples).filter(|all| !all.is_empty())
            }
            _ => None,
        }
    }
}

/// The fields that an expression asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Columns from ID to FILTER.
    pub columns: std::collections::BTreeSet<String>,
    /// Keys of INFO.
    pub info: std::collections::BTreeSet<String>,
    /// Keys of FORMAT.
    pub format: std::collections::BTreeSet<String>,
    /// Whether it counts alleles, from INFO or, where that lacks AC or AN, from genotypes.
    pub alleles: bool,
    /// Whether it tells a field of INFO that is `.` from one that is not there.
    pub absence: bool,
}

impl Asked {
    pub(super) fn add_condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Chain { of, .. } => of.iter().for_each(|of| self.add_condition(of)),
            Condition::Numbers { left, right, .. } => {
                self.add_numeric(left);
                self.add_numeric(right);
            }
            Condition::Texts { left, right, .. } => {
                let is_one =
                    |text: &Textual| matches!(text, Textual::Constant(text) if !text.contains(','));
                self.absence |= !is_one(left) && !is_one(right);
                self.add_textual(left);
                self.add_textual(right);
            }
            Condition::Search { text, .. } => {
                self.absence = true;
                self.add_textual(text);
            }
            Condition::Type { .. } => self.add_columns(&["REF", "ALT"]),
            Condition::Filter { .. } => self.add_columns(&["FILTER"]),
            Condition::Id { .. } => self.add_columns(&["ID"]),
        }
    }

    fn add_numeric(&mut self, numeric: &Numeric) {
        match numeric {
            Numeric::Constant(_) | Numeric::Missing | Numeric::Position => {}
            Numeric::Quality => self.add_columns(&["QUAL"]),
            Numeric::AlternateCount => self.add_columns(&["ALT"]),
            Numeric::IndelLength => self.add_columns(&["REF", "ALT"]),
            Numeric::Uncalled { .. } => {
                self.format.insert("GT".to_owned());
            }
            Numeric::Alleles { .. } => {
                // How many alleles there are is told by ALT.
                self.add_columns(&["ALT"]);
                self.info.extend(["AC".to_owned(), "AN".to_owned()]);
                self.alleles = true;
            }
            Numeric::Flag(key) => {
                self.info.insert(key.clone());
            }
            Numeric::Info { key, declaration, elements } => {
                // There bcftools computes with what stands for a missing value.
                let is_integer = declaration.kind == Kind::Integer;
                self.absence |=
                    !declaration.is_single && (is_integer || matches!(elements, Elements::One(_)));
                self.info.insert(key.clone());
            }
            Numeric::Format { key, .. } => {
                self.format.insert(key.clone());
            }
            Numeric::Arithmetic { of, .. } => of.iter().for_each(|of| self.add_numeric(of)),
            Numeric::Reduce { of, .. } | Numeric::Absolute(of) => self.add_numeric(of),
            Numeric::Count(of) => {
                self.absence = true;
                self.add_numeric(of);
            }
            Numeric::CountTexts(of) | Numeric::Length(of) => {
                self.absence = true;
                self.add_textual(of);
            }
            Numeric::Passing { of, .. } => self.add_condition(of),
        }
    }

    fn add_columns(&mut self, names: &[&str]) {
        self.columns.extend(names.iter().map(|&name| name.to_owned()));
    }

    fn add_textual(&mut self, textual: &Textual) {
        match textual {
            Textual::Constant(_) | Textual::Chrom => {}
            Textual::Ref => self.add_columns(&["REF"]),
            Textual::Alt(_) => self.add_columns(&["ALT"]),
            Textual::Info { key, .. } => {
                self.info.insert(key.clone());
            }
            Textual::Format { key, .. } => {
                self.format.insert(key.clone());
            }
            Textual::Genotype { .. } => {
                self.format.insert("GT".to_owned());
            }
        }
    }
}
