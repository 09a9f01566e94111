//! `paf-query`: `format-tools paf-query` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("paf-query")
}
