//! `paf-to-bam`: `format-tools paf-to-bam` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("paf-to-bam")
}
