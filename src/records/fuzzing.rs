//! Fuzz targets of interchange files; see [`crate::fuzzing`].

use std::io::Cursor;
use std::sync::LazyLock;

use super::alignments::filter::{Expression, FilterContext, Libraries};
use super::alignments::sam::{LineParser, write_record};
use super::alignments::validate::RecordChecks;
use super::alignments::{Header, Limit, Record, RecordBatch, SourceOptions, Validation, open};
use super::reads::Framer;
use super::stream::{Compression, Stream};
use super::variants::bcf as variants;
use crate::error::ErrorKind;
use crate::fuzzing::{Choices, is_chosen};

const HEADER: &[u8] = b"@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1000000\n@SQ\tSN:chr2\tLN:1000000\n\
    @SQ\tSN:HLA-A*01:01\tLN:1000000\n@RG\tID:a\tSM:x\tLB:l\n";

static READ: LazyLock<Header> = LazyLock::new(|| {
    Header::parse_sam_text(HEADER, Validation::Lenient)
        .unwrap_or_else(|error| unreachable!("the header is well-formed: {error}"))
});

static LIBRARIES: LazyLock<Libraries> =
    LazyLock::new(|| Libraries::of_header(&String::from_utf8_lossy(HEADER)));

/// Records that expressions are asked about.
static RECORDS: LazyLock<RecordBatch> = LazyLock::new(|| {
    let lines: [&[u8]; 3] = [
        b"r1\t99\tchr1\t100\t60\t4M1I3M2S\t=\t200\t150\tACGTNACGTA\tIIIIIIIIII\tNM:i:2\tRG:Z:a\tMD:Z:7\tAS:f:1.5\tZB:B:c,1,-2",
        b"r2\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\tXA:A:x\tHH:H:1AE3",
        b"r3\t2064\tchr2\t7\t255\t5H3M100N2M\tchr1\t1\t-9\tACGTA\t*",
    ];
    let mut parser = LineParser::new(Validation::Lenient);
    let mut batch = RecordBatch::new();
    for line in lines {
        let pushed = batch.push_with(|out| parser.parse(line, READ.contigs(), out));
        assert!(pushed.is_ok());
    }
    batch
});

/// An expression of `-e`, and what it says of some records.
pub(crate) fn filter_expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(expression) = text.parse::<Expression>() else { return };
    let context = FilterContext { contigs: READ.contigs(), libraries: &LIBRARIES };
    for record in RECORDS.iter() {
        if let Err(error) = expression.matches(&record, &context) {
            assert_ne!(error.kind(), ErrorKind::Internal, "{text:?}: {error}");
        }
    }
}

/// A line of SAM: what is read of it is written and read again.
pub(crate) fn sam(data: &[u8]) {
    let mut parser = LineParser::new(Validation::Lenient);
    let _ = LineParser::new(Validation::Strict).parse(data, READ.contigs(), &mut Vec::new());
    let mut record = Vec::new();
    if parser.parse(data, READ.contigs(), &mut record).is_err() {
        return;
    }
    write_again(&record);
}

/// Writes a record as SAM and reads that, twice. Reading may correct it, as by marking a read
/// without a contig as unmapped, but only once.
fn write_again(record: &[u8]) {
    let mut parser = LineParser::new(Validation::Lenient);
    let mut again = |record: &[u8]| -> Option<(Vec<u8>, Vec<u8>)> {
        let record = Record::new(record).ok()?;
        let (mut line, mut parsed) = (Vec::new(), Vec::new());
        write_record(&mut line, &record, READ.contigs());
        line.pop();
        parser.parse(&line, READ.contigs(), &mut parsed).ok()?;
        Some((line, parsed))
    };
    if let Some((_, corrected)) = again(record) {
        let twice = again(&corrected);
        assert_eq!(twice.map(|(_, parsed)| parsed), Some(corrected));
    }
}

/// A record of BAM, without its length.
pub(crate) fn bam_record(data: &[u8]) {
    let Ok(record) = Record::new(data) else { return };
    let checked = RecordChecks::new(&READ, Validation::Lenient).check(&record).is_ok();
    let _ = RecordChecks::new(&READ, Validation::Strict).check(&record);
    if !checked {
        return;
    }
    let _ = (record.interval(), record.stored_cigar().count(), record.cigar().count());
    for tag in record.tags() {
        let _ = (tag.as_text(), tag.name);
    }
    write_again(data);
}

/// A whole file of alignments: SAM, BAM or CRAM, whichever it begins as.
pub(crate) fn alignment_file(data: &[u8]) {
    let mut choices = Choices(data);
    let validation = if choices.byte() & 1 == 0 { Validation::Lenient } else { Validation::Strict };
    let options = SourceOptions { validation, ..SourceOptions::default() };
    let reader = Box::new(Cursor::new(choices.0.to_vec()));
    let Ok(mut source) = open("x", reader, &options) else { return };
    let mut batch = RecordBatch::new();
    let limit = Limit { records: 100, bytes: 1 << 16 };
    while let Ok(true) = source.read(&mut batch, limit) {
        for record in batch.iter() {
            let _ = record.interval();
        }
    }
}

/// A BCF file, decompressed.
pub(crate) fn bcf(data: &[u8]) {
    let reader = Box::new(Cursor::new(data.to_vec()));
    let stream = Stream::new("x".into(), reader, Compression::None, 1);
    let Ok(mut lines) = variants::Lines::open(stream, 1) else { return };
    while let Ok(Some(line)) = lines.next_line() {
        assert!(!line.contains(&b'\n'));
    }
}

/// A FASTQ or FASTA file: what is framed is the whole file, and each record is written again as it
/// was, or said to be irregular.
pub(crate) fn fastq(data: &[u8]) {
    let Ok(mut framer) = Framer::new(Box::new(Cursor::new(data.to_vec())), "x") else { return };
    let style = framer.style();
    let (mut joined, mut scratch) = ([Vec::new(), Vec::new()], Vec::new());
    let records = if is_chosen(data) { 1 } else { 1000 };
    while let Ok(Some(framed)) = framer.next(records, 1 << 16) {
        for (index, frame) in framed.frames.iter().enumerate() {
            let text = framed.text.get(frame.start as usize..frame.end as usize);
            let Ok((parts, is_exact)) = style.parse(&framed, index, &mut joined, &mut scratch)
            else {
                continue;
            };
            if is_exact {
                let mut written = Vec::new();
                style.push(&parts, &mut written);
                assert_eq!(Some(written.as_slice()), text);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::fuzzing::tests::{SAM, source};
    use crate::records::alignments::sink::{Format, create};

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut all = Vec::new();
        let mut runner = TestRunner::deterministic();
        for _ in 0..20 {
            let record = testkit::arbitrary::odd_record_bytes().new_tree(&mut runner).unwrap();
            all.push(("bam_record", record.current()));
        }
        let mut file = source(SAM.as_bytes());
        let header = file.header().clone();
        let mut batch = RecordBatch::new();
        assert!(file.read(&mut batch, Limit::default()).unwrap());
        all.extend(batch.iter().map(|record| ("bam_record", record.bytes().to_vec())));
        let mut bam = [b"\0", header.to_bam_bytes().unwrap().as_slice()].concat();
        for record in batch.iter() {
            bam.extend((record.bytes().len() as u32).to_le_bytes());
            bam.extend(record.bytes());
        }
        all.push(("alignment_file", bam));
        let out = tempfile::NamedTempFile::new().unwrap();
        let mut cram = create(Format::Cram, Box::new(out.reopen().unwrap()), &header, 1).unwrap();
        cram.write(&batch).unwrap();
        cram.finish().unwrap();
        all.push(("alignment_file", [b"\0", &std::fs::read(out.path()).unwrap()[..]].concat()));
        let text = crate::vcs::fuzzing::VCF;
        let (head, lines) = text.split_at(text.find("\n1\t").unwrap() + 1);
        let header = variants::Header::parse(head.as_bytes()).unwrap();
        let mut encoder = variants::Encoder::new(&header);
        let mut bcf = Vec::new();
        bcf.extend(b"BCF\x02\x02");
        bcf.extend((head.len() as u32 + 1).to_le_bytes());
        bcf.extend(head.as_bytes());
        bcf.push(0);
        for line in lines.lines() {
            let _ = encoder.push(line.as_bytes(), &mut bcf);
        }
        all.push(("bcf", bcf));
        all
    }
}
