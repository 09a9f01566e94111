//! Genomic data formats born for object storage: chunked, indexed, versioned.
//!
//! Where what is, from the ground up:
//!
//! - [`error`]: one error type that says what to do; [`guard`]: errors in place of panics.
//! - [`genome`]: contigs, intervals, regions, BED.
//! - [`records`]: alignments as BAM bytes and views; SAM, BAM and CRAM in and out; filters; Arrow, JSON.
//! - [`store`]: bytes at a path or URL: planned range reads, create-only writes, uploads, metering.
//! - [`dataset`]: manifests, versions, commits, verification, collection, copies.
//! - [`codec`]: zstd, rANS, read names, qualities.
//! - [`pipeline`]: ordered parallel work in bounded memory, sorting beyond memory, progress.
//! - [`paf`]: alignments in chunks: written, queried, verified.
//! - [`vcs`]: variants in columns: written, queried, verified.
//! - [`srf`]: sequencing reads in Arrow files: written, queried, verified.
//! - [`simulate`]: reads out of a seed.
//!
//! ```
//! use genomic_objects::dataset::At;
//! use genomic_objects::paf::read::{Places, Query, Reader};
//! use genomic_objects::store::{Store, StoreOptions};
//!
//! fn count(dataset: &str, region: &str) -> genomic_objects::Result<u64> {
//!     let store = Store::open(dataset, &StoreOptions::default())?;
//!     let places = Places { regions: vec![region.to_owned()], bed: None };
//!     let reader = Reader::open(&store, At::Newest, &places)?;
//!     Ok(reader.query(&Query::default(), |_| Ok(()))?.records)
//! }
//! assert!(count("no/such/dataset.paf", "chr1").is_err());
//! ```
//!
//! Calls block; an asynchronous program gives them a thread of their own.

pub mod codec;
mod columnar;
pub mod dataset;
pub mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod genome;
pub mod guard;
pub mod hail;
pub mod hive;
mod json;
pub mod paf;
pub mod pipeline;
mod posix;
pub mod ram;
pub mod records;
pub mod simulate;
pub mod srf;
pub mod store;
pub mod vcs;

pub use error::{Error, Result};
