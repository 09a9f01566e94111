//! samtools as the judge of what an alignment file says.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::corpus::skip;

/// Whether samtools can be run; prints that the test is skipped if not.
///
/// # Panics
///
/// When it cannot and the environment variable `CI` is `true`.
pub fn require() -> bool {
    let found = Command::new("samtools")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip("samtools is not installed");
    }
    found
}

/// What `samtools ARGS` prints.
///
/// # Errors
///
/// What it writes to standard error, when it fails.
pub fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Vec<u8>, String> {
    finish(Command::new("samtools").args(args).output())
}

/// What `samtools ARGS` prints when `input` is its standard input.
///
/// # Errors
///
/// What it writes to standard error, when it fails.
pub fn run_with_input<A: AsRef<OsStr>>(
    args: impl IntoIterator<Item = A>,
    input: &[u8],
) -> Result<Vec<u8>, String> {
    let mut child = Command::new("samtools")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        finish(child.wait_with_output())
    })
}

/// Header and records of a file as `samtools view -h` prints them, without a `@PG` line of its own.
///
/// # Errors
///
/// What samtools writes to standard error, when it fails.
pub fn view(path: &Path, reference: Option<&Path>) -> Result<Vec<u8>, String> {
    run(view_args("-h", path, reference))
}

/// The decompressed BAM that `samtools view -b` makes of a file.
///
/// # Errors
///
/// What samtools writes to standard error, when it fails.
pub fn bam_bytes(path: &Path, reference: Option<&Path>) -> Result<Vec<u8>, String> {
    let bgzf = run(view_args("-b", path, reference))?;
    gunzip(&bgzf)
}

/// Decompresses all members of a gzip or BGZF file.
///
/// # Errors
///
/// What `gzip` writes to standard error, when it fails.
pub fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(bytes)));
        finish(child.wait_with_output())
    })
}

fn view_args(form: &str, path: &Path, reference: Option<&Path>) -> Vec<String> {
    let mut args = vec!["view".to_owned(), "--no-PG".to_owned(), form.to_owned()];
    if let Some(reference) = reference {
        args.extend(["--reference".to_owned(), reference.display().to_string()]);
    }
    args.push(path.display().to_string());
    args
}

pub(crate) fn finish(output: std::io::Result<Output>) -> Result<Vec<u8>, String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
