//! RAM: the alignments of a cohort by region, with coverage and candidate variants.
//!
//! `spec/ram.md` is normative. [`write`](write::write) makes a dataset of many samples,
//! [`query`] asks one by region and sample, [`export`] gives a sample's alignments back,
//! [`compact`](compact::compact) joins what was added bit by bit, [`verify`] proves one.

mod calls;
pub mod compact;
mod coverage;
mod cut;
mod depth;
pub mod depths;
mod digest;
pub mod export;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grid;
mod index;
pub mod ingest;
mod layer;
pub mod manifest;
mod merge;
pub mod plot;
mod png;
mod prepare;
mod publish;
pub mod purge;
pub mod query;
pub mod read;
mod reference;
mod rewrite;
mod rows;
mod seams;
mod sites;
mod spill;
pub mod vcf;
pub mod verify;
mod work;
pub mod write;
