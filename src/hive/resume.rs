//! Notes of what is done, so that an interrupted export can go on.
//!
//! `OUT._resume/plan.json` says what is exported and how; `OUT._resume/00000.json` and so on list
//! the files of consecutive tasks. A note is written after the files it names are in the store.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::FileEntry;
use super::target::Target;
use crate::error::{Context, Error, Result};

/// Tasks after which a note is written.
const TASKS: usize = 64;
/// Bytes of files after which a note is written.
const BYTES: u64 = 512 << 20;

/// What a note says.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The first task it is about.
    first: usize,
    /// The files of each task.
    files: Vec<Vec<FileEntry>>,
}

/// Writes notes.
pub(super) struct Notes<'a> {
    target: &'a Target,
    number: usize,
    next: usize,
    open: Vec<Vec<FileEntry>>,
    bytes: u64,
}

fn damaged(error: serde_json::Error) -> Error {
    Error::corrupt("a note of an interrupted export cannot be read")
        .caused_by(error)
        .help("delete the output and its notes, and start again")
}

fn to_bytes(value: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec_pretty(value)
        .map(Bytes::from)
        .map_err(|error| Error::internal("writing JSON").caused_by(error))
}

impl<'a> Notes<'a> {
    /// Begins to take notes of an export.
    pub(super) fn begin(target: &'a Target, plan: &Value) -> Result<Self> {
        let key = format!("{}/plan.json", target.notes());
        target.beside().put(&key, to_bytes(plan)?)?;
        Ok(Self { target, number: 0, next: 0, open: Vec::new(), bytes: 0 })
    }

    /// Goes on with the notes of an interrupted export; also the files of the tasks that are done.
    ///
    /// `None` where nothing was begun.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::error::ErrorKind::Exists) where another export was begun.
    pub(super) fn go_on(
        target: &'a Target,
        plan: &Value,
    ) -> Result<Option<(Self, Vec<Vec<FileEntry>>)>> {
        let store = target.beside();
        let key = format!("{}/plan.json", target.notes());
        let Some(found) = store.find(&key)? else { return Ok(None) };
        let found: Value =
            serde_json::from_slice(&found).map_err(damaged).at(|| store.name(&key))?;
        if found != *plan {
            return Err(Error::exists(
                "another export was begun here, of another source or with other options",
            )
            .found(difference(&found, plan))
            .help("repeat its options, or choose another output")
            .at(store.name(&key)));
        }
        let present: std::collections::HashMap<String, u64> =
            target.files().list("")?.into_iter().map(|object| (object.key, object.size)).collect();
        let mut notes = Self { target, number: 0, next: 0, open: Vec::new(), bytes: 0 };
        let mut done: Vec<Vec<FileEntry>> = Vec::new();
        loop {
            let key = notes.key();
            let Some(bytes) = store.find(&key)? else { break };
            let note: Note =
                serde_json::from_slice(&bytes).map_err(damaged).at(|| store.name(&key))?;
            let is_there = |file: &FileEntry| present.get(&file.path) == Some(&file.bytes);
            if note.first != done.len() || !note.files.iter().flatten().all(is_there) {
                // From here on all is done again.
                break;
            }
            done.extend(note.files);
            notes.number += 1;
        }
        notes.next = done.len();
        Ok(Some((notes, done)))
    }

    fn key(&self) -> String {
        format!("{}/{:05}.json", self.target.notes(), self.number)
    }

    /// Notes that the next task is done.
    pub(super) fn add(&mut self, files: &[FileEntry]) -> Result<()> {
        self.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
        self.open.push(files.to_vec());
        if self.open.len() >= TASKS || self.bytes >= BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.open);
        let note = Note { first: self.next, files };
        self.target.beside().put(&self.key(), to_bytes(&note)?)?;
        self.next += note.files.len();
        self.number += 1;
        self.bytes = 0;
        Ok(())
    }

    /// Removes all notes: the manifest says everything now.
    pub(super) fn remove(target: &Target) -> Result<()> {
        let store = target.beside();
        let notes = store.list(&target.notes())?;
        store.delete(&notes.into_iter().map(|note| note.key).collect::<Vec<_>>())
    }

    /// Whether there are notes.
    pub(super) fn exist(target: &Target) -> Result<bool> {
        Ok(target.beside().size(&format!("{}/plan.json", target.notes()))?.is_some())
    }
}

/// What differs first between two plans, in words.
pub(super) fn difference(found: &Value, wanted: &Value) -> String {
    fn walk(path: &str, found: &Value, wanted: &Value) -> Option<String> {
        match (found, wanted) {
            (Value::Object(found), Value::Object(wanted)) => {
                found.iter().find_map(|(key, value)| {
                    walk(&format!("{path}/{key}"), value, wanted.get(key).unwrap_or(&Value::Null))
                })
            }
            _ if found == wanted => None,
            _ => Some(format!("{path}: {found}, not {wanted}")),
        }
    }
    walk("", found, wanted).unwrap_or_else(|| "further options".to_owned())
}
