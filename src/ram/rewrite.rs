//! Layers of a version written anew as one: some samples may be left out, and contigs that nobody
//! else has.
//!
//! Reads and coverage are copied. Candidate sites are copied, too, as long as all samples stay:
//! where one goes, sites that only it showed must go with it, and so must its alleles at others. So
//! the samples that stay are looked at again, at the sites that are known, exactly as when they were
//! converted; but each only at sites where it was looked at before.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch as Columns;

use super::calls::{self, Call};
use super::coverage;
use super::depth::{Scanner, Scope};
use super::grid::Grid;
use super::layer::{Headers, Sample};
use super::read::{Content as Kind, Reader, Request, Task};
use super::reference::Reference;
use super::rows::{Place, Rows, Scratch};
use super::sites::{Finder, KnownSite, base_number};
use super::spill::{Entry, Spills};
use crate::dataset::At;
use crate::error::{Error, Result};
use crate::pipeline::{Progress, SortOptions};
use crate::records::alignments::{Record, RecordBatch};
use crate::store::Store;

/// What it takes to write layers anew.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    /// Threads that decode and encode.
    pub(super) threads: usize,
    /// Bytes of memory for what is put aside.
    pub(super) memory: usize,
    /// Folder for what does not fit there.
    pub(super) temp_dir: Option<PathBuf>,
}

impl Resources {
    pub(super) fn sorting(&self) -> SortOptions {
        SortOptions { memory: self.memory, temp_dir: self.temp_dir.clone(), threads: self.threads }
    }
}

/// Which samples and contigs are taken over, and their new numbers.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// By layer and sample; all of a layer that stays are `None`.
    pub(super) samples: Vec<Vec<Option<u32>>>,
    /// By contig.
    pub(super) contigs: Vec<Option<u32>>,
    /// How many samples the new layer has, others included.
    pub(super) total: usize,
    /// Whether candidate sites must be judged anew, since a sample goes.
    pub(super) judges: bool,
}

/// A sample with its new number and its header as a BAM file begins.
pub(super) struct Numbered {
    pub(super) number: u32,
    pub(super) sample: Sample,
    pub(super) header: Vec<u8>,
}

/// The entries of all samples in order, and their headers in one object.
pub(super) fn in_order(mut samples: Vec<Numbered>) -> Result<(Vec<Sample>, Headers)> {
    samples.sort_by_key(|numbered| numbered.number);
    let mut headers = Headers::default();
    let mut entry = |numbered: Numbered| {
        let header = headers.push(&numbered.header)?;
        Ok(Sample { header, ..numbered.sample })
    };
    let entries = samples.into_iter().map(&mut entry).collect::<Result<Vec<_>>>()?;
    Ok((entries, headers))
}

impl Taken {
    fn has_layer(&self, layer: usize) -> bool {
        self.samples.get(layer).is_some_and(|samples| samples.iter().any(Option::is_some))
    }
}

/// The layers of a version that are written anew.
pub(super) struct Source<'a> {
    pub(super) store: &'a Store,
    /// The version.
    pub(super) at: At,
    pub(super) taken: &'a Taken,
    /// Of the new version.
    pub(super) grid: &'a Grid,
    pub(super) scope: &'a Scope<'a>,
    /// Where samples are judged anew: the reference, to look at all of it instead of known sites.
    pub(super) reference: Option<&'a Reference>,
    pub(super) threads: usize,
    pub(super) progress: &'a Arc<Progress>,
}

impl Source<'_> {
    fn open(&self, content: Kind) -> Result<Reader> {
        let mut reader = Reader::open(self.store, self.at.clone(), content, &Request::default())?;
        reader.tasks.retain(|task| self.taken.has_layer(task.part));
        Ok(reader)
    }

    /// The samples by their new numbers, with their headers.
    pub(super) fn samples(&self) -> Result<Vec<Numbered>> {
        let reader = self.open(Kind::Alignments)?;
        let mut samples = Vec::new();
        for (part, numbers) in reader.parts.iter().zip(&self.taken.samples) {
            for (at, (sample, number)) in part.list.samples.iter().zip(numbers).enumerate() {
                let Some(number) = *number else { continue };
                let header = reader.header_of(part, at)?.to_bam_bytes()?;
                let has_sites = sample.has_sites || self.reference.is_some();
                samples.push(Numbered {
                    number,
                    sample: Sample { has_sites, ..sample.clone() },
                    header,
                });
            }
        }
        Ok(samples)
    }

    /// Puts everything aside, and returns the contigs that are named and for which samples sites
    /// are judged: a list for each group of sites.
    pub(super) fn spill(&self, spills: &mut Spills) -> Result<(Vec<u32>, Groups)> {
        let mut groups = Groups::default();
        let seen = self.reads(spills, &mut groups)?;
        self.coverage(spills)?;
        if !self.taken.judges {
            self.calls(spills)?;
        }
        Ok((seen, groups))
    }

    fn sample(&self, task: &Task, sample: u32) -> Option<u32> {
        *self.taken.samples.get(task.part)?.get(sample as usize)?
    }

    /// The new number of the contig that a key of a layer stands for.
    fn contig(&self, reader: &Reader, task: &Task, key: u32) -> Result<u32> {
        let old = reader.contig_of(task, key);
        old.and_then(|old| *self.taken.contigs.get(old as usize)?)
            .ok_or_else(|| Error::corrupt("a row refers to a contig that its layer lacks"))
    }

    fn reads(&self, spills: &mut Spills, groups: &mut Groups) -> Result<Vec<u32>> {
        let reader = self.open(Kind::Alignments)?;
        let sites = match self.taken.judges && self.reference.is_none() {
            true => Some(self.open(Kind::Sites)?),
            false => None,
        };
        let mut flow = Flow {
            source: self,
            seen: vec![false; self.scope.lengths.len()],
            scanners: (0..self.taken.total).map(|_| None).collect(),
            spills,
        };
        for (part, numbers) in reader.parts.iter().zip(&self.taken.samples) {
            for (sample, number) in part.list.samples.iter().zip(numbers) {
                let finder = match self.reference {
                    _ if !self.taken.judges => None,
                    Some(reference) => Some(Finder::new(reference)),
                    None => sample.has_sites.then(Finder::of_known_sites),
                };
                let at = number.and_then(|number| flow.scanners.get_mut(number as usize));
                if let (Some(at), Some(finder)) = (at, finder) {
                    *at = Some(Scanner::new(self.scope, Some(finder)));
                }
            }
        }
        let work = |task: &Task, columns: Columns| {
            let rows = Rows::new(columns)?;
            let names = reader.names(task);
            let (mut records, mut scratch) = (RecordBatch::new(), Scratch::default());
            let mut places = Vec::new();
            for row in 0..rows.len() {
                let place = rows.place(row);
                let Some(sample) = self.sample(task, place.sample) else { continue };
                places.push(Place { sample, ..place });
                records.push_with(|out| rows.push_record(row, &names, &mut scratch, out))?;
            }
            Ok((0, (places, records)))
        };
        for tasks in reader.tasks.chunk_by(|one, next| one.place.contig == next.place.contig) {
            if let (Some(sites), Some(first)) = (&sites, tasks.first()) {
                let known = self.known_sites(sites, first.place.contig, groups)?;
                flow.know(&Arc::new(known));
            }
            reader.scan(tasks, self.threads, None, work, |task, (places, records)| {
                for (place, record) in places.iter().zip(records.iter()) {
                    flow.push(task, place, &record)?;
                }
                self.progress.add_items(records.len() as u64);
                Ok(())
            })?;
            flow.finish_contig(groups)?;
        }
        let seen = (0..).zip(&flow.seen).filter(|(_, seen)| **seen).map(|(id, _)| id);
        Ok(seen.collect())
    }

    fn coverage(&self, spills: &mut Spills) -> Result<()> {
        let reader = self.open(Kind::Coverage)?;
        let work = |_: &Task, columns| Ok((0, coverage::windows(&columns)?));
        let sink = |task: &Task, windows: Vec<coverage::Window>| {
            windows.into_iter().try_for_each(|window| {
                let Some(sample) = self.sample(task, window.sample) else { return Ok(()) };
                let contig = self.contig(&reader, task, window.contig)?;
                spills.push_window(self.grid, sample, contig, &window.row)
            })
        };
        reader.scan(&reader.tasks, self.threads, None, work, sink).map(|_| ())
    }

    fn calls(&self, spills: &mut Spills) -> Result<()> {
        let reader = self.open(Kind::Sites)?;
        let work = |_: &Task, columns| Ok((0, calls::calls(&columns)?));
        let sink = |task: &Task, calls: Vec<Call>| {
            calls.into_iter().try_for_each(|call| {
                let Some(sample) = self.sample(task, call.sample) else { return Ok(()) };
                let contig = self.contig(&reader, task, call.contig)?;
                spills.push_call(self.grid, &Call { sample, contig, ..call })
            })
        };
        reader.scan(&reader.tasks, self.threads, None, work, sink).map(|_| ())
    }

    /// The sites of the regions that begin with a contig, in order, at which samples that stay were
    /// looked at.
    fn known_sites(
        &self,
        reader: &Reader,
        contig: u32,
        groups: &mut Groups,
    ) -> Result<Vec<KnownSite>> {
        let start = reader.tasks.partition_point(|task| task.place.contig < contig);
        let end = reader.tasks.partition_point(|task| task.place.contig <= contig);
        // By site, for layers have the same one apart from each other.
        let mut looked_at: BTreeMap<KnownSite, Vec<u32>> = BTreeMap::new();
        let work = |_: &Task, columns| Ok((0, calls::calls(&columns)?));
        let sink = |task: &Task, calls: Vec<Call>| {
            for call in calls {
                let Some(sample) = self.sample(task, call.sample) else { continue };
                let contig = self.contig(reader, task, call.contig)?;
                looked_at.entry(known_site(contig, &call)?).or_default().push(sample);
            }
            Ok(())
        };
        reader.scan(&reader.tasks[start..end], self.threads, None, work, sink)?;
        let mut known: Vec<KnownSite> = looked_at
            .into_iter()
            .map(|(site, samples)| KnownSite {
                group: groups.number(samples, self.taken.total),
                ..site
            })
            .collect();
        known.sort_unstable();
        let contradicts = |pair: &[KnownSite]| {
            (pair[0].contig, pair[0].position) == (pair[1].contig, pair[1].position)
                && pair[0].reference != pair[1].reference
        };
        if known.windows(2).any(contradicts) {
            return Err(Error::unsupported(
                "candidate sites of these samples were found by different references, and cannot \
                 be judged anew",
            )
            .help("convert the samples that are to stay again, by one reference"));
        }
        Ok(known)
    }
}

fn known_site(contig: u32, call: &Call) -> Result<KnownSite> {
    let damaged = || Error::corrupt("a candidate site has no bases");
    let mut alternatives = 0;
    for base in &call.alternatives {
        alternatives |= 1 << base_number(base).ok_or_else(damaged)?;
    }
    Ok(KnownSite {
        contig,
        position: u32::try_from(call.position).map_err(|_| damaged())?,
        reference: base_number(&call.reference).ok_or_else(damaged)?,
        alternatives,
        group: 0,
    })
}

/// Which samples are looked at, at which sites: 0 is all of the layer, *n* those of list *n* − 1.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: HashMap<Vec<u32>, u32>,
    pub(super) lists: Vec<Vec<u32>>,
}

impl Groups {
    /// The number of these samples, of `total`.
    pub(super) fn number(&mut self, mut samples: Vec<u32>, total: usize) -> u32 {
        samples.sort_unstable();
        samples.dedup();
        if samples.len() == total {
            return 0;
        }
        if let Some(&number) = self.numbers.get(&samples) {
            return number;
        }
        self.lists.push(samples.clone());
        let number = self.lists.len() as u32;
        self.numbers.insert(samples, number);
        number
    }

    fn has(&self, group: u32, sample: u32) -> bool {
        let list = (group as usize).checked_sub(1).map(|at| self.lists.get(at));
        list.is_none_or(|list| list.is_some_and(|list| list.binary_search(&sample).is_ok()))
    }
}

/// The way of reads into the new layer.
struct Flow<'a, 'b> {
    source: &'a Source<'a>,
    seen: Vec<bool>,
    /// Of each sample whose sites are judged anew.
    scanners: Vec<Option<Scanner<'a>>>,
    spills: &'b mut Spills,
}

impl Flow<'_, '_> {
    fn know(&mut self, known: &Arc<Vec<KnownSite>>) {
        self.scanners.iter_mut().flatten().for_each(|scanner| scanner.know(known));
    }

    fn push(&mut self, task: &Task, place: &Place, record: &Record<'_>) -> Result<()> {
        let mut bytes = record.bytes().to_vec();
        for (at, id) in [(0, record.ref_id()), (20, record.mate_ref_id())] {
            let Ok(old) = usize::try_from(id) else { continue };
            let new = self.source.taken.contigs.get(old).copied().flatten();
            let new = new.ok_or_else(|| Error::corrupt("a read lies on an unknown contig"))?;
            bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
            self.seen[new as usize] = true;
        }
        let record = Record::trusted(&bytes)
            .ok_or_else(|| Error::internal("a record changed with its contig"))?;
        let (grid, sample) = (self.source.grid, place.sample);
        let mut entry = Entry {
            is_owner: place.is_owner,
            clip: None,
            ordinal: place.ordinal,
            record: record.bytes(),
        };
        let Ok(contig) = u32::try_from(record.ref_id()) else {
            return self.spills.push_read(grid.first_key(grid.unplaced(), sample), &entry);
        };
        let start = u64::try_from(record.position()).unwrap_or(0);
        match self.scanners.get_mut(sample as usize).and_then(Option::as_mut) {
            // It starts in an earlier region of this contig, from where it gets here.
            Some(_) if !place.is_owner => Ok(()),
            Some(scanner) => {
                entry.clip = scanner.add(&record)?;
                self.spills.push_read(grid.key_at(contig, start, sample), &entry)?;
                entry.is_owner = false;
                let end = record.interval().end().max(start + 1);
                for region in grid.regions(contig, start, end).skip(1) {
                    self.spills.push_read(grid.first_key(region, sample), &entry)?;
                }
                Ok(())
            }
            None if place.is_owner => {
                self.spills.push_read(grid.key_at(contig, start, sample), &entry)
            }
            None => {
                let first = *grid.regions(contig, 0, 1).start();
                let region = first + u64::from(task.place.ordinal);
                self.spills.push_read(grid.first_key(region, sample), &entry)
            }
        }
    }

    /// Puts aside where samples may differ from the reference, at sites that are known.
    fn finish_contig(&mut self, groups: &Groups) -> Result<()> {
        for (sample, scanner) in (0..).zip(&mut self.scanners) {
            let Some(scanner) = scanner else { continue };
            scanner.finish_contig();
            let found = std::mem::take(&mut scanner.found);
            for candidate in found.sites {
                if self.source.reference.is_some() {
                    self.spills.push_candidate(self.source.grid, candidate)?;
                    continue;
                }
                for site in KnownSite::at(scanner.known(), candidate.contig, candidate.position) {
                    if site.admits(&candidate) && groups.has(site.group, sample) {
                        let candidate = candidate.for_group(site.group);
                        self.spills.push_candidate(self.source.grid, candidate)?;
                    }
                }
            }
        }
        Ok(())
    }
}
