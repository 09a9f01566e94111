//! Coverage is mosdepth's, but where the specification says why it is not.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;

use testkit::{corpus, oracle};

use super::coverage::depths;
use super::*;

fn require() -> bool {
    let found = Command::new("mosdepth").arg("--version").output().is_ok();
    if !found {
        corpus::skip("mosdepth is not installed");
    }
    found && oracle::require()
}

type Depths = BTreeMap<(String, u64), u64>;

/// Depths above 0 that mosdepth counts.
fn mosdepth(bam: &std::path::Path) -> Depths {
    let prefix = bam.with_extension("mosdepth");
    let output = Command::new("mosdepth").arg(&prefix).arg(bam).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let zipped = std::fs::read(prefix.with_extension("mosdepth.per-base.bed.gz")).unwrap();
    let text = String::from_utf8(oracle::gunzip(&zipped).unwrap()).unwrap();
    let mut depths = Depths::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [start, end, depth] = [1, 2, 3].map(|at| fields[at].parse::<u64>().unwrap());
        for position in (start..end).filter(|_| depth > 0) {
            depths.insert((fields[0].to_owned(), position + 1), depth);
        }
    }
    depths
}

fn ours(store: &Store, sample: &str) -> Depths {
    let text = depths(store, sample);
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        ((fields[0].to_owned(), fields[1].parse().unwrap()), fields[2].parse().unwrap())
    };
    text.lines().map(parse).collect()
}

/// Where mates overlap in a way in which mosdepth counts otherwise: as no proper pair, one within
/// the other, or across a deletion or skip. Contig, first and last base.
fn odd_pairs(sam: &str) -> Vec<(String, u64, u64)> {
    let mut first: HashMap<String, (String, u64, u64, String)> = HashMap::new();
    let mut odd = Vec::new();
    for line in sam.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let flags: u16 = fields[1].parse().unwrap();
        if flags & (1796 | 2048) != 0 || flags & 1 == 0 {
            continue;
        }
        let (contig, start): (String, u64) = (fields[2].into(), fields[3].parse().unwrap());
        let mut span = 0;
        let mut number = 0;
        for letter in fields[5].chars() {
            match letter.to_digit(10) {
                Some(digit) => number = number * 10 + u64::from(digit),
                None => {
                    span += if "MDN=X".contains(letter) { number } else { 0 };
                    number = 0;
                }
            }
        }
        let (end, cigar) = (start + span.max(1) - 1, fields[5].to_owned());
        let Some((other, from, to, of_other)) = first.remove(fields[0]) else {
            first.insert(fields[0].to_owned(), (contig, start, end, cigar));
            continue;
        };
        let is_within = from <= start && end <= to || start <= from && to <= end;
        let has_gap = [&cigar, &of_other].iter().any(|cigar| cigar.contains(['D', 'N']));
        if other == contig && start <= to && (flags & 2 == 0 || is_within || has_gap) {
            odd.push((contig, from.min(start), to.max(end)));
        }
    }
    odd
}

/// Compares, and says at how many of how many positions depths differ, each for a known reason.
fn compare(bam: &std::path::Path, ours: &Depths) -> (usize, usize) {
    let theirs = mosdepth(bam);
    let sam = oracle::run(["view", bam.to_str().unwrap()]).unwrap();
    let odd = odd_pairs(&String::from_utf8(sam).unwrap());
    let mut differing = 0;
    for (position, depth) in theirs.iter().chain(ours) {
        let (of_ours, of_theirs) = (ours.get(position), theirs.get(position));
        if of_ours != of_theirs {
            differing += 1;
            let (contig, at) = position;
            let is_known =
                odd.iter().any(|(of, from, to)| of == contig && (*from..=*to).contains(at));
            assert!(is_known, "{position:?}: {of_ours:?}, mosdepth {of_theirs:?} ({depth})");
        }
    }
    (differing, theirs.len())
}

#[test]
fn test_depth_is_that_of_mosdepth_at_every_seam() {
    if !require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(2, 400);
    for size in [1_000, 7_000, 1_000_000] {
        let store = Store::in_memory();
        convert(&files(&cohort), &store, &WriteOptions { region_size: size, ..small() }).unwrap();
        for (number, (name, text)) in cohort.iter().enumerate() {
            let bam = folder.path().join(format!("{name}.{size}.bam"));
            let args = ["view", "-b", "-o", bam.to_str().unwrap(), "-"];
            oracle::run_with_input(args, text.as_bytes()).unwrap();
            oracle::run(["index", bam.to_str().unwrap()]).unwrap();
            let (differing, all) = compare(&bam, &ours(&store, &format!("s{number}")));
            println!("{name}, regions of {size}: {differing} of {all} positions differ");
            assert!(all > 20_000 && differing < all / 4);
        }
    }
}

#[test]
fn test_depth_of_real_files_is_that_of_mosdepth() {
    let Some(data) = corpus::require().filter(|_| require()) else { return };
    let folder = tempfile::tempdir().unwrap();
    // How many percent of the positions lie in pairs that mosdepth counts otherwise.
    for (name, most_percent) in [
        ("cohort_ceph1463/NA12878_restricted.bam", 8),
        ("cohort_ceph1463/NA12889_restricted.bam", 2),
        ("cohort_ceph1463/NA12890_restricted.bam", 2),
        ("NA12878.exome.chr11_chr20_unmapped.bam", 6),
        ("HCC1395.rnaseq.chr22.bam", 6),
        ("NA12878.ont.wgs_b37.bam", 1),
    ] {
        let bytes = std::fs::read(data.join("alignments").join(name)).unwrap();
        let bam = folder.path().join(name.replace('/', "_"));
        std::fs::write(&bam, &bytes).unwrap();
        oracle::run(["index", bam.to_str().unwrap()]).unwrap();
        let store = Store::in_memory();
        let opener = |_: usize| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
        };
        let options = WriteOptions { region_size: 20_000, ..options() };
        let inputs = [input(Some("it"), name)];
        write(&inputs, &opener, None, &store, &options, &Arc::default()).unwrap();
        let (differing, all) = compare(&bam, &ours(&store, "it"));
        println!("{name}: {differing} of {all} positions differ");
        assert!(differing * 100 < all * most_percent, "{name}: {differing} of {all}");
    }
}
