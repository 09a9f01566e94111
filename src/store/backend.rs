//! Builds the client for a location.

use std::{
    env,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    http::HttpBuilder,
    local::LocalFileSystem,
    signer::Signer,
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
    /// Whether it is an S3 server at an address that the user named.
    pub(super) is_lookalike: bool,
    /// Signs URLs; `None` where there are no credentials to sign with.
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// Whether those credentials end by themselves, and what they signed ends with them.
    pub(super) ends_by_itself: bool,
    /// The storage class of large objects, where it was chosen.
    storage_class: Option<String>,
}

/// Objects below this size are billed as if they had it in the cheaper storage classes.
const SMALLEST_IN_CLASS: u64 = 128 << 10;

/// How long a read may go without a byte.
const READ_STALL: Duration = Duration::from_secs(30);
/// How long one write may take: 64 MB at 220 kB/s.
const WRITE_LIMIT: Duration = Duration::from_secs(300);

impl Backend {
    /// The clients of a store that has no choices to make.
    pub(super) fn plain(read: Client, write: Option<Client>) -> Self {
        Self {
            read,
            write,
            is_lookalike: false,
            signer: None,
            ends_by_itself: false,
            storage_class: None,
        }
    }

    /// What a new object of `size` bytes is to be marked with.
    pub(super) fn attributes(&self, size: u64) -> Attributes {
        let class = self.storage_class.iter().filter(|_| size >= SMALLEST_IN_CLASS);
        class.map(|class| (Attribute::StorageClass, class.clone())).collect()
    }

    /// The clients for `location`, and the path of its root or object within them.
    pub(super) fn open(location: &Location, options: &StoreOptions) -> Result<(Self, String)> {
        // Fails when the program installed a provider before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let explain = |e: object_store::Error| {
            Error::store(format!("cannot set up the client: {}", brief(&e.to_string())))
                .at(location.name())
        };
        let writing = || client().with_timeout(WRITE_LIMIT);
        Ok(match location {
            Location::Local { path, .. } => {
                let disk: Client = Arc::new(LocalFileSystem::new().with_fsync(true));
                let root = object_store::path::Path::from_absolute_path(path).map_err(|e| {
                    Error::usage("not a usable path").caused_by(e).at(location.name())
                })?;
                (Self::plain(disk.clone(), Some(disk)), root.to_string())
            }
            Location::Http(url) => {
                let store = HttpBuilder::new()
                    .with_url(url.as_str().trim_end_matches('/'))
                    .with_client_options(reading())
                    .with_retry(retry())
                    .build()
                    .map_err(explain)?;
                (Self::plain(Arc::new(store), None), String::new())
            }
            Location::Bucket { service, bucket, key } => {
                let (mut is_lookalike, mut ends_by_itself) = (false, false);
                let mut build = |client: ClientOptions| -> Result<(Client, Arc<dyn Signer>)> {
                    Ok(match service {
                        Service::S3 | Service::R2 => {
                            let s3 = s3(bucket, *service == Service::R2, options)?;
                            (is_lookalike, ends_by_itself) = (s3.is_lookalike, s3.ends_by_itself);
                            both(s3.builder.with_client_options(client).build().map_err(explain)?)
                        }
                        Service::Gcs => both(
                            GoogleCloudStorageBuilder::from_env()
                                .with_bucket_name(bucket)
                                .with_skip_signature(options.no_sign_request)
                                .with_client_options(client)
                                .with_retry(retry())
                                .build()
                                .map_err(explain)?,
                        ),
                        Service::Azure => both(
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
                let ((read, signer), (write, _)) =
                    (build(plain(reading()))?, build(plain(writing()))?);
                let storage_class =
                    options.storage_class.clone().or_else(|| set("AWS_STORAGE_CLASS"));
                let backend = Self {
                    read,
                    write: Some(write),
                    is_lookalike,
                    signer: (!options.no_sign_request).then_some(signer),
                    ends_by_itself,
                    storage_class,
                };
                (backend, key.clone())
            }
        })
    }
}

/// A client as what it is used for.
fn both<S: ObjectStore + Signer>(store: S) -> (Client, Arc<dyn Signer>) {
    let store = Arc::new(store);
    (store.clone(), store)
}

/// What clients of web servers and of signed URLs are set up with.
pub(super) fn reading() -> ClientOptions {
    client().with_timeout_disabled().with_read_timeout(READ_STALL).with_allow_http(true)
}

fn client() -> ClientOptions {
    ClientOptions::new().with_connect_timeout(Duration::from_secs(10))
}

/// The value of a variable of the environment, unless it is empty.
fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

pub(super) fn retry() -> RetryConfig {
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
fn s3(bucket: &str, r2: bool, options: &StoreOptions) -> Result<S3> {
    let mut builder;
    let mut found = Profile::default();
    let mut keys = options.credentials.clone();
    let in_environment = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .into_iter()
    .any(|variable| set(variable).is_some());
    if keys.is_some() {
        builder = AmazonS3Builder::new();
    } else {
        builder = AmazonS3Builder::from_env();
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
    let unsigned =
        options.no_sign_request || set("AWS_SKIP_SIGNATURE").is_some_and(|value| value == "true");
    let elsewhere = in_environment && options.profile.is_none();
    if keys.is_none() && !elsewhere && !unsigned && !has_machine_role() {
        return Err(Error::store("no credentials were found for the bucket")
            .help(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or pass \
                 --no-sign-request for a public bucket",
            )
            .at(format!("{}://{bucket}", if r2 { "r2" } else { "s3" })));
    }
    let ends_by_itself = match &keys {
        Some(keys) => keys.session_token.is_some(),
        None => set("AWS_SESSION_TOKEN").is_some() || set("AWS_ACCESS_KEY_ID").is_none(),
    };
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
    let endpoint =
        options.endpoint_url.clone().or_else(|| set("AWS_ENDPOINT_URL")).or(found.endpoint_url);
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
    let is_lookalike = endpoint.is_some() && !r2;
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    let builder = builder
        .with_bucket_name(bucket)
        .with_region(region)
        .with_skip_signature(unsigned)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry());
    let builder = with_choices(builder, options)?;
    Ok(S3 { builder, is_lookalike, ends_by_itself })
}

/// How to reach a bucket of S3.
struct S3 {
    builder: AmazonS3Builder,
    /// Whether the server is at an address that the user named, so that it may only speak like
    /// Amazon's.
    is_lookalike: bool,
    /// Whether the credentials are temporary.
    ends_by_itself: bool,
}

/// What the user chooses about objects, by the names that Amazon's own tools use.
fn with_choices(mut builder: AmazonS3Builder, options: &StoreOptions) -> Result<AmazonS3Builder> {
    // The server then refuses bytes that were damaged on their way. Those who sign what they send
    // compute the same digest anyway.
    if set("AWS_REQUEST_CHECKSUM_CALCULATION").is_none_or(|when| when != "when_required") {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    let pays = |value: String| ["requester", "true"].contains(&value.as_str());
    if options.requester_pays || set("AWS_REQUEST_PAYER").is_some_and(pays) {
        builder = builder.with_request_payer(true);
    }
    let kms_key = options.kms_key_id.clone().or_else(|| set("AWS_SSE_KMS_KEY_ID"));
    let encryption = options
        .server_side_encryption
        .clone()
        .or_else(|| set("AWS_SERVER_SIDE_ENCRYPTION"))
        .or_else(|| kms_key.as_ref().map(|_| "aws:kms".to_owned()));
    if let Some(encryption) = encryption {
        let known = ["AES256", "aws:kms", "aws:kms:dsse"];
        if !known.contains(&encryption.as_str()) {
            return Err(Error::usage(format!("unknown server-side encryption '{encryption}'"))
                .expected(format!("one of {}", known.join(", "))));
        }
        builder = builder.with_config(setting("aws_server_side_encryption")?, encryption);
    }
    if let Some(kms_key) = kms_key {
        builder = builder.with_config(setting("aws_sse_kms_key_id")?, kms_key);
    }
    Ok(builder)
}

fn setting(name: &str) -> Result<AmazonS3ConfigKey> {
    name.parse().map_err(|e| Error::internal("no such setting of S3").caused_by(e))
}

/// Whether this may be a cloud machine that has a role of its own. Without this look, a user
/// without credentials would wait a minute for a service that is not there.
fn has_machine_role() -> bool {
    let disabled = env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|v| v == "true");
    let service = SocketAddr::from(([169, 254, 169, 254], 80));
    !disabled
        && (env::var_os("AWS_METADATA_ENDPOINT").is_some()
            || TcpStream::connect_timeout(&service, Duration::from_secs(1)).is_ok())
}
