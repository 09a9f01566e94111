//! What a failed request means, in words that tell the user what to do and hold no secrets.

use object_store::Error as Cause;

use super::share;
use crate::error::Error;

/// What can be concluded from a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no such object, or no such bucket.
    Missing,
    /// The store refuses this user; some stores say so of missing objects too.
    Denied,
    /// The object exists already, or another write of it is under way.
    Exists,
    /// The request was refused before it changed anything.
    Refused,
    /// The object ends before the range does.
    OutOfRange,
    /// Nothing: a write may have happened or not.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) error: Error,
}

impl Failure {
    /// Explains `cause`, which befell the object written as `name`.
    pub(super) fn new(cause: &Cause, name: &str) -> Self {
        let text = whole_text(cause);
        let reason = reason(cause, &text);
        let error = match reason {
            Reason::Missing if text.contains("NoSuchBucket") => {
                Error::not_found("the bucket does not exist").help("check the name, and the endpoint")
            }
            Reason::Missing => Error::not_found("no such object"),
            Reason::Exists => Error::exists("the object exists already"),
            Reason::OutOfRange => Error::corrupt("the object is shorter than it should be")
                .help("restore the dataset from a copy"),
            Reason::Denied if text.contains(share::REFUSED) => {
                Error::store(share::REFUSED).found(share::until(&text)).help(
                    "it has ended, or the one who shared it has withdrawn the credentials or the \
                     object: ask for a new one",
                )
            }
            Reason::Denied => Error::store(format!("access denied: {}", brief(&text))).help(
                "check the credentials and the bucket's policy: set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, name a --profile, or pass --no-sign-request for a public bucket",
            ),
            Reason::Refused if text.contains("ange request") || text.contains("on-partial") => {
                Error::unsupported("the server ignores range requests")
                    .help("serve the dataset from an object store, nginx or Apache")
            }
            Reason::Refused if text.contains(ARCHIVED) => {
                Error::store("the object lies in an archive, from which it must be restored first")
                    .help(
                        "restore it with 'aws s3api restore-object' (or S3 Batch Operations for a \
                         whole dataset), wait until that is done, and run the command again",
                    )
            }
            Reason::Refused | Reason::Unknown => {
                let error = Error::store(brief(&text));
                match advice(&text) {
                    Some(advice) => error.help(advice),
                    None => error,
                }
            }
        };
        Self { reason, error: error.at(name) }
    }

    /// An error of our own, found before anything was sent.
    pub(super) fn refused(error: Error) -> Self {
        Self { reason: Reason::Refused, error }
    }
}

/// The text of an error and of those that caused it, which HTTP clients leave out.
fn whole_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

/// What S3 says of an object in the storage classes GLACIER and DEEP_ARCHIVE.
const ARCHIVED: &str = "InvalidObjectState";

/// Whether the store has refused an object because it was not as its sender had it.
pub(super) fn is_damage_on_the_way(cause: &Cause) -> bool {
    let text = whole_text(cause);
    let codes = ["BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"];
    codes.iter().any(|code| text.contains(code))
}

fn reason(cause: &Cause, text: &str) -> Reason {
    match cause {
        // Its status is that of a denial, which would be taken for a missing object.
        _ if text.contains(ARCHIVED) => Reason::Refused,
        Cause::NotFound { .. } => Reason::Missing,
        Cause::AlreadyExists { .. } | Cause::Precondition { .. } => Reason::Exists,
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Reason::Denied,
        Cause::NotSupported { .. } | Cause::NotImplemented { .. } | Cause::InvalidPath { .. } => {
            Reason::Refused
        }
        // The status of a response is public only as text.
        _ if text.contains("416 Range Not Satisfiable")
            || text.contains("Wanted range starting at")
            || text.contains("Requested range was invalid") =>
        {
            Reason::OutOfRange
        }
        _ if text.contains("on-partial response") => Reason::Refused,
        // Disk errors come before the object becomes visible, but for the last sync of its folder.
        Cause::Generic { store: "LocalFileSystem", .. } if !text.contains("sync") => {
            Reason::Refused
        }
        _ => Reason::Unknown,
    }
}

fn advice(text: &str) -> Option<&'static str> {
    if text.contains("without LOCATION") || text.contains("301 Moved") {
        Some("the bucket is in another region: name it with --s3-region")
    } else if text.contains("169.254.169.254") || text.contains("metadata") {
        Some(
            "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a \
             --profile, or pass --no-sign-request for a public bucket",
        )
    } else if text.contains("No space left") {
        Some("free some space, then run the command again")
    } else if text.contains("Permission denied") {
        Some("check who may read and write there")
    } else if text.contains("onnect") || text.contains("dns") {
        Some("check the address and the network, then try again")
    } else {
        None
    }
}

/// The gist of an error text: the code and message of an S3 answer where there is one, without
/// credentials and of bounded length.
pub(super) fn brief(text: &str) -> String {
    if let (Some(code), Some(message)) = (element(text, "Code"), element(text, "Message")) {
        return shorten(&format!("{code}: {}", redact(message)));
    }
    shorten(&redact(text))
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value)
}

fn shorten(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Takes user names, passwords and query strings out of every URL in `text`.
pub(super) fn redact(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | ','))
            .unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        let path = url.find(['?', '#']).map_or(url, |query| &url[..query]);
        let host = path.find('/').unwrap_or(path.len());
        let user = path[..host].rfind('@').map_or(0, |at| at + 1);
        safe.push_str(&path[user..]);
        rest = tail;
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_redact_takes_credentials_out_of_urls() {
        assert_eq!(
            redact("GET https://u:p@host/a/b?X-Amz-Signature=secret in 3 s (http://x/y?k=v)"),
            "GET https://host/a/b in 3 s (http://x/y)"
        );
        assert_eq!(redact("no url: a?b=c"), "no url: a?b=c");
        assert_eq!(redact("s3://b/k@v?q"), "s3://b/k@v");
    }

    #[test]
    fn test_brief_keeps_the_message_of_an_s3_answer() {
        let text = "Server returned: 403: <Error><Code>SignatureDoesNotMatch</Code><Message>No \
                    match</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        assert_eq!(brief(text), "SignatureDoesNotMatch: No match");
        assert!(brief(&"é".repeat(5000)).chars().count() <= 401);
    }
}
