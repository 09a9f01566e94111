//! PAF: alignments in chunks.

pub mod block;
pub mod chunk;
pub mod directory;
pub mod index;
pub mod manifest;
pub mod order;
pub mod partition;
pub mod place;
pub mod read;
mod scan;
pub mod selection;
pub mod verify;
pub mod write;
