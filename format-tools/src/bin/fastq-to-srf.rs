//! `fastq-to-srf`: `format-tools fastq-to-srf` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("fastq-to-srf")
}
