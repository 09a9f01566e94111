//! Hail Tables, from their files to rows, and to partitioned Parquet.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside_hail;
mod engines;
mod fixtures;
mod hive;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod types;

use std::path::{Path, PathBuf};

use arrow_array::StructArray;
use genomic_objects::error::Result;
use genomic_objects::hail::{BatchLimits, Table, VType, to_json};
use genomic_objects::store::{Store, StoreOptions};
use serde_json::Value;

/// The folder of the fixtures.
fn fixtures() -> Option<PathBuf> {
    testkit::corpus::require().map(|data| data.join("hail"))
}

fn store(path: &Path) -> Store {
    Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

fn open(path: &Path) -> Result<Table> {
    Table::open(&store(path))
}

/// All rows of a table as JSON, read in batches of so many rows.
fn rows(table: &Table, limits: BatchLimits) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for partition in table.partitions() {
        let mut reader = table.read(partition.index, None, limits)?;
        let mut count = 0;
        while let Some(batch) = reader.next_batch()? {
            count += batch.num_rows();
            let of = VType::Struct(table.table_type().row.fields().to_vec());
            let batch = StructArray::from(batch);
            rows.extend((0..batch_len(&batch)).map(|row| to_json(&of, &batch, row)));
        }
        assert_eq!(count as u64, partition.rows);
    }
    Ok(rows)
}

fn batch_len(batch: &StructArray) -> usize {
    arrow_array::Array::len(batch)
}

/// Whether two values are the same, floats to the bit but for the parser's last digit.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap().to_bits(), b.as_f64().unwrap().to_bits());
            a.abs_diff(b) <= 1
        }
        _ => a == b,
    }
}

fn expected(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A copy of a table that a test may damage.
fn copy_of(table: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => copy(&entry.path(), &to),
                // The fixtures may not be written to, and a copy by name keeps that.
                false => std::fs::write(to, std::fs::read(entry.path()).unwrap()).unwrap(),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(table, folder.path());
    folder
}

/// Inflated metadata of a table, and the same put back.
fn edit_metadata(file: &Path, edit: impl FnOnce(&mut Value)) {
    let bytes = std::fs::read(file).unwrap();
    let mut text = String::new();
    let mut inflated = flate2::read::MultiGzDecoder::new(bytes.as_slice());
    std::io::Read::read_to_string(&mut inflated, &mut text).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    edit(&mut json);
    let file = std::fs::File::create(file).unwrap();
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    std::io::Write::write_all(&mut out, json.to_string().as_bytes()).unwrap();
    out.finish().unwrap();
}
