//! SRF end to end: what goes in comes out, queries miss nothing and fetch little, damage shows.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod append;
mod bad_input;
mod bytes;
mod columns;
mod corruption;
mod engines;
mod generated;
mod inputs;
mod order;
mod roundtrip;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use genomic_objects::dataset::{At, Change, InputInfo, TransactionId};
use genomic_objects::error::Result;
use genomic_objects::pipeline::Progress;
use genomic_objects::records::reads::{self, Framer};
use genomic_objects::srf::manifest::{Layout, Order};
use genomic_objects::srf::read::{Filter, Found, QueryStats, Reader, Selection};
use genomic_objects::srf::write::{Summary, WriteOptions, write};
use genomic_objects::store::{Input, Store};

fn options(layout: Layout) -> WriteOptions {
    let transaction = TransactionId::from_bytes([7; 16]);
    let input = InputInfo { name: "test".into(), size_bytes: None, checksum: None, program: None };
    WriteOptions {
        threads: 2,
        layout,
        ..WriteOptions::new("2026-01-01T00:00:00Z".into(), transaction, vec![input])
    }
}

fn convert(files: &[(&str, &[u8])], store: &Store, options: &WriteOptions) -> Result<Summary> {
    let open = || {
        files
            .iter()
            .map(|(name, bytes)| {
                let input = Input {
                    name: (*name).to_owned(),
                    size: Some(bytes.len() as u64),
                    version: None,
                    reader: Box::new(std::io::Cursor::new(bytes.to_vec())),
                };
                let (name, text) = reads::open(input, 2)?;
                Framer::new(text, &name)
            })
            .collect()
    };
    write(open, store, options, &Arc::new(Progress::default()))
}

/// The files that a dataset gives back; one for pairs by turns.
fn export(store: &Store, by_turns: bool) -> Result<Vec<Vec<u8>>> {
    let reader = Reader::open(store, At::Newest, Selection::All, Filter::default())?;
    let mut files: Vec<Vec<u8>> = Vec::new();
    reader.export(2, by_turns, false, |texts, _| {
        files.resize(texts.len(), Vec::new());
        files.iter_mut().zip(texts).for_each(|(file, text)| file.extend_from_slice(text));
        Ok(())
    })?;
    Ok(files)
}

/// Names of the reads that a query finds.
fn query(store: &Store, selection: Selection, filter: Filter) -> Result<(Vec<String>, QueryStats)> {
    let reader = Reader::open(store, At::Newest, selection, filter)?;
    let mut names = Vec::new();
    let stats = reader.scan(
        2,
        None,
        |found| {
            let mut scratch = [Vec::new(), Vec::new()];
            let mut names = Vec::new();
            for &(row, mate) in &found.reads {
                let parts = found.batch.parts(row as usize, usize::from(mate), &mut scratch);
                names.push(String::from_utf8_lossy(parts.name).into_owned());
            }
            Ok(names)
        },
        |found| {
            names.extend(found);
            Ok(())
        },
    )?;
    Ok((names, stats))
}

/// A generator of numbers for choices that are the same in every run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// Reads of 100 bases, or of 50 to 150, named by their number.
fn fastq(reads: u64, seed: u64, fixed: bool) -> Vec<u8> {
    let mut choices = Choices(seed);
    let mut text = Vec::new();
    for read in 0..reads {
        let length = if fixed { 100 } else { 50 + choices.below(101) } as usize;
        let bases: Vec<u8> = (0..length).map(|_| b"ACGT"[choices.below(4) as usize]).collect();
        let level = choices.below(30) as u8;
        let qualities: Vec<u8> =
            (0..length).map(|_| b'#' + level + choices.below(9) as u8).collect();
        text.extend_from_slice(format!("@run:1:{}:{read} 1:N:0:ACGT\n", read % 7).as_bytes());
        text.extend_from_slice(&bases);
        text.extend_from_slice(b"\n+\n");
        text.extend_from_slice(&qualities);
        text.push(b'\n');
    }
    text
}
