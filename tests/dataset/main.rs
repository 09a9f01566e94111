//! Datasets on every kind of store: commits, faults, history, corruption.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod commit;
mod committers;
mod conflicts;
mod copy;
mod corruption;
mod crashes;
mod double;
mod gc;
mod history;
mod model;
mod open;
mod purge;
#[path = "../support/mod.rs"]
mod support;
mod tags;

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use genomic_objects::{
    dataset::{
        self, At, Checksum, ChunkEntry, Counts, Dataset, Draft, Fields, GcOptions, METADATA,
        Manifest, Operation, Transaction, TransactionId, manifest_path,
    },
    error::{ErrorKind, Result},
    store::{Store, StoreOptions},
};
use support::{disk_store, on_every_store, s3_options, s3_store};
use testkit::{http, python, s3, server::Fault};

const NOW: &str = "2026-01-15T10:30:00Z";

/// An id no other transaction of this test has.
fn id() -> TransactionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    id_of(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The id of this number.
fn id_of(number: u64) -> TransactionId {
    TransactionId::from_bytes((u128::from(number) * ((1 << 64) + 1)).to_be_bytes())
}

/// An empty draft of the test format.
fn draft(operation: Operation) -> Draft {
    let mut fields = Fields::default();
    fields.set("sample", "NA12878").unwrap();
    Draft {
        format: "test".into(),
        version: "1.0".into(),
        fields,
        created: NOW.into(),
        required_features: vec![],
        inputs: vec![],
        objects: vec![],
        chunks: vec![],
        keep_chunks: operation == Operation::Append,
        operation,
    }
}

/// A chunk of the test format: one byte per read.
fn put_chunk(transaction: &Transaction, stem: &str, reads: usize) -> ChunkEntry {
    upload_chunk(transaction, stem, reads).unwrap()
}

/// As [`put_chunk`], for a store that may fail.
fn upload_chunk(transaction: &Transaction, stem: &str, reads: usize) -> Result<ChunkEntry> {
    let bytes = Bytes::from(vec![b'r'; reads]);
    let path = transaction.path("chr1", stem, "bin")?;
    transaction.store().put(&path, bytes.clone())?;
    Ok(ChunkEntry::new(path, &bytes, Counts::from([("reads".into(), reads as u64)])))
}

fn count_reads(_: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    Ok(Counts::from([("reads".into(), bytes.len() as u64)]))
}

/// Every promise that the specification makes of a store holds.
fn assert_sound(store: &Store) {
    assert_eq!(dataset::audit(store).unwrap(), [""; 0]);
}

/// Commits a version of one chunk with so many reads, and an index.
fn commit(store: &Store, operation: Operation, reads: usize) -> Result<Dataset> {
    let base = Dataset::find(store)?;
    let transaction = Transaction::begin(store, base.as_ref(), id())?;
    let mut draft = draft(operation);
    draft.chunks.push(put_chunk(&transaction, "chunk_0", reads));
    let index = Bytes::from(format!("index of {reads}"));
    draft.objects.push(transaction.put_object("index", "_index", "root", "idx", index)?);
    transaction.commit(draft)
}

fn reads(dataset: &Dataset) -> u64 {
    dataset.counts().unwrap()["reads"]
}

fn keys(store: &Store) -> Vec<String> {
    store.list("").unwrap().into_iter().map(|object| object.key).collect()
}

/// Commits so many chunks that they get lists of their own.
fn commit_many(store: &Store, operation: Operation, chunks: usize) -> Dataset {
    let base = Dataset::find(store).unwrap();
    let transaction = Transaction::begin(store, base.as_ref(), id()).unwrap();
    let mut draft = draft(operation);
    for i in 0..chunks {
        let path = transaction.path("chr1", &format!("chunk_{i}"), "bin").unwrap();
        let counts = Counts::from([("reads".into(), 1)]);
        draft.chunks.push(ChunkEntry::new(path, b"r", counts));
    }
    transaction.commit(draft).unwrap()
}

/// Keeps so many versions, and objects without one for so many seconds.
fn gc_options(keep: u64, grace: u64) -> GcOptions {
    GcOptions {
        keep: Some(keep),
        older_than: None,
        grace: Duration::from_secs(grace),
        now: SystemTime::now() + Duration::from_secs(10),
        created: NOW.into(),
        id: id(),
        dry_run: false,
    }
}
