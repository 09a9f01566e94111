//! Partitioned Parquet by the real program: public buckets, real VCFs beside bcftools, and the check of
//! what others wrote.
#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genomic_objects::simulate::vrs::VrsTable;
use genomic_objects::store::{Store, StoreOptions};
use support::{format_tools, run, stderr, stdout, stdout_of};
use testkit::{corpus, python, s3};

/// Every file below a folder, in order of its path.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(root: &Path, folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(root, &path, into);
                continue;
            }
            let name = path.strip_prefix(root).expect("it lies below").display().to_string();
            into.push((name, std::fs::read(&path).expect("a file")));
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
fn test_public_buckets_are_read_without_a_signature() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = s3::Server::start_public().expect("a server");
    let table = server.folder(s3::BUCKET).join("release/made.ht");
    let at = |path: &Path| Store::open(&path.to_string_lossy(), &StoreOptions::default());
    let made = VrsTable { partitions: 30, rows: 50, seed: 6, newest: true };
    made.write(&at(&table).expect("a store"), 2).expect("a table");
    let from_disk = folder.path().join("from_disk");
    stdout_of(["ht-to-parquet".as_ref(), table.as_os_str(), from_disk.as_os_str()]);
    let wanted = tree(&from_disk);

    // Where a client asks unless it is told otherwise; keys that lie about are not used either.
    for (scheme, variable) in [("s3", "AWS_ENDPOINT_URL"), ("gs", "GOOGLE_BASE_URL")] {
        let url = format!("{scheme}://{}/release/made.ht", s3::BUCKET);
        let ask = |arguments: &[&str]| -> Output {
            let mut command = format_tools(arguments.iter().copied().chain([url.as_str()]));
            command.env(variable, server.endpoint()).env("HOME", folder.path());
            command.current_dir(folder.path());
            command.env("AWS_ACCESS_KEY_ID", "someone").env("AWS_SECRET_ACCESS_KEY", "else");
            command.output().expect("the program starts")
        };
        server.clear_log();
        let info = ask(&["ht-info", "--no-sign-request"]);
        assert!(info.status.success(), "{}", stderr(&info));
        assert!(stdout(&info).contains("1,500"), "{}", stdout(&info));
        let plan = ask(&["ht-to-parquet", "--no-sign-request", "--dry-run", "-o", "nowhere"]);
        assert!(plan.status.success(), "{}", stderr(&plan));
        let out = folder.path().join(scheme);
        let export = ask(&["ht-to-parquet", "--no-sign-request", "-o", scheme]);
        assert!(export.status.success(), "{}", stderr(&export));
        assert!(tree(&out) == wanted, "{scheme}: other files than from disk");
        let log = server.log();
        assert!(log.len() > 60, "{}", log.len());
        for request in &log {
            let signed = ["authorization", "x-amz-security-token", "x-amz-content-sha256"];
            let signed = signed.iter().find(|name| request.headers.contains_key(**name));
            assert!(signed.is_none(), "{} {} has {signed:?}", request.method, request.path);
            let query = request.query.as_deref().unwrap_or_default();
            assert!(!query.contains("Signature"), "{query}");
            let is_listing = request.path == "/bucket" && query.contains("list-type=2");
            let path = request.path.replace("%2F", "/").replace("%2E", ".");
            let is_object = path.starts_with("/bucket/release/made.ht/");
            assert!(is_listing || is_object, "{} {}?{query}", request.method, request.path);
        }
        assert!(log.iter().any(|request| request.path.replace("%2D", "-").ends_with("part-00029")));

        // What is not there is said in words, and what is signed is another matter.
        let missing = format!("{scheme}://{}/release/none.ht", s3::BUCKET);
        let mut command = format_tools(["ht-info", "--no-sign-request", &missing]);
        let none = command.env(variable, server.endpoint()).output().expect("it starts");
        assert_eq!(none.status.code(), Some(1));
        assert!(stderr(&none).contains("none.ht"), "{}", stderr(&none));
    }
}

/// Writes 40,000 variants of two contigs as others do, in a way that is named.
const OTHERS: &str = r#"
import os, random, sys, pyarrow as pa, pyarrow.parquet as pq
how, root = sys.argv[1:]
shuffle = random.Random(1).shuffle
for contig in ('chr1', 'chr2'):
    positions = [1000 + 50 * at for at in range(20_000)]
    if how in ('shuffled', 'overlapping'):
        shuffle(positions)
    names = [random.Random(at).randbytes(60).hex() for at in range(20_000)]
    table = pa.table({'contig': [contig] * 20_000, 'position': positions, 'name': names})
    folder = f'{root}/contig={contig}'
    os.makedirs(folder)
    if how == 'overlapping':
        # Each file is in order, and all of them have the whole contig.
        for part in range(4):
            piece = table.slice(part * 5_000, 5_000).sort_by('position')
            pq.write_table(piece, f'{folder}/part-{part}.parquet', row_group_size=1_000)
    elif how == 'wide':
        pq.write_table(table, f'{folder}/part-0.parquet', row_group_size=20_000)
    elif how == 'blind':
        pq.write_table(table, f'{folder}/part-0.parquet', row_group_size=1_000, write_statistics=False)
    else:
        pq.write_table(table, f'{folder}/part-0.parquet', row_group_size=1_000)
if how == 'astray':
    pq.write_table(table, f'{root}/part-0.parquet', row_group_size=1_000)
if how == 'half':
    whole = open(f'{root}/contig=chr1/part-0.parquet', 'rb').read()
    open(f'{root}/contig=chr1/part-0.parquet', 'wb').write(whole[:len(whole) // 2])
"#;

#[test]
fn test_check_explains_what_is_wrong_with_files_of_others() {
    if !python::require(&["pyarrow"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (how, code, said) in [
        ("good", 0, ""),
        ("wide", 1, "chr1: a query of 1 kb reads"),
        ("shuffled", 1, "row groups overlap the one before"),
        ("overlapping", 1, "files overlap the one before"),
        ("blind", 1, "chr2: 20 of 20 row groups have no statistics of positions"),
        ("astray", 1, "part-0.parquet is in no folder contig=…"),
        ("half", 1, "no Parquet file"),
    ] {
        let root = folder.path().join(how);
        let root = root.to_str().expect("a name");
        python::run(["-c", OTHERS, how, root]).expect("pyarrow writes");
        let most = ["--max-query-bytes", "1M"];
        let text = run(["parquet-check", root].iter().chain(&most));
        assert_eq!(text.status.code(), Some(code), "{how}: {}{}", stdout(&text), stderr(&text));
        assert!(stderr(&text).contains(said), "{how}: {}", stderr(&text));
        let json = run(["parquet-check", "--json", "--files", root].iter().chain(&most));
        assert_eq!(json.status.code(), Some(code), "{how}");
        if how == "half" {
            continue;
        }
        assert!(stdout(&text).contains("chr2"), "{how}: {}", stdout(&text));
        let found: serde_json::Value =
            serde_json::from_str(&stdout(&json)).expect("JSON also where something is wrong");
        assert_eq!(found["problems"].as_array().map(Vec::is_empty), Some(code == 0), "{how}");
        let rows = found["details"][0]["groups"][0]["rows"].as_u64();
        assert_eq!(rows, Some(if how == "wide" { 20_000 } else { 1_000 }), "{how}");
    }
}

/// Sites of a file as bcftools prints them.
fn by_bcftools(path: &Path) -> Option<Vec<String>> {
    let format = "%CHROM\t%POS\t%REF\t%ALT\t%FILTER\t%ID\n";
    let output = Command::new("bcftools").args(["query", "-f", format]).arg(path).output();
    let output = output.expect("bcftools starts");
    output.status.success().then(|| {
        let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    })
}

/// The same columns of exports, as pyarrow reads them, with a line `=== NAME` before those of each.
const SITES: &str = r#"
import json, os, sys, pyarrow.parquet as pq
text = lambda value: '.' if value is None else value
root = sys.argv[1]
for name in sorted(name[:-len('._manifest')] for name in os.listdir(root) if name.endswith('._manifest')):
    print('=== ' + name)
    for file in json.load(open(f'{root}/{name}._manifest'))['files']:
        for row in pq.read_table(f'{root}/{name}/' + file['path'], partitioning=None).to_pylist():
            alleles = row['alleles']
            print('\t'.join([row['contig'], str(row['position']), alleles[0], ','.join(alleles[1:]) or '.', text(row['FILTER']), text(row['ID'])]))
"#;

/// VCFs of a folder and those below it.
fn vcfs(folder: &Path, into: &mut Vec<PathBuf>) {
    for suffix in [".vcf", ".vcf.gz", ".bcf"] {
        into.extend(corpus::files(folder, suffix));
    }
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            vcfs(&entry.path(), into);
        }
    }
}

#[test]
fn test_variants_of_real_files_are_those_that_bcftools_sees() {
    let Some(data) = corpus::require() else { return };
    if !python::require(&["pyarrow"]) {
        return;
    }
    if !Command::new("bcftools").arg("--version").output().is_ok_and(|out| out.status.success()) {
        return corpus::skip("bcftools is not installed");
    }
    let mut inputs = Vec::new();
    for folder in ["variants/oddities", "variants/ebi-4.4", "malformed/vcf"] {
        vcfs(&data.join(folder), &mut inputs);
    }
    // Of the many that break one rule each, those that break one about places and alleles.
    let is_chosen = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about = ["body_chrom", "body_pos", "body_alt", "body_ref"];
        !name.starts_with("failed_") && !name.starts_with("passed_")
            || about.iter().any(|rule| name.contains(rule))
    };
    inputs.retain(is_chosen);
    for end in [".vcf", ".vcf.gz", ".bcf"] {
        inputs.extend(corpus::files(data.join("variants"), end));
    }
    assert!(inputs.len() > 80, "{}", inputs.len());
    let folder = tempfile::tempdir().expect("a folder");
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut refused = 0;
    for path in &inputs {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let name = format!("{:04}_{file}", wanted.len() + refused);
        let out = folder.path().join(&name);
        let words = ["vcf-to-parquet", "--quiet", "--no-samples"].map(AsRef::as_ref);
        let done = run(words.into_iter().chain([path.as_os_str(), out.as_os_str()]));
        match done.status.code() {
            Some(0) => {
                // What bcftools cannot read, or reads otherwise, each for its reason.
                let differs = [
                    // Its positions have 32 bits.
                    "longrefs_index.vcf",
                    // An empty allele and a position before the first base are kept as they are.
                    "failed_body_alt_002.vcf",
                    "failed_body_pos_002.vcf",
                    // It ends without an error at what it does not understand.
                    "failed_body_chrom_000.vcf",
                ];
                let theirs = by_bcftools(path).filter(|_| !differs.contains(&file.as_str()));
                wanted.insert(name, theirs.unwrap_or_default());
            }
            Some(1) => {
                refused += 1;
                assert!(stderr(&done).contains(&file), "no place: {}", stderr(&done));
                assert!(!path.starts_with(data.join("variants")), "{}", stderr(&done));
                assert!(!out.exists(), "{file}: something was written");
            }
            code => panic!("{file}: {code:?} {}", stderr(&done)),
        }
    }
    assert!((5..20).contains(&refused), "{refused}");
    let folder = folder.path().to_str().expect("a name");
    let printed = python::run(["-c", SITES, folder]).expect("pyarrow reads all");
    let printed = String::from_utf8(printed).expect("text");
    let mut compared = 0;
    for export in printed.split("=== ").skip(1) {
        let (name, sites) = export.split_once('\n').expect("a line for the name");
        let mut sites: Vec<&str> = sites.lines().collect();
        sites.sort_unstable();
        let theirs = wanted.remove(name).expect("one of the files");
        if !theirs.is_empty() {
            assert_eq!(sites, theirs, "{name}");
            compared += 1;
        }
    }
    assert!(wanted.is_empty() && compared > 70, "{compared}, {wanted:?}");
}

/// Values of INFO and of a sample, as [`Command`] `bcftools query` prints them.
const VALUES: &str = r#"
import sys, pyarrow.dataset as ds
rows = ds.dataset(sys.argv[1], format='parquet', partitioning='hive').to_table().to_pylist()
for row in rows:
    print(row['position'], ','.join(map(str, row['AC'])), row['AN'], row['VT'], row['HG00096_GT'], row['HG00101_GT'])
"#;

#[test]
fn test_values_of_a_real_file_are_those_that_bcftools_sees() {
    let Some(data) = corpus::require() else { return };
    if !python::require(&["pyarrow"]) {
        return;
    }
    let path = data.join("variants/1000g.chr22_10k.5samples.vcf.gz");
    let format = "%POS %INFO/AC %INFO/AN %INFO/VT[ %GT]\n";
    let samples = ["query", "-s", "HG00096,HG00101", "-f", format];
    let output = Command::new("bcftools").args(samples).arg(&path).output();
    let Ok(output) = output else { return corpus::skip("bcftools is not installed") };
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = tempfile::tempdir().expect("a folder");
    // By way of a dataset, too: the rows are the same.
    let dataset = folder.path().join("x.vcs");
    stdout_of(["vcf-to-vcs".as_ref(), "--quiet".as_ref(), path.as_os_str(), dataset.as_os_str()]);
    for (tool, from) in [("vcf-to-parquet", &path), ("vcs-to-parquet", &dataset)] {
        let out = folder.path().join(tool);
        let words = [tool, "--quiet", "--row-group-rows", "1000"].map(AsRef::as_ref);
        stdout_of(words.into_iter().chain([from.as_os_str(), out.as_os_str()]));
        let printed = python::run(["-c".as_ref(), VALUES.as_ref(), out.as_os_str()]);
        let printed = String::from_utf8(printed.expect("pyarrow reads it")).expect("text");
        // Records of one position are in the order of their alleles.
        let sorted = |text: &str| -> Vec<String> {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = (sorted(&printed), sorted(&stdout(&output)));
        assert!(ours == theirs, "{tool}: other values than bcftools has");
        assert_eq!(ours.len(), 10_376);
    }
}

#[test]
fn test_windows_of_a_large_contig_have_every_variant_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut text = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=3000000>\n".to_owned();
    text += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";
    // Before the first base, one at each border between thirds, two of them, and beyond the end.
    let mut positions: Vec<u64> = (0..600_000).map(|at| 5 * at + 1).collect();
    positions.extend([0, 1_000_000, 1_000_000, 1_000_001, 2_000_000, 2_000_001, 3_000_000]);
    positions.extend([3_000_001, 4_000_000]);
    positions.sort_unstable();
    for position in &positions {
        text += &format!("chr1\t{position}\t.\tA\tC\t.\t.\t.\n");
    }
    std::fs::write(path("x.vcf"), text).expect("a file");
    let export = |out: &str, flags: &[&str]| -> serde_json::Value {
        let words = ["vcf-to-parquet", "--json", "--progress", "none"];
        let words = words.iter().chain(flags).map(AsRef::as_ref);
        let (from, to) = (path("x.vcf"), path(out));
        let printed = stdout_of(words.chain([from.as_os_str(), to.as_os_str()]));
        serde_json::from_str(&printed).expect("a summary in JSON")
    };
    let each = export("each", &["--min-file-bytes", "0", "-@", "3"]);
    assert_eq!(each["rows"], 600_009);
    assert_eq!(each["files"], 3);
    // Some bytes a variant: together they are less than a file should have.
    assert_eq!(export("default", &[])["files"], 1);
    export("again", &["--min-file-bytes", "0", "-@", "1"]);
    assert!(tree(&path("each")) == tree(&path("again")), "bytes depend on threads");
    if !python::require(&["pyarrow"]) {
        return;
    }
    let script = "import json, sys, pyarrow.parquet as pq
for root in sys.argv[1:]:
    files = json.load(open(root + '._manifest'))['files']
    print(*(p for f in files for p in pq.read_table(root + '/' + f['path'], partitioning=None)['position'].to_pylist()))";
    let roots = [path("each"), path("default")];
    let arguments = ["-c".as_ref(), script.as_ref()].into_iter();
    let printed = python::run(arguments.chain(roots.iter().map(|root| root.as_os_str())));
    let printed = String::from_utf8(printed.expect("pyarrow reads all")).expect("text");
    assert_eq!(printed.lines().count(), 2);
    for line in printed.lines() {
        let found = line.split(' ').map(|text| text.parse::<u64>().expect("a number"));
        assert!(found.eq(positions.iter().copied()), "other positions");
    }
}

#[test]
fn test_records_are_checked_before_samples_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n";
    let export = |records: &str, out: &str| -> Output {
        let path = folder.path().join("x.vcf");
        std::fs::write(&path, format!("{header}{records}")).expect("a file");
        let words = ["vcf-to-parquet", "--no-samples"].map(AsRef::as_ref);
        run(words.into_iter().chain([path.as_os_str(), folder.path().join(out).as_os_str()]))
    };
    for (records, said) in [
        ("1\t5\t.\tA\n", "x.vcf: line 3: column 4"),
        (
            "1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1\n1\t6\t.\tA\tC\t.\t.\t.\tGT\t0/1\t1/1\n",
            "x.vcf: line 4",
        ),
        ("1\tfive\t.\tA\tC\t.\t.\t.\tGT\t0/1\n", "x.vcf: line 3: column 2"),
    ] {
        let done = export(records, "refused");
        assert_eq!(done.status.code(), Some(1), "{records}");
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
        assert!(!folder.path().join("refused").exists());
    }
    // A comma in the name of a contig is no border between regions.
    let done = export("chr,1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1\n", "comma");
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(folder.path().join("comma/contig=chr%2C1").is_dir());
}
