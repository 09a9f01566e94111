//! BCF in and out: the text that bcftools prints of a BCF is what a dataset keeps, and the BCF that
//! we write is, to bcftools, the VCF.

use std::process::{Command, Output as Ran};

use genomic_objects::error::ErrorKind;
use genomic_objects::pipeline::SortOptions;
use genomic_objects::vcs::export::bcf;

use super::*;
use crate::query::{bcftools, run};
use crate::roundtrip::export;

fn try_run(arguments: &[&str]) -> Ran {
    Command::new("bcftools").args(arguments).output().unwrap()
}

/// A BCF of each good file: as it is, or as bcftools makes it, where it can.
fn each_bcf(data: &Path, mut check: impl FnMut(&str, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("x.bcf").display().to_string();
    for path in good_files(data) {
        let name = path.display().to_string();
        if name.ends_with(".bcf") {
            check(&name, &name);
        } else if try_run(&["view", "--no-version", "-Ob", "-o", &made, &name]).status.success() {
            check(&name, &made);
        }
    }
}

#[test]
fn test_bcf_becomes_the_text_that_bcftools_prints() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let mut count = 0;
    each_bcf(&data, |name, bcf| {
        let expected = run(&["view", "--no-version", bcf]);
        let store = Store::in_memory();
        let summary = convert(name, &std::fs::read(bcf).unwrap(), &store, &options());
        summary.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(export(&store) == expected.as_bytes(), "{name}");
        count += 1;
    });
    assert!(count > 120, "{count}");
}

/// A dataset as BCF; none where it is refused by name.
fn bcf_of(name: &str, store: &Store) -> Option<Vec<u8>> {
    let reader = Reader::open(store, At::Newest, &Places::default()).unwrap();
    let mut bytes = Vec::new();
    let progress = Arc::new(Progress::default());
    let outcome = bcf(&reader, 2, SortOptions::default(), &progress, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    });
    match outcome {
        Ok(_) => Some(bytes),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
            println!("{name}: {error}");
            None
        }
    }
}

/// Whether a text is another with some lines of header more: declarations that BCF needs.
fn is_same_but_for_declarations(ours: &str, theirs: &str) -> bool {
    let mut ours = ours.lines();
    theirs.lines().all(|line| {
        ours.by_ref()
            .take_while(|other| other.starts_with("##") || *other == line)
            .any(|other| other == line)
    }) && ours.next().is_none()
}

#[test]
fn test_bcf_that_is_written_is_the_vcf_to_bcftools() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("x.bcf").display().to_string();
    let plain = folder.path().join("x.vcf").display().to_string();
    let (mut equal, mut refused) = (0, 0);
    for path in good_files(&data) {
        let name = path.display().to_string();
        let store = Store::in_memory();
        convert(&name, &std::fs::read(&path).unwrap(), &store, &options()).unwrap();
        let Some(bytes) = bcf_of(&name, &store) else {
            refused += 1;
            continue;
        };
        std::fs::write(&made, bytes).unwrap();
        std::fs::write(&plain, export(&store)).unwrap();
        let expected = try_run(&["view", "--no-version", &plain]);
        // bcftools refuses some files that end in an empty line.
        if expected.status.success() {
            let expected = String::from_utf8(expected.stdout).unwrap();
            let found = run(&["view", "--no-version", &made]);
            assert!(is_same_but_for_declarations(&found, &expected), "{name}");
            equal += 1;
        }
    }
    println!("{equal} equal, {refused} refused");
    assert!(equal > 150 && refused < 12, "{equal} equal, {refused} refused");
}

#[test]
fn test_query_as_bcf_is_the_query_as_vcf() {
    if !bcftools() {
        return;
    }
    let store = Store::in_memory();
    convert("cohort", &crate::engines::cohort(70, 200), &store, &options()).unwrap();
    let reader = Reader::open(&store, At::Newest, &regions(&["X"])).unwrap();
    let ask = |form: Output| {
        let samples = Some(vec![3, 1]);
        let query = Query { samples, with_header: true, threads: 2, ..Query::default() };
        let out = Shared::default();
        queries::run(&reader, &query, form, Box::new(out.clone())).unwrap();
        out.0.lock().unwrap().clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let view = |name: &str, form: Output| {
        let file = folder.path().join(name).display().to_string();
        std::fs::write(&file, ask(form)).unwrap();
        run(&["view", "--no-version", &file])
    };
    let text = view("x.vcf", Output::Vcf);
    assert!(text.lines().filter(|line| line.starts_with('X')).count() > 10);
    assert!(is_same_but_for_declarations(&view("x.bcf", Output::Bcf), &text));
}
