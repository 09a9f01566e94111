//! Arrow files put together from batches that were encoded elsewhere.
//!
//! The writer of arrow-ipc encodes one batch after the other; here batches come from many threads,
//! and a file is its head, their messages, and a footer that says where they lie.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::{
    DictionaryTracker, FileWriter, IpcDataGenerator, IpcWriteOptions, write_message,
};
use arrow_ipc::{Block, CompressionType, FooterBuilder, MetadataVersion};
use arrow_schema::{ArrowError, Schema};
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};

/// What arrow-ipc writes at both ends.
const MAGIC: &[u8] = b"ARROW1";

fn failed(error: ArrowError) -> Error {
    Error::internal("encoding Arrow").caused_by(error)
}

/// A batch as a message of an Arrow file.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the head of the message.
    pub(super) head: u32,
}

fn options(level: Option<i32>) -> Result<IpcWriteOptions> {
    let options = IpcWriteOptions::default();
    match level {
        None => Ok(options),
        Some(level) => options
            .try_with_compression(Some(CompressionType::ZSTD))
            .and_then(|options| options.try_with_compression_level(Some(level)))
            .map_err(failed),
    }
}

/// Encodes a batch, compressed with zstd where a level is given.
pub(super) fn encode(batch: &RecordBatch, level: Option<i32>) -> Result<Message> {
    let options = options(level)?;
    let mut tracker = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut tracker, &options, &mut Default::default())
        .map_err(failed)?;
    let mut bytes = Vec::with_capacity(encoded.arrow_data.len() + 4096);
    let (head, _) = write_message(&mut bytes, encoded, &options).map_err(failed)?;
    Ok(Message { bytes, head: head as u32 })
}

/// Decodes the bytes of a message, which the caller has checked.
pub(super) fn decode(schema: &Arc<Schema>, bytes: &Bytes, head: u32) -> Result<RecordBatch> {
    let damaged = |error: ArrowError| Error::corrupt("decoding an Arrow batch").caused_by(error);
    let body = bytes.len().checked_sub(head as usize);
    let (Ok(head), Some(body)) = (i32::try_from(head), body) else {
        return Err(Error::corrupt("an Arrow batch is shorter than its head"));
    };
    let block = Block::new(0, head, body as i64);
    FileDecoder::new(schema.clone(), MetadataVersion::V5)
        .read_record_batch(&block, &Buffer::from(bytes.clone()))
        .map_err(damaged)?
        .ok_or_else(|| Error::corrupt("an Arrow batch is missing"))
}

/// A file being put together.
pub(super) struct FileBuilder {
    schema: Arc<Schema>,
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

impl FileBuilder {
    pub(super) fn new(schema: Arc<Schema>) -> Result<Self> {
        let writer = FileWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        let bytes = writer.get_ref().clone();
        Ok(Self { schema, bytes, blocks: Vec::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a batch, and says where it begins.
    pub(super) fn push(&mut self, message: &Message) -> u64 {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&message.bytes);
        let body = message.bytes.len() - message.head as usize;
        self.blocks.push(Block::new(offset as i64, message.head as i32, body as i64));
        offset as u64
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // The end of the stream of messages.
        self.bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let mut builder = FlatBufferBuilder::new();
        let dictionaries = builder.create_vector::<Block>(&[]);
        let batches = builder.create_vector(&self.blocks);
        let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, &self.schema);
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(batches);
        let root = footer.finish();
        builder.finish(root, None);
        let footer = builder.finished_data();
        self.bytes.extend_from_slice(footer);
        self.bytes.extend_from_slice(&(footer.len() as i32).to_le_bytes());
        self.bytes.extend_from_slice(MAGIC);
        self.bytes
    }
}
