//! What genomic files say, apart from how they say it: records of alignments, variants and reads,
//! their readers and writers, and their Arrow schemas.

pub mod alignments;
mod float;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod reads;
pub(crate) mod stream;
pub mod variants;
