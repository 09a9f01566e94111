//! Samples that are taken out: the rest is what a conversion without them makes, and nothing of them
//! is left anywhere.

use std::collections::BTreeMap;

use genomic_objects::dataset::{self, Change, Dataset, Transaction};
use genomic_objects::error::ErrorKind;
use genomic_objects::ram::compact::{CompactOptions, compact};
use genomic_objects::ram::purge::{PurgeOptions, purge};
use genomic_objects::ram::vcf;
use genomic_objects::ram::verify::verify;

use super::*;

fn token(number: u8) -> TransactionId {
    TransactionId::from_bytes([number; 16])
}

fn purging(number: u8) -> PurgeOptions {
    PurgeOptions {
        threads: 2,
        memory: 1 << 22,
        temp_dir: None,
        dry_run: false,
        created: "2026-01-02T00:00:00Z".into(),
        transaction: token(number),
    }
}

fn take_out(store: &Store, samples: &[&str], number: u8) -> Result<dataset::Purged> {
    let samples: Vec<String> = samples.iter().map(|&name| name.to_owned()).collect();
    purge(store, &samples, &purging(number), &Arc::default()).map(|(purged, _)| purged)
}

/// Arrow files by their names without tokens, of one transaction.
fn arrow_files(store: &Store, token: &str) -> BTreeMap<String, Vec<u8>> {
    let objects = store.list("regions").unwrap().into_iter();
    let of_token = objects.filter(|o| o.key.ends_with(&format!(".{token}.arrow")));
    of_token.map(|o| (o.key.replace(token, ""), store.get(&o.key).unwrap().to_vec())).collect()
}

fn sites(store: &Store, samples: &[&str]) -> Result<String> {
    let reader = Reader::open(store, At::Newest, Content::Sites, &request(&[], samples))?;
    let mut text = Vec::new();
    vcf::write(&reader, 2, None, |part| {
        text.extend_from_slice(&part);
        Ok(())
    })?;
    Ok(String::from_utf8(text).unwrap())
}

fn assert_sound(store: &Store) {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(dataset::audit(store).unwrap(), [""; 0]);
}

/// Adds samples as a layer of their own.
fn add(files: &[(&str, &[u8])], reference: Option<&str>, store: &Store, number: u8) {
    let adding = WriteOptions { add: true, transaction: token(number), ..small() };
    convert_with(files, reference, store, &adding).unwrap();
}

#[test]
fn test_purged_layer_is_what_a_conversion_without_the_sample_makes() {
    let cohort = cohort(4, 2_000);
    for gone in 0..4 {
        for options in [small(), options()] {
            let (store, fresh) = (Store::in_memory(), Store::in_memory());
            convert_with(&files(&cohort), Some(&fasta()), &store, &options).unwrap();
            let before = sites(&store, &[]).unwrap();
            let name = format!("s{gone}");
            let purged = take_out(&store, &[&name], 99).unwrap();
            assert_eq!((purged.version, purged.left), (Some(2), vec![]));
            let mut rest = cohort.clone();
            rest.remove(gone);
            convert_with(&files(&rest), Some(&fasta()), &fresh, &options).unwrap();
            let (left, expected) =
                (arrow_files(&store, &token(99).token()), arrow_files(&fresh, &token(7).token()));
            assert!(left.keys().any(|path| path.contains("variants")));
            assert!(left == expected, "without {name}");
            let after = sites(&store, &[]).unwrap();
            assert!(after.lines().count() + 10 < before.lines().count(), "sites went, too");
            assert_eq!(after, sites(&fresh, &[]).unwrap());
            assert_sound(&store);
        }
    }
}

#[test]
fn test_other_layers_stay_as_they_are() {
    let cohort = cohort(5, 300);
    let store = Store::in_memory();
    convert_with(&files(&cohort[..2]), Some(&fasta()), &store, &small()).unwrap();
    add(&files(&cohort[2..4]), Some(&fasta()), &store, 11);
    add(&files(&cohort[4..]), None, &store, 12);
    let answers = |store: &Store| -> Vec<Vec<u8>> {
        let names = ["s0", "s1", "s3", "s4"];
        let mut all: Vec<Vec<u8>> =
            names.iter().map(|name| exported(store, name).unwrap()).collect();
        all.extend(names[..3].iter().map(|name| {
            let reads = query(store, &["chr1:6,900-7,100", "*"], &[name]).unwrap();
            reads.0.into_bytes()
        }));
        all.push(sites(store, &["s0", "s1"]).unwrap().into());
        all
    };
    let before = answers(&store);
    let untouched =
        [arrow_files(&store, &token(7).token()), arrow_files(&store, &token(12).token())];
    take_out(&store, &["s2"], 99).unwrap();
    assert_eq!(answers(&store), before);
    let after = [arrow_files(&store, &token(7).token()), arrow_files(&store, &token(12).token())];
    assert!(after == untouched);
    assert_sound(&store);
    let reader = Reader::open(&store, At::Newest, Content::Alignments, &request(&[], &[])).unwrap();
    assert_eq!(reader.samples(), ["s0", "s1", "s3", "s4"]);
    assert_eq!((reader.details().layers.len(), reader.details().sample_count), (3, 4));
    // A layer that has nobody left goes; of several, those that stay become one.
    take_out(&store, &["s3", "s0"], 98).unwrap();
    let reader = Reader::open(&store, At::Newest, Content::Alignments, &request(&[], &[])).unwrap();
    assert_eq!((reader.samples(), reader.details().layers.len()), (vec!["s1", "s4"], 2));
    assert_sound(&store);
    take_out(&store, &["s1"], 97).unwrap();
    assert_eq!(exported(&store, "s4").unwrap(), before[3]);
    assert_sound(&store);
}

#[test]
fn test_joined_layers_without_a_sample_are_layers_without_it_joined() {
    let cohort = cohort(5, 1_500);
    let joining = |number: u8| CompactOptions {
        threads: 2,
        memory: 1 << 22,
        temp_dir: None,
        dry_run: false,
        created: "2026-01-02T00:00:00Z".into(),
        transaction: token(number),
    };
    for gone in ["s0", "s1", "s2", "s4"] {
        let stores = [Store::in_memory(), Store::in_memory()];
        for store in &stores {
            convert_with(&files(&cohort[..2]), Some(&fasta()), store, &small()).unwrap();
            add(&files(&cohort[2..4]), Some(&fasta()), store, 11);
            add(&files(&cohort[4..]), None, store, 12);
        }
        compact(&stores[0], &joining(20), &Arc::default()).unwrap();
        take_out(&stores[0], &[gone], 30).unwrap();
        take_out(&stores[1], &[gone], 21).unwrap();
        compact(&stores[1], &joining(30), &Arc::default()).unwrap();
        let [one, other] = stores.each_ref().map(|store| arrow_files(store, &token(30).token()));
        let names: Vec<&String> = one.keys().filter(|path| one[*path] != other[*path]).collect();
        assert!(one.keys().eq(other.keys()) && names.is_empty(), "without {gone}: {names:?}");
        stores.iter().for_each(assert_sound);
    }
}

/// Every byte of a store, decompressed as deep as the format goes.
fn everything(store: &Store) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for object in store.list("").unwrap() {
        let bytes = store.get(&object.key).unwrap().to_vec();
        if object.key.ends_with(".arrow") {
            let reader = arrow_ipc::reader::FileReader::try_new(Cursor::new(&bytes), None).unwrap();
            let mut text = Vec::new();
            for batch in reader {
                let columns = batch.unwrap().columns().to_vec();
                let mut open: Vec<_> = columns.iter().map(|column| column.to_data()).collect();
                while let Some(data) = open.pop() {
                    data.buffers().iter().for_each(|buffer| text.extend_from_slice(buffer));
                    open.extend(data.child_data().iter().cloned());
                }
            }
            all.push((object.key.clone(), text));
        } else if object.key.ends_with(".json.zst") {
            all.push((object.key.clone(), zstd::decode_all(&bytes[..]).unwrap()));
        } else if object.key.ends_with(".zst") {
            // Headers, of which the first is the dictionary of the others.
            let mut decoder = zstd::stream::read::Decoder::new(&bytes[..]).unwrap().single_frame();
            let mut head = Vec::new();
            std::io::Read::read_to_end(&mut decoder, &mut head).unwrap();
            let mut rest = &bytes[zstd::zstd_safe::find_frame_compressed_size(&bytes).unwrap()..];
            while !rest.is_empty() {
                let size = zstd::zstd_safe::find_frame_compressed_size(rest).unwrap();
                let decoder =
                    zstd::stream::read::Decoder::with_dictionary(&rest[..size], &head[..]);
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut decoder.unwrap(), &mut text).unwrap();
                all.push((object.key.clone(), text));
                rest = &rest[size..];
            }
            all.push((object.key.clone(), head));
        }
        all.push((object.key.clone(), object.key.into_bytes()));
        all.push((String::new(), bytes));
    }
    all
}

fn holders(store: &Store, words: &[&str]) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        words.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    };
    everything(store).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(key, _)| key).collect()
}

#[test]
fn test_nothing_of_a_withdrawn_sample_is_left() {
    let mut cohort = cohort(3, 1_500);
    // Reads and input of the one that goes have names that nobody else has.
    let text = &cohort[1].1;
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix('p') {
            Some(rest) => format!("withdrawnread{rest}"),
            None => line.replace("SM:s1", "SM:withdrawnsample"),
        })
        .collect();
    cohort[1] = ("withdrawnfile.sam".into(), text.join("\n") + "\n");
    let words = ["withdrawnread", "withdrawnfile", "withdrawnsample"];
    let store = Store::in_memory();
    convert_with(&files(&cohort[..2]), Some(&fasta()), &store, &small()).unwrap();
    dataset::tag(&store, "withdrawnsample", &At::Newest, "2026-01-02T00:00:00Z", token(50))
        .unwrap();
    add(&files(&cohort[2..]), None, &store, 11);
    let dead = Change::Append.begin(&store, token(60), false).unwrap();
    leave_behind(&dead);
    assert!(holders(&store, &words).len() > 20);
    let others = [exported(&store, "s0").unwrap(), exported(&store, "s2").unwrap()];
    let all_sites = sites(&store, &[]).unwrap();

    let purged = take_out(&store, &["withdrawnsample"], 99).unwrap();
    assert_eq!((purged.left, purged.versions), (vec![], vec![1, 2, 3]));
    assert_eq!(holders(&store, &words), [""; 0]);
    assert_eq!([exported(&store, "s0").unwrap(), exported(&store, "s2").unwrap()], others);
    assert!(sites(&store, &[]).unwrap().lines().count() < all_sites.lines().count());
    for version in 1..4 {
        let at = At::Version(version);
        let error =
            Reader::open(&store, at, Content::Alignments, &request(&[], &[])).err().unwrap();
        assert!(error.to_string().contains("given up"), "{error}");
    }
    assert_sound(&store);
    let error = take_out(&store, &["withdrawnsample"], 98).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("s0, s2"), "{error}");
}

/// What a transaction that died has uploaded.
fn leave_behind(dead: &Transaction) {
    let path = dead.path("regions/chr1_0000000000-0000007000", "coverage", "bin").unwrap();
    dead.store().put(&path, ::bytes::Bytes::from_static(b"withdrawnread")).unwrap();
}

#[test]
fn test_contigs_that_only_a_withdrawn_sample_has_go() {
    let cohort = cohort(3, 100);
    let longer = cohort[2]
        .1
        .replace("@RG", "@SQ\tSN:chr9x\tLN:5000\tM5:0123456789abcdef0123456789abcdef\n@RG");
    let store = Store::in_memory();
    convert_with(&files(&cohort[..1]), Some(&fasta()), &store, &small()).unwrap();
    add(&[("s2.sam", longer.as_bytes())], None, &store, 11);
    add(&files(&cohort[1..2]), Some(&fasta()), &store, 12);
    let before = [exported(&store, "s0").unwrap(), exported(&store, "s1").unwrap()];
    assert!(!holders(&store, &["chr9x"]).is_empty());
    take_out(&store, &["s2"], 99).unwrap();
    assert_eq!(holders(&store, &["chr9x"]), [""; 0]);
    assert_eq!([exported(&store, "s0").unwrap(), exported(&store, "s1").unwrap()], before);
    assert_sound(&store);
}

#[test]
fn test_what_cannot_be_purged_is_told() {
    let cohort = cohort(2, 20);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    for (samples, kind, what) in [
        (&["s7"][..], ErrorKind::NotFound, "one of its samples: s0, s1"),
        (&["s0", "s7"], ErrorKind::NotFound, "no sample \"s7\""),
        (&["s0", "s1"], ErrorKind::Usage, "remove the dataset itself"),
    ] {
        let error = take_out(&store, samples, 99).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert_eq!(Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version, 1);
    let keys = store.list("").unwrap();
    let dry = PurgeOptions { dry_run: true, ..purging(99) };
    let (purged, summary) = purge(&store, &["s0".into()], &dry, &Arc::default()).unwrap();
    assert_eq!((purged.version, purged.versions), (None, vec![1]));
    assert!(purged.objects.len() > 10 && summary.unwrap().samples == 1);
    assert_eq!(store.list("").unwrap(), keys);
}
