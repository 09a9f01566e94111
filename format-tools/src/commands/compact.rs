//! `compact`: what was added to a dataset bit by bit becomes one again.

use std::sync::Arc;

use clap::Args;
use genomic_objects::dataset::{At, Dataset};
use genomic_objects::error::{Error, Result};
use genomic_objects::pipeline::Progress;
use genomic_objects::ram;
use genomic_objects::ram::compact::{CompactOptions, Compacted, compact};
use genomic_objects::store::Store;
use serde_json::json;

use crate::environment;
use crate::options::{Aside, Messages, Threads, WritableStores};
use crate::report::Summary;
use crate::units;

/// Join what was added to a RAM dataset bit by bit, as a new version
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Each 'bam-to-ram --add' leaves files of its own in every region, and a query reads all of them. This
writes them anew as if all samples had been converted together. Answers stay the same; of several
samples, alignments come in another order. Older versions stay until 'gc' gives them up.

Example:
  format-tools compact cohort.ram")]
pub(crate) struct Compact {
    /// Dataset: a folder or a URL
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Write nothing, and tell what would be written
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

impl Compact {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.dataset, &self.stores.options())?;
        let found = Dataset::open(&store, At::Newest)?;
        let format = &found.manifest().format;
        if format != ram::manifest::FORMAT {
            return Err(Error::unsupported(format!(
                "a dataset of format {format:?} has nothing to join"
            ))
            .expected("a RAM dataset, to which samples were added")
            .at(store.name("")));
        }
        let options = CompactOptions {
            threads: self.threads.count().get(),
            memory: self.aside.memory(),
            temp_dir: self.aside.temp_dir.clone(),
            dry_run: self.dry_run,
            created: environment::now(),
            transaction: environment::transaction_id()?,
        };
        let progress = Arc::new(Progress::default());
        let display = self.messages.start_progress(&progress, "rewritten");
        let compacted = compact(&store, &options, &progress);
        drop(display);
        self.messages.summarise(self.summary(&compacted?, &store.name("")))
    }

    fn summary(&self, compacted: &Compacted, dataset: &str) -> Summary {
        let verb = if self.dry_run { "would join" } else { "joined" };
        let text = match &compacted.written {
            None => format!("{dataset} is in one piece: there is nothing to join"),
            Some(written) => format!(
                "{verb} {} parts of {dataset}: {} in {} objects became {} in {}",
                units::count(compacted.layers_before),
                units::bytes(compacted.chunk_bytes_before),
                units::count(compacted.objects_before),
                units::bytes(written.chunk_bytes),
                units::count(written.objects),
            ),
        };
        let mut json = json!(compacted);
        json["dry_run"] = json!(self.dry_run);
        Summary { text, json, data_on_stdout: false }
    }
}
