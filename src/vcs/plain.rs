//! Lines made of columns alone: with the same values, but not as they were written.

use super::column::View;
use super::genotype::PlaneView;
use super::needs::Needs;
use super::read::Loaded;
use super::schema::{FIXED, FieldSpec, Schema};
use crate::error::{Error, Result};

/// The columns of a row group, of which lines are made for as far as they were read.
pub(super) struct PlainLines<'l> {
    /// CHROM to FILTER.
    fixed: Vec<Option<View>>,
    info: Vec<(&'l FieldSpec, View)>,
    format: Vec<&'l FieldSpec>,
    blocks: Vec<Block>,
}

/// A block of samples.
struct Block {
    samples: usize,
    /// GT's planes, and what they do not tell.
    planes: Vec<Option<View>>,
    /// Fields in the order of those asked for; none for GT.
    fields: Vec<Option<View>>,
}

impl<'l> PlainLines<'l> {
    /// Of what was read for `needs`; of samples all blocks, if any.
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
        let blocks = if needs.samples.is_empty() { Vec::new() } else { blocks(loaded, &format)? };
        Ok(Self { fixed: fixed?, info, format, blocks })
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
        if self.blocks.is_empty() {
            return Ok(());
        }
        self.push_calls(row, out)
    }

    fn push_calls(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'\t');
        let start = out.len();
        // All blocks have the same fields in a row.
        let has = |block: &Block, at: usize| match &block.fields[at] {
            Some(column) => !column.row(row).is_empty(),
            None => PlaneView::new(&block.planes).is_some_and(|planes| planes.has_row(row)),
        };
        let present: Vec<usize> =
            (0..self.format.len()).filter(|&at| has(&self.blocks[0], at)).collect();
        for &at in &present {
            if out.len() > start {
                out.push(b':');
            }
            out.extend_from_slice(self.format[at].id.as_bytes());
        }
        if present.is_empty() {
            out.push(b'.');
        }
        for block in &self.blocks {
            let planes = match PlaneView::new(&block.planes) {
                Some(planes) if planes.has_row(row) => Some(planes.row(row)?),
                _ => None,
            };
            for sample in 0..block.samples {
                out.push(b'\t');
                for (nth, &at) in present.iter().enumerate() {
                    if nth > 0 {
                        out.push(b':');
                    }
                    match (&block.fields[at], &planes) {
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
        }
        Ok(())
    }
}

fn blocks(loaded: &Loaded, format: &[&FieldSpec]) -> Result<Vec<Block>> {
    let schema: &Schema = loaded.schema();
    let missing = || Error::internal("a block of samples was not read");
    let block = |(samples, batch): (std::ops::Range<usize>, &Option<arrow_array::RecordBatch>)| {
        let batch = batch.as_ref().ok_or_else(missing)?;
        let view = |name: &str| batch.column_by_name(name).map(View::of).transpose();
        let planes: Result<Vec<_>> = super::genotype::PLANES
            .iter()
            .chain([&super::genotype::OTHER])
            .map(|name| view(name))
            .collect();
        let fields: Result<Vec<_>> = format
            .iter()
            .map(|field| if field.id == "GT" { Ok(None) } else { view(&field.column) })
            .collect();
        Ok(Block { samples: samples.len(), planes: planes?, fields: fields? })
    };
    schema.blocks().into_iter().zip(&loaded.blocks).map(block).collect()
}
