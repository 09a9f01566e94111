use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

type Records = Vec<(u64, Vec<u8>)>;

/// A generator that needs no crate: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Records whose bytes tell their place, and do not compress to nothing.
fn records(seed: u64, count: u64, keys: u64, max_len: u64) -> Records {
    let mut random = Random(seed);
    (0..count)
        .map(|place| {
            let key = random.next() % keys;
            let mut record = place.to_le_bytes().to_vec();
            record.extend((0..random.next() % max_len).map(|_| random.next() as u8));
            (key, record)
        })
        .collect()
}

fn sort(records: &Records, memory: usize, threads: usize) -> (Records, u64) {
    let mut sorter = Sorter::new(SortOptions { memory, temp_dir: None, threads });
    for (key, record) in records {
        sorter.push(*key, record).unwrap();
    }
    let mut sorted = sorter.finish().unwrap();
    let mut result = Vec::new();
    while let Some((key, record)) = sorted.next().unwrap() {
        result.push((key, record.to_vec()));
    }
    assert!(sorted.next().unwrap().is_none(), "the end stays the end");
    (result, sorted.spilled_bytes())
}

fn expected(records: &Records) -> Records {
    let mut expected = records.clone();
    expected.sort_by_key(|(key, _)| *key);
    expected
}

#[test]
fn test_sort_equals_a_stable_sort_in_memory() {
    for (count, keys) in [(0, 1), (1, 1), (5_000, 10), (5_000, u64::MAX)] {
        let records = records(1, count, keys, 100);
        let (sorted, spilled) = sort(&records, 64 << 20, 2);
        assert_eq!(sorted, expected(&records));
        assert_eq!(spilled, 0);
    }
}

#[test]
fn test_sort_equals_a_stable_sort_over_many_runs() {
    // 256 KiB for 19 MB make some 100 runs, of which 24 are read at once.
    for (threads, keys) in [(1, 50), (3, u64::MAX)] {
        let records = records(2, 120_000, keys, 300);
        let (sorted, spilled) = sort(&records, 0, threads);
        assert!(sorted == expected(&records));
        assert!(spilled > 19_000_000 * 3 / 2, "runs were merged in several rounds: {spilled}");
    }
}

#[test]
fn test_sort_does_not_rewrite_input_that_comes_sorted() {
    let records = expected(&records(3, 40_000, 1_000, 300));
    let (sorted, spilled) = sort(&records, 0, 2);
    assert!(sorted == records);
    let bytes: usize = records.iter().map(|(_, record)| record.len() + 12).sum();
    assert!(spilled < bytes as u64 * 11 / 10, "{spilled} of {bytes}");
}

#[test]
fn test_sort_takes_records_larger_than_its_memory() {
    let mut records = records(4, 100, 7, 50);
    for at in [0, 50, 99] {
        records[at].1 = vec![at as u8; 300_000];
    }
    records.push((3, Vec::new()));
    assert!(sort(&records, 0, 2).0 == expected(&records));
}

#[test]
fn test_sort_takes_many_empty_records() {
    let records: Records = (0..100_000).map(|n| (n * 7_919 % 1_000, Vec::new())).collect();
    let (sorted, spilled) = sort(&records, 0, 1);
    assert!(sorted == expected(&records));
    assert!(spilled > 0, "their index counts as memory");
}

#[test]
fn test_sorter_stays_within_its_memory() {
    for (memory, max_len) in [(256 << 10, 20), (1 << 20, 200), (4 << 20, 2_000)] {
        let mut sorter = Sorter::new(SortOptions { memory, temp_dir: None, threads: 1 });
        for (key, record) in records(5, 20_000, 100, max_len) {
            sorter.push(key, &record).unwrap();
            let used: usize = sorter.blocks.iter().map(Block::memory).sum();
            assert!(used <= memory, "{used} of {memory}");
        }
        let Limits { blocks, frame, fan_in, .. } = sorter.limits;
        assert!(blocks + 2 * frame * fan_in <= memory);
    }
}

#[test]
fn test_sort_notices_a_changed_temporary_file() {
    for at in 0..80 {
        let mut sorter = Sorter::new(SortOptions { memory: 0, temp_dir: None, threads: 1 });
        for (key, record) in records(6, 2_000, 100, 300) {
            sorter.push(key, &record).unwrap();
        }
        sorter.runs[0].flip_byte(at);
        let mut sorted = match sorter.finish() {
            Ok(sorted) => sorted,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                continue;
            }
        };
        let error = loop {
            match sorted.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("byte {at} changed, unnoticed"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

/// Files of a folder that this process has open, where the system tells.
fn open_files(folder: &std::path::Path) -> usize {
    let Ok(links) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let files = links.flatten().filter_map(|link| std::fs::read_link(link.path()).ok());
    files.filter(|file| file.starts_with(folder)).count()
}

#[test]
fn test_sort_merges_hundreds_of_kept_files_at_once_with_none_held_open() {
    let folder = tempfile::tempdir().unwrap();
    for (memory, rewrites) in [(64 << 20, false), (0, true)] {
        let temp_dir = Some(folder.path().to_owned());
        let options = SortOptions { memory, temp_dir, threads: 1 };
        let (mut sorter, mut all) = (Sorter::new(options.clone()), Records::new());
        for number in 0..300 {
            let mut one = Sorter::to_keep(SortOptions { memory: 0, ..options.clone() });
            let records = records(number, 60, 1_000, 100);
            records.iter().for_each(|(key, record)| one.push(*key, record).unwrap());
            let path = folder.path().join(number.to_string());
            let kept = one.keep(&path).unwrap();
            sorter.adopt(path, kept, 5);
            all.extend(records.into_iter().map(|(key, record)| (key + 5, record)));
        }
        let mut sorted = sorter.finish().unwrap();
        assert_eq!(sorted.spilled_bytes() > 0, rewrites);
        let mut result = Records::new();
        while let Some((key, record)) = sorted.next().unwrap() {
            result.push((key, record.to_vec()));
            assert!(!result.len().is_multiple_of(1_000) || open_files(folder.path()) <= 64);
        }
        assert!(rewrites || open_files(folder.path()) == 0);
        assert!(result == expected(&all));
    }
}

#[test]
fn test_sort_names_a_temporary_folder_that_does_not_exist() {
    let temp_dir = tempfile::tempdir().unwrap().path().join("missing");
    let mut sorter =
        Sorter::new(SortOptions { memory: 0, temp_dir: Some(temp_dir.clone()), threads: 1 });
    let error = records(7, 2_000, 100, 300)
        .iter()
        .find_map(|(key, record)| sorter.push(*key, record).err())
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains(&temp_dir.display().to_string()), "{error}");
}

#[test]
fn test_sort_leaves_no_file_behind_even_while_it_runs() {
    let temp_dir = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(SortOptions {
        memory: 0,
        temp_dir: Some(temp_dir.path().to_owned()),
        threads: 2,
    });
    for (key, record) in records(8, 2_000, 100, 300) {
        sorter.push(key, &record).unwrap();
    }
    assert!(sorter.spilled_bytes > 0);
    assert_eq!(std::fs::read_dir(temp_dir.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn test_sort_is_stable_for_any_input(
        seed: u64,
        count in 0_u64..4_000,
        keys in 1_u64..100_000,
        max_len in 1_u64..400,
        memory in 0_usize..(1 << 20),
        threads in 1_usize..4,
        stretch in 1_u64..2_000,
    ) {
        // Keys that rise within stretches, as those of files that were merged do.
        let mut records = records(seed, count, keys, max_len);
        for chunk in records.chunks_mut(stretch as usize) {
            chunk.sort_by_key(|(key, _)| *key);
        }
        prop_assert!(sort(&records, memory, threads).0 == expected(&records));
    }
}
