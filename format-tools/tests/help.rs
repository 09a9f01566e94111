//! Help, completions and manual pages, which come from one set of definitions.
//!
//! The help texts are kept in `snapshots/`, so that a change of the command line shows in review.
//! `UPDATE_SNAPSHOTS=1 cargo test -p format-tools --test help` writes them anew.

#![allow(clippy::expect_used, reason = "these are tests")]

mod support;

use std::path::{Path, PathBuf};

use support::{run, stderr, stdout, stdout_of};

fn commands() -> Vec<String> {
    let help = stdout_of(["--help"]);
    let list = help.split("Commands:\n").nth(1).expect("a list of commands");
    let names = list.lines().take_while(|line| !line.is_empty());
    // A name stands two columns in; the rest of its text further right.
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

fn assert_snapshot(name: &str, text: &str) {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("the snapshot can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{} differs from the help; if that is meant, run with UPDATE_SNAPSHOTS=1\n{text}",
        path.display()
    );
}

#[test]
fn test_help_of_every_command_is_as_kept() {
    assert_snapshot("format-tools", &stdout_of(["--help"]));
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        assert_snapshot(command, &stdout_of([command, "--help"]));
    }
}

#[test]
fn test_completions_of_every_shell_know_the_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout_of(["completions", shell]);
        assert!(script.contains("bam-to-paf") && script.contains("max-bytes"), "{shell}");
        let own = stdout_of(["completions", shell, "paf-query"]);
        assert!(own.contains("max-bytes") && !own.contains("chunk-size"), "{shell}");
    }
    let output = run(["completions", "tcsh"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn test_man_writes_a_page_for_every_command_and_tool() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path in UTF-8");
    assert_eq!(stdout(&run(["man", "--out", path])), "");
    let mut pages: Vec<String> = vec!["format-tools".into()];
    pages.extend(
        [
            "bam-to-paf",
            "paf-query",
            "paf-to-bam",
            "vcf-to-vcs",
            "vcs-query",
            "vcs-to-vcf",
            "fastq-to-srf",
            "srf-query",
            "srf-to-fastq",
            "ht-to-parquet",
            "vcf-to-parquet",
            "vcs-to-parquet",
            "bam-to-ram",
            "ram-query",
            "ram-to-bam",
        ]
        .map(String::from),
    );
    let commands = commands();
    let others = commands.iter().filter(|command| *command != "help");
    pages.extend(others.map(|command| format!("format-tools-{command}")));
    for page in pages {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).expect(&page);
        assert!(text.contains(".TH"), "{page}");
    }
    assert!(stdout_of(["man"]).contains(".TH format-tools"));
}
