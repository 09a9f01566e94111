//! Names of an expression: columns, fields and what is computed from them.

use super::dictionary::{Dictionary, Kind};
use super::lex::fault;
use super::node::{AlleleNumber, Class, Elements, Numeric, Samples, Textual};
use super::parse::{ReadList, Term, class_of, marks};
use crate::error::{Error, Result};

/// The largest index of a subscript.
const MOST_ELEMENTS: usize = 1 << 20;

/// What a name stands for.
pub(super) fn resolve(
    name: &str,
    at: usize,
    dictionary: &Dictionary,
    read: &ReadList<'_>,
) -> Result<Term> {
    let (name, subscript) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((name, subscript)) => (name, Some(subscript)),
        None => (name, None),
    };
    let prefixed = |prefix: &str| {
        let start = name.get(..prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then(|| &name[prefix.len()..])
    };
    let field = Field { subscript, at, dictionary, read };
    if let Some(key) = prefixed("INFO/") {
        return field.info(key);
    }
    if let Some(key) = prefixed("FORMAT/").or_else(|| prefixed("FMT/")) {
        return field.format(key);
    }
    if subscript.is_none()
        && let Some(term) = column(name, dictionary)
    {
        return Ok(term);
    }
    match (dictionary.info.contains_key(name), dictionary.format.contains_key(name)) {
        (true, true) => Err(fault(format!("{name} is ambiguous: INFO and FORMAT have one"), at)
            .help(format!("write INFO/{name} or FMT/{name}"))),
        (true, false) => field.info(name),
        (false, true) => field.format(name),
        (false, false) => field.computed(name),
    }
}

/// The columns, and counts that no subscript goes with.
fn column(name: &str, dictionary: &Dictionary) -> Option<Term> {
    Some(match name.to_ascii_uppercase().as_str() {
        "QUAL" => Term::Numeric(Numeric::Quality),
        "TYPE" => Term::Type,
        "FILTER" => Term::Filter,
        "ID" => Term::Id,
        "CHROM" => Term::Textual(Textual::Chrom),
        "POS" => Term::Numeric(Numeric::Position),
        "REF" => Term::Textual(Textual::Ref),
        "ALT" => Term::Textual(Textual::Alt(Elements::All)),
        "N_ALT" => Term::Numeric(Numeric::AlternateCount),
        "N_SAMPLES" => Term::Numeric(Numeric::Constant(dictionary.samples.len() as f64)),
        "N_MISSING" => Term::Numeric(Numeric::Uncalled { fraction: false }),
        "F_MISSING" => Term::Numeric(Numeric::Uncalled { fraction: true }),
        _ => return None,
    })
}

/// A field, and where the expression names it.
struct Field<'a> {
    subscript: Option<&'a str>,
    at: usize,
    dictionary: &'a Dictionary,
    read: &'a ReadList<'a>,
}

impl Field<'_> {
    fn undeclared(&self, name: &str) -> Error {
        fault(format!("the header does not declare {name}"), self.at).help(
            "fields are INFO/X, FMT/X, or X; columns QUAL FILTER ID POS CHROM REF ALT TYPE; \
             computed N_ALT N_SAMPLES AC AN AF MAC MAF ILEN N_MISSING F_MISSING",
        )
    }

    fn info(&self, key: &str) -> Result<Term> {
        let declaration = self.dictionary.info.get(key);
        let declaration = *declaration.ok_or_else(|| self.undeclared(&format!("INFO/{key}")))?;
        let key = key.to_owned();
        let elements = match self.subscript {
            Some(text) if text.starts_with('@') || text.contains(':') => {
                return Err(fault("samples of a field of INFO", self.at)
                    .help("a subscript of INFO tells the values: INFO/X[0]"));
            }
            Some(text) => elements(text).ok_or_else(|| self.bad_subscript())?,
            None => Elements::All,
        };
        Ok(match declaration.kind {
            Kind::Flag => Term::Numeric(Numeric::Flag(key)),
            Kind::Integer | Kind::Float => {
                Term::Numeric(Numeric::Info { key, declaration, elements })
            }
            Kind::Text => Term::Textual(Textual::Info { key, declaration, elements }),
        })
    }

    fn format(&self, key: &str) -> Result<Term> {
        let declaration = self.dictionary.format.get(key);
        let declaration = *declaration.ok_or_else(|| self.undeclared(&format!("FORMAT/{key}")))?;
        let (samples, elements) = self.samples_and_elements(key, declaration.is_single)?;
        let key = key.to_owned();
        Ok(match declaration.kind {
            _ if key == "GT" => Term::Textual(Textual::Genotype { class: Class::Text, samples }),
            Kind::Flag => {
                return Err(fault("a flag of FORMAT has no values", self.at).found(key));
            }
            Kind::Integer | Kind::Float => {
                Term::Numeric(Numeric::Format { key, declaration, elements, samples })
            }
            Kind::Text => Term::Textual(Textual::Format { key, elements, samples }),
        })
    }

    /// `[samples]`, `[samples:values]`, `[@file]` or `[@file:values]`.
    fn samples_and_elements(&self, key: &str, is_single: bool) -> Result<(Samples, Elements)> {
        let all = || marks(self.dictionary, |_| true);
        let Some(subscript) = self.subscript else { return Ok((all(), Elements::All)) };
        let parse = |text: &str| elements(text).ok_or_else(|| self.bad_subscript());
        if let Some(file) = subscript.strip_prefix('@') {
            let (text, values) = match ((self.read)(file), file.rsplit_once(':')) {
                (Err(_), Some((file, values))) => ((self.read)(file)?, parse(values)?),
                (text, _) => (text?, Elements::All),
            };
            let names: Vec<&str> =
                text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
            let known = &self.dictionary.samples;
            if let Some(other) = names.iter().find(|name| !known.iter().any(|s| s == *name)) {
                return Err(fault(format!("there is no sample {other:?}"), self.at));
            }
            let listed = |at: usize| known.get(at).is_some_and(|s| names.contains(&s.as_str()));
            return Ok((marks(self.dictionary, listed), values));
        }
        let (samples, values) = match subscript.rsplit_once(':') {
            Some((samples, values)) => (parse(samples)?, parse(values)?),
            None => {
                let samples = parse(subscript)?;
                if samples != Elements::All && !is_single {
                    return Err(fault(format!("{key} has several values per sample"), self.at)
                        .help(format!("write {key}[sample:value], as in {key}[0:*]")));
                }
                (samples, Elements::All)
            }
        };
        let count = self.dictionary.samples.len();
        let last = match &samples {
            Elements::All => None,
            Elements::One(one) => Some(*one),
            Elements::Listed { marked, .. } => marked.len().checked_sub(1),
        };
        if last.is_some_and(|last| last >= count) {
            return Err(fault("there are not so many samples", self.at)
                .expected(format!("an index below {count}"))
                .found(subscript));
        }
        Ok((marks(self.dictionary, |at| samples.has(at)), values))
    }

    fn bad_subscript(&self) -> Error {
        fault("a subscript is wrong", self.at)
            .expected("[0], [1-2], [0,3-], [*], or [samples:values] of a field of FORMAT")
            .found(format!("[{}]", self.subscript.unwrap_or_default()))
    }

    /// What is computed where the header does not declare a field of that name.
    fn computed(&self, name: &str) -> Result<Term> {
        let what = match name.to_ascii_uppercase().as_str() {
            "ALT" => {
                let elements = elements(self.subscript.unwrap_or_default());
                let elements = elements.ok_or_else(|| self.bad_subscript())?;
                return Ok(Term::Textual(Textual::Alt(elements)));
            }
            "ILEN" | "%ILEN" if self.subscript.is_none() => {
                return Ok(Term::Numeric(Numeric::IndelLength));
            }
            "AC" => AlleleNumber::Count,
            "AN" => AlleleNumber::Total,
            "AF" => AlleleNumber::Frequency,
            "MAC" => AlleleNumber::MinorCount,
            "MAF" => AlleleNumber::MinorFrequency,
            _ => return Err(self.undeclared(name)),
        };
        let at = match self.subscript.map(elements) {
            // Without a subscript it is the first allele.
            None => Some(0),
            Some(Some(Elements::All)) => None,
            Some(Some(Elements::One(at))) => Some(at),
            _ => return Err(self.bad_subscript()),
        };
        Ok(Term::Numeric(Numeric::Alleles { what, at }))
    }
}

/// `*`, `2`, `0,3`, `1-4`, `2-`, and lists of these.
fn elements(text: &str) -> Option<Elements> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|&at| at < MOST_ELEMENTS);
    if text.is_empty() || text == "*" {
        return Some(Elements::All);
    }
    if let Some(one) = number(text) {
        return Some(Elements::One(one));
    }
    let mut marked = Vec::new();
    let mut open = false;
    for part in text.split(',') {
        if open {
            return None;
        }
        let (first, last) = match part.split_once('-') {
            None => (number(part)?, number(part)?),
            Some((first, "")) => {
                open = true;
                (number(first)?, number(first)?)
            }
            Some((first, last)) => (number(first)?, number(last)?),
        };
        if first > last {
            return None;
        }
        marked.resize(marked.len().max(last + 1), false);
        marked[first..=last].fill(true);
    }
    Some(Elements::Listed { marked, open })
}

/// Bits of the kinds of variants.
pub(in crate::vcs) mod kind {
    pub(in crate::vcs) const REF: u32 = 1;
    pub(in crate::vcs) const SNP: u32 = 2;
    pub(in crate::vcs) const MNP: u32 = 4;
    pub(in crate::vcs) const INDEL: u32 = 8;
    pub(in crate::vcs) const OTHER: u32 = 16;
    pub(in crate::vcs) const BND: u32 = 32;
    pub(in crate::vcs) const OVERLAP: u32 = 64;
}

/// The kind that a word means.
pub(super) fn kinds_of(word: &str) -> Option<u32> {
    Some(match word.to_ascii_lowercase().as_str() {
        "snp" | "snps" => kind::SNP,
        "indel" | "indels" => kind::INDEL,
        "mnp" | "mnps" => kind::MNP,
        "other" => kind::OTHER,
        "bnd" => kind::BND,
        "overlap" => kind::OVERLAP,
        "ref" => kind::REF,
        _ => return None,
    })
}

/// A genotype as it is compared with a word, and the word.
pub(super) fn with_class(text: Textual, word: &str) -> (Textual, String) {
    match (text, class_of(word)) {
        (Textual::Genotype { samples, .. }, Some((class, word))) => {
            (Textual::Genotype { class, samples }, word.to_owned())
        }
        (text, _) => (text, word.to_owned()),
    }
}
