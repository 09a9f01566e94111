//! Beside Hail itself, where the environment variable `GENOMIC_OBJECTS_HAIL_PYTHON` names a Python
//! that has it (`pip install hail`, with Java).

use std::process::Command;

use genomic_objects::hive::HailOptions;
use testkit::python;

use super::hive::{source, two_threads, write};
use super::*;

/// Exports a table's rows by Spark, as the plan would.
const BY_HAIL: &str = r#"
import sys, hail as hl
source, out, temporary = sys.argv[1:]
hl.init(master='local[2]', quiet=True, log=temporary + '/hail.log', tmp_dir=temporary, local_tmpdir=temporary, spark_conf={'spark.ui.enabled': 'false'})
table = hl.read_table(source)
table = table.annotate(contig=table.locus.contig, position=table.locus.position).key_by().drop('locus')
table = table.select('contig', 'position', 'alleles', **{name: table.info[name] for name in table.info})
table.to_spark(flatten=False).write.parquet(out)
"#;

/// How many rows either has, and how many only one has.
const COMPARE: &str = r#"
import sys, duckdb
columns = 'contig, position, alleles, VRS_Allele_IDs, VRS_Error, VRS_Starts, VRS_Ends, VRS_Lengths, VRS_RepeatSubunitLengths, VRS_States'
ours, theirs = (f"(SELECT {columns} FROM parquet_scan('{root}/**/*.parquet'))" for root in sys.argv[1:])
count = lambda text: duckdb.connect().execute(f'SELECT count(*) FROM ({text})').fetchone()[0]
print(count(ours), count(theirs), count(f'{ours} EXCEPT ALL {theirs}'), count(f'{theirs} EXCEPT ALL {ours}'))
"#;

#[test]
fn test_rows_are_those_that_hail_exports() {
    let Some(data) = fixtures() else { return };
    let Some(hail) = std::env::var_os("GENOMIC_OBJECTS_HAIL_PYTHON") else {
        println!("skipped: GENOMIC_OBJECTS_HAIL_PYTHON names no Python with Hail");
        return;
    };
    if !python::require(&["duckdb"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let table = data.join("v1.7/vrs.ht");
    let from = source(&table, &HailOptions::default()).unwrap();
    write(&from, &ours, &two_threads()).unwrap();
    let output = Command::new(hail)
        .args(["-c", BY_HAIL])
        .args([table.as_path(), theirs.as_path(), folder.path()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());
    let printed = python::run(["-c", COMPARE, ours, theirs]).unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), "5000 5000 0 0\n");
}
