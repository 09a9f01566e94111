//! Checking every byte of a version.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use bytes::Bytes;

use super::{
    digest::Checksum,
    history::add_counts,
    manifest::{ChunkEntry, Counts, MAX_MANIFEST, Manifest},
    open::{Dataset, check_bytes, find_version, missing},
    paths::{METADATA, manifest_path, token_of},
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    pipeline::Progress,
    store::Lookup,
};

/// Decodes a chunk and counts what it holds; supplied by the format.
pub type ChunkCheck<'a> = &'a (dyn Fn(&ChunkEntry, &Bytes) -> Result<Counts> + Sync);

/// What a verification found.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects checked, manifests included.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What the chunks really hold, summed up.
    pub counts: Counts,
    /// Everything that is wrong, in the order of the dataset; empty for a sound one.
    pub problems: Vec<Problem>,
    /// What is worth knowing and no defect of this version, such as objects without a version.
    pub notes: Vec<String>,
}

/// Something wrong with an object.
#[derive(Debug)]
pub struct Problem {
    /// The object, relative to the dataset.
    pub path: String,
    /// What is wrong.
    pub error: Error,
}

/// Checks every object of a version against its checksum, decodes every chunk, and compares what
/// it holds with the manifest. All problems are reported, not only the first. Holds at most
/// `threads` objects in memory.
///
/// # Errors
///
/// Only when the store fails; what is wrong with the dataset is in the report.
pub fn verify(
    dataset: &Dataset,
    check: ChunkCheck<'_>,
    threads: usize,
    progress: Option<&Progress>,
) -> Result<Report> {
    let mut report = Report::default();
    check_manifests(dataset, &mut report)?;
    let manifest = dataset.manifest();

    let mut tasks: Vec<Task> = Vec::new();
    let object = |path: &str, size, sum| Task { path: path.to_owned(), size, sum, chunk: None };
    tasks.extend(manifest.objects.iter().map(|o| object(&o.path, o.size_bytes, o.checksum)));
    tasks.extend(manifest.chunk_segments.iter().map(|s| object(&s.path, s.size_bytes, s.checksum)));
    match dataset.chunks() {
        Ok(chunks) => tasks.extend(chunks.iter().map(|chunk| Task {
            path: chunk.path.clone(),
            size: chunk.size_bytes,
            sum: chunk.checksum,
            chunk: Some(chunk.clone()),
        })),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            // The list itself is reported below, but its chunks are out of reach.
            report.notes.push("chunks in a damaged list could not be checked".to_owned());
            let inline = manifest.chunks.iter();
            tasks.extend(inline.map(|chunk| Task {
                path: chunk.path.clone(),
                size: chunk.size_bytes,
                sum: chunk.checksum,
                chunk: Some(chunk.clone()),
            }));
        }
        Err(error) => return Err(error),
    }

    for (task, outcome) in tasks.iter().zip(run(dataset, &tasks, check, threads, progress)) {
        report.objects += 1;
        match outcome {
            Ok(counts) => {
                report.bytes += task.size;
                add_counts(&mut report.counts, &counts)?;
            }
            Err(error) if error.kind() == ErrorKind::Store => return Err(error),
            Err(error) => report.problems.push(Problem { path: task.path.clone(), error }),
        }
    }
    note_orphans(dataset, &tasks, &mut report);
    Ok(report)
}

/// An object to check.
struct Task {
    path: String,
    size: u64,
    sum: Checksum,
    chunk: Option<ChunkEntry>,
}

fn run(
    dataset: &Dataset,
    tasks: &[Task],
    check: ChunkCheck<'_>,
    threads: usize,
    progress: Option<&Progress>,
) -> Vec<Result<Counts>> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Result<Counts>>>> =
        Mutex::new(tasks.iter().map(|_| None).collect());
    if let Some(progress) = progress {
        progress.set_total_in(tasks.iter().map(|task| task.size).sum());
    }
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, task)) = {
                    let at = next.fetch_add(1, Relaxed);
                    tasks.get(at).map(|task| (at, task))
                } {
                    let outcome = run_one(dataset, task, check);
                    if let Some(progress) = progress {
                        progress.add_bytes_in(task.size);
                    }
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes[at] = Some(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost = || Err(Error::internal("an object was not checked"));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
}

fn run_one(dataset: &Dataset, task: &Task, check: ChunkCheck<'_>) -> Result<Counts> {
    let store = dataset.store();
    // Never from a cache: the bytes in the store are in question.
    let bytes = match store.find(&task.path)? {
        Some(bytes) => bytes,
        None => return Err(missing(store, &task.path)),
    };
    let place = || store.name(&task.path);
    check_bytes(&bytes, task.size, task.sum).at(place)?;
    let Some(chunk) = &task.chunk else { return Ok(Counts::new()) };
    let counts = check(chunk, &bytes).at(place)?;
    if counts != chunk.counts {
        return Err(Error::corrupt("the chunk does not hold what the manifest says")
            .expected(format!("{:?}", chunk.counts))
            .found(format!("{counts:?}"))
            .at(place()));
    }
    Ok(counts)
}

/// The manifest in its own place, and the copy that readers begin with.
fn check_manifests(dataset: &Dataset, report: &mut Report) -> Result<()> {
    let store = dataset.store();
    let manifest = dataset.manifest();
    let version = manifest.dataset_version;
    let key = manifest_path(version);
    report.objects += 1;
    match find_version(store, version) {
        Ok(Some(found)) if found.digest == manifest.digest => {}
        Ok(Some(_)) => report.problems.push(Problem {
            path: key.clone(),
            error: Error::corrupt("the manifest is not the one that was opened"),
        }),
        Ok(None) => {
            report.problems.push(Problem { path: key.clone(), error: missing(store, &key) });
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            report.problems.push(Problem { path: key.clone(), error });
        }
        Err(error) => return Err(error),
    }
    report.objects += 1;
    match store.start_lookup(METADATA, MAX_MANIFEST).wait()? {
        Lookup::Found(bytes) => match Manifest::parse(&bytes) {
            Ok(hint) if hint.dataset_version < version => report.notes.push(format!(
                "{METADATA} still shows version {}; readers find version {version} all the same",
                hint.dataset_version
            )),
            Ok(_) => {}
            Err(error) => report
                .problems
                .push(Problem { path: METADATA.to_owned(), error: error.at(store.name(METADATA)) }),
        },
        Lookup::Missing | Lookup::Denied(_) => report
            .notes
            .push(format!("{METADATA} is missing; readers find the manifests all the same")),
    }
    Ok(())
}

/// Counts objects that carry a token and do not belong to this version.
fn note_orphans(dataset: &Dataset, tasks: &[Task], report: &mut Report) {
    // A web server cannot list, and other stores may not let us.
    let Ok(listed) = dataset.store().list("") else { return };
    let live: HashSet<&str> = tasks.iter().map(|task| task.path.as_str()).collect();
    let others: Vec<_> = listed
        .iter()
        .filter(|object| token_of(&object.key).is_some() && !live.contains(object.key.as_str()))
        .collect();
    if !others.is_empty() {
        report.notes.push(format!(
            "{} objects ({} bytes) belong to other versions or to none; 'gc' removes what nothing needs",
            others.len(),
            others.iter().map(|object| object.size).sum::<u64>()
        ));
    }
}
