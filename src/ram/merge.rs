//! What was put aside, region by region: batches are encoded on several threads and come out in
//! order, into one file of each kind.

use std::sync::Arc;

use super::calls::{self, Call};
use super::coverage::{self, Row};
use super::file::{self, Message};
use super::index::{BatchRef, Kind, Page, RegionRef, Regions, Table, UNPLACED};
use super::ingest::{Entry, Grid, Spills};
use super::manifest;
use super::reference::Reference;
use super::rows::{self, Builder, Place};
use super::sites::{self, Costs, Site, Tally, Vote};
use crate::columnar::ArrowFile;
use crate::dataset::{ChunkEntry, Counts, Transaction};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs};
use crate::pipeline::{Sorted, ordered_by_weight};
use crate::records::alignments::RecordBatch;

/// Most rows of a batch.
const MOST_ROWS: usize = 4096;
/// Rows below which a batch goes on with the next sub-window.
const FEW_ROWS: usize = 1024;
/// Bytes of records, or of what stands for coverage, that end a batch.
const MOST_BYTES: usize = 4 << 20;
/// Bytes from which on a region has another file.
const MOST_FILE: usize = 256 << 20;
/// Bytes that may be between sorter and encoder.
const IN_FLIGHT: usize = 64 << 20;

/// A record of a section.
struct Item {
    place: Place,
    clip: Option<u32>,
}

/// What is encoded in one piece.
enum Section {
    Reads { region: u64, items: Vec<Item>, records: RecordBatch, sites: Arc<Vec<Site>> },
    Coverage { region: u64, rows: Vec<(u32, Row)>, bytes: usize },
    End { region: u64, sites: Arc<Vec<Site>> },
}

impl Section {
    fn weight(&self) -> usize {
        match self {
            Self::Reads { records, items, .. } => records.byte_len() + 32 * items.len(),
            Self::Coverage { bytes, .. } => 4 * bytes,
            Self::End { .. } => 1,
        }
    }
}

/// What came of a section.
enum Encoded {
    Batch(Box<Batch>),
    End { region: u64, sites: Arc<Vec<Site>> },
}

/// An encoded batch.
struct Batch {
    region: u64,
    kind: Kind,
    message: Message,
    entry: BatchRef,
    owned: u64,
    votes: Vec<Vote>,
}

/// A sorter's records, the next of which can be looked at.
struct Peeked {
    sorted: Sorted,
    head: Option<(u64, Vec<u8>)>,
    spare: Vec<u8>,
}

impl Peeked {
    fn new(sorted: Sorted) -> Result<Self> {
        let mut peeked = Self { sorted, head: None, spare: Vec::new() };
        peeked.advance()?;
        Ok(peeked)
    }

    fn advance(&mut self) -> Result<()> {
        let mut bytes = match self.head.take() {
            Some((_, bytes)) => bytes,
            None => std::mem::take(&mut self.spare),
        };
        bytes.clear();
        self.head = self.sorted.next()?.map(|(key, record)| {
            bytes.extend_from_slice(record);
            (key, bytes)
        });
        Ok(())
    }

    fn key(&self) -> Option<u64> {
        self.head.as_ref().map(|(key, _)| *key)
    }
}

/// Cuts what was put aside into sections.
struct Cutter<'a> {
    grid: &'a Grid,
    reference: Option<&'a Reference>,
    reads: Peeked,
    coverage: Peeked,
    sites: Peeked,
    /// The region being cut, and its sites.
    current: Option<(u64, Arc<Vec<Site>>)>,
}

impl Cutter<'_> {
    fn next(&mut self) -> Result<Option<Section>> {
        let region_of = |key: Option<u64>| key.map(|key| self.grid.of_key(key).1);
        let (reads, coverage) = (region_of(self.reads.key()), region_of(self.coverage.key()));
        let Some((region, sites)) = self.current.clone() else {
            let first = match (reads, coverage) {
                (Some(reads), Some(coverage)) => reads.min(coverage),
                (Some(region), None) | (None, Some(region)) => region,
                (None, None) => return Ok(None),
            };
            let sites = Arc::new(self.sites_of(first)?);
            self.current = Some((first, sites));
            return self.next();
        };
        if reads == Some(region) {
            return self.reads(region, sites).map(Some);
        }
        if coverage == Some(region) {
            return self.rows(region).map(Some);
        }
        self.current = None;
        Ok(Some(Section::End { region, sites }))
    }

    fn reads(&mut self, region: u64, sites: Arc<Vec<Site>>) -> Result<Section> {
        let (mut items, mut records) = (Vec::new(), RecordBatch::new());
        let mut last = None;
        while let Some((key, bytes)) = &self.reads.head {
            let (window, of) = self.grid.of_key(*key);
            let is_new = last.is_some_and(|last| last != window);
            if of != region
                || items.len() >= MOST_ROWS
                || records.byte_len() >= MOST_BYTES
                || is_new && items.len() >= FEW_ROWS
            {
                break;
            }
            last = Some(window);
            let entry = Entry::parse(bytes)?;
            let sample = sample_of(*key);
            let place = Place { sample, is_owner: entry.is_owner, ordinal: entry.ordinal };
            items.push(Item { place, clip: entry.clip });
            records.push_trusted(entry.record);
            self.reads.advance()?;
        }
        Ok(Section::Reads { region, items, records, sites })
    }

    fn rows(&mut self, region: u64) -> Result<Section> {
        let (mut rows, mut last, mut size) = (Vec::new(), None, 0);
        while let Some((key, bytes)) = &self.coverage.head {
            let (window, of) = self.grid.of_key(*key);
            let is_new = last.is_some_and(|last| last != window);
            if of != region
                || rows.len() >= MOST_ROWS
                || size >= MOST_BYTES / 4
                || is_new && rows.len() >= FEW_ROWS
            {
                break;
            }
            last = Some(window);
            size += bytes.len();
            rows.push((sample_of(*key), Row::parse(bytes)?));
            self.coverage.advance()?;
        }
        rows.sort_by_key(|(sample, _)| *sample);
        Ok(Section::Coverage { region, rows, bytes: size })
    }

    /// The sites of a region, in order.
    fn sites_of(&mut self, region: u64) -> Result<Vec<Site>> {
        let mut sites: Vec<Site> = Vec::new();
        let Some((contig, _)) = self.grid.place(region) else { return Ok(sites) };
        let reference = self.reference.and_then(|reference| reference.bases(contig as i32));
        while let Some((key, bytes)) = &self.sites.head {
            if key >> 32 > region {
                break;
            }
            let &[a, b, c, d, base] = bytes.as_slice() else {
                return Err(Error::internal("the sorter changed a candidate"));
            };
            let position = u32::from_le_bytes([a, b, c, d]);
            if sites.last().is_none_or(|last| last.position != position) {
                let reference = reference.and_then(|bases| bases.get(position as usize));
                let reference = reference.copied().unwrap_or(0);
                sites.push(Site { position, reference, alternatives: Vec::new() });
            }
            if let Some(site) = sites.last_mut()
                && !site.alternatives.contains(&base)
            {
                site.alternatives.push(base);
                site.alternatives.sort_unstable();
            }
            self.sites.advance()?;
        }
        Ok(sites)
    }
}

fn sample_of(key: u64) -> u32 {
    (key & ((1 << super::ingest::SAMPLE_BITS) - 1)) as u32
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
            Section::Coverage { region, rows, .. } => {
                let contig = self.grid.place(region).map_or(UNPLACED, |(contig, _)| contig);
                let key = self.keys.get(contig as usize).copied().unwrap_or(0);
                let columns = coverage::columns(&rows, key, self.exclude_flags)?;
                let extent = rows.iter().map(|(_, row)| (row.start, row.end));
                let samples = rows.iter().map(|(sample, _)| *sample);
                let mut batch = encoded(Kind::Coverage, &columns, extent, samples)?;
                batch.region = region;
                Ok(Encoded::Batch(Box::new(batch)))
            }
            Section::Reads { region, items, records, sites } => {
                let mut order: Vec<usize> = (0..items.len()).collect();
                order.sort_by_key(|&at| items[at].place.sample);
                let mut builder = Builder::new(self.contigs, self.keys);
                let (mut votes, mut owned) = (Vec::new(), 0);
                let mut extent = Vec::with_capacity(items.len());
                for &at in &order {
                    let (item, record) = (&items[at], records.get(at));
                    builder.push(&record, item.place);
                    owned += u64::from(item.place.is_owner);
                    if record.ref_id() >= 0 && record.position() >= 0 {
                        let interval = record.interval();
                        extent.push((interval.start(), interval.end()));
                    }
                    if let Some(clip) = item.clip.filter(|_| !sites.is_empty()) {
                        sites::vote(&record, item.place.sample, clip, &sites, &mut votes);
                    }
                }
                let samples = order.iter().map(|&at| items[at].place.sample);
                let columns = builder.finish()?;
                let batch = encoded(Kind::Alignments, &columns, extent.into_iter(), samples)?;
                Ok(Encoded::Batch(Box::new(Batch { region, owned, votes, ..batch })))
            }
        }
    }
}

/// A batch and what the index says of it.
fn encoded(
    kind: Kind,
    columns: &arrow_array::RecordBatch,
    extent: impl Iterator<Item = (u64, u64)>,
    samples: impl Iterator<Item = u32>,
) -> Result<Batch> {
    let message = file::encode(columns)?;
    let (start, end) =
        extent.fold((u64::MAX, 0), |(start, end), (from, to)| (start.min(from), end.max(to)));
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
    Ok(Batch { region: 0, kind, message, entry, owned: 0, votes: Vec::new() })
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
    pub(super) put: &'a dyn Fn(&str, Vec<u8>) -> Result<()>,
}

/// The side where batches come out in order.
struct Writer<'a> {
    to: &'a Destination<'a>,
    grid: &'a Grid,
    files: [Option<OpenFile>; 3],
    tables: [Table; 3],
    /// The region at hand.
    region: u64,
    written: Vec<ChunkEntry>,
    tallies: Vec<Tally>,
    costs: Costs,
    merged: Merged,
}

/// Writes all regions.
pub(super) fn merge(
    spills: Spills,
    grid: &Grid,
    reference: Option<&Reference>,
    to: &Destination<'_>,
    threads: usize,
) -> Result<Merged> {
    let mut cutter = Cutter {
        grid,
        reference,
        reads: Peeked::new(spills.reads.finish()?)?,
        coverage: Peeked::new(spills.coverage.finish()?)?,
        sites: Peeked::new(spills.sites.finish()?)?,
        current: None,
    };
    let encoding =
        Encoding { grid, contigs: to.contigs, keys: to.keys, exclude_flags: to.exclude_flags };
    let mut writer = Writer {
        to,
        grid,
        files: [None, None, None],
        tables: Default::default(),
        region: 0,
        written: Vec::new(),
        tallies: Vec::new(),
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
        IN_FLIGHT,
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
                let samples = self.to.samples.len();
                for vote in &batch.votes {
                    let at = vote.site as usize * samples + vote.sample as usize;
                    if self.tallies.len() <= at {
                        self.tallies.resize((vote.site as usize + 1) * samples, Tally::default());
                    }
                    self.tallies[at].add(vote, &self.costs);
                }
                self.push(*batch)
            }
            Encoded::End { region, sites } => {
                self.region = region;
                self.end(&sites)
            }
        }
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
        let path = self.to.transaction.path(&self.folder(), &stem, "arrow")?;
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

    /// The folder of the region at hand.
    fn folder(&self) -> String {
        match self.grid.place(self.region) {
            None => "regions/_unplaced".to_owned(),
            Some((contig, ordinal)) => {
                let start = u64::from(ordinal) * self.to.region_size;
                let folder = &self.to.folders[contig as usize];
                format!("regions/{folder}_{start:010}-{:010}", start + self.to.region_size)
            }
        }
    }

    /// Ends a region: its genotypes, its files, what describes it, its pages.
    fn end(&mut self, sites: &[Site]) -> Result<()> {
        self.genotypes(sites)?;
        for kind in Kind::ALL {
            self.seal(kind)?;
        }
        let (contig, ordinal) = self.grid.place(self.region).unwrap_or((UNPLACED, 0));
        let text = self.describe(contig, ordinal)?;
        let path = self.to.transaction.path(&self.folder(), "_region_metadata", "json")?;
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
        self.merged.regions.0.push(RegionRef { contig, ordinal, pages });
        self.merged.counts.regions += 1;
        self.merged.chunks.append(&mut self.written);
        Ok(())
    }

    /// Judges all samples at all sites; sites where none differs are dropped.
    fn genotypes(&mut self, sites: &[Site]) -> Result<()> {
        let samples = self.to.samples.len();
        let mut tallies = std::mem::take(&mut self.tallies);
        tallies.resize(sites.len() * samples, Tally::default());
        let Some((contig, _)) = self.grid.place(self.region) else { return Ok(()) };
        let key = self.to.keys.get(contig as usize).copied().unwrap_or(0);
        let mut calls: Vec<Call> = Vec::new();
        for (site, tallies) in sites.iter().zip(tallies.chunks(samples.max(1))) {
            let of_site = (0..).zip(tallies).map(|(sample, tally)| {
                Call::new(sample, site, tally, sites::genotype(site, tally))
            });
            let of_site: Vec<Call> = of_site.collect();
            if of_site.iter().any(|call| call.genotype.alleles.is_some_and(|of| of != (0, 0))) {
                self.merged.counts.sites += 1;
                calls.extend(of_site);
            }
            if calls.len() >= MOST_ROWS {
                self.push_calls(&calls, key)?;
                calls.clear();
            }
        }
        if calls.is_empty() { Ok(()) } else { self.push_calls(&calls, key) }
    }

    fn push_calls(&mut self, calls: &[Call], key: i32) -> Result<()> {
        let columns = calls::columns(calls, key)?;
        let extent = calls.iter().map(|call| (call.position, call.position + 1));
        let samples = calls.iter().map(|call| call.sample);
        let batch = encoded(Kind::Sites, &columns, extent, samples)?;
        self.push(Batch { region: self.region, ..batch })
    }

    /// What `_region_metadata.json` says.
    fn describe(&self, contig: u32, ordinal: u32) -> Result<Vec<u8>> {
        let start = u64::from(ordinal) * self.to.region_size;
        let contig = self.to.contigs.get(ContigId(contig));
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
            "contig": contig.map(|contig| contig.name.clone()),
            "start": contig.map(|_| start),
            "end": contig.map(|contig| contig.length.min(start + self.to.region_size)),
            "samples": self.to.samples.len(),
            "files": self.written.iter().map(file).collect::<Vec<_>>(),
        });
        let mut text = serde_json::to_vec_pretty(&description)
            .map_err(|error| Error::internal("describing a region").caused_by(error))?;
        text.push(b'\n');
        Ok(text)
    }
}
