//! Whole datasets as the text they were made from.

use crate::error::{Error, Result};
use crate::srf::batch::Batch;
use crate::srf::index::BatchRef;

/// Both reads of each row by turns.
pub(super) fn woven(batch: &Batch, is_last: bool) -> Vec<u8> {
    let (mut text, mut scratch) = (Vec::new(), [Vec::new(), Vec::new()]);
    for row in 0..batch.rows() {
        for mate in 0..batch.mates() {
            batch.push_text(row, mate, &mut scratch, &mut text);
            // The last record of the first file may lack the line end that the next needs.
            let is_end = is_last && row + 1 == batch.rows() && mate + 1 == batch.mates();
            if !is_end && text.last() != Some(&b'\n') {
                text.push(b'\n');
            }
        }
    }
    text
}

/// The block that ends a BGZF file.
pub const BGZF_END: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

/// Text as BGZF blocks, without the one that ends a file.
pub(super) fn bgzf(text: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
    let failed = |error: std::io::Error| Error::internal("compressing").caused_by(error);
    writer.write_all(text).map_err(failed)?;
    let mut blocks = writer.finish().map_err(failed)?;
    if blocks.ends_with(&BGZF_END) {
        blocks.truncate(blocks.len() - BGZF_END.len());
    }
    Ok(blocks)
}

/// The text of each file's reads, checked.
pub(super) fn texts(entry: &BatchRef, batch: &Batch) -> Result<Vec<Vec<u8>>> {
    let mut texts = Vec::with_capacity(batch.mates());
    for (mate, digest) in entry.digests.iter().enumerate() {
        let mut text = Vec::new();
        batch.push_file(mate, &mut text);
        if Batch::digest(&text) != *digest {
            return Err(Error::corrupt("a batch does not give back the reads that were converted")
                .help("restore the dataset from a copy, or convert the original again"));
        }
        texts.push(text);
    }
    Ok(texts)
}
