//! From batches to row groups: gathered until they are large enough, and put in order.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use super::order::{self, Found};
use crate::error::{Error, Result};

/// When a row group is full.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupLimits {
    pub(super) rows: usize,
    pub(super) bytes: u64,
}

/// Gathers the rows of a task.
pub(super) struct Grouper {
    limits: GroupLimits,
    /// Rows of one position come in the order of their alleles, or it is an error; else they are
    /// put in that order.
    ordered: bool,
    /// Rows may come in any order: all of a task are gathered and sorted.
    sort: bool,
    waiting: Vec<RecordBatch>,
    rows: usize,
    bytes: u64,
    /// The last row that was handed on.
    last: Option<RecordBatch>,
}

impl Grouper {
    pub(super) fn new(limits: GroupLimits, ordered: bool, sort: bool) -> Self {
        let (waiting, last) = (Vec::new(), None);
        Self { limits, ordered, sort, waiting, rows: 0, bytes: 0, last }
    }

    /// Adds rows; full row groups go to `sink`.
    pub(super) fn push(
        &mut self,
        batch: RecordBatch,
        bytes: u64,
        sink: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let before = self.waiting.last().or(self.last.as_ref());
        match order::look(before, &batch)? {
            Found::Ordered => {}
            _ if self.sort => {}
            Found::Alleles(_) if !self.ordered => {}
            Found::Alleles(row) => return Err(out_of_order("alleles", &batch, row)),
            Found::Positions(row) => return Err(out_of_order("positions", &batch, row)),
        }
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.waiting.push(batch);
        if self.sort {
            return Ok(());
        }
        while self.rows >= self.limits.rows || self.bytes >= self.limits.bytes {
            if !self.emit(sink)? {
                break;
            }
        }
        Ok(())
    }

    /// Hands on the rows that are left.
    pub(super) fn finish(
        &mut self,
        sink: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        if self.sort && self.rows > 0 {
            let sorted = order::sorted(&self.joined()?)?;
            self.waiting = vec![sorted];
            // They are in order now; what is left is to cut them.
            (self.sort, self.ordered) = (false, true);
        }
        while self.rows >= self.limits.rows || self.bytes >= self.limits.bytes {
            if !self.emit(sink)? {
                break;
            }
        }
        if self.rows > 0 {
            let rest = self.joined()?;
            let rest = if self.ordered { rest } else { order::sorted(&rest)? };
            self.hand_on(rest, sink)?;
            (self.rows, self.bytes) = (0, 0);
        }
        Ok(())
    }

    /// Hands on a row group; `false` where the rows that wait cannot be cut yet.
    fn emit(&mut self, sink: &mut impl FnMut(RecordBatch) -> Result<()>) -> Result<bool> {
        let all = self.joined()?;
        let fit = if self.bytes >= self.limits.bytes {
            // In proportion: rows of a batch are of about one size.
            let share = all.num_rows() as u64 * self.limits.bytes / self.bytes.max(1);
            // What is a little above the limit is not worth a row group of its own.
            if self.bytes < self.limits.bytes * 5 / 4 { all.num_rows() } else { share as usize }
        } else {
            all.num_rows()
        };
        let mut cut = fit.clamp(1, self.limits.rows.max(1)).min(all.num_rows());
        if !self.ordered {
            // Rows of one position stay together until all have come.
            let at = order::positions(&all)?;
            let changes = |row: usize| row > 0 && row < at.len() && at[row - 1] != at[row];
            let change = (1..=cut).rev().find(|&row| changes(row));
            match change.or_else(|| (cut..at.len()).find(|&row| changes(row))) {
                Some(change) => cut = change,
                None => {
                    self.waiting = vec![all];
                    return Ok(false);
                }
            }
        }
        let group = all.slice(0, cut);
        let rest = all.slice(cut, all.num_rows() - cut);
        self.bytes -= self.bytes * cut as u64 / all.num_rows() as u64;
        self.rows = rest.num_rows();
        if rest.num_rows() > 0 {
            self.waiting = vec![rest];
        } else {
            self.bytes = 0;
        }
        let is_ordered = self.ordered || order::look(None, &group)? == Found::Ordered;
        self.hand_on(if is_ordered { group } else { order::sorted(&group)? }, sink)?;
        Ok(true)
    }

    fn hand_on(
        &mut self,
        group: RecordBatch,
        sink: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        self.last = group.num_rows().checked_sub(1).map(|row| group.slice(row, 1));
        sink(group)
    }

    /// All rows that wait, as one batch; none wait afterwards.
    fn joined(&mut self) -> Result<RecordBatch> {
        let waiting = std::mem::take(&mut self.waiting);
        match <[RecordBatch; 1]>::try_from(waiting) {
            Ok([one]) => Ok(one),
            Err(many) => {
                let first = many.first().ok_or_else(|| Error::internal("no rows to join"))?;
                concat_batches(&first.schema(), &many)
                    .map_err(|error| Error::internal("joining batches").caused_by(error))
            }
        }
    }
}

#[cold]
fn out_of_order(what: &str, batch: &RecordBatch, row: usize) -> Error {
    let position = order::positions(batch).ok().and_then(|at| at.get(row).copied());
    Error::input(format!("{what} are not in ascending order"))
        .found(position.map_or_else(String::new, |position| format!("position {position}")))
        .help("sort each partition in memory with --sort-within-partitions")
}
