//! `cp`, `push` and `pull`: a dataset to another place.

use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::Args;
use genomic_objects::dataset::{self, Copied, Dataset, Outstanding};
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::Progress;
use genomic_objects::store::{Store, StoreOptions};
use serde_json::json;

use super::maintain::refresh_schema;
use crate::environment;
use crate::options::{DatasetAt, Messages, WritableStores};
use crate::report::{Summary, say};
use crate::units;

/// Copy one version of a dataset to a new place, or with --all its whole history
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The copy is a dataset of its own, whose first version is the one copied. Objects that are there
already are not sent again, so a copy that was interrupted is continued by the same command. An
OUTPUT that ends in / is the folder to put the dataset into, under its own name.

Examples:
  format-tools cp s3://bucket/sample.paf sample.paf
  format-tools cp --at 3 sample.paf gs://other/
  format-tools cp --all --source-profile lab s3://theirs/sample.paf s3://ours/")]
pub(crate) struct Cp {
    #[command(flatten)]
    dataset: DatasetAt,
    /// Where to: a folder or a URL without a dataset
    #[arg(value_name = "OUTPUT")]
    output: String,
    /// Make a new version where a dataset exists already
    #[arg(long, conflicts_with = "all")]
    overwrite: bool,
    /// All versions with their history, as 'push' and 'pull' do
    #[arg(long, conflicts_with = "at")]
    all: bool,
    /// Make the bucket of OUTPUT first, unless it is there
    #[arg(long)]
    create_bucket: bool,

    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Send a dataset with its history to a bucket, or what is new since the last time
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
All versions go, and what a reader starts from goes last: until then the bucket shows what it showed
before. A destination that is behind is continued, also after a push that was interrupted, and what
was purged here since is purged there; one with another history is refused. A URL that ends in / is
the folder to put the dataset into, under its own name.

Examples:
  format-tools push sample.paf s3://bucket/datasets/
  format-tools push --storage-class STANDARD_IA cohort.vcs s3://bucket/cohort.vcs")]
pub(crate) struct Push {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Where to: the URL of the dataset there
    #[arg(value_name = "URL")]
    url: String,
    /// Make the bucket first, unless it is there
    #[arg(long)]
    create_bucket: bool,

    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Fetch a dataset with its history from a bucket, or what is new since the last time
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The reverse of 'push'. A dataset on a web server and one that is shared can be copied with 'cp'.

Examples:
  format-tools pull s3://bucket/sample.paf
  format-tools pull s3://bucket/sample.paf /data/")]
pub(crate) struct Pull {
    /// Dataset: a URL
    #[arg(value_name = "URL")]
    url: String,
    /// Where to: a folder [default: the dataset's own name, here]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,

    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// How objects are moved.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Transfer")]
struct Transfer {
    /// Objects to move at once
    #[arg(short = '@', long, visible_alias = "parallel", value_name = "N", default_value = "128")]
    threads: NonZeroUsize,

    /// Send nothing, and tell what would be sent
    #[arg(long)]
    dry_run: bool,

    /// Address of the S3 service that DATASET is on, if it is another than that of the destination
    #[arg(long, value_name = "URL")]
    source_endpoint_url: Option<String>,

    /// Region of the bucket that DATASET is in
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,

    /// Profile to read DATASET with
    #[arg(long, value_name = "NAME")]
    source_profile: Option<String>,
}

impl Cp {
    pub(crate) fn run(self) -> Result<()> {
        let options = self.transfer.options(&self.stores);
        let source = self.transfer.open_source(&self.dataset.dataset, &options)?;
        let target = Store::open(&into(&self.output, &self.dataset.dataset)?, &options)?;
        self.transfer.prepare(&target, self.create_bucket)?;
        if self.all {
            return self.transfer.all(&source, &target, &self.messages);
        }
        let version = Dataset::open(&source, self.dataset.version())?;
        if self.transfer.dry_run {
            return would_send(dataset::outstanding(&version, &target)?, &target, &self.messages);
        }
        let id = environment::transaction_id()?;
        let (now, at_once) = (environment::now(), self.transfer.threads.get());
        self.transfer.run(&target, &self.messages, |progress| {
            dataset::copy(&version, &target, self.overwrite, &now, id, at_once, Some(progress))
        })
    }
}

impl Push {
    pub(crate) fn run(self) -> Result<()> {
        if !is_url(&self.url) {
            return Err(Error::usage("'push' sends to the URL of a bucket")
                .help("name one, such as s3://bucket/sample.paf; 'cp --all' copies anywhere"));
        }
        let options = self.transfer.options(&self.stores);
        let source = self.transfer.open_source(&self.dataset, &options)?;
        let target = Store::open(&into(&self.url, &self.dataset)?, &options)?;
        self.transfer.prepare(&target, self.create_bucket)?;
        self.transfer.all(&source, &target, &self.messages)
    }
}

impl Pull {
    pub(crate) fn run(self) -> Result<()> {
        if !is_url(&self.url) {
            return Err(Error::usage("'pull' fetches from the URL of a bucket")
                .help("name one, such as s3://bucket/sample.paf; 'cp --all' copies anywhere"));
        }
        let options = self.transfer.options(&self.stores);
        let source = self.transfer.open_source(&self.url, &options)?;
        let target = into(self.folder.as_deref().unwrap_or("./"), &self.url)?;
        self.transfer.all(&source, &Store::open(&target, &options)?, &self.messages)
    }
}

impl Transfer {
    fn options(&self, stores: &WritableStores) -> StoreOptions {
        let options = stores.options();
        StoreOptions { max_in_flight: options.max_in_flight.max(self.threads.get()), ..options }
    }

    /// Makes the bucket, if that was asked for.
    fn prepare(&self, target: &Store, create_bucket: bool) -> Result<()> {
        if create_bucket && !self.dry_run {
            target.create_bucket()?;
        }
        Ok(())
    }

    /// The store to read from, which may be another service than the one that is written to.
    fn open_source(&self, location: &str, options: &StoreOptions) -> Result<Store> {
        let or = |own: &Option<String>, both: &Option<String>| own.clone().or(both.clone());
        Store::open(
            location,
            &StoreOptions {
                endpoint_url: or(&self.source_endpoint_url, &options.endpoint_url),
                region: or(&self.source_region, &options.region),
                profile: or(&self.source_profile, &options.profile),
                ..options.clone()
            },
        )
    }

    /// Copies a dataset with its history.
    fn all(&self, source: &Store, target: &Store, messages: &Messages) -> Result<()> {
        if self.dry_run {
            return would_send(dataset::outstanding_of_all(source, target)?, target, messages);
        }
        self.run(target, messages, |progress| {
            dataset::copy_all(source, target, self.threads.get(), Some(progress))
        })
    }

    /// Copies, and tells what was done.
    fn run(
        &self,
        target: &Store,
        messages: &Messages,
        copy: impl FnOnce(&Progress) -> Result<Copied>,
    ) -> Result<()> {
        let progress = Arc::new(Progress::default());
        let display = messages.start_transfer(&progress, "sent");
        let copied = copy(&progress);
        drop(display);
        let copied = copied?;
        refresh_schema(target, &copied.dataset)?;
        for left in &copied.left {
            say(&format!("left: {}: {}", target.name(&left.path), left.what));
        }
        let version = copied.dataset.manifest().dataset_version;
        let text = format!(
            "sent {} objects of {} to {}, {} were there already; its newest version is {version}",
            units::count(copied.objects),
            units::bytes(copied.bytes),
            target.name(""),
            units::count(copied.skipped),
        );
        let json = json!({
            "objects": copied.objects,
            "bytes": copied.bytes,
            "skipped": copied.skipped,
            "dataset_version": version,
            "left": copied.left.iter().map(|left| &left.path).collect::<Vec<_>>(),
            "output": target.name(""),
        });
        messages.summarise(Summary { text, json, data_on_stdout: false })?;
        match copied.left.iter().filter(|left| left.is_ours).count() {
            0 => Ok(()),
            count => Err(Error::store(format!(
                "the dataset was purged, and its copy still has {count} objects from before"
            ))
            .help("once no writer is at work there, run 'format-tools gc --grace 0s' on the copy")
            .at(target.name(""))),
        }
    }
}

fn would_send(outstanding: Outstanding, target: &Store, messages: &Messages) -> Result<()> {
    let Outstanding { objects, bytes, skipped } = outstanding;
    let text = format!(
        "would send {} objects of {} to {}; {} are there already",
        units::count(objects),
        units::bytes(bytes),
        target.name(""),
        units::count(skipped),
    );
    let json = json!({
        "dry_run": true,
        "objects": objects,
        "bytes": bytes,
        "skipped": skipped,
        "output": target.name(""),
    });
    messages.summarise(Summary { text, json, data_on_stdout: false })
}

fn is_url(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file://")
}

/// `place` itself, or below it the dataset's own name if it is a folder to put it into.
fn into(place: &str, dataset: &str) -> Result<String> {
    if !place.ends_with('/') || place.ends_with("://") {
        return Ok(place.to_owned());
    }
    let path = dataset.split_once("://").map_or(dataset, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    // The name of a bucket is none of a dataset.
    let name = match path.rsplit_once('/') {
        Some((_, name)) => name,
        None if dataset.contains("://") => "",
        None => path,
    };
    let name = name.strip_suffix(".share").unwrap_or(name);
    if name.is_empty() || name == "." || name == ".." {
        return Err(Error::usage("the dataset has no name to go by at its new place")
            .help("write the whole destination, without a / at its end"));
    }
    Ok(format!("{place}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_slash_at_the_end_means_into_that_folder() {
        let into = |place, dataset| into(place, dataset).unwrap();
        assert_eq!(into("s3://b/x/", "/data/a.paf/"), "s3://b/x/a.paf");
        assert_eq!(into("s3://b/x", "a.paf"), "s3://b/x");
        assert_eq!(into("./", "s3://b/deep/a.paf"), "./a.paf");
        assert_eq!(into("out/", "https://h/a.vcs.share?x=/y"), "out/a.vcs");
    }

    #[test]
    fn test_a_dataset_without_a_name_needs_a_whole_destination() {
        for dataset in ["s3://bucket", "s3://bucket/", ".", "../..", "/"] {
            assert!(into("out/", dataset).is_err(), "{dataset}");
        }
    }
}
