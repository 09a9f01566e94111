//! The order of rows: position, then alleles.

use std::cmp::Ordering;
use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// Where the columns that order rows are; the contig is the same in all rows of a task.
pub(super) const POSITION: usize = 1;
const ALLELES: usize = 2;

/// The positions of a batch.
pub(super) fn positions(batch: &RecordBatch) -> Result<Vec<i64>> {
    let column = batch.column(POSITION);
    match column.data_type() {
        DataType::Int32 => {
            Ok(column.as_primitive::<Int32Type>().values().iter().map(|&p| i64::from(p)).collect())
        }
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().values().to_vec()),
        other => Err(Error::internal("positions that are no integers").found(other)),
    }
}

/// The alleles of a batch, if it has any.
struct Alleles<'a>(Option<(&'a ListArray, &'a StringArray)>);

impl<'a> Alleles<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let schema = batch.schema_ref();
        let field = schema.fields().get(ALLELES).filter(|field| field.name() == "alleles");
        let lists = field.and_then(|_| batch.column(ALLELES).as_list_opt::<i32>());
        Self(lists.and_then(|lists| Some((lists, lists.values().as_string_opt::<i32>()?))))
    }

    /// The alleles of a row: missing ones come last.
    fn row(&self, row: usize) -> (bool, impl Iterator<Item = (bool, &'a [u8])> + use<'a>) {
        let found = self.0.filter(|(lists, _)| lists.is_valid(row));
        let range = found.map_or(0..0, |(lists, _)| {
            let offsets = lists.value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        });
        let items = range.filter_map(move |at| {
            let (_, texts) = found?;
            Some((texts.is_null(at), texts.value(at).as_bytes()))
        });
        (found.is_none(), items)
    }

    fn compare(&self, a: usize, other: &Self, b: usize) -> Ordering {
        let ((a_missing, a), (b_missing, b)) = (self.row(a), other.row(b));
        a_missing.cmp(&b_missing).then_with(|| a.cmp(b))
    }
}

/// How the rows of a batch lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In order.
    Ordered,
    /// In order of position; at this row alleles are not.
    Alleles(usize),
    /// At this row the position is before the one in front of it.
    Positions(usize),
}

/// Whether a batch is in order, and follows `before`.
pub(super) fn look(before: Option<&RecordBatch>, batch: &RecordBatch) -> Result<Found> {
    let at = positions(batch)?;
    let alleles = Alleles::of(batch);
    let mut found = Found::Ordered;
    if let (Some(before), Some(&first)) = (before, at.first())
        && let Some(last_row) = before.num_rows().checked_sub(1)
    {
        let last = positions(&before.slice(last_row, 1))?.first().copied().unwrap_or(first);
        if first < last {
            return Ok(Found::Positions(0));
        }
        if first == last && Alleles::of(before).compare(last_row, &alleles, 0).is_gt() {
            found = Found::Alleles(0);
        }
    }
    for (row, pair) in at.windows(2).enumerate() {
        match pair {
            [a, b] if a > b => return Ok(Found::Positions(row + 1)),
            [a, b]
                if a == b
                    && found == Found::Ordered
                    && alleles.compare(row, &alleles, row + 1).is_gt() =>
            {
                found = Found::Alleles(row + 1);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The rows in order; equal ones keep theirs.
pub(super) fn sorted(batch: &RecordBatch) -> Result<RecordBatch> {
    let at = positions(batch)?;
    let alleles = Alleles::of(batch);
    let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
    rows.sort_by(|&a, &b| {
        let (a, b) = (a as usize, b as usize);
        at[a].cmp(&at[b]).then_with(|| alleles.compare(a, &alleles, b))
    });
    arrow_select::take::take_record_batch(batch, &UInt32Array::from(rows))
        .map_err(|error| Error::internal("putting rows in order").caused_by(error))
}

/// The rows whose positions lie in `intervals`, which ascend and do not touch: 1-based, inclusive.
pub(super) fn inside(batch: &RecordBatch, intervals: &[(i64, i64)]) -> Result<Vec<Range<usize>>> {
    let at = positions(batch)?;
    // Out of order, rows cannot be found by halving; that they are is reported later.
    if !at.is_sorted() {
        let keep = |position: &i64| intervals.iter().any(|(a, b)| (a..=b).contains(&position));
        let rows = at.iter().enumerate().filter(|(_, position)| keep(position));
        return Ok(rows.map(|(row, _)| row..row + 1).collect());
    }
    let rows = intervals.iter().map(|&(first, last)| {
        at.partition_point(|&position| position < first)
            ..at.partition_point(|&position| position <= last)
    });
    Ok(rows.filter(|rows| !rows.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, Int32Array};

    use super::*;

    fn batch(rows: &[(i32, &[&str])]) -> RecordBatch {
        let contig: ArrayRef = Arc::new(StringArray::from(vec!["1"; rows.len()]));
        let position: ArrayRef =
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.0)));
        let mut alleles = ListBuilder::new(StringBuilder::new());
        for (_, of) in rows {
            of.iter().for_each(|allele| alleles.values().append_value(allele));
            alleles.append(true);
        }
        let alleles: ArrayRef = Arc::new(alleles.finish());
        RecordBatch::try_from_iter([
            ("contig", contig),
            ("position", position),
            ("alleles", alleles),
        ])
        .unwrap()
    }

    #[test]
    fn test_look_finds_rows_out_of_order() {
        let good = batch(&[(1, &["A"]), (1, &["A", "C"]), (1, &["B"]), (4, &["A"])]);
        assert_eq!(look(None, &good).unwrap(), Found::Ordered);
        assert_eq!(look(Some(&good), &batch(&[(4, &["A"])])).unwrap(), Found::Ordered);
        assert_eq!(look(Some(&good), &batch(&[(4, &[])])).unwrap(), Found::Alleles(0));
        assert_eq!(look(Some(&good), &batch(&[(3, &["A"])])).unwrap(), Found::Positions(0));
        let bad = batch(&[(1, &["C"]), (1, &["A"]), (0, &["A"])]);
        assert_eq!(look(None, &bad).unwrap(), Found::Positions(2));
        assert_eq!(look(None, &bad.slice(0, 2)).unwrap(), Found::Alleles(1));
        let sorted = sorted(&bad).unwrap();
        assert_eq!(sorted, batch(&[(0, &["A"]), (1, &["A"]), (1, &["C"])]));
    }

    #[test]
    fn test_inside_finds_rows_of_intervals() {
        let rows = batch(&[(1, &[]), (5, &[]), (5, &[]), (9, &[])]);
        assert_eq!(inside(&rows, &[(2, 5), (9, 20)]).unwrap(), [1..3, 3..4]);
        assert!(inside(&rows, &[(2, 4), (10, 20)]).unwrap().is_empty());
    }
}
