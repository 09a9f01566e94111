//! A look over Arrow messages before the library decodes them: it takes lengths on trust, and
//! allocates what they say.

use arrow_ipc::{Block, Message, RecordBatch, root_as_footer, root_as_message};

use super::arrow_file::{CONTINUATION, MAGIC};
use crate::codec;
use crate::error::{Error, Result};

/// Most values of a column: ends of texts are 32-bit numbers with a sign.
const MOST_VALUES: i64 = i32::MAX as i64;

fn damaged() -> Error {
    Error::corrupt("an Arrow batch is not as its head says")
}

/// Checks the message of a batch, or of a dictionary: places of buffers, and lengths.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where they do not fit its bytes.
pub(crate) fn check_arrow_message(head: &[u8], body: &[u8]) -> Result<()> {
    let head = head.strip_prefix(&CONTINUATION).and_then(|head| head.get(4..));
    let message = root_as_message(head.ok_or_else(damaged)?)
        .map_err(|_| Error::corrupt("the head of an Arrow batch does not decode"))?;
    check_batch(batch_of(&message).ok_or_else(damaged)?, body)
}

fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    let dictionary = || message.header_as_dictionary_batch()?.data();
    message.header_as_record_batch().or_else(dictionary)
}

fn check_batch(batch: RecordBatch<'_>, body: &[u8]) -> Result<()> {
    let is_length = |length: i64| (0..=MOST_VALUES).contains(&length);
    let nodes = batch.nodes().ok_or_else(damaged)?;
    let are_lengths = nodes
        .iter()
        .all(|node| is_length(node.length()) && (0..=node.length()).contains(&node.null_count()));
    if !is_length(batch.length()) || !are_lengths {
        return Err(damaged());
    }
    let mut inflated = 0_usize;
    for buffer in batch.buffers().ok_or_else(damaged)? {
        let start = usize::try_from(buffer.offset()).map_err(|_| damaged())?;
        let length = usize::try_from(buffer.length()).map_err(|_| damaged())?;
        let bytes = body.get(start..).and_then(|rest| rest.get(..length)).ok_or_else(damaged)?;
        let length = match bytes.split_first_chunk::<8>() {
            _ if bytes.is_empty() || batch.compression().is_none() => length,
            None => return Err(damaged()),
            Some((length, rest)) => match i64::from_le_bytes(*length) {
                -1 => rest.len(),
                length => usize::try_from(length).map_err(|_| damaged())?,
            },
        };
        inflated = inflated.checked_add(length).ok_or_else(damaged)?;
    }
    codec::check_expansion(body.len(), inflated)
}

/// Checks all messages of a file.
///
/// # Errors
///
/// As [`check_arrow_message`]; also when this is no Arrow file.
pub(crate) fn check_arrow_file(bytes: &[u8]) -> Result<()> {
    let none = || Error::corrupt("this is no Arrow file");
    let rest = bytes.strip_suffix(MAGIC).ok_or_else(none)?;
    let (rest, length) = rest.split_last_chunk::<4>().ok_or_else(none)?;
    let start = rest.len().checked_sub(u32::from_le_bytes(*length) as usize).ok_or_else(none)?;
    let footer = root_as_footer(&rest[start..])
        .map_err(|_| Error::corrupt("the footer of an Arrow file does not decode"))?;
    let dictionaries = footer.dictionaries().into_iter().flatten();
    let batches = footer.recordBatches().into_iter().flatten();
    dictionaries.chain(batches).try_for_each(|block| check_block(bytes, block))
}

fn check_block(bytes: &[u8], block: &Block) -> Result<()> {
    let place = || {
        let start = usize::try_from(block.offset()).ok()?;
        let head = usize::try_from(block.metaDataLength()).ok()?;
        let body = usize::try_from(block.bodyLength()).ok()?;
        let (head, rest) = bytes.get(start..)?.split_at_checked(head)?;
        Some((head, rest.get(..body)?))
    };
    let (head, body) =
        place().ok_or_else(|| Error::corrupt("an Arrow batch lies outside its file"))?;
    check_arrow_message(head, body)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{DictionaryArray, Int32Array, RecordBatch, types::Int32Type};
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions};

    use super::*;

    const ROWS: i32 = 1000;

    fn file() -> Vec<u8> {
        let numbers: Int32Array = (0..ROWS).collect();
        let names: DictionaryArray<Int32Type> = (0..ROWS).map(|_| Some("chr1")).collect();
        let columns: [(&str, arrow_array::ArrayRef); 2] =
            [("position", Arc::new(numbers)), ("contig", Arc::new(names))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let zstd = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
        let mut writer =
            FileWriter::try_new_with_options(Vec::new(), &batch.schema(), zstd.unwrap()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    /// The file with the first `from` replaced.
    fn with(from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut bytes = file();
        let place = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[place..place + to.len()].copy_from_slice(to);
        bytes
    }

    #[test]
    fn test_files_of_the_library_pass() {
        check_arrow_file(&file()).unwrap();
    }

    #[test]
    fn test_lengths_that_lie_are_refused() {
        let inflated = i64::from(ROWS * 4).to_le_bytes();
        for length in [1_i64 << 40, i64::MAX, -2] {
            assert!(check_arrow_file(&with(&inflated, &length.to_le_bytes())).is_err(), "{length}");
        }
        let rows = i64::from(ROWS).to_le_bytes();
        assert!(check_arrow_file(&with(&rows, &i64::MAX.to_le_bytes())).is_err());
    }

    #[test]
    fn test_what_is_no_file_is_refused() {
        let whole = file();
        for end in 0..whole.len() {
            assert!(check_arrow_file(&whole[..end]).is_err(), "{end}");
        }
    }
}
