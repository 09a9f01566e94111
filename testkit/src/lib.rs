//! What the tests of genomic-objects share: servers, corpora, oracles and generated records.

pub mod arbitrary;
mod choices;
pub mod corpus;
pub mod http;
pub mod moto;
pub mod oracle;
pub mod python;
pub mod rclone;
pub mod s3;
pub mod server;
mod spawned;
pub use choices::Choices;
pub use oracle as samtools;
