//! `vcf-to-vcs`: `format-tools vcf-to-vcs` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("vcf-to-vcs")
}
