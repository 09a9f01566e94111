//! `bam-to-ram`: `format-tools bam-to-ram` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("bam-to-ram")
}
