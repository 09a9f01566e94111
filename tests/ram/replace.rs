//! A sample done again: as if its file had always been the new one; earlier versions stay.

use genomic_objects::dataset::{self, Dataset, GcOptions, Operation};
use genomic_objects::error::ErrorKind;
use genomic_objects::ram::vcf;
use genomic_objects::ram::verify::verify;

use super::*;

fn token(number: u8) -> TransactionId {
    TransactionId::from_bytes([number; 16])
}

fn replacing(names: &[&str], number: u8) -> WriteOptions {
    let replace = names.iter().map(|&name| name.to_owned()).collect();
    WriteOptions { replace, transaction: token(number), ..small() }
}

fn sites(store: &Store) -> String {
    let reader = Reader::open(store, At::Newest, Content::Sites, &request(&[], &[])).unwrap();
    let mut text = Vec::new();
    vcf::write(&reader, 2, None, |part| {
        text.extend_from_slice(&part);
        Ok(())
    })
    .unwrap();
    String::from_utf8(text).unwrap()
}

/// Chunks by their names without tokens.
fn arrow_files(store: &Store, token: &str) -> Vec<(String, Vec<u8>)> {
    let objects = store.list("regions").unwrap().into_iter();
    let of_token = objects.filter(|o| o.key.ends_with(&format!(".{token}.arrow")));
    of_token.map(|o| (o.key.replace(token, ""), store.get(&o.key).unwrap().to_vec())).collect()
}

fn assert_sound(store: &Store) {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(dataset::audit(store).unwrap(), [""; 0]);
}

#[test]
fn test_replaced_samples_are_as_if_converted_with_the_new_files() {
    let cohort = cohort(4, 1_500);
    // The second again, with other reads; its variants are elsewhere.
    let mut again = cohort.clone();
    again[1] = ("again.sam".into(), sam("s1", 1_400, 77));
    again[2] = ("again2.sam".into(), sam("s2", 1_300, 78));
    for names in [&["s1"][..], &["s2", "s1"]] {
        let (store, fresh) = (Store::in_memory(), Store::in_memory());
        convert_with(&files(&cohort), Some(&fasta()), &store, &small()).unwrap();
        let before = [exported(&store, "s0").unwrap(), exported(&store, "s1").unwrap()];
        let number = |name: &&str| name[1..].parse::<usize>().unwrap();
        let inputs: Vec<(String, String)> =
            names.iter().map(|n| again[number(n)].clone()).collect();
        let mut expected = cohort.clone();
        names.iter().for_each(|n| expected[number(n)] = again[number(n)].clone());
        let options = replacing(names, 9);
        let done = convert_with(&files(&inputs), Some(&fasta()), &store, &options).unwrap();
        assert_eq!((done.samples, done.dataset_version), (4, 2));
        convert_with(&files(&expected), Some(&fasta()), &fresh, &small()).unwrap();
        let (left, whole) =
            (arrow_files(&store, &token(9).token()), arrow_files(&fresh, &token(7).token()));
        assert!(!left.is_empty() && left == whole, "{names:?}");
        assert_eq!(sites(&store), sites(&fresh));
        for name in ["s0", "s1", "s2", "s3"] {
            assert_eq!(exported(&store, name).unwrap(), exported(&fresh, name).unwrap(), "{name}");
        }
        assert_sound(&store);
        let newest = Dataset::open(&store, At::Newest).unwrap();
        assert_eq!(newest.manifest().operation, Operation::Replace);
        let inputs: Vec<&str> = newest.manifest().inputs.iter().map(|i| i.name.as_str()).collect();
        assert!(!inputs.contains(&"s1.sam") && inputs.contains(&"again.sam"), "{inputs:?}");
        // History keeps the old ones.
        dataset::rollback(&store, &At::Version(1), "2026-01-03T00:00:00Z", token(20)).unwrap();
        assert_eq!([exported(&store, "s0").unwrap(), exported(&store, "s1").unwrap()], before);
    }
}

#[test]
fn test_replacing_leaves_other_layers_alone() {
    let cohort = cohort(3, 1_500);
    let store = Store::in_memory();
    convert_with(&files(&cohort[..1]), Some(&fasta()), &store, &small()).unwrap();
    let adding = WriteOptions { add: true, transaction: token(8), ..small() };
    convert_with(&files(&cohort[1..]), Some(&fasta()), &store, &adding).unwrap();
    let others = [exported(&store, "s0").unwrap(), exported(&store, "s2").unwrap()];
    let untouched = arrow_files(&store, &token(7).token());
    // Without a reference: the others keep their sites, and the new one was not looked at.
    let again = sam("s1", 1_400, 77);
    convert(&[("again.sam", again.as_bytes())], &store, &replacing(&["s1"], 9)).unwrap();
    assert_eq!([exported(&store, "s0").unwrap(), exported(&store, "s2").unwrap()], others);
    assert_eq!(exported(&store, "s1").unwrap(), again.as_bytes());
    assert!(arrow_files(&store, &token(7).token()) == untouched);
    let lines = sites(&store);
    let of_s1 =
        lines.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').nth(10).unwrap());
    let of_s1: Vec<&str> = of_s1.collect();
    assert!(of_s1.len() > 2 && of_s1.iter().all(|value| value.starts_with("./.")), "{of_s1:?}");
    assert_sound(&store);
    // What was replaced goes with its version.
    let gc = GcOptions {
        keep: Some(1),
        older_than: None,
        grace: std::time::Duration::ZERO,
        now: std::time::SystemTime::now(),
        created: "2026-01-03T00:00:00Z".into(),
        id: token(30),
        dry_run: false,
    };
    dataset::gc(&store, &gc).unwrap();
    assert_eq!(arrow_files(&store, &token(8).token()), []);
    let is_old_list = |key: &str| key.starts_with("_samples") && key.contains(&token(8).token());
    assert!(!store.list("").unwrap().iter().any(|object| is_old_list(&object.key)));
    assert_sound(&store);
    // The only sample of a layer, too.
    let again = sam("s0", 100, 79);
    convert_with(&[("z.sam", again.as_bytes())], Some(&fasta()), &store, &replacing(&["s0"], 31))
        .unwrap();
    assert_eq!(exported(&store, "s0").unwrap(), again.as_bytes());
    assert_sound(&store);
}

#[test]
fn test_replacing_what_does_not_fit_changes_nothing() {
    let cohort = cohort(2, 50);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    let keys = store.list("").unwrap();
    let again = sam("s1", 20, 77);
    for (names, file, kind, what) in [
        (&["s9"][..], again.as_str(), ErrorKind::NotFound, "one of its samples: s0, s1"),
        (&["s0"], &again, ErrorKind::Input, "is there twice"),
        (&["s0", "s1"], &again, ErrorKind::Usage, "no input is of sample \"s0\""),
        (&["s1"], "@HD\tVN:1.6\n@RG\tID:a\tSM:s1\nbroken\n", ErrorKind::Input, ""),
        (&["s1"], &again.replace("SM:s1", "SM:s7"), ErrorKind::Input, "not of a sample"),
    ] {
        let outcome = convert(&[("again.sam", file.as_bytes())], &store, &replacing(names, 9));
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(store.list("").unwrap(), keys, "{error}");
    }
    let dry = WriteOptions { dry_run: true, ..replacing(&["s1"], 9) };
    let written = convert(&[("again.sam", again.as_bytes())], &store, &dry).unwrap();
    assert_eq!((written.samples, written.dataset_version), (2, 0));
    assert_eq!(store.list("").unwrap(), keys);
}

#[test]
fn test_interrupted_replacement_leaves_the_old_version() {
    let server = testkit::s3::Server::start().unwrap();
    let cohort = cohort(2, 60);
    let again = sam("s1", 50, 77);
    let mut interrupted = 0;
    for step in (0..).step_by(2) {
        let store = support::s3_store(&server, &format!("step{step}.ram"));
        convert(&files(&cohort), &store, &options()).unwrap();
        server.die_after(Some(step));
        let replacing =
            WriteOptions { replace: vec!["s1".into()], transaction: token(9), ..options() };
        let outcome = convert(&[("again.sam", again.as_bytes())], &store, &replacing);
        server.die_after(None);
        let version = Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version;
        let expected = if version == 1 { &cohort[1].1 } else { &again };
        assert_eq!(exported(&store, "s1").unwrap(), expected.as_bytes(), "step {step}");
        assert_eq!(exported(&store, "s0").unwrap(), cohort[0].1.as_bytes(), "step {step}");
        assert_sound(&store);
        match outcome {
            Ok(written) => {
                assert_eq!(written.dataset_version, 2);
                break;
            }
            Err(error) => {
                assert!(version == 1 || error.kind() == ErrorKind::OutcomeUnknown, "{error}")
            }
        }
        interrupted += 1;
    }
    assert!(interrupted > 4, "{interrupted}");
}
