//! Errors and summaries: text for people, JSON for programs.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use genomic_objects::error::{Error, ErrorKind};
use genomic_objects::store::Traffic;
use serde_json::{Value, json};

use crate::{output, units};

/// Failed.
pub(crate) const FAILED: u8 = 1;
/// The request makes no sense.
pub(crate) const USAGE: u8 = 2;

/// Whether the arguments ask for JSON; looked up before parsing, for errors of parsing itself.
pub(crate) fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|&a| a != "--").any(|argument| argument == "--json")
}

/// Prints an error where one happened, and says how the process ends.
pub(crate) fn outcome(result: Result<(), Error>, as_json: bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has enough of it.
        Err(_) if output::pipe_closed() => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.kind() == ErrorKind::Usage { USAGE } else { FAILED };
            if as_json {
                print_json_error(kind_name(error.kind()), &error.to_string(), code);
            } else {
                say(&format!("format-tools: error: {error}"));
            }
            ExitCode::from(code)
        }
    }
}

/// What a query moved, as a sentence.
pub(crate) fn traffic(traffic: &Traffic) -> String {
    format!(
        "fetched {} ({} of the dataset's {}) by {} requests in {} dependent round trips; \
         {} of it were used",
        units::bytes(traffic.bytes_fetched),
        units::percent(traffic.bytes_fetched, traffic.bytes_total),
        units::bytes(traffic.bytes_total),
        traffic.requests,
        traffic.round_trips,
        units::bytes(traffic.bytes_used),
    )
}

/// Prints what the argument parser has to say: help and version, or an error.
pub(crate) fn parser_outcome(error: &clap::Error, as_json: bool) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
    if as_json && error.use_stderr() {
        let text = error.render().to_string();
        print_json_error("usage", text.trim_start_matches("error: ").trim_end(), code);
    } else {
        // Nobody is left to tell when this fails.
        let _ = error.print();
    }
    ExitCode::from(code)
}

fn print_json_error(kind: &str, text: &str, code: u8) {
    let (message, help) = match text.split_once("\n  help: ") {
        Some((message, help)) => (message, Value::from(help)),
        None => (text, Value::Null),
    };
    let error = json!({ "kind": kind, "message": message, "help": help, "exit_code": code });
    say(&json!({ "error": error }).to_string());
}

/// The stable name of a kind, for programs.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "usage",
        ErrorKind::Input => "input",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Exists => "exists",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Store => "store",
        ErrorKind::OutcomeUnknown => "outcome_unknown",
        _ => "internal",
    }
}

/// What a command did, once it is done.
pub(crate) struct Summary {
    pub(crate) text: String,
    pub(crate) json: Value,
    /// Standard output has data on it, so that JSON goes to standard error.
    pub(crate) data_on_stdout: bool,
}

/// Writes a line to standard error; a closed one is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
