//! Reads added to a dataset, and a contig redone: as `samtools merge` would have it.

use genomic_objects::dataset::{Dataset, Operation, diff};
use genomic_objects::error::ErrorKind;
use genomic_objects::paf::manifest::Details;
use genomic_objects::paf::verify::verify;
use genomic_objects::records::alignments::sam::write_record;

use super::*;

const HEADER: &str = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:30000000\n\
    @SQ\tSN:chr2\tLN:9000000\n@SQ\tSN:chr3\tLN:9000\n";

/// Reads of 100 bases at places that follow from `seed`: contig, then position; sorted.
fn reads(group: &str, places: &mut [(u32, u64)]) -> String {
    places.sort_unstable();
    let mut sam = format!("{HEADER}@RG\tID:{group}\tSM:NA1\n@PG\tID:bwa\tCL:bwa {group}\n");
    for (number, (contig, position)) in places.iter().enumerate() {
        let bases: String =
            (0..100).map(|at| ['A', 'C', 'G', 'T'][(number * 7 + at * at) % 4]).collect();
        let quality: String = (0..100).map(|at| ['I', 'F', ':'][(number + at) % 3]).collect();
        let (flag, place, cigar) = match contig {
            0 => (4, "*\t0\t0".to_owned(), "*"),
            contig => (0, format!("chr{contig}\t{position}\t60"), "100M"),
        };
        sam += &format!(
            "{group}:{number}\t{flag}\t{place}\t{cigar}\t*\t0\t0\t{bases}\t{quality}\tRG:Z:{group}\tPG:Z:bwa\n"
        );
    }
    sam
}

/// `count` places on a contig, `step` apart from `from` on.
fn places(contig: u32, from: u64, step: u64, count: u64) -> Vec<(u32, u64)> {
    (0..count).map(|at| (contig, from + at * step)).collect()
}

/// Unplaced reads come last.
fn lane(group: &str, placed: &[Vec<(u32, u64)>], unplaced: usize) -> String {
    let mut text = reads(group, &mut placed.concat());
    let end = reads(&format!("{group}u"), &mut vec![(0, 0); unplaced]);
    text.extend(
        end.lines().filter(|l| !l.starts_with('@')).map(|l| {
            format!("{}\n", l.replace(&format!("RG:Z:{group}u"), &format!("RG:Z:{group}")))
        }),
    );
    text
}

fn change(change: Change, number: u8) -> WriteOptions {
    WriteOptions { change, transaction: TransactionId::from_bytes([number; 16]), ..options() }
}

fn put(sam: &str, store: &Store, options: &WriteOptions) -> Result<Summary> {
    let mut source = source_of("x.sam", std::io::Cursor::new(sam.to_owned().into_bytes()), None)?;
    convert(source.as_mut(), store, options)
}

/// Names of all records in the order of the dataset.
fn names(store: &Store, at: At, places: &Places) -> Vec<String> {
    let reader = Reader::open(store, at, places).unwrap();
    let mut names = Vec::new();
    reader
        .query(&Query { threads: 2, ..Query::default() }, |batch| {
            names.extend(batch.iter().map(|r| String::from_utf8_lossy(r.name()).into_owned()));
            Ok(())
        })
        .unwrap();
    names
}

/// Names of the records of several texts: merged by place, those of the first text first on ties.
fn merged(texts: &[&str]) -> Vec<String> {
    let mut all: Vec<(u32, u64, String)> = Vec::new();
    for text in texts {
        for line in text.lines().filter(|line| !line.starts_with('@')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let contig = fields[2].strip_prefix("chr").map_or(u32::MAX, |c| c.parse().unwrap());
            all.push((contig, fields[3].parse().unwrap(), fields[0].to_owned()));
        }
    }
    all.sort_by_key(|(contig, position, _)| (*contig, *position));
    all.into_iter().map(|(_, _, name)| name).collect()
}

fn details(store: &Store) -> Details {
    Details::read(Dataset::open(store, At::Newest).unwrap().manifest()).unwrap()
}

/// What does not depend on where chunks end.
fn totals(store: &Store) -> Details {
    let mut details = details(store);
    details.index = Default::default();
    details.statistics.remove("chunk_bytes");
    details
}

fn assert_sound(store: &Store) {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let bytes: u64 = dataset.chunks().unwrap().iter().map(|chunk| chunk.size_bytes).sum();
    assert_eq!(details(store).statistics["chunk_bytes"], bytes);
}

/// A genome's worth of reads: several chunks on chr1, one of two small contigs, unplaced reads.
fn first_lane() -> String {
    let spread = [places(1, 1000, 500, 59_000), places(2, 5, 1000, 200), places(3, 5, 10, 200)];
    lane("a", &spread, 50)
}

#[test]
fn test_append_equals_a_merge_and_shares_untouched_chunks() {
    let first = first_lane();
    for (at, (second, touched)) in [
        // Behind all there is on a contig of its own chunk, and unplaced.
        (lane("b", &[places(3, 7000, 1, 20)], 10), 0),
        // Into one window, at places that are taken and others.
        (lane("b", &[places(1, 10_001_000, 250, 40)], 0), 1),
        // In front of everything.
        (lane("b", &[places(1, 1, 3, 30)], 0), 0),
        // Everywhere.
        (
            lane(
                "b",
                &[places(1, 900, 1700, 15_000), places(2, 1, 77, 300), places(3, 1, 9, 40)],
                9,
            ),
            99,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let store = Store::in_memory();
        put(&first, &store, &change(Change::Create, 1)).unwrap();
        let before = Dataset::open(&store, At::Newest).unwrap();
        let all_chunks = before.chunks().unwrap().len();
        assert!(all_chunks >= 3, "{all_chunks}");
        let summary = put(&second, &store, &change(Change::Append, 2)).unwrap();
        let added = second.lines().filter(|line| !line.starts_with('@')).count() as u64;
        assert_eq!((summary.reads, summary.dataset_version), (added, 2));
        assert_sound(&store);
        let expected = merged(&[&first, &second]);
        assert!(names(&store, At::Newest, &Places::default()) == expected, "{at}");
        assert!(names(&store, At::Version(1), &Places::default()) == merged(&[&first]));
        let after = Dataset::open(&store, At::Newest).unwrap();
        assert_eq!(after.manifest().operation, Operation::Append);
        let removed = diff(&before, &after).unwrap().removed;
        let removed = removed.iter().filter(|object| object.kind == "chunk").count();
        assert!(removed <= touched.min(all_chunks), "{at}: {removed} of {all_chunks}");
        // A query gives the same as on a dataset of all reads, and so do the counts.
        let whole = Store::in_memory();
        let mut lines: Vec<&str> =
            first.lines().chain(second.lines()).filter(|l| !l.starts_with('@')).collect();
        lines.sort_by_key(|line| place(line));
        let text = format!(
            "{HEADER}@RG\tID:a\tSM:NA1\n@PG\tID:bwa\tCL:bwa a\n@RG\tID:b\tSM:NA1\n@PG\tID:bwa.1\tCL:bwa b\n{}\n",
            lines.join("\n").replace("RG:Z:b\tPG:Z:bwa", "RG:Z:b\tPG:Z:bwa.1")
        );
        put(&text, &whole, &change(Change::Create, 1)).unwrap();
        assert_eq!(totals(&store), totals(&whole));
        for region in ["chr1:10,000,000-10,002,000", "chr2", "chr3:1-100", "chr1:1-5000"] {
            let (found, expected) =
                (query(&store, &regions(&[region])), query(&whole, &regions(&[region])));
            assert!(same(&found.unwrap(), &expected.unwrap()), "{at} {region}");
        }
        let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
        let header = String::from_utf8(reader.header().text().to_vec()).unwrap();
        assert_eq!(header, text[..header.len()]);
    }
}

fn place(line: &str) -> (u32, u64) {
    let fields: Vec<&str> = line.split('\t').collect();
    let contig = fields[2].strip_prefix("chr").map_or(u32::MAX, |c| c.parse().unwrap());
    (contig, fields[3].parse().unwrap())
}

#[test]
fn test_append_gives_the_same_bytes_at_any_thread_count() {
    let (first, second) = (first_lane(), lane("b", &[places(1, 900, 1700, 9_000)], 3));
    let stores = [1, 3].map(|threads| {
        let store = Store::in_memory();
        let with = |options: WriteOptions| WriteOptions { threads, ..options };
        put(&first, &store, &with(change(Change::Create, 1))).unwrap();
        put(&second, &store, &with(change(Change::Append, 2))).unwrap();
        let objects = store.list("").unwrap();
        objects.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap())).collect::<Vec<_>>()
    });
    assert!(stores[0] == stores[1]);
}

#[test]
fn test_replace_redoes_contigs_and_shares_the_others() {
    let first = first_lane();
    let store = Store::in_memory();
    put(&first, &store, &change(Change::Create, 1)).unwrap();
    let before = Dataset::open(&store, At::Newest).unwrap();
    // Reads of other contigs are left alone.
    let input = lane("c", &[places(1, 5, 5, 10), places(2, 77, 99, 60)], 4);
    let options = change(Change::Replace(vec!["chr2".into()]), 2);
    assert_eq!(put(&input, &store, &options).unwrap().reads, 60);
    assert_sound(&store);
    let keep = |text: &str, wanted: &dyn Fn(u32) -> bool| -> String {
        let lines = text.lines().filter(|line| !line.starts_with('@') && wanted(place(line).0));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let (kept, new) = (keep(&first, &|contig| contig != 2), keep(&input, &|contig| contig == 2));
    assert!(names(&store, At::Newest, &Places::default()) == merged(&[&kept, &new]));
    assert!(names(&store, At::Version(1), &Places::default()) == merged(&[&first]));
    let whole = Store::in_memory();
    let mut lines: Vec<&str> = kept.lines().chain(new.lines()).collect();
    lines.sort_by_key(|line| place(line));
    let head = format!("{HEADER}@RG\tID:a\tSM:NA1\n@RG\tID:c\tSM:NA1\n");
    put(&format!("{head}{}\n", lines.join("\n")), &whole, &change(Change::Create, 1)).unwrap();
    assert_eq!(totals(&store), totals(&whole));
    let after = Dataset::open(&store, At::Newest).unwrap();
    assert_eq!(after.manifest().operation, Operation::Replace);
    // Only the chunk that has chr2 among others was written anew.
    let removed = diff(&before, &after).unwrap().removed;
    assert_eq!(removed.iter().filter(|object| object.kind == "chunk").count(), 1);
}

#[test]
fn test_append_keeps_the_order_of_inputs_where_the_dataset_does() {
    let unsorted = |group: &str, seed: u64| {
        let text = lane(group, &[places(1, 5, 900, 3000), places(3, 5, 10, 90)], 5);
        let (head, body): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.starts_with('@'));
        let mut body: Vec<(u64, &str)> =
            (0..).zip(&body).map(|(at, line)| ((at * 7919 + seed) % 3001, *line)).collect();
        body.sort_unstable();
        let body: Vec<&str> = body.into_iter().map(|(_, line)| line).collect();
        let head = head.join("\n").replace("SO:coordinate", "SO:unsorted");
        format!("{head}\n{}\n", body.join("\n"))
    };
    let (first, second) = (unsorted("a", 3), unsorted("b", 5));
    let store = Store::in_memory();
    put(&first, &store, &change(Change::Create, 1)).unwrap();
    put(&second, &store, &change(Change::Append, 2)).unwrap();
    assert_sound(&store);
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    let mut found = Vec::new();
    reader
        .original_order(SortOptions::default(), |batch| {
            found.extend(batch.iter().map(|r| String::from_utf8_lossy(r.name()).into_owned()));
            Ok(())
        })
        .unwrap();
    let in_order = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('@'));
        lines.map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert!(found == [in_order(&first), in_order(&second)].concat());
    let replace = change(Change::Replace(vec!["chr3".into()]), 3);
    assert_eq!(put(&first, &store, &replace).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn test_append_refuses_what_does_not_fit() {
    let store = Store::in_memory();
    let first = lane("a", &[places(1, 5, 50, 100)], 5);
    let error = put(&first, &store, &change(Change::Append, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    put(&first, &store, &change(Change::Create, 2)).unwrap();
    let append =
        |text: &str, number| put(text, &store, &change(Change::Append, number)).unwrap_err();
    let longer = append(&first.replace("LN:9000\n", "LN:9001\n"), 3).to_string();
    assert!(longer.contains("other contigs") && longer.contains("9001 bases"), "{longer}");
    let fewer = append(&first.replace("@SQ\tSN:chr3\tLN:9000\n", ""), 4).to_string();
    assert!(fewer.contains("2 contigs"), "{fewer}");
    let group = append(&first.replace("SM:NA1", "SM:NA2"), 5).to_string();
    assert!(group.contains("read group \"a\""), "{group}");
    let replace = |contig: &str, number| {
        put(&first, &store, &change(Change::Replace(vec![contig.into()]), number)).unwrap_err()
    };
    assert_eq!(replace("chr9", 6).kind(), ErrorKind::Usage);
    assert!(replace("chr2", 7).to_string().contains("no reads on chr2"));
    assert_eq!(Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version, 1);
    assert!(names(&store, At::Newest, &Places::default()) == merged(&[&first]));
    let left = store.list("").unwrap();
    assert!(left.iter().all(|o| o.key.contains("0202020202020202")
        || o.key.starts_with("_m")
        || o.key.starts_with("_manifests/v")));
}

#[test]
fn test_append_equals_samtools_merge() {
    let Some(data) = data() else { return };
    let folder = data.join("alignments/cohort_ceph1463");
    let (one, two) = (folder.join("NA12878_restricted.bam"), folder.join("NA12889_restricted.bam"));
    let merged = std::process::Command::new("samtools")
        .args(["merge", "--no-PG", "-f", "-u", "-o", "-"])
        .args([&one, &two])
        .output()
        .unwrap();
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    let (header, expected) =
        collect(source_of("merged", std::io::Cursor::new(merged.stdout), None).unwrap().as_mut())
            .unwrap();
    let store = Store::in_memory();
    convert(open_file(&one).unwrap().as_mut(), &store, &change(Change::Create, 1)).unwrap();
    convert(open_file(&two).unwrap().as_mut(), &store, &change(Change::Append, 2)).unwrap();
    let found = query(&store, &Places::default()).unwrap();
    assert_eq!(found.len(), expected.len());
    let places = |batch: &RecordBatch| -> Vec<(i32, i32)> {
        batch.iter().map(|record| (record.ref_id(), record.position())).collect()
    };
    assert!(places(&found) == places(&expected));
    // samtools orders reads of one place by their strand besides, and moves the tag RG behind others.
    let sorted = |header: &Header, batch: &RecordBatch| {
        let mut text = Vec::new();
        batch.iter().for_each(|record| write_record(&mut text, &record, header.contigs()));
        let mut lines: Vec<String> = String::from_utf8(text)
            .unwrap()
            .lines()
            .map(|line| {
                let mut fields: Vec<&str> = line.split('\t').collect();
                fields[11..].sort_unstable();
                fields.join("\t")
            })
            .collect();
        lines.sort_unstable();
        lines
    };
    assert!(sorted(&header, &found) == sorted(&header, &expected));
}
