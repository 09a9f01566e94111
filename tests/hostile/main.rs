//! Datasets made to do harm: they are refused with a clear error, in bounded memory and time, and
//! nothing outside of them is read or changed.

// What helpers of tests do, outside the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bombs;
mod lies;
mod links;
mod names;
mod paths;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use genomic_objects::codec::Effort;
use genomic_objects::dataset::{
    At, Change, Checksum, Dataset, InputInfo, TransactionId, manifest_path,
};
use genomic_objects::error::{ErrorKind, Result};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::records::alignments::{Source, SourceOptions, open};
use genomic_objects::records::reads::{self, Framer};
use genomic_objects::store::{Input, Store, StoreOptions};
use genomic_objects::{paf, ram, srf, vcs};
use serde_json::{Map, Value};
use tempfile::TempDir;

const SAM: &str = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000000\n@SQ\tSN:chr2\tLN:9000\n\
    @RG\tID:a\tSM:x\n\
    r1\t99\tchr1\t100\t60\t4M1I3M2S\t=\t200\t110\tACGTNACGTA\tIIIIIIIIII\tRG:Z:a\tNM:i:2\n\
    r1\t147\tchr1\t200\t60\t10M\t=\t100\t-110\tACGTNACGTA\tIIII#IIIII\tRG:Z:a\n\
    r3\t16\tchr2\t7\t255\t5H3M100N2M\t*\t0\t0\tACGTA\t*\tXA:A:x\n";
const FASTQ: &str = "@r1 x\nACGTN\n+\nII#5I\n@r2 x\nA\n+\n!\n@r3 x\nACGTACGT\n+\nIIIIIIII\n";
const VCF: &str = "##fileformat=VCFv4.3\n##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\n\
    chr1\t5\trs1\tA\tC\t5\tPASS\tDP=4\tGT\t0/1\nchr2\t6\t.\tA\tC\t.\tq\tX=y\tGT\t1|1\n";

/// A format, as these tests use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Paf,
    Srf,
    Vcs,
    Ram,
}

const FORMATS: [Format; 4] = [Format::Paf, Format::Srf, Format::Vcs, Format::Ram];

fn created() -> String {
    "2026-01-01T00:00:00Z".into()
}

fn info() -> InputInfo {
    InputInfo { name: "x".into(), size_bytes: None, checksum: None, program: None }
}

fn input(bytes: &[u8]) -> Input {
    Input {
        name: "x".into(),
        size: None,
        version: None,
        reader: Box::new(Cursor::new(bytes.to_vec())),
    }
}

fn source(text: &str) -> Box<dyn Source> {
    let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
    open("x", reader, &SourceOptions::default()).unwrap()
}

/// Makes a dataset of the text of an input.
fn write(format: Format, text: &str, store: &Store) -> Result<()> {
    let transaction = TransactionId::from_bytes([7; 16]);
    let progress = Arc::new(Progress::default());
    match format {
        Format::Paf => {
            let options = paf::write::WriteOptions {
                chunk_size: 1_000_000,
                effort: Effort::Default,
                sample: None,
                threads: 1,
                ordering: paf::order::Ordering { sort: false, options: SortOptions::default() },
                change: Change::Create,
                verify: false,
                dry_run: false,
                created: created(),
                transaction,
                input: info(),
            };
            paf::write::write(source(text).as_mut(), store, &options, &progress).map(|_| ())
        }
        Format::Srf => {
            let options = srf::write::WriteOptions::new(created(), transaction, vec![info()]);
            let framers = || {
                let (name, text) = reads::open(input(text.as_bytes()), 1)?;
                Ok(vec![Framer::new(text, &name)?])
            };
            srf::write::write(framers, store, &options, &progress).map(|_| ())
        }
        Format::Vcs => {
            let both = [transaction, TransactionId::from_bytes([8; 16])];
            let options = vcs::write::WriteOptions::new(created(), both, info());
            let mut lines = || vcs::text::open(input(text.as_bytes()));
            vcs::write::write(&mut lines, store, &options, &progress).map(|_| ())
        }
        Format::Ram => {
            let options = ram::write::WriteOptions::new(created(), transaction);
            let inputs = [ram::write::SampleInput { name: Some("s".into()), info: info() }];
            let files = |_| Ok(ram::ingest::Opened::File(source(text), None));
            ram::write::write(&inputs, &files, None, store, &options, &progress).map(|_| ())
        }
    }
}

/// A dataset on disk.
struct Made {
    format: Format,
    folder: TempDir,
}

impl Made {
    fn new(format: Format) -> Self {
        let text = match format {
            Format::Paf | Format::Ram => SAM,
            Format::Srf => FASTQ,
            Format::Vcs => VCF,
        };
        let made = Self { format, folder: tempfile::tempdir().unwrap() };
        write(format, text, &made.store()).unwrap();
        made
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    fn store(&self) -> Store {
        Store::open(self.path().to_str().unwrap(), &StoreOptions::default()).unwrap()
    }

    fn manifest(&self) -> Map<String, Value> {
        let text = std::fs::read(self.path().join("_metadata.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Puts another manifest in place, under a digest that is right.
    fn put_manifest(&self, members: &Map<String, Value>) {
        self.put_sealed(&seal(members));
    }

    fn put_sealed(&self, bytes: &[u8]) {
        for place in ["_metadata.json", &manifest_path(1)] {
            std::fs::write(self.path().join(place), bytes).unwrap();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut members = self.manifest();
        change(&mut members);
        self.put_manifest(&members);
    }

    /// Replaces an object of the manifest, with its size and checksum.
    fn replace(&self, kind: &str, bytes: &[u8]) {
        self.change(|members| {
            let objects = members["objects"].as_array_mut().unwrap();
            let object = objects.iter_mut().find(|object| object["kind"] == kind).unwrap();
            object["size_bytes"] = bytes.len().into();
            object["checksum"] = Checksum::of(bytes).to_string().into();
            let path = object["path"].as_str().unwrap();
            std::fs::write(self.path().join(path), bytes).unwrap();
        });
    }

    /// Changes the first chunk whose name ends so, and gives it the size and checksum that it has
    /// then.
    fn change_chunk(&self, end: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.change(|members| {
            let chunks = members["chunks"].as_array_mut().unwrap();
            let is_one = |chunk: &&mut Value| chunk["path"].as_str().unwrap().ends_with(end);
            let chunk = chunks.iter_mut().find(is_one).unwrap();
            let path = self.path().join(chunk["path"].as_str().unwrap());
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            chunk["size_bytes"] = bytes.len().into();
            chunk["checksum"] = Checksum::of(&bytes).to_string().into();
            std::fs::write(path, bytes).unwrap();
        });
    }

    /// Asks everything there is to ask; the first error.
    fn ask(&self) -> Result<()> {
        ask(self.format, &self.store())
    }
}

/// A manifest under the digest that `spec/dataset.md` prescribes.
fn seal(members: &Map<String, Value>) -> Vec<u8> {
    let mut text = String::from("{\n");
    for (name, value) in members.iter().filter(|(name, _)| *name != "digest") {
        text.push_str(&format!("  {}: {value},\n", Value::from(name.as_str())));
    }
    seal_text(text)
}

fn seal_text(mut text: String) -> Vec<u8> {
    text.push_str("  \"digest\": \"sha256:");
    let at = text.len();
    text.push_str(&"0".repeat(64));
    text.push_str("\"\n}\n");
    let digest = Checksum::of(text.as_bytes()).to_string();
    text.replace_range(at..at + 64, digest.strip_prefix("sha256:").unwrap());
    text.into_bytes()
}

/// Reads a dataset whole, and verifies it; the first error.
fn ask(format: Format, store: &Store) -> Result<()> {
    read(format, store)?;
    verify(format, store)
}

fn verify(format: Format, store: &Store) -> Result<()> {
    let dataset = Dataset::open(store, At::Newest)?;
    dataset.files()?;
    let report = match format {
        Format::Paf => paf::verify::verify(&dataset, 1, None)?,
        Format::Srf => srf::verify::verify(&dataset, 1, None)?,
        Format::Vcs => vcs::verify::verify(&dataset, 1, None)?,
        Format::Ram => ram::verify::verify(&dataset, 1, None)?,
    };
    match report.problems.into_iter().next() {
        Some(problem) => Err(problem.error),
        None => Ok(()),
    }
}

fn read(format: Format, store: &Store) -> Result<()> {
    match format {
        Format::Paf => {
            use paf::read::{Places, Query, Reader};
            let reader = Reader::open(store, At::Newest, &Places::default())?;
            reader.query(&Query { threads: 1, ..Query::default() }, |_| Ok(()))?;
        }
        Format::Srf => {
            use srf::read::{Filter, Reader, Selection};
            let reader = Reader::open(store, At::Newest, Selection::All, Filter::default())?;
            reader.export(1, false, false, |_, _| Ok(()))?;
        }
        Format::Vcs => {
            let reader = vcs::read::Reader::open(store, At::Newest, &Default::default())?;
            let needs = vcs::needs::Needs::all(reader.schema());
            reader.scan(
                &needs,
                &|_| true,
                1,
                None,
                |loaded| {
                    let mut text = Vec::new();
                    loaded.rows.iter().try_for_each(|&row| loaded.push_line(row, &mut text))
                },
                |()| Ok(()),
            )?;
        }
        Format::Ram => {
            use ram::query::{Format, Writer};
            use ram::read::{Content, Reader, Request};
            let request = Request { regions: Vec::new(), bed: None, samples: Vec::new() };
            let reader = Reader::open(store, At::Newest, Content::Alignments, &request)?;
            Writer::new(&reader, Format::Sam).write(1, None, |_| Ok(()))?;
        }
    }
    Ok(())
}

/// Set in a process that runs one test.
const ALONE: &str = "GENOMIC_OBJECTS_TEST_ALONE";

/// Whether this process runs the test of this name alone, with no more than so many bytes of
/// addresses: to ask for more ends it. If not, such a process is run, and must succeed: other tests,
/// which `cargo test` runs in one process, are not to share the bound.
fn is_alone(test: &str, bytes: u64) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let has_limits = Command::new("prlimit").arg("--version").output().is_ok();
    let mut command = match has_limits {
        true => Command::new("prlimit"),
        false => Command::new(&program),
    };
    if has_limits {
        command.arg(format!("--as={bytes}")).arg(&program);
    } else {
        println!("memory is not limited: there is no prlimit");
    }
    let output = command.args([test, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let [said, wrong] = [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap());
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {wrong}");
    false
}

/// What a hostile dataset may be answered with.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::NotFound)
}

/// The files below a folder, with their bytes.
fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
