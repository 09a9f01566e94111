//! Every command that the README shows is run: ```console blocks here, in one folder and in order,
//! and the lines of ```sh blocks by `.ci/run`.

#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Command;

use genomic_objects::simulate::vrs::VrsTable;
use genomic_objects::store::{Store, StoreOptions};

fn text_of(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    std::fs::read_to_string(&path).expect(file)
}

/// The lines of all code blocks of one language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let mut lines = markdown.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(of) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let block: Vec<String> = block.map(String::from).collect();
            if of == language {
                found.extend(block);
            }
        }
    }
    found
}

/// A command, and the output shown below it; none shown is no promise.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps(lines: Vec<String>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { command: command.into(), shown: Vec::new() }),
            None => steps.last_mut().expect("a block begins with a command").shown.push(line),
        }
    }
    steps
}

/// Whether `text` is what was shown, where `…` stands for anything.
fn is_as_shown(shown: &str, text: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

fn make_table(path: &Path) {
    let store = Store::open(&path.to_string_lossy(), &StoreOptions::default());
    let table = VrsTable { partitions: 40, rows: 1_000, seed: 8, newest: false };
    table.write(&store.expect("a store"), 2).expect("a table");
}

#[test]
fn test_readme_console_blocks_run_as_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::join_paths(
        std::iter::once(support::programs())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .expect("a PATH");
    // The README's bucket, on a server of the test's own.
    let server = testkit::s3::Server::start().expect("a server");
    std::fs::create_dir(server.folder("my-bucket")).expect("a bucket");
    // gnomAD's tables in name, small and made up: on disk, and in public buckets.
    let public = testkit::s3::Server::start_public().expect("a server");
    let release = "release/4.1/ht/genomes/gnomad.genomes.v4.1.sites.ht";
    make_table(&folder.path().join("gnomad.genomes.v4.1.sites.VRS.ht"));
    for bucket in ["gcp-public-data--gnomad", "gnomad-public-us-east-1"] {
        make_table(&public.folder(bucket).join(release));
    }
    let steps = steps(blocks(&text_of("README.md"), "console"));
    assert!(steps.len() > 10, "the README shows {} commands", steps.len());
    for Step { command, shown } in steps {
        let script = format!("set -euo pipefail; exec 2>&1; {command}");
        let is_public = command.contains("--no-sign-request");
        let endpoint = if is_public { public.endpoint() } else { server.endpoint() };
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&folder)
            .env("PATH", &path)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("GOOGLE_BASE_URL", &endpoint)
            .env("AWS_ACCESS_KEY_ID", testkit::s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", testkit::s3::SECRET_KEY)
            .output()
            .expect("bash starts");
        // A slow machine gets to see lines of progress too.
        let is_result = |line: &&str| !line.contains("reads/s");
        let text = support::stdout(&output);
        let text = text.lines().filter(is_result).collect::<Vec<_>>().join("\n");
        assert!(output.status.success(), "$ {command}\n{text}");
        let shown = shown.join("\n");
        assert!(
            shown.is_empty() || is_as_shown(&shown, text.trim_end()),
            "$ {command}\n{text}\nbut the README shows\n{shown}"
        );
    }
}

#[test]
fn test_readme_shell_lines_are_run_by_ci() {
    let ci = text_of(".ci/run");
    let lines = blocks(&text_of("README.md"), "sh");
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        assert!(ci.contains(&line), ".ci/run does not run: {line}");
    }
}

#[test]
fn test_is_as_shown_takes_an_ellipsis_for_anything() {
    assert!(is_as_shown("a 12 b", "a 12 b"));
    assert!(is_as_shown("a … b", "a 12 b"));
    assert!(is_as_shown("a …\n…\nz", "a 1\nc\nd\nz"));
    assert!(!is_as_shown("a … b", "a 12 c"));
    assert!(!is_as_shown("a", "a b"));
}
