//! Other engines read the same rows, and skip what they need not read.
//!
//! DuckDB, Polars and pyarrow come from PyPI; a test is skipped where they are missing.

use super::*;
use crate::support::s3_options;

/// Whether Python has DuckDB, Polars and pyarrow.
fn engines() -> bool {
    testkit::python::require(&["duckdb", "polars", "pyarrow.dataset", "pyarrow.fs"])
}

fn python(program: &str, arguments: &[&str]) -> String {
    let printed = testkit::python::run(["-c", program].iter().chain(arguments)).unwrap();
    String::from_utf8(printed).unwrap()
}

/// Records of three contigs whose names no type but text fits all of.
pub(crate) fn cohort(samples: usize, sites: u64) -> Vec<u8> {
    let mut text = String::from("##fileformat=VCFv4.3\n");
    for contig in ["1", "2", "X", "chr1"] {
        text += &format!("##contig=<ID={contig},length=90000000>\n");
    }
    text += "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Depth\">\n\
             ##INFO=<ID=AF,Number=A,Type=Float,Description=\"Frequency\">\n\
             ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
             ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"Depth\">\n";
    text += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT";
    (0..samples).for_each(|sample| text += &format!("\tS{sample}"));
    text.push('\n');
    let mut choices = Choices(11);
    for contig in ["1", "2", "X", "chr1"] {
        // Most on one contig, as readers fetch the end of every file.
        for site in 0..if contig == "chr1" { sites } else { sites / 10 } {
            let (position, quality) = (site * 1_000 + 1 + choices.below(900), choices.below(1_000));
            let filter = if quality > 300 { "PASS" } else { "q30" };
            text += &format!(
                "{contig}\t{position}\trs{site}\tA\tC,G\t{}.{}\t{filter}\tDP={};AF=0.{},0.01\tGT:DP",
                quality / 10,
                quality % 10,
                choices.below(80),
                1 + choices.below(9),
            );
            for _ in 0..samples {
                let genotype = ["0/0", "0/1", "1/1", "./.", "1/2"][choices.below(5) as usize];
                text += &format!("\t{genotype}:{}", choices.below(40));
            }
            text.push('\n');
        }
    }
    text.into_bytes()
}

/// The seed's queries in each engine; each prints rows, then a digest of POS.
const QUERIES: &str = r#"
import sys, duckdb, polars as pl, pyarrow.dataset as ds, pyarrow.fs as fs
root = sys.argv[1]
def show(name, positions):
    positions = sorted(positions)
    print(name, len(positions), sum(positions))
dataset = ds.dataset(root, format='parquet')
show('chrom', dataset.to_table(columns=['CHROM', 'POS'], filter=ds.field('CHROM') == 'chr1')['POS'].to_pylist())
show('qual', dataset.to_table(filter=ds.field('QUAL') > 30)['POS'].to_pylist())
complex = ((ds.field('CHROM') == 'chr1') & (ds.field('POS') > 1000000) & (ds.field('POS') < 2000000) & (ds.field('QUAL') > 20))
show('complex', dataset.to_table(columns=['CHROM', 'POS', 'ALT'], filter=complex)['POS'].to_pylist())
glob = root + '/data/**/*.parquet'
for hive in ('true', 'false'):
    read = f"FROM read_parquet('{glob}', hive_partitioning={hive})"
    sql = lambda where: [row[0] for row in duckdb.sql(f"SELECT POS {read} WHERE {where}").fetchall()]
    show('chrom', sql("CHROM = 'chr1'"))
    show('qual', sql("QUAL > 30"))
    show('complex', sql("CHROM = 'chr1' AND POS > 1000000 AND POS < 2000000 AND QUAL > 20"))
for frame in (pl.scan_parquet(glob), pl.scan_parquet(root + '/data/'), pl.scan_parquet(glob, hive_partitioning=True)):
    rows = lambda where: frame.filter(where).select('POS').collect()['POS'].to_list()
    show('chrom', rows(pl.col('CHROM') == 'chr1'))
    show('qual', rows(pl.col('QUAL') > 30))
    show('complex', rows((pl.col('CHROM') == 'chr1') & pl.col('POS').is_between(1000001, 1999999) & (pl.col('QUAL') > 20)))
"#;

/// What the queries should print, from the text.
fn expected(text: &[u8]) -> [String; 3] {
    let text = String::from_utf8_lossy(text);
    let rows: Vec<(&str, u64, f64)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0], fields[1].parse().unwrap(), fields[5].parse().unwrap())
        })
        .collect();
    let show = |name: &str, keep: &dyn Fn(&(&str, u64, f64)) -> bool| {
        let positions: Vec<u64> = rows.iter().filter(|row| keep(row)).map(|row| row.1).collect();
        format!("{name} {} {}", positions.len(), positions.iter().sum::<u64>())
    };
    [
        show("chrom", &|row| row.0 == "chr1"),
        show("qual", &|row| row.2 > 30.0),
        show("complex", &|row| {
            row.0 == "chr1" && row.1 > 1_000_000 && row.1 < 2_000_000 && row.2 > 20.0
        }),
    ]
}

#[test]
fn test_engines_answer_the_seeds_queries_on_a_datasets_root() {
    if !engines() {
        return;
    }
    for samples in [2, 70] {
        let text = cohort(samples, 2_000);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("variants.vcs");
        let root = root.to_str().unwrap();
        let store = Store::open(root, &Default::default()).unwrap();
        convert("cohort", &text, &store, &options()).unwrap();
        let printed = python(QUERIES, &[root]);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 18, "{printed}");
        for three in lines.chunks(3) {
            assert_eq!(three, expected(&text), "{printed}");
        }
    }
}

#[test]
fn test_genotypes_of_blocks_are_read_by_sql() {
    if !engines() {
        return;
    }
    let text = cohort(300, 2_000);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("variants.vcs");
    let root = root.to_str().unwrap();
    let store = Store::open(root, &Default::default()).unwrap();
    convert("cohort", &text, &store, &options()).unwrap();
    // Alternate alleles of sample 258 (block 1, bit 2), and its depths.
    let program = r#"
import sys, duckdb
root = sys.argv[1]
read = f"FROM read_parquet('{root}/_calls/block=0001/*/*.parquet', hive_partitioning=false)"
print(duckdb.sql(f"SELECT sum(get_bit(GT_ALT1::BIT, 2) + get_bit(GT_ALT2::BIT, 2)), sum(DP[3]), count(*) {read}").fetchall()[0])
"#;
    let printed = python(program, &[root]);
    let (mut alternates, mut depths, mut rows) = (0, 0, 0);
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.starts_with('#')) {
        let cell = line.split('\t').nth(9 + 258).unwrap();
        let (genotype, depth) = cell.split_once(':').unwrap();
        alternates += genotype.split('/').filter(|allele| !["0", "."].contains(allele)).count();
        depths += depth.parse::<u64>().unwrap();
        rows += 1;
    }
    assert_eq!(printed.trim(), format!("({alternates}, {depths}, {rows})"));
}

/// Bytes that a query reads over S3, as the server saw them.
#[test]
fn test_engines_skip_row_groups_over_s3() {
    if !engines() {
        return;
    }
    let server = testkit::s3::Server::start().unwrap();
    let url = format!("s3://{}/variants.vcs", testkit::s3::BUCKET);
    let store = Store::open(&url, &s3_options(&server)).unwrap();
    let text = cohort(2, 60_000);
    let small = WriteOptions { row_group_rows: 1_000, ..options() };
    convert("cohort", &text, &store, &small).unwrap();
    let program = r#"
import sys, duckdb, polars as pl, pyarrow.dataset as ds, pyarrow.fs as fs
endpoint, root, key, secret, engine, wide = sys.argv[1:]
low, high = (0, 10**9) if wide == 'wide' else (1000000, 1010000)
if engine == 'duckdb':
    import duckdb_extension_httpfs
    from pathlib import Path
    extension = Path(duckdb_extension_httpfs.__file__).parent / f'extensions/v{duckdb.__version__}/httpfs.duckdb_extension'
    duckdb.sql(f"LOAD '{extension}'")
    duckdb.sql(f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)")
    found = duckdb.sql(f"SELECT POS, * FROM read_parquet('{root}/data/**/*.parquet', hive_partitioning=false) WHERE CHROM = 'chr1' AND POS BETWEEN {low} AND {high}")
    positions = [row[0] for row in found.fetchall()]
elif engine == 'pyarrow':
    files = fs.S3FileSystem(endpoint_override=endpoint, scheme='http', access_key=key, secret_key=secret, region='us-east-1')
    dataset = ds.dataset(root.removeprefix('s3://'), format='parquet', filesystem=files)
    where = (ds.field('CHROM') == 'chr1') & (ds.field('POS') >= low) & (ds.field('POS') <= high)
    positions = dataset.to_table(filter=where)['POS'].to_pylist()
else:
    options = {'aws_access_key_id': key, 'aws_secret_access_key': secret, 'aws_region': 'us-east-1', 'aws_endpoint_url': 'http://' + endpoint, 'aws_allow_http': 'true'}
    frame = pl.scan_parquet(root + '/data/**/*.parquet', storage_options=options, hive_partitioning=False)
    positions = frame.filter((pl.col('CHROM') == 'chr1') & pl.col('POS').is_between(low, high)).collect()['POS'].to_list()
print(len(positions), sum(positions))
"#;
    let chr1: u64 = store.list("data/contig=chr1").unwrap().iter().map(|object| object.size).sum();
    let endpoint = server.endpoint();
    let endpoint = endpoint.trim_start_matches("http://");
    let body = String::from_utf8_lossy(&text);
    // DuckDB's S3 client is an extension, which a package of its own brings.
    let with_duckdb = testkit::python::require(&["duckdb_extension_httpfs"]);
    for engine in ["pyarrow", "polars", "duckdb"] {
        if engine == "duckdb" && !with_duckdb {
            continue;
        }
        let ask = |wide: &str| {
            server.clear_log();
            let key = testkit::s3::ACCESS_KEY;
            let secret = testkit::s3::SECRET_KEY;
            let printed = python(program, &[endpoint, &url, key, secret, engine, wide]);
            (printed, server.bytes_sent())
        };
        let (narrow, narrow_bytes) = ask("narrow");
        let (_, wide_bytes) = ask("wide");
        let positions = body.lines().filter_map(|line| {
            let mut fields = line.split('\t');
            (fields.next() == Some("chr1")).then(|| fields.next()?.parse::<u64>().ok())?
        });
        let hits: Vec<u64> = positions.filter(|at| (1_000_000..=1_010_000).contains(at)).collect();
        assert_eq!(
            narrow.trim(),
            format!("{} {}", hits.len(), hits.iter().sum::<u64>()),
            "{engine}"
        );
        println!("{engine}: {narrow_bytes} bytes of {wide_bytes}");
        assert!(
            narrow_bytes + chr1 * 2 / 3 < wide_bytes,
            "{engine}: {narrow_bytes} of {wide_bytes}"
        );
    }
}

/// The README's examples, as printed.
#[test]
fn test_examples_of_the_readme_run_as_printed() {
    if !engines() {
        return;
    }
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let mut text = String::from(
        "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=9000>\n\
         ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Depth\">\n\
         ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\n",
    );
    for (position, quality, depth) in [(100, "29.5", 12), (200, "50.0", 40), (300, "10", 33)] {
        text += &format!("chr1\t{position}\t.\tA\tC\t{quality}\tPASS\tDP={depth}\tGT\t0/1\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("variants.vcs");
    let store = Store::open(root.to_str().unwrap(), &Default::default()).unwrap();
    convert("tiny", text.as_bytes(), &store, &options()).unwrap();
    let run = |program: &str| {
        let mut command = std::process::Command::new("python3");
        let output = command.arg("-c").arg(program).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let sql =
        run(&format!("import duckdb\nprint(duckdb.sql(\"\"\"{}\"\"\").fetchall())", block("sql")));
    assert_eq!(sql.trim(), "[('chr1', 200, 'A', 'C', 40, '0/1')]");
    let printed = run(&block("python"));
    let flat: String = printed.split_whitespace().collect();
    assert!(flat.contains("chr1┆200┆C") && flat.contains("POS:[[100,200]]"), "{printed}");
}

/// `_schema.json` is as its JSON Schema says.
#[test]
fn test_schema_is_as_its_json_schema_says() {
    if !testkit::python::require(&["jsonschema"]) {
        return;
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vcs.schema.schema.json");
    for samples in [0, 2, 70] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("variants.vcs");
        let store = Store::open(root.to_str().unwrap(), &Default::default()).unwrap();
        let text = if samples == 0 {
            b"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n".to_vec()
        } else {
            cohort(samples, 20)
        };
        convert("cohort", &text, &store, &options()).unwrap();
        let file = root.join("_schema.json");
        let program = "import sys, json, jsonschema\njsonschema.Draft202012Validator(json.load(open(sys.argv[1]))).validate(json.load(open(sys.argv[2])))";
        python(program, &[rules, file.to_str().unwrap()]);
    }
}
