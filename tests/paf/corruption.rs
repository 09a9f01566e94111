//! No flipped byte passes.

use genomic_objects::dataset::Dataset;
use genomic_objects::paf::manifest::Details;
use genomic_objects::simulate::{Alignments, SimulateOptions};

use super::*;

/// Everything a dataset can answer.
fn answers(store: &Store) -> Result<(Vec<u8>, RecordBatch, RecordBatch, String, String)> {
    let dataset = Dataset::open(store, At::Newest)?;
    let details = Details::read(dataset.manifest())?;
    let reader = Reader::open(store, At::Newest, &Places::default())?;
    Ok((
        reader.header().text().to_vec(),
        query(store, &Places::default())?,
        query(store, &regions(&["chr1:1-2000"]))?,
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
    let store = small_dataset();
    let truth = answers(&store).unwrap();
    let objects = store.list("").unwrap();
    assert!(objects.len() >= 4);
    for object in objects {
        let bytes = store.get(&object.key).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            store.put(&object.key, damaged.into()).unwrap();
            match answers(&store) {
                Ok(answers) => {
                    let same = answers.0 == truth.0
                        && super::same(&answers.1, &truth.1)
                        && super::same(&answers.2, &truth.2)
                        && (&answers.3, &answers.4) == (&truth.3, &truth.4);
                    assert!(same, "{} byte {at}", object.key);
                }
                Err(error) => {
                    let folder = object.key.split('/').next().unwrap();
                    let text = error.to_string();
                    assert!(
                        text.contains(folder) || text.contains('_'),
                        "{} {at}: {text}",
                        object.key
                    );
                }
            }
        }
        store.put(&object.key, bytes).unwrap();
    }
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
