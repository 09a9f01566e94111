//! Fuzz targets of chunks and their index; see [`crate::fuzzing`].

use super::block::{self, Coding};
use super::chunk::{Chunk, decode_ordinals};
use super::{directory, index};
use crate::codec::{Codec, Effort};
use crate::fuzzing::{Choices, is_chosen};
use crate::records::alignments::Fields;

/// A chunk, with its checksums set right: header and directory.
pub(crate) fn header(data: &[u8]) {
    let mut bytes = data.to_vec();
    super::chunk::set_checksums(&mut bytes);
    if let Ok((_, chunk)) = Chunk::parse(bytes) {
        for block in &chunk.blocks {
            let _ = chunk.decode_block(block);
        }
    }
}

/// A directory, and a page of the index.
pub(crate) fn index(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, start) = (choices.byte(), choices.number() as u64);
    if kind & 1 == 0 {
        let _ = index::parse_page(choices.0);
    } else if let Ok(blocks) = directory::decode(choices.0, start) {
        let mut bytes = Vec::new();
        directory::encode(&blocks, &mut bytes);
        let again = directory::decode(&bytes, start).map_err(|error| error.to_string());
        assert_eq!(again, Ok(blocks));
    }
}

/// A directory, and the streams it speaks of. What is decoded is encoded and decoded again.
pub(crate) fn block(data: &[u8]) {
    let mut choices = Choices(data);
    let directory = choices.slice();
    let Ok(blocks) = directory::decode(directory, 0) else { return };
    let streams = choices.0;
    let fields = [Fields::ALL, Fields::NONE, Fields::SEQUENCE, Fields::tag(*b"MD")];
    for entry in blocks.iter().take(4) {
        let mut coding = Coding {
            records: entry.records as usize,
            raw_bytes: entry.raw_bytes,
            streams: Vec::new(),
        };
        for stream in &entry.streams {
            let (start, length) = (stream.offset as usize, stream.len as usize);
            let Some(bytes) = streams.get(start..).and_then(|rest| rest.get(..length)) else {
                return;
            };
            coding.streams.push((stream.series, stream.codec, stream.raw_len as usize, bytes));
        }
        let whole = block::decode(&coding, &Fields::ALL);
        let part = &fields[usize::from(entry.digest[0]) % fields.len()];
        let _ = block::decode(&coding, part);
        let mut ordinals = entry.clone();
        ordinals.streams.retain(|stream| stream.codec == Codec::Raw);
        let _ = decode_ordinals(&ordinals, |_| Some(&[]));
        let Ok(batch) = whole else { continue };
        assert!(batch.byte_len() as u64 <= 1 << 31);
        if is_chosen(data) {
            let coded = block::encode(&batch, &[], Effort::Fast).map_err(|e| e.to_string());
            let Ok(coded) = coded else { continue };
            let streams = coded.iter().map(|s| (s.series, s.codec, s.raw_len, s.bytes.as_slice()));
            let coding = Coding {
                records: batch.len(),
                raw_bytes: batch.byte_len() as u64,
                streams: streams.collect(),
            };
            let again = block::decode(&coding, &Fields::ALL).map_err(|e| e.to_string());
            assert_eq!(
                again.map(|again| again.all_bytes().to_vec()),
                Ok(batch.all_bytes().to_vec())
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::fuzzing::tests::{SAM, source};
    use crate::paf::chunk::EncodedBlock;
    use crate::records::alignments::{Limit, RecordBatch};

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut batch = RecordBatch::new();
        assert!(source(SAM.as_bytes()).read(&mut batch, Limit::default()).unwrap());
        let mut all = Vec::new();
        for (effort, is_raw) in
            [(Effort::Fast, true), (Effort::Default, false), (Effort::Archive, false)]
        {
            let coded = block::encode(&batch, &[5, 6, 7, 8], effort).unwrap();
            let mut entry =
                EncodedBlock::new(&batch, &[5, 6, 7, 8], effort).unwrap().entry().clone();
            let mut streams = Vec::new();
            for (stream, entry) in coded.iter().zip(&mut entry.streams) {
                let mut bytes = stream.bytes.clone();
                if is_raw && stream.codec != Codec::Quality {
                    bytes = crate::codec::decode(stream.codec, &bytes, stream.raw_len).unwrap();
                    entry.codec = Codec::Raw;
                }
                entry.offset = streams.len() as u64;
                entry.len = bytes.len() as u32;
                streams.extend(bytes);
            }
            let mut directory = Vec::new();
            directory::encode(std::slice::from_ref(&entry), &mut directory);
            all.push(("paf_index", [&[1, 0, 0][..], &directory].concat()));
            let length = (directory.len() as u16).to_le_bytes();
            all.push(("paf_block", [&length[..], &directory, &streams].concat()));
            let mut page = vec![3, b'a', b'/', b'b', 9];
            page.extend([7; 32]);
            crate::codec::varint::put(&mut page, 100);
            crate::codec::varint::put(&mut page, directory.len() as u64);
            page.extend(&directory);
            all.push(("paf_index", [&[0, 0, 0][..], &page].concat()));
        }
        all
    }
}
