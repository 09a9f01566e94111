//! What a line says of its site: the fixed fields and INFO, as columns and a residual.
//!
//! Each row has a *template*: which keys its INFO has in which order, and which values are kept as
//! texts because the column would not give them again. Rows of one file share few templates.

use std::collections::HashMap;

use arrow_array::ArrayRef;

use super::column::{Builder, Physical, View};
use super::number;
use super::residual::{Streams, TextView, Texts};
use super::schema::{FieldSpec, Schema};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};

/// Streams of the residual of sites. Classes of column `n` are stream `CLASSES + n`.
mod stream {
    pub(super) const TEMPLATES: u32 = 0;
    pub(super) const ROWS: u32 = 1;
    pub(super) const LENGTHS: u32 = 2;
    pub(super) const TEXTS: u32 = 3;
    pub(super) const KEYS: u32 = 4;
    pub(super) const FORMATS: u32 = 5;
    pub(super) const CLASSES: u32 = 16;
}

/// Bits of the first number of a template; the format's number follows above them.
const WHOLE_LINE: u64 = 1;
const QUAL_TEXT: u64 = 2;
const CARRIAGE_RETURN: u64 = 4;
const FORMAT_SHIFT: u32 = 3;

/// What stands behind a key of INFO.
const TYPED: u64 = 0;
const KEY_ONLY: u64 = 1;
const TEXT: u64 = 2;
/// The value of the column END, which INFO/END is not stored beside.
const OF_END: u64 = 3;
const MODES: u64 = 4;

/// Columns of sites before those of INFO, in order.
pub(super) mod fixed {
    pub(in crate::vcs) const CHROM: usize = 0;
    pub(in crate::vcs) const POS: usize = 1;
    pub(in crate::vcs) const ID: usize = 2;
    pub(in crate::vcs) const REF: usize = 3;
    pub(in crate::vcs) const ALT: usize = 4;
    pub(in crate::vcs) const QUAL: usize = 5;
    pub(in crate::vcs) const FILTER: usize = 6;
    pub(in crate::vcs) const END: usize = 7;
    /// How many there are.
    pub(in crate::vcs) const COUNT: usize = 8;
}

/// Turns lines into columns.
pub(super) struct SiteEncoder<'a> {
    schema: &'a Schema,
    fixed: Vec<Builder>,
    info: Vec<Builder>,
    rows: usize,
    keys: HashMap<Vec<u8>, u32>,
    extra_keys: Vec<Vec<u8>>,
    formats: Vec<Format>,
    templates: HashMap<Vec<u64>, u32>,
    template_list: Vec<u8>,
    template_rows: Vec<u8>,
    last: (Vec<u64>, u32),
    last_format: usize,
    scratch: Vec<u64>,
    seen: Vec<usize>,
    texts: Texts,
    /// Rows of which something is kept as text.
    pub(super) rows_with_text: u64,
    /// Lines kept whole.
    pub(super) whole_lines: u64,
    /// Values of QUAL kept as texts.
    pub(super) qual_texts: u64,
    /// How many values of each INFO column are kept as texts; the last counts undeclared keys.
    pub(super) text_values: Vec<u64>,
}

/// A FORMAT that rows have.
pub(super) struct Format {
    text: Vec<u8>,
    /// The field of each key; none for keys without a column.
    pub(super) fields: Vec<Option<usize>>,
}

impl Format {
    fn new(text: &[u8], schema: &Schema) -> Self {
        let mut fields: Vec<Option<usize>> = Vec::new();
        for key in text.split(|&byte| byte == b':') {
            let field = schema.format_index(key).filter(|&field| !fields.contains(&Some(field)));
            fields.push(field);
        }
        Self { text: text.to_vec(), fields }
    }
}

/// What is left of a line for the samples' columns.
pub(super) struct Calls<'a, 'f> {
    /// The fields of the line's FORMAT.
    pub(super) format: &'f Format,
    /// The samples' fields, separated by tabs.
    pub(super) cells: &'a [u8],
}

impl<'a> SiteEncoder<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let text = || Builder::new(Physical::String, false, false);
        let integer = || Builder::new(Physical::Int64, false, false);
        let qual = Builder::new(schema.qual, false, false);
        let builder = |field: &FieldSpec| Builder::new(field.physical, field.list, false);
        let keys =
            schema.info.iter().zip(0..).map(|(field, at)| (field.id.clone().into_bytes(), at));
        Self {
            schema,
            fixed: vec![text(), integer(), text(), text(), text(), qual, text(), integer()],
            info: schema.info.iter().map(builder).collect(),
            rows: 0,
            keys: keys.collect(),
            extra_keys: Vec::new(),
            formats: Vec::new(),
            templates: HashMap::new(),
            template_list: Vec::new(),
            template_rows: Vec::new(),
            last: (Vec::new(), u32::MAX),
            last_format: 0,
            scratch: Vec::new(),
            seen: vec![usize::MAX; schema.info.len()],
            texts: Texts::default(),
            rows_with_text: 0,
            whole_lines: 0,
            qual_texts: 0,
            text_values: vec![0; schema.info.len() + 1],
        }
    }

    /// Adds a line whose last base is `end`; returns what it has for the samples.
    pub(super) fn push<'l>(&mut self, line: &'l [u8], place: &Place<'_>) -> Option<Calls<'l, '_>> {
        let row = self.rows;
        self.rows += 1;
        for (column, value) in [(fixed::POS, place.position), (fixed::END, place.end)] {
            self.fixed[column].push_integer(value);
        }
        let Some(fields) = Fields::split(line, self.schema.samples.len()) else {
            self.push_whole(line, place);
            return None;
        };
        // Numbers and names that columns would change keep the whole line: they are rare.
        let is_plain = number::parse_integer(fields.pos) == Some(place.position)
            && (line.is_ascii()
                || [fields.chrom, fields.id, fields.reference, fields.alt, fields.filter]
                    .iter()
                    .all(|text| std::str::from_utf8(text).is_ok()));
        if !is_plain || fields.chrom != place.chrom {
            self.push_whole(line, place);
            return None;
        }
        self.fixed[fixed::CHROM].push_plain(fields.chrom);
        self.fixed[fixed::REF].push_plain(fields.reference);
        for (column, text) in
            [(fixed::ID, fields.id), (fixed::ALT, fields.alt), (fixed::FILTER, fields.filter)]
        {
            self.fixed[column].push(text);
        }
        let mut head = if fields.carriage_return { CARRIAGE_RETURN } else { 0 };
        if !self.fixed[fixed::QUAL].push(fields.qual) {
            self.fixed[fixed::QUAL].push_null();
            self.texts.push(fields.qual);
            head |= QUAL_TEXT;
            self.qual_texts += 1;
        }
        if let Some((format, _)) = fields.calls {
            head |= (self.format_id(format) as u64 + 1) << FORMAT_SHIFT;
        }
        let mut template = std::mem::take(&mut self.scratch);
        template.clear();
        template.push(head);
        let has_text =
            self.push_info(row, fields.info, place.end, &mut template) || head & QUAL_TEXT != 0;
        self.rows_with_text += u64::from(has_text);
        self.push_template(&template);
        self.scratch = template;
        let (_, cells) = fields.calls?;
        Some(Calls { format: &self.formats[self.last_format], cells })
    }

    /// Adds a line that is kept whole.
    pub(super) fn push_whole_line(&mut self, line: &[u8], place: &Place<'_>) {
        self.rows += 1;
        self.fixed[fixed::POS].push_integer(place.position);
        self.fixed[fixed::END].push_integer(place.end);
        self.push_whole(line, place);
    }

    fn push_whole(&mut self, line: &[u8], place: &Place<'_>) {
        self.fixed[fixed::CHROM].push_plain(place.chrom);
        let mut fields = line.split(|&byte| byte == b'\t').skip(2);
        let mut next = || fields.next().unwrap_or(b".");
        for column in [fixed::ID, fixed::REF, fixed::ALT, fixed::QUAL, fixed::FILTER] {
            let text = next();
            if column == fixed::REF {
                self.fixed[column].push_plain(text);
            } else if !self.fixed[column].push(text) {
                self.fixed[column].push_null();
            }
        }
        self.texts.push(line);
        self.whole_lines += 1;
        self.rows_with_text += 1;
        self.push_template(&[WHOLE_LINE]);
    }

    /// Adds the entries of INFO to columns and template; whether any is kept as text.
    fn push_info(&mut self, row: usize, info: &[u8], end: i64, template: &mut Vec<u64>) -> bool {
        let mut has_text = false;
        for entry in info.split(|&byte| byte == b';') {
            let (key, value) = match memchr::memchr(b'=', entry) {
                Some(at) => (&entry[..at], Some(&entry[at + 1..])),
                None => (entry, None),
            };
            let key = self.key_id(key, template.len());
            // The column has room for the first value of a key only.
            let column =
                Some(key as usize).filter(|&at| self.seen.get(at).is_some_and(|&seen| seen != row));
            let is_end = || entry.starts_with(b"END=") && column.is_none();
            let mode = match (column, value) {
                (None, None) => KEY_ONLY,
                (None, Some(value)) if is_end() && number::parse_integer(value) == Some(end) => {
                    OF_END
                }
                (None, Some(value)) => {
                    self.texts.push(value);
                    TEXT
                }
                (Some(at), value) => {
                    self.seen[at] = row;
                    let column = &mut self.info[at];
                    column.pad_to(row);
                    if self.schema.info[at].physical == Physical::Bool {
                        column.push_flag(true);
                    }
                    match value {
                        None => KEY_ONLY,
                        Some(value) if column.push(value) => TYPED,
                        Some(value) => {
                            self.texts.push(value);
                            TEXT
                        }
                    }
                }
            };
            if mode == TEXT {
                has_text = true;
                let last = self.text_values.len() - 1;
                self.text_values[(key as usize).min(last)] += 1;
            }
            template.push(u64::from(key) * MODES + mode);
        }
        has_text
    }

    /// The number of a key, which in most rows is the one at this place of the row before.
    fn key_id(&mut self, key: &[u8], place: usize) -> u32 {
        if let Some(&code) = self.last.0.get(place) {
            let guess = (code / MODES) as usize;
            let declared = self.schema.info.get(guess).map(|field| field.id.as_bytes());
            let extra = || self.extra_keys.get(guess.wrapping_sub(self.schema.info.len()));
            if declared.or_else(|| extra().map(Vec::as_slice)) == Some(key) {
                return guess as u32;
            }
        }
        if let Some(&id) = self.keys.get(key) {
            return id;
        }
        let id = self.keys.len() as u32;
        self.keys.insert(key.to_vec(), id);
        self.extra_keys.push(key.to_vec());
        id
    }

    fn format_id(&mut self, text: &[u8]) -> usize {
        let is_last = self.formats.get(self.last_format).is_some_and(|format| format.text == text);
        if !is_last {
            let known = self.formats.iter().position(|format| format.text == text);
            self.last_format = known.unwrap_or_else(|| {
                self.formats.push(Format::new(text, self.schema));
                self.formats.len() - 1
            });
        }
        self.last_format
    }

    fn push_template(&mut self, template: &[u64]) {
        if self.last.0 != template {
            let next = self.templates.len() as u32;
            let id = *self.templates.entry(template.to_vec()).or_insert(next);
            if id == next {
                varint::put(&mut self.template_list, template.len() as u64);
                template.iter().for_each(|&code| varint::put(&mut self.template_list, code));
            }
            self.last.0.clear();
            self.last.0.extend_from_slice(template);
            self.last.1 = id;
        }
        varint::put(&mut self.template_rows, u64::from(self.last.1));
    }

    /// The columns, fixed ones first, and the residual.
    pub(super) fn finish(self) -> Result<(Vec<ArrayRef>, Streams)> {
        let mut streams = Streams::default();
        let mut keys = Texts::default();
        self.extra_keys.iter().for_each(|key| keys.push(key));
        let mut formats = Texts::default();
        self.formats.iter().for_each(|format| formats.push(&format.text));
        for (id, list) in [(stream::KEYS, keys), (stream::FORMATS, formats)] {
            streams.set(id, list.to_bytes());
        }
        streams.set(stream::TEMPLATES, self.template_list);
        streams.set(stream::ROWS, self.template_rows);
        self.texts.store(&mut streams, stream::LENGTHS, stream::TEXTS);
        let mut arrays = Vec::with_capacity(self.fixed.len() + self.info.len());
        for (mut column, id) in self.fixed.into_iter().chain(self.info).zip(stream::CLASSES..) {
            column.pad_to(self.rows);
            streams.set(id, std::mem::take(&mut column.classes));
            arrays.push(column.finish()?);
        }
        Ok((arrays, streams))
    }
}

/// Where a line lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) chrom: &'a [u8],
    /// As written, from 1.
    pub(super) position: i64,
    /// The last base, from 1.
    pub(super) end: i64,
}

/// The fields of a line.
struct Fields<'a> {
    chrom: &'a [u8],
    pos: &'a [u8],
    id: &'a [u8],
    reference: &'a [u8],
    alt: &'a [u8],
    qual: &'a [u8],
    filter: &'a [u8],
    info: &'a [u8],
    /// FORMAT, and the samples' fields.
    calls: Option<(&'a [u8], &'a [u8])>,
    carriage_return: bool,
}

impl<'a> Fields<'a> {
    /// The fields of a line that has as many as it should.
    fn split(line: &'a [u8], samples: usize) -> Option<Self> {
        let (line, carriage_return) = match line {
            [line @ .., b'\r'] => (line, true),
            line => (line, false),
        };
        let mut rest = Some(line);
        let mut next = || {
            let text = rest?;
            match memchr::memchr(b'\t', text) {
                Some(at) => {
                    rest = Some(&text[at + 1..]);
                    Some(&text[..at])
                }
                None => rest.take(),
            }
        };
        let (chrom, pos, id, reference) = (next()?, next()?, next()?, next()?);
        let (alt, qual, filter, info) = (next()?, next()?, next()?, next()?);
        let format = next();
        let calls = match (format, rest) {
            (None, _) => None,
            (Some(format), None) if samples == 0 => Some((format, &[][..])),
            (Some(format), Some(cells))
                if samples > 0 && memchr::memchr_iter(b'\t', cells).count() + 1 == samples =>
            {
                Some((format, cells))
            }
            (Some(_), _) => return None,
        };
        Some(Self { chrom, pos, id, reference, alt, qual, filter, info, calls, carriage_return })
    }
}

/// The residual of sites, read.
pub(super) struct SiteView {
    templates: Vec<Vec<u64>>,
    rows: Vec<u32>,
    /// The first text of each row.
    first_text: Vec<usize>,
    texts: TextView,
    keys: TextView,
    formats: Vec<Format>,
    classes: Vec<Vec<u8>>,
}

/// How the text of a row begins.
pub(super) enum Begun<'v> {
    /// The line is complete.
    Whole,
    /// Fields up to INFO; then FORMAT and samples, if there are any.
    Site { format: Option<&'v Format>, carriage_return: bool },
}

impl SiteView {
    /// Reads the residual of `rows` rows.
    pub(super) fn decode(bytes: &[u8], rows: usize, schema: &Schema) -> Result<Self> {
        let mut streams = Streams::decode(bytes)?;
        let list = streams.take(stream::TEMPLATES);
        let mut cursor = Cursor::new(&list, "templates");
        let mut templates: Vec<Vec<u64>> = Vec::new();
        while !cursor.is_done() {
            let count: usize = cursor.number()?;
            let codes: Result<Vec<u64>> = (0..count).map(|_| cursor.varint()).collect();
            templates.push(codes?);
        }
        let texts = TextView::load(&mut streams, stream::LENGTHS, stream::TEXTS)?;
        let needs: Vec<usize> = templates.iter().map(|template| texts_of(template)).collect();
        let list = streams.take(stream::ROWS);
        let mut cursor = Cursor::new(&list, "template rows");
        let (mut row_ids, mut first_text, mut text) =
            (Vec::with_capacity(rows.min(list.len())), Vec::new(), 0_usize);
        for _ in 0..rows {
            let id: u32 = cursor.number()?;
            let count =
                needs.get(id as usize).ok_or_else(|| Error::corrupt("a template is missing"))?;
            first_text.push(text);
            text = text.saturating_add(*count);
            row_ids.push(id);
        }
        cursor.finish()?;
        let formats = TextView::from_bytes(&streams.take(stream::FORMATS))?;
        let formats = formats.iter().map(|text| Format::new(text, schema)).collect();
        let columns = (fixed::COUNT + schema.info.len()) as u32;
        Ok(Self {
            templates,
            rows: row_ids,
            first_text,
            texts,
            keys: TextView::from_bytes(&streams.take(stream::KEYS))?,
            formats,
            classes: (0..columns).map(|at| streams.take(stream::CLASSES + at)).collect(),
        })
    }

    /// Appends the text of row `row` up to INFO. `columns` are all fixed columns and those of INFO
    /// that were read; entries of others are left out.
    pub(super) fn push_row(
        &self,
        row: usize,
        schema: &Schema,
        columns: &[Option<View>],
        out: &mut Vec<u8>,
    ) -> Result<Begun<'_>> {
        let template = self
            .rows
            .get(row)
            .and_then(|&id| self.templates.get(id as usize))
            .ok_or_else(|| Error::corrupt("a row without a template"))?;
        let (&head, entries) =
            template.split_first().ok_or_else(|| Error::corrupt("an empty template"))?;
        let mut text = self.first_text.get(row).copied().unwrap_or(0);
        if head & WHOLE_LINE != 0 {
            out.extend_from_slice(self.texts.get(text)?);
            return Ok(Begun::Whole);
        }
        for at in [
            fixed::CHROM,
            fixed::POS,
            fixed::ID,
            fixed::REF,
            fixed::ALT,
            fixed::QUAL,
            fixed::FILTER,
        ] {
            if at == fixed::QUAL && head & QUAL_TEXT != 0 {
                out.extend_from_slice(self.texts.get(text)?);
                text += 1;
            } else {
                match &columns[at] {
                    Some(column) => column.push_text(row, false, &self.classes[at], out)?,
                    None => out.push(b'.'),
                }
            }
            out.push(b'\t');
        }
        let (mut printed, mut skipped) = (false, false);
        for &code in entries {
            let (key, mode) = ((code / MODES) as usize, code % MODES);
            let kept = if mode == TEXT { Some(self.texts.get(text)?) } else { None };
            text += usize::from(mode == TEXT);
            let (name, column) = match schema.info.get(key) {
                Some(field) => {
                    let Some(column) = &columns[fixed::COUNT + key] else {
                        skipped = true;
                        continue;
                    };
                    (field.id.as_bytes(), Some((field, column)))
                }
                None => (self.keys.get(key - schema.info.len())?, None),
            };
            if printed {
                out.push(b';');
            }
            printed = true;
            out.extend_from_slice(name);
            if mode == KEY_ONLY {
                continue;
            }
            out.push(b'=');
            if mode == OF_END {
                let end = columns.get(fixed::END).and_then(Option::as_ref);
                let end = end.ok_or_else(|| Error::internal("END was not read"))?;
                end.push_text(row, false, &[], out)?;
                continue;
            }
            match (kept, column) {
                (Some(kept), _) => out.extend_from_slice(kept),
                (None, Some((field, column))) => {
                    let classes = &self.classes[fixed::COUNT + key];
                    column.push_text(row, field.list, classes, out)?;
                }
                (None, None) => {
                    return Err(Error::corrupt("a key without a column has a typed value"));
                }
            }
        }
        if skipped && !printed {
            out.push(b'.');
        }
        let format = match (head >> FORMAT_SHIFT) as usize {
            0 => None,
            id => Some(
                self.formats.get(id - 1).ok_or_else(|| Error::corrupt("a FORMAT is missing"))?,
            ),
        };
        Ok(Begun::Site { format, carriage_return: head & CARRIAGE_RETURN != 0 })
    }
}

impl Format {
    /// As it stands in the line.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// How many texts a template needs.
fn texts_of(template: &[u64]) -> usize {
    let Some((&head, entries)) = template.split_first() else { return 0 };
    if head & WHOLE_LINE != 0 {
        return 1;
    }
    let kept = entries.iter().filter(|&&code| code % MODES == TEXT).count();
    kept + usize::from(head & QUAL_TEXT != 0)
}
