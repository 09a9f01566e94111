//! Any alignment file as a source of records.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use super::bam::BamSource;
use super::sam::SamSource;
use super::{Header, RecordBatch, Validation};
use crate::error::{Error, Result};
use crate::records::stream::{Compression, Raw, Stream, read_failure};

/// How much [`Source::read`] puts into one batch: it stops at the record that reaches either limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Records.
    pub records: usize,
    /// Bytes of records.
    pub bytes: usize,
}

impl Limit {
    pub(super) fn is_reached_by(&self, batch: &RecordBatch) -> bool {
        batch.len() >= self.records || batch.byte_len() >= self.bytes
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self { records: 8192, bytes: 4 << 20 }
    }
}

/// Records in the order of their file.
pub trait Source: Send {
    /// The header.
    fn header(&self) -> &Header;

    /// Replaces what is in `batch` by the next records; `false`, and an empty batch, at the end.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) naming the file and the line, or the record's
    /// number from 1 and the place in the file; [`Store`](crate::error::ErrorKind::Store) when
    /// reading fails. After an error the source is of no more use.
    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool>;
}

/// How an alignment file is opened.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// What is accepted.
    pub validation: Validation,
    /// Threads that decompress.
    pub threads: usize,
    /// A FASTA file, plain or gzip, that CRAM is decoded with.
    pub reference: Option<PathBuf>,
    /// Where to look for CRAM's reference sequences by MD5, as in htslib's variable `REF_PATH`:
    /// folders separated by `:`, with `%s` or `%2s` for parts of the digest. URLs are passed over.
    pub ref_path: Option<String>,
    /// As `ref_path`, and looked at first: htslib's `REF_CACHE`.
    pub ref_cache: Option<String>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            validation: Validation::Strict,
            threads: 1,
            reference: None,
            ref_path: None,
            ref_cache: None,
        }
    }
}

/// How many bytes are looked at to tell what a file is.
const SNIFFED_BYTES: usize = 64 << 10;

/// Opens SAM (plain, gzip, BGZF), BAM or CRAM, whichever the first bytes say. `name` stands for the
/// file in messages.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) saying what the file is if it is no alignment file, or
/// what is wrong with its header; [`Unsupported`](crate::error::ErrorKind::Unsupported) for CRAM
/// before 3.0; [`Store`](crate::error::ErrorKind::Store) when reading fails.
///
/// ```
/// use genomic_objects::records::alignments::{Limit, RecordBatch, SourceOptions, open};
///
/// let sam = b"@SQ\tSN:chr1\tLN:1000\nread\t0\tchr1\t7\t60\t2M\t*\t0\t0\tAC\tII\n";
/// let mut source = open("x.sam", Box::new(&sam[..]), &SourceOptions::default())?;
/// let mut batch = RecordBatch::new();
/// while source.read(&mut batch, Limit::default())? {
///     assert_eq!(batch.get(0).position(), 6);
/// }
/// # Ok::<(), genomic_objects::Error>(())
/// ```
pub fn open(
    name: &str,
    mut reader: Box<dyn Read + Send>,
    options: &SourceOptions,
) -> Result<Box<dyn Source>> {
    let mut start = Vec::new();
    (&mut reader)
        .take(SNIFFED_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(|error| read_failure(name, error))?;
    if start.is_empty() {
        return Err(not_alignments("is empty").at(name));
    }
    let compression = Compression::of(&start);
    let is_cram = start.starts_with(b"CRAM");
    let foreign = (compression == Compression::None).then(|| foreign_format(&start)).flatten();
    let raw: Raw = Box::new(Cursor::new(start).chain(reader));
    if is_cram {
        return super::cram::open(name, raw, options);
    }
    if let Some(format) = foreign {
        return Err(not_alignments(format).at(name));
    }
    let mut stream = Stream::new(name.to_owned(), raw, compression, options.threads);
    let content = stream.fill()?;
    if content.starts_with(b"BAM\x01") {
        return Ok(Box::new(BamSource::open(stream, options.validation)?));
    }
    if content.is_empty() {
        return Err(not_alignments("holds nothing, though it is compressed").at(name));
    }
    if let Some(format) = foreign_format(content) {
        return Err(not_alignments(format).at(name));
    }
    if !looks_like_sam(content) {
        return Err(not_alignments("is in a format that is not known")
            .found(format!("{:?}", String::from_utf8_lossy(&content[..content.len().min(24)])))
            .at(name));
    }
    Ok(Box::new(SamSource::open(stream, options.validation)?))
}

fn not_alignments(what: &str) -> Error {
    Error::input(format!("the file {what}; alignments are needed"))
        .expected("BAM, SAM or CRAM")
        .help("name the alignment file, or make it again if this should have been it")
}

/// What a file is, if that can be told and is neither SAM nor BAM.
fn foreign_format(start: &[u8]) -> Option<&'static str> {
    let magics: [(&[u8], &str); 24] = [
        (b"##fileformat=VCF", "is VCF (variants)"),
        (b"BCF\x02", "is BCF (variants)"),
        (b"BCF\x04", "is BCF (variants)"),
        (b">", "is FASTA (sequences)"),
        (b"##gff-version", "is GFF (annotations)"),
        (b"##gtf", "is GTF (annotations)"),
        (b"BAI\x01", "is a BAI index"),
        (b"CSI\x01", "is a CSI index"),
        (b"TBI\x01", "is a tabix index"),
        (b"PAR1", "is Parquet"),
        (b"ARROW1", "is an Arrow file"),
        (b"PAF1", "is a chunk of a PAF dataset"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd"),
        (b"BZh", "is compressed with bzip2"),
        (b"\xfd7zXZ\0", "is compressed with xz"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (b"%PDF", "is PDF"),
        (b"<!DOCTYPE", "is a web page"),
        (b"<!doctype", "is a web page"),
        (b"<html", "is a web page"),
        (b"<?xml", "is XML, perhaps the error message of a server"),
        (b"{", "is JSON"),
        (b"\x1f\x8b", "is compressed twice"),
        (b"CRAM", "is CRAM inside another compression"),
    ];
    let found = magics.iter().find(|(magic, _)| start.starts_with(magic));
    let is_fastq = start.starts_with(b"@") && !looks_like_sam(start);
    found.map(|(_, name)| *name).or(is_fastq.then_some("is FASTQ (reads that are not aligned)"))
}

/// A SAM file begins with `@` and two letters of a header line, or with a record: a name, TAB, and
/// a number. What follows is for the parser to judge, which says what is wrong and where.
fn looks_like_sam(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if let [b'@', kind @ ..] = line {
        let known: [&[u8]; 5] = [b"HD", b"SQ", b"RG", b"PG", b"CO"];
        let is_known = known.iter().any(|letters| {
            kind.strip_prefix(*letters)
                .is_some_and(|rest| rest.first().is_none_or(|byte| byte.is_ascii_whitespace()))
        });
        return is_known
            || matches!(kind, [a, b, b'\t', ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic());
    }
    let mut fields = line.split(|byte| *byte == b'\t');
    fields.next().is_some_and(|name| name.iter().all(u8::is_ascii_graphic))
        && fields.next().is_some_and(|flag| !flag.is_empty())
        && fields.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(content: &[u8]) -> String {
        let reader = Box::new(Cursor::new(content.to_vec()));
        match open("x", reader, &SourceOptions::default()) {
            Ok(_) => panic!("opened {content:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn test_open_names_what_it_found() {
        let files: [(&[u8], &str); 7] = [
            (b"", "is empty"),
            (b"##fileformat=VCFv4.2\n", "is VCF"),
            (b">chr1\nACGT\n", "is FASTA"),
            (b"@read/1\nACGT\n+\nIIII\n", "is FASTQ"),
            (b"<?xml version=\"1.0\"?><Error>", "is XML"),
            (b"chr1\t1\n", "not known"),
            (b"\0\0\0\0", "not known"),
        ];
        for (content, expected) in files {
            assert!(error(content).contains(expected), "{}", error(content));
        }
    }
}
