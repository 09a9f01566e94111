use proptest::prelude::*;

use super::format::push_record;
use super::*;

const HEADER: &[u8] = b"##fileformat=VCFv4.3\n##contig=<ID=1>\n##contig=<ID=chr2,length=9>\n\
##FILTER=<ID=q10,Description=\"x, \\\"y\\\"\">\n\
##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n##INFO=<ID=END,Number=1,Type=Integer>\n\
##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n##INFO=<ID=DB,Number=0,Type=Flag>\n\
##INFO=<ID=NAME,Number=.,Type=String,Description=\"x\">\n\
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
##FORMAT=<ID=GL,Number=G,Type=Float,Description=\"x\">\n\
##FORMAT=<ID=FT,Number=1,Type=String,Description=\"x\">\n\
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n";

fn there_and_back(header: &Header, line: &[u8]) -> crate::error::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Encoder::new(header).push(line, &mut bytes)?;
    let site = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let samples = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    assert_eq!(bytes.len(), 8 + site + samples);
    let mut text = Vec::new();
    push_record(header, &bytes[8..8 + site], &bytes[8 + site..], &mut text)?;
    Ok(text)
}

#[test]
fn test_lines_come_back_as_bcftools_prints_them() {
    let header = Header::parse(HEADER).unwrap();
    for (line, expected) in [
        (
            "1\t5\trs1;rs2\tA\tC,<DEL>\t29.5\tPASS\tDP=5;AF=0.5,0.25;DB;NAME=a,b\tGT:DP:GL:FT\t0/1:7:-1,-2,-300:ok\t1|.:.:.:longer",
            "",
        ),
        ("chr2\t0\t.\tA\t.\t.\t.\t.\t.\t.\t.", ""),
        ("1\t7\t.\tA\tC\t1e-10\tq10;PASS\tDP=-120;AF=nan,inf,-inf\tDP\t-121\t32768", ""),
        (
            "1\t7\t.\tA\tC\t0.10\tq10\tDP=128;AF=1e-3\tGT:DP\t0/1\t10/2/.:5",
            "1\t7\t.\tA\tC\t0.1\tq10\tDP=128;AF=0.001\tGT:DP\t0/1:.\t10/2/.:5",
        ),
        (
            "1\t7\t.\tA\tC\t0\t.\tDP=;DB=1;;NAME=\tGT:FT\t.\t:",
            "1\t7\t.\tA\tC\t0\t.\tDP=.;DB=1;NAME\tGT:FT\t.:.\t.:",
        ),
        (
            "1\t7\t.\tA\tC\t0\t.\tEND=2147483647\tFT\tabc\tabcdefghijklmnopqrstuvwxyz\r",
            "1\t7\t.\tA\tC\t0\t.\tEND=2147483647\tFT\tabc\tabcdefghijklmnopqrstuvwxyz",
        ),
    ] {
        let text = there_and_back(&header, line.as_bytes()).unwrap();
        let expected = if expected.is_empty() { line } else { expected };
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}

#[test]
fn test_what_bcf_cannot_hold_is_refused_by_name() {
    let header = Header::parse(HEADER).unwrap();
    for (line, expected) in [
        ("3\t5\t.\tA\tC\t.\t.\t.", "contig 3 is not declared"),
        ("1\t5\t.\tA\tC\t.\tq99\t.", "FILTER q99 is not declared"),
        ("1\t5\t.\tA\tC\t.\t.\tXY=3", "INFO XY is not declared"),
        ("1\t5\t.\tA\tC\t.\t.\tDP=3.5", "1:5: INFO/DP"),
        ("1\t5\t.\tA\tC\t.\t.\tDP=5000000000", "integer of 32 bits"),
        ("1\t5\t.\tA\tC\t.\t.\tDP=-2147483641", "integer of 32 bits"),
        ("1\t5\t.\tA\tC\t.\t.\tAF=1e40", "INFO/AF"),
        ("1\t5\t.\tA\tC\tx\t.\t.", "QUAL"),
        ("1\t2147483647\t.\tA\tC\t.\t.\t.", "POS"),
        ("1\t-5\t.\tA\tC\t.\t.\t.", "POS"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t|0/1\t0", "FORMAT/GT"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1\t0:5", "more values"),
        ("1\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1", "as many samples"),
        ("1\t5\t.\tA\tC\t.", "too few columns"),
    ] {
        let error = there_and_back(&header, line.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn test_header_is_read_as_htslib_reads_it() {
    let text = b"##fileformat=VCFv4.2\n##contig=<ID=1>\r\n##contig=<ID=1,length=5>\n\
##contig=<ID=2,length=x>\n##x=1\n##x=1\n##x=2\n##FILTER=<ID=q10,Description=\"a \\\"b\\\"\">\n\
##FILTER=<ID=PASS,Description=\"mine\">\n##FORMAT=<ID=GT,Number=1>  junk\n\
##ALT=<ID=DEL,Description=foo, Bar=[a, b]>\n##INFO=<Number=1>\n##nokey\n##=x\n\
##INFO=<ID=A-B,Number=1,Type=Foo,Description=\"unclosed>\n##foo=<>\n##bar=<ID>\n##bar=<1D=2>\n\
##baz=<ID=<a,b>,X=y>\n##qux=\n##SAMPLE=<ID=x>y\n##contig=<ID=3,IDX=7,length=10>\n\
##INFO=<ID=q10,Number=1,Type=Integer>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n";
    let header = Header::parse(text).unwrap();
    let expected = "##fileformat=VCFv4.2\n##FILTER=<ID=PASS,Description=\"All filters passed\">\n\
##contig=<ID=1>\n##x=1\n##x=2\n##FILTER=<ID=q10,Description=\"a \\\"b\\\"\">\n\
##FORMAT=<ID=GT,Number=1>\n##ALT=<ID=DEL,Description=foo,Bar=[a, b]>\n\
##INFO=<ID=A-B,Number=1,Type=Foo,Description=\"unclosed>\">\n##baz=<ID=<a,b>,X=y>\n##qux=\n\
##SAMPLE=<ID=x>\n##contig=<ID=3,length=10>\n##INFO=<ID=q10,Number=1,Type=Integer>\n\
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n";
    assert_eq!(String::from_utf8(header.text()).unwrap(), expected);
    let bcf = String::from_utf8_lossy(&header.to_bcf()).into_owned();
    for place in ["ID=1,IDX=0>", "ID=3,length=10,IDX=7>", "Type=Integer,IDX=1>", "passed\",IDX=0>"]
    {
        assert!(bcf.contains(place), "{place}: {bcf}");
    }
    for bad in ["##contig=<ID=9,IDX=2000000000>", "##INFO=<ID=a,IDX=5>\n##INFO=<ID=b,IDX=5>"] {
        let text = format!("##fileformat=VCFv4.2\n{bad}\n#CHROM\tPOS\n");
        assert!(Header::parse(text.as_bytes()).unwrap_err().to_string().contains("IDX="));
    }
    assert!(Header::parse(b"##fileformat=VCFv4.2\n").is_err());
}

/// A BCF without compression.
fn bcf(lines: &[&str]) -> Vec<u8> {
    let header = Header::parse(HEADER).unwrap();
    let mut bytes = header.to_bcf();
    let mut encoder = Encoder::new(&header);
    lines.iter().for_each(|line| encoder.push(line.as_bytes(), &mut bytes).unwrap());
    bytes
}

fn read(bytes: Vec<u8>, threads: usize) -> crate::error::Result<Vec<String>> {
    use crate::records::stream::{Compression, Stream};
    let raw = Box::new(std::io::Cursor::new(bytes));
    let stream = Stream::new("x.bcf".into(), raw, Compression::None, threads);
    let mut lines = Lines::open(stream, threads)?;
    let mut all = Vec::new();
    while let Some(line) = lines.next_line()? {
        all.push(String::from_utf8_lossy(line).into_owned());
        assert_eq!(lines.record(), all.len() as u64);
    }
    Ok(all)
}

#[test]
fn test_records_come_in_order_from_any_number_of_threads() {
    let lines: Vec<String> = (1..20_000)
        .map(|at| format!("1\t{at}\t.\tA\tC\t.\t.\tDP={at}\tGT:DP\t0/1:5\t0|1:{at}"))
        .collect();
    let bytes = bcf(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for threads in [1, 2, 5] {
        assert!(read(bytes.clone(), threads).unwrap() == lines, "{threads} threads");
    }
    // Nobody waits for threads whose lines are not wanted any more.
    for threads in [1, 3] {
        let cut = bytes[..bytes.len() - 5].to_vec();
        let error = read(cut, threads).unwrap_err().to_string();
        assert!(
            error.contains("x.bcf: record 19999, byte") && error.contains("truncated"),
            "{error}"
        );
    }
}

#[test]
fn test_damaged_bcf_is_refused_and_never_panics() {
    let line = "1\t5\trs1\tA\tC,G\t29.5\tPASS\tDP=5;AF=0.5,0.25;NAME=a\tGT:DP:GL:FT\t0/1:7:-1,-2:ok\t1|.:.:.:longer";
    let bytes = bcf(&[line, line]);
    let header = Header::parse(HEADER).unwrap().to_bcf().len();
    for end in header..bytes.len() {
        let outcome = read(bytes[..end].to_vec(), 1);
        let record = (bytes.len() - header) / 2;
        assert_eq!(outcome.is_ok(), (end - header).is_multiple_of(record), "{end}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Err(error) = read(flipped, 1) {
                assert!(error.to_string().starts_with("x.bcf"), "{error}");
            }
        }
    }
}

proptest! {
    #[test]
    fn test_any_bytes_are_lines_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let header = Header::parse(HEADER).unwrap();
        let split = bytes.len() / 2;
        let mut text = Vec::new();
        let _ = push_record(&header, &bytes[..split], &bytes[split..], &mut text);
        let _ = Header::parse(&bytes);
        let _ = Encoder::new(&header).push(&bytes, &mut text);
    }

    #[test]
    fn test_integers_and_genotypes_come_back(
        depth in prop_oneof![-300_i32..300, -2_147_483_640..=i32::MAX],
        others in proptest::collection::vec(prop_oneof![-200_i32..40_000, any::<i16>().prop_map(i32::from)], 2),
        alleles in proptest::collection::vec(0_u32..70_000, 1..4),
        position in 1_u32..2_147_483_646,
        text in "[ -9<-~]{1,40}",
    ) {
        let header = Header::parse(HEADER).unwrap();
        let text = text.replace([':', ';', '\t'], "_");
        let genotype: Vec<String> = alleles.iter().map(u32::to_string).collect();
        let line = format!(
            "1\t{position}\t.\tA\tC\t.\tPASS\tDP={depth};NAME={text}\tGT:DP:FT\t{}:{}:{text}\t{}:{}:x",
            genotype.join("/"), others[0], genotype.join("|"), others[1],
        );
        let back = there_and_back(&header, line.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(back).unwrap(), line);
    }

    #[test]
    fn test_header_lines_come_back(
        keys in proptest::collection::vec(("[A-Za-z_][A-Za-z0-9_.]{0,5}", "[ !#-;=?-Z^-~]{0,8}"), 1..5),
    ) {
        let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}=\"{}\"", value.trim_end())).collect();
        prop_assume!(!keys.iter().any(|(key, _)| key == "IDX"));
        let line = format!("##odd=<{}>", pairs.join(","));
        let text = format!("##fileformat=VCFv4.2\n{line}\n#CHROM\tPOS\n");
        let header = String::from_utf8(Header::parse(text.as_bytes()).unwrap().text()).unwrap();
        prop_assert_eq!(header.lines().nth(2).unwrap(), line);
    }
}
