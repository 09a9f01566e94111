//! Stores to run one suite of tests on.
#![allow(dead_code, reason = "every test program uses a part of it")]

use genomic_objects::error::Result;
use genomic_objects::store::{Credentials, Store, StoreOptions};
use tempfile::TempDir;
use testkit::moto::{self, Amazon};
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

/// Options that reach the model of Amazon's service.
pub(crate) fn amazon_options(amazon: &Amazon) -> StoreOptions {
    StoreOptions {
        endpoint_url: Some(amazon.endpoint().into()),
        region: Some(moto::REGION.into()),
        credentials: Some(Credentials {
            access_key_id: moto::ACCESS_KEY.into(),
            secret_access_key: moto::SECRET_KEY.into(),
            session_token: None,
        }),
        ..StoreOptions::default()
    }
}

/// A prefix of a new bucket.
pub(crate) fn amazon_store(amazon: &Amazon, prefix: &str) -> Store {
    let location = format!("s3://{}/{prefix}", amazon.new_name());
    let store = Store::open(&location, &amazon_options(amazon)).unwrap();
    assert!(store.create_bucket().unwrap(), "the bucket is there already");
    store
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
    if let Some(amazon) = moto::amazon() {
        println!("on a model of Amazon's service");
        test(&amazon_store(amazon, "some/prefix.paf"));
    }
}

/// Flips a bit of every `step`th byte of every object, one after the other: what a dataset answers
/// is the same each time, or an error that names a place in it.
pub(crate) fn flip_bytes<T: PartialEq>(
    store: &Store,
    step: usize,
    answers: impl Fn(&Store) -> Result<T>,
) {
    let truth = answers(store).unwrap();
    let objects = store.list("").unwrap();
    assert!(objects.len() >= 4);
    for object in objects {
        let bytes = store.get(&object.key).unwrap();
        let folder = object.key.split('/').next().unwrap();
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            store.put(&object.key, damaged.into()).unwrap();
            match answers(store) {
                Ok(answers) => assert!(answers == truth, "{} byte {at}", object.key),
                Err(error) => {
                    let text = error.to_string();
                    // A damaged index may lead to a chunk that is sound.
                    let is_placed = [folder, "_index", "chunk", "_manifests", "_metadata", "data/"]
                        .iter()
                        .any(|place| text.contains(place));
                    assert!(is_placed, "{} byte {at}: {text}", object.key);
                }
            }
        }
        store.put(&object.key, bytes).unwrap();
    }
}
