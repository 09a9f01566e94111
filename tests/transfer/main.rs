//! Datasets on their way between stores: copies, shares and repairs, whatever fails on the way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod choices;
mod copy;
mod faults;
mod repair;
mod share;
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use genomic_objects::{
    dataset::{
        At, ChunkEntry, Counts, Dataset, Draft, Fields, Operation, Report, Transaction,
        TransactionId, verify,
    },
    error::Result,
    store::{Store, StoreOptions},
};

const NOW: &str = "2026-01-15T10:30:00Z";

/// An id no other transaction of this test has.
fn id() -> TransactionId {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    TransactionId::from_bytes([NEXT.fetch_add(1, Ordering::Relaxed); 16])
}

/// Bytes that look random, so that no two objects are the same.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(length / 8 + 1).flatten().collect();
    bytes.truncate(length);
    bytes.into()
}

/// Adds a version with chunks of these lengths, and an index.
fn commit(store: &Store, operation: Operation, lengths: &[usize]) -> Dataset {
    let base = Dataset::find(store).unwrap();
    let transaction = Transaction::begin(store, base.as_ref(), id()).unwrap();
    let mut fields = Fields::default();
    fields.set("sample", "NA12878").unwrap();
    let mut draft = Draft {
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
    };
    for (at, &length) in lengths.iter().enumerate() {
        let bytes = noise((at * 1000 + length) as u64, length);
        let path = transaction.path("chr1", &format!("chunk_{at:04}"), "bin").unwrap();
        store.put(&path, bytes.clone()).unwrap();
        let counts = Counts::from([("reads".into(), length as u64)]);
        draft.chunks.push(ChunkEntry::new(path, &bytes, counts));
    }
    let index = noise(7, 500);
    draft.objects.push(transaction.put_object("index", "_index", "root", "idx", index).unwrap());
    transaction.commit(draft).unwrap()
}

/// A dataset of two versions.
fn small() -> Store {
    let store = Store::in_memory();
    commit(&store, Operation::Create, &[1000, 2000]);
    commit(&store, Operation::Append, &[3000]);
    store
}

fn count_reads(_: &ChunkEntry, bytes: &Bytes) -> Result<Counts> {
    Ok(Counts::from([("reads".into(), bytes.len() as u64)]))
}

fn verified(dataset: &Dataset) -> Result<Report> {
    verify(dataset, &count_reads, 2, None)
}

/// Every object of a store, by name.
fn content(store: &Store) -> Vec<(String, Bytes)> {
    let keys = store.list("").unwrap().into_iter().map(|object| object.key);
    keys.map(|key| (key.clone(), store.get(&key).unwrap())).collect()
}

fn newest(store: &Store) -> Dataset {
    Dataset::open(store, At::Newest).unwrap()
}

fn open(location: &str) -> Result<Store> {
    Store::open(location, &StoreOptions::default())
}
