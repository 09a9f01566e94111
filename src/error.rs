//! One error type for the whole crate: what happened, where, and what to do about it.
//!
//! Every message names the place (file, object, record, byte), what was expected and what was
//! found, and ends in advice. [`ErrorKind`] has one variant per reaction a caller can have, and no
//! more: choose by what the user should do next, not by which module failed.

use std::fmt;

/// The result of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the user of the failed operation should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense as put: change the arguments.
    Usage,
    /// An input file is malformed, truncated or inconsistent: repair or replace it.
    Input,
    /// The input, object or dataset named does not exist: correct the name.
    NotFound,
    /// The output exists already: choose another, or ask to replace it.
    Exists,
    /// Stored bytes are not the bytes that were written: restore them from a copy.
    Corrupt,
    /// The data is legal, but this version cannot handle it.
    Unsupported,
    /// Another writer committed first: repeat the operation on the newest version.
    Conflict,
    /// The store, disk or network failed or denied access: check it, then try again.
    Store,
    /// A commit was sent and its fate could not be learnt: look at the log before repeating it.
    OutcomeUnknown,
    /// A defect of this library: report it.
    Internal,
}

/// What went wrong, where, and what to do.
///
/// ```
/// use genomic_objects::error::{Error, ErrorKind};
///
/// let error = Error::input("CIGAR and SEQ disagree")
///     .expected("101 bases")
///     .found("99 bases")
///     .help("re-run the aligner for this read")
///     .at("record 7")
///     .at("x.sam");
/// assert_eq!(error.kind(), ErrorKind::Input);
/// assert_eq!(
///     error.to_string(),
///     "x.sam: record 7: CIGAR and SEQ disagree (expected 101 bases, found 99 bases)\n  help: re-run the aligner for this read"
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    places: Vec<String>,
    message: String,
    expected: Option<String>,
    found: Option<String>,
    help: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of `kind`; the message says what happened, in lower case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            places: Vec::new(),
            message: message.into(),
            expected: None,
            found: None,
            help: None,
            source: None,
        }))
    }

    constructors! {
        /// An [`ErrorKind::Usage`] error.
        usage => Usage;
        /// An [`ErrorKind::Input`] error.
        input => Input;
        /// An [`ErrorKind::NotFound`] error.
        not_found => NotFound;
        /// An [`ErrorKind::Exists`] error.
        exists => Exists;
        /// An [`ErrorKind::Corrupt`] error.
        corrupt => Corrupt;
        /// An [`ErrorKind::Unsupported`] error.
        unsupported => Unsupported;
        /// An [`ErrorKind::Conflict`] error.
        conflict => Conflict;
        /// An [`ErrorKind::Store`] error.
        store => Store;
        /// An [`ErrorKind::OutcomeUnknown`] error.
        outcome_unknown => OutcomeUnknown;
        /// An [`ErrorKind::Internal`] error.
        internal => Internal;
    }

    /// Adds a place; called while the error travels outwards, so the outermost comes first in print.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.places.push(place.to_string());
        self
    }

    /// States what should have been there.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// States what was there instead.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.0.found = Some(found.to_string());
        self
    }

    /// States what the user can do, unless an inner layer knew better.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.0.help.get_or_insert_with(|| help.to_string());
        self
    }

    /// Keeps the error that caused this one; its text is printed too.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the user should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The help text, if any.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        for place in inner.places.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&inner.message)?;
        match (&inner.expected, &inner.found) {
            (Some(expected), Some(found)) => write!(f, " (expected {expected}, found {found})")?,
            (Some(expected), None) => write!(f, " (expected {expected})")?,
            (None, Some(found)) => write!(f, " (found {found})")?,
            (None, None) => {}
        }
        let mut source = inner.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static));
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        if let Some(help) = &inner.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

// The cause is part of `Display`, so `source` stays empty: a chain printer would repeat it.
impl std::error::Error for Error {}

/// Adds a place to the error of a result.
pub trait Context<T> {
    /// As [`Error::at`]; the closure runs only when there is an error.
    fn at<P: fmt::Display>(self, place: impl FnOnce() -> P) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn at<P: fmt::Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|error| error.at(place()))
    }
}
