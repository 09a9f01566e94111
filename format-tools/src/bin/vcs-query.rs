//! `vcs-query`: `format-tools vcs-query` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("vcs-query")
}
