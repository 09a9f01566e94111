//! A conversion that is killed midway leaves no dataset, and the next one is none the worse for it.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod support;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{format_tools, run, stderr, stdout_of};

/// Whether a chunk is in the folder of a dataset, visible or not.
fn has_chunk(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        path.is_dir() && has_chunk(&path)
            || path.extension().is_some_and(|extension| extension == "bin" || extension == "srf")
    })
}

/// A conversion there and back.
struct Job {
    to: &'static [&'static str],
    back: &'static [&'static str],
    write_input: fn(&Path),
}

const ALIGNMENTS: Job = Job {
    to: &["bam-to-paf", "--quiet"],
    back: &["paf-to-bam", "-O", "sam"],
    write_input: |bam| {
        let simulate = ["simulate", "--reads", "120k", "--quiet", "-o"].map(AsRef::as_ref);
        stdout_of(simulate.into_iter().chain([bam.as_os_str()]));
    },
};

const READS: Job = Job {
    to: &["fastq-to-srf", "--quiet", "--chunk-reads", "5000"],
    back: &["srf-to-fastq", "--quiet"],
    write_input: |fastq| {
        let mut text = String::new();
        for read in 0..60_000_u32 {
            let bases: String = (0..100)
                .map(|at| "ACGT".as_bytes()[(read * 7 + at * at) as usize % 4] as char)
                .collect();
            text += &format!("@read:{read}\n{bases}\n+\n{}\n", "FF:F,".repeat(20));
        }
        std::fs::write(fastq, text).expect("a file");
    },
};

/// Converts most of an input, sends the signal once chunks are written, and converts the whole.
fn interrupt(job: &Job, signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (input, undisturbed, dataset) = (path("input"), path("undisturbed"), path("dataset"));
    (job.write_input)(&input);
    let command = |words: &[&str], paths: &[&Path]| -> Vec<std::ffi::OsString> {
        let words = words.iter().map(std::ffi::OsString::from);
        words.chain(paths.iter().map(|path| path.as_os_str().to_owned())).collect()
    };
    let convert = |to: &Path| stdout_of(command(job.to, &[&input, to]));
    let reads_of = |dataset: &Path| stdout_of(command(job.back, &[dataset]));
    convert(&undisturbed);

    let mut child = format_tools(command(job.to, &[Path::new("-"), &dataset]))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let bytes = std::fs::read(&input).expect("the input");
    let mut pipe = child.stdin.take().expect("a pipe");
    // The program waits for the rest, however fast it is.
    pipe.write_all(&bytes[..bytes.len() * 9 / 10]).expect("the program reads");
    while !has_chunk(&dataset) {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(number));
    drop(pipe);

    let info = run(["info".as_ref(), dataset.as_os_str()]);
    assert_eq!(info.status.code(), Some(1));
    assert!(stderr(&info).contains("no dataset"), "{}", stderr(&info));
    assert!(!dataset.join("_manifests").exists() && !dataset.join("_metadata.json").exists());

    convert(&dataset);
    assert!(reads_of(&dataset) == reads_of(&undisturbed), "the second run gives other reads");
    stdout_of(["verify".as_ref(), dataset.as_os_str()]);
}

#[test]
fn test_killed_conversion_leaves_no_dataset() {
    interrupt(&ALIGNMENTS, "-KILL", 9);
}

#[test]
fn test_interrupted_conversion_leaves_no_dataset() {
    interrupt(&ALIGNMENTS, "-INT", 2);
}

#[test]
fn test_killed_conversion_of_reads_leaves_no_dataset() {
    interrupt(&READS, "-KILL", 9);
}

#[test]
fn test_interrupted_conversion_of_reads_leaves_no_dataset() {
    interrupt(&READS, "-INT", 2);
}
