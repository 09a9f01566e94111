use proptest::prelude::*;

use super::super::{Filter, FilterContext, Libraries};
use super::Expression;
use crate::error::{ErrorKind, Result};
use crate::genome::Contigs;
use crate::records::alignments::Record;

/// An unmapped read `r1` of no bases, with these tags.
fn record(tags: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 8];
    bytes.extend([3, 17, 0x48, 0x12, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0xff; 8]);
    bytes.extend([0; 4]);
    bytes.extend(b"r1\0");
    bytes.extend(tags);
    bytes
}

fn matches(expression: &str, record: &[u8]) -> Result<bool> {
    let (contigs, libraries) = (Contigs::default(), Libraries::default());
    let context = FilterContext { contigs: &contigs, libraries: &libraries };
    expression.parse::<Expression>()?.matches(&Record::new(record)?, &context)
}

#[test]
fn test_parse_says_where_and_what_was_expected() {
    for (text, place, part) in [
        ("", 1, "found the end"),
        ("mapq >", 7, "found the end"),
        ("mapq >> 3", 7, "found '>'"),
        ("mapq 3", 6, "an operator or the end"),
        ("mapq = 3", 6, "an operator or the end"),
        ("mapqq > 3", 1, "one of the variables"),
        ("flag.duplicate", 1, "flag.dup"),
        ("(mapq > 3", 10, "')' for the '(' at character 1"),
        ("length seq", 8, "'(' after the function length"),
        ("default([NM])", 13, "',' and what default takes besides"),
        ("min(1, 2)", 6, "')' for the '(' at character 4"),
        ("[NMX] > 1", 1, "two characters in brackets"),
        ("qname == \"x", 10, "closing"),
        ("\"äö\" =~ \"(\"", 9, "POSIX"),
        ("1 && 2)", 7, "an operator or the end"),
        ("- -pos", 3, "a number"),
        ("1..2", 3, "an operator or the end"),
    ] {
        let error = text.parse::<Expression>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let shown = error.to_string();
        assert!(shown.contains(&format!("character {place}: ")), "{text}: {shown}");
        assert!(shown.contains(part), "{text}: {shown}");
    }
}

#[test]
fn test_matches_names_the_place_of_a_wrong_type() {
    let record = record(b"ZZZtext\0ARBC\x01\0\0\0\x07NMC\x02");
    for (text, place) in [
        ("1 + qname", 3),
        ("mapq == 17 && -[ZZ]", 15),
        ("[NM] =~ \"2\"", 6),
        ("qname =~ [NM]", 7),
        ("qname =~ [ZZ] || qname =~ \"(\" + 1", 31),
        ("length([NM])", 1),
        ("[AR] == 7", 6),
        ("sqrt([AR])", 1),
    ] {
        let error = matches(text, &record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(&format!("character {place}: ")), "{text}: {error}");
    }
    for text in ["[AR]", "exists([AR]) && !![AR]", "[AR] && [NM] == 2", "default([AR], 0) && 1"] {
        assert!(matches(text, &record).unwrap(), "{text}");
    }
}

#[test]
fn test_matches_gives_absent_tags_no_value() {
    let record = record(b"NMC\0");
    for (text, expected) in [
        ("[XX]", false),
        ("![XX]", true),
        ("[XX] == 0 || [XX] != 0 || [XX] < 1", false),
        ("[XX] + 1 == 1", false),
        ("!([XX] + 1)", true),
        ("exists([XX] * 2)", false),
        ("default([XX], 5) == 5", true),
        ("default([NM], 5) == 0", true),
        ("[NM]", true),
        ("[NM] + 0", false),
        ("exists(0 / 0)", false),
        ("0 % 0 == 0", false),
        ("1 % 0.5 == 0", false),
        ("0x8000000000000000 % -1 == 0", true),
    ] {
        assert_eq!(matches(text, &record).unwrap(), expected, "{text}");
    }
}

#[test]
fn test_matches_hides_the_tag_of_a_long_cigar() {
    let mut bytes = record(b"CGBI\x01\0\0\0\x10\0\0\0");
    bytes[0..8].fill(0);
    // The placeholder for no bases: 0S1N.
    bytes[12] = 2;
    bytes.splice(35..35, [4, 0, 0, 0, 0x13, 0, 0, 0]);
    assert!(matches("cigar == \"1M\" && ncigar == 1 && ![CG]", &bytes).unwrap());
}

#[test]
fn test_parse_bounds_its_own_depth() {
    for (open, close) in [("(", ")"), ("!", ""), ("1 == ", ""), ("1 < ", ""), ("exists(", ")")] {
        let nested = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let error = nested.parse::<Expression>().unwrap_err();
        assert!(error.to_string().contains("nested"), "{error}");
        assert!(error.to_string().len() < 500, "long expressions are not repeated whole");
    }
    let flat = format!("1{}", " + 1 * 2 && 1".repeat(20_000));
    assert!(matches(&flat, &record(b"")).unwrap());
}

/// Expressions of valid syntax, mostly.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[0-9]{1,3}(\\.[0-9])?".prop_map(|number| number),
        Just("\"te\\\\xt\"".to_owned()),
        prop::sample::select(
            super::variable::NAMES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
        ),
        prop::sample::select(vec!["[NM]", "[RG]", "[XA]", "[BB]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let operators = [
            "&&", "||", "|", "^", "&", "+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=",
            "=~", "!~",
        ];
        let functions =
            ["length", "min", "max", "avg", "sqrt", "log", "exp", "exists", "!", "~", "-", "+", ""];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators.to_vec()), inner.clone())
                .prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            (prop::sample::select(functions.to_vec()), inner.clone())
                .prop_map(|(function, of)| format!("{function}({of})")),
            (prop::sample::select(vec!["pow", "default"]), inner.clone(), inner)
                .prop_map(|(function, one, two)| format!("{function}({one}, {two})")),
        ]
    })
}

proptest! {
    #[test]
    fn test_parse_survives_any_text(text in "\\PC{0,60}") {
        let _ = text.parse::<Expression>();
    }

    #[test]
    fn test_parse_survives_pieces_of_the_language(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "[NM]", "[", "]", "\"", "\\", "mapq", "flag.", "1e", "0x", ".", "-", "!",
                "~", "=~", "==", "=", "<", "&&", "&", "|", ",", "pow(", "exists(", " ", "ä", "\"[\"",
            ]),
            0..20,
        )
    ) {
        let _ = pieces.concat().parse::<Expression>();
    }

    #[test]
    fn test_matches_survives_any_record(
        text in expressions(),
        bytes in testkit::arbitrary::odd_record_bytes(),
    ) {
        let expression: Expression = match text.parse() {
            Ok(expression) => expression,
            // A pattern that is none, such as a lone "*".
            Err(_) => return Ok(()),
        };
        prop_assert_eq!(expression.text(), &text);
        let _ = matches(&text, &bytes);
        let filter = Filter { expression: Some(expression), ..Filter::default() };
        let _ = filter.needs();
    }
}
