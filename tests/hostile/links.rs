//! Symbolic links in a dataset on disk: read through, never written or deleted through.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use genomic_objects::dataset::{GcOptions, gc};

use super::*;

fn collect(made: &Made) -> Result<Vec<String>> {
    let options = GcOptions {
        keep: Some(1),
        older_than: None,
        grace: Duration::ZERO,
        // What was written just now is old enough then.
        now: SystemTime::now() + Duration::from_secs(1 << 30),
        created: created(),
        id: TransactionId::from_bytes([9; 16]),
        dry_run: false,
    };
    let collected = gc(&made.store(), &options)?;
    Ok(collected.objects.into_iter().map(|object| object.key).collect())
}

#[test]
fn test_collection_deletes_nothing_behind_a_link() {
    let (made, victim) = (Made::new(Format::Paf), Made::new(Format::Paf));
    let before = files_of(&victim.path());
    symlink(victim.path(), made.path().join("other")).unwrap();
    symlink(victim.path().join("_contigs"), made.path().join("chr9")).unwrap();
    std::fs::write(made.path().join("x.0123456789abcdef.bin"), b"left over").unwrap();
    assert_eq!(collect(&made).unwrap(), ["x.0123456789abcdef.bin"]);
    assert_eq!(files_of(&victim.path()), before);
    let store = made.store();
    let keys: Vec<String> = before
        .iter()
        .map(|(path, _)| format!("other/{}", path.strip_prefix(victim.path()).unwrap().display()))
        .collect();
    let error = store.delete(&keys).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(files_of(&victim.path()), before);
}

#[test]
fn test_nothing_is_written_behind_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder.path().join("_contigs")).unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    let error = write(Format::Paf, SAM, &store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(files_of(outside.path()).is_empty());
    assert!(!folder.path().join("_metadata.json").exists());
}

#[test]
fn test_objects_that_are_links_are_read_and_checked() {
    let made = Made::new(Format::Paf);
    let chunk = made.manifest()["chunks"][0]["path"].as_str().unwrap().to_owned();
    let (place, elsewhere) = (made.path().join(chunk), made.folder.path().join("elsewhere"));
    std::fs::rename(&place, &elsewhere).unwrap();
    symlink(&elsewhere, &place).unwrap();
    made.ask().unwrap();
    // A link to anything else is as good as damage, and is not shown.
    std::fs::write(&elsewhere, b"root:secret:0:0").unwrap();
    let error = made.ask().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"root:secret:0:0");
}

#[test]
fn test_a_dataset_behind_a_link_is_like_any_other() {
    let made = Made::new(Format::Paf);
    let link = made.folder.path().join("link");
    symlink(made.path(), &link).unwrap();
    let store = Store::open(link.to_str().unwrap(), &StoreOptions::default()).unwrap();
    ask(Format::Paf, &store).unwrap();
    store.put("x/y", bytes::Bytes::from_static(b"z")).unwrap();
    store.delete(&["x/y".to_owned()]).unwrap();
}
