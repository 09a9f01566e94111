//! Batches as messages of an Arrow file.
//!
//! The writer of arrow-ipc compresses all buffers of a batch alike, and encodes one batch after the
//! other. Here each buffer is coded by what it holds, and batches come from many threads. Buffers
//! follow one another in the body of a message, each from a multiple of 8 bytes, so that their
//! sizes tell where they are.

use std::ops::Range;

use arrow_ipc::{
    BodyCompressionBuilder, BodyCompressionMethod, Buffer, CompressionType, FieldNode,
    MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder, root_as_message,
};
use flatbuffers::FlatBufferBuilder;

use crate::columnar::CONTINUATION;
use crate::error::{Error, Result};

/// Most buffers of a batch.
const MAX_BUFFERS: usize = 256;

/// The columns of a batch as Arrow lays them out.
#[derive(Default)]
pub(super) struct Columns {
    nodes: Vec<FieldNode>,
    buffers: Vec<Vec<u8>>,
}

impl Columns {
    /// Begins a column, or the items of a list: so many values, so many of them null.
    pub(super) fn node(&mut self, rows: usize, nulls: usize) {
        self.nodes.push(FieldNode::new(rows as i64, nulls as i64));
    }

    /// The next buffer, coded as the message says its buffers are; empty where it is left out.
    pub(super) fn buffer(&mut self, coded: Vec<u8>) {
        self.buffers.push(coded);
    }
}

/// A batch as a message of an Arrow file.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the head of the message.
    pub(super) head: u32,
    /// Sizes of the buffers of its body.
    pub(super) buffers: Vec<u32>,
}

/// The next multiple of 8.
fn padded(size: usize) -> usize {
    size.next_multiple_of(8)
}

/// Where buffers of these sizes lie, from the first byte of the body on.
pub(super) fn places(sizes: impl Iterator<Item = u32>) -> impl Iterator<Item = Range<usize>> {
    sizes.scan(0, |end, size| {
        let start = *end;
        *end += padded(size as usize);
        Some(start..start + size as usize)
    })
}

/// The message of a batch of so many rows.
pub(super) fn message(rows: usize, columns: &Columns, is_compressed: bool) -> Message {
    let sizes: Vec<u32> = columns.buffers.iter().map(|buffer| buffer.len() as u32).collect();
    let body: usize = columns.buffers.iter().map(|buffer| padded(buffer.len())).sum();
    let mut builder = FlatBufferBuilder::new();
    let nodes = builder.create_vector(&columns.nodes);
    let buffers: Vec<Buffer> = places(sizes.iter().copied())
        .map(|place| Buffer::new(place.start as i64, place.len() as i64))
        .collect();
    let buffers = builder.create_vector(&buffers);
    let compression = is_compressed.then(|| {
        let mut compression = BodyCompressionBuilder::new(&mut builder);
        compression.add_codec(CompressionType::ZSTD);
        compression.add_method(BodyCompressionMethod::BUFFER);
        compression.finish()
    });
    let mut batch = RecordBatchBuilder::new(&mut builder);
    batch.add_length(rows as i64);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    if let Some(compression) = compression {
        batch.add_compression(compression);
    }
    let batch = batch.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(body as i64);
    message.add_header(batch);
    let message = message.finish();
    builder.finish(message, None);
    let head = builder.finished_data();
    let length = padded(head.len());
    let mut bytes = Vec::with_capacity(8 + length + body);
    bytes.extend_from_slice(&CONTINUATION);
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
    bytes.extend_from_slice(head);
    bytes.resize(8 + length, 0);
    for buffer in &columns.buffers {
        bytes.extend_from_slice(buffer);
        bytes.resize(padded(bytes.len()), 0);
    }
    Message { bytes, head: (8 + length) as u32, buffers: sizes }
}

/// The buffers of a message, which the caller has checked.
pub(super) fn buffers(message: &[u8], head: u32) -> Result<Vec<&[u8]>> {
    let damaged = || Error::corrupt("an Arrow batch is not as its head says");
    let (head, body) = message.split_at_checked(head as usize).ok_or_else(damaged)?;
    let head = head.get(8..).ok_or_else(damaged)?;
    let message = root_as_message(head)
        .map_err(|_| Error::corrupt("the head of an Arrow batch does not decode"))?;
    let batch = message.header_as_record_batch().ok_or_else(damaged)?;
    let buffers = batch.buffers().ok_or_else(damaged)?;
    if buffers.len() > MAX_BUFFERS {
        return Err(damaged());
    }
    let slice = |buffer: &Buffer| {
        let start = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        body.get(start..start.checked_add(length)?)
    };
    buffers.iter().map(|buffer| slice(buffer).ok_or_else(damaged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_buffers_come_back_from_where_their_sizes_say() {
        let mut columns = Columns::default();
        columns.node(3, 0);
        let coded: [&[u8]; 4] = [b"", b"abc", b"12345678", b"x"];
        coded.iter().for_each(|buffer| columns.buffer(buffer.to_vec()));
        let message = message(3, &columns, true);
        assert_eq!(buffers(&message.bytes, message.head).unwrap(), coded);
        let body = &message.bytes[message.head as usize..];
        for (place, buffer) in places(message.buffers.iter().copied()).zip(coded) {
            assert_eq!(&body[place.clone()], buffer);
            assert_eq!(place.start % 8, 0);
        }
    }

    #[test]
    fn test_cut_messages_are_refused() {
        let mut columns = Columns::default();
        columns.node(1, 0);
        columns.buffer(vec![7; 20]);
        let message = message(1, &columns, false);
        for length in 0..message.bytes.len() - 4 {
            assert!(buffers(&message.bytes[..length], message.head).is_err(), "{length}");
        }
        for head in [0, 4, 8, message.head - 1, message.head + 1, u32::MAX] {
            let found = buffers(&message.bytes, head);
            assert!(found.is_err() || found.unwrap() != [[7; 20]], "{head}");
        }
    }
}
