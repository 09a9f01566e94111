//! Where a dataset or an input is: the meaning of the paths and URLs that users write.

use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::error::{Error, Result};

/// A parsed path or URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A path on local disk, with the text it was given as.
    Local { path: PathBuf, text: String },
    /// A prefix or object in a bucket or container.
    Bucket { service: Service, bucket: String, key: String },
    /// A web server.
    Http(Url),
}

/// Who keeps the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    R2,
    Gcs,
    Azure,
}

impl Service {
    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::R2 => "r2",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

const SCHEMES: &str = "file, s3, r2, gs, az, http, https";

impl Location {
    /// Parses what a user wrote. No error message repeats more of it than its scheme, because the
    /// rest may hold credentials.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::usage("a path or URL is empty"));
        }
        // A single letter is a Windows drive.
        let Some((scheme, rest)) = text.split_once("://").filter(|(s, _)| s.len() > 1) else {
            return Ok(Self::Local { path: absolute(Path::new(text))?, text: text.to_owned() });
        };
        let service = match scheme.to_ascii_lowercase().as_str() {
            "file" => return Self::parse_file(text),
            "http" | "https" => return Self::parse_http(text),
            "s3" | "s3a" => Service::S3,
            "r2" => Service::R2,
            "gs" => Service::Gcs,
            "az" | "abfs" => Service::Azure,
            other if other.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                return Err(Error::usage(format!("unknown URL scheme '{other}'"))
                    .expected(format!("a path, or a URL with one of {SCHEMES}")));
            }
            // "://" further on in an ordinary file name.
            _ => {
                return Ok(Self::Local { path: absolute(Path::new(text))?, text: text.to_owned() });
            }
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['@', '?', '#', ':']) {
            return Err(Error::usage(format!("not a {}:// URL", service.scheme()))
                .expected(format!("{}://BUCKET/PREFIX", service.scheme())));
        }
        if key.contains('?') {
            return Err(Error::usage(format!("a {}:// URL has no query", service.scheme()))
                .help("give a signed URL as https://, or let the credentials sign")
                .at(format!("{}://{bucket}", service.scheme())));
        }
        let key = key.trim_end_matches('/');
        if !key.is_empty() && key.split('/').any(|s| matches!(s, "" | "." | "..")) {
            return Err(Error::usage("the URL holds an empty, '.' or '..' segment")
                .at(format!("{}://{bucket}", service.scheme())));
        }
        Ok(Self::Bucket { service, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    fn parse_file(text: &str) -> Result<Self> {
        let path = Url::parse(text)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or_else(|| Error::usage("not a file:// URL").expected("file:///PATH"))?;
        Ok(Self::Local { path: absolute(&path)?, text: text.to_owned() })
    }

    fn parse_http(text: &str) -> Result<Self> {
        let mut url =
            Url::parse(text).map_err(|e| Error::usage("not a http(s):// URL").caused_by(e))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::usage("a URL with a user name or password is not accepted").help(
                "use a signed URL, or the bucket's own scheme with credentials in the environment",
            ));
        }
        url.set_fragment(None);
        Ok(Self::Http(url))
    }

    /// How to write this location in messages: without the query, which may be a signature.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Local { text, .. } => match text.trim_end_matches('/') {
                "" => "/".to_owned(),
                text => text.to_owned(),
            },
            Self::Bucket { service, bucket, key } if key.is_empty() => {
                format!("{}://{bucket}", service.scheme())
            }
            Self::Bucket { service, bucket, key } => {
                format!("{}://{bucket}/{key}", service.scheme())
            }
            Self::Http(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.as_str().trim_end_matches('/').to_owned()
            }
        }
    }

    pub(super) fn local_path(&self) -> Option<&Path> {
        match self {
            Self::Local { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Checks that objects can lie below this location.
    pub(super) fn check_root(&self) -> Result<()> {
        match self {
            Self::Local { path, .. } if path.is_file() => {
                Err(Error::usage("this is a file, not the folder of a dataset").at(self.name()))
            }
            Self::Http(url) if url.query().is_some() => Err(Error::usage(
                "a URL with a query addresses one object, so no dataset can lie below it",
            )
            .at(self.name())
            .help(
                "use the bucket's own scheme, such as s3://, with credentials in the environment",
            )),
            _ => Ok(()),
        }
    }
}

/// An absolute path without `.` and `..`: what exists is resolved, what does not exist yet is not.
fn absolute(path: &Path) -> Result<PathBuf> {
    let place = || path.display().to_string();
    let full = std::path::absolute(path)
        .map_err(|e| Error::usage("not a usable path").caused_by(e).at(place()))?;
    if !full.components().any(|c| matches!(c, Component::ParentDir)) {
        return Ok(full);
    }
    let mut missing = Vec::new();
    let mut existing = full.as_path();
    loop {
        if let Ok(mut resolved) = existing.canonicalize() {
            resolved.extend(missing.iter().rev());
            return Ok(resolved);
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                existing = parent;
            }
            _ => return Err(Error::usage("'..' follows a folder that does not exist").at(place())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_location_parses_every_scheme() {
        let bucket = |service, key: &str| Location::Bucket {
            service,
            bucket: "b".to_owned(),
            key: key.to_owned(),
        };
        assert_eq!(Location::parse("s3://b/x/y.paf/").unwrap(), bucket(Service::S3, "x/y.paf"));
        assert_eq!(Location::parse("R2://b").unwrap(), bucket(Service::R2, ""));
        assert_eq!(Location::parse("gs://b/x").unwrap(), bucket(Service::Gcs, "x"));
        assert_eq!(Location::parse("az://b/x").unwrap(), bucket(Service::Azure, "x"));
        assert_eq!(
            Location::parse("file:///a%20b").unwrap().local_path().unwrap(),
            Path::new("/a b")
        );
        assert_eq!(Location::parse("/a/./b/").unwrap().local_path().unwrap(), Path::new("/a/b/"));
        assert_eq!(Location::parse("https://h/x/?s=1").unwrap().name(), "https://h/x");
    }

    #[test]
    fn test_location_errors_hold_no_credentials() {
        for text in [
            "ftp://user:secret@host/x",
            "https://user:secret@host/x",
            "s3://user:secret@bucket/x",
            "http://[secret",
            "s3:///secret",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let signed = Location::parse("https://h/x?sig=secret").unwrap();
        assert!(!signed.check_root().unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn test_location_resolves_parent_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        let text = root.join("a/../b/c").display().to_string();
        assert_eq!(Location::parse(&text).unwrap().local_path().unwrap(), root.join("b/c"));
    }
}
