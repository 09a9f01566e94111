//! Builds the client for a location.

use std::{env, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    http::HttpBuilder,
    local::LocalFileSystem,
};

use super::{
    failure::brief,
    location::{Location, Service},
    options::{Credentials, StoreOptions},
    profile::{self, Profile},
};
use crate::error::{Error, Result};

type Client = Arc<dyn ObjectStore>;

/// The clients of one store. Reads and writes have their own, because a stalled read is given up
/// within seconds, while a large object may take minutes to send before the answer begins.
pub(super) struct Backend {
    pub(super) read: Client,
    /// `None` where nothing can be written.
    pub(super) write: Option<Client>,
}

/// How long a read may go without a byte.
const READ_STALL: Duration = Duration::from_secs(30);
/// How long one write may take: 64 MB at 220 kB/s.
const WRITE_LIMIT: Duration = Duration::from_secs(300);

impl Backend {
    /// The clients for `location`, and the path of its root or object within them.
    pub(super) fn open(location: &Location, options: &StoreOptions) -> Result<(Self, String)> {
        // Fails when the program installed a provider before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let explain = |e: object_store::Error| {
            Error::store(format!("cannot set up the client: {}", brief(&e.to_string())))
                .at(location.name())
        };
        let reading = || client().with_timeout_disabled().with_read_timeout(READ_STALL);
        let writing = || client().with_timeout(WRITE_LIMIT);
        Ok(match location {
            Location::Local { path, .. } => {
                let disk: Client = Arc::new(LocalFileSystem::new().with_fsync(true));
                let root = object_store::path::Path::from_absolute_path(path).map_err(|e| {
                    Error::usage("not a usable path").caused_by(e).at(location.name())
                })?;
                (Self { read: disk.clone(), write: Some(disk) }, root.to_string())
            }
            Location::Http(url) => {
                let store = HttpBuilder::new()
                    .with_url(url.as_str().trim_end_matches('/'))
                    .with_client_options(reading().with_allow_http(true))
                    .with_retry(retry())
                    .build()
                    .map_err(explain)?;
                (Self { read: Arc::new(store), write: None }, String::new())
            }
            Location::Bucket { service, bucket, key } => {
                let build = |client: ClientOptions| -> Result<Client> {
                    Ok(match service {
                        Service::S3 | Service::R2 => Arc::new(
                            s3(bucket, *service == Service::R2, options)?
                                .with_client_options(client)
                                .build()
                                .map_err(explain)?,
                        ),
                        Service::Gcs => Arc::new(
                            GoogleCloudStorageBuilder::from_env()
                                .with_bucket_name(bucket)
                                .with_skip_signature(options.no_sign_request)
                                .with_client_options(client)
                                .with_retry(retry())
                                .build()
                                .map_err(explain)?,
                        ),
                        Service::Azure => Arc::new(
                            MicrosoftAzureBuilder::from_env()
                                .with_container_name(bucket)
                                .with_skip_signature(options.no_sign_request)
                                .with_client_options(client)
                                .with_retry(retry())
                                .build()
                                .map_err(explain)?,
                        ),
                    })
                };
                // Only an endpoint that the user named can be unencrypted.
                let plain = |client: ClientOptions| client.with_allow_http(true);
                let backend =
                    Self { read: build(plain(reading()))?, write: Some(build(plain(writing()))?) };
                (backend, key.clone())
            }
        })
    }
}

fn client() -> ClientOptions {
    ClientOptions::new().with_connect_timeout(Duration::from_secs(10))
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 8,
        retry_timeout: Duration::from_secs(60),
    }
}

/// Credentials come from the first of: the options, the named profile, the environment
/// (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, a web identity or container role), the profile `default`,
/// the machine's own role.
fn s3(bucket: &str, r2: bool, options: &StoreOptions) -> Result<AmazonS3Builder> {
    let set = |variable: &str| env::var(variable).ok().filter(|value| !value.is_empty());
    let mut builder;
    let mut found = Profile::default();
    let mut keys = options.credentials.clone();
    if keys.is_some() {
        builder = AmazonS3Builder::new();
    } else {
        builder = AmazonS3Builder::from_env();
        let in_environment = [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ]
        .into_iter()
        .any(|variable| set(variable).is_some());
        match (&options.profile, set("AWS_PROFILE")) {
            (Some(name), _) => {
                // The profile was asked for by name, so it is not mixed with other keys.
                builder = AmazonS3Builder::new();
                found = profile::load(name)?;
            }
            (None, Some(name)) if !in_environment => found = profile::load(&name)?,
            (None, None) if !in_environment && !options.no_sign_request => {
                found = profile::load("default").unwrap_or_default();
            }
            _ => {}
        }
        keys = found.credentials.take();
    }
    if let Some(Credentials { access_key_id, secret_access_key, session_token }) = keys {
        builder =
            builder.with_access_key_id(access_key_id).with_secret_access_key(secret_access_key);
        if let Some(token) = session_token {
            builder = builder.with_token(token);
        }
    }

    let region = options
        .region
        .clone()
        .or_else(|| set("AWS_REGION"))
        .or_else(|| set("AWS_DEFAULT_REGION"))
        .or(found.region)
        .unwrap_or_else(|| if r2 { "auto" } else { "us-east-1" }.to_owned());
    let endpoint = options.endpoint_url.clone().or(found.endpoint_url);
    let endpoint = match (endpoint, r2) {
        (Some(endpoint), _) => Some(endpoint),
        (None, true) => {
            let account = set("CLOUDFLARE_ACCOUNT_ID").ok_or_else(|| {
                Error::usage("an r2:// URL needs the account it belongs to").help(
                    "set CLOUDFLARE_ACCOUNT_ID, or pass --endpoint-url \
                     https://ACCOUNT.r2.cloudflarestorage.com",
                )
            })?;
            Some(format!("https://{account}.r2.cloudflarestorage.com"))
        }
        (None, false) => None,
    };
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    Ok(builder
        .with_bucket_name(bucket)
        .with_region(region)
        .with_skip_signature(options.no_sign_request)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry()))
}
