use super::*;
use crate::vcs::group::Section;

const HEADER: &str = "##fileformat=VCFv4.3\n##contig=<ID=1>\n##contig=<ID=HLA-A*01:01>\n\
##FILTER=<ID=q10,Description=\"x\">\n##ALT=<ID=DEL,Description=\"x\">\n\
##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n\
##INFO=<ID=DB,Number=0,Type=Flag,Description=\"x\">\n\
##INFO=<ID=NM,Number=.,Type=String,Description=\"x, y\">\n\
##INFO=<ID=END,Number=1,Type=Integer,Description=\"x\">\n\
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
##FORMAT=<ID=PL,Number=G,Type=Integer,Description=\"x\">\n\
##FORMAT=<ID=DS,Number=1,Type=Float,Description=\"x\">\n\
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n";

fn found(lines: &[&str]) -> Vec<(&'static str, u64, u64, u64)> {
    let (checker, mut odd) = Checker::new(HEADER.as_bytes(), 2);
    let mut section = Section::default();
    for line in lines {
        let position = line.split('\t').nth(1).unwrap().parse().unwrap_or(1);
        section.push(line.as_bytes(), position, position, None);
    }
    odd.merge(checker.check(&section), 15);
    odd.0.iter().map(|(kind, found)| (kind.name(), found.count, found.line, found.column)).collect()
}

fn kinds_of_header(lines: &str) -> Vec<&'static str> {
    let header =
        format!("##fileformat=VCFv4.3\n{lines}\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n");
    let (_, odd) = Checker::new(header.as_bytes(), 0);
    odd.0.keys().map(|kind| kind.name()).collect()
}

#[test]
fn test_records_that_are_right_have_nothing_odd() {
    let lines = [
        "1\t5\trs1;rs2\tA\tC,<DEL>\t29.5\tq10\tDP=5;AF=0.5,1e-3;DB;NM=a b,c\tGT:PL:DS\t0/1:1,2,3,4,5,6:0.5\t./.:.:.",
        "1\t6\t.\tACGT\tA\t.\tPASS\t.\tGT:PL\t0|1:0,1,2\t0/0",
        "1\t7\t.\tN\t.\t0\t.\tDP=.;AF=0\tGT:PL\t0:9\t.:1,2,3",
        "1\t9\t.\tA\t]1:5]A,A[<ctg>:7[,*,.A,T.\tnan\tPASS\tDP=0\tPL\t.\t.",
        "HLA-A*01:01\t9\t.\tA\tT\tinf\tPASS\tEND=9\tGT\t1|.\t10",
    ];
    assert_eq!(found(&lines[..4]), []);
    // The one with an allele that there is not.
    assert_eq!(found(&lines[4..]), [("allele out of range", 1, 15, 11)]);
}

#[test]
fn test_each_column_is_looked_at() {
    for (line, kind, column) in [
        ("HLA-A*01:01\t5\t.\tA\tC\t.\t.\t.\tGT:XY\t0/0\t0/0", "undeclared FORMAT key", 9),
        ("2\t5\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0/0", "undeclared contig", 1),
        ("1\t-5\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0/0", "malformed POS", 2),
        ("1\t5\ta;a\tA\tC\t.\t.\t.\tGT\t0/0\t0/0", "malformed ID", 3),
        ("1\t5\ta;\tA\tC\t.\t.\t.\tGT\t0/0\t0/0", "malformed ID", 3),
        ("1\t5\t.\tM\tC\t.\t.\t.\tGT\t0/0\t0/0", "unexpected base in REF", 4),
        ("1\t5\t.\tA\tC,,G\t.\t.\t.\tGT\t0/0\t0/0", "malformed ALT", 5),
        ("1\t5\t.\tA\t<DEL>x\t.\t.\t.\tGT\t0/0\t0/0", "malformed ALT", 5),
        ("1\t5\t.\tA\t[1:5[\t.\t.\t.\tGT\t0/0\t0/0", "malformed ALT", 5),
        ("1\t5\t.\tA\tC,C\t.\t.\t.\tGT\t0/0\t0/0", "duplicate allele", 5),
        ("1\t5\t.\tA\ta\t.\t.\t.\tGT\t0/0\t0/0", "duplicate allele", 5),
        ("1\t5\t.\tA\t<DUP>\t.\t.\t.\tGT\t0/0\t0/0", "undeclared symbolic allele", 5),
        ("1\t5\t.\tA\tC\tx\t.\t.\tGT\t0/0\t0/0", "malformed QUAL", 6),
        ("1\t5\t.\tA\tC\t-1\t.\t.\tGT\t0/0\t0/0", "malformed QUAL", 6),
        ("1\t5\t.\tA\tC\t.\tq10;q10\t.\tGT\t0/0\t0/0", "malformed FILTER", 7),
        ("1\t5\t.\tA\tC\t.\tq20\t.\tGT\t0/0\t0/0", "undeclared FILTER", 7),
        ("1\t5\t.\tA\tC\t.\t.\tDP=1;\tGT\t0/0\t0/0", "malformed INFO", 8),
        ("1\t5\t.\tA\tC\t.\t.\tXY\tGT\t0/0\t0/0", "undeclared INFO key", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDP=1;DP=2\tGT\t0/0\t0/0", "duplicate INFO key", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDP=1.5\tGT\t0/0\t0/0", "value of the wrong type", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDP=-1\tGT\t0/0\t0/0", "negative count", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDP=2147483648\tGT\t0/0\t0/0", "integer out of range", 8),
        ("1\t5\t.\tA\tC\t.\t.\tAF=1,0\tGT\t0/0\t0/0", "wrong number of values", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDB=1\tGT\t0/0\t0/0", "flag with a value, or value missing", 8),
        ("1\t5\t.\tA\tC\t.\t.\tDP\tGT\t0/0\t0/0", "flag with a value, or value missing", 8),
        ("1\t5\t.\tA\tC\t.\t.\tEND=4\tGT\t0/0\t0/0", "END before POS", 8),
        ("1\t5\t.\tA\tC\t.\t.\t.", "samples left out", 9),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT::PL\t0/0\t0/0", "malformed FORMAT", 9),
        ("1\t5\t.\tA\tC\t.\t.\t.\tPL:GT\t.:0/0\t.:0/0", "malformed FORMAT", 9),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT:XY\t0/0\t0/0", "undeclared FORMAT key", 9),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT:PL:PL\t0/0\t0/0", "duplicate FORMAT key", 9),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0/|1", "malformed genotype", 11),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/2\t0/1", "allele out of range", 10),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0/0:5", "more values than FORMAT keys", 11),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT:DS\t0/0\t0/0:x", "value of the wrong type", 11),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT:PL\t0/0:1,2\t0:1,2", "wrong number of values", 10),
    ] {
        assert_eq!(found(&[line]), [(kind, 1, 15, column)], "{line}");
    }
}

#[test]
fn test_duplicates_are_found_in_other_words() {
    let record = |pos: u32, reference: &str, alt: &str, info: &str| {
        format!("1\t{pos}\t.\t{reference}\t{alt}\t.\t.\t{info}\tGT\t0/0\t0/0")
    };
    for (one, two, is_same) in [
        (record(5, "A", "C", "."), record(5, "A", "C", "DP=3"), true),
        (record(5, "A", "C", "."), record(5, "A", "G", "."), false),
        (record(5, "TAT", "TGT", "."), record(6, "A", "G", "."), true),
        (record(5, "AT", "AAT,AA", "."), record(6, "T", "A", "."), true),
        (record(5, "N", "<DEL>", "END=9"), record(5, "N", "<DEL>", "END=8"), false),
        (record(5, "A", ".", "."), record(5, "A", ".", "."), false),
    ] {
        let found = found(&[&one, &two]);
        let expected = [("duplicate record", 1, 16, 2)];
        assert_eq!(found, if is_same { &expected[..] } else { &[] }, "{one} {two}");
    }
}

#[test]
fn test_header_lines_are_looked_at() {
    for (line, kind) in [
        ("##reference=", "malformed header line"),
        ("##x", "malformed header line"),
        ("##INFO=<ID=X,Number=1,Type=Float,Description=\"x\"", "malformed header line"),
        ("##FILTER=<ID=X,Description=\"x\">y", "malformed header line"),
        ("##ALT=<ID=DEL:A<B,Description=\"x\">", "malformed header line"),
        ("##FILTER=<ID=X,Description=\"an \"inner\" quote\">", "malformed header line"),
        ("##contig=<length=5>", "missing key in header line"),
        ("##INFO=<ID=X,Number=1,Type=Float>", "missing key in header line"),
        ("##INFO=<Number=1,Type=Float,Description=\"x\",ID=X>", "header keys in another order"),
        ("##contig=<ID=1 A>", "forbidden character in header ID"),
        ("##INFO=<ID=X,Number=N,Type=Float,Description=\"x\">", "unknown Number"),
        ("##INFO=<ID=X,Number=1,Type=Flag,Description=\"x\">", "unknown Number"),
        ("##INFO=<ID=X,Number=1,Type=Int,Description=\"x\">", "unknown Type"),
        ("##INFO=<ID=X,Number=1,Type=Float,Description=x>", "missing or misplaced quotes"),
        ("##META=<ID=X,Type=String,Number=.,Values=a>", "missing or misplaced quotes"),
        ("##assembly=ftp://8080:8080/x", "malformed URL"),
        (
            "##INFO=<ID=DP,Number=1,Type=String,Description=\"x\">",
            "reserved field declared otherwise",
        ),
        ("##contig=<ID=1>\n##contig=<ID=1>", "declared twice"),
        ("##ALT=<ID=FOO:BAR,Description=\"x\">", "unreserved kind of symbolic allele"),
    ] {
        assert_eq!(kinds_of_header(line), [kind], "{line}");
    }
    for line in [
        "##source=a<b>",
        "##assembly=https://example.org/x.fa",
        "##META=<ID=Assay,Type=String,Number=.,Values=[WholeGenome, Exome]>",
        "##SAMPLE=<ID=S1,Assay=WholeGenome,Description=\"a, \\\"b\\\"\">",
        "##contig=<ID=HLA-A*01:01,length=9,assembly=b38>",
        "##x=<a=<b,c>,d=e>",
        "##ALT=<ID=INS:ME:ALU,Description=\"x\">\n##ALT=<ID=CN0,Description=\"x\">",
        "##GATKCommandLine=<ID=X,CommandLine=\"a > b\",Date=\"x\">",
    ] {
        assert_eq!(kinds_of_header(line), [""; 0], "{line}");
    }
}
