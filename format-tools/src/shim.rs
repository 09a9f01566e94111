//! A tool under its own name: finds `format-tools` and becomes it.
//!
//! The program beside this one is preferred to the one on `PATH`, so that tools installed together
//! stay together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const PROGRAM: &str = "format-tools";

/// Runs `format-tools TOOL` with this process's arguments, and ends as it does.
pub(crate) fn run(tool: &str) -> ExitCode {
    let mut command = Command::new(program());
    command.arg(tool).args(std::env::args_os().skip(1));
    let error = become_it(&mut command);
    eprintln!("{tool}: error: cannot run {PROGRAM}: {error}");
    eprintln!("  help: install {PROGRAM} beside {tool} or on PATH");
    ExitCode::FAILURE
}

/// `format-tools` in this program's folder, else whichever `PATH` has.
fn program() -> OsString {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let beside = |own: PathBuf| Some(own.parent()?.join(&name)).filter(|path| path.is_file());
    let own = std::env::current_exe().ok();
    own.and_then(beside).map_or_else(|| name.clone().into(), PathBuf::into_os_string)
}

#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
#[allow(clippy::exit, reason = "stands for exec, which does not return either")]
fn become_it(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
