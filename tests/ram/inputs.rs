//! Inputs besides files on disk: PAF datasets, objects in a bucket, CRAM.

use std::path::PathBuf;

use genomic_objects::codec::Effort;
use genomic_objects::dataset::Change;
use genomic_objects::paf;
use genomic_objects::store::{StoreOptions, open_input};
use testkit::{corpus, oracle, s3};

use super::*;

/// A PAF dataset of a SAM file.
fn paf_of(name: &str, text: &str) -> Store {
    let store = Store::in_memory();
    let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut source = open(name, reader, &SourceOptions::default()).unwrap();
    let options = paf::write::WriteOptions {
        chunk_size: 10_000,
        effort: Effort::Fast,
        sample: None,
        threads: 2,
        ordering: paf::order::Ordering { sort: true, options: SortOptions::default() },
        change: Change::Create,
        verify: false,
        dry_run: false,
        created: "2026-01-01T00:00:00Z".into(),
        transaction: TransactionId::from_bytes([3; 16]),
        input: input(None, name).info,
    };
    paf::write::write(&mut *source, &store, &options, &Arc::default()).unwrap();
    store
}

#[test]
fn test_paf_datasets_are_taken_like_the_files_they_were_made_from() {
    let sorted = sam("a", 150, 1);
    let (head, body) = sam("b", 150, 2).split_at_records();
    let unsorted: String = head.replace("coordinate", "unsorted")
        + &body.lines().rev().map(|line| format!("{line}\n")).collect::<String>();
    let texts = [sorted, unsorted];
    let stores: Vec<Store> =
        ["a.sam", "b.sam"].iter().zip(&texts).map(|(name, text)| paf_of(name, text)).collect();
    let opener = |number: usize| {
        let places = paf::read::Places::default();
        let reader = paf::read::Reader::open(&stores[number], At::Newest, &places)?;
        Ok(Opened::Dataset(Box::new(reader)))
    };
    let store = Store::in_memory();
    let inputs = [input(None, "a.paf"), input(None, "b.paf")];
    write(&inputs, &opener, None, &store, &small(), &Arc::default()).unwrap();
    for (sample, text) in ["a", "b"].iter().zip(&texts) {
        assert!(exported(&store, sample).unwrap() == text.as_bytes(), "{sample}");
    }
    let from_files = Store::in_memory();
    let given = [("a.sam", texts[0].as_bytes()), ("b.sam", texts[1].as_bytes())];
    convert(&given, &from_files, &small()).unwrap();
    for region in ["chr1:6900-7100", "chr2", "*"] {
        assert_eq!(
            query(&store, &[region], &[]).unwrap().0,
            query(&from_files, &[region], &[]).unwrap().0
        );
    }
}

trait Split {
    fn split_at_records(&self) -> (String, String);
}

impl Split for String {
    /// The header and the records.
    fn split_at_records(&self) -> (String, String) {
        let (head, body) = self.split_at(self.find("\np").unwrap() + 1);
        (head.to_owned(), body.to_owned())
    }
}

#[test]
fn test_files_in_a_bucket_are_read_from_there() {
    let server = s3::Server::start().unwrap();
    let options = support::s3_options(&server);
    let cohort = cohort(3, 120);
    let bucket = support::s3_store(&server, "incoming");
    for (name, text) in &cohort {
        bucket.put(name, text.clone().into_bytes().into()).unwrap();
    }
    let opener = |number: usize| {
        let location = format!("s3://{}/incoming/{}", s3::BUCKET, cohort[number].0);
        let input = open_input(&location, &options)?;
        assert!(input.version.is_some(), "nothing tells when the object changes");
        let source = open(&input.name, input.reader, &SourceOptions::default())?;
        Ok(Opened::File(source, input.version))
    };
    let inputs: Vec<SampleInput> = cohort.iter().map(|(name, _)| input(None, name)).collect();
    let store = support::s3_store(&server, "cohort.ram");
    write(&inputs, &opener, None, &store, &small(), &Arc::default()).unwrap();
    for (number, (_, text)) in cohort.iter().enumerate() {
        assert!(exported(&store, &format!("s{number}")).unwrap() == text.as_bytes());
    }
    bucket.delete(&["s1.sam".to_owned()]).unwrap();
    let again = Store::in_memory();
    let error = write(&inputs, &opener, None, &again, &small(), &Arc::default()).unwrap_err();
    assert!(error.to_string().contains("s1.sam"), "{error}");
}

#[test]
fn test_cram_comes_to_what_its_bam_does() {
    let Some(data) = corpus::require() else { return };
    let levels = data.join("alignments/cram_levels");
    let convert_file = |path: PathBuf, reference: Option<PathBuf>| {
        let store = Store::in_memory();
        let opener = |_: usize| {
            let input = open_input(path.to_str().unwrap(), &StoreOptions::default())?;
            let options = SourceOptions { reference: reference.clone(), ..Default::default() };
            Ok(Opened::File(open(&input.name, input.reader, &options)?, None))
        };
        let inputs = [input(Some("it"), "it")];
        write(&inputs, &opener, None, &store, &options(), &Arc::default()).unwrap();
        store
    };
    let lines = |store: &Store| query(store, &["chrM:20-60"], &[]).unwrap().0;
    let bam = lines(&convert_file(levels.join("NA12878.platinum_chrM.level-9.bam"), None));
    assert!(!bam.is_empty());
    for name in ["NA12878.platinum_chrM.v30.level-2.cram", "NA12878.platinum_chrM.v31.level-4.cram"]
    {
        let fields = |text: &str| -> Vec<String> {
            // CRAM keeps tags in an order of its own.
            text.lines()
                .map(|line| line.split('\t').take(11).collect::<Vec<_>>().join("\t"))
                .collect()
        };
        assert_eq!(fields(&lines(&convert_file(levels.join(name), None))), fields(&bam), "{name}");
    }
    if !oracle::require() {
        return;
    }
    let (cram, reference) =
        (data.join("alignments/ecoli_pe_se.cram"), data.join("reference/ecoli_K12.fa.gz"));
    let store = convert_file(cram.clone(), Some(reference.clone()));
    let expected = oracle::view(&cram, Some(&reference)).unwrap();
    assert!(exported(&store, "it").unwrap() == expected);
}
