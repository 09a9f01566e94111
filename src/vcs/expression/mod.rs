//! Filter expressions: `QUAL>30 && (GT="het" | FMT/DP>10)`.
//!
//! The language is that of `bcftools view -i` ("EXPRESSIONS" in bcftools(1), version 1.16), and
//! gives the same answers. From the strongest binding to the weakest:
//!
//! | | |
//! |---|---|
//! | values | `12`, `1e-3`, `"text"`, `'text'`, names with subscripts, functions, `( )` |
//! | sign | `-` |
//! | arithmetic | `* / %`, then `+ -` |
//! | comparison | `= == != < <= > >=`, and `~ !~` for patterns |
//! | logic | `&` (within one sample) and `&&` (at the site), then <code>&#124;</code> and <code>&#124;&#124;</code> |
//!
//! A condition holds for a record if it holds for any of the values, and of the samples; `.` in
//! quotes is a missing value. Operators of one rank are computed from right to left, as bcftools
//! does; where that matters (`a-b-c`) brackets are asked for. Patterns are POSIX *basic* regular
//! expressions over bytes, `/i` at the end ignores the case.
//!
//! `docs/vcs-expressions.md` lists all names, what is refused, and where bcftools gives other
//! answers: in the main where it looks at the values of another record, or gives up.

mod dictionary;
mod eval;
mod lex;
mod node;
mod parse;
mod prune;
mod record;
mod text;
mod values;
mod variable;

pub use dictionary::Dictionary;
pub(in crate::vcs) use dictionary::Kind;
pub use eval::Outcome;
pub use node::Asked;
use node::Condition;
pub use parse::ReadList;
pub use prune::May;
pub use record::Record;
pub(in crate::vcs) use record::{alleles, is_missing, numbers};
pub(in crate::vcs) use values::allele_counts;
pub(in crate::vcs) use variable::kind;

use super::index::Quality;
use crate::error::Result;

/// A condition on records.
///
/// ```
/// use genomic_objects::vcs::expression::{Dictionary, Expression, Record};
///
/// let line = b"1\t5\t.\tA\tC\t40\tPASS\t.";
/// let expression = Expression::parse("QUAL>30 && TYPE=\"snp\"", &Dictionary::default(), &|_| unreachable!())?;
/// assert!(expression.test(&Record::new(line))?.site);
/// # Ok::<(), genomic_objects::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression {
    root: Condition,
    asked: Asked,
}

impl Expression {
    /// Parses an expression on the fields that a header declares. `read` gives the text of a file
    /// that it names.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) with the place of what is wrong or not known; what
    /// `read` returns.
    pub fn parse(text: &str, dictionary: &Dictionary, read: &ReadList<'_>) -> Result<Self> {
        let root = parse::parse(text, dictionary, read)
            .map_err(|error| error.at(format!("expression '{text:.120}'")))?;
        let mut asked = Asked::default();
        asked.add_condition(&root);
        Ok(Self { root, asked })
    }

    /// The fields that it asks for.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Whether it is decided for each sample.
    pub fn is_of_samples(&self) -> bool {
        self.root.samples().is_some()
    }

    /// What it says of a record, which has the fields asked for, and the samples that the dictionary
    /// had.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) where lists of different lengths are compared or
    /// computed with.
    pub fn test(&self, record: &Record<'_>) -> Result<Outcome> {
        eval::condition(&self.root, record)
    }

    /// What it can say of the records of a row group.
    pub fn may(&self, quality: &Quality) -> May {
        prune::may(&self.root, quality)
    }
}

#[cfg(test)]
mod tests;
