//! A query's requests and bytes, as the server saw them.

use genomic_objects::codec::Codec;
use genomic_objects::dataset::Dataset;
use genomic_objects::genome::{ContigId, Interval};
use genomic_objects::paf::block::series;
use genomic_objects::paf::directory::{BlockEntry, StreamEntry};
use genomic_objects::paf::index::{Builder, ChunkRef, decode_page};
use genomic_objects::paf::manifest::Details;
use genomic_objects::paf::place::{Extent, Place};
use genomic_objects::records::alignments::Fields;
use genomic_objects::simulate::{Alignments, SimulateOptions, human_like};
use genomic_objects::store::StoreOptions;

use super::*;

/// What metadata and index pages of a query may take on top of blocks.
const OVERHEAD: u64 = 256 << 10;

fn simulated(reads: u64) -> Alignments {
    let contigs = human_like(reads * 150 / 30);
    Alignments::new(SimulateOptions { reads, contigs, ..Default::default() }).unwrap()
}

/// Cold queries of 10 kb over HTTP: few trips, few bytes, and only what overlaps.
fn check_queries(reads: u64, trips: u64) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    convert(&mut simulated(reads), &disk, &options()).unwrap();
    let dataset = Dataset::open(&disk, At::Newest).unwrap();
    let details = Details::read(dataset.manifest()).unwrap();
    assert_eq!(details.index.path.is_none(), trips == 2, "{} pages", details.index.pages.len());

    let server = testkit::http::Server::start(folder.path()).unwrap();
    server.set_latency(std::time::Duration::from_millis(20));
    let length = details.contigs.lengths[0];
    for start in [0, length / 3, length / 2, length - 10_000] {
        server.clear_log();
        let store = Store::open(&server.url(), &StoreOptions::default()).unwrap();
        let region = format!("chr1:{}-{}", start + 1, start + 10_000);
        let reader =
            Reader::open_for(&store, At::Newest, &regions(&[&region]), &Fields::ALL, None).unwrap();
        let stats = reader.query(&Query::default(), |_| Ok(())).unwrap();
        assert!(stats.records > 0, "{region}");
        assert!(stats.blocks < stats.blocks_total, "{region}");
        assert!(server.dependent_round_trips() <= trips, "{region}: {:?}", server.log());
        let limit = stats.traffic.bytes_used * 13 / 10 + OVERHEAD;
        assert!(server.bytes_sent() <= limit, "{region}: {} of {limit}", server.bytes_sent());
    }
}

#[test]
fn test_query_with_inline_index_takes_two_trips() {
    check_queries(30_000, 2);
}

#[test]
fn test_query_with_index_object_takes_three_trips() {
    check_queries(1_000_000, 3);
}

#[test]
fn test_columns_fetch_less() {
    let store = Store::in_memory();
    convert(&mut simulated(20_000), &store, &options()).unwrap();
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    let used = |fields| {
        let query = Query { fields, ..Query::default() };
        reader.query(&query, |_| Ok(())).unwrap().traffic.bytes_used
    };
    let (all, some) = (used(Fields::ALL), used(Fields::PLACE | Fields::CIGAR));
    assert!(some * 5 < all, "{some} of {all}");
}

#[test]
fn test_query_refuses_to_fetch_more_than_allowed() {
    let store = Store::in_memory();
    convert(&mut simulated(2_000), &store, &options()).unwrap();
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    let query = Query { max_bytes: Some(1_000), ..Query::default() };
    let error = reader.query(&query, |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("--max-bytes"), "{error}");
}

/// The index of a human genome at 30×: 3.1 Gb in windows of 1 Mb, 145,000 reads each, 15 blocks a
/// window, 32 streams a block.
#[test]
fn test_index_of_a_human_genome_costs_a_query_little() {
    let mut builder = Builder::default();
    let windows = 3_100_u64;
    let mut choices = Choices(5);
    for window in 0..windows {
        let (contig, window_of_contig) = ((window / 135) as i32, window % 135);
        let mut offset = 0;
        let blocks = (0..15)
            .map(|block| {
                let start = (window_of_contig * 1_000_000 + block * 66_000) as i32;
                let streams = (0..32)
                    .map(|at| {
                        let len = 200 + choices.below(60_000) as u32;
                        offset += u64::from(len);
                        StreamEntry {
                            series: series::Series { id: at + 1, tag: [0; 3] },
                            codec: Codec::Rans,
                            offset: offset - u64::from(len),
                            len,
                            raw_len: len * 3,
                            crc32c: choices.below(u64::from(u32::MAX)) as u32,
                        }
                    })
                    .collect();
                BlockEntry {
                    records: 10_000,
                    raw_bytes: 3_900_000,
                    extent: Extent {
                        first: Place::new(contig, start),
                        last: Place::new(contig, start + 65_990),
                        reach: start as u64 + 66_400,
                    },
                    far: vec![],
                    digest: std::array::from_fn(|_| choices.below(256) as u8),
                    streams,
                }
            })
            .collect();
        let checksum = std::array::from_fn(|_| choices.below(256) as u8);
        let path =
            format!("chr{contig}/chunk_{window:010}-{:010}.0123456789abcdef.bin", window + 1);
        builder.push(&ChunkRef { path, size: offset, checksum, blocks }).unwrap();
    }
    let (root, object) = builder.finish().unwrap();
    let object = object.expect("an index of this size is an object");
    let root_json = serde_json::to_vec(&root).unwrap().len() as u64;
    for (contig, start) in [(0, 0_u64), (7, 66_000_000), (22, 129_990_000), (3, 999_990)] {
        let interval = Interval::new(start, start + 10_000);
        let pages: Vec<_> = root
            .pages
            .iter()
            .filter(|page| page.extent.may_overlap(ContigId(contig), interval))
            .collect();
        let bytes: u64 = pages.iter().map(|page| u64::from(page.size)).sum();
        // A manifest has some 40 KB besides: contigs, statistics, segments.
        assert!(root_json + bytes + 40_000 <= OVERHEAD, "{root_json} + {bytes}");
        let found = pages.iter().flat_map(|page| {
            let start = page.offset as usize;
            decode_page(page, &object[start..start + page.size as usize]).unwrap()
        });
        let blocks = found.flat_map(|chunk| chunk.blocks);
        let hits = blocks.filter(|block| block.may_overlap(ContigId(contig), interval)).count();
        assert!((1..=3).contains(&hits), "{hits} blocks");
    }
    println!("root {root_json} bytes, {} pages, index {} bytes", root.pages.len(), object.len());
}
