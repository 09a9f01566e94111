//! Asking a dataset: open, plan, fetch, decode, filter, emit.
//!
//! A cold query by number costs three dependent round trips: the manifest; the pages of the index
//! of batches that cover the numbers, with a look for a newer version beside them; the batches. One
//! by name takes the page of the name's hash along in the second.

mod export;
mod fetch;
mod filter;
mod plan;
#[cfg(test)]
mod scale;

use std::collections::HashSet;

use super::batch::{Batch, Fields, stem};
use super::manifest::{Details, Layout, Order};
use super::quality::Quality;
use crate::dataset::{At, Dataset, ObjectRef};
use crate::error::{Context, Error, Result};
use crate::store::{Meter, Store, Traffic};
use fetch::{Task, fetch};
use plan::{Plan, plan};

pub use export::BGZF_END;
pub use filter::{Filter, Selection};

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueryStats {
    /// Reads handed on.
    pub reads: u64,
    /// Reads decoded to find them.
    pub reads_decoded: u64,
    /// Batches fetched.
    pub batches: u64,
    /// Batches of the numbers or names asked for that an index ruled out.
    pub batches_skipped: u64,
    /// Batches of the dataset, or of the view that was asked.
    pub batches_total: u64,
    /// Chunks touched.
    pub chunks: u64,
    /// Chunks of the dataset, or of the view that was asked.
    pub chunks_total: u64,
    /// What the view that was asked is ordered by.
    pub order: Order,
    /// What was moved for it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// A batch with the reads asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The reads of the batch.
    pub batch: Batch,
    first_row: u64,
    /// Row and mate of those asked for, in order.
    pub reads: Vec<(u32, u8)>,
}

impl Found {
    /// The number of a read in the order of the input, from 0.
    pub fn number(&self, row: usize, mate: usize) -> u64 {
        let of_row = self.batch.numbers.get(row).copied();
        let row = of_row.unwrap_or(self.first_row + row as u64);
        row * self.batch.mates() as u64 + mate as u64
    }
}

/// A dataset opened for reading some of it.
pub struct Reader {
    store: Store,
    opened_at: Meter,
    dataset: Dataset,
    details: Details,
    selection: Selection,
    filter: Filter,
    plan: Plan,
}

impl Reader {
    /// Opens the dataset at `store` and plans which batches a query fetches.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where there is none,
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where it is none of reads,
    /// [`Usage`](crate::error::ErrorKind::Usage) for numbers behind the last read.
    pub fn open(store: &Store, at: At, selection: Selection, filter: Filter) -> Result<Self> {
        Self::open_for(store, at, selection, filter, Fields::TEXT)
    }

    /// As [`open`](Self::open), for these fields only: columns that neither they nor the filter
    /// need are not fetched where that saves bytes, and not decoded.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_for(
        store: &Store,
        at: At,
        selection: Selection,
        filter: Filter,
        fields: Fields,
    ) -> Result<Self> {
        let opened_at = store.meter();
        let fields = match selection {
            Selection::Names(_) => fields.and(Fields::NAMES),
            _ => fields,
        };
        let fields = fields.and(filter.fields());
        let (dataset, (details, plan)) = Dataset::open_and(store, at, |dataset| {
            let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
            let objects = &dataset.manifest().objects;
            let plan = plan(store, &details, objects, &selection, &filter, fields)?;
            Ok((details, plan))
        })?;
        let store = store.clone();
        Ok(Self { store, opened_at, dataset, details, selection, filter, plan })
    }

    /// The version that is read.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the manifest says of it.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// Turns each batch with reads asked for into something, on several threads, and hands the
    /// results on in order: that of the input, or that of the view that makes the query cheaper.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`;
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) and
    /// [`Store`](crate::error::ErrorKind::Store) naming object and range; what `work` and `sink`
    /// return.
    pub fn scan<T: Send>(
        &self,
        threads: usize,
        max_bytes: Option<u64>,
        work: impl Fn(Found) -> Result<T> + Sync,
        mut sink: impl FnMut(T) -> Result<()>,
    ) -> Result<QueryStats> {
        let tasks = &self.plan.tasks;
        let wanted: u64 = tasks.iter().map(Task::bytes).sum();
        if let Some(limit) = max_bytes.filter(|&limit| wanted > limit) {
            return Err(Error::usage("the query would fetch more than --max-bytes allows")
                .expected(format!("at most {limit} bytes"))
                .found(format!("{wanted} bytes in {} batches", tasks.len()))
                .help("ask for fewer reads, or raise --max-bytes"));
        }
        let chunks: HashSet<&str> = tasks.iter().map(Task::chunk).collect();
        let rows: u64 = tasks.iter().map(|task| task.rows() as u64).sum();
        let view = self.plan.view(&self.details);
        let mut stats = QueryStats {
            reads_decoded: rows * u64::from(self.details.reads_per_row),
            batches: tasks.len() as u64,
            batches_skipped: self.plan.skipped,
            batches_total: view.batch_count,
            chunks: chunks.len() as u64,
            chunks_total: view.chunk_count,
            order: self.plan.order,
            traffic: Traffic {
                bytes_used: wanted,
                bytes_total: view.chunk_bytes,
                ..Traffic::default()
            },
            ..QueryStats::default()
        };
        let names: HashSet<&[u8]> = match &self.selection {
            Selection::Names(names) => names.iter().map(String::as_bytes).collect(),
            _ => HashSet::new(),
        };
        fetch(
            &self.store,
            &self.details,
            &self.plan,
            threads,
            |task, batch| {
                let found = self.choose(task, batch, &names);
                let count = found.reads.len() as u64;
                Ok((count, work(found)?))
            },
            |(count, result)| {
                stats.reads += count;
                sink(result)
            },
        )?;
        let meter = self.store.meter().since(&self.opened_at);
        Ok(QueryStats { traffic: stats.traffic.metered(&meter), ..stats })
    }

    fn choose(&self, task: &Task, batch: Batch, names: &HashSet<&[u8]>) -> Found {
        let mut reads = Vec::new();
        let mut found = Found { batch, first_row: task.first_row(), reads: Vec::new() };
        let batch = &found.batch;
        let mut scratch = [Vec::new(), Vec::new()];
        for row in 0..batch.rows() {
            for mate in 0..batch.mates() {
                let is_chosen = match &self.selection {
                    Selection::All => true,
                    Selection::Numbers(ranges) => {
                        let number = found.number(row, mate);
                        ranges.iter().any(|range| range.contains(&number))
                    }
                    Selection::Names(_) => {
                        let of_row = batch.names.get(row);
                        // Both of a pair go by the name without /1 and /2.
                        names.contains(stem(of_row)) || names.contains(of_row) && mate == 0 || {
                            mate > 0 && names.contains(batch.parts(row, mate, &mut scratch).name)
                        }
                    }
                };
                if is_chosen && self.filter.keeps(batch, row, mate) {
                    reads.push((row as u32, mate as u8));
                }
            }
        }
        found.reads = reads;
        found
    }

    /// Hands on the text of each file's reads as it was, or of both by turns, batch by batch and
    /// checked against the digests taken at conversion; with how many reads it is. BGZF text lacks
    /// the block [`BGZF_END`].
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan), and [`Corrupt`](crate::error::ErrorKind::Corrupt) where the text is
    /// another.
    pub fn export(
        &self,
        threads: usize,
        by_turns: bool,
        as_bgzf: bool,
        mut sink: impl FnMut(&[Vec<u8>], u64) -> Result<()>,
    ) -> Result<()> {
        let last_row = self.details.total_reads / u64::from(self.details.reads_per_row);
        fetch(
            &self.store,
            &self.details,
            &self.plan,
            threads,
            |task, batch| {
                let mut texts = export::texts(task.entry(), &batch)?;
                let reads = (batch.rows() * batch.mates()) as u64;
                if by_turns {
                    let is_last = task.first_row() + batch.rows() as u64 == last_row;
                    texts = vec![export::woven(&batch, is_last)];
                }
                if as_bgzf {
                    texts = texts.iter().map(|text| export::bgzf(text)).collect::<Result<_>>()?;
                }
                Ok((texts, reads))
            },
            |(texts, reads)| sink(&texts, reads),
        )
    }
}

/// Decodes these fields of the batches that are wanted, by their chunk, of the view in the order of
/// the input; hands what `work` makes of each on in order.
pub(super) fn scan_batches<T: Send>(
    dataset: &Dataset,
    details: &Details,
    fields: Fields,
    threads: usize,
    wanted: impl Fn(&[&str]) -> Vec<bool>,
    work: impl Fn(Batch) -> Result<T> + Sync,
    sink: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let store = dataset.store();
    let objects = &dataset.manifest().objects;
    let mut plan = Plan::all(store, details, objects, fields, Order::None)?;
    let chunks: Vec<&str> = plan.tasks.iter().map(Task::chunk).collect();
    let mut wanted = wanted(&chunks).into_iter();
    plan.tasks.retain(|_| wanted.next().unwrap_or(false));
    fetch(store, details, &plan, threads, |_, batch| work(batch), sink)
}

/// Reads a view, and compares it with its digests; how many reads there are, the chunks in order,
/// and whether the rows are those of the dataset, each once.
pub(super) fn check_all(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    order: Order,
    threads: usize,
) -> Result<(u64, Vec<String>)> {
    let all = Fields::TEXT.and(Fields::SCORES);
    let plan = Plan::all(store, details, objects, all, order)?;
    let mates = u64::from(details.reads_per_row);
    let mut rows = 0;
    let planned: u64 = plan.tasks.iter().map(|task| u64::from(task.entry().rows)).sum();
    if Some(planned) != details.total_reads.checked_div(mates) {
        return Err(Error::corrupt("the index has another number of reads than the manifest")
            .expected(details.total_reads)
            .found(planned.saturating_mul(mates)));
    }
    let mut seen = vec![0_u64; planned.div_ceil(64) as usize];
    let again = || Error::corrupt("the view in another order has other rows than the dataset");
    fetch(
        store,
        details,
        &plan,
        threads,
        |task, batch| {
            export::texts(task.entry(), &batch)?;
            check_scores(&batch)?;
            Ok((batch.rows, batch.numbers))
        },
        |(count, numbers)| {
            rows += count as u64;
            if order != Order::None && numbers.len() != count {
                return Err(again());
            }
            for number in numbers {
                let word = seen.get_mut((number / 64) as usize).ok_or_else(again)?;
                let bit = 1 << (number % 64);
                if *word & bit != 0 || number >= planned {
                    return Err(again());
                }
                *word |= bit;
            }
            Ok(())
        },
    )?;
    // Again by the index of columns, which must lead to the same buffers.
    if details.layout == Layout::Plain {
        let few = Fields::NAMES.and(Fields::SCORES).and(Fields::DESCRIPTIONS).and(Fields::EXACT);
        let few = Plan::all(store, details, objects, few, order)?;
        fetch(store, details, &few, threads, |_, _| Ok(()), Ok)?;
    }
    let mut paths: Vec<String> = plan.tasks.iter().map(|task| task.chunk().to_owned()).collect();
    paths.dedup();
    Ok((rows * mates, paths))
}

/// Whether what is stored of qualities, if anything is, follows from them.
fn check_scores(batch: &Batch) -> Result<()> {
    for (number, mate) in batch.mates.iter().enumerate() {
        for (row, score) in mate.scores.iter().enumerate() {
            if *score != Quality::of(batch.qualities(row, number)).map(|(quality, _)| quality) {
                return Err(Error::corrupt("what is said of a read's qualities is not true"));
            }
        }
    }
    Ok(())
}
