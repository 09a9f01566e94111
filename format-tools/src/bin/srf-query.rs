//! `srf-query`: `format-tools srf-query` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("srf-query")
}
