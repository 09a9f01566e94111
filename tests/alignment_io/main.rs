//! Alignment files against samtools: the corpora of real, conformance and malformed files.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used)]

mod cram;
mod malformed;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use genomic_objects::error::{Error, Result};
use genomic_objects::records::alignments::sink::{self, Format};
use genomic_objects::records::alignments::stats::{ContigCounts, Flagstat};
use genomic_objects::records::alignments::{
    Header, Limit, RecordBatch, SourceOptions, Validation, open,
};
use proptest::prelude::*;
use testkit::{arbitrary, corpus, oracle};

/// The corpora and samtools, or `None` where a test has to be skipped.
fn data() -> Option<PathBuf> {
    corpus::require().filter(|_| oracle::require())
}

fn good_files(data: &Path, suffixes: &[&str]) -> Vec<PathBuf> {
    let alignments = data.join("alignments");
    let folders = ["", "cohort_ceph1463", "cram_levels", "hts-specs-sam", "hts-specs-samtags"];
    let mut files = Vec::new();
    for folder in folders {
        for suffix in suffixes {
            files.extend(corpus::files(alignments.join(folder), suffix));
        }
    }
    assert!(!files.is_empty(), "no {suffixes:?} files");
    files
}

fn read_bytes(
    name: &str,
    bytes: Vec<u8>,
    options: &SourceOptions,
) -> Result<(Header, RecordBatch)> {
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
        let (mut halves, mut contigs) =
            ([Flagstat::default(), Flagstat::default()], ContigCounts::new(header.contigs().len()));
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

#[test]
fn test_lenient_reading_keeps_odd_records() {
    let sam = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:a\tLN:9\n@RG\tID:x\n\
        r\t0\ta\t5\t60\t1M\t*\t0\t0\tA\tI\tRG:Z:y\nr\t4096\ta\t2\t60\t1M\t*\t0\t0\tA\tI\tXX:i:1\tXX:i:2\n";
    assert!(read_bytes("x.sam", sam.to_vec(), &SourceOptions::default()).is_err());
    let lenient = SourceOptions { validation: Validation::Lenient, ..Default::default() };
    let (header, records) = read_bytes("x.sam", sam.to_vec(), &lenient).unwrap();
    assert_eq!(write(Format::Sam, &header, &records).unwrap(), sam);
}

/// A header for the records of [`arbitrary`].
fn arbitrary_header() -> Header {
    let length = arbitrary::CONTIG_LENGTH;
    let text: String = ["chr1", "chr2", "HLA-A*01:01"]
        .iter()
        .map(|name| format!("@SQ\tSN:{name}\tLN:{length}\n"))
        .collect();
    Header::parse_sam_text(text.as_bytes(), Validation::Strict).unwrap()
}

fn batch(records: &[Vec<u8>]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for record in records {
        batch.push(record).unwrap();
    }
    batch
}

/// A record of the given tags only.
fn record_with_tags(tags: &[u8]) -> Vec<u8> {
    let mut record = vec![0xff; 8];
    record.extend([2, 0, 0x48, 0x12, 0, 0, 4, 0, 0, 0, 0, 0]);
    record.extend([0xff; 8]);
    record.extend([0, 0, 0, 0, b'r', 0]);
    record.extend(tags);
    record
}

fn samtools_view(bam: &[u8]) -> Vec<u8> {
    oracle::run_with_input(["view", "--no-PG", "-h", "-"], bam).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn test_samtools_reads_generated_records_as_we_do(
        records in prop::collection::vec(arbitrary::record_bytes(), 0..60),
    ) {
        if !oracle::require() {
            return Ok(());
        }
        let (header, records) = (arbitrary_header(), batch(&records));
        let text = write(Format::Sam, &header, &records).unwrap();
        let bam = write(Format::Bam, &header, &records).unwrap();
        assert_same_text(&text, &samtools_view(&bam), "generated records");
        let args = ["view", "--no-PG", "-b", "-"];
        let theirs = oracle::gunzip(&oracle::run_with_input(args, &text).unwrap()).unwrap();
        prop_assert!(theirs == flat(&header, &records));
    }

    #[test]
    fn test_samtools_prints_floats_as_we_do(bits in prop::collection::vec(any::<u32>(), 64)) {
        if !oracle::require() {
            return Ok(());
        }
        let ordinary = bits.iter().map(|bits| (*bits as f32 / 1000.0) * 10f32.powi(bits.trailing_zeros() as i32 - 9));
        let values: Vec<f32> = bits.iter().map(|bits| f32::from_bits(*bits)).chain(ordinary).collect();
        let mut tags = b"XFBf".to_vec();
        tags.extend((values.len() as u32).to_le_bytes());
        tags.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let (header, records) = (arbitrary_header(), batch(&[record_with_tags(&tags)]));
        let text = write(Format::Sam, &header, &records).unwrap();
        let bam = write(Format::Bam, &header, &records).unwrap();
        assert_same_text(&text, &samtools_view(&bam), "floats");
    }
}

#[test]
fn test_an_embedded_empty_block_is_legal() {
    let (header, records) = (arbitrary_header(), batch(&[record_with_tags(b"XXAx")]));
    let one = write(Format::Bam, &header, &records).unwrap();
    let empty = &one[one.len() - 28..];
    for threads in [1, 2] {
        let doubled = [empty, &one, empty].concat();
        let options = SourceOptions { threads, ..Default::default() };
        let (_, again) = read_bytes("x.bam", doubled, &options).unwrap();
        assert_eq!(again.bytes(0), records.bytes(0));
        let garbage = [&one[..], b"garbage"].concat();
        assert!(read_bytes("x.bam", garbage, &options).is_err());
    }
}

/// A reader that went away.
struct ClosedPipe;

impl std::io::Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn test_a_closed_pipe_can_be_told_from_other_failures() {
    let header = arbitrary_header();
    for format in [Format::Sam, Format::Bam, Format::Cram] {
        let result =
            sink::create(format, Box::new(ClosedPipe), &header, 2).and_then(|sink| sink.finish());
        assert!(sink::is_broken_pipe(&result.unwrap_err()));
    }
    assert!(!sink::is_broken_pipe(&Error::store("x")));
}

/// A BAM file with these decompressed bytes.
fn bgzf(bytes: &[u8]) -> Vec<u8> {
    let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
    std::io::Write::write_all(&mut writer, bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn test_bam_errors_name_file_record_and_place() {
    let header = arbitrary_header();
    let good = record_with_tags(b"XXAx");
    let mut on_contig_7 = good.clone();
    on_contig_7[..4].copy_from_slice(&7i32.to_le_bytes());
    let mut whole = flat(&header, &batch(&[good.clone(), on_contig_7]));
    let error = read_bytes("x.bam", bgzf(&whole), &SourceOptions::default()).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("x.bam: record 2, before byte "), "{message}");
    assert!(message.contains("expected a number from -1 to 2, found 7"), "{message}");

    whole = flat(&header, &batch(&[good]));
    whole.extend(u32::MAX.to_le_bytes());
    let error = read_bytes("x.bam", bgzf(&whole), &SourceOptions::default()).unwrap_err();
    assert!(error.to_string().contains("length is absurd"), "{error}");
    whole.truncate(whole.len() - 2);
    let error = read_bytes("x.bam", bgzf(&whole), &SourceOptions::default()).unwrap_err();
    assert!(error.to_string().contains("ends within a record's length"), "{error}");
}

#[test]
fn test_plain_gzip_holds_bam_and_sam_too() {
    let header = arbitrary_header();
    let records = batch(&[record_with_tags(b"XXAx")]);
    let text = write(Format::Sam, &header, &records).unwrap();
    for content in [flat(&header, &records), text] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &content).unwrap();
        let packed = encoder.finish().unwrap();
        let cut = packed[..packed.len() - 9].to_vec();
        let (_, again) = read_bytes("x.gz", packed, &SourceOptions::default()).unwrap();
        assert_eq!(again.bytes(0), records.bytes(0));
        assert!(read_bytes("x.gz", cut, &SourceOptions::default()).is_err());
    }
}

#[test]
fn test_lines_may_end_in_cr_lf() {
    let sam = b"@SQ\tSN:a\tLN:9\r\n@CO\tx\r\nr\t0\ta\t5\t60\t1M\t*\t0\t0\tA\tI\r\n";
    let (header, records) = read_bytes("x.sam", sam.to_vec(), &SourceOptions::default()).unwrap();
    assert_eq!(header.text(), b"@SQ\tSN:a\tLN:9\n@CO\tx\n");
    let text = write(Format::SamRecords, &header, &records).unwrap();
    assert_eq!(text, b"r\t0\ta\t5\t60\t1M\t*\t0\t0\tA\tI\n");
}

#[test]
fn test_nul_padding_of_a_bam_header_is_dropped() {
    let header = arbitrary_header();
    let plain = header.to_bam_bytes().unwrap();
    let text_len = header.text().len();
    let (before, after) = plain[8..].split_at(text_len);
    let length = (text_len as u32 + 3).to_le_bytes();
    let padded = [b"BAM\x01", &length[..], before, &[0; 3], after].concat();
    let (again, _) = read_bytes("x.bam", bgzf(&padded), &SourceOptions::default()).unwrap();
    assert_eq!(again.text(), header.text());
    assert_eq!(again.contigs().len(), 3);
}
