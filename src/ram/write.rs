//! Making a dataset from the alignments of many samples: read, put aside, merge by region, commit.
//!
//! Nothing is visible before the commit. More samples come as a layer of their own: files beside
//! those of earlier layers, and a new version that lists both.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::depth::Scope;
use super::grid::{Grid, Windows};
use super::ingest::{Job, Open, Task};
use super::layer::{Sample, Samples, read_header};
use super::manifest::Details;
use super::prepare::{Input, Prepared, prepare};
use super::publish::{Content, Publisher};
use super::purge::{Purpose, Removal, Rest};
use super::read;
use super::reference::Reference;
use super::rewrite::{Numbered, in_order};
use super::spill::Spills;
use super::work::{Note, Work};
use crate::dataset::{Dataset, Draft, InputInfo, Operation, Transaction, TransactionId};
use crate::error::{Error, Result};
use crate::genome::interval::merge as merge_intervals;
use crate::genome::{Contigs, Interval, Region, bed};
use crate::pipeline::{Progress, SortOptions};
use crate::records::alignments::record::flags::{DUPLICATE, QC_FAIL, SECONDARY, UNMAPPED};
use crate::store::Store;

/// Most samples of a layer.
const MOST_SAMPLES: usize = 1 << 24;

/// One sample to take in.
#[derive(Clone, Debug)]
pub struct SampleInput {
    /// The sample's name, instead of the header's.
    pub name: Option<String>,
    /// What it is made from.
    pub info: InputInfo,
}

/// How a dataset is made.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Bases of a region.
    pub region_size: u64,
    /// Bases of a sub-window, by which batches are ordered.
    pub sub_window: u64,
    /// Bases of a row of coverage.
    pub coverage_window: u64,
    /// Threads that read and encode.
    pub threads: usize,
    /// Bytes of memory for what is put aside.
    pub memory: usize,
    /// Folder for what does not fit there, and for what samples came to until all have been read.
    pub temp_dir: Option<PathBuf>,
    /// Folder in which that stays if the conversion fails.
    pub work: Option<PathBuf>,
    /// Use what is in that folder of inputs that have not changed.
    pub resume: bool,
    /// Only what overlaps these regions: a BED file's name and text.
    pub parts: Option<(String, String)>,
    /// Replace the content of an existing dataset by a new version.
    pub overwrite: bool,
    /// Add the samples to an existing dataset.
    pub add: bool,
    /// Put the samples in the place of those of an existing dataset that have these names, which
    /// must be theirs.
    pub replace: Vec<String>,
    /// Encode everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
}

impl WriteOptions {
    /// Ordinary options of a transaction at a time.
    pub fn new(created: String, transaction: TransactionId) -> Self {
        Self {
            region_size: 1_000_000,
            sub_window: 20_000,
            coverage_window: 1_000,
            threads: 1,
            memory: 1 << 30,
            temp_dir: None,
            work: None,
            resume: false,
            parts: None,
            overwrite: false,
            add: false,
            replace: Vec::new(),
            dry_run: false,
            created,
            transaction,
        }
    }
}

impl WriteOptions {
    /// Whether something of the dataset that is there stays.
    fn changes_dataset(&self) -> bool {
        self.add || !self.replace.is_empty()
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// How many samples.
    pub samples: u64,
    /// How many reads.
    pub reads: u64,
    /// How many rows; reads that overlap several regions are in each.
    pub rows: u64,
    /// How many regions have data.
    pub regions: u64,
    /// How many candidate sites.
    pub sites: u64,
    /// How many batches of alignments.
    pub batches: u64,
    /// Bytes of all chunks.
    pub chunk_bytes: u64,
    /// Bytes of all objects but the manifest and its copy.
    pub total_bytes: u64,
    /// How many objects, the manifest and its copy included: one PUT each.
    pub objects: u64,
    /// Samples whose reads had to be put in order.
    pub reordered: u64,
    /// Samples that an interrupted conversion had read already.
    pub resumed: u64,
    /// The version of the dataset; 0 for a dry run.
    pub dataset_version: u64,
}

/// Makes a dataset at `store` of all samples, or adds them to the one there is.
///
/// `open` is called twice for each input: for its header, and to read it. `reference` is a FASTA
/// file's name and text; with it, candidate sites are looked for.
///
/// # Errors
///
/// [`Exists`](crate::error::ErrorKind::Exists) where there is a dataset and neither `overwrite` nor
/// `add` is set; [`Input`](crate::error::ErrorKind::Input) for a sample without a name or with one
/// that is taken, and for contigs that contradict those of other files, naming the file; what the
/// sources and the store report. Then nothing is visible, and what was uploaded is deleted as far
/// as the store lets.
pub fn write(
    inputs: &[SampleInput],
    open: &Open<'_>,
    reference: Option<(String, Box<dyn Read + Send>)>,
    store: &Store,
    options: &WriteOptions,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    if inputs.is_empty() || inputs.len() >= MOST_SAMPLES {
        return Err(Error::usage("one to 16,777,215 samples are needed").found(inputs.len()));
    }
    if [options.region_size, options.sub_window, options.coverage_window].contains(&0) {
        return Err(Error::usage("a region or window needs at least one base"));
    }
    let transaction = match options.changes_dataset() {
        true => {
            let base = Dataset::find(store)?.ok_or_else(|| {
                Error::not_found("there is no dataset to add to, or to replace a sample of")
                    .help("leave --add or --replace out to make one")
                    .at(store.name(""))
            })?;
            Transaction::begin(store, Some(&base), options.transaction)?
        }
        false => {
            let may_exist = options.overwrite || options.dry_run;
            Transaction::for_output(store, may_exist, options.transaction)?
        }
    };
    let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let outcome = Work::open(options.work.as_deref(), options.resume, &temp_dir).and_then(|work| {
        let writer = Writer { store, transaction: &transaction, options, progress, work: &work };
        match writer.run(inputs, open, reference, &temp_dir) {
            Ok(written) => Ok((work, written)),
            Err(error) => {
                work.leave();
                Err(error)
            }
        }
    });
    let (work, (draft, mut summary)) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    if options.dry_run {
        return Ok(summary);
    }
    summary.dataset_version = transaction.commit(draft)?.manifest().dataset_version;
    work.remove();
    Ok(summary)
}

struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    options: &'a WriteOptions,
    progress: &'a Arc<Progress>,
    work: &'a Work,
}

impl Writer<'_> {
    fn run(
        &self,
        inputs: &[SampleInput],
        open: &Open<'_>,
        reference: Option<(String, Box<dyn Read + Send>)>,
        temp_dir: &Path,
    ) -> Result<(Draft, Summary)> {
        let options = self.options;
        let base = self.transaction.base().filter(|_| options.changes_dataset());
        let removal = match base {
            Some(base) if !options.replace.is_empty() => Some(
                Removal::new(base, &options.replace, Purpose::Replace)?
                    .map_err(|missing| missing.error.at(self.store.name("")))?,
            ),
            _ => None,
        };
        let mut details = match (base, &removal) {
            (_, Some(removal)) => removal.details.clone(),
            (Some(base), _) => {
                Details::read(base.manifest()).map_err(|e| e.at(self.store.name("")))?
            }
            _ => self.new_details(),
        };
        let names = match (base, &removal) {
            (_, Some(removal)) => removal.names.clone(),
            (Some(base), _) => read::sample_names(base, &details)?,
            _ => Vec::new(),
        };
        let prepared = prepare(inputs, open, &details, &names, options.threads)?;
        let Prepared { inputs: prepared, headers, contigs } = prepared;
        let numbers = match &removal {
            Some(removal) => places_of(inputs, &prepared, removal)?,
            None => (0..).take(prepared.len()).collect(),
        };
        details.set_dictionary(&contigs);
        if base.is_none() {
            details.parts = self.parts(&contigs)?;
        }
        let parts = details.parts.as_ref().map(|parts| regions_of(parts, &contigs));
        let reference = match reference {
            Some((name, reader)) => Some(Reference::read(&name, reader, &contigs, temp_dir)?),
            None => None,
        };
        let windows = details.windows();
        let grid = Grid::new(windows, &contigs)?;
        let scope = Scope {
            windows,
            exclude_flags: details.exclude_flags,
            lengths: &details.lengths,
            parts: parts.as_deref(),
        };
        let tasks = tasks(inputs, &prepared, &details, reference.as_ref())?;
        let resumed = tasks.iter().filter(|task| self.work.find(&task.token).is_some()).count();
        let job = Job {
            open,
            grid: &grid,
            scope,
            reference: reference.as_ref(),
            parts: parts.as_deref(),
            memory: options.memory,
            temp_dir: options.temp_dir.clone(),
            threads: options.threads,
            progress: self.progress,
            work: self.work,
        };
        let notes = job.run(&tasks)?;
        let mut spills = Spills::new(&SortOptions {
            // The rest is for what is encoded and uploaded.
            memory: options.memory / 2,
            temp_dir: options.temp_dir.clone(),
            threads: options.threads,
        });
        for ((&number, task), note) in numbers.iter().zip(&tasks).zip(&notes) {
            spills.adopt(number, &note.files, |kind| self.work.file(&task.token, kind));
        }
        let mut seen: Vec<u32> =
            notes.iter().flat_map(|note| note.outcome.seen.iter().copied()).collect();
        let mut samples = list(inputs, &prepared, &notes, reference.is_some());
        let mut headers = headers.bytes;
        let mut groups = Vec::new();
        if let (Some(removal), Some(base)) = (&removal, base) {
            let rest = Rest {
                store: self.store,
                base,
                removal,
                grid: &grid,
                reference: reference.as_ref(),
            };
            let mut rest = rest.spill(&details, &mut spills, options.threads, self.progress)?;
            rest.samples.extend(numbered(samples, &numbers, &headers)?);
            let (in_order, of_all) = in_order(rest.samples)?;
            (samples, headers, groups) = (in_order, of_all.bytes, rest.groups);
            seen.extend(rest.contigs);
        }
        seen.sort_unstable();
        seen.dedup();
        let (operation, mut infos) = match (base, &removal) {
            (_, Some(removal)) => (Operation::Replace, removal.inputs.clone()),
            (Some(base), _) => (Operation::Append, base.manifest().inputs.clone()),
            _ => (Operation::Create, Vec::new()),
        };
        let (position, objects, chunks) = match removal {
            Some(removal) => (Some(removal.position), removal.objects, removal.chunks),
            None => (None, Vec::new(), Vec::new()),
        };
        infos.extend(inputs.iter().map(|input| input.info.clone()));
        let publisher = Publisher {
            store: self.store,
            transaction: self.transaction,
            created: &options.created,
            threads: options.threads,
            dry_run: options.dry_run,
            progress: self.progress,
        };
        let (draft, summary) = publisher.publish(Content {
            details,
            contigs: &contigs,
            grid: &grid,
            spills,
            list: Samples { samples, contigs: seen },
            headers,
            groups,
            position,
            objects,
            chunks,
            operation,
            inputs: infos,
        })?;
        Ok((draft, Summary { resumed: resumed as u64, ..summary }))
    }

    fn new_details(&self) -> Details {
        Details {
            sample_count: 0,
            read_count: 0,
            region_size: self.options.region_size,
            sub_window: self.options.sub_window.min(self.options.region_size),
            coverage_window: self.options.coverage_window.min(self.options.region_size),
            exclude_flags: UNMAPPED | SECONDARY | QC_FAIL | DUPLICATE,
            chromosomes: Vec::new(),
            lengths: Vec::new(),
            md5: Vec::new(),
            parts: None,
            compression: "zstd".to_owned(),
            chunk_bytes: 0,
            layers: Vec::new(),
        }
    }

    /// The parts asked for, in order and apart from one another.
    fn parts(&self, contigs: &Contigs) -> Result<Option<Vec<(String, u64, u64)>>> {
        let Some((name, text)) = &self.options.parts else { return Ok(None) };
        let mut by_contig: Vec<Vec<Interval>> = vec![Vec::new(); contigs.len()];
        for region in bed::parse(text, name, contigs)? {
            by_contig[region.contig.0 as usize].push(region.interval);
        }
        let mut parts = Vec::new();
        for (contig, intervals) in contigs.iter().zip(by_contig) {
            for interval in merge_intervals(intervals) {
                let end = interval.end().min(contig.length);
                parts.push((contig.name.clone(), interval.start(), end));
            }
        }
        if parts.is_empty() {
            return Err(Error::input("the BED file names no place of these alignments").at(name));
        }
        Ok(Some(parts))
    }
}

pub(super) fn regions_of(parts: &[(String, u64, u64)], contigs: &Contigs) -> Vec<Region> {
    let region = |(name, start, end): &(String, u64, u64)| {
        Some(Region { contig: contigs.id(name)?, interval: Interval::new(*start, *end) })
    };
    let mut regions: Vec<Region> = parts.iter().filter_map(region).collect();
    regions.sort_unstable();
    regions
}

/// What is to be read, each sample with the name of all that decides what it comes to.
fn tasks(
    inputs: &[SampleInput],
    prepared: &[Input],
    details: &Details,
    reference: Option<&Reference>,
) -> Result<Vec<Task>> {
    let Windows { region, sub, coverage } = details.windows();
    let common = (
        env!("CARGO_PKG_VERSION"),
        (region, sub, coverage, details.exclude_flags),
        (&details.chromosomes, &details.lengths, &details.parts),
        reference.map(|reference| &reference.digest),
    );
    let task = |(number, (given, input)): (usize, (&SampleInput, &Input))| {
        let token = match &input.state {
            None => format!("sample{number}"),
            Some(state) => {
                let all = serde_json::to_vec(&(&common, input.mapping.as_ref(), state))
                    .map_err(|error| Error::internal("naming a sample").caused_by(error))?;
                blake3::hash(&all).to_hex().to_string()
            }
        };
        let (input, mapping) = (given.info.name.clone(), input.mapping.clone());
        Ok(Task { input, mapping, token, state: prepared[number].state.clone() })
    };
    inputs.iter().zip(prepared).enumerate().map(task).collect()
}

/// The numbers of inputs that replace samples.
fn places_of(inputs: &[SampleInput], prepared: &[Input], removal: &Removal) -> Result<Vec<u32>> {
    let place = |(given, input): (&SampleInput, &Input)| {
        removal.replaced.get(&input.name).copied().ok_or_else(|| {
            Error::input("the file is not of a sample that is to be replaced")
                .expected(format!("one of {} samples", removal.replaced.len()))
                .found(format!("{:?}", input.name))
                .help("name it by --samples, or convert it with --add")
                .at(&given.info.name)
        })
    };
    let places = inputs.iter().zip(prepared).map(place).collect::<Result<Vec<u32>>>()?;
    let gone = removal.replaced.iter().find(|(_, number)| !places.contains(number));
    match gone {
        None => Ok(places),
        Some((name, _)) => {
            Err(Error::usage(format!("no input is of sample {name:?}, which is to be replaced"))
                .help("leave it out of --replace; 'purge' takes a sample out of a dataset"))
        }
    }
}

/// Samples with their headers, which lie in `headers`.
fn numbered(samples: Vec<Sample>, numbers: &[u32], headers: &[u8]) -> Result<Vec<Numbered>> {
    let frame = |(start, size, _): (u64, u64, u32)| {
        let (start, size) = (start as usize, size as usize);
        headers
            .get(start..start + size)
            .ok_or_else(|| Error::internal("a header lies outside its object"))
    };
    let first = samples.first().map(|sample| frame(sample.header)).transpose()?;
    let mut all = Vec::with_capacity(samples.len());
    for (at, (sample, &number)) in samples.iter().zip(numbers).enumerate() {
        let header = read_header(frame(sample.header)?, first.filter(|_| at > 0))?;
        all.push(Numbered { number, sample: sample.clone(), header: header.to_bam_bytes()? });
    }
    Ok(all)
}

/// The entries of the list of samples.
fn list(
    inputs: &[SampleInput],
    prepared: &[Input],
    notes: &[Note],
    has_sites: bool,
) -> Vec<Sample> {
    let of = |((given, input), note): ((&SampleInput, &Input), &Note)| Sample {
        name: input.name.clone(),
        input: given.info.name.clone(),
        reads: note.outcome.reads,
        reordered: note.outcome.reordered,
        has_sites,
        header: input.header,
        digest: note.outcome.digest.clone(),
    };
    inputs.iter().zip(prepared).zip(notes).map(of).collect()
}
