//! One column: built from texts, and read back as texts.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef};
use serde::{Deserialize, Serialize};

use super::number::{self, FloatClass};
use crate::error::{Error, Result};

/// What the values of a column are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Physical {
    /// Whether a flag is set.
    Bool,
    /// Integers that fit 32 bits.
    Int32,
    /// Integers that do not.
    Int64,
    /// Floats whose texts 32 bits give again.
    Float32,
    /// Floats whose texts need more.
    Float64,
    /// Text.
    String,
}

impl Physical {
    /// The same in Arrow.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::String => DataType::Utf8,
        }
    }

    /// Whether values come with a class.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64)
    }
}

/// The type of lists of `items`, as Parquet gives it back.
pub fn list_of(items: DataType) -> DataType {
    DataType::List(item_field(items))
}

fn item_field(items: DataType) -> FieldRef {
    Arc::new(Field::new("element", items, true))
}

/// A column that grows.
///
/// A *value* is what one record, or one sample of a record, has: a scalar, or a list of scalars.
/// Where a row has the values of many samples, [`close_row`](Self::close_row) ends it.
#[derive(Debug)]
pub(super) struct Builder {
    values: Values,
    valid: Vec<bool>,
    list: Option<Level>,
    rows: Option<Level>,
    /// The class of each scalar, of floats.
    pub(super) classes: Vec<u8>,
    last: FloatClass,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Text { bytes: Vec<u8>, ends: Vec<i32> },
}

/// Lists over the level below.
#[derive(Debug, Default)]
struct Level {
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Level {
    fn close(&mut self, end: usize, valid: bool) {
        self.ends.push(end as i32);
        self.valid.push(valid);
    }

    fn wrap(self, items: ArrayRef) -> Result<ArrayRef> {
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.extend(self.ends);
        let list = ListArray::try_new(
            item_field(items.data_type().clone()),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            items,
            nulls(self.valid),
        );
        list.map(|list| Arc::new(list) as ArrayRef).map_err(internal)
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    (!valid.iter().all(|&valid| valid)).then(|| NullBuffer::from(valid))
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("building a column").caused_by(error)
}

impl Builder {
    /// An empty column; `is_list` if values are lists, `by_row` if rows have the values of many
    /// samples.
    pub(super) fn new(physical: Physical, is_list: bool, by_row: bool) -> Self {
        let values = match physical {
            Physical::Bool => Values::Bool(Vec::new()),
            Physical::Int32 => Values::Int32(Vec::new()),
            Physical::Int64 => Values::Int64(Vec::new()),
            Physical::Float32 => Values::Float32(Vec::new()),
            Physical::Float64 => Values::Float64(Vec::new()),
            Physical::String => Values::Text { bytes: Vec::new(), ends: Vec::new() },
        };
        Self {
            values,
            valid: Vec::new(),
            list: is_list.then(Level::default),
            rows: by_row.then(Level::default),
            classes: Vec::new(),
            last: FloatClass::PLAIN,
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.list.as_ref().map_or(self.valid.len(), |list| list.ends.len())
    }

    /// Appends the value of a text; changes nothing and returns `false` where the text is no value
    /// that gives it again.
    pub(super) fn push(&mut self, text: &[u8]) -> bool {
        if self.list.is_none() {
            return self.push_scalar(text);
        }
        if text == b"." {
            self.push_null();
            return true;
        }
        let before = self.valid.len();
        let fits = text.split(|&byte| byte == b',').all(|item| self.push_scalar(item));
        if !fits {
            self.truncate(before);
            return false;
        }
        let end = self.valid.len();
        if let Some(list) = &mut self.list {
            list.close(end, true);
        }
        true
    }

    /// Appends text as it is, a lone `.` included; what is no UTF-8 is changed.
    pub(super) fn push_plain(&mut self, text: &[u8]) {
        if let Values::Text { bytes, ends } = &mut self.values {
            bytes.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
            ends.push(bytes.len() as i32);
            self.valid.push(true);
        }
    }

    /// Appends an integer.
    pub(super) fn push_integer(&mut self, value: i64) {
        if let Values::Int64(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    /// Appends a flag.
    pub(super) fn push_flag(&mut self, set: bool) {
        if let Values::Bool(values) = &mut self.values {
            values.push(set);
            self.valid.push(true);
        }
    }

    /// Appends a value that is missing.
    pub(super) fn push_null(&mut self) {
        match &mut self.list {
            Some(list) => list.close(self.valid.len(), false),
            None => self.push_null_scalar(),
        }
    }

    /// Appends missing values (unset flags) until there are `len`.
    pub(super) fn pad_to(&mut self, len: usize) {
        while self.len() < len {
            match &self.values {
                Values::Bool(_) => self.push_flag(false),
                _ => self.push_null(),
            }
        }
    }

    /// Ends a row of many samples' values.
    pub(super) fn close_row(&mut self, present: bool) {
        let end = self.len();
        if let Some(rows) = &mut self.rows {
            rows.close(end, present);
        }
    }

    fn push_scalar(&mut self, text: &[u8]) -> bool {
        if text == b"." {
            self.push_null_scalar();
            return true;
        }
        match &mut self.values {
            Values::Bool(_) => return false,
            Values::Int32(values) => {
                let Some(value) = number::parse_integer(text).and_then(|v| i32::try_from(v).ok())
                else {
                    return false;
                };
                values.push(value);
            }
            Values::Int64(values) => {
                let Some(value) = number::parse_integer(text) else { return false };
                values.push(value);
            }
            Values::Float32(values) => {
                let Some((value, class)) = number::parse_float(text, self.last) else {
                    return false;
                };
                values.push(value);
                self.classes.push(class.0);
                self.last = class;
            }
            Values::Float64(values) => {
                let Some((value, class)) = number::parse_float(text, self.last) else {
                    return false;
                };
                values.push(value);
                self.classes.push(class.0);
                self.last = class;
            }
            Values::Text { bytes, ends } => {
                if !text.is_ascii() && std::str::from_utf8(text).is_err() {
                    return false;
                }
                bytes.extend_from_slice(text);
                ends.push(bytes.len() as i32);
            }
        }
        self.valid.push(true);
        true
    }

    fn push_null_scalar(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::Float32(values) => {
                values.push(0.0);
                self.classes.push(self.last.0);
            }
            Values::Float64(values) => {
                values.push(0.0);
                self.classes.push(self.last.0);
            }
            Values::Text { bytes, ends } => ends.push(bytes.len() as i32),
        }
        self.valid.push(false);
    }

    fn truncate(&mut self, len: usize) {
        self.valid.truncate(len);
        match &mut self.values {
            Values::Bool(values) => values.truncate(len),
            Values::Int32(values) => values.truncate(len),
            Values::Int64(values) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Text { bytes, ends } => {
                ends.truncate(len);
                bytes.truncate(ends.last().map_or(0, |&end| end as usize));
            }
        }
        if !self.classes.is_empty() {
            self.classes.truncate(len);
        }
    }

    /// The column.
    pub(super) fn finish(self) -> Result<ArrayRef> {
        let nulls = nulls(self.valid);
        let mut array: ArrayRef = match self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(values.into(), nulls)),
            Values::Int32(values) => Arc::new(Int32Array::new(values.into(), nulls)),
            Values::Int64(values) => Arc::new(Int64Array::new(values.into(), nulls)),
            Values::Float32(values) => Arc::new(Float32Array::new(values.into(), nulls)),
            Values::Float64(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Values::Text { bytes, ends } => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.extend(ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(
                    StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)
                        .map_err(internal)?,
                )
            }
        };
        for level in [self.list, self.rows].into_iter().flatten() {
            array = level.wrap(array)?;
        }
        Ok(array)
    }
}

/// A column that was read.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Outermost first.
    lists: Vec<(OffsetBuffer<i32>, Option<NullBuffer>)>,
    leaf: Leaf,
}

#[derive(Clone, Debug)]
enum Leaf {
    Bool(BooleanArray),
    Int32(Int32Array),
    Int64(Int64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Text(StringArray),
    Fixed(FixedSizeBinaryArray),
}

impl View {
    /// Of an array with so many levels of lists.
    pub(super) fn new(array: &ArrayRef, depth: usize) -> Result<Self> {
        let mut lists = Vec::with_capacity(depth);
        let mut array = array.clone();
        for _ in 0..depth {
            let list = array.as_any().downcast_ref::<ListArray>().ok_or_else(other_type)?;
            lists.push((list.offsets().clone(), list.nulls().cloned()));
            let items = list.values().clone();
            array = items;
        }
        fn of<T: Clone + 'static>(array: &ArrayRef) -> Result<T> {
            array.as_any().downcast_ref::<T>().cloned().ok_or_else(other_type)
        }
        let leaf = match array.data_type() {
            DataType::Boolean => Leaf::Bool(of(&array)?),
            DataType::Int32 => Leaf::Int32(of(&array)?),
            DataType::Int64 => Leaf::Int64(of(&array)?),
            DataType::Float32 => Leaf::Float32(of(&array)?),
            DataType::Float64 => Leaf::Float64(of(&array)?),
            DataType::Utf8 => Leaf::Text(of(&array)?),
            DataType::FixedSizeBinary(_) => Leaf::Fixed(of(&array)?),
            _ => return Err(other_type()),
        };
        Ok(Self { lists, leaf })
    }

    /// Of an array, with the levels that its type has.
    pub(super) fn of(array: &ArrayRef) -> Result<Self> {
        let mut depth = 0;
        let mut kind = array.data_type();
        while let DataType::List(items) = kind {
            depth += 1;
            kind = items.data_type();
        }
        Self::new(array, depth)
    }

    /// The values of row `row`, at a column whose rows have many; none where the row has none.
    pub(super) fn row(&self, row: usize) -> Range<usize> {
        self.lists.first().map_or(row..row + 1, |list| range_of(list, row))
    }

    /// Appends the text of value `at`; `is_list` as it was built.
    pub(super) fn push_text(
        &self,
        at: usize,
        is_list: bool,
        classes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if !is_list {
            return self.push_scalar(at, classes, out);
        }
        let list = self.lists.last().ok_or_else(other_type)?;
        if at + 1 >= list.0.len() || list.1.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
            out.push(b'.');
            return Ok(());
        }
        for (index, item) in range_of(list, at).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.push_scalar(item, classes, out)?;
        }
        Ok(())
    }

    fn push_scalar(&self, at: usize, classes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let class = || {
            let found = classes.get(at).map(|&class| FloatClass(class));
            found.ok_or_else(|| Error::corrupt("a float does not say how it was written"))
        };
        let array = self.leaf.array();
        if at >= array.len() {
            return Err(Error::corrupt("a column has fewer values than its rows need"));
        }
        if array.is_null(at) {
            out.push(b'.');
            return Ok(());
        }
        match &self.leaf {
            Leaf::Bool(_) | Leaf::Fixed(_) => return Err(other_type()),
            Leaf::Int32(array) => number::push_integer(i64::from(array.value(at)), out),
            Leaf::Int64(array) => number::push_integer(array.value(at), out),
            Leaf::Float32(array) => number::push_float(array.value(at), class()?, out),
            Leaf::Float64(array) => number::push_float(array.value(at), class()?, out),
            Leaf::Text(array) => out.extend_from_slice(array.value(at).as_bytes()),
        }
        Ok(())
    }

    /// The text of row `row`, if there is one.
    pub(super) fn text(&self, row: usize) -> Option<&str> {
        match &self.leaf {
            Leaf::Text(array) if row < array.len() && array.is_valid(row) => Some(array.value(row)),
            _ => None,
        }
    }

    /// The integer of row `row`, if there is one.
    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        match &self.leaf {
            Leaf::Int64(array) if row < array.len() && array.is_valid(row) => {
                Some(array.value(row))
            }
            Leaf::Int32(array) if row < array.len() && array.is_valid(row) => {
                Some(i64::from(array.value(row)))
            }
            _ => None,
        }
    }

    /// The bytes of row `row` of a bit plane, if it has any.
    pub(super) fn plane(&self, row: usize) -> Option<&[u8]> {
        match &self.leaf {
            Leaf::Fixed(array) if row < array.len() && array.is_valid(row) => {
                Some(array.value(row))
            }
            _ => None,
        }
    }
}

/// Values, without how they were written.
impl View {
    /// Whether the flag of row `row` is set; `None` where this is no column of flags.
    pub(super) fn flag(&self, row: usize) -> Option<bool> {
        match &self.leaf {
            Leaf::Bool(array) => Some(row < array.len() && array.is_valid(row) && array.value(row)),
            _ => None,
        }
    }

    /// Appends value `at`, floats with the fewest digits that give them again; `is_list` as it was
    /// built.
    pub(super) fn push_plain(&self, at: usize, is_list: bool, out: &mut Vec<u8>) -> Result<()> {
        let items = match (is_list, self.lists.last()) {
            (false, _) => at..at + 1,
            (true, Some(list))
                if at + 1 < list.0.len()
                    && list.1.as_ref().is_none_or(|nulls| nulls.is_valid(at)) =>
            {
                range_of(list, at)
            }
            (true, _) => 0..0,
        };
        if items.is_empty() {
            out.push(b'.');
        }
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let array = self.leaf.array();
            if item >= array.len() {
                return Err(Error::corrupt("a column has fewer values than its rows need"));
            }
            match &self.leaf {
                _ if array.is_null(item) => out.push(b'.'),
                Leaf::Bool(_) | Leaf::Fixed(_) => return Err(other_type()),
                Leaf::Int32(array) => number::push_integer(i64::from(array.value(item)), out),
                Leaf::Int64(array) => number::push_integer(array.value(item), out),
                Leaf::Float32(array) => {
                    number::push_float(array.value(item), FloatClass::PLAIN, out)
                }
                Leaf::Float64(array) => {
                    number::push_float(array.value(item), FloatClass::PLAIN, out)
                }
                Leaf::Text(array) => out.extend_from_slice(array.value(item).as_bytes()),
            }
        }
        Ok(())
    }
}

impl Leaf {
    fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(array) => array,
            Self::Int32(array) => array,
            Self::Int64(array) => array,
            Self::Float32(array) => array,
            Self::Float64(array) => array,
            Self::Text(array) => array,
            Self::Fixed(array) => array,
        }
    }
}

fn range_of(list: &(OffsetBuffer<i32>, Option<NullBuffer>), at: usize) -> Range<usize> {
    match (list.0.get(at), list.0.get(at + 1)) {
        (Some(&start), Some(&end)) => start as usize..end as usize,
        _ => 0..0,
    }
}

fn other_type() -> Error {
    Error::corrupt("a column has another type than the schema says")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(physical: Physical, is_list: bool, texts: &[&str]) -> Vec<Option<String>> {
        let mut builder = Builder::new(physical, is_list, false);
        let taken: Vec<bool> = texts
            .iter()
            .map(|text| {
                let taken = builder.push(text.as_bytes());
                if !taken {
                    builder.push_null();
                }
                taken
            })
            .collect();
        let classes = builder.classes.clone();
        let view = View::new(&builder.finish().unwrap(), usize::from(is_list)).unwrap();
        let text = |(at, taken): (usize, &bool)| {
            let mut out = Vec::new();
            view.push_text(at, is_list, &classes, &mut out).unwrap();
            taken.then(|| String::from_utf8(out).unwrap())
        };
        taken.iter().enumerate().map(text).collect()
    }

    #[test]
    fn test_column_gives_texts_again_or_refuses_them() {
        for (physical, is_list, texts, refused) in [
            (Physical::Int32, false, &["1", "-5", ".", "007", "2147483648", "1,2"][..], 3),
            (Physical::Int64, false, &["2147483648", "-1"], 0),
            (Physical::Int32, true, &["1,2,3", ".", ".,.", "1,x", "5", "1,,2", ""], 3),
            (Physical::Float32, true, &["0.5,.,1e-05", "100.000", "0.123456789", "nan"], 2),
            (Physical::String, true, &["a,b", "", ".", "a,.,", ",", "x"], 0),
            (Physical::String, false, &["a,b", "", ".", "%3B"], 0),
        ] {
            let got = again(physical, is_list, texts);
            assert_eq!(got.iter().filter(|text| text.is_none()).count(), refused, "{got:?}");
            for (text, got) in texts.iter().zip(&got) {
                assert!(got.as_ref().is_none_or(|got| got == text), "{text:?} {got:?}");
            }
        }
    }
}
