//! A stable sort of byte records that may not fit in memory.
//!
//! Records are collected in blocks. When the blocks fill the memory granted, they are sorted on
//! several threads, merged, and written as one *run* to an unnamed temporary file, which the
//! system removes however the process ends. [`Sorter::finish`] merges the runs and the blocks that
//! are left. Input that fits in memory touches no file.
//!
//! Records of one key keep the order in which they came: sources are merged in the order of their
//! arrival. Input that comes sorted, or in long sorted stretches, is not sorted again: a block that
//! begins where the one before ended just continues it, and what is spilled continues the last run.
//!
//! When there are more runs than can be read side by side within the memory, the smallest
//! neighbours are merged into one first, so that each record is rewritten a number of times that
//! grows with the logarithm of the input.

mod merge;
mod run;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use merge::{Merge, Source};
pub use run::Kept;
use run::{Run, RunReader};

/// What a sort may use.
#[derive(Clone, Debug)]
pub struct SortOptions {
    /// Bytes of memory for records, their index and the buffers of runs; less than 256 KiB counts
    /// as that. A single record may exceed it, and each thread needs some 1 MiB to compress.
    pub memory: usize,
    /// Where to put temporary files; the system's folder for them if none is given.
    pub temp_dir: Option<PathBuf>,
    /// Threads that sort and compress.
    pub threads: usize,
}

impl Default for SortOptions {
    fn default() -> Self {
        Self { memory: 1 << 30, temp_dir: None, threads: 2 }
    }
}

/// Takes records in any order.
///
/// ```
/// use genomic_objects::pipeline::{SortOptions, Sorter};
///
/// let mut sorter = Sorter::new(SortOptions::default());
/// for (key, record) in [(7, "seven"), (2, "two"), (7, "another seven")] {
///     sorter.push(key, record.as_bytes())?;
/// }
/// let mut sorted = sorter.finish()?;
/// let mut records = Vec::new();
/// while let Some((_, record)) = sorted.next()? {
///     records.push(String::from_utf8_lossy(record).into_owned());
/// }
/// assert_eq!(records, ["two", "seven", "another seven"]);
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Sorter {
    limits: Limits,
    temp_dir: PathBuf,
    threads: usize,
    blocks: Vec<Block>,
    /// Memory of all blocks but the last, whose size still changes.
    sealed_bytes: usize,
    /// In the order of arrival.
    runs: Vec<Run>,
    len: u64,
    spilled_bytes: u64,
    /// Whether all of it will be kept in a file.
    to_keep: bool,
}

/// How the memory is shared out.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For records and their index until they are spilled.
    blocks: usize,
    /// For the records of one block.
    block: usize,
    /// For the uncompressed records of one frame of a run.
    frame: usize,
    /// How many runs of our own are read at once.
    fan_in: usize,
    /// For reading runs while nothing is collected.
    reading: usize,
}

/// Most bytes of a frame of a run that is kept: many of these are read side by side.
const KEPT_FRAME: usize = 64 << 10;
/// How many runs are read at once at least, however little memory there is.
const LEAST_FAN_IN: usize = 4;

impl Limits {
    fn new(memory: usize) -> Self {
        let memory = memory.max(256 << 10);
        let frame = (memory / 256).clamp(1 << 10, 256 << 10);
        // A quarter is for runs: most of it to read them, a frame and its compressed form of each,
        // and the rest for the frames being written meanwhile.
        let reading = memory / 4;
        Self {
            blocks: memory - reading,
            block: (memory / 32).clamp(8 << 10, 8 << 20),
            frame,
            fan_in: (reading / 4 * 3 / (2 * frame)).clamp(LEAST_FAN_IN, 64),
            reading: memory / 4 * 3,
        }
    }
}

impl Sorter {
    /// An empty sorter.
    pub fn new(options: SortOptions) -> Self {
        Self {
            limits: Limits::new(options.memory),
            temp_dir: options.temp_dir.unwrap_or_else(std::env::temp_dir),
            threads: options.threads.max(1),
            blocks: Vec::new(),
            sealed_bytes: 0,
            runs: Vec::new(),
            len: 0,
            spilled_bytes: 0,
            to_keep: false,
        }
    }

    /// An empty sorter whose records will be [kept](Self::keep) in a file of its temporary folder.
    pub fn to_keep(options: SortOptions) -> Self {
        let mut sorter = Self { to_keep: true, ..Self::new(options) };
        sorter.limits.frame = sorter.limits.frame.min(KEPT_FRAME);
        sorter
    }

    /// Ends the input; the records stay in order in a file at `path`, for another sorter to
    /// [adopt](Self::adopt), in another process as well.
    ///
    /// # Errors
    ///
    /// As [`Sorter::push`]; [`Internal`](crate::error::ErrorKind::Internal) for a sorter that was
    /// not made [to keep](Self::to_keep) and in the folder of `path`.
    pub fn keep(mut self, path: &Path) -> Result<Kept> {
        self.spill()?;
        while self.runs.len() > 1 {
            self.merge_smallest_runs(self.runs.len().min(self.limits.fan_in))?;
        }
        let run = self.runs.pop().ok_or_else(|| Error::internal("a sorter lost its run"))?;
        run.keep(path)
    }

    /// Adds the records of another sorter that were kept at `path`, with `add` added to their keys.
    /// The file stays, and is open only while some of it is read: as many as the memory takes are
    /// merged at once.
    pub fn adopt(&mut self, path: PathBuf, kept: Kept, add: u64) {
        self.runs.push(Run::kept(path, kept, add));
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`Store`](crate::error::ErrorKind::Store) when the temporary folder cannot take a run (records
    /// are lost then: give the sorter up), and
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for a record of 4 GiB or more.
    pub fn push(&mut self, key: u64, record: &[u8]) -> Result<()> {
        let len = u32::try_from(record.len())
            .map_err(|_| Error::unsupported("a record of 4 GiB or more cannot be sorted"))?;
        if !self.blocks.last().is_some_and(|block| block.has_room(record.len())) {
            self.sealed_bytes += self.blocks.last().map_or(0, Block::memory);
            let size = self.limits.block.max(record.len());
            // An index as large as the records (of 16 bytes each) is as bad as it may become soon.
            if !self.blocks.is_empty() && self.sealed_bytes + 2 * size > self.limits.blocks {
                self.spill()?;
            }
            self.blocks.push(Block::new(size));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(key, record, len);
        }
        self.len += 1;
        let used = self.sealed_bytes + self.blocks.last().map_or(0, Block::memory);
        if used > self.limits.blocks && self.blocks.len() > 1 {
            self.spill()?;
        }
        Ok(())
    }

    /// How many records were pushed.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no record was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends the input; the records come back in order.
    ///
    /// # Errors
    ///
    /// As [`Sorter::push`].
    pub fn finish(mut self) -> Result<Sorted> {
        while let excess @ 1.. = self.runs.len().saturating_sub(self.fan_in()) {
            self.merge_smallest_runs(self.fan_in().min(excess + 1))?;
        }
        sort_blocks(&mut self.blocks, self.threads);
        let sources = sources(std::mem::take(&mut self.runs), std::mem::take(&mut self.blocks));
        Ok(Sorted { merge: Merge::new(sources)?, len: self.len, spilled_bytes: self.spilled_bytes })
    }

    /// How many of the runs can be merged at once.
    fn fan_in(&self) -> usize {
        let open = self.runs.iter().filter(|run| run.is_open()).count();
        if !self.blocks.is_empty() || open > self.limits.fan_in {
            return self.limits.fan_in;
        }
        let memory = self.runs.iter().map(Run::memory);
        if memory.clone().sum::<usize>() <= self.limits.reading {
            return self.runs.len();
        }
        (self.limits.reading / memory.max().unwrap_or(1).max(1)).max(LEAST_FAN_IN)
    }

    /// Writes all that is in memory as one run.
    fn spill(&mut self) -> Result<()> {
        sort_blocks(&mut self.blocks, self.threads);
        let first_key = self.blocks.iter().filter_map(Block::keys).map(|(first, _)| first).min();
        let merge = Merge::new(sources(Vec::new(), std::mem::take(&mut self.blocks)))?;
        self.sealed_bytes = 0;
        match self.runs.pop_if(|last| first_key.is_none_or(|first| last.last_key() <= first)) {
            Some(last) => self.write_run(last, merge),
            None => self.write_run(Run::new(&self.temp_dir, self.to_keep)?, merge),
        }?;
        // Not sooner: merging rewrites, while open files are cheap.
        if self.runs.len() >= 2 * self.limits.fan_in {
            self.merge_smallest_runs(self.limits.fan_in)?;
        }
        Ok(())
    }

    /// Merges those `width` neighbouring runs that together are smallest.
    fn merge_smallest_runs(&mut self, width: usize) -> Result<()> {
        let size_at = |at: usize| self.runs[at..at + width].iter().map(Run::bytes).sum::<u64>();
        let at = (0..=self.runs.len() - width).min_by_key(|&at| size_at(at)).unwrap_or(0);
        let later = self.runs.split_off(at + width);
        let merged = self.runs.split_off(at);
        let run = Run::new(&self.temp_dir, self.to_keep)?;
        self.write_run(run, Merge::new(sources(merged, Vec::new()))?)?;
        self.runs.extend(later);
        Ok(())
    }

    /// Adds `merge` to `run`, and that to the list.
    fn write_run(&mut self, mut run: Run, merge: Merge) -> Result<()> {
        let before = run.bytes();
        run.extend(merge, &self.temp_dir, self.limits.frame, self.threads)?;
        self.spilled_bytes += run.bytes() - before;
        self.runs.push(run);
        Ok(())
    }
}

/// The records of a [`Sorter`] in order.
#[derive(Debug)]
pub struct Sorted {
    merge: Merge,
    len: u64,
    spilled_bytes: u64,
}

impl Sorted {
    /// The next record and its key; valid until the next call.
    ///
    /// # Errors
    ///
    /// [`Store`](crate::error::ErrorKind::Store) when a temporary file cannot be read, and
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) when it no longer holds what was written.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.merge.next()
    }

    /// How many records were pushed, those already taken among them.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no record was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes went to temporary files; 0 when the memory was enough.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled_bytes
    }
}

/// Records in one allocation, with an index that is sorted in their place.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    index: Vec<Entry>,
    is_sorted: bool,
}

/// Where a record is. Starts only grow as records come, so that they also tell the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: u64,
    start: u32,
    len: u32,
}

impl Block {
    fn new(size: usize) -> Self {
        Self { bytes: Vec::with_capacity(size), index: Vec::new(), is_sorted: true }
    }

    fn has_room(&self, len: usize) -> bool {
        // An empty record takes no bytes: the index must not grow for ever.
        let index_full = self.index.len() * size_of::<Entry>() > 2 * self.bytes.capacity();
        !index_full && self.bytes.capacity() - self.bytes.len() >= len
    }

    /// The caller has made sure that there is room, and so that starts fit.
    fn push(&mut self, key: u64, record: &[u8], len: u32) {
        self.is_sorted &= self.index.last().is_none_or(|last| last.key <= key);
        self.index.push(Entry { key, start: self.bytes.len() as u32, len });
        self.bytes.extend_from_slice(record);
    }

    /// Bytes allocated.
    fn memory(&self) -> usize {
        self.bytes.capacity() + self.index.capacity() * size_of::<Entry>() + size_of::<Self>()
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            // Stable, as no two entries of one key compare equal but empty records, which are.
            self.index.sort_unstable();
            self.is_sorted = true;
        }
    }

    fn record(&self, at: usize) -> Option<(u64, &[u8])> {
        let entry = self.index.get(at)?;
        let start = entry.start as usize;
        Some((entry.key, self.bytes.get(start..start + entry.len as usize)?))
    }

    /// The first and the last key of a sorted block.
    fn keys(&self) -> Option<(u64, u64)> {
        Some((self.index.first()?.key, self.index.last()?.key))
    }
}

fn sort_blocks(blocks: &mut [Block], threads: usize) {
    if threads <= 1 || blocks.iter().filter(|block| !block.is_sorted).count() <= 1 {
        blocks.iter_mut().for_each(Block::sort);
        return;
    }
    let next = AtomicUsize::new(0);
    let blocks: Vec<_> = blocks.iter_mut().map(Mutex::new).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    block.lock().unwrap_or_else(PoisonError::into_inner).sort();
                }
            });
        }
    });
}

/// What to merge, in the order of arrival; a block that continues its predecessor joins it.
fn sources(runs: Vec<Run>, blocks: Vec<Block>) -> Vec<Source> {
    let mut sources: Vec<_> =
        runs.into_iter().map(|run| Source::File(RunReader::new(run))).collect();
    let mut end = 0;
    for block in blocks {
        let Some((first_key, last_key)) = block.keys() else { continue };
        match sources.last_mut() {
            Some(Source::Memory(chain)) if end <= first_key => chain.append(block),
            _ => sources.push(Source::memory(block)),
        }
        end = last_key;
    }
    sources
}

/// The temporary folder as messages show it.
fn folder(path: &Path) -> String {
    format!("temporary folder {}", path.display())
}

#[cfg(test)]
mod tests;
