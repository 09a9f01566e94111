use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

const HEADER: &str = "##FILTER=<ID=q10,Description=\"x\">\n\
    ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
    ##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n\
    ##INFO=<ID=DB,Number=0,Type=Flag,Description=\"x\">\n\
    ##INFO=<ID=STR,Number=.,Type=String,Description=\"x\">\n\
    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
    ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
    ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"x\">\n\
    ##FORMAT=<ID=FS,Number=.,Type=String,Description=\"x\">\n";

const LINES: [&str; 4] = [
    "1\t1\trs1;rs2\tA\tC\t30\tPASS\tDP=10;AF=0.1;STR=a,b;DB\tGT:DP:AD:FS\t0/1:5:3,4:x,y\t1|1:9:0,9:z\t./.:.:.:.",
    "1\t2\t.\tA\tC,G\t.\t.\tDP=.;AF=0.5,.\tGT:DP\t0/0:1\t0|2:30\t1/2:7",
    "1\t3\trs3\tA\t.\t29.50\tq10;s50\t.\tDP\t5\t6\t.",
    "1\t4\trs4\tAT\tA,<DEL>\t1e3\tq10\tDP=16777217;STR=.\tGT:AD\t0:1,2,3\t1:4\t.:.",
];

fn dictionary() -> Dictionary {
    Dictionary::of_header(HEADER, ["A", "B", "C"].map(str::to_owned).to_vec())
}

fn parse(text: &str) -> Result<Expression> {
    Expression::parse(text, &dictionary(), &|name| match name {
        "ids" => Ok("rs4 x\nrs9\n".into()),
        "samples" => Ok("B\nC\n".into()),
        _ => Err(crate::Error::usage("no file")),
    })
}

/// The records that an expression finds, each with its samples, as `1AB 3`.
fn found(text: &str) -> String {
    let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut out = Vec::new();
    for (number, line) in LINES.iter().enumerate() {
        let outcome = expression.test(&Record::new(line.as_bytes())).unwrap();
        if outcome.site {
            let mut entry = (number + 1).to_string();
            let samples = outcome.samples.unwrap_or_default();
            entry.extend(
                "ABC".chars().zip(samples).filter_map(|(name, holds)| holds.then_some(name)),
            );
            out.push(entry);
        }
    }
    out.join(" ")
}

#[test]
fn test_expression_finds_what_bcftools_finds() {
    for (text, expected) in [
        ("QUAL>10 | FMT/DP>6", "1B 2BC 3 4"),
        ("QUAL>10 || FMT/DP>6", "1ABC 2BC 3ABC 4ABC"),
        ("QUAL>10 & FMT/DP>6", "1B"),
        ("FMT/DP>6 && GT=\"het\"", "1AB 2BC"),
        ("FMT/DP>6 & GT=\"het\"", "2BC"),
        ("FMT/DP>6 || GT=\"het\"", "1ABC 2ABC"),
        ("FMT/DP>6 | GT=\"het\"", "1AB 2BC"),
        ("INFO/DP=\".\"", "2 3"),
        ("INFO/DP!=\".\"", "1 4"),
        ("FMT/DP=\".\"", "1C 3C 4ABC"),
        ("AF<=0.1", "1"),
        ("AF=0.1", "1"),
        ("AF[1]=\".\"", "2 3 4"),
        ("AF[1-]=\".\"", "1 2 3 4"),
        ("STR=\"b\"", "1"),
        ("STR=\".\"", "2 3 4"),
        ("STR=\"x,b\"", "1"),
        ("STR[1]=\"b\"", "1"),
        ("STR~\"^A\"", ""),
        ("STR~\"^A/i\"", "1"),
        ("STR~\"a|b\"", ""),
        ("FS=\"y\"", "1A"),
        ("FS[0:1]=\"y\"", "1A"),
        ("FS!=\".\"", "1AB"),
        ("GT=\"mis\"", "1C 4C"),
        ("GT!=\"het\"", "1BC 2A 3ABC 4ABC"),
        ("GT=\"RR\"", "2A"),
        ("GT=\"ar\"", "1A 2B"),
        ("GT=\"aA\"", "2C"),
        ("GT=\"hap\"", "4AB"),
        ("GT[0]=\"het\"", "1A"),
        ("GT=\"0|2\"", "2B"),
        ("-QUAL<-10", "1 3 4"),
        ("FILTER~\"q10\"", "3 4"),
        ("FILTER=\"q10\"", "4"),
        ("FILTER!~\"q10\"", "1 2"),
        ("FILTER=\".\"", "2"),
        ("ID=\"rs2\"", ""),
        ("ID=\"rs1;rs2\"", "1"),
        ("ID!~\"rs1\"", "2 3 4"),
        ("ID=@ids", "4"),
        ("FMT/DP[@samples]>1", "1B 2BC 3B"),
        ("FMT/DP[1-2]>6", "1B 2BC"),
        ("FMT/AD[:1]>3", "1AB"),
        ("FMT/AD=\".\"", "1C 2ABC 3ABC 4BC"),
        ("MAX(FMT/AD)>3", "1 4"),
        ("sMAX(FMT/AD)>3", "1AB 4B"),
        ("COUNT(GT=\"het\")=1", "1"),
        ("COUNT(INFO/AF)=2", "2"),
        ("COUNT(STR)=0", "2 3"),
        ("N_PASS(FMT/DP>6)>1", "2"),
        ("F_PASS(GT=\"het\")>=0.33", "1 2"),
        ("F_MISSING<0.5", "1 2 4"),
        ("INFO/DP>16777216", "4"),
        ("INFO/DP=16777216", ""),
        ("FMT/DP+QUAL>36", "1B"),
        ("FMT/DP%2=0", "2B 3B"),
        ("ABS(FMT/DP-8)<2", "1B 2C"),
        ("3 - -2 = 5 && POS=1", "1"),
        ("1+2*3=7 && POS=1", "1"),
        ("ABS(ILEN)=1", "4"),
        ("STRLEN(ALT)=1", "1 2 4"),
        ("TYPE=\"snp\"", "1 2"),
        ("TYPE~\"indel\"", "4"),
        ("TYPE=\"ref\"", "3"),
        ("ALT[0]=\"A\"", "4"),
        ("N_ALT=2", "2 4"),
        ("DB=1", "1"),
        ("MAF>0", "1 2 4"),
        ("MEDIAN(FMT/DP)>5", "1 2 3"),
        ("STDEV(FMT/DP)>5", "2"),
        ("QUAL>20 | QUAL>10 & POS=99", "1 3 4"),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn test_parse_refuses_what_is_not_known_by_name() {
    for (text, named) in [
        ("", "empty"),
        ("QUAL", "QUAL>30"),
        ("DB", "DB=1"),
        ("1", "value"),
        ("dp>1", "does not declare dp"),
        ("DP>1", "ambiguous"),
        ("XX>1", "XX"),
        ("QUAL>10 QUAL", "does not go on"),
        ("QUAL>10)", "closed"),
        ("((QUAL>10)", "not closed"),
        ("QUAL>", "too early"),
        (">10", "value"),
        ("!(QUAL>10)", "'!'"),
        ("1<QUAL<40", "chain"),
        ("QUAL>10 & 1", "condition"),
        ("2-1-1=0", "right to left"),
        ("QUAL=\"x\"", "text cannot"),
        ("STR=1", "text cannot"),
        ("STR>\"a\"", "= != ~ !~"),
        ("QUAL~\"3\"", "pattern"),
        ("STR~\"\\(\"", "wrong"),
        ("TYPE=\"foo\"", "TYPE"),
        ("FILTER=\"foo\"", "foo"),
        ("AD[0]>1", "several values"),
        ("GT[7]=\"het\"", "so many samples"),
        ("AF[x]>1", "subscript"),
        ("AF[2-1]>1", "subscript"),
        ("INFO/DP[0:1]>1", "INFO"),
        ("binom(AD)<1", "binom()"),
        ("phred(NOT_DECLARED)<1", "phred()"),
        ("COUNT(QUAL>10)>0", "COUNT"),
        ("N_PASS(QUAL>10)>0", "N_PASS"),
        ("sSUM(AF)>0", "sSUM"),
        ("MAX(STR)>1", "MAX"),
        ("STRLEN(GT)>1", "STRLEN"),
        ("GT=FS", "samples"),
        ("STR=@ids", "ID only"),
        ("ID=@none", "no file"),
    ] {
        let error = parse(text).map(|_| ()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        let message = error.to_string();
        assert!(message.contains(named), "{text}: {message}");
    }
    let nested = format!("{}QUAL>1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&nested).is_err());
    let nested = format!("{}QUAL>1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(parse(&nested).unwrap_err().to_string().contains("brackets"));
    let long = vec!["QUAL>1"; 5_000].join("||");
    assert!(parse(&long).unwrap().test(&Record::new(b"1\t1\t.\tA\tC\t5\t.\t.")).unwrap().site);
    let signs = format!("{}1=QUAL", "-".repeat(20_000));
    assert!(parse(&signs).unwrap().test(&Record::new(b"1\t1\t.\tA\tC\t1\t.\t.")).unwrap().site);
}

#[test]
fn test_lists_of_other_lengths_are_refused_with_the_record() {
    let expression = parse("FMT/DP+AF>1").unwrap();
    assert!(expression.test(&Record::new(LINES[1].as_bytes())).is_err());
    assert!(parse("FMT/DP=AD").unwrap().test(&Record::new(LINES[0].as_bytes())).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn test_any_text_is_parsed_or_refused(text in "[ -~é]{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn test_any_words_are_answered_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "QUAL", "AF", "AF[1]", "INFO/DP", "FMT/DP", "AD", "AD[*:1]", "AD[0:0-1]", "GT", "FS", "STR", "DB", "TYPE",
        "FILTER", "ID", "POS", "CHROM", "REF", "ALT", "ALT[1]", "MAF", "AC[0]", "ILEN", "N_MISSING", "MAX(", "sSUM(",
        "COUNT(", "STRLEN(", "ABS(", "N_PASS(", "(", "(", ")", ")", ")", "+", "-", "*", "/", "%", "=", "!=", "<",
        ">=", "~", "!~", "&", "&&", "|", "||", "1", "0", "2.5", "\".\"", "\"het\"", "\"a,b\"", "\"snp\"", "@ids",
    ]), 1..16)) {
        if let Ok(expression) = parse(&words.join(" ")) {
            for line in LINES {
                let _ = expression.test(&Record::new(line.as_bytes()));
            }
        }
    }
}
