//! Making a bucket, letting web pages read one, and sending bytes with a wrong digest: requests that
//! no client of objects has.
//!
//! Each is one request to the address of the bucket, signed as a URL, which S3 and what speaks like
//! it accept for any request.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use object_store::{
    path::Path,
    signer::{Method, SignedUrlOptions},
};

use super::{Store, failure::brief, runtime::start};
use crate::error::{Error, Result};

/// How long the signature is good for, and the answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

impl Store {
    /// Makes the bucket of this store, private, in the store's region; `false` if it is there and
    /// ours already.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for anything but S3 and R2;
    /// [`Exists`](crate::error::ErrorKind::Exists) when the name belongs to someone else.
    pub fn create_bucket(&self) -> Result<bool> {
        let region = self.bucket_region()?;
        let body = match region {
            "" | "auto" | "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
                escaped(region)
            ),
        };
        let answer = self.ask_bucket(None, body)?;
        match answer.status {
            200..300 => Ok(true),
            409 if answer.text.contains("BucketAlreadyOwnedByYou") => Ok(false),
            409 => Err(Error::exists("the bucket exists and belongs to someone else")
                .help("choose another name: those of buckets are shared by all the world")
                .at(self.name(""))),
            _ => Err(self.refused("the bucket cannot be made", &answer)),
        }
    }

    /// Lets web pages of `origins` (`https://example.org`, or `*` for all) read the bucket by GET and
    /// HEAD, ranges included. It replaces the rules of the bucket. Who may read at all is another
    /// matter, which this does not change.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for anything but S3 and R2.
    pub fn allow_web_pages(&self, origins: &[String]) -> Result<()> {
        self.bucket_region()?;
        let list = |name: &str, values: &[&str]| -> String {
            values.iter().map(|value| format!("<{name}>{}</{name}>", escaped(value))).collect()
        };
        let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
        let body = format!(
            "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule>{}{}{}{}\
             <MaxAgeSeconds>3600</MaxAgeSeconds></CORSRule></CORSConfiguration>",
            list("AllowedOrigin", &origins),
            list("AllowedMethod", &["GET", "HEAD"]),
            list("AllowedHeader", &["*"]),
            list("ExposeHeader", &["Accept-Ranges", "Content-Length", "Content-Range", "ETag"]),
        );
        let answer = self.ask_bucket(Some("cors"), body)?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(self.refused("the rule cannot be set", &answer)),
        }
    }

    fn bucket_region(&self) -> Result<&str> {
        self.0.backend.bucket_region.as_deref().ok_or_else(|| {
            Error::unsupported("only buckets of S3 and R2 are managed here")
                .help("use the tools of the store")
                .at(self.name(""))
        })
    }

    fn refused(&self, what: &str, answer: &Answer) -> Error {
        Error::store(format!("{what}: {}", brief(&answer.text)))
            .found(format!("status {}", answer.status))
            .at(self.name(""))
    }

    /// A PUT to the bucket itself, or to one of its settings.
    fn ask_bucket(&self, setting: Option<&str>, body: String) -> Result<Answer> {
        let mut options = SignedUrlOptions::new();
        if let Some(setting) = setting {
            options = options.with_query([(setting, "")]);
        }
        let digest = Md5::digest(body.as_bytes()).into();
        let answer = self.put_signed(Path::default(), &options, body, digest)?;
        answer.ok_or_else(|| Error::usage("a bucket is not managed without credentials"))
    }

    /// A PUT of an object whose bytes are said to have another MD5 than they have: a store that
    /// looks refuses it. `None` where there is nothing to sign it with.
    pub(super) fn put_damaged(&self, key: &str) -> Result<Option<Answer>> {
        let path = self.0.path(key)?;
        let digest = Md5::digest(b"what was sent").into();
        self.put_signed(path, &SignedUrlOptions::new(), "what arrived".to_owned(), digest)
    }

    /// A PUT by a signed URL, with the MD5 that its body should have.
    fn put_signed(
        &self,
        path: Path,
        options: &SignedUrlOptions,
        body: String,
        digest: [u8; 16],
    ) -> Result<Option<Answer>> {
        let Some(signer) = self.0.backend.signer.clone() else { return Ok(None) };
        let (name, options) = (self.name(""), options.clone());
        start(async move {
            let failed = || Error::store("the bucket could not be reached").at(&name);
            let url = signer
                .signed_url_opts(Method::PUT, &path, PATIENCE, &options)
                .await
                .map_err(|error| failed().caused_by(brief(&error.to_string())))?;
            let client = reqwest::Client::builder().timeout(PATIENCE).build();
            let client = client.map_err(|error| failed().caused_by(error))?;
            let answer = client
                .put(url)
                .header("content-md5", STANDARD.encode(digest))
                .header("content-type", "application/xml")
                .body(body)
                .send()
                .await
                .map_err(|error| failed().caused_by(error.without_url()))?;
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            Ok(Some(Answer { status, text }))
        })
        .wait()
    }
}

/// What a server said.
pub(super) struct Answer {
    pub(super) status: u16,
    text: String,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
