//! Read names: split in tokens, the tokens of one place stored together.
//!
//! The idea is that of the name tokeniser of the CRAM 3.1 codecs; the form is our own. Names that
//! share a template (the same words around their numbers) make a table whose columns are numbers or texts, and each
//! column is coded by itself. Names seen before are given by their distance, names without a
//! template verbatim. Any bytes are kept exactly.

mod column;
mod template;

use ahash::{HashMap, HashMapExt as _};
use std::ops::Range;

use super::bytes::{take_slice, take_u8};
use super::{Effort, Nature, varint};
use crate::error::{Error, Result};
use column::{Column, Format, encode_numbers, put_stream, take_stream};
use template::{Group, Grouping, Split, is_placeholder, width};

/// Kind of a name that is stored as it is.
const VERBATIM: u8 = 0;
/// Kind of a name that occurred before.
const REPEATED: u8 = 1;
/// Kind of the first template's names.
const FIRST_TEMPLATE: u8 = 2;
/// Most templates of one stream; names of others are stored as they are.
const MAX_TEMPLATES: usize = 200;
/// Names that make a template worth its columns.
const MIN_ROWS: usize = 4;
/// Below this number of names, columns may cost more than they save.
const FEW: usize = 1000;

/// Codes names that follow one another in `names` and have `lens` bytes each.
///
/// ```
/// use genomic_objects::codec::{Effort, names};
///
/// let all = b"run7:1:1101:100run7:1:1101:217*";
/// let bytes = names::encode(all, &[15, 15, 1], Effort::Default);
/// assert_eq!(names::decode(&bytes, 3, all.len())?, (all.to_vec(), vec![15, 15, 1]));
/// # Ok::<(), genomic_objects::Error>(())
/// ```
pub fn encode(names: &[u8], lens: &[u32], effort: Effort) -> Vec<u8> {
    let places = places(lens);
    let split = |split| encode_split(names, &places, split, effort);
    match split(Split::LettersFromDigits).or_else(|TooVaried| split(Split::Words)) {
        Ok(bytes) if lens.len() >= FEW => bytes,
        Ok(bytes) => {
            let verbatim = encode_verbatim(names, &places, effort);
            if verbatim.len() < bytes.len() { verbatim } else { bytes }
        }
        Err(TooVaried) => encode_verbatim(names, &places, effort),
    }
}

/// Codes names that each end in NUL: their number, then as [`encode`]; `None` where one does not end
/// so.
pub fn encode_list(list: &[u8], effort: Effort) -> Option<Vec<u8>> {
    let (mut names, mut lens) = (Vec::with_capacity(list.len()), Vec::new());
    for name in list.split_inclusive(|&byte| byte == 0) {
        let (&0, name) = name.split_last()? else { return None };
        names.extend_from_slice(name);
        lens.push(u32::try_from(name.len()).ok()?);
    }
    let mut out = Vec::new();
    varint::put(&mut out, lens.len() as u64);
    out.extend_from_slice(&encode(&names, &lens, effort));
    Some(out)
}

/// The inverse of [`encode_list`].
///
/// # Errors
/// As [`decode`].
pub fn decode_list(mut bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let count = varint::take_len(&mut bytes, raw_len)?;
    let (names, lens) = decode(bytes, count, raw_len - count)?;
    let mut list = Vec::with_capacity(raw_len);
    let mut rest = names.as_slice();
    for len in lens {
        list.extend_from_slice(take_slice(&mut rest, len as usize)?);
        list.push(0);
    }
    if list.len() != raw_len {
        return Err(Error::corrupt("names have another length")
            .expected(raw_len)
            .found(list.len()));
    }
    Ok(list)
}

/// Most names have a template of their own.
struct TooVaried;

fn places(lens: &[u32]) -> Vec<Range<usize>> {
    let mut start = 0;
    lens.iter()
        .map(|&len| {
            let place = start..start + len as usize;
            start = place.end;
            place
        })
        .collect()
}

fn encode_split(
    names: &[u8],
    places: &[Range<usize>],
    split: Split,
    effort: Effort,
) -> Result<Vec<u8>, TooVaried> {
    let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(places.len());
    let mut distances = Vec::new();
    let mut grouping = Grouping::new(split);
    // The group of each name; None for verbatim, and for repeated ones, which `repeated` marks.
    let mut group_of = Vec::with_capacity(places.len());
    let mut repeated = vec![false; places.len()];
    for (i, place) in places.iter().enumerate() {
        let name = names.get(place.clone()).unwrap_or_default();
        if let Some(earlier) = seen.insert(name, i) {
            distances.push((i - earlier) as u64);
            repeated[i] = true;
            group_of.push(None);
            continue;
        }
        group_of.push(grouping.add(names, place.clone()));
    }

    let new_names = places.len() - distances.len();
    let chosen: Vec<usize> = (0..grouping.groups.len())
        .filter(|&g| grouping.groups[g].rows >= MIN_ROWS.min(new_names))
        .take(MAX_TEMPLATES)
        .collect();
    let covered: usize = chosen.iter().map(|&g| grouping.groups[g].rows).sum();
    if covered * 4 < new_names * 3 {
        return Err(TooVaried);
    }
    let mut kind_of_group = vec![VERBATIM; grouping.groups.len()];
    for (kind, &group) in (FIRST_TEMPLATE..).zip(&chosen) {
        kind_of_group[group] = kind;
    }
    let kinds: Vec<u8> = group_of
        .iter()
        .zip(&repeated)
        .map(|(group, &repeated)| match group {
            _ if repeated => REPEATED,
            Some(group) => kind_of_group[*group],
            None => VERBATIM,
        })
        .collect();

    let groups: Vec<&Group> = chosen.iter().map(|&g| &grouping.groups[g]).collect();
    let mut out = Vec::new();
    put_head(&kinds, &groups, effort, &mut out);
    if !distances.is_empty() {
        encode_numbers(&distances, Format::Decimal, effort, &mut out);
    }
    put_verbatim(names, places, &kinds, effort, &mut out);
    for group in groups {
        let width = group.width();
        for column in 0..width {
            let places = group.tokens.iter().skip(column).step_by(width).cloned();
            column::encode(names, places, effort, &mut out);
        }
    }
    Ok(out)
}

fn encode_verbatim(names: &[u8], places: &[Range<usize>], effort: Effort) -> Vec<u8> {
    let mut out = Vec::new();
    let kinds = vec![VERBATIM; places.len()];
    put_head(&kinds, &[], effort, &mut out);
    put_verbatim(names, places, &kinds, effort, &mut out);
    out
}

/// Appends templates and the kind of each name.
fn put_head(kinds: &[u8], groups: &[&Group], effort: Effort, out: &mut Vec<u8>) {
    out.push(groups.len() as u8);
    for group in groups {
        out.push(group.template.len() as u8);
        out.extend_from_slice(&group.template);
    }
    put_stream(kinds, Nature::Symbols, effort, out);
}

fn put_verbatim(
    names: &[u8],
    places: &[Range<usize>],
    kinds: &[u8],
    effort: Effort,
    out: &mut Vec<u8>,
) {
    if !kinds.contains(&VERBATIM) {
        return;
    }
    let (mut lens, mut texts) = (Vec::new(), Vec::new());
    for (place, _) in places.iter().zip(kinds).filter(|&(_, &kind)| kind == VERBATIM) {
        varint::put(&mut lens, place.len() as u64);
        texts.extend_from_slice(names.get(place.clone()).unwrap_or_default());
    }
    varint::put(out, lens.len() as u64);
    put_stream(&lens, Nature::Symbols, effort, out);
    put_stream(&texts, Nature::Text, effort, out);
}

/// The names and their lengths; there are `count`, with `raw_len` bytes together. The caller
/// bounds both.
///
/// # Errors
/// `Corrupt` when the bytes cannot be what [`encode`] wrote for names of that number and length.
pub fn decode(bytes: &[u8], count: usize, raw_len: usize) -> Result<(Vec<u8>, Vec<u32>)> {
    super::check_expansion(bytes.len(), raw_len)?;
    let mut bytes = bytes;
    let mut templates = Vec::new();
    for _ in 0..take_u8(&mut bytes)? {
        let len = usize::from(take_u8(&mut bytes)?);
        templates.push(take_slice(&mut bytes, len)?);
    }
    let kinds = take_stream(&mut bytes, count)?;
    let mut rows = [0usize; 256];
    kinds.iter().for_each(|&kind| rows[usize::from(kind)] += 1);

    let distances = match rows[usize::from(REPEATED)] {
        0 => Vec::new(),
        repeated => Column::read(&mut bytes, repeated, 0)?.into_numbers()?,
    };
    let verbatim = Verbatim::read(&mut bytes, rows[usize::from(VERBATIM)], raw_len)?;
    let mut tables = Vec::with_capacity(templates.len());
    let mut least = 0;
    for (template, &rows) in templates.iter().zip(&rows[usize::from(FIRST_TEMPLATE)..]) {
        // Every character of a template stands for at least one of each name.
        least += rows * template.len();
        if least > raw_len {
            return Err(Error::corrupt("names are longer than declared").expected(raw_len));
        }
        tables.push(Table::read(&mut bytes, template, rows, raw_len)?);
    }
    if !bytes.is_empty() {
        return Err(Error::corrupt("bytes are left after the names").found(bytes.len()));
    }
    assemble(&kinds, &distances, verbatim, tables, raw_len)
}

fn assemble(
    kinds: &[u8],
    distances: &[u64],
    mut verbatim: Verbatim,
    mut tables: Vec<Table>,
    raw_len: usize,
) -> Result<(Vec<u8>, Vec<u32>)> {
    let mut names = Vec::with_capacity(raw_len);
    let mut ends: Vec<usize> = Vec::with_capacity(kinds.len());
    let mut lens = Vec::with_capacity(kinds.len());
    let mut distances = distances.iter();
    for (i, &kind) in kinds.iter().enumerate() {
        let start = names.len();
        match kind {
            VERBATIM => names.extend_from_slice(verbatim.next()?),
            REPEATED => {
                let distance = distances.next().copied().unwrap_or(0);
                let earlier = usize::try_from(distance)
                    .ok()
                    .filter(|&d| d > 0)
                    .and_then(|d| i.checked_sub(d))
                    .ok_or_else(|| Error::corrupt("repeated name precedes the first name"))?;
                let from = if earlier == 0 { 0 } else { ends[earlier - 1] };
                if names.len() + (ends[earlier] - from) <= raw_len {
                    names.extend_from_within(from..ends[earlier]);
                }
            }
            template => tables
                .get_mut(usize::from(template - FIRST_TEMPLATE))
                .ok_or_else(|| Error::corrupt("name has an unknown template").found(template))?
                .write_next(&mut names),
        }
        if names.len() > raw_len {
            return Err(Error::corrupt("names are longer than declared").expected(raw_len));
        }
        ends.push(names.len());
        lens.push((names.len() - start) as u32);
    }
    if names.len() != raw_len {
        return Err(Error::corrupt("names have another length than declared")
            .expected(raw_len)
            .found(names.len()));
    }
    Ok((names, lens))
}

/// Names stored as they are.
struct Verbatim {
    lens: Vec<usize>,
    texts: Vec<u8>,
    next: usize,
    start: usize,
}

impl Verbatim {
    fn read(bytes: &mut &[u8], rows: usize, limit: usize) -> Result<Self> {
        let mut verbatim = Self { lens: Vec::new(), texts: Vec::new(), next: 0, start: 0 };
        if rows == 0 {
            return Ok(verbatim);
        }
        let lens_len = varint::take_len(bytes, rows.saturating_mul(varint::MAX_LEN))?;
        let lens = take_stream(bytes, lens_len)?;
        let mut rest = lens.as_slice();
        let mut total = 0;
        for _ in 0..rows {
            let len = varint::take_len(&mut rest, limit - total)?;
            total += len;
            verbatim.lens.push(len);
        }
        verbatim.texts = take_stream(bytes, total)?;
        Ok(verbatim)
    }

    fn next(&mut self) -> Result<&[u8]> {
        let len = self.lens.get(self.next).copied().unwrap_or(0);
        let text = self.texts.get(self.start..self.start + len);
        self.next += 1;
        self.start += len;
        text.ok_or_else(|| Error::internal("verbatim names are out of step"))
    }
}

/// The names of one template.
struct Table {
    parts: Vec<Part>,
    next: usize,
}

/// A stretch of a name: the same in every row, or a column's token.
enum Part {
    Same(Vec<u8>),
    Token(Column),
}

impl Table {
    fn read(bytes: &mut &[u8], template: &[u8], rows: usize, limit: usize) -> Result<Self> {
        let mut parts: Vec<Part> = Vec::with_capacity(2 * width(template));
        let mut same = Vec::new();
        for &character in template {
            if !is_placeholder(character) {
                same.push(character);
                continue;
            }
            let column = Column::read(bytes, rows, limit)?;
            if let Some(text) = column.constant() {
                same.extend_from_slice(text);
                continue;
            }
            if !same.is_empty() {
                parts.push(Part::Same(std::mem::take(&mut same)));
            }
            parts.push(Part::Token(column));
        }
        if !same.is_empty() {
            parts.push(Part::Same(same));
        }
        Ok(Self { parts, next: 0 })
    }

    fn write_next(&mut self, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Same(text) => out.extend_from_slice(text),
                Part::Token(column) => column.write(self.next, out),
            }
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests;
