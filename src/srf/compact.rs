//! The compact layout: a row per batch, whose columns are streams of our codecs.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use super::batch::{Batch, Mate, Sparse, Texts};
use super::buffers::{self, Kind};
use super::ipc::{self, Columns, Message};
use super::plain::{MAX_ROWS, Shape};
use crate::codec::{self, Codec, Effort, Nature, names, quality, varint};
use crate::error::{Error, Result};
use crate::records::reads::Style;

/// The most bytes that a stream decodes to.
const MAX_STREAM: usize = 1 << 31;

/// The schema.
pub(super) fn schema(
    styles: &[Style],
    has_numbers: bool,
    metadata: &[(String, String)],
) -> Arc<Schema> {
    let mut fields = vec![Field::new("read_ids", DataType::Binary, false)];
    for mate in 0..styles.len() {
        let suffix = if mate == 0 { "" } else { "_2" };
        for name in ["lengths", "bases", "other_bases", "qualities", "descriptions", "exact"] {
            fields.push(Field::new(format!("{name}{suffix}"), DataType::Binary, false));
        }
    }
    if has_numbers {
        fields.push(Field::new("rows", DataType::Binary, false));
    }
    Arc::new(Schema::new(fields).with_metadata(metadata.iter().cloned().collect()))
}

/// Columns of one read of a row.
const MATE_COLUMNS: usize = 6;

/// A stream with its length and codec.
fn stream(data: &[u8], nature: Nature, effort: Effort) -> Vec<u8> {
    packed(codec::encode_as(data, nature, effort), data.len())
}

fn packed(coded: codec::Coded, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(coded.bytes.len() + 6);
    varint::put(&mut out, length as u64);
    out.push(coded.codec as u8);
    out.extend_from_slice(&coded.bytes);
    out
}

fn open(mut bytes: &[u8]) -> Result<(usize, Codec, &[u8])> {
    let length = varint::take_len(&mut bytes, MAX_STREAM)?;
    let (&codec, bytes) =
        bytes.split_first().ok_or_else(|| Error::corrupt("a stream ends before its codec"))?;
    Ok((length, Codec::from_u8(codec)?, bytes))
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    let (length, codec, bytes) = open(bytes)?;
    codec::decode(codec, bytes, length)
}

fn lengths_of(ends: &[u32]) -> Vec<u32> {
    let mut start = 0;
    ends.iter().map(|&end| end - std::mem::replace(&mut start, end)).collect()
}

/// Numbers, one for all where they are equal.
fn numbers(values: &[u32], effort: Effort) -> Vec<u8> {
    let bytes: Vec<u8> = match values.split_first() {
        Some((first, rest)) if rest.iter().all(|value| value == first) => {
            first.to_le_bytes().to_vec()
        }
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    stream(&bytes, Nature::Numbers(4), effort)
}

fn read_numbers(bytes: &[u8], rows: usize) -> Result<Vec<u32>> {
    let bytes = unpack(bytes)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &b| value << 8 | u32::from(b));
    match bytes.len() {
        4 => Ok(vec![number(&bytes); rows]),
        length if length == 4 * rows => Ok(bytes.chunks_exact(4).map(number).collect()),
        _ => Err(Error::corrupt("a batch has not one length per read")),
    }
}

/// Few texts: each the distance of its row, its length and itself.
fn sparse(texts: &Sparse, effort: Effort) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0;
    for (row, text) in texts {
        varint::put(&mut out, u64::from(row - std::mem::replace(&mut last, *row)));
        varint::put(&mut out, text.len() as u64);
        out.extend_from_slice(text);
    }
    stream(&out, Nature::Text, effort)
}

fn read_sparse(bytes: &[u8], rows: usize) -> Result<Sparse> {
    let bytes = unpack(bytes)?;
    let (mut rest, mut texts, mut row) = (bytes.as_slice(), Sparse::new(), 0_usize);
    while !rest.is_empty() {
        row += varint::take_len(&mut rest, rows)?;
        let length = varint::take_len(&mut rest, MAX_STREAM)?;
        let text = rest.get(..length).filter(|_| row < rows);
        let text = text.ok_or_else(|| Error::corrupt("a text of a batch is cut short"))?;
        texts.push((row as u32, text.to_vec()));
        rest = &rest[length..];
    }
    Ok(texts)
}

const BASES: &[u8; 4] = b"ACGT";
/// What stands for a byte that is no base of these.
const OTHER: u8 = 4;

/// The two bits of a base, by its letter.
const CODES: [u8; 256] = {
    let mut codes = [OTHER; 256];
    let mut code = 0;
    while code < 4 {
        codes[BASES[code] as usize] = code as u8;
        code += 1;
    }
    codes
};

/// The four bases of a byte.
const QUADS: [[u8; 4]; 256] = {
    let mut quads = [[0; 4]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut place = 0;
        while place < 4 {
            quads[byte][place] = BASES[byte >> (2 * place) & 3];
            place += 1;
        }
        byte += 1;
    }
    quads
};

/// Replaces what is none of `ACGT` by `A`, and gives the runs of it.
fn take_others(bases: &mut [u8]) -> Vec<u8> {
    let (mut others, mut last, mut at) = (Vec::new(), 0, 0);
    let is_other = |&byte: &u8| CODES[usize::from(byte)] == OTHER;
    while let Some(next) = bases[at..].iter().position(is_other) {
        at += next;
        let byte = bases[at];
        let run = bases[at..].iter().take_while(|&&other| other == byte).count();
        varint::put(&mut others, (at - last) as u64);
        varint::put(&mut others, run as u64);
        others.push(byte);
        bases[at..at + run].fill(b'A');
        at += run;
        last = at;
    }
    others
}

/// Puts those runs back.
fn put_others(bases: &mut [u8], others: &[u8]) -> Result<()> {
    let (mut rest, mut at) = (others, 0_usize);
    let length = bases.len();
    while !rest.is_empty() {
        at += varint::take_len(&mut rest, length)?;
        let run = varint::take_len(&mut rest, length)?;
        let damaged = || Error::corrupt("runs of other bases do not fit the reads");
        let (&byte, tail) = rest.split_first().ok_or_else(damaged)?;
        bases.get_mut(at..at + run).ok_or_else(damaged)?.fill(byte);
        at += run;
        rest = tail;
    }
    Ok(())
}

/// Bases as two bits each, four a byte from the lowest.
fn pack(bases: &[u8]) -> Vec<u8> {
    let code = |base: u8| CODES[usize::from(base)] & 3;
    let pack = |bases: &[u8]| bases.iter().rev().fold(0, |byte, &base| byte << 2 | code(base));
    let (quads, rest) = bases.as_chunks::<4>();
    let mut codes: Vec<u8> = quads.iter().map(|quad| pack(quad)).collect();
    if !rest.is_empty() {
        codes.push(pack(rest));
    }
    codes
}

/// Which form the bases have.
const TWO_BIT: u8 = 0;
const TEXT: u8 = 1;

/// The bases, and what among them is none of `ACGT`.
fn encode_bases(mut bases: Vec<u8>, effort: Effort) -> Result<(Vec<u8>, Vec<u8>)> {
    let others = take_others(&mut bases);
    // Repeats among reads do not lie at whole bytes of four bases, so they are looked for in text.
    let text = match effort {
        Effort::Archive => stream(&bases, Nature::Text, effort),
        _ => {
            let bytes = buffers::frame(&bases, Kind::Bases, effort)?;
            packed(codec::Coded { codec: Codec::Zstd, bytes }, bases.len())
        }
    };
    let (kind, coded) = match text.len() < bases.len() / 4 {
        true => (TEXT, text),
        false => (TWO_BIT, stream(&pack(&bases), Nature::Symbols, Effort::Fast)),
    };
    let mut form = vec![kind];
    form.extend(coded);
    Ok((form, stream(&others, Nature::Bytes, effort)))
}

fn decode_bases(form: &[u8], others: &[u8], length: usize) -> Result<Vec<u8>> {
    let wrong = || Error::corrupt("a batch has not as many bases as its lengths say");
    let (&kind, bytes) =
        form.split_first().ok_or_else(|| Error::corrupt("a batch has no bases"))?;
    let data = unpack(bytes)?;
    let mut bases = match kind {
        TWO_BIT if data.len() == length.div_ceil(4) => {
            let mut bases = Vec::with_capacity(4 * data.len());
            data.iter().for_each(|&byte| bases.extend_from_slice(&QUADS[usize::from(byte)]));
            bases.truncate(length);
            bases
        }
        TEXT if data.len() == length => data,
        TWO_BIT | TEXT => return Err(wrong()),
        _ => return Err(Error::unsupported("bases in a form that this version does not know")),
    };
    put_others(&mut bases, &unpack(others)?)?;
    Ok(bases)
}

/// The message of a batch.
pub(super) fn message(mut batch: Batch, effort: Effort) -> Result<Message> {
    let rows = batch.rows();
    let name_lengths = lengths_of(&batch.names.ends);
    let mut ids = Vec::new();
    varint::put(&mut ids, rows as u64);
    varint::put(&mut ids, batch.names.bytes.len() as u64);
    ids.extend(names::encode(&batch.names.bytes, &name_lengths, effort));
    let mut columns = vec![ids];
    for (number, mate) in std::mem::take(&mut batch.mates).into_iter().enumerate() {
        let lengths = lengths_of(&mate.bases.ends);
        let (bases, others) = encode_bases(mate.bases.bytes, effort)?;
        let qualities = quality::encode(&mate.qualities, &lengths, &[], effort);
        columns.push(numbers(&lengths, effort));
        columns.push(bases);
        columns.push(others);
        columns.push(packed(qualities, mate.qualities.len()));
        columns.push(match number {
            0 => descriptions(&batch, effort),
            _ => sparse(&batch.second_descriptions, effort),
        });
        columns.push(sparse(&mate.exact, effort));
    }
    if !batch.numbers.is_empty() {
        let numbers: Vec<u8> =
            batch.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        columns.push(stream(&numbers, Nature::Numbers(8), effort));
    }
    let mut of_message = Columns::default();
    for column in columns {
        of_message.node(1, 0);
        of_message.buffer(Vec::new());
        let ends = [0, column.len() as u32];
        of_message.buffer(ends.into_iter().flat_map(u32::to_le_bytes).collect());
        of_message.buffer(column);
    }
    Ok(ipc::message(1, &of_message, false))
}

/// Descriptions as names: a byte that says whether there is one, and the text.
fn descriptions(batch: &Batch, effort: Effort) -> Vec<u8> {
    let (mut text, mut lengths) = (Vec::new(), Vec::new());
    for row in 0..batch.rows() {
        let start = text.len();
        if batch.has_description[row] {
            text.push(b' ');
            text.extend_from_slice(batch.descriptions.get(row));
        }
        lengths.push((text.len() - start) as u32);
    }
    let mut out = Vec::new();
    varint::put(&mut out, text.len() as u64);
    if !text.is_empty() {
        out.extend(names::encode(&text, &lengths, effort));
    }
    out
}

fn read_descriptions(mut bytes: &[u8], rows: usize, batch: &mut Batch) -> Result<()> {
    let total = varint::take_len(&mut bytes, MAX_STREAM)?;
    let (text, lengths) = match total {
        0 => (Vec::new(), vec![0; rows]),
        _ => names::decode(bytes, rows, total)?,
    };
    let mut rest = text.as_slice();
    for length in lengths {
        let damaged = || Error::corrupt("descriptions are cut short");
        let text = rest.get(..length as usize).ok_or_else(damaged)?;
        batch.has_description.push(!text.is_empty());
        batch.descriptions.push(text.get(1..).unwrap_or_default());
        rest = &rest[length as usize..];
    }
    Ok(())
}

fn texts(bytes: Vec<u8>, lengths: &[u32]) -> Result<Texts> {
    let mut end = 0_u32;
    let mut ends = Vec::with_capacity(lengths.len());
    for &length in lengths {
        end =
            end.checked_add(length).ok_or_else(|| Error::corrupt("lengths add up to too much"))?;
        ends.push(end);
    }
    if end as usize != bytes.len() {
        return Err(Error::corrupt("lengths of texts do not add up to their bytes"));
    }
    Ok(Texts { bytes, ends })
}

/// The reads of a batch.
pub(super) fn batch(buffers: &[&[u8]], shape: Shape<'_>, rows: usize) -> Result<Batch> {
    let Shape { styles, has_numbers, .. } = shape;
    let wrong = || Error::corrupt("an Arrow batch has other columns than its schema says");
    let count = 1 + MATE_COLUMNS * styles.len();
    if buffers.len() != 3 * (count + usize::from(has_numbers)) {
        return Err(wrong());
    }
    // Before each column's bytes come the buffers of what is null and of offsets.
    let column = |at: usize| buffers.get(3 * at + 2).copied().ok_or_else(wrong);
    let mut ids = column(0)?;
    let said = varint::take_len(&mut ids, MAX_STREAM)?;
    let total = varint::take_len(&mut ids, MAX_STREAM)?;
    if said != rows || rows > MAX_ROWS {
        return Err(Error::corrupt("a batch has another number of reads than its index says"));
    }
    let (bytes, lengths) = names::decode(ids, rows, total)?;
    let names = texts(bytes, &lengths)?;
    let mut batch = Batch { rows, names, styles: styles.to_vec(), ..Batch::default() };
    for (number, style) in styles.iter().enumerate() {
        let column = |at: usize| column(1 + number * MATE_COLUMNS + at);
        let lengths = read_numbers(column(0)?, rows)?;
        let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        let total = usize::try_from(total).ok().filter(|&total| total <= MAX_STREAM);
        let total = total.ok_or_else(|| Error::corrupt("a batch is too long"))?;
        let bases = decode_bases(column(1)?, column(2)?, total)?;
        let (length, codec, coded) = open(column(3)?)?;
        let is_fasta = style.fasta;
        if length != if is_fasta { 0 } else { total } {
            return Err(Error::corrupt("a batch has not one quality per base"));
        }
        let qualities = match is_fasta {
            true => Vec::new(),
            false => quality::decode(codec, coded, &lengths, &[], total)?,
        };
        match number {
            0 => read_descriptions(column(4)?, rows, &mut batch)?,
            _ => batch.second_descriptions = read_sparse(column(4)?, rows)?,
        }
        let exact = read_sparse(column(5)?, rows)?;
        let bases = texts(bases, &lengths)?;
        batch.mates.push(Mate { bases, qualities, exact, scores: Vec::new() });
    }
    if has_numbers {
        let numbers = unpack(column(count)?)?;
        if numbers.len() != 8 * rows {
            return Err(Error::corrupt("a batch has not one number per row"));
        }
        let (numbers, _) = numbers.as_chunks::<8>();
        batch.numbers = numbers.iter().map(|&number| u64::from_le_bytes(number)).collect();
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn test_bases_come_back(bases in "[ACGTNacgtRY.*-]{0,300}", repeats in 1_usize..40) {
            let bases = bases.repeat(repeats).into_bytes();
            for effort in [Effort::Fast, Effort::Default, Effort::Archive] {
                let (form, others) = encode_bases(bases.clone(), effort).unwrap();
                prop_assert_eq!(&decode_bases(&form, &others, bases.len()).unwrap(), &bases);
                prop_assert!(decode_bases(&form, &others, bases.len() + 4).is_err());
            }
        }

        #[test]
        fn test_damaged_runs_never_panic(runs in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = put_others(&mut [b'A'; 50], &runs);
            let _ = read_sparse(&runs, 9);
            let _ = decode_bases(&runs, &runs, 60);
        }
    }

    #[test]
    fn test_bases_are_packed_from_the_lowest_bits() {
        assert_eq!(pack(b"ACGTC"), [0b11_10_01_00, 1]);
        assert_eq!(QUADS[0b11_10_01_00], *b"ACGT");
    }
}
