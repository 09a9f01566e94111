//! One suite of behaviour for every kind of store, and what is particular to each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use std::{
    io::Read,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use genomic_objects::{
    dataset::{Transaction, TransactionId},
    error::ErrorKind,
    pipeline::Progress,
    store::{
        Coalesce, Creation, Credentials, Lookup, RangeRequest, Store, StoreOptions, Uploader,
        doctor, open_input,
    },
};
use support::{disk_store, on_every_store, s3_options, s3_store};
use testkit::{http, rclone, s3, server::Fault};

fn bytes(length: usize) -> Bytes {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn ranges(key: &str, ranges: &[(u64, u64)]) -> Vec<RangeRequest> {
    ranges.iter().map(|&(start, end)| RangeRequest::new(key, start..end)).collect()
}

#[test]
fn test_store_reads_back_what_it_wrote() {
    on_every_store(|store| {
        assert!(store.is_writable());
        assert_eq!(store.find("a/b.bin").unwrap(), None);
        assert_eq!(store.size("a/b.bin").unwrap(), None);
        let error = store.get("a/b.bin").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("b.bin"), "{error}");
        assert_eq!(store.list("").unwrap(), []);

        store.put("a/b.bin", bytes(1000)).unwrap();
        store.put("a/empty", Bytes::new()).unwrap();
        store.put("a/b.bin", bytes(2000)).unwrap();
        assert_eq!(store.get("a/b.bin").unwrap(), bytes(2000));
        assert_eq!(store.get("a/empty").unwrap(), Bytes::new());
        assert_eq!(store.size("a/b.bin").unwrap(), Some(2000));
        assert!(matches!(store.start_lookup("a/b.bin", 2000).wait().unwrap(), Lookup::Found(_)));
        let error = store.start_lookup("a/b.bin", 1999).wait().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(matches!(store.start_lookup("x", 100).wait().unwrap(), Lookup::Missing));
    });
}

#[test]
fn test_store_reads_ranges_in_the_order_asked() {
    on_every_store(|store| {
        let whole = bytes(100_000);
        store.put("x", whole.clone()).unwrap();
        store.put("y", bytes(10)).unwrap();
        let mut wanted = ranges("x", &[(50_000, 60_000), (0, 10), (99_990, 100_000), (7, 7)]);
        wanted.extend(ranges("y", &[(3, 6)]));
        wanted.extend(ranges("x", &[(5, 20)]));
        let got = store.get_ranges(&wanted).unwrap();
        for (request, got) in wanted.iter().zip(&got) {
            let range = request.range.start as usize..request.range.end as usize;
            let expected =
                if request.key == "x" { whole.slice(range) } else { bytes(10).slice(range) };
            assert_eq!(got, &expected);
        }
    });
}

#[test]
fn test_store_splits_long_ranges() {
    on_every_store(|store| {
        let whole = bytes(20 << 20);
        store.put("x", whole.clone()).unwrap();
        let before = store.meter();
        let got = store.get_ranges(&ranges("x", &[(1, (20 << 20) - 1)])).unwrap();
        assert_eq!(got[0], whole.slice(1..whole.len() - 1));
        let cost = store.meter().since(&before);
        assert_eq!((cost.requests, cost.bytes), (3, (20 << 20) - 2));
    });
}

#[test]
fn test_store_reports_ranges_past_the_end() {
    on_every_store(|store| {
        store.put("x", bytes(100)).unwrap();
        for (start, end) in [(90, 101), (100, 101), (500, 600)] {
            let error = store.get_ranges(&ranges("x", &[(start, end)])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let text = error.to_string();
            assert!(text.contains("/x: ") || text.contains(":x: "), "{text}");
            assert!(text.contains(&format!("bytes {start}-{end}")), "{text}");
        }
        let error = store.get_ranges(&ranges("none", &[(0, 1)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn test_store_creates_once() {
    on_every_store(|store| {
        assert!(matches!(store.create("d/v1", bytes(3)).unwrap(), Creation::Created));
        assert!(matches!(store.create("d/v1", bytes(4)).unwrap(), Creation::Existed));
        assert_eq!(store.get("d/v1").unwrap().len(), 3);
    });
}

#[test]
fn test_store_lets_one_of_many_creators_win() {
    on_every_store(|store| {
        for round in 0..5 {
            let barrier = Arc::new(Barrier::new(8));
            let creators: Vec<_> = (0..8)
                .map(|i| {
                    let (store, barrier) = (store.clone(), barrier.clone());
                    thread::spawn(move || {
                        barrier.wait();
                        store.create(&format!("race/{round}"), Bytes::from(vec![i; 64])).unwrap()
                    })
                })
                .collect();
            let outcomes: Vec<_> = creators.into_iter().map(|c| c.join().unwrap()).collect();
            let winners: Vec<usize> =
                (0..8).filter(|&i| matches!(outcomes[i], Creation::Created)).collect();
            assert_eq!(winners.len(), 1, "{outcomes:?}");
            assert_eq!(store.get(&format!("race/{round}")).unwrap()[0] as usize, winners[0]);
        }
    });
}

#[test]
fn test_store_lists_and_deletes() {
    on_every_store(|store| {
        for key in ["b/2", "a", "b/1", "bb"] {
            store.put(key, bytes(key.len())).unwrap();
        }
        let keys = |folder: &str| -> Vec<String> {
            store.list(folder).unwrap().into_iter().map(|object| object.key).collect()
        };
        assert_eq!(keys(""), ["a", "b/1", "b/2", "bb"]);
        assert_eq!(keys("b"), ["b/1", "b/2"]);
        assert_eq!(keys("none"), [""; 0]);
        assert_eq!(store.list("b").unwrap()[0].size, 3);
        store.delete(&["b/1".into(), "none".into(), "b/2".into()]).unwrap();
        assert_eq!(keys(""), ["a", "bb"]);
    });
}

#[test]
fn test_store_uploads_in_the_background() {
    on_every_store(|store| {
        let progress = Arc::new(Progress::default());
        let uploader = Uploader::new(store.clone(), 10_000).count_into(progress.clone());
        for i in 0..100 {
            uploader.put(&format!("u/{i:03}"), bytes(1000 + i)).unwrap();
        }
        uploader.finish().unwrap();
        assert_eq!(store.list("u").unwrap().len(), 100);
        assert_eq!(store.get("u/042").unwrap(), bytes(1042));
        assert_eq!(progress.snapshot().bytes_out, (0..100).map(|i| 1000 + i).sum::<u64>());
    });
}

#[test]
fn test_store_shares_one_buffer_between_near_ranges() {
    let store = Store::in_memory();
    store.put("x", bytes(1000)).unwrap();
    let got = store.get_ranges(&ranges("x", &[(0, 100), (200, 300)])).unwrap();
    assert_eq!(store.meter().requests, 2);
    assert_eq!(got[1].as_ptr() as usize - got[0].as_ptr() as usize, 200);
}

#[test]
fn test_disk_store_appears_with_the_first_write_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = disk_store(&dir);
    let folder = dir.path().join("not/yet/there.paf");
    assert_eq!(store.find("_metadata.json").unwrap(), None);
    assert!(!folder.exists());
    store.put("chr1/a", bytes(1)).unwrap();
    assert!(folder.join("chr1/a").is_file());
    store.delete(&["chr1/a".into()]).unwrap();
    assert!(!folder.exists());
    assert!(dir.path().join("not/yet").exists());

    std::fs::create_dir(&folder).unwrap();
    let store = disk_store(&dir);
    store.put("a", bytes(1)).unwrap();
    store.delete(&["a".into()]).unwrap();
    assert!(folder.exists(), "a folder that was there before stays");
}

#[test]
fn test_disk_store_explains_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.bam");
    std::fs::write(&file, "x").unwrap();
    let error = Store::open(file.to_str().unwrap(), &StoreOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let error = Store::open("ftp://x/y", &StoreOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("'ftp'"), "{error}");
}

#[test]
fn test_web_store_reads_like_the_others_and_never_lists() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("d.paf/chr1")).unwrap();
    std::fs::write(dir.path().join("d.paf/chr1/x"), bytes(100_000)).unwrap();
    let server = http::Server::start(dir.path()).unwrap();
    let store = Store::open(&format!("{}/d.paf/", server.url()), &StoreOptions::default()).unwrap();

    assert!(!store.is_writable());
    assert_eq!(store.get("chr1/x").unwrap(), bytes(100_000));
    assert_eq!(store.size("chr1/x").unwrap(), Some(100_000));
    assert_eq!(store.find("none").unwrap(), None);
    let got = store.get_ranges(&ranges("chr1/x", &[(10, 20), (90_000, 100_000)])).unwrap();
    assert_eq!(got, [bytes(100_000).slice(10..20), bytes(100_000).slice(90_000..100_000)]);
    let error = store.get_ranges(&ranges("chr1/x", &[(99_999, 100_001)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = store.get_ranges(&ranges("chr1/x", &[(100_001, 100_002)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(server.log().iter().all(|r| r.method == "GET" || r.method == "HEAD"));

    for error in [
        store.put("a", bytes(1)).unwrap_err(),
        store.create("a", bytes(1)).unwrap_err(),
        store.delete(&["a".into()]).unwrap_err(),
        store.list("").unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Usage | ErrorKind::Unsupported), "{error}");
        assert!(error.help_text().is_some());
    }
}

#[test]
fn test_web_store_explains_a_server_without_ranges() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), bytes(1000)).unwrap();
    let server = http::Server::start(dir.path()).unwrap();
    server.set_ignore_ranges(true);
    let store = Store::open(&server.url(), &StoreOptions::default()).unwrap();
    let error = store.get_ranges(&ranges("x", &[(0, 10)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("range requests"), "{error}");
}

#[test]
fn test_store_says_why_a_server_cannot_be_reached() {
    // Nothing listens on a port that was given back.
    let dir = tempfile::tempdir().unwrap();
    let url = http::Server::start(dir.path()).unwrap().url();
    let store = Store::open(&url, &StoreOptions::default()).unwrap();
    let error = store.get("x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.help_text().unwrap().contains("network"), "{error}");
}

#[test]
fn test_store_fetches_independent_ranges_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), bytes(4 << 20)).unwrap();
    let server = http::Server::start(dir.path()).unwrap();
    server.set_latency(Duration::from_millis(30));
    let options = StoreOptions { coalesce: Coalesce::Bytes(0), ..StoreOptions::default() };
    let store = Store::open(&server.url(), &options).unwrap();
    let wanted: Vec<_> =
        (0..16).map(|i| RangeRequest::new("x", i << 18..(i << 18) + 100)).collect();
    store.get_ranges(&wanted).unwrap();
    assert_eq!(server.log().len(), 16);
    assert_eq!(server.dependent_round_trips(), 1);
    assert_eq!(server.bytes_sent(), 1600);
    let meter = store.meter();
    assert_eq!((meter.requests, meter.bytes, meter.round_trips), (16, 1600, 1));

    store.get("x").unwrap();
    assert_eq!(server.dependent_round_trips(), 2);
    assert_eq!(store.meter().round_trips, 2);
}

#[test]
fn test_store_retries_what_may_succeed_later() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "p");
    store.put("x", bytes(100_000)).unwrap();
    server.fail("GET", "/p/x", Fault::Answer(503), 2);
    assert_eq!(store.get("x").unwrap(), bytes(100_000));
    server.fail("GET", "/p/x", Fault::CutBody(5000), 1);
    assert_eq!(store.get("x").unwrap(), bytes(100_000));
    server.fail("PUT", "/p/y", Fault::Answer(500), 1);
    store.put("y", bytes(10)).unwrap();
    assert_eq!(store.get("y").unwrap(), bytes(10));
}

#[test]
fn test_store_does_not_take_a_lost_acknowledgement_for_a_rival() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "p");
    server.fail("PUT", "/p/v1", Fault::LoseReply, 1);
    // The retry meets the object of the first try: nothing is proved either way.
    let outcome = store.create("v1", bytes(10)).unwrap();
    assert!(matches!(outcome, Creation::Existed | Creation::Unknown(_)), "{outcome:?}");
    assert_eq!(store.get("v1").unwrap(), bytes(10));
}

#[test]
fn test_store_explains_denied_access_without_secrets() {
    let server = s3::Server::start().unwrap();
    let mut options = s3_options(&server);
    if let Some(credentials) = &mut options.credentials {
        credentials.secret_access_key = "wrong-but-secret".into();
    }
    let store = Store::open(&format!("s3://{}/p", s3::BUCKET), &options).unwrap();
    for error in [store.get("x").unwrap_err(), store.create("x", bytes(1)).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Store, "{error}");
        let text = error.to_string();
        assert!(text.contains("access denied") && text.contains("AWS_ACCESS_KEY_ID"), "{text}");
        assert!(!text.contains("wrong-but-secret") && !text.contains(s3::ACCESS_KEY), "{text}");
    }
    assert!(!format!("{options:?}").contains("wrong-but-secret"));
    server.fail("PUT", "/p/x", Fault::Answer(404), 1);
    let error = s3_store(&server, "p").put("x", bytes(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("bucket"), "{error}");
}

#[test]
fn test_uploader_reports_the_first_failure() {
    let server = s3::Server::start().unwrap();
    let store = s3_store(&server, "p");
    server.fail("PUT", "/p/5", Fault::Answer(403), 1);
    let uploader = Uploader::new(store, 1);
    let outcome = (0..20).try_for_each(|i| uploader.put(&i.to_string(), bytes(10)));
    let error = outcome.and_then(|()| uploader.finish()).unwrap_err();
    assert!(error.to_string().contains("p/5"), "{error}");
}

#[test]
fn test_cache_saves_requests_for_immutable_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let server = s3::Server::start().unwrap();
    let options = StoreOptions { cache_dir: Some(dir.path().into()), ..s3_options(&server) };
    let open = || Store::open(&format!("s3://{}/p", s3::BUCKET), &options).unwrap();
    let store = open();
    store.put("x", bytes(1000)).unwrap();
    let wanted = ranges("x", &[(0, 10), (990, 1000)]);
    let first = store.get_ranges(&wanted).unwrap();
    assert_eq!(store.get_immutable("x", 1000).unwrap(), bytes(1000));
    assert_eq!(store.get_immutable("x", 999).unwrap_err().kind(), ErrorKind::Corrupt);

    let store = open();
    assert_eq!(store.get_ranges(&wanted).unwrap(), first);
    assert_eq!(store.get_immutable("x", 1000).unwrap(), bytes(1000));
    assert_eq!(store.meter().requests, 0);
    assert_eq!(store.get_ranges(&ranges("x", &[(5, 10)])).unwrap(), [bytes(1000).slice(5..10)]);
    assert_eq!(store.meter().requests, 1);
}

#[test]
fn test_doctor_finds_every_kind_of_store_safe_and_leaves_nothing() {
    on_every_store(|store| {
        let diagnosis = doctor::examine(store, "_doctor", SystemTime::now()).unwrap();
        assert!(diagnosis.is_safe_for_concurrent_writers(), "{diagnosis:#?}");
        assert_eq!(store.list("").unwrap(), []);
    });
}

#[test]
fn test_doctor_tells_what_only_comfort_needs() {
    let broken_by = |store: &Store| -> Vec<&str> {
        let diagnosis = doctor::examine(store, "_doctor", SystemTime::now()).unwrap();
        diagnosis.findings.iter().filter(|f| !f.kept).map(|finding| finding.promise).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(broken_by(&Store::in_memory()), [""; 0]);
    assert_eq!(broken_by(&disk_store(&dir)), [""; 0]);
    // The server of the tests looks at neither `If-Match` nor `Content-MD5`.
    let server = s3::Server::start().unwrap();
    let expected = [
        "a read that asks for a state of an object gets no other",
        "bytes that arrive damaged are refused",
    ];
    assert_eq!(broken_by(&s3_store(&server, "x")), expected);
}

#[test]
fn test_doctor_finds_out_a_server_that_ignores_conditions() {
    let server = s3::Server::start().unwrap();
    server.ignore_conditions();
    let store = s3_store(&server, "");
    let diagnosis = doctor::examine(&store, "_doctor", SystemTime::now()).unwrap();
    assert!(diagnosis.is_usable() && !diagnosis.is_safe_for_concurrent_writers());
    let broken: Vec<&str> =
        diagnosis.findings.iter().filter(|f| !f.kept).map(|finding| finding.promise).collect();
    let promises = ["what exists is not created again", "of many creators one wins, and knows it"];
    assert!(promises.iter().all(|promise| broken.contains(promise)), "{broken:?}");
}

/// A real server that ignores `If-None-Match`, and answers ranges with the wrong status.
#[test]
fn test_doctor_finds_out_rclone() {
    let Some((server, url)) = rclone::serve() else { return };
    let options = StoreOptions {
        endpoint_url: Some(url),
        region: Some("us-east-1".into()),
        credentials: Some(Credentials {
            access_key_id: rclone::ACCESS_KEY.into(),
            secret_access_key: rclone::SECRET_KEY.into(),
            session_token: None,
        }),
        ..StoreOptions::default()
    };
    let store = Store::open("s3://bucket/datasets", &options).unwrap();
    let diagnosis = doctor::examine(&store, "_doctor", SystemTime::now()).unwrap();
    assert!(!diagnosis.is_safe_for_concurrent_writers(), "{diagnosis:#?}");
    let creates = diagnosis.findings.iter().find(|f| f.promise.contains("created again")).unwrap();
    assert!(!creates.kept);
    let transaction = TransactionId::from_bytes([9; 16]);
    let error = Transaction::begin(&store, None, transaction).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    drop(server);
}

fn read_all(location: &str, options: &StoreOptions) -> (Option<u64>, Vec<u8>) {
    let progress = Arc::new(Progress::default());
    let mut input = open_input(location, options).unwrap().count_into(progress.clone());
    let mut all = Vec::new();
    input.reader.read_to_end(&mut all).unwrap();
    let snapshot = progress.snapshot();
    assert_eq!(snapshot.bytes_in, all.len() as u64);
    assert_eq!(snapshot.total_in, input.size.filter(|&size| size > 0));
    (input.size, all)
}

#[test]
fn test_input_streams_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let web = http::Server::start(dir.path()).unwrap();
    let cloud = s3::Server::start().unwrap();
    for length in [0, 1, 8 << 20, (50 << 20) + 7] {
        let expected = bytes(length);
        let path = dir.path().join("in put.bam");
        std::fs::write(&path, &expected).unwrap();
        s3_store(&cloud, "dir").put("input.bam", expected.clone()).unwrap();
        let plain = StoreOptions::default();
        let url = format!("{}/in%20put.bam?X-Amz-Signature=secret", web.url());
        for (location, options) in [
            (path.to_str().unwrap(), &plain),
            (url.as_str(), &plain),
            (&format!("s3://{}/dir/input.bam", s3::BUCKET), &s3_options(&cloud)),
        ] {
            let (size, all) = read_all(location, options);
            assert_eq!(size, Some(length as u64), "{location}");
            assert!(all == expected, "{location}");
        }
        web.set_ignore_ranges(true);
        assert!(read_all(&url, &plain).1 == expected);
        web.set_ignore_ranges(false);
    }
}

#[test]
fn test_input_reports_a_file_that_changes_or_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let web = http::Server::start(dir.path()).unwrap();
    std::fs::write(&path, bytes(60 << 20)).unwrap();
    let mut input =
        open_input(&format!("{}/x?s=secret", web.url()), &StoreOptions::default()).unwrap();
    std::fs::write(&path, bytes(59 << 20)).unwrap();
    let error = input.reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("changed") && !error.contains("secret"), "{error}");

    let missing = open_input(&format!("{}/none?s=secret", web.url()), &StoreOptions::default());
    let error = missing.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!error.to_string().contains("secret"));
    let error = open_input("/none/x.bam", &StoreOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let folder = dir.path().to_str().unwrap();
    assert_eq!(open_input(folder, &StoreOptions::default()).unwrap_err().kind(), ErrorKind::Usage);
}
