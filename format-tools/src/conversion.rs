//! What converters to datasets have in common: input and output, what becomes of a dataset that is
//! there, and the summary.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::dataset::{Change, InputInfo};
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::Progress;
use genomic_objects::store::Store;
use serde::Serialize;
use serde_json::json;

use crate::options::Messages;
use crate::report::Summary;
use crate::units;

/// One input and one output, each as an argument or as an option.
#[derive(Args, Clone, Debug)]
pub(crate) struct InputOutput {
    /// What to convert: a path, a URL, or - for standard input
    #[arg(value_name = "INPUT")]
    input: Option<String>,

    /// Dataset to make or to change: a folder or a URL
    #[arg(value_name = "OUTPUT")]
    output: Option<String>,

    /// The input, instead of INPUT
    #[arg(long = "input", value_name = "INPUT")]
    input_option: Option<String>,

    /// The output, instead of OUTPUT
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    output_option: Option<String>,
}

impl InputOutput {
    /// Input and output, each from its option or the next positional argument.
    pub(crate) fn places(&self, help: &str) -> Result<(String, String)> {
        let mut positional = [&self.input, &self.output].into_iter().flatten().cloned();
        let input = self.input_option.clone().or_else(|| positional.next());
        let output = self.output_option.clone().or_else(|| positional.next());
        match (input, output, positional.next()) {
            (Some(input), Some(output), None) => Ok((input, output)),
            (_, _, Some(extra)) => Err(Error::usage(format!("one path too many: {extra:?}"))),
            _ => Err(Error::usage("an input and an output are needed")),
        }
        .map_err(|error| error.help(help))
    }
}

/// What becomes of a dataset that is there.
#[derive(Args, Clone, Debug)]
pub(crate) struct Changes {
    /// Make a new version where a dataset exists already
    #[arg(long, conflicts_with_all = ["append", "replace"])]
    overwrite: bool,

    /// Add the input to a dataset that is there, as a new version
    #[arg(long, conflicts_with = "replace")]
    append: bool,

    /// Put what the input has of these in the place of what a dataset has of them, as a new
    /// version: contigs, or the files that reads came from; separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    replace: Vec<String>,

    /// Decode what was written and compare it with the input before it becomes visible
    #[arg(long)]
    pub(crate) verify: bool,

    /// Write nothing, and tell how many objects, bytes and requests it would be
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Changes {
    /// The same for the library.
    pub(crate) fn change(&self) -> Change {
        match (self.overwrite, self.append, self.replace.as_slice()) {
            (true, ..) => Change::Overwrite,
            (_, true, _) => Change::Append,
            (_, _, []) => Change::Create,
            (_, _, names) => Change::Replace(names.to_vec()),
        }
    }
}

/// What a manifest says of an input of this name, which has no credentials.
pub(crate) fn input_info(name: &str, size_bytes: Option<u64>) -> InputInfo {
    InputInfo {
        name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        size_bytes,
        checksum: None,
        program: Some(concat!("format-tools ", env!("CARGO_PKG_VERSION")).to_owned()),
    }
}

/// A conversion under way.
pub(crate) struct Conversion<'a> {
    messages: &'a Messages,
    output: String,
    change: Change,
    dry_run: bool,
    started: Instant,
    pub(crate) progress: Arc<Progress>,
}

/// What was written, in numbers that all formats have.
pub(crate) struct Amount {
    /// Bytes of all objects.
    pub(crate) bytes: u64,
    /// How many objects.
    pub(crate) objects: u64,
    /// Of what they consist, as `3 chunks, 7 blocks`.
    pub(crate) of: String,
}

impl<'a> Conversion<'a> {
    /// Begins.
    pub(crate) fn start(
        messages: &'a Messages,
        store: &Store,
        change: Change,
        dry_run: bool,
    ) -> Self {
        let (started, progress) = (Instant::now(), Arc::new(Progress::default()));
        Self { messages, output: store.name(""), change, dry_run, started, progress }
    }

    /// Runs `job` while its progress is shown.
    pub(crate) fn run<T>(&self, job: impl FnOnce(&Arc<Progress>) -> Result<T>) -> Result<T> {
        let display = self.messages.start_progress(&self.progress, "converted");
        let result = job(&self.progress);
        drop(display);
        result
    }

    /// Tells what was written: so many of what, and further lines.
    pub(crate) fn summarise(
        self,
        written: &impl Serialize,
        what: &str,
        amount: &Amount,
        lines: &[String],
    ) -> Result<()> {
        let Self { output, dry_run, .. } = &self;
        let seconds = self.started.elapsed();
        let verb = match (dry_run, &self.change) {
            (true, Change::Append) => "would add",
            (true, _) => "would write",
            (_, Change::Append) => "added",
            _ => "wrote",
        };
        let mut text = format!(
            "{verb} {what} to {output}: {} in {} objects ({}) in {}",
            units::bytes(amount.bytes),
            units::count(amount.objects),
            amount.of,
            units::duration(seconds),
        );
        if *dry_run {
            text += &format!("\n{} PUT requests, the manifests' two included", amount.objects);
        }
        for line in lines {
            text += &format!("\n{line}");
        }
        let mut json = json!(written);
        if json["verified"] == json!(true) {
            text += "\nverified: everything was read back and compared with the input";
        }
        json["output"] = json!(output);
        json["dry_run"] = json!(dry_run);
        json["input_bytes"] = json!(self.progress.snapshot().bytes_in);
        json["seconds"] = json!(seconds.as_secs_f64());
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }
}
