//! Coverage as rows of an Arrow table: a window of a sample each, with its runs and their summary.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, ListBuilder};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch as Columns};
use arrow_schema::{DataType, Field, Schema};

use super::file;
use super::rows::{column, mismatch};
use crate::codec::varint;
use crate::error::{Error, Result};

/// The coverage of one window of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The first base, 0-based.
    pub(super) start: u64,
    /// One past the last.
    pub(super) end: u64,
    /// The sum of the depths of all bases.
    pub(super) sum: u64,
    /// How many bases have a depth above 0.
    pub(super) covered: u32,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Lengths and depths of stretches, from the first base to the last.
    pub(super) runs: Vec<(u32, u32)>,
}

impl Row {
    /// A window without any run.
    pub(super) fn new(start: u64) -> Self {
        Self { start, end: start, min: u32::MAX, ..Self::default() }
    }

    /// Adds a stretch, behind all others.
    pub(super) fn push(&mut self, start: u64, end: u64, depth: u32) {
        if start > self.end {
            self.push(self.end, start, 0);
        }
        let length = end.saturating_sub(self.end) as u32;
        if length == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some((last, of)) if *of == depth => *last += length,
            _ => self.runs.push((length, depth)),
        }
        self.end = end;
        self.sum += u64::from(length) * u64::from(depth);
        self.covered += if depth > 0 { length } else { 0 };
        self.min = self.min.min(depth);
        self.max = self.max.max(depth);
    }

    /// Fills the window up.
    pub(super) fn finish(&mut self, end: u64) {
        self.push(end, end, 0);
    }

    /// As a sorter keeps it: with its contig.
    pub(super) fn to_bytes(&self, contig: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + 3 * self.runs.len());
        varint::put(&mut out, contig.into());
        varint::put(&mut out, self.start);
        for &(length, depth) in &self.runs {
            varint::put(&mut out, length.into());
            varint::put(&mut out, depth.into());
        }
        out
    }

    /// What [`to_bytes`](Self::to_bytes) made, and its contig.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<(u32, Self)> {
        let rest = &mut bytes;
        let contig = u32::try_from(varint::take(rest)?)
            .map_err(|_| Error::internal("a contig came back greater from the sorter"))?;
        let mut row = Self::new(varint::take(rest)?);
        while !rest.is_empty() {
            let (length, depth) = (varint::take(rest)?, varint::take(rest)?);
            let depth = u32::try_from(depth)
                .map_err(|_| Error::internal("a depth came back greater from the sorter"))?;
            row.push(row.end, row.end.saturating_add(length), depth);
        }
        Ok((contig, row))
    }
}

/// The schema of `coverage.arrow`; its metadata says what counts.
pub(super) fn schema(exclude_flags: u16) -> Schema {
    let names = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let list = || DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
    let fields = vec![
        Field::new("sample_id", names(), false),
        Field::new("contig", names(), false),
        Field::new("start", DataType::Int32, false),
        Field::new("end", DataType::Int32, false),
        Field::new("sum", DataType::Int64, false),
        Field::new("covered", DataType::Int32, false),
        Field::new("min", DataType::Int32, false),
        Field::new("max", DataType::Int32, false),
        Field::new("run_lengths", list(), false),
        Field::new("run_depths", list(), false),
    ];
    let metadata = [
        ("genomic-objects.schema", "ram-coverage/1".to_owned()),
        ("genomic-objects.coordinates", "1-based, closed".to_owned()),
        ("coverage.excluded_flags", exclude_flags.to_string()),
        ("coverage.min_mapping_quality", "0".to_owned()),
        ("coverage.min_base_quality", "0".to_owned()),
        ("coverage.overlapping_mates", "once".to_owned()),
        ("coverage.deletions_and_skips", "not counted".to_owned()),
    ];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value));
    Schema::new_with_metadata(fields, metadata.into())
}

/// The coverage of a window, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The sample, in its layer.
    pub(super) sample: u32,
    /// The contig; in a file, its key.
    pub(super) contig: u32,
    pub(super) row: Row,
}

/// Windows as columns; `keys` are those of contigs.
pub(super) fn columns(windows: &[Window], keys: &[i32], exclude_flags: u16) -> Result<Columns> {
    let numbers = |value: &dyn Fn(&Window) -> u64| -> ArrayRef {
        Arc::new(windows.iter().map(|of| Some(value(of) as i32)).collect::<Int32Array>())
    };
    let contigs = windows.iter().map(|of| keys.get(of.contig as usize).copied());
    let mut sums = Int64Builder::new();
    let mut lengths = ListBuilder::new(Int32Builder::new());
    let mut depths = ListBuilder::new(Int32Builder::new());
    for Window { row, .. } in windows {
        sums.append_value(row.sum as i64);
        for &(length, depth) in &row.runs {
            lengths.values().append_value(length as i32);
            depths.values().append_value(depth as i32);
        }
        lengths.append(true);
        depths.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        numbers(&|of| of.sample.into()),
        Arc::new(contigs.collect::<Int32Array>()),
        numbers(&|of| of.row.start + 1),
        numbers(&|of| of.row.end),
        Arc::new(sums.finish()),
        numbers(&|of| of.row.covered.into()),
        numbers(&|of| of.row.min.into()),
        numbers(&|of| of.row.max.into()),
        Arc::new(lengths.finish()),
        Arc::new(depths.finish()),
    ];
    Columns::try_new(Arc::new(file::physical(&schema(exclude_flags))), columns).map_err(mismatch)
}

/// Reads columns back, with keys for contigs.
pub(super) fn windows(columns: &Columns) -> Result<Vec<Window>> {
    let samples: Int32Array = column(columns, 0)?;
    let contigs: Int32Array = column(columns, 1)?;
    let starts: Int32Array = column(columns, 2)?;
    let ends: Int32Array = column(columns, 3)?;
    let sums: Int64Array = column(columns, 4)?;
    let lengths: ListArray = column(columns, 8)?;
    let depths: ListArray = column(columns, 9)?;
    let values = |list: &ListArray| {
        let values = list.values().as_any().downcast_ref::<Int32Array>().cloned();
        values.ok_or_else(|| Error::corrupt("a batch of coverage lacks one of its columns"))
    };
    let (length_values, depth_values) = (values(&lengths)?, values(&depths)?);
    let mut windows = Vec::with_capacity(columns.num_rows());
    for at in 0..columns.num_rows() {
        let mut row = Row::new(u64::from(starts.value(at).unsigned_abs()).saturating_sub(1));
        let range = |list: &ListArray| {
            list.value_offsets()[at] as usize..list.value_offsets()[at + 1] as usize
        };
        let lengths = length_values.values().get(range(&lengths)).unwrap_or_default();
        let depths = depth_values.values().get(range(&depths)).unwrap_or_default();
        for (length, depth) in lengths.iter().zip(depths) {
            row.push(row.end, row.end + u64::from(length.unsigned_abs()), depth.unsigned_abs());
        }
        if row.end != u64::from(ends.value(at).unsigned_abs())
            || row.sum != sums.value(at).unsigned_abs()
        {
            return Err(Error::corrupt("a row of coverage contradicts its own runs"));
        }
        let (sample, contig) = (samples.value(at).unsigned_abs(), contigs.value(at).unsigned_abs());
        windows.push(Window { sample, contig, row });
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_row_sums_up_its_runs_and_reads_back() {
        let mut row = Row::new(1000);
        row.push(1010, 1020, 3);
        row.push(1020, 1030, 3);
        row.push(1030, 1040, 70_000);
        row.finish(2000);
        assert_eq!(row.runs, [(10, 0), (20, 3), (10, 70_000), (960, 0)]);
        assert_eq!((row.sum, row.covered, row.min, row.max), (700_060, 30, 0, 70_000));
        assert_eq!(Row::parse(&row.to_bytes(7)).unwrap(), (7, row.clone()));
        let table = vec![
            Window { sample: 3, contig: 0, row: row.clone() },
            Window { sample: 5, contig: 1, row },
        ];
        assert_eq!(windows(&columns(&table, &[0, 1], 1796).unwrap()).unwrap(), table);
    }
}
