//! `export-ht-to-parquet`: `format-tools export-ht-to-parquet` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("export-ht-to-parquet")
}
