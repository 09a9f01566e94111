//! Reads added to a dataset, and a lane redone: as if all files had been converted together.

use genomic_objects::dataset::{Dataset, Operation, diff, log};
use genomic_objects::error::ErrorKind;
use genomic_objects::srf::manifest::Details;
use genomic_objects::srf::verify::verify;

use super::*;

fn small(layout: Layout, order: Order) -> WriteOptions {
    WriteOptions { order, batch_reads: 100, chunk_reads: 700, ..options(layout) }
}

/// Options of a change by transaction `number`, of inputs by these names.
fn change(change: Change, number: u8, inputs: &[&str]) -> WriteOptions {
    let info = |name: &&str| InputInfo {
        name: (*name).into(),
        size_bytes: None,
        checksum: None,
        program: None,
    };
    WriteOptions {
        change,
        transaction: TransactionId::from_bytes([number; 16]),
        inputs: inputs.iter().map(info).collect(),
        ..small(Layout::Plain, Order::None)
    }
}

fn renamed(text: &[u8], prefix: &str) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let lines = text.split_inclusive('\n').enumerate().map(|(at, line)| match at % 4 {
        0 => format!("@{prefix}{}", &line[1..]),
        _ => line.to_owned(),
    });
    lines.collect::<String>().into_bytes()
}

fn details(store: &Store) -> Details {
    Details::read(Dataset::open(store, At::Newest).unwrap().manifest()).unwrap()
}

/// What does not depend on where chunks and batches end.
fn totals(store: &Store) -> Details {
    let found = details(store);
    Details {
        input_order: Default::default(),
        ordered: None,
        read_ids: vec![Default::default()],
        lanes: Vec::new(),
        ..found
    }
}

fn assert_sound(store: &Store) {
    let report = verify(&Dataset::open(store, At::Newest).unwrap(), 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// Numbers and names of all that a query finds.
fn answers(store: &Store, selection: Selection, filter: Filter) -> Vec<String> {
    let mut names = query(store, selection, filter).unwrap().0;
    names.sort();
    names
}

#[test]
fn test_append_answers_like_a_conversion_of_all_files() {
    let lanes: [Vec<u8>; 3] = [
        renamed(&fastq(1500, 1, true), "a"),
        renamed(&fastq(900, 2, true), "b"),
        renamed(&fastq(400, 3, false), "c"),
    ];
    let all = lanes.concat();
    for (layout, orders) in [
        (Layout::Plain, [Order::None, Order::Quality]),
        (Layout::Compact, [Order::None, Order::Length]),
    ] {
        for order in orders {
            let whole = Store::in_memory();
            convert(&[("all", &all)], &whole, &small(layout, order)).unwrap();
            let store = Store::in_memory();
            let first = WriteOptions {
                inputs: change(Change::Create, 1, &["a"]).inputs,
                ..small(layout, order)
            };
            convert(&[("a", &lanes[0])], &store, &first).unwrap();
            for (number, (name, lane)) in
                [("b", &lanes[1]), ("c", &lanes[2])].into_iter().enumerate()
            {
                let before = Dataset::open(&store, At::Newest).unwrap();
                let options = change(Change::Append, 20 + number as u8, &[name]);
                let summary = convert(&[(name, lane)], &store, &options).unwrap();
                assert_eq!(summary.dataset_version, 2 + number as u64);
                let after = Dataset::open(&store, At::Newest).unwrap();
                assert_eq!(after.manifest().operation, Operation::Append);
                let removed = diff(&before, &after).unwrap().removed;
                let is_shared = |path: &str| path.starts_with("chunks/");
                assert!(removed.iter().all(|object| !is_shared(&object.path)), "{removed:?}");
                assert_sound(&store);
            }
            assert_eq!(
                export(&store, false).unwrap(),
                std::slice::from_ref(&all),
                "{layout:?} {order:?}"
            );
            assert_eq!(totals(&store), totals(&whole), "{layout:?} {order:?}");
            let names: Vec<String> = query(&whole, Selection::All, Filter::default()).unwrap().0;
            for selection in [
                Selection::All,
                Selection::Numbers(vec![1400..1600, 2300..2500]),
                Selection::Names(vec![names[3].clone(), names[1600].clone(), names[2700].clone()]),
            ] {
                let quality = Filter { min_quality: Some(25.0), ..Filter::default() };
                let length = Filter { min_length: Some(140), ..Filter::default() };
                for filter in [Filter::default(), quality, length] {
                    let expected = answers(&whole, selection.clone(), filter);
                    assert_eq!(answers(&store, selection.clone(), filter), expected);
                }
            }
            let old = Reader::open(&store, At::Version(1), Selection::All, Filter::default());
            let mut text = Vec::new();
            old.unwrap()
                .export(2, false, false, |texts, _| {
                    text.extend_from_slice(&texts[0]);
                    Ok(())
                })
                .unwrap();
            assert_eq!(text, lanes[0]);
        }
    }
}

#[test]
fn test_append_gives_the_same_bytes_at_any_thread_count() {
    let (first, second) = (fastq(900, 1, true), renamed(&fastq(800, 2, false), "b"));
    let stores = [1, 3].map(|threads| {
        let store = Store::in_memory();
        let with = |options: WriteOptions| WriteOptions { threads, ..options };
        convert(&[("a", &first)], &store, &with(small(Layout::Plain, Order::None))).unwrap();
        convert(&[("b", &second)], &store, &with(change(Change::Append, 2, &["b"]))).unwrap();
        store
    });
    let [one, three] = stores.map(|store| {
        let objects = store.list("").unwrap();
        objects.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap())).collect::<Vec<_>>()
    });
    assert!(one == three);
}

#[test]
fn test_replace_redoes_the_lane_of_a_file() {
    let lane = |name: &str, seed| renamed(&fastq(800, seed, true), name);
    for order in [Order::None, Order::Quality] {
        let store = Store::in_memory();
        let first = WriteOptions { order, ..change(Change::Create, 1, &["a.fq"]) };
        convert(&[("a", &lane("a", 1))], &store, &first).unwrap();
        for (number, name) in [(2, "b.fq"), (3, "c.fq")] {
            let options = change(Change::Append, number, &[name]);
            convert(&[(name, &lane(&name[..1], number.into()))], &store, &options).unwrap();
        }
        let before = Dataset::open(&store, At::Newest).unwrap();
        let redone = renamed(&fastq(333, 9, false), "new");
        let options = change(Change::Replace(vec!["b.fq".into()]), 4, &["b2.fq"]);
        convert(&[("b2", &redone)], &store, &options).unwrap();
        assert_sound(&store);
        let expected = [lane("a", 1), redone.clone(), lane("c", 3)].concat();
        assert_eq!(export(&store, false).unwrap(), std::slice::from_ref(&expected));
        let whole = Store::in_memory();
        convert(
            &[("all", &expected)],
            &whole,
            &WriteOptions { order, ..small(Layout::Plain, order) },
        )
        .unwrap();
        assert_eq!(totals(&store), totals(&whole));
        let names = query(&whole, Selection::All, Filter::default()).unwrap().0;
        for at in [5, 900, 1800] {
            let selection = Selection::Names(vec![names[at].clone()]);
            assert_eq!(answers(&store, selection, Filter::default()), [names[at].clone()]);
        }
        let after = Dataset::open(&store, At::Newest).unwrap();
        let inputs: Vec<&str> = after.manifest().inputs.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(inputs, ["a.fq", "b2.fq", "c.fq"]);
        let difference = diff(&before, &after).unwrap();
        let chunks = |objects: &[genomic_objects::dataset::LiveObject]| {
            objects.iter().filter(|object| object.path.starts_with("chunks/")).count()
        };
        assert_eq!((chunks(&difference.removed), chunks(&difference.added)), (2, 1));
        assert_eq!(log(&store).unwrap()[0].manifest.operation, Operation::Replace);

        let again = convert(
            &[("b2", &redone)],
            &store,
            &change(Change::Replace(vec!["b.fq".into()]), 5, &["x"]),
        );
        let error = again.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("no reads came from b.fq"), "{error}");
    }
}

#[test]
fn test_append_of_pairs_keeps_them_together() {
    let files = |seed| {
        let text = fastq(600, seed, true);
        [renamed(&text, "p"), renamed(&text, "p")]
    };
    let store = Store::in_memory();
    let [one, two] = files(1);
    convert(&[("1", &one), ("2", &two)], &store, &small(Layout::Plain, Order::None)).unwrap();
    let [three, four] = files(2);
    convert(&[("3", &three), ("4", &four)], &store, &change(Change::Append, 2, &["3", "4"]))
        .unwrap();
    assert_sound(&store);
    assert_eq!(
        export(&store, false).unwrap(),
        [[one, three.clone()].concat(), [two, four].concat()]
    );
    let error = convert(&[("3", &three)], &store, &change(Change::Append, 3, &["3"])).unwrap_err();
    assert!(error.to_string().contains("another kind of reads"), "{error}");
}

#[test]
fn test_append_refuses_what_has_no_place() {
    let store = Store::in_memory();
    let reads = fastq(10, 1, true);
    let nowhere =
        convert(&[("a", &reads)], &store, &change(Change::Append, 1, &["a"])).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    let cut = &reads[..reads.len() - 1];
    convert(&[("a", cut)], &store, &small(Layout::Plain, Order::None)).unwrap();
    let error = convert(&[("b", &reads)], &store, &change(Change::Append, 2, &["b"])).unwrap_err();
    assert!(error.to_string().contains("no line end"), "{error}");
    let fasta = convert(&[("c", &b">a\nACGT\n"[..])], &store, &change(Change::Append, 3, &["c"]));
    assert!(fasta.unwrap_err().to_string().contains("single reads in FASTA"));
    // Nothing came of any of it.
    assert_eq!(Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version, 1);
    assert_eq!(export(&store, false).unwrap(), [cut.to_vec()]);
}

/// An input during whose reading somebody else appends.
struct Meanwhile {
    text: std::io::Cursor<Vec<u8>>,
    other: Option<Box<dyn FnOnce() + Send>>,
}

impl std::io::Read for Meanwhile {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if let Some(other) = self.other.take() {
            other();
        }
        self.text.read(into)
    }
}

#[test]
fn test_concurrent_appends_conflict_and_none_is_lost() {
    let store = Store::in_memory();
    let lanes = [
        renamed(&fastq(50, 1, true), "a"),
        renamed(&fastq(50, 2, true), "b"),
        renamed(&fastq(50, 3, true), "c"),
    ];
    convert(&[("a", &lanes[0])], &store, &small(Layout::Plain, Order::None)).unwrap();
    let slow = change(Change::Append, 2, &["b"]);
    let (other_store, other_lane) = (store.clone(), lanes[2].clone());
    let other = Box::new(move || {
        let options = change(Change::Append, 3, &["c"]);
        convert(&[("c", &other_lane)], &other_store, &options).unwrap();
    });
    let text = std::io::Cursor::new(lanes[1].clone());
    let reader = Box::new(Meanwhile { text, other: Some(other) });
    let input = Input { name: "b".into(), size: None, version: None, reader };
    let open = || {
        let (name, text) = reads::open(input, 1)?;
        Ok(vec![Framer::new(text, &name)?])
    };
    let error = write(open, &store, &slow, &Arc::new(Progress::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.help_text().unwrap().contains("run the command again"), "{error}");
    assert_eq!(export(&store, false).unwrap(), [[&lanes[0][..], &lanes[2]].concat()]);
    // What the loser wrote is gone, and its second try succeeds.
    let again = change(Change::Append, 4, &["b"]);
    convert(&[("b", &lanes[1])], &store, &again).unwrap();
    let expected = [&lanes[0][..], &lanes[2], &lanes[1]].concat();
    assert_eq!(export(&store, false).unwrap(), [expected]);
    assert!(store.list("").unwrap().iter().all(|object| !object.key.contains("0202020202020202")));
}
