//! Proving that chunks hold what they should.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::chunk::Chunk;
use super::manifest::{Details, READS};
use super::read;
use crate::dataset::{self, Checksum, ChunkEntry, Counts, Dataset, METADATA, Problem, Report};
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, ordered};
use crate::store::Store;

/// Checks a dataset: every object against its checksum, every record of every block against its
/// digest, every count against the manifest, and the index against the chunks.
///
/// # Errors
///
/// Only when the store fails or the dataset is none of alignments; what is wrong is in the report.
pub fn verify(dataset: &Dataset, threads: usize, progress: Option<&Progress>) -> Result<Report> {
    let details = Details::read(dataset.manifest())?;
    let mut report = dataset::verify(dataset, &check_chunk, threads, progress)?;
    let reads = report.counts.get(READS).copied().unwrap_or(0);
    // A chunk that cannot be read is a problem of its own.
    if reads != details.read_count && report.problems.is_empty() {
        let error = Error::corrupt("the chunks have not as many reads as the manifest says")
            .expected(details.read_count)
            .found(reads);
        report.problems.push(Problem { path: METADATA.to_owned(), error });
    }
    if let Err(error) = check_index(dataset, &details) {
        let path = details.index.path.as_deref().unwrap_or(METADATA).to_owned();
        report.problems.push(Problem { path, error });
    }
    Ok(report)
}

/// Checks one chunk object and counts its reads.
fn check_chunk(entry: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    let (header, chunk) = Chunk::parse(bytes.to_vec())?;
    let mut digest = Sha256::new();
    for block in &chunk.blocks {
        chunk.decode_block(block)?;
        digest.update(block.digest);
    }
    let digest = Checksum::from_bytes(digest.finalize().into());
    if entry.digest.is_some_and(|expected| expected != digest) {
        return Err(Error::corrupt("the chunk does not hold the records that were converted"));
    }
    Ok(Counts::from([(READS.to_owned(), u64::from(header.reads))]))
}

/// Checks that the index lists the chunks of the manifest.
fn check_index(dataset: &Dataset, details: &Details) -> Result<()> {
    let chunks = read::fetch_index(dataset.store(), details)?;
    let listed = chunks.iter().map(|chunk| (chunk.path.as_str(), chunk.size, chunk.checksum));
    let entries = dataset.chunks()?;
    let expected = entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.size_bytes, *entry.checksum.as_bytes()));
    if listed.eq(expected) {
        return Ok(());
    }
    Err(Error::corrupt("the index lists other chunks than the manifest"))
}

/// Reads chunks back from the store and checks them.
pub(super) fn read_back(store: &Store, chunks: &[ChunkEntry], threads: usize) -> Result<()> {
    let mut entries = chunks.iter();
    ordered(
        threads,
        2 * threads.max(1),
        || {
            let Some(entry) = entries.next() else { return Ok(None) };
            Ok(Some((entry, store.get(&entry.path)?)))
        },
        |(entry, bytes)| {
            let check = || {
                if Checksum::of(&bytes) != entry.checksum {
                    return Err(Error::corrupt("the store gives back other bytes than were sent")
                        .expected(entry.checksum)
                        .found(Checksum::of(&bytes))
                        .help("check the store, then convert again"));
                }
                check_chunk(entry, &bytes).map(|_| ())
            };
            check().at(|| store.name(&entry.path))
        },
        |()| Ok(()),
    )
}
