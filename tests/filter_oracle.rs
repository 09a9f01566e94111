//! Filters keep the records that `samtools view` keeps, on real files.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use genomic_objects::genome::{Contig, Contigs};
use genomic_objects::records::alignments::RecordBatch;
use genomic_objects::records::alignments::filter::{
    Filter, FilterContext, Libraries, Subsample, TagCondition, parse_flags, words,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Of larger files so many records are enough.
const RECORDS: usize = 1_500;

/// Every record is given this tag with its number, to tell which were kept.
const NUMBER_TAG: [u8; 2] = *b"zn";

/// Files of all sorts: short and long reads, unaligned, many contigs, many tags, deep.
const FILES: [&str; 14] = [
    "CHM1.wgs.chr1_10k-100k.bam",
    "HCC1395.rnaseq.chr22.bam",
    "HG001.grch38_3366contigs.unsorted.bam",
    "HG002.10x_linked_reads.b37.bam",
    "HG002.pacbio_hifi.mm_ml.GRCh38.bam",
    "NA12878.duplex_umi.unsorted.bam",
    "NA12878.exome.chr11_chr20_unmapped.bam",
    "NA12878.ont.wgs_b37.bam",
    "cigar-64k.ont.bam",
    "cohort_ceph1463/NA12878_restricted.bam",
    "deep_coverage.bam",
    "ebola_G5012.3.unaligned.bam",
    "pathogen_8403contigs.queryname.bam",
    "pbmc1k_v3.10x_scrna.cell3.bam",
];

/// Regular expressions over `qual` are missing: samtools 1.16 answers them differently from run to run.
const EXPRESSIONS: &str = r#"
mapq
mapq >= 30
mapq > 0 && mapq < 60
!mapq
flag
flag & 16
flag.paired && !flag.proper_pair
flag.unmap || flag.munmap
flag.reverse == 16
flag.mreverse
flag.read1 && flag.read2
flag.read1 || flag.read2 && flag.reverse
flag.secondary | flag.supplementary
flag.dup
flag.qcfail
flag == 99 || flag == 147
(flag & 3) == 3
flag & 3 == 3
~flag & 4
flag ^ 0x10 & 1
pos > 100000
pos % 2 == 0
pos % 2.9 == 1
pos & 0xff
pos / 2 == 5000
endpos - pos > 100
endpos-pos+1 == rlen
endpos == pos
qlen == 100
qlen != rlen
rlen > qlen
qlen - sclen > 90
sclen
sclen > 10 && sclen < 30
ncigar > 1
ncigar == 0
length(cigar) > 5
cigar =~ "^[0-9]+M$"
cigar =~ "[ID]"
cigar !~ "S"
cigar == "*"
cigar =~ "^[0-9]*S.*S$"
rname == "1"
rname =~ "chr"
rname != mrname
rname == rnext
rname < "5"
rname >= "chr2"
mrname == "*"
refid == mrefid
refid < 0
mrefid > refid
pnext > pos
mpos == pnext
mpos < 100
tlen > 0
tlen
tlen < -300 || tlen > 300
-tlen > 0
!tlen
+tlen == tlen
library == ""
library =~ "."
library == [LB]
qname =~ ":1101:"
qname > "S"
qname =~ "[13579]$"
qname == "read"
length(qname) > 30
length(qname) % 2
seq =~ "N"
seq =~ "^(AC|TG)"
seq =~ "(A{4}|C{4}).*G{3,}"
seq !~ "AAAA"
length(seq) == 100
length(seq) == qlen
seq == "*"
length(seq) > 0
min(seq) == 65
max(seq) >= 84
avg(qual) > 30
avg(qual) >= 20 && avg(qual) <= 35
min(qual) < 3
max(qual) - min(qual) > 30
min(qual) == 255
length(qual) == length(seq)
[NM]
![NM]
!![NM]
[NM] == 0
[NM] != 0
[NM] > 2
[NM] < 2 || ![MD]
![XS] && [AS]
[AS] >= [XS]
[AS] - [XS] < 5
[AS] / qlen > 0.9
[AS]*2 > qlen
-[NM] < 0
-[NM]
[NM] + 0
[NM] * 0
[NM] & 1
[NM] | 2
[NM] ^ 1
~[NM]
[NM] % 2
[MD] =~ "\^"
[MD] =~ "^[0-9]+$"
[MD] !~ "[ACGT]"
length([MD]) > 3
length([zz]) == 0
avg([zz]) == 0
min([zz])
[RG]
[RG] =~ "[a-zA-Z]"
[RG] == "CHM1"
[RG] != "CHM1"
[RG] > "H"
[RG] == [RG]
[zz] == [zz]
[zz] != 1
![zz]
[zz] || 1
[zz] && 1
1 && ![zz]
[zz] =~ "a"
!([zz] =~ "a")
!([RG] =~ "a")
"a" =~ [zz]
exists([SA])
!exists([SA])
exists([NM]) && [NM] == 0
exists([zz]) + exists([NM])
default([NM], 100) > 10
default([zz],mapq) > 30
default([BX],"none") == "none"
[BX] =~ "^A.*-1$"
[HP] == 1
[MI] % 3 == 1
[BC] || [RX]
[XT] == "U"
[XM] > 1
[zn] < 500
[zn] % 7 == 3
log([NM]) > 0
sqrt(tlen) > 10
exp([NM]) < 10
exp([zz]) == 1
pow([NM],2) > 5
pow(mapq, 0.5) > 5
sqrt([NM]) && 1
0
1
0.0
0.5
!0.5
-1
--1
1e1 == 10
0x1F == 31
1.5E+2 > 149
10 / 4 == 2.5
7.9 % 5 == 2
1 + 2 * 3 == 7
(1 + 2) * 3 == 9
1 | 2 == 3
1 < 2 < 3
3 > 2 > 1
1 == 1 == 1
2 == 2 == 1
1 || 0 && 0
0 && 0 || 1
1 / 0 > 5
0 / 0
mapq / 0 > 1
5 % 0
"text"
""
!"text"
!""
"a" < "b"
"a" == 1
"a" != 1
1 != "a"
1 < "a"
"a\"b\\c" =~ "\"b\\\\c"
"tab	" =~ "\t"
"a.b" =~ "a\.b"
"A" =~ "a"
"abc" =~ "^a.c$|x"
mapq>=20&&!(flag&0xf04)&&[NM]<=default([XM],3)
((((mapq))))>1
"#;

#[test]
fn test_expressions_keep_what_samtools_keeps() -> Outcome<()> {
    let Some(corpus) = corpus() else { return Ok(()) };
    let expressions: Vec<_> = EXPRESSIONS.lines().filter(|line| !line.is_empty()).collect();
    assert!(expressions.len() > 150);
    let mut kept_some = BTreeSet::new();
    for file in FILES {
        let sample = Sample::new(&corpus.join(file))?;
        for &expression in &expressions {
            let filter = Filter { expression: Some(expression.parse()?), ..Filter::default() };
            let kept = sample.check(&filter, &["-e", expression])?;
            if kept > 0 && kept < sample.batch.len() {
                kept_some.insert(expression);
            }
        }
    }
    // Enough of them must tell records apart for this to mean something.
    assert!(kept_some.len() > 100, "{}", kept_some.len());
    Ok(())
}

#[test]
fn test_options_keep_what_samtools_keeps() -> Outcome<()> {
    let Some(corpus) = corpus() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let all = Filter::default();
    for file in FILES {
        let sample = Sample::new(&corpus.join(file))?;
        for flags in ["0", "1", "4", "0x904", "020", "99", "UNMAP,secondary", "PAIRED,READ1"] {
            let bits = parse_flags(flags)?;
            sample.check(&Filter { require_flags: bits, ..all.clone() }, &["-f", flags])?;
            sample.check(&Filter { exclude_flags: bits, ..all.clone() }, &["-F", flags])?;
            sample.check(&Filter { exclude_all_flags: bits, ..all.clone() }, &["-G", flags])?;
            sample.check(&Filter { include_any_flags: bits, ..all.clone() }, &["--rf", flags])?;
        }
        for quality in [1, 30, 60, 255] {
            let filter = Filter { min_mapping_quality: quality, ..all.clone() };
            sample.check(&filter, &["-q", &quality.to_string()])?;
        }
        for length in [1, 76, 100, 101, 5_000] {
            let filter = Filter { min_query_length: length, ..all.clone() };
            sample.check(&filter, &["-m", &length.to_string()])?;
        }
        for condition in [
            "NM",
            "NM:0",
            "NM:1",
            "RG",
            "RG:NA12878",
            "XT:U",
            "XT:A",
            "zz",
            "zn:17",
            "MD:100",
            "BX:",
        ] {
            let filter = Filter { tag: Some(TagCondition::parse(condition)?), ..all.clone() };
            sample.check(&filter, &["-d", condition])?;
        }
        for share in ["0.5", "7.25", "42.001", "11.999"] {
            let filter = Filter { subsample: Some(Subsample::parse(share)?), ..all.clone() };
            sample.check(&filter, &["-s", share])?;
        }
        for group in ["CHM1", "NA12878", "absent"] {
            let filter = Filter { read_groups: Some(words(group)), ..all.clone() };
            sample.check(&filter, &["-r", group])?;
            let filter = Filter { sequencing_library: Some(group.into()), ..all.clone() };
            sample.check(&filter, &["-l", group])?;
        }
        // Lists in files: every third name, and some values.
        let names: Vec<_> = sample.batch.iter().step_by(3).map(|r| r.name().to_vec()).collect();
        let names = String::from_utf8(names.join(&b'\n'))?;
        let path = folder.path().join("names");
        std::fs::write(&path, &names)?;
        let path = path.to_string_lossy().into_owned();
        let filter = Filter { names: Some(words(&names)), ..all.clone() };
        assert!(sample.check(&filter, &["-N", &path])? > 0);
        let values = "0 2\n4\tCHM1\nNA12878";
        let path = folder.path().join("values");
        std::fs::write(&path, values)?;
        let path = path.to_string_lossy().into_owned();
        let filter =
            Filter { tag: Some(TagCondition::with_values_of("NM", values)?), ..all.clone() };
        sample.check(&filter, &["-D", &format!("NM:{path}")])?;
        let filter = Filter { read_groups: Some(words(values)), ..all.clone() };
        sample.check(&filter, &["-R", &path])?;
    }
    Ok(())
}

#[test]
fn test_needs_names_all_that_an_expression_looks_at() -> Outcome<()> {
    use genomic_objects::records::alignments::Fields;
    for (expression, fields) in [
        ("1 + \"a\"", Fields::NONE),
        ("qname =~ \"x\"", Fields::NAME),
        ("flag.dup || flag", Fields::FLAGS),
        ("pos + refid == 2 && rname == \"1\"", Fields::PLACE),
        ("mapq", Fields::MAPPING_QUALITY),
        ("mpos + tlen + mrefid && rnext == mrname", Fields::MATE),
        ("seq", Fields::SEQUENCE),
        ("avg(qual)", Fields::QUALITIES),
        (
            "default([XX], -[YY]) =~ rname",
            Fields::tag(*b"XX") | Fields::tag(*b"YY") | Fields::PLACE,
        ),
        ("library", Fields::tag(*b"RG")),
        ("endpos", Fields::PLACE | Fields::CIGAR | Fields::FLAGS),
        ("sclen", Fields::PLACE | Fields::CIGAR | Fields::tag(*b"CG")),
    ] {
        let filter = Filter { expression: Some(expression.parse()?), ..Filter::default() };
        assert_eq!(filter.needs(), fields, "{expression}");
    }
    Ok(())
}

fn corpus() -> Option<PathBuf> {
    let folder = testkit::corpus::require()?.join("alignments");
    testkit::oracle::require().then_some(folder)
}

/// The beginning of a file, as records and as a BAM file for samtools.
struct Sample {
    name: String,
    batch: RecordBatch,
    contigs: Contigs,
    libraries: Libraries,
    bam: tempfile::NamedTempFile,
}

impl Sample {
    fn new(path: &Path) -> Outcome<Self> {
        let mut bytes = Vec::new();
        noodles_bgzf::io::Reader::new(std::fs::File::open(path)?).read_to_end(&mut bytes)?;
        let mut rest = bytes.as_slice();
        take(&mut rest, 4)?;
        let text_len = take_len(&mut rest)?;
        let text = String::from_utf8(take(&mut rest, text_len)?.to_vec())?;
        let mut contigs = Vec::new();
        for _ in 0..take_len(&mut rest)? {
            let name_len = take_len(&mut rest)?;
            let name = String::from_utf8(take(&mut rest, name_len)?[..name_len - 1].to_vec())?;
            contigs.push(Contig { name, length: take_len(&mut rest)? as u64, md5: None });
        }
        let header_len = bytes.len() - rest.len();
        let mut batch = RecordBatch::new();
        let mut numbered = bytes[..header_len].to_vec();
        while !rest.is_empty() && batch.len() < RECORDS {
            let len = take_len(&mut rest)?;
            let mut record = take(&mut rest, len)?.to_vec();
            record.extend(NUMBER_TAG);
            record.push(b'i');
            record.extend((batch.len() as i32).to_le_bytes());
            batch.push(&record)?;
            numbered.extend((record.len() as u32).to_le_bytes());
            numbered.extend(record);
        }
        let bam = tempfile::Builder::new().suffix(".bam").tempfile()?;
        let mut writer = noodles_bgzf::io::Writer::new(bam.as_file());
        writer.write_all(&numbered)?;
        writer.finish()?;
        Ok(Self {
            name: path.display().to_string(),
            batch,
            contigs: Contigs::new(contigs)?,
            libraries: Libraries::of_header(&text),
            bam,
        })
    }

    /// Compares what the filter and samtools keep, and says how many that is.
    fn check(&self, filter: &Filter, options: &[&str]) -> Outcome<usize> {
        let context = FilterContext { contigs: &self.contigs, libraries: &self.libraries };
        let mut ours = Vec::new();
        let mut complains = false;
        for (number, record) in self.batch.iter().enumerate() {
            // Where this fails, samtools complains and passes over the record.
            match filter.matches(&record, &context) {
                Ok(true) => ours.push(number),
                Ok(false) => {}
                Err(_) => complains = true,
            }
        }
        let output = Command::new("samtools")
            .args(["view", "--keep-tag", "zn"])
            .args(options)
            .arg(self.bam.path())
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {errors}");
        assert_eq!(!errors.is_empty(), complains, "{} {options:?}: {errors}", self.name);
        let mut theirs = Vec::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let (_, number) = line.rsplit_once(":i:").ok_or("no number")?;
            theirs.push(number.parse::<usize>()?);
        }
        assert!(
            ours == theirs,
            "{} {options:?}: {} records, samtools {} of {}",
            self.name,
            ours.len(),
            theirs.len(),
            self.batch.len()
        );
        Ok(ours.len())
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Outcome<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len).ok_or("the file is cut short")?;
    *rest = after;
    Ok(taken)
}

fn take_len(rest: &mut &[u8]) -> Outcome<usize> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
}
