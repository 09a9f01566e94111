//! `ram-to-bam`: `format-tools ram-to-bam` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("ram-to-bam")
}
