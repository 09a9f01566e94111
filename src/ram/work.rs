//! What samples came to, in a folder until the dataset is complete, so that a conversion that was
//! interrupted can go on.
//!
//! A sample has three files and a note, named by a digest of all that decides their content: the
//! input and its state, how the genome is cut, the dictionary, the reference. The note is written
//! last. So whatever is found under a name is what reading the sample again would bring about,
//! wherever the sample stands in the list.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::{NamedTempFile, TempDir};

use super::ingest::Outcome;
use super::spill::KeptSpills;
use crate::error::{Error, Result};

const LOCK: &str = "lock";

/// What is noted of a sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) outcome: Outcome,
    pub(super) files: KeptSpills,
}

/// The folder.
pub(super) struct Work {
    path: PathBuf,
    /// Held while the folder is in use.
    _lock: Option<File>,
    /// A folder that is of no use to anybody else.
    _temporary: Option<TempDir>,
}

impl Work {
    /// A folder of a name, with what an earlier conversion left in it if that is to be resumed; or
    /// one that goes with the process.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::error::ErrorKind::Exists) while another process uses the folder.
    pub(super) fn open(named: Option<&Path>, resume: bool, temp_dir: &Path) -> Result<Self> {
        let Some(path) = named else {
            let folder = TempDir::with_prefix_in("samples", temp_dir)
                .map_err(|error| failed(error, temp_dir))?;
            let path = folder.path().to_owned();
            return Ok(Self { path, _lock: None, _temporary: Some(folder) });
        };
        let failed = |error: io::Error| failed(error, path);
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::exists("another conversion to this output is under way")
                    .help("wait for it to end")
                    .at(path.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let work = Self { path: path.to_owned(), _lock: Some(lock), _temporary: None };
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let is_known = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|token| resume && work.find(token).is_some());
            if !is_known && !file.ends_with(LOCK) {
                fs::remove_file(&file).map_err(failed)?;
            }
        }
        Ok(work)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.path
    }

    /// The name of a sample's file.
    pub(super) fn file(&self, token: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{token}.{extension}"))
    }

    /// What a sample came to, if it was read to its end.
    pub(super) fn find(&self, token: &str) -> Option<Note> {
        let text = fs::read(self.file(token, "json")).ok()?;
        let note: Note = serde_json::from_slice(&text).ok()?;
        note.files.are_whole(|kind| self.file(token, kind)).then_some(note)
    }

    pub(super) fn note(&self, token: &str, note: &Note) -> Result<()> {
        let failed = |error: io::Error| failed(error, &self.path);
        let text = serde_json::to_vec(note)
            .map_err(|error| Error::internal("noting a sample").caused_by(error))?;
        let mut file = NamedTempFile::new_in(&self.path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.persist(self.file(token, "json")).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Leaves what can be used again where it is; a folder without any is removed.
    pub(super) fn leave(self) {
        let has_notes = || {
            let files = fs::read_dir(&self.path).ok()?;
            let mut names = files.filter_map(|file| Some(file.ok()?.file_name()));
            names.find(|name| Path::new(name).extension().is_some_and(|of| of == "json"))
        };
        if has_notes().is_none() {
            self.remove();
        }
    }

    /// Removes the folder: the dataset is complete.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            let folder = self.path.display();
            tracing::warn!(%error, %folder, "what is of no use any more stays behind");
        }
    }
}

fn failed(error: io::Error, folder: &Path) -> Error {
    Error::store("what samples came to cannot be put aside")
        .caused_by(error)
        .help("name another folder by --temp-dir")
        .at(folder.display().to_string())
}
