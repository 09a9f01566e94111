//! A query's requests and bytes, as the server saw them; and bytes that threads do not change.

use std::collections::BTreeMap;

use super::*;
use crate::engines::cohort;
use crate::support::s3_options;

/// What metadata and index pages of a query may take on top of columns.
const OVERHEAD: u64 = 128 << 10;

#[test]
fn test_cold_region_query_takes_three_trips_and_few_bytes() {
    for samples in [3, 300] {
        let server = testkit::s3::Server::start().unwrap();
        let url = format!("s3://{}/variants.vcs", testkit::s3::BUCKET);
        let store = Store::open(&url, &s3_options(&server)).unwrap();
        let small = WriteOptions { row_group_rows: 250, ..options() };
        convert("cohort", &cohort(samples, 3_000), &store, &small).unwrap();
        let text = lines(&store, &Places::default()).unwrap();
        server.set_latency(std::time::Duration::from_millis(20));
        for region in ["chr1:1000001-1010000", "X:1-20000", "1:200000-210000"] {
            server.clear_log();
            let store = Store::open(&url, &s3_options(&server)).unwrap();
            let (found, stats) = lines(&store, &regions(&[region])).unwrap();
            assert!(stats.records > 0 && !found.is_empty(), "{region}");
            assert!(stats.row_groups <= 2, "{region}: {stats:?}");
            assert!(server.dependent_round_trips() <= 3, "{region}: {:?}", server.log());
            assert!(stats.traffic.round_trips <= 3, "{region}: {stats:?}");
            let limit = stats.traffic.bytes_used * 13 / 10 + OVERHEAD;
            assert!(server.bytes_sent() <= limit, "{region}: {} of {limit}", server.bytes_sent());
            let known = String::from_utf8_lossy(&text.0);
            assert!(String::from_utf8_lossy(&found).lines().all(|line| known.contains(line)));
        }
        server.set_latency(std::time::Duration::ZERO);
    }
}

#[test]
fn test_bytes_do_not_depend_on_threads() {
    let text = cohort(70, 3_000);
    let objects = |threads: usize| -> BTreeMap<String, Vec<u8>> {
        let store = Store::in_memory();
        let few = WriteOptions { threads, row_group_rows: 500, ..options() };
        convert("cohort", &text, &store, &few).unwrap();
        let keys = store.list("").unwrap();
        keys.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap().to_vec())).collect()
    };
    let one = objects(1);
    for threads in [2, 5] {
        assert!(objects(threads) == one, "{threads} threads");
    }
}

#[test]
fn test_one_sample_and_one_column_fetch_little() {
    let store = Store::in_memory();
    convert("cohort", &cohort(600, 1_000), &store, &options()).unwrap();
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    let all = Needs::all(reader.schema());
    let used = |needs: &Needs| {
        reader.scan(needs, &|_| true, 2, None, |_| Ok(()), |()| Ok(())).unwrap().traffic.bytes_used
    };
    let whole = used(&all);
    let one = used(&Needs { samples: vec![300], ..all.clone() });
    assert!(2 * one < whole, "{one} of {whole}");
    let site = Needs {
        fixed: Fields::none(),
        text: false,
        info: Fields::Some(["DP".to_owned()].into()),
        format: Fields::none(),
        samples: Vec::new(),
    };
    assert!(20 * used(&site) < whole, "{} of {whole}", used(&site));
    let refused = reader.scan(&all, &|_| true, 2, Some(1_000), |_| Ok(()), |()| Ok(()));
    assert!(refused.unwrap_err().to_string().contains("--max-bytes"));
}
