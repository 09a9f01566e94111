//! The program's arguments, and the way from them to an exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use genomic_objects::error::Result;

use crate::commands::*;
use crate::options::Messages;
use crate::{interrupt, report};

/// The tools that are also commands of their own name.
pub(crate) const TOOLS: [&str; 15] = [
    "bam-to-paf",
    "paf-query",
    "paf-to-bam",
    "vcf-to-vcs",
    "vcs-query",
    "vcs-to-vcf",
    "fastq-to-srf",
    "srf-query",
    "srf-to-fastq",
    "ht-to-parquet",
    "vcf-to-parquet",
    "vcs-to-parquet",
    "bam-to-ram",
    "ram-query",
    "ram-to-bam",
];

/// A second name that one of them goes by.
const SECOND_NAME: &str = "export-ht-to-parquet";

/// Genomic data in object storage: convert, query, maintain
#[derive(Debug, Parser)]
#[command(name = "format-tools", version, max_term_width = 100)]
#[command(after_help = "\
Where DATASET stands, a folder or a URL will do: s3:// gs:// az:// r2:// http:// https:// file://
Data goes to standard output, everything else to standard error.
Exit codes: 0 done, 1 failed, 2 the request makes no sense.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    BamToPaf(BamToPaf),
    PafQuery(PafQuery),
    PafToBam(PafToBam),
    VcfToVcs(VcfToVcs),
    VcsQuery(VcsQuery),
    VcsToVcf(VcsToVcf),
    FastqToSrf(FastqToSrf),
    SrfQuery(SrfQuery),
    SrfToFastq(SrfToFastq),
    #[command(visible_alias = SECOND_NAME)]
    HtToParquet(HtToParquet),
    VcfToParquet(VcfToParquet),
    VcsToParquet(VcsToParquet),
    HtInfo(HtInfo),
    ParquetCheck(ParquetCheck),
    BamToRam(BamToRam),
    RamQuery(RamQuery),
    RamToBam(RamToBam),
    Info(Info),
    Idxstats(Idxstats),
    Flagstat(Flagstat),
    Depth(Depth),
    Plot(Plot),
    Files(Files),
    Verify(Verify),
    Log(Log),
    Diff(Diff),
    Rollback(Rollback),
    Tag(Tag),
    Compact(Compact),
    Purge(Purge),
    Gc(Gc),
    Cp(Cp),
    Push(Push),
    Pull(Pull),
    Share(Share),
    Cors(Cors),
    Doctor(Doctor),
    Simulate(Simulate),
    Demo(Demo),
    Completions(Completions),
    Man(Man),
}

/// Parses the process's arguments, does what they ask, reports, and returns the exit code.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    interrupt::listen();
    let as_json = report::wants_json(&arguments);
    match Cli::try_parse_from(with_tool_name(arguments)) {
        Ok(cli) => report::outcome(cli.run(), as_json),
        Err(error) => report::parser_outcome(&error, as_json),
    }
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<()> {
        if let Some(messages) = self.command.messages() {
            start_log(messages.verbose);
        }
        match self.command {
            Command::BamToPaf(command) => command.run(),
            Command::PafQuery(command) => command.run(),
            Command::PafToBam(command) => command.run(),
            Command::VcfToVcs(command) => command.run(),
            Command::VcsQuery(command) => command.run(),
            Command::VcsToVcf(command) => command.run(),
            Command::FastqToSrf(command) => command.run(),
            Command::SrfQuery(command) => command.run(),
            Command::SrfToFastq(command) => command.run(),
            Command::HtToParquet(command) => command.run(),
            Command::VcfToParquet(command) => command.run(),
            Command::VcsToParquet(command) => command.run(),
            Command::HtInfo(command) => command.run(),
            Command::ParquetCheck(command) => command.run(),
            Command::BamToRam(command) => command.run(),
            Command::RamQuery(command) => command.run(),
            Command::RamToBam(command) => command.run(),
            Command::Info(command) => command.run(),
            Command::Idxstats(command) => command.run(),
            Command::Flagstat(command) => command.run(),
            Command::Depth(command) => command.run(),
            Command::Plot(command) => command.run(),
            Command::Files(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Log(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Rollback(command) => command.run(),
            Command::Tag(command) => command.run(),
            Command::Compact(command) => command.run(),
            Command::Purge(command) => command.run(),
            Command::Gc(command) => command.run(),
            Command::Cp(command) => command.run(),
            Command::Push(command) => command.run(),
            Command::Pull(command) => command.run(),
            Command::Share(command) => command.run(),
            Command::Cors(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Simulate(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

impl Command {
    fn messages(&self) -> Option<&Messages> {
        Some(match self {
            Self::BamToPaf(command) => &command.messages,
            Self::PafQuery(command) => &command.messages,
            Self::PafToBam(command) => &command.messages,
            Self::VcfToVcs(command) => &command.messages,
            Self::VcsQuery(command) => &command.messages,
            Self::VcsToVcf(command) => &command.messages,
            Self::FastqToSrf(command) => &command.messages,
            Self::SrfQuery(command) => &command.messages,
            Self::SrfToFastq(command) => &command.messages,
            Self::HtToParquet(command) => &command.messages,
            Self::VcfToParquet(command) => &command.messages,
            Self::VcsToParquet(command) => &command.messages,
            Self::HtInfo(command) => &command.messages,
            Self::ParquetCheck(command) => &command.messages,
            Self::BamToRam(command) => &command.messages,
            Self::RamQuery(command) => &command.messages,
            Self::RamToBam(command) => &command.messages,
            Self::Info(command) => &command.messages,
            Self::Idxstats(command) => &command.messages,
            Self::Flagstat(command) => &command.messages,
            Self::Depth(command) => &command.messages,
            Self::Plot(command) => &command.messages,
            Self::Files(command) => &command.messages,
            Self::Verify(command) => &command.messages,
            Self::Log(command) => &command.messages,
            Self::Diff(command) => &command.messages,
            Self::Rollback(command) => &command.messages,
            Self::Tag(command) => &command.messages,
            Self::Compact(command) => &command.messages,
            Self::Purge(command) => &command.messages,
            Self::Gc(command) => &command.messages,
            Self::Cp(command) => &command.messages,
            Self::Push(command) => &command.messages,
            Self::Pull(command) => &command.messages,
            Self::Share(command) => &command.messages,
            Self::Cors(command) => &command.messages,
            Self::Doctor(command) => &command.messages,
            Self::Simulate(command) => &command.messages,
            Self::Demo(_) | Self::Completions(_) | Self::Man(_) => return None,
        })
    }
}

/// Puts the tool's name in as the subcommand where the program was called by it, as through a
/// symbolic link named `paf-query`.
fn with_tool_name(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let called = arguments.first().and_then(|path| Path::new(path).file_stem()?.to_str());
    if let Some(tool) = TOOLS.into_iter().chain([SECOND_NAME]).find(|&tool| called == Some(tool)) {
        arguments.insert(1, tool.into());
    }
    arguments
}

/// Sends what the library logs to standard error; nothing at level 0.
fn start_log(verbosity: u8) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::fmt::{layer, time::uptime};
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    let level = match verbosity {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let lines = layer().with_writer(std::io::stderr).with_timer(uptime()).with_target(false);
    let only_ours = Targets::new().with_target("genomic_objects", level);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(only_ours));
    // The demo runs several commands in one process; the first one's log serves them all.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn names(arguments: &[&str]) -> Vec<OsString> {
        with_tool_name(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn test_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn test_tool_names_become_subcommands() {
        assert_eq!(names(&["/usr/bin/paf-query", "d"]), ["/usr/bin/paf-query", "paf-query", "d"]);
        assert_eq!(names(&["format-tools", "info"]), ["format-tools", "info"]);
        let commands: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().into()).collect();
        assert!(TOOLS.iter().all(|tool| commands.iter().any(|command| command == tool)));
    }
}
