//! What the tests of genomic-objects share: corpora, oracles and generated records.

pub mod arbitrary;
pub mod corpus;
pub mod oracle;
pub use oracle as samtools;
