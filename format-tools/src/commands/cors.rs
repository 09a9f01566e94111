//! `cors`: lets web pages read a bucket.

use clap::Args;
use genomic_objects::error::Result;
use genomic_objects::store::Store;
use serde_json::json;

use crate::options::{Messages, Stores};
use crate::report::Summary;

/// Let web pages, such as genome browsers, read a bucket of S3 or R2
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Sets the bucket's CORS rule, in place of those it has: GET and HEAD, ranges included. It does not make
the bucket public: who may read is for its policy to say, and a shared dataset needs no more than this.

Examples:
  format-tools cors s3://bucket
  format-tools cors --origin https://igv.org --origin https://example.org s3://bucket")]
pub(crate) struct Cors {
    /// URL of the bucket
    #[arg(value_name = "URL")]
    url: String,

    /// Pages of this site may read; may be repeated
    #[arg(long, value_name = "ORIGIN", default_value = "*")]
    origin: Vec<String>,

    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl Cors {
    pub(crate) fn run(self) -> Result<()> {
        let store = Store::open(&self.url, &self.stores.options())?;
        store.allow_web_pages(&self.origin)?;
        let origins = self.origin.join(", ");
        let text = format!("web pages of {origins} may read {}", store.name(""));
        let json = json!({ "url": store.name(""), "origins": self.origin });
        self.messages.summarise(Summary { text, json, data_on_stdout: false })
    }
}
