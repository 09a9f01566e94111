//! Regions, targets and samples find the records that bcftools finds.

use std::process::Command;

use genomic_objects::vcs::query::header;

use super::*;

/// Whether bcftools can be run.
pub(crate) fn bcftools() -> bool {
    let found = Command::new("bcftools").arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        corpus::skip("bcftools is not installed");
    }
    found
}

pub(crate) fn run(arguments: &[&str]) -> String {
    let output = Command::new("bcftools").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files with indels, symbolic alleles with END, several contigs, blocks of samples.
const FILES: [&str; 9] = [
    "variants/oddities/bcftools/view.vcf",
    "variants/oddities/bcftools/gvcfz.vcf",
    "variants/oddities/bcftools/norm.vcf",
    "variants/platinum_pedigree_sv_chr22.3samples.vcf.gz",
    "variants/gatk_sv_1kg_156samples.raw_calls.vcf.gz",
    "variants/1000g.chr22_10k.5samples.vcf.gz",
    "variants/hail_1kg_exome.100samples.vcf.gz",
    "gvcf/NA12878.platinum_illumina_gvcf.chr21.vcf.gz",
    "annotation/dbsnp_138.b37.small.vcf.gz",
];

/// The text of a file, and the same file in BGZF with an index.
fn prepared(path: &Path, folder: &Path) -> (Vec<u8>, String) {
    let bytes = std::fs::read(path).unwrap();
    let text = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => testkit::oracle::gunzip(&bytes).unwrap(),
        false => bytes,
    };
    let plain = folder.join("x.vcf");
    std::fs::write(&plain, &text).unwrap();
    let indexed = folder.join("x.vcf.gz").display().to_string();
    run(&["view", "--no-version", "-Oz", "-o", &indexed, plain.to_str().unwrap()]);
    run(&["index", "-f", &indexed]);
    (text, indexed)
}

/// CHROM, POS, REF and ALT of each line, in the order of places.
fn keys(text: &str) -> Vec<String> {
    let key = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        [fields[0], fields[1], fields[3], fields[4]].join(" ")
    };
    let mut keys: Vec<String> =
        text.lines().filter(|line| !line.starts_with('#')).map(key).collect();
    keys.sort();
    keys
}

#[test]
fn test_regions_and_targets_find_what_bcftools_finds() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let mut compared = 0;
    for name in FILES {
        let folder = tempfile::tempdir().unwrap();
        let (text, indexed) = prepared(&data.join(name), folder.path());
        let store = Store::in_memory();
        let small = WriteOptions { row_group_rows: 300, ..options() };
        convert(name, &text, &store, &small).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let places: Vec<(&str, u64)> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let mut fields = line.split('\t');
                (fields.next().unwrap(), fields.next().unwrap().parse().unwrap())
            })
            .collect();
        let mut choices = Choices(17);
        for _ in 0..12 {
            let (contig, at) = places[choices.below(places.len() as u64) as usize];
            let from = (at + choices.below(60)).saturating_sub(choices.below(900)).max(1);
            let to = from + choices.below(3_000);
            let region = format!("{contig}:{from}-{to}");
            let ours = lines(&store, &regions(&[&region])).unwrap().0;
            let theirs = run(&["view", "-H", "-r", &region, &indexed]);
            assert_eq!(keys(&String::from_utf8_lossy(&ours)), keys(&theirs), "{name} -r {region}");
            for exclude in [false, true] {
                let targets = Places {
                    targets: vec![region.clone()],
                    exclude_targets: exclude,
                    ..Places::default()
                };
                let ours = lines(&store, &targets).unwrap().0;
                let caret = if exclude { "^" } else { "" };
                let theirs = run(&["view", "-H", "-t", &format!("{caret}{region}"), &indexed]);
                let ours = keys(&String::from_utf8_lossy(&ours));
                assert_eq!(ours, keys(&theirs), "{name} -t {caret}{region}");
            }
            compared += 3;
        }
        files_of_places_agree(&store, &indexed, &places, folder.path());
    }
    assert!(compared > 200, "{compared}");
}

/// Compares regions and targets of files, left out and not, with what bcftools finds.
fn files_of_places_agree(store: &Store, indexed: &str, places: &[(&str, u64)], folder: &Path) {
    let (contig, at) = places[places.len() / 2];
    let texts = [
        ("places.bed", format!("{contig}\t{}\t{}\n", at - 1, at + 400)),
        ("places.txt", format!("{contig}\t{}\t{}\n", at - 1, at + 90)),
        ("points.txt", format!("{contig}\t{at}\n{contig}\t{}\n", at + 200)),
    ];
    for (name, text) in texts {
        let path = folder.join(name).display().to_string();
        std::fs::write(&path, &text).unwrap();
        let file = Some((path.clone(), text));
        let wanted = [
            (Places { region_file: file.clone(), ..Places::default() }, "-R", path.clone()),
            (Places { target_file: file.clone(), ..Places::default() }, "-T", path.clone()),
            (
                Places { target_file: file, exclude_targets: true, ..Places::default() },
                "-T",
                format!("^{path}"),
            ),
        ];
        for (places, option, argument) in wanted {
            let ours = lines(store, &places).unwrap().0;
            let theirs = run(&["view", "-H", option, &argument, indexed]);
            let ours = keys(&String::from_utf8_lossy(&ours));
            assert_eq!(ours, keys(&theirs), "{option} {argument} of {contig}:{at}");
        }
    }
}

#[test]
fn test_samples_are_those_of_bcftools() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    for name in [
        "variants/hail_1kg_exome.100samples.vcf.gz",
        "variants/1000g_phase3.chr22_16-16.5M.2504samples.vcf.gz",
        "variants/haploid_chrX.3samples.vcf",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (text, indexed) = prepared(&data.join(name), folder.path());
        let store = Store::in_memory();
        convert(name, &text, &store, &options()).unwrap();
        let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
        let names = &reader.schema().samples;
        let count = names.len();
        for samples in [vec![0], vec![count - 1, 0], vec![count / 2, 1, count - 1]] {
            let list: Vec<&str> = samples.iter().map(|&at| names[at].as_str()).collect();
            let list = list.join(",");
            let theirs = run(&["query", "-s", &list, "-f", "%POS[\t%GT]\n", &indexed]);
            let out = Shared::default();
            let query = Query { samples: Some(samples.clone()), threads: 2, ..Query::default() };
            queries::run(&reader, &query, Output::Vcf, Box::new(out.clone())).unwrap();
            let ours = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
            let cells = |line: &str| {
                let fields: Vec<&str> = line.split('\t').collect();
                let genotype = |cell: &&str| cell.split(':').next().unwrap().to_owned();
                let cells: Vec<String> = fields[9..].iter().map(genotype).collect();
                format!("{}\t{}\n", fields[1], cells.join("\t"))
            };
            assert!(ours.lines().map(cells).collect::<String>() == theirs, "{name} -s {list}");
            let header =
                String::from_utf8(header(&reader, Some(&samples), false).unwrap()).unwrap();
            let last = header.lines().last().unwrap();
            assert!(last.ends_with(&format!("FORMAT\t{}", list.replace(',', "\t"))), "{last}");
        }
    }
}

#[test]
fn test_tables_have_the_values_of_the_text() {
    // Samples with columns of their own, and in blocks.
    for samples in [2, 300] {
        tables_have_the_values_of_the_text(samples);
    }
}

fn tables_have_the_values_of_the_text(samples: usize) {
    let store = Store::in_memory();
    let text = crate::engines::cohort(samples, 300);
    convert("cohort", &text, &store, &options()).unwrap();
    let last = format!("S{}", samples - 1);
    let ask = |format: TableFormat| {
        let reader = Reader::open(&store, At::Newest, &regions(&["X:1-20000"])).unwrap();
        let names = [format!("{last}_GT"), format!("{last}_DP")];
        let columns = ["CHROM", "POS", "INFO_DP", "INFO/AF"].map(str::to_owned).into_iter();
        let columns = columns.chain(names).collect();
        let out = Shared::default();
        let query = Query { columns: Some(columns), threads: 2, ..Query::default() };
        queries::run(&reader, &query, Output::Table(format), Box::new(out.clone())).unwrap();
        out.0.lock().unwrap().clone()
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let wanted: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("X\t"))
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|fields| fields[1].parse::<u64>().unwrap() <= 20_000)
        .collect();
    assert!(wanted.len() > 10);
    let tsv = String::from_utf8(ask(TableFormat::Tsv)).unwrap();
    let json = String::from_utf8(ask(TableFormat::Json)).unwrap();
    for ((fields, tsv), json) in wanted.iter().zip(tsv.lines()).zip(json.lines()) {
        let (depth, frequency) = fields[7].split_once(";AF=").unwrap();
        let depth = depth.strip_prefix("DP=").unwrap();
        let (genotype, reads) = fields.last().unwrap().split_once(':').unwrap();
        assert_eq!(tsv, format!("X\t{}\t{depth}\t{frequency}\t{genotype}\t{reads}", fields[1]));
        let expected = format!(
            "{{\"CHROM\":\"X\",\"POS\":{},\"INFO_DP\":{depth},\"INFO_AF\":[{frequency}],\
             \"{last}_GT\":\"{genotype}\",\"{last}_DP\":{reads}}}",
            fields[1]
        );
        assert_eq!(json, expected);
    }
    assert_eq!(tsv.lines().count(), wanted.len());
    assert!(ask(TableFormat::Arrow).len() > 100 && ask(TableFormat::Parquet).starts_with(b"PAR1"));
}
