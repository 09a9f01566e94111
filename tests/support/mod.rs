//! Stores to run one suite of tests on.
#![allow(dead_code, reason = "every test program uses a part of it")]

use genomic_objects::store::{Credentials, Store, StoreOptions};
use tempfile::TempDir;
use testkit::s3;

/// Options that reach the S3 server of a test, whatever the environment says.
pub(crate) fn s3_options(server: &s3::Server) -> StoreOptions {
    StoreOptions {
        endpoint_url: Some(server.endpoint()),
        region: Some("us-east-1".into()),
        credentials: Some(Credentials {
            access_key_id: s3::ACCESS_KEY.into(),
            secret_access_key: s3::SECRET_KEY.into(),
            session_token: None,
        }),
        ..StoreOptions::default()
    }
}

/// The prefix `prefix` of the test bucket.
pub(crate) fn s3_store(server: &s3::Server, prefix: &str) -> Store {
    Store::open(&format!("s3://{}/{prefix}", s3::BUCKET), &s3_options(server)).unwrap()
}

/// A folder below `dir` that does not exist yet.
pub(crate) fn disk_store(dir: &TempDir) -> Store {
    let path = dir.path().join("not/yet/there.paf");
    Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

/// Runs `test` on an empty store of every writable kind.
pub(crate) fn on_every_store(test: impl Fn(&Store)) {
    println!("in memory");
    test(&Store::in_memory());
    println!("on disk");
    let dir = tempfile::tempdir().unwrap();
    test(&disk_store(&dir));
    println!("on S3");
    let server = s3::Server::start().unwrap();
    test(&s3_store(&server, "some/prefix.paf"));
}
