//! What is odd is counted: of each file that breaks the specification, and of few that keep it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use genomic_objects::vcs::odd::Kind;

use super::*;
use crate::bad_input::malformed_files;

/// Kinds that most files of the suites have, whatever else is wrong with them.
const UNDECLARED: [Kind; 4] =
    [Kind::InfoUndeclared, Kind::FormatUndeclared, Kind::FilterUndeclared, Kind::ContigUndeclared];

/// Files whose fault is none that we look for, each with the reason.
const NOT_LOOKED_FOR: [(&str, &str); 0] = [];

/// What became of a file.
enum Fate {
    Refused(String),
    Accepted(Vec<Kind>),
}

fn fate_of(name: &str, bytes: &[u8]) -> Fate {
    match convert(name, bytes, &Store::in_memory(), &options()) {
        Err(error) => Fate::Refused(error.to_string()),
        Ok(summary) => {
            let kinds = Kind::ALL.iter().copied();
            Fate::Accepted(kinds.filter(|kind| summary.odd.contains_key(kind.name())).collect())
        }
    }
}

#[test]
fn test_every_malformed_file_is_refused_or_counted() {
    let Some(data) = corpus::require() else { return };
    let mut silent = Vec::new();
    for (folder, path) in malformed_files(&data) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Fate::Accepted(kinds) = fate_of(&name, &std::fs::read(&path).unwrap()) {
            let file = format!("{folder}/{name}");
            if kinds.iter().all(|kind| UNDECLARED.contains(kind)) {
                silent.push(file);
            }
        }
    }
    println!("{} silent:\n{}", silent.len(), silent.join("\n"));
}

#[test]
fn test_good_files_have_little_that_is_odd() {
    let Some(data) = corpus::require() else { return };
    let mut all: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for path in good_files(&data) {
        let name = path.display().to_string();
        let summary =
            convert(&name, &std::fs::read(&path).unwrap(), &Store::in_memory(), &options()).unwrap();
        for kind in Kind::ALL {
            if let Some(found) = summary.odd.get(kind.name()) {
                all.entry(*kind).or_default().push(format!("{name}: {found:?}"));
            }
        }
    }
    let mut text = String::new();
    for (kind, files) in &all {
        let _ = writeln!(text, "{}: {}\n  {}", kind.name(), files.len(), files.join("\n  "));
    }
    println!("{text}");
}
