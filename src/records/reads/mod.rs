//! Sequencing reads as FASTQ and FASTA have them.
//!
//! A [`Framer`] cuts text into records without copying a base: one buffer and the places of its
//! parts, as [`Framed`]. A [`Style`] says how a file writes its records, so that columns turn back
//! into the same text; a record written in another way is kept as it was.

mod frame;
mod input;
mod style;
mod ubam;

pub use frame::{Frame, Framed, Framer, Kind};
pub use input::open;
pub use style::{Parts, Style};
