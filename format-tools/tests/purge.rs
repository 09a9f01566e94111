//! `purge`: what it says, what it leaves, and what it refuses.
#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod support;

use std::path::Path;
use std::process::Output;

use support::{format_tools, stderr, stdout};
use tempfile::TempDir;

fn run(dir: &TempDir, arguments: &[&str]) -> Output {
    format_tools(arguments).current_dir(dir.path()).output().expect("it starts")
}

fn ok(dir: &TempDir, arguments: &[&str]) -> Output {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

fn fails(dir: &TempDir, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

/// All files below a folder that hold a text.
fn holders(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn test_purge_of_a_cohort_and_of_its_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    for n in ["1", "2", "3"] {
        let (name, file) = (format!("NA{n}"), format!("input{n}.bam"));
        let reads = ["simulate", "--reads", "2000", "--coverage", "1", "--seed", n, "--sample"];
        ok(&dir, &[&reads[..], &[&name, "-o", &file]].concat());
    }
    ok(&dir, &["bam-to-ram", "input1.bam", "input2.bam", "c.ram"]);
    ok(&dir, &["bam-to-ram", "--add", "input3.bam", "c.ram"]);
    ok(&dir, &["tag", "c.ram", "NA2", "--at", "1"]);
    ok(&dir, &["cp", "--all", "c.ram", "copy.ram"]);
    let before = stdout(&ok(&dir, &["ram-to-bam", "-O", "sam", "-s", "NA3", "c.ram"]));
    assert!(!holders(&dir.path().join("c.ram"), "input2.bam").is_empty());

    let planned = stdout(&ok(&dir, &["purge", "--dry-run", "--json", "-s", "NA2", "c.ram"]));
    assert!(planned.contains("\"dataset_version\":null"), "{planned}");
    ok(&dir, &["ram-query", "--at", "NA2", "-c", "c.ram"]);
    let said = stderr(&ok(&dir, &["purge", "--sample", "NA2", "c.ram"]));
    assert!(said.contains("version 4 is without NA2: "), "{said}");
    assert!(said.contains("versions from 1 to 3 given up"), "{said}");
    for text in ["input2.bam", "\"NA2\"", "SM:NA2"] {
        assert_eq!(holders(&dir.path().join("c.ram"), text), [""; 0]);
    }
    let after = stdout(&ok(&dir, &["ram-to-bam", "-O", "sam", "-s", "NA3", "c.ram"]));
    assert_eq!(after, before);
    let log = stdout(&ok(&dir, &["log", "c.ram"]));
    assert!(log.contains("\tpurge\t") && log.ends_with("\t(purged)\n"), "{log}");
    assert!(fails(&dir, &["ram-query", "--at", "2", "c.ram"], 1).contains("given up"));
    let error = fails(&dir, &["purge", "--sample", "NA2", "c.ram"], 1);
    assert!(error.contains("NA1, NA3"), "{error}");
    ok(&dir, &["verify", "c.ram"]);

    assert!(!holders(&dir.path().join("copy.ram"), "input2.bam").is_empty());
    ok(&dir, &["cp", "--all", "c.ram", "copy.ram"]);
    assert_eq!(holders(&dir.path().join("copy.ram"), "input2.bam"), [""; 0]);
    ok(&dir, &["verify", "copy.ram"]);
    // Redoing a sample.
    let reads = ["simulate", "--reads", "2000", "--coverage", "1", "--seed", "9"];
    ok(&dir, &[&reads[..], &["--sample", "NA3", "-o", "again.bam"]].concat());
    ok(&dir, &["bam-to-ram", "--replace", "NA3", "again.bam", "c.ram"]);
    let again = stdout(&ok(&dir, &["ram-to-bam", "-O", "sam", "-s", "NA3", "c.ram"]));
    assert_ne!(again, before);
}

#[test]
fn test_purge_reports_what_is_left_and_refuses_what_has_one_sample() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut vcf = "##fileformat=VCFv4.2\n##cmd=call NA2 x\n".to_owned();
    vcf += "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n";
    vcf += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\tNA2\n";
    vcf += "c\t5\t.\tA\tC\t1\tPASS\t.\tGT\t0/1\t1/1\n";
    std::fs::write(dir.path().join("x.vcf"), vcf).expect("a file");
    ok(&dir, &["vcf-to-vcs", "x.vcf", "x.vcs"]);
    std::fs::write(dir.path().join("x.vcs/README"), "mine").expect("a file");
    let said = stderr(&ok(&dir, &["purge", "--sample", "NA2", "x.vcs"]));
    assert!(said.contains("left: x.vcs/README: not of the dataset"), "{said}");
    assert!(said.contains("the header still names a sample, in line 2"), "{said}");
    let text = stdout(&ok(&dir, &["vcs-to-vcf", "x.vcs"]));
    assert!(text.ends_with("FORMAT\tNA1\nc\t5\t.\tA\tC\t1\tPASS\t.\tGT\t0/1\n"), "{text}");

    let reads = ["simulate", "--reads", "50", "--coverage", "1", "--sample", "NA7"];
    ok(&dir, &[&reads[..], &["-o", "x.bam"]].concat());
    ok(&dir, &["bam-to-paf", "x.bam", "x.paf"]);
    let error = fails(&dir, &["purge", "--sample", "NA7", "x.paf"], 2);
    assert!(error.contains("remove the dataset itself: `rm -r x.paf"), "{error}");
    let error = fails(&dir, &["purge", "--sample", "NA8", "x.paf"], 1);
    assert!(error.contains("one of its samples: NA7"), "{error}");
    std::fs::write(dir.path().join("x.fastq"), "@a\nAC\n+\nII\n").expect("a file");
    ok(&dir, &["fastq-to-srf", "x.fastq", "x.srf"]);
    let error = fails(&dir, &["purge", "--sample", "NA7", "x.srf"], 2);
    assert!(error.contains("rm -r"), "{error}");
}
