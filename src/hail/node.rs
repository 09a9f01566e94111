//! Columns that read themselves: a tree of an encoded type, each part with the Arrow values that
//! it has read so far.
//!
//! A value goes from the stream into its column without a stop in between. What a row may add to
//! memory is bounded: lengths are charged to a [budget](Scratch::charge) before they are believed.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, StructArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields};

use super::call;
use super::encoded::{EKind, EType, Length};
use super::ndarray::NdArray;
use super::skip::Skipped;
use super::stream::Stream;
use super::types::VType;
use crate::error::{Context, Error, Result};

/// What one row may add to memory, in bytes of Arrow values.
const MAX_ROW: u64 = 256 << 20;

/// What is kept between values.
#[derive(Default)]
pub(super) struct Scratch {
    /// Bitmaps of the containers being read, innermost last.
    pub(super) bits: Vec<u8>,
    /// Bytes that the row has added so far.
    row: u64,
    /// Bytes that all rows since the last batch have added.
    pub(super) batch: u64,
}

impl Scratch {
    /// Begins a row.
    pub(super) fn begin(&mut self, width: u64) -> Result<()> {
        self.batch += self.row;
        self.row = 0;
        self.charge(1, width)
    }

    /// The bytes added since the last batch; begins the next one.
    pub(super) fn bytes(&self) -> u64 {
        self.batch + self.row
    }

    /// Begins a batch.
    pub(super) fn clear(&mut self) {
        (self.row, self.batch) = (0, 0);
    }

    /// Makes room for `count` values of `width` bytes.
    #[inline]
    pub(super) fn charge(&mut self, count: usize, width: u64) -> Result<()> {
        self.row = self.row.saturating_add((count as u64).saturating_mul(width));
        if self.row > MAX_ROW { Err(too_long()) } else { Ok(()) }
    }

    /// Whether item `at` of the bitmap that begins at `base` is missing.
    #[inline]
    pub(super) fn is_missing(&self, base: usize, at: usize) -> bool {
        self.bits.get(base + (at >> 3)).is_some_and(|byte| byte >> (at & 7) & 1 == 1)
    }
}

#[cold]
fn too_long() -> Error {
    Error::unsupported(format!("a row takes more than {} MiB", MAX_ROW >> 20))
        .help("the part may be damaged: a length in it that lies looks like this")
}

/// A column, and how its values are encoded.
pub(super) enum Node {
    Boolean {
        values: BooleanBufferBuilder,
        valid: NullBufferBuilder,
    },
    Int32 {
        varint: bool,
        values: Vec<i32>,
        valid: NullBufferBuilder,
    },
    Int64 {
        varint: bool,
        values: Vec<i64>,
        valid: NullBufferBuilder,
    },
    Float32 {
        values: Vec<f32>,
        valid: NullBufferBuilder,
    },
    Float64 {
        values: Vec<f64>,
        valid: NullBufferBuilder,
    },
    Text {
        length: Length,
        bytes: Vec<u8>,
        ends: Vec<i32>,
        valid: NullBufferBuilder,
    },
    Call {
        varint: bool,
        bytes: Vec<u8>,
        ends: Vec<i32>,
        valid: NullBufferBuilder,
    },
    List(Box<List>),
    Struct(Box<Struct>),
    NdArray(Box<NdArray>),
    /// Read, and not kept.
    Skipped(Skipped),
}

/// Lists of items.
pub(super) struct List {
    length: Length,
    /// Items may be missing.
    nullable: bool,
    width: u64,
    field: FieldRef,
    items: Node,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

/// Fields side by side.
pub(super) struct Struct {
    pub(super) layout: Layout,
    pub(super) children: Vec<Node>,
    fields: Fields,
    len: usize,
    valid: NullBufferBuilder,
}

/// The order in which fields are encoded.
pub(super) struct Layout {
    /// Bytes of the bitmap.
    bitmap: usize,
    /// For each field whether it has a bit there, and the child that reads it.
    steps: Vec<(bool, usize)>,
}

fn nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

impl Node {
    /// An empty column for values of a type.
    pub(super) fn new(of: &VType, encoded: &EType) -> Self {
        let varint = encoded.kind == EKind::Varint;
        match (of, &encoded.kind) {
            (VType::Boolean, _) => {
                Self::Boolean { values: BooleanBufferBuilder::new(0), valid: nulls() }
            }
            (VType::Int32, _) => Self::Int32 { varint, values: Vec::new(), valid: nulls() },
            (VType::Int64, _) => Self::Int64 { varint, values: Vec::new(), valid: nulls() },
            (VType::Float32, _) => Self::Float32 { values: Vec::new(), valid: nulls() },
            (VType::Float64, _) => Self::Float64 { values: Vec::new(), valid: nulls() },
            (VType::Call, _) => {
                Self::Call { varint, bytes: Vec::new(), ends: Vec::new(), valid: nulls() }
            }
            (VType::String, EKind::Binary(length)) => {
                Self::Text { length: *length, bytes: Vec::new(), ends: Vec::new(), valid: nulls() }
            }
            (VType::Array(_) | VType::Set(_) | VType::Dict(..), EKind::Array(length, item)) => {
                let (of, data_type) = (item_of(of), of.data_type(encoded));
                Self::List(Box::new(List::new(*length, &of, item, data_type)))
            }
            (VType::NdArray(item, dimensions), EKind::NdArray(encoded_item, _)) => {
                let data_type = of.data_type(encoded);
                let items = Self::new(item, encoded_item);
                Self::NdArray(Box::new(NdArray::new(*dimensions, items, &data_type)))
            }
            (_, EKind::Struct(fields)) => {
                let parts = of.parts();
                let of = of.data_type(encoded);
                let names: Vec<&str> = parts.iter().map(|part| part.encoded.as_str()).collect();
                let children = parts
                    .iter()
                    .filter_map(|part| Some(Self::new(&part.of, encoded.field(&part.encoded)?)));
                Self::Struct(Box::new(Struct {
                    children: children.collect(),
                    layout: Layout::new(fields, &names),
                    fields: match of {
                        DataType::Struct(fields) => fields,
                        _ => Fields::empty(),
                    },
                    len: 0,
                    valid: nulls(),
                }))
            }
            // Types were checked against their encoding; nothing else is left.
            _ => Self::Skipped(Skipped::new(encoded)),
        }
    }

    /// Bytes that a value takes at least.
    pub(super) fn width(&self) -> u64 {
        match self {
            Self::Boolean { .. } | Self::Skipped(_) => 1,
            Self::Int32 { .. } | Self::Float32 { .. } | Self::Text { .. } | Self::List(_) => 4,
            Self::Int64 { .. } | Self::Float64 { .. } | Self::Call { .. } => 8,
            Self::NdArray(_) => 16,
            Self::Struct(of) => of.children.iter().map(Self::width).sum::<u64>() + 1,
        }
    }

    /// Reads a value that is there.
    #[inline]
    pub(super) fn read(&mut self, stream: &mut Stream, scratch: &mut Scratch) -> Result<()> {
        match self {
            Self::Boolean { values, valid } => {
                values.append(stream.byte()? != 0);
                valid.append_non_null();
            }
            Self::Int32 { varint, values, valid } => {
                values.push(stream.int32(*varint)?);
                valid.append_non_null();
            }
            Self::Int64 { varint, values, valid } => {
                values.push(stream.int64(*varint)?);
                valid.append_non_null();
            }
            Self::Float32 { values, valid } => {
                values.push(stream.float32()?);
                valid.append_non_null();
            }
            Self::Float64 { values, valid } => {
                values.push(stream.float64()?);
                valid.append_non_null();
            }
            Self::Text { length, bytes, ends, valid } => {
                read_text(*length, bytes, ends, stream, scratch)?;
                valid.append_non_null();
            }
            Self::Call { varint, bytes, ends, valid } => {
                call::push_text(stream.int32(*varint)?, bytes)?;
                ends.push(bytes.len() as i32);
                valid.append_non_null();
            }
            Self::List(list) => list.read(stream, scratch)?,
            Self::Struct(of) => {
                of.layout.read(&mut of.children, stream, scratch)?;
                of.len += 1;
                of.valid.append_non_null();
            }
            Self::NdArray(of) => of.read(stream, scratch)?,
            Self::Skipped(of) => of.read(stream, scratch)?,
        }
        Ok(())
    }

    /// Reads `count` values that are all there.
    pub(super) fn read_many(
        &mut self,
        count: usize,
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match self {
            Self::Int32 { varint, values, valid } => {
                for _ in 0..count {
                    values.push(stream.int32(*varint)?);
                }
                valid.append_n_non_nulls(count);
            }
            Self::Text { length, bytes, ends, valid } => {
                for _ in 0..count {
                    read_text(*length, bytes, ends, stream, scratch)?;
                }
                valid.append_n_non_nulls(count);
            }
            _ => {
                for _ in 0..count {
                    self.read(stream, scratch)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a value that is missing.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean { values, valid } => {
                values.append(false);
                valid.append_null();
            }
            Self::Int32 { values, valid, .. } => {
                values.push(0);
                valid.append_null();
            }
            Self::Int64 { values, valid, .. } => {
                values.push(0);
                valid.append_null();
            }
            Self::Float32 { values, valid } => {
                values.push(0.0);
                valid.append_null();
            }
            Self::Float64 { values, valid } => {
                values.push(0.0);
                valid.append_null();
            }
            Self::Text { bytes, ends, valid, .. } | Self::Call { bytes, ends, valid, .. } => {
                ends.push(bytes.len() as i32);
                valid.append_null();
            }
            Self::List(list) => {
                list.ends.push(list.ends.last().copied().unwrap_or(0));
                list.valid.append_null();
            }
            Self::Struct(of) => {
                of.children.iter_mut().for_each(Self::push_null);
                of.len += 1;
                of.valid.append_null();
            }
            Self::NdArray(of) => of.push_null(),
            Self::Skipped(_) => {}
        }
    }

    /// The values read since the last call; `None` for what is not kept.
    pub(super) fn finish(&mut self) -> Result<Option<ArrayRef>> {
        Ok(Some(match self {
            Self::Boolean { values, valid } => {
                Arc::new(BooleanArray::new(values.finish(), valid.finish()))
            }
            Self::Int32 { values, valid, .. } => {
                Arc::new(Int32Array::new(fresh(values).into(), valid.finish()))
            }
            Self::Int64 { values, valid, .. } => {
                Arc::new(Int64Array::new(fresh(values).into(), valid.finish()))
            }
            Self::Float32 { values, valid } => {
                Arc::new(Float32Array::new(fresh(values).into(), valid.finish()))
            }
            Self::Float64 { values, valid } => {
                Arc::new(Float64Array::new(fresh(values).into(), valid.finish()))
            }
            Self::Text { bytes, ends, valid, .. } | Self::Call { bytes, ends, valid, .. } => {
                let text = StringArray::try_new(
                    offsets(ends),
                    Buffer::from_vec(fresh(bytes)),
                    valid.finish(),
                );
                Arc::new(text.map_err(|error| {
                    Error::corrupt("a text is no UTF-8")
                        .caused_by(error)
                        .help("the part is damaged: copy the table again")
                })?)
            }
            Self::List(list) => {
                let Some(items) = list.items.finish()? else { return Ok(None) };
                let valid = list.valid.finish();
                let array =
                    ListArray::try_new(list.field.clone(), offsets(&mut list.ends), items, valid);
                Arc::new(array.map_err(internal)?)
            }
            Self::Struct(of) => of.finish()?,
            Self::NdArray(of) => of.finish()?,
            Self::Skipped(_) => return Ok(None),
        }))
    }
}

/// What a list, a set or a dict is made of.
fn item_of(of: &VType) -> VType {
    match of {
        VType::Array(item) | VType::Set(item) => (**item).clone(),
        VType::Dict(key, value) => {
            let parts = [
                (super::types::KEY.to_owned(), (**key).clone()),
                (super::types::VALUE.to_owned(), (**value).clone()),
            ];
            VType::Struct(parts.to_vec())
        }
        other => other.clone(),
    }
}

#[inline]
fn read_text(
    length: Length,
    bytes: &mut Vec<u8>,
    ends: &mut Vec<i32>,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Result<()> {
    let count = stream.length(length)?;
    scratch.charge(count, 1)?;
    stream.copy(count, bytes)?;
    ends.push(bytes.len() as i32);
    Ok(())
}

/// Takes the values out, and leaves room for as many.
pub(super) fn fresh<T>(values: &mut Vec<T>) -> Vec<T> {
    let capacity = values.len();
    std::mem::replace(values, Vec::with_capacity(capacity))
}

/// Ends as Arrow's offsets. They ascend, and stay far below 2^31: both follow from the budget.
pub(super) fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend_from_slice(ends);
    ends.clear();
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("building a column").caused_by(error)
}

impl List {
    fn new(length: Length, of: &VType, encoded: &EType, data_type: DataType) -> Self {
        let items = Node::new(of, encoded);
        let field = match data_type {
            DataType::List(field) => field,
            other => super::types::element(other, true),
        };
        Self {
            length,
            nullable: !encoded.required,
            width: items.width(),
            field,
            items,
            ends: Vec::new(),
            valid: nulls(),
        }
    }

    #[inline]
    fn read(&mut self, stream: &mut Stream, scratch: &mut Scratch) -> Result<()> {
        let count = stream.length(self.length)?;
        scratch.charge(count, self.width)?;
        read_items(&mut self.items, self.nullable, count, stream, scratch)?;
        self.ends.push(self.ends.last().copied().unwrap_or(0) + count as i32);
        self.valid.append_non_null();
        Ok(())
    }
}

/// Reads the items of a list, after their bitmap if they have one.
#[inline]
fn read_items(
    items: &mut Node,
    nullable: bool,
    count: usize,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Result<()> {
    if !nullable {
        return items.read_many(count, stream, scratch);
    }
    let base = scratch.bits.len();
    stream.copy(count.div_ceil(8), &mut scratch.bits)?;
    if scratch.bits[base..].iter().all(|&byte| byte == 0) {
        items.read_many(count, stream, scratch)?;
    } else {
        for at in 0..count {
            if scratch.is_missing(base, at) {
                items.push_null();
            } else {
                items.read(stream, scratch)?;
            }
        }
    }
    scratch.bits.truncate(base);
    Ok(())
}

impl Struct {
    fn finish(&mut self) -> Result<ArrayRef> {
        let len = std::mem::take(&mut self.len);
        let valid = self.valid.finish();
        if self.fields.is_empty() {
            let mut there = BooleanBufferBuilder::new(len);
            there.append_n(len, true);
            return Ok(Arc::new(BooleanArray::new(there.finish(), valid)));
        }
        let mut arrays = Vec::with_capacity(self.children.len());
        for (child, field) in self.children.iter_mut().zip(&self.fields) {
            arrays.extend(child.finish().at(|| field.name().clone())?);
        }
        let array = StructArray::try_new(self.fields.clone(), arrays, valid);
        Ok(Arc::new(array.map_err(internal)?))
    }
}

impl Layout {
    /// The layout of `fields`, whose values go to the children called `names`.
    pub(super) fn new(fields: &[(String, EType)], names: &[&str]) -> Self {
        let nullable = fields.iter().filter(|(_, of)| !of.required).count();
        let steps = fields.iter().filter_map(|(name, of)| {
            Some((!of.required, names.iter().position(|other| other == name)?))
        });
        Self { bitmap: nullable.div_ceil(8), steps: steps.collect() }
    }

    /// Reads the bitmap, and the fields that are there.
    #[inline]
    pub(super) fn read(
        &self,
        children: &mut [Node],
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let base = scratch.bits.len();
        stream.copy(self.bitmap, &mut scratch.bits)?;
        let mut bit = 0;
        for &(nullable, slot) in &self.steps {
            let missing = nullable && scratch.is_missing(base, bit);
            bit += usize::from(nullable);
            let Some(child) = children.get_mut(slot) else { continue };
            if missing {
                child.push_null();
            } else {
                child.read(stream, scratch)?;
            }
        }
        scratch.bits.truncate(base);
        Ok(())
    }
}
