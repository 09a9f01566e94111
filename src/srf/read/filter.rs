//! Which reads a query asks for.

use std::ops::Range;

use crate::srf::batch::{Batch, Fields, stem};
use crate::srf::ids;
use crate::srf::index::Extremes;

/// Which reads, by number or name.
#[derive(Clone, Debug, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those of these numbers, from 0; pairs are reads 2k and 2k+1.
    Numbers(Vec<Range<u64>>),
    /// Those of these names; `/1` or `/2` asks for one of a pair.
    Names(Vec<String>),
}

/// What reads must be like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter {
    /// Least average quality.
    pub min_quality: Option<f32>,
    /// Least number of bases.
    pub min_length: Option<u32>,
    /// Greatest number of bases.
    pub max_length: Option<u32>,
    /// Greatest number of expected errors.
    pub max_errors: Option<f32>,
    /// This part of the reads, chosen by a hash of the name and the seed; mates stay together.
    pub sample: Option<(f64, u64)>,
}

impl Filter {
    pub(super) fn may_be_in(&self, batch: &Extremes) -> bool {
        self.min_quality.is_none_or(|least| batch.average.1 >= least)
            && self.max_errors.is_none_or(|most| batch.errors.0 <= most)
            && self.min_length.is_none_or(|least| batch.length.1 >= least)
            && self.max_length.is_none_or(|most| batch.length.0 <= most)
    }

    pub(super) fn by_quality(&self) -> bool {
        self.min_quality.is_some() || self.max_errors.is_some()
    }

    pub(super) fn by_length(&self) -> bool {
        self.min_length.is_some() || self.max_length.is_some()
    }

    pub(super) fn keeps(&self, batch: &Batch, row: usize, mate: usize) -> bool {
        let length = batch.length(row, mate) as u64;
        if self.min_length.is_some_and(|least| length < u64::from(least))
            || self.max_length.is_some_and(|most| length > u64::from(most))
        {
            return false;
        }
        if let Some((fraction, seed)) = self.sample {
            let hash = ids::hash(&[stem(batch.names.get(row)), &seed.to_le_bytes()[..]].concat());
            if f64::from((hash >> 32) as u32) >= fraction * 4_294_967_296.0 {
                return false;
            }
        }
        if !self.by_quality() {
            return true;
        }
        batch.quality(row, mate).is_some_and(|quality| {
            self.min_quality.is_none_or(|least| quality.average >= least)
                && self.max_errors.is_none_or(|most| quality.expected_errors <= most)
        })
    }

    /// What of the reads it looks at.
    pub(super) fn fields(&self) -> Fields {
        let scores = if self.by_quality() { Fields::SCORES } else { Fields::LENGTHS };
        scores.and(if self.sample.is_some() { Fields::NAMES } else { Fields::LENGTHS })
    }
}
