//! Arrow files whose batches were encoded on several threads, with dictionaries in front.
//!
//! A message holds no types, only buffers: a column of dictionary keys is written as the integers
//! that it is, and the schema in the file's head and footer says what they stand for. So batches
//! are encoded and decoded without the dictionaries, which a query knows from elsewhere.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_ipc::{Block, CompressionType, MetadataVersion};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use bytes::Bytes;

use crate::columnar::{ArrowFile, check_arrow_message};
use crate::error::{Error, Result};
use crate::guard::guard;

/// How hard zstd compresses buffers: of short reads, harder is slower and no smaller.
const LEVEL: i32 = 1;

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

fn options() -> Result<IpcWriteOptions> {
    IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::ZSTD))
        .and_then(|options| options.try_with_compression_level(Some(LEVEL)))
        .map_err(failed)
}

/// The schema with the keys of dictionaries in place of what they stand for.
pub(super) fn physical(schema: &Schema) -> Schema {
    let keys = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(key, _) => {
            Arc::new(field.as_ref().clone().with_data_type(key.as_ref().clone()))
        }
        _ => field.clone(),
    };
    let fields: Vec<Arc<Field>> = schema.fields().iter().map(keys).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Encodes a batch of the physical schema.
pub(super) fn encode(batch: &RecordBatch) -> Result<Message> {
    encode_with(batch, options()?)
}

/// A batch as a message of a stream, whose buffers are as they are in memory: the next program need
/// not decompress what this one would have to compress.
pub(super) fn encode_plain(batch: &RecordBatch) -> Result<Vec<u8>> {
    Ok(encode_with(batch, IpcWriteOptions::default())?.bytes)
}

fn encode_with(batch: &RecordBatch, options: IpcWriteOptions) -> Result<Message> {
    let mut tracker = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut tracker, &options, &mut Default::default())
        .map_err(failed)?;
    let mut bytes = Vec::with_capacity(encoded.arrow_data.len() + 4096);
    let (head, _) = write_message(&mut bytes, encoded, &options).map_err(failed)?;
    Ok(Message { bytes, head: head as u32 })
}

/// Decodes the bytes of a message, which the caller has checked, in the physical schema.
pub(super) fn decode(schema: &Arc<Schema>, bytes: &Bytes, head: u32) -> Result<RecordBatch> {
    let damaged = |error: ArrowError| Error::corrupt("decoding an Arrow batch").caused_by(error);
    let (Ok(place), Some(body)) = (i32::try_from(head), bytes.get(head as usize..)) else {
        return Err(Error::corrupt("an Arrow batch is shorter than its head"));
    };
    check_arrow_message(&bytes[..head as usize], body)?;
    let block = Block::new(0, place, body.len() as i64);
    guard(
        || Error::corrupt("an Arrow batch does not decode"),
        || {
            FileDecoder::new(schema.clone(), MetadataVersion::V5)
                .read_record_batch(&block, &Buffer::from(bytes.clone()))
                .map_err(damaged)?
                .ok_or_else(|| Error::corrupt("an Arrow batch is missing"))
        },
    )
}

/// Begins a file with the dictionaries of `empty`, a batch without rows.
pub(super) fn begin(empty: &RecordBatch) -> Result<ArrowFile> {
    ArrowFile::new(empty, &options()?)
}
