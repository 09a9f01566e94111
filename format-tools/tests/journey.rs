//! A BAM's journey through the commands: made, converted, asked, given back.

#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{format_tools, run, stderr, stdout, stdout_of};
use tempfile::TempDir;

/// What `simulate --reads 20k --seed 3` makes: 20,000 reads, and some secondary and supplementary
/// alignments of them.
const READS: u64 = 20_169;

/// A folder with `x.bam` of some simulated reads and the dataset `x.paf` made of it.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().expect("a folder"));
        let make = ["simulate", "--reads", "20k", "--seed", "3", "--coverage", "1", "-o", "x.bam"];
        fixture.ok(&make);
        fixture.ok(&["bam-to-paf", "x.bam", "x.paf"]);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = format_tools(arguments);
        command.current_dir(self.0.path());
        command
    }

    /// Runs a command that must succeed; returns its standard output.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// Runs a command that must fail with this exit code; returns its standard error.
    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Every file below `name` with its size, in order.
    fn files(&self, name: &str) -> Vec<(PathBuf, u64)> {
        fn collect(folder: &Path, into: &mut Vec<(PathBuf, u64)>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    collect(&path, into);
                } else {
                    into.push((path, entry.metadata().map_or(0, |found| found.len())));
                }
            }
        }
        let mut files = Vec::new();
        collect(&self.path(name), &mut files);
        files.sort();
        files
    }
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

#[test]
fn test_round_trip_gives_the_same_text() {
    let at = Fixture::new();
    at.ok(&["paf-to-bam", "x.paf", "-o", "back.bam"]);
    at.ok(&["bam-to-paf", "back.bam", "back.paf"]);
    let all = at.ok(&["paf-query", "-h", "x.paf"]);
    assert_eq!(lines(&all) - lines(&at.ok(&["paf-query", "-H", "x.paf"])), READS as usize);
    assert_eq!(all, at.ok(&["paf-query", "-h", "back.paf"]));
    assert_eq!(all, at.ok(&["paf-to-bam", "-O", "sam", "x.paf"]));
    // CRAM may hold NM and MD in another order of tags, so counts are compared here.
    at.ok(&["paf-to-bam", "-O", "cram", "x.paf", "-o", "x.cram"]);
    at.ok(&["bam-to-paf", "x.cram", "cram.paf"]);
    assert_eq!(at.ok(&["paf-query", "-c", "cram.paf"]), format!("{READS}\n"));
}

#[test]
fn test_input_may_come_from_standard_input_and_named_options() {
    let at = Fixture::new();
    let bam = std::fs::File::open(at.path("x.bam")).expect("the BAM");
    let output = at.command(&["bam-to-paf", "-", "stdin.paf"]).stdin(bam).output().expect("it");
    assert!(output.status.success(), "{}", stderr(&output));
    at.ok(&["bam-to-paf", "--input", "x.bam", "--output", "named.paf", "--parallel", "1"]);
    at.ok(&["bam-to-paf", "x.bam", "-o", "mixed.paf"]);
    for dataset in ["stdin.paf", "named.paf", "mixed.paf"] {
        assert_eq!(at.ok(&["paf-query", "-c", dataset]), format!("{READS}\n"), "{dataset}");
    }
}

#[test]
fn test_query_narrows_by_region_and_filter() {
    let at = Fixture::new();
    let whole = lines(&at.ok(&["paf-query", "x.paf", "chr1"]));
    let part = at.ok(&["paf-query", "x.paf", "chr1:1M-1.2M"]);
    assert!(0 < lines(&part) && lines(&part) < whole, "{} of {whole}", lines(&part));
    std::fs::write(at.path("x.bed"), "chr1\t999999\t1100000\nchr1\t1050000\t1200000\n")
        .expect("it");
    assert_eq!(at.ok(&["paf-query", "-L", "x.bed", "x.paf"]), part, "a BED of the same bases");
    let count = |arguments: &[&str]| -> u64 {
        let arguments = [&["paf-query", "-c", "x.paf", "chr1:1M-1.2M"], arguments].concat();
        at.ok(&arguments).trim().parse().expect("a count")
    };
    let all = count(&[]);
    assert_eq!(all as usize, lines(&part));
    assert_eq!(count(&["-f", "0x10"]) + count(&["-F", "REVERSE"]), all);
    assert_eq!(count(&["-q", "30"]), count(&["-e", "mapq >= 30"]));
    assert!(at.fails(&["paf-query", "x.paf", "chr99"], 2).contains("chr99"));
    assert!(at.fails(&["paf-query", "x.paf", "-e", "mapq >="], 2).contains("expression"));
    assert!(at.fails(&["paf-query", "x.paf", "--max-bytes", "10"], 2).contains("bytes"));
}

#[test]
fn test_query_writes_every_format() {
    let at = Fixture::new();
    at.ok(&["paf-query", "-O", "bam", "-o", "part.bam", "x.paf", "chr1:1M-1.2M"]);
    at.ok(&["bam-to-paf", "part.bam", "part.paf"]);
    let part = at.ok(&["paf-query", "x.paf", "chr1:1M-1.2M"]);
    assert_eq!(at.ok(&["paf-query", "part.paf"]), part);
    let json = at.ok(&["paf-query", "-O", "json", "x.paf", "chr1:1M-1.2M"]);
    assert_eq!(lines(&json), lines(&part));
    for line in json.lines() {
        serde_json::from_str::<Value>(line).expect(line);
    }
    let output = at.command(&["paf-query", "-O", "arrow", "x.paf", "chr1:1M-1.2M"]).output();
    let stream = output.expect("it starts").stdout;
    let batches = arrow_ipc::reader::StreamReader::try_new(stream.as_slice(), None).expect("Arrow");
    let rows: usize = batches.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, lines(&part));
}

#[test]
fn test_summaries_and_statistics_are_json_when_asked() {
    let at = Fixture::new();
    let summary = at.json(&["bam-to-paf", "--json", "x.bam", "json.paf"]);
    assert_eq!(summary["reads"], READS, "{summary}");
    assert_eq!(at.json(&["info", "--json", "x.paf"])["read_count"], READS);
    let output = at
        .command(&["paf-query", "--json", "--stats", "-c", "x.paf", "chr1:1M-1.1M"])
        .output()
        .expect("it starts");
    let stats: Value = serde_json::from_str(&stderr(&output)).expect("statistics");
    assert!(stats["requests"].as_u64() > Some(0), "{stats}");
    assert!(stats["bytes_fetched"].as_u64() > Some(0), "{stats}");
    assert!(stats["blocks"].as_u64() <= stats["blocks_total"].as_u64(), "{stats}");
    let quiet = at.command(&["bam-to-paf", "--quiet", "x.bam", "quiet.paf"]).output().expect("it");
    assert_eq!((stdout(&quiet), stderr(&quiet)), (String::new(), String::new()));
}

#[test]
fn test_existing_output_is_refused_unless_overwritten() {
    let at = Fixture::new();
    let before = at.files("x.paf");
    let message = at.fails(&["bam-to-paf", "x.bam", "x.paf"], 1);
    assert!(message.contains("--overwrite"), "{message}");
    assert_eq!(at.files("x.paf"), before);
    at.ok(&["bam-to-paf", "--overwrite", "--level", "fast", "x.bam", "x.paf"]);
    assert_eq!(at.json(&["log", "--json", "x.paf"]).as_array().map(Vec::len), Some(2));
}

#[test]
fn test_dry_run_writes_nothing() {
    let at = Fixture::new();
    let plan = at.json(&["bam-to-paf", "--dry-run", "--json", "x.bam", "dry.paf"]);
    assert!(plan["objects"].as_u64() > Some(0), "{plan}");
    assert!(!at.path("dry.paf").exists());
}

#[test]
fn test_bad_input_leaves_no_dataset() {
    let at = Fixture::new();
    let whole = std::fs::read(at.path("x.bam")).expect("the BAM");
    std::fs::write(at.path("cut.bam"), &whole[..whole.len() / 2]).expect("a file");
    std::fs::write(at.path("empty.bam"), "").expect("a file");
    std::fs::write(at.path("text.bam"), "not a BAM\n").expect("a file");
    for input in ["cut.bam", "empty.bam", "text.bam", "missing.bam"] {
        let message = at.fails(&["bam-to-paf", input, "bad.paf"], 1);
        assert!(message.contains(input), "{message}");
        at.fails(&["info", "bad.paf"], 1);
    }
    at.ok(&["bam-to-paf", "x.bam", "bad.paf"]);
}

#[test]
fn test_reader_that_leaves_early_is_no_failure() {
    let at = Fixture::new();
    let mut child = at
        .command(&["paf-query", "x.paf"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 100];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("some bytes");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn test_output_file_appears_whole_or_not_at_all() {
    let at = Fixture::new();
    std::fs::write(at.path("out.sam"), "precious").expect("a file");
    at.fails(&["paf-query", "-o", "out.sam", "x.paf", "chr99"], 2);
    assert_eq!(std::fs::read_to_string(at.path("out.sam")).expect("it"), "precious");
    at.ok(&["paf-query", "-o", "out.sam", "x.paf", "chr1:1M-1.1M"]);
    let text = std::fs::read_to_string(at.path("out.sam")).expect("it");
    assert_eq!(text, at.ok(&["paf-query", "x.paf", "chr1:1M-1.1M"]));
    let left: Vec<_> = std::fs::read_dir(at.0.path())
        .expect("the folder")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let message = at.fails(&["paf-query", "-o", "no/such/folder/x.sam", "x.paf"], 1);
    assert!(message.contains("no/such/folder/x.sam"), "{message}");
}

#[test]
fn test_versions_can_be_listed_compared_and_restored() {
    let at = Fixture::new();
    at.ok(&["simulate", "--reads", "1k", "--seed", "4", "-o", "y.bam"]);
    at.ok(&["bam-to-paf", "--overwrite", "y.bam", "x.paf"]);
    let count = |arguments: &[&str]| at.ok(&[&["paf-query", "-c", "x.paf"], arguments].concat());
    assert_eq!(count(&[]), "1007\n");
    assert_eq!(count(&["--at", "1"]), format!("{READS}\n"));
    at.fails(&["paf-query", "-c", "x.paf", "--at", "9"], 1);
    let changes = at.json(&["diff", "--json", "x.paf", "1", "2"]);
    assert!(changes.is_object(), "{changes}");
    at.ok(&["rollback", "x.paf", "1", "--dry-run"]);
    assert_eq!(count(&[]), "1007\n");
    at.ok(&["rollback", "x.paf", "1"]);
    assert_eq!(count(&[]), format!("{READS}\n"));
    assert_eq!(at.json(&["log", "--json", "x.paf"]).as_array().map(Vec::len), Some(3));
}

#[test]
fn test_copy_and_verification_of_a_dataset() {
    let at = Fixture::new();
    at.ok(&["verify", "x.paf"]);
    at.ok(&["cp", "x.paf", "copy.paf"]);
    assert_eq!(at.ok(&["paf-query", "copy.paf"]), at.ok(&["paf-query", "x.paf"]));
    let objects = at.json(&["files", "--json", "copy.paf"]);
    assert!(objects.as_array().is_some_and(|objects| objects.len() > 1), "{objects}");
    let files = at.files("copy.paf");
    let chunk = files.iter().find(|(path, _)| path.to_string_lossy().contains("chunk_"));
    let (chunk, _) = chunk.expect("a chunk");
    let mut bytes = std::fs::read(chunk).expect("its bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(chunk, bytes).expect("a damaged chunk");
    let name = chunk.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(at.fails(&["verify", "copy.paf"], 1).contains(name));
}

#[test]
fn test_gc_deletes_only_what_no_version_needs() {
    let at = Fixture::new();
    let before = at.files("x.paf");
    let orphan = at.path("x.paf/chr1/chunk_0000000000-0001000000.0000000000000000.bin");
    std::fs::create_dir_all(orphan.parent().expect("a folder")).expect("a folder");
    std::fs::write(&orphan, "left by a writer that died").expect("an orphan");
    at.ok(&["gc", "x.paf", "--grace", "0s", "--dry-run"]);
    assert!(orphan.exists());
    at.ok(&["gc", "x.paf"]);
    assert!(orphan.exists(), "it is younger than a day");
    at.ok(&["gc", "x.paf", "--grace", "0s"]);
    assert!(!orphan.exists());
    let after = at.files("x.paf");
    assert!(before.iter().all(|(path, _)| after.iter().any(|(kept, _)| kept == path)));
    at.ok(&["verify", "x.paf"]);
}

#[test]
fn test_depth_and_statistics_agree_with_the_reads() {
    let at = Fixture::new();
    let idxstats = at.ok(&["idxstats", "x.paf"]);
    let fields = |line: &str| -> Vec<u64> {
        line.split('\t').skip(1).map(|field| field.parse().expect(line)).collect()
    };
    let sum: u64 = idxstats.lines().map(fields).map(|of| of[1] + of[2]).sum();
    assert_eq!(sum, READS, "{idxstats}");
    assert!(at.ok(&["flagstat", "x.paf"]).starts_with(&format!("{READS} + 0 in total")));
    let depth = at.ok(&["depth", "x.paf", "chr1:1000001-1001000"]);
    assert!(depth.lines().all(|line| line.starts_with("chr1\t100")), "{depth}");
}

#[test]
fn test_demo_tells_what_was_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(["demo", folder.path().to_str().expect("UTF-8")]);
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    for shown in ["$ format-tools bam-to-paf", "$ format-tools paf-query", "requests", "blocks"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(stdout_of(["--version"]).starts_with("format-tools "));
}
