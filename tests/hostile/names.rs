//! Contigs whose names are paths, or anything else: their data is inside the dataset, and comes back.

use super::*;

const NAMES: [&str; 13] = [
    "..",
    ".",
    "a/b",
    "../../x",
    "HLA-A*01:01",
    "%2e%2e",
    "%2F",
    "chr1=2",
    "_index",
    "con",
    "chr1",
    "CHR1",
    "c3",
];

fn lines_of(text: &[u8]) -> usize {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count()
}

#[test]
fn test_contigs_of_any_name_stay_inside_their_dataset_and_come_back() {
    let contigs: String = NAMES.iter().map(|name| format!("@SQ\tSN:{name}\tLN:1000\n")).collect();
    let reads: String = NAMES
        .iter()
        .map(|name| format!("r\t0\t{name}\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\tRG:Z:a\n"))
        .collect();
    let sam = format!("@HD\tVN:1.6\tSO:coordinate\n{contigs}@RG\tID:a\tSM:x\n{reads}");
    // Names of VCF may be any text.
    let unicode: Vec<&str> =
        NAMES.iter().copied().chain(["chré", "染色体", "a b", "{x}"]).collect();
    let lines: String =
        unicode.iter().map(|name| format!("{name}\t5\t.\tA\tC\t.\t.\t.\n")).collect();
    let vcf =
        format!("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{lines}");
    for (format, text, count) in [
        (Format::Paf, &sam, NAMES.len()),
        (Format::Ram, &sam, NAMES.len()),
        (Format::Vcs, &vcf, unicode.len()),
    ] {
        let made = Made { format, folder: tempfile::tempdir().unwrap() };
        write(format, text, &made.store()).unwrap();
        made.ask().unwrap();
        let outside = files_of(made.folder.path());
        assert!(outside.iter().all(|(path, _)| path.starts_with(made.path())), "{format:?}");
        for (path, _) in files_of(&made.path()) {
            let below = path.strip_prefix(made.path()).unwrap().to_str().unwrap();
            assert!(below.is_ascii() && !below.contains(".."), "{format:?}: {below}");
        }
        assert_eq!(records_of(&made), count, "{format:?}");
    }
}

/// How many records there are, one to each contig.
fn records_of(made: &Made) -> usize {
    match made.format {
        Format::Paf => {
            use paf::read::{Places, Query, Reader};
            let reader = Reader::open(&made.store(), At::Newest, &Places::default()).unwrap();
            let mut contigs = std::collections::HashSet::new();
            let query = Query { threads: 1, ..Query::default() };
            reader
                .query(&query, |batch| {
                    contigs.extend(batch.iter().map(|record| record.ref_id()));
                    Ok(())
                })
                .unwrap();
            contigs.len()
        }
        Format::Ram => {
            use ram::query::{Format, Writer};
            use ram::read::{Content, Reader, Request};
            let request = Request { regions: Vec::new(), bed: None, samples: Vec::new() };
            let reader =
                Reader::open(&made.store(), At::Newest, Content::Alignments, &request).unwrap();
            let mut text = Vec::new();
            let push = |part: Vec<u8>| {
                text.extend_from_slice(&part);
                Ok(())
            };
            Writer::new(&reader, Format::Sam).write(1, None, push).unwrap();
            lines_of(&text)
        }
        _ => {
            let reader =
                vcs::read::Reader::open(&made.store(), At::Newest, &Default::default()).unwrap();
            let needs = vcs::needs::Needs::all(reader.schema());
            let mut text = Vec::new();
            let lines = |loaded: &vcs::read::Loaded| {
                let mut text = Vec::new();
                for &row in &loaded.rows {
                    loaded.push_line(row, &mut text)?;
                    text.push(b'\n');
                }
                Ok(text)
            };
            let push = |lines: Vec<u8>| {
                text.extend(lines);
                Ok(())
            };
            reader.scan(&needs, &|_| true, 1, None, lines, push).unwrap();
            lines_of(&text)
        }
    }
}
