//! What the writer needs of a source of rows.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;

use super::manifest::Origin;
use crate::error::Result;

/// A piece of work: consecutive rows of one contig, which become one file, or several where they are
/// many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The contig of all its rows.
    pub contig: String,
    /// Its number in the names of its files; ascends within the contig.
    pub number: u64,
    /// How many rows it has, before intervals are applied; an estimate where the source has none.
    pub rows: u64,
    /// Bytes that it takes in the source.
    pub bytes: u64,
    /// How many parts of the source they are of, such as partitions.
    pub parts: u64,
}

/// Takes a batch, and the bytes of its values; `false` when no more are wanted.
pub type Sink<'a> = dyn FnMut(RecordBatch, u64) -> Result<bool> + 'a;

/// Rows of variants, in the order of contig and position.
///
/// The first columns are `contig` (string), `position` (an integer, 1-based) and, where the source
/// has them, `alleles` (a list of strings).
pub trait Source: Sync {
    /// What of a task is fetched before it is its turn.
    type Ahead: Send;

    /// What the rows are of.
    fn origin(&self) -> &Origin;

    /// The columns of its batches.
    fn schema(&self) -> SchemaRef;

    /// All tasks: contig by contig, in order of position.
    fn tasks(&self) -> &[Task];

    /// Whether rows of one position are certain to be in the order of their alleles.
    fn orders_alleles(&self) -> bool;

    /// What was chosen of the source, for the manifest.
    fn choices(&self) -> Value;

    /// How many rows all tasks have together, where that is certain.
    fn expected_rows(&self) -> Option<u64>;

    /// Starts to fetch a task's first bytes.
    ///
    /// # Errors
    ///
    /// When the source cannot be read.
    fn ahead(&self, task: usize) -> Result<Self::Ahead>;

    /// Hands the rows of a task to `sink`, in batches of at most about `rows` rows or `bytes` bytes.
    ///
    /// # Errors
    ///
    /// What the source finds wrong, and what `sink` returns.
    fn read(
        &self,
        ahead: Self::Ahead,
        task: usize,
        rows: usize,
        bytes: u64,
        sink: &mut Sink<'_>,
    ) -> Result<()>;
}
