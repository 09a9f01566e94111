//! Alignments: BAM records as bytes and views, the files they come from and go to.

pub mod arrow;
mod bam;
pub mod batch;
pub mod columns;
mod cram;
pub mod fields;
pub mod filter;
pub mod header;
pub mod json;
pub mod record;
pub mod sam;
pub mod sink;
pub mod source;
pub mod stats;
pub mod validate;

pub use batch::RecordBatch;
pub use fields::Fields;
pub use header::Header;
pub use record::{CigarOp, Record, Tag};
pub use sink::Sink;
pub use source::{Limit, Source, SourceOptions, open};
pub use validate::Validation;
