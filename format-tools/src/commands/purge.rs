//! `purge`: a sample that was withdrawn goes from every version of a dataset.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use genomic_objects::dataset::{At, Dataset, Purged};
use genomic_objects::error::{Error, Result};
use genomic_objects::paf;
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::ram;
use genomic_objects::srf;
use genomic_objects::store::Store;
use genomic_objects::vcs;
use serde_json::{Value, json};

use crate::environment;
use crate::options::{Aside, Messages, Threads, WritableStores};
use crate::report::{Summary, say};
use crate::units;

/// Most names in a message.
const MOST_NAMES: usize = 20;

/// Take a sample that was withdrawn out of all versions of a dataset, for good
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A version without the sample is made. All earlier versions are given up, those with a name included,
and all objects that only they need are deleted, with whatever interrupted writers left. In the end
everything that is there is listed, and what should not be is reported. A purge that was interrupted
is finished by the same command, or by 'gc'.

Out of reach are copies elsewhere ('push' or 'cp --all' to a copy makes it as clean), caches of
readers, what the bucket itself keeps of deleted objects (versions, snapshots, backups), and counts
over all samples that a VCF had in INFO.

Examples:
  format-tools purge --dry-run --sample NA12878 cohort.ram
  format-tools purge --sample NA12878 --sample NA12891 s3://bucket/cohort.vcs")]
pub(crate) struct Purge {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// The sample to take out; may be given several times
    #[arg(short = 's', long = "sample", value_name = "SAMPLE", required = true)]
    samples: Vec<String>,

    /// Delete nothing, and list what would be deleted
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    aside: Aside,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// What came of it: what was purged, and what was written in numbers and as JSON.
struct Outcome {
    purged: Purged,
    written: Value,
    notes: Vec<String>,
}

impl Purge {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let format = Dataset::open(&store, At::Newest)?.manifest().format.clone();
        let progress = Arc::new(Progress::default());
        let display = self.messages.start_progress(&progress, "rewritten");
        let outcome = match format.as_str() {
            ram::manifest::FORMAT => self.cohort(&store, &progress),
            vcs::manifest::FORMAT => self.variants(&store, &progress),
            paf::manifest::FORMAT => Err(self.refusal_of_alignments(&store)),
            srf::manifest::FORMAT => {
                Err(Error::usage("a dataset of reads does not tell samples apart")
                    .help(format!(
                        "if its reads are those of the sample, {}",
                        how_to_remove(&store)
                    ))
                    .at(store.name("")))
            }
            other => {
                Err(Error::unsupported(format!("a dataset of format {other:?} has no samples"))
                    .expected("a dataset of a cohort or of variants")
                    .at(store.name("")))
            }
        };
        drop(display);
        self.report(&store, outcome?)
    }

    fn cohort(&self, store: &Store, progress: &Arc<Progress>) -> Result<Outcome> {
        let options = ram::purge::PurgeOptions {
            threads: self.threads.count().get(),
            memory: self.aside.memory(),
            temp_dir: self.aside.temp_dir.clone(),
            dry_run: self.dry_run,
            created: environment::now(),
            transaction: environment::transaction_id()?,
        };
        let (purged, summary) = ram::purge::purge(store, &self.samples, &options, progress)?;
        Ok(Outcome { purged, written: json!(summary), notes: Vec::new() })
    }

    fn variants(&self, store: &Store, progress: &Arc<Progress>) -> Result<Outcome> {
        let threads = self.threads.count().get();
        let options = vcs::purge::PurgeOptions {
            threads,
            sorting: SortOptions {
                memory: self.aside.memory(),
                temp_dir: self.aside.temp_dir.clone(),
                threads,
            },
            dry_run: self.dry_run,
            created: environment::now(),
            transaction: environment::transaction_id()?,
        };
        let (purged, written) = vcs::purge::purge(store, &self.samples, &options, progress)?;
        let lines = written.as_ref().map(|written| written.header_lines.as_slice());
        let lines: Vec<String> = lines.unwrap_or_default().iter().map(u64::to_string).collect();
        let mut notes = Vec::new();
        if !lines.is_empty() {
            notes.push(format!(
                "the header still names a sample, in line {}: see 'vcs-query -H'; to be rid of that, \
                 convert the variants again without the line",
                lines.join(", ")
            ));
        }
        Ok(Outcome { purged, written: json!(written.map(|written| written.summary)), notes })
    }

    /// Alignments are those of one sample as a rule.
    fn refusal_of_alignments(&self, store: &Store) -> Error {
        let reader = match paf::read::Reader::open(store, At::Newest, &Default::default()) {
            Ok(reader) => reader,
            Err(error) => return error,
        };
        let groups = reader.header().read_groups().iter();
        let mut names: BTreeSet<String> = groups
            .filter_map(|group| group.sample.as_deref())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let given = reader.dataset().manifest().fields.get("sample").and_then(Value::as_str);
        names.extend(given.map(str::to_owned));
        let place = store.name("");
        if let Some(name) = self.samples.iter().find(|name| !names.contains(*name)) {
            let known: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
            return Error::not_found(format!("the dataset has no sample {name:?}"))
                .expected(match known.is_empty() {
                    true => "none, for no read group names one".to_owned(),
                    false => format!("one of its samples: {}", known.join(", ")),
                })
                .at(place);
        }
        if names.iter().all(|name| self.samples.contains(name)) {
            return Error::usage("no sample of the dataset would be left")
                .help(how_to_remove(store))
                .at(place);
        }
        Error::unsupported("alignments of several samples in one dataset cannot be told apart")
            .help(format!(
                "convert the file again without the read groups of the sample, as `samtools view -h \
                 -R` keeps those in a list, to another place; then {}",
                how_to_remove(store)
            ))
            .at(place)
    }

    fn report(&self, store: &Store, outcome: Outcome) -> Result<()> {
        let Outcome { purged, written, notes } = outcome;
        let bytes: u64 = purged.objects.iter().map(|object| object.size).sum();
        let names = self.samples.join(", ");
        let gone = format!(
            "{} objects of {}",
            units::count(purged.objects.len() as u64),
            units::bytes(bytes)
        );
        let versions = match purged.versions.as_slice() {
            [] => String::new(),
            [one] => format!(", version {one} given up"),
            [first, .., last] => format!(", versions from {first} to {last} given up"),
        };
        let finished =
            purged.finished.map(|version| format!("finished the purge of version {version}"));
        let text = match (self.dry_run, purged.version, &finished) {
            (true, ..) => {
                let paths = purged.objects.iter().map(|object| format!("{}\n", object.key));
                let paths = paths.collect::<String>();
                format!("{paths}would take out {names}: {gone} deleted{versions}")
            }
            (_, Some(version), _) => {
                format!("version {version} is without {names}: {gone} deleted{versions}")
            }
            (_, None, finished) => format!(
                "{}; the newest version does not have {names}",
                finished.as_deref().unwrap_or("there was nothing to do")
            ),
        };
        for note in &notes {
            self.messages.say(&format!("note: {note}"));
        }
        for left in &purged.left {
            let path = store.name(&left.path);
            match left.is_ours {
                true => say(&format!("left: {path}: {}", left.what)),
                false => self.messages.say(&format!("left: {path}: {}", left.what)),
            }
        }
        let left = |is_ours: bool| -> Vec<&str> {
            let left = purged.left.iter().filter(|left| left.is_ours == is_ours);
            left.map(|left| left.path.as_str()).collect()
        };
        let json = json!({
            "dry_run": self.dry_run,
            "samples": self.samples,
            "dataset_version": purged.version,
            "finished": purged.finished,
            "versions": purged.versions,
            "objects": purged.objects.iter().map(|object| &object.key).collect::<Vec<_>>(),
            "bytes": bytes,
            "written": written,
            "left": left(true),
            "foreign": left(false),
            "notes": notes,
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })?;
        match left(true).len() {
            0 => Ok(()),
            count => Err(Error::store(format!("{count} objects are there that should not be"))
                .help(
                    "once no other writer is at work, delete what no version refers to by \
                     'format-tools gc --grace 0s'; then run the same command again",
                )
                .at(store.name(""))),
        }
    }
}

/// A dataset is removed by the tools of its store.
fn how_to_remove(store: &Store) -> String {
    let place = store.name("");
    match place.strip_prefix("s3://") {
        Some(_) => format!("remove the dataset itself: `aws s3 rm --recursive {place}`"),
        None if place.contains("://") => {
            format!("remove the dataset itself, with all objects below {place}")
        }
        None => format!("remove the dataset itself: `rm -r {place}`"),
    }
}
