//! A line of VCF as bcftools takes it in: what is a value, and what is missing.

use super::dictionary::Kind;
use super::variable::kind;

/// Stands for a value that is missing; other numbers that are none are values.
pub(in crate::vcs) const MISSING: f64 = f64::from_bits(0x7ff8_0000_0000_0f0f);

/// Whether a value is missing.
pub(in crate::vcs) fn is_missing(value: f64) -> bool {
    value.to_bits() == MISSING.to_bits()
}

/// The least integer that is a value in BCF.
const LEAST_INTEGER: i64 = i32::MIN as i64 + 8;

/// A line, split as far as expressions and formats look.
#[derive(Clone, Debug)]
pub struct Record<'l> {
    /// CHROM to INFO.
    fields: [&'l [u8]; 8],
    format: Vec<&'l [u8]>,
    cells: &'l [u8],
}

impl<'l> Record<'l> {
    /// Splits a line, without its line feed.
    pub fn new(line: &'l [u8]) -> Self {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut rest = Some(line);
        let mut next = || {
            let text = rest?;
            match memchr::memchr(b'\t', text) {
                Some(at) => {
                    rest = Some(&text[at + 1..]);
                    Some(&text[..at])
                }
                None => rest.take(),
            }
        };
        let mut fields = [&b"."[..]; 8];
        for field in &mut fields {
            *field = next().unwrap_or(b".");
        }
        let format = next().map(|text| text.split(|&byte| byte == b':').collect());
        Self { fields, format: format.unwrap_or_default(), cells: rest.unwrap_or_default() }
    }

    pub(in crate::vcs) fn chrom(&self) -> &'l [u8] {
        self.fields[0]
    }

    /// POS, from 1.
    pub(in crate::vcs) fn position(&self) -> i64 {
        leading_integer(self.fields[1]).unwrap_or(0)
    }

    pub(in crate::vcs) fn id(&self) -> &'l [u8] {
        self.fields[2]
    }

    pub(in crate::vcs) fn reference(&self) -> &'l [u8] {
        self.fields[3]
    }

    /// The text of ALT.
    pub(in crate::vcs) fn alternate(&self) -> &'l [u8] {
        self.fields[4]
    }

    /// The alternate alleles.
    pub(in crate::vcs) fn alternates(&self) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        let text = self.fields[4];
        (text != b".").then(|| text.split(|&byte| byte == b',')).into_iter().flatten()
    }

    pub(in crate::vcs) fn quality(&self) -> f64 {
        number(self.fields[5], Kind::Float)
    }

    /// The text of FILTER.
    pub(in crate::vcs) fn filter(&self) -> &'l [u8] {
        self.fields[6]
    }

    /// The text of INFO.
    pub(in crate::vcs) fn all_info(&self) -> &'l [u8] {
        self.fields[7]
    }

    /// What stands behind a key of INFO: `None` where the key does not, an inner `None` where it
    /// stands alone.
    pub(in crate::vcs) fn info(&self, key: &str) -> Option<Option<&'l [u8]>> {
        let entry_of = |entry: &'l [u8]| {
            let after = entry.strip_prefix(key.as_bytes())?;
            match after {
                [] => Some(None),
                [b'=', value @ ..] => Some(Some(value)),
                _ => None,
            }
        };
        self.fields[7].split(|&byte| byte == b';').find_map(entry_of)
    }

    /// The text of a field of each sample, `.` where a sample has it not; `None` where FORMAT lacks
    /// the key.
    pub(in crate::vcs) fn format(&self, key: &str) -> Option<Vec<&'l [u8]>> {
        let place = self.format.iter().position(|name| *name == key.as_bytes())?;
        if self.cells.is_empty() {
            return None;
        }
        let cells = self.cells.split(|&byte| byte == b'\t');
        let value = |cell: &'l [u8]| {
            let value = cell.split(|&byte| byte == b':').nth(place);
            value.filter(|text| !text.is_empty()).unwrap_or(b".")
        };
        Some(cells.map(value).collect())
    }

    /// Whether there are samples.
    pub(in crate::vcs) fn has_samples(&self) -> bool {
        !self.cells.is_empty()
    }

    /// The last base, from 1.
    pub(in crate::vcs) fn end(&self) -> i64 {
        let position = self.position();
        let end = self.info("END").flatten().and_then(leading_integer);
        let length = i64::try_from(self.fields[3].len()).unwrap_or(i64::MAX);
        end.filter(|&end| end >= position).unwrap_or(position.saturating_add(length - 1))
    }

    /// The kinds of all alternate alleles, as bits; none for a site that is only the reference.
    pub(in crate::vcs) fn kinds(&self) -> u32 {
        self.alternates().fold(0, |kinds, allele| kinds | kind_of(self.fields[3], allele))
    }
}

/// The kind of an alternate allele; 0 for none.
fn kind_of(reference: &[u8], allele: &[u8]) -> u32 {
    match allele {
        b"*" => return kind::OVERLAP,
        b"<*>" | b"<X>" | b"<NON_REF>" => return 0,
        [b'<', ..] => return kind::OTHER,
        [b']' | b'[', ..] => return kind::BND,
        _ => {}
    }
    if let ([one], [other]) = (reference, allele) {
        let is_none = matches!(other, b'.' | b'X') || one == other;
        return if is_none { 0 } else { kind::SNP };
    }
    let alike = |(a, b): &(&u8, &u8)| a.eq_ignore_ascii_case(b);
    let start = reference.iter().zip(allele).take_while(alike).count();
    let (left, right) = (&reference[start..], &allele[start..]);
    match (left, right) {
        ([], []) => 0,
        ([], [b']' | b'[', ..]) => kind::BND,
        ([], _) | (_, []) => kind::INDEL,
        _ => {
            // What is alike at the end counts, but one base of each is kept.
            let most = left.len().min(right.len()) - 1;
            let pairs = left.iter().rev().zip(right.iter().rev());
            let end = pairs.take(most).take_while(alike).count();
            let (left, right) = (&left[..left.len() - end], &right[..right.len() - end]);
            let last_alike =
                left.last().zip(right.last()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            match (left.len(), right.len()) {
                (1, 1) => kind::SNP,
                (1, _) | (_, 1) if last_alike => kind::INDEL,
                (1, _) | (_, 1) => kind::OTHER,
                (a, b) if a == b => kind::MNP,
                _ => kind::OTHER,
            }
        }
    }
}

/// The number that a text is in BCF.
pub(in crate::vcs) fn number(text: &[u8], kind: Kind) -> f64 {
    match kind {
        Kind::Float => float(text),
        _ => match leading_integer(text) {
            Some(value) if (LEAST_INTEGER..=i64::from(i32::MAX)).contains(&value) => value as f64,
            _ => MISSING,
        },
    }
}

/// The numbers of a list, appended.
pub(in crate::vcs) fn numbers(text: &[u8], kind: Kind, values: &mut Vec<f64>) {
    values.extend(text.split(|&byte| byte == b',').map(|item| number(item, kind)));
}

fn leading_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let value = digits[..count].iter().try_fold(0_i64, |value, &digit| {
        value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    })?;
    Some(if negative { -value } else { value })
}

/// A float of 32 bits, by way of 64.
fn float(text: &[u8]) -> f64 {
    if text == b"." || text.is_empty() {
        return MISSING;
    }
    let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    // What begins as a number is one as far as it goes.
    let found = parse(text).or_else(|| {
        let is_part = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let most = text.iter().take_while(is_part).count();
        (1..=most).rev().find_map(|end| parse(&text[..end]))
    });
    found.map_or(MISSING, |value| f64::from(value as f32))
}

/// The alleles of a genotype, `None` for one that is missing.
pub(in crate::vcs) fn alleles(text: &[u8]) -> impl Iterator<Item = Option<usize>> + '_ {
    let text = match text {
        [b'|' | b'/', rest @ ..] => rest,
        text => text,
    };
    let allele = |part: &[u8]| {
        let value = leading_integer(part).filter(|&value| value >= 0);
        value.and_then(|value| usize::try_from(value).ok())
    };
    text.split(|byte| matches!(byte, b'|' | b'/')).map(allele)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_record_is_split_as_far_as_it_goes() {
        let line = b"1\t5\trs1\tAT\tA,<DEL>\t29.50\tq10;s50\tDP=7;DB;AF=0.1,.\tGT:AD\t0/1:1,2\t.";
        let record = Record::new(line);
        assert_eq!((record.position(), record.end()), (5, 6));
        assert_eq!(record.quality(), 29.5);
        assert_eq!(record.info("DP"), Some(Some(&b"7"[..])));
        assert_eq!((record.info("DB"), record.info("D")), (Some(None), None));
        assert_eq!(record.format("AD").unwrap(), [&b"1,2"[..], b"."]);
        assert_eq!(record.kinds(), kind::INDEL | kind::OTHER);
        assert!(record.format("DP").is_none());
        let short = Record::new(b"1\t5");
        assert!(short.alternates().next().is_none() && is_missing(short.quality()));
    }

    #[test]
    fn test_kinds_are_those_of_htslib() {
        for (reference, allele, expected) in [
            ("A", "C", kind::SNP),
            ("A", "a", kind::SNP),
            ("A", "<NON_REF>", 0),
            ("A", "*", kind::OVERLAP),
            ("AT", "A", kind::INDEL),
            ("A", "AT", kind::INDEL),
            ("ATG", "CTA", kind::MNP),
            ("AT", "CT", kind::SNP),
            ("ATT", "CA", kind::OTHER),
            ("CAA", "TA", kind::OTHER),
            ("GAT", "T", kind::INDEL),
            ("A", "<DEL>", kind::OTHER),
            ("A", "A[1:5[", kind::BND),
            ("A", "]1:5]A", kind::BND),
        ] {
            let found = kind_of(reference.as_bytes(), allele.as_bytes());
            assert_eq!(found, expected, "{reference} {allele}");
        }
    }

    #[test]
    fn test_numbers_are_those_of_bcf() {
        assert_eq!(number(b"0.1", Kind::Float), f64::from(0.1_f32));
        assert!(is_missing(number(b".", Kind::Float)) && number(b"nan", Kind::Float).is_nan());
        assert!(!is_missing(number(b"nan", Kind::Float)));
        assert!(is_missing(number(b"3000000000", Kind::Integer)));
        assert_eq!(number(b"-12", Kind::Integer), -12.0);
        assert_eq!(alleles(b"|0/12/.").collect::<Vec<_>>(), [Some(0), Some(12), None]);
    }
}
