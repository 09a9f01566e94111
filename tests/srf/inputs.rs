//! Whatever reads are compressed with, and unaligned BAM.

use std::io::Write;

use testkit::oracle;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bgzf(text: &[u8]) -> Vec<u8> {
    let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn test_compressed_reads_come_back_as_text() {
    let text = fastq(5000, 3, false);
    let (head, tail) = text.split_at(text.len() / 3);
    let many = |compress: fn(&[u8]) -> Vec<u8>| [compress(head), compress(tail)].concat();
    for (name, bytes) in [
        ("plain", text.clone()),
        ("gzip", gzip(&text)),
        ("gzip in members", many(gzip)),
        ("BGZF", bgzf(&text)),
        // The first file's block at the end does not end the second.
        ("BGZF after BGZF", many(bgzf)),
        ("Zstandard", zstd::encode_all(text.as_slice(), 1).unwrap()),
        ("Zstandard in frames", many(|part| zstd::encode_all(part, 1).unwrap())),
        ("bzip2", bzip2(&text)),
        ("bzip2 in streams", many(bzip2)),
    ] {
        let store = Store::in_memory();
        convert(&[(name, &bytes)], &store, &options(Layout::Plain)).unwrap();
        assert!(export(&store, false).unwrap() == std::slice::from_ref(&text), "{name}");
    }
}

#[test]
fn test_cut_compressed_reads_are_refused() {
    let text = fastq(5000, 3, false);
    for (name, bytes) in [
        ("cut.bgz", bgzf(&text)),
        ("cut.zst", zstd::encode_all(text.as_slice(), 1).unwrap()),
        ("cut.bz2", bzip2(&text)),
    ] {
        let store = Store::in_memory();
        let cut = &bytes[..bytes.len() / 2];
        let error = convert(&[(name, cut)], &store, &options(Layout::Plain)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(store.list("").unwrap().is_empty());
    }
}

#[test]
fn test_unaligned_bam_gives_what_samtools_makes_of_it() {
    if !oracle::require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (one, two, bam) = (path("1.fastq"), path("2.fastq"), path("x.bam"));
    let strip = |text: Vec<u8>| String::from_utf8(text).unwrap().replace(" 1:N:0:ACGT", "");
    std::fs::write(&one, strip(fastq(700, 1, true))).unwrap();
    std::fs::write(&two, strip(fastq(700, 2, false))).unwrap();
    let import = |inputs: &[&str]| {
        let words = [&["import", "-T", "*"], inputs, &["-o", &bam]].concat();
        oracle::run(words).unwrap();
    };
    import(&["-0", &one]);
    let bytes = std::fs::read(&bam).unwrap();
    let store = Store::in_memory();
    convert(&[("x.bam", &bytes)], &store, &options(Layout::Compact)).unwrap();
    let expected = oracle::run(["fastq", "-T", "*", &bam]).unwrap();
    assert!(export(&store, false).unwrap() == [expected]);

    import(&["-1", &one, "-2", &two]);
    let bytes = std::fs::read(&bam).unwrap();
    let store = Store::in_memory();
    let interleaved = WriteOptions { interleaved: true, ..options(Layout::Plain) };
    convert(&[("x.bam", &bytes)], &store, &interleaved).unwrap();
    let expected = oracle::run(["fastq", "-N", "-T", "*", &bam]).unwrap();
    assert!(export(&store, true).unwrap() == [expected]);
}
