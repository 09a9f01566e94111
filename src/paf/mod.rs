//! PAF: alignments in chunks.

pub mod block;
