//! Coverage across regions: what a seam cuts is put together again.

use super::depths::Stretch;
use crate::error::Result;
use crate::genome::{ContigId, Interval};

/// Holds back the last stretch of each sample until it is known how it goes on.
pub(super) struct Seams {
    window: Option<u64>,
    /// What came last: a contig, and up to where.
    end: Option<(ContigId, u64)>,
    /// By sample.
    held: Vec<Option<Stretch>>,
}

impl Seams {
    pub(super) fn new(window: Option<u64>, samples: usize) -> Self {
        Self { window, end: None, held: vec![None; samples.max(1)] }
    }

    /// Tells what comes next. Where it does not go on with what came last, that is over.
    pub(super) fn begin(
        &mut self,
        contig: ContigId,
        interval: Interval,
        sink: &mut impl FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        if self.end != Some((contig, interval.start())) {
            self.finish(sink)?;
        }
        self.end = Some((contig, interval.end()));
        Ok(())
    }

    /// Takes the next stretch of a sample.
    pub(super) fn push(
        &mut self,
        stretch: Stretch,
        sink: &mut impl FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        let Some(slot) = self.held.get_mut(stretch.sample.unwrap_or(0)) else {
            return sink(stretch);
        };
        let next = match slot.take() {
            Some(held) if self.window.is_some() || held.max == stretch.max => Stretch {
                interval: Interval::new(held.interval.start(), stretch.interval.end()),
                sum: held.sum + stretch.sum,
                min: held.min.min(stretch.min),
                max: held.max.max(stretch.max),
                covered: held.covered + stretch.covered,
                ..stretch
            },
            Some(held) => {
                sink(held)?;
                stretch
            }
            None => stretch,
        };
        if self.window.is_some_and(|window| next.interval.end().is_multiple_of(window)) {
            return sink(next);
        }
        *slot = Some(next);
        Ok(())
    }

    /// Hands on whatever is held.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(Stretch) -> Result<()>) -> Result<()> {
        self.held.iter_mut().filter_map(Option::take).try_for_each(sink)
    }
}
