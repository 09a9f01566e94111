//! `share`: a small file by which others read a dataset for a time.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use genomic_objects::dataset::{self, Dataset};
use genomic_objects::error::{Error, Result};
use genomic_objects::store::Store;
use serde_json::json;

use crate::options::{DatasetAt, Messages, Stores};
use crate::output::Output;
use crate::report::Summary;
use crate::units::{self, parse_duration};

/// Write a small file by which others read a dataset for a time, without credentials
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The file holds a signed URL of every object of one version, and no credentials. Every command that
reads opens it like the dataset: paf-query sample.paf.share chr1:1M-2M. Whoever has the file can
read the dataset until the time is over, so treat it as a secret. S3 and Google's store let no
signature last longer than seven days, and what temporary credentials signed ends with them. To end
it early, revoke the credentials that signed it.

Examples:
  format-tools share s3://bucket/sample.paf
  format-tools share --expires 12h -o for-anna.share s3://bucket/sample.paf")]
pub(crate) struct Share {
    #[command(flatten)]
    dataset: DatasetAt,

    /// How long it lasts, up to seven days
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_duration)]
    expires: Duration,

    /// File to write, whose name must end in .share [default: the dataset's name with .share]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Share {
    pub(crate) fn run(self) -> Result<()> {
        let path = match self.output {
            Some(path) => path,
            None => {
                let name = self.dataset.dataset.trim_end_matches('/').rsplit('/').next();
                format!("{}.share", name.unwrap_or("dataset")).into()
            }
        };
        if path.extension().is_none_or(|extension| extension != "share") {
            return Err(Error::usage("the name of a share ends in .share, by which it is known")
                .at(path.display()));
        }
        let store = Store::open(&self.dataset.dataset, &self.stores.options())?;
        let dataset = Dataset::open(&store, self.dataset.version())?;
        let until = SystemTime::now()
            .checked_add(self.expires)
            .ok_or_else(|| Error::usage("that time is too far off"))?;
        let until = humantime::format_rfc3339_seconds(until).to_string();
        let share = dataset::share(&dataset, self.expires, &until)?;

        let output = Output::open(Some(&path))?;
        let mut writer = output.writer();
        writer.write_all(&share.to_bytes()?).map_err(|error| {
            Error::store("cannot write the file").caused_by(error).at(path.display())
        })?;
        drop(writer);
        output.finish()?;
        if store.has_temporary_credentials() {
            self.messages.say(
                "note: it was signed with temporary credentials, and ends with them at the latest",
            );
        }
        let text = format!(
            "{} opens {} objects of version {} of {} until {until}; whoever has it can read them",
            path.display(),
            units::count(share.len() as u64),
            dataset.manifest().dataset_version,
            store.name(""),
        );
        let json = json!({
            "output": path.display().to_string(),
            "objects": share.len(),
            "dataset_version": dataset.manifest().dataset_version,
            "until": until,
            "temporary_credentials": store.has_temporary_credentials(),
        });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }
}
