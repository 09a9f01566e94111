//! DuckDB, Polars and pyarrow run the smoke queries of the plan, on disk and over S3, and read no
//! more than they need.

use std::sync::Arc;

use genomic_objects::hive::{CheckOptions, ExportOptions};
use genomic_objects::hive::{HailOptions, HailSource, Target, check, export};
use genomic_objects::pipeline::Progress;
use genomic_objects::simulate::vrs::VrsTable;
use testkit::python;

use super::*;

/// Rows and the sum of their positions, by the engine and place asked for.
const QUERY: &str = r#"
import sys
engine, root, first, last, endpoint, key, secret = sys.argv[1:]
first, last = int(first), int(last)
if engine == 'duckdb':
    import duckdb
    connection = duckdb.connect()
    if endpoint:
        import duckdb_extension_httpfs, pathlib
        extension = pathlib.Path(duckdb_extension_httpfs.__file__).parent / f'extensions/v{duckdb.__version__}/httpfs.duckdb_extension'
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)")
    source = f"parquet_scan('{root}/**/*.parquet', hive_partitioning=1)"
    print(*connection.execute(f"SELECT count(*), coalesce(sum(position), 0)::BIGINT, count(VRS_Allele_IDs) FROM {source} WHERE contig='chr1' AND position BETWEEN {first} AND {last}").fetchone())
elif engine.startswith('polars'):
    if engine == 'polars with short footers':
        import os
        os.environ['POLARS_CLOUD_FOOTER_READ_SIZE'] = '16384'
    import polars as pl
    options = {'aws_access_key_id': key, 'aws_secret_access_key': secret, 'aws_region': 'us-east-1', 'aws_endpoint_url': 'http://' + endpoint, 'aws_allow_http': 'true'} if endpoint else None
    frame = pl.scan_parquet(root + ('/' if endpoint else ''), hive_partitioning=True, storage_options=options)
    found = frame.filter((pl.col('contig') == 'chr1') & pl.col('position').is_between(first, last)).collect()
    print(found.height, found['position'].cast(pl.Int64).sum(), found['VRS_Allele_IDs'].count())
else:
    import pyarrow.compute as pc, pyarrow.dataset as ds, pyarrow.fs as fs
    files = fs.S3FileSystem(endpoint_override=endpoint, scheme='http', access_key=key, secret_key=secret, region='us-east-1') if endpoint else None
    dataset = ds.dataset(root.removeprefix('s3://'), format='parquet', partitioning='hive', filesystem=files)
    where = (ds.field('contig') == 'chr1') & (ds.field('position') >= first) & (ds.field('position') <= last)
    found = dataset.to_table(filter=where)
    print(found.num_rows, pc.sum(found['position']).as_py() or 0, found.num_rows - found['VRS_Allele_IDs'].null_count)
"#;

fn table(folder: &Path, partitions: u64, rows: u64) -> HailSource {
    let path = folder.join("made.ht");
    VrsTable { partitions, rows, seed: 5, newest: false }.write(&store(&path), 2).unwrap();
    let options = HailOptions { threads: 2, min_file_bytes: 0, ..HailOptions::default() };
    HailSource::new(open(&path).unwrap(), &options).unwrap()
}

/// What the query should print.
fn wanted(source: &HailSource, first: i64, last: i64) -> String {
    let rows = rows(source.table(), BatchLimits::default()).unwrap();
    let (mut count, mut sum, mut with_ids) = (0, 0, 0);
    for row in rows {
        let position = row["locus"]["position"].as_i64().unwrap();
        if row["locus"]["contig"] == "chr1" && (first..=last).contains(&position) {
            count += 1;
            sum += position;
            with_ids += i32::from(!row["info"]["VRS_Allele_IDs"].is_null());
        }
    }
    format!("{count} {sum} {with_ids}\n")
}

#[test]
fn test_engines_answer_the_smoke_queries_on_disk() {
    if !python::require(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = table(folder.path(), 30, 2_000);
    let out = folder.path().join("parquet_out");
    let root = out.to_str().unwrap();
    let target = Target::open(root, &StoreOptions::default()).unwrap();
    let options = ExportOptions { threads: 2, row_group_rows: 500, ..ExportOptions::default() };
    export(&source, &target, &options, &Arc::new(Progress::default())).unwrap();
    for (first, last) in [(100_000_000, 101_000_000), (1, 250_000_000), (5, 6)] {
        let wanted = wanted(&source, first, last);
        for engine in ["duckdb", "polars", "pyarrow"] {
            let (first, last) = (first.to_string(), last.to_string());
            let printed =
                python::run(["-c", QUERY, engine, root, &first, &last, "", "", ""]).unwrap();
            assert_eq!(String::from_utf8(printed).unwrap(), wanted, "{engine}");
        }
    }
    // DuckDB tells which row groups it skips: those of other positions.
    let plan = "import sys, duckdb
c = duckdb.connect()
root = sys.argv[1]
print(c.execute(f\"SELECT count(*) FROM parquet_metadata('{root}/contig=chr1/*.parquet') WHERE path_in_schema='position' AND NOT (TRY_CAST(stats_max_value AS BIGINT) < 100000000 OR TRY_CAST(stats_min_value AS BIGINT) > 101000000)\").fetchone()[0], c.execute(f\"SELECT count(*) FROM parquet_metadata('{root}/**/*.parquet') WHERE path_in_schema='position'\").fetchone()[0])";
    let printed = String::from_utf8(python::run(["-c", plan, root]).unwrap()).unwrap();
    let counts: Vec<u64> = printed.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert!(counts[0] <= 2 && counts[1] > 100, "{printed}");
}

#[test]
fn test_engines_answer_over_s3_and_read_little() {
    if !python::require(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    let server = testkit::s3::Server::start().unwrap();
    let options = crate::support::s3_options(&server);
    // The table is in the bucket, too.
    let place = format!("s3://{}", testkit::s3::BUCKET);
    let at = Store::open(&format!("{place}/made.ht"), &options).unwrap();
    VrsTable { partitions: 480, rows: 500, seed: 5, newest: false }.write(&at, 2).unwrap();
    // As it is by default: partitions as small as these share files.
    let source = HailSource::new(
        Table::open(&at).unwrap(),
        &HailOptions { threads: 2, ..HailOptions::default() },
    )
    .unwrap();
    let root = format!("{place}/parquet_out");
    let target = Target::open(&root, &options).unwrap();
    let how = ExportOptions { threads: 2, ..ExportOptions::default() };
    let written = export(&source, &target, &how, &Arc::new(Progress::default())).unwrap();
    assert_eq!((written.rows, written.files), (240_000, 24));
    let found = check(&target, CheckOptions::default()).unwrap();
    assert!(found.problems.is_empty() && found.has_manifest, "{:?}", found.problems);

    let (first, last) = (100_000_000, 100_100_000);
    let wanted = wanted(&source, first, last);
    assert!(!wanted.starts_with("0 "), "{wanted}");
    let endpoint = server.endpoint();
    let endpoint = endpoint.trim_start_matches("http://");
    let contig = format!("{root}/contig=chr1");
    // Polars looks at 256 KiB at the end of up to 16 files, whatever they are of, to guess how many
    // rows there are, unless it is told to look at less; pyarrow and DuckDB at those of the contig.
    let samples = 16 * (256 << 10);
    // DuckDB's S3 client is an extension, which a package of its own brings.
    let with_duckdb = python::require(&["duckdb_extension_httpfs"]);
    for (engine, root, most) in [
        ("polars", &root, 2_000_000 + samples),
        ("polars with short footers", &root, 2_000_000),
        ("polars", &contig, 2_000_000),
        ("pyarrow", &root, 2_000_000),
        ("duckdb", &root, 2_000_000),
    ] {
        if engine == "duckdb" && !with_duckdb {
            continue;
        }
        server.clear_log();
        let (key, secret) = (testkit::s3::ACCESS_KEY, testkit::s3::SECRET_KEY);
        let (first, last) = (first.to_string(), last.to_string());
        let printed =
            python::run(["-c", QUERY, engine, root, &first, &last, endpoint, key, secret]).unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), wanted, "{engine}");
        let read = server.bytes_sent();
        println!("{engine}: {read} bytes of {}", written.bytes);
        assert!(read < most, "{engine}: {read} of {}", written.bytes);
        let data = |path: &str| path.contains("contig") && !path.contains("chr1/");
        let fetched = server.log().into_iter().filter(|request| {
            let range = request.range.as_deref().unwrap_or_default();
            data(&request.path.replace("%3D", "=")) && !range.starts_with("bytes=-")
        });
        assert!(fetched.count() == 0 || !engine.starts_with("polars"), "data of other contigs");
    }
}

#[test]
fn test_queries_of_the_readme_run_as_printed() {
    if !python::require(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, section) = readme.split_once("## Hail Tables to Parquet").unwrap();
    let block = |language: &str| {
        let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let source = table(folder.path(), 20, 2_000);
    let out = folder.path().join("vrs_out");
    let target = Target::open(out.to_str().unwrap(), &StoreOptions::default()).unwrap();
    let options = ExportOptions { threads: 2, ..ExportOptions::default() };
    export(&source, &target, &options, &Arc::new(Progress::default())).unwrap();
    let run = |program: &str| {
        let mut command = std::process::Command::new("python3");
        let output = command.arg("-c").arg(program).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let wanted = wanted(&source, 55_039_447, 55_140_447);
    let count = wanted.split(' ').next().unwrap();
    assert_ne!(count, "0");
    let sql =
        format!("import duckdb\nprint(len(duckdb.sql(\"\"\"{}\"\"\").fetchall()))", block("sql"));
    assert_eq!(run(&sql).trim(), count);
    let printed = run(block("python"));
    assert!(printed.contains(&format!("shape: ({count}, 10)")), "{printed}");
    assert!(printed.contains("position: int32") && printed.contains("VRS_States"), "{printed}");
}
