//! SAM text: lines to records and back.
//!
//! Reading is strict by the SAM specification, and makes the same records as htslib 1.16. That
//! includes what htslib changes because a record would contradict itself: a placed read at position
//! 0 becomes unplaced, a read without contig or without CIGAR becomes unmapped, a mate at position 0
//! loses its contig. Writing prints what `samtools view` prints.

mod format;
mod parse;
mod read;

pub(super) use format::push_integer;
pub use format::write_record;
pub(super) use parse::BASE_CODES;
pub use parse::LineParser;
pub(super) use read::SamSource;

#[cfg(test)]
mod tests;
