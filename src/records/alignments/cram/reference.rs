//! The sequences that CRAM records are differences from: a FASTA file, or files named by digest in
//! the folders of `REF_CACHE` and `REF_PATH`.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};

use super::slice::ReferenceSource;
use crate::error::{Error, Result};
use crate::genome::{Contig, ContigId, Contigs};
use crate::records::alignments::SourceOptions;

/// Sequences beyond the newest are kept up to this many bases together.
const CACHED_BASES: usize = 128 << 20;

/// The MD5 of some bytes in lower-case hex.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Finds sequences and keeps those used last.
pub(super) struct References {
    contigs: Contigs,
    fasta: Option<Fasta>,
    patterns: Vec<String>,
    ignores_urls: bool,
    cache: VecDeque<(i32, Arc<Vec<u8>>)>,
}

impl References {
    /// The sources that the options name.
    pub(super) fn new(contigs: &Contigs, options: &SourceOptions) -> Result<Self> {
        let mut patterns = Vec::new();
        let mut ignores_urls = false;
        for path in [&options.ref_cache, &options.ref_path].into_iter().flatten() {
            let (folders, has_urls) = split_path(path);
            patterns.extend(folders);
            ignores_urls |= has_urls;
        }
        Ok(Self {
            contigs: contigs.clone(),
            fasta: options.reference.as_deref().map(Fasta::open).transpose()?,
            patterns,
            ignores_urls,
            cache: VecDeque::new(),
        })
    }

    fn load(&mut self, contig: &Contig) -> Result<Vec<u8>> {
        if let Some(fasta) = &mut self.fasta
            && let Some(sequence) = fasta.sequence(&contig.name)?
        {
            check_md5(contig, &sequence, &fasta.path)?;
            return Ok(sequence);
        }
        if let Some(md5) = &contig.md5 {
            for pattern in &self.patterns {
                let path = PathBuf::from(expand(pattern, md5));
                match fs::read(&path) {
                    Ok(mut sequence) => {
                        sequence.make_ascii_uppercase();
                        check_md5(contig, &sequence, &path)?;
                        return Ok(sequence);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unreadable(&path, error)),
                }
            }
        }
        Err(self.missing(contig))
    }

    fn missing(&self, contig: &Contig) -> Error {
        let md5 = contig.md5.as_deref().map_or("not given".to_owned(), |md5| format!("is {md5}"));
        let what = format!(
            "the reference sequence of contig {:?} is needed to decode this CRAM file (its MD5 {md5})",
            contig.name
        );
        let looked = match (&self.fasta, self.patterns.is_empty()) {
            (Some(fasta), _) => format!("no such sequence in {}", fasta.path.display()),
            (None, false) => "no such file in REF_CACHE or REF_PATH".to_owned(),
            (None, true) => "no reference".to_owned(),
        };
        let urls = if self.ignores_urls { "; URLs in REF_PATH are not followed" } else { "" };
        Error::not_found(what).found(looked + urls).help(
            "name the FASTA file that the CRAM was made with by --reference, or set REF_PATH to a folder of sequences by MD5",
        )
    }
}

impl ReferenceSource for References {
    fn sequence(&mut self, ref_id: i32) -> Result<Arc<Vec<u8>>> {
        if let Some(at) = self.cache.iter().position(|(id, _)| *id == ref_id)
            && let Some(entry) = self.cache.remove(at)
        {
            let sequence = Arc::clone(&entry.1);
            self.cache.push_front(entry);
            return Ok(sequence);
        }
        let contig = u32::try_from(ref_id).ok().and_then(|id| self.contigs.get(ContigId(id)));
        let contig = contig.cloned().ok_or_else(|| {
            Error::input("a slice is on a contig that the header does not have")
                .found(ref_id)
                .help("the file is damaged; make it again")
        })?;
        let sequence = Arc::new(self.load(&contig)?);
        self.cache.push_front((ref_id, Arc::clone(&sequence)));
        let mut total = 0;
        let kept = self.cache.iter().take_while(|(_, sequence)| {
            let is_kept = total < CACHED_BASES;
            total += sequence.len();
            is_kept
        });
        let kept = kept.count().max(1);
        self.cache.truncate(kept);
        Ok(sequence)
    }
}

fn check_md5(contig: &Contig, sequence: &[u8], path: &Path) -> Result<()> {
    let Some(expected) = &contig.md5 else { return Ok(()) };
    let found = md5(sequence);
    if found == *expected {
        return Ok(());
    }
    Err(Error::input(format!("the reference sequence of contig {:?} is another one", contig.name))
        .expected(format!("MD5 {expected} as in the header"))
        .found(format!("MD5 {found} of {} bases", sequence.len()))
        .help("name the FASTA file that the CRAM was made with by --reference")
        .at(path.display()))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let failure = match error.kind() {
        io::ErrorKind::NotFound => Error::not_found("the reference does not exist"),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::input("the reference is damaged").caused_by(error)
        }
        _ => Error::store("the reference cannot be read").caused_by(error),
    };
    failure.help("check the path of the reference").at(path.display())
}

/// Splits a search path at its colons, those of URLs excepted, which are left out.
fn split_path(path: &str) -> (Vec<String>, bool) {
    let mut folders: Vec<String> = Vec::new();
    let mut has_urls = false;
    let mut parts = path.split(':').peekable();
    while let Some(part) = parts.next() {
        if !parts.peek().is_some_and(|next| next.starts_with("//")) {
            folders.push(part.to_owned());
            continue;
        }
        has_urls = true;
        parts.next();
        let is_port = |next: &&str| next.starts_with(|first: char| first.is_ascii_digit());
        if parts.peek().is_some_and(is_port) {
            parts.next();
        }
    }
    folders.retain(|folder| !folder.is_empty());
    (folders, has_urls)
}

/// Puts a digest into a pattern: `%2s` takes two characters of it, `%s` the rest.
fn expand(pattern: &str, md5: &str) -> String {
    let mut path = String::new();
    let mut rest = md5;
    let mut is_named = false;
    let mut pieces = pattern.split('%');
    path += pieces.next().unwrap_or_default();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let Some(after) = piece[digits..].strip_prefix('s') else {
            path.push('%');
            path += piece;
            continue;
        };
        let count = piece[..digits].parse().unwrap_or(rest.len()).min(rest.len());
        let (taken, left) = rest.split_at(count);
        path += taken;
        path += after;
        (rest, is_named) = (left, true);
    }
    if !is_named || !rest.is_empty() {
        if !path.ends_with('/') {
            path.push('/');
        }
        path += rest;
    }
    path
}

/// A FASTA file, plain or gzip.
struct Fasta {
    path: PathBuf,
    /// The entries of the `.fai` index beside a plain file.
    index: Vec<IndexEntry>,
    lines: Lines,
}

struct IndexEntry {
    name: String,
    bases: u64,
    offset: u64,
    line_bases: u64,
    line_bytes: u64,
}

type Lines = BufReader<Box<dyn Read + Send>>;

impl Fasta {
    fn open(path: &Path) -> Result<Self> {
        let lines = open_lines(path).map_err(|error| unreadable(path, error))?;
        Ok(Self { path: path.to_owned(), index: read_index(path), lines })
    }

    /// The sequence of this name, or `None` if the file has none.
    fn sequence(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        self.find(name).map_err(|error| unreadable(&self.path, error))
    }

    fn find(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if let Some(entry) = self.index.iter().find(|entry| entry.name == name) {
            return read_indexed(&self.path, entry).map(Some);
        }
        // Most files ask for contigs in the order of their reference: look further ahead first.
        if let Some(sequence) = scan(&mut self.lines, name)? {
            return Ok(Some(sequence));
        }
        self.lines = open_lines(&self.path)?;
        scan(&mut self.lines, name)
    }
}

fn open_lines(path: &Path) -> io::Result<Lines> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.seek(SeekFrom::Start(0))?;
    let reader: Box<dyn Read + Send> =
        if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(BufReader::with_capacity(1 << 20, reader))
}

/// The index of a plain FASTA file, if there is one that can be used.
fn read_index(path: &Path) -> Vec<IndexEntry> {
    let mut index_path = path.as_os_str().to_owned();
    index_path.push(".fai");
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    let Ok(text) = fs::read_to_string(index_path) else { return Vec::new() };
    if is_gzip {
        return Vec::new();
    }
    let entry = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        let mut number = || fields.next()?.trim().parse().ok();
        Some(IndexEntry {
            name,
            bases: number()?,
            offset: number()?,
            line_bases: number().filter(|bases| *bases > 0)?,
            line_bytes: number()?,
        })
    };
    text.lines().filter_map(entry).filter(|e| e.line_bytes >= e.line_bases).collect()
}

fn read_indexed(path: &Path, entry: &IndexEntry) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(entry.offset))?;
    let line_ends = entry.bases / entry.line_bases * (entry.line_bytes - entry.line_bases);
    let mut sequence = Vec::new();
    file.take(entry.bases.saturating_add(line_ends)).read_to_end(&mut sequence)?;
    sequence.retain(u8::is_ascii_graphic);
    sequence.truncate(entry.bases as usize);
    sequence.make_ascii_uppercase();
    Ok(sequence)
}

/// Reads on to the sequence of this name.
fn scan(lines: &mut Lines, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut sequence: Option<Vec<u8>> = None;
    loop {
        if lines.fill_buf()?.first() == Some(&b'>') {
            if sequence.is_some() {
                return Ok(sequence);
            }
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
            if line[1..end] == *name.as_bytes() {
                sequence = Some(Vec::new());
            }
            continue;
        }
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(sequence);
        }
        if let Some(sequence) = &mut sequence {
            line.retain(u8::is_ascii_graphic);
            line.make_ascii_uppercase();
            sequence.extend_from_slice(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const MD5: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn test_expand_follows_the_pattern() {
        assert_eq!(expand("/a/%2s/%2s/%s", MD5), format!("/a/01/23/{}", &MD5[4..]));
        assert_eq!(expand("/a", MD5), format!("/a/{MD5}"));
        assert_eq!(expand("/a/%s", MD5), format!("/a/{MD5}"));
        assert_eq!(expand("/100%/%s", MD5), format!("/100%/{MD5}"));
    }

    #[test]
    fn test_split_path_leaves_urls_out() {
        let split = |path| split_path(path);
        assert_eq!(split("/a:/b/%s"), (vec!["/a".to_owned(), "/b/%s".to_owned()], false));
        assert_eq!(split("http://h:8080/x/%s:/b"), (vec!["/b".to_owned()], true));
        assert_eq!(split("/a:https://h/x/%s"), (vec!["/a".to_owned()], true));
    }

    #[test]
    fn test_fasta_finds_sequences_in_any_order_with_and_without_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        fs::write(&path, ">a first\nACgt\nAC\n>b\nTTTT\nT\n>c\n").unwrap();
        let gz = folder.path().join("x.fa.gz");
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&gz).unwrap(),
            flate2::Compression::default(),
        );
        encoder.write_all(&fs::read(&path).unwrap()).unwrap();
        encoder.finish().unwrap();
        for indexed in [false, true] {
            if indexed {
                fs::write(folder.path().join("x.fa.fai"), "a\t6\t9\t4\t5\nb\t5\t20\t4\t5\n")
                    .unwrap();
            }
            for path in [&path, &gz] {
                let mut fasta = Fasta::open(path).unwrap();
                assert_eq!(fasta.sequence("b").unwrap().as_deref(), Some(&b"TTTTT"[..]));
                assert_eq!(fasta.sequence("a").unwrap().as_deref(), Some(&b"ACGTAC"[..]));
                assert_eq!(fasta.sequence("c").unwrap().as_deref(), Some(&b""[..]));
                assert_eq!(fasta.sequence("d").unwrap(), None);
            }
        }
    }
}
