//! SRF: sequencing reads in Arrow files, with access by number, by name, by quality and by length.
//!
//! `spec/srf.md` is normative. [`write`](write::write) makes a dataset, [`read::Reader`] asks one,
//! [`verify`] proves one.

mod batch;
mod compact;
mod file;
pub mod ids;
mod index;
pub mod manifest;
mod plain;
pub mod query;
pub mod read;
pub mod verify;
pub mod write;

pub use batch::Batch;
pub use read::BGZF_END;
