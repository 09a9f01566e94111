//! Bad input: a clear error, and nothing visible at the output. Later formats join by [`check`].

use genomic_objects::dataset::Dataset;
use genomic_objects::error::ErrorKind;

use super::*;

/// What is wrong with these lies between records, which are kept as they are.
const ACCEPTED: [&str; 5] = [
    "10.quickcheck.notargets.bam",
    "htsjdk_invalid_mate_cigar_string.sam",
    "picard_grouped-unpaired-mate.sam",
    "picard_missing-rg-info.sam",
    "picard_sorted-pair-missing-rg.sam",
];

/// Converts, and makes sure that either all is there or nothing is visible.
fn check(name: &str, convert: impl FnOnce(&Store) -> Result<()>) -> Result<()> {
    let store = Store::in_memory();
    let result = convert(&store);
    assert_eq!(Dataset::find(&store).unwrap().is_some(), result.is_ok(), "{name}");
    if let Err(error) = &result {
        let text = error.to_string();
        assert!(text.contains(name), "the error does not name {name}: {text}");
        assert!(store.list("").unwrap().is_empty(), "{name} left objects behind");
    }
    result
}

fn convert_bytes(name: &str, bytes: &[u8]) -> Result<()> {
    let bytes = std::io::Cursor::new(bytes.to_vec());
    check(name, |store| {
        convert(source_of(name, bytes, None)?.as_mut(), store, &options()).map(|_| ())
    })
}

#[test]
fn test_malformed_files_are_refused() {
    let Some(data) = data() else { return };
    let mut seen = 0;
    for folder in ["bam", "sam", "sam/hts-specs", "cram"] {
        for entry in std::fs::read_dir(data.join("malformed").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() || !is_good(&path) {
                continue;
            }
            seen += 1;
            let outcome = convert_bytes(&name, &std::fs::read(&path).unwrap());
            assert_eq!(outcome.is_ok(), ACCEPTED.contains(&name.as_str()), "{name}: {outcome:?}");
        }
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn test_cut_flipped_and_foreign_files_are_refused_or_kept_whole() {
    let Some(data) = data() else { return };
    let path = data.join("alignments/deep_coverage.bam");
    let good = std::fs::read(&path).unwrap();
    for part in 0..50 {
        let cut = &good[..good.len() * part / 50];
        let error = convert_bytes("cut.bam", cut).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{part}/50: {error}");
    }
    let mut choices = Choices(3);
    for _ in 0..150 {
        let mut flipped = good.clone();
        let at = choices.below(flipped.len() as u64) as usize;
        flipped[at] ^= 1 << choices.below(8);
        // A flip in a gzip header that no reader looks at changes nothing.
        let _ = convert_bytes("flipped.bam", &flipped);
    }
    for (name, bytes) in [
        ("empty.bam", &b""[..]),
        ("x.vcf", b"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"),
        ("x.fastq", b"@r\nACGT\n+\nIIII\n"),
        ("x.png", b"\x89PNG\r\n\x1a\n\0\0"),
    ] {
        let error = convert_bytes(name, bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    }
}

#[test]
fn test_cram_without_its_reference_says_which_is_missing() {
    let Some(data) = data() else { return };
    let bytes = std::fs::read(data.join("alignments/ecoli_pe_se.cram")).unwrap();
    let error = convert_bytes("ecoli_pe_se.cram", &bytes).unwrap_err();
    assert!(error.to_string().contains("--reference"), "{error}");
}

#[test]
fn test_existing_dataset_is_refused_or_gets_a_new_version() {
    let Some(data) = data() else { return };
    let store = Store::in_memory();
    let file = |name: &str| data.join("alignments").join(name);
    let first = file("deep_coverage.bam");
    convert(open_file(&first).unwrap().as_mut(), &store, &options()).unwrap();
    let before = query(&store, &Places::default()).unwrap();
    let second = file("hts-specs-sam/pos.pass.sam");
    let again = convert(open_file(&second).unwrap().as_mut(), &store, &options()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists, "{again}");
    assert!(again.to_string().contains("--overwrite"), "{again}");
    assert!(same(&query(&store, &Places::default()).unwrap(), &before));

    let transaction = TransactionId::from_bytes([9; 16]);
    let replacing = WriteOptions { change: Change::Overwrite, transaction, ..options() };
    let summary = convert(open_file(&second).unwrap().as_mut(), &store, &replacing).unwrap();
    assert_eq!(summary.dataset_version, 2);
    let reader = Reader::open(&store, At::Version(1), &Places::default()).unwrap();
    let old = reader.query(&Query::default(), |_| Ok(())).unwrap();
    assert_eq!(old.records as usize, before.len());
}
