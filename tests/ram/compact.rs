//! Joined layers answer as they did apart, and are what one conversion would have made.

use std::collections::BTreeMap;

use genomic_objects::dataset::Dataset;
use genomic_objects::ram::compact::{CompactOptions, compact};
use genomic_objects::ram::verify::verify;
use genomic_objects::ram::{depths, vcf};

use super::*;

fn token(number: u8) -> TransactionId {
    TransactionId::from_bytes([number; 16])
}

fn joining(dry_run: bool) -> CompactOptions {
    CompactOptions {
        threads: 2,
        memory: 1 << 22,
        temp_dir: None,
        dry_run,
        created: "2026-01-02T00:00:00Z".into(),
        transaction: token(99),
    }
}

/// Four samples, brought in two at first and then one by one, the last without a reference.
fn layered(cohort: &[(String, String)], store: &Store, options: &WriteOptions) {
    convert_with(&files(&cohort[..2]), Some(&fasta()), store, options).unwrap();
    for (number, reference) in [(2, Some(fasta())), (3, None)] {
        let transaction = token(10 + number as u8);
        let adding = WriteOptions { add: true, transaction, ..options.clone() };
        convert_with(&files(&cohort[number..=number]), reference.as_deref(), store, &adding)
            .unwrap();
    }
}

/// All that can be asked: samples, headers, regions, coverage and sites.
fn answers(store: &Store) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        (0..4).map(|number| exported(store, &format!("s{number}")).unwrap()).collect();
    for region in ["chr1:6,900-7,100", "chr2", "*"] {
        all.extend(["s0", "s2", "s3"].map(|s| query(store, &[region], &[s]).unwrap().0.into()));
        let mut lines: Vec<String> =
            query(store, &[region], &[]).unwrap().0.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        all.push(lines.join("\n").into());
    }
    let open = |content, samples: &[&str]| {
        Reader::open(store, At::Newest, content, &request(&[], samples)).unwrap()
    };
    let options = depths::Options { format: depths::Format::Bed, window: None, summed: false };
    for samples in [&[][..], &["s1", "s3"]] {
        let (mut coverage, mut sites) = (Vec::new(), Vec::new());
        depths::write(&open(Content::Coverage, samples), &options, 2, None, |text| {
            coverage.extend(text);
            Ok(())
        })
        .unwrap();
        vcf::write(&open(Content::Sites, samples), 2, None, |text| {
            sites.extend(text);
            Ok(())
        })
        .unwrap();
        all.extend([coverage, sites]);
    }
    // Not looked at is not the same as like the reference.
    let error = vcf::write(&open(Content::Sites, &["s3"]), 2, None, |_| Ok(())).unwrap_err();
    all.push(error.to_string().into());
    all
}

/// Arrow files by their names without tokens.
fn arrow_files(store: &Store, token: &str) -> BTreeMap<String, Vec<u8>> {
    let objects = store.list("regions").unwrap().into_iter();
    let of_token = objects.filter(|o| o.key.ends_with(&format!(".{token}.arrow")));
    of_token.map(|o| (o.key.replace(token, ""), store.get(&o.key).unwrap().to_vec())).collect()
}

#[test]
fn test_joined_layers_answer_as_before() {
    let cohort = cohort(4, 700);
    for options in [small(), options()] {
        let store = Store::in_memory();
        layered(&cohort, &store, &options);
        let before = answers(&store);
        let keys: Vec<String> = store.list("").unwrap().into_iter().map(|o| o.key).collect();
        let planned = compact(&store, &joining(true), &Arc::default()).unwrap();
        assert_eq!(store.list("").unwrap().len(), keys.len(), "a dry run wrote something");
        let done = compact(&store, &joining(false), &Arc::default()).unwrap();
        let (planned, written) = (planned.written.unwrap(), done.written.unwrap());
        assert_eq!((written.dataset_version, written.samples, done.layers_before), (4, 4, 3));
        assert_eq!(Summary { dataset_version: 4, ..planned }, written);
        assert!(written.objects < done.objects_before);
        assert!(answers(&store) == before, "the answers are other ones");
        let dataset = Dataset::open(&store, At::Newest).unwrap();
        let report = verify(&dataset, 2, None).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let old = Reader::open(&store, At::Version(3), Content::Alignments, &request(&[], &[]));
        assert_eq!(old.unwrap().samples(), ["s0", "s1", "s2", "s3"]);
        let again = compact(&store, &joining(false), &Arc::default()).unwrap();
        assert_eq!(again.written, None, "there is nothing left to join");
    }
}

#[test]
fn test_joined_layers_are_what_one_conversion_makes() {
    let cohort = cohort(4, 300);
    let (store, whole) = (Store::in_memory(), Store::in_memory());
    convert(&files(&cohort[..1]), &store, &small()).unwrap();
    let adding = WriteOptions { add: true, transaction: token(11), ..small() };
    convert(&files(&cohort[1..]), &store, &adding).unwrap();
    compact(&store, &joining(false), &Arc::default()).unwrap();
    convert(&files(&cohort), &whole, &small()).unwrap();
    let (joined, at_once) =
        (arrow_files(&store, &token(99).token()), arrow_files(&whole, &token(7).token()));
    assert!(!joined.is_empty() && joined == at_once);
}

#[test]
fn test_what_is_no_cohort_is_not_joined() {
    let error = compact(&Store::in_memory(), &joining(false), &Arc::default()).unwrap_err();
    assert!(error.to_string().contains("no dataset"), "{error}");
}
