//! CRAM against samtools, both ways, and its references.

use std::fs;
use std::path::{Path, PathBuf};

use genomic_objects::error::ErrorKind;
use genomic_objects::records::alignments::SourceOptions;
use genomic_objects::records::alignments::sink::Format;
use proptest::prelude::*;
use testkit::{arbitrary, corpus, oracle};

use super::*;

/// The good CRAM files with their references.
fn cram_files(data: &Path) -> Vec<(PathBuf, Option<PathBuf>)> {
    let alignments = data.join("alignments");
    let reference = |name: &str| Some(data.join("reference").join(name));
    let mut files: Vec<_> = corpus::files(alignments.join("hts-specs-cram30"), ".cram")
        .into_iter()
        .map(|path| (path, reference("ce.fa")))
        .collect();
    files.extend(
        corpus::files(alignments.join("cram_levels"), ".cram").into_iter().map(|p| (p, None)),
    );
    files.push((alignments.join("ecoli_pe_se.cram"), reference("ecoli_K12.fa.gz")));
    assert!(files.len() > 40, "{} files", files.len());
    files
}

#[test]
fn test_every_good_cram_file_decodes_as_in_samtools() {
    let Some(data) = data() else { return };
    for (path, reference) in cram_files(&data) {
        let name = path.display().to_string();
        let options = SourceOptions { reference: reference.clone(), ..Default::default() };
        let (header, records) = read_file(&path, &options).unwrap();
        let theirs = oracle::view(&path, reference.as_deref()).unwrap();
        assert_same_text(&write(Format::Sam, &header, &records).unwrap(), &theirs, &name);
        let bam = oracle::bam_bytes(&path, reference.as_deref()).unwrap();
        assert!(flat(&header, &records) == bam, "{name}");
    }
}

#[test]
fn test_cram_files_of_many_kinds_decode_as_in_samtools() {
    let Some(data) = data() else { return };
    let alignments = data.join("alignments");
    let bams = [
        "NA12878.duplex_umi.unsorted.bam",
        "HG002.pacbio_hifi.mm_ml.GRCh38.bam",
        "HG001.grch38_3366contigs.unsorted.bam",
        "pathogen_8403contigs.queryname.bam",
        "cigar-64k.ont.bam",
        "deep_coverage.bam",
    ];
    let kinds = [
        "cram,no_ref=1,version=3.0",
        "cram,no_ref=1,version=3.0,lossy_names=1,seqs_per_slice=500",
        "cram,embed_ref=2,version=3.1,small=1",
        "cram,no_ref=1,version=3.1,archive=1,multi_seq_per_slice=1,use_arith=1",
        "cram,no_ref=1,version=3.0,use_bzip2=1,use_lzma=1,level=9",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (bam, kind) in bams.iter().flat_map(|bam| kinds.iter().map(move |kind| (bam, kind))) {
        let path = folder.path().join("x.cram");
        let target = path.display().to_string();
        let source = alignments.join(bam).display().to_string();
        if let Err(error) = oracle::run(["view", "-O", kind, "-o", &target, &source]) {
            println!("samtools cannot make {kind} of {bam}: {error}");
            continue;
        }
        let theirs = oracle::view(&path, None).unwrap();
        let (header, records) = read_file(&path, &SourceOptions::default()).unwrap();
        let ours = write(Format::Sam, &header, &records).unwrap();
        assert_same_text(&ours, &theirs, &format!("{bam} as {kind}"));
        assert!(flat(&header, &records) == oracle::bam_bytes(&path, None).unwrap());
    }
}

/// Good files with records that CRAM cannot keep, and what the message says of the first.
const NOT_CRAM: [(&str, &str); 11] = [
    ("HG002.pacbio_hifi.mm_ml.GRCh38.bam", "operations = and X"),
    ("NA12878.exome.chr11_chr20_unmapped.bam", "unmapped, but has a CIGAR"),
    ("NA12878_restricted.bam", "unmapped, but has a CIGAR"),
    ("NA12889_restricted.bam", "unmapped, but has a CIGAR"),
    ("NA12890_restricted.bam", "unmapped, but has a CIGAR"),
    ("cigar.pass1.sam", "read \"X=\""),
    ("cigar.pass3.sam", "operations = and X"),
    ("cigar.warn2.sam", "unmapped, but has a mapping quality"),
    ("flag.warn.sam", "unmapped, but has a mapping quality"),
    ("pnext.warn.sam", "not paired, but names the contig of a mate"),
    ("tlen.warn.sam", "not paired, but names the contig of a mate"),
];

#[test]
fn test_every_good_file_written_as_cram_decodes_in_samtools_to_the_same_text() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for path in good_files(&data, &[".bam", ".sam", ".sam.gz"]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (header, records) = read_file(&path, &SourceOptions::default()).unwrap();
        let written = write(Format::Cram, &header, &records);
        if let Some((_, expected)) = NOT_CRAM.iter().find(|(file, _)| *file == name) {
            let error = written.unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
            continue;
        }
        let written = written.unwrap();
        let target = folder.path().join("x.cram");
        fs::write(&target, &written).unwrap();
        let theirs = oracle::view(&target, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_same_text(&theirs, &write(Format::Sam, &header, &records).unwrap(), &name);
        let (again_header, again) = read_file(&target, &SourceOptions::default()).unwrap();
        assert_eq!(again_header.text(), header.to_sam_text());
        assert!(flat(&header, &again) == oracle::bam_bytes(&target, None).unwrap(), "{name}");
        oracle::run(["quickcheck", "-u", &target.display().to_string()]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn test_generated_records_come_back_from_cram_or_are_refused_by_name(
        records in prop::collection::vec(arbitrary::record_bytes(), 1..60), one_contig in any::<bool>(),
    ) {
        if !oracle::require() {
            return Ok(());
        }
        let header = arbitrary_header();
        let mut kept = Vec::new();
        for mut record in records {
            if one_contig && record[3] == 0 {
                record[..4].fill(0);
            }
            match write(Format::Cram, &header, &batch(std::slice::from_ref(&record))) {
                Ok(_) => kept.push(record),
                Err(error) => prop_assert!(error.to_string().starts_with("record 1: read \""), "{}", error),
            }
        }
        let records = batch(&kept);
        let cram = write(Format::Cram, &header, &records).unwrap();
        let text = write(Format::Sam, &header, &records).unwrap();
        assert_same_text(&samtools_view(&cram), &text, "generated records");
        let (_, again) = read_bytes("x.cram", cram, &SourceOptions::default()).unwrap();
        prop_assert!(flat(&header, &again) == flat(&header, &records));
    }
}

#[test]
fn test_cram_without_its_reference_is_refused_with_the_digest() {
    let Some(data) = corpus::require() else { return };
    let path = data.join("alignments/ecoli_pe_se.cram");
    let error = read_file(&path, &SourceOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for expected in
        ["\"NC_000913\"", "MD5 is 05dc7a37701cdc6bcf154344a227983d", "--reference", "REF_PATH"]
    {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let wrong = data.join("reference/ce.fa");
    let options = SourceOptions { reference: Some(wrong), ..Default::default() };
    let error = read_file(&path, &options).unwrap_err();
    assert!(error.to_string().contains("no such sequence in"), "{error}");
    let url = Some("http://localhost:1/%s".to_owned());
    let error = read_file(&path, &SourceOptions { ref_path: url, ..Default::default() });
    assert!(error.unwrap_err().to_string().contains("URLs in REF_PATH are not followed"));
}

#[test]
fn test_cram_finds_its_reference_by_digest() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = data.join("alignments/ecoli_pe_se.cram");
    let fasta = oracle::gunzip(&fs::read(data.join("reference/ecoli_K12.fa.gz")).unwrap()).unwrap();
    let bases: Vec<u8> = fasta
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b">"))
        .flat_map(|line| line.to_ascii_uppercase())
        .collect();
    let header = oracle::run(["view", "-H", &path.display().to_string()]).unwrap();
    let header = String::from_utf8(header).unwrap();
    let md5 = header.split("M5:").nth(1).unwrap()[..32].to_owned();
    fs::create_dir(folder.path().join(&md5[..2])).unwrap();
    fs::write(folder.path().join(&md5[..2]).join(&md5[2..]), &bases).unwrap();
    let pattern = format!("{}/%2s/%s", folder.path().display());
    for options in [
        SourceOptions { ref_path: Some(pattern.clone()), ..Default::default() },
        SourceOptions { ref_cache: Some(pattern), ..Default::default() },
    ] {
        assert_eq!(read_file(&path, &options).unwrap().1.len(), 36_580);
    }
    let damaged = [&bases[1..], b"A"].concat();
    fs::write(folder.path().join(&md5), damaged).unwrap();
    let options =
        SourceOptions { ref_path: Some(folder.path().display().to_string()), ..Default::default() };
    let error = read_file(&path, &options).unwrap_err().to_string();
    assert!(error.contains("is another one (expected MD5"), "{error}");
}
