//! `doctor`: what a store does, before data is trusted to it.

use std::time::SystemTime;

use clap::Args;
use genomic_objects::error::{Error, Result};
use genomic_objects::store::Store;
use genomic_objects::store::doctor::{Diagnosis, Need, examine};
use serde_json::json;

use crate::environment;
use crate::options::{Messages, Stores};
use crate::output;

/// Find out what a store really does, and whether several may write to it at once
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Writes, reads, races for and deletes some objects in a new folder there, which it removes again.
Exit code 0: several writers at a time are safe. 1: they are not, or the store is of no use.

Examples:
  format-tools doctor s3://bucket/datasets
  format-tools doctor --endpoint-url http://minio:9000 s3://bucket")]
pub(crate) struct Doctor {
    /// Folder or URL to write to
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.url, &self.stores.options())?;
        let folder = format!("_doctor.{}", environment::transaction_id()?.token());
        let diagnosis = examine(&store, &folder, SystemTime::now())?;
        match self.messages.json {
            true => output::print(&format!("{}\n", report_json(&store, &diagnosis)))?,
            false => output::print(&report_text(&diagnosis))?,
        }
        if diagnosis.is_safe_for_concurrent_writers() {
            return Ok(());
        }
        let error = match diagnosis.is_usable() {
            true => Error::unsupported("only one writer at a time is safe there")
                .help("pass --single-writer to writers, and let no two of them run at once"),
            false => Error::unsupported("datasets are not safe there")
                .help("use another server, or another version of it"),
        };
        Err(error.at(store.name("")))
    }
}

fn report_text(diagnosis: &Diagnosis) -> String {
    let line = |finding: &genomic_objects::store::doctor::Finding| {
        let verdict = match (finding.kept, finding.needed_for) {
            (true, _) => "yes ",
            (false, Need::Comfort) => "note",
            (false, _) => "NO  ",
        };
        format!("{verdict} {}: {}\n", finding.promise, finding.seen)
    };
    let verdict = match (diagnosis.is_usable(), diagnosis.is_safe_for_concurrent_writers()) {
        (_, true) => "Any number of writers and readers are safe there.",
        (true, false) => "Readers and one writer at a time are safe there.",
        (false, _) => "Datasets are not safe there.",
    };
    let lines: String = diagnosis.findings.iter().map(line).collect();
    format!("{lines}{verdict}\n")
}

fn report_json(store: &Store, diagnosis: &Diagnosis) -> serde_json::Value {
    json!({
        "url": store.name(""),
        "usable": diagnosis.is_usable(),
        "concurrent_writers": diagnosis.is_safe_for_concurrent_writers(),
        "findings": diagnosis.findings,
    })
}
