//! RAM: the alignments of a cohort by region, with coverage and candidate variants.
//!
//! `spec/ram.md` is normative. [`write`](write::write) makes a dataset of many samples,
//! [`query`] asks one by region and sample, [`export`] gives a sample's alignments back,
//! [`verify`] proves one.

mod calls;
mod coverage;
mod depth;
pub mod depths;
pub mod export;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
pub mod ingest;
mod layer;
pub mod manifest;
mod merge;
pub mod plot;
pub mod query;
pub mod read;
mod reference;
mod rows;
mod sites;
pub mod vcf;
pub mod verify;
pub mod write;
