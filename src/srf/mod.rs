//! SRF: sequencing reads in Arrow files, with access by number, by name, by quality and by length.
//!
//! `spec/srf.md` is normative. [`write`](write::write) makes a dataset, [`read::Reader`] asks one,
//! [`verify`] proves one.

mod batch;
mod buffers;
mod compact;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ids;
mod index;
mod ipc;
pub mod manifest;
mod plain;
mod quality;
pub mod query;
pub mod read;
pub mod verify;
pub mod write;

pub use batch::{Batch, Fields};
pub use quality::Quality;
pub use read::BGZF_END;
