//! Bad input: a clear error, and nothing visible at the output; or all of it, exactly.

use genomic_objects::dataset::Dataset;
use genomic_objects::error::{ErrorKind, Result};

use super::*;
use crate::engines::cohort;
use crate::roundtrip::export;

/// Converts, and makes sure that either all is there or nothing is visible.
fn check(name: &str, bytes: &[u8]) -> Result<Store> {
    let store = Store::in_memory();
    let result = convert(name, bytes, &store, &options());
    assert_eq!(Dataset::find(&store).unwrap().is_some(), result.is_ok(), "{name}");
    if let Err(error) = &result {
        let text = error.to_string();
        assert!(text.contains(name), "the error does not name {name}: {text}");
        assert!(store.list("").unwrap().is_empty(), "{name} left objects behind");
    }
    result.map(|_| store)
}

/// The malformed files of the corpora, each with the name of its folder, in order of names.
pub(crate) fn malformed_files(data: &Path) -> Vec<(&'static str, PathBuf)> {
    let folders = ["bcf", "gvcf", "vcf", "vcf/ebi-4.4", "vcf/hts-specs-4.2", "vcf/hts-specs-4.3"];
    let mut files = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(data.join("malformed").join(folder)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        let is_gvcf = |path: &Path| path.extension().is_some_and(|extension| extension == "gvcf");
        paths.retain(|path| !path.is_dir() && (is_variants(path) || is_gvcf(path)));
        paths.sort();
        files.extend(paths.into_iter().map(|path| (folder, path)));
    }
    files
}

#[test]
fn test_malformed_files_are_refused_or_come_back_whole() {
    let Some(data) = corpus::require() else { return };
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for (folder, path) in malformed_files(&data) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        match check(&name, &bytes) {
            Ok(store) => {
                let text = match bytes.starts_with(&[0x1f, 0x8b]) {
                    true => testkit::oracle::gunzip(&bytes).unwrap(),
                    false => bytes,
                };
                // What stands for a BCF is compared with bcftools elsewhere.
                assert!(folder == "bcf" || export(&store) == text, "{name} was changed");
                accepted.push(format!("{folder}/{name}"));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Input, "{name}: {error}");
                refused.push(format!("{folder}/{name}: {error}"));
            }
        }
    }
    println!("accepted {}:\n{}", accepted.len(), accepted.join("\n"));
    println!("refused {}:\n{}", refused.len(), refused.join("\n"));
    assert!(accepted.len() + refused.len() > 400);
}

#[test]
fn test_cut_and_flipped_files_are_refused_or_kept_whole() {
    let text = cohort(3, 40);
    for part in 0..60 {
        let cut = &text[..text.len() * part / 60];
        if let Ok(store) = check("cut.vcf", cut) {
            assert!(export(&store) == cut, "{part}/60");
        }
    }
    let mut choices = Choices(3);
    for _ in 0..300 {
        let mut flipped = text.clone();
        let at = choices.below(flipped.len() as u64) as usize;
        flipped[at] ^= 1 << choices.below(8);
        if let Ok(store) = check("flipped.vcf", &flipped) {
            assert!(export(&store) == flipped, "byte {at}");
        }
    }
}

#[test]
fn test_unsorted_input_is_sorted_and_comes_back_as_it_was() {
    let text = String::from_utf8(cohort(3, 200)).unwrap();
    let (header, body): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with('#'));
    let mut body = body;
    let mut choices = Choices(9);
    for at in (1..body.len()).rev() {
        body.swap(at, choices.below(at as u64 + 1) as usize);
    }
    let shuffled = [header, body].concat().join("\n") + "\n";
    for sort in [false, true] {
        let store = Store::in_memory();
        let sorting = WriteOptions { sort, row_group_rows: 64, ..options() };
        let summary = convert("shuffled.vcf", shuffled.as_bytes(), &store, &sorting).unwrap();
        assert!(summary.reordered);
        assert!(export(&store) == shuffled.as_bytes());
        let text = lines(&store, &regions(&["X"])).unwrap().0;
        let positions: Vec<u64> = String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.split('\t').nth(1).unwrap().parse().unwrap())
            .collect();
        assert!(!positions.is_empty() && positions.is_sorted());
        // The first attempt left nothing behind.
        let dataset = Dataset::open(&store, At::Newest).unwrap();
        let live = dataset.files().unwrap().len() + 2;
        assert_eq!(store.list("").unwrap().len(), live);
    }
}

#[test]
fn test_existing_dataset_is_refused_or_gets_a_new_version() {
    let store = Store::in_memory();
    convert("first", &cohort(3, 5), &store, &options()).unwrap();
    let before = lines(&store, &Places::default()).unwrap().0;
    let again = convert("second", &cohort(70, 5), &store, &options()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists, "{again}");
    let transaction = genomic_objects::dataset::TransactionId::from_bytes([9; 16]);
    let replacing = WriteOptions { change: Change::Overwrite, transaction, ..options() };
    assert_eq!(convert("second", &cohort(70, 5), &store, &replacing).unwrap().dataset_version, 2);
    let reader = Reader::open(&store, At::Version(1), &Places::default()).unwrap();
    assert_eq!(reader.schema().samples.len(), 3);
    assert_ne!(lines(&store, &Places::default()).unwrap().0, before);
}

#[test]
fn test_empty_inputs_are_refused_or_empty() {
    let store = check(
        "only-header.vcf",
        b"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    )
    .unwrap();
    assert_eq!(lines(&store, &Places::default()).unwrap().1.records, 0);
    for (name, bytes) in [
        ("empty.vcf", &b""[..]),
        ("x.fastq", b"@r\nACGT\n+\nIIII\n"),
        ("x.png", b"\x89PNG\r\n\x1a\n\0\0"),
    ] {
        assert_eq!(check(name, bytes).unwrap_err().kind(), ErrorKind::Input, "{name}");
    }
}
