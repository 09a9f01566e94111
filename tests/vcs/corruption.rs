//! No flipped byte passes.

use genomic_objects::dataset::Dataset;
use genomic_objects::vcs::table::TableFormat;
use genomic_objects::vcs::verify::verify;

use super::*;
use crate::engines::cohort;
use crate::support::flip_bytes;

/// Everything a dataset can answer.
fn answers(store: &Store) -> Result<Vec<Vec<u8>>> {
    let reader = Reader::open(store, At::Newest, &Places::default())?;
    let details = reader.details();
    let facts = format!("{} {:?} {:?}", details.variant_count, details.contigs, details.statistics);
    Ok(vec![
        reader.schema().header.clone(),
        lines(store, &Places::default())?.0,
        lines(store, &regions(&["X:1-3000"]))?.0,
        table(store, TableFormat::Tsv)?,
        facts.into_bytes(),
    ])
}

fn small_dataset(samples: usize) -> Store {
    let store = Store::in_memory();
    convert("small", &cohort(samples, 3), &store, &options()).unwrap();
    store
}

#[test]
fn test_every_flipped_byte_is_noticed_or_harmless() {
    // Columns of their own, and blocks.
    for (samples, step) in [(1, 1), (65, 7)] {
        flip_bytes(&small_dataset(samples), step, answers);
    }
}

#[test]
fn test_missing_part_is_an_error_and_not_fewer_variants() {
    let store = small_dataset(65);
    for chunk in Dataset::open(&store, At::Newest).unwrap().chunks().unwrap().iter() {
        let bytes = store.get(&chunk.path).unwrap();
        store.delete(std::slice::from_ref(&chunk.path)).unwrap();
        let error = lines(&store, &Places::default()).unwrap_err();
        assert!(error.to_string().contains(&chunk.path), "{error}");
        store.put(&chunk.path, bytes).unwrap();
    }
}

#[test]
fn test_verify_finds_damage_that_no_query_met() {
    let store = small_dataset(65);
    let open = || Dataset::open(&store, At::Newest).unwrap();
    let report = verify(&open(), 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chunk = open().chunks().unwrap()[0].path.clone();
    let mut bytes = store.get(&chunk).unwrap().to_vec();
    // The magic at the end, which only other engines look at.
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    store.put(&chunk, bytes.into()).unwrap();
    assert_eq!(lines(&store, &Places::default()).unwrap().1.records, 3);
    let report = verify(&open(), 2, None).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!(report.problems[0].path, chunk);
}
