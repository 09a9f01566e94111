//! Everything that goes in comes out.

use genomic_objects::dataset::{Checksum, Dataset};
use genomic_objects::paf::place::Place;
use genomic_objects::records::alignments::sink::{self, Format};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn test_every_good_file_comes_back_identical() {
    let Some(data) = data() else { return };
    for path in good_files(&data) {
        let name = path.display();
        let (header, records) = collect(open_file(&path).unwrap().as_mut()).unwrap();
        let store = Store::in_memory();
        let summary = convert(open_file(&path).unwrap().as_mut(), &store, &options());
        let summary = summary.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(summary.reads as usize, records.len(), "{name}");

        let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
        assert_eq!(reader.header().text(), header.text(), "{name}");
        assert!(reader.header().contigs().iter().eq(header.contigs().iter()), "{name}");
        let mut sorted: Vec<&[u8]> = (0..records.len()).map(|index| records.bytes(index)).collect();
        sorted.sort_by_key(|bytes| {
            Place::of(&genomic_objects::records::alignments::Record::new(bytes).unwrap())
        });
        let back = query(&store, &Places::default()).unwrap();
        assert_eq!(back.len(), sorted.len(), "{name}");
        for (index, expected) in sorted.iter().enumerate() {
            assert!(back.bytes(index) == *expected, "{name}: record {index}");
        }
        if summary.reordered {
            let mut restored = RecordBatch::new();
            reader
                .original_order(SortOptions::default(), |batch| {
                    (0..batch.len()).for_each(|index| restored.push(batch.bytes(index)).unwrap());
                    Ok(())
                })
                .unwrap();
            assert!(same(&restored, &records), "{name}: order of the input");
        }
    }
}

#[test]
fn test_bam_written_back_reads_the_same_in_samtools() {
    let Some(data) = data() else { return };
    for path in corpus::files(data.join("alignments"), ".bam") {
        let store = Store::in_memory();
        let summary = convert(open_file(&path).unwrap().as_mut(), &store, &options()).unwrap();
        if summary.reordered {
            continue;
        }
        let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let out = Box::new(file.reopen().unwrap());
        let mut bam = sink::create(Format::Bam, out, reader.header(), 2).unwrap();
        reader.query(&Query::default(), |batch| bam.write(batch)).unwrap();
        bam.finish().unwrap();
        assert!(
            oracle::view(file.path(), None).unwrap() == oracle::view(&path, None).unwrap(),
            "{}",
            path.display()
        );
    }
}

/// Chunk paths without tokens, and checksums.
fn chunks(store: &Store) -> Vec<(String, Checksum)> {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    dataset.chunks().unwrap().iter().map(|chunk| (chunk.path.clone(), chunk.checksum)).collect()
}

#[test]
fn test_chunks_do_not_depend_on_threads() {
    let simulated = || {
        genomic_objects::simulate::Alignments::new(genomic_objects::simulate::SimulateOptions {
            reads: 40_000,
            ..Default::default()
        })
        .unwrap()
    };
    let made = |threads, sort| {
        let store = Store::in_memory();
        let ordering =
            Ordering { sort, options: SortOptions { memory: 1 << 20, ..Default::default() } };
        let options = WriteOptions { threads, ordering, chunk_size: 100_000, ..options() };
        convert(&mut simulated(), &store, &options).unwrap();
        chunks(&store)
    };
    let one = made(1, false);
    assert!(one.len() > 1, "{} chunks", one.len());
    assert_eq!(made(2, false), one);
    assert_eq!(made(7, false), one);
    assert_eq!(made(3, true), one, "sorting what is in order changes nothing");
}

#[test]
fn test_small_contigs_and_windows_share_chunks() {
    let Some(data) = data() else { return };
    for name in [
        "pathogen_8403contigs.queryname",
        "HG001.grch38_3366contigs.unsorted",
        "NA12878.exome.chr11_chr20_unmapped",
    ] {
        let store = Store::in_memory();
        let path = data.join(format!("alignments/{name}.bam"));
        let summary = convert(open_file(&path).unwrap().as_mut(), &store, &options()).unwrap();
        assert!(summary.chunks <= 4, "{name}: {} chunks", summary.chunks);
    }
}

#[test]
fn test_verified_conversion_to_disk_and_s3() {
    let folder = tempfile::tempdir().unwrap();
    let server = testkit::s3::Server::start().unwrap();
    let s3 = Store::open("s3://bucket/x.paf", &crate::support::s3_options(&server)).unwrap();
    for store in [Store::open(folder.path().to_str().unwrap(), &Default::default()).unwrap(), s3] {
        let options =
            genomic_objects::simulate::SimulateOptions { reads: 5_000, ..Default::default() };
        let simulated = || genomic_objects::simulate::Alignments::new(options.clone()).unwrap();
        let written = WriteOptions { verify: true, ..super::options() };
        assert!(convert(&mut simulated(), &store, &written).unwrap().verified);
        let (_, expected) = collect(&mut simulated()).unwrap();
        assert!(same(&query(&store, &Places::default()).unwrap(), &expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..Default::default() })]

    #[test]
    fn test_generated_records_come_back(
        records in vec(prop_oneof![arbitrary::record_bytes(), arbitrary::odd_record_bytes()], 0..60),
        chunk_size in 1_u64..100_000,
    ) {
        let store = Store::in_memory();
        let options = WriteOptions { chunk_size, ..options() };
        convert(arbitrary_source(&records).as_mut(), &store, &options).unwrap();
        let mut sorted = records;
        sorted.sort_by_key(|bytes| Place::of(&genomic_objects::records::alignments::Record::new(bytes).unwrap()));
        let back = query(&store, &Places::default()).unwrap();
        prop_assert_eq!(back.len(), sorted.len());
        for (index, record) in sorted.iter().enumerate() {
            prop_assert_eq!(back.bytes(index), record.as_slice());
        }
    }
}
