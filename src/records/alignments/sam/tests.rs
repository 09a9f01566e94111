use proptest::prelude::*;
use testkit::arbitrary;

use super::*;
use crate::error::ErrorKind;
use crate::genome::{Contig, Contigs};
use crate::records::alignments::{Record, Validation};
use crate::records::float::{parse_float, push_float};

fn contigs() -> Contigs {
    let names = ["chr1", "chr2", "HLA-A*01:01"];
    let length = arbitrary::CONTIG_LENGTH as u64;
    let contig = |name: &str| Contig { name: name.to_owned(), length, md5: None };
    Contigs::new(names.map(contig).to_vec()).unwrap()
}

fn parse(line: &str) -> crate::Result<Vec<u8>> {
    let mut out = Vec::new();
    LineParser::new(Validation::Strict).parse(line.as_bytes(), &contigs(), &mut out)?;
    Record::new(&out)?;
    Ok(out)
}

fn print(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    write_record(&mut out, &Record::new(bytes).unwrap(), &contigs());
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_refused(line: &str, expected: &str) {
    let error = parse(line).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

proptest! {
    #[test]
    fn test_records_come_back_from_their_text(bytes in arbitrary::record_bytes()) {
        let text = print(&bytes);
        let again = parse(text.trim_end_matches('\n')).unwrap();
        prop_assert_eq!(&again, &bytes, "{}", text);
    }

    #[test]
    fn test_parse_survives_any_line(line in "[ -~\t]{0,120}") {
        let _ = parse(&line);
    }

    #[test]
    fn test_parse_survives_any_change_of_one_byte(
        bytes in arbitrary::record_bytes(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut line = print(&bytes).into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        let mut out = Vec::new();
        if LineParser::new(Validation::Lenient).parse(&line, &contigs(), &mut out).is_ok() {
            Record::new(&out).unwrap();
        }
    }

    #[test]
    fn test_floats_with_six_digits_come_back(mantissa in -999_999i32..999_999, exponent in -20i32..20) {
        let value = (f64::from(mantissa) * 10f64.powi(exponent)) as f32;
        let mut text = Vec::new();
        push_float(&mut text, value);
        prop_assert_eq!(parse_float(&text), Some(value));
    }
}

#[test]
fn test_push_float_prints_as_htslib() {
    let cases: [(f32, &str); 16] = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (0.0001, "0.0001"),
        (0.000_099_999_99, "0.0001"),
        (1e-5, "1e-05"),
        (99_999.95, "100000"),
        (999_999.0, "999999"),
        (1_000_000.0, "1e+06"),
        (1.234_567_9, "1.23457"),
        (123_456.7, "123457"),
        (3.402_823_5e38, "3.40282e+38"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ];
    for (value, expected) in cases {
        let mut text = Vec::new();
        push_float(&mut text, value);
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}

#[test]
fn test_parse_moves_a_long_cigar_into_its_tag() {
    let cigar = "1M1I".repeat(40_000);
    let bases = "A".repeat(80_000);
    let line = format!("r\t0\tchr1\t11\t60\t{cigar}\t*\t0\t0\t{bases}\t*\tXX:i:7");
    let bytes = parse(&line).unwrap();
    let record = Record::new(&bytes).unwrap();
    let stored: Vec<_> = record.stored_cigar().map(|op| (op.len(), op.letter())).collect();
    assert_eq!(stored, [(80_000, b'S'), (40_000, b'N')]);
    assert_eq!(record.cigar().len(), 80_000);
    assert_eq!(record.tags().last().map(|tag| tag.name), Some(*b"CG"));
    assert_eq!(print(&bytes), format!("{line}\n"));
}

#[test]
fn test_parse_unmaps_and_unplaces_as_htslib_does() {
    let flags_and_contig = |line: &str| {
        let bytes = parse(line).unwrap();
        let record = Record::new(&bytes).unwrap();
        (record.flags(), record.ref_id(), record.mate_ref_id())
    };
    assert_eq!(flags_and_contig("r\t16\tchr1\t5\t0\t*\tchr2\t9\t0\t*\t*"), (20, 0, 1));
    assert_eq!(flags_and_contig("r\t0\tchr1\t0\t0\t1M\tchr2\t0\t0\t*\t*"), (4, -1, -1));
    assert_eq!(flags_and_contig("r\t0\t*\t7\t0\t1M\t=\t9\t0\t*\t*"), (4, -1, -1));
}

#[test]
fn test_parse_says_field_and_column() {
    assert_refused("r\t0\tchr1\t5\t0\t1Q\t*\t0\t0\tA\tI", "CIGAR (field 6, column 14)");
    assert_refused("r\t0\tchr1\t5\t0\t1M\t*\t0\t0\tA\tI\tXX:i:1.5", "tag XX (field 12, column 27)");
    assert_refused("r\t0\tchr1", "RNAME (field 3, column 5): the line ends too early");
}

#[test]
fn test_parse_refuses_positions_beyond_32_bits() {
    let error = parse("r\t0\tchr1\t2147483648\t0\t1M\t*\t0\t0\tA\tI").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(parse("r\t0\tchr1\t2147483647\t0\t1M\t*\t0\t0\tA\tI").is_ok());
}
