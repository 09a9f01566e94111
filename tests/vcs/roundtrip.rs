//! Every byte comes back.

use genomic_objects::dataset::Dataset;
use genomic_objects::pipeline::SortOptions;
use genomic_objects::vcs::export::lines as lines_in_order;
use genomic_objects::vcs::select::Subset;
use genomic_objects::vcs::verify::verify;

use super::*;

fn text_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => testkit::oracle::gunzip(&bytes).unwrap(),
        false => bytes,
    }
}

#[test]
fn test_every_good_file_comes_back_byte_for_byte() {
    let Some(data) = corpus::require() else { return };
    for path in
        good_files(&data).into_iter().filter(|path| path.extension().is_none_or(|e| e != "bcf"))
    {
        let name = path.display().to_string();
        let text = text_of(&path);
        let store = Store::in_memory();
        let summary =
            convert(&name, &text, &store, &options()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = export(&store);
        assert!(again == text, "{name}");
        if summary.rows_with_exceptions > 0 {
            let exceptions = &summary.exceptions;
            println!(
                "{name}: {} of {} records, {exceptions:?}",
                summary.rows_with_exceptions, summary.variants
            );
        }
        let dataset = Dataset::open(&store, At::Newest).unwrap();
        let report = verify(&dataset, 2, None).unwrap();
        assert!(report.problems.is_empty(), "{name}: {:?}", report.problems);
    }
}

#[test]
fn test_subset_of_fields_and_samples_is_what_comes_back() {
    let text = crate::engines::cohort(3, 50);
    let keys = |keys: &[&str]| Fields::Some(keys.iter().map(|&key| key.to_owned()).collect());
    let samples = Some(vec!["S2".to_owned(), "S0".to_owned()]);
    let subset = Subset { samples, info: keys(&["AF"]), format: keys(&["GT"]) };
    let store = Store::in_memory();
    let mut open = || subset.of(text::open(input_of("cohort", text.clone()))?);
    write(&mut open, &store, &options(), &Arc::new(Progress::default())).unwrap();
    let whole = String::from_utf8(text.clone()).unwrap();
    let part = String::from_utf8(export(&store)).unwrap();
    let body = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    assert!(!part.contains("##INFO=<ID=DP") && part.contains("FORMAT\tS2\tS0\n"));
    for (whole, part) in body(&whole).iter().zip(body(&part)) {
        let genotype = |cell: &str| cell.split(':').next().unwrap().to_owned();
        assert_eq!(part[..7], whole[..7]);
        assert_eq!(part[7], whole[7].split_once(';').unwrap().1);
        assert_eq!(part[8..], ["GT".to_owned(), genotype(&whole[11]), genotype(&whole[9])]);
    }
    let unknown = Subset { samples: Some(vec!["nobody".into()]), ..Subset::default() };
    let mut open = || unknown.of(text::open(input_of("cohort", text.clone()))?);
    let fresh = Store::in_memory();
    let error = write(&mut open, &fresh, &options(), &Arc::new(Progress::default())).unwrap_err();
    assert!(error.to_string().contains("nobody") && fresh.list("").unwrap().is_empty());
}

/// The whole file that a dataset was made from.
pub(crate) fn export(store: &Store) -> Vec<u8> {
    let reader = Reader::open(store, At::Newest, &Places::default()).unwrap();
    let mut text = reader.schema().header.clone();
    let progress = Arc::new(Progress::default());
    let stats = lines_in_order(&reader, 2, SortOptions::default(), &progress, |lines| {
        text.extend_from_slice(lines);
        Ok(())
    });
    if stats.unwrap().records > 0 {
        text.pop();
        text.extend_from_slice(reader.details().ending.as_bytes());
    }
    text
}
