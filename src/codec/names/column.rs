//! The tokens at one place of a template, as a column of numbers or of texts.

use ahash::{HashMap, HashMapExt as _};
use std::ops::Range;

use crate::codec::bytes::{take_slice, take_u8};
use crate::codec::{Codec, Effort, Nature, decode, encode_as, entropy, varint};
use crate::error::{Error, Result};

/// The column is texts: their lengths, then their bytes.
const TEXTS: u8 = 0;
/// The column is texts out of a short list.
const TEXT_LIST: u8 = 1;
/// The column is numbers, cut in digits of some base.
const NUMBERS: u8 = 2;
/// The column is numbers out of a short list.
const NUMBER_LIST: u8 = 3;
/// The column is differences of numbers, cut in digits.
const DIFFERENCES: u8 = 4;

/// Appends a stream: codec, length, bytes.
pub(super) fn put_stream(data: &[u8], nature: Nature, effort: Effort, out: &mut Vec<u8>) {
    let coded = encode_as(data, nature, effort);
    out.push(coded.codec as u8);
    varint::put(out, coded.bytes.len() as u64);
    out.extend(coded.bytes);
}

/// Reads a stream of `raw_len` bytes.
pub(super) fn take_stream(bytes: &mut &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let codec = Codec::from_u8(take_u8(bytes)?)?;
    let len = varint::take_len(bytes, bytes.len())?;
    decode(codec, take_slice(bytes, len)?, raw_len)
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Decimal, without leading zeros.
    Decimal,
    /// Decimal of a fixed width up to 19.
    Padded(u8),
    /// Lower-case hexadecimal of a fixed width up to 16.
    Hexadecimal(u8),
}

impl Format {
    fn put(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Decimal => 0,
            Self::Padded(width) => width,
            Self::Hexadecimal(width) => 0x80 | width,
        });
    }

    fn take(bytes: &mut &[u8]) -> Result<Self> {
        match take_u8(bytes)? {
            0 => Ok(Self::Decimal),
            width @ 1..=19 => Ok(Self::Padded(width)),
            width @ 0x81..=0x90 => Ok(Self::Hexadecimal(width & 0x7F)),
            other => Err(Error::corrupt("unknown number format in names").found(other)),
        }
    }

    /// The format that all `tokens` share.
    fn of<'a>(mut tokens: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        let width = tokens.clone().next()?.len();
        if tokens.clone().all(|t| t.iter().all(u8::is_ascii_digit)) {
            if tokens.clone().all(|t| t.len() < 20 && (t[0] != b'0' || t.len() == 1)) {
                return Some(Self::Decimal);
            }
            let padded = width < 20 && tokens.all(|t| t.len() == width);
            return padded.then_some(Self::Padded(width as u8));
        }
        let is_hex = |c: &u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let hex = width <= 16 && tokens.all(|t| t.len() == width && t.iter().all(is_hex));
        hex.then_some(Self::Hexadecimal(width as u8))
    }

    fn parse(self, token: &[u8]) -> u64 {
        let radix = if matches!(self, Self::Hexadecimal(_)) { 16 } else { 10 };
        token.iter().fold(0u64, |value, &c| {
            let digit = if c <= b'9' { c.wrapping_sub(b'0') } else { c.wrapping_sub(b'a' - 10) };
            value.wrapping_mul(radix).wrapping_add(u64::from(digit))
        })
    }

    /// Appends the number as text. One that does not fit a fixed width (in a damaged file) loses
    /// its upper digits.
    #[inline]
    fn write(self, mut value: u64, out: &mut Vec<u8>) {
        let mut text = [b'0'; 20];
        let mut start = text.len();
        match self {
            Self::Hexadecimal(width) => {
                for slot in text.iter_mut().rev().take(usize::from(width)) {
                    *slot = b"0123456789abcdef"[(value & 15) as usize];
                    value >>= 4;
                }
                start -= usize::from(width);
            }
            Self::Decimal | Self::Padded(_) => {
                for slot in text.iter_mut().rev() {
                    *slot = b'0' + (value % 10) as u8;
                    value /= 10;
                    start -= 1;
                    if value == 0 {
                        break;
                    }
                }
                if let Self::Padded(width) = self {
                    start = text.len() - usize::from(width);
                }
            }
        }
        out.extend_from_slice(text.get(start..).unwrap_or_default());
    }
}

/// Appends the column of the tokens at `places` of the names' bytes.
pub(super) fn encode(
    names: &[u8],
    places: impl Iterator<Item = Range<u32>> + Clone,
    effort: Effort,
    out: &mut Vec<u8>,
) {
    let tokens = places.map(|p| names.get(p.start as usize..p.end as usize).unwrap_or_default());
    match Format::of(tokens.clone()) {
        Some(format) => {
            let values: Vec<u64> = tokens.map(|t| format.parse(t)).collect();
            encode_numbers(&values, format, effort, out);
        }
        None => encode_texts(tokens, effort, out),
    }
}

fn encode_texts<'a>(
    tokens: impl Iterator<Item = &'a [u8]> + Clone,
    effort: Effort,
    out: &mut Vec<u8>,
) {
    if let Some((list, indices)) = index(tokens.clone()) {
        out.push(TEXT_LIST);
        out.push((list.len() - 1) as u8);
        let mut joined = Vec::new();
        for text in list {
            joined.push(text.len() as u8);
            joined.extend_from_slice(text);
        }
        varint::put(out, joined.len() as u64);
        put_stream(&joined, Nature::Bytes, effort, out);
        put_stream(&indices, Nature::Symbols, effort, out);
        return;
    }
    out.push(TEXTS);
    let lens: Vec<u8> = tokens.clone().map(|t| t.len() as u8).collect();
    let texts: Vec<u8> = tokens.flatten().copied().collect();
    put_stream(&lens, Nature::Symbols, effort, out);
    put_stream(&texts, Nature::Bytes, effort, out);
}

/// The different items, sorted, and the place of each item among them. `None` above 256.
fn index<T: Ord + std::hash::Hash + Copy>(
    items: impl Iterator<Item = T> + Clone,
) -> Option<(Vec<T>, Vec<u8>)> {
    let mut places: HashMap<T, u8> = HashMap::new();
    for item in items.clone() {
        places.entry(item).or_insert(0);
        if places.len() > 256 {
            return None;
        }
    }
    let mut list: Vec<T> = places.keys().copied().collect();
    list.sort_unstable();
    for (place, item) in (0..=255u8).zip(&list) {
        places.insert(*item, place);
    }
    let indices = items.map(|item| places.get(&item).copied().unwrap_or(0)).collect();
    Some((list, indices))
}

/// Bases in which numbers are cut; 100 suits those that are two decimal numbers side by side, such
/// as the tiles of a flow cell.
const BASES: [u64; 2] = [256, 100];

/// Appends a column of numbers in the form that counts say is smallest.
pub(super) fn encode_numbers(values: &[u64], format: Format, effort: Effort, out: &mut Vec<u8>) {
    let mut best = (u64::MAX, NUMBERS, Digits::default());
    for base in BASES {
        let digits = Digits::of(values, base);
        let bits = digits.estimate();
        if bits < best.0 {
            best = (bits, NUMBERS, digits);
        }
    }
    let mut previous = 0;
    let differences: Vec<u64> = values
        .iter()
        .map(|&value| {
            let difference = (value as i64).wrapping_sub(previous);
            previous = value as i64;
            varint::zigzag(difference)
        })
        .collect();
    let digits = Digits::of(&differences, BASES[0]);
    let bits = digits.estimate();
    if bits < best.0 {
        best = (bits, DIFFERENCES, digits);
    }
    if let Some((list, indices)) = index(values.iter().copied()) {
        let list_bits = 12 * list.len() as u64;
        if list_bits + entropy::bits(&entropy::histogram(&indices)) < best.0 {
            out.push(NUMBER_LIST);
            format.put(out);
            out.push((list.len() - 1) as u8);
            let mut steps = Vec::new();
            let mut previous = 0;
            for value in list {
                varint::put(&mut steps, value - previous);
                previous = value;
            }
            varint::put(out, steps.len() as u64);
            put_stream(&steps, Nature::Bytes, effort, out);
            put_stream(&indices, Nature::Symbols, effort, out);
            return;
        }
    }
    let (_, kind, digits) = best;
    out.push(kind);
    format.put(out);
    out.push(digits.base as u8); // 256 is written as 0.
    out.push(digits.planes.len() as u8);
    for plane in &digits.planes {
        put_stream(plane, Nature::Symbols, effort, out);
    }
}

/// Numbers cut in digits of a base: a plane for each digit, the lowest first.
#[derive(Default)]
struct Digits {
    base: u64,
    planes: Vec<Vec<u8>>,
}

impl Digits {
    fn of(values: &[u64], base: u64) -> Self {
        let mut planes = Vec::new();
        let mut largest = values.iter().copied().max().unwrap_or(0);
        let mut rest = values.to_vec();
        while largest > 0 {
            let plane = if base == 256 {
                rest.iter_mut()
                    .map(|v| {
                        let digit = *v as u8;
                        *v >>= 8;
                        digit
                    })
                    .collect()
            } else {
                rest.iter_mut()
                    .map(|v| {
                        let digit = (*v % 100) as u8;
                        *v /= 100;
                        digit
                    })
                    .collect()
            };
            planes.push(plane);
            largest /= base;
        }
        Self { base, planes }
    }

    /// Estimated size in bits.
    fn estimate(&self) -> u64 {
        self.planes
            .iter()
            .map(|plane| {
                let counts = entropy::histogram(plane);
                let symbols = counts.iter().filter(|&&c| c > 0).count() as u64;
                32 + (entropy::bits(&counts) + 8 * symbols).min(8 * plane.len() as u64)
            })
            .sum()
    }
}

/// A decoded column, ready to be written token by token.
pub(super) enum Column {
    /// Numbers and how to write them.
    Numbers(Vec<u64>, Format),
    /// Texts end to end, and where each ends.
    Texts(Vec<u8>, Vec<u32>),
    /// Few texts, where each ends, and which of them each row has.
    List(Vec<u8>, Vec<u32>, Vec<u8>),
}

impl Column {
    /// Reads a column of `rows` tokens whose texts have at most `limit` bytes together.
    pub(super) fn read(bytes: &mut &[u8], rows: usize, limit: usize) -> Result<Self> {
        match take_u8(bytes)? {
            TEXTS => {
                let lens = take_stream(bytes, rows)?;
                let ends = ends_of(&lens);
                let total = ends.last().map_or(0, |&end| end as usize);
                if total > limit {
                    return Err(too_long());
                }
                Ok(Self::Texts(take_stream(bytes, total)?, ends))
            }
            TEXT_LIST => {
                let count = usize::from(take_u8(bytes)?) + 1;
                let joined_len = varint::take_len(bytes, 256 * count)?;
                let joined = take_stream(bytes, joined_len)?;
                let (mut texts, mut ends) = (Vec::new(), Vec::new());
                let mut rest = joined.as_slice();
                for _ in 0..count {
                    let len = usize::from(take_u8(&mut rest)?);
                    texts.extend_from_slice(take_slice(&mut rest, len)?);
                    ends.push(texts.len() as u32);
                }
                Self::list(bytes, rows, texts, ends)
            }
            NUMBER_LIST => {
                let format = Format::take(bytes)?;
                let count = usize::from(take_u8(bytes)?) + 1;
                let steps_len = varint::take_len(bytes, varint::MAX_LEN * count)?;
                let steps = take_stream(bytes, steps_len)?;
                let (mut texts, mut ends) = (Vec::new(), Vec::new());
                let mut rest = steps.as_slice();
                let mut value = 0u64;
                for _ in 0..count {
                    value = value.wrapping_add(varint::take(&mut rest)?);
                    format.write(value, &mut texts);
                    ends.push(texts.len() as u32);
                }
                Self::list(bytes, rows, texts, ends)
            }
            kind @ (NUMBERS | DIFFERENCES) => {
                let format = Format::take(bytes)?;
                let mut values = take_numbers(bytes, rows)?;
                if kind == DIFFERENCES {
                    let mut previous = 0i64;
                    for value in &mut values {
                        previous = previous.wrapping_add(varint::unzigzag(*value));
                        *value = previous as u64;
                    }
                }
                Ok(Self::Numbers(values, format))
            }
            other => Err(Error::corrupt("unknown kind of column in names").found(other)),
        }
    }

    fn list(bytes: &mut &[u8], rows: usize, texts: Vec<u8>, ends: Vec<u32>) -> Result<Self> {
        let indices = take_stream(bytes, rows)?;
        if indices.iter().any(|&index| usize::from(index) >= ends.len()) {
            return Err(Error::corrupt("index passes the end of a list of tokens")
                .expected(format_args!("less than {}", ends.len())));
        }
        Ok(Self::List(texts, ends, indices))
    }

    /// The text of every row, where all have the same.
    pub(super) fn constant(&self) -> Option<&[u8]> {
        match self {
            Self::List(texts, ends, _) if ends.len() == 1 => Some(texts),
            _ => None,
        }
    }

    /// Appends the token of a row.
    #[inline]
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Numbers(values, format) => {
                format.write(values.get(row).copied().unwrap_or(0), out);
            }
            Self::Texts(texts, ends) => out.extend_from_slice(part(texts, ends, row)),
            Self::List(texts, ends, indices) => {
                let index = usize::from(indices.get(row).copied().unwrap_or(0));
                out.extend_from_slice(part(texts, ends, index));
            }
        }
    }

    /// The numbers of a column that was written by [`encode_numbers`].
    pub(super) fn into_numbers(self) -> Result<Vec<u64>> {
        match self {
            Self::Numbers(values, _) => Ok(values),
            Self::List(texts, ends, indices) => {
                let parse = |&i: &u8| Format::Decimal.parse(part(&texts, &ends, usize::from(i)));
                Ok(indices.iter().map(parse).collect())
            }
            Self::Texts(..) => Err(Error::corrupt("column of names holds texts, not numbers")),
        }
    }
}

fn take_numbers(bytes: &mut &[u8], rows: usize) -> Result<Vec<u64>> {
    let base = match take_u8(bytes)? {
        0 => 256,
        base => u64::from(base),
    };
    let planes = take_u8(bytes)?;
    if planes > 10 {
        return Err(Error::corrupt("numbers in names have too many digits").found(planes));
    }
    let mut values = vec![0u64; rows];
    let mut unit = 1u64;
    for _ in 0..planes {
        let plane = take_stream(bytes, rows)?;
        for (value, digit) in values.iter_mut().zip(plane) {
            *value = value.wrapping_add(unit.wrapping_mul(u64::from(digit)));
        }
        unit = unit.wrapping_mul(base);
    }
    Ok(values)
}

#[inline]
fn part<'a>(texts: &'a [u8], ends: &[u32], i: usize) -> &'a [u8] {
    let start = if i == 0 { 0 } else { ends.get(i - 1).copied().unwrap_or(0) };
    let end = ends.get(i).copied().unwrap_or(start);
    texts.get(start as usize..end as usize).unwrap_or_default()
}

fn ends_of(lens: &[u8]) -> Vec<u32> {
    let mut end = 0u32;
    lens.iter()
        .map(|&len| {
            end = end.saturating_add(u32::from(len));
            end
        })
        .collect()
}

fn too_long() -> Error {
    Error::corrupt("texts of names are longer than the names")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(tokens: &[&str]) -> u8 {
        let names: Vec<u8> = tokens.concat().into_bytes();
        let mut at = 0;
        let places: Vec<Range<u32>> = tokens
            .iter()
            .map(|t| {
                at += t.len() as u32;
                at - t.len() as u32..at
            })
            .collect();
        let mut bytes = Vec::new();
        encode(&names, places.iter().cloned(), Effort::Default, &mut bytes);
        let mut rest = bytes.as_slice();
        let column = Column::read(&mut rest, tokens.len(), names.len()).unwrap();
        assert!(rest.is_empty());
        let mut out = Vec::new();
        (0..tokens.len()).for_each(|row| column.write(row, &mut out));
        assert_eq!(out, names);
        bytes[0]
    }

    #[test]
    fn test_column_kinds_round_trip() {
        let scattered = |i: u64| (i * i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
        let many: Vec<String> = (0..5000).map(|i| (scattered(i) % 99_991).to_string()).collect();
        let rising: Vec<String> = (0..5000u64).map(|i| (i * 1003 + i % 3).to_string()).collect();
        let padded: Vec<String> =
            (0..5000).map(|i| format!("{:07}", scattered(i) % 99_991)).collect();
        let hex: Vec<String> = (0..500).map(|i| format!("{:012x}", scattered(i))).collect();
        let huge: Vec<String> = (0..400).map(|i| format!("{i}{}", "9".repeat(25))).collect();
        fn refs(tokens: &[String]) -> Vec<&str> {
            tokens.iter().map(String::as_str).collect()
        }
        assert_eq!(round_trip(&refs(&many)), NUMBERS);
        assert_eq!(round_trip(&refs(&rising)), DIFFERENCES);
        assert_eq!(round_trip(&refs(&padded)), NUMBERS);
        assert_eq!(round_trip(&refs(&hex)), NUMBERS);
        assert_eq!(round_trip(&refs(&huge)), TEXTS);
        assert_eq!(round_trip(&["1101"; 40]), NUMBER_LIST);
        assert_eq!(round_trip(&["HISEQ", "NEXT", "HISEQ"]), TEXT_LIST);
        round_trip(&["0"]);
        round_trip(&["9999999999999999999", "0", "1"]);
        round_trip(&["ffffffffffffffff", "0000000000000000"]);
    }
}
