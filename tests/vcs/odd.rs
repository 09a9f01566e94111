//! What is odd is counted: of each file that breaks the specification, and of few that keep it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use genomic_objects::vcs::odd::Kind;

use super::*;
use crate::bad_input::malformed_files;

/// Kinds that most files of the suites have, whatever else is wrong with them.
const UNDECLARED: [Kind; 4] =
    [Kind::InfoUndeclared, Kind::FormatUndeclared, Kind::FilterUndeclared, Kind::ContigUndeclared];

/// Files whose fault is none that we look for, each with the reason.
const NOT_LOOKED_FOR: [(&str, &str); 7] = [
    ("gvcf/bcftools_merge.broken-gvcf.a.vcf", OVERLAP),
    ("gvcf/bcftools_merge.broken-gvcf.b.vcf", OVERLAP),
    ("vcf/ebi-4.4/failed_body_invalid_CNVTR_3.vcf", AGREEMENT),
    ("vcf/ebi-4.4/failed_body_invalid_format_2.vcf", AGREEMENT),
    ("vcf/ebi-4.4/failed_body_invalid_sample_PSL.vcf", AGREEMENT),
    ("vcf/ebi-4.4/failed_body_invalid_sample_PSO.vcf", AGREEMENT),
    (
        "vcf/ebi-4.4/failed_meta_contig_003.vcf",
        "contigs may have an asterisk in their names, as those of HLA alleles do",
    ),
];
const OVERLAP: &str = "two blocks of a gVCF may overlap: VCF does not forbid it";
const AGREEMENT: &str = "whether the values of several fields agree is a question to their meaning";

/// What became of a file.
enum Fate {
    Refused(String),
    Accepted(Vec<Kind>),
}

fn fate_of(name: &str, bytes: &[u8]) -> Fate {
    match convert(name, bytes, &Store::in_memory(), &options()) {
        Err(error) => Fate::Refused(error.to_string()),
        Ok(summary) => {
            let kinds = Kind::ALL.iter().copied();
            Fate::Accepted(kinds.filter(|kind| summary.odd.contains_key(kind.name())).collect())
        }
    }
}

#[test]
fn test_every_malformed_file_is_refused_or_counted() {
    let Some(data) = corpus::require() else { return };
    let fates: Vec<(String, Fate)> = malformed_files(&data)
        .into_iter()
        .map(|(folder, path)| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let fate = fate_of(&name, &std::fs::read(&path).unwrap());
            (format!("{folder}/{name}"), fate)
        })
        .collect();
    let is_silent = |fate: &Fate| match fate {
        Fate::Refused(_) => false,
        Fate::Accepted(kinds) => kinds.iter().all(|kind| UNDECLARED.contains(kind)),
    };
    let silent: Vec<&str> =
        fates.iter().filter(|(_, fate)| is_silent(fate)).map(|(file, _)| file.as_str()).collect();
    let known: Vec<&str> = NOT_LOOKED_FOR.iter().map(|(file, _)| *file).collect();
    assert_eq!(silent, known);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/vcf-validation.md");
    let text = document(&fates);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == written, "run this test with UPDATE_SNAPSHOTS=1 to renew {}", path.display());
}

/// `docs/vcf-validation.md`.
fn document(fates: &[(String, Fate)]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let (mut refused, mut accepted) = (Vec::new(), Vec::new());
    for (file, fate) in fates {
        match fate {
            Fate::Refused(error) => refused.push((file, error.lines().next().unwrap_or_default())),
            Fate::Accepted(kinds) => {
                kinds.iter().for_each(|kind| *counts.entry(*kind).or_default() += 1);
                accepted.push((file, kinds));
            }
        }
    }
    let mut text = format!(
        "# What becomes of VCF that breaks the rules\n\n\
`vcf-to-vcs` refuses what it cannot understand: a file without `##fileformat` and `#CHROM` lines, a \
record with too few or too many columns or without a position, a truncated file. The error names the \
file, the line, the column and the reason. Everything else is converted and comes back byte for byte, \
because a program that reads the dataset can still use the record, and because a value that was \
repaired would be another value. What the specification forbids is counted by kind, with the line, \
the column and an example of the first: in the closing summary, in its `--json`, in the manifest's \
`odd` and in `format-tools info`.\n\n\
Of the {} malformed files of hts-specs, vcf-validator and others in our corpora, {} are refused and {} \
are accepted. A test makes this page from them, and fails where an accepted file has nothing counted \
that its fault explains, but for those listed last.\n\n\
## Kinds\n\n| kind | meaning | files |\n|---|---|---:|\n",
        fates.len(),
        refused.len(),
        accepted.len(),
    );
    for kind in Kind::ALL {
        let count = counts.get(kind).copied().unwrap_or(0);
        let meaning = kind.meaning().replace('|', "\\|");
        let _ = writeln!(text, "| {} | {meaning} | {count} |", kind.name());
    }
    text += "\n## Refused\n\n| file | reason |\n|---|---|\n";
    for (file, error) in refused {
        let name = file.rsplit('/').next().unwrap();
        let reason = error.strip_prefix(&format!("{name}: ")).unwrap_or(error).replace('|', "\\|");
        let _ = writeln!(text, "| {file} | {reason} |");
    }
    text += "\n## Accepted\n\n| file | what was odd |\n|---|---|\n";
    for (file, kinds) in accepted {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let _ = writeln!(text, "| {file} | {} |", names.join(", "));
    }
    text += "\n## Accepted without a count of their fault\n\n| file | why |\n|---|---|\n";
    for (file, reason) in NOT_LOOKED_FOR {
        let _ = writeln!(text, "| {file} | {reason} |");
    }
    text
}

/// Kinds that no file has which keeps to the specification, by those who wrote the suites. The rest
/// are things that validators differ on.
const NEVER_IN_PASSED: [Kind; 12] = [
    Kind::Pos,
    Kind::Id,
    Kind::Ref,
    Kind::Alt,
    Kind::Qual,
    Kind::InfoDuplicate,
    Kind::Info,
    Kind::CellLength,
    Kind::IntegerRange,
    Kind::Negative,
    Kind::Utf8,
    Kind::Url,
];

#[test]
fn test_good_files_have_little_that_is_odd() {
    let Some(data) = corpus::require() else { return };
    let mut all: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for path in good_files(&data) {
        let name = path.display().to_string();
        let summary =
            convert(&name, &std::fs::read(&path).unwrap(), &Store::in_memory(), &options())
                .unwrap();
        for kind in Kind::ALL {
            if let Some(found) = summary.odd.get(kind.name()) {
                let is_passed = name.contains("/passed_");
                assert!(
                    !(is_passed && NEVER_IN_PASSED.contains(kind)),
                    "{name}: {kind:?} {found:?}"
                );
                all.entry(*kind).or_default().push(format!("{name}: {found:?}"));
            }
        }
    }
    let mut text = String::new();
    for (kind, files) in &all {
        let _ = writeln!(text, "{}: {}\n  {}", kind.name(), files.len(), files.join("\n  "));
    }
    println!("{text}");
}

#[test]
fn test_manifest_tells_what_was_odd_and_is_as_its_json_schema_says() {
    let text = "##fileformat=VCFv4.3\n##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
                #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n\
                1\t9\t.\tA\tC\t.\t.\tDP=3\n1\t5\t.\tA\tC\t.\t.\tDP=x\n1\t7\t.\tA\tC,C\t.\t.\tDP=y\n";
    let store = Store::in_memory();
    let summary = convert("odd.vcf", text.as_bytes(), &store, &options()).unwrap();
    let found = |kind: Kind| {
        let found = &summary.odd[kind.name()];
        (found.count, found.line, found.column, found.example.as_str())
    };
    assert_eq!(found(Kind::ValueType), (2, 5, 8, "x"));
    assert_eq!(found(Kind::AltDuplicate), (1, 6, 5, "C,C"));
    assert_eq!(found(Kind::Order), (1, 5, 1, ""));
    assert_eq!(summary.odd.len(), 3);
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    assert_eq!(reader.details().odd, summary.odd);

    if !testkit::python::require(&["jsonschema"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let manifest = String::from_utf8(store.get("_metadata.json").unwrap().to_vec()).unwrap();
    let variants = [
        manifest.clone(),
        manifest.replace("\"count\"", "\"counts\""),
        manifest.replace("\"variant_count\": ", "\"variant_count\": -"),
    ];
    let mut files = Vec::new();
    for (at, text) in variants.iter().enumerate() {
        let path = folder.path().join(format!("{at}.json"));
        std::fs::write(&path, text).unwrap();
        files.push(path);
    }
    let schemas = ["manifest.schema.json", "vcs.manifest.schema.json"];
    assert_eq!(testkit::python::conform(&schemas, &files).unwrap(), [true, false, false]);
}
