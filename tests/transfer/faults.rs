//! Every fault of a network and a server, below the retries of the client: the result is right, or
//! there is a clear error, and a wrong answer never.

use std::time::Duration;

use genomic_objects::{
    dataset::{self, Dataset},
    error::ErrorKind,
};
use testkit::{s3, server::Fault};

use crate::{content, small, support::s3_store, verified};

/// What a client gets over, or what it reports.
const FAULTS: [(Fault, &str); 14] = [
    (Fault::SlowDown, "503"),
    (Fault::Answer(429), "429"),
    (Fault::Answer(500), "500"),
    (Fault::Answer(502), "502"),
    (Fault::Answer(408), "408"),
    (Fault::Delay(Duration::from_millis(50)), "delay"),
    (Fault::LoseReply, "lost reply"),
    (Fault::Duplicate, "duplicate"),
    (Fault::CutBody(0), "cut at once"),
    (Fault::CutBody(300), "cut"),
    (Fault::Truncate(0), "nothing"),
    (Fault::Truncate(300), "truncated"),
    (Fault::Corrupt, "corrupt"),
    (Fault::CorruptUpload, "corrupt upload"),
];

/// Puts every fault on one request of each kind, and hands over what can go on with it.
fn with_every_fault(methods: &[&str], test: impl Fn(&s3::Server, &str)) {
    let server = s3::Server::start().unwrap();
    for (at, (fault, name)) in FAULTS.into_iter().enumerate() {
        for method in methods {
            for place in ["chunk_0000", "root", "_manifests/", "_metadata.json"] {
                let prefix = format!("f{at}{method}{}.test", place.replace('/', ""));
                server.fail(method, place, fault, 1);
                println!("{name} for {method} of {place}");
                test(&server, &prefix);
                // Faults that found no request.
                server.heal();
            }
        }
    }
}

#[test]
fn test_push_through_every_fault_is_right_or_an_error() {
    let source = small();
    let whole = content(&source);
    with_every_fault(&["PUT", "GET"], |server, prefix| {
        let target = s3_store(server, prefix);
        let outcome = dataset::copy_all(&source, &target, 2, None);
        server.heal();
        match outcome {
            Ok(_) => assert!(content(&target) == whole, "{prefix}"),
            Err(error) => {
                println!("  {error}");
                assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                if let Some(seen) = Dataset::find(&target).unwrap() {
                    assert!(verified(&seen).unwrap().problems.is_empty(), "{prefix}");
                }
                dataset::copy_all(&source, &target, 2, None).unwrap();
                assert!(content(&target) == whole, "{prefix}");
            }
        }
    });
}

#[test]
fn test_pull_through_every_fault_is_right_or_an_error() {
    let server = s3::Server::start().unwrap();
    let original = small();
    let whole = content(&original);
    let source = s3_store(&server, "source.test");
    dataset::copy_all(&original, &source, 2, None).unwrap();
    for (fault, name) in FAULTS {
        for place in ["chunk_0000", "root", "_manifests/", "_metadata.json"] {
            server.fail("GET", place, fault, 1);
            let target = genomic_objects::store::Store::in_memory();
            let outcome = dataset::copy_all(&source, &target, 2, None);
            server.heal();
            match outcome {
                Ok(_) => assert!(content(&target) == whole, "{name} of {place}"),
                Err(error) => {
                    println!("{name} of {place}: {error}");
                    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                    dataset::copy_all(&source, &target, 2, None).unwrap();
                    assert!(content(&target) == whole, "{name} of {place}");
                }
            }
        }
    }
}

#[test]
fn test_bytes_damaged_on_their_way_are_sent_again() {
    let server = s3::Server::start().unwrap();
    let target = s3_store(&server, "damage.test");
    server.fail("PUT", "chunk_0000", Fault::CorruptUpload, 2);
    let source = small();
    dataset::copy_all(&source, &target, 2, None).unwrap();
    assert!(content(&target) == content(&source));

    server.fail("GET", "chunk_0000", Fault::Corrupt, 1);
    let back = genomic_objects::store::Store::in_memory();
    dataset::copy_all(&target, &back, 2, None).unwrap();
    assert!(content(&back) == content(&source));
}
