//! Regions as samtools users write them: `chr1`, `chr1:1,000-2,000`, `{HLA:01}:5-6`, `chr1:1M-2M`.
//!
//! Written coordinates are 1-based and closed. `chr1:1000` runs from base 1,000 to the end of the
//! contig, `chr1:-2000` from its start, `*` means the reads without a contig, and `.` everything.
//! Numbers may have commas and one of the suffixes `k`, `M`, `G` (powers of 1,000), also with
//! decimals: `1.5M`.

use super::{ContigId, Contigs, Interval};
use crate::error::{Error, Result};

/// A stretch of one contig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// Which contig.
    pub contig: ContigId,
    /// Which part of it.
    pub interval: Interval,
}

/// What a query can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Items that overlap a region.
    Region(Region),
    /// Reads without a contig: `*`.
    Unplaced,
    /// Everything: `.`.
    All,
}

impl Target {
    /// Reads one region argument.
    ///
    /// ```
    /// use genomic_objects::genome::{Contig, ContigId, Contigs, Interval, Region, Target};
    ///
    /// let contigs = Contigs::new(vec![Contig { name: "chr1".into(), length: 5_000_000, md5: None }])?;
    /// let target = Target::parse("chr1:1M-2M", &contigs)?;
    /// let interval = Interval::new(999_999, 2_000_000);
    /// assert_eq!(target, Target::Region(Region { contig: ContigId(0), interval }));
    /// # Ok::<(), genomic_objects::error::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a contig that is not in the dictionary, a
    /// range that is no range, and a text that can be read in two ways.
    pub fn parse(text: &str, contigs: &Contigs) -> Result<Self> {
        match text {
            "*" => return Ok(Self::Unplaced),
            "." => return Ok(Self::All),
            _ => {}
        }
        let whole = |id| Self::Region(Region { contig: id, interval: Interval::ALL });
        if let Some(quoted) = text.strip_prefix('{') {
            let (name, rest) =
                quoted.split_once('}').ok_or_else(|| invalid(text, "a '{' without its '}'"))?;
            let id = contigs.id(name).ok_or_else(|| unknown(text, name, contigs))?;
            return match rest.strip_prefix(':') {
                None if rest.is_empty() => Ok(whole(id)),
                None => Err(invalid(text, "text between '}' and ':'")),
                Some(range) => Self::with_range(text, id, range),
            };
        }
        let as_whole = contigs.id(text);
        let as_split =
            text.rsplit_once(':').and_then(|(name, range)| Some((contigs.id(name)?, name, range)));
        match (as_whole, as_split) {
            (Some(_), Some((_, name, range))) if parse_range(range).is_ok() => Err(Error::usage(
                format!("region {text:?} names both a contig and a part of the contig {name:?}"),
            )
            .help(format!("write {{{text}}} for the contig, {{{name}}}:{range} for the part"))),
            (Some(id), _) => Ok(whole(id)),
            (None, Some((id, _, range))) => Self::with_range(text, id, range),
            (None, None) => {
                let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
                Err(unknown(text, name, contigs))
            }
        }
    }

    fn with_range(text: &str, contig: ContigId, range: &str) -> Result<Self> {
        let interval = parse_range(range).map_err(|what| invalid(text, &what))?;
        Ok(Self::Region(Region { contig, interval }))
    }
}

/// Reads `1,000-2,000`, `1000`, `-2000`, `1M-`: 1-based closed to 0-based half-open.
fn parse_range(range: &str) -> Result<Interval, String> {
    let (from, to) = match range.split_once('-') {
        Some((from, to)) => (from, to),
        None => (range, ""),
    };
    if from.is_empty() && to.is_empty() {
        return Err("no number after ':'".into());
    }
    let start = if from.is_empty() { 1 } else { parse_number(from)? };
    let end = if to.is_empty() { u64::MAX } else { parse_number(to)? };
    // Position 0 stands before the first base; samtools reads it as 1.
    let start = start.max(1);
    if end < start {
        return Err(format!("the end {end} before the start {start}"));
    }
    Ok(Interval::new(start - 1, end))
}

/// Reads a count of bases: digits with commas, decimals and a suffix.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|&c| c != ',').collect();
    let (number, scale) = match digits.char_indices().last() {
        Some((at, 'k' | 'K')) => (&digits[..at], 1_000),
        Some((at, 'm' | 'M')) => (&digits[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&digits[..at], 1_000_000_000),
        _ => (digits.as_str(), 1_u64),
    };
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    let bad = || format!("{text:?} where a number of bases belongs");
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if integer.is_empty() || !all_digits(integer) || !all_digits(fraction) || fraction.len() > 9 {
        return Err(bad());
    }
    let mut value =
        integer.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(bad)?;
    if !fraction.is_empty() {
        let parts =
            fraction.parse::<u64>().map_err(|_| bad())?.checked_mul(scale).ok_or_else(bad)?;
        let unit = 10_u64.pow(fraction.len() as u32);
        if parts % unit != 0 {
            return Err(bad());
        }
        value = value.checked_add(parts / unit).ok_or_else(bad)?;
    }
    Ok(value)
}

fn invalid(text: &str, what: &str) -> Error {
    Error::usage(format!("region {text:?} has {what}"))
        .expected("CONTIG, CONTIG:START, CONTIG:START-END, '*' or '.'")
}

fn unknown(text: &str, name: &str, contigs: &Contigs) -> Error {
    let mut some: Vec<&str> = contigs.iter().take(4).map(|contig| contig.name.as_str()).collect();
    if contigs.len() > some.len() {
        some.push("…");
    }
    let error = Error::usage(format!("region {text:?}: there is no contig {name:?} here"));
    let other = name.strip_prefix("chr").map_or_else(|| format!("chr{name}"), str::to_owned);
    if contigs.id(&other).is_some() {
        return error.help(format!("this dataset calls it {other:?}"));
    }
    error.help(format!("the contigs are: {}", some.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Contig;

    fn contigs(names: &[&str]) -> Contigs {
        let contig = |name: &&str| Contig { name: (*name).into(), length: 1_000, md5: None };
        Contigs::new(names.iter().map(contig).collect()).unwrap()
    }

    fn interval(text: &str) -> Interval {
        match Target::parse(text, &contigs(&["chr1"])).unwrap() {
            Target::Region(region) => region.interval,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn test_parse_reads_samtools_forms_and_suffixes() {
        assert_eq!(interval("chr1"), Interval::ALL);
        assert_eq!(interval("chr1:1,000-2,000"), Interval::new(999, 2_000));
        assert_eq!(interval("chr1:5"), Interval::new(4, u64::MAX));
        assert_eq!(interval("chr1:-7"), Interval::new(0, 7));
        assert_eq!(interval("chr1:0-7"), Interval::new(0, 7));
        assert_eq!(interval("chr1:9-"), Interval::new(8, u64::MAX));
        assert_eq!(interval("chr1:1M-1.5M"), Interval::new(999_999, 1_500_000));
        assert_eq!(interval("chr1:1k-2K"), Interval::new(999, 2_000));
    }

    #[test]
    fn test_parse_refuses_what_is_no_range() {
        let contigs = contigs(&["chr1"]);
        for text in [
            "chr1:",
            "chr1:-",
            "chr1:a-b",
            "chr1:7-3",
            "chr1:1-2-3",
            "chr1:1.23-9",
            "{chr1",
            "{chr1}x:1",
        ] {
            let error = Target::parse(text, &contigs).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn test_parse_tells_colons_in_names_from_ranges() {
        let contigs = contigs(&["HLA-A*01:01", "x", "x:1-2"]);
        let region =
            |contig, interval| Target::Region(Region { contig: ContigId(contig), interval });
        assert_eq!(Target::parse("HLA-A*01:01", &contigs).unwrap(), region(0, Interval::ALL));
        assert_eq!(
            Target::parse("HLA-A*01:01:5-6", &contigs).unwrap(),
            region(0, Interval::new(4, 6))
        );
        assert!(Target::parse("x:1-2", &contigs).is_err());
        assert_eq!(Target::parse("{x:1-2}", &contigs).unwrap(), region(2, Interval::ALL));
        assert_eq!(Target::parse("{x}:1-2", &contigs).unwrap(), region(1, Interval::new(0, 2)));
        assert_eq!(Target::parse("*", &contigs).unwrap(), Target::Unplaced);
        assert_eq!(Target::parse(".", &contigs).unwrap(), Target::All);
    }

    #[test]
    fn test_parse_offers_the_other_naming_style() {
        let error = Target::parse("1:5-6", &contigs(&["chr1"])).unwrap_err();
        assert!(error.to_string().contains("\"chr1\""), "{error}");
    }
}
