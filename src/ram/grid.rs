//! How the genome is cut: regions of contigs, regions that small contigs share, and their
//! sub-windows.
//!
//! Neighbouring contigs share a region as long as they fit into one: thousands of contigs of a few
//! kilobases must not become thousands of objects. In it they lie one after another with one
//! position in between, which stands for whatever reaches beyond a contig. Where a shared region
//! begins depends on the contigs before it only, so that contigs that are added at the end of the
//! dictionary change no other.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::genome::Contigs;

/// Bits of a key that number samples.
pub(super) const SAMPLE_BITS: u32 = 24;
/// Most bases of a region that contigs share, so that a position in it takes 32 bits.
const MOST_SHARED: u64 = 1 << 31;

/// Sizes, in bases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) region: u64,
    pub(super) sub: u64,
    pub(super) coverage: u64,
}

/// A region, as the index counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The contig, or the first of those that share it.
    pub(super) contig: u32,
    /// Its number on the contig.
    pub(super) ordinal: u32,
    /// How many contigs are in it.
    pub(super) contigs: u32,
}

impl Place {
    /// Whether several contigs share it.
    pub(super) fn is_shared(&self) -> bool {
        self.contigs > 1
    }
}

/// Where a contig begins.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// The number of its first region.
    region: u64,
    /// How many regions it has.
    count: u64,
    /// Its first position in a shared region.
    offset: u64,
    length: u64,
}

/// Where regions and their sub-windows come in the order of the dataset.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    windows: Windows,
    starts: Vec<Start>,
    /// The number of all regions, which is that of reads without a place.
    total: u64,
    subs: u64,
}

/// Positions that a contig takes up in a shared region.
fn room(length: u64) -> u64 {
    length.saturating_add(1)
}

impl Grid {
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more windows than keys can number.
    pub(super) fn new(windows: Windows, contigs: &Contigs) -> Result<Self> {
        let capacity = windows.region.min(MOST_SHARED);
        let (mut starts, mut total) = (Vec::with_capacity(contigs.len()), 0_u64);
        // What contigs before take up of the region that the next may share.
        let mut open: Option<u64> = None;
        for contig in contigs.iter() {
            let length = contig.length;
            let fits = |used: &u64| used.saturating_add(room(length)) <= capacity;
            let (region, count, offset) = match open.filter(fits) {
                Some(used) => (total - 1, 1, used),
                None => {
                    let count = length.div_ceil(windows.region).max(1);
                    total = total.saturating_add(count);
                    (total.saturating_sub(count), count, 0)
                }
            };
            let end = offset.saturating_add(room(length));
            open = Some(end).filter(|&end| end <= capacity);
            starts.push(Start { region, count, offset, length });
        }
        let subs = windows.region.div_ceil(windows.sub);
        let most = 1_u64 << (u64::BITS - SAMPLE_BITS);
        if total.saturating_add(1).checked_mul(subs).is_none_or(|count| count >= most) {
            return Err(Error::usage(
                "the genome has too many regions or sub-windows of this size",
            )
            .help("choose a larger --region-size and --sub-window"));
        }
        Ok(Self { windows, starts, total, subs })
    }

    /// The region of a number; `None` for that of reads without a place.
    pub(super) fn place(&self, region: u64) -> Option<Place> {
        if region >= self.total {
            return None;
        }
        let end = self.starts.partition_point(|start| start.region <= region);
        let first = self.starts.partition_point(|start| start.region < region);
        // In the midst of a contig, no contig begins.
        let contig = first.min(end.checked_sub(1)?);
        let ordinal = region - self.starts.get(contig)?.region;
        Some(Place {
            contig: contig as u32,
            ordinal: ordinal as u32,
            contigs: (end - contig) as u32,
        })
    }

    /// The numbers of the regions that an interval of a contig lies in; those beyond the last one
    /// are in that.
    pub(super) fn regions(&self, contig: u32, start: u64, end: u64) -> RangeInclusive<u64> {
        let Some(of) = self.starts.get(contig as usize) else { return self.total..=self.total };
        let region = |position: u64| of.region + (position / self.windows.region).min(of.count - 1);
        region(start)..=region(end.saturating_sub(1).max(start))
    }

    /// The number of the region of reads without a place.
    pub(super) fn unplaced(&self) -> u64 {
        self.total
    }

    /// A position as its region counts: from the beginning of the contig, or of a shared region.
    pub(super) fn linear(&self, contig: u32, position: u64) -> u64 {
        match self.starts.get(contig as usize) {
            Some(of) if self.place(of.region).is_some_and(|place| place.is_shared()) => {
                of.offset + position.min(of.length)
            }
            _ => position,
        }
    }

    /// The key of what comes first in a region.
    pub(super) fn first_key(&self, region: u64, sample: u32) -> u64 {
        (region * self.subs) << SAMPLE_BITS | u64::from(sample)
    }

    /// The key of a position.
    pub(super) fn key_at(&self, contig: u32, position: u64, sample: u32) -> u64 {
        let Some(of) = self.starts.get(contig as usize) else {
            return self.first_key(self.total, sample);
        };
        let ordinal = (position / self.windows.region).min(of.count - 1);
        let within = match of.count {
            1 => of.offset + position.min(of.length),
            _ => position - ordinal * self.windows.region,
        };
        let sub = (within / self.windows.sub).min(self.subs - 1);
        ((of.region + ordinal) * self.subs + sub) << SAMPLE_BITS | u64::from(sample)
    }

    /// The sub-window and the region that a key is about.
    pub(super) fn of_key(&self, key: u64) -> (u64, u64) {
        let window = key >> SAMPLE_BITS;
        (window, window / self.subs)
    }

    /// Where a sub-window begins, as [`linear`](Self::linear) counts.
    pub(super) fn window_start(&self, window: u64) -> u64 {
        let within = window % self.subs * self.windows.sub;
        match self.place(window / self.subs) {
            Some(place) => u64::from(place.ordinal) * self.windows.region + within,
            None => 0,
        }
    }
}

/// An interval of a contig as the region counts that it shares: what reaches beyond the contig is
/// one position behind it. `lengths` are those of all contigs.
pub(super) fn in_shared(
    place: &Place,
    lengths: &[u64],
    contig: u32,
    (start, end): (u64, u64),
) -> (u64, u64) {
    let before = lengths.get(place.contig as usize..contig as usize).unwrap_or_default();
    let offset = before.iter().fold(0_u64, |sum, &length| sum.saturating_add(room(length)));
    let length = lengths.get(contig as usize).copied().unwrap_or(0);
    let at = |position: u64| offset.saturating_add(position.min(length));
    (at(start), at(end.saturating_sub(1).max(start)).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Contig;

    fn grid(lengths: &[u64]) -> Grid {
        let contig =
            |(at, &length): (usize, &u64)| Contig { name: format!("c{at}"), length, md5: None };
        let contigs = Contigs::new(lengths.iter().enumerate().map(contig).collect()).unwrap();
        Grid::new(Windows { region: 100, sub: 10, coverage: 10 }, &contigs).unwrap()
    }

    fn place(contig: u32, ordinal: u32, contigs: u32) -> Option<Place> {
        Some(Place { contig, ordinal, contigs })
    }

    #[test]
    fn test_small_neighbours_share_a_region() {
        let grid = grid(&[250, 30, 30, 30, 30, 100, 20]);
        let places: Vec<_> = (0..8).map(|region| grid.place(region)).collect();
        assert_eq!(places[..3], [place(0, 0, 1), place(0, 1, 1), place(0, 2, 1)]);
        assert_eq!(places[3..6], [place(1, 0, 3), place(4, 0, 1), place(5, 0, 1)]);
        assert_eq!(places[6..], [place(6, 0, 1), None]);
        assert_eq!((grid.linear(0, 220), grid.linear(2, 5), grid.linear(3, 99)), (220, 36, 92));
        assert_eq!(grid.linear(6, 15), 15);
        assert_eq!(grid.regions(0, 95, 205), 0..=2);
        assert_eq!(grid.regions(0, 290, 310), 2..=2);
        assert_eq!(grid.regions(3, 0, 500), 3..=3);
        let window = |contig, position| grid.of_key(grid.key_at(contig, position, 3));
        assert_eq!(window(0, 215), (21, 2));
        assert_eq!(window(0, 999), (29, 2));
        assert_eq!(window(2, 9), (34, 3));
        assert_eq!(grid.window_start(21), 210);
        assert_eq!(grid.window_start(34), 40);
    }

    #[test]
    fn test_contigs_that_follow_change_no_region_but_the_last() {
        let (short, long) = (grid(&[40, 20, 70]), grid(&[40, 20, 70, 10, 90]));
        assert_eq!(short.place(0), long.place(0));
        assert_eq!((short.place(1), long.place(1)), (place(2, 0, 1), place(2, 0, 2)));
    }

    #[test]
    fn test_places_in_shared_regions_are_those_that_keys_count() {
        let lengths = [30, 30, 30];
        let (grid, place) = (grid(&lengths), Place { contig: 0, ordinal: 0, contigs: 3 });
        assert_eq!(in_shared(&place, &lengths, 1, (5, 12)), (36, 43));
        assert_eq!(grid.linear(1, 5), 36);
        // Beyond the contig is one position, where whatever is there overlaps.
        assert_eq!(in_shared(&place, &lengths, 1, (35, 90)), (61, 62));
        assert_eq!(in_shared(&place, &lengths, 1, (20, u64::MAX)), (51, 62));
    }

    #[test]
    fn test_too_many_windows_are_refused() {
        let list = vec![Contig { name: "a".into(), length: 1 << 31, md5: None }; 1];
        let windows = Windows { region: 1, sub: 1, coverage: 1 };
        assert!(Grid::new(windows, &Contigs::new(list.clone()).unwrap()).is_ok());
        let more = (0..2000).map(|at| Contig { name: format!("c{at}"), ..list[0].clone() });
        assert!(Grid::new(windows, &Contigs::new(more.collect()).unwrap()).is_err());
    }
}
