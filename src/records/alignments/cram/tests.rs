//! Files that someone made wrong on purpose: their checksums are right, their content is not.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use testkit::arbitrary;

use super::block::{Block, ContainerHeader, Content, EOF_CONTAINER, RAW, push_block};
use super::bytes::{Bytes, Numbers};
use crate::records::alignments::{
    Header, Limit, RecordBatch, SourceOptions, Validation, open, sink,
};

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn header() -> Header {
    let length = arbitrary::CONTIG_LENGTH;
    let text: String =
        ["a", "b", "c"].iter().map(|name| format!("@SQ\tSN:{name}\tLN:{length}\n")).collect();
    Header::parse_sam_text(text.as_bytes(), Validation::Strict).unwrap()
}

/// A CRAM file of those of the records that CRAM can keep.
fn cram_of(records: &[Vec<u8>]) -> Vec<u8> {
    let mut kept = RecordBatch::new();
    for record in records {
        let mut one = RecordBatch::new();
        one.push(record).unwrap();
        let mut trial =
            sink::create(sink::Format::Cram, Box::new(std::io::sink()), &header(), 1).unwrap();
        if trial.write(&one).is_ok() {
            kept.push(record).unwrap();
        }
    }
    let memory = Memory::default();
    let mut sink =
        sink::create(sink::Format::Cram, Box::new(memory.clone()), &header(), 1).unwrap();
    sink.write(&kept).unwrap();
    sink.finish().unwrap();
    let bytes = memory.0.lock().unwrap();
    bytes.clone()
}

/// The same file with uncompressed blocks, after `change` had a look at each of the second
/// container's.
fn rebuilt(cram: &[u8], mut change: impl FnMut(usize, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = cram[..26].to_vec();
    let mut bytes = Bytes(&cram[26..]);
    for container in 0.. {
        let (header, len) = ContainerHeader::parse(&mut bytes).unwrap();
        bytes.u32_le().unwrap();
        let mut blocks = Bytes(bytes.take(len).unwrap());
        if header.landmarks.is_empty() {
            break;
        }
        let (mut body, mut landmark, mut number) = (Vec::new(), 0, 0);
        while !blocks.0.is_empty() {
            let block = Block::read(&mut blocks).unwrap();
            let content = [
                Content::FileHeader,
                Content::CompressionHeader,
                Content::SliceHeader,
                Content::External,
                Content::Core,
            ]
            .into_iter()
            .find(|content| *content as u8 == block.content)
            .unwrap();
            let mut data = block.decode().unwrap().into_owned();
            if container > 0 {
                change(number, &mut data);
                number += 1;
            }
            if content == Content::SliceHeader {
                landmark = body.len() as i32;
            }
            push_block(&mut body, RAW, content, block.id, data.len(), &data);
        }
        let header = ContainerHeader { landmarks: vec![landmark], ..header };
        header.push(&mut out, body.len());
        out.extend_from_slice(&body);
    }
    out.extend_from_slice(&EOF_CONTAINER);
    out
}

fn read(cram: Vec<u8>) -> crate::Result<usize> {
    let mut source = open("x.cram", Box::new(Cursor::new(cram)), &SourceOptions::default())?;
    let (mut batch, mut count) = (RecordBatch::new(), 0);
    while source.read(&mut batch, Limit::default())? {
        count += batch.len();
    }
    Ok(count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn test_changed_content_is_an_error_or_other_records(
        records in prop::collection::vec(arbitrary::record_bytes(), 1..12),
        block in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let cram = cram_of(&records);
        let mut count = 0;
        let same = rebuilt(&cram, |_, _| count += 1);
        prop_assert_eq!(read(same).unwrap(), read(cram.clone()).unwrap());
        if count == 0 {
            return Ok(());
        }
        let block = block.index(count);
        let changed = rebuilt(&cram, |number, data| {
            if number == block && !data.is_empty() {
                let at = at.index(data.len());
                data[at] = value;
            }
        });
        let _ = read(changed);
        let shortened = rebuilt(&cram, |number, data| {
            if number == block && !data.is_empty() {
                let at = at.index(data.len());
                data.truncate(at);
            }
        });
        let _ = read(shortened);
    }
}
