//! `demo`: the main job on a sample made on the spot, by the commands that a user would type.

use std::path::PathBuf;

use clap::{Args, Parser};
use genomic_objects::error::{Error, Result};

use crate::cli::Cli;
use crate::report::say;

/// Show the main job: simulate a BAM, convert it, query it
#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// Folder to work in; made if need be
    #[arg(value_name = "DIR", default_value = "format-tools-demo")]
    folder: PathBuf,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|error| {
            Error::store("cannot make the folder").caused_by(error).at(self.folder.display())
        })?;
        let place = |name: &str| self.folder.join(name).display().to_string();
        let (bam, paf, found) = (place("sample.bam"), place("sample.paf"), place("found.sam"));
        step(&["simulate", "--reads", "400k", "--coverage", "10", "-o", &bam])?;
        step(&["bam-to-paf", "--overwrite", &bam, &paf])?;
        step(&["paf-query", "--stats", "-o", &found, &paf, "chr1:1M-2M"])?;
        Ok(())
    }
}

/// Prints a command line, then does what it says.
fn step(arguments: &[&str]) -> Result<()> {
    let line = arguments.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ");
    say(&format!("\n$ format-tools {line}"));
    let arguments = std::iter::once("format-tools").chain(arguments.iter().copied());
    let cli = Cli::try_parse_from(arguments)
        .map_err(|error| Error::internal(format!("the demo's own command: {error}")))?;
    cli.run()
}

/// The argument as a shell needs it written.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}
