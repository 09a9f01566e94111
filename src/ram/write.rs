//! Making a dataset from the alignments of many samples: read, put aside, merge by region, commit.
//!
//! Nothing is visible before the commit. More samples come as a layer of their own: files beside
//! those of earlier layers, and a new version that lists both.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::depth::{Scope, Windows};
use super::ingest::{Grid, Job, Open, Outcome, Spills, Task};
use super::layer::{Dictionary, Headers, Sample, Samples};
use super::manifest::{self, Details, Layer};
use super::merge::{Destination, Merged, merge};
use super::read;
use super::reference::Reference;
use crate::dataset::{
    Checksum, Dataset, Draft, InputInfo, ObjectRef, Operation, Transaction, TransactionId, folders,
};
use crate::error::{Context, Error, Result};
use crate::genome::interval::merge as merge_intervals;
use crate::genome::{Contigs, Interval, Region, bed};
use crate::pipeline::{Progress, SortOptions, Sorter};
use crate::records::alignments::Header;
use crate::records::alignments::record::flags::{DUPLICATE, QC_FAIL, SECONDARY, UNMAPPED};
use crate::store::{Store, Uploader};

/// Bytes of chunks that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 256 << 20;
/// Most inputs that a manifest lists; the list of samples names all.
const MOST_INPUTS: usize = 64;
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
    /// Folder for what does not fit there.
    pub temp_dir: Option<PathBuf>,
    /// Only what overlaps these regions: a BED file's name and text.
    pub parts: Option<(String, String)>,
    /// Replace the content of an existing dataset by a new version.
    pub overwrite: bool,
    /// Add the samples to an existing dataset.
    pub add: bool,
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
            parts: None,
            overwrite: false,
            add: false,
            dry_run: false,
            created,
            transaction,
        }
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
    let transaction = match options.add {
        true => {
            let base = Dataset::find(store)?.ok_or_else(|| {
                Error::not_found("there is no dataset to add to")
                    .help("leave --add out to make one")
                    .at(store.name(""))
            })?;
            Transaction::begin(store, Some(&base), options.transaction)?
        }
        false => {
            let may_exist = options.overwrite || options.dry_run;
            Transaction::for_output(store, may_exist, options.transaction)?
        }
    };
    let written =
        Writer { store, transaction: &transaction, options, progress }.run(inputs, open, reference);
    let (draft, mut summary) = match written {
        Ok(written) => written,
        Err(error) => {
            transaction.abandon();
            return Err(error);
        }
    };
    if options.dry_run {
        return Ok(summary);
    }
    summary.dataset_version = transaction.commit(draft)?.manifest().dataset_version;
    Ok(summary)
}

struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    options: &'a WriteOptions,
    progress: &'a Arc<Progress>,
}

/// What the headers of all inputs say.
struct Prepared {
    names: Vec<String>,
    headers: Headers,
    places: Vec<(u64, u64, u32)>,
    tasks: Vec<Task>,
    contigs: Contigs,
}

impl Writer<'_> {
    fn run(
        &self,
        inputs: &[SampleInput],
        open: &Open<'_>,
        reference: Option<(String, Box<dyn Read + Send>)>,
    ) -> Result<(Draft, Summary)> {
        let options = self.options;
        let base = self.transaction.base().filter(|_| options.add);
        let mut details = match base {
            Some(base) => Details::read(base.manifest()).at(|| self.store.name(""))?,
            None => self.new_details(),
        };
        let prepared = prepare(inputs, open, &details, base)?;
        let contigs = &prepared.contigs;
        details.set_dictionary(contigs);
        if base.is_none() {
            details.parts = self.parts(contigs)?;
        }
        let parts = details.parts.as_ref().map(|parts| regions_of(parts, contigs));
        let reference = match reference {
            Some((name, reader)) => Some(Reference::read(&name, reader, contigs)?),
            None => None,
        };
        let windows = Windows {
            region: details.region_size,
            sub: details.sub_window,
            coverage: details.coverage_window,
        };
        let grid = Grid::new(windows, contigs);
        let scope = Scope {
            windows,
            exclude_flags: details.exclude_flags,
            lengths: &details.lengths,
            parts: parts.as_deref(),
        };
        let sorter = |part: usize, threads: usize| SortOptions {
            memory: options.memory / 16 * part,
            temp_dir: options.temp_dir.clone(),
            threads,
        };
        let spills = Spills {
            reads: Sorter::new(sorter(9, options.threads)),
            coverage: Sorter::new(sorter(2, options.threads)),
            sites: Sorter::new(sorter(1, 1)),
            seen: vec![false; contigs.len()],
        };
        let job = Job {
            open,
            grid: &grid,
            scope,
            reference: reference.as_ref(),
            parts: parts.as_deref(),
            sort: SortOptions {
                memory: options.memory / 4 / options.threads.max(1),
                temp_dir: options.temp_dir.clone(),
                threads: 1,
            },
            threads: options.threads,
            progress: self.progress,
        };
        let (spills, outcomes) = job.run(&prepared.tasks, spills)?;
        self.publish(inputs, prepared, outcomes, spills, &grid, reference.as_ref(), details)
    }

    #[allow(clippy::too_many_arguments, reason = "all that reading brought about")]
    fn publish(
        &self,
        inputs: &[SampleInput],
        prepared: Prepared,
        outcomes: Vec<Outcome>,
        spills: Spills,
        grid: &Grid,
        reference: Option<&Reference>,
        mut details: Details,
    ) -> Result<(Draft, Summary)> {
        let contigs = &prepared.contigs;
        let contig_names: Vec<&str> = contigs.iter().map(|contig| contig.name.as_str()).collect();
        let seen: Vec<u32> =
            (0..).zip(&spills.seen).filter(|(_, seen)| **seen).map(|(id, _)| id).collect();
        let mut keys = vec![-1; contigs.len()];
        for (key, &contig) in (0..).zip(&seen) {
            keys[contig as usize] = key;
        }
        let names: Vec<&str> = seen.iter().map(|&id| contig_names[id as usize]).collect();
        let samples: Vec<&str> = prepared.names.iter().map(String::as_str).collect();
        let uploader =
            Uploader::new(self.store.clone(), UPLOADS_IN_FLIGHT).count_into(self.progress.clone());
        let put = |path: &str, bytes: Vec<u8>| match self.options.dry_run {
            true => Ok(()),
            false => uploader.put(path, Bytes::from(bytes)),
        };
        let destination = Destination {
            transaction: self.transaction,
            contigs,
            folders: &folders(&contig_names, &["unplaced"]),
            region_size: details.region_size,
            samples: &samples,
            keys: &keys,
            names: &names,
            exclude_flags: details.exclude_flags,
            put: &put,
        };
        let merged = merge(spills, grid, reference, &destination, self.options.threads)?;
        let Merged { regions, index, chunks, counts } = merged;
        let list = Samples { samples: list(inputs, &prepared, &outcomes), contigs: seen };
        let mut objects = Vec::new();
        let mut total_bytes = counts.chunk_bytes;
        for (kind, folder, stem, extension, bytes) in [
            (manifest::SAMPLES_KIND, "", "_samples", "json.zst", list.to_bytes()?),
            (manifest::HEADERS_KIND, "", "_headers", "zst", prepared.headers.bytes),
            (manifest::INDEX_KIND, "_index", "regions", "idx", index),
        ] {
            let path = self.transaction.path(folder, stem, extension)?;
            let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
            total_bytes += size_bytes;
            put(&path, bytes)?;
            objects.push(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum });
        }
        uploader.finish()?;
        let reads = outcomes.iter().map(|outcome| outcome.reads).sum();
        let [of_samples, of_headers, of_index] = [0, 1, 2].map(|at| objects[at].path.clone());
        details.sample_count += inputs.len() as u64;
        details.read_count += counts.reads;
        details.chunk_bytes += counts.chunk_bytes;
        details.layers.push(Layer {
            samples: of_samples,
            headers: of_headers,
            index: of_index,
            sample_count: inputs.len() as u64,
            read_count: counts.reads,
            batch_count: counts.batches,
            has_sites: reference.is_some(),
            regions,
        });
        let summary = Summary {
            samples: inputs.len() as u64,
            reads,
            rows: counts.rows,
            regions: counts.regions,
            sites: counts.sites,
            batches: counts.batches,
            chunk_bytes: counts.chunk_bytes,
            total_bytes,
            objects: chunks.len() as u64 + 5,
            reordered: outcomes.iter().filter(|outcome| outcome.reordered).count() as u64,
            dataset_version: 0,
        };
        let base = self.transaction.base().filter(|_| self.options.add);
        let mut infos: Vec<InputInfo> = Vec::new();
        if let Some(base) = base {
            infos.extend_from_slice(&base.manifest().inputs);
            objects.splice(0..0, base.manifest().objects.iter().cloned());
        }
        infos.extend(inputs.iter().map(|input| input.info.clone()));
        infos.truncate(MOST_INPUTS);
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation: if base.is_some() { Operation::Append } else { Operation::Create },
            keep_chunks: base.is_some(),
            created: self.options.created.clone(),
            inputs: infos,
            fields: details.to_fields()?,
            objects,
            chunks,
            required_features: Vec::new(),
        };
        Ok((draft, summary))
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

fn regions_of(parts: &[(String, u64, u64)], contigs: &Contigs) -> Vec<Region> {
    let region = |(name, start, end): &(String, u64, u64)| {
        Some(Region { contig: contigs.id(name)?, interval: Interval::new(*start, *end) })
    };
    let mut regions: Vec<Region> = parts.iter().filter_map(region).collect();
    regions.sort_unstable();
    regions
}

/// The entries of the list of samples.
fn list(inputs: &[SampleInput], prepared: &Prepared, outcomes: &[Outcome]) -> Vec<Sample> {
    (inputs.iter().zip(&prepared.names))
        .zip(prepared.places.iter().zip(outcomes))
        .map(|((input, name), (&header, outcome))| Sample {
            name: name.clone(),
            input: input.info.name.clone(),
            reads: outcome.reads,
            reordered: outcome.reordered,
            header,
            digest: outcome.digest.clone(),
        })
        .collect()
}

/// Opens every input for its header: whatever can be told from headers is told before any work.
fn prepare(
    inputs: &[SampleInput],
    open: &Open<'_>,
    details: &Details,
    base: Option<&Dataset>,
) -> Result<Prepared> {
    let mut dictionary = Dictionary::new(&details.dictionary()?);
    let mut taken: HashMap<String, String> = HashMap::new();
    if let Some(base) = base {
        for sample in read::sample_names(base, details)? {
            taken.insert(sample, "the dataset".to_owned());
        }
    }
    let (mut names, mut headers, mut places) = (Vec::new(), Headers::default(), Vec::new());
    let mut tasks = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let file = &input.info.name;
        let opened = open(number)?;
        let header = opened.header();
        let name = match &input.name {
            Some(name) => name.clone(),
            None => name_of(header).at(|| file)?,
        };
        if name.is_empty() || name.contains(|letter: char| letter.is_control()) {
            return Err(Error::input("the name of a sample is empty, or has control characters")
                .found(format!("{name:?}"))
                .at(file));
        }
        if let Some(other) = taken.insert(name.clone(), file.clone()) {
            return Err(Error::input(format!("sample {name:?} is there twice"))
                .found(format!("{other} and {file}"))
                .help("merge the files of a sample with `samtools merge`, or name them apart by --samples")
                .at(file));
        }
        let mapping = dictionary.map(header.contigs()).at(|| file)?;
        places.push(headers.push(&header.to_bam_bytes()?)?);
        names.push(name);
        tasks.push(Task { input: file.clone(), mapping });
    }
    Ok(Prepared { names, headers, places, tasks, contigs: dictionary.contigs()? })
}

/// The sample that a header names.
fn name_of(header: &Header) -> Result<String> {
    if let Some(name) = header.sample() {
        return Ok(name.to_owned());
    }
    let mut named: Vec<String> = header
        .read_groups()
        .iter()
        .filter_map(|group| Some(String::from_utf8_lossy(group.sample.as_deref()?).into_owned()))
        .collect();
    named.sort_unstable();
    named.dedup();
    Err(match named.len() {
        0 => Error::input("no @RG line of the header names a sample (SM)"),
        _ => Error::input("the header's read groups name several samples").found(named.join(", ")),
    }
    .help("name the sample by --samples, or correct the header with `samtools addreplacerg`"))
}
