//! Joining the layers of a dataset: what was added bit by bit becomes as if it had been converted
//! together, in one file of each kind for a region.

use std::path::PathBuf;
use std::sync::Arc;

use super::depth::Scope;
use super::grid::Grid;
use super::layer::Samples;
use super::manifest::{Details, Layer};
use super::publish::{Content, Publisher};
use super::rewrite::{Resources, Source, Taken, in_order};
use super::spill::Spills;
use super::write::{Summary, regions_of};
use crate::dataset::{At, Dataset, Draft, Operation, Transaction, TransactionId};
use crate::error::Result;
use crate::pipeline::Progress;
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
    let parts = details.parts.as_ref().map(|parts| regions_of(parts, &contigs));
    let lengths = details.lengths.clone();
    let scope = Scope {
        windows: details.windows(),
        exclude_flags: details.exclude_flags,
        lengths: &lengths,
        parts: parts.as_deref(),
    };
    let mut numbers = 0..;
    let mut of_layer = |layer: &Layer| -> Vec<Option<u32>> {
        (0..layer.sample_count).map(|_| numbers.next()).collect()
    };
    let taken = Taken {
        samples: details.layers.iter().map(&mut of_layer).collect(),
        total: usize::try_from(details.sample_count).unwrap_or(usize::MAX),
        contigs: (0..).map(Some).take(contigs.len()).collect(),
        judges: false,
    };
    let source = Source {
        store,
        at: At::Version(base.manifest().dataset_version),
        taken: &taken,
        grid: &grid,
        scope: &scope,
        reference: None,
        threads: options.threads,
        progress,
    };
    let (samples, headers) = in_order(source.samples()?)?;
    let resources = Resources {
        threads: options.threads,
        memory: options.memory,
        temp_dir: options.temp_dir.clone(),
    };
    let mut spills = Spills::new(&resources.sorting());
    let (seen, _) = source.spill(&mut spills)?;
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
        list: Samples { samples, contigs: seen },
        headers: headers.bytes,
        groups: Vec::new(),
        position: None,
        objects: Vec::new(),
        chunks: Vec::new(),
        operation: Operation::Replace,
        inputs: base.manifest().inputs.clone(),
    })
}
