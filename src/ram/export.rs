//! A sample's alignments as its file had them.

use super::digest::Digest;
use super::read::{Reader, Task};
use super::rows::{Rows, Scratch};
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, SortOptions, Sorter};
use crate::records::alignments::{Header, RecordBatch};

/// Records that are handed on together.
const BATCH: usize = 8192;

/// Hands on all records of the one sample that `reader` was opened for, each once and in the order
/// of its file, and compares them with the digest taken at conversion; `header` is the sample's.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) where the reader was not opened for one sample and
/// all regions; [`Corrupt`](crate::error::ErrorKind::Corrupt) where other records come out than went
/// in; what the store and `sink` return.
pub fn export(
    reader: &Reader,
    header: &Header,
    sort: SortOptions,
    progress: &Progress,
    mut sink: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<u64> {
    let Some((part, number)) = reader.only_sample() else {
        return Err(Error::usage("one sample is written at a time")
            .found(format!("{} samples", reader.samples().len()))
            .help("name it with -s"));
    };
    let sample = &reader.parts[part].list.samples[number];
    let own = own_ids(reader, header);
    let mut digest = Digest::new(header)?;
    let mut sorter = Sorter::new(sort.clone());
    let mut count = 0_u64;
    let mut emit = |batch: &RecordBatch| {
        for record in batch.iter() {
            digest.add(&record);
        }
        count += batch.len() as u64;
        progress.add_items(batch.len() as u64);
        sink(batch)
    };
    let work = |task: &Task, columns| {
        let rows = Rows::new(columns)?;
        let names = reader.names(task);
        let (mut batch, mut ordinals) = (RecordBatch::new(), Vec::new());
        let mut scratch = Scratch::default();
        for row in 0..rows.len() {
            let place = rows.place(row);
            if place.is_owner && place.sample as usize == number {
                batch.push_with(|out| {
                    let start = out.len();
                    rows.push_record(row, &names, &mut scratch, out)?;
                    restore_ids(out, start, &own)
                })?;
                ordinals.push(place.ordinal.unwrap_or(0));
            }
        }
        Ok((batch.len() as u64, (batch, ordinals)))
    };
    reader.scan(&reader.tasks, sort.threads, None, work, |_, (batch, ordinals)| {
        if !sample.reordered {
            return emit(&batch);
        }
        for (at, &ordinal) in ordinals.iter().enumerate() {
            sorter.push(ordinal, batch.bytes(at))?;
        }
        Ok(())
    })?;
    let mut sorted = sorter.finish()?;
    let mut batch = RecordBatch::new();
    while let Some((_, bytes)) = sorted.next()? {
        batch.push_trusted(bytes);
        if batch.len() >= BATCH {
            emit(&batch)?;
            batch.clear();
        }
    }
    if !batch.is_empty() {
        emit(&batch)?;
    }
    // A part of a genome cannot have the digest of the whole.
    let is_whole = reader.details().parts.is_none();
    if is_whole && (count != sample.reads || digest.finish() != sample.digest) {
        return Err(Error::corrupt("other records come back than were converted")
            .expected(format!("the {} records of {}", sample.reads, sample.input))
            .found(format!("{count} records"))
            .help("restore the dataset from a copy, or convert the originals again"))
        .at(|| format!("sample {:?}", sample.name));
    }
    Ok(count)
}

/// The number in the sample's own file of each contig of the dataset, or -1.
fn own_ids(reader: &Reader, header: &Header) -> Vec<i32> {
    let contigs = reader.contigs().iter();
    contigs.map(|contig| header.contigs().id(&contig.name).map_or(-1, |id| id.0 as i32)).collect()
}

/// Replaces the dataset's numbers of contigs in the record at `start` by those of the file.
fn restore_ids(out: &mut [u8], start: usize, own: &[i32]) -> Result<()> {
    for at in [start, start + 20] {
        let Some(bytes) = out.get_mut(at..at + 4) else {
            return Err(Error::corrupt("a row does not hold a record"));
        };
        let id = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if let Some(own) = usize::try_from(id).ok().and_then(|id| own.get(id)) {
            bytes.copy_from_slice(&own.to_le_bytes());
        }
    }
    Ok(())
}
