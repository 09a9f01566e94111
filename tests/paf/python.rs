//! A second reader, written in Python from the specification alone, reads what we write.

use genomic_objects::dataset::Dataset;
use genomic_objects::records::alignments::sam;
use genomic_objects::simulate::{Alignments, SimulateOptions};
use genomic_objects::store::StoreOptions;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use testkit::python;

use super::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/read_paf_chunk.py");

/// Runs the example over all chunks of a dataset at `folder`.
fn example(folder: &Path, paths: &[String], raw: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for path in paths {
        let mut args = vec![SCRIPT.into(), folder.as_os_str().to_owned(), path.into()];
        args.extend(raw.then(|| "--raw".into()));
        out.extend(python::run(args).unwrap());
    }
    out
}

/// Converts records, and compares the example's records and lines with ours.
fn check(name: &str, source: &mut dyn Source, effort: Effort) {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_string_lossy().into_owned();
    let store = Store::open(&location, &StoreOptions::default()).unwrap();
    let header = source.header().clone();
    convert(source, &store, &WriteOptions { effort, ..options() }).unwrap();
    let dataset = Dataset::open(&store, At::Newest).unwrap();
    let paths: Vec<String> =
        dataset.chunks().unwrap().iter().map(|chunk| chunk.path.clone()).collect();
    let records = query(&store, &Places::default()).unwrap();

    let (mut bytes, mut lines) = (Vec::new(), Vec::new());
    for record in records.iter() {
        bytes.extend_from_slice(&(record.bytes().len() as u32).to_le_bytes());
        bytes.extend_from_slice(record.bytes());
        sam::write_record(&mut lines, &record, header.contigs());
    }
    assert!(!bytes.is_empty(), "{name} has no record");
    assert!(example(folder.path(), &paths, true) == bytes, "{name}: other bytes");
    let text = example(folder.path(), &paths, false);
    let differing =
        text.split(|&b| b == b'\n').zip(lines.split(|&b| b == b'\n')).find(|(a, b)| a != b);
    assert!(
        text == lines,
        "{name}: other lines: {:?}",
        differing.map(|(a, b)| (String::from_utf8_lossy(a), String::from_utf8_lossy(b)))
    );
}

#[test]
fn test_python_reads_simulated_reads() {
    if !python::require(&["zstandard"]) {
        return;
    }
    for effort in [Effort::Fast, Effort::Default] {
        let options = SimulateOptions { reads: 5_000, ..SimulateOptions::default() };
        check("simulated reads", &mut Alignments::new(options).unwrap(), effort);
    }
    let options = SimulateOptions { reads: 100, ..SimulateOptions::default() };
    check("reads at level archive", &mut Alignments::new(options).unwrap(), Effort::Archive);
}

#[test]
fn test_python_reads_records_that_no_file_shows() {
    if !python::require(&["zstandard"]) {
        return;
    }
    let strategy = proptest::collection::vec(arbitrary::record_bytes(), 200..201);
    let mut runner = TestRunner::deterministic();
    let records = strategy.new_tree(&mut runner).unwrap().current();
    let mut source = arbitrary_source(&records);
    check("generated records", source.as_mut(), Effort::Default);
}

#[test]
fn test_python_reads_real_files() {
    let Some(data) = data() else { return };
    if !python::require(&["zstandard"]) {
        return;
    }
    let names = [
        "deep_coverage.bam",
        "HG001.grch38_3366contigs.unsorted.bam",
        "ont_6mA_basemods.bam",
        "aux_large.sam",
        "pathogen_8403contigs.queryname.bam",
        "cigar-64k.ont.bam",
    ];
    for name in names {
        let path = data.join("alignments").join(name);
        check(name, open_file(&path).unwrap().as_mut(), Effort::Default);
    }
}

#[test]
fn test_manifests_conform_to_the_published_schemas() {
    let Some(data) = data() else { return };
    if !python::require(&["jsonschema"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut add = |bytes: &[u8]| {
        let path = folder.path().join(format!("{}.json", files.len()));
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    };
    let good = good_files(&data);
    for path in &good {
        let store = Store::in_memory();
        convert(open_file(path).unwrap().as_mut(), &store, &options()).unwrap();
        add(&store.get("_metadata.json").unwrap());
    }
    let store = Store::in_memory();
    let simulated = SimulateOptions { reads: 1_000, ..SimulateOptions::default() };
    convert(&mut Alignments::new(simulated).unwrap(), &store, &options()).unwrap();
    let manifest = String::from_utf8(store.get("_metadata.json").unwrap().to_vec()).unwrap();
    let bad = [
        manifest.replace("\"format\": \"paf\"", "\"format\": \"vcs\""),
        manifest.replace("\"chunk_size\"", "\"chunk_sizes\""),
        manifest.replace("\"level\": \"default\"", "\"level\": \"best\""),
        manifest.replace("\"read_count\": ", "\"read_count\": -"),
        manifest.replace("\"unplaced_reads\":", "\"unplaced\":"),
    ];
    for bad in &bad {
        assert!(*bad != manifest, "nothing was replaced");
        add(bad.as_bytes());
    }
    let schemas = ["manifest.schema.json", "paf.manifest.schema.json"];
    let valid = python::conform(&schemas, &files).unwrap();
    assert_eq!(valid, [vec![true; good.len()], vec![false; bad.len()]].concat());
}
