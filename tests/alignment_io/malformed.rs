//! Malformed and damaged files: refused with their place, or harmless.

use std::fs;
use std::path::Path;

use genomic_objects::records::alignments::sink::Format;
use genomic_objects::records::alignments::{SourceOptions, Validation};
use proptest::prelude::*;
use testkit::corpus;

use super::*;

/// Files of the malformed corpus in which no record and no header line is wrong.
const LEGAL: [(&str, &str); 5] = [
    ("10.quickcheck.notargets.bam", "an unaligned BAM needs no contigs"),
    ("htsjdk_invalid_mate_cigar_string.sam", "MC disagrees with another record, the mate"),
    ("picard_grouped-unpaired-mate.sam", "the mate is missing, which is another record"),
    ("picard_missing-rg-info.sam", "read groups are optional"),
    ("picard_sorted-pair-missing-rg.sam", "read groups are optional, record by record"),
];

#[test]
fn test_every_malformed_file_is_refused_with_its_place() {
    let Some(data) = corpus::require() else { return };
    let malformed = data.join("malformed");
    let mut files = corpus::files(malformed.join("bam"), ".bam");
    files.extend(corpus::files(malformed.join("cram"), "am"));
    for folder in ["sam", "sam/hts-specs"] {
        files.extend(corpus::files(malformed.join(folder), ".sam"));
    }
    assert!(files.len() > 90, "{} files", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let result = read_file(&path, &SourceOptions::default());
        if LEGAL.iter().any(|(legal, _)| *legal == name) {
            let (header, records) = result.unwrap();
            let written = write(Format::Sam, &header, &records).unwrap();
            let (again, same) = read_bytes(&name, written, &SourceOptions::default()).unwrap();
            assert!(flat(&header, &records) == flat(&again, &same), "{name}");
            continue;
        }
        let Err(error) = result else { panic!("{name} was accepted") };
        let message = error.to_string();
        println!("{message}\n");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        assert!(error.help_text().is_some(), "{message}");
        if name.ends_with(".sam") && !message.contains("is empty") {
            assert!(message.contains("line "), "{message}");
        }
    }
}

/// Good files that are damaged in tests; those that end in `.sam` have no checksums.
const DAMAGED: [&str; 6] = [
    "deep_coverage.bam",
    "HG001.grch38_3366contigs.unsorted.bam",
    "lambda_ont.sam.gz",
    "hts-specs-cram30/0800_ctr.cram",
    "hts-specs-cram30/1402_index_3ref.cram",
    "hts-specs-sam/rnext.pass.sam",
];

/// Options with which all files in [`DAMAGED`] can be read.
fn damage_options(data: &Path, threads: usize) -> SourceOptions {
    let reference = Some(data.join("reference/ce.fa"));
    SourceOptions { threads, reference, ..Default::default() }
}

/// What the files of a damage test are made from.
fn small_good_files(data: &Path) -> Vec<(String, Vec<u8>)> {
    let alignments = data.join("alignments");
    DAMAGED
        .iter()
        .map(|name| ((*name).to_owned(), fs::read(alignments.join(name)).unwrap()))
        .collect()
}

#[test]
fn test_truncated_files_are_refused_or_end_at_a_line() {
    let Some(data) = corpus::require() else { return };
    for (name, bytes) in small_good_files(&data) {
        let whole = read_bytes(&name, bytes.clone(), &damage_options(&data, 1)).unwrap().1;
        for part in 0..50 {
            for threads in [1, 2] {
                let options = damage_options(&data, threads);
                let cut = bytes[..bytes.len() * part / 50].to_vec();
                let at_line_end = name.ends_with(".sam") && cut.last() == Some(&b'\n');
                match read_bytes(&name, cut, &options) {
                    Err(error) => assert!(error.to_string().starts_with(&name), "{error}"),
                    // Text has no end mark: some cuts leave a shorter file that is whole.
                    Ok((_, records)) => {
                        assert!(name.ends_with(".sam"), "{name} cut at {part}/50");
                        assert!(at_line_end || records.len() <= whole.len(), "{name} {part}/50");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn test_flipped_bits_are_noticed_or_harmless(
        file in 0..DAMAGED.len(), at in any::<prop::sample::Index>(), bit in 0u8..8, threads in 1usize..3,
    ) {
        let Some(data) = corpus::require() else { return Ok(()) };
        let (name, mut bytes) = small_good_files(&data).swap_remove(file);
        let whole = read_bytes(&name, bytes.clone(), &damage_options(&data, 1)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let options = damage_options(&data, threads);
        if let Ok((header, records)) = read_bytes(&name, bytes, &options) {
            // Plain text has no checksum: there, only a crash would be wrong.
            let same = flat(&header, &records) == flat(&whole.0, &whole.1);
            prop_assert!(same || name.ends_with(".sam"), "{} byte {} bit {}", name, at, bit);
        }
    }
}

#[test]
fn test_lenient_reading_still_refuses_what_cannot_be_read() {
    let Some(data) = corpus::require() else { return };
    let lenient = SourceOptions { validation: Validation::Lenient, ..Default::default() };
    let files = [
        ("sam/htsjdk_missing_fields.sam", "ends too early"),
        ("sam/htsjdk_truncated_quals.sam", "of different length"),
        ("sam/htsjdk_truncated_tag.sam", "tag XN"),
        ("sam/htsjdk_zero_length_read.sam", "ends too early"),
        ("sam/htsjdk_hanging_tab.sam", "TAG:TYPE:VALUE"),
        ("bam/phix_truncated.bam", "truncated"),
    ];
    for (name, expected) in files {
        let Err(error) = read_file(&data.join("malformed").join(name), &lenient) else {
            panic!("{name} was accepted")
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
