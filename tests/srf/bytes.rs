//! A query's requests and bytes, as the server saw them; and bytes that threads do not change.

use std::collections::BTreeMap;

use super::*;
use crate::support::s3_options;

#[test]
fn test_cold_queries_take_three_trips_and_few_bytes() {
    let server = testkit::s3::Server::start().unwrap();
    let url = format!("s3://{}/reads.srf", testkit::s3::BUCKET);
    let open = || Store::open(&url, &s3_options(&server)).unwrap();
    let small = WriteOptions { chunk_reads: 10_000, ..options(Layout::Plain) };
    convert(&[("reads", &fastq(60_000, 4, true))], &open(), &small).unwrap();
    server.set_latency(std::time::Duration::from_millis(20));
    // Across two batches, and across two chunks.
    for first in [12_000, 19_500, 59_000] {
        server.clear_log();
        let selection = Selection::Numbers(std::iter::once(first..first + 1000).collect());
        let (names, stats) = query(&open(), selection, Filter::default()).unwrap();
        let expected: Vec<String> =
            (first..first + 1000).map(|n| format!("run:1:{}:{n}", n % 7)).collect();
        assert_eq!(names, expected);
        assert!(server.dependent_round_trips() <= 3, "{:?}", server.log());
        assert!(stats.traffic.round_trips <= 3, "{stats:?}");
        assert!(server.bytes_sent() < 3 << 19, "{} bytes", server.bytes_sent());
    }
    server.clear_log();
    let selection = Selection::Names(vec!["run:1:3:31335".to_owned()]);
    let (names, stats) = query(&open(), selection, Filter::default()).unwrap();
    assert_eq!(names, ["run:1:3:31335"]);
    assert!(server.dependent_round_trips() <= 3, "{:?}", server.log());
    assert!(stats.batches <= 2 && server.bytes_sent() < 3 << 19, "{stats:?}");
}

#[test]
fn test_bytes_do_not_depend_on_threads() {
    let text = [fastq(3000, 4, true), fastq(3000, 5, false)].concat();
    for (layout, order) in [
        (Layout::Plain, Order::None),
        (Layout::Compact, Order::None),
        (Layout::Plain, Order::Quality),
    ] {
        let objects = |threads: usize| -> BTreeMap<String, Vec<u8>> {
            let store = Store::in_memory();
            let small = WriteOptions { batch_reads: 500, chunk_reads: 2000, ..options(layout) };
            let small = WriteOptions { threads, order, ..small };
            convert(&[("reads", &text)], &store, &small).unwrap();
            let keys = store.list("").unwrap();
            keys.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap().to_vec())).collect()
        };
        let one = objects(1);
        for threads in [2, 5] {
            assert!(objects(threads) == one, "{threads} threads");
        }
    }
}

#[test]
fn test_filters_keep_what_they_say_and_skip_batches_where_they_can() {
    let store = Store::in_memory();
    // Short reads, then long ones: an index by length can tell them apart.
    let short: Vec<u8> =
        (0..500).flat_map(|n| format!("@s{n}\nACGT\n+\nI#I#\n").into_bytes()).collect();
    let long = fastq(500, 3, false);
    let few = WriteOptions { batch_reads: 100, ..options(Layout::Plain) };
    convert(&[("reads", &[short, long].concat())], &store, &few).unwrap();
    let filter = Filter { max_length: Some(10), ..Filter::default() };
    let (names, stats) = query(&store, Selection::All, filter).unwrap();
    assert_eq!((names.len(), stats.batches, stats.batches_skipped), (500, 5, 5));
    let all = |filter: Filter| query(&store, Selection::All, filter).unwrap().0.len();
    // I and # are 40 and 2: 21 on average, and 1.26 errors in four bases.
    let of_short = |filter: Filter| all(Filter { max_length: Some(4), ..filter });
    assert_eq!(of_short(Filter { min_quality: Some(21.0), ..Filter::default() }), 500);
    assert_eq!(of_short(Filter { min_quality: Some(21.1), ..Filter::default() }), 0);
    assert_eq!(of_short(Filter { max_errors: Some(1.27), ..Filter::default() }), 500);
    assert_eq!(of_short(Filter { max_errors: Some(1.2), ..Filter::default() }), 0);
    let half = all(Filter { sample: Some((0.5, 1)), ..Filter::default() });
    assert!((400..600).contains(&half), "{half}");
    assert_eq!(all(Filter { sample: Some((0.0, 1)), ..Filter::default() }), 0);
    assert_eq!(all(Filter { sample: Some((1.0, 1)), ..Filter::default() }), 1000);
}
