//! Every byte comes back.

use genomic_objects::dataset::Dataset;
use genomic_objects::pipeline::SortOptions;
use genomic_objects::vcs::export::lines as lines_in_order;
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
