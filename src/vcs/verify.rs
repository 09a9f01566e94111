//! Proving that a dataset holds what it should.

use bytes::Bytes;

use super::file::Footer;
use super::index::{Layout, Spatial};
use super::manifest::{Details, VARIANTS};
use super::needs::Needs;
use super::places::Places;
use super::read::{Loaded, Parts, Reader, objects_of};
use super::schema::Schema;
use crate::dataset::{self, At, Checksum, ChunkEntry, Counts, Dataset, METADATA, Problem, Report};
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, ordered};
use crate::store::Store;

/// Checks a dataset: every object against its checksum, every line against its digest, every count
/// against the manifest, and the index against the chunks.
///
/// # Errors
///
/// Only when the store fails or the dataset is none of variants; what is wrong is in the report.
pub fn verify(dataset: &Dataset, threads: usize, progress: Option<&Progress>) -> Result<Report> {
    let details = Details::read(dataset.manifest())?;
    let mut report = dataset::verify(dataset, &check_chunk, threads, progress)?;
    // What is damaged is reported already; lines can be told from sound objects only.
    if report.problems.is_empty()
        && let Err(error) = check_lines(dataset, &details, threads)
    {
        report.problems.push(Problem { path: METADATA.to_owned(), error });
    }
    Ok(report)
}

/// Counts the variants of a file of sites.
fn check_chunk(entry: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    if !entry.counts.contains_key(VARIANTS) {
        return Ok(Counts::new());
    }
    let damaged = || Error::corrupt("this is no Parquet file");
    let end = bytes.len().checked_sub(8).ok_or_else(damaged)?;
    let (length, magic) = bytes[end..].split_at(4);
    let length = length.iter().rev().fold(0_usize, |number, &byte| number << 8 | usize::from(byte));
    let start = end.checked_sub(length).filter(|_| magic == b"PAR1").ok_or_else(damaged)?;
    let footer = Footer::parse(&bytes[start..end])?;
    let rows =
        u64::try_from(footer.metadata().file_metadata().num_rows()).map_err(|_| damaged())?;
    Ok(Counts::from([(VARIANTS.to_owned(), rows)]))
}

/// Reads every line and compares them with their digests; and the index with the manifest.
fn check_lines(dataset: &Dataset, details: &Details, threads: usize) -> Result<()> {
    let at = At::Version(dataset.manifest().dataset_version);
    let reader = Reader::open(dataset.store(), at, &Places::default())?;
    let known = objects_of(&reader);
    let chunks = dataset.chunks()?;
    if chunks.len() != known.len() || chunks.iter().any(|chunk| !known.contains(&chunk.path)) {
        return Err(Error::corrupt("the index lists other objects than the manifest"));
    }
    let mut lines = 0;
    let needs = Needs::all(reader.schema());
    let check = |loaded: &Loaded| digest_of(loaded).map(|()| loaded.rows.len() as u64);
    reader.scan(&needs, &|_| true, threads, None, check, |count| {
        lines += count;
        Ok(())
    })?;
    if lines == details.variant_count {
        return Ok(());
    }
    Err(Error::corrupt("the parts have not as many variants as the manifest says")
        .expected(details.variant_count)
        .found(lines))
}

/// Compares all lines of a row group with their digest.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they are not the lines that were converted.
pub(super) fn digest_of(loaded: &Loaded) -> Result<()> {
    let mut digest = blake3::Hasher::new();
    let mut text = Vec::new();
    for row in 0..loaded.total_rows {
        loaded.push_line(row, &mut text)?;
        text.push(b'\n');
        if text.len() > 1 << 20 {
            digest.update(&text);
            text.clear();
        }
    }
    digest.update(&text);
    check_digest(loaded, digest.finalize().into())
}

/// Compares a digest of lines with the one taken at conversion.
pub(super) fn check_digest(loaded: &Loaded, found: [u8; 32]) -> Result<()> {
    if found == loaded.digest {
        return Ok(());
    }
    Err(Error::corrupt("a row group does not give back the lines that were converted")
        .expected(format!("blake3 {}", blake3::Hash::from(loaded.digest)))
        .found(format!("blake3 {}", blake3::Hash::from(found)))
        .help("restore the dataset from a copy, or convert the original again"))
}

/// Reads parts back from the store and checks them.
pub(super) fn read_back(
    store: &Store,
    schema: &Schema,
    layouts: &[(Vec<Spatial>, Layout)],
    chunks: &[ChunkEntry],
    threads: usize,
) -> Result<()> {
    let mut entries = chunks.iter();
    ordered(
        threads,
        2 * threads.max(1),
        || {
            let Some(entry) = entries.next() else { return Ok(None) };
            Ok(Some((entry, store.get(&entry.path)?)))
        },
        |(entry, bytes)| {
            if Checksum::of(&bytes) == entry.checksum {
                return Ok(());
            }
            let error = Error::corrupt("the store gives back other bytes than were sent")
                .expected(entry.checksum)
                .found(Checksum::of(&bytes))
                .help("check the store, then convert again");
            Err(error).at(|| store.name(&entry.path))
        },
        |()| Ok(()),
    )?;
    let parts = Parts::uncommitted(store, schema, layouts)?;
    parts.scan(&Needs::all(schema), &|_| true, threads, None, digest_of, |()| Ok(()))?;
    Ok(())
}
