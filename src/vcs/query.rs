//! Queries: which variants, and what is written of them.

use std::io::Write;

use super::expression::{Dictionary, Outcome, Record};
use super::filter::Filter;
use super::format::LineFormat;
use super::needs::{Fields, Needs};
use super::output::{TextWriter, bcf_header, bcf_records};
use super::read::{Loaded, QueryStats, Reader};
use super::recount;
use super::table::{Columns, Rows, TableFormat, TableWriter};
use crate::error::{Error, Result};
use crate::records::variants::bcf::Encoder;

/// What is asked of a reader's variants.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Samples by their place in the header, in the order of the output; all if `None`.
    pub samples: Option<Vec<usize>>,
    /// Leave AC and AN as they are where samples are chosen.
    pub keep_counts: bool,
    /// Which records; all if `None`. It is on all samples, but on those chosen in [`print()`].
    pub filter: Option<Filter>,
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
/// As [`Reader::scan`] and [`Filter::keeps`].
pub fn count(reader: &Reader, query: &Query) -> Result<QueryStats> {
    if let Some(filter) = &query.filter {
        let needs = filter.needs(all_samples(reader), true);
        return Ok(filter.find(reader, needs, query.threads, query.max_bytes)?.1);
    }
    let needs = Needs {
        fixed: Fields::none(),
        text: false,
        info: Fields::none(),
        format: Fields::none(),
        samples: Vec::new(),
    };
    reader.scan(&needs, &|_| true, query.threads, query.max_bytes, |_| Ok(()), |()| Ok(()))
}

/// Reads what an output needs of the records that a query asks for. Those that a filter keeps are
/// found first, by the fields that it asks for.
fn scan<T: Send>(
    reader: &Reader,
    query: &Query,
    needs: &Needs,
    work: impl Fn(&Loaded) -> Result<T> + Sync,
    sink: impl FnMut(T) -> Result<()>,
) -> Result<QueryStats> {
    let (threads, most) = (query.threads, query.max_bytes);
    let Some(filter) = &query.filter else {
        return reader.scan(needs, &|_| true, threads, most, work, sink);
    };
    scan_found(reader, query, (filter, filter.needs(all_samples(reader), true)), needs, work, sink)
}

fn all_samples(reader: &Reader) -> Vec<usize> {
    (0..reader.schema().samples.len()).collect()
}

/// Finds records by what a filter needs, and reads what an output needs of them.
fn scan_found<T: Send>(
    reader: &Reader,
    query: &Query,
    (filter, asked): (&Filter, Needs),
    needs: &Needs,
    work: impl Fn(&Loaded) -> Result<T> + Sync,
    sink: impl FnMut(T) -> Result<()>,
) -> Result<QueryStats> {
    let (rows, found) = filter.find(reader, asked, query.threads, query.max_bytes)?;
    let left = query.max_bytes.map(|most| most.saturating_sub(found.traffic.bytes_used));
    let mut stats = reader.scan_rows(needs, &rows, query.threads, left, work, sink)?;
    stats.traffic.bytes_used += found.traffic.bytes_used;
    Ok(QueryStats { records_decoded: found.records_decoded, row_groups: found.row_groups, ..stats })
}

/// Writes a line of text for each variant, as a format says; begins with names if a header is asked
/// for.
///
/// # Errors
///
/// As [`Reader::scan`] and [`Filter::keeps_samples`]; when the output cannot be written to.
pub fn print(
    reader: &Reader,
    query: &Query,
    format: &str,
    out: Box<dyn Write + Send>,
) -> Result<QueryStats> {
    let schema = reader.schema();
    let samples = query.samples.clone();
    let dictionary = Dictionary::new(schema, samples.as_deref());
    let format = LineFormat::parse(format, &dictionary)?;
    let samples = samples.unwrap_or_else(|| all_samples(reader));
    let mut needs = format.needs(schema, samples.clone());
    let mut out = TextWriter::plain(out);
    if query.with_header {
        let mut names = Vec::new();
        format.push_header(&mut names);
        out.write(&names)?;
    }
    let work = |loaded: &Loaded| {
        let (mut text, mut line) = (Vec::new(), Vec::new());
        for &row in &loaded.rows {
            line.clear();
            loaded.push_line(row, &mut line)?;
            let record = Record::new(&line);
            let kept = match &query.filter {
                Some(filter) if filter.chooses_samples() => filter.keeps_samples(&record)?,
                _ => Outcome::default(),
            };
            format.push(&record, &line, &kept, &mut text);
        }
        Ok(text)
    };
    let stats = match &query.filter {
        None => reader.scan(
            &needs,
            &|_| true,
            query.threads,
            query.max_bytes,
            work,
            |text: Vec<u8>| out.write(&text),
        )?,
        Some(filter) => {
            // As bcftools query does: genotypes are counted where the header declares no counts,
            // or where fields of FORMAT are read anyway.
            let is_declared = ["AC", "AN"].iter().all(|key| dictionary.info.contains_key(*key));
            let reads_format =
                needs.clone().and(filter.needs(samples.clone(), false)).format != Fields::none();
            let asked = filter.needs(samples, !is_declared || reads_format);
            if filter.chooses_samples() {
                needs = needs.and(asked.clone());
            }
            let asked = (filter, asked);
            scan_found(reader, query, asked, &needs, work, |text: Vec<u8>| out.write(&text))?
        }
    };
    out.finish()?;
    Ok(stats)
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
    let recounts = query.samples.is_some() && !query.keep_counts;
    let text = header(reader, query.samples.as_deref(), recounts)?;
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
    let stats = scan(
        reader,
        query,
        &needs,
        |loaded| {
            let (mut text, mut line) = (Vec::new(), Vec::new());
            for &row in &loaded.rows {
                if recounts {
                    line.clear();
                    loaded.push_line(row, &mut line)?;
                    recount::recount(&line, &mut text);
                } else {
                    loaded.push_line(row, &mut text)?;
                }
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
    let stats = scan(
        reader,
        query,
        &columns.needs(schema),
        |loaded| Rows::new(format, columns.take(loaded, &loaded.rows)?),
        |rows| writer.write(&rows),
    )?;
    writer.finish()?;
    Ok(stats)
}

/// The header, with some samples only; with AC and AN declared if they are counted anew.
///
/// # Errors
///
/// [`Internal`](crate::error::ErrorKind::Internal) where a sample is not there.
pub fn header(reader: &Reader, samples: Option<&[usize]>, with_counts: bool) -> Result<Vec<u8>> {
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
    if with_counts {
        header.extend_from_slice(&recount::declare(&Dictionary::new(schema, None)));
    }
    header.extend_from_slice(&kept.join(&b'\t'));
    header.push(b'\n');
    Ok(header)
}
