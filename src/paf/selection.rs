//! Which records a query asks for by place.

use super::directory::BlockEntry;
use super::index::Root;
use crate::genome::{ContigId, Interval, Region, Target, interval};
use crate::records::alignments::Record;

/// Regions, merged so that each record is found once, however many of them it overlaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// Some places.
    Some {
        /// Regions in order, none touching another.
        regions: Vec<Region>,
        /// Whether reads without a contig are asked for.
        unplaced: bool,
    },
}

impl Selection {
    /// What any of `targets` asks for.
    pub fn of(targets: &[Target]) -> Self {
        if targets.contains(&Target::All) {
            return Self::All;
        }
        let mut by_contig: std::collections::BTreeMap<ContigId, Vec<Interval>> = Default::default();
        for target in targets {
            if let Target::Region(region) = target {
                by_contig.entry(region.contig).or_default().push(region.interval);
            }
        }
        let regions = by_contig
            .into_iter()
            .flat_map(|(contig, intervals)| {
                interval::merge(intervals)
                    .into_iter()
                    .map(move |interval| Region { contig, interval })
            })
            .collect();
        Self::Some { regions, unplaced: targets.contains(&Target::Unplaced) }
    }

    /// Whether the record is asked for: it overlaps a region, or has no contig.
    pub fn accepts(&self, record: &Record<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Some { regions, unplaced } => match record.contig() {
                None => *unplaced,
                Some(contig) => {
                    let interval = record.interval();
                    let before = |region: &Region| {
                        (region.contig, region.interval.end()) <= (contig, interval.start())
                    };
                    let at = regions.partition_point(before);
                    regions.get(at).is_some_and(|region| {
                        region.contig == contig && region.interval.overlaps(interval)
                    })
                }
            },
        }
    }

    /// Whether all of `place` is asked for.
    pub(super) fn covers(&self, place: &Region) -> bool {
        match self {
            Self::All => true,
            Self::Some { regions, .. } => regions.iter().any(|region| {
                region.contig == place.contig
                    && region.interval.start() <= place.interval.start()
                    && place.interval.end() <= region.interval.end()
            }),
        }
    }

    /// This selection and `more` regions.
    pub(super) fn with(&self, more: &[Region]) -> Self {
        match self {
            Self::All => Self::All,
            Self::Some { regions, unplaced } => {
                let all = regions.iter().chain(more).copied().map(Target::Region);
                let unplaced = unplaced.then_some(Target::Unplaced);
                Self::of(&all.chain(unplaced).collect::<Vec<_>>())
            }
        }
    }

    /// Whether a block may hold a record that is asked for.
    pub(super) fn may_be_in(&self, block: &BlockEntry) -> bool {
        match self {
            Self::All => true,
            Self::Some { regions, unplaced } => {
                (*unplaced && block.extent.has_unplaced())
                    || self
                        .candidates(
                            regions,
                            block.extent.first.contig(),
                            block.extent.last.contig(),
                        )
                        .any(|region| block.may_overlap(region.contig, region.interval))
            }
        }
    }

    /// The pages of the index that may list such blocks.
    pub(super) fn pages(&self, root: &Root) -> Vec<usize> {
        match self {
            Self::All => (0..root.pages.len()).collect(),
            Self::Some { regions, unplaced } => (0..root.pages.len())
                .filter(|&at| {
                    let extent = root.pages[at].extent;
                    (*unplaced && extent.has_unplaced())
                        || self
                            .candidates(regions, extent.first.contig(), extent.last.contig())
                            .any(|region| extent.may_overlap(region.contig, region.interval))
                })
                .collect(),
        }
    }

    /// The regions on contigs from `first` to `last`, where `None` stands behind all contigs.
    fn candidates<'a>(
        &self,
        regions: &'a [Region],
        first: Option<ContigId>,
        last: Option<ContigId>,
    ) -> impl Iterator<Item = &'a Region> {
        let after_all = ContigId(u32::MAX);
        let from = regions.partition_point(|region| region.contig < first.unwrap_or(after_all));
        let to = regions.partition_point(|region| region.contig <= last.unwrap_or(after_all));
        regions[from.min(to)..to].iter()
    }
}
