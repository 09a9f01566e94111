//! Partitioned Parquet for other engines: `OUT/contig=chr1/part-….parquet`, sorted by position.
//!
//! ```text
//! source (Hail Table, VCS) ─► tasks, one contig each ─► batches ─► order checked ─► row groups
//!                                                                       files ─► store ─► manifest
//! ```
//!
//! What holds: every file has rows of one contig in the order of `(position, alleles)`, and files of
//! a contig follow one another, so that engines skip files and row groups by their statistics. No
//! file is visible before it is whole. The manifest, beside the folder, comes last; an export that
//! was interrupted goes on where it was, and ends with the same bytes as one that was not. Bytes
//! depend on source and options alone, not on threads or memory.

mod check;
mod columns;
mod files;
mod group;
mod hail;
mod manifest;
mod order;
mod parquet;
mod plan;
mod resume;
mod source;
mod target;
mod vcs;
mod write;

pub use crate::columnar::PageCompression;
pub use check::{Check, CheckOptions, ContigCheck, FileCheck, GroupCheck, check};
pub use columns::Flatten;
pub use hail::{HailOptions, HailSource};
pub use manifest::{FileEntry, Manifest, Origin};
pub use source::{Sink, Source, Task};
pub use target::Target;
pub use vcs::{VcsOptions, VcsSource};
pub use write::{ContigPlan, ExportOptions, Preflight, Summary, export, preflight};
