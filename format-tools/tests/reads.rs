//! Reads on the command line: pairs, compressed output, views and what a query cost.

#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod support;

use std::path::Path;

use support::{run, stderr, stdout_of};

/// Reads whose qualities differ from read to read, as first or second ones of pairs.
fn fastq(reads: u32, mate: u32) -> String {
    let mut text = String::new();
    for read in 0..reads {
        let base = |at: u32| char::from(b"ACGT"[((read * 7 + at * at + mate) % 4) as usize]);
        let bases: String = (0..80).map(base).collect();
        let level = char::from(b'#' + (read * 37 % 40) as u8);
        let qualities: String = std::iter::repeat_n(level, 80).collect();
        text += &format!("@run:{read} {mate}:N:0:ACGT\n{bases}\n+\n{qualities}\n");
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path.to_str().expect("a path").to_owned()
}

#[test]
fn test_pairs_go_to_two_files_and_by_turns_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let texts = [fastq(3000, 1), fastq(3000, 2)];
    let one = write(folder.path(), "1.fastq", &texts[0]);
    let two = write(folder.path(), "2.fastq", &texts[1]);
    let srf = path("x.srf");
    stdout_of(["fastq-to-srf", "--quiet", "--verify", &one, &two, &srf]);
    let (first, second) = (path("r1.gz"), path("r2.gz"));
    stdout_of(["srf-to-fastq", "--quiet", "-O", "fastq.gz", "-1", &first, "-2", &second, &srf]);
    for (file, text) in [(first, &texts[0]), (second, &texts[1])] {
        let bytes = std::fs::read(file).unwrap();
        assert!(testkit::oracle::gunzip(&bytes).unwrap() == text.as_bytes());
    }
    let woven = stdout_of(["srf-to-fastq", "--quiet", "--interleaved", &srf]);
    let turns = write(folder.path(), "turns.fastq", &woven);
    let again = path("again.srf");
    stdout_of(["fastq-to-srf", "--quiet", "--interleaved", &turns, &again]);
    assert!(stdout_of(["srf-to-fastq", "--quiet", &again]) == woven);
    let refused = run(["srf-to-fastq", &srf]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--interleaved"), "{}", stderr(&refused));
}

#[test]
fn test_stats_tell_where_an_index_cannot_help_and_a_view_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let input = write(folder.path(), "x.fastq", &fastq(20_000, 1));
    let (plain, ordered) = (path("plain.srf"), path("ordered.srf"));
    let options = ["fastq-to-srf", "--quiet", "--batch-reads", "500"];
    stdout_of([&options[..], &[&input, &plain]].concat());
    stdout_of([&options[..], &["--order", "quality", &input, &ordered]].concat());
    let count = |dataset: &str| {
        let words = ["srf-query", "-c", "--stats", "--min-avg-quality", "35", dataset];
        let output = run(words);
        assert!(output.status.success(), "{}", stderr(&output));
        (support::stdout(&output), stderr(&output))
    };
    let (unhelped, helped) = (count(&plain), count(&ordered));
    assert_eq!(unhelped.0, helped.0);
    assert!(unhelped.1.contains("ruled out 0; nearly every batch"), "{}", unhelped.1);
    assert!(unhelped.1.contains("--order quality"), "{}", unhelped.1);
    assert!(helped.1.contains("of the view by quality"), "{}", helped.1);
    assert!(!helped.1.contains("nearly every batch"), "{}", helped.1);
    let info = stdout_of(["info", &ordered]);
    assert!(info.contains("second view     by quality"), "{info}");
    stdout_of(["verify", &ordered]);
}
