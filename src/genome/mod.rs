//! Where things are in a genome: contigs, intervals, regions, BED files.
//!
//! Inside the crate every coordinate is 0-based and every interval half-open. The 1-based closed
//! form that people write exists only in [`region`], where text is read, and in what is printed.

pub mod bed;
pub mod contig;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod interval;
pub mod region;

pub use contig::{Contig, ContigId, Contigs};
pub use interval::Interval;
pub use region::{Region, Target};
