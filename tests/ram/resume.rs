//! A conversion that failed goes on with what it had read, and comes to the same dataset.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use genomic_objects::dataset::Dataset;
use genomic_objects::error::{Error, ErrorKind};

use super::*;

/// Converts, the input of the number `broken` failing midway; also how often each was opened.
fn attempt(
    cohort: &[(String, String)],
    store: &Store,
    options: &WriteOptions,
    broken: Option<usize>,
    state: &str,
) -> (Result<Summary>, Vec<usize>) {
    let inputs: Vec<SampleInput> = cohort.iter().map(|(file, _)| input(None, file)).collect();
    let opened: Vec<AtomicUsize> = cohort.iter().map(|_| AtomicUsize::new(0)).collect();
    let opener = |number: usize| {
        opened[number].fetch_add(1, Ordering::Relaxed);
        let (file, text) = &cohort[number];
        let text = match Some(number) == broken {
            true => text.replace("p9\t", "p9\tno number\t"),
            false => text.clone(),
        };
        let source =
            open(file, Box::new(Cursor::new(text.into_bytes())), &SourceOptions::default());
        Ok(Opened::File(source?, Some(format!("{file} {state}"))))
    };
    let reader: Box<dyn std::io::Read + Send> = Box::new(Cursor::new(fasta().into_bytes()));
    let reference = Some(("reference.fa".to_owned(), reader));
    let result = write(&inputs, &opener, reference, store, options, &Arc::new(Progress::default()));
    (result, opened.into_iter().map(AtomicUsize::into_inner).collect())
}

fn contents(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let keys = store.list("").unwrap();
    keys.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap().to_vec())).collect()
}

#[test]
fn test_conversion_goes_on_with_the_samples_that_are_left() {
    let cohort = cohort(5, 200);
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    let first = WriteOptions { work: Some(work.clone()), threads: 1, ..small() };
    let (undisturbed, store) = (Store::in_memory(), Store::in_memory());
    attempt(&cohort, &undisturbed, &small(), None, "").0.unwrap();

    let (result, _) = attempt(&cohort, &store, &first, Some(3), "");
    let error = result.unwrap_err();
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("s3.sam"), "{error}");
    assert!(Dataset::find(&store).unwrap().is_none() && store.list("").unwrap().is_empty());

    // The first three are opened once, for their headers.
    let again = WriteOptions { resume: true, ..first.clone() };
    let (result, opened) = attempt(&cohort, &store, &again, None, "");
    assert_eq!(opened, [1, 1, 1, 2, 2]);
    assert_eq!(result.unwrap().resumed, 3);
    assert!(contents(&store) == contents(&undisturbed), "another dataset came of it");
    assert!(!work.exists(), "what is of no use any more stays behind");
}

#[test]
fn test_samples_keep_what_they_came_to_when_others_are_left_out() {
    let cohort = cohort(4, 100);
    let folder = tempfile::tempdir().unwrap();
    let first = WriteOptions { work: Some(folder.path().join("work")), threads: 1, ..small() };
    let (undisturbed, store) = (Store::in_memory(), Store::in_memory());
    attempt(&cohort, &store, &first, Some(3), "").0.unwrap_err();
    let (rest, again) = (&cohort[1..3], WriteOptions { resume: true, ..first });
    assert_eq!(attempt(rest, &store, &again, None, "").0.unwrap().resumed, 2);
    attempt(rest, &undisturbed, &small(), None, "").0.unwrap();
    assert!(contents(&store) == contents(&undisturbed));
}

#[test]
fn test_nothing_is_used_again_of_files_or_options_that_have_changed() {
    let cohort = cohort(3, 50);
    let folder = tempfile::tempdir().unwrap();
    let first = WriteOptions { work: Some(folder.path().join("work")), threads: 1, ..small() };
    let resumed = |state: &str, options: WriteOptions| {
        let store = Store::in_memory();
        attempt(&cohort, &store, &first, Some(2), "").0.unwrap_err();
        attempt(&cohort, &store, &options, None, state).0.unwrap().resumed
    };
    let again = WriteOptions { resume: true, ..first.clone() };
    assert_eq!(resumed("", again.clone()), 2);
    assert_eq!(resumed("changed", again.clone()), 0);
    assert_eq!(resumed("", WriteOptions { region_size: 9_000, ..again }), 0);
    assert_eq!(resumed("", first.clone()), 0, "without --resume all is read again");
}

#[test]
fn test_only_one_conversion_to_an_output_runs_at_a_time() {
    let cohort = cohort(2, 20);
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions { work: Some(folder.path().join("work")), ..small() };
    let second = Mutex::new(None);
    let inputs = [input(None, "s0.sam")];
    let opener = |_: usize| {
        // While one is under way.
        let mut second = second.lock().unwrap();
        if second.is_none() {
            let store = Store::in_memory();
            *second = Some(attempt(&cohort, &store, &options, None, "").0);
        }
        let reader = Box::new(Cursor::new(cohort[0].1.clone().into_bytes()));
        Ok(Opened::File(open("s0.sam", reader, &SourceOptions::default())?, None))
    };
    write(&inputs, &opener, None, &Store::in_memory(), &options, &Arc::default()).unwrap();
    let error: Error = second.into_inner().unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
}

#[test]
fn test_unreadable_input_is_told_before_any_is_read() {
    let cohort = cohort(40, 5);
    let opened: Vec<AtomicUsize> = cohort.iter().map(|_| AtomicUsize::new(0)).collect();
    let opener = |number: usize| {
        opened[number].fetch_add(1, Ordering::Relaxed);
        let (file, text) = &cohort[number];
        if number == 37 {
            return Err(Error::not_found("no such file").at(file));
        }
        let reader = Box::new(Cursor::new(text.clone().into_bytes()));
        Ok(Opened::File(open(file, reader, &SourceOptions::default())?, None))
    };
    let inputs: Vec<SampleInput> = cohort.iter().map(|(file, _)| input(None, file)).collect();
    let store = Store::in_memory();
    let error = write(&inputs, &opener, None, &store, &small(), &Arc::default()).unwrap_err();
    assert!(error.to_string().contains("s37.sam"), "{error}");
    assert!(opened.iter().all(|count| count.load(Ordering::Relaxed) <= 1));
    assert!(store.list("").unwrap().is_empty());
}
