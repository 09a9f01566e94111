//! BCF in and out: the text that bcftools prints of a BCF is what a dataset keeps, and the BCF that
//! we write is, to bcftools, the VCF.

use std::process::{Command, Output as Ran};

use genomic_objects::records::variants::bcf::{Encoder, Header};

use super::*;
use crate::query::{bcftools, run};
use crate::roundtrip::{export, text_of};

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

/// Writes a VCF's text as BCF.
fn encode(text: &[u8]) -> Result<Vec<u8>> {
    let header = Header::parse(text)?;
    let mut bytes = header.to_bcf();
    let mut encoder = Encoder::new(&header);
    for line in text.split(|&byte| byte == b'\n') {
        if !line.is_empty() && line[0] != b'#' {
            encoder.push(line, &mut bytes)?;
        }
    }
    Ok(bytes)
}

#[test]
fn test_bcf_that_is_written_is_the_vcf_to_bcftools() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("x.bcf").display().to_string();
    let (mut count, mut refused) = (0, Vec::new());
    for path in good_files(&data).into_iter().filter(|path| path.extension().unwrap() != "bcf") {
        let name = path.display().to_string();
        match encode(&text_of(&path)) {
            Ok(bytes) => std::fs::write(&made, bytes).unwrap(),
            Err(error) => {
                let theirs = try_run(&["view", "--no-version", "-Ob", "-o", &made, &name]);
                refused.push((name, error.to_string(), theirs.status.success()));
                continue;
            }
        }
        // bcftools refuses some files that end in an empty line.
        let expected = try_run(&["view", "--no-version", &name]);
        if !expected.status.success() {
            continue;
        }
        let expected = String::from_utf8(expected.stdout).unwrap();
        let found = run(&["view", "--no-version", &made]);
        if found != expected {
            let differ = found.lines().zip(expected.lines()).find(|(ours, theirs)| ours != theirs);
            panic!("{name}: {differ:?}");
        }
        count += 1;
    }
    for (name, error, theirs) in &refused {
        println!("{name}: bcftools {theirs}: {error}");
    }
    println!("{count} equal, {} refused", refused.len());
    assert!(count > 120, "{count}");
}
