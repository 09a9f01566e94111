//! PAF: alignments in chunks.

pub mod block;
pub mod chunk;
pub mod directory;
pub mod place;
