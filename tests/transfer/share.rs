//! Datasets that are shared for a time by signed URLs.

use std::time::Duration;

use genomic_objects::{
    dataset::{self, At, Dataset, Operation},
    error::ErrorKind,
    store::{RangeRequest, Share, Store},
};
use testkit::s3;

use crate::{commit, newest, open, small, support::s3_store, verified};

const UNTIL: &str = "2026-01-22T10:30:00Z";

fn shared(dataset: &Dataset, lasts: Duration, dir: &tempfile::TempDir) -> String {
    let share = dataset::share(dataset, lasts, UNTIL).unwrap();
    let path = dir.path().join("x.share");
    std::fs::write(&path, share.to_bytes().unwrap()).unwrap();
    path.display().to_string()
}

#[test]
fn test_share_opens_like_the_dataset_without_credentials() {
    let server = s3::Server::start().unwrap();
    let target = s3_store(&server, "some/prefix+=.test");
    dataset::copy_all(&small(), &target, 2, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = shared(&newest(&target), Duration::from_secs(3600), &dir);
    // What comes later is no part of it.
    commit(&target, Operation::Overwrite, &[9]);

    let expected = content_of_chunk(&target, 1);
    server.clear_log();
    let store = open(&path).unwrap();
    let dataset = Dataset::open(&store, At::Newest).unwrap();
    assert_eq!(dataset.manifest().dataset_version, 2);
    let report = verified(&dataset).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chunk = &dataset.chunks().unwrap()[1];
    let ranges = [RangeRequest::new(&chunk.path, 5..50)];
    assert_eq!(store.get_ranges(&ranges).unwrap()[0], expected[5..50]);
    assert_eq!(store.size(&chunk.path).unwrap(), Some(chunk.size_bytes));
    assert!(server.log().iter().all(|r| !r.headers.contains_key("authorization")));
    assert!(server.log().iter().all(|r| r.method == "GET" && r.status < 300));

    assert!(!store.is_writable());
    assert!(store.put("x", "y".into()).is_err());
    assert!(store.list("").is_err());
    let copy = Store::in_memory();
    dataset::copy(&dataset, &copy, false, crate::NOW, crate::id(), 2, None).unwrap();
    assert!(verified(&newest(&copy)).unwrap().problems.is_empty());
}

/// The bytes of a chunk of version 2.
fn content_of_chunk(store: &Store, at: usize) -> bytes::Bytes {
    let dataset = Dataset::open(store, At::Version(2)).unwrap();
    let path = dataset.chunks().unwrap()[at].path.clone();
    store.get(&path).unwrap()
}

#[test]
fn test_share_ends() {
    let server = s3::Server::start().unwrap();
    let target = s3_store(&server, "x.test");
    dataset::copy_all(&small(), &target, 2, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = shared(&newest(&target), Duration::from_secs(1), &dir);
    let store = open(&path).unwrap();
    let began = std::time::Instant::now();
    let error = loop {
        match Dataset::open(&store, At::Newest) {
            Err(error) => break error,
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(30), "it does not end"),
        }
        std::thread::yield_now();
    };
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Store, "{text}");
    assert!(text.contains("does not open this object any more") && text.contains(UNTIL), "{text}");
    assert!(!text.contains("Signature"), "{text}");
}

#[test]
fn test_share_holds_no_credentials_and_says_no_urls() {
    let server = s3::Server::start().unwrap();
    let target = s3_store(&server, "x.test");
    dataset::copy_all(&small(), &target, 2, None).unwrap();
    let share = dataset::share(&newest(&target), Duration::from_secs(60), UNTIL).unwrap();
    let text = zstd_text(&share.to_bytes().unwrap());
    assert!(text.contains("X-Amz-Signature") && !text.contains(s3::SECRET_KEY), "{text}");
    assert!(!format!("{share:?}").contains("X-Amz"));
}

fn zstd_text(bytes: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(bytes).unwrap()).unwrap()
}

#[test]
fn test_share_is_refused_where_nothing_can_be_signed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = crate::support::disk_store(&dir);
    let on_disk = commit(&disk, Operation::Create, &[1]);
    let error = dataset::share(&on_disk, Duration::from_secs(60), UNTIL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");

    let server = s3::Server::start().unwrap();
    let target = s3_store(&server, "x.test");
    let dataset = commit(&target, Operation::Create, &[1]);
    let week = Duration::from_secs(7 * 86_400);
    assert!(dataset::share(&dataset, week, UNTIL).is_ok());
    for wrong in [week + Duration::from_secs(1), Duration::ZERO] {
        let error = dataset::share(&dataset, wrong, UNTIL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
}

#[test]
fn test_share_that_is_none_is_refused() {
    let json = |objects: &str, version: &str| {
        let text = format!(
            r#"{{"format":"genomic-objects-share","version":"{version}","name":"s3://b/x",
            "until":"{UNTIL}","objects":{objects}}}"#
        );
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    };
    assert!(Share::parse(&json(r#"{"a":"https://h/a?s","b":"https://h/b"}"#, "1.0")).is_ok());
    for objects in [
        r#"{"../a":"https://h/a"}"#,
        r#"{"/a":"https://h/a"}"#,
        r#"{"a":"file:///etc/passwd"}"#,
        r#"{"a":"https://u:secret@h/a"}"#,
        r#"{"a":"https://h/a","b":"https://other/b"}"#,
        r#"{"a":"secret"}"#,
        r#"["secret"]"#,
    ] {
        let error = Share::parse(&json(objects, "1.0")).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = Share::parse(&json("{}", "2.0")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for bytes in [b"".as_slice(), b"{}", &json("{}", "1.0")[..20]] {
        assert_eq!(Share::parse(bytes).unwrap_err().kind(), ErrorKind::Input);
    }
}
