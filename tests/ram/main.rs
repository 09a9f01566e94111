//! RAM end to end: what goes in comes out, queries miss nothing and fetch little, coverage is that
//! of samtools, damage shows.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod bytes;
mod compact;
mod corpora;
mod corruption;
mod coverage;
mod engines;
mod inputs;
mod mosdepth;
mod purge;
mod replace;
mod resume;
mod roundtrip;
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod variants;

use std::io::Cursor;
use std::sync::Arc;

use genomic_objects::dataset::{At, InputInfo, TransactionId};
use genomic_objects::error::Result;
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::ram::export;
use genomic_objects::ram::ingest::Opened;
use genomic_objects::ram::query::{Format, Writer};
use genomic_objects::ram::read::{Content, QueryStats, Reader, Request};
use genomic_objects::ram::write::{SampleInput, Summary, WriteOptions, write};
use genomic_objects::records::alignments::{SourceOptions, open, sink};
use genomic_objects::store::Store;
use testkit::Choices;

fn options() -> WriteOptions {
    let transaction = TransactionId::from_bytes([7; 16]);
    WriteOptions { threads: 2, ..WriteOptions::new("2026-01-01T00:00:00Z".into(), transaction) }
}

fn input(name: Option<&str>, file: &str) -> SampleInput {
    SampleInput {
        name: name.map(str::to_owned),
        info: InputInfo { name: file.into(), size_bytes: None, checksum: None, program: None },
    }
}

/// Converts files, each a name and its bytes; samples are named by their headers.
fn convert(files: &[(&str, &[u8])], store: &Store, options: &WriteOptions) -> Result<Summary> {
    convert_with(files, None, store, options)
}

fn convert_with(
    files: &[(&str, &[u8])],
    reference: Option<&str>,
    store: &Store,
    options: &WriteOptions,
) -> Result<Summary> {
    let inputs: Vec<SampleInput> = files.iter().map(|(file, _)| input(None, file)).collect();
    let opener = |number: usize| {
        let (file, bytes) = files[number];
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        Ok(Opened::File(open(file, reader, &SourceOptions::default())?, None))
    };
    let reference = reference.map(|text| {
        let reader: Box<dyn std::io::Read + Send> = Box::new(Cursor::new(text.as_bytes().to_vec()));
        ("reference.fa".to_owned(), reader)
    });
    write(&inputs, &opener, reference, store, options, &Arc::new(Progress::default()))
}

fn request(regions: &[&str], samples: &[&str]) -> Request {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Request { regions: texts(regions), bed: None, samples: texts(samples) }
}

/// A sample's file as SAM.
fn exported(store: &Store, sample: &str) -> Result<Vec<u8>> {
    let reader = Reader::open(store, At::Newest, Content::Alignments, &request(&[], &[sample]))?;
    let header = reader.header()?;
    let out = Shared::default();
    let mut sink = sink::create(sink::Format::Sam, Box::new(out.clone()), &header, 1)?;
    let sort = SortOptions { threads: 2, ..SortOptions::default() };
    export::export(&reader, &header, sort, &Progress::default(), |batch| sink.write(batch))?;
    sink.finish()?;
    Ok(out.take())
}

/// The lines of a query.
fn query(store: &Store, regions: &[&str], samples: &[&str]) -> Result<(String, QueryStats)> {
    let reader = Reader::open(store, At::Newest, Content::Alignments, &request(regions, samples))?;
    let mut text = Vec::new();
    let stats = Writer::new(&reader, Format::Sam).write(2, None, |part| {
        text.extend_from_slice(&part);
        Ok(())
    })?;
    Ok((String::from_utf8(text).unwrap(), stats))
}

/// A place to write to, and to look at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A reference of two contigs, of 40,000 and 12,000 bases.
fn reference() -> [Vec<u8>; 2] {
    let mut choices = Choices(99);
    [40_000, 12_000].map(|length| (0..length).map(|_| b"ACGT"[choices.below(4) as usize]).collect())
}

fn fasta() -> String {
    let names = ["chr1", "chr2"];
    let text = |(name, bases): (&str, Vec<u8>)| {
        format!(">{name}\n{}\n", String::from_utf8(bases).unwrap())
    };
    names.into_iter().zip(reference()).map(text).collect()
}

/// A sorted SAM file of pairs of reads of 100 bases: overlapping mates, deletions, skips, reads with
/// excluded flags, unplaced pairs. Where `position % 997` equals `seed`, the sample is heterozygous.
fn sam(sample: &str, pairs: u64, seed: u64) -> String {
    let mut choices = Choices(seed);
    let contigs = reference();
    let mut records: Vec<(usize, u64, String)> = Vec::new();
    for pair in 0..pairs {
        let contig = usize::from(choices.below(5) == 0);
        let bases = &contigs[contig];
        let start = choices.below(bases.len() as u64 - 700);
        let mate = start + choices.below(250);
        let is_duplicate = choices.below(20) == 0;
        let allele = choices.below(2);
        for (first, at, of_mate) in [(true, start, mate), (false, mate, start)] {
            let (cigar, parts): (&str, &[(u64, u64)]) = match choices.below(8) {
                0 => ("40M10D60M", &[(0, 40), (50, 60)]),
                1 => ("50M300N50M", &[(0, 50), (350, 50)]),
                2 => ("10S90M", &[(0, 90)]),
                _ => ("100M", &[(0, 100)]),
            };
            let mut sequence = if cigar.starts_with("10S") { vec![b'T'; 10] } else { Vec::new() };
            for (from, length) in parts {
                for position in at + from..at + from + length {
                    let base = bases[position as usize];
                    let is_variant = position % 997 == seed % 997 && allele == 1;
                    let swapped = b"CGTA"[b"ACGT".iter().position(|b| *b == base).unwrap()];
                    sequence.push(if is_variant { swapped } else { base });
                }
            }
            let quality: String =
                (0..100).map(|_| char::from(b'#' + choices.below(38) as u8)).collect();
            let mut flags = 1 | 2 | if first { 64 | 32 } else { 128 | 16 };
            flags |= if is_duplicate { 1024 } else { 0 };
            flags |= if choices.below(40) == 0 { 512 } else { 0 };
            let name = ["chr1", "chr2"][contig];
            let line = format!(
                "p{pair}\t{flags}\t{name}\t{}\t{}\t{cigar}\t=\t{}\t0\t{}\t{quality}\tRG:Z:{sample}\tNM:i:{}",
                at + 1,
                if choices.below(8) == 0 { choices.below(60) } else { 60 },
                of_mate + 1,
                String::from_utf8(sequence).unwrap(),
                choices.below(300),
            );
            records.push((contig, at, line));
        }
    }
    records.sort_by_key(|(contig, at, _)| (*contig, *at));
    let mut text = format!(
        "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:40000\n@SQ\tSN:chr2\tLN:12000\n@RG\tID:{sample}\tSM:{sample}\n"
    );
    for (_, _, line) in &records {
        text += line;
        text.push('\n');
    }
    for pair in 0..3 {
        for flags in [77, 141] {
            text += &format!("u{pair}\t{flags}\t*\t0\t0\t*\t*\t0\t0\tACGT\tIIII\tRG:Z:{sample}\n");
        }
    }
    text
}

/// Samples named `s0` and so on.
fn cohort(samples: u64, pairs: u64) -> Vec<(String, String)> {
    let of =
        |number: u64| (format!("s{number}.sam"), sam(&format!("s{number}"), pairs, number + 3));
    (0..samples).map(of).collect()
}

fn files(cohort: &[(String, String)]) -> Vec<(&str, &[u8])> {
    cohort.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect()
}

/// Small regions and windows, so that there are many seams.
fn small() -> WriteOptions {
    WriteOptions { region_size: 7_000, sub_window: 1_500, coverage_window: 400, ..options() }
}
