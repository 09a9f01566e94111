//! Queries: which variants, and what is written of them.

use std::io::Write;

use super::output::{TextWriter, bcf_header, bcf_records};
use super::read::{Fields, Needs, QueryStats, Reader};
use super::table::{Columns, Rows, TableFormat, TableWriter};
use crate::error::{Error, Result};
use crate::records::variants::bcf::Encoder;

/// What is asked of a reader's variants.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Samples by their place in the header, in the order of the output; all if `None`.
    pub samples: Option<Vec<usize>>,
    /// Columns of a table; all of the files of sites if `None`.
    pub columns: Option<Vec<String>>,
    /// Whether the output begins with a header.
    pub with_header: bool,
    /// Threads that decode.
    pub threads: usize,
    /// Fail rather than fetch more bytes of row groups than this.
    pub max_bytes: Option<u64>,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// VCF text.
    Vcf,
    /// VCF text in BGZF.
    VcfGz,
    /// BCF 2.2, always with its header.
    Bcf,
    /// A table.
    Table(TableFormat),
}

/// Counts the variants.
///
/// # Errors
///
/// As [`Reader::scan`].
pub fn count(reader: &Reader, query: &Query) -> Result<QueryStats> {
    let needs = Needs {
        fixed: Fields::none(),
        text: false,
        info: Fields::none(),
        format: Fields::none(),
        samples: Vec::new(),
    };
    reader.scan(&needs, &|_| true, query.threads, query.max_bytes, |_| Ok(()), |()| Ok(()))
}

/// Writes the variants to `out`.
///
/// # Errors
///
/// As [`Reader::scan`]; when the output cannot be written to.
pub fn run(
    reader: &Reader,
    query: &Query,
    output: Output,
    out: Box<dyn Write + Send>,
) -> Result<QueryStats> {
    match output {
        Output::Vcf => vcf(reader, query, false, TextWriter::plain(out)),
        Output::VcfGz => vcf(reader, query, false, TextWriter::bgzf(out, query.threads)),
        Output::Bcf => vcf(reader, query, true, TextWriter::bgzf(out, query.threads)),
        Output::Table(format) => table(reader, query, format, out),
    }
}

fn vcf(reader: &Reader, query: &Query, as_bcf: bool, mut out: TextWriter) -> Result<QueryStats> {
    let text = header(reader, query.samples.as_deref())?;
    let bcf = if as_bcf { Some(bcf_header(reader, &text)?) } else { None };
    match &bcf {
        Some(bcf) => out.write(&bcf.to_bcf())?,
        None if query.with_header => out.write(&text)?,
        None => {}
    }
    let mut needs = Needs::all(reader.schema());
    if let Some(samples) = &query.samples {
        needs.samples.clone_from(samples);
    }
    let stats = reader.scan(
        &needs,
        &|_| true,
        query.threads,
        query.max_bytes,
        |loaded| {
            let mut text = Vec::new();
            for &row in &loaded.rows {
                loaded.push_line(row, &mut text)?;
                text.push(b'\n');
            }
            let Some(bcf) = &bcf else { return Ok(text) };
            let mut records = Vec::with_capacity(text.len());
            bcf_records(&mut Encoder::new(bcf), &text, &mut records)?;
            Ok(records)
        },
        |bytes| out.write(&bytes),
    )?;
    out.finish()?;
    Ok(stats)
}

fn table(
    reader: &Reader,
    query: &Query,
    format: TableFormat,
    out: Box<dyn Write + Send>,
) -> Result<QueryStats> {
    let schema = reader.schema();
    let columns = Columns::new(schema, query.columns.as_deref(), query.samples.as_deref())?;
    let mut writer = TableWriter::new(format, out, &columns, query.with_header)?;
    let stats = reader.scan(
        &columns.needs(schema),
        &|_| true,
        query.threads,
        query.max_bytes,
        |loaded| Rows::new(format, columns.take(loaded, &loaded.rows)?),
        |rows| writer.write(&rows),
    )?;
    writer.finish()?;
    Ok(stats)
}

/// The header, with some samples only.
///
/// # Errors
///
/// [`Internal`](crate::error::ErrorKind::Internal) where a sample is not there.
pub fn header(reader: &Reader, samples: Option<&[usize]>) -> Result<Vec<u8>> {
    let schema = reader.schema();
    let Some(samples) = samples else { return Ok(schema.header.clone()) };
    let start = memchr::memmem::rfind(&schema.header, b"#CHROM").unwrap_or(schema.header.len());
    let (above, names) = schema.header.split_at(start);
    let names = names.strip_suffix(b"\n").unwrap_or(names);
    let fields: Vec<&[u8]> = names.split(|&byte| byte == b'\t').collect();
    let site = if samples.is_empty() { 8 } else { 9 };
    let mut kept: Vec<&[u8]> = fields.iter().take(site).copied().collect();
    for sample in samples {
        let name = fields.get(9 + sample);
        kept.push(name.ok_or_else(|| Error::internal("a sample is missing in the header"))?);
    }
    let mut header = above.to_vec();
    header.extend_from_slice(&kept.join(&b'\t'));
    header.push(b'\n');
    Ok(header)
}
