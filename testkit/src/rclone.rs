//! `rclone serve s3`: an S3 server that people use, and that breaks promises of S3.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::corpus::skip;
use crate::spawned::{Spawned, spawn};

/// The access key id that the server accepts.
pub const ACCESS_KEY: &str = "test-access-key";
/// The secret that goes with [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test-secret-key";

/// A running server with the empty bucket `bucket`; dropping it ends the server.
pub struct Server {
    _process: Spawned,
    _folder: TempDir,
}

/// Starts a server; its address comes with it. `None`, after saying that the test is skipped, where
/// there is no rclone.
///
/// # Panics
///
/// When there is none and the environment variable `CI` is `true`, or it does not start.
#[allow(clippy::expect_used, reason = "a test that cannot have its server fails")]
pub fn serve() -> Option<(Server, String)> {
    let found = Command::new("rclone").arg("version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        skip("rclone is not installed");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let (process, address) = spawn(|address| {
        let mut command = Command::new("rclone");
        command
            .args(["serve", "s3", "--config", "/dev/null", "--addr", address])
            .args(["--auth-key", &format!("{ACCESS_KEY},{SECRET_KEY}")])
            .arg(folder.path());
        command
    });
    Some((Server { _process: process, _folder: folder }, format!("http://{address}")))
}
