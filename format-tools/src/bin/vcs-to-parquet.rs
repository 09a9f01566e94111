//! `vcs-to-parquet`: `format-tools vcs-to-parquet` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("vcs-to-parquet")
}
