//! Flags as `samtools flags` writes them.

use crate::error::{Error, Result};
use crate::records::alignments::record::flags;

/// The names of the flag bits in `samtools flags`.
const NAMES: [(&str, u16); 12] = [
    ("PAIRED", flags::PAIRED),
    ("PROPER_PAIR", flags::PROPER_PAIR),
    ("UNMAP", flags::UNMAPPED),
    ("MUNMAP", flags::MATE_UNMAPPED),
    ("REVERSE", flags::REVERSE),
    ("MREVERSE", flags::MATE_REVERSE),
    ("READ1", flags::READ1),
    ("READ2", flags::READ2),
    ("SECONDARY", flags::SECONDARY),
    ("QCFAIL", flags::QC_FAIL),
    ("DUP", flags::DUPLICATE),
    ("SUPPLEMENTARY", flags::SUPPLEMENTARY),
];

/// Reads flags: decimal, hexadecimal (`0x904`), octal (`04404`), or names with commas between
/// (`UNMAP,SECONDARY`; upper or lower case).
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for anything else, and for bits beyond the sixteen
/// that a record has.
pub fn parse_flags(text: &str) -> Result<u16> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let number = (!digits.starts_with('+')).then(|| u16::from_str_radix(digits, radix).ok());
        return number.flatten().ok_or_else(|| invalid(text, text));
    }
    text.split(',').try_fold(0, |bits, name| {
        let named = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, bit)| bits | bit).ok_or_else(|| invalid(text, name))
    })
}

fn invalid(text: &str, part: &str) -> Error {
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
    Error::usage(format!("{text:?} is no set of flags"))
        .expected(format!("a number up to 65535, or names of {} with commas", names.join(" ")))
        .found(format!("{part:?}"))
        .help("for example PAIRED,READ1 or 0x904; `samtools flags` explains numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_parse_flags_reads_numbers_of_three_bases_and_names() {
        for (text, bits) in [
            ("0", 0),
            ("2308", 2308),
            ("0x904", 0x904),
            ("0X904", 0x904),
            ("04404", 0o4404),
            ("PAIRED", 1),
            ("unmap,Secondary,SUPPLEMENTARY", 0x904),
            ("65535", 65_535),
        ] {
            assert_eq!(parse_flags(text).unwrap(), bits, "{text}");
        }
    }

    #[test]
    fn test_parse_flags_refuses_what_it_does_not_know() {
        for text in ["", "-1", "+1", "0x", "0x+1", "08", "65536", "PAIRED,", "paird", "1,2"] {
            let error = parse_flags(text).unwrap_err();
            assert!(error.to_string().contains("PROPER_PAIR"), "{text}: {error}");
        }
    }
}
