//! Credentials appear in nothing that is printed or written, whatever goes right or wrong.

#![allow(clippy::expect_used, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Output;

use support::{format_tools, stderr, stdout};
use testkit::{http, s3, server::Fault};

/// Secrets that the server does not accept, or that belong to no server.
const WRONG_KEY: &str = "canary-wrong-key/+=";
const TOKEN: &str = "canary-session-token";
const PASSWORD: &str = "canary-password";
const SIGNATURE: &str = "canary-signature";
const PROFILE_KEY: &str = "canary-profile-key";

const SECRETS: [&str; 6] = [s3::SECRET_KEY, WRONG_KEY, TOKEN, PASSWORD, SIGNATURE, PROFILE_KEY];

const SAM: &str = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000\n@RG\tID:a\tSM:x\n\
    r\t0\tchr1\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\n";

/// Everything that was printed, by what was asked.
struct Watch<'s> {
    server: &'s s3::Server,
    home: &'s Path,
    runs: usize,
}

impl Watch<'_> {
    /// Runs the program in each way it can talk, and looks at what it says.
    fn run(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut last = None;
        for more in [&["--json"][..], &["-vv"]] {
            let mut command = format_tools(arguments.iter().chain(more));
            command
                .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
                .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY)
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ENDPOINT_URL", self.server.endpoint())
                .env("HOME", self.home)
                .env("RUST_LOG", "trace")
                .env("RUST_BACKTRACE", "1");
            variables.iter().for_each(|(name, value)| {
                command.env(name, value);
            });
            let output = command.output().expect("the program starts");
            let said = format!("{}{}", stdout(&output), stderr(&output));
            for secret in SECRETS {
                assert!(!said.contains(secret), "{arguments:?} shows {secret}: {said}");
                let coded = secret.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
                assert!(!said.contains(&coded), "{arguments:?} shows {coded}: {said}");
            }
            self.runs += 1;
            last = Some(output);
        }
        last.expect("it ran")
    }

    fn good(&mut self, arguments: &[&str], variables: &[(&str, &str)]) {
        let output = self.run(arguments, variables);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    }

    fn bad(&mut self, arguments: &[&str], variables: &[(&str, &str)]) {
        let output = self.run(arguments, variables);
        assert!(output.status.code().is_some_and(|code| code > 0), "{arguments:?}");
    }
}

fn check_files(folder: &Path, but: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path == but {
            continue;
        }
        if path.is_dir() {
            check_files(&path, but);
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        for secret in SECRETS {
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn test_credentials_are_never_printed_or_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    std::fs::write(path("a.sam"), SAM).expect("written");
    let server = s3::Server::start().expect("a server");
    let web = http::Server::start(folder.path()).expect("a server");
    let home = folder.path().join("home");
    std::fs::create_dir_all(home.join(".aws")).expect("a folder");
    let profile = home.join(".aws/credentials");
    let text = format!(
        "[other]\naws_access_key_id = {}\naws_secret_access_key = {PROFILE_KEY}\n\
         [broken]\naws_secret_access_key {PROFILE_KEY}\n[half]\naws_secret_access_key={PROFILE_KEY}\n",
        s3::ACCESS_KEY
    );
    std::fs::write(&profile, text).expect("written");
    let mut watch = Watch { server: &server, home: &home, runs: 0 };
    let (sam, copy) = (path("a.sam"), path("copy.paf"));
    let token = [("AWS_SESSION_TOKEN", TOKEN)];

    // What goes well; the second time is a conflict with the first.
    watch.run(&["bam-to-paf", &sam, "s3://bucket/a.paf"], &token);
    watch.bad(&["bam-to-paf", &sam, "s3://bucket/a.paf"], &token);
    watch.good(&["bam-to-paf", "--overwrite", &sam, "s3://bucket/a.paf"], &[]);
    for command in ["info", "verify", "files", "log", "idxstats", "flagstat"] {
        watch.good(&[command, "s3://bucket/a.paf"], &token);
    }
    watch.good(&["paf-query", "s3://bucket/a.paf", "chr1", "--stats"], &token);
    watch.good(&["cp", "--overwrite", "s3://bucket/a.paf", &copy], &token);
    watch.good(&["gc", "--keep", "1", "s3://bucket/a.paf"], &token);
    watch.run(&["doctor", "s3://bucket/x"], &token);

    // A file behind a signed URL, whose name goes into the manifest.
    let signed =
        format!("{}/a.sam?X-Amz-Credential={PASSWORD}&X-Amz-Signature={SIGNATURE}", web.url());
    watch.good(&["bam-to-paf", "--overwrite", &signed, &path("signed.paf")], &[]);
    watch.bad(&["bam-to-paf", &signed.replace("a.sam", "missing.sam"), &path("no.paf")], &[]);
    watch.bad(
        &["bam-to-paf", "--overwrite", &signed.replace("a.sam", "home"), &path("no.paf")],
        &[],
    );

    // Wrong keys, names, addresses; credentials where none belong.
    let wrong = [("AWS_SECRET_ACCESS_KEY", WRONG_KEY)];
    let with_user = server.endpoint().replace("http://", &format!("http://user:{PASSWORD}@"));
    let web_user = web.url().replace("http://", &format!("http://user:{PASSWORD}@"));
    for command in ["info", "verify", "log", "paf-query", "gc", "doctor"] {
        let ask = |place: &str| [command.to_owned(), place.to_owned()];
        for place in [
            "s3://no-such-bucket/a.paf".to_owned(),
            "s3://bucket/missing".to_owned(),
            format!("s3://key:{PASSWORD}@bucket/a.paf"),
            format!("s3://bucket/a.paf?X-Amz-Signature={SIGNATURE}"),
            format!("{web_user}/copy.paf"),
            format!("{}/copy.paf?X-Amz-Signature={SIGNATURE}", web.url()),
            format!("ftp://user:{PASSWORD}@host/x"),
            format!("http://[{PASSWORD}/x"),
        ] {
            let arguments = ask(&place);
            watch.run(&arguments.each_ref().map(String::as_str), &token);
        }
        watch.bad(&[command, "s3://bucket/a.paf"], &wrong);
        for profile in ["other", "broken", "half", "absent"] {
            watch.bad(&[command, "--profile", profile, "s3://bucket/a.paf"], &[]);
        }
    }
    watch.run(&["info", "--endpoint-url", &with_user, "s3://bucket/a.paf"], &token);
    watch.run(
        &["info", "--endpoint-url", &format!("{with_user}?k={SIGNATURE}"), "s3://bucket/x"],
        &token,
    );
    watch.run(
        &["info", "--endpoint-url", &format!("not a url {PASSWORD}"), "s3://bucket/x"],
        &token,
    );
    watch.run(&["info", "s3://bucket/a.paf"], &[("AWS_ENDPOINT_URL", &with_user)]);
    watch.run(&["bam-to-paf", &sam, &format!("s3://key:{PASSWORD}@bucket/b.paf")], &[]);
    watch.run(&["bam-to-paf", &sam, &format!("{web_user}/b.paf")], &[]);

    // Answers that fail in every other way; those that are tried again are few, as that takes time.
    for status in [400, 401, 403, 404, 405, 409, 412, 416] {
        for (method, command) in [("GET", "info"), ("PUT", "convert")] {
            server.fail(method, "bucket", Fault::Answer(status), 2);
            match command {
                "info" => watch.run(&["info", "s3://bucket/a.paf"], &token),
                _ => watch.run(&["bam-to-paf", "--overwrite", &sam, "s3://bucket/c.paf"], &token),
            };
        }
    }
    server.fail("PUT", "_manifests", Fault::LoseReply, 1);
    watch.run(&["bam-to-paf", "--overwrite", &sam, "s3://bucket/d.paf"], &token);

    assert!(watch.runs > 150, "{}", watch.runs);
    check_files(folder.path(), &profile);
    check_files(&server.folder(s3::BUCKET), &profile);
    check_files(&server.folder(s3::OTHER_BUCKET), &profile);
}
