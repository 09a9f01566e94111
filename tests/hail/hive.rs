//! Partitioned Parquet: layout, rows, order, resumption, what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use genomic_objects::error::ErrorKind;
use genomic_objects::hive::{
    CheckOptions, ExportOptions, Flatten, HailOptions, HailSource, Manifest, PageCompression,
    Summary, Target, check, export, preflight,
};
use genomic_objects::pipeline::Progress;
use genomic_objects::simulate::vrs::VrsTable;
use testkit::python;

use super::*;

pub(crate) fn target(path: &Path) -> Target {
    Target::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

pub(crate) fn source(table: &Path, options: &HailOptions) -> Result<HailSource> {
    HailSource::new(open(table)?, &HailOptions { threads: 2, ..options.clone() })
}

/// A file for each partition, as tests of small tables want it.
fn each() -> HailOptions {
    HailOptions { min_file_bytes: 0, ..HailOptions::default() }
}

pub(crate) fn two_threads() -> ExportOptions {
    ExportOptions { threads: 2, ..ExportOptions::default() }
}

pub(crate) fn write(source: &HailSource, out: &Path, options: &ExportOptions) -> Result<Summary> {
    export(source, &target(out), options, &Arc::new(Progress::default()))
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, into);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                into.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn manifest(out: &Path) -> Manifest {
    serde_json::from_slice(&target(out).manifest().unwrap().expect("a manifest")).unwrap()
}

/// Prints the rows of exports as JSON lines, in their order, with an empty line after each export.
const ROWS: &str = r#"
import json, math, sys
def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return 'nan' if math.isnan(value) else ('inf' if value > 0 else '-inf')
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
def rows(engine, path):
    if engine == 'duckdb':
        import duckdb
        found = duckdb.connect().execute('SELECT * FROM read_parquet(?, hive_partitioning=false)', [path])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row)) for row in found.fetchall()]
    if engine == 'polars':
        import polars as pl
        return pl.read_parquet(path, hive_partitioning=False).to_dicts()
    import pyarrow.parquet as pq
    return pq.read_table(path, partitioning=None).to_pylist()
for root in sys.argv[2:]:
    for file in json.load(open(root + '._manifest'))['files']:
        found = rows(sys.argv[1], root + '/' + file['path'])
        assert len(found) == file['rows']
        for row in found:
            print(json.dumps(plain(row), ensure_ascii=False))
    print()
"#;

/// The rows of exports, as an engine reads them.
pub(crate) fn rows_by(engine: &str, outs: &[&Path]) -> Vec<Vec<Value>> {
    let arguments =
        ["-c", ROWS, engine].into_iter().chain(outs.iter().map(|out| out.to_str().unwrap()));
    let text = String::from_utf8(python::run(arguments).unwrap()).unwrap();
    let mut exports = vec![Vec::new()];
    for line in text.lines() {
        match line {
            "" => exports.push(Vec::new()),
            line => exports.last_mut().unwrap().push(serde_json::from_str(line).unwrap()),
        }
    }
    exports.truncate(outs.len());
    exports
}

fn rows_by_pyarrow(out: &Path) -> Vec<Value> {
    rows_by("pyarrow", &[out]).remove(0)
}

/// An expected row, with its locus and its info flat.
pub(crate) fn flat(row: &Value) -> Value {
    let mut row = row.as_object().unwrap().clone();
    let locus = row.remove("locus").unwrap();
    row.insert("contig".into(), locus["contig"].clone());
    row.insert("position".into(), locus["position"].clone());
    if let Some(info) = row.remove("info") {
        let names = [
            "VRS_Allele_IDs",
            "VRS_Error",
            "VRS_Starts",
            "VRS_Ends",
            "VRS_States",
            "VRS_Lengths",
            "VRS_RepeatSubunitLengths",
        ];
        for name in names {
            row.insert(name.into(), info.get(name).cloned().unwrap_or(Value::Null));
        }
    }
    Value::Object(row)
}

#[test]
fn test_every_row_comes_out_flat_and_in_order() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["pyarrow"]) {
        return;
    }
    let tables =
        ["vrs", "sites", "grch37", "custom_ref", "empty_parts", "keyed_by_locus", "codec_tiny"];
    for version in ["v1.7", "v1.8"] {
        for name in tables {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            let from = source(&data.join(version).join(format!("{name}.ht")), &each());
            let written = write(&from.unwrap(), &out, &two_threads()).unwrap();
            let expected_name = match name {
                "empty_parts" | "codec_tiny" => "codec",
                name => name,
            };
            let wanted = expected(&data.join(format!("expected/{expected_name}.jsonl")));
            assert_eq!(written.rows, wanted.len() as u64);
            let found = rows_by_pyarrow(&out);
            assert_eq!(found.len(), wanted.len(), "{name}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!(same(found, &flat(wanted)), "{version}/{name}\n{found}\n{}", flat(wanted));
            }
        }
    }
}

#[test]
fn test_vrs_columns_are_those_of_the_plan() {
    let Some(data) = fixtures() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("parquet_out");
    let from = source(&data.join("v1.7/vrs.ht"), &each()).unwrap();
    write(&from, &out, &two_threads()).unwrap();
    let manifest = manifest(&out);
    let columns: Vec<(String, String)> = manifest
        .columns
        .iter()
        .map(|column| {
            let of = column.data_type.replace("non-null ", "");
            (column.name.clone(), of.replace(", field: 'element'", ""))
        })
        .collect();
    let expected = [
        ("contig", "Utf8"),
        ("position", "Int32"),
        ("alleles", "List(Utf8)"),
        ("VRS_Allele_IDs", "List(Utf8)"),
        ("VRS_Error", "List(Utf8)"),
        ("VRS_Starts", "List(Int32)"),
        ("VRS_Ends", "List(Int32)"),
        ("VRS_Lengths", "List(Int32)"),
        ("VRS_RepeatSubunitLengths", "List(Int32)"),
        ("VRS_States", "List(Utf8)"),
    ];
    let expected = expected.map(|(name, of)| (name.to_owned(), of.to_owned()));
    assert_eq!(columns, expected);
    // Partition 2 has rows of two contigs, 4 of two others.
    let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), 12);
    assert_eq!(paths[2], "contig=chr1/part-00002-000.parquet");
    assert_eq!(paths[3], "contig=chr2/part-00002-000.parquet");
    for (path, bytes) in files(&out) {
        let entry = manifest.files.iter().find(|file| file.path == path).unwrap();
        assert_eq!(entry.bytes, bytes.len() as u64);
    }
}

#[test]
fn test_bytes_depend_on_neither_threads_nor_memory() {
    let Some(data) = fixtures() else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = source(&data.join("v1.8/sites.ht"), &each()).unwrap();
    let mut all = Vec::new();
    for (number, (threads, memory)) in [(1, 1 << 30), (2, 1), (5, 1 << 20)].into_iter().enumerate()
    {
        let out = folder.path().join(format!("out{number}"));
        let options =
            ExportOptions { threads, memory, row_group_rows: 20, ..ExportOptions::default() };
        write(&from, &out, &options).unwrap();
        all.push((files(&out), target(&out).manifest().unwrap()));
    }
    assert!(all[0] == all[1] && all[1] == all[2]);
}

/// A table of 40 partitions of 500 rows over all contigs.
fn generated(folder: &Path) -> PathBuf {
    let path = folder.join("made.ht");
    let table = VrsTable { partitions: 40, rows: 500, seed: 3, newest: true };
    table.write(&store(&path), 2).unwrap();
    path
}

#[test]
fn test_an_interrupted_export_goes_on_and_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let table = generated(folder.path());
    let good = folder.path().join("good");
    let options = ExportOptions { row_group_rows: 100, target_file_bytes: 20_000, ..two_threads() };
    write(&source(&table, &each()).unwrap(), &good, &options).unwrap();
    for partition in [0, 7, 23, 39] {
        // What stops it here is a damaged part; what a kill would leave is no more than that.
        let part = table.join(format!("rows/parts/part-{partition:05}"));
        let whole = std::fs::read(&part).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 40].fill(0);
        std::fs::write(&part, damaged).unwrap();
        let out = folder.path().join(format!("out{partition}"));
        // A partition that spans contigs is damaged already when it is planned.
        let outcome = source(&table, &each()).and_then(|from| write(&from, &out, &options));
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(&format!("part-{partition:05}")), "{error}");
        assert!(target(&out).manifest().unwrap().is_none());
        for (name, bytes) in files(&out) {
            assert_eq!(Some(&bytes), files(&good).get(&name), "{name} is whole or not there");
        }
        std::fs::write(&part, whole).unwrap();
        // What a write that was cut short leaves on disk goes, too.
        let staged = out.join("contig=chr1/part-00000-000.parquet#7");
        std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
        std::fs::write(&staged, "half a file").unwrap();
        let from = source(&table, &each()).unwrap();
        if target(&out).files().size("contig=chr1/part-00000-000.parquet").unwrap().is_some() {
            let error = write(&from, &out, &options).unwrap_err();
            assert!(error.to_string().contains("--resume"), "{error}");
        }
        let resume = ExportOptions { resume: true, threads: 1, ..options.clone() };
        write(&from, &out, &resume).unwrap();
        assert_eq!(files(&out), files(&good));
        assert_eq!(target(&out).manifest().unwrap(), target(&good).manifest().unwrap());
        assert!(!folder.path().join(format!("out{partition}._resume")).exists());
        // Once more is no work, and another export is refused.
        assert_eq!(write(&from, &out, &resume).unwrap().rows, 20_000);
        let other = ExportOptions { compression: PageCompression::Snappy, ..resume };
        assert_eq!(write(&from, &out, &other).unwrap_err().kind(), ErrorKind::Exists);
    }
}

#[test]
fn test_small_partitions_share_files_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let table = generated(folder.path());
    let positions = |out: &Path| -> Vec<(String, i64, i64)> {
        let files = manifest(out).files;
        files.into_iter().map(|file| (file.path, file.first, file.last)).collect()
    };
    let mut before = u64::MAX;
    for bytes in [0, 60_000, 6 << 20] {
        let options = HailOptions { min_file_bytes: bytes, ..HailOptions::default() };
        let from = source(&table, &options).unwrap();
        let mut outs = Vec::new();
        for threads in [1, 3] {
            let out = folder.path().join(format!("out_{bytes}_{threads}"));
            let options = ExportOptions { threads, ..ExportOptions::default() };
            let written = write(&from, &out, &options).unwrap();
            assert_eq!((written.rows, written.contigs), (20_000, 24));
            outs.push((files(&out), positions(&out), written.files));
        }
        assert!(outs[0] == outs[1], "bytes depend on threads");
        let (_, _, count) = outs[0];
        assert!(count < before, "{count} files of at least {bytes}, {before} of less");
        before = count;
        let out = folder.path().join(format!("out_{bytes}_1"));
        let found = check(&target(&out), CheckOptions::default()).unwrap();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        // What was begun with one size is not gone on with by another.
        let other = HailOptions { min_file_bytes: bytes + 1, ..HailOptions::default() };
        let resume = ExportOptions { resume: true, ..two_threads() };
        let error = write(&source(&table, &other).unwrap(), &out, &resume).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        assert!(error.to_string().contains("min_file_bytes"), "{error}");
    }
    assert_eq!(before, 24, "a file for each contig");
    // It is no more than a default: so many files for each contig are those that were asked for.
    let two = HailOptions { coalesce_per_contig: Some(2), ..HailOptions::default() };
    let out = folder.path().join("two");
    let written = write(&source(&table, &two).unwrap(), &out, &two_threads()).unwrap();
    assert!(written.files > 24, "{}", written.files);
}

#[test]
fn test_another_export_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let table = generated(folder.path());
    let part = table.join("rows/parts/part-00020");
    let whole = std::fs::read(&part).unwrap();
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let out = folder.path().join("out");
    let chosen =
        HailOptions { contigs: Some(vec!["chr1".into(), "chr9".into()]), ..HailOptions::default() };
    let from = source(&table, &chosen).unwrap();
    let outcome = write(&from, &out, &two_threads());
    std::fs::write(&part, &whole).unwrap();
    if outcome.is_err() {
        let resume = ExportOptions { resume: true, row_group_rows: 9, ..two_threads() };
        let error = write(&from, &out, &resume).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        assert!(error.to_string().contains("row_group_rows"), "{error}");
    }
}

#[test]
fn test_coalescing_splitting_contigs_and_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let table = generated(folder.path());
    let all = expected_positions(&table);
    // Fewer files.
    let out = folder.path().join("few");
    let few = HailOptions { coalesce_per_contig: Some(2), ..HailOptions::default() };
    let written = write(&source(&table, &few).unwrap(), &out, &two_threads()).unwrap();
    assert_eq!((written.rows, written.contigs), (20_000, 24));
    assert!(written.files <= 48, "{}", written.files);
    assert!(check(&target(&out), CheckOptions::default()).unwrap().problems.is_empty());
    // More files than partitions.
    let out = folder.path().join("many");
    let small = ExportOptions { target_file_bytes: 10_000, row_group_rows: 50, ..two_threads() };
    let written = write(&source(&table, &few).unwrap(), &out, &small).unwrap();
    assert!(written.files > 100, "{}", written.files);
    let found =
        check(&target(&out), CheckOptions { threads: 2, ..CheckOptions::default() }).unwrap();
    assert!(found.problems.is_empty() && found.has_manifest, "{:?}", found.problems);
    assert!(found.details.iter().all(|file| file.bytes < 20_000));
    assert_eq!(found.rows, 20_000);
    // Some contigs; a contig that is not there.
    let out = folder.path().join("chosen");
    let chosen =
        HailOptions { contigs: Some(vec!["chr7".into(), "chrY".into()]), ..HailOptions::default() };
    let written = write(&source(&table, &chosen).unwrap(), &out, &two_threads()).unwrap();
    let wanted = all.iter().filter(|(contig, _)| contig == "chr7" || contig == "chrY").count();
    assert_eq!((written.rows, written.contigs), (wanted as u64, 2));
    let none = HailOptions { contigs: Some(vec!["chr99".into()]), ..HailOptions::default() };
    let error = source(&table, &none).map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("chr7"), "{error}");
    // Intervals, two of which overlap.
    let out = folder.path().join("intervals");
    let intervals = vec![
        ("chr2".to_owned(), 5_000_000, 90_000_000),
        ("chr2".to_owned(), 80_000_000, 100_000_000),
        ("chr20".to_owned(), 1, 30_000_000),
    ];
    let inside = |(contig, position): &&(String, i64)| {
        intervals.iter().any(|(name, a, b)| name == contig && (a..=b).contains(&position))
    };
    let wanted = all.iter().filter(inside).count() as u64;
    let some = HailOptions { intervals: intervals.clone(), ..HailOptions::default() };
    let written = write(&source(&table, &some).unwrap(), &out, &two_threads()).unwrap();
    assert!(written.rows == wanted && wanted > 0, "{} of {wanted}", written.rows);
}

fn expected_positions(table: &Path) -> Vec<(String, i64)> {
    let rows = rows(&open(table).unwrap(), BatchLimits::default()).unwrap();
    let locus = |row: &Value| {
        let locus = &row["locus"];
        (locus["contig"].as_str().unwrap().to_owned(), locus["position"].as_i64().unwrap())
    };
    rows.iter().map(locus).collect()
}

#[test]
fn test_preflight_tells_what_will_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let table = generated(folder.path());
    let gathered = HailOptions { min_file_bytes: 100_000, ..HailOptions::default() };
    for (name, options, most) in [("each", each(), 63), ("some", gathered, 50)] {
        let from = source(&table, &options).unwrap();
        let out = folder.path().join(name);
        let plan = preflight(&from, &target(&out), &two_threads()).unwrap();
        assert!(!out.exists());
        let written = write(&from, &out, &two_threads()).unwrap();
        assert!(written.files <= most, "{name}: {}", written.files);
        assert_eq!(plan.contigs.iter().map(|of| of.rows).sum::<u64>(), written.rows);
        assert_eq!(plan.contigs.iter().map(|of| of.estimated_files).sum::<u64>(), written.files);
        // Partitions are those of the table, however many share a file.
        assert_eq!(plan.contigs.iter().map(|of| of.partitions).sum::<u64>(), 63);
        let estimated: u64 = plan.contigs.iter().map(|of| of.estimated_bytes).sum();
        assert!(written.bytes / 2 < estimated && estimated < written.bytes * 2, "{estimated}");
        let present = files(&out);
        assert!(plan.first_files.iter().all(|file| present.contains_key(file)));
    }
}

#[test]
fn test_structs_can_be_kept() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["pyarrow"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let options = HailOptions { flatten: Flatten::Keep, ..HailOptions::default() };
    let from = source(&data.join("v1.7/sites.ht"), &options).unwrap();
    write(&from, &out, &two_threads()).unwrap();
    let wanted = expected(&data.join("expected/sites.jsonl"));
    for (found, wanted) in rows_by_pyarrow(&out).iter().zip(&wanted) {
        assert!(same(&found["info"], &wanted["info"]), "{found}");
    }
}

#[test]
fn test_tables_without_a_locus_are_refused_before_anything_is_written() {
    let Some(data) = fixtures() else { return };
    for (name, said) in [
        ("keyed_by_str", "variant_id: str"),
        ("unkeyed", "no key"),
        ("keyed_by_contig_position", "contig: str, position: int32"),
        ("types", "idx: int32"),
        ("missing_locus", "row 21"),
    ] {
        for version in ["v1.7", "v1.8"] {
            let path = data.join(version).join(format!("{name}.ht"));
            let error = source(&path, &HailOptions::default()).map(drop).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }
}

#[test]
fn test_rows_out_of_order_are_refused_or_sorted() {
    let Some(data) = fixtures() else { return };
    let copy = copy_of(&data.join("v1.7/codec_stream.ht"));
    // Two parts of one contig change places, and with them their order.
    edit_metadata(&copy.path().join("rows/metadata.json.gz"), |json| {
        json["_partFiles"].as_array_mut().unwrap().swap(0, 1);
        for bounds in json["_jRangeBounds"].as_array_mut().unwrap() {
            *bounds = serde_json::json!({"start": {}, "end": {}});
        }
    });
    edit_metadata(&copy.path().join("metadata.json.gz"), |json| {
        json["components"]["partition_counts"]["counts"].as_array_mut().unwrap().swap(0, 1);
    });
    let out = copy.path().join("out");
    let outcome = source(copy.path(), &each()).and_then(|from| write(&from, &out, &two_threads()));
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("descend") || error.contains("comes back"), "{error}");
    assert!(target(&out).manifest().unwrap().is_none());
}

#[test]
fn test_contigs_of_digits_are_texts_to_engines() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    const TYPES: &str = r#"
import sys, duckdb, polars as pl, pyarrow.dataset as ds
root = sys.argv[1]
rows = duckdb.sql(f"SELECT contig, typeof(contig), count(*) FROM parquet_scan('{root}/**/*.parquet', hive_partitioning=1) GROUP BY ALL ORDER BY ALL").fetchall()
print(rows)
frame = pl.scan_parquet(root, hive_partitioning=True)
print(frame.collect_schema()['contig'], sorted(frame.collect()['contig'].unique().to_list()))
table = ds.dataset(root, format='parquet', partitioning='hive').to_table()
print(table.schema.field('contig').type, sorted(set(table['contig'].to_pylist())))
"#;
    for contigs in [vec!["1", "2", "10"], vec!["1", "X"], vec!["2"]] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let names: Vec<String> = contigs.iter().map(|&name| name.to_owned()).collect();
        let options = HailOptions { contigs: Some(names), ..HailOptions::default() };
        let from = source(&data.join("v1.7/grch37.ht"), &options).unwrap();
        write(&from, &out, &two_threads()).unwrap();
        let printed = python::run(["-c", TYPES, out.to_str().unwrap()]).unwrap();
        let mut sorted = contigs.clone();
        sorted.sort_unstable();
        let list = |items: Vec<String>| items.join(", ");
        let duckdb = list(sorted.iter().map(|name| format!("('{name}', 'VARCHAR', 12)")).collect());
        let names = list(sorted.iter().map(|name| format!("'{name}'")).collect());
        let wanted = format!("[{duckdb}]\nString [{names}]\nstring [{names}]\n");
        assert_eq!(String::from_utf8(printed).unwrap(), wanted);
    }
}

#[test]
fn test_empty_tables_give_their_columns() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["duckdb"]) {
        return;
    }
    for name in ["empty", "empty_0"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let from = source(&data.join(format!("v1.8/{name}.ht")), &HailOptions::default()).unwrap();
        assert_eq!(write(&from, &out, &two_threads()).unwrap().rows, 0);
        assert!(target(&out).manifest().unwrap().is_some());
        let script = "import sys, duckdb; print(duckdb.sql(f\"SELECT count(*), count(VRS_States) FROM parquet_scan('{sys.argv[1]}/**/*.parquet')\").fetchall())";
        let printed = python::run(["-c", script, out.to_str().unwrap()]).unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), "[(0, 0)]\n");
    }
}
