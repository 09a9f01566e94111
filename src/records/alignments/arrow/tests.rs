use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, Int64Type, UInt8Type, UInt16Type};
use arrow_array::{Array, StructArray};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::genome::Contig;
use crate::records::alignments::{Limit, Source};
use crate::simulate::{Alignments, SimulateOptions, human_like};

fn contigs(names: &[&str]) -> Contigs {
    let contig = |name: &&str| Contig { name: (*name).into(), length: 1_000_000, md5: None };
    Contigs::new(names.iter().map(contig).collect()).unwrap()
}

/// `r1` at base 8 of contig 0, `2S3M1D`, bases `ACGTN`, with these tags.
pub(in crate::records::alignments) fn record(tags: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0_i32.to_le_bytes());
    bytes.extend(7_i32.to_le_bytes());
    bytes.extend([3, 255, 0x49, 0x12, 3, 0]);
    bytes.extend(99_u16.to_le_bytes());
    bytes.extend(5_i32.to_le_bytes());
    bytes.extend(1_i32.to_le_bytes());
    bytes.extend(40_i32.to_le_bytes());
    bytes.extend((-33_i32).to_le_bytes());
    bytes.extend(b"r1\0");
    for op in [2 << 4 | 4_u32, 3 << 4, 1 << 4 | 2] {
        bytes.extend(op.to_le_bytes());
    }
    bytes.extend([0x12, 0x48, 0xf0, 2, 11, 25, 37, 93]);
    bytes.extend(tags);
    bytes
}

fn batch(columns: &str, records: &[Vec<u8>]) -> Result<RecordBatch> {
    let columns = Column::parse_list(columns)?;
    let mut builder = BatchBuilder::new(&columns, &contigs(&["chr1", "chr2"]));
    for record in records {
        builder.append(&Record::new(record)?)?;
    }
    builder.finish()
}

#[test]
fn test_batch_has_the_values_of_every_column() {
    let tags = b"NMC\x02MDZ3^A\0XFf\0\0\0\x3fMLBC\x02\0\0\0\x05\xff";
    let batch = batch(
        "read_name,flags,contig,position,end,mapping_quality,cigar,mate_contig,mate_position,\
         template_length,sequence,quality,tags,NM,XF:f,ML,XX",
        &[record(tags)],
    )
    .unwrap();
    let text = |at: usize| batch.column(at).as_string::<i32>().value(0).to_owned();
    let number = |at: usize| batch.column(at).as_primitive::<Int64Type>().value(0);
    let contig = |at: usize| {
        let contigs = batch.column(at).as_dictionary::<Int32Type>();
        let key = contigs.key(0).unwrap();
        contigs.values().as_string::<i32>().value(key).to_owned()
    };
    assert_eq!(text(0), "r1");
    assert_eq!(batch.column(1).as_primitive::<UInt16Type>().value(0), 99);
    assert_eq!((contig(2), number(3), number(4)), ("chr1".into(), 8, 11));
    assert!(batch.column(5).is_null(0));
    assert_eq!(text(6), "2S3M1D");
    assert_eq!((contig(7), number(8)), ("chr2".into(), 41));
    assert_eq!(batch.column(9).as_primitive::<Int32Type>().value(0), -33);
    assert_eq!(batch.column(10).as_binary::<i32>().value(0), b"ACGTN");
    let qualities = batch.column(11).as_list::<i32>().value(0);
    assert_eq!(qualities.as_primitive::<UInt8Type>().values(), &[2, 11, 25, 37, 93]);
    let tags = batch.column(12).as_list::<i32>().value(0);
    let tags: &StructArray = tags.as_struct();
    let column = |at: usize| -> Vec<_> {
        tags.column(at).as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
    };
    assert_eq!(column(0), ["NM", "MD", "XF", "ML"]);
    assert_eq!(column(1), ["i", "Z", "f", "BC"]);
    assert_eq!(column(2), ["2", "3^A", "0.5", "5,255"]);
    assert_eq!(number(13), 2);
    assert!((batch.column(14).as_primitive::<Float32Type>().value(0) - 0.5).abs() < 1e-9);
    let array = batch.column(15).as_list::<i32>().value(0);
    assert_eq!(array.as_primitive::<Int64Type>().values(), &[5, 255]);
    assert!(batch.column(16).is_null(0));
}

#[test]
fn test_batch_has_null_where_sam_has_a_star() {
    let mut bytes = vec![0xff; 8];
    bytes.extend([2, 0, 0x48, 0x12, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0xff; 8]);
    bytes.extend([0; 4]);
    bytes.extend(b"*\0");
    let columns: Vec<_> = Column::ALL.iter().map(Column::to_string).collect();
    let batch = batch(&columns.join(","), &[bytes]).unwrap();
    for (column, array) in Column::ALL.iter().zip(batch.columns()) {
        let has_value = matches!(
            column,
            Column::Flags | Column::MappingQuality | Column::TemplateLength | Column::Tags
        );
        assert_eq!(array.is_valid(0), has_value, "{column}");
    }
}

#[test]
fn test_append_names_the_read_whose_tag_does_not_fit() {
    for (columns, tags) in [
        ("NM", &b"NMZtwo\0"[..]),
        ("XF:f", b"XFC\x01"),
        ("ML", b"MLBf\x01\0\0\0\0\0\0\0"),
        ("ZF:Bf", b"ZFBC\x01\0\0\0\x01"),
        ("ML", b"MLC\x01"),
        ("CO", b"COZ\xe4\0"),
        ("tags", b"COZ\xe4\0"),
    ] {
        let error = batch(columns, &[record(tags)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with("read \"r1\": "), "{error}");
    }
    let taken =
        batch("XA,XB,XC", &[record(b"XAAqXBBs\x02\0\0\0\x01\0\xff\xffXCi\xff\xff\xff\xff")]);
    let taken = taken.unwrap();
    let text = |at: usize| taken.column(at).as_string::<i32>().value(0).to_owned();
    assert_eq!([text(0), text(1), text(2)], ["q", "1,-1", "-1"]);
}

#[test]
fn test_batches_are_bounded_and_survive_the_ipc_stream() {
    let options =
        SimulateOptions { reads: 60_000, contigs: human_like(300_000), ..Default::default() };
    let names = contigs(&["chr1", "chr2", "chr20", "chrX", "chrM"]);
    let mut alignments = Alignments::new(options).unwrap();
    let mut records = crate::records::alignments::RecordBatch::new();
    let mut builder = BatchBuilder::new(&Column::ALL, &names);
    let mut batches = Vec::new();
    let mut rows = 0;
    while alignments.read(&mut records, Limit::default()).unwrap() {
        for record in records.iter() {
            builder.append(&record).unwrap();
            rows += 1;
            if builder.is_full() {
                let batch = builder.finish().unwrap();
                assert!(batch.get_array_memory_size() < 3 * FULL);
                batches.push(batch);
            }
        }
    }
    batches.push(builder.finish().unwrap());
    assert!(batches.len() > 1);

    let mut stream = Vec::new();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(&mut stream, &builder.schema()).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let reader = arrow_ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap();
    assert_eq!(reader.schema().metadata()["genomic-objects.schema"], "alignments/1");
    let read: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(read, batches);
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
}

proptest! {
    #[test]
    fn test_append_survives_any_record(
        records in prop::collection::vec(testkit::arbitrary::odd_record_bytes(), 0..8)
    ) {
        let contigs = contigs(&["a", "b"]);
        let mut builder = BatchBuilder::new(&Column::ALL, &contigs);
        let mut rows = 0;
        for record in &records {
            if builder.append(&Record::new(record)?).is_err() {
                return Ok(());
            }
            rows += 1;
        }
        prop_assert_eq!(builder.len(), rows);
        prop_assert_eq!(builder.finish()?.num_rows(), rows);
        prop_assert!(builder.is_empty());
    }
}
