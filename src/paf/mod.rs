//! PAF: alignments in chunks, for region queries from object storage and lossless return to BAM.
//!
//! ```text
//! write: source → order → partition → chunk (block, directory) → index → dataset commit
//! read:  dataset open → index pages → selection → scan → records
//! ```
//!
//! `spec/paf.md` is normative for every byte. What holds: a record that goes in comes out to the
//! last bit, or the call fails; a query misses no record and gives none twice; a flipped byte is an
//! error that names its object, or changes nothing; equal input and options give equal chunks.

mod base;
pub mod block;
pub mod chunk;
pub mod depth;
pub mod directory;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod index;
pub mod manifest;
mod merge;
pub mod order;
pub mod partition;
pub mod place;
pub mod read;
mod scan;
pub mod selection;
mod tally;
pub mod verify;
pub mod write;
