//! Lines made of columns alone: with the same values, but not as they were written.

use arrow_array::RecordBatch;

use super::column::View;
use super::genotype::{OTHER, PLANES, PlaneView};
use super::needs::Needs;
use super::read::Loaded;
use super::schema::{FIXED, FieldSpec};
use crate::error::{Error, Result};

/// The columns of a row group, of which lines are made for as far as they were read.
pub(super) struct PlainLines<'l> {
    /// CHROM to FILTER.
    fixed: Vec<Option<View>>,
    info: Vec<(&'l FieldSpec, View)>,
    format: Vec<&'l FieldSpec>,
    /// Blocks of samples, as far as they were read.
    blocks: Vec<Option<Block>>,
    /// For each sample asked for its block, and its place in that.
    samples: Vec<(usize, usize)>,
}

/// A block of samples.
struct Block {
    /// GT's planes, and what they do not tell.
    planes: Vec<Option<View>>,
    /// Fields in the order of those asked for; none for GT.
    fields: Vec<Option<View>>,
}

impl<'l> PlainLines<'l> {
    /// Of what was read for `needs`; of samples only where they are in blocks.
    pub(super) fn new(loaded: &'l Loaded, needs: &Needs) -> Result<Self> {
        let schema = loaded.schema();
        let view = |name: &str| loaded.batch.column_by_name(name).map(View::of).transpose();
        let fixed: Result<_> = FIXED[..7].iter().map(|name| view(name)).collect();
        let mut info = Vec::new();
        for field in schema.info.iter().filter(|field| needs.info.has(&field.id)) {
            let column = view(&field.column)?;
            info.push((field, column.ok_or_else(|| Error::internal("a field was not read"))?));
        }
        let asked = schema.format.iter().filter(|field| needs.format.has(&field.id));
        // GT comes first, as in FORMAT.
        let (mut format, others): (Vec<_>, Vec<_>) = asked.partition(|field| field.id == "GT");
        format.extend(others);
        let blocks: Result<_> = loaded
            .blocks
            .iter()
            .map(|batch| batch.as_ref().map(|batch| block(batch, &format)).transpose())
            .collect();
        let step = schema.block_samples.max(1);
        let samples = needs.samples.iter().map(|sample| (sample / step, sample % step)).collect();
        Ok(Self { fixed: fixed?, info, format, blocks: blocks?, samples })
    }

    /// Appends line `row`, without its line feed.
    pub(super) fn push(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        for column in &self.fixed {
            match column {
                Some(column) => column.push_plain(row, false, out)?,
                None => out.push(b'.'),
            }
            out.push(b'\t');
        }
        let start = out.len();
        for (field, column) in &self.info {
            let before = out.len();
            if before > start {
                out.push(b';');
            }
            out.extend_from_slice(field.id.as_bytes());
            match column.flag(row) {
                Some(true) => continue,
                Some(false) => out.truncate(before),
                None => {
                    out.push(b'=');
                    column.push_plain(row, field.list, out)?;
                }
            }
        }
        if out.len() == start {
            out.push(b'.');
        }
        if self.samples.is_empty() {
            return Ok(());
        }
        self.push_calls(row, out)
    }

    fn push_calls(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'\t');
        let start = out.len();
        let unread = || Error::internal("a block of samples was not read");
        // All blocks have the same fields in a row.
        let first = self.blocks.iter().flatten().next().ok_or_else(unread)?;
        let has = |at: usize| match &first.fields[at] {
            Some(column) => !column.row(row).is_empty(),
            None => PlaneView::new(&first.planes).is_some_and(|planes| planes.has_row(row)),
        };
        let present: Vec<usize> = (0..self.format.len()).filter(|&at| has(at)).collect();
        for &at in &present {
            if out.len() > start {
                out.push(b':');
            }
            out.extend_from_slice(self.format[at].id.as_bytes());
        }
        if present.is_empty() {
            out.push(b'.');
        }
        let planes: Vec<_> = self
            .blocks
            .iter()
            .map(|block| match block.as_ref().and_then(|block| PlaneView::new(&block.planes)) {
                Some(planes) if planes.has_row(row) => planes.row(row).map(Some),
                _ => Ok(None),
            })
            .collect::<Result<_>>()?;
        for &(number, sample) in &self.samples {
            out.push(b'\t');
            let block = self.blocks.get(number).and_then(Option::as_ref).ok_or_else(unread)?;
            for (nth, &at) in present.iter().enumerate() {
                if nth > 0 {
                    out.push(b':');
                }
                match (&block.fields[at], &planes[number]) {
                    (Some(column), _) => {
                        let value = column.row(row).start + sample;
                        column.push_plain(value, self.format[at].list, out)?;
                    }
                    (None, Some(planes)) => planes.push_text(sample, out),
                    (None, None) => out.push(b'.'),
                }
            }
            if present.is_empty() {
                out.push(b'.');
            }
        }
        Ok(())
    }
}

fn block(batch: &RecordBatch, format: &[&FieldSpec]) -> Result<Block> {
    let view = |name: &str| batch.column_by_name(name).map(View::of).transpose();
    let planes: Result<_> = PLANES.iter().chain([&OTHER]).map(|name| view(name)).collect();
    let field = |field: &&FieldSpec| {
        if field.id == "GT" {
            return Ok(None);
        }
        let column = view(&field.column)?;
        column.map(Some).ok_or_else(|| Error::internal("a field of samples was not read"))
    };
    Ok(Block { planes: planes?, fields: format.iter().map(field).collect::<Result<_>>()? })
}
