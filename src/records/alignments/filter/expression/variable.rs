//! The variables of filter expressions.

use std::borrow::Cow;
use std::io::Write;

use super::FilterContext;
use super::eval::Value;
use crate::genome::ContigId;
use crate::records::alignments::record::{BASES, flags};
use crate::records::alignments::{CigarOp, Fields, Record};

const SOFT_CLIP: u8 = 4;
const HARD_CLIP: u8 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Cigar,
    EndPos,
    Flag,
    FlagBit(u16),
    HardClipped,
    Library,
    MappingQuality,
    MatePos,
    MateRefId,
    MateRefName,
    CigarOps,
    Pos,
    QueryLength,
    Name,
    Qualities,
    RefId,
    ReferenceLength,
    RefName,
    SoftClipped,
    Sequence,
    TemplateLength,
}

/// All variables by name.
pub(super) const NAMES: [(&str, Variable); 34] = [
    ("cigar", Variable::Cigar),
    ("endpos", Variable::EndPos),
    ("flag", Variable::Flag),
    ("flag.dup", Variable::FlagBit(flags::DUPLICATE)),
    ("flag.mreverse", Variable::FlagBit(flags::MATE_REVERSE)),
    ("flag.munmap", Variable::FlagBit(flags::MATE_UNMAPPED)),
    ("flag.paired", Variable::FlagBit(flags::PAIRED)),
    ("flag.proper_pair", Variable::FlagBit(flags::PROPER_PAIR)),
    ("flag.qcfail", Variable::FlagBit(flags::QC_FAIL)),
    ("flag.read1", Variable::FlagBit(flags::READ1)),
    ("flag.read2", Variable::FlagBit(flags::READ2)),
    ("flag.reverse", Variable::FlagBit(flags::REVERSE)),
    ("flag.secondary", Variable::FlagBit(flags::SECONDARY)),
    ("flag.supplementary", Variable::FlagBit(flags::SUPPLEMENTARY)),
    ("flag.unmap", Variable::FlagBit(flags::UNMAPPED)),
    ("hclen", Variable::HardClipped),
    ("library", Variable::Library),
    ("mapq", Variable::MappingQuality),
    ("mpos", Variable::MatePos),
    ("mrefid", Variable::MateRefId),
    ("mrname", Variable::MateRefName),
    ("ncigar", Variable::CigarOps),
    ("pnext", Variable::MatePos),
    ("pos", Variable::Pos),
    ("qlen", Variable::QueryLength),
    ("qname", Variable::Name),
    ("qual", Variable::Qualities),
    ("refid", Variable::RefId),
    ("rlen", Variable::ReferenceLength),
    ("rname", Variable::RefName),
    ("rnext", Variable::MateRefName),
    ("sclen", Variable::SoftClipped),
    ("seq", Variable::Sequence),
    ("tlen", Variable::TemplateLength),
];

/// What it takes to know the CIGAR also of a record whose operations are in its `CG` tag.
pub(in super::super) fn real_cigar() -> Fields {
    Fields::CIGAR | Fields::PLACE | Fields::tag(*b"CG")
}

impl Variable {
    pub(super) fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable)
    }

    pub(super) fn needs(self) -> Fields {
        match self {
            Self::Cigar
            | Self::CigarOps
            | Self::QueryLength
            | Self::ReferenceLength
            | Self::SoftClipped
            | Self::HardClipped => real_cigar(),
            Self::EndPos => Fields::PLACE | Fields::CIGAR | Fields::FLAGS,
            Self::Flag | Self::FlagBit(_) => Fields::FLAGS,
            Self::Library => Fields::tag(*b"RG"),
            Self::MappingQuality => Fields::MAPPING_QUALITY,
            Self::MatePos | Self::MateRefId | Self::MateRefName | Self::TemplateLength => {
                Fields::MATE
            }
            Self::Pos | Self::RefId | Self::RefName => Fields::PLACE,
            Self::Name => Fields::NAME,
            Self::Qualities => Fields::QUALITIES,
            Self::Sequence => Fields::SEQUENCE,
        }
    }

    pub(super) fn value<'a>(self, record: &Record<'a>, context: &FilterContext<'a>) -> Value<'a> {
        let contig = |id: i32| {
            let contig = u32::try_from(id).ok().and_then(|id| context.contigs.get(ContigId(id)));
            Value::text(contig.map_or(&b"*"[..], |contig| contig.name.as_bytes()))
        };
        let bases = |counts: fn(CigarOp) -> bool| -> Value<'a> {
            let ops = record.cigar().filter(|&op| counts(op));
            Value::number(ops.map(|op| u64::from(op.len())).sum::<u64>() as f64)
        };
        match self {
            Self::Cigar => Value::text(cigar_text(record)),
            Self::EndPos => Value::number(record.interval().end() as f64),
            Self::Flag => Value::number(f64::from(record.flags())),
            Self::FlagBit(bit) => Value::number(f64::from(record.flags() & bit)),
            Self::HardClipped => {
                Value::number(clipped(record, |code| code == HARD_CLIP, |_| false))
            }
            Self::Library => Value::text(context.libraries.of_record(record).unwrap_or_default()),
            Self::MappingQuality => Value::number(f64::from(record.mapping_quality())),
            Self::MatePos => Value::number(f64::from(record.mate_position()) + 1.0),
            Self::MateRefId => Value::number(f64::from(record.mate_ref_id())),
            Self::MateRefName => contig(record.mate_ref_id()),
            Self::CigarOps => Value::number(record.cigar().len() as f64),
            Self::Pos => Value::number(f64::from(record.position()) + 1.0),
            Self::QueryLength => bases(CigarOp::consumes_read),
            Self::Name => Value::text(record.name()),
            Self::Qualities => Value::text(record.qualities()),
            Self::RefId => Value::number(f64::from(record.ref_id())),
            Self::ReferenceLength => bases(CigarOp::consumes_reference),
            Self::RefName => contig(record.ref_id()),
            Self::SoftClipped => {
                Value::number(clipped(record, |code| code == SOFT_CLIP, |code| code == HARD_CLIP))
            }
            Self::Sequence => {
                let bases = record.base_codes().map(|code| BASES[usize::from(code)]);
                Value::text(bases.collect::<Vec<u8>>())
            }
            Self::TemplateLength => Value::number(f64::from(record.template_length())),
        }
    }
}

/// The CIGAR as in SAM.
fn cigar_text<'a>(record: &Record<'_>) -> Cow<'a, [u8]> {
    let ops = record.cigar();
    if ops.len() == 0 {
        return Cow::Borrowed(b"*");
    }
    let mut text = Vec::with_capacity(4 * ops.len());
    for op in ops {
        // Writing to memory cannot fail.
        let _ = write!(text, "{}{}", op.len(), char::from(op.letter()));
    }
    Cow::Owned(text)
}

/// Bases clipped at the two ends of the alignment, where one operation of the other kind may stand
/// outside. An alignment that is all clip counts once.
fn clipped(
    record: &Record<'_>,
    is_clip: impl Fn(u8) -> bool,
    may_precede: impl Fn(u8) -> bool,
) -> f64 {
    let ops: Vec<_> = record.cigar().collect();
    let end = |ops: &mut dyn Iterator<Item = (usize, CigarOp)>| {
        let (at, first) = ops.next()?;
        if is_clip(first.code()) {
            return Some((at, first));
        }
        ops.next().filter(|(_, second)| may_precede(first.code()) && is_clip(second.code()))
    };
    let left = end(&mut ops.iter().copied().enumerate());
    let right = end(&mut ops.iter().copied().enumerate().rev());
    let right = right.filter(|(right, _)| left.is_none_or(|(left, _)| left < *right));
    let bases = |end: Option<(usize, CigarOp)>| end.map_or(0, |(_, op)| u64::from(op.len()));
    (bases(left) + bases(right)) as f64
}
