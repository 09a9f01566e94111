//! No flipped byte passes.

use genomic_objects::dataset::Dataset;
use genomic_objects::paf::manifest::Details;
use genomic_objects::simulate::{Alignments, SimulateOptions};

use super::*;
use crate::support::flip_bytes;

/// A header, records, and two texts.
type Answers = (Vec<u8>, Vec<Vec<u8>>, String, String);

/// Everything a dataset can answer.
fn answers(store: &Store) -> Result<Answers> {
    let dataset = Dataset::open(store, At::Newest)?;
    let details = Details::read(dataset.manifest())?;
    let reader = Reader::open(store, At::Newest, &Places::default())?;
    Ok((
        reader.header().text().to_vec(),
        [Places::default(), regions(&["chr1:1-2000"])]
            .map(|places| query(store, &places))
            .into_iter()
            .map(|found| Ok(found?.all_bytes().to_vec()))
            .collect::<Result<Vec<_>>>()?,
        details.flagstat()?.text(),
        details.contig_counts().text(&details.dictionary()?),
    ))
}

fn small_dataset() -> Store {
    let store = Store::in_memory();
    let options = SimulateOptions { reads: 60, ..Default::default() };
    convert(&mut Alignments::new(options).unwrap(), &store, &super::options()).unwrap();
    store
}

#[test]
fn test_every_flipped_byte_is_noticed_or_harmless() {
    flip_bytes(&small_dataset(), 1, answers);
}

#[test]
fn test_missing_chunk_is_an_error_and_not_fewer_reads() {
    let store = small_dataset();
    let chunk = Dataset::open(&store, At::Newest).unwrap().chunks().unwrap()[0].path.clone();
    store.delete(std::slice::from_ref(&chunk)).unwrap();
    let error = query(&store, &Places::default()).unwrap_err();
    assert!(error.to_string().contains(&chunk), "{error}");
}

#[test]
fn test_verify_finds_damage_that_no_query_met() {
    let store = small_dataset();
    let open = || Dataset::open(&store, At::Newest).unwrap();
    let report = genomic_objects::paf::verify::verify(&open(), 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chunk = open().chunks().unwrap()[0].path.clone();
    let mut bytes = store.get(&chunk).unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    store.put(&chunk, bytes.into()).unwrap();
    let report = genomic_objects::paf::verify::verify(&open(), 2, None).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!(report.problems[0].path, chunk);
}
