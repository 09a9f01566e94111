//! `ram-query`: `format-tools ram-query` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("ram-query")
}
