//! How the program behaves whatever it is asked: exit codes, streams, names.

#![allow(clippy::expect_used, reason = "these are tests")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use support::{format_tools, program, programs, run, stderr, stdout};

#[test]
fn test_usage_errors_exit_2_with_advice() {
    for arguments in [
        &["paf-query"][..],
        &["paf-query", "--no-such-option", "x"],
        &["no-such-command"],
        &["bam-to-paf", "only-an-input"],
        &["bam-to-paf", "a", "b", "--input", "c"],
        &["bam-to-paf", "a", "b", "--chunk-size", "large"],
        &["info", "x", "--at", "the newest"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        let text = stderr(&output);
        assert!(text.contains("--help") || text.contains("help: "), "{arguments:?}: {text}");
    }
}

#[test]
fn test_failures_exit_1_and_name_the_dataset() {
    let output = run(["info", "no/such/dataset"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.starts_with("format-tools: error: "), "{text}");
    assert!(text.contains("no/such/dataset") && text.contains("help: "), "{text}");
}

#[test]
fn test_errors_are_json_when_asked() {
    for (arguments, code, kind) in [
        (&["info", "--json", "no/such/dataset"][..], 1, "not_found"),
        (&["info", "--json"], 2, "usage"),
        (&["bam-to-paf", "--json", "only-an-input"], 2, "usage"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let text = stderr(&output);
        let error: serde_json::Value = serde_json::from_str(&text).expect(&text);
        assert_eq!(error["error"]["kind"], kind, "{text}");
        assert_eq!(error["error"]["exit_code"], code, "{text}");
        assert!(error["error"]["message"].is_string(), "{text}");
    }
}

#[test]
fn test_closed_pipe_is_success() {
    let mut child = format_tools(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn test_reader_that_leaves_early_stops_the_program_without_a_word() {
    let mut child = format_tools(["simulate", "--reads", "200M"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut start = [0; 1_000];
    child.stdout.take().expect("a pipe").read_exact(&mut start).expect("some bytes");
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[cfg(unix)]
#[test]
fn test_interrupted_program_dies_of_the_signal_and_leaves_no_file() {
    use std::os::unix::process::ExitStatusExt;

    let folder = tempfile::tempdir().expect("a folder");
    let files = || std::fs::read_dir(folder.path()).expect("the folder").count();
    let mut child = format_tools(["simulate", "--reads", "200M", "-o", "x.bam"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    while files() == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(2));
    assert_eq!(files(), 0);
}

#[test]
fn test_progress_is_json_lines_when_asked() {
    let mut child = format_tools(["simulate", "--reads", "200M", "--progress", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("a line");
    child.kill().expect("it ends");
    child.wait().expect("it ends");
    let progress: serde_json::Value = serde_json::from_str(&line).expect(&line);
    assert!(progress["progress"]["reads"].as_u64() > Some(0), "{line}");
    assert!(progress["progress"]["reads_per_second"].as_u64() > Some(0), "{line}");
}

#[test]
fn test_tools_run_under_their_own_names() {
    for tool in ["bam-to-paf", "paf-query", "paf-to-bam"] {
        let own = Command::new(programs().join(tool)).arg("--help").output().expect(tool);
        assert_eq!(stdout(&own), stdout(&run([tool, "--help"])), "{tool}");
        let wrong = Command::new(programs().join(tool)).arg("--wrong").output().expect(tool);
        assert_eq!(wrong.status.code(), Some(2), "{tool}");
    }
}

#[test]
fn test_tool_without_the_program_says_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder");
    let alone = folder.path().join("paf-query");
    std::fs::copy(programs().join("paf-query"), &alone).expect("a copy");
    let output = Command::new(&alone).env("PATH", folder.path()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("help: install format-tools"), "{}", stderr(&output));
    // On PATH is as good as beside it.
    let output = Command::new(&alone).arg("--help").env("PATH", programs()).output().expect("it");
    assert!(stdout(&output).contains("REGION"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn test_symbolic_link_with_a_tools_name_is_that_tool() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("paf-query");
    std::os::unix::fs::symlink(program(), &link).expect("a link");
    let output = Command::new(&link).arg("--help").output().expect("it starts");
    assert!(stdout(&output).contains("REGION"), "{}", stderr(&output));
}
