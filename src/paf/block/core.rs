//! Where the records of a block lie: contig, position, read length, CIGAR.
//!
//! Everything else is predicted from these, so they are gathered into columns once, on both sides.

use super::series::{self, StreamsIn, StreamsOut};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::records::alignments::{CigarOp, Record};

/// Marks, on a record's first operation, that all its lengths are stated.
const STATED: u8 = 0x80;

/// The longest read that is accepted from a stream: BAM's own limit.
const MAX_LENGTH: u64 = i32::MAX as u64;

/// The columns, one entry a record.
#[derive(Debug, Default)]
pub(super) struct Core {
    /// Contig id, -1 for none.
    pub(super) contig: Vec<i32>,
    /// Leftmost base, 0-based, -1 for none.
    pub(super) position: Vec<i32>,
    /// Read length.
    pub(super) length: Vec<u32>,
    ops: Vec<CigarOp>,
    op_ends: Vec<usize>,
    /// One past the last reference base of the CIGAR; one base where it spans none.
    pub(super) end: Vec<i64>,
}

impl Core {
    /// Gathers the columns of `records`; `cigar` gives the operations to store for each.
    pub(super) fn gather(records: &[Record<'_>]) -> Self {
        let mut core = Self::default();
        for record in records {
            core.contig.push(record.ref_id());
            core.position.push(record.position());
            core.length.push(record.sequence_len() as u32);
            if long_cigar_is_last(record) {
                core.ops.extend(record.cigar());
            } else {
                core.ops.extend(record.stored_cigar());
            }
            core.close_record();
        }
        core
    }

    /// How many records.
    pub(super) fn len(&self) -> usize {
        self.contig.len()
    }

    /// The operations of record `index`.
    pub(super) fn cigar(&self, index: usize) -> &[CigarOp] {
        let start = if index == 0 { 0 } else { self.op_ends[index - 1] };
        &self.ops[start..self.op_ends[index]]
    }

    /// Whether the bases of record `index` lie on a reference as its CIGAR says.
    pub(super) fn is_aligned(&self, index: usize) -> bool {
        let length = u64::from(self.length[index]);
        self.contig[index] >= 0
            && self.position[index] >= 0
            && length > 0
            && read_len(self.cigar(index)) == length
    }

    fn close_record(&mut self) {
        let index = self.op_ends.len();
        self.op_ends.push(self.ops.len());
        let span: i64 = self
            .cigar(index)
            .iter()
            .filter(|op| op.consumes_reference())
            .map(|op| i64::from(op.len()))
            .sum();
        self.end.push(i64::from(self.position[index]) + span.max(1));
    }

    /// Writes the streams of all columns.
    pub(super) fn encode(&self, out: &mut StreamsOut) {
        let mut contigs = Vec::new();
        let mut positions = Vec::new();
        let mut lengths = Vec::new();
        let (mut contig, mut position) = (0, 0);
        for index in 0..self.len() {
            let step = i64::from(self.contig[index]) - contig;
            varint::put_signed(&mut contigs, step);
            contig = i64::from(self.contig[index]);
            if step != 0 {
                position = 0;
            }
            varint::put_signed(&mut positions, i64::from(self.position[index]) - position);
            position = i64::from(self.position[index]);
            varint::put(&mut lengths, u64::from(self.length[index]));
        }
        out.set(series::CONTIG, contigs);
        out.set(series::POSITION, positions);
        out.set(series::LENGTH, lengths);
        self.encode_cigars(out);
    }

    fn encode_cigars(&self, out: &mut StreamsOut) {
        let mut shapes = Vec::new();
        let mut codes = Vec::new();
        let mut lens = OpLengths::<Vec<u8>>::default();
        for index in 0..self.len() {
            let ops = self.cigar(index);
            let length = u64::from(self.length[index]);
            match ops {
                [] => varint::put(&mut shapes, 0),
                [op] if op.code() == 0 && u64::from(op.len()) == length && length > 0 => {
                    varint::put(&mut shapes, 1);
                }
                _ => {
                    varint::put(&mut shapes, ops.len() as u64 + 1);
                    // The last length that moves along the read follows from the read's length.
                    let implied = (length > 0 && read_len(ops) == length)
                        .then(|| ops.iter().rposition(|op| op.consumes_read()))
                        .flatten();
                    for (at, op) in ops.iter().enumerate() {
                        let mark = if at == 0 && implied.is_none() { STATED } else { 0 };
                        codes.push(op.code() | mark);
                        if Some(at) != implied {
                            varint::put(lens.of(op.code()), u64::from(op.len()));
                        }
                    }
                }
            }
        }
        out.set(series::CIGAR_SHAPE, shapes);
        out.set(series::CIGAR_OPS, codes);
        out.set(series::CIGAR_MATCHES, lens.matches);
        out.set(series::CIGAR_GAPS, lens.gaps);
        out.set(series::CIGAR_CLIPS, lens.clips);
        out.set(series::CIGAR_SKIPS, lens.skips);
    }

    /// Reads the columns of `count` records back.
    pub(super) fn decode(streams: &StreamsIn, count: usize) -> Result<Self> {
        let mut core = Self::default();
        let mut contigs = Cursor::new(streams.get(series::CONTIG), "contig");
        let mut positions = Cursor::new(streams.get(series::POSITION), "position");
        let mut lengths = Cursor::new(streams.get(series::LENGTH), "length");
        let mut cigars = CigarStreams::new(streams);
        let (mut contig, mut position) = (0_i64, 0_i64);
        for _ in 0..count {
            let step = contigs.zigzag()?;
            if step != 0 {
                position = 0;
            }
            contig = in_i32(contig.checked_add(step), "contig")?;
            position = in_i32(position.checked_add(positions.zigzag()?), "position")?;
            let length = lengths.varint()?;
            if length > MAX_LENGTH {
                return Err(Error::corrupt(format!("a read of {length} bases is too long")));
            }
            core.contig.push(contig as i32);
            core.position.push(position as i32);
            core.length.push(length as u32);
            cigars.read(length, &mut core.ops)?;
            core.close_record();
        }
        contigs.finish()?;
        positions.finish()?;
        lengths.finish()?;
        cigars.finish()?;
        Ok(core)
    }
}

/// Whether the record's real CIGAR is in a `CG` tag that can be left out: it is the last tag, and
/// the operations are too many for BAM's own field.
pub(super) fn long_cigar_is_last(record: &Record<'_>) -> bool {
    let Some(tag) = record.long_cigar() else { return false };
    let ends_record = record.tag_bytes().ends_with(tag.value)
        && record.tags().last().is_some_and(|last| last.name == *b"CG" && last == tag)
        && record.tags().filter(|other| other.name == *b"CG").count() == 1;
    let span = |ops: &mut dyn Iterator<Item = CigarOp>| -> u64 {
        ops.filter(|op| op.consumes_reference()).map(|op| u64::from(op.len())).sum()
    };
    ends_record
        && record.cigar().len() > usize::from(u16::MAX)
        && record.cigar().all(|op| op.code() <= 8)
        && span(&mut record.cigar()) == span(&mut record.stored_cigar())
}

/// How many read bases a CIGAR covers.
fn read_len(ops: &[CigarOp]) -> u64 {
    ops.iter().filter(|op| op.consumes_read()).map(|op| u64::from(op.len())).sum()
}

fn in_i32(value: Option<i64>, what: &str) -> Result<i64> {
    value
        .filter(|&value| i32::try_from(value).is_ok())
        .ok_or_else(|| Error::corrupt(format!("stream {what}: a value outside 32 bits")))
}

/// One stream of lengths per family of operations.
#[derive(Default)]
struct OpLengths<T> {
    matches: T,
    gaps: T,
    clips: T,
    skips: T,
}

impl<T> OpLengths<T> {
    fn of(&mut self, code: u8) -> &mut T {
        match code {
            0 | 7 | 8 => &mut self.matches,
            3 => &mut self.skips,
            4 | 5 => &mut self.clips,
            _ => &mut self.gaps,
        }
    }
}

/// The CIGAR streams while they are read.
struct CigarStreams<'a> {
    shapes: Cursor<'a>,
    codes: Cursor<'a>,
    lens: OpLengths<Cursor<'a>>,
}

impl<'a> CigarStreams<'a> {
    fn new(streams: &'a StreamsIn) -> Self {
        let cursor = |series: series::Series| Cursor::new(streams.get(series), series.name());
        Self {
            shapes: cursor(series::CIGAR_SHAPE),
            codes: cursor(series::CIGAR_OPS),
            lens: OpLengths {
                matches: cursor(series::CIGAR_MATCHES),
                gaps: cursor(series::CIGAR_GAPS),
                clips: cursor(series::CIGAR_CLIPS),
                skips: cursor(series::CIGAR_SKIPS),
            },
        }
    }

    /// Appends one record's operations to `ops`.
    fn read(&mut self, length: u64, ops: &mut Vec<CigarOp>) -> Result<()> {
        let op = |len: u64, code: u8| CigarOp((len as u32) << 4 | u32::from(code));
        let count = match self.shapes.varint()? {
            0 => return Ok(()),
            1 if length < 1 << 28 => {
                ops.push(op(length, 0));
                return Ok(());
            }
            1 => return Err(Error::corrupt("a CIGAR operation is longer than 2^28 - 1 bases")),
            shape => usize::try_from(shape - 1)
                .map_err(|_| Error::corrupt("a CIGAR has more operations than memory"))?,
        };
        // Taking the codes first bounds `count` by what the stream holds.
        let codes = self.codes.take(count)?;
        let stated = codes[0] & STATED != 0;
        let code_at = |at: usize| if at == 0 { codes[0] & !STATED } else { codes[at] };
        let consumes_read = |code: u8| CigarOp(u32::from(code)).consumes_read();
        let implied =
            (!stated).then(|| (0..count).rposition(|at| consumes_read(code_at(at)))).flatten();
        let first = ops.len();
        let mut covered = 0_u64;
        for at in 0..count {
            let code = code_at(at);
            if code > 8 {
                return Err(Error::corrupt(format!("CIGAR operation code {code} is unknown")));
            }
            let len = if Some(at) == implied { 0 } else { self.lens.of(code).varint()? };
            if len >= 1 << 28 {
                return Err(Error::corrupt("a CIGAR operation is longer than 2^28 - 1 bases"));
            }
            if consumes_read(code) {
                covered += len;
            }
            ops.push(op(len, code));
        }
        if let Some(at) = implied {
            let rest = length
                .checked_sub(covered)
                .filter(|&rest| rest < 1 << 28)
                .ok_or_else(|| Error::corrupt("a CIGAR covers more bases than its read has"))?;
            ops[first + at] = op(rest, code_at(at));
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.shapes.finish()?;
        self.codes.finish()?;
        self.lens.matches.finish()?;
        self.lens.gaps.finish()?;
        self.lens.clips.finish()?;
        self.lens.skips.finish()
    }
}
