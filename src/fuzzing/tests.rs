//! Replays what fuzzing found, and seeds, which it also writes where a folder is asked for.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use super::{TARGETS, run};
use crate::codec::Effort;
use crate::dataset::{Change, InputInfo, TransactionId};
use crate::pipeline::{Progress, SortOptions};
use crate::records::alignments::{Source, SourceOptions, open};
use crate::records::reads::{self, Framer};
use crate::store::{Input, Store};
use crate::{paf, ram, srf, vcs};

/// The folder that gets a folder of seeds for each target.
const CORPUS: &str = "GENOMIC_OBJECTS_FUZZ_CORPUS";

pub(crate) const SAM: &str = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000000\n\
    @SQ\tSN:chr2\tLN:1000000\n@SQ\tSN:HLA-A*01:01\tLN:1000000\n@RG\tID:a\tSM:x\n\
    r1\t99\tchr1\t100\t60\t4M1I3M2S\t=\t200\t110\tACGTNACGTA\tIIIIIIIIII\tRG:Z:a\tNM:i:2\tMD:Z:3A3\tZB:B:c,1,-2\n\
    r1\t147\tchr1\t200\t60\t10M\t=\t100\t-110\tACGTNACGTA\tIIII#IIIII\tRG:Z:a\tNM:i:0\tMD:Z:10\n\
    r3\t16\tchr2\t7\t255\t5H3M100N2M\t*\t0\t0\tACGTA\t*\tXF:f:1.5\tXA:A:x\n\
    r2\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\tHH:H:1AE3\n";

pub(crate) const FASTQ: &str = "@r:1:10 1:N:0:ACGT\nACGTN\n+\nII#5I\n@r:1:11 1:N:0:ACGT\nA\n+\n!\n\
    @r:1:20 1:N:0:ACGT\nACGTACGT\n+r:1:20 1:N:0:ACGT\nIIIIIIII\n";

pub(crate) fn input(bytes: &[u8]) -> Input {
    Input {
        name: "x".into(),
        size: None,
        version: None,
        reader: Box::new(Cursor::new(bytes.to_vec())),
    }
}

pub(crate) fn source(bytes: &[u8]) -> Box<dyn Source> {
    open("x", Box::new(Cursor::new(bytes.to_vec())), &SourceOptions::default()).unwrap()
}

/// A small dataset of each format.
fn datasets() -> [Store; 4] {
    let stores = [(); 4].map(|()| Store::in_memory());
    let created = || "2026-01-01T00:00:00Z".to_owned();
    let transaction = TransactionId::from_bytes([7; 16]);
    let info = || InputInfo { name: "x".into(), size_bytes: None, checksum: None, program: None };
    let progress = Arc::new(Progress::default());
    let options = paf::write::WriteOptions {
        chunk_size: 1_000_000,
        effort: Effort::Default,
        sample: None,
        threads: 1,
        ordering: paf::order::Ordering { sort: false, options: SortOptions::default() },
        change: Change::Create,
        verify: false,
        dry_run: false,
        created: created(),
        transaction,
        input: info(),
    };
    paf::write::write(source(SAM.as_bytes()).as_mut(), &stores[0], &options, &progress).unwrap();
    let options = srf::write::WriteOptions::new(created(), transaction, vec![info()]);
    let framers = || {
        let (name, text) = reads::open(input(FASTQ.as_bytes()), 1)?;
        Ok(vec![Framer::new(text, &name)?])
    };
    srf::write::write(framers, &stores[1], &options, &progress).unwrap();
    let both = [transaction, TransactionId::from_bytes([8; 16])];
    let options = vcs::write::WriteOptions::new(created(), both, info());
    let mut lines = || vcs::text::open(input(vcs::fuzzing::VCF.as_bytes()));
    vcs::write::write(&mut lines, &stores[2], &options, &progress).unwrap();
    let options = ram::write::WriteOptions::new(created(), transaction);
    let inputs = [ram::write::SampleInput { name: Some("s".into()), info: info() }];
    let files = |_| Ok(ram::ingest::Opened::File(source(SAM.as_bytes()), None));
    ram::write::write(&inputs, &files, None, &stores[3], &options, &progress).unwrap();
    stores
}

/// What a corpus begins with, by target.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    let mut texts = |target: &'static str, texts: &[&str]| {
        all.extend(texts.iter().map(|text| (target, text.as_bytes().to_vec())));
    };
    texts(
        "region",
        &[
            "chr1",
            "chr1:1,000-2,000",
            "{HLA-A*01:01}:5-6",
            "chr1:1.5M-2M",
            "chr1:-7",
            "*",
            ".",
            "chr1:1:5k",
        ],
    );
    texts("bed", &["track x\n#c\nchr1\t5\t9\tname\nchr1 7 8\r\n\nHLA-A*01:01\t0\t4294967295\n"]);
    texts(
        "filter_expression",
        &[
            "mapq > 3 && !flag.dup || [NM] <= 2",
            "rname =~ \"^chr[0-9]+$\" && length(seq) * 2 - 1 >= 0x10",
            "default([AS], 1.5) != min(qual) | sum([ZB]) & ~5 ^ 3",
            "avg(qual) / ncigar % 2 == qlen && exists([RG]) && library == \"l\"",
            "sclen + hclen > 1 && cigar == \"4M\" && rnext == rname && mpos > pos && endpos < tlen",
        ],
    );
    texts(
        "vcf_expression",
        &[
            "QUAL>10 | FMT/DP>6 && GT=\"het\"",
            "(AF[*]>0.1 && TYPE~\"snp\") || ID=@ids",
            "N_ALT-(1+2)*3 >= MEAN(FMT/AD[@samples:1]) && INFO/STR ~ \"^a.*/i\"",
            "F_MISSING<0.5 && N_PASS(GT=\"alt\")>=1 && FILTER!=\"PASS\" && strlen(REF)%2=1",
            "GL[0:0-2] < -1e-3 || binom(AD) > .05 && SMPL_MAX(AD)='.' && DB=1",
        ],
    );
    texts("sam", &SAM.lines().filter(|line| !line.starts_with('@')).collect::<Vec<_>>());
    texts("alignment_file", &[&format!("0{SAM}")]);
    texts("fastq", &[FASTQ, ">a b\nACGT\nAC\n>c\nA\n", "@a\r\nAC\r\nGT\r\n+\r\nII\r\nII\r\n"]);
    texts("vcf", &[vcs::fuzzing::VCF]);
    for (encoded, of) in crate::hail::fuzzing::TYPES {
        texts(
            "hail_types",
            &[encoded, of, &format!("Table{{global:Struct{{}},key:[a],row:{of}}}")],
        );
    }
    texts("hail_types", &["Struct{`a \\u00e9`:+Set[Call],b:+NDArray[+Float32,2],c:Locus(GRCh37)}"]);
    all.extend(crate::codec::fuzzing::seeds::all());
    all.extend(crate::records::fuzzing::seeds::all());
    all.extend(crate::paf::fuzzing::seeds::all());
    all.extend(crate::srf::fuzzing::seeds::all());
    all.extend(crate::vcs::fuzzing::seeds::all());
    all.extend(crate::ram::fuzzing::seeds::all());
    all.extend(crate::hail::fuzzing::seeds::all());
    for store in datasets() {
        for object in store.list("").unwrap() {
            let bytes = store.get(&object.key).unwrap().to_vec();
            if object.key == "_metadata.json" {
                let end = bytes.windows(10).position(|part| part == b"  \"digest\":").unwrap_or(
                    bytes.windows(11).rposition(|part| part == b"  \"digest\":").unwrap(),
                );
                all.push(("manifest", bytes[..end].to_vec()));
            } else if object.key.ends_with(".bin") && bytes.starts_with(b"PAF1") {
                all.push(("paf_header", bytes));
            }
        }
    }
    all
}

#[test]
fn test_targets_survive_their_seeds() {
    let seeds = seeds();
    for (target, seed) in &seeds {
        run(target, seed);
        // Cut short at every length, as far as that is quick.
        for end in 0..seed.len().min(200) {
            run(target, &seed[..end]);
        }
    }
    for (target, _) in TARGETS {
        assert!(seeds.iter().any(|(name, _)| name == target), "{target} has no seed");
    }
    if let Some(corpus) = std::env::var_os(CORPUS) {
        for (number, (target, seed)) in seeds.iter().enumerate() {
            let folder = Path::new(&corpus).join(target);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}

#[test]
fn test_targets_survive_what_fuzzing_found() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    for (target, _) in TARGETS {
        let Ok(folder) = std::fs::read_dir(inputs.join(target)) else { continue };
        for entry in folder {
            run(target, &std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}
