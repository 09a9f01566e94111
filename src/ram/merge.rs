//! Regions as they are written: batches are encoded on several threads and come out in order, into
//! one file of each kind.

use std::sync::Arc;

use super::calls::{self, Call};
use super::coverage;
use super::cut::{Cutter, MOST_ROWS, Section};
use super::file::{self, Message};
use super::grid::Grid;
use super::index::{BatchRef, Kind, Page, RegionRef, Regions, Table, UNPLACED_REGION};
use super::manifest;
use super::rows::{self, Builder};
use super::sites::{self, Costs, Site, Tally, Vote};
use super::spill::Spills;
use crate::columnar::ArrowFile;
use crate::dataset::{ChunkEntry, Counts, Transaction};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::pipeline::ordered_by_weight;

/// Bytes from which on a region has another file.
const MOST_FILE: usize = 32 << 20;
/// Bytes of records that may be between sorter and encoder, for each thread.
const IN_FLIGHT: usize = 8 << 20;

/// What came of a section.
enum Encoded {
    Batch(Box<Batch>),
    Calls { region: u64, calls: Vec<Call> },
    End { region: u64, sites: Arc<Vec<Site>> },
}

/// An encoded batch.
struct Batch {
    region: u64,
    kind: Kind,
    message: Message,
    entry: BatchRef,
    owned: u64,
    /// What its reads say at the sites of the region; no later one says anything about those before
    /// `settled`.
    votes: Vec<Vote>,
    sites: Arc<Vec<Site>>,
    settled: u64,
}

/// What encoding needs to know.
struct Encoding<'a> {
    grid: &'a Grid,
    contigs: &'a Contigs,
    keys: &'a [i32],
    exclude_flags: u16,
}

impl Encoding<'_> {
    fn encode(&self, section: Section) -> Result<Encoded> {
        match section {
            Section::End { region, sites } => Ok(Encoded::End { region, sites }),
            Section::Calls { region, calls } => Ok(Encoded::Calls { region, calls }),
            Section::Coverage { region, windows, .. } => {
                let columns = coverage::columns(&windows, self.keys, self.exclude_flags)?;
                let extent = windows.iter().map(|of| (of.contig, of.row.start, of.row.end));
                let samples = windows.iter().map(|of| of.sample);
                let batch = self.batch(Kind::Coverage, &columns, extent, samples)?;
                Ok(Encoded::Batch(Box::new(Batch { region, ..batch })))
            }
            Section::Reads { region, items, records, sites, settled } => {
                let mut order: Vec<usize> = (0..items.len()).collect();
                order.sort_by_key(|&at| items[at].place.sample);
                let mut builder = Builder::new(self.contigs, self.keys);
                let (mut votes, mut owned) = (Vec::new(), 0);
                let mut extent = Vec::with_capacity(items.len());
                for &at in &order {
                    let (item, record) = (&items[at], records.get(at));
                    builder.push(&record, item.place);
                    owned += u64::from(item.place.is_owner);
                    if let Ok(contig) = u32::try_from(record.ref_id())
                        && record.position() >= 0
                    {
                        let interval = record.interval();
                        extent.push((contig, interval.start(), interval.end()));
                    }
                    if let Some(clip) = item.clip.filter(|_| !sites.is_empty()) {
                        sites::vote(&record, item.place.sample, clip, &sites, &mut votes);
                    }
                }
                let samples = order.iter().map(|&at| items[at].place.sample);
                let columns = builder.finish()?;
                let batch = self.batch(Kind::Alignments, &columns, extent.into_iter(), samples)?;
                let batch = Batch { region, owned, votes, sites, settled, ..batch };
                Ok(Encoded::Batch(Box::new(batch)))
            }
        }
    }

    /// A batch and what the index says of it; `extent` is of contigs.
    fn batch(
        &self,
        kind: Kind,
        columns: &arrow_array::RecordBatch,
        extent: impl Iterator<Item = (u32, u64, u64)>,
        samples: impl Iterator<Item = u32>,
    ) -> Result<Batch> {
        let message = file::encode(columns)?;
        let (start, end) = extent.fold((u64::MAX, 0), |(start, end), (contig, from, to)| {
            let last = self.grid.linear(contig, to.saturating_sub(1).max(from));
            (start.min(self.grid.linear(contig, from)), end.max(last + 1))
        });
        let mut entry = BatchRef {
            size: message.bytes.len() as u32,
            head: message.head,
            crc: crc32c::crc32c(&message.bytes),
            start: start.min(end),
            end,
            ..BatchRef::default()
        };
        let samples: Vec<u32> = samples.collect();
        entry.first_sample = samples.iter().copied().min().unwrap_or(0);
        for sample in samples {
            let at = (sample - entry.first_sample) as usize;
            if entry.counts.len() <= at {
                entry.counts.resize(at + 1, 0);
            }
            entry.counts[at] += 1;
        }
        let (votes, sites) = (Vec::new(), Arc::default());
        Ok(Batch { region: 0, kind, message, entry, owned: 0, votes, sites, settled: 0 })
    }
}

/// One file of a region.
struct OpenFile {
    builder: ArrowFile,
    rows: u64,
    owned: u64,
}

/// What is told of a layer when all is written.
pub(super) struct Merged {
    pub(super) regions: Regions,
    pub(super) index: Vec<u8>,
    pub(super) chunks: Vec<ChunkEntry>,
    pub(super) counts: MergedCounts,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MergedCounts {
    pub(super) reads: u64,
    pub(super) rows: u64,
    pub(super) batches: u64,
    pub(super) regions: u64,
    pub(super) sites: u64,
    pub(super) chunk_bytes: u64,
}

/// Where a layer goes.
pub(super) struct Destination<'a> {
    pub(super) transaction: &'a Transaction,
    pub(super) contigs: &'a Contigs,
    pub(super) folders: &'a [String],
    pub(super) region_size: u64,
    pub(super) samples: &'a [&'a str],
    /// The key of each contig of the dataset, and the contig of each key.
    pub(super) keys: &'a [i32],
    pub(super) names: &'a [&'a str],
    pub(super) exclude_flags: u16,
    /// Samples that are looked at, at sites of each group but that of all.
    pub(super) groups: &'a [Vec<u32>],
    pub(super) put: &'a dyn Fn(&str, Vec<u8>) -> Result<()>,
}

impl Destination<'_> {
    /// The folder of a region: of a contig and a place on it, or of the first and the last of the
    /// contigs that share it.
    fn folder(&self, grid: &Grid, region: u64) -> String {
        let Some(place) = grid.place(region) else { return "regions/_unplaced".to_owned() };
        let first = place.contig as usize;
        if place.is_shared() {
            let last = first + place.contigs as usize - 1;
            return format!("regions/{}+{}", self.folders[first], self.folders[last]);
        }
        let start = u64::from(place.ordinal) * self.region_size;
        let end = start + self.region_size;
        format!("regions/{}_{start:010}-{end:010}", self.folders[first])
    }
}

/// The side where batches come out in order.
struct Writer<'a> {
    to: &'a Destination<'a>,
    encoding: &'a Encoding<'a>,
    files: [Option<OpenFile>; 3],
    tables: [Table; 3],
    /// The region at hand.
    region: u64,
    written: Vec<ChunkEntry>,
    /// How many of its sites have been judged, what all samples show at those that follow, and
    /// calls that wait for a batch.
    judged: usize,
    tallies: Vec<Tally>,
    calls: Vec<Call>,
    costs: Costs,
    merged: Merged,
}

/// Writes all regions.
pub(super) fn merge(
    spills: Spills,
    grid: &Grid,
    to: &Destination<'_>,
    threads: usize,
) -> Result<Merged> {
    let mut cutter = Cutter::new(spills, grid)?;
    let encoding =
        Encoding { grid, contigs: to.contigs, keys: to.keys, exclude_flags: to.exclude_flags };
    let mut writer = Writer {
        to,
        encoding: &encoding,
        files: [None, None, None],
        tables: Default::default(),
        region: 0,
        written: Vec::new(),
        judged: 0,
        tallies: Vec::new(),
        calls: Vec::new(),
        costs: Costs::default(),
        merged: Merged {
            regions: Regions::default(),
            index: Vec::new(),
            chunks: Vec::new(),
            counts: MergedCounts::default(),
        },
    };
    ordered_by_weight(
        threads,
        IN_FLIGHT * threads.clamp(1, 8),
        Section::weight,
        || cutter.next(),
        |section| encoding.encode(section),
        |encoded| writer.take(encoded),
    )?;
    Ok(writer.merged)
}

impl Writer<'_> {
    fn take(&mut self, encoded: Encoded) -> Result<()> {
        match encoded {
            Encoded::Batch(batch) => {
                self.region = batch.region;
                self.count(&batch)?;
                self.push(*batch)
            }
            Encoded::Calls { region, calls } => {
                self.region = region;
                self.merged.counts.sites += calls.chunk_by(at_one_site).count() as u64;
                self.calls.extend(calls);
                self.push_calls()
            }
            Encoded::End { region, sites } => {
                self.region = region;
                self.judge(&sites, sites.len())?;
                self.end()
            }
        }
    }

    /// Counts what the reads of a batch say. Sites that they cannot speak of any more are judged
    /// first, so that no more of them are in memory than reads of a sub-window reach.
    fn count(&mut self, batch: &Batch) -> Result<()> {
        let grid = self.encoding.grid;
        let is_settled =
            |site: &Site| grid.linear(site.contig, site.position.into()) < batch.settled;
        self.judge(&batch.sites, batch.sites.partition_point(is_settled))?;
        let samples = self.to.samples.len();
        for vote in &batch.votes {
            let Some(site) = (vote.site as usize).checked_sub(self.judged) else {
                return Err(Error::internal("a read came behind a site that it lies on"));
            };
            if self.tallies.len() < (site + 1) * samples {
                self.tallies.resize((site + 1) * samples, Tally::default());
            }
            self.tallies[site * samples + vote.sample as usize].add(vote, &self.costs);
        }
        Ok(())
    }

    fn push(&mut self, batch: Batch) -> Result<()> {
        let Batch { kind, message, mut entry, owned, .. } = batch;
        let at = kind as usize;
        let mut open = match self.files[at].take() {
            Some(open) => open,
            None => {
                let schema = match kind {
                    Kind::Alignments => rows::schema(),
                    Kind::Coverage => coverage::schema(self.to.exclude_flags),
                    Kind::Sites => calls::schema(),
                };
                let empty = rows::empty(schema, self.to.samples, self.to.names)?;
                OpenFile { builder: file::begin(&empty)?, rows: 0, owned: 0 }
            }
        };
        entry.file = self.tables[at].files.len() as u32;
        entry.offset = open.builder.push(&message.bytes, message.head);
        open.rows += entry.rows();
        open.owned += owned;
        self.merged.counts.batches += u64::from(kind == Kind::Alignments);
        let is_full = open.builder.len() >= MOST_FILE;
        self.tables[at].batches.push(entry);
        self.files[at] = Some(open);
        if is_full { self.seal(kind) } else { Ok(()) }
    }

    /// Ends a file.
    fn seal(&mut self, kind: Kind) -> Result<()> {
        let at = kind as usize;
        let Some(open) = self.files[at].take() else { return Ok(()) };
        let stem = match self.tables[at].files.len() {
            0 => kind.stem().to_owned(),
            number => format!("{}-{number}", kind.stem()),
        };
        let folder = self.to.folder(self.encoding.grid, self.region);
        let path = self.to.transaction.path(&folder, &stem, "arrow")?;
        let bytes = open.builder.finish();
        let mut counts = Counts::from([(manifest::ROWS.to_owned(), open.rows)]);
        if kind == Kind::Alignments {
            counts.insert(manifest::READS.to_owned(), open.owned);
            self.merged.counts.reads += open.owned;
            self.merged.counts.rows += open.rows;
        }
        self.written.push(ChunkEntry::new(&path, &bytes, counts));
        self.tables[at].files.push(path.clone());
        self.put(&path, bytes)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.merged.counts.chunk_bytes += bytes.len() as u64;
        (self.to.put)(path, bytes)
    }

    /// Ends a region: its files, what describes it, its pages.
    fn end(&mut self) -> Result<()> {
        if !self.calls.is_empty() {
            self.push_batch_of_calls()?;
        }
        self.judged = 0;
        for kind in Kind::ALL {
            self.seal(kind)?;
        }
        let text = self.describe()?;
        let folder = self.to.folder(self.encoding.grid, self.region);
        let path = self.to.transaction.path(&folder, "_region_metadata", "json")?;
        self.written.push(ChunkEntry::new(&path, &text, Counts::new()));
        self.put(&path, text)?;
        let mut pages = [Page::default(); 3];
        for (page, table) in pages.iter_mut().zip(std::mem::take(&mut self.tables)) {
            if table.batches.is_empty() {
                continue;
            }
            let bytes = table.to_bytes();
            let offset = self.merged.index.len() as u64;
            *page = Page { offset, size: bytes.len() as u32, crc: crc32c::crc32c(&bytes) };
            self.merged.index.extend_from_slice(&bytes);
        }
        let place = self.encoding.grid.place(self.region).unwrap_or(UNPLACED_REGION);
        self.merged.regions.0.push(RegionRef { place, pages });
        self.merged.counts.regions += 1;
        self.merged.chunks.append(&mut self.written);
        Ok(())
    }

    /// Judges all samples at sites up to a number; sites where none differs are dropped.
    fn judge(&mut self, sites: &[Site], end: usize) -> Result<()> {
        let samples = self.to.samples.len();
        let count = end.saturating_sub(self.judged);
        if count == 0 {
            return Ok(());
        }
        let rest = self.tallies.split_off((count * samples).min(self.tallies.len()));
        let mut tallies = std::mem::replace(&mut self.tallies, rest);
        tallies.resize(count * samples, Tally::default());
        for (site, tallies) in sites[self.judged..end].iter().zip(tallies.chunks(samples.max(1))) {
            let group = (site.group as usize).checked_sub(1).and_then(|at| self.to.groups.get(at));
            let is_looked_at =
                |sample: &u32| group.is_none_or(|group| group.binary_search(sample).is_ok());
            let of_site = (0..).zip(tallies).filter(|(sample, _)| is_looked_at(sample));
            let of_site = of_site.map(|(sample, tally)| {
                Call::new(sample, site, tally, sites::genotype(site, tally))
            });
            let of_site: Vec<Call> = of_site.collect();
            if of_site.iter().any(|call| call.genotype.alleles.is_some_and(|of| of != (0, 0))) {
                self.merged.counts.sites += 1;
                self.calls.extend(of_site);
            }
            self.push_calls()?;
        }
        self.judged = end;
        Ok(())
    }

    /// Writes a batch of calls once there are enough for it.
    fn push_calls(&mut self) -> Result<()> {
        if self.calls.len() < MOST_ROWS { Ok(()) } else { self.push_batch_of_calls() }
    }

    fn push_batch_of_calls(&mut self) -> Result<()> {
        let calls = std::mem::take(&mut self.calls);
        let columns = calls::columns(&calls, self.to.keys)?;
        let extent = calls.iter().map(|call| (call.contig, call.position, call.position + 1));
        let samples = calls.iter().map(|call| call.sample);
        let batch = self.encoding.batch(Kind::Sites, &columns, extent, samples)?;
        self.push(Batch { region: self.region, ..batch })
    }

    /// What `_region_metadata.json` says.
    fn describe(&self) -> Result<Vec<u8>> {
        let place = self.encoding.grid.place(self.region);
        let contig = |number: u32| self.to.contigs.get(ContigId(number));
        let contigs = place.map_or(0..0, |place| place.contig..place.contig + place.contigs);
        let only = place.filter(|place| !place.is_shared());
        let start = only.map(|place| u64::from(place.ordinal) * self.to.region_size);
        let end = only.zip(start).and_then(|(place, start)| {
            Some(contig(place.contig)?.length.min(start + self.to.region_size))
        });
        let file = |entry: &ChunkEntry| {
            serde_json::json!({
                "path": entry.path,
                "rows": entry.counts.get(manifest::ROWS),
                "reads_starting_here": entry.counts.get(manifest::READS),
                "size_bytes": entry.size_bytes,
                "checksum": entry.checksum.to_string(),
            })
        };
        let description = serde_json::json!({
            "format": manifest::FORMAT,
            "version": manifest::VERSION,
            "contig": only.and_then(|place| Some(&contig(place.contig)?.name)),
            "start": start,
            "end": end,
            "contigs": contigs.filter_map(|id| Some(&contig(id)?.name)).collect::<Vec<_>>(),
            "samples": self.to.samples.len(),
            "files": self.written.iter().map(file).collect::<Vec<_>>(),
        });
        let mut text = serde_json::to_vec_pretty(&description)
            .map_err(|error| Error::internal("describing a region").caused_by(error))?;
        text.push(b'\n');
        Ok(text)
    }
}

fn at_one_site(one: &Call, other: &Call) -> bool {
    (one.contig, one.position) == (other.contig, other.position)
}
