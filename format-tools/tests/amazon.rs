//! The real program against a model of Amazon's own service: buckets, choices for objects, shares,
//! archives, and writers at the same time.
#![allow(clippy::expect_used, reason = "these are tests")]

mod support;

use std::process::Command;

use support::{format_tools, stderr, stdout};
use tempfile::TempDir;
use testkit::moto::{self, Amazon};

/// A folder with the dataset `x.paf`, and the service.
struct Fixture {
    folder: TempDir,
    amazon: &'static Amazon,
}

impl Fixture {
    /// `None` where there is no service.
    fn new() -> Option<Self> {
        let amazon = moto::amazon()?;
        let fixture = Self { folder: tempfile::tempdir().expect("a folder"), amazon };
        fixture.ok(&["simulate", "--reads", "300k", "--seed", "3", "-o", "x.bam"]);
        fixture.ok(&["bam-to-paf", "x.bam", "x.paf"]);
        Some(fixture)
    }

    /// A command without credentials.
    fn stranger(&self, arguments: &[&str]) -> Command {
        let mut command = format_tools(arguments);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stranger(arguments);
        command
            .env("AWS_ENDPOINT_URL", self.amazon.endpoint())
            .env("AWS_REGION", moto::REGION)
            .env("AWS_ACCESS_KEY_ID", moto::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", moto::SECRET_KEY);
        command
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// The key of the largest object of the dataset.
    fn largest(&self) -> String {
        let files = testkit::corpus::files_below(self.folder.path().join("x.paf"));
        let size = |path: &std::path::PathBuf| path.metadata().expect("a file").len();
        let largest = files.into_iter().max_by_key(size).expect("objects");
        assert!(size(&largest) > 8 << 20, "it goes in one part");
        let below = largest.strip_prefix(self.folder.path()).expect("it is below");
        below.to_string_lossy().into_owned()
    }
}

#[test]
fn test_dataset_goes_to_a_new_bucket_and_back() {
    let Some(at) = Fixture::new() else { return };
    let bucket = at.amazon.new_name();
    let url = format!("s3://{bucket}/x.paf");
    // A bucket that is ours already is no error.
    for _ in 0..2 {
        at.ok(&["push", "--create-bucket", "x.paf", &url]);
    }
    let place = at.amazon.ask(&format!("s3.get_bucket_location(Bucket='{bucket}')"));
    assert!(place.contains(moto::REGION), "{place}");
    at.ok(&["verify", &url]);
    at.ok(&["pull", &url, "back.paf"]);
    at.ok(&["verify", "back.paf"]);
    assert_eq!(at.ok(&["flagstat", "back.paf"]), at.ok(&["flagstat", "x.paf"]));

    at.ok(&["cors", "--origin", "https://igv.org", &format!("s3://{bucket}")]);
    let rule = at.amazon.ask(&format!("s3.get_bucket_cors(Bucket='{bucket}')['CORSRules']"));
    assert!(rule.contains("https://igv.org") && rule.contains("\"GET\""), "{rule}");
}

#[test]
fn test_objects_are_stored_as_chosen() {
    let Some(at) = Fixture::new() else { return };
    let bucket = at.amazon.new_bucket();
    let choices =
        ["--storage-class", "STANDARD_IA", "--sse", "aws:kms", "--sse-kms-key-id", "key-1"];
    let url = format!("s3://{bucket}/x.paf");
    at.ok(&[&["push"], &choices[..], &["x.paf", &url]].concat());
    let head = at.amazon.ask(&format!("s3.head_object(Bucket='{bucket}', Key='{}')", at.largest()));
    for part in ["\"STANDARD_IA\"", "\"aws:kms\"", "\"key-1\""] {
        assert!(head.contains(part), "no {part}: {head}");
    }
}

#[test]
fn test_share_and_archive_tell_what_they_are() {
    let Some(at) = Fixture::new() else { return };
    let bucket = at.amazon.new_bucket();
    let url = format!("s3://{bucket}/x.paf");
    at.ok(&["bam-to-paf", "x.bam", &url]);
    let query = ["paf-query", "-c", &url, "chr1:1k-200k"];
    let count = at.ok(&query);
    at.ok(&["share", "--expires", "1h", "-o", "x.share", &url]);
    let read = at.stranger(&["paf-query", "-c", "x.share", "chr1:1k-200k"]).output();
    assert_eq!(stdout(&read.expect("it starts")), count);

    let keys = format!(
        "[o['Key'] for o in s3.list_objects_v2(Bucket='{bucket}', Prefix='x.paf/chr')['Contents']]"
    );
    let archive = format!(
        "[s3.copy_object(Bucket='{bucket}', Key=key, StorageClass='GLACIER', \
         CopySource={{'Bucket': '{bucket}', 'Key': key}}) for key in {keys}] and 'done'"
    );
    assert!(at.amazon.ask(&archive).contains("done"));
    let output = at.command(&query).output().expect("it starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("archive") && said.contains("restore-object"), "{said}");
}
