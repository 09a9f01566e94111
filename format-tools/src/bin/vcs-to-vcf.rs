//! `vcs-to-vcf`: `format-tools vcs-to-vcf` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("vcs-to-vcf")
}
