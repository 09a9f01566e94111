//! pyarrow and Polars open the files without help.

use std::path::{Path, PathBuf};

use genomic_objects::store::StoreOptions;
use testkit::{corpus, oracle, python};

use super::*;

const SCRIPT: &str = r#"
import glob, json, sys
import pyarrow as pa, pyarrow.ipc, pyarrow.compute as pc
import polars as pl
region = glob.glob(sys.argv[1] + "/regions/chr1_0000000000-0000020000")[0]
path, = glob.glob(region + "/alignments.*.arrow")
table = pa.ipc.open_file(path).read_all()
assert table.schema.names[:7] == ["sample_id", "read_name", "position", "sequence", "quality", "mapping_quality", "flags"], table.schema.names
assert table.schema.field("mapping_quality").type == pa.uint8()
one = table.filter(pc.equal(table["sample_id"].cast(pa.string()), "s1"))
assert 0 < one.num_rows < table.num_rows
frame = pl.read_ipc(path)
assert frame.shape == (table.num_rows, table.num_columns)
assert frame.filter(pl.col("sample_id").cast(pl.String) == "s1").height == one.num_rows
coverage = pa.ipc.open_file(glob.glob(region + "/coverage.*.arrow")[0]).read_all()
for row in coverage.to_pylist():
    assert sum(row["run_lengths"]) == row["end"] - row["start"] + 1
    assert sum(l * d for l, d in zip(row["run_lengths"], row["run_depths"])) == row["sum"]
sites = pa.ipc.open_file(glob.glob(region + "/variants.*.arrow")[0]).read_all()
assert set(sites["sample_id"].to_pylist()) == {"s0", "s1", "s2"}
meta = json.load(open(glob.glob(region + "/_region_metadata.*.json")[0]))
assert (meta["contig"], meta["start"], meta["end"]) == ("chr1", 0, 20000)
print(table.num_rows, sorted(one["read_name"].to_pylist())[0])
"#;

#[test]
fn test_arrow_files_open_in_pyarrow_and_polars() {
    if !python::require(&["pyarrow", "polars"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cohort.ram");
    let store = Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    let cohort = cohort(3, 1_500);
    let options = WriteOptions { region_size: 20_000, ..options() };
    convert_with(&files(&cohort), Some(&fasta()), &store, &options).unwrap();
    python::run(["-c", SCRIPT, path.to_str().unwrap()]).unwrap();
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/read_ram_region.py");

/// Compares what a reader written in Python from the specification alone finds of a sample.
fn compare_with_example(dataset: &Path, bam: &Path, sample: &str, regions: &[&str]) {
    for region in regions {
        let args = [Path::new(EXAMPLE), dataset, Path::new(region), Path::new(sample)];
        let got = python::run(args).unwrap();
        let expected = oracle::run([Path::new("view"), bam, Path::new(region)]).unwrap();
        assert!(got == expected, "{region} of {sample}");
    }
}

#[test]
fn test_python_reads_regions_by_the_specification() {
    if !python::require(&["pyarrow"]) || !oracle::require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open_store = |name: &str| {
        let path = folder.path().join(name);
        (Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap(), path)
    };
    // Regions with seams and shared ones, two layers.
    let cohort = cohort(3, 300);
    for (name, options) in [("seams.ram", small()), ("shared.ram", options())] {
        let (store, path) = open_store(name);
        convert(&files(&cohort[..2]), &store, &options).unwrap();
        let transaction = TransactionId::from_bytes([9; 16]);
        let adding = WriteOptions { add: true, transaction, ..options };
        convert(&files(&cohort[2..]), &store, &adding).unwrap();
        for (number, (_, text)) in cohort.iter().enumerate() {
            let bam = folder.path().join("x.bam");
            let written = oracle::run_with_input(["view", "-b", "-"], text.as_bytes()).unwrap();
            std::fs::write(&bam, written).unwrap();
            oracle::run(["index", bam.to_str().unwrap()]).unwrap();
            let regions = ["chr1:6,900-7,100", "chr1:1-9000", "chr2:2999-3000", "chr2:11000-12000"];
            compare_with_example(&path, &bam, &format!("s{number}"), &regions);
        }
    }
    let Some(data) = corpus::require() else { return };
    let family = data.join("alignments/cohort_ceph1463");
    let paths = ["NA12878", "NA12889", "NA12890"]
        .map(|name| (name, family.join(format!("{name}_restricted.bam"))));
    let (store, path) = open_store("family.ram");
    let opener = |number: usize| {
        let file = std::fs::File::open(&paths[number].1).unwrap();
        Ok(Opened::File(open("x.bam", Box::new(file), &SourceOptions::default())?, None))
    };
    let inputs = paths.each_ref().map(|(name, _)| input(Some(name), name));
    write(&inputs, &opener, None, &store, &options(), &Arc::default()).unwrap();
    for (name, bam) in &paths {
        let regions = ["chrX:101000000-101000800", "chr4:115926000-115926600"];
        compare_with_example(&path, bam, name, &regions);
    }
}

/// All files of a name below a folder.
fn files_below(folder: &Path, is_one: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, is_one));
        } else if is_one(path.file_name().unwrap().to_str().unwrap()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn test_manifests_and_regions_are_as_their_schemas_say() {
    if !python::require(&["jsonschema"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open_store = |name: &str| {
        let path = folder.path().join(name);
        Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
    };
    // Regions of one contig and shared ones, several versions, parts of the genome.
    let cohort = cohort(3, 200);
    for (name, options) in [("small.ram", small()), ("large.ram", options())] {
        let store = open_store(name);
        convert_with(&files(&cohort[..2]), Some(&fasta()), &store, &options).unwrap();
        let transaction = TransactionId::from_bytes([9; 16]);
        let adding = WriteOptions { add: true, transaction, ..options };
        convert(&files(&cohort[2..]), &store, &adding).unwrap();
    }
    let bed = "chr1\t6900\t7200\n".to_owned();
    let parts = WriteOptions { parts: Some(("x.bed".into(), bed)), ..small() };
    convert(&files(&cohort), &open_store("parts.ram"), &parts).unwrap();
    if let Some(data) = corpus::require() {
        for name in ["HG001.grch38_3366contigs.unsorted.bam", "ebola_G5012.3.unaligned.bam"] {
            let bytes = std::fs::read(data.join("alignments").join(name)).unwrap();
            let opener = |_: usize| {
                let reader = Box::new(Cursor::new(bytes.clone()));
                Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
            };
            let (inputs, store) = ([input(Some("it"), name)], open_store(name));
            write(&inputs, &opener, None, &store, &options(), &Arc::default()).unwrap();
        }
    }
    let schemas = ["manifest.schema.json", "ram.manifest.schema.json"];
    let manifests =
        files_below(folder.path(), &|name| name == "_metadata.json" || name.starts_with("v0"));
    let regions = files_below(folder.path(), &|name| name.starts_with("_region_metadata"));
    assert!(manifests.len() >= 8 && regions.len() > 20);
    assert!(python::conform(&schemas, &manifests).unwrap().into_iter().all(|valid| valid));
    let valid = python::conform(&["ram.region.schema.json"], &regions).unwrap();
    assert!(valid.into_iter().all(|valid| valid));
    // What is no region's description does not conform.
    assert_eq!(python::conform(&["ram.region.schema.json"], &manifests[..1]).unwrap(), [false]);
}
