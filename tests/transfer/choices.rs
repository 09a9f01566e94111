//! What the user chooses about objects and requests, as the server sees it.

use genomic_objects::{
    dataset::{Dataset, Operation},
    error::ErrorKind,
    store::{Store, StoreOptions},
};
use testkit::{
    moto, s3,
    server::{Fault, Logged},
};

use crate::{
    commit, noise,
    support::{amazon_options, s3_options, s3_store},
};

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

#[test]
fn test_archived_object_has_an_error_of_its_own() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "x.test");
    let dataset = commit(&store, Operation::Create, &[10]);
    server.fail("GET", "chunk_0000", Fault::Archived, 9);
    let error = dataset.read_chunk(&dataset.chunks().unwrap()[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    assert!(error.to_string().contains("archive"), "{error}");
    assert!(error.help_text().unwrap().contains("restore-object"));
    // It is there: nothing may take it for missing.
    server.fail("GET", "_metadata.json", Fault::Archived, 9);
    assert!(Dataset::find(&store).is_err());
}

#[test]
fn test_bucket_is_made_once() {
    let server = s3::Server::start().unwrap();
    let options = s3_options(&server);
    let store = Store::open("s3://new-bucket/x.test", &options).unwrap();
    assert!(store.create_bucket().unwrap());
    commit(&store, Operation::Create, &[10]);
    assert!(
        server
            .log()
            .iter()
            .any(|r| r.method == "PUT" && r.path.trim_end_matches('/') == "/new-bucket")
    );
    let error = Store::in_memory().create_bucket().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    // The server of the tests has no rules; what it says to that is told.
    let error = store.allow_web_pages(&["*".into()]).unwrap_err();
    assert!(error.to_string().contains("NotImplemented"), "{error}");
}

#[test]
fn test_missing_bucket_is_named_and_can_be_made() {
    let Some(amazon) = moto::amazon() else { return };
    let bucket = amazon.new_name();
    let store = Store::open(&format!("s3://{bucket}/x.test"), &amazon_options(amazon)).unwrap();
    let error = store.put("a", noise(1, 10)).unwrap_err();
    assert!(error.to_string().contains(&bucket), "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert!(store.create_bucket().unwrap() && !store.create_bucket().unwrap());
    commit(&store, Operation::Create, &[10]);
}
