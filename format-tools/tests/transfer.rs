//! Datasets between disk and buckets by the real program: there and back, shared, repaired, killed on
//! the way, and onto a disk that is full.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{format_tools, program, stderr, stdout};
use tempfile::TempDir;
use testkit::server::Fault;
use testkit::{http, s3};

/// A folder with the dataset `x.paf` of some thirty objects, and an S3 server.
struct Fixture {
    folder: TempDir,
    server: s3::Server,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fixture = Self { folder, server: s3::Server::start().expect("a server") };
        let reads = ["simulate", "--reads", "30k", "--seed", "3", "--coverage", "1"];
        fixture.ok(&[&reads[..], &["-o", "x.bam"]].concat());
        fixture.ok(&["bam-to-paf", "--chunk-size", "100k", "x.bam", "x.paf"]);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the bucket holds below `prefix`.
    fn bucket(&self, prefix: &str) -> PathBuf {
        self.server.folder(s3::BUCKET).join(prefix)
    }

    /// A command without credentials.
    fn stranger(&self, arguments: &[&str]) -> Command {
        let mut command = format_tools(arguments);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stranger(arguments);
        self.authorise(&mut command);
        command
    }

    fn authorise(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }
}

/// Every file below a folder that belongs to a dataset, with its bytes. The server keeps notes of
/// its own in hidden files.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, key) = (entry.path(), format!("{below}{name}"));
            if path.is_dir() {
                walk(&path, &format!("{key}/"), found);
            } else if !name.starts_with('.') {
                found.insert(key, std::fs::read(path).expect("a file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

#[test]
fn test_push_and_pull_carry_the_whole_history() {
    let at = Fixture::new();
    let plan = at.ok(&["push", "--dry-run", "--json", "x.paf", "s3://bucket/sets/"]);
    assert!(!at.bucket("sets").exists(), "{plan}");
    at.ok(&["push", "x.paf", "s3://bucket/sets/"]);
    assert!(files(&at.bucket("sets/x.paf")) == files(&at.path("x.paf")));

    // A newer version, and only what it adds.
    at.ok(&["bam-to-paf", "--chunk-size", "1M", "--overwrite", "x.bam", "x.paf"]);
    at.server.clear_log();
    at.ok(&["push", "x.paf", "s3://bucket/sets/x.paf"]);
    assert!(files(&at.bucket("sets/x.paf")) == files(&at.path("x.paf")));
    let sent = at.server.log().iter().filter(|request| request.method == "PUT").count();
    assert!(sent < 12, "{sent} objects of a few chunks");

    std::fs::create_dir(at.path("here")).expect("a folder");
    at.ok(&["pull", "s3://bucket/sets/x.paf", "here/"]);
    assert!(files(&at.path("here/x.paf")) == files(&at.path("x.paf")));
    at.ok(&["verify", "--at", "1", "here/x.paf"]);

    // One version is a dataset of its own.
    at.ok(&["cp", "--at", "1", "s3://bucket/sets/x.paf", "one.paf"]);
    assert!(at.ok(&["log", "one.paf"]).starts_with("1\t"));
    let error = at.fails(&["push", "one.paf", "s3://bucket/sets/x.paf"], 1);
    assert!(error.contains("another history"), "{error}");
    assert!(at.fails(&["push", "x.paf", "elsewhere"], 2).contains("URL"));
}

#[test]
fn test_share_is_read_by_those_without_credentials() {
    let at = Fixture::new();
    at.ok(&["push", "x.paf", "s3://bucket/x.paf"]);
    let told = at.ok(&["share", "--json", "--expires", "1h", "s3://bucket/x.paf"]);
    assert!(told.contains("\"output\":\"x.paf.share\""), "{told}");
    let query = |dataset: &str| {
        let output = at.stranger(&["paf-query", dataset, "chr1:50k-150k"]).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{}", stderr(&output));
        output.stdout
    };
    let expected = query("x.paf");
    assert!(expected.len() > 1000);
    assert!(query("x.paf.share") == expected);

    let file = std::fs::read(at.path("x.paf.share")).expect("the share");
    let secret = s3::SECRET_KEY.as_bytes();
    assert!(!file.windows(secret.len()).any(|window| window == secret));
    assert!(at.fails(&["share", "-o", "x.txt", "s3://bucket/x.paf"], 2).contains(".share"));
    assert!(at.fails(&["share", "--expires", "8d", "s3://bucket/x.paf"], 2).contains("seven days"));
    assert!(at.fails(&["share", "x.paf"], 2).contains("bucket"));

    // What was withdrawn opens no more, and the message holds no signature.
    at.server.fail("GET", "/", Fault::Answer(403), 1000);
    let output = at.stranger(&["paf-query", "x.paf.share"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains("does not open") && !error.contains("X-Amz"), "{error}");
}

#[test]
fn test_verify_repairs_from_a_copy() {
    let at = Fixture::new();
    at.ok(&["push", "x.paf", "s3://bucket/x.paf"]);
    let whole = files(&at.path("x.paf"));
    let chunks: Vec<&String> = whole.keys().filter(|key| key.ends_with(".bin")).collect();
    std::fs::write(at.path("x.paf").join(chunks[0]), "damaged").expect("a file");
    std::fs::remove_file(at.path("x.paf").join(chunks[1])).expect("a file");
    assert!(at.fails(&["verify", "x.paf"], 1).contains("2 objects"));
    let told = at.ok(&["verify", "--json", "--repair", "s3://bucket/x.paf", "x.paf"]);
    assert!(told.contains(chunks[0]) && told.contains(chunks[1]), "{told}");
    assert!(files(&at.path("x.paf")) == whole);
}

#[test]
fn test_killed_push_is_finished_by_the_next() {
    let at = Fixture::new();
    let reads = (0..20_000).map(|read| format!("@r{read}\nACGT\n+\nF:F,\n")).collect::<String>();
    std::fs::write(at.path("x.fastq"), reads).expect("a file");
    at.ok(&["fastq-to-srf", "--chunk-reads", "200", "x.fastq", "x.srf"]);
    at.server.set_latency(Duration::from_millis(10));
    let mut child = at
        .command(&["push", "-@", "2", "x.srf", "s3://bucket/x.srf"])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let sent = || at.server.log().iter().filter(|r| r.method == "PUT" && r.status == 200).count();
    while sent() < 6 {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-KILL", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(9));
    at.server.set_latency(Duration::ZERO);
    assert!(at.fails(&["info", "s3://bucket/x.srf"], 1).contains("no dataset"));

    let told = at.ok(&["push", "--json", "x.srf", "s3://bucket/x.srf"]);
    assert!(!told.contains("\"skipped\":0"), "{told}");
    assert!(files(&at.bucket("x.srf")) == files(&at.path("x.srf")));
    at.ok(&["verify", "s3://bucket/x.srf"]);
}

/// Runs the program where no file can become longer than `kilobytes`, as on a disk that is full.
fn on_a_full_disk(at: &Fixture, kilobytes: u32, arguments: &str) -> String {
    let mut command = Command::new("bash");
    // Without the trap, the signal would end the program before it can tell.
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec '{}' {arguments}", {
        program().display()
    });
    command.args(["-c", &script]).current_dir(at.folder.path());
    at.authorise(&mut command);
    let output = command.output().expect("bash");
    assert_eq!(output.status.code(), Some(1), "{arguments}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn test_full_disk_leaves_nothing_half_written() {
    let at = Fixture::new();
    at.ok(&["push", "x.paf", "s3://bucket/x.paf"]);
    for (arguments, made) in [
        ("pull s3://bucket/x.paf there.paf", "there.paf"),
        ("bam-to-paf --chunk-size 100k x.bam other.paf", "other.paf"),
    ] {
        let error = on_a_full_disk(&at, 16, arguments);
        assert!(error.contains("File too large") && error.contains(made), "{error}");
        assert!(at.fails(&["info", made], 1).contains("no dataset"));
        if at.path(made).exists() {
            let left = files(&at.path(made));
            assert!(left.keys().all(|name| !name.contains('#')), "{:?}", left.keys());
        }
    }
    at.ok(&["pull", "s3://bucket/x.paf", "there.paf"]);
    assert!(files(&at.path("there.paf")) == files(&at.path("x.paf")));
}

/// What a network and a server do to requests below the client's retries.
const FAULTS: [Fault; 14] = [
    Fault::SlowDown,
    Fault::Answer(429),
    Fault::Answer(500),
    Fault::Answer(403),
    Fault::Answer(408),
    Fault::Delay(Duration::from_millis(50)),
    Fault::LoseReply,
    Fault::Duplicate,
    Fault::CutBody(0),
    Fault::CutBody(100),
    Fault::Truncate(0),
    Fault::Truncate(100),
    Fault::Corrupt,
    Fault::CorruptUpload,
];

#[test]
fn test_query_through_every_fault_is_right_or_an_error() {
    let at = Fixture::new();
    at.ok(&["push", "x.paf", "s3://bucket/x.paf"]);
    let region = "chr1:50k-150k";
    let expected = at.ok(&["paf-query", "x.paf", region]);
    let mut right = 0;
    for fault in FAULTS {
        for place in ["_metadata.json", "_index", "chunk_"] {
            at.server.fail("GET", place, fault, 1);
            let output = at.command(&["paf-query", "s3://bucket/x.paf", region]).output();
            let output = output.expect("it starts");
            at.server.heal();
            match output.status.code() {
                Some(0) => {
                    assert!(stdout(&output) == expected, "{fault:?} of {place}");
                    right += 1;
                }
                Some(1) => assert!(stderr(&output).contains("s3://bucket/x.paf"), "{output:?}"),
                code => panic!("{fault:?} of {place}: {code:?}: {}", stderr(&output)),
            }
        }
    }
    assert!(right > 20, "most faults are gone the second time: {right}");
}

#[test]
fn test_conversion_through_every_fault_is_right_or_an_error() {
    let at = Fixture::new();
    let reads = ["simulate", "--reads", "2k", "--seed", "5", "--coverage", "1"];
    at.ok(&[&reads[..], &["-o", "small.bam"]].concat());
    at.ok(&["bam-to-paf", "small.bam", "small.paf"]);
    let expected = at.ok(&["paf-query", "small.paf"]);
    for (number, fault) in FAULTS.into_iter().enumerate() {
        for (method, place) in [("PUT", "chunk_"), ("PUT", "_manifests/"), ("GET", "_metadata")] {
            let dataset = format!("s3://bucket/{number}{method}{place}.paf").replace("s/.", ".");
            at.server.fail(method, place, fault, 1);
            let output = at.command(&["bam-to-paf", "small.bam", &dataset]).output();
            let output = output.expect("it starts");
            at.server.heal();
            if output.status.success() {
                assert!(at.ok(&["paf-query", &dataset]) == expected, "{fault:?} of {place}");
                continue;
            }
            // An error, and either nothing to be seen or, where only the answer was lost, all of it.
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            let seen = at.command(&["paf-query", &dataset]).output().expect("it starts");
            assert!(!seen.status.success() || stdout(&seen) == expected, "{fault:?} of {place}");
        }
    }
}

#[test]
fn test_profiles_sign_in_by_a_command_and_by_single_sign_on() {
    let at = Fixture::new();
    at.ok(&["push", "x.paf", "s3://bucket/x.paf"]);
    let folder = at.path(".aws/sso/cache");
    std::fs::create_dir_all(&folder).expect("a folder");
    let (key, secret) = (s3::ACCESS_KEY, s3::SECRET_KEY);
    let config = "[profile run]\ncredential_process = cat keys.json\n\
        [profile on]\nsso_session = lab\nsso_account_id = 12\nsso_role_name = reader\n\
        [sso-session lab]\nsso_start_url = https://lab.example/start\nsso_region = eu-west-1\n\
        [profile off]\nsso_start_url = https://other.example\nsso_region = eu-west-1\n\
        sso_account_id = 12\nsso_role_name = reader\n";
    std::fs::write(at.path(".aws/config"), config).expect("a file");
    let keys =
        format!("{{\"Version\":1,\"AccessKeyId\":\"{key}\",\"SecretAccessKey\":\"{secret}\"}}");
    std::fs::write(at.path("keys.json"), keys).expect("a file");
    let token = r#"{"startUrl":"https://lab.example/start","region":"eu-west-1",
        "accessToken":"canary-token","expiresAt":"2999-01-01T00:00:00Z"}"#;
    std::fs::write(folder.join("some-digest.json"), token).expect("a file");

    // The service that trades the token for keys.
    let service = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(service.path().join("federation")).expect("a folder");
    let answer = format!(
        "{{\"roleCredentials\":{{\"accessKeyId\":\"{key}\",\"secretAccessKey\":\"{secret}\",\
         \"sessionToken\":\"t\",\"expiration\":32503680000000}}}}"
    );
    std::fs::write(service.path().join("federation/credentials"), answer).expect("a file");
    let service = http::Server::start(service.path()).expect("a server");

    let info = |profile: &str| {
        at.stranger(&["info", "--profile", profile, "s3://bucket/x.paf"])
            .env("AWS_ENDPOINT_URL", at.server.endpoint())
            .env("AWS_ENDPOINT_URL_SSO", service.url())
            .output()
            .expect("it starts")
    };
    for profile in ["run", "on"] {
        let output = info(profile);
        assert!(output.status.success(), "{profile}: {}", stderr(&output));
    }
    let asked = service.log();
    assert_eq!(asked[0].query.as_deref(), Some("role_name=reader&account_id=12"));
    assert_eq!(asked[0].headers["x-amz-sso_bearer_token"], "canary-token");
    let error = stderr(&info("off"));
    assert!(error.contains("aws sso login --profile off"), "{error}");
    std::fs::write(at.path("keys.json"), "canary").expect("a file");
    let error = stderr(&info("run"));
    assert!(error.contains("credential_process") && !error.contains("canary"), "{error}");
}
