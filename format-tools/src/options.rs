//! Options that mean the same in every command that has them.

use std::io::{self, IsTerminal, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use genomic_objects::dataset::At;
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::{Progress, SortOptions};
use genomic_objects::store::{StoreOptions, open_input};

use crate::output::{self, Output};
use crate::progress::{Display, Mode, Unit};
use crate::report::{Summary, say};
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
    /// Shows the progress of a job until the display is dropped; `verb` says what happens to reads.
    pub(crate) fn show(
        &self,
        progress: &Arc<Progress>,
        verb: &'static str,
        output: &Output,
    ) -> Display {
        // A bar between lines of data on one terminal helps nobody.
        let is_in_the_way = output.is_stdout() && io::stdout().is_terminal();
        self.display(progress, verb, Unit::Reads, is_in_the_way)
    }

    /// As [`show`](Self::show) for a job that prints no data.
    pub(crate) fn start_progress(&self, progress: &Arc<Progress>, verb: &'static str) -> Display {
        self.display(progress, verb, Unit::Reads, false)
    }

    /// As [`start_progress`](Self::start_progress) for a job that moves objects.
    pub(crate) fn start_transfer(&self, progress: &Arc<Progress>, verb: &'static str) -> Display {
        self.display(progress, verb, Unit::Objects, false)
    }

    /// Tells the user something, unless nothing is to be said.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    fn display(
        &self,
        progress: &Arc<Progress>,
        verb: &'static str,
        unit: Unit,
        is_in_the_way: bool,
    ) -> Display {
        let mode = match self.progress {
            _ if self.quiet => Mode::None,
            Mode::Auto if is_in_the_way => Mode::None,
            // Log lines would tear a bar apart.
            Mode::Auto if self.verbose > 0 => Mode::Plain,
            mode => mode,
        };
        Display::start(mode, verb, unit, progress)
    }

    /// Prints what was done: text to standard error, JSON to where no data is.
    pub(crate) fn summarise(&self, summary: Summary) -> Result<()> {
        match (self.json, summary.data_on_stdout) {
            (true, false) => output::print(&format!("{}\n", summary.json))?,
            (true, true) => say(&summary.json.to_string()),
            (false, _) if self.quiet => {}
            (false, _) => say(&summary.text),
        }
        Ok(())
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

/// Room for putting records in order.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Resources")]
pub(crate) struct Sorting {
    /// Memory for putting records in order
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = parse_size)]
    memory: u64,

    /// Folder for what does not fit in memory [default: the system's]
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
}

impl Sorting {
    /// The same for the library.
    pub(crate) fn options(&self, threads: usize) -> SortOptions {
        let memory = usize::try_from(self.memory).unwrap_or(usize::MAX);
        SortOptions { memory, temp_dir: self.temp_dir.clone(), threads }
    }
}

/// Room for what is put aside until it is complete.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Resources")]
pub(crate) struct Aside {
    /// Memory for what is put aside
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_size)]
    memory: u64,

    /// Folder for what is put aside [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub(crate) temp_dir: Option<PathBuf>,
}

impl Aside {
    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        usize::try_from(self.memory).unwrap_or(usize::MAX)
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

    /// Pay for the requests to an S3 bucket of others [env: AWS_REQUEST_PAYER=requester]
    #[arg(long)]
    pub(crate) requester_pays: bool,

    /// Keep what is fetched of immutable objects in this folder
    #[arg(long, value_name = "DIR", env = "GENOMIC_OBJECTS_CACHE_DIR", hide_env_values = true)]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Room for that folder
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = parse_size)]
    pub(crate) cache_size: u64,
}

impl Stores {
    /// The same for the library.
    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            endpoint_url: self.endpoint_url.clone(),
            region: self.s3_region.clone(),
            profile: self.profile.clone(),
            no_sign_request: self.no_sign_request,
            requester_pays: self.requester_pays,
            cache_dir: self.cache_dir.clone(),
            cache_bytes: self.cache_size,
            ..StoreOptions::default()
        }
    }

    /// The text of a small file: a path, a URL, or `-`.
    pub(crate) fn read_text(&self, location: &str) -> Result<String> {
        let mut input = open_input(location, &self.options())?;
        let mut text = String::new();
        input.reader.read_to_string(&mut text).map_err(|error| {
            let error = match error.kind() {
                io::ErrorKind::InvalidData => Error::input("the file is no text"),
                _ => Error::store("cannot read the file").caused_by(error),
            };
            error.at(input.name)
        })?;
        Ok(text)
    }
}

/// How stores are reached that are written to.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stores")]
pub(crate) struct WritableStores {
    #[command(flatten)]
    stores: Stores,

    /// Write although the server cannot tell writers apart ('doctor' finds out): nothing else writes
    #[arg(long)]
    single_writer: bool,

    /// Storage class of new objects of 128 KiB and more, such as STANDARD_IA
    #[arg(long, value_name = "CLASS")]
    #[arg(env = "AWS_STORAGE_CLASS", hide_env_values = true)]
    storage_class: Option<String>,

    /// Server-side encryption of S3: AES256, aws:kms or aws:kms:dsse
    #[arg(long, value_name = "HOW")]
    #[arg(env = "AWS_SERVER_SIDE_ENCRYPTION", hide_env_values = true)]
    sse: Option<String>,

    /// Key for aws:kms
    #[arg(long, value_name = "ID", env = "AWS_SSE_KMS_KEY_ID", hide_env_values = true)]
    sse_kms_key_id: Option<String>,
}

impl WritableStores {
    /// The same for the library.
    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            single_writer: self.single_writer,
            storage_class: self.storage_class.clone(),
            server_side_encryption: self.sse.clone(),
            kms_key_id: self.sse_kms_key_id.clone(),
            ..self.stores.options()
        }
    }
}

impl std::ops::Deref for WritableStores {
    type Target = Stores;

    fn deref(&self) -> &Stores {
        &self.stores
    }
}

/// A dataset at one of its versions.
#[derive(Args, Clone, Debug)]
pub(crate) struct DatasetAt {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    pub(crate) dataset: String,

    /// Version to read: its number, or a name that 'tag' gave it [default: the newest]
    #[arg(long, value_name = "N|NAME")]
    pub(crate) at: Option<At>,
}

impl DatasetAt {
    /// The version for the library.
    pub(crate) fn version(&self) -> At {
        self.at.clone().unwrap_or_default()
    }
}
