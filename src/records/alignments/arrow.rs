//! Alignments as Arrow record batches, in the schema that [`columns`](super::columns) lists.
//!
//! The schema's metadata names it (`genomic-objects.schema` = `alignments/1`) and states that
//! coordinates are 1-based and intervals closed; each field's metadata has a `description`.
//!
//! ```
//! use genomic_objects::genome::Contigs;
//! use genomic_objects::records::alignments::arrow::BatchBuilder;
//! use genomic_objects::records::alignments::columns::Column;
//!
//! let columns = Column::parse_list("read_name,position,NM")?;
//! let mut builder = BatchBuilder::new(&columns, &Contigs::default());
//! let batch = builder.finish()?;
//! assert_eq!(batch.schema().field(1).name(), "position");
//! # Ok::<(), genomic_objects::error::Error>(())
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Float32Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder, StructBuilder, UInt8Builder, UInt16Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::columns::{
    Column, TagKind, TagValue, last_base, misfit, name, one_based, push_cigar, qualities, utf8,
    visible_tags,
};
use super::record::BASES;
use super::{Record, Tag};
use crate::error::{Error, Result};
use crate::genome::Contigs;

/// A batch is full when its values take so many bytes; a record may carry it beyond.
const FULL: usize = 16 << 20;

/// Offsets of Arrow's text, binary and list columns are signed, of 32 bits.
const MAX_VALUES: usize = i32::MAX as usize;

/// The schema of a table with these columns.
pub fn schema(columns: &[Column]) -> Schema {
    let fields: Vec<_> = columns
        .iter()
        .map(|column| {
            let is_nullable =
                !matches!(column, Column::Flags | Column::TemplateLength | Column::Tags);
            let description = ("description".to_owned(), column.description().to_owned());
            Field::new(column.to_string(), data_type(*column), is_nullable)
                .with_metadata(HashMap::from([description]))
        })
        .collect();
    Schema::new_with_metadata(
        fields,
        HashMap::from([
            ("genomic-objects.schema".into(), "alignments/1".into()),
            ("genomic-objects.coordinates".into(), "1-based, closed".into()),
        ]),
    )
}

fn data_type(column: Column) -> DataType {
    let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
    match column {
        Column::ReadName | Column::Cigar | Column::Tag(_, TagKind::Text) => DataType::Utf8,
        Column::Flags => DataType::UInt16,
        Column::Contig | Column::MateContig => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        Column::Position
        | Column::End
        | Column::MatePosition
        | Column::Tag(_, TagKind::Integer) => DataType::Int64,
        Column::MappingQuality => DataType::UInt8,
        Column::TemplateLength => DataType::Int32,
        Column::Sequence => DataType::Binary,
        Column::Quality => list(DataType::UInt8),
        Column::Tags => list(DataType::Struct(tag_fields().into())),
        Column::Tag(_, TagKind::Float) => DataType::Float32,
        Column::Tag(_, TagKind::Integers) => list(DataType::Int64),
        Column::Tag(_, TagKind::Floats) => list(DataType::Float32),
    }
}

fn tag_fields() -> Vec<Field> {
    ["tag", "type", "value"].map(|name| Field::new(name, DataType::Utf8, false)).into()
}

/// Collects records into one record batch after another.
#[derive(Debug)]
pub struct BatchBuilder {
    schema: SchemaRef,
    contigs: Arc<StringArray>,
    columns: Vec<Values>,
    len: usize,
    bytes: usize,
    scratch: Vec<u8>,
}

/// A column under construction.
#[derive(Debug)]
enum Values {
    ReadName(StringBuilder),
    Flags(UInt16Builder),
    /// The keys of contigs; true for those of mates.
    Contig(bool, Int32Builder),
    Position(Int64Builder),
    End(Int64Builder),
    MappingQuality(UInt8Builder),
    Cigar(StringBuilder),
    MatePosition(Int64Builder),
    TemplateLength(Int32Builder),
    Sequence(BinaryBuilder),
    Quality(ListBuilder<UInt8Builder>),
    Tags(ListBuilder<StructBuilder>),
    Text([u8; 2], StringBuilder),
    Integer([u8; 2], Int64Builder),
    Float([u8; 2], Float32Builder),
    Integers([u8; 2], ListBuilder<Int64Builder>),
    Floats([u8; 2], ListBuilder<Float32Builder>),
}

impl BatchBuilder {
    /// An empty builder for records that refer to `contigs`.
    pub fn new(columns: &[Column], contigs: &Contigs) -> Self {
        Self {
            schema: Arc::new(schema(columns)),
            contigs: Arc::new(contigs.iter().map(|contig| Some(contig.name.as_str())).collect()),
            columns: columns.iter().map(|column| Values::new(*column)).collect(),
            len: 0,
            bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) for text that is not UTF-8, and for a tag of
    /// another type than its column; [`Unsupported`](crate::error::ErrorKind::Unsupported) for more
    /// than two billion values in one column. Start anew then: some columns may have the row.
    pub fn append(&mut self, record: &Record<'_>) -> Result<()> {
        for column in &mut self.columns {
            self.bytes += column.append(record, self.contigs.as_ref(), &mut self.scratch)?;
        }
        self.len += 1;
        Ok(())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the rows take so much memory (16 MiB) that the batch should be finished.
    pub fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    /// Takes the rows as a record batch, and begins the next.
    ///
    /// # Errors
    ///
    /// None that the builder's own work could cause.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self
            .columns
            .iter_mut()
            .map(|column| column.finish(&self.contigs))
            .collect::<Result<Vec<_>>>()?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(self.len));
        (self.len, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(self.schema(), arrays, &options).map_err(mismatch)
    }
}

impl Values {
    fn new(column: Column) -> Self {
        match column {
            Column::ReadName => Self::ReadName(StringBuilder::new()),
            Column::Flags => Self::Flags(UInt16Builder::new()),
            Column::Contig => Self::Contig(false, Int32Builder::new()),
            Column::Position => Self::Position(Int64Builder::new()),
            Column::End => Self::End(Int64Builder::new()),
            Column::MappingQuality => Self::MappingQuality(UInt8Builder::new()),
            Column::Cigar => Self::Cigar(StringBuilder::new()),
            Column::MateContig => Self::Contig(true, Int32Builder::new()),
            Column::MatePosition => Self::MatePosition(Int64Builder::new()),
            Column::TemplateLength => Self::TemplateLength(Int32Builder::new()),
            Column::Sequence => Self::Sequence(BinaryBuilder::new()),
            Column::Quality => Self::Quality(ListBuilder::new(UInt8Builder::new())),
            Column::Tags => {
                Self::Tags(ListBuilder::new(StructBuilder::from_fields(tag_fields(), 0)))
            }
            Column::Tag(name, TagKind::Text) => Self::Text(name, StringBuilder::new()),
            Column::Tag(name, TagKind::Integer) => Self::Integer(name, Int64Builder::new()),
            Column::Tag(name, TagKind::Float) => Self::Float(name, Float32Builder::new()),
            Column::Tag(name, TagKind::Integers) => {
                Self::Integers(name, ListBuilder::new(Int64Builder::new()))
            }
            Column::Tag(name, TagKind::Floats) => {
                Self::Floats(name, ListBuilder::new(Float32Builder::new()))
            }
        }
    }

    /// Appends a record's value, and says how many bytes it takes.
    fn append(
        &mut self,
        record: &Record<'_>,
        contigs: &StringArray,
        scratch: &mut Vec<u8>,
    ) -> Result<usize> {
        scratch.clear();
        let tag = |wanted: [u8; 2]| visible_tags(record).find(|tag| tag.name == wanted);
        match self {
            Self::ReadName(values) => append_text(values, name(record), "its name", record),
            Self::Flags(values) => {
                values.append_value(record.flags());
                Ok(2)
            }
            Self::Contig(is_mate, values) => {
                let id = if *is_mate { record.mate_ref_id() } else { record.ref_id() };
                let is_known = usize::try_from(id).is_ok_and(|id| id < contigs_len(contigs));
                values.append_option(is_known.then_some(id));
                Ok(4)
            }
            Self::Position(values) => append_i64(values, one_based(record.position())),
            Self::End(values) => append_i64(values, last_base(record)),
            Self::MappingQuality(values) => {
                let quality = record.mapping_quality();
                values.append_option((quality != 255).then_some(quality));
                Ok(1)
            }
            Self::Cigar(values) => {
                push_cigar(scratch, record);
                let cigar = Some(scratch.as_slice()).filter(|cigar| !cigar.is_empty());
                append_text(values, cigar, "its CIGAR", record)
            }
            Self::MatePosition(values) => append_i64(values, one_based(record.mate_position())),
            Self::TemplateLength(values) => {
                values.append_value(record.template_length());
                Ok(4)
            }
            Self::Sequence(values) => {
                scratch.extend(record.base_codes().map(|code| BASES[usize::from(code)]));
                check_room(values.values_slice().len(), scratch.len())?;
                values.append_option(Some(&*scratch).filter(|bases| !bases.is_empty()));
                Ok(4 + scratch.len())
            }
            Self::Quality(values) => {
                let qualities = qualities(record);
                check_room(values.values_ref().len(), qualities.map_or(0, <[u8]>::len))?;
                values.values().append_slice(qualities.unwrap_or_default());
                values.append(qualities.is_some());
                Ok(4 + qualities.map_or(0, <[u8]>::len))
            }
            Self::Tags(values) => append_tags(values, record, scratch),
            Self::Text(name, values) => match tag(*name) {
                None => append_text(values, None, "", record),
                Some(tag) => {
                    value_of(*name, &tag, record)?.push_text(scratch);
                    append_text(
                        values,
                        Some(scratch),
                        format_args!("tag {}", Column::Tag(*name, TagKind::Text)),
                        record,
                    )
                }
            },
            Self::Integer(name, values) => match tag(*name) {
                None => append_i64(values, None),
                Some(tag) => match value_of(*name, &tag, record)? {
                    TagValue::Integer(value) => append_i64(values, Some(value)),
                    _ => Err(misfit(*name, &tag, record)),
                },
            },
            Self::Float(name, values) => {
                let value = match tag(*name) {
                    None => None,
                    Some(tag) => match value_of(*name, &tag, record)? {
                        TagValue::Float(value) => Some(value),
                        _ => return Err(misfit(*name, &tag, record)),
                    },
                };
                values.append_option(value);
                Ok(4)
            }
            Self::Integers(name, values) => {
                append_array(values, *name, tag(*name), record, |values, value| {
                    match value {
                        TagValue::Integer(value) => values.append_value(value),
                        _ => return false,
                    }
                    true
                })
            }
            Self::Floats(name, values) => {
                append_array(values, *name, tag(*name), record, |values, value| {
                    match value {
                        TagValue::Float(value) => values.append_value(value),
                        _ => return false,
                    }
                    true
                })
            }
        }
    }

    fn finish(&mut self, contigs: &Arc<StringArray>) -> Result<ArrayRef> {
        Ok(match self {
            Self::Contig(_, values) => {
                let contigs: ArrayRef = Arc::<StringArray>::clone(contigs);
                let keys = values.finish();
                Arc::new(DictionaryArray::<Int32Type>::try_new(keys, contigs).map_err(mismatch)?)
            }
            Self::ReadName(values) | Self::Cigar(values) | Self::Text(_, values) => {
                Arc::new(values.finish())
            }
            Self::Flags(values) => Arc::new(values.finish()),
            Self::Position(values)
            | Self::End(values)
            | Self::MatePosition(values)
            | Self::Integer(_, values) => Arc::new(values.finish()),
            Self::MappingQuality(values) => Arc::new(values.finish()),
            Self::TemplateLength(values) => Arc::new(values.finish()),
            Self::Sequence(values) => Arc::new(values.finish()),
            Self::Quality(values) => Arc::new(values.finish()),
            Self::Tags(values) => Arc::new(values.finish()),
            Self::Float(_, values) => Arc::new(values.finish()),
            Self::Integers(_, values) => Arc::new(values.finish()),
            Self::Floats(_, values) => Arc::new(values.finish()),
        })
    }
}

fn contigs_len(contigs: &StringArray) -> usize {
    arrow_array::Array::len(contigs)
}

fn append_i64(values: &mut Int64Builder, value: Option<i64>) -> Result<usize> {
    values.append_option(value);
    Ok(8)
}

fn append_text(
    values: &mut StringBuilder,
    text: Option<&[u8]>,
    what: impl std::fmt::Display,
    record: &Record<'_>,
) -> Result<usize> {
    let text = text.map(|text| utf8(text, what, record)).transpose()?;
    let len = text.map_or(0, str::len);
    check_room(values.values_slice().len(), len)?;
    values.append_option(text);
    Ok(4 + len)
}

fn append_tags(
    values: &mut ListBuilder<StructBuilder>,
    record: &Record<'_>,
    scratch: &mut Vec<u8>,
) -> Result<usize> {
    let mut bytes = 4;
    for tag in visible_tags(record) {
        scratch.clear();
        value_of(tag.name, &tag, record)?.push_text(scratch);
        let kind = match (tag.kind, tag.value) {
            (b'B', &[of, ..]) => format!("B{}", char::from(of)),
            (b'c' | b'C' | b's' | b'S' | b'i' | b'I', _) => "i".into(),
            (kind, _) => char::from(kind).into(),
        };
        let what = format!("tag {}", String::from_utf8_lossy(&tag.name));
        let row = values.values();
        for (at, text) in [&tag.name[..], kind.as_bytes(), scratch].into_iter().enumerate() {
            if let Some(texts) = row.field_builder::<StringBuilder>(at) {
                bytes += append_text(texts, Some(text), &what, record)?;
            }
        }
        row.append(true);
    }
    check_room(values.values_ref().len(), 0)?;
    values.append(true);
    Ok(bytes)
}

fn append_array<B: ArrayBuilder>(
    values: &mut ListBuilder<B>,
    name: [u8; 2],
    tag: Option<Tag<'_>>,
    record: &Record<'_>,
    push: impl Fn(&mut B, TagValue<'_>) -> bool,
) -> Result<usize> {
    let Some(tag) = tag else {
        values.append(false);
        return Ok(4);
    };
    check_room(values.values_ref().len(), tag.value.len())?;
    let value = value_of(name, &tag, record)?;
    let TagValue::Array(..) = value else { return Err(misfit(name, &tag, record)) };
    let before = values.values_ref().len();
    for element in value.elements() {
        if !push(values.values(), element) {
            return Err(misfit(name, &tag, record));
        }
    }
    values.append(true);
    Ok(4 + 8 * (values.values_ref().len() - before))
}

fn value_of<'a>(name: [u8; 2], tag: &Tag<'a>, record: &Record<'_>) -> Result<TagValue<'a>> {
    TagValue::new(tag).ok_or_else(|| misfit(name, tag, record))
}

fn check_room(held: usize, more: usize) -> Result<()> {
    if held.checked_add(more).is_none_or(|sum| sum > MAX_VALUES) {
        return Err(Error::unsupported(
            "a column of one Arrow batch would pass 2,147,483,647 values",
        )
        .help("leave the column out by --columns, or choose SAM or BAM"));
    }
    Ok(())
}

fn mismatch(error: arrow_schema::ArrowError) -> Error {
    Error::internal("columns of alignments do not fit their schema").caused_by(error)
}

#[cfg(test)]
pub(in crate::records::alignments) mod tests;
