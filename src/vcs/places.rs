//! Which records a query asks for by place.

use std::collections::BTreeMap;

use super::index::{Part, Spatial};
use crate::error::Result;
use crate::genome::{ContigId, Contigs, Interval, Region, Target, bed, interval};

/// Places as text.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Regions that records overlap, from POS to the end of REF or to INFO/END.
    pub regions: Vec<String>,
    /// The same, as a file's name and text.
    pub region_file: Option<(String, String)>,
    /// Regions that POS lies in.
    pub targets: Vec<String>,
    /// The same, as a file's name and text.
    pub target_file: Option<(String, String)>,
    /// Keep what lies outside the targets instead.
    pub exclude_targets: bool,
}

/// Places in a dictionary.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    regions: Option<Intervals>,
    targets: Option<Intervals>,
    exclude_targets: bool,
}

/// By contig, sorted and disjoint.
type Intervals = BTreeMap<ContigId, Vec<Interval>>;

impl Selection {
    /// What `places` are in a dictionary.
    pub(super) fn new(places: &Places, contigs: &Contigs) -> Result<Self> {
        Ok(Self {
            regions: intervals(&places.regions, &places.region_file, contigs)?,
            targets: intervals(&places.targets, &places.target_file, contigs)?,
            exclude_targets: places.exclude_targets,
        })
    }

    /// Whether all records are asked for.
    pub(super) fn is_all(&self) -> bool {
        self.regions.is_none() && self.targets.is_none()
    }

    /// Whether a record from `first` to `last` (from 1, closed) is asked for.
    pub(super) fn accepts(&self, contig: ContigId, first: i64, last: i64) -> bool {
        let start = u64::try_from(first - 1).unwrap_or(0);
        // A record has at least one base, and one before the first counts as there.
        let end = u64::try_from(last).unwrap_or(0).max(start + 1);
        let in_regions = self.regions.as_ref().is_none_or(|all| overlaps(all, contig, start, end));
        let in_targets = |all: &Intervals| overlaps(all, contig, start, start + 1);
        let in_targets =
            self.targets.as_ref().is_none_or(|all| in_targets(all) != self.exclude_targets);
        in_regions && in_targets
    }

    /// Whether a part may have such a record.
    pub(super) fn may_be_in_part(&self, part: &Part) -> bool {
        self.may_be(ContigId(part.contig), part.first, part.last, part.reach)
    }

    /// Whether a row group may.
    pub(super) fn may_be_in_group(&self, contig: u32, group: &Spatial) -> bool {
        self.may_be(ContigId(contig), group.first, group.last, group.reach)
    }

    fn may_be(&self, contig: ContigId, first: i64, last: i64, reach: i64) -> bool {
        let start = u64::try_from(first - 1).unwrap_or(0);
        let last = u64::try_from(last).unwrap_or(0).max(start + 1);
        let reach = u64::try_from(reach).unwrap_or(0).max(last);
        let in_regions =
            self.regions.as_ref().is_none_or(|all| overlaps(all, contig, start, reach));
        let in_targets = self
            .targets
            .as_ref()
            .is_none_or(|all| self.exclude_targets || overlaps(all, contig, start, last));
        in_regions && in_targets
    }
}

fn overlaps(all: &Intervals, contig: ContigId, start: u64, end: u64) -> bool {
    let Some(list) = all.get(&contig) else { return false };
    let at = list.partition_point(|interval| interval.end() <= start);
    list.get(at).is_some_and(|interval| interval.start() < end)
}

fn intervals(
    texts: &[String],
    file: &Option<(String, String)>,
    contigs: &Contigs,
) -> Result<Option<Intervals>> {
    if texts.is_empty() && file.is_none() {
        return Ok(None);
    }
    let mut regions: Vec<Region> = Vec::new();
    for text in texts.iter().flat_map(|text| split(text)) {
        match Target::parse(text, contigs)? {
            Target::Region(region) => regions.push(region),
            Target::All => return Ok(None),
            Target::Unplaced => {}
        }
    }
    if let Some((name, text)) = file {
        regions.extend(of_file(text, name, contigs)?);
    }
    let mut all: Intervals = BTreeMap::new();
    for region in regions {
        all.entry(region.contig).or_default().push(region.interval);
    }
    for list in all.values_mut() {
        *list = interval::merge(std::mem::take(list));
    }
    Ok(Some(all))
}

/// Regions separated by commas, as bcftools takes them; commas within numbers are none.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut in_name) = (0, false);
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        // A name in braces may have commas.
        in_name = byte != b'}' && (in_name || byte == b'{' && at == start);
        let in_number =
            bytes.get(at + 1..at + 4).is_some_and(|next| next.iter().all(u8::is_ascii_digit))
                && at > 0
                && bytes[at - 1].is_ascii_digit()
                && text[start..at].contains(':');
        if byte == b',' && !in_number && !in_name {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// Regions of a file: BED by its name, else contig, start and end from 1, closed, or a lone
/// position, as bcftools reads it.
fn of_file(text: &str, name: &str, contigs: &Contigs) -> Result<Vec<Region>> {
    let is_bed = [".bed", ".bed.gz"].iter().any(|suffix| name.ends_with(suffix));
    if is_bed {
        return bed::parse(text, name, contigs);
    }
    let mut regions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut fields = line.split('\t');
        let contig = fields.next().unwrap_or_default();
        let mut position = || fields.next().map(str::parse::<u64>).transpose();
        let numbers = position().map(|first| (first, position().ok().flatten()));
        let (first, last) = numbers.map_err(|_| {
            crate::error::Error::input("not a line of regions")
                .expected("contig, first and last position, separated by tabs")
                .at(format!("line {}", number + 1))
                .at(name)
        })?;
        let interval = match (first, last) {
            (None, _) => Interval::ALL,
            (Some(first), last) => Interval::new(first.saturating_sub(1), last.unwrap_or(first)),
        };
        if let Some(contig) = contigs.id(contig) {
            regions.push(Region { contig, interval });
        }
    }
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Contig;

    fn selection(places: Places) -> Selection {
        let contig = |name: &str| Contig { name: name.into(), length: 0, md5: None };
        let contigs = Contigs::new(vec![contig("1"), contig("X")]).unwrap();
        Selection::new(&places, &contigs).unwrap()
    }

    #[test]
    fn test_selection_takes_regions_by_overlap_and_targets_by_position() {
        let text = |text: &str| vec![text.to_owned()];
        let regions =
            selection(Places { regions: text("1:100-200,X:1,000-2,000"), ..Places::default() });
        assert!(regions.accepts(ContigId(0), 50, 100));
        assert!(!regions.accepts(ContigId(0), 50, 99));
        assert!(regions.accepts(ContigId(1), 2_000, 2_000));
        assert!(!regions.accepts(ContigId(1), 500, 900));
        let targets = selection(Places { targets: text("1:100-200"), ..Places::default() });
        assert!(!targets.accepts(ContigId(0), 50, 100));
        assert!(targets.accepts(ContigId(0), 200, 300));
        let rest = selection(Places {
            targets: text("1:100-200"),
            exclude_targets: true,
            ..Places::default()
        });
        assert!(rest.accepts(ContigId(0), 50, 100) && rest.accepts(ContigId(1), 150, 150));
        let file = Some(("x.tsv".to_owned(), "1\t5\n1\t10\t20\n".to_owned()));
        let file = selection(Places { region_file: file, ..Places::default() });
        assert!(file.accepts(ContigId(0), 5, 5) && file.accepts(ContigId(0), 20, 20));
        assert!(!file.accepts(ContigId(0), 6, 9));
    }
    #[test]
    fn test_split_leaves_names_in_braces_whole() {
        assert_eq!(split("1:5-9,{chr,1}:2,{a,b},X"), ["1:5-9", "{chr,1}:2", "{a,b}", "X"]);
        assert_eq!(split("1:1,000-2,000,{a}:1,000-2,000"), ["1:1,000-2,000", "{a}:1,000-2,000"]);
        assert_eq!(split("a{b,c}"), ["a{b", "c}"]);
    }
}
