//! The reference that candidate sites differ from.
//!
//! It lies in a temporary file, a byte a base, so that memory does not grow with the genome: each
//! sample that is read has a stretch of it at hand.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use md5::{Digest as _, Md5};

use crate::error::{Error, Result};
use crate::genome::Contigs;

/// Bases that are read at once.
const STRETCH: u64 = 256 << 10;
/// Longest line that names a sequence.
const LONGEST_NAME: usize = 64 << 10;
const HELP: &str = "name the FASTA file that the reads were aligned to";

/// The sequences of a dataset's contigs.
#[derive(Debug)]
pub(super) struct Reference {
    /// Bases as 0 to 3 for A, C, G, T, and 4 for all else.
    file: Mutex<File>,
    /// Where those of each contig of the dataset begin, and how many they are.
    contigs: Vec<Option<(u64, u64)>>,
    /// Tells references apart.
    pub(super) digest: String,
}

/// A part of a reference that is in memory.
#[derive(Debug)]
pub(super) struct Stretch {
    contig: i32,
    start: u64,
    bases: Vec<u8>,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { contig: -1, start: 0, bases: Vec::new() }
    }
}

/// A sequence while it is read.
struct Sequence {
    contig: usize,
    start: u64,
    length: u64,
    md5: Md5,
}

impl Reference {
    /// Reads FASTA, plain or gzip; sequences that `contigs` does not name are passed over. The file
    /// that keeps the bases is in `temp_dir`.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) for what is no FASTA, a sequence of another length
    /// or MD5 than its contig, and where no contig has a sequence.
    pub(super) fn read(
        name: &str,
        reader: Box<dyn Read + Send>,
        contigs: &Contigs,
        temp_dir: &Path,
    ) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::store("reading the reference failed").caused_by(error).at(name)
        };
        let mut reader = BufReader::with_capacity(STRETCH as usize, reader);
        let is_gzip = reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn BufRead> = match is_gzip {
            true => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(reader))),
            false => Box::new(reader),
        };
        let mut bases = Bases::new(contigs, temp_dir)?;
        let mut head: Option<Vec<u8>> = None;
        let (mut is_line_start, mut is_first) = (true, true);
        loop {
            let chunk = reader.fill_buf().map_err(failed)?;
            if chunk.is_empty() {
                break;
            }
            // A line may be as long as a chromosome: it is taken as it comes.
            let end = memchr::memchr(b'\n', chunk);
            let part = end.map_or(chunk, |end| &chunk[..end]);
            if is_line_start && part.first() == Some(&b'>') {
                head = Some(Vec::new());
            } else if is_first {
                return Err(Error::input("this is no FASTA: it does not begin with >").at(name));
            }
            is_first = false;
            match &mut head {
                Some(head) if head.len() < LONGEST_NAME => head.extend_from_slice(part),
                Some(_) => {}
                None => bases.push(part)?,
            }
            is_line_start = end.is_some();
            let used = part.len() + usize::from(is_line_start);
            reader.consume(used);
            if is_line_start && let Some(head) = head.take() {
                bases.begin(&head).map_err(|error| error.at(name))?;
            }
        }
        let reference = bases.finish().map_err(|error| error.at(name))?;
        if reference.contigs.iter().all(Option::is_none) {
            return Err(Error::input("the reference has none of the contigs of the alignments")
                .help(HELP)
                .at(name));
        }
        Ok(reference)
    }

    /// The bases of a contig from `start` on, up to `end` or the contig's; `None` where the contig
    /// has no sequence.
    pub(super) fn bases<'a>(
        &self,
        contig: i32,
        start: u64,
        end: u64,
        at_hand: &'a mut Stretch,
    ) -> Result<Option<&'a [u8]>> {
        let known = usize::try_from(contig).ok().and_then(|contig| self.contigs.get(contig));
        let Some(&Some((offset, length))) = known else { return Ok(None) };
        let (start, end) = (start.min(length), end.min(length));
        let is_here = at_hand.contig == contig
            && at_hand.start <= start
            && end <= at_hand.start + at_hand.bases.len() as u64;
        if !is_here {
            let until = end.max(start.saturating_add(STRETCH)).min(length);
            at_hand.bases.resize(until.saturating_sub(start) as usize, 0);
            (at_hand.contig, at_hand.start) = (contig, start);
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(offset + start))
                .and_then(|_| file.read_exact(&mut at_hand.bases))
                .map_err(|error| Error::store("reading the reference back").caused_by(error))?;
        }
        let first = start.saturating_sub(at_hand.start) as usize;
        let count = end.saturating_sub(start) as usize;
        Ok(at_hand.bases.get(first..first + count))
    }
}

/// Bases on their way to the temporary file.
struct Bases<'a> {
    contigs: &'a Contigs,
    temp_dir: &'a Path,
    file: BufWriter<File>,
    written: u64,
    found: Vec<Option<(u64, u64)>>,
    current: Option<Sequence>,
    digest: blake3::Hasher,
    coded: Vec<u8>,
}

impl<'a> Bases<'a> {
    fn new(contigs: &'a Contigs, temp_dir: &'a Path) -> Result<Self> {
        let file = tempfile::tempfile_in(temp_dir).map_err(|error| spilling(error, temp_dir))?;
        Ok(Self {
            contigs,
            temp_dir,
            file: BufWriter::new(file),
            written: 0,
            found: vec![None; contigs.len()],
            current: None,
            digest: blake3::Hasher::new(),
            coded: Vec::new(),
        })
    }

    /// A sequence begins, of the name in this line.
    fn begin(&mut self, head: &[u8]) -> Result<()> {
        self.end()?;
        let text = String::from_utf8_lossy(head.get(1..).unwrap_or_default()).into_owned();
        let id = text.split_whitespace().next().and_then(|name| self.contigs.id(name));
        self.current = id.map(|id| Sequence {
            contig: id.0 as usize,
            start: self.written,
            length: 0,
            md5: Md5::new(),
        });
        Ok(())
    }

    fn push(&mut self, line: &[u8]) -> Result<()> {
        let Some(sequence) = &mut self.current else { return Ok(()) };
        self.coded.clear();
        let graphic = line.iter().filter(|byte| byte.is_ascii_graphic());
        self.coded.extend(graphic.map(u8::to_ascii_uppercase));
        sequence.md5.update(&self.coded);
        for base in &mut self.coded {
            *base = match base {
                b'A' => 0,
                b'C' => 1,
                b'G' => 2,
                b'T' => 3,
                _ => 4,
            };
        }
        sequence.length += self.coded.len() as u64;
        self.written += self.coded.len() as u64;
        self.file.write_all(&self.coded).map_err(|error| spilling(error, self.temp_dir))
    }

    /// Checks the sequence that ends here.
    fn end(&mut self) -> Result<()> {
        let Some(Sequence { contig, start, length, md5 }) = self.current.take() else {
            return Ok(());
        };
        let Some(expected) = self.contigs.iter().nth(contig) else { return Ok(()) };
        if length != expected.length {
            return Err(Error::input(format!("sequence {:?} has another length", expected.name))
                .expected(format!("{} bases", expected.length))
                .found(format!("{length} bases"))
                .help(HELP));
        }
        let hex: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(md5) = expected.md5.as_ref().filter(|md5| **md5 != hex) {
            return Err(Error::input(format!("sequence {:?} has another MD5", expected.name))
                .expected(md5)
                .found(hex)
                .help(HELP));
        }
        self.digest.update(expected.name.as_bytes());
        self.digest.update(hex.as_bytes());
        if let Some(found) = self.found.get_mut(contig) {
            *found = Some((start, length));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Reference> {
        self.end()?;
        let failed = |error: io::Error| spilling(error, self.temp_dir);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        let digest = self.digest.finalize().to_hex().to_string();
        Ok(Reference { file: Mutex::new(file), contigs: self.found, digest })
    }
}

fn spilling(error: io::Error, temp_dir: &Path) -> Error {
    Error::store("the bases of the reference cannot be put aside")
        .caused_by(error)
        .help("name a folder with more room by --temp-dir")
        .at(temp_dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Contig;

    #[test]
    fn test_stretches_are_those_of_the_file() {
        let bases: Vec<u8> =
            (0..700_000_u32).map(|at| b"ACGTN"[(at % 1_237 % 5) as usize]).collect();
        let lines: Vec<&[u8]> = bases.chunks(61).collect();
        let text =
            [&b">other x\nACGT\n>c here\r\n"[..], &lines.join(&b'\n'), b"\n>d\nac\n"].concat();
        let contig = |name: &str, length| Contig { name: name.into(), length, md5: None };
        let contigs = Contigs::new(vec![contig("c", 700_000), contig("d", 2)]).unwrap();
        let reader = Box::new(std::io::Cursor::new(text));
        let reference = Reference::read("x.fa", reader, &contigs, &std::env::temp_dir()).unwrap();
        let mut at_hand = Stretch::default();
        let mut letters = |contig, start, end| -> Option<Vec<u8>> {
            let found = reference.bases(contig, start, end, &mut at_hand).unwrap()?;
            Some(found.iter().map(|&base| b"ACGTN"[usize::from(base)]).collect())
        };
        for (start, end) in [(0, 100), (50, 300_000), (699_000, 699_900), (10, 20)] {
            let expected = &bases[start as usize..end as usize];
            assert_eq!(letters(0, start, end).as_deref(), Some(expected), "{start}");
        }
        assert_eq!(letters(0, 699_990, 800_000).map(|found| found.len()), Some(10));
        assert_eq!(letters(1, 0, 2).as_deref(), Some(&b"AC"[..]));
        assert_eq!(letters(2, 0, 2), None);
    }
}
