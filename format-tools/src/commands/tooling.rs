//! `completions` and `man`: made from the same definitions as the help.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use genomic_objects::error::{Error, Result};

use crate::cli::{Cli, TOOLS};
use crate::output;

/// Print a shell's completions
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools completions bash > ~/.local/share/bash-completion/completions/format-tools
  format-tools completions bash paf-query > ~/.local/share/bash-completion/completions/paf-query")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,

    /// For which command
    #[arg(value_name = "COMMAND", default_value = "format-tools")]
    #[arg(value_parser = PossibleValuesParser::new(commands()))]
    command: String,
}

/// Write the manual pages
#[derive(Args, Clone, Debug)]
pub(crate) struct Man {
    /// Folder for the pages of all commands [default: print that of format-tools]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn commands() -> impl Iterator<Item = &'static str> {
    std::iter::once("format-tools").chain(TOOLS)
}

impl Completions {
    pub(crate) fn run(self) -> Result<()> {
        let mut definitions = Cli::command();
        let mut tool = definitions.find_subcommand(&self.command).cloned();
        let command = tool.as_mut().unwrap_or(&mut definitions);
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, self.command, &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<()> {
        let definitions = Cli::command();
        match self.out {
            Some(folder) => std::fs::create_dir_all(&folder)
                .and_then(|()| write_pages(definitions, &folder))
                .map_err(|error| failed(error).at(folder.display())),
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(definitions).render(&mut page).map_err(failed)?;
                output::print(&String::from_utf8_lossy(&page))
            }
        }
    }
}

/// A page per command, and one more for each tool under its own name.
fn write_pages(definitions: clap::Command, folder: &Path) -> std::io::Result<()> {
    for tool in TOOLS.into_iter().filter_map(|tool| definitions.find_subcommand(tool)) {
        clap_mangen::Man::new(tool.clone()).generate_to(folder)?;
    }
    clap_mangen::generate_to(definitions, folder)
}

fn failed(error: std::io::Error) -> Error {
    Error::store("cannot write the manual pages").caused_by(error)
}
