//! Proving that chunks hold what they should.

use crate::dataset::{Checksum, ChunkEntry};
use crate::error::{Context, Error, Result};
use crate::pipeline::ordered;
use crate::store::Store;

use super::chunk::Chunk;

/// Checks one chunk object: its checksums, its counts against the manifest, and every record of
/// every block against its digest.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) naming what is wrong.
pub fn check_chunk(entry: &ChunkEntry, bytes: Vec<u8>) -> Result<()> {
    let (header, chunk) = Chunk::parse(bytes)?;
    let listed = entry.counts.get("reads").copied().unwrap_or(0);
    if u64::from(header.reads) != listed {
        return Err(Error::corrupt("the chunk has not as many reads as the manifest lists")
            .expected(listed)
            .found(header.reads));
    }
    for block in &chunk.blocks {
        chunk.decode_block(block)?;
    }
    Ok(())
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
                check_chunk(entry, bytes.to_vec())
            };
            check().at(|| store.name(&entry.path))
        },
        |()| Ok(()),
    )
}
