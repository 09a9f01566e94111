//! Small contigs share regions: few objects, the same answers.

use genomic_objects::ram::depths::{self, Format as DepthFormat};
use genomic_objects::ram::verify::verify;
use testkit::{corpus, oracle};

use super::coverage::within_contigs;
use super::*;

/// `count` contigs of 300 to 700 bases between two of several regions, and some reads on each.
fn many(sample: &str, count: u64, seed: u64) -> String {
    let mut choices = Choices(seed);
    let length =
        |contig: u64| if contig.is_multiple_of(count - 1) { 20_000 } else { 300 + contig % 400 };
    let mut text = "@HD\tVN:1.6\tSO:coordinate\n".to_owned();
    for contig in 0..count {
        text += &format!("@SQ\tSN:HLA*{contig}:01\tLN:{}\n", length(contig));
    }
    text += &format!("@RG\tID:{sample}\tSM:{sample}\n");
    for contig in 0..count {
        let mut starts: Vec<u64> =
            (0..choices.below(9)).map(|_| choices.below(length(contig) - 40)).collect();
        starts.sort_unstable();
        for (read, start) in starts.iter().enumerate() {
            // The last one may reach beyond its contig.
            let bases = if choices.below(5) == 0 { 60 } else { 30 };
            text += &format!(
                "r{contig}.{read}\t0\tHLA*{contig}:01\t{}\t60\t{bases}M\t*\t0\t0\t{}\t{}\n",
                start + 1,
                "ACGT".repeat(20).get(..bases).unwrap(),
                "I".repeat(bases),
            );
        }
    }
    text
}

fn lines(store: &Store, region: &str, sample: &str) -> String {
    query(store, &[region], &[sample]).unwrap().0
}

#[test]
fn test_answers_of_contigs_that_share_a_region_are_those_of_samtools() {
    if !oracle::require() {
        return;
    }
    let given = [("a.sam", many("a", 60, 1)), ("b.sam", many("b", 60, 2))];
    let store = Store::in_memory();
    let inputs: Vec<(&str, &[u8])> =
        given.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let summary = convert(&inputs, &store, &small()).unwrap();
    assert!(summary.regions < 15, "{} regions", summary.regions);
    let folder = tempfile::tempdir().unwrap();
    for (sample, (name, text)) in ["a", "b"].iter().zip(&given) {
        let path = folder.path().join(name);
        let bam = path.with_extension("bam");
        std::fs::write(&path, text).unwrap();
        oracle::run(["view", "-b", "-o", bam.to_str().unwrap(), path.to_str().unwrap()]).unwrap();
        oracle::run(["index", bam.to_str().unwrap()]).unwrap();
        let view = |region: &str| {
            let lines = oracle::run(["view", bam.to_str().unwrap(), region]).unwrap();
            String::from_utf8(lines).unwrap()
        };
        for contig in 0..60 {
            for place in ["", ":100-160", ":290-100000"] {
                let region = format!("{{HLA*{contig}:01}}{place}");
                assert_eq!(lines(&store, &region, sample), view(&region), "{region}");
            }
        }
        assert!(exported(&store, sample).unwrap() == text.as_bytes());
        let reader =
            Reader::open(&store, At::Newest, Content::Coverage, &request(&[], &[sample])).unwrap();
        let options = depths::Options { format: DepthFormat::Bed, window: None, summed: false };
        let mut found = String::new();
        depths::stretches(&reader, &options, 2, None, |stretch| {
            let name = &reader.contigs().get(stretch.contig).unwrap().name;
            for position in stretch.interval.start()..stretch.interval.end() {
                found += &format!("{name}\t{}\t{}\n", position + 1, stretch.max);
            }
            Ok(())
        })
        .unwrap();
        let expected = oracle::run(["depth", "-s", "-a", path.to_str().unwrap()]).unwrap();
        let expected = within_contigs(&store, &String::from_utf8(expected).unwrap());
        assert!(found == expected, "coverage of {sample}");
    }
    let dataset = genomic_objects::dataset::Dataset::open(&store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn test_samples_that_order_contigs_otherwise_come_back() {
    let one = many("a", 30, 1);
    let two = many("b", 30, 2);
    // The dictionary and the records of the second sample from the last contig to the first.
    let (head, body): (Vec<&str>, Vec<&str>) = two.lines().partition(|line| line.starts_with('@'));
    let contig_of = |line: &&str| -> u64 {
        line.split("HLA*").nth(1).and_then(|rest| rest.split(':').next()).unwrap().parse().unwrap()
    };
    let (mut dictionary, mut records) = (head[1..31].to_vec(), body);
    dictionary.reverse();
    records.sort_by_key(|line| std::cmp::Reverse(contig_of(line)));
    let two = [vec![head[0]], dictionary, vec![head[31]], records].concat().join("\n") + "\n";
    let store = Store::in_memory();
    let given = [("a.sam", one.as_bytes()), ("b.sam", two.as_bytes())];
    convert(&given, &store, &small()).unwrap();
    assert!(exported(&store, "a").unwrap() == one.as_bytes());
    assert!(exported(&store, "b").unwrap() == two.as_bytes());
}

#[test]
fn test_files_of_thousands_of_contigs_stay_small() {
    let Some(data) = corpus::require() else { return };
    // The second is an excerpt of few reads, which stay on as many contigs: some 20 kB a region.
    for (name, most_bytes, most_objects) in [
        ("HG001.grch38_3366contigs.unsorted.bam", 8 * 80_171, 100),
        ("pathogen_8403contigs.queryname.bam", 5_000_000, 700),
    ] {
        let bytes = std::fs::read(data.join("alignments").join(name)).unwrap();
        let store = Store::in_memory();
        let opener = |_: usize| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
        };
        let inputs = [input(Some("it"), name)];
        let summary = write(&inputs, &opener, None, &store, &options(), &Arc::default()).unwrap();
        println!("{name}: {} bytes, {summary:?}", bytes.len());
        assert!(summary.total_bytes < most_bytes, "{name}: {summary:?}");
        assert!(summary.objects < most_objects, "{name}: {summary:?}");
    }
}
