//! Tags: which ones a record has is chosen from a list; the values of each tag are a stream.
//!
//! `MD`, `NM`, `MC` and `MQ` are left out, or stored as a difference from zero, where they follow
//! from the alignment or from the linked mate.

use std::collections::BTreeMap;

use ahash::{HashMap, HashMapExt as _};

use super::codes::Bases;
use super::core::{Core, long_cigar_is_last};
use super::mates::Links;
use super::md;
use super::reference::Reference;
use super::series::{self, Series, StreamsIn, StreamsOut, TAG_DERIVED, TAG_EXTRA, TAG_VALUES};
use super::text::{TextReader, TextWriter};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::codec::{Effort, Nature};
use crate::error::{Error, Result};
use crate::records::alignments::fields::TagNames;
use crate::records::alignments::record::CIGAR_LETTERS;
use crate::records::alignments::{CigarOp, Record, Tag};

/// Set in a kind to mean an array of values of that kind.
const ARRAY: u8 = 0x80;

/// What predictions are made from. Without `alignment`, `MD` and `NM` cannot be told.
pub(super) struct Basis<'a> {
    pub(super) core: &'a Core,
    pub(super) links: &'a Links,
    pub(super) mapq: &'a [u8],
    pub(super) alignment: Option<Alignment<'a>>,
}

/// Read bases against the reference.
pub(super) struct Alignment<'a> {
    pub(super) bases: &'a Bases,
    pub(super) reference: &'a Reference,
    /// How many aligned bases of each record differ.
    pub(super) differing: &'a [u32],
}

impl Basis<'_> {
    /// The value that an integer tag of record `index` probably has.
    fn expected_int(&self, name: [u8; 2], index: usize) -> i64 {
        match &name {
            b"NM" if self.core.is_aligned(index) => {
                self.alignment.as_ref().map_or(0, |alignment| {
                    let gaps =
                        self.core.cigar(index).iter().filter(|op| matches!(op.code(), 1 | 2));
                    let gaps: i64 = gaps.map(|op| i64::from(op.len())).sum();
                    gaps + i64::from(alignment.differing[index])
                })
            }
            b"MQ" => self.links.mate(index).map_or(0, |mate| i64::from(self.mapq[mate])),
            _ => 0,
        }
    }

    /// Appends the text that a tag of record `index` should have; `false` where none follows.
    fn derive_text(&self, name: [u8; 2], index: usize, out: &mut Vec<u8>) -> bool {
        match (&name, &self.alignment) {
            (b"MD", Some(a)) => md::derive(self.core, index, a.bases.of(index), a.reference, out),
            (b"MC", _) => self.links.mate(index).is_some_and(|mate| {
                put_cigar_text(self.core.cigar(mate), out);
                true
            }),
            _ => false,
        }
    }
}

/// Whether values of this tag may be derived; others have no stream of derivations.
fn is_derivable(name: [u8; 2], kind: u8) -> bool {
    kind == b'Z' && matches!(&name, b"MD" | b"MC")
}

/// Whether values of this integer tag are stored as differences from an expectation.
fn is_expected(name: [u8; 2]) -> bool {
    matches!(&name, b"NM" | b"MQ")
}

fn put_cigar_text(ops: &[CigarOp], out: &mut Vec<u8>) {
    if ops.is_empty() {
        out.push(b'*');
    }
    for op in ops {
        md::put_number(out, u64::from(op.len()));
        out.push(CIGAR_LETTERS[usize::from(op.code().min(8))]);
    }
}

/// The kind of a tag in lists and series: its type, or for arrays their elements' with [`ARRAY`].
fn kind_of(tag: &Tag<'_>) -> u8 {
    if tag.kind == b'B' { tag.value[0] | ARRAY } else { tag.kind }
}

/// Bytes of one value of a kind of fixed width.
fn width_of(kind: u8) -> Option<usize> {
    match kind {
        b'A' | b'c' | b'C' => Some(1),
        b's' | b'S' => Some(2),
        b'i' | b'I' | b'f' => Some(4),
        _ => None,
    }
}

/// What is known of a stream of tag values: numbers of fixed width are stored as they are.
pub(super) fn nature_of(series: Series) -> Nature {
    let kind = series.tag[2];
    match width_of(kind & !ARRAY) {
        Some(width)
            if series.id == TAG_VALUES && width > 1 && (kind & ARRAY != 0 || kind == b'f') =>
        {
            Nature::Numbers(width as u8)
        }
        _ => Nature::Bytes,
    }
}

/// The streams of one tag and kind while they are written.
#[derive(Default)]
struct ValuesOut<'a> {
    values: Vec<u8>,
    extra: Vec<u8>,
    derived: Vec<u8>,
    text: TextWriter<'a>,
}

/// Writes the streams of all tags.
pub(super) fn encode(
    records: &[Record<'_>],
    basis: &Basis<'_>,
    effort: Effort,
    out: &mut StreamsOut,
) -> Result<()> {
    let mut lists: HashMap<Vec<u8>, u64> = HashMap::new();
    let (mut lists_out, mut choices) = (Vec::new(), Vec::new());
    let mut streams = Vec::new();
    let mut places: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    let (mut list, mut scratch) = (Vec::new(), Vec::new());
    // The streams of the record before, which most records share in the same order.
    let mut usual: Vec<([u8; 3], usize)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        list.clear();
        let stored = match long_cigar_is_last(record) {
            true => record.tags().count() - 1,
            false => usize::MAX,
        };
        for (nth, tag) in record.tags().take(stored).enumerate() {
            let key = [tag.name[0], tag.name[1], kind_of(&tag)];
            list.extend_from_slice(&key);
            let place = match usual.get(nth) {
                Some(&(usual, place)) if usual == key => place,
                _ => {
                    let place = *places.entry(key).or_insert_with(|| {
                        streams.push(ValuesOut::default());
                        streams.len() - 1
                    });
                    usual.truncate(nth);
                    usual.push((key, place));
                    place
                }
            };
            put_value(&mut streams[place], &tag, key[2], index, basis, &mut scratch);
        }
        let next = lists.len() as u64;
        let id = match lists.get(&list) {
            Some(&id) => id,
            None => {
                varint::put(&mut lists_out, (list.len() / 3) as u64);
                lists_out.extend_from_slice(&list);
                lists.insert(list.clone(), next);
                next
            }
        };
        varint::put(&mut choices, id);
    }
    out.set(series::TAG_LISTS, lists_out);
    out.set(series::TAG_LIST, choices);
    for ([n0, n1, kind], place) in places {
        let stream = std::mem::take(&mut streams[place]);
        let series = |id| Series::of_tag(id, [n0, n1], kind);
        let (values, extra) = match kind {
            b'Z' | b'H' => stream.text.finish(effort)?,
            _ => (stream.values, stream.extra),
        };
        out.set(series(TAG_VALUES), values);
        out.set(series(TAG_EXTRA), extra);
        out.set(series(TAG_DERIVED), stream.derived);
    }
    Ok(())
}

fn put_value<'a>(
    stream: &mut ValuesOut<'a>,
    tag: &Tag<'a>,
    kind: u8,
    index: usize,
    basis: &Basis<'_>,
    scratch: &mut Vec<u8>,
) {
    if let Some(text) = tag.as_text() {
        if is_derivable(tag.name, kind) {
            scratch.clear();
            let derived = basis.derive_text(tag.name, index, scratch) && scratch == text;
            stream.derived.push(u8::from(derived));
            if derived {
                return;
            }
        }
        stream.text.push(text);
        return;
    }
    if kind & ARRAY != 0 {
        let width = width_of(kind & !ARRAY).unwrap_or(1);
        varint::put(&mut stream.extra, ((tag.value.len() - 5) / width) as u64);
        stream.values.extend_from_slice(&tag.value[5..]);
        return;
    }
    match tag.as_int() {
        Some(value) if is_expected(tag.name) => {
            varint::put_signed(&mut stream.values, value - basis.expected_int(tag.name, index));
        }
        Some(value) if matches!(kind, b's' | b'i') => varint::put_signed(&mut stream.values, value),
        Some(value) if matches!(kind, b'S' | b'I') => varint::put(&mut stream.values, value as u64),
        _ => stream.values.extend_from_slice(tag.value),
    }
}

/// Reads tags back, record by record from the first.
pub(super) struct TagReader<'a> {
    lists: Vec<Vec<usize>>,
    choices: Cursor<'a>,
    streams: Vec<ValuesIn<'a>>,
}

/// The streams of one tag and kind while they are read.
struct ValuesIn<'a> {
    name: [u8; 2],
    kind: u8,
    wanted: bool,
    values: Cursor<'a>,
    extra: Cursor<'a>,
    derived: Cursor<'a>,
    text: Option<TextReader<'a>>,
}

impl<'a> TagReader<'a> {
    /// Opens the streams of the `wanted` tags.
    pub(super) fn new(streams: &'a StreamsIn, wanted: &TagNames) -> Result<Self> {
        let mut reader = Self {
            lists: Vec::new(),
            choices: Cursor::new(streams.get(series::TAG_LIST), "tag list choice"),
            streams: Vec::new(),
        };
        let mut known: HashMap<[u8; 3], usize> = HashMap::new();
        let mut lists = Cursor::new(streams.get(series::TAG_LISTS), "tag lists");
        while !lists.is_done() {
            let count: usize = lists.number()?;
            let entries = lists.take(count.saturating_mul(3))?;
            let mut list = Vec::with_capacity(count);
            for key in entries.chunks_exact(3) {
                let key = [key[0], key[1], key[2]];
                let at = match known.get(&key) {
                    Some(&at) => at,
                    None => {
                        reader.streams.push(ValuesIn::new(streams, key, wanted)?);
                        known.insert(key, reader.streams.len() - 1);
                        reader.streams.len() - 1
                    }
                };
                list.push(at);
            }
            reader.lists.push(list);
        }
        Ok(reader)
    }

    /// Appends the tags of record `index`, which begins at `start` of `out` and may not grow beyond
    /// `limit` bytes; records are asked for in order, each once.
    pub(super) fn read(
        &mut self,
        index: usize,
        basis: &Basis<'_>,
        start: usize,
        limit: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let choice: usize = self.choices.number()?;
        let list = self
            .lists
            .get(choice)
            .ok_or_else(|| Error::corrupt(format!("there is no tag list {choice}")))?;
        for &at in list {
            let stream = &mut self.streams[at];
            if stream.wanted {
                stream.read(index, basis, out)?;
                if (out.len() - start) as u64 > limit {
                    return Err(Error::corrupt("a record is longer than its block"));
                }
            }
        }
        Ok(())
    }

    /// Fails unless all wanted streams have been read to their ends.
    pub(super) fn finish(self) -> Result<()> {
        self.choices.finish()?;
        for stream in self.streams.into_iter().filter(|stream| stream.wanted) {
            stream.derived.finish()?;
            match stream.text {
                Some(text) => text.finish()?,
                None => {
                    stream.values.finish()?;
                    stream.extra.finish()?;
                }
            }
        }
        Ok(())
    }
}

impl<'a> ValuesIn<'a> {
    fn new(streams: &'a StreamsIn, [n0, n1, kind]: [u8; 3], wanted: &TagNames) -> Result<Self> {
        let name = [n0, n1];
        let is_text = matches!(kind, b'Z' | b'H');
        if !is_text && width_of(kind & !ARRAY).is_none_or(|_| kind == b'A' | ARRAY) {
            return Err(Error::corrupt(format!("tag type {kind:#04x} is unknown")));
        }
        let wanted = match wanted {
            TagNames::All => true,
            TagNames::Some(names) => names.contains(&name),
        };
        let stream = |id| streams.get(Series::of_tag(id, name, kind));
        let (values, extra) = (stream(TAG_VALUES), stream(TAG_EXTRA));
        Ok(Self {
            name,
            kind,
            wanted,
            values: Cursor::new(values, "tag values"),
            extra: Cursor::new(extra, "tag extras"),
            derived: Cursor::new(stream(TAG_DERIVED), "tag derivations"),
            text: if is_text && wanted { Some(TextReader::new(values, extra)?) } else { None },
        })
    }

    fn read(&mut self, index: usize, basis: &Basis<'_>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.name);
        if let Some(text) = &mut self.text {
            out.push(self.kind);
            let derived = is_derivable(self.name, self.kind) && self.derived.byte()? == 1;
            if !derived {
                text.read(out)?;
            } else if !basis.derive_text(self.name, index, out) {
                return Err(Error::corrupt("a tag is to be derived where nothing tells its value"));
            }
            out.push(0);
            return Ok(());
        }
        if self.kind & ARRAY != 0 {
            let of = self.kind & !ARRAY;
            let count: u32 = self.extra.number()?;
            let width = width_of(of).unwrap_or(1);
            out.extend_from_slice(&[b'B', of]);
            out.extend_from_slice(&count.to_le_bytes());
            out.extend_from_slice(self.values.take((count as usize).saturating_mul(width))?);
            return Ok(());
        }
        out.push(self.kind);
        let width = width_of(self.kind).unwrap_or(1);
        let is_int = !matches!(self.kind, b'A' | b'f');
        let value = if is_int && is_expected(self.name) {
            let expected = basis.expected_int(self.name, index);
            self.values
                .zigzag()?
                .checked_add(expected)
                .ok_or_else(|| Error::corrupt("an integer tag is out of bounds"))?
        } else if matches!(self.kind, b's' | b'i') {
            self.values.zigzag()?
        } else if matches!(self.kind, b'S' | b'I') {
            self.values.number()?
        } else {
            out.extend_from_slice(self.values.take(width)?);
            return Ok(());
        };
        let bytes = value.to_le_bytes();
        let (kept, cut) = bytes.split_at(width);
        // What is cut off must be the sign of what is kept, or zeros where there is no sign.
        let is_signed = self.kind.is_ascii_lowercase();
        let fill = if is_signed && kept[width - 1] >= 0x80 { 0xff } else { 0 };
        if cut.iter().any(|&byte| byte != fill) {
            return Err(Error::corrupt("an integer tag does not fit its type").found(value));
        }
        out.extend_from_slice(kept);
        Ok(())
    }
}
