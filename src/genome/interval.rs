//! Half-open intervals on one contig.

use std::fmt;

/// A stretch of one contig: 0-based, from `start` up to but excluding `end`.
///
/// ```
/// use genomic_objects::genome::Interval;
///
/// let first_kb = Interval::new(0, 1_000);
/// assert_eq!(first_kb.len(), 1_000);
/// assert_eq!(first_kb.to_string(), "1-1000"); // printed 1-based and closed
/// assert!(first_kb.overlaps(Interval::new(999, 2_000)));
/// assert!(!first_kb.overlaps(Interval::new(1_000, 2_000)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    start: u64,
    end: u64,
}

impl Interval {
    /// Everything from the first base on, past any contig's end.
    pub const ALL: Self = Self { start: 0, end: u64::MAX };

    /// The interval of `start..end`; empty at `start` when `end` is not beyond it.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end: if end > start { end } else { start } }
    }

    /// The first base, 0-based.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last base, 0-based.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// How many bases.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no base.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the two have a base in common; an empty interval has none.
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty() && !other.is_empty() && self.start < other.end && other.start < self.end
    }

    /// Whether 0-based `position` lies inside.
    pub const fn contains(self, position: u64) -> bool {
        self.start <= position && position < self.end
    }
}

/// As people write it: 1-based, closed; the end is left out where it is unbounded.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.end == u64::MAX {
            write!(f, "{}-", self.start + 1)
        } else {
            write!(f, "{}-{}", self.start + 1, self.end)
        }
    }
}

/// Sorts intervals and joins those that touch or overlap; empty ones vanish.
pub fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|interval| !interval.is_empty());
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => merged.push(interval),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_merge_joins_touching_and_drops_empty() {
        let merged = merge(vec![
            Interval::new(10, 20),
            Interval::new(5, 5),
            Interval::new(20, 30),
            Interval::new(40, 50),
            Interval::new(0, 11),
        ]);
        assert_eq!(merged, [Interval::new(0, 30), Interval::new(40, 50)]);
    }
}
