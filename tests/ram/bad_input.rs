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
fn test_contradictory_md5_is_refused_and_a_missing_one_is_none() {
    let with = |sample: &str, md5: &str| {
        sam(sample, 5, 1).replace("LN:12000\n", &format!("LN:12000\tM5:{md5}\n"))
    };
    let (one, other) = (with("a", &"0".repeat(32)), with("b", &"1".repeat(32)));
    let error = refused(&[("a.sam", one.as_bytes()), ("b.sam", other.as_bytes())]);
    assert!(error.contains("chr2") && error.contains("another MD5"), "{error}");
    assert!(error.contains("b.sam") && error.contains("align it again"), "{error}");
    let without = sam("c", 5, 1);
    let store = Store::in_memory();
    let given = [("a.sam", one.as_bytes()), ("c.sam", without.as_bytes())];
    convert(&given, &store, &small()).unwrap();
}

#[test]
fn test_read_groups_of_one_id_stay_those_of_their_samples() {
    // Both samples call their read group x, one of them has two of its own.
    let renamed = |sample: &str, more: &str| {
        let text = sam(sample, 20, 1).replace(&format!("ID:{sample}"), "ID:x");
        let text = text.replace(&format!("RG:Z:{sample}"), "RG:Z:x");
        text.replace(&format!("SM:{sample}\n"), &format!("SM:{sample}\n{more}"))
    };
    let texts = [renamed("a", "@RG\tID:y\tSM:a\n"), renamed("b", "")];
    let store = Store::in_memory();
    let given = [("a.sam", texts[0].as_bytes()), ("b.sam", texts[1].as_bytes())];
    convert(&given, &store, &small()).unwrap();
    for (sample, text) in ["a", "b"].iter().zip(&texts) {
        assert!(exported(&store, sample).unwrap() == text.as_bytes(), "{sample}");
        let lines = query(&store, &["chr1"], &[sample]).unwrap().0;
        assert!(lines.lines().all(|line| line.contains("\tRG:Z:x\t")), "{lines}");
    }
    // Of both together, each line says whose it is.
    let lines = query(&store, &["chr1"], &[]).unwrap().0;
    let of = |sample: &str| {
        lines.lines().filter(|line| line.ends_with(&format!("\tsI:Z:{sample}"))).count()
    };
    assert!(of("a") > 0 && of("b") > 0 && of("a") + of("b") == lines.lines().count());
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
