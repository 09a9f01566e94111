//! Servers, oracles and corpora for the tests of genomic-objects.

pub mod http;
pub mod s3;
pub mod server;
