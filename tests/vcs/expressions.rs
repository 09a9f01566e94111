//! Expressions and formats give what bcftools gives, on many files.

use std::path::PathBuf;
use std::process::Command;

use genomic_objects::error::ErrorKind;
use genomic_objects::vcs::filter::Filter;

use super::query::bcftools;
use super::*;

/// Variants of one caller and of many, of exomes and of genomes, of no, few and many samples.
const FILES: [&str; 22] = [
    "variants/oddities/bcftools/view.vcf",
    "variants/oddities/bcftools/gvcfz.vcf",
    "variants/oddities/bcftools/norm.vcf",
    "variants/oddities/bcftools/view.vectors.vcf",
    "variants/oddities/bcftools/filter.3.vcf",
    "variants/oddities/bcftools/view.filter.annovar.vcf",
    "variants/1000g.chr22_10k.5samples.vcf.gz",
    "variants/hail_1kg_exome.100samples.vcf.gz",
    "variants/ceu_exon_1000g_pilot.90samples.vcf.gz",
    "variants/gatk_189samples.vcf.gz",
    "variants/haploid_chrX.3samples.vcf",
    "variants/platinum_pedigree_sv_chr22.3samples.vcf.gz",
    "variants/strelka_somatic_snvs.tumor_normal.vcf.gz",
    "variants/clinvar_vep_split.vcf",
    "gvcf/NA12878.platinum_illumina_gvcf.chr21.vcf.gz",
    "gvcf/NA19240.YRIoffspring.chr20snippet.g.vcf",
    "gvcf/tetraploid.gatk3.g.vcf",
    "gvcf/dragen.g.vcf",
    "annotation/dbsnp_138.b37.small.vcf.gz",
    "annotation/gnomad_exomes_r2.0.1_chr1.vcf.gz",
    "annotation/exac_r1_vep_chr1.vcf.gz",
    "annotation/gnomad_sv_v2.sites.vcf.gz",
];

/// Records of a file that are looked at.
const MOST_RECORDS: usize = 160;

/// Expressions that ask for nothing that some file may lack, or that are refused where it does.
const EXPRESSIONS: [&str; 92] = [
    "QUAL>30",
    "QUAL>=100 && FILTER=\"PASS\"",
    "QUAL<50 | QUAL=\".\"",
    "QUAL!=\".\"",
    "-QUAL<-100",
    "QUAL/10>5",
    "QUAL%2=0",
    "FILTER=\"PASS\"",
    "FILTER!=\"PASS\"",
    "FILTER=\".\"",
    "FILTER~\"PASS\"",
    "FILTER!~\"PASS\"",
    "ID!=\".\"",
    "ID~\"^rs[0-9]*5$\"",
    "ID!~\"rs\"",
    "POS%2=0",
    "POS>30000000 & POS<40000000",
    "CHROM=\"20\" || CHROM=\"chr21\" || CHROM=\"22\"",
    "REF=\"A\"",
    "REF=\"A,C\"",
    "REF~\"^[AC]\\+$\"",
    "ALT=\"T\"",
    "ALT[0]=\"G\"",
    "ALT[1]!=\".\"",
    "ALT=\".\"",
    "ALT~\"<\"",
    "STRLEN(REF)>1",
    "STRLEN(ALT)>=2",
    "STRLEN(ALT[0])=1",
    "TYPE=\"snp\"",
    "TYPE!=\"snp\"",
    "TYPE~\"indel\"",
    "TYPE!~\"indel\"",
    "TYPE=\"mnp\" || TYPE=\"other\"",
    "TYPE=\"ref\"",
    "TYPE~\"bnd\" | TYPE~\"overlap\"",
    "N_ALT>1",
    "N_ALT=1 && ILEN>0",
    "ILEN<-1",
    "ABS(ILEN)>2",
    "MAX(ILEN)=0",
    "N_SAMPLES>1",
    "N_MISSING>0",
    "F_MISSING<0.1",
    "AC>1",
    "AC=1",
    "AC[0]<3",
    "AN>4",
    "AF>0.1",
    "AF<=0.01",
    "AF[0]=0.5",
    "MAC>1",
    "MAF>0.05",
    "MAF[0]<0.3",
    "AC[0]/AN>0.3",
    "AC[0]+1>2",
    "SUM(AC)=1",
    "GT=\"het\"",
    "GT=\"hom\"",
    "GT=\"alt\"",
    "GT=\"ref\"",
    "GT=\"mis\"",
    "GT=\"hap\"",
    "GT=\"RR\"",
    "GT=\"RA\"",
    "GT=\"AA\"",
    "GT=\"aA\"",
    "GT=\"R\" | GT=\"A\"",
    "GT!=\"het\"",
    "GT!=\"mis\" & GT!=\"ref\"",
    "GT[0]=\"alt\"",
    "GT[0-1]=\"het\" && GT[1]=\"ref\"",
    "GT[*]=\"hom\"",
    "GT=\"0/1\"",
    "GT=\"1|0\"",
    "GT=\".\"",
    "GT=\"./.\"",
    "GT~\"2\"",
    "GT~\"\\.\"",
    "GT!~\"1\"",
    "COUNT(GT=\"het\")=1",
    "COUNT(GT=\"alt\")>=2",
    "N_PASS(GT=\"alt\")>1",
    "F_PASS(GT=\"het\")>0.4",
    "N_PASS(GT=\"het\" & QUAL>50)>0",
    "QUAL>100 && GT=\"het\"",
    "QUAL>100 & GT=\"het\"",
    "QUAL>100 || GT=\"het\"",
    "QUAL>100 | GT=\"hom\"",
    "(GT=\"het\" || GT=\"hom\") && FILTER=\"PASS\"",
    "GT=\"het\" & GT=\"alt\" | QUAL>1000",
    "1+2*3=7 && QUAL>20",
];

/// A file cut down, as text and as a dataset.
struct Case {
    name: &'static str,
    plain: PathBuf,
    store: Store,
    records: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Case {
    /// As it is, or as bcftools writes it.
    fn new(data: &Path, name: &'static str, rewritten: bool) -> Self {
        let bytes = std::fs::read(data.join(name)).unwrap();
        let text = match bytes.starts_with(&[0x1f, 0x8b]) {
            true => testkit::oracle::gunzip(&bytes).unwrap(),
            false => bytes,
        };
        let text = String::from_utf8_lossy(&text);
        let (header, records): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let step = records.len().div_ceil(MOST_RECORDS).max(1);
        let records: Vec<String> = records.into_iter().step_by(step).map(str::to_owned).collect();
        let text = format!("{}\n{}\n", header.join("\n"), records.join("\n"));
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("x.vcf");
        std::fs::write(&plain, &text).unwrap();
        let rewrite = ["view", "--no-version", &plain.display().to_string()].map(str::to_owned);
        let text = match rewritten {
            true => super::query::run(&rewrite.each_ref().map(String::as_str)),
            false => text,
        };
        std::fs::write(&plain, &text).unwrap();
        let store = Store::in_memory();
        let small = WriteOptions { row_group_rows: 40, ..options() };
        convert(name, text.as_bytes(), &store, &small).unwrap();
        Self { name, plain, store, records, _folder: folder }
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.store, At::Newest, &Places::default()).unwrap()
    }

    /// What bcftools answers, unless it gives up.
    fn theirs(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("bcftools").args(arguments).arg(&self.plain).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What we answer, unless the expression asks for what the file has not.
    fn ours(&self, text: &str, exclude: bool, format: &str) -> Option<String> {
        let reader = self.reader();
        let filter = match Filter::new(text, exclude, &reader, None, &no_file) {
            Ok(filter) => filter,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
                return None;
            }
        };
        let query = Query { filter: Some(filter), threads: 2, ..Query::default() };
        let out = Shared::default();
        let outcome = queries::print(&reader, &query, format, Box::new(out.clone()));
        outcome.ok()?;
        let bytes = out.0.lock().unwrap().clone();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn all_have(&self, key: &str) -> bool {
        let has = |record: &String| {
            record.split('\t').nth(8).is_some_and(|keys| keys.split(':').any(|name| name == key))
        };
        self.records.iter().all(has)
    }

    /// The records of our VCF.
    fn our_view(
        &self,
        expression: Option<&str>,
        samples: Option<Vec<usize>>,
        keep: bool,
    ) -> String {
        let reader = self.reader();
        let filter =
            expression.map(|text| Filter::new(text, false, &reader, None, &no_file).unwrap());
        let query = Query { filter, samples, keep_counts: keep, threads: 2, ..Query::default() };
        let out = Shared::default();
        queries::run(&reader, &query, Output::Vcf, Box::new(out.clone())).unwrap();
        let counted = queries::count(&reader, &query).unwrap().records;
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count() as u64, counted, "{} {expression:?}", self.name);
        text
    }

    /// Expressions on the file's own fields and values.
    fn generated(&self) -> Vec<String> {
        let reader = self.reader();
        let schema = reader.schema();
        let mut choices = Choices(7);
        let mut expressions = Vec::new();
        let mut any = |from: &[String]| match from.is_empty() {
            true => None,
            false => Some(from[choices.below(from.len() as u64) as usize].clone()),
        };
        let values = |key: &str, in_info: bool| -> Vec<String> {
            let value = |record: &String| {
                let fields: Vec<&str> = record.split('\t').collect();
                match in_info {
                    true => fields[7]
                        .split(';')
                        .find_map(|entry| entry.strip_prefix(key)?.strip_prefix('='))
                        .map(str::to_owned),
                    false => {
                        let at = fields.get(8)?.split(':').position(|name| name == key)?;
                        let cell = fields[9..].iter().find_map(|cell| cell.split(':').nth(at));
                        cell.map(str::to_owned)
                    }
                }
            };
            let lists = self.records.iter().filter_map(value);
            lists
                .flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>())
                .filter(|value| value != "." && !value.contains(['"', '\'', '\\', '[', '*']))
                .collect()
        };
        for (fields, prefix) in [(&schema.info, "INFO/"), (&schema.format, "FMT/")] {
            let in_info = prefix == "INFO/";
            for field in fields.iter().filter(|field| field.id != "GT").take(8) {
                let name = format!("{prefix}{}", field.id);
                let known = values(&field.id, in_info);
                let Some(value) = any(&known) else { continue };
                let is_single = field.number == "1";
                match field.kind.as_str() {
                    "Integer" | "Float" => {
                        expressions.extend([
                            format!("{name}>{value}"),
                            format!("{name}<={value}"),
                            format!("{name}={value}"),
                            format!("{name}!={value}"),
                            format!("{name}=\".\""),
                            format!("{name}!=\".\""),
                            format!("MAX({name})>={value}"),
                            format!("AVG({name})<{value}"),
                            format!("MEDIAN({name})<={value} || STDEV({name})>1"),
                        ]);
                        // Of lists, bcftools computes with the first value only.
                        if is_single {
                            expressions.push(format!("{name}*2>{value}"));
                        }
                        if !is_single {
                            let zero = if in_info { "0" } else { "0:0" };
                            let one = if in_info { "1-" } else { "*:1" };
                            expressions.extend([
                                format!("{name}[{zero}]>={value}"),
                                format!("{name}[{one}]<{value}"),
                            ]);
                        }
                        if !in_info {
                            expressions.extend([
                                format!("N_PASS({name}>={value})>=1 && QUAL>0"),
                                format!("{name}>{value} & GT=\"het\""),
                                format!("{name}>{value} | GT=\"ref\""),
                            ]);
                        }
                        // Where a record lacks the field, bcftools takes that of the one before.
                        if !in_info && self.all_have(&field.id) {
                            expressions.extend([
                                format!("sSUM({name})>{value}"),
                                format!("sMIN({name})<={value} && N_ALT=1"),
                                format!("COUNT({name})>1"),
                            ]);
                        }
                    }
                    "Flag" => expressions.push(format!("{name}=1 || QUAL<20")),
                    _ => {
                        expressions.extend([
                            format!("{name}=\"{value}\""),
                            format!("{name}!=\"{value}\""),
                            format!("{name}~\"{}\"", &value[..value.len().min(3)]),
                            format!("{name}=\".\""),
                        ]);
                    }
                }
            }
        }
        expressions
    }
}

fn no_file(name: &str) -> Result<String> {
    Err(genomic_objects::Error::usage(format!("no file {name}")))
}

/// The first lines in which two answers differ.
fn difference(ours: &str, theirs: &str) -> String {
    let (mut a, mut b) = (ours.lines(), theirs.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return "the line ends".into(),
            (a, b) if a == b => {}
            (a, b) => {
                let short = |line: Option<&str>| line.map(|line| format!("{line:.200}"));
                return format!("ours {:?}, theirs {:?}", short(a), short(b));
            }
        }
    }
}

#[test]
fn test_expressions_find_what_bcftools_finds() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    const FORMAT: &str = "%CHROM %POS[ %SAMPLE]\\n";
    let (mut compared, mut refused, mut given_up) = (0, 0, 0);
    let mut wrong = Vec::new();
    for name in FILES {
        let case = Case::new(&data, name, false);
        let fixed = EXPRESSIONS.iter().map(|&text| text.to_owned());
        for text in fixed.chain(case.generated()) {
            for exclude in [false, true] {
                // Leaving out is the same in reverse; some are enough.
                if exclude && text.len() % 4 != 0 {
                    continue;
                }
                let option = if exclude { "-e" } else { "-i" };
                let theirs = case.theirs(&["query", option, &text, "-f", FORMAT]);
                match (case.ours(&text, exclude, FORMAT), theirs) {
                    (Some(ours), Some(theirs)) => {
                        compared += 1;
                        if ours != theirs {
                            let what = difference(&ours, &theirs);
                            wrong.push(format!("{} {option} {text}: {what}", case.name));
                        }
                    }
                    (None, Some(_)) => {
                        refused += 1;
                        wrong.push(format!("{} {option} {text}: refused", case.name));
                    }
                    (_, None) => given_up += 1,
                }
            }
        }
    }
    println!("{compared} compared, {refused} refused, {given_up} that bcftools gives up on");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 200, "{compared}");
}

#[test]
fn test_views_are_those_of_bcftools() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let mut compared = 0;
    for name in FILES {
        let case = Case::new(&data, name, true);
        let names = case.reader().schema().samples.clone();
        for text in EXPRESSIONS.iter().step_by(7) {
            if Filter::new(text, false, &case.reader(), None, &no_file).is_err() {
                continue;
            }
            let Some(theirs) = case.theirs(&["view", "-H", "-i", text]) else { continue };
            let ours = case.our_view(Some(text), None, false);
            assert!(ours == theirs, "{name} -i {text}: {}", difference(&ours, &theirs));
            compared += 1;
        }
        if names.len() < 2 {
            continue;
        }
        let last = names.len() - 1;
        for samples in [vec![0], vec![last, 0]] {
            let list: Vec<&str> = samples.iter().map(|&at| names[at].as_str()).collect();
            for keep in [false, true] {
                let mut arguments = vec!["view", "-H", "-s"];
                let list = list.join(",");
                arguments.push(&list);
                arguments.extend(keep.then_some("-I"));
                let text = "GT=\"alt\" || QUAL>50";
                let expression = case.ours(text, false, "").map(|_| text);
                arguments.extend(expression.iter().flat_map(|text| ["-i", *text]));
                let Some(theirs) = case.theirs(&arguments) else { continue };
                let ours = case.our_view(expression, Some(samples.clone()), keep);
                let what = difference(&ours, &theirs);
                assert!(ours == theirs, "{name} {arguments:?}: {what}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn test_formats_print_what_bcftools_prints() {
    let Some(data) = corpus::require().filter(|_| bcftools()) else { return };
    let mut compared = 0;
    for name in FILES {
        let case = Case::new(&data, name, false);
        let reader = case.reader();
        let schema = reader.schema();
        let mut formats = vec![
            "%CHROM:%POS-%END %POS0 %END0 %ID %REF/%ALT %ALT{1} %FIRST_ALT %TYPE\\n".to_owned(),
            "%QUAL\\t%FILTER\\n".to_owned(),
        ];
        let declared = |fields: &[genomic_objects::vcs::schema::FieldSpec]| -> Vec<String> {
            let fields = fields.iter().filter(|field| field.declared);
            fields.map(|field| field.id.clone()).take(12).collect()
        };
        for key in declared(&schema.info) {
            formats.push(format!("%POS %INFO/{key}|%INFO/{key}{{1}}\\n"));
        }
        for key in declared(&schema.format) {
            formats.push(format!("%POS[ %SAMPLE=%{key}]\\n"));
            if key == "GT" {
                formats.push("[%CHROM\\t%SAMPLE\\t%TGT\\n]".to_owned());
            } else {
                formats.push(format!("%POS[\\t%{key}{{1}}]\\n"));
            }
        }
        let last = schema.samples.len().saturating_sub(1);
        let subset = (last > 0).then(|| vec![last, 0]);
        for (number, format) in formats.iter().enumerate() {
            let samples = subset.clone().filter(|_| number % 2 == 1);
            let list = samples.iter().flatten().map(|&at| schema.samples[at].as_str());
            let list = list.collect::<Vec<_>>().join(",");
            let mut arguments = vec!["query", "-H", "-f", format];
            if samples.is_some() {
                arguments.extend(["-s", &list]);
            }
            let filter = (number % 3 == 2).then_some("QUAL>20 | GT=\"alt\"");
            let filter = filter.filter(|text| {
                Filter::new(text, false, &reader, samples.as_deref(), &no_file).is_ok()
            });
            arguments.extend(filter.iter().flat_map(|text| ["-i", *text]));
            let Some(theirs) = case.theirs(&arguments) else { continue };
            let filter = filter.map(|text| {
                Filter::new(text, false, &reader, samples.as_deref(), &no_file).unwrap()
            });
            let query =
                Query { filter, samples, with_header: true, threads: 2, ..Query::default() };
            let out = Shared::default();
            queries::print(&reader, &query, format, Box::new(out.clone())).unwrap();
            let ours = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
            let what = difference(&ours, &theirs);
            assert!(ours == theirs, "{name} {arguments:?}: {what}");
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn test_row_groups_are_passed_over_by_quality_and_nothing_is_lost() {
    let store = Store::in_memory();
    let mut text = String::from(
        "##fileformat=VCFv4.3\n##FILTER=<ID=low,Description=\"x\">\n\
         ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n##contig=<ID=1>\n\
         ##FORMAT=<ID=GQ,Number=1,Type=Integer,Description=\"x\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n",
    );
    let mut choices = Choices(3);
    for at in 0..2_000_u64 {
        let qual = match choices.below(40) {
            _ if at % 900 == 450 => "1e2".to_owned(),
            0 => ".".to_owned(),
            _ => format!("{}.5", at / 20 + choices.below(9)),
        };
        let depth = match choices.below(60) {
            0 => "DP".to_owned(),
            1 => "DP=5,6".to_owned(),
            2 => ".".to_owned(),
            _ => format!("DP={}", at / 10),
        };
        let filter = if at % 700 < 20 { "low" } else { "PASS" };
        let quality = choices.below(99);
        text += &format!("1\t{}\t.\tA\tC\t{qual}\t{filter}\t{depth}\tGQ\t{quality}\t.\n", at + 1);
    }
    convert("x", text.as_bytes(), &store, &WriteOptions { row_group_rows: 100, ..options() })
        .unwrap();
    let reader = Reader::open(&store, At::Newest, &Places::default()).unwrap();
    let mut passed_over = 0;
    for text in [
        "QUAL>90",
        "QUAL<=4",
        "QUAL=50.5",
        "QUAL!=50.5",
        "QUAL=\".\"",
        "INFO/DP>190",
        "INFO/DP<3 || INFO/DP>=199",
        "INFO/DP=\".\" && QUAL<50",
        "INFO/DP!=7",
        "50>QUAL & QUAL>40",
        "FILTER=\"low\"",
        "FILTER!~\"low\" && QUAL>98",
        "QUAL>95 & GQ>50",
        "QUAL>95 | GQ>98",
        "FILTER=\"low\" && (QUAL<10 || INFO/DP>190) && GQ>10",
    ] {
        for exclude in [false, true] {
            let filter = Filter::new(text, exclude, &reader, None, &no_file).unwrap();
            let (all, _) = lines(&store, &Places::default()).unwrap();
            let all = String::from_utf8(all).unwrap();
            let kept: String = all
                .lines()
                .filter(|line| {
                    let record = genomic_objects::vcs::expression::Record::new(line.as_bytes());
                    filter.keeps(&record).unwrap()
                })
                .map(|line| format!("{line}\n"))
                .collect();
            let query = Query { filter: Some(filter), threads: 2, ..Query::default() };
            let out = Shared::default();
            let stats = queries::run(&reader, &query, Output::Vcf, Box::new(out.clone())).unwrap();
            assert!(kept.as_bytes() == *out.0.lock().unwrap(), "{text} {exclude}");
            assert_eq!(stats.records, kept.lines().count() as u64, "{text}");
            passed_over += u64::from(stats.row_groups < stats.row_groups_total / 2);
            if text == "QUAL>90" && !exclude {
                assert!(stats.row_groups <= 6, "{stats:?}");
            }
        }
    }
    assert!(passed_over >= 9, "{passed_over}");
}
