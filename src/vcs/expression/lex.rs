//! From the text of an expression to its words.

use crate::error::{Error, Result};

/// The longest expression that is read.
const MOST_BYTES: usize = 1 << 16;

/// A word, and the byte where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) at: usize,
    pub(super) token: Token,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    /// A name, its subscript included.
    Name(String),
    /// The text between quotes.
    Text(String),
    /// A file's name, after an `@`.
    File(String),
    Open,
    Close,
    Compare(Comparison),
    Logic(Logic),
    Arithmetic(Operator),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

/// How two conditions are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logic {
    /// `&`: within one sample.
    And,
    /// `&&`: at one site.
    SiteAnd,
    /// `|`: of the samples, those for which either holds.
    Or,
    /// `||`: all samples of a site where either holds.
    SiteOr,
}

/// How two numbers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Splits an expression.
pub(super) fn words(text: &str) -> Result<Vec<Word>> {
    if text.len() > MOST_BYTES {
        return Err(Error::usage("the expression is too long")
            .expected(format!("at most {MOST_BYTES} bytes"))
            .found(text.len()));
    }
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (token, length) = token(&text[at..], at)?;
        words.push(Word { at, token });
        at += length;
    }
    Ok(words)
}

/// The word that a text begins with, and its length.
fn token(text: &str, at: usize) -> Result<(Token, usize)> {
    use Token::{Arithmetic, Compare};
    for (sign, token) in [
        ("&&", Token::Logic(Logic::SiteAnd)),
        ("||", Token::Logic(Logic::SiteOr)),
        ("&", Token::Logic(Logic::And)),
        ("|", Token::Logic(Logic::Or)),
        ("==", Compare(Comparison::Equal)),
        ("=", Compare(Comparison::Equal)),
        ("!=", Compare(Comparison::NotEqual)),
        ("!~", Compare(Comparison::NotLike)),
        ("~", Compare(Comparison::Like)),
        ("<=", Compare(Comparison::LessOrEqual)),
        ("<", Compare(Comparison::Less)),
        (">=", Compare(Comparison::GreaterOrEqual)),
        (">", Compare(Comparison::Greater)),
        ("(", Token::Open),
        (")", Token::Close),
        ("+", Arithmetic(Operator::Add)),
        ("-", Arithmetic(Operator::Subtract)),
        ("*", Arithmetic(Operator::Multiply)),
        ("/", Arithmetic(Operator::Divide)),
    ] {
        if text.starts_with(sign) {
            return Ok((token, sign.len()));
        }
    }
    if text.starts_with('!') {
        return Err(fault("there is no '!' of a condition", at)
            .help("turn the comparison round, or use -e instead of -i"));
    }
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let end = text[1..].find(quote).ok_or_else(|| fault("a quote is not closed", at))?;
        return Ok((Token::Text(text[1..=end].to_owned()), end + 2));
    }
    if let Some(name) = text.strip_prefix('@') {
        let ends = |c: char| c.is_whitespace() || "=!)&|".contains(c);
        let end = name.find(ends).unwrap_or(name.len());
        return Ok((Token::File(name[..end].to_owned()), end + 1));
    }
    if let Some((number, length)) = number(text) {
        return Ok((Token::Number(number), length));
    }
    let length = name_length(text);
    if length == 0 && text.starts_with('%') {
        return Ok((Arithmetic(Operator::Remainder), 1));
    }
    match length {
        0 => Err(fault("this is no part of an expression", at).found(format!("{text:.20}"))),
        _ => Ok((Token::Name(text[..length].to_owned()), length)),
    }
}

/// A number, unless it is the start of a name such as `1000G`.
fn number(text: &str) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if bytes.get(end).is_some_and(is_word) {
        return None;
    }
    Some((text[..end].parse().ok()?, end))
}

/// The length of a name: up to an operator outside of brackets. A prefix may have a slash.
fn name_length(text: &str) -> usize {
    const PREFIXES: [&str; 3] = ["INFO/", "FORMAT/", "FMT/"];
    let prefix = PREFIXES
        .iter()
        .find(|prefix| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix)));
    let start = prefix.map_or(0, |prefix| prefix.len());
    let mut brackets = false;
    for (at, c) in text[start..].char_indices() {
        match c {
            '[' => brackets = true,
            ']' => return start + at + 1,
            _ if brackets => {}
            c if c.is_whitespace() || "\"'<>=!&|()+*-/~%,@".contains(c) => return start + at,
            _ => {}
        }
    }
    text.len()
}

/// An error of the expression at a byte.
pub(super) fn fault(message: impl Into<String>, at: usize) -> Error {
    Error::usage(message).at(format!("character {}", at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        words(text).unwrap().into_iter().map(|word| word.token).collect()
    }

    #[test]
    fn test_words_are_names_numbers_and_signs() {
        let name = |text: &str| Token::Name(text.into());
        assert_eq!(
            tokens("INFO/DP>=1e-3&&FMT/AD[0:*]=5"),
            [
                name("INFO/DP"),
                Token::Compare(Comparison::GreaterOrEqual),
                Token::Number(0.001),
                Token::Logic(Logic::SiteAnd),
                name("FMT/AD[0:*]"),
                Token::Compare(Comparison::Equal),
                Token::Number(5.0),
            ]
        );
        assert_eq!(
            tokens("1000G_AC%2!~\"a b\" | ID=@x.txt"),
            [
                name("1000G_AC"),
                Token::Arithmetic(Operator::Remainder),
                Token::Number(2.0),
                Token::Compare(Comparison::NotLike),
                Token::Text("a b".into()),
                Token::Logic(Logic::Or),
                name("ID"),
                Token::Compare(Comparison::Equal),
                Token::File("x.txt".into()),
            ]
        );
        for bad in ["\"a", "!(QUAL>1)", "QUAL>1, 2"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }
}
