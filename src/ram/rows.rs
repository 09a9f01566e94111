//! Alignments of many samples as rows of an Arrow table, and back without loss.
//!
//! A row holds what `samtools view` prints of a record, each field in a typed column, tags as text.
//! Where the record that such a line stands for is not the one that was read (odd widths of
//! integers, a wrong bin), the row carries the record itself besides, in `exact`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int32Builder, ListBuilder, StringBuilder, UInt8Builder,
    UInt16Builder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, ListArray,
    RecordBatch as Columns, StringArray, UInt8Array, UInt16Array, UInt64Array, new_empty_array,
};
use arrow_schema::{DataType, Field, Schema};

use super::file;
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::records::alignments::sam::{LineParser, write_record};
use crate::records::alignments::{Record, Validation};

/// Column numbers.
mod at {
    pub(super) const SAMPLE: usize = 0;
    pub(super) const NAME: usize = 1;
    pub(super) const POSITION: usize = 2;
    pub(super) const SEQUENCE: usize = 3;
    pub(super) const QUALITY: usize = 4;
    pub(super) const MAPPING_QUALITY: usize = 5;
    pub(super) const FLAGS: usize = 6;
    pub(super) const CONTIG: usize = 7;
    pub(super) const END: usize = 8;
    pub(super) const CIGAR: usize = 9;
    pub(super) const MATE_CONTIG: usize = 10;
    pub(super) const MATE_POSITION: usize = 11;
    pub(super) const TEMPLATE_LENGTH: usize = 12;
    pub(super) const TAGS: usize = 13;
    pub(super) const IS_OWNER: usize = 14;
    pub(super) const ORDINAL: usize = 15;
    pub(super) const EXACT: usize = 16;
}

fn names() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The schema of `alignments.arrow`.
pub(super) fn schema() -> Schema {
    let list = DataType::List(Arc::new(Field::new("item", DataType::UInt8, true)));
    let fields = vec![
        Field::new("sample_id", names(), false),
        Field::new("read_name", DataType::Utf8, true),
        Field::new("position", DataType::Int32, true),
        Field::new("sequence", DataType::Binary, true),
        Field::new("quality", list, true),
        Field::new("mapping_quality", DataType::UInt8, false),
        Field::new("flags", DataType::UInt16, false),
        Field::new("contig", names(), true),
        Field::new("end", DataType::Int32, true),
        Field::new("cigar", DataType::Utf8, true),
        Field::new("mate_contig", names(), true),
        Field::new("mate_position", DataType::Int32, true),
        Field::new("template_length", DataType::Int32, false),
        Field::new("tags", DataType::Utf8, true),
        Field::new("is_owner", DataType::Boolean, false),
        Field::new("ordinal", DataType::UInt64, true),
        Field::new("exact", DataType::Binary, true),
    ];
    let metadata = [
        ("genomic-objects.schema", "ram-alignments/1"),
        ("genomic-objects.coordinates", "1-based, closed"),
    ];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Schema::new_with_metadata(fields, metadata.into())
}

/// A batch of `schema` without rows, whose dictionaries are these; the first is of `sample_id`.
pub(super) fn empty(schema: Schema, samples: &[&str], contigs: &[&str]) -> Result<Columns> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Dictionary(..) => {
                let values = if field.name() == "sample_id" { samples } else { contigs };
                let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
                let keys = Int32Array::from(Vec::<i32>::new());
                let array = DictionaryArray::<Int32Type>::try_new(keys, values);
                array.map(|array| Arc::new(array) as ArrayRef).map_err(mismatch)
            }
            other => Ok(new_empty_array(other)),
        })
        .collect::<Result<Vec<_>>>()?;
    Columns::try_new(Arc::new(schema), columns).map_err(mismatch)
}

pub(super) fn mismatch(error: arrow_schema::ArrowError) -> Error {
    Error::internal("columns of a cohort do not fit their schema").caused_by(error)
}

/// What a row says besides the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The sample, in its layer.
    pub(super) sample: u32,
    /// Whether the record starts in this region.
    pub(super) is_owner: bool,
    /// Its number in the input, where sorting moved records.
    pub(super) ordinal: Option<u64>,
}

/// Collects rows.
pub(super) struct Builder<'a> {
    contigs: &'a Contigs,
    /// The key in the file's dictionary for each contig of the dataset.
    keys: &'a [i32],
    parser: LineParser,
    line: Vec<u8>,
    parsed: Vec<u8>,
    samples: Int32Builder,
    read_names: StringBuilder,
    positions: Int32Builder,
    sequences: BinaryBuilder,
    qualities: ListBuilder<UInt8Builder>,
    mapping_qualities: UInt8Builder,
    flags: UInt16Builder,
    contig_keys: Int32Builder,
    ends: Int32Builder,
    cigars: StringBuilder,
    mate_contigs: Int32Builder,
    mate_positions: Int32Builder,
    template_lengths: Int32Builder,
    tags: StringBuilder,
    owners: BooleanBuilder,
    ordinals: UInt64Builder,
    exact: BinaryBuilder,
}

/// 1-based, where there is a position that fits.
fn one_based(position: i32) -> Option<i32> {
    if position < 0 { None } else { position.checked_add(1) }
}

impl<'a> Builder<'a> {
    pub(super) fn new(contigs: &'a Contigs, keys: &'a [i32]) -> Self {
        Self {
            contigs,
            keys,
            parser: LineParser::new(Validation::Lenient),
            line: Vec::new(),
            parsed: Vec::new(),
            samples: Int32Builder::new(),
            read_names: StringBuilder::new(),
            positions: Int32Builder::new(),
            sequences: BinaryBuilder::new(),
            qualities: ListBuilder::new(UInt8Builder::new()),
            mapping_qualities: UInt8Builder::new(),
            flags: UInt16Builder::new(),
            contig_keys: Int32Builder::new(),
            ends: Int32Builder::new(),
            cigars: StringBuilder::new(),
            mate_contigs: Int32Builder::new(),
            mate_positions: Int32Builder::new(),
            template_lengths: Int32Builder::new(),
            tags: StringBuilder::new(),
            owners: BooleanBuilder::new(),
            ordinals: UInt64Builder::new(),
            exact: BinaryBuilder::new(),
        }
    }

    fn key(&self, ref_id: i32) -> Option<i32> {
        let key = self.keys.get(usize::try_from(ref_id).ok()?)?;
        Some(*key).filter(|&key| key >= 0)
    }

    /// Adds a record, which refers to contigs of the dataset.
    pub(super) fn push(&mut self, record: &Record<'_>, place: Place) {
        self.line.clear();
        write_record(&mut self.line, record, self.contigs);
        self.line.pop();
        self.parsed.clear();
        let parsed = self.parser.parse(&self.line, self.contigs, &mut self.parsed);
        let line = std::mem::take(&mut self.line);
        let mut is_same = parsed.is_ok() && self.parsed == record.bytes();
        let mut fields = line.splitn(12, |&byte| byte == b'\t');
        let mut field = || fields.next().unwrap_or_default();
        let mut text = |field| match String::from_utf8_lossy(field) {
            _ if field == b"*" => None,
            text => {
                is_same &= matches!(text, Cow::Borrowed(_));
                Some(text)
            }
        };
        let name = text(field());
        for _ in 1..5 {
            field();
        }
        let cigar = text(field());
        for _ in 6..9 {
            field();
        }
        let sequence = field();
        field();
        let tags = text(field()).filter(|tags| !tags.is_empty());
        self.samples.append_value(place.sample as i32);
        self.read_names.append_option(name);
        self.positions.append_option(one_based(record.position()));
        self.sequences.append_option(Some(sequence).filter(|bases| *bases != b"*"));
        let has_qualities = record.sequence_len() > 0 && record.qualities()[0] != 0xff;
        if has_qualities {
            self.qualities.values().append_slice(record.qualities());
        }
        self.qualities.append(has_qualities);
        self.mapping_qualities.append_value(record.mapping_quality());
        self.flags.append_value(record.flags());
        self.contig_keys.append_option(self.key(record.ref_id()));
        let end = i32::try_from(record.interval().end()).ok();
        self.ends.append_option(end.filter(|_| record.position() >= 0));
        self.cigars.append_option(cigar);
        self.mate_contigs.append_option(self.key(record.mate_ref_id()));
        self.mate_positions.append_option(one_based(record.mate_position()));
        self.template_lengths.append_value(record.template_length());
        self.tags.append_option(tags);
        self.owners.append_value(place.is_owner);
        self.ordinals.append_option(place.ordinal);
        self.exact.append_option(Some(record.bytes()).filter(|_| !is_same));
        self.line = line;
    }

    /// The rows, with keys in place of names.
    pub(super) fn finish(mut self) -> Result<Columns> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.samples.finish()),
            Arc::new(self.read_names.finish()),
            Arc::new(self.positions.finish()),
            Arc::new(self.sequences.finish()),
            Arc::new(self.qualities.finish()),
            Arc::new(self.mapping_qualities.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.contig_keys.finish()),
            Arc::new(self.ends.finish()),
            Arc::new(self.cigars.finish()),
            Arc::new(self.mate_contigs.finish()),
            Arc::new(self.mate_positions.finish()),
            Arc::new(self.template_lengths.finish()),
            Arc::new(self.tags.finish()),
            Arc::new(self.owners.finish()),
            Arc::new(self.ordinals.finish()),
            Arc::new(self.exact.finish()),
        ];
        Columns::try_new(Arc::new(file::physical(&schema())), columns).map_err(mismatch)
    }
}

/// Decoded rows.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    columns: Columns,
    samples: Int32Array,
    read_names: StringArray,
    positions: Int32Array,
    sequences: BinaryArray,
    qualities: ListArray,
    quality_values: UInt8Array,
    mapping_qualities: UInt8Array,
    flags: UInt16Array,
    contigs: Int32Array,
    ends: Int32Array,
    cigars: StringArray,
    mate_contigs: Int32Array,
    mate_positions: Int32Array,
    template_lengths: Int32Array,
    tags: StringArray,
    owners: BooleanArray,
    ordinals: UInt64Array,
    exact: BinaryArray,
}

/// A column of a decoded batch, as what it should be.
pub(super) fn column<A: Array + Clone + 'static>(columns: &Columns, at: usize) -> Result<A> {
    let found = columns.columns().get(at).and_then(|array| array.as_any().downcast_ref::<A>());
    found.cloned().ok_or_else(|| Error::corrupt("a batch lacks one of its columns"))
}

impl Rows {
    pub(super) fn new(columns: Columns) -> Result<Self> {
        let qualities: ListArray = column(&columns, at::QUALITY)?;
        let quality_values = qualities.values().as_any().downcast_ref::<UInt8Array>().cloned();
        Ok(Self {
            samples: column(&columns, at::SAMPLE)?,
            read_names: column(&columns, at::NAME)?,
            positions: column(&columns, at::POSITION)?,
            sequences: column(&columns, at::SEQUENCE)?,
            qualities,
            quality_values: quality_values
                .ok_or_else(|| Error::corrupt("a batch lacks one of its columns"))?,
            mapping_qualities: column(&columns, at::MAPPING_QUALITY)?,
            flags: column(&columns, at::FLAGS)?,
            contigs: column(&columns, at::CONTIG)?,
            ends: column(&columns, at::END)?,
            cigars: column(&columns, at::CIGAR)?,
            mate_contigs: column(&columns, at::MATE_CONTIG)?,
            mate_positions: column(&columns, at::MATE_POSITION)?,
            template_lengths: column(&columns, at::TEMPLATE_LENGTH)?,
            tags: column(&columns, at::TAGS)?,
            owners: column(&columns, at::IS_OWNER)?,
            ordinals: column(&columns, at::ORDINAL)?,
            exact: column(&columns, at::EXACT)?,
            columns,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.columns.num_rows()
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(super) fn place(&self, row: usize) -> Place {
        Place {
            sample: self.samples.value(row) as u32,
            is_owner: self.owners.value(row),
            ordinal: (!self.ordinals.is_null(row)).then(|| self.ordinals.value(row)),
        }
    }

    /// The key of its contig.
    pub(super) fn contig_key(&self, row: usize) -> Option<u32> {
        let is_some = !self.contigs.is_null(row);
        u32::try_from(self.contigs.value(row)).ok().filter(|_| is_some)
    }

    /// First base, 0-based, and one past the last; `None` where the read has no place.
    pub(super) fn interval(&self, row: usize) -> Option<(u64, u64)> {
        if self.positions.is_null(row) || self.ends.is_null(row) {
            return None;
        }
        let start = u64::try_from(self.positions.value(row)).ok()?.checked_sub(1)?;
        Some((start, u64::try_from(self.ends.value(row)).ok()?))
    }

    /// Appends the line that `samtools view` prints, without its end; `extra` follows as a tag.
    pub(super) fn push_line(
        &self,
        row: usize,
        names: &Names<'_>,
        extra: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let text = |array: &StringArray, out: &mut Vec<u8>| match array.is_null(row) {
            true => out.push(b'*'),
            false => out.extend_from_slice(array.value(row).as_bytes()),
        };
        if !self.exact.is_null(row) {
            let record = Record::new(self.exact.value(row)).map_err(damaged)?;
            write_record(out, &record, names.contigs);
            out.pop();
        } else {
            let number = |value: i64, out: &mut Vec<u8>| {
                let mut buffer = [0_u8; 20];
                let (mut at, mut rest) = (buffer.len(), value.unsigned_abs());
                loop {
                    at -= 1;
                    buffer[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                    if rest == 0 {
                        break;
                    }
                }
                if value < 0 {
                    out.push(b'-');
                }
                out.extend_from_slice(&buffer[at..]);
            };
            let place = |array: &Int32Array| match array.is_null(row) {
                true => 0,
                false => i64::from(array.value(row)),
            };
            let key = |array: &Int32Array| (!array.is_null(row)).then(|| array.value(row));
            text(&self.read_names, out);
            out.push(b'\t');
            number(self.flags.value(row).into(), out);
            out.push(b'\t');
            let contig = key(&self.contigs);
            out.extend_from_slice(names.of(contig)?);
            out.push(b'\t');
            number(place(&self.positions), out);
            out.push(b'\t');
            number(self.mapping_qualities.value(row).into(), out);
            out.push(b'\t');
            text(&self.cigars, out);
            out.push(b'\t');
            let mate = key(&self.mate_contigs);
            match mate.is_some() && mate == contig {
                true => out.push(b'='),
                false => out.extend_from_slice(names.of(mate)?),
            }
            out.push(b'\t');
            number(place(&self.mate_positions), out);
            out.push(b'\t');
            number(self.template_lengths.value(row).into(), out);
            out.push(b'\t');
            match self.sequences.is_null(row) {
                true => out.push(b'*'),
                false => out.extend_from_slice(self.sequences.value(row)),
            }
            out.push(b'\t');
            match self.qualities.is_null(row) {
                true => out.push(b'*'),
                false => {
                    let offsets = self.qualities.value_offsets();
                    let range = offsets[row] as usize..offsets[row + 1] as usize;
                    let values = self.quality_values.values().get(range).unwrap_or_default();
                    out.extend(values.iter().map(|quality| quality.wrapping_add(33)));
                }
            }
            if !self.tags.is_null(row) {
                out.push(b'\t');
                out.extend_from_slice(self.tags.value(row).as_bytes());
            }
        }
        if let Some(extra) = extra {
            out.push(b'\t');
            out.extend_from_slice(extra.as_bytes());
        }
        Ok(())
    }

    /// Appends the record that was read, with contigs as the dataset counts them.
    pub(super) fn push_record(
        &self,
        row: usize,
        names: &Names<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if !self.exact.is_null(row) {
            out.extend_from_slice(self.exact.value(row));
            return Ok(());
        }
        scratch.line.clear();
        self.push_line(row, names, None, &mut scratch.line)?;
        scratch.parser.parse(&scratch.line, names.contigs, out).map_err(damaged)
    }
}

fn damaged(error: Error) -> Error {
    Error::corrupt("a row does not hold a record").caused_by(error)
}

/// What turns lines back into records.
pub(super) struct Scratch {
    line: Vec<u8>,
    parser: LineParser,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { line: Vec::new(), parser: LineParser::new(Validation::Lenient) }
    }
}

/// The contigs that keys of a layer stand for.
pub(super) struct Names<'a> {
    pub(super) contigs: &'a Contigs,
    /// The contig of the dataset for each key.
    pub(super) keys: &'a [u32],
}

impl<'a> Names<'a> {
    fn of(&self, key: Option<i32>) -> Result<&'a [u8]> {
        let Some(key) = key else { return Ok(b"*") };
        let contig = usize::try_from(key).ok().and_then(|key| self.keys.get(key));
        contig
            .and_then(|&id| self.contigs.get(ContigId(id)))
            .map(|contig| contig.name.as_bytes())
            .ok_or_else(|| Error::corrupt("a row refers to a contig that its layer lacks"))
    }
}
