//! How the program behaves whatever it is asked: exit codes, streams, names.

mod support;

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
        &["info", "x", "--at", "newest"],
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
