//! `srf-to-fastq`: `format-tools srf-to-fastq` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("srf-to-fastq")
}
