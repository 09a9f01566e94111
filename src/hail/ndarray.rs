//! Arrays of several dimensions: stored by column, given by row.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, ListArray, StructArray, UInt32Array};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{DataType, Fields};

use super::node::{Node, Scratch, fresh, internal, offsets};
use super::stream::Stream;
use crate::error::{Error, Result};

/// A column of arrays of so many dimensions.
pub(super) struct NdArray {
    dimensions: usize,
    fields: Fields,
    shapes: Vec<i64>,
    shape_ends: Vec<i32>,
    items: Node,
    /// The item of each place, once items come in another order than they are given.
    order: Vec<u32>,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

/// Reads the sizes of an array, and how many items they make.
pub(super) fn shape(
    dimensions: usize,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Result<(Vec<usize>, usize)> {
    scratch.charge(dimensions, 8)?;
    let mut sizes = Vec::with_capacity(dimensions.min(64));
    let mut count = 1_usize;
    for _ in 0..dimensions {
        let size = stream.int64(false)?;
        let size = usize::try_from(size)
            .map_err(|_| Error::corrupt("a dimension of an array is negative").found(size))?;
        count = count.saturating_mul(size);
        sizes.push(size);
    }
    // A later size of 0 does not undo what an earlier product overflowed.
    let count = if sizes.contains(&0) { 0 } else { count };
    Ok((sizes, count))
}

impl NdArray {
    /// An empty column of the Arrow type that goes with it.
    pub(super) fn new(dimensions: usize, items: Node, of: &DataType) -> Self {
        let fields = match of {
            DataType::Struct(fields) => fields.clone(),
            _ => Fields::empty(),
        };
        Self {
            dimensions,
            fields,
            shapes: Vec::new(),
            shape_ends: Vec::new(),
            items,
            order: Vec::new(),
            ends: Vec::new(),
            valid: NullBufferBuilder::new(0),
        }
    }

    /// Reads an array.
    pub(super) fn read(&mut self, stream: &mut Stream, scratch: &mut Scratch) -> Result<()> {
        let (sizes, count) = shape(self.dimensions, stream, scratch)?;
        // Four bytes more for its place.
        scratch.charge(count, self.items.width() + 4)?;
        self.items.read_many(count, stream, scratch)?;
        let first = self.ends.last().copied().unwrap_or(0);
        self.place(first as u32, count, &sizes);
        self.shapes.extend(sizes.iter().map(|&size| size as i64));
        self.shape_ends.push(self.shapes.len() as i32);
        self.ends.push(first + count as i32);
        self.valid.append_non_null();
        Ok(())
    }

    /// Notes where the items are that come next in the order of rows.
    fn place(&mut self, first: u32, count: usize, sizes: &[usize]) {
        if self.dimensions < 2 {
            return;
        }
        let mut index = vec![0_usize; sizes.len()];
        for _ in 0..count {
            let by_column =
                index.iter().zip(sizes).rev().fold(0, |place, (at, size)| place * size + at);
            self.order.push(first + by_column as u32);
            for (at, size) in index.iter_mut().zip(sizes).rev() {
                *at += 1;
                if *at < *size {
                    break;
                }
                *at = 0;
            }
        }
    }

    /// Adds an array that is missing.
    pub(super) fn push_null(&mut self) {
        self.shape_ends.push(self.shapes.len() as i32);
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.valid.append_null();
    }

    /// The arrays read since the last call.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let items = self.items.finish()?;
        let mut items = items.ok_or_else(|| Error::internal("an array without items"))?;
        if self.dimensions > 1 {
            let order = UInt32Array::from(fresh(&mut self.order));
            items = arrow_select::take::take(&items, &order, None).map_err(internal)?;
        }
        let lists = [
            (Arc::new(Int64Array::from(fresh(&mut self.shapes))) as ArrayRef, &mut self.shape_ends),
            (items, &mut self.ends),
        ];
        let mut arrays = Vec::new();
        for (field, (values, ends)) in self.fields.iter().zip(lists) {
            let DataType::List(item) = field.data_type() else {
                return Err(Error::internal("an array without lists"));
            };
            let list = ListArray::try_new(item.clone(), offsets(ends), values, None);
            arrays.push(Arc::new(list.map_err(internal)?) as ArrayRef);
        }
        let array = StructArray::try_new(self.fields.clone(), arrays, self.valid.finish());
        Ok(Arc::new(array.map_err(internal)?))
    }
}
