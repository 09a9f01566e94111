//! Samples that are taken out: the rest is what a conversion without them gives, and nothing of them
//! is left anywhere.

use super::*;
use genomic_objects::dataset::{self, Dataset, Purged};
use genomic_objects::error::ErrorKind;
use genomic_objects::pipeline::SortOptions;
use genomic_objects::vcs::purge::{PurgeOptions, Written, purge};
use genomic_objects::vcs::select::Subset;
use genomic_objects::vcs::verify::verify;

fn take_out(store: &Store, samples: &[&str]) -> Result<(Purged, Option<Written>)> {
    let options = PurgeOptions {
        threads: 2,
        sorting: SortOptions::default(),
        dry_run: false,
        created: "2026-01-02T00:00:00Z".into(),
        transaction: TransactionId::from_bytes([99; 16]),
    };
    let samples: Vec<String> = samples.iter().map(|&name| name.to_owned()).collect();
    purge(store, &samples, &options, &Arc::default())
}

/// What `vcs-to-vcf` gives.
fn whole(store: &Store) -> String {
    let reader = Reader::open(store, At::Newest, &Places::default()).unwrap();
    let mut text = reader.schema().header.clone();
    genomic_objects::vcs::export::text(&reader, 2, Default::default(), &Arc::default(), |part| {
        text.extend_from_slice(part);
        Ok(())
    })
    .unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn convert_without(bytes: &[u8], gone: &[&str], store: &Store, options: &WriteOptions) {
    let mut open = || {
        let lines = text::open(input_of("x.vcf", bytes.to_vec()))?;
        let all = lines.declarations.samples.iter();
        let samples = all.filter(|name| !gone.contains(&name.as_str())).cloned().collect();
        Subset { samples: Some(samples), ..Subset::default() }.of(lines)
    };
    write(&mut open, store, options, &Arc::default()).unwrap();
}

fn assert_sound(store: &Store) {
    let dataset = Dataset::open(store, At::Newest).unwrap();
    let report = verify(&dataset, 2, None).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(dataset::audit(store).unwrap(), [""; 0]);
}

/// Records of so many samples, some with values that columns do not hold, in order or not.
fn vcf(samples: usize, sorted: bool, ending: &str) -> String {
    let mut text = "##fileformat=VCFv4.2\n##contig=<ID=c1,length=90000>\n##contig=<ID=c2>\n\
        ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
        ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
        .to_owned();
    (0..samples).for_each(|sample| text += &format!("\tNA{sample}"));
    for at in 0..400_u32 {
        let position = if sorted { 100 + at } else { 100 + at * 37 % 400 };
        let contig = if at < 300 { "c1" } else { "c2" };
        text += &format!("\n{contig}\t{position}\t.\tA\tC\t{at}\tPASS\tDP={at}\tGT:DP");
        for sample in 0..samples as u32 {
            let depth = match (at + sample) % 29 {
                3 => "007".to_owned(),
                4 => format!("odd{sample}value"),
                depth => depth.to_string(),
            };
            text +=
                &format!("\t{}:{depth}", ["0/0", "0/1", "1|1", "./."][(at + sample) as usize % 4]);
        }
    }
    text + ending
}

#[test]
fn test_purged_dataset_gives_what_a_conversion_without_the_samples_does() {
    for (samples, sorted, ending, gone) in [
        (3, true, "\n", &["NA1"][..]),
        (3, false, "", &["NA0", "NA2"]),
        (300, true, "\n\n", &["NA299", "NA7"]),
        (300, false, "\n", &["NA0"]),
    ] {
        let text = vcf(samples, sorted, ending);
        let (store, fresh) = (Store::in_memory(), Store::in_memory());
        let options = WriteOptions { row_group_rows: 64, ..options() };
        convert("x.vcf", text.as_bytes(), &store, &options).unwrap();
        let (purged, written) = take_out(&store, gone).unwrap();
        assert_eq!((purged.version, purged.left), (Some(2), vec![]));
        let written = written.unwrap();
        assert_eq!(written.summary.samples as usize, samples - gone.len());
        convert_without(text.as_bytes(), gone, &fresh, &options);
        assert_eq!(whole(&store), whole(&fresh));
        assert_sound(&store);
        let schema = store.get("_schema.json").unwrap();
        assert!(!String::from_utf8_lossy(&schema).contains(&format!("{}\"", gone[0])));
    }
}

#[test]
fn test_real_files_lose_a_sample() {
    let Some(data) = corpus::require() else { return };
    let mut tried = 0;
    for path in good_files(&data) {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Ok(lines) = text::open(input_of(name, bytes.clone())) else { continue };
        let samples = lines.declarations.samples;
        if samples.len() < 2 || bytes.len() > 300_000 {
            continue;
        }
        let gone = [samples[samples.len() / 2].as_str()];
        let (store, fresh) = (Store::in_memory(), Store::in_memory());
        convert(name, &bytes, &store, &options()).unwrap();
        take_out(&store, &gone).unwrap();
        convert_without(&bytes, &gone, &fresh, &options());
        assert_eq!(whole(&store), whole(&fresh), "{name}");
        assert_sound(&store);
        tried += 1;
    }
    assert!(tried > 20, "{tried} files");
}

/// Every byte of a store, decompressed as deep as the format goes.
fn everything(store: &Store) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for object in store.list("").unwrap() {
        let bytes = store.get(&object.key).unwrap().to_vec();
        // Frames wherever they begin: of objects, pages of Parquet, and residuals.
        for at in memchr::memmem::find_iter(&bytes, &[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = zstd::stream::read::Decoder::new(&bytes[at..]);
            let mut text = Vec::new();
            let mut decoder = decoder.unwrap().single_frame();
            if std::io::Read::read_to_end(&mut decoder, &mut text).is_ok() {
                all.push((object.key.clone(), text));
            }
        }
        all.push((object.key.clone(), object.key.into_bytes()));
        all.push((String::new(), bytes));
    }
    all
}

fn holders(store: &Store, words: &[&str]) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        words.iter().any(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
    };
    everything(store).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(key, _)| key).collect()
}

#[test]
fn test_nothing_of_a_withdrawn_sample_is_left() {
    for samples in [3, 300] {
        // Its name, and values that only it has.
        let text = vcf(samples, true, "\n").replace("\tNA1\t", "\tWITHDRAWN\t");
        let words = ["WITHDRAWN", "odd1value"];
        let store = Store::in_memory();
        let input = InputInfo {
            name: "WITHDRAWN-and-others.vcf".into(),
            size_bytes: Some(7),
            checksum: None,
            program: None,
        };
        let options = WriteOptions { row_group_rows: 64, input, ..options() };
        convert("x.vcf", text.as_bytes(), &store, &options).unwrap();
        let again = WriteOptions {
            change: Change::Overwrite,
            transaction: TransactionId::from_bytes([17; 16]),
            ..options
        };
        convert("x.vcf", text.as_bytes(), &store, &again).unwrap();
        let id = TransactionId::from_bytes([50; 16]);
        dataset::tag(&store, "WITHDRAWN", &At::Version(1), "2026-01-02T00:00:00Z", id).unwrap();
        let dead = TransactionId::from_bytes([60; 16]);
        let dead = dataset::Transaction::begin(&store, None, dead).unwrap();
        let path = dead.path("data", "part", "parquet").unwrap();
        store.put(&path, ::bytes::Bytes::from_static(b"WITHDRAWN")).unwrap();
        assert!(holders(&store, &words).len() > 6);

        let (purged, _) = take_out(&store, &["WITHDRAWN"]).unwrap();
        assert_eq!((purged.left, purged.versions), (vec![], vec![1, 2, 3]));
        assert_eq!(holders(&store, &words), [""; 0], "{samples} samples");
        let error = Reader::open(&store, At::Version(2), &Places::default()).err().unwrap();
        assert!(error.to_string().contains("given up"), "{error}");
        assert_sound(&store);
    }
}

const COLUMNS: &str = r#"
import sys, duckdb
query = f"SELECT * FROM read_parquet('{sys.argv[1]}/data/**/*.parquet', union_by_name = true)"
names = [column[0] for column in duckdb.sql(query).description]
assert any(name.startswith("NA0_") for name in names), names
assert not any("NA1" in name for name in names), names
"#;

#[test]
fn test_columns_of_a_withdrawn_sample_are_gone_for_other_programs() {
    if !testkit::python::require(&["duckdb"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.vcs");
    let store = Store::open(path.to_str().unwrap(), &Default::default()).unwrap();
    convert("x.vcf", vcf(3, true, "\n").as_bytes(), &store, &options()).unwrap();
    take_out(&store, &["NA1"]).unwrap();
    testkit::python::run(["-c", COLUMNS, path.to_str().unwrap()]).unwrap();
}

#[test]
fn test_what_cannot_be_purged_is_told() {
    let store = Store::in_memory();
    let text =
        vcf(2, true, "\n").replace("#CHROM", "##SAMPLE=<ID=NA1>\n##cmd=merge NA10 x\n#CHROM");
    convert("x.vcf", text.as_bytes(), &store, &options()).unwrap();
    for (samples, kind, what) in [
        (&["NA7"][..], ErrorKind::NotFound, "one of its samples: NA0, NA1"),
        (&["NA0", "NA7"], ErrorKind::NotFound, "no sample \"NA7\""),
        (&["NA0", "NA1"], ErrorKind::Usage, "remove the dataset itself"),
    ] {
        let error = take_out(&store, samples).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let (_, written) = take_out(&store, &["NA1"]).unwrap();
    assert_eq!(written.unwrap().header_lines, [7]);
}
