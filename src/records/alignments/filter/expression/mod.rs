//! Filter expressions: `mapq >= 30 && ([NM] <= 2 || flag.dup)`.
//!
//! The language is that of `samtools view -e` ("FILTER EXPRESSIONS" in samtools(1), version 1.16),
//! and gives the same answers. From the strongest binding to the weakest:
//!
//! | | |
//! |---|---|
//! | values | `12`, `1.5e3`, `0xff`, `"text"`, variables, tags `[NM]`, functions, `( )` |
//! | unary | `+ - ! ~` |
//! | arithmetic | `* / %`, then `+ -` |
//! | bits | `&`, then `^`, then <code>&#124;</code> |
//! | order | `> >= < <=` |
//! | equality | `== !=`, and `=~ !~` for patterns |
//! | logic | `&&` and <code>&#124;&#124;</code>, which bind alike and are evaluated from left to right, both sides always |
//!
//! Numbers are floating-point; `%`, `~` and the bit operators cut them to whole ones first. Text is
//! bytes. Comparing text with a number gives false (`!=`: true). A tag that is absent has no value:
//! every comparison with it is false, and `!` of it is true. A tag that is there counts as true
//! even if it is 0. Strings know `\"`, `\\`, `\t`, `\n` and `\r`; any other backslash stays, which
//! suits patterns.
//!
//! Functions: `length min max avg` of text, `sqrt log exp pow` of numbers, `exists(x)`,
//! `default(x, otherwise)`. A `hclen` (hard-clipped bases) is known too, as in later versions.
//!
//! Patterns are POSIX extended regular expressions in the C locale: a search anywhere in the text,
//! case-sensitive, over bytes. GNU's `\w \W \s \S \b \B \< \>` are known, back-references are not.
//!
//! Where samtools prints a complaint and passes over the record (arithmetic with text, a pattern
//! for a number, a `B` array in a comparison), this is an error.

mod eval;
mod parse;
mod variable;

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::records::alignments::{Fields, Record};

use super::FilterContext;
use variable::Variable;
pub(super) use variable::real_cigar;

/// A condition on a record.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    root: Node,
}

/// A part of an expression; `at` is the byte where its operator or name begins.
#[derive(Clone, Debug)]
enum Node {
    Number(f64),
    Text(Vec<u8>),
    Variable(Variable),
    Tag([u8; 2]),
    Unary {
        op: Unary,
        at: usize,
        of: Box<Node>,
    },
    /// Operators of one precedence, from left to right.
    Chain {
        first: Box<Node>,
        rest: Vec<Link>,
    },
    Compare {
        op: Compare,
        at: usize,
        left: Box<Node>,
        right: Box<Node>,
    },
    Search {
        wanted: bool,
        at: usize,
        text: Box<Node>,
        pattern: Pattern,
    },
    Call {
        function: Function,
        at: usize,
        arguments: Vec<Node>,
    },
}

#[derive(Clone, Debug)]
struct Link {
    op: Binary,
    at: usize,
    right: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unary {
    Plus,
    Minus,
    Not,
    Complement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    And,
    Or,
    BitOr,
    BitXor,
    BitAnd,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

#[derive(Clone, Debug)]
enum Pattern {
    Fixed(regex::bytes::Regex),
    /// Known only for a record: `[RG] =~ rname`.
    Computed(Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Length,
    Min,
    Max,
    Avg,
    Sqrt,
    Log,
    Exp,
    Pow,
    Exists,
    Default,
}

impl Expression {
    /// Whether the expression is true of the record.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) when an operator or function meets a value of a
    /// type that it cannot take, naming its place in the expression.
    pub fn matches(&self, record: &Record<'_>, context: &FilterContext<'_>) -> Result<bool> {
        eval::is_true(&self.root, record, context).map_err(|fault| self.error(fault))
    }

    /// The fields and tags that it looks at.
    pub fn needs(&self) -> Fields {
        self.root.needs()
    }

    /// The text from which it was made.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn error(&self, fault: Fault) -> Error {
        fault.in_text(&self.text)
    }
}

impl FromStr for Expression {
    type Err = Error;

    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) naming the place, and what was expected there.
    fn from_str(text: &str) -> Result<Self> {
        let root = parse::parse(text).map_err(|fault| fault.in_text(text))?;
        Ok(Self { text: text.into(), root })
    }
}

impl Node {
    fn needs(&self) -> Fields {
        match self {
            Self::Number(_) | Self::Text(_) => Fields::NONE,
            Self::Variable(variable) => variable.needs(),
            Self::Tag(name) => Fields::tag(*name),
            Self::Unary { of, .. } => of.needs(),
            Self::Chain { first, rest } => {
                rest.iter().fold(first.needs(), |needs, link| needs | link.right.needs())
            }
            Self::Compare { left, right, .. } => left.needs() | right.needs(),
            Self::Search { text, pattern: Pattern::Fixed(_), .. } => text.needs(),
            Self::Search { text, pattern: Pattern::Computed(pattern), .. } => {
                text.needs() | pattern.needs()
            }
            Self::Call { arguments, .. } => {
                arguments.iter().fold(Fields::NONE, |needs, node| needs | node.needs())
            }
        }
    }
}

/// What is wrong, and at which byte of the expression.
#[derive(Debug)]
struct Fault {
    at: usize,
    what: String,
    expected: Option<String>,
    found: Option<String>,
}

impl Fault {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), expected: None, found: None }
    }

    fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    fn in_text(self, text: &str) -> Error {
        let before = text.get(..self.at).unwrap_or(text);
        let mut error = Error::usage(self.what);
        if let Some(expected) = self.expected {
            error = error.expected(expected);
        }
        if let Some(found) = self.found {
            error = error.found(found);
        }
        error
            .help("an expression looks like: mapq >= 30 && [NM] < 5 || flag.dup")
            .at(format!("character {}", before.chars().count() + 1))
            .at(format!("filter expression '{}'", shorten(text)))
    }
}

/// A POSIX extended regular expression at byte `at`.
fn pattern(text: &[u8], at: usize) -> Result<regex::bytes::Regex, Fault> {
    crate::posix::compile(text, false).map_err(|found| {
        Fault::new(at, format!("the pattern {:?} is wrong", String::from_utf8_lossy(text)))
            .expected("a POSIX extended regular expression")
            .found(found)
    })
}

/// So much of a long expression as fits a message.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 120;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests;
