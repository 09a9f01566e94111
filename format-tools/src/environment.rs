//! What commands take from the world: the time, randomness, their own command line.

use std::time::SystemTime;

use genomic_objects::dataset::TransactionId;
use genomic_objects::error::{Error, Result};
use genomic_objects::records::alignments::Header;

/// The time in RFC 3339, to the second.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A fresh transaction.
pub(crate) fn transaction_id() -> Result<TransactionId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::store(format!("the system gives no randomness: {error}")))?;
    Ok(TransactionId::from_bytes(random))
}

/// The header with an `@PG` line for this command.
pub(crate) fn with_program(header: &Header) -> Result<Header> {
    let words: Vec<String> = std::env::args().collect();
    let line = words.join(" ").replace(['\t', '\n', '\r'], " ");
    header.with_program("format-tools", env!("CARGO_PKG_VERSION"), &line)
}
