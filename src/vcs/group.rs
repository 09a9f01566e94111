//! A row group: lines of one contig become columns and residuals, and lines again.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
};

use super::calls::{CallBlock, CallEncoder, CallView};
use super::column::{Physical, View};
use super::index::{MOST_FILTERS, Quality, Spatial};
use super::schema::Schema;
use super::sites::{Begun, Place, SiteEncoder, SiteView, fixed};
use crate::error::{Error, Result};

/// Lines of one contig, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    /// Its name as the lines have it.
    pub(super) chrom: Vec<u8>,
    /// The lines, each with its line feed.
    pub(super) bytes: Vec<u8>,
    /// Where each line begins; and the end.
    pub(super) starts: Vec<usize>,
    /// First and last base of each line, from 1.
    pub(super) places: Vec<(i64, i64)>,
    /// Their numbers in the input, where the order is another.
    pub(super) ordinals: Vec<i64>,
}

impl Section {
    /// How many lines.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds a line, given without its line feed.
    pub(super) fn push(&mut self, line: &[u8], first: i64, last: i64, ordinal: Option<i64>) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.places.push((first, last));
        self.ordinals.extend(ordinal);
    }

    /// Line `row`, without its line feed.
    pub(super) fn line(&self, row: usize) -> &[u8] {
        let end = self.starts.get(row + 1).copied().unwrap_or(self.bytes.len());
        &self.bytes[self.starts[row]..end - 1]
    }
}

/// What was not typed of a row group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions {
    /// Rows of which something is kept as text.
    pub(super) rows: u64,
    /// Lines kept whole.
    pub(super) lines: u64,
    /// Values of QUAL.
    pub(super) qual: u64,
    /// Values of each field of INFO, then those of undeclared keys.
    pub(super) info: Vec<u64>,
    /// Values of each field of FORMAT, then those of undeclared keys.
    pub(super) format: Vec<u64>,
}

/// A row group in columns.
pub(super) struct Group {
    /// Columns of sites, those of few samples included.
    pub(super) sites: Vec<ArrayRef>,
    /// Columns of each block of samples.
    pub(super) blocks: Vec<Vec<ArrayRef>>,
    /// Residuals of sites, and of each block.
    pub(super) residuals: Vec<Vec<u8>>,
    pub(super) spatial: Spatial,
    pub(super) quality: Quality,
    /// BLAKE3 of the lines, line feeds included.
    pub(super) digest: [u8; 32],
    pub(super) exceptions: Exceptions,
}

impl Group {
    /// Turns lines into columns, and makes sure that the columns give the lines again: a line that
    /// they would not is kept whole.
    pub(super) fn encode(schema: &Schema, section: &Section) -> Result<Self> {
        let mut whole = BTreeSet::new();
        loop {
            let group = Self::encode_with(schema, section, &whole)?;
            let wrong = group.lines_that_differ(schema, section)?;
            if wrong.is_empty() {
                return Ok(group);
            }
            let before = whole.len();
            whole.extend(wrong);
            if whole.len() == before {
                return Err(Error::internal("a line kept whole comes back as another"));
            }
        }
    }

    fn encode_with(schema: &Schema, section: &Section, whole: &BTreeSet<usize>) -> Result<Self> {
        let mut sites = SiteEncoder::new(schema);
        let mut calls: Vec<CallEncoder<'_>> =
            schema.blocks().into_iter().map(|samples| CallEncoder::new(schema, samples)).collect();
        let mut call_rows = 0;
        for (row, &(position, end)) in section.places.iter().enumerate() {
            let place = Place { chrom: &section.chrom, position, end };
            let line = section.line(row);
            if whole.contains(&row) {
                sites.push_whole_line(line, &place);
                calls.iter_mut().for_each(|block| {
                    block.push(None);
                });
                continue;
            }
            let before = sites.rows_with_text;
            let mut cells = sites.push(line, &place);
            let mut has_text = false;
            for block in &mut calls {
                has_text |= block.push(cells.as_mut());
            }
            call_rows += u64::from(has_text && sites.rows_with_text == before);
        }
        let exceptions = Exceptions {
            rows: sites.rows_with_text + call_rows,
            lines: sites.whole_lines,
            qual: sites.qual_texts,
            info: sites.text_values.clone(),
            format: sum(calls.iter().map(|block| block.text_values.as_slice())),
        };
        let (mut columns, streams) = sites.finish()?;
        let quality = quality_of(schema, &columns, &exceptions);
        let mut residuals = vec![streams.encode()];
        if schema.ordinal {
            columns.push(Arc::new(Int64Array::from_iter_values(section.ordinals.iter().copied())));
        }
        let mut blocks = Vec::new();
        for block in calls {
            let (arrays, streams) = block.finish()?;
            residuals.push(streams.encode());
            if schema.has_blocks() {
                blocks.push(arrays);
            } else {
                columns.extend(arrays);
            }
        }
        let first = section.places.first().map_or(0, |place| place.0);
        let last = section.places.last().map_or(0, |place| place.0);
        let reach = section.places.iter().map(|place| place.1).max().unwrap_or(0);
        Ok(Self {
            sites: columns,
            blocks,
            residuals,
            spatial: Spatial { rows: section.len() as u32, first, last, reach },
            quality,
            digest: blake3::hash(&section.bytes).into(),
            exceptions,
        })
    }

    fn lines_that_differ(&self, schema: &Schema, section: &Section) -> Result<Vec<usize>> {
        let rows = section.len();
        let views = |arrays: &[ArrayRef]| -> Result<Vec<Option<View>>> {
            arrays.iter().map(|array| View::of(array).map(Some)).collect()
        };
        let decoded = Decoded {
            rows,
            sites: views(&self.sites)?,
            residual: Some(SiteView::decode(&self.residuals[0], rows, schema)?),
            blocks: schema
                .blocks()
                .into_iter()
                .enumerate()
                .map(|(at, samples)| {
                    let arrays = match schema.has_blocks() {
                        true => &self.blocks[at][..],
                        false => &self.sites[schema.first_sample_column()..],
                    };
                    let residual = &self.residuals[at + 1];
                    Decoded::block(schema, views(arrays)?, residual, rows, samples.len()).map(Some)
                })
                .collect::<Result<_>>()?,
        };
        let all: Vec<usize> = (0..schema.samples.len()).collect();
        let mut line = Vec::new();
        let mut wrong = Vec::new();
        for row in 0..rows {
            line.clear();
            let outcome = decoded.push_line(row, schema, &all, &mut line);
            if outcome.is_err() || line != section.line(row) {
                wrong.push(row);
            }
        }
        Ok(wrong)
    }
}

fn sum<'a>(lists: impl Iterator<Item = &'a [u64]>) -> Vec<u64> {
    let mut total: Vec<u64> = Vec::new();
    for list in lists {
        total.resize(total.len().max(list.len()), 0);
        total.iter_mut().zip(list).for_each(|(total, count)| *total += count);
    }
    total
}

/// Ranges of QUAL, FILTER and DP. Values kept as texts could be anything.
fn quality_of(schema: &Schema, columns: &[ArrayRef], exceptions: &Exceptions) -> Quality {
    let floats: Vec<Option<f64>> = match columns[fixed::QUAL].as_any() {
        any if any.is::<Float32Array>() => any
            .downcast_ref::<Float32Array>()
            .map(|array| array.iter().map(|value| value.map(f64::from)).collect()),
        any => any.downcast_ref::<Float64Array>().map(|array| array.iter().collect()),
    }
    .unwrap_or_default();
    let known = floats.iter().flatten().copied();
    let least = known.clone().fold(f64::INFINITY, f64::min);
    let greatest = known.fold(f64::NEG_INFINITY, f64::max);
    let is_open = exceptions.lines > 0 || exceptions.qual > 0;
    let qual = if is_open {
        Some((f64::NEG_INFINITY, f64::INFINITY))
    } else {
        (least <= greatest).then_some((least, greatest))
    };
    let mut filters = BTreeSet::new();
    if let Some(array) = columns[fixed::FILTER].as_any().downcast_ref::<StringArray>() {
        for text in array.iter() {
            if !filters.contains(text.unwrap_or(".")) {
                filters.insert(text.unwrap_or(".").to_owned());
                if filters.len() > MOST_FILTERS {
                    break;
                }
            }
        }
    }
    let few = filters.len() <= MOST_FILTERS && exceptions.lines == 0;
    let dp = schema.info_index("DP").filter(|&at| !schema.info[at].list);
    let (dp, dp_missing) = match dp {
        None => (None, 0),
        Some(at) => {
            let array = &columns[fixed::COUNT + at];
            let values: Option<Vec<i64>> = match schema.info[at].physical {
                Physical::Int32 => array
                    .as_any()
                    .downcast_ref::<Int32Array>()
                    .map(|array| array.iter().flatten().map(i64::from).collect()),
                Physical::Int64 => array
                    .as_any()
                    .downcast_ref::<Int64Array>()
                    .map(|array| array.iter().flatten().collect()),
                _ => None,
            };
            let open = exceptions.lines > 0 || exceptions.info[at] > 0 || values.is_none();
            let values = values.unwrap_or_default();
            let range = values.iter().min().copied().zip(values.iter().max().copied());
            let range = if open { Some((i64::MIN, i64::MAX)) } else { range };
            (range, array.null_count() as u32)
        }
    };
    Quality {
        qual,
        qual_missing: columns[fixed::QUAL].null_count() as u32,
        dp,
        dp_missing,
        filters: few.then(|| filters.into_iter().collect()),
    }
}

/// Columns and residuals of a row group that were read, as far as they are needed.
pub(super) struct Decoded {
    pub(super) rows: usize,
    /// Columns of sites, in the order of the file.
    pub(super) sites: Vec<Option<View>>,
    /// What lines need besides; none where only columns were asked for.
    pub(super) residual: Option<SiteView>,
    /// Blocks of samples, or all samples.
    pub(super) blocks: Vec<Option<CallBlock>>,
}

impl Decoded {
    /// A block of samples.
    pub(super) fn block(
        schema: &Schema,
        columns: Vec<Option<View>>,
        residual: &[u8],
        rows: usize,
        samples: usize,
    ) -> Result<CallBlock> {
        let by_row = schema.has_blocks();
        let fields = schema.format.len() * if by_row { 1 } else { samples };
        let residual = CallView::decode(residual, rows, samples, fields)?;
        Ok(CallBlock { columns, residual, by_row, samples })
    }

    /// Appends line `row`, without its line feed, with the cells of `samples`; FORMAT is left out
    /// where there are none of them but some in the dataset.
    pub(super) fn push_line(
        &self,
        row: usize,
        schema: &Schema,
        samples: &[usize],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        let residual = self.residual.as_ref();
        let residual = residual.ok_or_else(|| Error::internal("lines were not asked for"))?;
        let (format, carriage_return) = match residual.push_row(row, schema, &self.sites, out)? {
            Begun::Whole => return subset(schema, samples, start, out),
            Begun::Site { format, carriage_return } => (format, carriage_return),
        };
        if let Some(format) = format
            && (schema.samples.is_empty() || !samples.is_empty())
        {
            out.push(b'\t');
            out.extend_from_slice(format.text());
            let step = if schema.has_blocks() {
                schema.block_samples
            } else {
                schema.samples.len().max(1)
            };
            let mut rest = samples;
            while let Some(&first) = rest.first() {
                let block = first / step;
                let count = rest.iter().take_while(|&&sample| sample / step == block).count();
                let (here, next) = rest.split_at(count);
                rest = next;
                let read = self.blocks.get(block).and_then(Option::as_ref);
                let read =
                    read.ok_or_else(|| Error::internal("a block of samples was not read"))?;
                read.push_row(row, schema, format, (block * step, here), out)?;
            }
        }
        if carriage_return {
            out.push(b'\r');
        }
        Ok(())
    }
}

/// Cuts a line that was kept whole down to some samples.
fn subset(schema: &Schema, samples: &[usize], start: usize, out: &mut Vec<u8>) -> Result<()> {
    let is_all =
        samples.len() == schema.samples.len() && samples.iter().copied().eq(0..samples.len());
    if is_all {
        return Ok(());
    }
    let line = out.split_off(start);
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
    let site = if samples.is_empty() { 8 } else { 9 };
    out.extend_from_slice(&fields[..fields.len().min(site)].join(&b'\t'));
    for sample in samples {
        out.push(b'\t');
        out.extend_from_slice(fields.get(9 + sample).copied().unwrap_or(b"."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vcs::infer::{Declarations, Declared, schema};

    fn declarations(samples: usize) -> Declarations {
        let field = |(id, number, kind): (&str, &str, &str)| Declared {
            id: id.into(),
            number: number.into(),
            kind: kind.into(),
            ..Declared::default()
        };
        let info = [
            ("DP", "1", "Integer"),
            ("AF", "A", "Float"),
            ("DB", "0", "Flag"),
            ("CSQ", ".", "String"),
        ];
        let format = [("GT", "1", "String"), ("AD", "R", "Integer"), ("GL", "G", "Float")];
        Declarations {
            info: info.map(field).to_vec(),
            format: format.map(field).to_vec(),
            samples: (0..samples).map(|sample| format!("S{sample}")).collect(),
            ..Declarations::default()
        }
    }

    /// Encodes lines, which fails where they do not come back, and counts what was kept as text.
    fn encode(samples: usize, most_columns: usize, lines: &[String]) -> Exceptions {
        let mut section = Section { chrom: b"1".to_vec(), ..Section::default() };
        for (at, line) in lines.iter().enumerate() {
            section.push(line.as_bytes(), at as i64 + 1, at as i64 + 1, None);
        }
        let schema = schema(&declarations(samples), Some(&section), false, most_columns);
        let group = Group::encode(&schema, &section).unwrap();
        assert!(group.lines_that_differ(&schema, &section).unwrap().is_empty());
        group.exceptions
    }

    #[test]
    fn test_group_types_what_is_ordinary() {
        let lines = [
            "1\t1\trs1;rs2\tA\tC,G\t29.50\tPASS\tDP=5;AF=0.5,1e-05;DB\tGT:AD\t0/1:3,4,0\t./.:.",
            "1\t2\t.\tA\t<DEL>\t.\tq10;s50\tAF=.,0.25;DP=.\tGT:GL\t1|2:-0.10,.,-5.00\t0:.",
            "1\t3\t.\tAN\t*\t1e+06\t.\t.\tGT:AD:GL\t0/0\t|0/1:1",
        ]
        .map(str::to_owned);
        for most_columns in [64, 1] {
            assert_eq!(encode(2, most_columns, &lines).rows, 0, "{most_columns}");
        }
    }

    #[test]
    fn test_group_keeps_oddities_as_text() {
        let odd = [
            // A key twice, a flag with a value, an undeclared key, empty entries.
            "1\t1\t.\tA\tC\t5\t.\tDP=1;DP=2;DB=1;X=;;Y\tGT\t0/1\t0/1",
            // Numbers that are none, or have another text.
            "1\t2\t.\tA\tC\tnan\t.\tDP=007;AF=+1\tGT:AD:AD\t0/1:1:2\t0,1:x:y:z",
            // Too few columns, and a carriage return.
            "1\t3\t.\tA\tC\t5\t.\tDP=1",
            "1\t4\t.\tA",
            "1\t5\t.\tA\tC\t5\t.\tDP=1\tGT\t0/1\t0/1\r",
            "1\t06\t.\tA\tC\t5\t.\t\tGT\t\t",
        ]
        .map(str::to_owned);
        for most_columns in [64, 1] {
            let exceptions = encode(2, most_columns, &odd);
            assert_eq!(exceptions.lines, 2, "{exceptions:?}");
            assert_eq!(exceptions.qual, 1);
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,4}",
            "-?[0-9]{1,3}\\.[0-9]{1,4}",
            "[.,]{1,3}",
            "[0-9A-Z,.=|/-]{0,8}",
            "[0-2.][|/][0-2.]",
        ]
    }

    fn line() -> impl Strategy<Value = String> {
        let entry = (
            prop::sample::select(vec!["DP", "AF", "DB", "CSQ", "NEW", ""]),
            proptest::option::of(value()),
        );
        let info = prop::collection::vec(entry, 1..5).prop_map(|entries| {
            let text = |(key, value): (&str, Option<String>)| match value {
                Some(value) => format!("{key}={value}"),
                None => key.to_owned(),
            };
            entries.into_iter().map(text).collect::<Vec<_>>().join(";")
        });
        let keys = prop::sample::subsequence(vec!["GT", "AD", "GL", "ZZ"], 1..4);
        let cell = prop::collection::vec(value(), 1..5).prop_map(|values| values.join(":"));
        (value(), info, keys, prop::collection::vec(cell, 3)).prop_map(
            |(qual, info, keys, cells)| {
                format!(
                    "1\t1\t.\tA\tC\t{qual}\t.\t{info}\t{}\t{}",
                    keys.join(":"),
                    cells.join("\t")
                )
            },
        )
    }

    proptest! {
        #[test]
        fn test_group_gives_any_lines_back(lines in prop::collection::vec(line(), 1..12), blocks: bool) {
            encode(3, if blocks { 1 } else { 64 }, &lines);
        }
    }
}
