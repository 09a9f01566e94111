//! VCS: variants in columns, for DuckDB, Polars and our own queries, and lossless return to VCF.
//!
//! ```text
//! write: lines → order → row groups (sites, calls, residual) → Parquet parts → index → commit
//! read:  dataset open → index pages → pruned row groups → columns → lines
//! ```
//!
//! `spec/vcs.md` is normative for every byte. What holds: a line that goes in comes out to the last
//! byte, or the call fails; a query misses no line and gives none twice; a flipped byte is an error
//! that names its object, or changes nothing; equal input and options give equal bytes.

mod calls;
mod cells;
pub mod column;
pub mod export;
pub mod expression;
mod file;
pub mod filter;
pub mod format;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod genotype;
mod group;
pub mod index;
pub mod infer;
pub mod manifest;
pub mod needs;
pub mod number;
pub mod odd;
mod open;
pub mod order;
pub mod output;
pub mod places;
mod plain;
mod plan;
pub mod purge;
pub mod query;
pub mod read;
mod recount;
mod residual;
pub mod schema;
pub mod select;
mod sites;
pub mod table;
pub mod text;
pub mod verify;
pub mod write;

pub use crate::columnar::PageCompression;
