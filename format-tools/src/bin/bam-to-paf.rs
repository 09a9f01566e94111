//! `bam-to-paf`: `format-tools bam-to-paf` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("bam-to-paf")
}
