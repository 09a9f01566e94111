//! Genomic data formats born for object storage.

pub mod codec;
pub mod dataset;
pub mod error;
pub mod genome;
pub mod paf;
pub mod pipeline;
pub mod records;
pub mod simulate;
pub mod store;

pub use error::{Error, Result};
