//! Alignment files against samtools: the corpora of real, conformance and malformed files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use genomic_objects::error::{Error, Result};
use genomic_objects::records::alignments::sink::{self, Format};
use genomic_objects::records::alignments::stats::{ContigCounts, Flagstat};
use genomic_objects::records::alignments::{
    Header, Limit, RecordBatch, SourceOptions, Validation, open,
};
use testkit::{corpus, oracle};

/// The corpora and samtools, or `None` where a test has to be skipped.
fn data() -> Option<PathBuf> {
    corpus::require().filter(|_| oracle::require())
}

fn good_files(data: &Path, suffixes: &[&str]) -> Vec<PathBuf> {
    let alignments = data.join("alignments");
    let folders =
        ["", "cohort_ceph1463", "cram_levels", "hts-specs-sam", "hts-specs-samtags"];
    let mut files = Vec::new();
    for folder in folders {
        for suffix in suffixes {
            files.extend(corpus::files(alignments.join(folder), suffix));
        }
    }
    assert!(!files.is_empty(), "no {suffixes:?} files");
    files
}

fn read_bytes(name: &str, bytes: Vec<u8>, options: &SourceOptions) -> Result<(Header, RecordBatch)> {
    collect(open(name, Box::new(std::io::Cursor::new(bytes)), options)?)
}

fn read_file(path: &Path, options: &SourceOptions) -> Result<(Header, RecordBatch)> {
    let file = File::open(path).map_err(|error| Error::not_found(error.to_string()))?;
    collect(open(&path.display().to_string(), Box::new(file), options)?)
}

fn collect(
    mut source: Box<dyn genomic_objects::records::alignments::Source>,
) -> Result<(Header, RecordBatch)> {
    let header = source.header().clone();
    let (mut all, mut batch) = (RecordBatch::new(), RecordBatch::new());
    while source.read(&mut batch, Limit::default())? {
        for index in 0..batch.len() {
            all.push(batch.bytes(index))?;
        }
    }
    Ok((header, all))
}

/// A file in memory that outlives the sink writing it.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn write(format: Format, header: &Header, records: &RecordBatch) -> Result<Vec<u8>> {
    let memory = Memory::default();
    let mut sink = sink::create(format, Box::new(memory.clone()), header, 2)?;
    sink.write(records)?;
    sink.finish()?;
    let bytes = memory.0.lock().unwrap().clone();
    Ok(bytes)
}

/// Header and records as in a decompressed BAM file.
fn flat(header: &Header, records: &RecordBatch) -> Vec<u8> {
    let mut bytes = header.to_bam_bytes().unwrap();
    for index in 0..records.len() {
        bytes.extend((records.bytes(index).len() as u32).to_le_bytes());
        bytes.extend(records.bytes(index));
    }
    bytes
}

#[track_caller]
fn assert_same_text(ours: &[u8], theirs: &[u8], what: &str) {
    let lines = |text: &[u8]| -> Vec<String> {
        text.split(|byte| *byte == b'\n').map(|l| String::from_utf8_lossy(l).into_owned()).collect()
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
    for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(our, their, "{what}: line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: number of lines");
}

#[test]
fn test_every_good_file_prints_as_samtools_prints_it() {
    let Some(data) = data() else { return };
    for path in good_files(&data, &[".bam", ".sam", ".sam.gz"]) {
        let (header, records) =
            read_file(&path, &SourceOptions { threads: 2, ..Default::default() }).unwrap();
        let ours = write(Format::Sam, &header, &records).unwrap();
        let theirs = oracle::view(&path, None).unwrap();
        assert_same_text(&ours, &theirs, &path.display().to_string());
    }
}

#[test]
fn test_every_good_sam_file_has_the_bytes_that_samtools_makes() {
    let Some(data) = data() else { return };
    for path in good_files(&data, &[".sam", ".sam.gz"]) {
        let (header, records) = read_file(&path, &SourceOptions::default()).unwrap();
        let theirs = oracle::bam_bytes(&path, None).unwrap();
        assert!(flat(&header, &records) == theirs, "{}", path.display());
    }
}

#[test]
fn test_every_good_bam_file_comes_back_from_the_bam_writer() {
    let Some(data) = data() else { return };
    for path in good_files(&data, &[".bam"]) {
        let (header, records) = read_file(&path, &SourceOptions::default()).unwrap();
        let written = write(Format::Bam, &header, &records).unwrap();
        let original = oracle::gunzip(&fs::read(&path).unwrap()).unwrap();
        assert!(oracle::gunzip(&written).unwrap() == original, "{}", path.display());
        oracle::run_with_input(["quickcheck", "-u", "-"], &written).unwrap();
    }
}

#[test]
fn test_flagstat_and_idxstats_are_those_of_samtools() {
    let Some(data) = data() else { return };
    for path in good_files(&data, &[".bam", ".sam"]) {
        let (header, records) = read_file(&path, &SourceOptions::default()).unwrap();
        let (mut halves, mut contigs) = ([Flagstat::default(), Flagstat::default()], ContigCounts::new(header.contigs().len()));
        for (index, record) in records.iter().enumerate() {
            halves[index % 2].add(&record);
            contigs.add(&record);
        }
        let [mut flagstat, other] = halves;
        flagstat.merge(&other);
        let theirs = oracle::run(["flagstat", &path.display().to_string()]).unwrap();
        assert_same_text(flagstat.text().as_bytes(), &theirs, &path.display().to_string());
        if path.with_extension("bam.bai").exists() {
            let theirs = oracle::run(["idxstats", &path.display().to_string()]).unwrap();
            let ours = contigs.text(header.contigs());
            assert_same_text(ours.as_bytes(), &theirs, &path.display().to_string());
        }
    }
}

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
        if name.ends_with(".sam") {
            assert!(message.contains("line "), "{message}");
        }
    }
}

#[test]
fn test_lenient_reading_keeps_odd_records() {
    let sam = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:a\tLN:9\n@RG\tID:x\n\
        r\t0\ta\t5\t60\t1M\t*\t0\t0\tA\tI\tRG:Z:y\nr\t4096\ta\t2\t60\t1M\t*\t0\t0\tA\tI\tXX:i:1\tXX:i:2\n";
    assert!(read_bytes("x.sam", sam.to_vec(), &SourceOptions::default()).is_err());
    let lenient = SourceOptions { validation: Validation::Lenient, ..Default::default() };
    let (header, records) = read_bytes("x.sam", sam.to_vec(), &lenient).unwrap();
    assert_eq!(write(Format::Sam, &header, &records).unwrap(), sam);
}
