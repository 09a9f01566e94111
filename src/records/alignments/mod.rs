//! Alignments: BAM records as bytes and views, the files they come from and go to.

pub mod batch;
pub mod fields;
pub mod filter;
pub mod record;

pub use batch::RecordBatch;
pub use fields::Fields;
pub use record::{CigarOp, Record, Tag};
