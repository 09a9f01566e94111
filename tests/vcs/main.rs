//! VCS end to end: what goes in comes out, queries miss nothing and fetch little, damage shows.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod append;
mod bad_input;
mod bcf;
mod bytes;
mod corruption;
mod engines;
mod expressions;
mod odd;
mod purge;
mod query;
mod roundtrip;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomic_objects::dataset::{At, Change, InputInfo, TransactionId};
use genomic_objects::error::Result;
use genomic_objects::pipeline::Progress;
use genomic_objects::store::{Input, Store};
use genomic_objects::vcs::needs::{Fields, Needs};
use genomic_objects::vcs::places::Places;
use genomic_objects::vcs::query::{self as queries, Output, Query};
use genomic_objects::vcs::read::{QueryStats, Reader};
use genomic_objects::vcs::table::TableFormat;
use genomic_objects::vcs::text;
use genomic_objects::vcs::write::{Summary, WriteOptions, write};
use testkit::{Choices, corpus};

fn options() -> WriteOptions {
    let transactions = [TransactionId::from_bytes([7; 16]), TransactionId::from_bytes([8; 16])];
    let input = InputInfo { name: "test".into(), size_bytes: None, checksum: None, program: None };
    WriteOptions {
        threads: 2,
        ..WriteOptions::new("2026-01-01T00:00:00Z".into(), transactions, input)
    }
}

fn input_of(name: &str, bytes: Vec<u8>) -> Input {
    Input {
        name: name.to_owned(),
        size: Some(bytes.len() as u64),
        version: None,
        reader: Box::new(std::io::Cursor::new(bytes)),
    }
}

fn convert(name: &str, bytes: &[u8], store: &Store, options: &WriteOptions) -> Result<Summary> {
    let mut open = || text::open(input_of(name, bytes.to_vec()));
    write(&mut open, store, options, &Arc::new(Progress::default()))
}

fn regions(regions: &[&str]) -> Places {
    let regions = regions.iter().map(|&region| region.to_owned()).collect();
    Places { regions, ..Places::default() }
}

/// All lines of a dataset at some places, in its order.
fn lines(store: &Store, places: &Places) -> Result<(Vec<u8>, QueryStats)> {
    let reader = Reader::open(store, At::Newest, places)?;
    let needs = Needs::all(reader.schema());
    let mut text = Vec::new();
    let stats = reader.scan(
        &needs,
        &|_| true,
        2,
        None,
        |loaded| {
            let mut text = Vec::new();
            for &row in &loaded.rows {
                loaded.push_line(row, &mut text)?;
                text.push(b'\n');
            }
            Ok(text)
        },
        |lines| {
            text.extend_from_slice(&lines);
            Ok(())
        },
    )?;
    Ok((text, stats))
}

/// A dataset's columns as a table.
fn table(store: &Store, format: TableFormat) -> Result<Vec<u8>> {
    let reader = Reader::open(store, At::Newest, &Places::default())?;
    let out = Shared::default();
    let query = Query { with_header: true, threads: 2, ..Query::default() };
    queries::run(&reader, &query, Output::Table(format), Box::new(out.clone()))?;
    let bytes = out.0.lock().unwrap().clone();
    Ok(bytes)
}

/// Bytes that a writer leaves behind.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn is_variants(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".vcf", ".vcf.gz", ".bcf"].iter().any(|suffix| name.ends_with(suffix))
}

/// Every good variant file of the corpora.
fn good_files(data: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["variants", "gvcf", "annotation"] {
        files.extend(corpus::files_below(data.join(folder)));
    }
    files.retain(|path| is_variants(path));
    files.sort();
    assert!(files.len() > 150, "{} files", files.len());
    files
}
