//! What the user chooses about objects and requests, as the server sees it.

use genomic_objects::{
    dataset::{Dataset, Operation},
    error::ErrorKind,
    store::{Store, StoreOptions},
};
use testkit::{s3, server::Logged};

use crate::{commit, noise, support::s3_options};

fn requests(options: StoreOptions, work: impl Fn(&Store)) -> Vec<Logged> {
    let server = s3::Server::start().unwrap();
    let options = StoreOptions { endpoint_url: Some(server.endpoint()), ..options };
    work(&Store::open("s3://bucket/x.test", &options).unwrap());
    server.log()
}

fn own() -> StoreOptions {
    s3_options(&s3::Server::start().unwrap())
}

#[test]
fn test_storage_class_is_that_of_large_objects() {
    let options = StoreOptions { storage_class: Some("STANDARD".into()), ..own() };
    let log = requests(options, |store| {
        commit(store, Operation::Create, &[(128 << 10) - 1, 128 << 10]);
        let mut parts = store.start_parts("large", 9 << 20).unwrap();
        parts.put(noise(1, 8 << 20)).unwrap();
        parts.put(noise(2, 1 << 20)).unwrap();
        parts.finish().unwrap();
    });
    let class = |path: &str, method: &str| -> Option<String> {
        let found = log.iter().find(|r| r.path.contains(path) && r.method == method).unwrap();
        found.headers.get("x-amz-storage-class").cloned()
    };
    assert_eq!(class("chunk_0000", "PUT"), None);
    assert_eq!(class("chunk_0001", "PUT").as_deref(), Some("STANDARD"));
    assert_eq!(class("large", "POST").as_deref(), Some("STANDARD"));
    assert_eq!(class("_manifests/", "PUT"), None);
}

#[test]
fn test_encryption_is_asked_for_with_every_object() {
    let header = |options: StoreOptions, name: &str| -> Vec<Option<String>> {
        let log = requests(options, |store| store.put("a", noise(1, 10)).unwrap());
        let puts = log.iter().filter(|r| r.method == "PUT");
        puts.map(|r| r.headers.get(name).cloned()).collect()
    };
    let sse = "x-amz-server-side-encryption";
    assert_eq!(header(own(), sse), [None]);
    let aes = StoreOptions { server_side_encryption: Some("AES256".into()), ..own() };
    assert_eq!(header(aes, sse), [Some("AES256".into())]);
    let key = StoreOptions { kms_key_id: Some("key-1".into()), ..own() };
    assert_eq!(header(key.clone(), sse), [Some("aws:kms".into())]);
    assert_eq!(header(key, &format!("{sse}-aws-kms-key-id")), [Some("key-1".into())]);

    let wrong = StoreOptions { server_side_encryption: Some("rot13".into()), ..own() };
    let error = Store::open("s3://bucket/x", &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

#[test]
fn test_requester_pays_for_every_request() {
    let options = StoreOptions { requester_pays: true, ..own() };
    let log = requests(options, |store| {
        commit(store, Operation::Create, &[10]);
        assert!(Dataset::find(store).unwrap().is_some());
        store.list("").unwrap();
    });
    assert!(log.len() > 5);
    for request in log {
        let payer = request.headers.get("x-amz-request-payer").map(String::as_str);
        assert_eq!(payer, Some("requester"), "{request:?}");
    }
}

#[test]
fn test_requests_for_public_buckets_are_unsigned() {
    let options = StoreOptions { no_sign_request: true, credentials: None, ..own() };
    let log = requests(options, |store| {
        let _ = store.find("a");
    });
    assert!(log.iter().all(|request| !request.headers.contains_key("authorization")));
}
