//! What the fuzz targets of `fuzz/` run: every decoder on any bytes, and what must hold where it
//! succeeds.
//!
//! Compiled for fuzzing and for tests only. Checksums are set right or left out on the way in, so
//! that damage reaches what lies behind them. Each target has seeds, from which a corpus begins,
//! and inputs that once failed in `tests/regressions/`; the tests below run both.

use crate::dataset::fuzzing as dataset;
use crate::genome::fuzzing as genome;
use crate::hail::fuzzing as hail;
use crate::paf::fuzzing as paf;
use crate::ram::fuzzing as ram;
use crate::records::fuzzing as records;
use crate::srf::fuzzing as srf;
use crate::vcs::fuzzing as vcs;

/// A function that must return for any bytes, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("manifest", dataset::manifest),
    ("region", genome::region),
    ("bed", genome::bed),
    ("codec", crate::codec::fuzzing::codec),
    ("codec_names", crate::codec::fuzzing::names),
    ("codec_models", crate::codec::fuzzing::models),
    ("codec_round_trip", crate::codec::fuzzing::round_trip),
    ("filter_expression", records::filter_expression),
    ("sam", records::sam),
    ("bam_record", records::bam_record),
    ("alignment_file", records::alignment_file),
    ("bcf", records::bcf),
    ("fastq", records::fastq),
    ("paf_header", paf::header),
    ("paf_index", paf::index),
    ("paf_block", paf::block),
    ("srf_index", srf::index),
    ("srf_plain", srf::plain),
    ("srf_compact", srf::compact),
    ("vcf", vcs::vcf),
    ("vcf_expression", vcs::expression),
    ("vcs_index", vcs::index),
    ("vcs_residual", vcs::residual),
    ("vcs_parquet", vcs::parquet),
    ("ram_index", ram::index),
    ("ram_batch", ram::batch),
    ("hail_types", hail::types),
    ("hail_metadata", hail::metadata),
    ("hail_part", hail::part),
];

/// Runs the target called `name`.
///
/// # Panics
///
/// Where there is no such target, and where the target finds a defect.
pub fn run(name: &str, data: &[u8]) {
    crate::guard::print_no_caught_panics();
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    assert!(target.is_some(), "no fuzz target {name}");
    if let Some((_, target)) = target {
        target(data);
    }
}

/// Takes small numbers off the front of an input, which decide what is done with the rest.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub(crate) fn number(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    /// As many bytes as a number says, or as there are.
    pub(crate) fn slice(&mut self) -> &'a [u8] {
        let length = self.number().min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

/// One input in 16 is looked at more closely, always the same ones.
pub(crate) fn is_chosen(data: &[u8]) -> bool {
    data.iter().fold(data.len(), |sum, &byte| sum + usize::from(byte)).is_multiple_of(16)
}

#[cfg(test)]
pub(crate) mod tests;
