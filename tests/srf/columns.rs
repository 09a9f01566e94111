//! Queries that need few columns fetch few bytes, and answer as those that fetch all.

use genomic_objects::srf::Fields;
use genomic_objects::srf::query::{Format, Table, fields_of, parse_columns};

use super::*;

/// The table of a query, and what it cost.
fn table(store: &Store, columns: &str, filter: Filter, is_lazy: bool) -> (String, QueryStats) {
    let columns = parse_columns(Some(columns)).unwrap();
    let fields = match is_lazy {
        true => fields_of(Format::Json, &columns),
        false => Fields::TEXT.and(Fields::SCORES),
    };
    let reader = Reader::open_for(store, At::Newest, Selection::All, filter, fields).unwrap();
    let table = Table::new(Format::Json, columns, reader.details()).unwrap();
    let mut text = Vec::new();
    let stats = reader.scan(
        2,
        None,
        |found| table.format(&found),
        |part| {
            text.extend(part);
            Ok(())
        },
    );
    (String::from_utf8(text).unwrap(), stats.unwrap())
}

const COLUMNS: [&str; 8] = [
    "number,length",
    "read_id",
    "description",
    "sequence,read_id",
    "quality",
    "avg_quality",
    "expected_errors,length",
    "read_id,sequence,quality,length,avg_quality,expected_errors,description,number",
];

#[test]
fn test_few_columns_answer_as_all_do_and_fetch_less() {
    let two = String::from_utf8(fastq(3000, 2, false)).unwrap().replace(" 1:N:0:ACGT", " 2:x");
    let (fixed, mixed, fasta) =
        (fastq(3000, 1, true), fastq(3000, 3, false), b">a b\nACGT\n>c\nAC\n".to_vec());
    let pairs = [("R1", fixed.as_slice()), ("R2", two.as_bytes())];
    for files in
        [&[("fixed", fixed.as_slice())][..], &[("mixed", &mixed)], &[("fasta", &fasta)], &pairs]
    {
        for layout in [Layout::Plain, Layout::Compact] {
            let store = Store::in_memory();
            let few = WriteOptions { batch_reads: 500, ..options(layout) };
            convert(files, &store, &few).unwrap();
            for columns in COLUMNS {
                for filter in [
                    Filter::default(),
                    Filter { min_quality: Some(20.0), ..Filter::default() },
                    Filter { max_errors: Some(3.0), max_length: Some(120), ..Filter::default() },
                    Filter { sample: Some((0.3, 7)), ..Filter::default() },
                ] {
                    let (expected, all) = table(&store, columns, filter, false);
                    let (found, some) = table(&store, columns, filter, true);
                    assert!(found == expected, "{columns} {filter:?} {layout:?} {}", files[0].0);
                    let is_small = !columns.contains("sequence") && !columns.contains("quality");
                    if layout == Layout::Plain && is_small && files[0].0 != "fasta" {
                        assert!(
                            some.traffic.bytes_used * 4 < all.traffic.bytes_used,
                            "{columns}: {some:?} {all:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn test_counting_by_quality_fetches_little_of_reads() {
    let store = Store::in_memory();
    convert(&[("reads", &fastq(20_000, 4, true))], &store, &options(Layout::Plain)).unwrap();
    let filter = Filter { min_quality: Some(20.0), ..Filter::default() };
    let open =
        |fields| Reader::open_for(&store, At::Newest, Selection::All, filter, fields).unwrap();
    let count = |fields| open(fields).scan(2, None, |_| Ok(()), Ok).unwrap();
    let (some, all) = (count(Fields::LENGTHS), count(Fields::TEXT));
    assert_eq!(some.reads, all.reads);
    assert!(some.traffic.bytes_used * 20 < all.traffic.bytes_used, "{some:?} {all:?}");
}

#[test]
fn test_flipped_bytes_of_columns_are_noticed() {
    let store = Store::in_memory();
    let few = WriteOptions { batch_reads: 20, ..options(Layout::Plain) };
    convert(&[("reads", &fastq(60, 4, false))], &store, &few).unwrap();
    let read = || {
        let (all, fields) = (Filter::default(), Fields::NAMES.and(Fields::SCORES));
        let reader = Reader::open_for(&store, At::Newest, Selection::All, all, fields)?;
        let columns = parse_columns(Some("read_id,length,avg_quality"))?;
        let table = Table::new(Format::Tsv, columns, reader.details())?;
        let mut text = Vec::new();
        reader.scan(
            1,
            None,
            |found| table.format(&found),
            |part| {
                text.extend(part);
                Ok(())
            },
        )?;
        Ok::<_, genomic_objects::error::Error>(text)
    };
    let truth = read().unwrap();
    let mut noticed = 0;
    for object in store.list("").unwrap() {
        if !object.key.starts_with("chunks/") && !object.key.starts_with("_index/columns") {
            continue;
        }
        let bytes = store.get(&object.key).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            store.put(&object.key, damaged.into()).unwrap();
            match read() {
                Ok(text) => assert!(text == truth, "{} byte {at}", object.key),
                Err(_) => noticed += 1,
            }
        }
        store.put(&object.key, bytes).unwrap();
    }
    assert!(noticed > 500, "{noticed}");
}
