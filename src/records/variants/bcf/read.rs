//! Records framed out of the file, and made into lines on several threads.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::format::{SITE_FIXED, push_record};
use super::{Header, MAGIC};
use crate::error::{Context, Error, Result};
use crate::records::stream::Stream;

/// No header is longer than this.
const MAX_HEADER: u32 = 1 << 30;
/// No part of a record is longer than this. A damaged length beyond it is found before any memory
/// is asked for.
const MAX_PART: u32 = 1 << 30;
/// Bytes of records that are made into text together.
const BATCH_BYTES: usize = 256 << 10;

/// The lines of a BCF.
pub struct Lines {
    header: Arc<Header>,
    name: String,
    origin: Origin,
    piece: Piece,
    /// The line of the piece that comes next.
    next: usize,
}

enum Origin {
    /// Records become text where they are asked for.
    Here(Box<Frames>),
    /// Pieces in their order, each as soon as it is done.
    Threads(Receiver<Receiver<Result<Option<Piece>>>>),
    /// All lines have come, or an error has.
    Done,
}

/// Some records as text.
#[derive(Default)]
struct Piece {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The number of the first record, from 1.
    first: u64,
}

/// Some records as they are.
struct Batch {
    bytes: Vec<u8>,
    /// Of each record, bytes of its site and of its samples.
    parts: Vec<(usize, usize)>,
    /// The number of the first record, from 1, and its place in the decompressed file.
    first: u64,
    offset: u64,
}

/// Cuts the file into records.
struct Frames {
    stream: Stream,
    records: u64,
    offset: u64,
}

impl Lines {
    /// Reads the header of a BCF, from which nothing is read yet. Above one thread, others read,
    /// and make text of what they read.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where the file is none, or is damaged;
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for BCF 1.
    pub(crate) fn open(mut stream: Stream, threads: usize) -> Result<Self> {
        let name = stream.name().to_owned();
        let (header, offset) = read_header(&mut stream).at(|| "BCF header").at(|| &name)?;
        let header = Arc::new(header);
        let frames = Frames { stream, records: 0, offset };
        let origin = match threads {
            0 | 1 => Origin::Here(Box::new(frames)),
            _ => Origin::Threads(start(frames, &header, threads)),
        };
        Ok(Self { header, name, origin, piece: Piece::default(), next: 0 })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the record that came last, from 1.
    pub fn record(&self) -> u64 {
        self.piece.first + (self.next as u64).saturating_sub(1)
    }

    /// The next record as a line of VCF, without a line feed; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) naming the record, its place and its field.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        while self.next >= self.piece.ends.len() {
            match self.next_piece() {
                Ok(Some(piece)) => (self.piece, self.next) = (piece, 0),
                ended => {
                    self.origin = Origin::Done;
                    return ended.map(|_| None);
                }
            }
        }
        let start = self.next.checked_sub(1).map_or(0, |before| self.piece.ends[before]);
        let end = self.piece.ends[self.next];
        self.next += 1;
        Ok(Some(&self.piece.text[start..end]))
    }

    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let lost = || Error::internal("a thread that reads BCF has ended early");
        match &mut self.origin {
            Origin::Here(frames) => match frames.next()? {
                Some(batch) => text_of(&self.header, &batch, &self.name).map(Some),
                None => Ok(None),
            },
            Origin::Threads(pieces) => {
                let piece = pieces.recv().map_err(|_| lost())?;
                piece.recv().map_err(|_| lost())?
            }
            Origin::Done => Ok(None),
        }
    }
}

type Promise = Sender<Result<Option<Piece>>>;

/// Reads on a thread of its own and makes text on others, which all end when nobody listens.
fn start(
    mut frames: Frames,
    header: &Arc<Header>,
    threads: usize,
) -> Receiver<Receiver<Result<Option<Piece>>>> {
    let (to_consumer, pieces) = bounded(2 * threads);
    let (to_workers, jobs) = bounded::<(Batch, Promise)>(threads);
    for _ in 0..threads {
        let (jobs, header) = (jobs.clone(), Arc::clone(header));
        let name = frames.stream.name().to_owned();
        std::thread::spawn(move || {
            for (batch, promise) in jobs {
                // Nobody may be left to tell.
                let _ = promise.send(text_of(&header, &batch, &name).map(Some));
            }
        });
    }
    std::thread::spawn(move || {
        loop {
            let (promise, piece) = bounded(1);
            let batch = frames.next();
            if to_consumer.send(piece).is_err() {
                return;
            }
            match batch {
                Ok(Some(batch)) => {
                    if to_workers.send((batch, promise)).is_err() {
                        return;
                    }
                }
                ended => {
                    let _ = promise.send(ended.map(|_| None));
                    return;
                }
            }
        }
    });
    pieces
}

fn text_of(header: &Header, batch: &Batch, name: &str) -> Result<Piece> {
    let mut piece = Piece {
        text: Vec::with_capacity(batch.bytes.len() * 3),
        ends: Vec::with_capacity(batch.parts.len()),
        first: batch.first,
    };
    let mut rest = batch.bytes.as_slice();
    for (&(site, samples), record) in batch.parts.iter().zip(batch.first..) {
        let place = batch.offset + (batch.bytes.len() - rest.len()) as u64;
        let (site, after) = rest.split_at(site);
        let (samples, after) = after.split_at(samples);
        rest = after;
        let start = piece.text.len();
        push_record(header, site, samples, &mut piece.text)
            .and_then(|()| check_line(&piece.text[start..]))
            .at(|| {
                // Lengths are not among the bytes.
                let lengths = 8 * (record - batch.first + 1);
                format!("record {record}, byte {} of the decompressed file", place + lengths)
            })
            .at(|| name)?;
        piece.ends.push(piece.text.len());
    }
    Ok(piece)
}

/// A line feed in a text of the record would make two lines of one.
fn check_line(line: &[u8]) -> Result<()> {
    match memchr::memchr(b'\n', line) {
        None => Ok(()),
        Some(_) => {
            Err(Error::input("a text of the record holds a line feed, which VCF cannot say")
                .help("repair the file"))
        }
    }
}

impl Frames {
    /// The next records; `None` at the end.
    fn next(&mut self) -> Result<Option<Batch>> {
        let mut batch = Batch {
            bytes: Vec::new(),
            parts: Vec::new(),
            first: self.records + 1,
            offset: self.offset,
        };
        while batch.bytes.len() < BATCH_BYTES {
            let more = self.read_record(&mut batch);
            let more = more
                .at(|| {
                    let (record, byte) = (self.records + 1, self.offset);
                    format!("record {record}, byte {byte} of the decompressed file")
                })
                .at(|| self.stream.name().to_owned())?;
            if !more {
                break;
            }
        }
        Ok((!batch.parts.is_empty()).then_some(batch))
    }

    fn read_record(&mut self, batch: &mut Batch) -> Result<bool> {
        let mut lengths = Vec::with_capacity(8);
        match self.stream.read_into(8, &mut lengths)? {
            0 => return Ok(false),
            8 => {}
            got => return Err(truncated("the lengths of a record", 8, got)),
        }
        let (site, samples) = (u32_at(&lengths, 0), u32_at(&lengths, 4));
        if (site as usize) < SITE_FIXED {
            return Err(Error::input("the site of a record is too short")
                .expected(format!("at least {SITE_FIXED} bytes"))
                .found(format!("{site} bytes")));
        }
        if site > MAX_PART || samples > MAX_PART {
            return Err(Error::input("the length of a record is absurd")
                .expected(format!("at most {MAX_PART} bytes"))
                .found(format!("{} bytes", site.max(samples)))
                .help("the file is damaged; make it again"));
        }
        let (site, samples) = (site as usize, samples as usize);
        let got = self.stream.read_into(site + samples, &mut batch.bytes)?;
        if got < site + samples {
            return Err(truncated("a record", site + samples, got));
        }
        batch.parts.push((site, samples));
        self.records += 1;
        self.offset += 8 + (site + samples) as u64;
        Ok(true)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn truncated(what: &str, expected: usize, got: usize) -> Error {
    Error::input(format!("the file is truncated: it ends within {what}"))
        .expected(format!("{expected} bytes"))
        .found(format!("{got} bytes"))
        .help("copy the file again, or make it again with the program that wrote it")
}

/// The header, and how many bytes it takes.
fn read_header(stream: &mut Stream) -> Result<(Header, u64)> {
    let mut start = Vec::new();
    let got = stream.read_into(MAGIC.len() + 5, &mut start)?;
    if start.starts_with(b"BCF\x04") {
        return Err(Error::unsupported("this is BCF 1, a format of old samtools")
            .help("convert it with the bcftools of samtools 0.1.19"));
    }
    if !start.starts_with(MAGIC) {
        return Err(Error::input("this is no BCF 2"));
    }
    let length = u32_at(&start, MAGIC.len() + 1);
    if got < MAGIC.len() + 5 {
        return Err(truncated("the header", MAGIC.len() + 5, got));
    }
    if length > MAX_HEADER {
        return Err(Error::input("the length of the header is absurd")
            .expected(format!("at most {MAX_HEADER} bytes"))
            .found(format!("{length} bytes")));
    }
    let mut text = Vec::new();
    let got = stream.read_into(length as usize, &mut text)?;
    if got < length as usize {
        return Err(truncated("the header", length as usize, got));
    }
    let end = memchr::memchr(0, &text).unwrap_or(text.len());
    Ok((Header::parse(&text[..end])?, (MAGIC.len() + 5 + text.len()) as u64))
}
