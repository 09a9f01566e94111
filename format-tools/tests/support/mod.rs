//! Running the program.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, reason = "these are tests, outside of test functions")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_format-tools"))
}

/// The folder with the program and its shims.
pub(crate) fn programs() -> PathBuf {
    program().parent().expect("a program lies in a folder").to_owned()
}

/// A command that runs the program with nothing of this machine's settings.
pub(crate) fn format_tools<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if ["AWS_", "GOOGLE_", "GENOMIC_OBJECTS_"].iter().any(|start| name.starts_with(start)) {
            command.env_remove(name);
        }
    }
    // What help is wrapped to when there is no terminal.
    command.env("COLUMNS", "100");
    command
}

/// Runs the program to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    format_tools(arguments).output().expect("the program starts")
}

/// Runs the program, which must succeed, and returns its standard output.
pub(crate) fn stdout_of<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
