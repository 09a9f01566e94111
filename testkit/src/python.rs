//! Python, and packages from PyPI, as readers of what we write.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::corpus::skip;
use crate::oracle::finish;

/// Whether `python3` has all of these modules; prints that the test is skipped if not.
///
/// # Panics
///
/// When it has not, and the environment variable `CI` is `true`.
pub fn require(modules: &[&str]) -> bool {
    let found = Command::new("python3")
        .args(["-c", &format!("import {}", modules.join(", "))])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip(&format!("python3 lacks one of {}", modules.join(", ")));
    }
    found
}

/// What `python3 ARGS` prints.
///
/// # Errors
///
/// What it writes to standard error, when it fails.
pub fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Vec<u8>, String> {
    finish(Command::new("python3").args(args).output())
}

/// Whether each of `files` conforms to all of the JSON Schemas called `schemas` in `spec/`; what is
/// wrong is printed. Needs the module `jsonschema`.
///
/// # Errors
///
/// When a schema is none, or a file is no JSON.
pub fn conform(schemas: &[&str], files: &[PathBuf]) -> Result<Vec<bool>, String> {
    const SCRIPT: &str = "\
import json, jsonschema, sys
schemas = [json.load(open(path)) for path in sys.argv[1].split(':')]
for schema in schemas:
    jsonschema.Draft202012Validator.check_schema(schema)
validators = [jsonschema.Draft202012Validator(schema) for schema in schemas]
for path in sys.argv[2:]:
    document = json.load(open(path))
    error = next((e for v in validators for e in v.iter_errors(document)), None)
    print('valid' if error is None else f'{path}: {error.message}')
";
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let schemas: Vec<String> =
        schemas.iter().map(|name| spec.join(name).display().to_string()).collect();
    let mut args = vec!["-c".into(), SCRIPT.into(), schemas.join(":").into()];
    args.extend(files.iter().map(|file| file.clone().into_os_string()));
    let printed = run(args)?;
    let printed = String::from_utf8_lossy(&printed);
    println!("{printed}");
    Ok(printed.lines().map(|line| line == "valid").collect())
}
