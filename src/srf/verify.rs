//! Proving that a dataset holds what it should.

use std::io::Cursor;

use arrow_ipc::reader::FileReader;
use arrow_schema::ArrowError;
use bytes::Bytes;

use super::manifest::{Details, Order, READS};
use super::read;
use crate::columnar::check_arrow_file;
use crate::dataset::{self, ChunkEntry, Counts, Dataset, METADATA, ObjectRef, Problem, Report};
use crate::error::{Context, Error, Result};
use crate::guard::guard;
use crate::pipeline::Progress;
use crate::store::Store;

/// Checks a dataset: every object against its checksum, every read against its digest, every count
/// against the manifest, and the index against the chunks.
///
/// # Errors
///
/// Only when the store fails or the dataset is none of reads; what is wrong is in the report.
pub fn verify(dataset: &Dataset, threads: usize, progress: Option<&Progress>) -> Result<Report> {
    let details = Details::read(dataset.manifest())?;
    let mut report = dataset::verify(dataset, &check_chunk, threads, progress)?;
    // What is damaged is reported already; reads can be told from sound objects only.
    if report.problems.is_empty()
        && let Err(error) = check_reads(dataset, &details, threads)
    {
        report.problems.push(Problem { path: METADATA.to_owned(), error });
    }
    Ok(report)
}

/// Opens a chunk as any reader of Arrow does.
fn check_chunk(entry: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    let none = || Error::corrupt("this is no Arrow file");
    let failed = |error: ArrowError| none().caused_by(error);
    check_arrow_file(bytes)?;
    guard(none, || FileReader::try_new(Cursor::new(bytes), None).map_err(failed))?;
    Ok(entry.counts.clone())
}

/// Every view of the dataset against its digests.
fn check_views(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    threads: usize,
) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut orders = vec![Order::None];
    orders.extend(details.ordered.as_ref().map(|_| details.order));
    for order in orders {
        let (reads, paths) = read::check_all(store, details, objects, order, threads)?;
        if reads != details.total_reads {
            return Err(Error::corrupt("the chunks have not as many reads as the manifest says")
                .expected(details.total_reads)
                .found(reads));
        }
        all.extend(paths);
    }
    Ok(all)
}

fn check_reads(dataset: &Dataset, details: &Details, threads: usize) -> Result<()> {
    let paths = check_views(dataset.store(), details, &dataset.manifest().objects, threads)?;
    let chunks = dataset.chunks()?;
    let counted: u64 = chunks.iter().filter_map(|chunk| chunk.counts.get(READS)).sum();
    if !chunks.iter().map(|chunk| chunk.path.as_str()).eq(paths.iter().map(String::as_str))
        || counted != details.total_reads
    {
        return Err(Error::corrupt("the index lists other chunks than the manifest"));
    }
    Ok(())
}

/// Reads what was uploaded back from the store and compares it with the input's digests.
pub(super) fn read_back(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    threads: usize,
) -> Result<()> {
    check_views(store, details, objects, threads).at(|| "verifying what was written")?;
    Ok(())
}
