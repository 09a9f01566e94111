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
            || path.extension().is_some_and(|extension| extension == "bin")
    })
}

fn reads_of(dataset: &Path) -> String {
    stdout_of(["paf-to-bam".as_ref(), "-O".as_ref(), "sam".as_ref(), dataset.as_os_str()])
}

/// Converts half of a BAM, sends the signal once chunks are written, and converts the whole.
fn interrupt(signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (bam, undisturbed, dataset) = (path("x.bam"), path("undisturbed.paf"), path("x.paf"));
    let simulate = ["simulate", "--reads", "120k", "--quiet", "-o"].map(AsRef::as_ref);
    stdout_of(simulate.into_iter().chain([bam.as_os_str()]));
    let convert = |to: &Path| {
        stdout_of(["bam-to-paf".as_ref(), "--quiet".as_ref(), bam.as_os_str(), to.as_os_str()])
    };
    convert(&undisturbed);

    let mut child = format_tools(["bam-to-paf".as_ref(), "-".as_ref(), dataset.as_os_str()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let bytes = std::fs::read(&bam).expect("the BAM");
    let mut input = child.stdin.take().expect("a pipe");
    // The program waits for the rest, however fast it is.
    input.write_all(&bytes[..bytes.len() * 9 / 10]).expect("the program reads");
    while !has_chunk(&dataset) {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(number));
    drop(input);

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
    interrupt("-KILL", 9);
}

#[test]
fn test_interrupted_conversion_leaves_no_dataset() {
    interrupt("-INT", 2);
}
