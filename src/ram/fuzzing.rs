//! Fuzz targets of batches and their index; see [`crate::fuzzing`].

use std::sync::{Arc, LazyLock};

use arrow_schema::Schema;
use bytes::Bytes;

use super::index::{Regions, Table};
use super::rows::{self, Names, Rows, Scratch};
use super::{coverage, file, layer};
use crate::fuzzing::Choices;
use crate::genome::{Contig, Contigs};

/// Pages of the index, lists of samples and headers.
pub(crate) fn index(data: &[u8]) {
    let mut choices = Choices(data);
    match choices.byte() % 4 {
        0 => {
            if let Ok(table) = Table::parse(choices.0) {
                assert_eq!(table.to_bytes(), choices.0);
            }
        }
        1 => {
            if let Ok(regions) = Regions::parse(choices.0) {
                assert_eq!(regions.to_bytes(), choices.0);
            }
        }
        2 => {
            let _ = layer::parse_header(choices.0);
        }
        _ => {
            let _ = layer::Samples::parse(choices.0);
        }
    }
}

static ROWS: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(file::physical(&rows::schema())));
static COVERAGE: LazyLock<Arc<Schema>> =
    LazyLock::new(|| Arc::new(file::physical(&coverage::schema(0))));
static CONTIGS: LazyLock<Contigs> = LazyLock::new(|| {
    let contig = |name: &str| Contig { name: name.to_owned(), length: 1_000_000, md5: None };
    Contigs::new(["chr1", "chr2", "chr3"].map(contig).to_vec()).unwrap_or_default()
});

/// A message of an Arrow file, and the rows in it.
pub(crate) fn batch(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, head) = (choices.byte(), choices.number() as u32);
    let schema = if kind & 1 == 0 { &*ROWS } else { &*COVERAGE };
    let Ok(columns) = file::decode(schema, &Bytes::copy_from_slice(choices.0), head) else {
        return;
    };
    let Ok(rows) = Rows::new(columns) else { return };
    let names = Names { contigs: &CONTIGS, keys: &[2, 0, 9] };
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for row in 0..rows.len().min(50) {
        let _ = (rows.place(row), rows.interval(row));
        let _ = rows.push_line(row, &names, None, &mut out);
        let _ = rows.push_record(row, &names, &mut scratch, &mut out);
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::fuzzing::tests::{SAM, source};
    use crate::ram::index::{BatchRef, Page, RegionRef};
    use crate::ram::rows::{Builder, Place};
    use crate::records::alignments::{Limit, RecordBatch};

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut all = Vec::new();
        let batch =
            BatchRef { file: 1, size: 9, end: 7, counts: vec![3, 4], ..BatchRef::default() };
        let table = Table { files: vec!["a/b".into(), "c".into()], batches: vec![batch] };
        all.push(("ram_index", [&[0][..], &table.to_bytes()].concat()));
        let pages = [
            Page { offset: 0, size: 5, crc: 6 },
            Page { offset: 5, size: 0, crc: 0 },
            Page { offset: 5, size: 1, crc: 2 },
        ];
        let regions = Regions(vec![RegionRef { contig: 1, ordinal: 2, pages }]);
        all.push(("ram_index", [&[1][..], &regions.to_bytes()].concat()));
        let mut file = source(SAM.as_bytes());
        all.push(("ram_index", [&[2][..], &file.header().to_bam_bytes().unwrap()].concat()));
        let samples = layer::Samples::default().to_bytes().unwrap();
        all.push(("ram_index", [&[3][..], &samples].concat()));
        let mut records = RecordBatch::new();
        assert!(file.read(&mut records, Limit::default()).unwrap());
        let mut rows = Builder::new(&CONTIGS, &[1, 0, 2]);
        for record in records.iter() {
            rows.push(&record, Place::default());
        }
        let message = file::encode(&rows.finish().unwrap()).unwrap();
        let head = (message.head as u16).to_le_bytes();
        all.push(("ram_batch", [&[0][..], &head, &message.bytes].concat()));
        all
    }
}
