use super::*;

fn strict(text: &str) -> Result<Header> {
    Header::parse_sam_text(text.as_bytes(), Validation::Strict)
}

#[test]
fn test_parse_sam_text_finds_contigs_groups_and_order() {
    let header = strict(
        "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:a\tLN:10\tM5:0123456789ABCDEF0123456789abcdef\n\
         @SQ\tSN:b\tLN:20\n@RG\tID:1\tSM:s\tLB:l\n@RG\tID:2\n@CO\tanything: goes\there\n",
    )
    .unwrap();
    assert_eq!(header.sort_order(), SortOrder::Coordinate);
    assert_eq!(header.sample(), Some("s"));
    assert_eq!(header.read_groups()[0].sequencing_library.as_deref(), Some(&b"l"[..]));
    let contigs: Vec<_> = header.contigs().iter().map(|c| (c.name.as_str(), c.length)).collect();
    assert_eq!(contigs, [("a", 10), ("b", 20)]);
    let md5 = header.contigs().iter().next().unwrap().md5.clone();
    assert_eq!(md5.as_deref(), Some("0123456789abcdef0123456789abcdef"));
}

#[test]
fn test_parse_sam_text_names_the_line_and_the_value() {
    let error = strict("@HD\tVN:1.6\n@SQ\tSN:a\tLN:ten\n").unwrap_err().to_string();
    assert!(error.starts_with("header line 2: the value of LN is not allowed"), "{error}");
    assert!(error.contains("\"ten\""), "{error}");
    let error = strict("@SQ\tSN:a\tLN:3000000000\n").unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Unsupported);
}

#[test]
fn test_parse_sam_text_keeps_odd_lines_when_lenient() {
    let text = b"@HD VN:1.0\n@SQ\tSN:a\tLN:10\n@RG\tID:x\n@RG\tID:x\n";
    assert!(Header::parse_sam_text(text, Validation::Strict).is_err());
    let header = Header::parse_sam_text(text, Validation::Lenient).unwrap();
    assert_eq!(header.text(), text);
    assert_eq!(header.to_sam_text(), text);
}

#[test]
fn test_sample_is_none_for_two_samples() {
    assert_eq!(strict("@RG\tID:1\tSM:a\n@RG\tID:2\tSM:b\n").unwrap().sample(), None);
}

#[test]
fn test_from_bam_lets_the_list_rule() {
    let list = vec![("c1".to_owned(), 100), ("c2".to_owned(), 200)];
    let text = b"@HD\tVN:1.6\n@SQ\tSN:c2\tLN:200\tM5:0123456789abcdef0123456789abcdef\n";
    assert!(Header::from_bam(text, list.clone(), Validation::Strict).is_err());
    let header = Header::from_bam(text, list, Validation::Lenient).unwrap();
    assert_eq!(header.contigs().id("c2").map(|id| id.0), Some(1));
    assert!(header.contigs().get(header.contigs().id("c2").unwrap()).unwrap().md5.is_some());
    assert_eq!(header.to_sam_text(), text);
}

#[test]
fn test_to_sam_text_adds_missing_contigs_at_the_end() {
    let list = vec![("c1".to_owned(), 100)];
    let header = Header::from_bam(b"@HD\tVN:1.6\n@CO\tx", list, Validation::Strict).unwrap();
    assert_eq!(header.to_sam_text(), b"@HD\tVN:1.6\n@CO\tx\n@SQ\tSN:c1\tLN:100\n");
    assert_eq!(header.text(), b"@HD\tVN:1.6\n@CO\tx");
}

#[test]
fn test_to_bam_bytes_has_text_and_list() {
    let header = strict("@SQ\tSN:c1\tLN:100\n").unwrap();
    let expected = b"BAM\x01\x11\0\0\0@SQ\tSN:c1\tLN:100\n\x01\0\0\0\x03\0\0\0c1\0\x64\0\0\0";
    assert_eq!(header.to_bam_bytes().unwrap(), expected);
}

#[test]
fn test_with_program_chains_to_the_last() {
    let header = strict("@HD\tVN:1.6\n@PG\tID:bwa\n@PG\tID:paf\tPP:bwa\n").unwrap();
    let text = header.with_program("paf", "1.0", "paf x").unwrap().to_sam_text();
    let last = text.split(|b| *b == b'\n').rev().nth(1).unwrap();
    assert_eq!(last, b"@PG\tID:paf.1\tPN:paf\tPP:paf\tVN:1.0\tCL:paf x");
}
