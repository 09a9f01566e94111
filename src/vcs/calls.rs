//! What a line says of its samples: the fields of FORMAT, as columns and a residual.
//!
//! The same code serves both layouts: a column per sample and field, or a column per field whose
//! rows have the values of a block of samples. Each sample of a row has a *cell template*: how many
//! fields it has, and which of them are kept as texts.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array as _, ArrayRef, ListArray, RecordBatch, UInt64Array};

use super::column::{Builder, View};
use super::genotype::{OTHER, PLANES, PlaneBuilder, PlaneView};
use super::residual::{Streams, TextView, Texts};
use super::schema::Schema;
use super::sites::{Calls, Format};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};

/// Streams of the residual of calls. Classes of column `n` are stream `CLASSES + n`.
mod stream {
    pub(super) const TEMPLATES: u32 = 0;
    pub(super) const ROWS: u32 = 1;
    pub(super) const LENGTHS: u32 = 2;
    pub(super) const TEXTS: u32 = 3;
    pub(super) const CLASSES: u32 = 16;
}

const TYPED: u8 = 0;
const TEXT: u8 = 1;

/// Turns the cells of some samples into columns.
pub(super) struct CallEncoder<'a> {
    schema: &'a Schema,
    samples: Range<usize>,
    by_row: bool,
    planes: Option<PlaneBuilder>,
    builders: Vec<Builder>,
    rows: usize,
    templates: HashMap<Vec<u8>, u32>,
    template_list: Vec<u8>,
    row_ids: Vec<u8>,
    cell_ids: Vec<u32>,
    modes: Vec<u8>,
    last: (Vec<u8>, u32),
    texts: Texts,
    /// How many values of each field are kept as texts; the last counts undeclared keys.
    pub(super) text_values: Vec<u64>,
}

impl<'a> CallEncoder<'a> {
    /// For `samples`, a block of which (or all of few) are encoded together.
    pub(super) fn new(schema: &'a Schema, samples: Range<usize>) -> Self {
        let by_row = schema.has_blocks();
        let copies = if by_row { 1 } else { samples.len() };
        let fields = std::iter::repeat_n(&schema.format, copies).flatten();
        let planes =
            (by_row && schema.genotype().is_some()).then(|| PlaneBuilder::new(samples.len()));
        Self {
            schema,
            by_row,
            planes,
            builders: fields.map(|f| Builder::new(f.physical, f.list, by_row)).collect(),
            samples,
            rows: 0,
            templates: HashMap::new(),
            template_list: Vec::new(),
            row_ids: Vec::new(),
            cell_ids: Vec::new(),
            modes: Vec::new(),
            last: (Vec::new(), u32::MAX),
            texts: Texts::default(),
            text_values: vec![0; schema.format.len() + 1],
        }
    }

    /// Adds a row, taking the cells of its samples off the front of those left; whether a value is
    /// kept as text.
    pub(super) fn push(&mut self, calls: Option<&mut Calls<'_, '_>>) -> bool {
        let row = self.rows;
        self.rows += 1;
        let Some(calls) = calls else {
            if self.by_row {
                self.builders.iter_mut().for_each(|builder| builder.close_row(false));
            }
            if let Some(planes) = &mut self.planes {
                planes.open_row(false);
                planes.close_row();
            }
            varint::put(&mut self.row_ids, 1);
            return false;
        };
        let fields = &calls.format.fields;
        let genotype = self.schema.genotype().filter(|_| self.planes.is_some());
        if let Some(planes) = &mut self.planes {
            planes.open_row(fields.iter().any(|&field| field.is_some() && field == genotype));
        }
        self.cell_ids.clear();
        let mut from = 0;
        if let (Some(planes), [Some(only)]) = (&mut self.planes, &fields[..])
            && Some(*only) == genotype
        {
            from = planes.set_regular(calls.cells, self.samples.len());
            calls.cells = calls.cells.get(4 * from..).unwrap_or_default();
            let id = self.template(&[TYPED]);
            self.cell_ids.resize(from, id);
        }
        let mut has_text = false;
        for sample in from..self.samples.len() {
            let cell = take_cell(&mut calls.cells);
            has_text |= self.push_cell(row, sample, cell, fields, genotype);
        }
        if self.by_row {
            for (at, builder) in self.builders.iter_mut().enumerate() {
                builder.close_row(fields.contains(&Some(at)));
            }
        }
        if let Some(planes) = &mut self.planes {
            planes.close_row();
        }
        match self.cell_ids.split_first() {
            Some((first, rest)) if rest.iter().all(|id| id == first) => {
                varint::put(&mut self.row_ids, u64::from(*first) + 2);
            }
            _ => {
                self.row_ids.push(0);
                self.cell_ids.iter().for_each(|&id| varint::put(&mut self.row_ids, u64::from(id)));
            }
        }
        has_text
    }

    fn push_cell(
        &mut self,
        row: usize,
        sample: usize,
        cell: &[u8],
        fields: &[Option<usize>],
        genotype: Option<usize>,
    ) -> bool {
        let mut modes = std::mem::take(&mut self.modes);
        modes.clear();
        let mut values = cell.split(|&byte| byte == b':');
        let mut has_text = false;
        for &field in fields {
            let value = values.next();
            let fits = match (field, value) {
                (None, _) => false,
                (Some(field), value) if Some(field) == genotype => {
                    let planes = self.planes.as_mut();
                    value.is_some_and(|text| planes.is_some_and(|planes| planes.set(sample, text)))
                }
                (Some(field), value) => {
                    let width = self.schema.format.len();
                    let at = if self.by_row { field } else { sample * width + field };
                    let builder = &mut self.builders[at];
                    if !self.by_row {
                        builder.pad_to(row);
                    }
                    let fits = value.is_some_and(|text| builder.push(text));
                    if !fits {
                        builder.push_null();
                    }
                    fits
                }
            };
            let Some(text) = value else { continue };
            if !fits {
                self.texts.push(text);
                let last = self.text_values.len() - 1;
                self.text_values[field.unwrap_or(last)] += 1;
                has_text = true;
            }
            modes.push(if fits { TYPED } else { TEXT });
        }
        // More values than FORMAT has keys.
        for text in values {
            self.texts.push(text);
            modes.push(TEXT);
            has_text = true;
        }
        let id = self.template(&modes);
        self.cell_ids.push(id);
        self.modes = modes;
        has_text
    }

    fn template(&mut self, modes: &[u8]) -> u32 {
        if self.last.1 == u32::MAX || self.last.0 != modes {
            let next = self.templates.len() as u32;
            let id = *self.templates.entry(modes.to_vec()).or_insert(next);
            if id == next {
                varint::put(&mut self.template_list, modes.len() as u64);
                self.template_list.extend_from_slice(modes);
            }
            self.last = (modes.to_vec(), id);
        }
        self.last.1
    }

    /// The columns and the residual.
    pub(super) fn finish(mut self) -> Result<(Vec<ArrayRef>, Streams)> {
        let mut streams = Streams::default();
        streams.set(stream::TEMPLATES, self.template_list);
        // Rows that all look alike are as good as none.
        streams.set(stream::ROWS, self.row_ids);
        self.texts.store(&mut streams, stream::LENGTHS, stream::TEXTS);
        let mut arrays = match self.planes.take() {
            Some(planes) => planes.finish()?,
            None => Vec::new(),
        };
        let genotype = self.schema.genotype().filter(|_| self.by_row);
        for ((at, mut builder), id) in self.builders.into_iter().enumerate().zip(stream::CLASSES..)
        {
            if Some(at) == genotype {
                continue;
            }
            if !self.by_row {
                builder.pad_to(self.rows);
            }
            streams.set(id, std::mem::take(&mut builder.classes));
            arrays.push(builder.finish()?);
        }
        Ok((arrays, streams))
    }
}

fn take_cell<'c>(cells: &mut &'c [u8]) -> &'c [u8] {
    match memchr::memchr(b'\t', cells) {
        Some(at) => {
            let cell = &cells[..at];
            *cells = &cells[at + 1..];
            cell
        }
        None => std::mem::take(cells),
    }
}

/// The residual of calls, read.
pub(super) struct CallView {
    templates: Vec<Vec<u8>>,
    rows: Vec<Row>,
    mixed: Vec<u32>,
    texts: TextView,
    classes: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Row {
    /// The template of all cells, or where their templates begin among `mixed`.
    kind: RowKind,
    first_text: usize,
}

#[derive(Clone, Copy)]
enum RowKind {
    None,
    Same(u32),
    Mixed(usize),
}

impl CallView {
    /// Reads the residual of `rows` rows of `samples` samples.
    pub(super) fn decode(
        bytes: &[u8],
        rows: usize,
        samples: usize,
        columns: usize,
    ) -> Result<Self> {
        let mut streams = Streams::decode(bytes)?;
        let list = streams.take(stream::TEMPLATES);
        let mut cursor = Cursor::new(&list, "cell templates");
        let mut templates: Vec<Vec<u8>> = Vec::new();
        while !cursor.is_done() {
            let len: usize = cursor.number()?;
            templates.push(cursor.take(len)?.to_vec());
        }
        let needs: Vec<usize> = templates
            .iter()
            .map(|modes| modes.iter().filter(|&&mode| mode == TEXT).count())
            .collect();
        let need = |id: u32| {
            needs
                .get(id as usize)
                .copied()
                .ok_or_else(|| Error::corrupt("a cell template is missing"))
        };
        let texts = TextView::load(&mut streams, stream::LENGTHS, stream::TEXTS)?;
        let list = streams.take(stream::ROWS);
        let mut cursor = Cursor::new(&list, "cell rows");
        let mut kinds = Vec::with_capacity(rows.min(list.len()));
        let (mut mixed, mut text) = (Vec::new(), 0_usize);
        for _ in 0..rows {
            let first_text = text;
            let kind = match cursor.number::<u32>()? {
                0 => {
                    let start = mixed.len();
                    for _ in 0..samples {
                        let id = cursor.number()?;
                        text = text.saturating_add(need(id)?);
                        mixed.push(id);
                    }
                    RowKind::Mixed(start)
                }
                1 => RowKind::None,
                id => {
                    text = text.saturating_add(need(id - 2)?.saturating_mul(samples));
                    RowKind::Same(id - 2)
                }
            };
            kinds.push(Row { kind, first_text });
        }
        cursor.finish()?;
        let classes = (0..columns as u32).map(|at| streams.take(stream::CLASSES + at)).collect();
        Ok(Self { templates, rows: kinds, mixed, texts, classes })
    }

    fn template(&self, row: Row, sample: usize) -> Result<&[u8]> {
        let id = match row.kind {
            RowKind::None => None,
            RowKind::Same(id) => Some(id),
            RowKind::Mixed(start) => self.mixed.get(start + sample).copied(),
        };
        id.and_then(|id| self.templates.get(id as usize))
            .map(Vec::as_slice)
            .ok_or_else(|| Error::corrupt("a sample without a template"))
    }

    /// Where the texts of each sample of a row begin.
    fn first_texts(&self, row: Row, samples: usize) -> Result<Vec<usize>> {
        let mut text = row.first_text;
        (0..samples)
            .map(|sample| {
                let modes = self.template(row, sample)?;
                let first = text;
                text += modes.iter().filter(|&&mode| mode == TEXT).count();
                Ok(first)
            })
            .collect()
    }
}

/// Columns and residual of a block of samples, or of all where they are few.
pub(super) struct CallBlock {
    /// In the order of the file.
    pub(super) columns: Vec<Option<View>>,
    pub(super) residual: CallView,
    pub(super) by_row: bool,
    /// How many samples.
    pub(super) samples: usize,
}

impl CallBlock {
    /// Appends the cells of the samples `wanted` of row `row`, each after a tab; `first` is the
    /// number of the block's first sample. Fields that were not read are left out, as `.` where
    /// nothing is left.
    pub(super) fn push_row(
        &self,
        row: usize,
        schema: &Schema,
        format: &Format,
        (first, wanted): (usize, &[usize]),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let entry =
            *self.residual.rows.get(row).ok_or_else(|| Error::corrupt("a row is missing"))?;
        let genotype = schema.genotype().filter(|_| self.by_row);
        let has_genotype = format.fields.iter().any(|f| f.is_some() && *f == genotype);
        let planes = match PlaneView::new(&self.columns) {
            Some(view) if has_genotype => Some(view.row(row)?),
            _ => None,
        };
        let is_genotype_only = format.fields.len() == 1 && planes.is_some();
        if let (true, Some(planes), RowKind::Same(id)) = (is_genotype_only, &planes, entry.kind)
            && self.templates_are_plain(id)
        {
            if wanted.iter().copied().eq(first..first + self.samples) {
                planes.push_all(self.samples, out);
                return Ok(());
            }
            for sample in wanted {
                out.push(b'\t');
                planes.push_text(sample - first, out);
            }
            return Ok(());
        }
        let mut first_texts = None;
        for sample in wanted {
            let sample = sample - first;
            out.push(b'\t');
            let modes = self.residual.template(entry, sample)?;
            let mut text = 0;
            if modes.contains(&TEXT) {
                let first_texts: &Vec<usize> = match &mut first_texts {
                    Some(known) => known,
                    None => first_texts.insert(self.residual.first_texts(entry, self.samples)?),
                };
                text = first_texts.get(sample).copied().unwrap_or(usize::MAX);
            }
            for (at, &mode) in modes.iter().enumerate() {
                let field = format.fields.get(at).copied().flatten();
                if at > 0 {
                    out.push(b':');
                }
                if mode == TEXT {
                    out.extend_from_slice(self.residual.texts.get(text)?);
                    text += 1;
                    continue;
                }
                let Some(field) = field else {
                    return Err(Error::corrupt("a value without a column is typed"));
                };
                if Some(field) == genotype {
                    match &planes {
                        Some(planes) => planes.push_text(sample, out),
                        None => out.push(b'.'),
                    }
                    continue;
                }
                let column = self.column_of(schema, sample, field);
                let Some(view) = self.columns.get(column).and_then(Option::as_ref) else {
                    out.push(b'.');
                    continue;
                };
                let value = if self.by_row { view.row(row).start + sample } else { row };
                let class = if self.by_row { field } else { sample * schema.format.len() + field };
                let classes = self.residual.classes.get(class).map_or(&[][..], Vec::as_slice);
                view.push_text(value, schema.format[field].list, classes, out)?;
            }
        }
        Ok(())
    }

    fn templates_are_plain(&self, id: u32) -> bool {
        self.residual.templates.get(id as usize).is_some_and(|modes| modes[..] == [TYPED])
    }

    /// The column of a field, among those of this block.
    fn column_of(&self, schema: &Schema, sample: usize, field: usize) -> usize {
        match self.by_row {
            true => block_columns(schema, field).start,
            false => sample * schema.format.len() + field,
        }
    }
}

/// A field of one sample of a block, out of columns that were read: genotypes as text, other fields
/// as they are typed.
pub(super) fn column_of_sample(
    schema: &Schema,
    batch: &RecordBatch,
    sample: usize,
    field: usize,
    rows: &[usize],
) -> Result<ArrayRef> {
    let column = |name: &str| {
        let found = batch.column_by_name(name);
        found.ok_or_else(|| Error::internal("a field of FORMAT was not read"))
    };
    if schema.genotype() == Some(field) {
        let columns = PLANES.iter().chain([&OTHER]).map(|name| View::of(column(name)?).map(Some));
        let columns: Vec<Option<View>> = columns.collect::<Result<_>>()?;
        let planes = PlaneView::new(&columns);
        let planes = planes.ok_or_else(|| Error::internal("the planes of GT were not read"))?;
        let mut text = Vec::new();
        let mut texts = StringBuilder::with_capacity(rows.len(), 4 * rows.len());
        for &row in rows {
            if !planes.has_row(row) {
                texts.append_null();
                continue;
            }
            text.clear();
            planes.row(row)?.push_text(sample, &mut text);
            texts.append_value(String::from_utf8_lossy(&text));
        }
        return Ok(Arc::new(texts.finish()));
    }
    let list = column(&schema.format[field].column)?.as_any().downcast_ref::<ListArray>();
    let list = list.ok_or_else(|| Error::corrupt("values of samples are no list"))?;
    let offsets = list.value_offsets();
    let place = |&row: &usize| {
        if list.is_null(row) {
            return Ok(None);
        }
        let place = offsets[row] as usize + sample;
        if place >= offsets[row + 1] as usize {
            return Err(Error::corrupt("a row has not a value for each sample of its block"));
        }
        Ok(Some(place as u64))
    };
    let places = rows.iter().map(place).collect::<Result<Vec<Option<u64>>>>()?;
    arrow_select::take::take(list.values(), &UInt64Array::from(places), None)
        .map_err(|error| Error::internal("choosing a sample's values").caused_by(error))
}

/// The columns of a field in the files of a block: several for GT.
pub(super) fn block_columns(schema: &Schema, field: usize) -> Range<usize> {
    let planes = PLANES.len() + 1;
    match schema.genotype() {
        Some(genotype) if field == genotype => 0..planes,
        Some(genotype) => {
            let at = planes + field - usize::from(field > genotype);
            at..at + 1
        }
        None => field..field + 1,
    }
}
