//! Options that mean the same in every command that has them.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::progress::Mode;
use crate::units::parse_size;

/// What is said while working, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct Messages {
    /// Print summaries and errors as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Print no progress and no summary; errors are still printed
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Progress: auto (a bar on a terminal, else lines), plain, json or none
    #[arg(long, value_enum, value_name = "HOW", default_value_t, hide_possible_values = true)]
    pub(crate) progress: Mode,

    /// Log to standard error what is fetched and why; -vv says more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Messages {
    /// How progress is to be shown, given everything else on the line.
    pub(crate) fn progress_mode(&self) -> Mode {
        match self.progress {
            _ if self.quiet => Mode::None,
            // A bar and log lines would tear each other apart.
            Mode::Auto if self.verbose > 0 => Mode::Plain,
            mode => mode,
        }
    }
}

/// How much of the machine to use.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Resources")]
pub(crate) struct Threads {
    /// Threads to compute with [default: one per core]
    #[arg(short = '@', long, visible_alias = "parallel", value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Threads {
    /// The number asked for, else one per core.
    pub(crate) fn count(self) -> NonZeroUsize {
        self.threads
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }
}

/// How stores are reached.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stores")]
pub(crate) struct Stores {
    /// Address of the S3 service, for MinIO, R2, Ceph and others [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// Region of the S3 bucket [env: AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) s3_region: Option<String>,

    /// Profile in the AWS configuration files [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Send requests without credentials, for public buckets
    #[arg(long)]
    pub(crate) no_sign_request: bool,

    /// Keep what is fetched of immutable objects in this folder
    #[arg(long, value_name = "DIR", env = "GENOMIC_OBJECTS_CACHE_DIR", hide_env_values = true)]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Room for that folder
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = parse_size)]
    pub(crate) cache_size: u64,
}

/// A dataset at one of its versions.
#[derive(Args, Clone, Debug)]
pub(crate) struct DatasetAt {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    pub(crate) dataset: String,

    /// Version to read [default: the newest]
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<u64>,
}
