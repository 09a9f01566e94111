//! Bad input: a clear error, and nothing visible at the output; or all of it, exactly.

use genomic_objects::dataset::Dataset;
use genomic_objects::error::ErrorKind;
use testkit::corpus;

use super::*;

/// Converts, and makes sure that either all is there or nothing is visible.
fn check(files: &[(&str, &[u8])]) -> Result<Store> {
    let store = Store::in_memory();
    let result = convert(files, &store, &options(Layout::Plain));
    assert_eq!(Dataset::find(&store).unwrap().is_some(), result.is_ok());
    if let Err(error) = &result {
        let text = error.to_string();
        assert!(files.iter().any(|(name, _)| text.contains(name)), "no file is named: {text}");
        assert!(store.list("").unwrap().is_empty(), "objects are left behind");
    }
    result.map(|_| store)
}

#[test]
fn test_malformed_files_are_refused_with_record_and_line() {
    let Some(data) = corpus::require() else { return };
    let mut count = 0;
    for folder in ["malformed/fastq", "malformed/fastq/quality_suite", "malformed/fasta"] {
        for path in corpus::files(data.join(folder), "") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap();
            match check(&[(&name, &bytes)]) {
                // What some readers of FASTA refuse is a sequence like any other here.
                Ok(store) if folder == "malformed/fasta" => {
                    assert!(export(&store, false).unwrap() == [bytes], "{name}");
                }
                Ok(_) => panic!("{name} was accepted"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Input, "{name}: {error}");
                    let text = error.to_string();
                    let is_placed = text.contains("record ") && text.contains("line ");
                    assert!(
                        is_placed || name.ends_with(".gz") || folder == "malformed/fasta",
                        "{text}"
                    );
                    assert!(error.help_text().is_some(), "{text}");
                }
            }
            count += 1;
        }
    }
    assert!(count >= 22, "{count} files");
}

#[test]
fn test_cut_and_flipped_files_are_refused_or_kept_whole() {
    let text = fastq(40, 5, false);
    for part in 0..60 {
        let cut = &text[..text.len() * part / 60];
        if let Ok(store) = check(&[("cut.fastq", cut)]) {
            assert!(export(&store, false).unwrap() == [cut], "{part}/60");
        }
    }
    let mut choices = Choices(3);
    for _ in 0..300 {
        let mut flipped = text.clone();
        let at = choices.below(flipped.len() as u64) as usize;
        flipped[at] ^= 1 << choices.below(8);
        if let Ok(store) = check(&[("flipped.fastq", &flipped)]) {
            assert!(export(&store, false).unwrap() == [flipped], "byte {at}");
        }
    }
}

#[test]
fn test_cut_and_flipped_gzip_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &fastq(200, 5, false)).unwrap();
    let gz = encoder.finish().unwrap();
    for part in 0..50 {
        let cut = &gz[..gz.len() * part / 50];
        assert!(check(&[("cut.fastq.gz", cut)]).is_err(), "{part}/50");
    }
    let error = check(&[("cut.fastq.gz", &gz[..gz.len() / 2])]).unwrap_err().to_string();
    let (_, rest) = error.split_once("after record ").unwrap();
    let numbers: Vec<u64> =
        rest.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse).collect();
    assert!((80..120).contains(&numbers[0]) && numbers[1] == 4 * numbers[0] + 1, "{error}");
    for at in (20..gz.len()).step_by(gz.len() / 60) {
        let mut flipped = gz.clone();
        flipped[at] ^= 1;
        assert!(check(&[("flipped.fastq.gz", &flipped)]).is_err(), "byte {at}");
    }
}

#[test]
fn test_files_that_are_no_pair_are_refused() {
    let (one, two) = (fastq(30, 1, true), fastq(29, 2, true));
    let error = check(&[("a_R1", &one), ("a_R2", &two)]).unwrap_err().to_string();
    assert!(error.contains("a_R2 ends after record 29") && error.contains("record 30"), "{error}");
    assert!(check(&[("a_R1", &two), ("a_R2", &one)]).is_err());
    let other = String::from_utf8(one.clone()).unwrap().replace(":5:19 ", ":5:91 ");
    let error = check(&[("a_R1", &one), ("a_R2", other.as_bytes())]).unwrap_err().to_string();
    assert!(error.contains("record 20, line 77") && error.contains("different names"), "{error}");
    let store = Store::in_memory();
    let interleaved = WriteOptions { interleaved: true, ..options(Layout::Plain) };
    let odd =
        convert(&[("odd", &b"@a\nA\n+\nI\n@a\nA\n+\nI\n@b\nA\n+\nI\n"[..])], &store, &interleaved);
    assert!(odd.unwrap_err().to_string().contains("record 3, line 9"));
}

#[test]
fn test_existing_dataset_is_refused_or_gets_a_new_version() {
    let store = Store::in_memory();
    let plain = options(Layout::Plain);
    convert(&[("first", &fastq(10, 1, true))], &store, &plain).unwrap();
    let again = convert(&[("second", &fastq(20, 1, true))], &store, &plain).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists, "{again}");
    let transaction = TransactionId::from_bytes([9; 16]);
    let replacing = WriteOptions { change: Change::Overwrite, transaction, ..plain };
    let summary = convert(&[("second", &fastq(20, 1, true))], &store, &replacing).unwrap();
    assert_eq!((summary.dataset_version, summary.reads), (2, 20));
    assert_eq!(query(&store, Selection::All, Filter::default()).unwrap().0.len(), 20);
}

#[test]
fn test_empty_and_foreign_files_are_refused() {
    for (name, bytes) in
        [("empty.fastq", &b""[..]), ("x.vcf", b"##fileformat=VCFv4.3\n"), ("x.png", b"\x89PNG\r\n")]
    {
        let error = check(&[(name, bytes)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{name}: {error}");
    }
}
