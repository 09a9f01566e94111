//! Arrow files: a head, dictionaries, the messages of batches, and a footer that says where each
//! lies ([IPC file format](https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format)).

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::{
    DictionaryTracker, FileWriter, IpcDataGenerator, IpcWriteOptions, write_message,
};
use arrow_ipc::{Block, FooterBuilder, MetadataVersion};
use arrow_schema::{ArrowError, Schema};
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};

/// What Arrow files end in.
pub(super) const MAGIC: &[u8] = b"ARROW1";
/// What stands before the length of a message's head.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];
/// The end of a stream of messages: what stands before a message's length, and the length 0.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

fn failed(error: ArrowError) -> Error {
    Error::internal("encoding Arrow").caused_by(error)
}

/// A file being put together.
pub(crate) struct ArrowFile {
    schema: Arc<Schema>,
    bytes: Vec<u8>,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl ArrowFile {
    /// Begins with the dictionaries of `empty`, a batch without rows, coded as `options` say.
    pub(crate) fn new(empty: &RecordBatch, options: &IpcWriteOptions) -> Result<Self> {
        let schema = empty.schema();
        let writer = FileWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        let mut bytes = writer.get_ref().clone();
        let generator = IpcDataGenerator::default();
        let mut tracker = DictionaryTracker::new(true);
        // Numbers the dictionaries as the writer of the head did.
        generator.schema_to_bytes_with_dictionary_tracker(&schema, &mut tracker, options);
        let (encoded, _) = generator
            .encode(empty, &mut tracker, options, &mut Default::default())
            .map_err(failed)?;
        let mut dictionaries = Vec::new();
        for message in encoded {
            let offset = bytes.len();
            let (head, body) = write_message(&mut bytes, message, options).map_err(failed)?;
            dictionaries.push(Block::new(offset as i64, head as i32, body as i64));
        }
        Ok(Self { schema, bytes, dictionaries, batches: Vec::new() })
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the message of a batch, whose head takes `head` bytes, and says where it begins.
    pub(crate) fn push(&mut self, message: &[u8], head: u32) -> u64 {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(message);
        let body = message.len() - head as usize;
        self.batches.push(Block::new(offset as i64, head as i32, body as i64));
        offset as u64
    }

    /// The whole file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&END);
        let mut builder = FlatBufferBuilder::new();
        let dictionaries = builder.create_vector(&self.dictionaries);
        let batches = builder.create_vector(&self.batches);
        let mut tracker = DictionaryTracker::new(true);
        let schema = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut tracker)
            .schema_to_fb_offset(&mut builder, &self.schema);
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
