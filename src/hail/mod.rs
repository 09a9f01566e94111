//! Hail Tables, read natively: schema, globals, and partitions as Arrow record batches.
//!
//! ```text
//! metadata.json.gz ─► types, key, partitions, range bounds
//! rows/parts/part-… ─► blocks (zstd, LZ4, stored) ─► one stream ─► columns ─► record batches
//! ```
//!
//! `spec/hail-table.md` says what is read and how. What holds: a partition is read in memory that
//! its file cannot raise (a fetch, two blocks, a row of at most 256 MiB, a batch); every row comes
//! out as Hail itself reads it, or the call fails; a part that is cut short, has too few rows or too
//! many, or does not inflate is an error that names the part and the row. The format has no
//! checksums, so that a flipped bit inside a value of a block that still inflates goes unseen.

mod bounds;
mod call;
mod codec;
mod encoded;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grammar;
mod json;
mod lz4;
mod metadata;
mod ndarray;
mod node;
mod partition;
mod skip;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod types;

pub use bounds::Bounds;
pub use json::to_json;
pub use partition::{BatchLimits, PartitionReader};
pub use table::{Partition, Reference, Table};
pub use types::{TableType, VType};
