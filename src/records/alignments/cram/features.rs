//! Bases and CIGAR of a mapped read from its differences to the reference (CRAM specification
//! §10.6), and the MD and NM tags that follow from them, as htslib 1.16 makes them.

use super::encoding::{Arrays, Streams, Values};
use super::series::Series;
use super::slice::{required, required_arrays};
use crate::error::{Error, Result};
use crate::records::alignments::sam;

const MATCH: u32 = 0;
const INSERTION: u32 = 1;
const DELETION: u32 = 2;
const SKIP: u32 = 3;
const SOFT_CLIP: u32 = 4;
const HARD_CLIP: u32 = 5;
const PADDING: u32 = 6;

/// A clip or insertion of a read without a sequence.
const MAX_ARRAY_BYTES: usize = 1 << 26;

/// The quality of bases that have none where others of the read have one.
const DEFAULT_QUALITY: u8 = 30;

/// A stretch of reference.
pub(super) struct Reference<'a> {
    pub(super) bases: &'a [u8],
    /// The position of the first base, 0-based.
    pub(super) start: i64,
}

impl Reference<'_> {
    fn range(&self, start: i64, len: i64) -> Result<&[u8]> {
        if len == 0 {
            return Ok(&[]);
        }
        let from = usize::try_from(start - self.start).ok();
        let range = from.and_then(|from| self.bases.get(from..from.checked_add(len as usize)?));
        range.ok_or_else(|| {
            Error::input("a read lies outside the reference of its slice")
                .found(format!("{len} bases from position {}", start + 1))
                .help("the file is damaged, or was made with another reference")
        })
    }

    fn base(&self, position: i64) -> Option<u8> {
        self.bases.get(usize::try_from(position - self.start).ok()?).copied()
    }
}

/// What a read is decoded from and into.
pub(super) struct Read<'r, 'a> {
    pub(super) series: &'r Series,
    pub(super) streams: &'r mut Streams<'a>,
    pub(super) substitutions: &'r [[u8; 4]; 5],
    pub(super) reference: Option<&'r Reference<'r>>,
    pub(super) contig_length: i64,
    /// 1-based.
    pub(super) position: i64,
    /// Qualities come as an array after the features.
    pub(super) has_array: bool,
    /// The tag MD is not stored, and should follow from the differences.
    pub(super) lacks_md: bool,
    /// As MD, for NM.
    pub(super) lacks_nm: bool,
    /// Filled with `=`.
    pub(super) sequence: &'r mut [u8],
    /// Filled with 0xFF.
    pub(super) qualities: &'r mut [u8],
}

/// Decodes the features; appends the CIGAR, and MD and NM where they are missing. Returns the last
/// base on the reference, 1-based.
pub(super) fn decode(read: Read<'_, '_>, cigars: &mut Vec<u32>, tags: &mut Vec<u8>) -> Result<i64> {
    let makes_md = read.lacks_md && read.reference.is_some();
    let makes_nm = read.lacks_nm && read.reference.is_some();
    let mut state = State {
        length: read.sequence.len() as i64,
        reference_position: read.position - 1,
        read_position: 1,
        read,
        cigar: Cigar { ops: cigars, code: MATCH, length: 0 },
        differences: Differences { is_wanted: makes_md || makes_nm, md: Vec::new(), run: 0, nm: 0 },
    };
    state.features()?;
    let end = state.reference_position;
    state.cigar.flush();
    let differences = state.differences;
    if makes_md {
        tags.extend_from_slice(b"MDZ");
        tags.extend_from_slice(&differences.md);
        if differences.run >= 0 {
            sam::push_integer(tags, differences.run);
        }
        tags.push(0);
    }
    if makes_nm {
        push_nm(tags, differences.nm);
    }
    Ok(end)
}

fn push_nm(tags: &mut Vec<u8>, nm: i64) {
    let (kind, width) = match nm {
        0..0x100 => (b'C', 1),
        0x100..0x1_0000 => (b'S', 2),
        _ => (b'I', 4),
    };
    tags.extend_from_slice(&[b'N', b'M', kind]);
    tags.extend_from_slice(&nm.to_le_bytes()[..width]);
}

struct State<'r, 'a, 'c> {
    read: Read<'r, 'a>,
    cigar: Cigar<'c>,
    differences: Differences,
    length: i64,
    /// 0-based.
    reference_position: i64,
    /// 1-based.
    read_position: i64,
}

impl State<'_, '_, '_> {
    fn features(&mut self) -> Result<()> {
        let count = self.int("FN", |s| &s.feature_count)?;
        let mut position = 0;
        for _ in 0..count {
            let code = self.byte("FC", |s| &s.feature_code)?;
            position += i64::from(self.int("FP", |s| &s.feature_position)?);
            if position <= 0 || position > self.length + 1 {
                return Err(Error::input("a feature is outside its read")
                    .expected(format!("1 to {}", self.length + 1))
                    .found(position)
                    .help("the file is damaged; make it again"));
            }
            if position > self.read_position {
                self.matching(position - self.read_position)?;
            }
            self.feature(code, position)?;
        }
        let rest = self.length - self.read_position + 1;
        if rest > 0 { self.matching(rest) } else { Ok(()) }
    }

    fn feature(&mut self, code: u8, at: i64) -> Result<()> {
        match code {
            b'X' => self.substitution(at),
            b'S' => {
                let count = self.array("SC", |s| &s.soft_clip, at)?;
                self.cigar.flush();
                self.cigar.ops.push((count as u32) << 4 | SOFT_CLIP);
                self.read_position += count;
                Ok(())
            }
            b'I' => {
                let count = self.array("IN", |s| &s.insertion, at)?;
                self.inserted(count);
                Ok(())
            }
            b'i' => {
                let base = self.byte("BA", |s| &s.base)?;
                self.set_base(at, base)?;
                self.inserted(1);
                Ok(())
            }
            b'D' => self.deletion(),
            b'N' => {
                let count = self.count("RS", |s| &s.skip_length)?;
                self.cigar.push(SKIP, count);
                self.reference_position += count;
                Ok(())
            }
            b'P' => {
                let count = self.count("PD", |s| &s.padding)?;
                self.cigar.push(PADDING, count);
                Ok(())
            }
            b'H' => {
                let count = self.count("HC", |s| &s.hard_clip)?;
                self.cigar.push(HARD_CLIP, count);
                Ok(())
            }
            b'b' => {
                let count = self.array("BB", |s| &s.bases, at)?;
                self.stated(count);
                Ok(())
            }
            b'B' => {
                let base = self.byte("BA", |s| &s.base)?;
                self.set_base(at, base)?;
                self.stated(1);
                self.quality(at)
            }
            b'Q' => self.quality(at),
            b'q' => self.quality_run(at),
            code => Err(Error::input("a feature's code is not known")
                .found(format!("{:?}", char::from(code)))
                .help("the file is damaged; make it again")),
        }
    }

    /// Bases that are as in the reference.
    fn matching(&mut self, count: i64) -> Result<()> {
        self.cigar.push(MATCH, count);
        let from = self.reference_position;
        self.reference_position += count;
        let start = (self.read_position - 1) as usize;
        self.read_position += count;
        let Some(reference) = self.read.reference else { return Ok(()) };
        let bases = &mut self.read.sequence[start..start + count as usize];
        if from + count > self.read.contig_length {
            // Beyond the contig's end there are only unknown bases.
            bases.fill(b'N');
            let known = (self.read.contig_length - from).max(0);
            bases[..known as usize].copy_from_slice(reference.range(from, known)?);
            if self.differences.run >= 0 {
                self.differences.run += count;
            }
            return Ok(());
        }
        bases.copy_from_slice(reference.range(from, count)?);
        if self.differences.is_wanted {
            self.differences.matching(bases);
        }
        Ok(())
    }

    fn substitution(&mut self, at: i64) -> Result<()> {
        let code = self.byte("BS", |s| &s.substitution)?;
        self.cigar.push(MATCH, 1);
        let position = self.reference_position;
        let inside = self.read.reference.filter(|_| position < self.read.contig_length);
        let reference_base = inside.map(|reference| reference.base(position).unwrap_or(b'N'));
        let row = match reference_base {
            Some(b'A' | b'a') => 0,
            Some(b'C' | b'c') => 1,
            Some(b'G' | b'g') => 2,
            Some(b'T' | b't') => 3,
            _ => 4,
        };
        let base = self.read.substitutions[row].get(usize::from(code)).copied();
        let base = base.ok_or_else(|| {
            Error::input("a substitution's code is not known")
                .expected("0 to 3")
                .found(code)
                .help("the file is damaged; make it again")
        })?;
        self.set_base(at, base)?;
        match reference_base {
            Some(base) => self.differences.different(&[base]),
            None => self.differences.unknown(),
        }
        self.read_position += 1;
        self.reference_position += 1;
        Ok(())
    }

    fn inserted(&mut self, count: i64) {
        self.cigar.push(INSERTION, count);
        self.read_position += count;
        self.differences.nm += count;
    }

    fn deletion(&mut self) -> Result<()> {
        let count = self.count("DL", |s| &s.deletion_length)?;
        self.cigar.push(DELETION, count);
        let from = self.reference_position;
        self.reference_position += count;
        let Some(reference) = self.read.reference.filter(|_| self.differences.is_wanted) else {
            return Ok(());
        };
        let inside = (self.read.contig_length - from).clamp(0, count);
        self.differences.deleted(reference.range(from, inside)?, inside == count);
        Ok(())
    }

    /// Bases that are given although they are aligned.
    fn stated(&mut self, count: i64) {
        self.cigar.push(MATCH, count);
        let from = self.reference_position;
        self.reference_position += count;
        self.read_position += count;
        let Some(reference) = self.read.reference.filter(|_| self.differences.is_wanted) else {
            return;
        };
        let bases: Vec<u8> = (from..(from + count).min(self.read.contig_length))
            .map_while(|position| reference.base(position))
            .collect();
        self.differences.different(&bases);
    }

    fn quality(&mut self, at: i64) -> Result<()> {
        let quality = self.byte("QS", |s| &s.quality)?;
        self.set_default_qualities();
        let slot = self.read.qualities.get_mut((at - 1) as usize).ok_or_else(outside)?;
        *slot = quality;
        Ok(())
    }

    fn quality_run(&mut self, at: i64) -> Result<()> {
        let start = (at - 1) as usize;
        let room = self.read.qualities.len().saturating_sub(start);
        let mut values = Vec::new();
        let encoding = required_arrays("QQ", &self.read.series.qualities)?;
        let count = encoding.read(self.read.streams, room, &mut values)?;
        self.set_default_qualities();
        self.read.qualities[start..start + count].copy_from_slice(&values);
        Ok(())
    }

    fn set_default_qualities(&mut self) {
        if !self.read.has_array && self.read.qualities.first() == Some(&0xff) {
            self.read.qualities.fill(DEFAULT_QUALITY);
        }
    }

    fn set_base(&mut self, at: i64, base: u8) -> Result<()> {
        match self.read.sequence.get_mut((at - 1) as usize) {
            Some(slot) => *slot = base,
            None if self.length == 0 => {}
            None => return Err(outside()),
        }
        Ok(())
    }

    /// Reads an array into the sequence and returns its length.
    fn array(
        &mut self,
        name: &str,
        of: impl Fn(&Series) -> &Option<Arrays>,
        at: i64,
    ) -> Result<i64> {
        let start = (at - 1) as usize;
        let room = match self.length {
            // Without a sequence the array only gives the length of the operation.
            0 => MAX_ARRAY_BYTES,
            _ => self.read.sequence.len().saturating_sub(start),
        };
        let mut bases = Vec::new();
        let encoding = required_arrays(name, of(self.read.series))?;
        let count = encoding.read(self.read.streams, room, &mut bases)?;
        if self.length > 0 {
            self.read.sequence[start..start + count].copy_from_slice(&bases);
        }
        Ok(count as i64)
    }

    fn count(&mut self, name: &str, of: impl Fn(&Series) -> &Option<Values>) -> Result<i64> {
        match self.int(name, of)? {
            count @ 0..0x1000_0000 => Ok(i64::from(count)),
            count => Err(Error::input(format!("a length in series {name} is absurd"))
                .found(count)
                .help("the file is damaged; make it again")),
        }
    }

    fn int(&mut self, name: &str, of: impl Fn(&Series) -> &Option<Values>) -> Result<i32> {
        required(name, of(self.read.series))?.int(self.read.streams)
    }

    fn byte(&mut self, name: &str, of: impl Fn(&Series) -> &Option<Values>) -> Result<u8> {
        required(name, of(self.read.series))?.byte(self.read.streams)
    }
}

fn outside() -> Error {
    Error::input("a feature reaches beyond its read").help("the file is damaged; make it again")
}

/// Builds a CIGAR, joining operations of the same kind.
struct Cigar<'c> {
    ops: &'c mut Vec<u32>,
    code: u32,
    length: i64,
}

impl Cigar<'_> {
    fn push(&mut self, code: u32, length: i64) {
        if self.code != code {
            self.flush();
        }
        self.code = code;
        self.length += length;
    }

    fn flush(&mut self) {
        if self.length > 0 {
            self.ops.push((self.length as u32) << 4 | self.code);
            self.length = 0;
        }
    }
}

/// Collects MD and NM.
struct Differences {
    is_wanted: bool,
    md: Vec<u8>,
    /// Matching bases since the last difference; -1 where the reference has ended.
    run: i64,
    nm: i64,
}

impl Differences {
    fn matching(&mut self, bases: &[u8]) {
        // An unknown base in the reference counts as a difference.
        for base in bases {
            if *base == b'N' {
                self.different(b"N");
            } else {
                self.run += 1;
            }
        }
    }

    /// Bases of the reference that the read has others for.
    fn different(&mut self, reference: &[u8]) {
        for base in reference {
            self.push_run();
            self.md.push(*base);
            self.run = 0;
        }
        self.nm += reference.len() as i64;
    }

    fn deleted(&mut self, reference: &[u8], is_whole: bool) {
        self.push_run();
        self.md.push(b'^');
        self.md.extend_from_slice(reference);
        self.nm += reference.len() as i64;
        self.run = if is_whole { 0 } else { -1 };
    }

    /// A base where there is no reference.
    fn unknown(&mut self) {
        self.push_run();
        self.run = -1;
    }

    fn push_run(&mut self) {
        if self.run >= 0 {
            sam::push_integer(&mut self.md, self.run);
        }
    }
}
