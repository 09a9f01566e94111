//! Reading samples, several at a time: each from beginning to end, its records put aside by region.
//!
//! Whatever the number of samples, as many files are open as there are threads, and what does not
//! fit in memory goes to the temporary files of three sorters: records, coverage and candidates.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::depth::{Found, Scanner, Scope, Windows};
use super::reference::Reference;
use super::sites::Finder;
use crate::error::{Context, Error, Result};
use crate::genome::{Contigs, Region};
use crate::paf::read::{Query, Reader};
use crate::pipeline::{Progress, SortOptions, Sorter};
use crate::records::alignments::header::SortOrder;
use crate::records::alignments::{Header, Limit, Record, RecordBatch, Source};

/// Bytes of records that one thread gathers before it hands them on.
const GATHERED: usize = 1 << 20;
/// Bits of a key that number samples.
pub(super) const SAMPLE_BITS: u32 = 24;
/// Bytes in front of a record: what it is, from where it counts, its number.
const PREFIX: usize = 13;
/// The record starts in this region.
const OWNER: u8 = 1;
/// The record counts for coverage and sites.
const COUNTS: u8 = 2;
/// The record has a number.
const NUMBERED: u8 = 4;

/// An alignment file or dataset of one sample.
pub enum Opened {
    /// BAM, SAM or CRAM.
    File(Box<dyn Source>),
    /// A PAF dataset.
    Dataset(Box<Reader>),
}

impl Opened {
    /// Its header.
    pub fn header(&self) -> &Header {
        match self {
            Self::File(source) => source.header(),
            Self::Dataset(reader) => reader.header(),
        }
    }

    /// Hands all records on in the order of the original file.
    fn each(
        self,
        sort: SortOptions,
        mut sink: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::File(mut source) => {
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

/// Where regions and their sub-windows come in the order of the dataset.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) windows: Windows,
    /// The first region of each contig, and the number of all.
    first: Vec<u64>,
    subs: u64,
}

impl Grid {
    pub(super) fn new(windows: Windows, contigs: &Contigs) -> Self {
        let mut first = vec![0];
        let mut next = 0;
        for contig in contigs.iter() {
            next += contig.length.div_ceil(windows.region).max(1);
            first.push(next);
        }
        Self { windows, first, subs: windows.region.div_ceil(windows.sub) }
    }

    /// The number of all regions, which is that of reads without a place.
    fn total(&self) -> u64 {
        self.first.last().copied().unwrap_or(0)
    }

    /// Of a region number: contig and number on it; `None` for reads without a place.
    pub(super) fn place(&self, region: u64) -> Option<(u32, u32)> {
        if region >= self.total() {
            return None;
        }
        let contig = self.first.partition_point(|&first| first <= region) - 1;
        Some((contig as u32, (region - self.first[contig]) as u32))
    }

    /// The last region on a contig that there is for a position.
    fn region_on(&self, contig: usize, position: u64) -> u64 {
        let count = self.first[contig + 1] - self.first[contig];
        (position / self.windows.region).min(count - 1)
    }

    fn key(&self, region: u64, sub: u64, sample: u32) -> u64 {
        (region * self.subs + sub.min(self.subs - 1)) << SAMPLE_BITS | u64::from(sample)
    }

    /// The sub-window and the region that a key is about.
    pub(super) fn of_key(&self, key: u64) -> (u64, u64) {
        let window = key >> SAMPLE_BITS;
        (window, window / self.subs)
    }

    /// The key of a position.
    fn key_at(&self, contig: u32, position: u64, sample: u32) -> u64 {
        let contig = contig as usize;
        let region = self.region_on(contig, position);
        let within = position - region * self.windows.region;
        self.key(self.first[contig] + region, within / self.windows.sub, sample)
    }
}

/// What was put aside.
pub(super) struct Spills {
    pub(super) reads: Sorter,
    pub(super) coverage: Sorter,
    pub(super) sites: Sorter,
    /// Whether a contig of the dataset is named by any record.
    pub(super) seen: Vec<bool>,
}

/// What is known of a sample once it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) reads: u64,
    pub(super) reordered: bool,
    pub(super) digest: String,
}

/// One sample to read.
pub(super) struct Task {
    /// The file, for messages.
    pub(super) input: String,
    /// The number in the dataset of each of its contigs.
    pub(super) mapping: std::sync::Arc<Vec<i32>>,
}

/// What all samples are read for.
pub(super) struct Job<'a> {
    pub(super) open: &'a Open<'a>,
    pub(super) grid: &'a Grid,
    pub(super) scope: Scope<'a>,
    pub(super) reference: Option<&'a Reference>,
    pub(super) parts: Option<&'a [Region]>,
    pub(super) sort: SortOptions,
    pub(super) threads: usize,
    pub(super) progress: &'a Progress,
}

impl Job<'_> {
    /// Reads all samples.
    pub(super) fn run(&self, tasks: &[Task], spills: Spills) -> Result<(Spills, Vec<Outcome>)> {
        let spills = Mutex::new(spills);
        let outcomes = Mutex::new(vec![Outcome::default(); tasks.len()]);
        let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, tasks.len().max(1)) {
                scope.spawn(|| {
                    while !has_failed.load(Ordering::Relaxed) {
                        let sample = next.fetch_add(1, Ordering::Relaxed);
                        let Some(task) = tasks.get(sample) else { return };
                        match self.read(sample, task, &spills, &has_failed) {
                            Ok(outcome) => lock(&outcomes)[sample] = outcome,
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
        let spills = spills.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((spills, outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn read(
        &self,
        sample: usize,
        task: &Task,
        spills: &Mutex<Spills>,
        has_failed: &AtomicBool,
    ) -> Result<Outcome> {
        let opened = (self.open)(sample)?;
        let header = opened.header();
        let is_declared = header.sort_order() == SortOrder::Coordinate;
        let mut digest = blake3::Hasher::new();
        digest.update(&header.to_bam_bytes()?);
        let mut flow = Flow::new(self, sample as u32, &task.mapping, spills);
        let mut outcome = Outcome::default();
        let (mut sorter, mut last) = (Sorter::new(self.sort.clone()), None);
        let mut numbered = Vec::new();
        opened
            .each(self.sort.clone(), |batch| {
                if has_failed.load(Ordering::Relaxed) {
                    // Another sample's error is the one to report.
                    return Err(Error::internal("given up, since another sample failed"));
                }
                for record in batch.iter() {
                    let place = place_of(&record);
                    let is_behind = last.is_some_and(|last| place < last);
                    last = Some(place);
                    digest.update(&(record.bytes().len() as u32).to_le_bytes());
                    digest.update(record.bytes());
                    outcome.reads += 1;
                    if !is_declared {
                        outcome.reordered |= is_behind;
                        numbered.clear();
                        numbered.extend_from_slice(&(outcome.reads - 1).to_le_bytes());
                        numbered.extend_from_slice(record.bytes());
                        sorter.push(place, &numbered)?;
                    } else if is_behind {
                        return Err(out_of_order(&record, outcome.reads));
                    } else {
                        flow.push(&record, None)?;
                    }
                }
                self.progress.add_items(batch.len() as u64);
                Ok(())
            })
            .at(|| &task.input)?;
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
        flow.finish()?;
        outcome.digest = digest.finalize().to_hex().to_string();
        Ok(outcome)
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
    sample: u32,
    mapping: &'a [i32],
    spills: &'a Mutex<Spills>,
    scanner: Scanner<'a>,
    record: Vec<u8>,
    seen: Vec<bool>,
    gathered: Vec<u8>,
    entries: Vec<(u64, usize)>,
}

impl<'a> Flow<'a> {
    fn new(job: &'a Job<'a>, sample: u32, mapping: &'a [i32], spills: &'a Mutex<Spills>) -> Self {
        Self {
            job,
            sample,
            mapping,
            spills,
            scanner: Scanner::new(&job.scope, job.reference.map(Finder::new)),
            record: Vec::new(),
            seen: vec![false; job.scope.lengths.len()],
            gathered: Vec::new(),
            entries: Vec::new(),
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
        let clip = self.scanner.add(&mapped);
        self.place(&mapped, clip, ordinal);
        self.record = bytes;
        if self.gathered.len() >= GATHERED { self.hand_on() } else { Ok(()) }
    }

    /// Puts a record aside for each region it overlaps.
    fn place(&mut self, record: &Record<'_>, clip: Option<u32>, ordinal: Option<u64>) {
        let grid = self.job.grid;
        let Ok(contig) = usize::try_from(record.ref_id()) else {
            if self.job.parts.is_none() {
                self.gather(grid.key(grid.total(), 0, self.sample), OWNER, clip, ordinal, record);
            }
            return;
        };
        let start = u64::try_from(record.position()).unwrap_or(0);
        let end = record.interval().end().max(start + 1);
        if let Some(parts) = self.job.parts {
            let id = contig as u32;
            let first =
                parts.partition_point(|part| (part.contig.0, part.interval.end()) <= (id, start));
            let is_in = parts
                .get(first)
                .is_some_and(|part| part.contig.0 == id && part.interval.start() < end);
            if !is_in {
                return;
            }
        }
        let (first, last) = (grid.region_on(contig, start), grid.region_on(contig, end - 1));
        let key = grid.key_at(contig as u32, start, self.sample);
        self.gather(key, OWNER, clip, ordinal, record);
        for region in first + 1..=last {
            let key = grid.key(grid.first[contig] + region, 0, self.sample);
            self.gather(key, 0, clip, ordinal, record);
        }
    }

    fn gather(
        &mut self,
        key: u64,
        flags: u8,
        clip: Option<u32>,
        ordinal: Option<u64>,
        record: &Record<'_>,
    ) {
        let counts = if clip.is_some() { COUNTS } else { 0 };
        let numbered = if ordinal.is_some() { NUMBERED } else { 0 };
        self.gathered.push(flags | counts | numbered);
        self.gathered.extend_from_slice(&clip.unwrap_or(0).to_le_bytes());
        self.gathered.extend_from_slice(&ordinal.unwrap_or(0).to_le_bytes());
        self.gathered.extend_from_slice(record.bytes());
        self.entries.push((key, self.gathered.len()));
    }

    /// Hands what was gathered to the sorters.
    fn hand_on(&mut self) -> Result<()> {
        let found: Found = std::mem::take(&mut self.scanner.found);
        let mut spills = lock(self.spills);
        let mut start = 0;
        for (key, end) in self.entries.drain(..) {
            spills.reads.push(key, &self.gathered[start..end])?;
            start = end;
        }
        self.gathered.clear();
        for (contig, row) in found.rows {
            let key = self.job.grid.key_at(contig, row.start, self.sample);
            spills.coverage.push(key, &row.to_bytes())?;
        }
        for (contig, position, base) in found.sites {
            let (_, region) =
                self.job.grid.of_key(self.job.grid.key_at(contig, position.into(), 0));
            let [a, b, c, d] = position.to_le_bytes();
            // By position within a region: all bases of a position come together.
            spills.sites.push(region << 32 | u64::from(position), &[a, b, c, d, base])?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.scanner.finish_contig();
        self.hand_on()?;
        let mut spills = lock(self.spills);
        for (seen, here) in spills.seen.iter_mut().zip(&self.seen) {
            *seen |= here;
        }
        Ok(())
    }
}

/// What a sorter gives back of a record.
pub(super) struct Entry<'a> {
    pub(super) is_owner: bool,
    /// From where it counts for coverage and sites, if it does.
    pub(super) clip: Option<u32>,
    pub(super) ordinal: Option<u64>,
    pub(super) record: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (prefix, record) = bytes
            .split_first_chunk::<PREFIX>()
            .ok_or_else(|| Error::internal("the sorter changed a record"))?;
        let &[flags, c0, c1, c2, c3, ref ordinal @ ..] = prefix;
        let clip = u32::from_le_bytes([c0, c1, c2, c3]);
        let ordinal = u64::from_le_bytes(*ordinal);
        Ok(Self {
            is_owner: flags & OWNER != 0,
            clip: Some(clip).filter(|_| flags & COUNTS != 0),
            ordinal: Some(ordinal).filter(|_| flags & NUMBERED != 0),
            record,
        })
    }
}
