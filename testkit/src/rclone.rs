//! `rclone serve s3`: an S3 server that people use, and that breaks promises of S3.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::corpus::skip;

/// The access key id that the server accepts.
pub const ACCESS_KEY: &str = "test-access-key";
/// The secret that goes with [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test-secret-key";

/// A running server with the empty bucket `bucket`; dropping it ends the server.
pub struct Server {
    process: Child,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is ours, and may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
    let address = port.expect("a free port").to_string();
    let process = Command::new("rclone")
        .args(["serve", "s3", "--config", "/dev/null", "--addr", &address])
        .args(["--auth-key", &format!("{ACCESS_KEY},{SECRET_KEY}")])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rclone starts");
    let server = Server { process, _folder: folder };
    let began = Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "rclone does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((server, format!("http://{address}")))
}
