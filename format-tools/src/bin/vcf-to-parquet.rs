//! `vcf-to-parquet`: `format-tools vcf-to-parquet` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("vcf-to-parquet")
}
