//! The command line of genomic-objects: arguments in, library calls, text out.
//!
//! Data goes to standard output and everything else to standard error. A reader that closes the
//! pipe early is content, so that is success. The exit code is 0 when done, 1 when something
//! failed, 2 when the request made no sense.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "brackets in help texts are defaults, not links"
)]

mod cli;
mod commands;
mod conversion;
mod environment;
mod filters;
mod interrupt;
mod options;
mod output;
mod progress;
mod report;
mod tables;
mod units;

use std::process::ExitCode;

fn main() -> ExitCode {
    genomic_objects::guard::print_no_caught_panics();
    cli::run(std::env::args_os().collect())
}
