//! Reading samples, several at a time: each from beginning to end, its records put aside by region.
//!
//! Whatever the number of samples, as many files are open as there are threads. What a sample came
//! to is kept in files of its own until the dataset is complete.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::depth::{Found, Scanner, Scope};
use super::digest::Digest;
use super::grid::Grid;
use super::reference::Reference;
use super::sites::Finder;
use super::spill::{Entry, Spills};
use super::work::{Note, Work};
use crate::error::{Error, Result};
use crate::genome::Region;
use crate::paf::read::{Query, Reader};
use crate::pipeline::{Progress, SortOptions, Sorter};
use crate::records::alignments::header::SortOrder;
use crate::records::alignments::{Header, Limit, Record, RecordBatch, Source};

/// An alignment file or dataset of one sample.
pub enum Opened {
    /// BAM, SAM or CRAM; and what tells its state from any other, where that can be told: an
    /// interrupted conversion goes on only with files that have not changed.
    File(Box<dyn Source>, Option<String>),
    /// A PAF dataset.
    Dataset(Box<Reader>),
}

impl Opened {
    /// Its header.
    pub fn header(&self) -> &Header {
        match self {
            Self::File(source, _) => source.header(),
            Self::Dataset(reader) => reader.header(),
        }
    }

    /// What tells its state from any other.
    pub(super) fn state(&self) -> Option<String> {
        match self {
            Self::File(_, state) => state.clone(),
            Self::Dataset(reader) => Some(reader.dataset().manifest().digest.to_string()),
        }
    }

    /// Hands all records on in the order of the original file.
    fn each(
        self,
        sort: SortOptions,
        mut sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::File(mut source, _) => {
                let mut batch = RecordBatch::new();
                while source.read(&mut batch, Limit::default())? {
                    sink(&batch)?;
                }
                Ok(())
            }
            Self::Dataset(reader) if reader.details().keeps_input_order => {
                reader.original_order(sort, &mut sink).map(|_| ())
            }
            Self::Dataset(reader) => {
                reader.query(&Query { threads: sort.threads, ..Query::default() }, sink).map(|_| ())
            }
        }
    }
}

/// Opens the input of this number.
pub type Open<'a> = dyn Fn(usize) -> Result<Opened> + Sync + 'a;

/// What is known of a sample once it was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) reads: u64,
    pub(super) reordered: bool,
    pub(super) digest: String,
    /// The contigs of the dataset that its records name.
    pub(super) seen: Vec<u32>,
}

/// One sample to read.
pub(super) struct Task {
    /// The file, for messages.
    pub(super) input: String,
    /// The number in the dataset of each of its contigs.
    pub(super) mapping: Arc<Vec<i32>>,
    /// The name of what it comes to.
    pub(super) token: String,
    /// The state of the input, without which nothing it comes to can be used again.
    pub(super) state: Option<String>,
}

/// What all samples are read for.
pub(super) struct Job<'a> {
    pub(super) open: &'a Open<'a>,
    pub(super) grid: &'a Grid,
    pub(super) scope: Scope<'a>,
    pub(super) reference: Option<&'a Reference>,
    pub(super) parts: Option<&'a [Region]>,
    /// Bytes of memory.
    pub(super) memory: usize,
    pub(super) temp_dir: Option<PathBuf>,
    pub(super) threads: usize,
    pub(super) progress: &'a Progress,
    pub(super) work: &'a Work,
}

impl Job<'_> {
    /// Reads all samples that were not read before; tells of each what it came to.
    pub(super) fn run(&self, tasks: &[Task]) -> Result<Vec<Note>> {
        let notes: Vec<Option<Note>> = tasks
            .iter()
            .map(|task| self.work.find(&task.token).filter(|_| task.state.is_some()))
            .collect();
        let notes = Mutex::new(notes);
        let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, tasks.len().max(1)) {
                scope.spawn(|| {
                    while !has_failed.load(Ordering::Relaxed) {
                        let sample = next.fetch_add(1, Ordering::Relaxed);
                        let Some(task) = tasks.get(sample) else { return };
                        if lock(&notes)[sample].is_some() {
                            continue;
                        }
                        match self.read(sample, task, &has_failed) {
                            Ok(note) => lock(&notes)[sample] = Some(note),
                            // Samples that give up because of it are no failures of their own.
                            Err(error) => {
                                if !has_failed.swap(true, Ordering::Relaxed) {
                                    *lock(&failure) = Some(error);
                                }
                            }
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(notes.into_iter().flatten().collect())
    }

    fn sort_options(&self, memory: usize) -> SortOptions {
        SortOptions {
            memory: memory / self.threads.max(1),
            temp_dir: self.temp_dir.clone(),
            threads: 1,
        }
    }

    fn read(&self, sample: usize, task: &Task, has_failed: &AtomicBool) -> Result<Note> {
        let opened = (self.open)(sample)?;
        if opened.state() != task.state {
            return Err(Error::input("the file was changed while files were converted")
                .help("run the command again")
                .at(&task.input));
        }
        let header = opened.header();
        // Contigs that share a region lie in the order of the dataset there: where the sample
        // orders them otherwise, its records have numbers to be put back by.
        let is_in_order = task.mapping.is_sorted();
        let is_declared = header.sort_order() == SortOrder::Coordinate;
        let mut digest = Digest::new(header)?;
        let mut flow = Flow::new(self, &task.mapping);
        let mut outcome = Outcome { reordered: !is_in_order, ..Outcome::default() };
        let (mut sorter, mut last) = (Sorter::new(self.sort_options(self.memory / 4)), None);
        let mut numbered = Vec::new();
        opened.each(self.sort_options(self.memory / 4), |batch| {
            if has_failed.load(Ordering::Relaxed) {
                // Another sample's error is the one to report.
                return Err(Error::internal("given up, since another sample failed"));
            }
            for record in batch.iter() {
                let place = place_of(&record);
                let is_behind = last.is_some_and(|last| place < last);
                last = Some(place);
                digest.add(&record);
                outcome.reads += 1;
                if !is_declared {
                    outcome.reordered |= is_behind;
                    numbered.clear();
                    numbered.extend_from_slice(&(outcome.reads - 1).to_le_bytes());
                    numbered.extend_from_slice(record.bytes());
                    sorter.push(place, &numbered)?;
                } else if is_behind {
                    return Err(out_of_order(&record, outcome.reads).at(&task.input));
                } else {
                    let ordinal = outcome.reads - 1;
                    flow.push(&record, Some(ordinal).filter(|_| outcome.reordered))?;
                }
            }
            self.progress.add_items(batch.len() as u64);
            Ok(())
        })?;
        if !is_declared {
            let mut sorted = sorter.finish()?;
            while let Some((_, bytes)) = sorted.next()? {
                let Some((ordinal, bytes)) = bytes.split_first_chunk::<8>() else {
                    return Err(Error::internal("the sorter changed a record"));
                };
                let record = Record::trusted(bytes)
                    .ok_or_else(|| Error::internal("the sorter changed a record"))?;
                let ordinal = u64::from_le_bytes(*ordinal);
                flow.push(&record, Some(ordinal).filter(|_| outcome.reordered))?;
            }
        }
        let spills;
        (spills, outcome.seen) = flow.finish()?;
        outcome.digest = digest.finish();
        let files = spills.keep(|kind| self.work.file(&task.token, kind))?;
        let note = Note { outcome, files };
        if task.state.is_some() {
            self.work.note(&task.token, &note)?;
        }
        Ok(note)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Contig and position as one number; what has no contig comes last.
fn place_of(record: &Record<'_>) -> u64 {
    let contig = u32::try_from(record.ref_id()).unwrap_or(u32::MAX);
    u64::from(contig) << 32 | u64::from((record.position() as u32) ^ 0x8000_0000)
}

fn out_of_order(record: &Record<'_>, number: u64) -> Error {
    Error::input(format!(
        "record {number} ({:?}) lies before the one in front of it, though the header says SO:coordinate",
        String::from_utf8_lossy(record.name())
    ))
    .help("sort the file, or correct the header")
}

/// The way of one sample's records, in order of place.
struct Flow<'a> {
    job: &'a Job<'a>,
    mapping: &'a [i32],
    scanner: Scanner<'a>,
    record: Vec<u8>,
    seen: Vec<bool>,
    spills: Spills,
}

impl<'a> Flow<'a> {
    fn new(job: &'a Job<'a>, mapping: &'a [i32]) -> Self {
        let mut options = job.sort_options(job.memory / 4 * 3);
        options.temp_dir = Some(job.work.folder().to_owned());
        Self {
            job,
            mapping,
            scanner: Scanner::new(&job.scope, job.reference.map(Finder::new)),
            record: Vec::new(),
            seen: vec![false; job.scope.lengths.len()],
            spills: Spills::to_keep(&options),
        }
    }

    fn push(&mut self, record: &Record<'_>, ordinal: Option<u64>) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.record);
        bytes.clear();
        bytes.extend_from_slice(record.bytes());
        for (at, id) in [(0, record.ref_id()), (20, record.mate_ref_id())] {
            let Some(&mapped) = usize::try_from(id).ok().and_then(|id| self.mapping.get(id)) else {
                continue;
            };
            bytes[at..at + 4].copy_from_slice(&mapped.to_le_bytes());
            self.seen[mapped as usize] = true;
        }
        let mapped = Record::trusted(&bytes)
            .ok_or_else(|| Error::internal("a record changed with its contig"))?;
        let clip = self.scanner.add(&mapped)?;
        self.place(&mapped, clip, ordinal)?;
        self.record = bytes;
        self.hand_on()
    }

    /// Puts a record aside for each region it overlaps; keys are those of sample 0.
    fn place(
        &mut self,
        record: &Record<'_>,
        clip: Option<u32>,
        ordinal: Option<u64>,
    ) -> Result<()> {
        let grid = self.job.grid;
        let mut entry = Entry { is_owner: true, clip, ordinal, record: record.bytes() };
        let Ok(contig) = u32::try_from(record.ref_id()) else {
            return match self.job.parts {
                Some(_) => Ok(()),
                None => self.spills.push_read(grid.first_key(grid.unplaced(), 0), &entry),
            };
        };
        let start = u64::try_from(record.position()).unwrap_or(0);
        let end = record.interval().end().max(start + 1);
        if let Some(parts) = self.job.parts {
            let first = parts
                .partition_point(|part| (part.contig.0, part.interval.end()) <= (contig, start));
            let is_in = parts
                .get(first)
                .is_some_and(|part| part.contig.0 == contig && part.interval.start() < end);
            if !is_in {
                return Ok(());
            }
        }
        self.spills.push_read(grid.key_at(contig, start, 0), &entry)?;
        entry.is_owner = false;
        for region in grid.regions(contig, start, end).skip(1) {
            self.spills.push_read(grid.first_key(region, 0), &entry)?;
        }
        Ok(())
    }

    /// Puts aside what the scanner has found.
    fn hand_on(&mut self) -> Result<()> {
        if self.scanner.found.is_empty() {
            return Ok(());
        }
        let Found { rows, sites } = std::mem::take(&mut self.scanner.found);
        for (contig, row) in rows {
            self.spills.push_window(self.job.grid, 0, contig, &row)?;
        }
        sites.into_iter().try_for_each(|site| self.spills.push_candidate(self.job.grid, site))
    }

    /// What the sample came to, and the contigs that it names.
    fn finish(mut self) -> Result<(Spills, Vec<u32>)> {
        self.scanner.finish_contig();
        self.hand_on()?;
        let seen = (0..).zip(&self.seen).filter(|(_, seen)| **seen).map(|(id, _)| id).collect();
        Ok((self.spills, seen))
    }
}
