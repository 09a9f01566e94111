//! Bad input: a clear error that names the file, and nothing visible at the output.

use genomic_objects::dataset::Dataset;
use genomic_objects::error::ErrorKind;

use super::*;

fn refused(given: &[(&str, &[u8])]) -> String {
    let store = Store::in_memory();
    let error = convert(given, &store, &small()).unwrap_err();
    assert!(Dataset::find(&store).unwrap().is_none());
    assert!(store.list("").unwrap().is_empty(), "objects are left behind");
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    error.to_string()
}

#[test]
fn test_a_file_that_fails_midway_is_named_and_nothing_is_committed() {
    let cohort = cohort(6, 100);
    let mut given = files(&cohort);
    let broken = cohort[3].1.replace("p7\t", "p7\tno number\t");
    given[3].1 = broken.as_bytes();
    assert!(refused(&given).contains("s3.sam"));
    given[3].1 = b"##fileformat=VCFv4.3\n";
    assert!(refused(&given).contains("s3.sam"));
    given[3].1 = b"";
    assert!(refused(&given).contains("s3.sam"));
}

#[test]
fn test_order_that_the_header_lies_about_is_refused() {
    let text = sam("a", 50, 1);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with('p')).unwrap();
    let mut swapped = lines.clone();
    swapped.swap(at, at + 60);
    let swapped = swapped.join("\n") + "\n";
    assert!(refused(&[("a.sam", swapped.as_bytes())]).contains("SO:coordinate"));
}

#[test]
fn test_names_of_samples_are_found_or_asked_for() {
    let one = sam("a", 5, 1);
    let twice = refused(&[("a.sam", one.as_bytes()), ("b.sam", one.as_bytes())]);
    assert!(twice.contains("there twice") && twice.contains("b.sam"), "{twice}");
    let none = one.replace("@RG\tID:a\tSM:a\n", "");
    assert!(refused(&[("a.sam", none.as_bytes())]).contains("no @RG line"));
    let two = one.replace("SM:a\n", "SM:a\n@RG\tID:b\tSM:b\n");
    assert!(refused(&[("a.sam", two.as_bytes())]).contains("several samples"));
}

#[test]
fn test_contradictory_dictionaries_are_refused() {
    let (one, two) = (sam("a", 5, 1), sam("b", 5, 1).replace("LN:12000", "LN:12001"));
    let error = refused(&[("a.sam", one.as_bytes()), ("b.sam", two.as_bytes())]);
    assert!(error.contains("another length") && error.contains("b.sam"), "{error}");
}

#[test]
fn test_existing_dataset_is_refused_or_gets_a_new_version() {
    let cohort = cohort(2, 20);
    let store = Store::in_memory();
    convert(&files(&cohort[..1]), &store, &small()).unwrap();
    let again = convert(&files(&cohort[1..]), &store, &small()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists, "{again}");
    let transaction = TransactionId::from_bytes([9; 16]);
    let replacing = WriteOptions { overwrite: true, transaction, ..small() };
    let summary = convert(&files(&cohort[1..]), &store, &replacing).unwrap();
    assert_eq!((summary.dataset_version, summary.samples), (2, 1));
    let reader = Reader::open(&store, At::Newest, Content::Alignments, &Request::default());
    assert_eq!(reader.unwrap().samples(), ["s1"]);
    let adding = WriteOptions { add: true, ..small() };
    let error = convert(&files(&cohort), &Store::in_memory(), &adding).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn test_unknown_samples_and_regions_are_refused() {
    let cohort = cohort(2, 20);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    let error = query(&store, &[], &["nobody"]).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("s0"), "{error}");
    assert!(query(&store, &["chr9"], &[]).is_err());
    let reader =
        Reader::open(&store, At::Newest, Content::Alignments, &Request::default()).unwrap();
    let error = Writer::new(&reader, Format::Sam).write(1, Some(10), |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("--max-bytes"), "{error}");
}
