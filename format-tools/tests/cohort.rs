//! A cohort of many files: with few open, with little memory, and with one among them that cannot
//! be read.

#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{program, run, stderr, stdout, stdout_of};

/// A small BAM file of a sample.
fn simulate(folder: &Path, name: &str, seed: u32, reads: &str) -> PathBuf {
    let path = folder.join(format!("{name}.bam"));
    let seed = seed.to_string();
    let words = ["simulate", "--quiet", "--reads", reads, "--coverage", "2", "--seed", &seed];
    let words = words.into_iter().chain(["--sample", name, "-o"]).map(OsString::from);
    stdout_of(words.chain([path.clone().into_os_string()]));
    path
}

/// Samples named `s0` and so on.
fn cohort(folder: &Path, samples: u32, reads: &str) -> Vec<PathBuf> {
    (0..samples).map(|number| simulate(folder, &format!("s{number}"), number + 1, reads)).collect()
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Runs the program with no more than so many files open.
fn run_with_few_files(most: u32, arguments: Vec<OsString>) -> Output {
    let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(program()).args(arguments);
    command.output().expect("a shell")
}

/// What a query of a region costs, and how many lines it prints.
fn cost(dataset: &Path, region: &str) -> (u64, u64, usize) {
    let asked = ["ram-query", "--json", "--stats"].map(OsString::from);
    let asked = asked.into_iter().chain([dataset.into(), region.into()]);
    let output = run(asked);
    assert!(output.status.success(), "{}", stderr(&output));
    let stats: Value = serde_json::from_slice(&output.stderr).expect("statistics in JSON");
    let number = |name: &str| stats[name].as_u64().expect("a number");
    (number("requests"), number("bytes_fetched"), stdout(&output).lines().count())
}

#[test]
fn test_many_samples_need_few_open_files_and_no_more_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let inputs = cohort(folder.path(), 120, "400");
    let mut costs = Vec::new();
    for (samples, name) in [(20, "few.ram"), (120, "many.ram")] {
        let dataset = path(name);
        let mut asked = words(&["bam-to-ram", "--quiet", "-@", "2", "--memory", "16M"]);
        asked.extend(inputs[..samples].iter().map(OsString::from));
        asked.push(dataset.clone().into());
        let output = run_with_few_files(48, asked);
        assert!(output.status.success(), "{}", stderr(&output));
        costs.push(cost(&dataset, "chr1:1001-2000"));
    }
    let [(requests, bytes, lines), (more_requests, more_bytes, more_lines)] = costs[..] else {
        panic!("two datasets");
    };
    assert_eq!(more_requests, requests, "requests grow with samples");
    assert!(lines > 10 && more_lines > 5 * lines, "{lines} {more_lines}");
    assert!(more_bytes < 8 * bytes, "{bytes} {more_bytes}");
}

#[test]
fn test_one_unreadable_file_among_many_is_named_and_nothing_is_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let inputs = cohort(folder.path(), 40, "100");
    let bad = simulate(folder.path(), "bad", 99, "100");
    let whole = std::fs::read(&bad).expect("a file");
    let other = b"this is no BAM file".to_vec();
    let dataset = path("x.ram");
    for (bytes, what, remedy) in [
        (whole[..whole.len() - 28].to_vec(), "end-of-file block", "copy the file again"),
        (whole[..whole.len() / 2].to_vec(), "truncated", "copy the file again"),
        (Vec::new(), "empty", "name the alignment file"),
        (other, "format that is not known", "name the alignment file"),
    ] {
        std::fs::write(&bad, bytes).expect("a file");
        let mut asked = words(&["bam-to-ram", "--progress", "none", "-@", "2", "--temp-dir"]);
        asked.push(folder.path().into());
        asked.extend(inputs[..30].iter().map(OsString::from));
        asked.push(bad.clone().into());
        asked.extend(inputs[30..].iter().map(OsString::from));
        asked.push(dataset.clone().into());
        let output = run(asked);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.matches("bad.bam").count() == 1, "it is named, and once: {text}");
        assert!(text.contains(what) && text.contains(remedy), "{text}");
        assert!(!dataset.exists(), "something was written");
        // Nothing can be gone on with where no sample was read.
        let is_kept = std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("bam-to-ram-"));
        assert_eq!(text.contains("--resume"), is_kept, "{text}");
    }
}

#[test]
fn test_file_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = cohort(folder.path(), 3, "100");
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&inputs[1], closed).expect("a file of ours");
    if std::fs::File::open(&inputs[1]).is_ok() {
        // The superuser may read everything.
        return;
    }
    let mut asked = words(&["bam-to-ram", "--progress", "none"]);
    asked.extend(inputs.iter().map(OsString::from));
    asked.push(folder.path().join("x.ram").into());
    let output = run(asked);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("s1.bam") && text.contains("denied"), "{text}");
}
