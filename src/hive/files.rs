//! From row groups to files in the store.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::manifest::{FileEntry, folder_of};
use super::order;
use super::source::Task;
use crate::columnar::{Kind, ParquetFile};
use crate::error::{Error, Result};
use crate::store::{Pending, Store};

/// Files of one task that may be on their way at once.
const UNDER_WAY: usize = 2;

/// The files that a task became; they are there once `under_way` has been waited for.
pub(super) struct Written {
    pub(super) files: Vec<FileEntry>,
    under_way: VecDeque<Pending<()>>,
}

impl Written {
    /// Waits until all files are in the store.
    pub(super) fn wait(mut self) -> Result<Vec<FileEntry>> {
        while let Some(file) = self.under_way.pop_front() {
            file.wait()?;
        }
        Ok(std::mem::take(&mut self.files))
    }
}

impl Drop for Written {
    /// Lets files come whole that are on their way when something else fails: a write that is given
    /// up may leave half a file on disk.
    fn drop(&mut self) {
        for file in self.under_way.drain(..) {
            // That other failure is the one to report.
            let _ = file.wait();
        }
    }
}

/// Gathers the row groups of a task in files of bounded size.
pub(super) struct Files<'a> {
    store: &'a Store,
    kind: &'a Kind,
    task: &'a Task,
    /// Bytes after which a file ends.
    most: u64,
    open: Option<(ParquetFile, FileEntry)>,
    /// The length of the row group written last.
    group: u64,
    written: Written,
}

impl<'a> Files<'a> {
    pub(super) fn new(store: &'a Store, kind: &'a Kind, task: &'a Task, most: u64) -> Self {
        let written = Written { files: Vec::new(), under_way: VecDeque::new() };
        Self { store, kind, task, most, open: None, group: 0, written }
    }

    /// Adds a row group.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let at = order::positions(batch)?;
        let (Some(&first), Some(&last)) = (at.first(), at.last()) else { return Ok(()) };
        let group = self.kind.encode(batch.columns())?;
        let (mut file, mut entry) = match self.open.take() {
            Some(open) => open,
            None => (ParquetFile::new(self.kind)?, self.entry(first)),
        };
        let before = file.len() as u64;
        file.push(group)?;
        let length = file.len() as u64;
        self.group = length - before;
        entry.rows += batch.num_rows() as u64;
        entry.row_groups += 1;
        entry.last = last;
        self.open = Some((file, entry));
        // Another row group would make it too long.
        if length + self.group > self.most { self.close() } else { Ok(()) }
    }

    fn entry(&self, first: i64) -> FileEntry {
        let (number, split) = (self.task.number, self.written.files.len());
        FileEntry {
            path: format!("{}/part-{number:05}-{split:03}.parquet", folder_of(&self.task.contig)),
            rows: 0,
            bytes: 0,
            row_groups: 0,
            first,
            last: first,
            sha256: String::new(),
        }
    }

    fn close(&mut self) -> Result<()> {
        let Some((file, mut entry)) = self.open.take() else { return Ok(()) };
        let (bytes, _) = file.finish()?;
        entry.bytes = bytes.len() as u64;
        entry.sha256 = hex(&Sha256::digest(&bytes));
        let under_way = &mut self.written.under_way;
        while under_way.len() >= UNDER_WAY {
            under_way.pop_front().map_or(Ok(()), Pending::wait)?;
        }
        under_way.push_back(self.store.start_put(&entry.path, Bytes::from(bytes)));
        self.written.files.push(entry);
        Ok(())
    }

    /// Ends the last file.
    pub(super) fn finish(mut self) -> Result<Written> {
        self.close()?;
        Ok(self.written)
    }
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// That the files of a contig follow one another.
pub(super) fn check_order(before: &FileEntry, after: &FileEntry) -> Result<()> {
    let folder =
        |entry: &FileEntry| entry.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    if folder(before) == folder(after) && after.first < before.last {
        return Err(Error::input("partitions overlap: positions descend from one to the next")
            .expected(format!("{} or more", before.last))
            .found(after.first)
            .at(&after.path));
    }
    Ok(())
}
