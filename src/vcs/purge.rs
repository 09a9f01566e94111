//! Samples that must go from every version: the lines are written anew without their cells, as a
//! conversion of the other samples would have it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::export;
use super::manifest::{Details, FORMAT, SCHEMA_COPY};
use super::order::{LineSource, place_of};
use super::places::Places;
use super::read::Reader;
use super::select::Subset;
use super::write::{Lines, Summary, WriteOptions, attempt, copy_schema};
use crate::columnar::PageCompression;
use crate::dataset::{
    self, At, Change, Dataset, Draft, InputInfo, Purged, Transaction, TransactionId,
};
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, SortOptions};
use crate::store::Store;

/// Most names in a message.
const MOST_NAMES: usize = 20;
/// Pieces of text that wait for the writer.
const AHEAD: usize = 4;

/// How samples are purged.
#[derive(Clone, Debug)]
pub struct PurgeOptions {
    /// Threads that decode and encode.
    pub threads: usize,
    /// Memory, temporary folder and threads of sorting.
    pub sorting: SortOptions,
    /// Do everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// How much.
    pub summary: Summary,
    /// Lines of the header, counted from 1, that hold the name of a sample that was taken out; they
    /// stay as they are.
    pub header_lines: Vec<u64>,
}

/// Takes `samples` out of all versions of the dataset at `store`. The newest version then gives what
/// a conversion of the other samples would.
///
/// # Errors
///
/// [`NotFound`](crate::error::ErrorKind::NotFound) where a sample is not there (unless all are gone
/// and an interrupted purge was finished), [`Usage`](crate::error::ErrorKind::Usage) where no other
/// sample would stay; as [`dataset::purge`].
pub fn purge(
    store: &Store,
    samples: &[String],
    options: &PurgeOptions,
    progress: &Arc<Progress>,
) -> Result<(Purged, Option<Written>)> {
    let (mut written, mut absent) = (None, None);
    let of_dataset = dataset::PurgeOptions {
        created: options.created.clone(),
        id: options.transaction,
        copies: vec![SCHEMA_COPY.to_owned()],
        dry_run: options.dry_run,
    };
    let purged = dataset::purge(store, &of_dataset, |base, transaction| {
        let details = Details::read(base.manifest()).at(|| store.name(""))?;
        let at = At::Version(base.manifest().dataset_version);
        let reader = Reader::open(store, at, &Places::default())?;
        let all = &reader.schema().samples;
        if let Some(name) = samples.iter().find(|name| !all.contains(name)) {
            let error = not_there(name, all).at(store.name(""));
            if samples.iter().any(|name| all.contains(name)) {
                return Err(error);
            }
            absent = Some(error);
            return Ok(None);
        }
        let rest: Vec<String> =
            all.iter().filter(|name| !samples.contains(name)).cloned().collect();
        if rest.is_empty() {
            return Err(Error::usage("no sample of the dataset would be left")
                .help(format!("remove the dataset itself, with all that is in {}", store.name("")))
                .at(store.name("")));
        }
        let (mut draft, summary, schema) =
            rewrite(&reader, &details, rest, transaction, options, progress)?;
        draft.inputs = inputs_without(base, samples);
        let header_lines = mentions(&reader.schema().header, samples);
        written = Some((Written { summary, header_lines }, schema));
        Ok(Some(draft))
    })?;
    if let Some((_, schema)) = written.as_ref().filter(|_| purged.version.is_some()) {
        copy_schema(store, schema);
    }
    match absent {
        Some(error) if purged.version.is_none() && purged.finished.is_none() => Err(error),
        _ => Ok((purged, written.map(|(written, _)| written))),
    }
}

fn not_there(name: &str, all: &[String]) -> Error {
    let mut known: Vec<&str> = all.iter().take(MOST_NAMES).map(String::as_str).collect();
    let rest = (all.len() > known.len()).then(|| format!("{} more", all.len() - known.len()));
    known.extend(rest.as_deref());
    Error::not_found(format!("the dataset has no sample {name:?}"))
        .expected(format!("one of its samples: {}", known.join(", ")))
}

/// The inputs, as far as they can tell of no sample: names that hold that of one go, and so do sizes
/// and checksums of files that had it.
fn inputs_without(base: &Dataset, samples: &[String]) -> Vec<InputInfo> {
    let inputs = base.manifest().inputs.iter();
    let is_neutral = |input: &&InputInfo| !samples.iter().any(|name| input.name.contains(name));
    let neutral = inputs.filter(is_neutral);
    neutral.map(|input| InputInfo { size_bytes: None, checksum: None, ..input.clone() }).collect()
}

/// The numbers of header lines, but for that of the columns, that hold a name.
fn mentions(header: &[u8], samples: &[String]) -> Vec<u64> {
    let text = String::from_utf8_lossy(header);
    let is_word = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let holds = |line: &str, name: &str| {
        line.match_indices(name).any(|(at, _)| {
            !is_word(line[..at].chars().next_back())
                && !is_word(line[at + name.len()..].chars().next())
        })
    };
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.starts_with("##") && samples.iter().any(|name| holds(line, name)))
        .map(|(number, _)| number)
        .collect()
}

/// Reads the lines and writes those of `rest`.
fn rewrite(
    reader: &Reader,
    details: &Details,
    rest: Vec<String>,
    transaction: &Transaction,
    options: &PurgeOptions,
    progress: &Arc<Progress>,
) -> Result<(Draft, Summary, Vec<u8>)> {
    let (sender, receiver) = sync_channel::<Result<Vec<u8>>>(AHEAD);
    let silent = Arc::new(Progress::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            let send = |text: &[u8]| {
                let stopped = |_| Error::internal("the writer has stopped");
                sender.send(Ok(text.to_vec())).map_err(stopped)
            };
            let outcome =
                export::lines(reader, options.threads, options.sorting.clone(), &silent, send);
            if let Err(error) = outcome {
                // Nobody listens if the writer has failed first.
                let _ = sender.send(Err(error));
            }
            drop(sender);
        });
        let mut lines = Lines::of_header(reader.schema().header.clone());
        lines.source = Box::new(Exported {
            receiver,
            text: Vec::new(),
            at: 0,
            ending: details.ending.clone().into_bytes(),
        });
        let lines = Subset { samples: Some(rest), ..Subset::default() }.of(lines)?;
        let write_options = WriteOptions {
            row_group_rows: usize::try_from(details.row_group_rows).unwrap_or(usize::MAX),
            compression: PageCompression::of_name(&details.compression)?,
            threads: options.threads,
            sorting: options.sorting.clone(),
            change: Change::Overwrite,
            dry_run: options.dry_run,
            ..WriteOptions::new(
                options.created.clone(),
                [options.transaction; 2],
                InputInfo {
                    name: FORMAT.to_owned(),
                    size_bytes: None,
                    checksum: None,
                    program: None,
                },
            )
        };
        let sort = details.keeps_input_order;
        let store = transaction.store();
        attempt(lines, store, transaction, &write_options, sort, progress)?
            .ok_or_else(|| Error::corrupt("the lines are not in the order that the manifest says"))
    })
}

/// Lines that another thread reads from a dataset.
struct Exported {
    receiver: Receiver<Result<Vec<u8>>>,
    text: Vec<u8>,
    at: usize,
    ending: Vec<u8>,
}

impl LineSource for Exported {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        while self.at >= self.text.len() {
            match self.receiver.recv() {
                Ok(text) => (self.text, self.at) = (text?, 0),
                Err(_) => return Ok(None),
            }
        }
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += end + 1;
        Ok(Some(&rest[..end]))
    }

    fn ending(&self) -> &[u8] {
        &self.ending
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        place_of(line)
    }
}
