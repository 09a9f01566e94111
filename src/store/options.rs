//! What a caller can choose about a store.

use std::{fmt, path::PathBuf};

/// How to reach a store and how to read from it.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The URL of an S3-compatible server, instead of Amazon's; used for `s3://` and `r2://`.
    pub endpoint_url: Option<String>,
    /// The region of the bucket; else that of the environment or profile, else `us-east-1`.
    pub region: Option<String>,
    /// A profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// Send requests unsigned, for public buckets.
    pub no_sign_request: bool,
    /// Keys given directly; they come before profile and environment.
    pub credentials: Option<Credentials>,
    /// A folder that keeps immutable objects between runs; `None` keeps nothing.
    pub cache_dir: Option<PathBuf>,
    /// How many bytes `cache_dir` may hold.
    pub cache_bytes: u64,
    /// When to fetch the bytes between two wanted ranges.
    pub coalesce: Coalesce,
    /// How many requests may be under way at once.
    pub max_in_flight: usize,
    /// Nobody else writes: let a store do that cannot tell writers apart.
    pub single_writer: bool,
    /// Pay for the requests to a bucket of S3 whose owner does not.
    pub requester_pays: bool,
    /// The storage class of new objects of 128 KiB and more, such as `STANDARD_IA`; smaller ones
    /// would cost more there than in the bucket's own class.
    pub storage_class: Option<String>,
    /// How S3 encrypts new objects: `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub server_side_encryption: Option<String>,
    /// The key that S3 encrypts new objects with, for `aws:kms`.
    pub kms_key_id: Option<String>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            region: None,
            profile: None,
            no_sign_request: false,
            credentials: None,
            cache_dir: None,
            cache_bytes: 1 << 30,
            coalesce: Coalesce::default(),
            max_in_flight: 32,
            single_writer: false,
            requester_pays: false,
            storage_class: None,
            server_side_encryption: None,
            kms_key_id: None,
        }
    }
}

/// An access key of an S3-compatible store. Its `Debug` form hides the secret parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token that goes with temporary keys.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Whether to fetch the gap between two wanted ranges of an object, so as to save a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// Least waiting: gaps up to 1 MiB (what a connection moves while another request would wait
    /// for its first byte) as long as all gaps together stay below a quarter of what is wanted,
    /// and every gap up to 4 KiB.
    #[default]
    Latency,
    /// Least money: gaps up to 4 KiB, whose egress costs about as much as a request does.
    Cost,
    /// Every gap up to so many bytes.
    Bytes(u64),
}
