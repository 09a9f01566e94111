//! Reads in columns, between text and chunks.

use super::quality::Quality;
use crate::error::{Error, Result};
use crate::records::reads::{Framed, Parts, Style};

/// Texts that follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<u32>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize)
    }

    fn end(&self, index: usize) -> usize {
        self.ends.get(index).map_or(0, |&end| end as usize)
    }

    /// A text; empty where the texts were not asked for.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        self.bytes.get(self.start(index)..self.end(index)).unwrap_or_default()
    }
}

/// Parts of reads that a reader may do without. Lengths are always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields(u8);

impl Fields {
    /// Lengths only.
    pub const LENGTHS: Self = Self(0);
    /// Names.
    pub const NAMES: Self = Self(1);
    /// What follows names.
    pub const DESCRIPTIONS: Self = Self(2);
    /// Bases.
    pub const BASES: Self = Self(4);
    /// Qualities.
    pub const QUALITIES: Self = Self(8);
    /// What is said of qualities, where it is stored.
    pub const SCORES: Self = Self(16);
    /// Records that the style does not write as they were.
    pub const EXACT: Self = Self(32);
    /// All that a record's text consists of.
    pub const TEXT: Self = Self(1 | 2 | 4 | 8 | 32);

    /// These and those.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are among these.
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// Texts that are few among the rows.
pub(super) type Sparse = Vec<(u32, Vec<u8>)>;

/// One read of each row: the first or the second of a pair, or the only one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mate {
    /// Bases; ends of qualities are the same.
    pub(super) bases: Texts,
    /// Qualities as FASTQ writes them; empty for FASTA.
    pub(super) qualities: Vec<u8>,
    /// Records that the style does not write as they were.
    pub(super) exact: Sparse,
    /// What is said of the qualities, where it was read and not they.
    pub(super) scores: Vec<Option<Quality>>,
}

/// Reads in columns. A row is a read, or the two reads of a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub(super) rows: usize,
    pub(super) names: Texts,
    /// Empty texts for rows without one.
    pub(super) descriptions: Texts,
    pub(super) has_description: Vec<bool>,
    /// Descriptions of second reads that do not follow from those of the first.
    pub(super) second_descriptions: Sparse,
    pub(super) mates: Vec<Mate>,
    pub(super) styles: Vec<Style>,
    /// The numbers of the rows, where they do not follow one another.
    pub(super) numbers: Vec<u64>,
}

/// The last character of names of second reads, where first ones end in `/1`.
fn second_name(name: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(name);
    if name.ends_with(b"/1")
        && let Some(last) = out.last_mut()
    {
        *last = b'2';
    }
}

/// What describes a second read unless something else is kept: `1:N:0:…` becomes `2:N:0:…`.
fn second_description(description: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(description);
    if out.first() == Some(&b'1') {
        out[0] = b'2';
    }
}

/// A name without `/1` or `/2` at its end.
pub(super) fn stem(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"/1").or_else(|| name.strip_suffix(b"/2")).unwrap_or(name)
}

impl Batch {
    /// Takes framed records apart: one file, or the two of pairs.
    pub(super) fn parse(framed: &[Framed], styles: &[Style]) -> Result<Self> {
        let rows = framed.first().map_or(0, |first| first.frames.len());
        let mut batch = Self { rows, styles: styles.to_vec(), ..Self::default() };
        let (mut joined, mut scratch) = ([Vec::new(), Vec::new()], Vec::new());
        for (number, (file, style)) in framed.iter().zip(styles).enumerate() {
            let mut mate = Mate::default();
            let bases: usize = file.frames.iter().map(|frame| frame.length as usize).sum();
            mate.bases.bytes.reserve(bases);
            mate.bases.ends.reserve(rows);
            if !style.fasta {
                mate.qualities.reserve(bases);
            }
            for index in 0..file.frames.len() {
                let (parts, mut is_exact) = style.parse(file, index, &mut joined, &mut scratch)?;
                let frame = &file.frames[index];
                if std::str::from_utf8(&file.text[frame.start as usize..frame.header_end as usize])
                    .is_err()
                {
                    let error = Error::input("a read's name is no UTF-8")
                        .help("rename this read: names are text in Arrow");
                    return Err(file.error(index, frame.start, error));
                }
                mate.bases.push(parts.bases);
                mate.qualities.extend_from_slice(parts.qualities);
                if number == 0 {
                    batch.names.push(parts.name);
                    batch.descriptions.push(parts.description.unwrap_or_default());
                    batch.has_description.push(parts.description.is_some());
                } else {
                    is_exact &= batch.pair(file, index, &parts, &mut scratch)?;
                }
                if !is_exact {
                    let text = file.text[frame.start as usize..frame.end as usize].to_vec();
                    mate.exact.push((index as u32, text));
                }
            }
            batch.mates.push(mate);
        }
        Ok(batch)
    }

    /// Compares a second read with its first; whether its header follows from what is kept.
    fn pair(
        &mut self,
        file: &Framed,
        index: usize,
        parts: &Parts<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<bool> {
        let name = self.names.get(index);
        if stem(name) != stem(parts.name) {
            let error = Error::input("the reads of a pair have different names")
                .expected(format!("{:?}, as the first read", String::from_utf8_lossy(name)))
                .found(format!("{:?}", String::from_utf8_lossy(parts.name)))
                .help("both files must have the same reads in the same order: repair them");
            return Err(file.error(index, file.frames[index].start, error));
        }
        second_name(name, scratch);
        let mut follows = *scratch == parts.name;
        match (self.has_description[index], parts.description) {
            (true, Some(description)) => {
                second_description(self.descriptions.get(index), scratch);
                if *scratch != description {
                    self.second_descriptions.push((index as u32, description.to_vec()));
                }
            }
            (false, None) => {}
            (_, description) => {
                follows = false;
                let text = description.unwrap_or_default();
                self.second_descriptions.push((index as u32, text.to_vec()));
            }
        }
        Ok(follows)
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many reads a row has.
    pub fn mates(&self) -> usize {
        self.mates.len()
    }

    /// Bases of a read.
    pub fn length(&self, row: usize, mate: usize) -> usize {
        let bases = &self.mates[mate].bases;
        bases.end(row) - bases.start(row)
    }

    /// Qualities of a read, as FASTQ writes them.
    pub fn qualities(&self, row: usize, mate: usize) -> &[u8] {
        let mate = &self.mates[mate];
        mate.qualities.get(mate.bases.start(row)..mate.bases.end(row)).unwrap_or_default()
    }

    /// What is said of a read's qualities; `None` where there are none.
    pub fn quality(&self, row: usize, mate: usize) -> Option<Quality> {
        match self.mates[mate].scores.get(row) {
            Some(score) => *score,
            None => Quality::of(self.qualities(row, mate)).map(|(quality, _)| quality),
        }
    }

    /// A read's parts; `scratch` holds what is derived for a second read.
    pub fn parts<'a>(
        &'a self,
        row: usize,
        mate: usize,
        scratch: &'a mut [Vec<u8>; 2],
    ) -> Parts<'a> {
        let [name, text] = scratch;
        let bases = self.mates[mate].bases.get(row);
        let qualities = self.qualities(row, mate);
        let has_description = self.has_description.get(row) == Some(&true);
        let description = has_description.then(|| self.descriptions.get(row));
        if mate == 0 {
            return Parts { name: self.names.get(row), description, bases, qualities };
        }
        second_name(self.names.get(row), name);
        let kept = self.second_descriptions.binary_search_by_key(&(row as u32), |(at, _)| *at);
        let description = match (kept, description) {
            (Ok(at), _) => Some(self.second_descriptions[at].1.as_slice()),
            (Err(_), Some(description)) => {
                second_description(description, text);
                Some(text.as_slice())
            }
            (Err(_), None) => None,
        };
        Parts { name, description, bases, qualities }
    }

    /// Writes a read as it was in its file.
    pub fn push_text(
        &self,
        row: usize,
        mate: usize,
        scratch: &mut [Vec<u8>; 2],
        out: &mut Vec<u8>,
    ) {
        let exact = &self.mates[mate].exact;
        if !exact.is_empty()
            && let Ok(at) = exact.binary_search_by_key(&(row as u32), |(at, _)| *at)
        {
            out.extend_from_slice(&exact[at].1);
            return;
        }
        let style = self.styles[mate];
        style.push(&self.parts(row, mate, scratch), out);
    }

    /// Writes all reads of one mate as they were in their file.
    pub fn push_file(&self, mate: usize, out: &mut Vec<u8>) {
        let mut scratch = [Vec::new(), Vec::new()];
        let bytes = self.mates[mate].bases.bytes.len() * 2 + self.names.bytes.len() * 2;
        out.reserve(bytes + self.descriptions.bytes.len() * 2 + self.rows() * 8);
        let mut exact = self.mates[mate].exact.iter().peekable();
        let style = self.styles[mate];
        for row in 0..self.rows() {
            match exact.next_if(|(at, _)| *at as usize == row) {
                Some((_, text)) => out.extend_from_slice(text),
                None => style.push(&self.parts(row, mate, &mut scratch), out),
            }
        }
    }

    /// The digest of what [`push_file`](Self::push_file) writes: its CRC-32C, and its length modulo
    /// 2^32. It guards against conversions that go wrong; chunks have SHA-256 against the rest.
    pub(super) fn digest(text: &[u8]) -> [u8; 8] {
        let mut digest = [0; 8];
        digest[..4].copy_from_slice(&crc32c::crc32c(text).to_le_bytes());
        digest[4..].copy_from_slice(&(text.len() as u32).to_le_bytes());
        digest
    }
}
