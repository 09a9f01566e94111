//! Other engines open chunks without a plugin.
//!
//! pyarrow and Polars come from PyPI; a test is skipped where they are missing.

use std::process::Command;

use testkit::corpus;

use super::*;

const PROGRAM: &str = r#"
import sys, pathlib, pyarrow as pa, polars as pl
root = pathlib.Path(sys.argv[1])
rows, bases, quality = 0, 0, 0
for chunk in sorted(root.glob('chunks/*.srf')):
    with pa.memory_map(str(chunk)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.schema.names[:3] == ['read_id', 'sequence', 'quality'], table.schema
    frame = pl.read_ipc(chunk)
    assert frame.height == table.num_rows
    assert frame['read_id'].to_list() == table['read_id'].to_pylist()
    assert frame['sequence'].to_list() == table['sequence'].to_pylist()
    assert frame['avg_quality'].to_list() == table['avg_quality'].to_pylist()
    for sequence, phred, length, average in zip(*(table[name].to_pylist() for name in ('sequence', 'quality', 'length', 'avg_quality'))):
        assert len(sequence) == len(phred) == length
        assert abs(sum(phred) / length - average) <= 1 / 128
        bases += length
        quality += sum(phred)
    rows += table.num_rows
view = pl.concat(pl.read_ipc(chunk) for chunk in sorted(root.glob('by_quality/*.srf')))
assert sorted(view['row'].to_list()) == list(range(rows))
assert view['avg_quality'].is_sorted()
first = pl.concat(pl.read_ipc(chunk) for chunk in sorted(root.glob('chunks/*.srf')))
assert view.sort('row')['sequence'].to_list() == first['sequence'].to_list()
print(rows, bases, round(quality / bases, 6))
"#;

/// The README's program on chunks of reads.
fn readme_snippet() -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("reads.srf")).collect()
}

#[test]
fn test_readme_snippet_runs_as_printed() {
    if !has_engines() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("reads.srf");
    let store = Store::open(root.to_str().unwrap(), &Default::default()).unwrap();
    convert(&[("reads", &fastq(50, 4, true))], &store, &options(Layout::Plain)).unwrap();
    let output = Command::new("python3")
        .args(["-c", &readme_snippet()])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.starts_with("0000000000-0000000049.") && printed.contains(".srf 50 "),
        "{printed}"
    );
}

fn has_engines() -> bool {
    let found = Command::new("python3").args(["-c", "import pyarrow, polars"]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        corpus::skip("Python with pyarrow and polars is not installed");
    }
    found
}

#[test]
fn test_pyarrow_and_polars_open_chunks() {
    if !has_engines() {
        return;
    }
    for fixed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("reads.srf");
        let store = Store::open(root.to_str().unwrap(), &Default::default()).unwrap();
        let small = WriteOptions { chunk_reads: 900, batch_reads: 250, ..options(Layout::Plain) };
        let small = WriteOptions { order: Order::Quality, ..small };
        let summary = convert(&[("reads", &fastq(2000, 4, fixed))], &store, &small).unwrap();
        let output = Command::new("python3").args(["-c", PROGRAM]).arg(&root).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let reader = Reader::open(&store, At::Newest, Selection::All, Filter::default()).unwrap();
        let quality = reader.details().avg_quality.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let fields: Vec<f64> = printed.split_whitespace().map(|f| f.parse().unwrap()).collect();
        assert_eq!(fields[..2], [summary.reads as f64, summary.bases as f64]);
        assert!((fields[2] - quality).abs() < 1e-5, "{printed} {quality}");
    }
}
