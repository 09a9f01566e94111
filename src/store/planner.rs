//! Which requests to send for a set of wanted ranges.
//!
//! Ranges of one object that overlap, touch, or lie so near that the [policy](Coalesce) takes the
//! gap between them, form a run. A run above 8 MiB is split into equal parts, which are fetched in
//! parallel: one connection moves some 50 MiB/s, a host far more.

use std::ops::Range;

use super::{Coalesce, RangeRequest};

/// The most bytes one request asks for.
const MAX_FETCH: u64 = 8 << 20;
/// A gap that costs no more to fetch than a request does.
const FREE_GAP: u64 = 4 << 10;
/// The longest gap that is fetched to save waiting.
const LATENCY_GAP: u64 = 1 << 20;

/// Requests to send, and how the wanted ranges are cut out of their answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) fetches: Vec<Fetch>,
    /// For each wanted range the pieces that make it up, in order; none for an empty range.
    pub(super) pieces: Vec<Vec<Piece>>,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    /// The index of a wanted range of the same object.
    pub(super) of: usize,
    pub(super) range: Range<u64>,
}

/// Bytes `range`, counted from the start of fetch `fetch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) fetch: usize,
    pub(super) range: Range<usize>,
}

/// Plans the fetches for `wanted`, whose ranges must not be reversed.
pub(super) fn plan(wanted: &[RangeRequest], coalesce: Coalesce) -> Plan {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.retain(|&i| !wanted[i].range.is_empty());
    order.sort_by(|&a, &b| {
        let (a, b) = (&wanted[a], &wanted[b]);
        (&a.key, a.range.start, a.range.end).cmp(&(&b.key, b.range.start, b.range.end))
    });

    let mut plan = Plan { fetches: Vec::new(), pieces: vec![Vec::new(); wanted.len()] };
    let mut run: Option<Run> = None;
    for index in order {
        let next = &wanted[index];
        match &mut run {
            Some(run) if wanted[run.members[0]].key == next.key && run.takes(next, coalesce) => {
                run.add(index, next);
            }
            run => {
                if let Some(done) = run.replace(Run::new(index, next)) {
                    plan.add(wanted, &done);
                }
            }
        }
    }
    if let Some(done) = run {
        plan.add(wanted, &done);
    }
    plan
}

/// Neighbouring ranges of one object, to be fetched together.
struct Run {
    members: Vec<usize>,
    range: Range<u64>,
    gaps: u64,
}

impl Run {
    fn new(index: usize, first: &RangeRequest) -> Self {
        Self { members: vec![index], range: first.range.clone(), gaps: 0 }
    }

    fn takes(&self, next: &RangeRequest, coalesce: Coalesce) -> bool {
        let gap = next.range.start.saturating_sub(self.range.end);
        match coalesce {
            Coalesce::Bytes(most) => gap <= most,
            Coalesce::Cost => gap <= FREE_GAP,
            Coalesce::Latency => {
                let all = next.range.end.max(self.range.end) - self.range.start;
                let gaps = self.gaps + gap;
                gap <= FREE_GAP || (gap <= LATENCY_GAP && gaps <= (all - gaps) / 4)
            }
        }
    }

    fn add(&mut self, index: usize, next: &RangeRequest) {
        self.gaps += next.range.start.saturating_sub(self.range.end);
        self.range.end = self.range.end.max(next.range.end);
        self.members.push(index);
    }
}

impl Plan {
    fn add(&mut self, wanted: &[RangeRequest], run: &Run) {
        let length = run.range.end - run.range.start;
        let parts = length.div_ceil(MAX_FETCH);
        let part = length.div_ceil(parts);
        let first = self.fetches.len();
        for i in 0..parts {
            let start = run.range.start + i * part;
            let end = start.saturating_add(part).min(run.range.end);
            self.fetches.push(Fetch { of: run.members[0], range: start..end });
        }
        for &index in &run.members {
            let range = &wanted[index].range;
            let from = ((range.start - run.range.start) / part) as usize;
            for (fetch, of) in self.fetches.iter().enumerate().skip(first + from) {
                if of.range.start >= range.end {
                    break;
                }
                let start = (range.start.max(of.range.start) - of.range.start) as usize;
                let end = (range.end.min(of.range.end) - of.range.start) as usize;
                self.pieces[index].push(Piece { fetch, range: start..end });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(ranges: &[(&str, u64, u64)]) -> Vec<RangeRequest> {
        ranges.iter().map(|&(key, start, end)| RangeRequest::new(key, start..end)).collect()
    }

    fn fetched(plan: &Plan) -> Vec<Range<u64>> {
        plan.fetches.iter().map(|f| f.range.clone()).collect()
    }

    #[test]
    fn test_plan_joins_touching_ranges_of_one_object_only() {
        let wanted = wanted(&[("a", 10, 20), ("b", 20, 30), ("a", 20, 30), ("a", 0, 0)]);
        let plan = plan(&wanted, Coalesce::Bytes(0));
        assert_eq!(fetched(&plan), [10..30, 20..30]);
        assert_eq!(plan.pieces[2], [Piece { fetch: 0, range: 10..20 }]);
        assert_eq!(plan.pieces[3], []);
    }

    #[test]
    fn test_plan_takes_gaps_as_the_policy_says() {
        let near = wanted(&[("a", 0, 100), ("a", 100 + 4096, 5000)]);
        assert_eq!(fetched(&plan(&near, Coalesce::Cost)), [0..5000]);
        assert_eq!(fetched(&plan(&near, Coalesce::Latency)), [0..5000]);
        assert_eq!(fetched(&plan(&near, Coalesce::Bytes(4095))).len(), 2);
        let far = wanted(&[("a", 0, 400_000), ("a", 500_000, 900_000)]);
        assert_eq!(fetched(&plan(&far, Coalesce::Latency)), [0..900_000]);
        assert_eq!(fetched(&plan(&far, Coalesce::Cost)).len(), 2);
        let sparse = wanted(&[("a", 0, 10_000), ("a", 30_000, 40_000)]);
        assert_eq!(fetched(&plan(&sparse, Coalesce::Latency)).len(), 2);
    }

    #[test]
    fn test_plan_splits_long_ranges_evenly() {
        let wanted = wanted(&[("a", 5, 5 + (20 << 20))]);
        let plan = plan(&wanted, Coalesce::Latency);
        let lengths: Vec<u64> = fetched(&plan).iter().map(|r| r.end - r.start).collect();
        assert_eq!(lengths.len(), 3);
        assert_eq!(lengths.iter().sum::<u64>(), 20 << 20);
        assert!(lengths.iter().all(|&n| n <= MAX_FETCH && n > 6 << 20));
        assert_eq!(plan.pieces[0].len(), 3);
    }

    proptest! {
        #[test]
        fn test_plan_reproduces_every_range_within_its_waste(
            ranges in prop::collection::vec((0u8..3, 0u64..40 << 20, 0u64..12 << 20), 0..40),
            policy in 0u8..3,
        ) {
            let coalesce = [Coalesce::Latency, Coalesce::Cost, Coalesce::Bytes(70_000)][policy as usize];
            let wanted: Vec<RangeRequest> = ranges
                .iter()
                .map(|&(key, start, len)| RangeRequest::new(format!("k{key}"), start..start + len))
                .collect();
            let plan = plan(&wanted, coalesce);
            for (request, pieces) in wanted.iter().zip(&plan.pieces) {
                let mut at = request.range.start;
                for piece in pieces {
                    let fetch = &plan.fetches[piece.fetch];
                    prop_assert_eq!(&wanted[fetch.of].key, &request.key);
                    prop_assert_eq!(fetch.range.start + piece.range.start as u64, at);
                    prop_assert!(fetch.range.start + piece.range.end as u64 <= fetch.range.end);
                    at += piece.range.len() as u64;
                }
                prop_assert_eq!(at, request.range.end);
            }
            for fetch in &plan.fetches {
                prop_assert!(fetch.range.end - fetch.range.start <= MAX_FETCH);
            }
        }
    }
}
