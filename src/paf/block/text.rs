//! Texts of one tag: plain, by dictionary, or with their numbers apart, whichever is smallest.
//!
//! The first byte of the values says which. Plain texts end in NUL. In a dictionary stream the
//! extra stream has the distinct texts in order of appearance, and the values are their numbers.
//! With numbers apart, every run of digits without a leading zero is replaced by [`NUMBER`], and
//! the extra stream has the numbers.

use ahash::{HashMap, HashMapExt as _};

use super::md::put_number;
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::codec::{self, Effort};
use crate::error::{Error, Result};

const PLAIN: u8 = 0;
const DICTIONARY: u8 = 1;
const NUMBERS: u8 = 2;

/// Stands for a number in a text.
const NUMBER: u8 = 1;
/// Longest run of digits that is taken for a number.
const MAX_DIGITS: usize = 18;

/// Gathers the texts of one tag.
#[derive(Default)]
pub(super) struct TextWriter<'a> {
    texts: Vec<&'a [u8]>,
}

impl<'a> TextWriter<'a> {
    /// Adds a text, which holds no NUL.
    pub(super) fn push(&mut self, text: &'a [u8]) {
        self.texts.push(text);
    }

    /// The values and extra streams.
    pub(super) fn finish(self, effort: Effort) -> Result<(Vec<u8>, Vec<u8>)> {
        if self.texts.is_empty() {
            return Ok(Default::default());
        }
        if let Some(streams) = self.by_dictionary() {
            return Ok(streams);
        }
        let plain = (self.plain(), Vec::new());
        let Some(numbers) = self.numbers_apart() else { return Ok(plain) };
        let size = |(values, extra): &(Vec<u8>, Vec<u8>)| {
            codec::encode(values, effort).bytes.len() + codec::encode(extra, effort).bytes.len()
        };
        Ok(if size(&numbers) < size(&plain) { numbers } else { plain })
    }

    fn plain(&self) -> Vec<u8> {
        let mut values = vec![PLAIN];
        for text in &self.texts {
            values.extend_from_slice(text);
            values.push(0);
        }
        values
    }

    /// `None` where the texts repeat too little for it to pay.
    fn by_dictionary(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let limit = self.texts.len() / 4 + 1;
        let mut ids: HashMap<&[u8], u64> = HashMap::new();
        let (mut values, mut extra) = (vec![DICTIONARY], Vec::new());
        for &text in &self.texts {
            let next = ids.len() as u64;
            let id = *ids.entry(text).or_insert_with(|| {
                extra.extend_from_slice(text);
                extra.push(0);
                next
            });
            if ids.len() > limit {
                return None;
            }
            varint::put(&mut values, id);
        }
        Some((values, extra))
    }

    /// `None` where a text holds the mark itself, or there are too few digits to gain from.
    fn numbers_apart(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let total: usize = self.texts.iter().map(|text| text.len()).sum();
        let digits: usize =
            self.texts.iter().map(|text| text.iter().filter(|b| b.is_ascii_digit()).count()).sum();
        if digits * 4 < total {
            return None;
        }
        let (mut values, mut extra) = (vec![NUMBERS], Vec::new());
        for text in &self.texts {
            let mut rest = *text;
            while let Some(&byte) = rest.first() {
                if byte == NUMBER {
                    return None;
                }
                let run = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let is_number = run > 0 && run <= MAX_DIGITS && (byte != b'0' || run == 1);
                if is_number {
                    let value =
                        rest[..run].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                    values.push(NUMBER);
                    varint::put(&mut extra, value);
                } else {
                    values.extend_from_slice(&rest[..run.max(1)]);
                }
                rest = &rest[run.max(1)..];
            }
            values.push(0);
        }
        Some((values, extra))
    }
}

/// Reads the texts of one tag back.
pub(super) struct TextReader<'a> {
    values: Cursor<'a>,
    coding: Coding<'a>,
}

enum Coding<'a> {
    Plain,
    Dictionary(Vec<&'a [u8]>),
    Numbers(Cursor<'a>),
}

impl<'a> TextReader<'a> {
    /// Opens the two streams.
    pub(super) fn new(values: &'a [u8], extra: &'a [u8]) -> Result<Self> {
        let mut values = Cursor::new(values, "tag values");
        let mut extra = Cursor::new(extra, "tag extras");
        let mode = if values.is_done() { PLAIN } else { values.byte()? };
        let coding = match mode {
            PLAIN => Coding::Plain,
            NUMBERS => Coding::Numbers(extra),
            DICTIONARY => {
                let mut entries = Vec::new();
                while !extra.is_done() {
                    entries.push(extra.until_nul()?);
                }
                Coding::Dictionary(entries)
            }
            mode => return Err(Error::corrupt(format!("text coding {mode} is unknown"))),
        };
        Ok(Self { values, coding })
    }

    /// Appends the next text, without its NUL.
    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match &mut self.coding {
            Coding::Plain => out.extend_from_slice(self.values.until_nul()?),
            Coding::Dictionary(entries) => {
                let id: usize = self.values.number()?;
                out.extend_from_slice(
                    entries
                        .get(id)
                        .ok_or_else(|| Error::corrupt("a text is not in its dictionary"))?,
                );
            }
            Coding::Numbers(numbers) => {
                for &byte in self.values.until_nul()? {
                    if byte == NUMBER { put_number(out, numbers.varint()?) } else { out.push(byte) }
                }
            }
        }
        Ok(())
    }

    /// Fails unless all texts have been read.
    pub(super) fn finish(self) -> Result<()> {
        self.values.finish()?;
        match self.coding {
            Coding::Numbers(numbers) => numbers.finish(),
            Coding::Plain | Coding::Dictionary(_) => Ok(()),
        }
    }
}
