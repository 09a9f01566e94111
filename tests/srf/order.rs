//! A second view in another order: the same reads, found with fewer batches.

use genomic_objects::dataset::Dataset;
use genomic_objects::error::ErrorKind;
use genomic_objects::srf::manifest::Order;
use genomic_objects::srf::verify::verify;

use super::*;

fn ordered(layout: Layout, order: Order) -> WriteOptions {
    WriteOptions { order, batch_reads: 100, chunk_reads: 700, ..options(layout) }
}

/// Number, name, length and average quality of what a query finds.
fn found(store: &Store, filter: Filter) -> (Vec<(u64, String, usize, f32)>, QueryStats) {
    let reader = Reader::open(store, At::Newest, Selection::All, filter).unwrap();
    let mut all = Vec::new();
    let work = |found: Found| {
        let mut scratch = [Vec::new(), Vec::new()];
        let mut reads = Vec::new();
        for &(row, mate) in &found.reads {
            let (row, mate) = (row as usize, usize::from(mate));
            let name = found.batch.parts(row, mate, &mut scratch).name.to_vec();
            let name = String::from_utf8(name).unwrap();
            let average = found.batch.quality(row, mate).map_or(-1.0, |quality| quality.average);
            reads.push((found.number(row, mate), name, found.batch.length(row, mate), average));
        }
        Ok(reads)
    };
    let stats = reader.scan(2, None, work, |reads| {
        all.extend(reads);
        Ok(())
    });
    (all, stats.unwrap())
}

#[test]
fn test_ordered_view_answers_alike_and_skips_batches() {
    let text = fastq(5000, 8, false);
    let quality = Filter { min_quality: Some(25.0), ..Filter::default() };
    let length = Filter { min_length: Some(140), max_length: Some(145), ..Filter::default() };
    for layout in [Layout::Plain, Layout::Compact] {
        let unordered = Store::in_memory();
        convert(&[("reads", &text)], &unordered, &ordered(layout, Order::None)).unwrap();
        for (order, filter) in [(Order::Quality, quality), (Order::Length, length)] {
            let store = Store::in_memory();
            let summary = convert(&[("reads", &text)], &store, &ordered(layout, order)).unwrap();
            assert!(summary.ordered_bytes > 0);
            let (mut expected, vain) = found(&unordered, filter);
            let (mut reads, stats) = found(&store, filter);
            assert_eq!((vain.order, stats.order), (Order::None, order));
            assert_eq!(vain.batches_skipped, 0);
            assert!(stats.batches_skipped * 2 > stats.batches_total, "{stats:?}");
            assert!(stats.traffic.bytes_used * 2 < vain.traffic.bytes_used, "{stats:?} {vain:?}");
            // Reads come in the order of the view.
            assert!(match order {
                Order::Quality => reads.is_sorted_by(|a, b| a.3 <= b.3),
                _ => reads.is_sorted_by(|a, b| a.2 <= b.2),
            });
            expected.sort_by_key(|read| read.0);
            reads.sort_by_key(|read| read.0);
            assert!(reads == expected && !reads.is_empty());
            // What the view does not help is answered from the reads in their own order.
            assert!(export(&store, false).unwrap() == std::slice::from_ref(&text));
            let numbers = Selection::Numbers(std::iter::once(1234..1240).collect());
            let (names, stats) = query(&store, numbers, quality).unwrap();
            assert!(names.len() <= 6 && stats.order == Order::None);
        }
    }
}

#[test]
fn test_order_of_the_input_can_be_restored_from_the_view() {
    let text = [fastq(900, 8, true), b"@odd one\r\nAC\n+\nII\n".to_vec()].concat();
    for layout in [Layout::Plain, Layout::Compact] {
        let store = Store::in_memory();
        convert(&[("reads", &text)], &store, &ordered(layout, Order::Quality)).unwrap();
        let everything = Filter { min_quality: Some(0.0), ..Filter::default() };
        let reader = Reader::open(&store, At::Newest, Selection::All, everything).unwrap();
        let mut records = Vec::new();
        let work = |found: Found| {
            let mut scratch = [Vec::new(), Vec::new()];
            let record = |&(row, mate): &(u32, u8)| {
                let (row, mate) = (row as usize, usize::from(mate));
                let mut record = Vec::new();
                found.batch.push_text(row, mate, &mut scratch, &mut record);
                (found.number(row, mate), record)
            };
            Ok(found.reads.iter().map(record).collect::<Vec<_>>())
        };
        let stats = reader.scan(2, None, work, |found| {
            records.extend(found);
            Ok(())
        });
        assert_eq!(stats.unwrap().order, Order::Quality);
        assert!(!records.is_sorted_by_key(|record| record.0));
        records.sort();
        let restored: Vec<u8> = records.into_iter().flat_map(|(_, record)| record).collect();
        assert!(restored == text);
    }
}

#[test]
fn test_ordered_pairs_stay_together_and_verify() {
    let one = fastq(1500, 1, false);
    let two = String::from_utf8(fastq(1500, 2, true)).unwrap().replace(" 1:N", " 2:N");
    let store = Store::in_memory();
    let options = WriteOptions { verify: true, ..ordered(Layout::Plain, Order::Quality) };
    convert(&[("R1", &one), ("R2", two.as_bytes())], &store, &options).unwrap();
    let report = verify(&Dataset::open(&store, At::Newest).unwrap(), 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.counts["reads"], 3000);
    let good = Filter { min_quality: Some(30.0), ..Filter::default() };
    let unordered = Store::in_memory();
    let none = ordered(Layout::Plain, Order::None);
    convert(&[("R1", &one), ("R2", two.as_bytes())], &unordered, &none).unwrap();
    let sorted = |store: &Store| {
        let mut reads = found(store, good).0;
        reads.sort_by_key(|read| read.0);
        reads
    };
    assert!(sorted(&store) == sorted(&unordered));
}

#[test]
fn test_damaged_view_is_noticed() {
    let store = Store::in_memory();
    let text = fastq(400, 8, false);
    convert(&[("reads", &text)], &store, &ordered(Layout::Plain, Order::Length)).unwrap();
    let chunks = Dataset::open(&store, At::Newest).unwrap().chunks().unwrap();
    let view = chunks.iter().find(|chunk| chunk.path.starts_with("by_length/")).unwrap();
    let mut bytes = store.get(&view.path).unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    store.put(&view.path, bytes.into()).unwrap();
    let filter = Filter { max_length: Some(200), ..Filter::default() };
    let error = query(&store, Selection::All, filter).unwrap_err();
    assert!(error.to_string().contains(&view.path), "{error}");
    let report = verify(&Dataset::open(&store, At::Newest).unwrap(), 2, None).unwrap();
    assert_eq!(report.problems.len(), 1);
}

#[test]
fn test_fasta_cannot_be_ordered_by_quality() {
    let fasta = b">a\nACGT\n>b\nAC\n";
    let store = Store::in_memory();
    let error = convert(&[("x.fasta", fasta)], &store, &ordered(Layout::Plain, Order::Quality))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    convert(&[("x.fasta", fasta)], &store, &ordered(Layout::Plain, Order::Length)).unwrap();
    let filter = Filter { max_length: Some(3), ..Filter::default() };
    assert_eq!(query(&store, Selection::All, filter).unwrap().0, ["b"]);
}
