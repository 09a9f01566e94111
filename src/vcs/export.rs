//! The text that a dataset was made from, byte for byte.

use std::sync::Arc;

use super::needs::Needs;
use super::output::{bcf_header, bcf_records};
use super::read::{Loaded, QueryStats, Reader};
use super::verify::{check_digest, digest_of};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, SortOptions, Sorter};
use crate::records::variants::bcf::Encoder;

/// Bytes of lines that are handed on together, where they are put in order first.
const BATCH_BYTES: usize = 1 << 20;

/// Hands the lines on, in the order of the input, each with its line feed, after checking each row
/// group against the digest taken at conversion. What follows the last line is not among them: see
/// [`Details::ending`](super::manifest::Details::ending).
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where a line is not what it was.
pub fn lines(
    reader: &Reader,
    threads: usize,
    sorting: SortOptions,
    progress: &Arc<Progress>,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<QueryStats> {
    let needs = Needs::all(reader.schema());
    let done = |lines: u64| progress.add_items(lines);
    if reader.details().keeps_input_order {
        let mut sorter = Sorter::new(sorting);
        let stats = reader.scan(&needs, &|_| true, threads, None, numbered, |lines| {
            done(lines.len() as u64);
            lines.iter().try_for_each(|(ordinal, line)| sorter.push(*ordinal, line))
        })?;
        let mut sorted = sorter.finish()?;
        let mut text = Vec::new();
        while let Some((_, line)) = sorted.next()? {
            text.extend_from_slice(line);
            if text.len() >= BATCH_BYTES {
                sink(&text)?;
                text.clear();
            }
        }
        sink(&text)?;
        return Ok(stats);
    }
    reader.scan(&needs, &|_| true, threads, None, checked_text, |(text, rows)| {
        done(rows);
        sink(&text)
    })
}

/// Hands all text after the header on: the lines, and what follows the last one.
///
/// # Errors
///
/// As [`lines`].
pub fn text(
    reader: &Reader,
    threads: usize,
    sorting: SortOptions,
    progress: &Arc<Progress>,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<QueryStats> {
    // The last line feed is held back until it is known to be one of many.
    let mut held = false;
    let stats = lines(reader, threads, sorting, progress, |text| {
        let Some(body) = text.strip_suffix(b"\n") else { return Ok(()) };
        if held {
            sink(b"\n")?;
        }
        held = true;
        sink(body)
    })?;
    let ending = reader.details().ending.as_bytes();
    sink(if held { ending } else { ending.strip_prefix(b"\n").unwrap_or_default() })?;
    Ok(stats)
}

/// Hands all bytes of a BCF on: the header, and the records in the order of the input. They are
/// checked as [`lines`] are.
///
/// # Errors
///
/// As [`lines`]; [`Unsupported`](crate::error::ErrorKind::Unsupported) for a line that BCF has no
/// place for.
pub fn bcf(
    reader: &Reader,
    threads: usize,
    sorting: SortOptions,
    progress: &Arc<Progress>,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<QueryStats> {
    let header = bcf_header(reader, &reader.schema().header)?;
    sink(&header.to_bcf())?;
    if reader.details().keeps_input_order {
        let (mut encoder, mut records) = (Encoder::new(&header), Vec::new());
        return lines(reader, threads, sorting, progress, |text| {
            records.clear();
            bcf_records(&mut encoder, text, &mut records)?;
            sink(&records)
        });
    }
    let work = |loaded: &Loaded| {
        let (text, rows) = checked_text(loaded)?;
        let mut records = Vec::with_capacity(text.len());
        bcf_records(&mut Encoder::new(&header), &text, &mut records)?;
        Ok((records, rows))
    };
    let needs = Needs::all(reader.schema());
    reader.scan(&needs, &|_| true, threads, None, work, |(records, rows)| {
        progress.add_items(rows);
        sink(&records)
    })
}

fn checked_text(loaded: &Loaded) -> Result<(Vec<u8>, u64)> {
    let mut text = Vec::new();
    for row in 0..loaded.total_rows {
        loaded.push_line(row, &mut text)?;
        text.push(b'\n');
    }
    check_digest(loaded, blake3::hash(&text).into())?;
    Ok((text, loaded.total_rows as u64))
}

fn numbered(loaded: &Loaded) -> Result<Vec<(u64, Vec<u8>)>> {
    digest_of(loaded)?;
    loaded
        .rows
        .iter()
        .map(|&row| {
            let ordinal = loaded.ordinal(row).and_then(|ordinal| u64::try_from(ordinal).ok());
            let ordinal = ordinal.ok_or_else(|| Error::corrupt("a record without its number"))?;
            let mut line = Vec::new();
            loaded.push_line(row, &mut line)?;
            line.push(b'\n');
            Ok((ordinal, line))
        })
        .collect()
}
