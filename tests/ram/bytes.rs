//! A query's requests and bytes, as the server saw them; and bytes that threads do not change.

use std::collections::BTreeMap;

use super::*;

#[test]
fn test_cold_queries_take_three_trips_and_little_beyond_their_batches() {
    let server = testkit::s3::Server::start().unwrap();
    let url = format!("s3://{}/cohort.ram", testkit::s3::BUCKET);
    let open = || Store::open(&url, &support::s3_options(&server)).unwrap();
    let cohort = cohort(20, 2_000);
    let sized = WriteOptions { region_size: 20_000, sub_window: 5_000, ..options() };
    convert(&files(&cohort), &open(), &sized).unwrap();
    server.set_latency(std::time::Duration::from_millis(20));
    for (regions, samples) in [
        (vec!["chr1:8001-10000"], vec![]),
        (vec!["chr1:8001-10000"], vec!["s7"]),
        (vec!["chr1:1-20000"], vec!["s7"]),
    ] {
        server.clear_log();
        let (text, stats) = query(&open(), &regions, &samples).unwrap();
        assert!(!text.is_empty());
        assert!(server.dependent_round_trips() <= 3, "{:?}", server.log());
        assert!(stats.traffic.round_trips <= 3, "{stats:?}");
        let beyond = server.bytes_sent() - stats.traffic.bytes_used;
        assert!(beyond < 3 * stats.traffic.bytes_used / 10 + 20_000, "{stats:?}");
        // A part of the region and of its samples is a part of its bytes.
        assert!(stats.traffic.bytes_used < stats.traffic.bytes_total / 3, "{stats:?}");
    }
}

#[test]
fn test_bytes_do_not_depend_on_threads() {
    let cohort = cohort(7, 300);
    let objects = |threads: usize, memory: usize| -> BTreeMap<String, Vec<u8>> {
        let store = Store::in_memory();
        let options = WriteOptions { threads, memory, ..small() };
        convert_with(&files(&cohort), Some(&fasta()), &store, &options).unwrap();
        let keys = store.list("").unwrap();
        keys.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap().to_vec())).collect()
    };
    let one = objects(1, 1 << 30);
    for (threads, memory) in [(2, 1 << 30), (5, 1 << 18)] {
        assert!(objects(threads, memory) == one, "{threads} threads");
    }
}
