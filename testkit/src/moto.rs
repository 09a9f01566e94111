//! moto: a model of Amazon's own service, from PyPI.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::python;
use crate::spawned::{Spawned, spawn};

/// The access key id to sign with; any will do.
pub const ACCESS_KEY: &str = "test-access-key";
/// The secret that goes with [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test-secret-key";
/// The region of the buckets.
pub const REGION: &str = "eu-west-1";

/// Serves until its standard input closes, which it does when the test's process ends.
const SERVE: &str = "\
import os, sys, threading
from moto.server import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(['-H', '127.0.0.1', '-p', sys.argv[1]])
";

/// Evaluates an expression with a client `s3`, and prints it as JSON.
const ASK: &str = "\
import boto3, json, sys
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name=sys.argv[2],
                  aws_access_key_id=sys.argv[3], aws_secret_access_key=sys.argv[4])
print(json.dumps(eval(sys.argv[5]), default=str))
";

/// Amazon's service, as far as moto models it: one for all tests of a process.
pub struct Amazon {
    address: String,
    _process: Spawned,
}

/// The service; `None`, after saying that the test is skipped, where there is no moto.
///
/// # Panics
///
/// When there is none and the environment variable `CI` is `true`, or it does not start.
pub fn amazon() -> Option<&'static Amazon> {
    static SERVICE: OnceLock<Option<Amazon>> = OnceLock::new();
    let start = || {
        python::require(&["moto.server", "flask_cors", "boto3"]).then(|| {
            let (process, address) = spawn(|address| {
                let mut command = Command::new("python3");
                let port = address.rsplit(':').next().unwrap_or_default();
                command.args(["-c", SERVE, port]);
                command
            });
            Amazon { address: format!("http://{address}"), _process: process }
        })
    };
    SERVICE.get_or_init(start).as_ref()
}

impl Amazon {
    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    /// A name that no bucket has yet.
    pub fn new_name(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes an empty bucket, and names it.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn new_bucket(&self) -> String {
        let name = self.new_name();
        self.ask(&format!(
            "s3.create_bucket(Bucket='{name}', CreateBucketConfiguration={{'LocationConstraint': '{REGION}'}})"
        ));
        name
    }

    /// What Amazon's own client for Python answers to an expression of its variable `s3`, as JSON.
    ///
    /// # Panics
    ///
    /// When that fails.
    #[allow(clippy::panic, reason = "a test without its answer fails")]
    pub fn ask(&self, expression: &str) -> String {
        let answer =
            python::run(["-c", ASK, &self.address, REGION, ACCESS_KEY, SECRET_KEY, expression]);
        match answer {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => panic!("{expression}: {error}"),
        }
    }
}
