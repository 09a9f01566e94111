//! A conversion that is killed midway leaves no dataset, and the next one is none the worse for it.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod support;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use genomic_objects::simulate::vrs::VrsTable;
use genomic_objects::store::{Store, StoreOptions};
use support::{format_tools, run, stderr, stdout_of};
use testkit::s3;
use testkit::server::Fault;

/// Whether a chunk is in the folder of a dataset, visible or not.
fn has_chunk(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        path.is_dir() && has_chunk(&path)
            || path.extension().is_some_and(|extension| {
                ["bin", "parquet", "srf"].iter().any(|known| extension == *known)
            })
    })
}

/// Sends a signal to a program that waits for more input, once chunks are written of what it got,
/// and makes sure that no dataset is to be seen.
fn stop(mut child: Child, dataset: &Path, (signal, number): (&str, i32)) {
    while !has_chunk(dataset) {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(number));

    let info = run(["info".as_ref(), dataset.as_os_str()]);
    assert_eq!(info.status.code(), Some(1));
    assert!(stderr(&info).contains("no dataset"), "{}", stderr(&info));
    assert!(!dataset.join("_manifests").exists() && !dataset.join("_metadata.json").exists());
}

/// A conversion there and back.
struct Job {
    to: &'static [&'static str],
    back: &'static [&'static str],
    write_input: fn(&Path),
}

const ALIGNMENTS: Job = Job {
    to: &["bam-to-paf", "--quiet"],
    back: &["paf-to-bam", "-O", "sam"],
    write_input: |bam| {
        let simulate = ["simulate", "--reads", "120k", "--quiet", "-o"].map(AsRef::as_ref);
        stdout_of(simulate.into_iter().chain([bam.as_os_str()]));
    },
};

const READS: Job = Job {
    to: &["fastq-to-srf", "--quiet", "--chunk-reads", "5000"],
    back: &["srf-to-fastq", "--quiet"],
    write_input: |fastq| {
        let mut text = String::new();
        for read in 0..60_000_u32 {
            let bases: String = (0..100)
                .map(|at| "ACGT".as_bytes()[(read * 7 + at * at) as usize % 4] as char)
                .collect();
            text += &format!("@read:{read}\n{bases}\n+\n{}\n", "FF:F,".repeat(20));
        }
        std::fs::write(fastq, text).expect("a file");
    },
};

/// Converts most of an input, sends the signal once chunks are written, and converts the whole.
fn interrupt(job: &Job, signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (input, undisturbed, dataset) = (path("input"), path("undisturbed"), path("dataset"));
    (job.write_input)(&input);
    let command = |words: &[&str], paths: &[&Path]| -> Vec<std::ffi::OsString> {
        let words = words.iter().map(std::ffi::OsString::from);
        words.chain(paths.iter().map(|path| path.as_os_str().to_owned())).collect()
    };
    let convert = |to: &Path| stdout_of(command(job.to, &[&input, to]));
    let reads_of = |dataset: &Path| stdout_of(command(job.back, &[dataset]));
    convert(&undisturbed);

    let mut child = format_tools(command(job.to, &[Path::new("-"), &dataset]))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let bytes = std::fs::read(&input).expect("the input");
    let mut pipe = child.stdin.take().expect("a pipe");
    // The program waits for the rest, however fast it is.
    pipe.write_all(&bytes[..bytes.len() * 9 / 10]).expect("the program reads");
    stop(child, &dataset, (signal, number));
    drop(pipe);

    convert(&dataset);
    assert!(reads_of(&dataset) == reads_of(&undisturbed), "the second run gives other reads");
    stdout_of(["verify".as_ref(), dataset.as_os_str()]);
}

/// Records on several contigs, each of which becomes a part once the next but one begins.
fn variants() -> String {
    let mut text = "##fileformat=VCFv4.3\n".to_owned();
    for contig in 1..=6 {
        text += &format!("##contig=<ID={contig}>\n");
    }
    text += "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n";
    text += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n";
    for contig in 1..=6 {
        for position in 1..=2_000 {
            text += &format!("{contig}\t{position}\t.\tA\tC\t{position}\tPASS\t.\tGT\t0/1\n");
        }
    }
    text
}

/// Converts most of a VCF that comes through a named pipe, sends the signal once chunks are
/// written, and converts the whole.
fn interrupt_variants(signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (vcf, pipe, dataset) = (path("x.vcf"), path("pipe.vcf"), path("x.vcs"));
    let text = variants();
    std::fs::write(&vcf, &text).expect("a file");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let child = format_tools(["vcf-to-vcs".as_ref(), pipe.as_os_str(), dataset.as_os_str()])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // Open for reading too, so that this neither waits for the program nor breaks with it.
    let mut input =
        std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe");
    let writer = std::thread::spawn(move || {
        let part = text.len() * 9 / 10;
        input.write_all(&text.as_bytes()[..part]).expect("the pipe takes it");
        input
    });
    stop(child, &dataset, (signal, number));
    drop(writer.join().expect("the thread ends"));

    stdout_of(["vcf-to-vcs".as_ref(), "--quiet".as_ref(), vcf.as_os_str(), dataset.as_os_str()]);
    let back = stdout_of(["vcs-to-vcf".as_ref(), dataset.as_os_str()]);
    assert!(back == variants(), "the second run gives other variants");
    stdout_of(["verify".as_ref(), dataset.as_os_str()]);
}

#[test]
fn test_killed_conversion_leaves_no_dataset() {
    interrupt(&ALIGNMENTS, "-KILL", 9);
}

#[test]
fn test_interrupted_conversion_leaves_no_dataset() {
    interrupt(&ALIGNMENTS, "-INT", 2);
}

#[test]
fn test_killed_conversion_of_reads_leaves_no_dataset() {
    interrupt(&READS, "-KILL", 9);
}

#[test]
fn test_interrupted_conversion_of_reads_leaves_no_dataset() {
    interrupt(&READS, "-INT", 2);
}

#[test]
fn test_killed_conversion_of_variants_leaves_no_dataset() {
    interrupt_variants("-KILL", 9);
}

#[test]
fn test_interrupted_conversion_of_variants_leaves_no_dataset() {
    interrupt_variants("-INT", 2);
}

/// Samples of a cohort, each of its own file.
fn cohort(folder: &Path, samples: u32) -> Vec<PathBuf> {
    let sample = |number: u32| {
        let path = folder.join(format!("s{number}.bam"));
        let (seed, name) = (number.to_string(), format!("s{number}"));
        let words = ["simulate", "--quiet", "--reads", "10k", "--coverage", "4", "--seed", &seed];
        let words =
            words.into_iter().chain(["--sample", &name, "-o"]).map(std::ffi::OsString::from);
        stdout_of(words.chain([path.clone().into_os_string()]));
        path
    };
    (1..=samples).map(sample).collect()
}

/// `bam-to-ram` of files, with a temporary folder of its own.
fn to_ram(flag: Option<&str>, inputs: &[PathBuf], temp: &Path, dataset: &Path) -> Command {
    let words = ["bam-to-ram", "--json", "--progress", "none", "-@", "2", "--region-size", "100k"];
    let words = words.into_iter().chain(flag).chain(["--temp-dir"]).map(AsRef::as_ref);
    let inputs = inputs.iter().map(|path| path.as_os_str());
    format_tools(words.chain([temp.as_os_str()]).chain(inputs).chain([dataset.as_os_str()]))
}

/// How many samples a run found read already.
fn resumed(mut command: Command) -> u64 {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("a summary in JSON");
    summary["resumed"].as_u64().expect("a number")
}

/// Files of a folder and those below, whose names are told without the tokens of transactions.
fn contents(folder: &Path, wanted: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            let below = contents(&path, wanted).into_iter();
            found.extend(below.map(|(key, bytes)| (format!("{name}/{key}"), bytes)));
        } else if name.ends_with(wanted) {
            let plain: Vec<&str> = name.split('.').filter(|part| part.len() != 16).collect();
            found.insert(plain.join("."), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

/// Files that are the same in two conversions of the same samples.
fn assert_equal(dataset: &Path, undisturbed: &Path) {
    for wanted in [".arrow", ".json.zst", ".zst"] {
        let (ours, theirs) = (contents(dataset, wanted), contents(undisturbed, wanted));
        assert!(!ours.is_empty() && ours == theirs, "files that end in {wanted} differ");
    }
    stdout_of(["verify".as_ref(), dataset.as_os_str()]);
}

/// How many notes of samples that were read lie in the temporary folder.
fn notes(temp: &Path) -> usize {
    let folders = std::fs::read_dir(temp).into_iter().flatten().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten();
    files.flatten().filter(|file| file.path().extension().is_some_and(|e| e == "json")).count()
}

/// Sends a signal to the conversion of a cohort once some samples are read, and goes on.
fn interrupt_cohort(signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let inputs = cohort(folder.path(), 24);
    let (dataset, undisturbed, temp) = (path("a.ram"), path("b.ram"), path("temp"));
    std::fs::create_dir(&temp).expect("a folder");
    assert_eq!(resumed(to_ram(None, &inputs, &temp, &undisturbed)), 0);
    assert!(std::fs::read_dir(&temp).expect("a folder").next().is_none(), "something is left");

    let mut child =
        to_ram(None, &inputs, &temp, &dataset).stdout(Stdio::null()).spawn().expect("it starts");
    while notes(&temp) < 3 {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(number));
    assert!(!dataset.join("_manifests").exists() && !dataset.join("_metadata.json").exists());

    assert!(resumed(to_ram(Some("--resume"), &inputs, &temp, &dataset)) >= 3);
    assert_equal(&dataset, &undisturbed);
    assert!(std::fs::read_dir(&temp).expect("a folder").next().is_none(), "something is left");
}

#[test]
fn test_killed_conversion_of_a_cohort_goes_on() {
    interrupt_cohort("-KILL", 9);
}

#[test]
fn test_interrupted_conversion_of_a_cohort_goes_on() {
    interrupt_cohort("-INT", 2);
}

#[test]
fn test_cohort_goes_on_once_a_broken_file_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let inputs = cohort(folder.path(), 6);
    let (dataset, undisturbed, temp) = (path("a.ram"), path("b.ram"), path("temp"));
    std::fs::create_dir(&temp).expect("a folder");
    resumed(to_ram(None, &inputs, &temp, &undisturbed));

    // It is whole at both ends, and damaged where only reading it can tell.
    let whole = std::fs::read(&inputs[4]).expect("a file");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0x55);
    std::fs::write(&inputs[4], damaged).expect("a file");
    let failed = to_ram(None, &inputs, &temp, &dataset).output().expect("the program starts");
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("s5.bam"), "{}", stderr(&failed));
    assert!(!dataset.join("_manifests").exists() && !dataset.join("_metadata.json").exists());

    std::fs::write(&inputs[4], whole).expect("a file");
    assert!(resumed(to_ram(Some("--resume"), &inputs, &temp, &dataset)) >= 3);
    assert_equal(&dataset, &undisturbed);
}

/// `ht-to-parquet` of a table in a bucket.
fn to_parquet(server: &s3::Server, out: &Path, flags: &[&str]) -> Command {
    let table = format!("s3://{}/made.ht", s3::BUCKET);
    let words =
        ["ht-to-parquet", "--json", "--progress", "none", "-@", "2", "--min-file-bytes", "0"];
    let words = words.iter().chain(flags).copied().chain([table.as_str()]).map(AsRef::as_ref);
    let mut command = format_tools(words.chain([out.as_os_str()]));
    command
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY)
        .env("AWS_REGION", "us-east-1");
    command
}

/// Sends a signal to the export of a table that waits for one of its partitions, and goes on.
fn interrupt_export(signal: &str, number: i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let server = s3::Server::start().expect("a server");
    let made = server.folder(s3::BUCKET).join("made.ht");
    let store = Store::open(&made.to_string_lossy(), &StoreOptions::default()).expect("a store");
    let table = VrsTable { partitions: 180, rows: 60, seed: 4, newest: false };
    table.write(&store, 2).expect("a table");
    let (out, undisturbed) = (path("out"), path("undisturbed"));
    let export = |out: &Path, flags: &[&str]| -> serde_json::Value {
        let done = to_parquet(&server, out, flags).output().expect("the program starts");
        assert!(done.status.success(), "{}", stderr(&done));
        serde_json::from_slice(&done.stdout).expect("a summary in JSON")
    };
    assert_eq!(export(&undisturbed, &[])["rows"], 10_800);
    let whole = contents(&undisturbed, ".parquet");
    let manifest = |out: &str| path(&format!("{out}._manifest"));

    // No answer comes for partition 152 before the signal does.
    server.fail("GET", "part-00152", Fault::Delay(Duration::from_secs(3_600)), 1);
    let mut child =
        to_parquet(&server, &out, &[]).stdout(Stdio::null()).spawn().expect("it starts");
    while !path("out._resume/00001.json").exists() {
        assert!(child.try_wait().expect("a child").is_none(), "the program ended by itself");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("the program ends").signal(), Some(number));
    assert!(!manifest("out").exists());
    let left = contents(&out, ".parquet");
    assert!(left.len() >= 128 && left.len() < whole.len(), "{}", left.len());
    assert!(left.iter().all(|(name, bytes)| whole.get(name) == Some(bytes)), "a half file");

    // It is not begun again by mistake, nor gone on with otherwise.
    let again = to_parquet(&server, &out, &[]).output().expect("the program starts");
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("--resume"), "{}", stderr(&again));
    let other = ["--resume", "--compression", "snappy"];
    let other = to_parquet(&server, &out, &other).output().expect("the program starts");
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("compression"), "{}", stderr(&other));

    let summary = export(&out, &["--resume"]);
    assert!(summary["files_before"].as_u64() >= Some(128), "{summary}");
    assert!(contents(&out, "") == whole, "the resumed export has other files");
    let read = |name: &str| std::fs::read(manifest(name)).expect("a manifest");
    assert!(read("out") == read("undisturbed"), "the resumed export has another manifest");
    assert!(!path("out._resume").exists());
}

#[test]
fn test_killed_export_of_a_table_goes_on() {
    interrupt_export("-KILL", 9);
}

#[test]
fn test_interrupted_export_of_a_table_goes_on() {
    interrupt_export("-INT", 2);
}
