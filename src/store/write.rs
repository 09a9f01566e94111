//! Writing, deleting and listing objects.

use std::{
    collections::{HashMap, HashSet},
    path::Path as FilePath,
    sync::atomic::Ordering::Relaxed,
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, PutMode, PutOptions};

use super::{
    Inner, Store,
    failure::{Failure, Reason, is_damage_on_the_way},
    links,
    meter::Wave,
    runtime::{Pending, start_wave},
    validate_key,
};
use crate::error::{Context, Error, Result};

/// How often bytes are sent that arrive damaged.
const SENDS: u32 = 3;

/// What became of [`Store::create`].
#[derive(Debug)]
pub enum Creation {
    /// This call created the object.
    Created,
    /// The store says that the object exists. It may be that an earlier try of this very call,
    /// whose answer was lost, created it: read the object to find out.
    Existed,
    /// The answer was lost or proves nothing; the object may exist now, or later.
    Unknown(Error),
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key, relative to the store.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

impl Store {
    /// Writes an object unless one of that name exists, atomically.
    ///
    /// # Errors
    ///
    /// Only when it is certain that nothing was written, as when access is denied; any doubt is
    /// [`Creation::Unknown`].
    pub fn create(&self, key: &str, bytes: Bytes) -> Result<Creation> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move {
            match inner.send(wave, &key, bytes, PutMode::Create).await {
                Ok(()) => Ok(Creation::Created),
                Err(failure) => match failure.reason {
                    Reason::Exists => Ok(Creation::Existed),
                    Reason::Unknown => Ok(Creation::Unknown(failure.error)),
                    _ => Err(failure.error),
                },
            }
        })
        .wait()
    }

    /// Writes an object, replacing any of that name.
    pub fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        self.start_put(key, bytes).wait()
    }

    /// As [`Self::put`], in the background: the object is there once the result is.
    pub fn start_put(&self, key: &str, bytes: Bytes) -> Pending<()> {
        let inner = self.0.clone();
        let key = key.to_owned();
        start_wave(&self.0.meter, |wave| async move {
            inner.send(wave, &key, bytes, PutMode::Overwrite).await.map_err(|failure| failure.error)
        })
    }

    /// Removes what writes that were cut short have left on local disk, where bytes are gathered in
    /// `NAME#NUMBER` before they get their name. Only one writer may be at work when this is called.
    pub fn remove_staged(&self) -> Result<()> {
        let mut folders: Vec<_> = self.0.folder.iter().cloned().collect();
        let failed = |error| {
            Error::store("cannot clear what an earlier run has left")
                .caused_by(error)
                .at(self.name(""))
        };
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let (name, path) = (entry.file_name(), entry.path());
                let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, n)| n);
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(path);
                } else if number
                    .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
                {
                    std::fs::remove_file(path).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what writes of `keys` that were cut short have left on local disk, as
    /// [`Self::remove_staged`] does. No other may write these objects meanwhile.
    pub fn remove_staged_of(&self, keys: &[String]) -> Result<()> {
        let Some(root) = &self.0.folder else { return Ok(()) };
        let mut folders: HashMap<&str, HashSet<&str>> = HashMap::new();
        for key in keys {
            validate_key(key)?;
            let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
            folders.entry(folder).or_default().insert(name);
        }
        for (folder, names) in folders {
            // A folder that cannot be read fails when it is written to.
            let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
            for entry in entries.flatten() {
                let file = entry.file_name();
                let staged = file.to_str().and_then(|file| file.rsplit_once('#'));
                let is_ours = staged.is_some_and(|(name, number)| {
                    names.contains(name) && number.bytes().all(|b| b.is_ascii_digit())
                });
                if is_ours {
                    std::fs::remove_file(entry.path()).map_err(|error| {
                        Error::store("cannot clear what an earlier run has left")
                            .caused_by(error)
                            .at(self.name(""))
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Deletes objects; those that do not exist are deleted already. On local disk, folders that
    /// this empties are removed, too.
    pub fn delete(&self, keys: &[String]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let inner = self.0.clone();
        let keys = keys.to_vec();
        start_wave(&self.0.meter, |wave| async move {
            let client = inner.writable()?;
            let paths = keys.iter().map(|key| inner.path(key)).collect::<Result<Vec<_>>>()?;
            keys.iter().try_for_each(|key| inner.check_links(key))?;
            inner.meter.start(wave);
            let _permit = inner.permit().await?;
            let mut answers = client.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
            let mut outcome = Ok(());
            while let Some(answer) = answers.next().await {
                if let Err(cause) = answer {
                    let failure = Failure::new(&cause, &inner.name_of(""));
                    if failure.reason != Reason::Missing && outcome.is_ok() {
                        outcome = Err(failure.error);
                    }
                }
            }
            drop(answers);
            inner.meter.end(0, 0);
            for key in &keys {
                tracing::debug!(object = inner.name_of(key), "DELETE");
                inner.remove_empty_folders(key);
            }
            outcome
        })
        .wait()
    }

    /// The objects whose keys begin with the folder `folder`, or all for `""`, ordered by key.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) on a web server, which cannot list.
    pub fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>> {
        self.start_list(folder).wait()
    }

    /// As [`Self::list`], in the background.
    pub fn start_list(&self, folder: &str) -> Pending<Vec<ObjectInfo>> {
        let inner = self.0.clone();
        let folder = folder.trim_end_matches('/').to_owned();
        start_wave(&self.0.meter, |wave| async move {
            if !folder.is_empty() {
                validate_key(&folder)?;
            }
            if inner.backend.write.is_none() {
                return Err(Error::unsupported("a web server cannot list its objects")
                    .help("address the bucket by its own scheme, such as s3://")
                    .at(inner.name_of("")));
            }
            let path = inner.path_below(&folder)?;
            inner.meter.start(wave);
            let _permit = inner.permit().await?;
            let answer: Result<Vec<_>, _> =
                inner.backend.read.list(Some(&path)).try_collect().await;
            inner.meter.end(0, 0);
            tracing::debug!(folder = inner.name_of(&folder), "LIST");
            let listed = match answer {
                Ok(listed) => listed,
                Err(cause) => {
                    let failure = Failure::new(&cause, &inner.name_of(&folder));
                    match failure.reason {
                        Reason::Missing => Vec::new(),
                        _ => return Err(failure.error),
                    }
                }
            };
            let root = inner.path_below("")?;
            let mut objects: Vec<ObjectInfo> = listed
                .into_iter()
                .filter_map(|meta| {
                    let parts: Vec<_> = meta.location.prefix_match(&root)?.collect();
                    let key = parts.iter().map(|p| p.as_ref()).collect::<Vec<_>>().join("/");
                    let modified = meta.last_modified.into();
                    (!key.is_empty()).then_some(ObjectInfo { key, size: meta.size, modified })
                })
                .collect();
            objects.sort_by(|a, b| a.key.cmp(&b.key));
            if let Some(root) = &inner.folder {
                objects.retain(|object| !links::is_behind_link(root, &object.key));
            }
            Ok(objects)
        })
    }
}

impl Inner {
    pub(super) fn writable(&self) -> Result<&dyn ObjectStore> {
        self.backend.write.as_deref().ok_or_else(|| {
            Error::usage("a web server can be read from only")
                .help("write to a folder or a bucket: PATH, s3://, r2://, gs:// or az://")
                .at(self.name_of(""))
        })
    }

    /// One PUT.
    pub(super) async fn send(
        &self,
        wave: Wave,
        key: &str,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<(), Failure> {
        let path = self.path(key).map_err(Failure::refused)?;
        self.check_links(key).map_err(Failure::refused)?;
        let client = self.writable().map_err(Failure::refused)?;
        self.meter.start(wave);
        let _permit = self.permit().await.map_err(Failure::refused)?;
        self.note_new_folder();
        let length = bytes.len();
        let create = matches!(mode, PutMode::Create);
        let attributes = self.backend.attributes(length as u64);
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let mut sends = 1;
        let answer = loop {
            let answer = client.put_opts(&path, bytes.clone().into(), options.clone()).await;
            match &answer {
                // The server has refused what arrived, and has stored nothing.
                Err(cause) if sends < SENDS && is_damage_on_the_way(cause) => sends += 1,
                _ => break answer,
            }
        };
        self.meter.end(0, length);
        tracing::debug!(object = self.name_of(key), bytes = length, create, "PUT");
        answer.map(drop).map_err(|cause| {
            let mut failure = Failure::new(&cause, &self.name_of(key));
            if failure.reason == Reason::Missing {
                failure.error = Error::not_found("the bucket to write to does not exist")
                    .help("create it first, or check its name and the endpoint")
                    .at(self.name_of(key));
            }
            failure
        })
    }

    fn check_links(&self, key: &str) -> Result<()> {
        links::check(self.folder.as_deref(), key).at(|| self.name_of(key))
    }

    pub(super) fn note_new_folder(&self) {
        if let Some(folder) = &self.folder
            && !self.made_folder.load(Relaxed)
            && !folder.exists()
        {
            self.made_folder.store(true, Relaxed);
        }
    }

    /// Removes the folders that held `key` and are empty now: those below the root, and the root
    /// itself if this store created it.
    fn remove_empty_folders(&self, key: &str) {
        let Some(root) = &self.folder else { return };
        let mut folder = FilePath::new(key).parent();
        while let Some(below) = folder {
            let is_root = below.as_os_str().is_empty();
            if is_root && !self.made_folder.load(Relaxed) {
                return;
            }
            // Fails for a folder that is not empty, which ends the walk.
            if std::fs::remove_dir(root.join(below)).is_err() {
                return;
            }
            folder = below.parent();
        }
    }
}
