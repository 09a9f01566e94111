//! Range bounds of partitions, and which partitions a place can be in.
//!
//! Bounds say where the rows of a partition lie, no closer than that: they may be wider than the
//! data and span contigs. They ascend in the order of the reference genome, which this code need
//! not know: a contig that bounds name lies in the partitions whose bounds name it, and nowhere
//! else, while one that no bound names can only be inside a partition that spans contigs.

use std::collections::HashMap;

use serde_json::Value;

/// A place: a contig and a 1-based position.
pub(super) type Place = (String, i32);

/// Where the rows of a partition can be; `None` is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    start: Option<Place>,
    end: Option<Place>,
    /// The bounds as the metadata has them.
    text: String,
}

impl Bounds {
    /// Reads an interval of keys; an end that is no locus is open.
    pub(super) fn parse(json: &Value) -> Self {
        let text = match (json.get("start"), json.get("end")) {
            (Some(start), Some(end)) => {
                let bracket = |member: &str, yes: char, no: char| {
                    let included = json.get(member).and_then(Value::as_bool).unwrap_or(true);
                    if included { yes } else { no }
                };
                let (open, close) =
                    (bracket("includeStart", '[', '('), bracket("includeEnd", ']', ')'));
                format!("{open}{start}-{end}{close}")
            }
            _ => String::new(),
        };
        Self { start: place(json.get("start")), end: place(json.get("end")), text }
    }

    /// The one contig that all rows are of, if the bounds prove it.
    pub fn contig(&self) -> Option<&str> {
        let (start, end) = (self.start.as_ref()?, self.end.as_ref()?);
        (start.0 == end.0).then_some(start.0.as_str())
    }

    /// How the metadata has them, as `[{"locus":…}-{"locus":…})`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The locus of a key: its first field, by whichever name.
fn place(key: Option<&Value>) -> Option<Place> {
    let fields = key?.as_object()?;
    let of = |value: &Value| {
        let contig = value.get("contig")?.as_str()?;
        let position = i32::try_from(value.get("position")?.as_i64()?).ok()?;
        Some((contig.to_owned(), position))
    };
    match fields.get("locus") {
        Some(locus) => of(locus),
        None => fields.values().find_map(of),
    }
}

/// The bounds of all partitions.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    bounds: Vec<Bounds>,
    /// The first and last partition whose bounds name a contig.
    named: HashMap<String, (usize, usize)>,
    /// They ascend as they should; else nothing can be concluded.
    ascend: bool,
}

impl Ranges {
    /// The bounds of partitions in order.
    pub(super) fn new(bounds: Vec<Bounds>) -> Self {
        let mut named: HashMap<String, (usize, usize)> = HashMap::new();
        let mut ascend = true;
        let mut last: Option<&Place> = None;
        for (at, of) in bounds.iter().enumerate() {
            for (contig, position) in [&of.start, &of.end].into_iter().flatten() {
                let known = named.get(contig.as_str()).copied();
                // A contig comes once, and its positions ascend.
                if let (Some(_), Some((before, _))) = (known, last) {
                    ascend &= before == contig;
                }
                if let Some((before, reached)) = last {
                    ascend &= before != contig || reached <= position;
                }
                let first = known.map_or(at, |(first, _)| first);
                named.insert(contig.clone(), (first, at));
            }
            for place in [&of.start, &of.end].into_iter().flatten() {
                last = Some(place);
            }
        }
        Self { bounds, named, ascend }
    }

    /// The positions that rows of `contig` in partition `at` can have; `None` if it has none.
    pub(super) fn reach(&self, at: usize, contig: &str) -> Option<(i32, i32)> {
        let bounds = self.bounds.get(at)?;
        if !self.ascend {
            return Some((i32::MIN, i32::MAX));
        }
        let (start, end) = (bounds.start.as_ref(), bounds.end.as_ref());
        let from = start.filter(|(name, _)| name == contig).map(|(_, position)| *position);
        let to = end.filter(|(name, _)| name == contig).map(|(_, position)| *position);
        if from.is_none() && to.is_none() {
            // Inside, between two contigs that bounds name, or beyond an open end.
            let is_inside = bounds.contig().is_none();
            let is_elsewhere = match self.named.get(contig) {
                None => false,
                Some(&(first, last)) => {
                    !(start.is_none() && at <= first || end.is_none() && at >= last)
                }
            };
            if !is_inside || is_elsewhere {
                return None;
            }
        }
        Some((from.unwrap_or(i32::MIN), to.unwrap_or(i32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ranges(ends: &[(&str, i32, &str, i32)]) -> Ranges {
        let key = |contig: &str, position: i32| json!({"locus": {"contig": contig, "position": position}, "alleles": ["A"]});
        let bounds = ends.iter().map(|&(c, p, d, q)| {
            Bounds::parse(&json!({"start": key(c, p), "end": key(d, q), "includeStart": true, "includeEnd": false}))
        });
        Ranges::new(bounds.collect())
    }

    fn hits(ranges: &Ranges, contig: &str, first: i32, last: i32) -> Vec<usize> {
        let overlaps = |&at: &usize| {
            ranges.reach(at, contig).is_some_and(|(from, to)| first <= to && from <= last)
        };
        (0..ranges.bounds.len()).filter(overlaps).collect()
    }

    #[test]
    fn test_ranges_find_partitions_without_the_order_of_contigs() {
        let ranges = ranges(&[
            ("chr1", 1, "chr1", 100),
            ("chr1", 100, "chr2", 50),
            ("chr2", 50, "chr10", 5),
            ("chr10", 5, "chrY", 9),
        ]);
        assert_eq!(hits(&ranges, "chr1", 1, 99), [0]);
        assert_eq!(hits(&ranges, "chr1", 100, 100), [0, 1], "a shared border");
        assert_eq!(hits(&ranges, "chr1", 500, 600), [1]);
        assert_eq!(hits(&ranges, "chr2", 1, i32::MAX), [1, 2]);
        assert_eq!(hits(&ranges, "chr2", 1, 49), [1]);
        assert_eq!(hits(&ranges, "chr10", 6, 9), [3]);
        // No bound names it, so it may hide wherever contigs change.
        assert_eq!(hits(&ranges, "chrX", 1, 9), [1, 2, 3]);
    }

    #[test]
    fn test_ranges_conclude_nothing_from_bounds_out_of_order() {
        for wrong in [
            [("chr1", 5, "chr1", 9), ("chr1", 1, "chr1", 4)],
            [("chr1", 1, "chr2", 4), ("chr1", 1, "chr1", 4)],
        ] {
            assert_eq!(hits(&ranges(&wrong), "chr7", 1, 2), [0, 1]);
        }
    }

    #[test]
    fn test_ranges_with_open_ends_skip_only_what_is_certain() {
        let open = json!({"start": {}, "end": {"locus": {"contig": "chr1", "position": 9}}});
        let rest =
            json!({"start": {"locus": {"contig": "chr1", "position": 9}}, "end": {"locus": null}});
        let ranges = Ranges::new(vec![Bounds::parse(&open), Bounds::parse(&rest)]);
        assert_eq!(hits(&ranges, "chr1", 1, 8), [0]);
        assert_eq!(hits(&ranges, "chr1", 10, 11), [1]);
        assert_eq!(hits(&ranges, "chr3", 10, 11), [0, 1]);
    }
}
