//! Records to data series, without a reference: every base is stored.
//!
//! CRAM cannot hold every record. What a decoder would change is refused, with the read's name.

use std::collections::HashMap;

use super::bytes::push_itf8;
use crate::error::{Error, Result};
use crate::records::alignments::record::{BASES, flags};
use crate::records::alignments::{CigarOp, Record};

/// The data series that are stored in blocks; a block's content id is one more than its place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    BamFlags,
    CramFlags,
    RefId,
    ReadLength,
    Position,
    Name,
    MateRefId,
    MatePosition,
    TemplateLength,
    TagLine,
    FeatureCount,
    FeatureCode,
    FeaturePosition,
    DeletionLength,
    BaseRunLength,
    BaseRun,
    InsertionLength,
    Insertion,
    SoftClipLength,
    SoftClip,
    SkipLength,
    Padding,
    HardClip,
    MappingQuality,
    Base,
    Quality,
}

use Stream::{
    BamFlags, Base, BaseRun, BaseRunLength, CramFlags, DeletionLength, FeatureCode, FeatureCount,
    FeaturePosition, HardClip, Insertion, InsertionLength, MappingQuality, MatePosition, MateRefId,
    Name, Padding, Position, Quality, ReadLength, RefId, SkipLength, SoftClip, SoftClipLength,
    TagLine, TemplateLength,
};

/// How many there are.
const STREAMS: usize = Quality as usize + 1;

/// What ends a read name in its stream.
pub(super) const NAME_STOP: u8 = 0;

const QUALITIES_AS_ARRAY: i32 = 0x1;
const DETACHED: i32 = 0x2;
const NO_SEQUENCE: i32 = 0x8;

/// The values of one tag name and type.
#[derive(Debug)]
pub(super) struct TagStream {
    pub(super) key: [u8; 3],
    pub(super) lengths: Vec<u8>,
    pub(super) values: Vec<u8>,
}

/// The series of one slice, growing record by record.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    streams: [Vec<u8>; STREAMS],
    /// The distinct lists of tag names and types, in the order of their numbers.
    pub(super) tag_lines: Vec<Vec<u8>>,
    line_numbers: HashMap<Vec<u8>, i32>,
    /// In the order of their first use.
    pub(super) tags: Vec<TagStream>,
    tag_places: HashMap<[u8; 3], usize>,
    /// Each record's contig and 1-based position, which are stored once all are known.
    pub(super) places: Vec<(i32, i32)>,
    /// The last base on the contig, 1-based, of the records so far.
    pub(super) end: i64,
    pub(super) bases: u64,
    line: Vec<u8>,
    letters: Vec<u8>,
}

impl Encoder {
    /// All series in the order of their content ids, and those of tags.
    pub(super) fn into_streams(self) -> (Vec<Vec<u8>>, Vec<TagStream>) {
        (self.streams.into(), self.tags)
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// `Unsupported` naming the read, if decoders would make another record of it.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<()> {
        check(record).map_err(|error| {
            error
                .help("write BAM instead, which can hold it")
                .at(format!("read {:?}", String::from_utf8_lossy(record.name())))
        })?;
        let is_mapped = record.flags() & flags::UNMAPPED == 0;
        let has_sequence = record.sequence_len() > 0;
        let has_qualities = record.qualities().iter().any(|quality| *quality != 0xff);
        let has_clipped_length = is_mapped && !has_sequence;
        let read_length = if has_clipped_length {
            record.cigar().filter(|op| op.consumes_read()).map(|op| op.len() as usize).sum()
        } else {
            record.sequence_len()
        };
        let mut cram_flags = DETACHED;
        if has_qualities {
            cram_flags |= QUALITIES_AS_ARRAY;
        }
        if has_clipped_length && read_length > 0 {
            cram_flags |= NO_SEQUENCE;
        }
        self.int(BamFlags, i32::from(record.flags()));
        self.int(CramFlags, cram_flags);
        self.int(ReadLength, read_length as i32);
        self.places.push((record.ref_id(), record.position() + 1));
        self.bytes(Name, record.name());
        self.bytes(Name, &[NAME_STOP]);
        self.int(MateRefId, record.mate_ref_id());
        self.int(MatePosition, record.mate_position() + 1);
        self.int(TemplateLength, record.template_length());
        self.push_tags(record);
        self.letters.clear();
        self.letters.extend(record.base_codes().map(|code| BASES[usize::from(code)]));
        if is_mapped {
            self.push_features(record, read_length);
            self.int(MappingQuality, i32::from(record.mapping_quality()));
        } else {
            self.streams[Base as usize].extend_from_slice(&self.letters);
        }
        if has_qualities {
            self.bytes(Quality, record.qualities());
        }
        self.end = self.end.max(record.interval().end() as i64);
        self.bases += read_length as u64;
        Ok(())
    }

    /// Stores the places: positions as differences where the slice is sorted and on one contig
    /// that begins at `start`, contigs where they differ.
    pub(super) fn push_places(&mut self, start: Option<i32>, has_contigs: bool) {
        let mut last = start;
        for (ref_id, position) in std::mem::take(&mut self.places) {
            if has_contigs {
                self.int(RefId, ref_id);
            }
            self.int(Position, last.map_or(position, |last| position - last));
            last = last.map(|_| position);
        }
    }

    fn push_tags(&mut self, record: &Record<'_>) {
        let long_cigar = record.long_cigar().map(|tag| tag.value.as_ptr());
        self.line.clear();
        for tag in record.tags().filter(|tag| Some(tag.value.as_ptr()) != long_cigar) {
            let key = [tag.name[0], tag.name[1], tag.kind];
            self.line.extend_from_slice(&key);
            let place = *self.tag_places.entry(key).or_insert_with(|| {
                self.tags.push(TagStream { key, lengths: Vec::new(), values: Vec::new() });
                self.tags.len() - 1
            });
            let stream = &mut self.tags[place];
            if fixed_length(tag.kind).is_none() {
                push_itf8(&mut stream.lengths, tag.value.len() as i32);
            }
            stream.values.extend_from_slice(tag.value);
        }
        let number = match self.line_numbers.get(&self.line) {
            Some(number) => *number,
            None => {
                let number = self.tag_lines.len() as i32;
                self.tag_lines.push(self.line.clone());
                self.line_numbers.insert(self.line.clone(), number);
                number
            }
        };
        self.int(TagLine, number);
    }

    /// Stores the CIGAR, and with it the bases.
    fn push_features(&mut self, record: &Record<'_>, read_length: usize) {
        let has_sequence = record.sequence_len() > 0;
        let letters = std::mem::take(&mut self.letters);
        let unknown = if has_sequence { Vec::new() } else { vec![b'N'; read_length] };
        let bases = if has_sequence { &letters } else { &unknown };
        let (mut at, mut last, mut count) = (0usize, 0, 0);
        for op in record.cigar() {
            let end = if op.consumes_read() { at + op.len() as usize } else { at };
            // A match without known bases is what lies between the features.
            if op.code() != 0 || has_sequence {
                count += 1;
                self.feature(op, at as i32 + 1 - last, &bases[at..end]);
                last = at as i32 + 1;
            }
            at = end;
        }
        self.int(FeatureCount, count);
        self.letters = letters;
    }

    fn feature(&mut self, op: CigarOp, distance: i32, bases: &[u8]) {
        let (code, lengths, contents) = match op.letter() {
            b'M' => (b'b', BaseRunLength, Some(BaseRun)),
            b'I' => (b'I', InsertionLength, Some(Insertion)),
            b'S' => (b'S', SoftClipLength, Some(SoftClip)),
            b'D' => (b'D', DeletionLength, None),
            b'N' => (b'N', SkipLength, None),
            b'H' => (b'H', HardClip, None),
            _ => (b'P', Padding, None),
        };
        self.bytes(FeatureCode, &[code]);
        self.int(FeaturePosition, distance);
        self.int(lengths, op.len() as i32);
        if let Some(contents) = contents {
            self.bytes(contents, bases);
        }
    }

    fn int(&mut self, stream: Stream, value: i32) {
        push_itf8(&mut self.streams[stream as usize], value);
    }

    fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        self.streams[stream as usize].extend_from_slice(bytes);
    }
}

/// The length of all values of a tag type, if it is one.
pub(super) fn fixed_length(kind: u8) -> Option<i32> {
    match kind {
        b'A' | b'c' | b'C' => Some(1),
        b's' | b'S' => Some(2),
        b'i' | b'I' | b'f' => Some(4),
        _ => None,
    }
}

/// Finds out whether decoders make the same record again.
fn check(record: &Record<'_>) -> Result<()> {
    let is_mapped = record.flags() & flags::UNMAPPED == 0;
    let ops = record.cigar();
    if record.flags() > 0xfff {
        return Err(lossy("FLAG has bits beyond the twelve that are defined"));
    }
    if record.name().is_empty() {
        return Err(lossy("the name is empty"));
    }
    if record.flags() & flags::PAIRED == 0 && record.mate_ref_id() >= 0 {
        return Err(lossy("the read is not paired, but names the contig of a mate"));
    }
    if let Some(tag) = record.tags().find(|tag| tag.name == *b"cF" && tag.kind == b'C') {
        return Err(lossy("samtools keeps the tag cF to itself").found(format!("{tag:?}")));
    }
    if !is_mapped {
        if ops.len() > 0 {
            return Err(lossy("the read is unmapped, but has a CIGAR"));
        }
        if record.mapping_quality() != 0 {
            return Err(lossy("the read is unmapped, but has a mapping quality"));
        }
        return Ok(());
    }
    if record.position() < 0 {
        return Err(lossy("the read is mapped, but has no position"));
    }
    let read_length: u64 =
        ops.clone().filter(|op| op.consumes_read()).map(|op| u64::from(op.len())).sum();
    if record.sequence_len() > 0 && read_length != record.sequence_len() as u64 {
        return Err(lossy("CIGAR and SEQ are of different length"));
    }
    if read_length > i32::MAX as u64 {
        return Err(lossy("the CIGAR is longer than 2,147,483,647 bases"));
    }
    let mut last = None;
    for op in ops {
        let letter = op.letter();
        if matches!(letter, b'=' | b'X') {
            return Err(lossy("the CIGAR tells matches from mismatches (operations = and X)"));
        }
        if op.is_empty() && letter != b'S' {
            return Err(lossy("the CIGAR has an operation of length 0"));
        }
        if last == Some(letter) && letter != b'S' {
            return Err(lossy("the CIGAR has the same operation twice in a row"));
        }
        last = Some(letter);
    }
    Ok(())
}

fn lossy(what: &str) -> Error {
    Error::unsupported(format!("the record cannot be kept in CRAM: {what}"))
}
