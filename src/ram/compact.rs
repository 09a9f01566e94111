//! Joining the layers of a dataset: what was added bit by bit becomes as if it had been converted
//! together, in one file of each kind for a region.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch as Columns;

use super::calls::{self, Call};
use super::coverage;
use super::grid::Grid;
use super::layer::{Headers, Sample, Samples};
use super::manifest::Details;
use super::publish::{Content, Publisher};
use super::read::{Content as Kind, Reader, Request, Task};
use super::rows::{Rows, Scratch};
use super::spill::{Entry, Spills};
use super::write::Summary;
use crate::dataset::{At, Dataset, Draft, Operation, Transaction, TransactionId};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, SortOptions};
use crate::records::alignments::RecordBatch;
use crate::store::Store;

/// How layers are joined.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// Threads that decode and encode.
    pub threads: usize,
    /// Bytes of memory for what is put aside.
    pub memory: usize,
    /// Folder for what does not fit there.
    pub temp_dir: Option<PathBuf>,
    /// Do everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
}

/// What was joined.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// How many layers there were.
    pub layers_before: u64,
    /// How many objects they had.
    pub objects_before: u64,
    /// How many bytes their chunks had.
    pub chunk_bytes_before: u64,
    /// What there is now; `None` where there was one layer only, and nothing to do.
    pub written: Option<Summary>,
}

/// Commits a version of the dataset at `store` that has the same samples in one layer. Sites at
/// which samples were not looked at stay apart from those where they are like the reference.
///
/// # Errors
///
/// [`NotFound`](crate::error::ErrorKind::NotFound) where there is no dataset,
/// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is no cohort,
/// [`Conflict`](crate::error::ErrorKind::Conflict) where another change was committed meanwhile.
/// Then nothing has changed.
pub fn compact(
    store: &Store,
    options: &CompactOptions,
    progress: &Arc<Progress>,
) -> Result<Compacted> {
    let base = Dataset::open(store, At::Newest)?;
    let details = Details::read(base.manifest()).map_err(|error| error.at(store.name("")))?;
    let mut compacted = Compacted {
        layers_before: details.layers.len() as u64,
        objects_before: base.files()?.len() as u64,
        chunk_bytes_before: details.chunk_bytes,
        written: None,
    };
    if details.layers.len() < 2 {
        return Ok(compacted);
    }
    let transaction = Transaction::begin(store, Some(&base), options.transaction)?;
    let (draft, mut summary) = match rewrite(store, &base, details, &transaction, options, progress)
    {
        Ok(written) => written,
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    if !options.dry_run {
        summary.dataset_version = transaction.commit(draft)?.manifest().dataset_version;
    }
    compacted.written = Some(summary);
    Ok(compacted)
}

fn rewrite(
    store: &Store,
    base: &Dataset,
    mut details: Details,
    transaction: &Transaction,
    options: &CompactOptions,
    progress: &Arc<Progress>,
) -> Result<(Draft, Summary)> {
    let contigs = details.dictionary()?;
    let grid = Grid::new(details.windows(), &contigs)?;
    let at = At::Version(base.manifest().dataset_version);
    let source = Source { store, at, grid: &grid, options, progress };
    let (list, headers) = source.samples()?;
    let mut spills = Spills::new(&SortOptions {
        memory: options.memory,
        temp_dir: options.temp_dir.clone(),
        threads: options.threads,
    });
    source.reads(&mut spills)?;
    source.coverage(&mut spills)?;
    source.calls(&mut spills)?;
    details.layers.clear();
    (details.sample_count, details.read_count, details.chunk_bytes) = (0, 0, 0);
    let publisher = Publisher {
        store,
        transaction,
        created: &options.created,
        threads: options.threads,
        dry_run: options.dry_run,
        progress,
    };
    publisher.publish(Content {
        details,
        contigs: &contigs,
        grid: &grid,
        spills,
        list,
        headers,
        operation: Operation::Replace,
        inputs: base.manifest().inputs.clone(),
    })
}

/// The version whose layers are joined.
struct Source<'a> {
    store: &'a Store,
    at: At,
    grid: &'a Grid,
    options: &'a CompactOptions,
    progress: &'a Arc<Progress>,
}

impl Source<'_> {
    fn open(&self, content: Kind) -> Result<Reader> {
        Reader::open(self.store, self.at.clone(), content, &Request::default())
    }

    /// The samples of all layers, with their headers in one object.
    fn samples(&self) -> Result<(Samples, Vec<u8>)> {
        let reader = self.open(Kind::Alignments)?;
        let (mut list, mut headers) = (Samples::default(), Headers::default());
        for part in &reader.parts {
            list.contigs.extend(&part.list.contigs);
            for (number, sample) in part.list.samples.iter().enumerate() {
                let bytes = reader.header_of(part, number)?.to_bam_bytes()?;
                let header = headers.push(&bytes)?;
                list.samples.push(Sample { header, ..sample.clone() });
            }
        }
        list.contigs.sort_unstable();
        list.contigs.dedup();
        Ok((list, headers.bytes))
    }

    /// Decodes all batches of a kind; samples are numbered across layers.
    fn scan<T: Send>(
        &self,
        content: Kind,
        work: impl Fn(&Reader, &Task, Columns) -> Result<T> + Sync,
        mut sink: impl FnMut(&Numbers, &Task, T) -> Result<()>,
    ) -> Result<()> {
        let reader = self.open(content)?;
        let mut next = 0;
        let first = reader.parts.iter().map(|part| {
            let first = next;
            next += part.list.samples.len() as u32;
            first
        });
        let first: Vec<u32> = first.collect();
        let numbers = Numbers { reader: &reader, first };
        let work = |task: &Task, columns| Ok((0, work(&reader, task, columns)?));
        let sink = |task: &Task, found| sink(&numbers, task, found);
        reader.scan(&reader.tasks, self.options.threads, None, work, sink).map(|_| ())
    }

    fn reads(&self, spills: &mut Spills) -> Result<()> {
        let work = |reader: &Reader, task: &Task, columns: Columns| {
            let rows = Rows::new(columns)?;
            let names = reader.names(task);
            let (mut records, mut scratch) = (RecordBatch::new(), Scratch::default());
            for row in 0..rows.len() {
                records.push_with(|out| rows.push_record(row, &names, &mut scratch, out))?;
            }
            Ok((rows, records))
        };
        self.scan(Kind::Alignments, work, |numbers, task, (rows, records)| {
            for (row, record) in records.iter().enumerate() {
                let place = rows.place(row);
                let sample = numbers.sample(task, place.sample);
                let contig = u32::try_from(record.ref_id());
                let start = u64::try_from(record.position()).unwrap_or(0);
                let key = match contig {
                    Err(_) => self.grid.first_key(self.grid.unplaced(), sample),
                    Ok(contig) if place.is_owner => self.grid.key_at(contig, start, sample),
                    // It starts in an earlier region of this contig.
                    Ok(contig) => {
                        let first = *self.grid.regions(contig, 0, 1).start();
                        self.grid.first_key(first + u64::from(task.place.ordinal), sample)
                    }
                };
                let (is_owner, ordinal) = (place.is_owner, place.ordinal);
                let entry = Entry { is_owner, clip: None, ordinal, record: record.bytes() };
                spills.push_read(key, &entry)?;
            }
            self.progress.add_items(records.len() as u64);
            Ok(())
        })
    }

    fn coverage(&self, spills: &mut Spills) -> Result<()> {
        let work = |_: &Reader, _: &Task, columns| coverage::windows(&columns);
        self.scan(Kind::Coverage, work, |numbers, task, windows| {
            windows.into_iter().try_for_each(|window| {
                let sample = numbers.sample(task, window.sample);
                let contig = numbers.contig(task, window.contig)?;
                spills.push_window(self.grid, sample, contig, &window.row)
            })
        })
    }

    fn calls(&self, spills: &mut Spills) -> Result<()> {
        let work = |_: &Reader, _: &Task, columns| calls::calls(&columns);
        self.scan(Kind::Sites, work, |numbers, task, calls| {
            calls.into_iter().try_for_each(|call| {
                let sample = numbers.sample(task, call.sample);
                let contig = numbers.contig(task, call.contig)?;
                spills.push_call(self.grid, &Call { sample, contig, ..call })
            })
        })
    }
}

/// How samples and contigs of layers are numbered in all of the dataset.
struct Numbers<'a> {
    reader: &'a Reader,
    /// The first sample of each layer.
    first: Vec<u32>,
}

impl Numbers<'_> {
    fn sample(&self, task: &Task, sample: u32) -> u32 {
        self.first[task.part] + sample
    }

    fn contig(&self, task: &Task, key: u32) -> Result<u32> {
        self.reader
            .contig_of(task, key)
            .ok_or_else(|| Error::corrupt("a row refers to a contig that its layer lacks"))
    }
}
