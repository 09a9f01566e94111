//! The plain layout: a column per field, which any reader of Arrow understands.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use super::batch::{Batch, Fields, Mate, Sparse, Texts};
use super::buffers::{self, Kind};
use super::ipc::{self, Columns, Message};
use super::quality::Quality;
use crate::codec::Effort;
use crate::error::{Error, Result};
use crate::records::reads::Style;

/// The most bytes of a buffer: offsets are 32-bit numbers with a sign.
const MAX_BYTES: usize = i32::MAX as usize;

/// The most rows of a batch.
pub(super) const MAX_ROWS: usize = 1 << 24;

/// What decides which columns a chunk has, and of which types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    /// One for each read of a row.
    pub(super) styles: &'a [Style],
    /// The length of all reads of each file, or 0.
    pub(super) fixed: [u32; 2],
    /// Whether rows lie in an order of their own, and say which they are.
    pub(super) has_numbers: bool,
}

fn fixed_size(length: u32) -> Option<i32> {
    i32::try_from(length).ok().filter(|&length| length > 0)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Int8, false))
}

/// The schema.
pub(super) fn schema(shape: Shape<'_>, metadata: &[(String, String)]) -> Arc<Schema> {
    let mut fields = vec![Field::new("read_id", DataType::Utf8, false)];
    for (mate, (style, fixed)) in shape.styles.iter().zip(shape.fixed).enumerate() {
        let suffix = if mate == 0 { "" } else { "_2" };
        let name = |name: &str| format!("{name}{suffix}");
        let (bases, qualities) = match fixed_size(fixed) {
            Some(length) => {
                (DataType::FixedSizeBinary(length), DataType::FixedSizeList(item(), length))
            }
            None => (DataType::Binary, DataType::List(item())),
        };
        fields.extend([
            Field::new(name("sequence"), bases, false),
            Field::new(name("quality"), qualities, style.fasta),
            Field::new(name("length"), DataType::Int32, false),
            Field::new(name("avg_quality"), DataType::Float32, true),
            Field::new(name("expected_errors"), DataType::Float32, true),
            Field::new(name("description"), DataType::Utf8, true),
            Field::new(name("exact"), DataType::Binary, true),
        ]);
    }
    if shape.has_numbers {
        fields.push(Field::new("row", DataType::Int64, false));
    }
    Arc::new(Schema::new(fields).with_metadata(metadata.iter().cloned().collect()))
}

/// Columns on their way into a message.
struct Writer {
    columns: Columns,
    effort: Effort,
}

impl Writer {
    fn buffer(&mut self, data: &[u8], kind: Kind) -> Result<()> {
        self.columns.buffer(buffers::encode(data, kind, self.effort)?);
        Ok(())
    }

    /// A column's head: how many values, and which are there.
    fn column(&mut self, valid: &[bool]) -> Result<()> {
        let nulls = valid.iter().filter(|&&is_valid| !is_valid).count();
        self.columns.node(valid.len(), nulls);
        if nulls == 0 {
            return self.buffer(&[], Kind::Numbers);
        }
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (place, &bit)| byte | u8::from(bit) << place)
        };
        let bits: Vec<u8> = valid.chunks(8).map(byte).collect();
        self.buffer(&bits, Kind::Numbers)
    }

    fn column_without_nulls(&mut self, rows: usize) -> Result<()> {
        self.columns.node(rows, 0);
        self.buffer(&[], Kind::Numbers)
    }

    fn offsets(&mut self, ends: impl Iterator<Item = u32>) -> Result<()> {
        let offsets: Vec<u8> = std::iter::once(0).chain(ends).flat_map(u32::to_le_bytes).collect();
        self.buffer(&offsets, Kind::Offsets)
    }

    fn texts(&mut self, texts: &Texts, kind: Kind) -> Result<()> {
        self.offsets(texts.ends.iter().copied())?;
        self.buffer(&texts.bytes, kind)
    }

    fn sparse(&mut self, sparse: &Sparse, rows: usize) -> Result<()> {
        let mut valid = vec![false; rows];
        let (mut texts, mut all) = (sparse.iter().peekable(), Texts::default());
        for (row, is_valid) in valid.iter_mut().enumerate() {
            match texts.next_if(|(at, _)| *at as usize == row) {
                Some((_, text)) => {
                    *is_valid = true;
                    all.push(text);
                }
                None => all.push(b""),
            }
        }
        self.column(&valid)?;
        self.texts(&all, Kind::Text)
    }

    fn floats(&mut self, scores: &[Option<Quality>], value: impl Fn(Quality) -> f32) -> Result<()> {
        let valid: Vec<bool> = scores.iter().map(Option::is_some).collect();
        self.column(&valid)?;
        let values = scores.iter().map(|score| score.map_or(0.0, &value));
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        self.buffer(&bytes, Kind::Numbers)
    }
}

/// The message of a batch, whose mates have their scores.
pub(super) fn message(batch: Batch, shape: Shape<'_>, effort: Effort) -> Result<Message> {
    let rows = batch.rows;
    let mut to = Writer { columns: Columns::default(), effort };
    to.column_without_nulls(rows)?;
    to.texts(&batch.names, Kind::Text)?;
    for (number, mut mate) in batch.mates.into_iter().enumerate() {
        let is_fixed = fixed_size(shape.fixed[number]).is_some();
        to.column_without_nulls(rows)?;
        if is_fixed {
            to.buffer(&mate.bases.bytes, Kind::Bases)?;
        } else {
            to.texts(&mate.bases, Kind::Bases)?;
        }
        mate.qualities.iter_mut().for_each(|quality| *quality = quality.wrapping_sub(33));
        if shape.styles[number].fasta {
            to.column(&vec![false; rows])?;
            to.offsets(std::iter::repeat_n(0, rows))?;
        } else {
            to.column_without_nulls(rows)?;
            if !is_fixed {
                to.offsets(mate.bases.ends.iter().copied())?;
            }
        }
        to.column_without_nulls(mate.qualities.len())?;
        to.buffer(&mate.qualities, Kind::Qualities)?;
        let mut start = 0;
        let lengths = mate.bases.ends.iter().map(|&end| end - std::mem::replace(&mut start, end));
        let lengths: Vec<u8> = lengths.flat_map(u32::to_le_bytes).collect();
        to.column_without_nulls(rows)?;
        to.buffer(&lengths, Kind::Numbers)?;
        to.floats(&mate.scores, |quality| quality.average)?;
        to.floats(&mate.scores, |quality| quality.expected_errors)?;
        if number == 0 {
            to.column(&batch.has_description)?;
            to.texts(&batch.descriptions, Kind::Text)?;
        } else {
            to.sparse(&batch.second_descriptions, rows)?;
        }
        to.sparse(&mate.exact, rows)?;
    }
    if shape.has_numbers {
        to.column_without_nulls(rows)?;
        let numbers: Vec<u8> =
            batch.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.buffer(&numbers, Kind::Numbers)?;
    }
    Ok(ipc::message(rows, &to.columns, true))
}

/// Buffers of the columns of one read of a row, by their number in a batch.
struct Places {
    /// Ends of bases, where lengths differ.
    ends: Option<usize>,
    bases: usize,
    /// Of the items; ends of qualities are those of the bases.
    qualities: usize,
    /// Validity, and values behind it.
    averages: usize,
    errors: usize,
    /// Validity, ends and bytes.
    descriptions: usize,
    exact: usize,
}

/// Ends and bytes of names.
const NAMES: usize = 1;

impl Shape<'_> {
    /// The places of each read's buffers, and how many buffers there are before the rows' numbers.
    fn places(self) -> (Vec<Places>, usize) {
        let mut next = NAMES + 2;
        let mut take = |count: usize| {
            next += count;
            next - count
        };
        let mates = self.styles.iter().zip(self.fixed).map(|(_, fixed)| {
            let is_fixed = fixed_size(fixed).is_some();
            let sequence = take(if is_fixed { 2 } else { 3 });
            let quality = take(if is_fixed { 3 } else { 4 });
            let _length = take(2);
            Places {
                ends: (!is_fixed).then_some(sequence + 1),
                bases: sequence + if is_fixed { 1 } else { 2 },
                qualities: quality + if is_fixed { 2 } else { 3 },
                averages: take(2),
                errors: take(2),
                descriptions: take(3),
                exact: take(3),
            }
        });
        let mates = mates.collect();
        (mates, next)
    }

    /// How many buffers a batch has.
    pub(super) fn buffer_count(self) -> usize {
        self.places().1 + if self.has_numbers { 2 } else { 0 }
    }

    /// The buffers that these fields need, ascending.
    pub(super) fn buffers_of(self, fields: Fields) -> Vec<usize> {
        let (mates, count) = self.places();
        let mut wanted = Vec::new();
        if fields.has(Fields::NAMES) {
            wanted.extend([NAMES, NAMES + 1]);
        }
        for mate in mates {
            wanted.extend(mate.ends);
            if fields.has(Fields::BASES) {
                wanted.push(mate.bases);
            }
            if fields.has(Fields::QUALITIES) {
                wanted.push(mate.qualities);
            }
            if fields.has(Fields::SCORES) {
                wanted.extend(mate.averages..mate.averages + 4);
            }
            if fields.has(Fields::DESCRIPTIONS) {
                wanted.extend(mate.descriptions..mate.descriptions + 3);
            }
            if fields.has(Fields::EXACT) {
                wanted.extend(mate.exact..mate.exact + 3);
            }
        }
        if self.has_numbers {
            wanted.push(count + 1);
        }
        wanted
    }
}

/// The buffers of a batch, by number; those not asked for may be empty.
struct Reader<'a> {
    buffers: &'a [&'a [u8]],
    rows: usize,
}

fn wrong() -> Error {
    Error::corrupt("an Arrow batch has other columns than its schema says")
}

impl Reader<'_> {
    fn buffer(&self, at: usize, length: usize) -> Result<Vec<u8>> {
        if length > MAX_BYTES {
            return Err(Error::corrupt("a buffer of an Arrow batch is too long"));
        }
        buffers::decode(self.buffers.get(at).ok_or_else(wrong)?, length)
    }

    fn ends(&self, at: usize) -> Result<Vec<u32>> {
        let bytes = self.buffer(at, 4 * (self.rows + 1))?;
        let (numbers, _) = bytes.as_chunks::<4>();
        let offsets: Vec<u32> = numbers.iter().map(|&number| u32::from_le_bytes(number)).collect();
        if offsets.first() != Some(&0) || !offsets.is_sorted() {
            return Err(Error::corrupt("offsets of an Arrow batch do not ascend from 0"));
        }
        Ok(offsets[1..].to_vec())
    }

    fn texts(&self, at: usize) -> Result<Texts> {
        let ends = self.ends(at)?;
        let length = ends.last().map_or(0, |&end| end as usize);
        Ok(Texts { bytes: self.buffer(at + 1, length)?, ends })
    }

    fn valid(&self, at: usize) -> Result<Vec<bool>> {
        if self.buffers.get(at).ok_or_else(wrong)?.is_empty() {
            return Ok(vec![true; self.rows]);
        }
        let bits = self.buffer(at, self.rows.div_ceil(8))?;
        Ok((0..self.rows).map(|row| bits[row / 8] >> (row % 8) & 1 != 0).collect())
    }

    fn sparse(&self, at: usize) -> Result<Sparse> {
        let valid = self.valid(at)?;
        if !valid.contains(&true) {
            return Ok(Sparse::new());
        }
        let texts = self.texts(at + 1)?;
        let some = |row: usize| valid[row].then(|| (row as u32, texts.get(row).to_vec()));
        Ok((0..self.rows).filter_map(some).collect())
    }

    fn floats(&self, at: usize) -> Result<Vec<f32>> {
        let bytes = self.buffer(at, 4 * self.rows)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&number| f32::from_le_bytes(number)).collect())
    }

    fn scores(&self, place: &Places) -> Result<Vec<Option<Quality>>> {
        let valid = self.valid(place.averages)?;
        let averages = self.floats(place.averages + 1)?;
        let errors = self.floats(place.errors + 1)?;
        let scores = averages.into_iter().zip(errors);
        let score = |((average, expected_errors), is_valid): ((f32, f32), bool)| {
            is_valid.then_some(Quality { average, expected_errors })
        };
        Ok(scores.zip(valid).map(score).collect())
    }
}

/// The reads of a batch, as far as the fields go.
pub(super) fn batch(
    buffers: &[&[u8]],
    rows: usize,
    shape: Shape<'_>,
    fields: Fields,
) -> Result<Batch> {
    let (places, count) = shape.places();
    if buffers.len() != shape.buffer_count() || rows > MAX_ROWS {
        return Err(wrong());
    }
    let from = Reader { buffers, rows };
    let mut batch = Batch { rows, styles: shape.styles.to_vec(), ..Batch::default() };
    if fields.has(Fields::NAMES) {
        batch.names = from.texts(NAMES)?;
    }
    for (number, (place, style)) in places.iter().zip(shape.styles).enumerate() {
        let mut mate = Mate::default();
        mate.bases.ends = match place.ends {
            Some(at) => from.ends(at)?,
            None => {
                let length = shape.fixed[number];
                let longest = rows as u64 * u64::from(length);
                if longest > MAX_BYTES as u64 {
                    return Err(wrong());
                }
                (1..=rows as u32).map(|row| row * length).collect()
            }
        };
        let bases = mate.bases.ends.last().map_or(0, |&end| end as usize);
        if fields.has(Fields::BASES) {
            mate.bases.bytes = from.buffer(place.bases, bases)?;
        }
        if fields.has(Fields::QUALITIES) && !style.fasta {
            mate.qualities = from.buffer(place.qualities, bases)?;
            mate.qualities.iter_mut().for_each(|quality| *quality = quality.wrapping_add(33));
        }
        if fields.has(Fields::SCORES) {
            mate.scores = from.scores(place)?;
        }
        if fields.has(Fields::DESCRIPTIONS) && number == 0 {
            batch.has_description = from.valid(place.descriptions)?;
            batch.descriptions = from.texts(place.descriptions + 1)?;
        } else if fields.has(Fields::DESCRIPTIONS) {
            batch.second_descriptions = from.sparse(place.descriptions)?;
        }
        if fields.has(Fields::EXACT) {
            mate.exact = from.sparse(place.exact)?;
        }
        batch.mates.push(mate);
    }
    if shape.has_numbers {
        let bytes = from.buffer(count + 1, 8 * rows)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        batch.numbers = numbers.iter().map(|&number| u64::from_le_bytes(number)).collect();
    }
    Ok(batch)
}
