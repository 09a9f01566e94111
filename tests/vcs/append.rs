//! Records added to a dataset, and a contig redone: as `bcftools concat` would have it.

use genomic_objects::dataset::{Dataset, Operation, diff};
use genomic_objects::error::ErrorKind;
use genomic_objects::vcs::manifest::Details;
use genomic_objects::vcs::verify::verify;

use super::*;

const HEADER: &str = "##fileformat=VCFv4.2\n##contig=<ID=chr19,length=59128983>\n\
    ##contig=<ID=chr20,length=63025520>\n##contig=<ID=chr21>\n\
    ##FILTER=<ID=q10,Description=\"low\">\n\
    ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"depth\">\n\
    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"genotype\">\n";
const NAMES: &str = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT";

fn records(contig: &str, from: u64, count: u64, samples: usize) -> String {
    let cell = |at: u64, sample: usize| ["0/0", "0/1", "1|1", "./."][(at as usize + sample) % 4];
    let line = |at: u64| {
        let position = from + at * 10;
        // Now and then a value that columns do not hold.
        let depth = if at % 50 == 7 { "007".to_owned() } else { (at % 90).to_string() };
        let cells: String = (0..samples).map(|sample| format!("\t{}", cell(at, sample))).collect();
        format!("{contig}\t{position}\t.\tA\tC\t{}\tPASS\tDP={depth}\tGT{cells}\n", at % 60)
    };
    (0..count).map(line).collect()
}

fn vcf(extra: &str, samples: usize, body: &str) -> String {
    let names: String = (0..samples).map(|sample| format!("\tS{sample}")).collect();
    format!("{HEADER}{extra}{NAMES}{names}\n{body}")
}

fn change(change: Change, number: u8) -> WriteOptions {
    WriteOptions {
        change,
        transaction: TransactionId::from_bytes([number; 16]),
        second_transaction: TransactionId::from_bytes([100 + number; 16]),
        row_group_rows: 100,
        ..options()
    }
}

fn body(store: &Store, at: At) -> String {
    let reader = Reader::open(store, at, &Places::default()).unwrap();
    let mut text = Vec::new();
    genomic_objects::vcs::export::lines(
        &reader,
        2,
        Default::default(),
        &Arc::new(Progress::default()),
        |lines| {
            text.extend_from_slice(lines);
            Ok(())
        },
    )
    .unwrap();
    String::from_utf8(text).unwrap()
}

fn details(store: &Store) -> Details {
    Details::read(Dataset::open(store, At::Newest).unwrap().manifest()).unwrap()
}

/// What does not depend on where parts lie, and how well they are compressed.
fn totals(store: &Store) -> Details {
    let mut details = details(store);
    details.index = Default::default();
    details.statistics.site_bytes = 0;
    details.statistics.call_bytes = 0;
    details.statistics.exact_bytes = 0;
    // Lines are numbered as in the file that they came from.
    details.odd.values_mut().for_each(|found| found.line = 0);
    details
}

fn assert_sound(store: &Store) {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let chunks = dataset.chunks().unwrap();
    let of = |folder: &str| -> u64 {
        chunks.iter().filter(|c| c.path.starts_with(folder)).map(|c| c.size_bytes).sum()
    };
    let bytes = details(store).statistics;
    let found = (of("data/"), of("_calls/"), of("_exact/"));
    assert_eq!((bytes.site_bytes, bytes.call_bytes, bytes.exact_bytes), found);
}

#[test]
fn test_append_equals_a_conversion_of_all_records() {
    for samples in [0, 3, 70] {
        let first = records("chr19", 100, 400, samples) + &records("chr20", 100, 300, samples);
        let second = records("chr20", 5000, 200, samples) + &records("chr21", 1, 300, samples);
        let extra = "##bcftools_viewCommand=view\n##FILTER=<ID=late,Description=\"x\">\n";
        let store = Store::in_memory();
        convert("1", vcf("", samples, &first).as_bytes(), &store, &change(Change::Create, 1))
            .unwrap();
        let before = Dataset::open(&store, At::Newest).unwrap();
        let summary = convert(
            "2",
            vcf(extra, samples, &second).as_bytes(),
            &store,
            &change(Change::Append, 2),
        );
        let summary = summary.unwrap();
        assert_eq!((summary.variants, summary.dataset_version), (500, 2));
        let after = Dataset::open(&store, At::Newest).unwrap();
        assert_eq!(after.manifest().operation, Operation::Append);
        let difference = diff(&before, &after).unwrap();
        assert!(difference.removed.iter().all(|object| object.kind != "chunk"));
        assert!(difference.common > 3, "{difference:?}");
        assert_sound(&store);

        let all = first.clone()
            + &records("chr20", 5000, 200, samples)
            + &records("chr21", 1, 300, samples);
        let whole = Store::in_memory();
        convert("all", vcf(extra, samples, &all).as_bytes(), &whole, &change(Change::Create, 1))
            .unwrap();
        assert_eq!(body(&store, At::Newest), all);
        assert_eq!(totals(&store), totals(&whole));
        for places in
            [regions(&["chr20:3000-5100"]), regions(&["chr21"]), regions(&["chr19:1-500"])]
        {
            assert_eq!(lines(&store, &places).unwrap().0, lines(&whole, &places).unwrap().0);
        }
        let header = Reader::open(&store, At::Newest, &Places::default()).unwrap();
        assert_eq!(header.schema().header, vcf(extra, samples, "").into_bytes());
        assert_eq!(body(&store, At::Version(1)), first);
    }
}

#[test]
fn test_append_gives_the_same_bytes_at_any_thread_count() {
    let stores = [1, 3].map(|threads| {
        let store = Store::in_memory();
        let with = |options: WriteOptions| WriteOptions { threads, ..options };
        let (one, two) = (records("chr19", 1, 700, 2), records("chr20", 1, 700, 2));
        convert("1", vcf("", 2, &one).as_bytes(), &store, &with(change(Change::Create, 1)))
            .unwrap();
        convert("2", vcf("", 2, &two).as_bytes(), &store, &with(change(Change::Append, 2)))
            .unwrap();
        let objects = store.list("").unwrap();
        objects.into_iter().map(|o| (o.key.clone(), store.get(&o.key).unwrap())).collect::<Vec<_>>()
    });
    assert!(stores[0] == stores[1]);
}

#[test]
fn test_replace_redoes_a_contig_and_shares_the_others() {
    for samples in [2, 70] {
        let [one, two, three] =
            ["chr19", "chr20", "chr21"].map(|contig| records(contig, 50, 300, samples));
        let store = Store::in_memory();
        let all = [one.clone(), two, three.clone()].concat();
        convert("1", vcf("", samples, &all).as_bytes(), &store, &change(Change::Create, 1))
            .unwrap();
        let before = Dataset::open(&store, At::Newest).unwrap();
        // Records of other contigs are left alone.
        let redone = records("chr20", 7, 123, samples);
        let input = records("chr19", 1, 5, samples) + &redone;
        let options = change(Change::Replace(vec!["chr20".into()]), 2);
        convert("2", vcf("", samples, &input).as_bytes(), &store, &options).unwrap();
        assert_sound(&store);
        let expected = [one, redone, three].concat();
        assert_eq!(body(&store, At::Newest), expected);
        assert_eq!(body(&store, At::Version(1)), all);
        let whole = Store::in_memory();
        convert("w", vcf("", samples, &expected).as_bytes(), &whole, &change(Change::Create, 1))
            .unwrap();
        assert_eq!(totals(&store), totals(&whole));
        let after = Dataset::open(&store, At::Newest).unwrap();
        assert_eq!(after.manifest().operation, Operation::Replace);
        let removed = diff(&before, &after).unwrap().removed;
        assert!(
            removed.iter().filter(|o| o.kind == "chunk").all(|o| o.path.contains("contig=chr20"))
        );
    }
}

#[test]
fn test_append_keeps_the_order_of_inputs_where_the_dataset_does() {
    let (front, back) = (records("chr20", 1, 50, 1), records("chr20", 5000, 50, 1));
    let shuffled = back.clone() + &front;
    let store = Store::in_memory();
    convert("1", vcf("", 1, &shuffled).as_bytes(), &store, &change(Change::Create, 1)).unwrap();
    let (later, more) = (records("chr21", 900, 50, 1), records("chr21", 1, 50, 1));
    let second = later + &more;
    convert("2", vcf("", 1, &second).as_bytes(), &store, &change(Change::Append, 2)).unwrap();
    assert_eq!(body(&store, At::Newest), shuffled + &second);
    let replace = change(Change::Replace(vec!["chr20".into()]), 3);
    let error = convert("3", vcf("", 1, &front).as_bytes(), &store, &replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn test_append_refuses_what_does_not_fit() {
    let store = Store::in_memory();
    let append = |text: String, number| {
        convert("x", text.as_bytes(), &store, &change(Change::Append, number)).unwrap_err()
    };
    let first = records("chr20", 1000, 100, 2);
    assert_eq!(append(vcf("", 2, &first), 1).kind(), ErrorKind::NotFound);
    convert("1", vcf("", 2, &first).as_bytes(), &store, &change(Change::Create, 2)).unwrap();
    let version_1 = body(&store, At::Newest);

    let error = append(vcf("", 2, &records("chr20", 1500, 9, 2)), 3).to_string();
    assert!(error.contains("chr20:1990 or later") && error.contains("--replace chr20"), "{error}");
    let error = append(vcf("", 1, &records("chr21", 1, 9, 1)), 4).to_string();
    assert!(error.contains("other samples"), "{error}");
    let new = "##INFO=<ID=NEW,Number=1,Type=Integer,Description=\"\">\n";
    let error = append(vcf(new, 2, &records("chr21", 1, 9, 2)), 5).to_string();
    assert!(error.contains("no column for INFO/NEW"), "{error}");
    let other = vcf("", 2, &records("chr21", 1, 9, 2)).replace("ID=DP,Number=1", "ID=DP,Number=.");
    assert!(append(other, 6).to_string().contains("INFO/DP is declared otherwise"));
    let longer = vcf("", 2, &records("chr21", 1, 9, 2)).replace("63025520", "63025521");
    assert!(append(longer, 7).to_string().contains("another length"));
    let shuffled = records("chr21", 500, 9, 2) + &records("chr21", 1, 9, 2);
    assert!(append(vcf("", 2, &shuffled), 8).to_string().contains("out of order"));

    let replace = |contig: &str, text: &str, number| {
        let options = change(Change::Replace(vec![contig.into()]), number);
        convert("x", text.as_bytes(), &store, &options).unwrap_err()
    };
    assert_eq!(replace("chr21", &vcf("", 2, &first), 9).kind(), ErrorKind::Usage);
    let none = replace("chr20", &vcf("", 2, &records("chr21", 1, 5, 2)), 10).to_string();
    assert!(none.contains("no records on chr20"), "{none}");
    // Nothing came of any of it, and nothing is left.
    assert_eq!(Dataset::open(&store, At::Newest).unwrap().manifest().dataset_version, 1);
    assert_eq!(body(&store, At::Newest), version_1);
    let tokens = store.list("").unwrap();
    assert!(tokens.iter().all(|o| o.key.contains("0202020202020202") || o.key.starts_with('_')));
}

#[test]
fn test_append_equals_bcftools_concat() {
    let Some(corpora) = corpus::require() else { return };
    let file = corpora.join("variants/1000g_phase3.chr22_16-16.5M.2504samples.vcf.gz");
    let view = |regions: &str| {
        let output = std::process::Command::new("bcftools")
            .args(["view", "--no-version", "-t", regions])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let (first, second) = (view("22:1-16200000"), view("22:16200001-99999999"));
    let store = Store::in_memory();
    convert("1", &first, &store, &change(Change::Create, 1)).unwrap();
    convert("2", &second, &store, &change(Change::Append, 2)).unwrap();
    let all = view("22");
    let records = all.split_inclusive(|&byte| byte == b'\n').filter(|line| line[0] != b'#');
    assert!(body(&store, At::Newest).into_bytes() == records.collect::<Vec<_>>().concat());
}
