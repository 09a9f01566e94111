//! `files`, `verify`, `log`, `diff`, `rollback`, `gc`, `cp`: a dataset over its versions.

use std::time::Duration;

use clap::Args;
use genomic_objects::error::{Error, Result};

use crate::options::{DatasetAt, Messages, Stores, Threads};
use crate::units::parse_duration;

/// List the objects of a dataset
#[derive(Args, Clone, Debug)]
pub(crate) struct Files {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Check every byte of a dataset against its checksum, and every count against the manifest
#[derive(Args, Clone, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    dataset: DatasetAt,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// List the versions of a dataset, the newest first
#[derive(Args, Clone, Debug)]
pub(crate) struct Log {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Tell what changed between two versions of a dataset
#[derive(Args, Clone, Debug)]
pub(crate) struct Diff {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// The older version
    #[arg(value_name = "A")]
    from: u64,
    /// The newer version
    #[arg(value_name = "B")]
    to: u64,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Make a new version with the content of an old one
#[derive(Args, Clone, Debug)]
pub(crate) struct Rollback {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// The version whose content to restore
    #[arg(value_name = "N")]
    version: u64,
    /// Write nothing, and tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Delete objects that no version refers to
#[derive(Args, Clone, Debug)]
pub(crate) struct Gc {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Leave alone what is younger than this, for a writer may still be at work
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = parse_duration)]
    grace: Duration,
    /// Delete nothing, and list what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Copy one version of a dataset to a new place
#[derive(Args, Clone, Debug)]
pub(crate) struct Cp {
    #[command(flatten)]
    dataset: DatasetAt,
    /// Where to: a folder or a URL without a dataset
    #[arg(value_name = "OUTPUT")]
    output: String,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Files {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Verify {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Log {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Diff {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Rollback {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Gc {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}

impl Cp {
    pub(crate) fn run(self) -> Result<()> {
        Err(Error::unsupported("not wired"))
    }
}
