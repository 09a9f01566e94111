//! The words in which Hail writes its types: names, brackets, and their nesting.

use crate::error::{Error, Result};

/// Types nested deeper than this are refused: no table has them, and each level costs stack.
const MAX_DEPTH: usize = 64;

/// Reads a type, token by token.
pub(super) struct Grammar<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes `token` if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes `token`, which must come next.
    pub(super) fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.error(format!("'{token}'"))) }
    }

    /// That nothing is left.
    pub(super) fn end(&mut self) -> Result<()> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end of the type")) }
    }

    /// A plain word, such as the name of a type.
    pub(super) fn word(&mut self) -> Result<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let is_in = |c: char| c.is_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_in(c)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.error("a name"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// A name, plain or between backticks.
    pub(super) fn name(&mut self) -> Result<String> {
        if !self.take("`") {
            return self.word().map(str::to_owned);
        }
        let mut units: Vec<u16> = Vec::new();
        let mut characters = self.rest().char_indices();
        let mut buffer = [0; 2];
        while let Some((at, c)) = characters.next() {
            match c {
                '`' => {
                    self.at += at + 1;
                    return String::from_utf16(&units)
                        .map_err(|_| self.error("a name of whole characters"));
                }
                '\\' => {
                    let escaped = characters.next().map(|(_, escaped)| escaped);
                    units.push(match escaped {
                        Some('n') => 0x0a,
                        Some('t') => 0x09,
                        Some('r') => 0x0d,
                        Some('b') => 0x08,
                        Some('f') => 0x0c,
                        Some(c @ ('`' | '\\' | '\'' | '"')) => c as u16,
                        Some('u') => {
                            let digits: String =
                                characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                            let unit = u16::from_str_radix(&digits, 16);
                            unit.map_err(|_| self.error("four hexadecimal digits after \\u"))?
                        }
                        _ => return Err(self.error("an escape in a name")),
                    });
                }
                c => units.extend_from_slice(c.encode_utf16(&mut buffer)),
            }
        }
        Err(self.error("a backtick that ends the name"))
    }

    /// A count, as of dimensions.
    pub(super) fn number(&mut self) -> Result<usize> {
        let word = self.word()?;
        word.parse().map_err(|_| self.error("a number"))
    }

    /// Items between brackets, separated by commas; `item` reads one.
    pub(super) fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.take(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    /// Reads what lies one level deeper.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::unsupported(format!("a type nested more than {MAX_DEPTH} deep")));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// What was expected here and is not.
    pub(super) fn error(&self, expected: impl std::fmt::Display) -> Error {
        let found: String = self.rest().chars().take(40).collect();
        Error::input("a type in the metadata cannot be read")
            .expected(expected)
            .found(if found.is_empty() { "the end".to_owned() } else { format!("{found:?}") })
            .at(format!("byte {} of the type", self.at))
    }
}
