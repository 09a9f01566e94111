//! PAF end to end: what goes in comes out, queries miss nothing and fetch little, damage shows.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod append;
mod bad_input;
mod bytes;
mod corruption;
mod python;
mod query;
mod roundtrip;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use genomic_objects::codec::Effort;
use genomic_objects::dataset::{At, Change, InputInfo, TransactionId};
use genomic_objects::error::Result;
use genomic_objects::paf::order::Ordering;
use genomic_objects::paf::read::{Places, Query, Reader};
use genomic_objects::paf::write::{Summary, WriteOptions, write};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::records::alignments::{
    Header, Limit, RecordBatch, Source, SourceOptions, Validation, open,
};
use genomic_objects::store::Store;
use testkit::{Choices, arbitrary, corpus, oracle};

/// The corpora and samtools, or `None` where a test has to be skipped.
fn data() -> Option<PathBuf> {
    corpus::require().filter(|_| oracle::require())
}

fn options() -> WriteOptions {
    WriteOptions {
        chunk_size: 1_000_000,
        effort: Effort::Default,
        sample: None,
        threads: 2,
        ordering: Ordering { sort: false, options: SortOptions::default() },
        change: Change::Create,
        verify: false,
        dry_run: false,
        created: "2026-01-01T00:00:00Z".into(),
        transaction: TransactionId::from_bytes([7; 16]),
        input: InputInfo { name: "test".into(), size_bytes: None, checksum: None, program: None },
    }
}

fn convert(source: &mut dyn Source, store: &Store, options: &WriteOptions) -> Result<Summary> {
    write(source, store, options, &Arc::new(Progress::default()))
}

fn source_of(
    name: &str,
    bytes: impl Read + Send + 'static,
    reference: Option<&Path>,
) -> Result<Box<dyn Source>> {
    let options = SourceOptions { reference: reference.map(Path::to_owned), ..Default::default() };
    open(name, Box::new(bytes), &options)
}

fn open_file(path: &Path) -> Result<Box<dyn Source>> {
    let folder = path.parent().unwrap();
    let data = folder.ancestors().find(|folder| folder.join("reference").is_dir());
    let reference = data.map(|data| data.join("reference")).map(|folder| {
        let is_ecoli = path.to_string_lossy().contains("ecoli");
        folder.join(if is_ecoli { "ecoli_K12.fa.gz" } else { "ce.fa" })
    });
    let is_cram = path.extension().is_some_and(|extension| extension == "cram");
    let file = std::fs::File::open(path).unwrap();
    source_of(&path.display().to_string(), file, reference.as_deref().filter(|_| is_cram))
}

fn collect(source: &mut dyn Source) -> Result<(Header, RecordBatch)> {
    let header = source.header().clone();
    let (mut all, mut batch) = (RecordBatch::new(), RecordBatch::new());
    while source.read(&mut batch, Limit::default())? {
        (0..batch.len()).for_each(|index| all.push(batch.bytes(index)).unwrap());
    }
    Ok((header, all))
}

/// All records of a dataset at some places, in its order.
fn query(store: &Store, places: &Places) -> Result<RecordBatch> {
    let reader = Reader::open(store, At::Newest, places)?;
    let mut all = RecordBatch::new();
    reader.query(&Query { threads: 2, ..Query::default() }, |batch| {
        (0..batch.len()).for_each(|index| all.push(batch.bytes(index)).unwrap());
        Ok(())
    })?;
    Ok(all)
}

fn regions(regions: &[&str]) -> Places {
    Places { regions: regions.iter().map(|&region| region.to_owned()).collect(), bed: None }
}

fn same(a: &RecordBatch, b: &RecordBatch) -> bool {
    a.len() == b.len() && (0..a.len()).all(|index| a.bytes(index) == b.bytes(index))
}

fn is_good(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".bam", ".sam", ".sam.gz", ".cram"].iter().any(|suffix| name.ends_with(suffix))
}

/// Every good alignment file of the corpora.
fn good_files(data: &Path) -> Vec<PathBuf> {
    let mut files = corpus::files_below(data.join("alignments"));
    // One has no byte at all: what the CRAM beside it should print.
    files.retain(|path| is_good(path) && std::fs::metadata(path).unwrap().len() > 0);
    assert!(files.len() > 100, "{} files", files.len());
    files
}

fn lenient(bytes: Vec<u8>) -> Result<Box<dyn Source>> {
    let options = SourceOptions { validation: Validation::Lenient, ..Default::default() };
    open("generated", Box::new(std::io::Cursor::new(bytes)), &options)
}

/// A BAM of such records, which [`arbitrary`] makes, over contigs as it has them.
fn arbitrary_source(records: &[Vec<u8>]) -> Box<dyn Source> {
    let mut text = String::from("@HD\tVN:1.6\n");
    for contig in 0..arbitrary::CONTIGS {
        text += &format!("@SQ\tSN:c{contig}\tLN:{}\n", arbitrary::CONTIG_LENGTH);
    }
    let header = Header::parse_sam_text(text.as_bytes(), Validation::Strict).unwrap();
    let mut bam = header.to_bam_bytes().unwrap();
    for record in records {
        bam.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bam.extend_from_slice(record);
    }
    let mut writer = noodles_bgzf::io::Writer::new(Vec::new());
    writer.write_all(&bam).unwrap();
    lenient(writer.finish().unwrap()).unwrap()
}
