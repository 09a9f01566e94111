//! Coverage is that of `samtools depth -s`, wherever regions begin and end.

use genomic_objects::ram::depths::{self, Format as DepthFormat, Options};
use testkit::{corpus, oracle};

use super::*;

/// Depths above 0 as `samtools depth` prints them.
pub(super) fn depths(store: &Store, sample: &str) -> String {
    let reader = Reader::open(store, At::Newest, Content::Coverage, &request(&[], &[sample]));
    let options = Options { format: DepthFormat::Bed, window: None, summed: false };
    let mut text = String::new();
    let reader = reader.unwrap();
    depths::stretches(&reader, &options, 2, None, |stretch| {
        let contig = &reader.contigs().get(stretch.contig).unwrap().name;
        for position in stretch.interval.start()..stretch.interval.end() {
            if stretch.max > 0 {
                text += &format!("{contig}\t{}\t{}\n", position + 1, stretch.max);
            }
        }
        Ok(())
    })
    .unwrap();
    text
}

fn covered(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().filter(|line| !line.ends_with("\t0")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn test_depth_is_that_of_samtools_at_every_seam() {
    if !oracle::require() {
        return;
    }
    let cohort = cohort(3, 400);
    for size in [1_000, 7_000, 1_000_000] {
        let store = Store::in_memory();
        let options = WriteOptions { region_size: size, ..small() };
        convert(&files(&cohort), &store, &options).unwrap();
        for (number, (_, text)) in cohort.iter().enumerate() {
            let expected = oracle::run_with_input(["depth", "-s", "-"], text.as_bytes()).unwrap();
            assert!(depths(&store, &format!("s{number}")) == covered(&expected), "{size} {number}");
        }
    }
}

#[test]
fn test_depth_of_real_files_is_that_of_samtools() {
    let Some(data) = corpus::require() else { return };
    if !oracle::require() {
        return;
    }
    for name in [
        "HCC1395.rnaseq.chr22.bam",
        "NA12878.exome.chr11_chr20_unmapped.bam",
        "HG002.10x_linked_reads.b37.bam",
        "NA12878.ont.wgs_b37.bam",
        "deep_coverage.bam",
    ] {
        let path = data.join("alignments").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let store = Store::in_memory();
        let opener = |_: usize| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
        };
        let options = WriteOptions { region_size: 20_000, ..options() };
        let inputs = [input(Some("it"), name)];
        write(&inputs, &opener, None, &store, &options, &Arc::default()).unwrap();
        let expected = oracle::run(["depth", "-s", path.to_str().unwrap()]).unwrap();
        assert!(depths(&store, "it") == covered(&expected), "{name}");
    }
}

#[test]
fn test_windows_and_sums_agree_with_stretches() {
    let cohort = cohort(3, 300);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    let request = request(&["chr1:501-20500"], &[]);
    let reader = Reader::open(&store, At::Newest, Content::Coverage, &request).unwrap();
    let read = |window, summed| {
        let options = Options { format: DepthFormat::Bed, window, summed };
        let mut found = Vec::new();
        depths::stretches(&reader, &options, 2, None, |stretch| {
            found.push(stretch);
            Ok(())
        })
        .unwrap();
        found
    };
    let bases = |found: &[depths::Stretch]| -> f64 {
        found.iter().map(|stretch| stretch.mean * stretch.interval.len() as f64).sum()
    };
    let each = read(None, false);
    let total = bases(&each);
    assert!(total > 20_000.0);
    for found in [read(None, true), read(Some(1000), false), read(Some(1000), true)] {
        assert!((bases(&found) - total).abs() < 1e-3 * total, "{} {total}", bases(&found));
    }
    // Every base is there, of each sample: a sample without reads is no sample that is missing.
    let length: u64 = each.iter().map(|stretch| stretch.interval.len()).sum();
    assert_eq!(length, 3 * 20_000);
}
