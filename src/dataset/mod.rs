//! What all datasets share: versions, manifests, the table of chunks, and commits.
//!
//! A dataset is a prefix in a store:
//!
//! ```text
//! sample.paf/
//!   _metadata.json                          a copy of the newest manifest: where reading starts
//!   _manifests/v00000000000000000001.json   one per version, created once, kept for ever
//!   _manifests/segments/….<token>.json      long chunk lists, shared between versions
//!   _index/….<token>.…                      whatever objects the format lists
//!   chr1/chunk_….<token>.bin                chunks
//! ```
//!
//! `spec/dataset.md` is normative. What this module guarantees:
//!
//! - A version becomes visible by one atomic step, the create-only PUT of its manifest
//!   ([`Transaction::commit`]); before it, nothing that was written can be seen.
//! - A reader sees every version that was acknowledged before it opened the dataset, although
//!   `_metadata.json` may be old ([`Dataset::open`]).
//! - A name, once written, never gets other bytes: it carries a token of its transaction.
//! - A manifest with any byte changed is refused, and so is every object read by
//!   [`Dataset::read`].
//!
//! It knows nothing of reads or variants: formats keep their facts in [`Manifest::fields`], in
//! [`ChunkEntry::counts`] and in objects of their own.

mod audit;
mod change;
mod commit;
mod copy;
mod digest;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gc;
mod history;
mod invariants;
mod manifest;
mod open;
mod paths;
mod purge;
mod repair;
mod share;
mod stub;
mod tag;
mod time;
mod transfer;
mod verify;

pub use self::{
    audit::audit,
    change::Change,
    commit::{Draft, Transaction, TransactionId},
    copy::{Copied, Outstanding, copy, copy_all, outstanding, outstanding_of_all},
    digest::Checksum,
    fields::Fields,
    gc::{Collected, GcOptions, gc},
    history::{Difference, LogEntry, diff, log, rollback},
    invariants::{Conflict, conflict},
    manifest::{
        ChunkEntry, Counts, InputInfo, Manifest, ObjectRef, Operation, SegmentRef, Tags, VersionRef,
    },
    open::{At, Dataset, LiveObject},
    paths::{METADATA, folders, manifest_path, token_of},
    purge::{Left, PurgeOptions, Purged, purge},
    repair::{Repaired, repair},
    share::share,
    tag::{tag, untag},
    verify::{ChunkCheck, Problem, Report, verify},
};
