//! BED files as lists of regions.

use super::{Contigs, Interval, Region};
use crate::error::{Error, Result};

/// Reads the first three columns of BED text; `name` stands in errors.
///
/// BED is 0-based and half-open. Lines that are empty or begin with `#`, `track` or `browser` are
/// passed over, and a line with only a contig means all of it, as in samtools. Lines on contigs
/// that the dictionary lacks select nothing. An empty interval (`start == end`) selects nothing.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) with the line number where a start or end is missing,
/// no number, or out of order.
pub fn parse(text: &str, name: &str, contigs: &Contigs) -> Result<Vec<Region>> {
    let mut regions = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let is_meta = ["#", "track", "browser"].iter().any(|prefix| {
            line.strip_prefix(prefix).is_some_and(|rest| {
                *prefix == "#" || rest.is_empty() || rest.starts_with([' ', '\t'])
            })
        });
        if line.is_empty() || is_meta {
            continue;
        }
        let mut fields = line.split(if line.contains('\t') { '\t' } else { ' ' });
        let contig = fields.next().unwrap_or_default();
        let bounds = (fields.next(), fields.next());
        let interval = match bounds {
            (None, None) => Interval::ALL,
            (Some(start), Some(end)) => {
                let number = |text: &str| {
                    text.parse::<u64>().map_err(|_| {
                        bad_line(name, index, line).found(format!("{text:?} for a position"))
                    })
                };
                let (start, end) = (number(start)?, number(end)?);
                if end < start {
                    return Err(bad_line(name, index, line).found("an end before the start"));
                }
                Interval::new(start, end)
            }
            _ => return Err(bad_line(name, index, line).found("a start without an end")),
        };
        if let Some(contig) = contigs.id(contig) {
            regions.push(Region { contig, interval });
        }
    }
    Ok(regions)
}

fn bad_line(name: &str, index: usize, line: &str) -> Error {
    let shown: String = line.chars().take(80).collect();
    Error::input(format!("not a BED line: {shown:?}"))
        .expected("contig, start and end (0-based, half-open), separated by tabs")
        .at(format!("{name}: line {}", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Contig, ContigId};

    #[test]
    fn test_parse_reads_three_columns_and_skips_the_rest() {
        let contigs =
            Contigs::new(vec![Contig { name: "1".into(), length: 9, md5: None }]).unwrap();
        let text = "#c\ntrack name=x\n1\t0\t5\tname\n2\t1\t2\n\n1\n1 7 7\r\n";
        let regions = parse(text, "x.bed", &contigs).unwrap();
        let intervals: Vec<_> = regions.iter().map(|region| region.interval).collect();
        assert_eq!(intervals, [Interval::new(0, 5), Interval::ALL, Interval::new(7, 7)]);
        assert!(regions.iter().all(|region| region.contig == ContigId(0)));
        for bad in ["1\t5", "1\tx\t5", "1\t5\t4"] {
            let error = parse(bad, "x.bed", &contigs).unwrap_err();
            assert!(error.to_string().starts_with("x.bed: line 1: "), "{error}");
        }
    }
}
