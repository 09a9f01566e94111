//! `tag`: names for versions.

use clap::Args;
use genomic_objects::dataset::{self, At, Dataset};
use genomic_objects::error::Result;
use genomic_objects::store::Store;
use serde_json::json;

use crate::environment;
use crate::options::{Messages, WritableStores};
use crate::output;
use crate::report::Summary;

/// Give a version of a dataset a name, or list the names
///
/// A name stands wherever a version can be chosen (--at NAME), and keeps its version from being given
/// up by gc. Setting one makes a new version of the dataset, with the same content.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  format-tools tag sample.paf published            names the newest version
  format-tools tag sample.paf published --at 3     names another, instead of any that has the name
  format-tools tag sample.paf published --delete
  format-tools tag sample.paf                      lists the names")]
pub(crate) struct Tag {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Name: up to 64 letters, digits, '.', '_' and '-', a letter first
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Version to name [default: the newest]
    #[arg(long, value_name = "N|NAME", requires = "name")]
    at: Option<At>,

    /// Take the name away
    #[arg(long, requires = "name", conflicts_with = "at")]
    delete: bool,

    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Tag {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let Some(name) = &self.name else {
            return self.list(&Dataset::open(&store, At::Newest)?);
        };
        let (created, id) = (environment::now(), environment::transaction_id()?);
        let made = match self.delete {
            true => dataset::untag(&store, name, &created, id)?,
            false => {
                dataset::tag(&store, name, &self.at.clone().unwrap_or_default(), &created, id)?
            }
        };
        let manifest = made.manifest();
        let tagged = manifest.tags.get(name);
        let text = match tagged {
            Some(version) => format!("version {version} has the name '{name}'"),
            None => format!("no version has the name '{name}' any more"),
        };
        let json = json!({
            "name": name,
            "tagged": tagged,
            "dataset_version": manifest.dataset_version,
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }

    fn list(&self, newest: &Dataset) -> Result<()> {
        let tags = &newest.manifest().tags;
        if self.messages.json {
            return output::print(&format!("{}\n", json!(tags)));
        }
        let line = |(name, version): (&String, &u64)| format!("{name}\t{version}\n");
        output::print(&tags.iter().map(line).collect::<String>())
    }
}
