//! No flipped byte passes.

use genomic_objects::dataset::Dataset;
use genomic_objects::srf::verify::verify;

use super::*;
use crate::support::flip_bytes;

type Answers = (Vec<Vec<u8>>, Vec<String>, Vec<String>, Vec<String>, String);

/// What a dataset can answer.
fn answers(store: &Store) -> Result<Answers> {
    let reader = Reader::open(store, At::Newest, Selection::All, Filter::default())?;
    let details = format!("{:?}", reader.details());
    let filter = Filter { min_quality: Some(15.0), max_length: Some(120), ..Filter::default() };
    Ok((
        export(store, false)?,
        query(store, Selection::Numbers(vec![3..9, 17..18]), Filter::default())?.0,
        query(store, Selection::Names(vec!["run:1:5:19".to_owned()]), Filter::default())?.0,
        query(store, Selection::All, filter)?.0,
        details,
    ))
}

fn small_dataset(layout: Layout) -> Store {
    let store = Store::in_memory();
    // The models of the default for little text would take all the time.
    let effort = genomic_objects::codec::Effort::Fast;
    let small = WriteOptions { batch_reads: 10, chunk_reads: 20, effort, ..options(layout) };
    convert(&[("small", &fastq(25, 1, false))], &store, &small).unwrap();
    store
}

fn flip_every_byte(layout: Layout) {
    let store = small_dataset(layout);
    assert_eq!(answers(&store).unwrap().2, ["run:1:5:19"]);
    flip_bytes(&store, 1, answers);
}

#[test]
fn test_every_flipped_byte_of_plain_is_noticed_or_harmless() {
    flip_every_byte(Layout::Plain);
}

#[test]
fn test_every_flipped_byte_of_compact_is_noticed_or_harmless() {
    flip_every_byte(Layout::Compact);
}

#[test]
fn test_missing_chunk_is_an_error_and_not_fewer_reads() {
    let store = small_dataset(Layout::Plain);
    for chunk in Dataset::open(&store, At::Newest).unwrap().chunks().unwrap().iter() {
        let bytes = store.get(&chunk.path).unwrap();
        store.delete(std::slice::from_ref(&chunk.path)).unwrap();
        let error = export(&store, false).unwrap_err();
        assert!(error.to_string().contains(&chunk.path), "{error}");
        store.put(&chunk.path, bytes).unwrap();
    }
}

#[test]
fn test_verify_finds_damage_that_no_query_met() {
    let store = small_dataset(Layout::Plain);
    let open = || Dataset::open(&store, At::Newest).unwrap();
    assert!(verify(&open(), 2, None).unwrap().problems.is_empty());
    let chunk = open().chunks().unwrap()[0].path.clone();
    let mut bytes = store.get(&chunk).unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    store.put(&chunk, bytes.into()).unwrap();
    assert!(export(&store, false).is_ok());
    let report = verify(&open(), 2, None).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!(report.problems[0].path, chunk);
}
