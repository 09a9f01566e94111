//! `ht-to-parquet`: `format-tools ht-to-parquet` under its own name.

#[path = "../shim.rs"]
mod shim;

fn main() -> std::process::ExitCode {
    shim::run("ht-to-parquet")
}
