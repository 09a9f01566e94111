//! Versions of a dataset: their names, what is given up, and what to do when a commit's fate is open.
#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod support;

use std::process::Command;

use support::{format_tools, stderr, stdout};
use tempfile::TempDir;
use testkit::s3;
use testkit::server::Fault;

fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    ok(&dir, &["simulate", "--reads", "500", "--coverage", "1", "-o", "x.bam"]);
    dir
}

fn command(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = format_tools(arguments);
    command.current_dir(dir.path());
    command
}

fn ok(dir: &TempDir, arguments: &[&str]) -> String {
    let output = command(dir, arguments).output().expect("it starts");
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn fails(dir: &TempDir, arguments: &[&str], code: i32) -> String {
    let output = command(dir, arguments).output().expect("it starts");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn test_tags_stand_wherever_a_version_can_be_chosen() {
    let dir = folder();
    ok(&dir, &["bam-to-paf", "x.bam", "x.paf"]);
    let count = ok(&dir, &["paf-query", "-c", "x.paf"]);
    ok(&dir, &["simulate", "--reads", "100", "--coverage", "1", "-o", "y.bam"]);
    ok(&dir, &["bam-to-paf", "--overwrite", "y.bam", "x.paf"]);
    assert_eq!(ok(&dir, &["tag", "x.paf"]), "");
    let said =
        stderr(&command(&dir, &["tag", "x.paf", "first", "--at", "1"]).output().expect("it"));
    assert!(said.contains("version 1 has the name 'first'"), "{said}");
    ok(&dir, &["tag", "x.paf", "published"]);
    assert_eq!(ok(&dir, &["tag", "x.paf"]), "first\t1\npublished\t3\n");
    assert_eq!(ok(&dir, &["tag", "x.paf", "--json"]), "{\"first\":1,\"published\":3}\n");

    assert_eq!(ok(&dir, &["paf-query", "-c", "--at", "first", "x.paf"]), count);
    assert_ne!(ok(&dir, &["paf-query", "-c", "--at", "published", "x.paf"]), count);
    let log = ok(&dir, &["log", "x.paf"]);
    assert!(log.lines().last().expect("a version").ends_with("\t[first]"), "{log}");
    assert!(ok(&dir, &["info", "x.paf"]).contains("first: version 1"));
    assert!(ok(&dir, &["diff", "x.paf", "published", "4"]).contains("objects in common"));

    // Names keep their versions.
    assert!(ok(&dir, &["gc", "x.paf", "--keep", "1", "--json"]).contains("\"versions\":[]"));
    assert_eq!(ok(&dir, &["paf-query", "-c", "--at", "first", "x.paf"]), count);
    ok(&dir, &["rollback", "x.paf", "first"]);
    assert_eq!(ok(&dir, &["paf-query", "-c", "x.paf"]), count);
    ok(&dir, &["tag", "x.paf", "first", "--delete"]);
    let error = fails(&dir, &["info", "x.paf", "--at", "first"], 1);
    assert!(error.contains("no version of the dataset has the name 'first'"), "{error}");
    assert!(error.contains("published"), "{error}");
    fails(&dir, &["tag", "x.paf", "7"], 2);
    fails(&dir, &["info", "x.paf", "--at", "a b"], 2);
    fails(&dir, &["tag", "x.paf", "--delete"], 2);
}

#[test]
fn test_gc_gives_up_versions_by_age() {
    let dir = folder();
    ok(&dir, &["bam-to-paf", "x.bam", "x.paf"]);
    ok(&dir, &["bam-to-paf", "--overwrite", "x.bam", "x.paf"]);
    let young = ok(&dir, &["gc", "x.paf", "--older-than", "30d", "--json"]);
    assert!(young.contains("\"versions\":[]"), "{young}");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let dry = stderr(
        &command(&dir, &["gc", "x.paf", "--older-than", "0s", "--dry-run"]).output().expect("it"),
    );
    assert!(dry.contains("would give up version 1; would delete"), "{dry}");
    ok(&dir, &["info", "x.paf", "--at", "1"]);
    ok(&dir, &["gc", "x.paf", "--older-than", "0s"]);
    let error = fails(&dir, &["info", "x.paf", "--at", "1"], 1);
    assert!(error.contains("was given up"), "{error}");
    ok(&dir, &["verify", "x.paf"]);
}

#[test]
fn test_commit_of_unknown_outcome_says_how_to_find_out() {
    let dir = folder();
    let server = s3::Server::start().expect("a server");
    let url = format!("s3://{}/x.paf", s3::BUCKET);
    let at_server = |arguments: &[&str]| {
        let mut command = command(&dir, arguments);
        command
            .env("AWS_ENDPOINT_URL", server.endpoint())
            .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
        command.output().expect("it starts")
    };
    // The manifest arrives, but neither the answer nor any look at it gets through.
    server.fail("PUT", "_manifests/v", Fault::LoseReply, 1);
    server.fail("PUT", "_manifests/v", Fault::Answer(403), 100);
    server.fail("GET", "_manifests/v", Fault::Answer(403), 9);
    let output = at_server(&["bam-to-paf", "x.bam", &url]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("it is not known whether the commit took place"), "{error}");
    let (_, rest) = error.split_once("'format-tools log ").expect("a command to run");
    let (place, rest) = rest.split_once('\'').expect("the end of a command");
    assert_eq!(place, url);
    let (_, rest) = rest.split_once("transaction ").expect("what to look for");
    let transaction: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(transaction.len(), 32);
    // The server still denies what is left of its nine times.
    let mut logs = (0..5).map(|_| at_server(&["log", place]));
    let log = logs.find(|log| log.status.success()).expect("the server recovers");
    assert!(stdout(&log).contains(&transaction), "{}", stdout(&log));
}
