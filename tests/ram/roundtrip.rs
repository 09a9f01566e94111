//! Each sample comes back as it was; regions are those of `samtools view`.

use genomic_objects::ram::manifest::Details;
use testkit::{corpus, oracle};

use super::*;

#[test]
fn test_samples_come_back_word_for_word() {
    let cohort = cohort(5, 200);
    for options in [options(), small()] {
        let store = Store::in_memory();
        let summary = convert(&files(&cohort), &store, &options).unwrap();
        assert_eq!((summary.samples, summary.reads), (5, 5 * 406));
        for (number, (_, text)) in cohort.iter().enumerate() {
            let got = exported(&store, &format!("s{number}")).unwrap();
            assert!(got == text.as_bytes(), "sample {number}");
        }
    }
}

#[test]
fn test_samples_out_of_order_and_with_other_dictionaries_come_back() {
    let sorted = sam("a", 50, 1);
    let (head, body) = sorted.split_at(sorted.find("\np").unwrap() + 1);
    let mut lines: Vec<&str> = body.lines().collect();
    lines.reverse();
    let unsorted = head.replace("coordinate", "unsorted") + &lines.join("\n") + "\n";
    let other = sam("b", 50, 2).replace(
        "@SQ\tSN:chr1\tLN:40000\n@SQ\tSN:chr2\tLN:12000\n",
        "@SQ\tSN:chr0\tLN:5\n@SQ\tSN:chr2\tLN:12000\n@SQ\tSN:chr1\tLN:40000\n",
    );
    let (head, body) = other.split_at(other.find("\np").unwrap() + 1);
    let (second, first): (Vec<&str>, Vec<&str>) =
        body.lines().filter(|l| !l.starts_with('u')).partition(|l| l.contains("\tchr2\t"));
    let unplaced: Vec<&str> = body.lines().filter(|line| line.starts_with('u')).collect();
    let other = head.to_owned() + &[second, first, unplaced].concat().join("\n") + "\n";
    let store = Store::in_memory();
    let given = [("a.sam", unsorted.as_bytes()), ("b.sam", other.as_bytes())];
    let summary = convert(&given, &store, &small()).unwrap();
    assert_eq!(summary.reordered, 2, "one is sorted otherwise, the other's dictionary is");
    assert!(exported(&store, "a").unwrap() == unsorted.as_bytes());
    assert!(exported(&store, "b").unwrap() == other.as_bytes());
}

#[test]
fn test_regions_are_those_of_samtools() {
    if !oracle::require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(3, 300);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    for (number, (name, text)) in cohort.iter().enumerate() {
        let (sam, bam) = (folder.path().join(name), folder.path().join(format!("{name}.bam")));
        std::fs::write(&sam, text).unwrap();
        let args = ["view", "-b", "-o", bam.to_str().unwrap(), sam.to_str().unwrap()];
        oracle::run(args).unwrap();
        oracle::run(["index", bam.to_str().unwrap()]).unwrap();
        for region in
            ["chr1:6,900-7,100", "chr1:1-40000", "chr2:3000-3000", "chr1:13999-14001", "*"]
        {
            let expected = oracle::run(["view", bam.to_str().unwrap(), region]).unwrap();
            let (got, _) = query(&store, &[region], &[&format!("s{number}")]).unwrap();
            assert!(got.as_bytes() == expected, "{region} of s{number}");
        }
        // Two regions that one read may overlap give it once.
        let regions = ["chr1:100-7050", "chr1:7060-9000"];
        let expected =
            oracle::run(["view", "-M", bam.to_str().unwrap()].into_iter().chain(regions));
        let (got, _) = query(&store, &regions, &[&format!("s{number}")]).unwrap();
        assert!(got.as_bytes() == expected.unwrap());
    }
}

#[test]
fn test_real_files_come_back_exactly() {
    let Some(data) = corpus::require() else { return };
    if !oracle::require() {
        return;
    }
    let folder = data.join("alignments");
    for name in [
        "HCC1395.rnaseq.chr22.bam",
        "HG002.pacbio_hifi.mm_ml.GRCh38.bam",
        "NA12878.duplex_umi.unsorted.bam",
        "NA12878.ont.wgs_b37.bam",
        "cigar-64k.ont.bam",
        "deep_coverage.bam",
        "aux_large.sam",
        "cram_levels/NA12878.platinum_chrM.v31.level-4.cram",
    ] {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).unwrap();
        let store = Store::in_memory();
        let opener = |_: usize| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
        };
        let options = WriteOptions { region_size: 100_000, ..options() };
        let inputs = [input(Some("it"), name)];
        write(&inputs, &opener, None, &store, &options, &Arc::default()).unwrap();
        let expected = oracle::view(&path, None).unwrap();
        assert!(exported(&store, "it").unwrap() == expected, "{name}");
    }
}

#[test]
fn test_added_samples_stand_beside_the_others() {
    let cohort = cohort(4, 100);
    let (first, more) = cohort.split_at(2);
    let store = Store::in_memory();
    convert(&files(first), &store, &small()).unwrap();
    let before = store.list("regions").unwrap();
    let transaction = TransactionId::from_bytes([9; 16]);
    let adding = WriteOptions { add: true, transaction, ..options() };
    let summary = convert(&files(more), &store, &adding).unwrap();
    assert_eq!((summary.dataset_version, summary.samples), (2, 2));
    let now = store.list("regions").unwrap();
    assert!(before.iter().all(|object| now.iter().any(|other| other.key == object.key)));
    for (number, (_, text)) in cohort.iter().enumerate() {
        assert!(exported(&store, &format!("s{number}")).unwrap() == text.as_bytes());
    }
    let whole = Store::in_memory();
    convert(&files(&cohort), &whole, &small()).unwrap();
    let sorted = |store: &Store| {
        let (text, _) = query(store, &["chr1:6000-8000"], &[]).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&store), sorted(&whole));
    let old = Reader::open(&store, At::Version(1), Content::Alignments, &Request::default());
    assert_eq!(old.unwrap().samples(), ["s0", "s1"]);
    let error = convert(
        &files(more),
        &store,
        &WriteOptions { transaction: TransactionId::from_bytes([10; 16]), ..adding },
    );
    assert!(error.unwrap_err().to_string().contains("there twice"));
}

#[test]
fn test_only_parts_of_the_genome_are_taken_where_asked() {
    let cohort = cohort(2, 200);
    let store = Store::in_memory();
    let bed = "chr1\t6900\t7200\nchr2\t100\t200\n".to_owned();
    let parts = WriteOptions { parts: Some(("x.bed".into(), bed)), ..small() };
    convert(&files(&cohort), &store, &parts).unwrap();
    let whole = Store::in_memory();
    convert(&files(&cohort), &whole, &small()).unwrap();
    let regions = ["chr1:6901-7200", "chr2:101-200"];
    let all = query(&store, &[], &["s1"]).unwrap().0;
    assert_eq!(all, query(&whole, &regions, &["s1"]).unwrap().0);
    assert!(!all.is_empty());
    let reader =
        Reader::open(&store, At::Newest, Content::Alignments, &Request::default()).unwrap();
    let details = Details::read(reader.dataset().manifest()).unwrap();
    assert_eq!(details.parts.unwrap().len(), 2);
}
