//! The numbers of `samtools flagstat` and `samtools idxstats`, as counters that add up over parts
//! of a file.

use super::Record;
use super::record::flags;
use crate::error::{Error, Result};
use crate::genome::Contigs;

/// What flagstat counts; each twice, for reads that passed quality control and for those that
/// failed.
///
/// ```
/// use genomic_objects::records::alignments::stats::Flagstat;
///
/// let text = Flagstat::default().text();
/// assert!(text.starts_with("0 + 0 in total (QC-passed reads + QC-failed reads)\n"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flagstat {
    counts: [[u64; 2]; COUNTERS.len()],
}

#[derive(Clone, Copy)]
enum Counter {
    Total,
    Primary,
    Secondary,
    Supplementary,
    Duplicates,
    PrimaryDuplicates,
    Mapped,
    PrimaryMapped,
    Paired,
    Read1,
    Read2,
    ProperlyPaired,
    BothMapped,
    Singletons,
    OtherContig,
    OtherContigConfident,
}

use Counter::{
    BothMapped, Duplicates, Mapped, OtherContig, OtherContigConfident, Paired, Primary,
    PrimaryDuplicates, PrimaryMapped, ProperlyPaired, Read1, Read2, Secondary, Singletons,
    Supplementary, Total,
};

/// Each counter with its name in storage and its line in the report, in the report's order.
const COUNTERS: [(Counter, &str, &str); 16] = [
    (Total, "total", "in total (QC-passed reads + QC-failed reads)"),
    (Primary, "primary", "primary"),
    (Secondary, "secondary", "secondary"),
    (Supplementary, "supplementary", "supplementary"),
    (Duplicates, "duplicates", "duplicates"),
    (PrimaryDuplicates, "primary_duplicates", "primary duplicates"),
    (Mapped, "mapped", "mapped"),
    (PrimaryMapped, "primary_mapped", "primary mapped"),
    (Paired, "paired", "paired in sequencing"),
    (Read1, "read1", "read1"),
    (Read2, "read2", "read2"),
    (ProperlyPaired, "properly_paired", "properly paired"),
    (BothMapped, "both_mapped", "with itself and mate mapped"),
    (Singletons, "singletons", "singletons"),
    (OtherContig, "mate_on_other_contig", "with mate mapped to a different chr"),
    (
        OtherContigConfident,
        "mate_on_other_contig_mapq5",
        "with mate mapped to a different chr (mapQ>=5)",
    ),
];

const FAILED_SUFFIX: &str = "_qc_failed";

impl Flagstat {
    /// Counts a record.
    pub fn add(&mut self, record: &Record<'_>) {
        let has = |bit: u16| record.flags() & bit != 0;
        let failed = usize::from(has(flags::QC_FAIL));
        let is_mapped = !has(flags::UNMAPPED);
        let mut count = |counter: Counter, is: bool| {
            self.counts[counter as usize][failed] += u64::from(is);
        };
        count(Total, true);
        count(Mapped, is_mapped);
        count(Duplicates, has(flags::DUPLICATE));
        if has(flags::SECONDARY) {
            return count(Secondary, true);
        }
        if has(flags::SUPPLEMENTARY) {
            return count(Supplementary, true);
        }
        count(Primary, true);
        count(PrimaryMapped, is_mapped);
        count(PrimaryDuplicates, has(flags::DUPLICATE));
        if !has(flags::PAIRED) {
            return;
        }
        let is_mate_mapped = !has(flags::MATE_UNMAPPED);
        let is_apart = is_mapped && is_mate_mapped && record.mate_ref_id() != record.ref_id();
        count(Paired, true);
        count(Read1, has(flags::READ1));
        count(Read2, has(flags::READ2));
        count(ProperlyPaired, has(flags::PROPER_PAIR) && is_mapped);
        count(BothMapped, is_mapped && is_mate_mapped);
        count(Singletons, is_mapped && !is_mate_mapped);
        count(OtherContig, is_apart);
        count(OtherContigConfident, is_apart && record.mapping_quality() >= 5);
    }

    /// Adds what another part of the file counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            mine[0] += others[0];
            mine[1] += others[1];
        }
    }

    /// Takes off what a part of the file counted.
    pub fn take_off(&mut self, part: &Self) {
        for (mine, parts) in self.counts.iter_mut().zip(&part.counts) {
            mine[0] = mine[0].saturating_sub(parts[0]);
            mine[1] = mine[1].saturating_sub(parts[1]);
        }
    }

    /// All counters by name.
    pub fn to_named(&self) -> Vec<(String, u64)> {
        COUNTERS
            .iter()
            .zip(&self.counts)
            .flat_map(|((_, name, _), [passed, failed])| {
                [((*name).to_owned(), *passed), (format!("{name}{FAILED_SUFFIX}"), *failed)]
            })
            .collect()
    }

    /// Counters from their names; those that are missing are 0.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for a name that this version does not
    /// know.
    pub fn from_named<'a>(named: impl IntoIterator<Item = (&'a str, u64)>) -> Result<Self> {
        let mut flagstat = Self::default();
        for (name, value) in named {
            let (base, failed) = match name.strip_suffix(FAILED_SUFFIX) {
                Some(base) => (base, 1),
                None => (name, 0),
            };
            let known = COUNTERS.iter().position(|(_, name, _)| *name == base);
            let index = known.ok_or_else(|| {
                Error::unsupported(format!("the counter {name:?} is not known"))
                    .help("use a newer version of this program")
            })?;
            flagstat.counts[index][failed] = value;
        }
        Ok(flagstat)
    }

    /// How many reads there are.
    pub fn total(&self) -> u64 {
        let [passed, failed] = self.counts[Total as usize];
        passed + failed
    }

    /// What `samtools flagstat` (1.16) prints.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for ((counter, _, label), [passed, failed]) in COUNTERS.iter().zip(&self.counts) {
            let whole = match counter {
                Mapped => Some(Total),
                PrimaryMapped => Some(Primary),
                ProperlyPaired | Singletons => Some(Paired),
                _ => None,
            };
            let share = whole.map(|whole| {
                let [all_passed, all_failed] = self.counts[whole as usize];
                format!(" ({} : {})", percent(*passed, all_passed), percent(*failed, all_failed))
            });
            text += &format!("{passed} + {failed} {label}{}\n", share.unwrap_or_default());
        }
        text
    }
}

/// In single precision, as samtools has it.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "N/A".to_owned();
    }
    format!("{:.2}%", f64::from(part as f32 / whole as f32) * 100.0)
}

/// What idxstats counts: reads by contig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContigCounts {
    /// For each contig, reads that are mapped and reads that are only placed there.
    counts: Vec<[u64; 2]>,
    unplaced: u64,
}

impl ContigCounts {
    /// Counters at 0 for a number of contigs.
    pub fn new(contigs: usize) -> Self {
        Self { counts: vec![[0; 2]; contigs], unplaced: 0 }
    }

    /// Counters that were stored: mapped and placed-unmapped reads of each contig, and unplaced
    /// reads.
    pub fn from_parts(counts: Vec<[u64; 2]>, unplaced: u64) -> Self {
        Self { counts, unplaced }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record<'_>) {
        let unmapped = usize::from(record.flags() & flags::UNMAPPED != 0);
        match record.contig().and_then(|id| self.counts.get_mut(id.0 as usize)) {
            Some(count) => count[unmapped] += 1,
            None => self.unplaced += 1,
        }
    }

    /// Adds what another part of the file counted.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), [0; 2]);
        }
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            mine[0] += others[0];
            mine[1] += others[1];
        }
        self.unplaced += other.unplaced;
    }

    /// Takes off what a part of the file counted.
    pub fn take_off(&mut self, part: &Self) {
        for (mine, parts) in self.counts.iter_mut().zip(&part.counts) {
            mine[0] = mine[0].saturating_sub(parts[0]);
            mine[1] = mine[1].saturating_sub(parts[1]);
        }
        self.unplaced = self.unplaced.saturating_sub(part.unplaced);
    }

    /// Mapped and placed-unmapped reads of each contig.
    pub fn counts(&self) -> &[[u64; 2]] {
        &self.counts
    }

    /// Reads that are placed nowhere.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// What `samtools idxstats` (1.16) prints.
    pub fn text(&self, contigs: &Contigs) -> String {
        let mut text = String::new();
        for (index, contig) in contigs.iter().enumerate() {
            let [mapped, unmapped] = self.counts.get(index).copied().unwrap_or_default();
            text += &format!("{}\t{}\t{mapped}\t{unmapped}\n", contig.name, contig.length);
        }
        text += &format!("*\t0\t0\t{}\n", self.unplaced);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_flagstat_survives_its_named_form() {
        let mut flagstat = Flagstat::default();
        for (index, count) in flagstat.counts.iter_mut().enumerate() {
            *count = [index as u64, 100 + index as u64];
        }
        let named = flagstat.to_named();
        assert_eq!(named.len(), 32);
        let named = named.iter().map(|(name, value)| (name.as_str(), *value));
        assert_eq!(Flagstat::from_named(named).unwrap(), flagstat);
        assert!(Flagstat::from_named([("nonsense", 1)]).is_err());
    }

    #[test]
    fn test_counters_are_in_the_order_of_their_table() {
        for (index, (counter, ..)) in COUNTERS.iter().enumerate() {
            assert_eq!(*counter as usize, index);
        }
    }
}
