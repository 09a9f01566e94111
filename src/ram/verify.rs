//! Proving that a dataset holds what it should.

use std::io::Cursor;

use arrow_ipc::reader::FileReader;
use arrow_schema::ArrowError;
use bytes::Bytes;

use super::manifest::{Details, READS, ROWS};
use super::read::{Content, Reader, Request};
use crate::columnar::check_arrow_file;
use crate::dataset::{self, At, ChunkEntry, Counts, Dataset, METADATA, Problem, Report};
use crate::error::{Error, Result};
use crate::guard::guard;
use crate::pipeline::Progress;

/// Checks a dataset: every object against its checksum, every batch and header by decoding it, every
/// count against the manifest, and the index against the chunks.
///
/// # Errors
///
/// Only when the store fails or the dataset is no cohort; what is wrong is in the report.
pub fn verify(dataset: &Dataset, threads: usize, progress: Option<&Progress>) -> Result<Report> {
    let details = Details::read(dataset.manifest())?;
    let mut report = dataset::verify(dataset, &check_chunk, threads, progress)?;
    // What is damaged is reported already; the rest can be told from sound objects only.
    if report.problems.is_empty()
        && let Err(error) = check_counts(dataset, &details, &report, threads)
    {
        report.problems.push(Problem { path: METADATA.to_owned(), error });
    }
    Ok(report)
}

/// Opens a chunk as any reader of Arrow does, and decodes all of it.
fn check_chunk(entry: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    if entry.path.ends_with(".json") {
        let parsed: std::result::Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        parsed.map_err(|error| Error::corrupt("this is no JSON").caused_by(error))?;
        return Ok(Counts::new());
    }
    let none = || Error::corrupt("this is no Arrow file");
    let failed = |error: ArrowError| none().caused_by(error);
    check_arrow_file(bytes)?;
    let rows = guard(none, || {
        let mut rows = 0;
        for batch in FileReader::try_new(Cursor::new(bytes), None).map_err(failed)? {
            rows += batch.map_err(failed)?.num_rows() as u64;
        }
        Ok(rows)
    })?;
    if entry.counts.get(ROWS) != Some(&rows) {
        return Err(Error::corrupt("the file has another number of rows than the manifest says")
            .expected(entry.counts.get(ROWS).copied().unwrap_or(0))
            .found(rows));
    }
    Ok(entry.counts.clone())
}

fn check_counts(
    dataset: &Dataset,
    details: &Details,
    report: &Report,
    threads: usize,
) -> Result<()> {
    let reads = report.counts.get(READS).copied().unwrap_or(0);
    if reads != details.read_count {
        return Err(Error::corrupt("the chunks have not as many reads as the manifest says")
            .expected(details.read_count)
            .found(reads));
    }
    let at = At::Version(dataset.manifest().dataset_version);
    let mut rows = 0;
    for content in [Content::Alignments, Content::Coverage, Content::Sites] {
        let reader = Reader::open(dataset.store(), at.clone(), content, &Request::default())?;
        let work = |_: &_, columns: arrow_array::RecordBatch| Ok((columns.num_rows() as u64, ()));
        rows += reader.scan(&reader.tasks, threads, None, work, |_, ()| Ok(()))?.rows;
        if content == Content::Alignments {
            check_headers(&reader)?;
        }
    }
    let expected = report.counts.get(ROWS).copied().unwrap_or(0);
    if rows != expected {
        return Err(Error::corrupt("the index lists other rows than the chunks have")
            .expected(expected)
            .found(rows));
    }
    Ok(())
}

fn check_headers(reader: &Reader) -> Result<()> {
    for part in &reader.parts {
        for number in 0..part.list.samples.len() {
            reader.header_of(part, number)?;
        }
    }
    Ok(())
}
