//! Queries find what a scan of all records finds, and what samtools finds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use genomic_objects::genome::Target;
use genomic_objects::paf::partition::BLOCK_RECORDS;
use genomic_objects::paf::selection::Selection;
use genomic_objects::records::alignments::sam;
use genomic_objects::records::alignments::sink::{self, Format};

use super::*;

/// Windows so small that what reads do, skip, span, pile up, crosses their borders; 10,000 bases for
/// files that are not named.
const WINDOWS: [(&str, u64); 7] = [
    ("CHM1.wgs.chr1_10k-100k", 1_000),
    ("HG002.10x_linked_reads.b37", 1_000_000),
    ("NA12878.ont.wgs_b37", 5_000),
    ("HG002.pacbio_hifi.mm_ml.GRCh38", 2_000),
    ("NA12878_restricted", 1_000),
    ("deep_coverage", 100),
    ("NA12878.exome.chr11_chr20_unmapped", 1_000_000),
];

/// Files without an index that are as good for queries as those with one.
const ALSO: [&str; 6] = [
    "CHM1.wgs.chr1_10k-100k.bam",
    "HCC1395.rnaseq.chr22.bam",
    "deep_coverage.bam",
    "pbmc1k_v3.10x_scrna.cell3.bam",
    "ont_6mA_basemods.bam",
    "ecoli_pe_se.cram",
];

/// Whether there is an index with one of these suffixes beside a file.
fn has_index(path: &Path, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        let mut index = path.as_os_str().to_owned();
        index.push(format!(".{suffix}"));
        Path::new(&index).exists()
    })
}

/// Every indexed file of the corpora, and [`ALSO`].
fn queried_files(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("alignments");
    let mut files = good_files(data);
    files.retain(|path| {
        has_index(path, &["bai", "csi", "crai"])
            || ALSO.iter().any(|name| folder.join(name) == *path)
    });
    files
}

fn text(batch: &RecordBatch, header: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    batch.iter().for_each(|record| sam::write_record(&mut out, &record, header.contigs()));
    out
}

/// Regions around where reads start and end, where windows and blocks do, and where no read is near.
fn random_regions(
    records: &RecordBatch,
    header: &Header,
    window: u64,
    choices: &mut Choices,
) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < 500 {
        let mut index = choices.below(records.len() as u64) as usize;
        if choices.below(8) == 0 {
            // The first record of a block, or the last.
            index = index / BLOCK_RECORDS * BLOCK_RECORDS;
            index = index.saturating_sub(choices.below(2) as usize);
        }
        let record = records.get(index);
        let Some(contig) = record.contig().and_then(|id| header.contigs().get(id)) else {
            all.push("*".to_owned());
            continue;
        };
        let interval = record.interval();
        let name = &contig.name;
        let near = match choices.below(4) {
            0 => interval.start() + 1,
            1 => interval.end(),
            2 => interval.end() / window * window + choices.below(2),
            _ => interval.start() + choices.below(interval.len() * 2),
        }
        .max(1);
        all.push(match choices.below(12) {
            0 => name.clone(),
            1 => format!("{name}:{}", contig.length + choices.below(100)),
            2..=4 => format!("{name}:{near}-{near}"),
            5 => format!("{name}:{}-{}", near.saturating_sub(1).max(1), near),
            _ => format!("{name}:{near}-{}", near + choices.below(20_000)),
        });
    }
    all
}

#[test]
fn test_regions_give_what_a_scan_gives() {
    let Some(data) = data() else { return };
    let mut files = queried_files(&data);
    assert!(files.len() > ALSO.len(), "the corpora lack their indexed files");
    // Two at a time, the largest first.
    files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Relaxed)) {
                    compare_random_regions(path);
                }
            });
        }
    });
}

/// Compares 500 random regions of a file with a scan of all its records, and some with samtools.
fn compare_random_regions(path: &Path) {
    let name = path.file_stem().unwrap().to_string_lossy();
    let chunk_size =
        WINDOWS.iter().find(|(file, _)| name.starts_with(file)).map_or(10_000, |w| w.1);
    let store = Store::in_memory();
    let options = WriteOptions { chunk_size, ..options() };
    convert(open_file(path).unwrap().as_mut(), &store, &options).unwrap();
    let header = open_file(path).unwrap().header().clone();
    let all = query(&store, &Places::default()).unwrap();
    let is_indexed_bam = has_index(path, &["bai", "csi"]);
    let sorted = tempfile::NamedTempFile::with_suffix(".bam").unwrap();
    let bam = if is_indexed_bam {
        path
    } else {
        // In the dataset's order, so that reads at one place come in the same order in both.
        let out = Box::new(sorted.reopen().unwrap());
        let mut sink = sink::create(Format::Bam, out, &header, 1).unwrap();
        sink.write(&all).unwrap();
        sink.finish().unwrap();
        oracle::run(["index".as_ref(), sorted.path().as_os_str()]).unwrap();
        sorted.path()
    };

    let mut choices = Choices(1);
    compare_bed(&store, bam, &header, &all, &mut choices);
    let asked = random_regions(&all, &header, chunk_size, &mut choices);
    for (number, region) in asked.iter().enumerate() {
        let target = Target::parse(region, header.contigs()).unwrap();
        let selection = Selection::of(&[target]);
        let mut expected = RecordBatch::new();
        for record in all.iter().filter(|record| selection.accepts(record)) {
            expected.push(record.bytes()).unwrap();
        }
        let found = query(&store, &regions(&[region])).unwrap();
        assert!(same(&found, &expected), "{name} {region}: {} of {}", found.len(), expected.len());
        if is_indexed_bam || number % 12 == 0 {
            let view = ["view".as_ref(), bam.as_os_str(), region.as_ref()];
            let view = oracle::run(view).unwrap();
            assert!(text(&found, &header) == view, "{name} {region}: not what samtools finds");
        }
    }
}

/// Compares what a BED file of overlapping intervals finds with `samtools view -L`.
fn compare_bed(
    store: &Store,
    bam: &Path,
    header: &Header,
    records: &RecordBatch,
    choices: &mut Choices,
) {
    let mut bed = String::new();
    for _ in 0..40 {
        let record = records.get(choices.below(records.len() as u64) as usize);
        let Some(contig) = record.contig().and_then(|id| header.contigs().get(id)) else {
            continue;
        };
        let start = record.interval().start().saturating_sub(choices.below(200));
        bed += &format!("{}\t{start}\t{}\n", contig.name, start + 1 + choices.below(1_000));
    }
    let file = tempfile::NamedTempFile::with_suffix(".bed").unwrap();
    std::fs::write(file.path(), &bed).unwrap();
    let places = Places { regions: vec![], bed: Some(("x.bed".into(), bed)) };
    let found = text(&query(store, &places).unwrap(), header);
    let view = ["view".as_ref(), "-L".as_ref(), file.path().as_os_str(), bam.as_os_str()];
    assert!(found == oracle::run(view).unwrap(), "{}: -L gives other reads", bam.display());
}

#[test]
fn test_several_regions_and_bed_give_each_read_once() {
    let Some(data) = data() else { return };
    let path = data.join("alignments/CHM1.wgs.chr1_10k-100k.bam");
    let store = Store::in_memory();
    let options = WriteOptions { chunk_size: 1_000, ..options() };
    convert(open_file(&path).unwrap().as_mut(), &store, &options).unwrap();
    let bed = "1\t19999\t20100\n1\t20050\t20400\n1\t30000\t30000\n1\t40000\t40001\n";
    let by_bed = Places { regions: vec![], bed: Some(("x.bed".into(), bed.into())) };
    let found = query(&store, &by_bed).unwrap();
    let merged = query(&store, &regions(&["1:40001-40001", "1:20000-20400"])).unwrap();
    assert!(same(&found, &merged));
    assert!(found.len() > 100);
}

#[test]
fn test_mates_come_as_samtools_fetches_them() {
    let Some(data) = data() else { return };
    let path = data.join("alignments/cohort_ceph1463/NA12878_restricted.bam");
    let store = Store::in_memory();
    convert(open_file(&path).unwrap().as_mut(), &store, &options()).unwrap();
    let header = open_file(&path).unwrap().header().clone();
    for region in
        ["chr4:115928726-115928800", "chr12:71532000-71532100", "chrX:101055000-101055010"]
    {
        let reader = Reader::open(&store, At::Newest, &regions(&[region])).unwrap();
        let mut out = Vec::new();
        let query = Query { with_mates: true, ..Query::default() };
        reader
            .query(&query, |batch| {
                out.extend_from_slice(&text(batch, &header));
                Ok(())
            })
            .unwrap();
        let view = ["view".as_ref(), "-P".as_ref(), path.as_os_str(), region.as_ref()];
        let view = oracle::run(view).unwrap();
        assert!(out == view, "{region}: not what samtools finds");
    }
}
