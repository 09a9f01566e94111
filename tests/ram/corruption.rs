//! No flipped byte passes.

use genomic_objects::dataset::Dataset;
use genomic_objects::ram::depths;
use genomic_objects::ram::vcf;
use genomic_objects::ram::verify::verify;

use super::*;

type Answers = (Vec<u8>, String, String, Vec<u8>, Vec<u8>);

/// What a dataset can answer.
fn answers(store: &Store) -> Result<Answers> {
    let open = |content| Reader::open(store, At::Newest, content, &request(&["chr1"], &[]));
    let options = depths::Options { format: depths::Format::Bed, window: None, summed: false };
    let (mut coverage, mut sites) = (Vec::new(), Vec::new());
    depths::write(&open(Content::Coverage)?, &options, 1, None, |text| {
        coverage.extend_from_slice(&text);
        Ok(())
    })?;
    vcf::write(&open(Content::Sites)?, 1, None, |text| {
        sites.extend_from_slice(&text);
        Ok(())
    })?;
    let details = format!("{:?}", open(Content::Alignments)?.details());
    Ok((exported(store, "s1")?, query(store, &["chr1:900-1100"], &[])?.0, details, coverage, sites))
}

/// Two contigs that share a region, and reads without a place.
fn small_dataset() -> Store {
    let store = Store::in_memory();
    let cohort = cohort(2, 12);
    let options = WriteOptions { region_size: 60_000, ..small() };
    convert_with(&files(&cohort), Some(&fasta()), &store, &options).unwrap();
    store
}

#[test]
fn test_every_flipped_byte_is_noticed_or_harmless() {
    support::flip_bytes(&small_dataset(), 1, answers);
}

#[test]
fn test_missing_chunk_is_an_error_and_not_fewer_reads() {
    let store = small_dataset();
    for chunk in Dataset::open(&store, At::Newest).unwrap().chunks().unwrap().iter() {
        if !chunk.path.contains("alignments") {
            continue;
        }
        let bytes = store.get(&chunk.path).unwrap();
        store.delete(std::slice::from_ref(&chunk.path)).unwrap();
        let error = exported(&store, "s0").unwrap_err();
        assert!(error.to_string().contains(&chunk.path), "{error}");
        store.put(&chunk.path, bytes).unwrap();
    }
}

#[test]
fn test_verify_finds_damage_that_no_query_met() {
    let store = small_dataset();
    let open = || Dataset::open(&store, At::Newest).unwrap();
    let report = verify(&open(), 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chunk = open().chunks().unwrap()[0].path.clone();
    let mut bytes = store.get(&chunk).unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    store.put(&chunk, bytes.into()).unwrap();
    let report = verify(&open(), 2, None).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!(report.problems[0].path, chunk);
}
