//! Simulated alignments for demonstrations, tests and benchmarks: paired short reads of a diploid
//! sample, in coordinate order.
//!
//! They resemble a whole-genome run of an Illumina instrument in what matters to compression and
//! queries: reads agree where they overlap but for the sample's variants and for errors that
//! follow the qualities, fragments vary in length, and there are duplicates, clipped reads, reads
//! of uncertain place, and unmapped ones with and without a place. The genome is a function of the
//! seed, so that no length of it needs memory. The same options give the same records on any
//! machine: nothing is computed by functions whose last digit differs between them.

mod fragment;
mod genome;
mod random;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::genome::{Contig, Contigs};
use crate::records::alignments::RecordBatch;
use fragment::{Fragment, Sequencer};
use genome::Genome;
use random::Random;

/// Bases per read.
pub const READ_LEN: usize = 151;

/// Bases at the end of a contig where no fragment starts, so that none runs over it.
const MARGIN: u64 = 1_500;
/// The shortest contig.
const MIN_CONTIG: u64 = 20_000;
/// Pairs among which starts are drawn together; between them they are spread evenly.
const STRATUM: u64 = 64;
/// Records per batch.
const BATCH: usize = 4_096;
/// Of this many pairs, one has no place.
const UNPLACED_EVERY: u64 = 250;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// How many reads; an odd one out has no mate and no place.
    pub reads: u64,
    /// The same seed gives the same reads.
    pub seed: u64,
    /// How many reads cover a base on average, which decides how long the genome is.
    pub coverage: u32,
    /// What kind of base qualities.
    pub qualities: Qualities,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self { reads: 100_000, seed: 1, coverage: 30, qualities: Qualities::Full }
    }
}

/// How many values base qualities take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qualities {
    /// Forty, as older instruments report; most of the size of a file.
    #[default]
    Full,
    /// Four (2, 12, 23, 37), as newer ones do.
    Binned,
}

/// A run of simulated reads, batch by batch.
///
/// ```
/// use genomic_objects::simulate::{SimulateOptions, Simulation};
///
/// let simulation = Simulation::new(&SimulateOptions { reads: 1_000, ..Default::default() });
/// assert!(simulation.header().starts_with("@HD\tVN:1.6\tSO:coordinate\n"));
/// assert_eq!(simulation.map(|batch| batch.len()).sum::<usize>(), 1_000);
/// ```
#[derive(Debug)]
pub struct Simulation {
    contigs: Vec<Contig>,
    sequencer: Sequencer,
    random: Random,
    /// Pairs still to be drawn, per contig and without a place, in order.
    plans: VecDeque<Plan>,
    /// Serial number of the next pair.
    serial: u64,
    odd_read: bool,
    /// Records not yet in order with those to come: place, order of making, bytes.
    pending: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    made: u64,
}

/// The pairs to draw on one contig.
#[derive(Debug)]
struct Plan {
    /// `None` for pairs without a place.
    contig: Option<u32>,
    pairs: u64,
    drawn: u64,
    /// Starts and lengths of the fragments of the current stratum, the last first.
    stratum: Vec<Fragment>,
}

impl Simulation {
    /// Prepares a run; nothing is simulated yet.
    pub fn new(options: &SimulateOptions) -> Self {
        let bases = options.reads.saturating_mul(READ_LEN as u64);
        let length = (bases / u64::from(options.coverage.max(1))).min(1 << 31);
        let contig = |(name, percent): (&str, u64)| Contig {
            name: name.into(),
            length: (length / 100 * percent).max(MIN_CONTIG),
            md5: None,
        };
        let contigs: Vec<Contig> = [("chr1", 60), ("chr2", 30), ("chrX", 10)].map(contig).into();

        let pairs = options.reads / 2;
        let unplaced = pairs / UNPLACED_EVERY;
        let total: u64 = contigs.iter().map(|contig| contig.length).sum();
        let mut left = pairs - unplaced;
        let mut plans = VecDeque::new();
        for (id, contig) in (0..).zip(&contigs) {
            let is_last = id as usize + 1 == contigs.len();
            let share = u128::from(pairs - unplaced) * u128::from(contig.length);
            let share = (share / u128::from(total)) as u64;
            let pairs = if is_last { left } else { share };
            left -= pairs;
            plans.push_back(Plan { contig: Some(id), pairs, drawn: 0, stratum: Vec::new() });
        }
        plans.push_back(Plan { contig: None, pairs: unplaced, drawn: 0, stratum: Vec::new() });
        Self {
            contigs,
            sequencer: Sequencer::new(Genome::new(options.seed), options.qualities),
            random: Random::new(options.seed),
            plans,
            serial: 0,
            odd_read: options.reads % 2 == 1,
            pending: BinaryHeap::new(),
            made: 0,
        }
    }

    /// The text of the header.
    pub fn header(&self) -> String {
        let mut text = String::from("@HD\tVN:1.6\tSO:coordinate\n");
        for contig in &self.contigs {
            text += &format!("@SQ\tSN:{}\tLN:{}\n", contig.name, contig.length);
        }
        text + "@RG\tID:run1.1\tSM:simulated\tLB:lib1\tPL:ILLUMINA\n"
    }

    /// The contigs, in the header's order.
    pub fn contigs(&self) -> Contigs {
        Contigs::new(self.contigs.clone()).unwrap_or_default()
    }

    /// Draws the next pair; returns the place before which no more reads will come, or `None`
    /// when all are drawn.
    fn draw(&mut self) -> Option<u64> {
        let plan = loop {
            let plan = self.plans.front_mut()?;
            if plan.drawn < plan.pairs {
                break plan;
            }
            self.plans.pop_front();
        };
        let fragment = match plan.contig {
            Some(contig) => {
                if plan.stratum.is_empty() {
                    let usable = self.contigs[contig as usize].length - MARGIN;
                    plan.stratum = stratum(plan, contig, usable, &mut self.random);
                }
                plan.stratum.pop()
            }
            None => Some(Fragment::unplaced()),
        };
        plan.drawn += 1;
        let fragment = fragment?;
        let reads = self.sequencer.pair(&fragment, self.serial, &mut self.random);
        self.serial += 1;
        for (place, bytes) in reads {
            self.push(place, bytes);
        }
        Some(fragment.place())
    }

    fn push(&mut self, place: u64, bytes: Vec<u8>) {
        self.pending.push(Reverse((place, self.made, bytes)));
        self.made += 1;
    }
}

/// Draws the fragments of the next stratum of a contig.
fn stratum(plan: &Plan, contig: u32, usable: u64, random: &mut Random) -> Vec<Fragment> {
    let count = STRATUM.min(plan.pairs - plan.drawn);
    let bound = |pairs: u64| {
        let at = u128::from(usable) * u128::from(pairs) / u128::from(plan.pairs);
        at as u64
    };
    let (from, to) = (bound(plan.drawn), bound(plan.drawn + count));
    let mut fragments: Vec<Fragment> = (0..count)
        .map(|_| Fragment::draw(contig, from + random.below((to - from).max(1)), random))
        .collect();
    fragments.sort_by_key(|fragment| Reverse(fragment.start));
    // The last comes first, so a duplicate takes after its successor in the list.
    for index in (1..fragments.len()).rev() {
        if random.one_in(12) {
            fragments[index - 1] = fragments[index].duplicate();
        }
    }
    fragments
}

impl Iterator for Simulation {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        let mut batch = RecordBatch::new();
        while batch.len() < BATCH {
            let safe = match self.draw() {
                Some(place) => place,
                None if self.odd_read => {
                    self.odd_read = false;
                    let bytes = self.sequencer.odd_one(self.serial, &mut self.random);
                    self.push(u64::MAX, bytes);
                    continue;
                }
                None => u64::MAX,
            };
            let is_over = self.plans.is_empty();
            while let Some(Reverse((place, ..))) = self.pending.peek() {
                if *place >= safe && !is_over {
                    break;
                }
                let Some(Reverse((_, _, bytes))) = self.pending.pop() else { break };
                batch.push_trusted(&bytes);
            }
            if is_over {
                break;
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::alignments::Record;
    use crate::records::alignments::record::flags;

    fn records(options: &SimulateOptions) -> Vec<Vec<u8>> {
        let batches = Simulation::new(options);
        batches.flat_map(|b| b.iter().map(|r| r.bytes().to_vec()).collect::<Vec<_>>()).collect()
    }

    fn some(reads: u64, seed: u64) -> SimulateOptions {
        SimulateOptions { reads, seed, coverage: 10, ..Default::default() }
    }

    #[test]
    fn test_simulation_is_sound_sorted_and_exact_in_number() {
        for reads in [0, 1, 2, 999, 20_000] {
            let records = records(&some(reads, 7));
            assert_eq!(records.len() as u64, reads);
            let contigs = Simulation::new(&some(reads, 7)).contigs();
            let mut last = (0, 0);
            for bytes in &records {
                let record = Record::new(bytes).unwrap();
                let contig = record.contig().and_then(|id| contigs.get(id));
                let place = (record.ref_id() as u32, record.position());
                assert!(last <= place, "{last:?} before {place:?}");
                last = place;
                if record.flags() & flags::UNMAPPED == 0 {
                    let taken: u32 =
                        record.cigar().filter(|op| op.consumes_read()).map(|op| op.len()).sum();
                    assert_eq!(taken as usize, record.sequence_len());
                    assert!(record.interval().end() <= contig.unwrap().length);
                }
            }
        }
    }

    #[test]
    fn test_simulation_follows_the_seed_alone() {
        assert_eq!(records(&some(3_000, 1)), records(&some(3_000, 1)));
        assert_ne!(records(&some(3_000, 1)), records(&some(3_000, 2)));
    }

    #[test]
    fn test_simulation_pairs_every_read_with_its_mate() {
        let records = records(&some(10_000, 5));
        let mut mates = std::collections::HashMap::new();
        for bytes in &records {
            let record = Record::new(bytes).unwrap();
            let own = (record.ref_id(), record.position());
            let mate = (record.mate_ref_id(), record.mate_position());
            match mates.remove(record.name()) {
                None => drop(mates.insert(record.name(), (own, mate, record.template_length()))),
                Some((first_own, first_mate, first_length)) => {
                    assert_eq!((own, mate), (first_mate, first_own));
                    assert_eq!(record.template_length(), -first_length);
                }
            }
        }
        assert!(mates.is_empty());
    }

    #[test]
    fn test_simulation_holds_what_real_files_hold() {
        let records = records(&some(20_000, 5));
        let count = |keep: &dyn Fn(Record<'_>) -> bool| {
            records.iter().filter(|bytes| keep(Record::new(bytes).unwrap())).count()
        };
        let flag = |bit: u16| count(&|record| record.flags() & bit != 0);
        assert!(flag(flags::DUPLICATE) > 500);
        assert!(flag(flags::UNMAPPED) > 50);
        assert!(count(&|record| record.contig().is_none()) > 50);
        assert!(count(&|record| record.cigar().any(|op| op.letter() == b'S')) > 200);
        assert!(count(&|record| record.cigar().any(|op| op.letter() == b'I')) > 50);
        assert!(count(&|record| record.cigar().any(|op| op.letter() == b'D')) > 50);
        let exact = count(&|record| record.tag(*b"NM").and_then(|tag| tag.as_int()) == Some(0));
        assert!((2_000..18_000).contains(&exact), "{exact} of 20,000 without a difference");
    }
}
