//! pyarrow and Polars open the files without help.

use genomic_objects::store::StoreOptions;
use testkit::python;

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
