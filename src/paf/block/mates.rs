//! Pairs: what one mate says about the other is left out where both lie in the same block.
//!
//! A record is linked to the next later one of its name when each states the other's place and
//! strand. Then only the distance between them is stored, and name, flags, mate fields and template
//! lengths of the pair follow. Each prediction is checked before it is relied on.

use ahash::{HashMap, HashMapExt as _};

use super::core::Core;
use super::series::{self, StreamsIn, StreamsOut};
use crate::codec::cursor::Cursor;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::records::alignments::Record;
use crate::records::alignments::record::flags::{
    DUPLICATE, MATE_REVERSE, MATE_UNMAPPED, PAIRED, PROPER_PAIR, QC_FAIL, READ1, READ2, REVERSE,
    SECONDARY, SUPPLEMENTARY, UNMAPPED,
};

/// How the two template lengths of a linked pair come about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TlenRule {
    /// From the leftmost to the rightmost aligned base; positive for the leftmost record, and for
    /// READ1 where both begin at the same base.
    Outer,
    /// As `Outer`, but positive for the upper record where both begin at the same base.
    OuterUpper,
    /// Between the 5' ends, counting both.
    FivePrime,
    /// Both zero.
    Zero,
    /// The upper one is stated, the lower is its negative.
    Opposite,
    /// Both are stated.
    Stated,
}

impl TlenRule {
    const ALL: [Self; 6] =
        [Self::Outer, Self::OuterUpper, Self::FivePrime, Self::Zero, Self::Opposite, Self::Stated];

    /// The template lengths (upper, lower) where the rule gives them.
    fn derive(self, core: &Core, flags: &[u16], upper: usize, lower: usize) -> Option<(i32, i32)> {
        let start = |index: usize| i64::from(core.position[index]);
        let same_contig = core.contig[upper] == core.contig[lower];
        let (forward, backward) = match self {
            Self::Zero => (0, 0),
            Self::Outer | Self::OuterUpper if same_contig => {
                let left = start(upper).min(start(lower));
                let right = core.end[upper].max(core.end[lower]);
                let tie = start(upper) == start(lower);
                let upper_is_left = if tie && self == Self::Outer {
                    flags[upper] & READ1 != 0
                } else {
                    start(upper) <= start(lower)
                };
                let span = right - left;
                if upper_is_left { (span, -span) } else { (-span, span) }
            }
            Self::FivePrime if same_contig => {
                let five_prime = |index: usize| {
                    if flags[index] & REVERSE != 0 { core.end[index] - 1 } else { start(index) }
                };
                let step = five_prime(lower) - five_prime(upper);
                let span = step + step.signum();
                (span, -span)
            }
            _ => return None,
        };
        Some((i32::try_from(forward).ok()?, i32::try_from(backward).ok()?))
    }
}

/// The pairs of a block: per record, its mate further down or further up.
#[derive(Debug)]
pub(super) struct Links {
    /// The linked mate further down.
    pub(super) lower: Vec<Option<u32>>,
    /// The linked mate further up: such a record states neither name nor mate.
    pub(super) upper: Vec<Option<u32>>,
}

impl Links {
    /// Finds the pairs of a block.
    fn find(core: &Core, records: &[Record<'_>]) -> Self {
        let count = records.len();
        let mut links = Self { lower: vec![None; count], upper: vec![None; count] };
        let mut open: HashMap<&[u8], u32> = HashMap::with_capacity(count);
        for (index, record) in records.iter().enumerate() {
            if record.flags() & PAIRED == 0 || record.flags() & (SECONDARY | SUPPLEMENTARY) != 0 {
                continue;
            }
            let partner = open.insert(record.name(), index as u32);
            let Some(upper) = partner else { continue };
            if Self::agree(core, records, upper as usize, index) {
                links.lower[upper as usize] = Some(index as u32);
                links.upper[index] = Some(upper);
                open.remove(record.name());
            }
        }
        links
    }

    /// Whether each of two records states the other's place, strand and mapping.
    fn agree(core: &Core, records: &[Record<'_>], a: usize, b: usize) -> bool {
        let states = |from: usize, of: usize| {
            records[from].mate_ref_id() == core.contig[of]
                && records[from].mate_position() == core.position[of]
                && records[from].flags() & (MATE_REVERSE | MATE_UNMAPPED)
                    == mate_bits(records[of].flags())
        };
        states(a, b) && states(b, a)
    }

    /// Reads the links of a block back.
    pub(super) fn decode(streams: &StreamsIn, count: usize) -> Result<Self> {
        let mut links = Self { lower: vec![None; count], upper: vec![None; count] };
        let mut distances = Cursor::new(streams.get(series::MATE_LINK), "mate link");
        for index in 0..count {
            if links.upper[index].is_some() {
                continue;
            }
            let distance: usize = distances.number()?;
            if distance == 0 {
                continue;
            }
            let lower = index
                .checked_add(distance)
                .filter(|&lower| lower < count && links.upper[lower].is_none())
                .ok_or_else(|| Error::corrupt("a mate link leads nowhere"))?;
            links.lower[index] = Some(lower as u32);
            links.upper[lower] = Some(index as u32);
        }
        distances.finish()?;
        Ok(links)
    }

    fn encode(&self, out: &mut StreamsOut) {
        let mut distances = Vec::new();
        for (index, lower) in self.lower.iter().enumerate() {
            if self.upper[index].is_none() {
                varint::put(
                    &mut distances,
                    lower.map_or(0, |lower| u64::from(lower) - index as u64),
                );
            }
        }
        out.set(series::MATE_LINK, distances);
    }

    /// The mate of record `index`, if linked.
    pub(super) fn mate(&self, index: usize) -> Option<usize> {
        self.lower[index].or(self.upper[index]).map(|mate| mate as usize)
    }
}

/// The bits that a record's flags should have for a mate with these flags.
fn mate_bits(mate: u16) -> u16 {
    let reverse = if mate & REVERSE != 0 { MATE_REVERSE } else { 0 };
    let unmapped = if mate & UNMAPPED != 0 { MATE_UNMAPPED } else { 0 };
    reverse | unmapped
}

/// What the upper mate's flags let expect of the lower's, mate bits aside.
fn expected_flags(upper: u16) -> u16 {
    let kept = upper & (PAIRED | PROPER_PAIR | QC_FAIL | DUPLICATE);
    let first = if upper & READ2 != 0 { READ1 } else { 0 };
    let second = if upper & READ1 != 0 { READ2 } else { 0 };
    kept | first | second | (!upper & REVERSE)
}

/// What the template length of an unlinked record probably is.
fn estimated_tlen(core: &Core, index: usize, mate_contig: i32, mate_position: i32) -> i64 {
    let start = i64::from(core.position[index]);
    let mate = i64::from(mate_position);
    if mate_contig < 0 || mate_contig != core.contig[index] {
        0
    } else if mate < start {
        mate - core.end[index]
    } else {
        mate + i64::from(core.length[index]) - start
    }
}

/// Writes the streams of flags, mapping qualities and mate fields; returns the links.
pub(super) fn encode(core: &Core, records: &[Record<'_>], out: &mut StreamsOut) -> Links {
    let links = Links::find(core, records);
    links.encode(out);
    let flags: Vec<u16> = records.iter().map(Record::flags).collect();
    encode_flags_and_mapq(&links, records, &flags, out);

    let (mut contigs, mut positions) = (Vec::new(), Vec::new());
    let (mut rules, mut tlens) = (Vec::new(), Vec::new());
    for (index, record) in records.iter().enumerate() {
        if links.upper[index].is_some() {
            continue;
        }
        if let Some(lower) = links.lower[index] {
            let lower = lower as usize;
            let actual = (record.template_length(), records[lower].template_length());
            let rule = TlenRule::ALL
                .into_iter()
                .find(|rule| match rule {
                    TlenRule::Opposite => actual.0.checked_neg() == Some(actual.1),
                    TlenRule::Stated => true,
                    rule => rule.derive(core, &flags, index, lower) == Some(actual),
                })
                .unwrap_or(TlenRule::Stated);
            rules.push(rule as u8);
            if matches!(rule, TlenRule::Opposite | TlenRule::Stated) {
                varint::put_signed(&mut tlens, i64::from(actual.0));
            }
            if rule == TlenRule::Stated {
                varint::put_signed(&mut tlens, i64::from(actual.1));
            }
            continue;
        }
        let (mate_contig, mate_position) = (record.mate_ref_id(), record.mate_position());
        let same = mate_contig >= 0 && mate_contig == core.contig[index];
        match mate_contig {
            _ if same => varint::put(&mut contigs, 1),
            -1 => varint::put(&mut contigs, 0),
            // Negative ids other than -1 wrap around and come back as they were.
            other => varint::put(&mut contigs, u64::from(other as u32) + 2),
        }
        let base = if same { i64::from(core.position[index]) } else { -1 };
        varint::put_signed(&mut positions, i64::from(mate_position) - base);
        let estimate = estimated_tlen(core, index, mate_contig, mate_position);
        varint::put_signed(&mut tlens, i64::from(record.template_length()) - estimate);
    }
    out.set(series::MATE_CONTIG, contigs);
    out.set(series::MATE_POSITION, positions);
    out.set(series::TLEN_RULE, rules);
    out.set(series::TLEN, tlens);
    links
}

fn encode_flags_and_mapq(
    links: &Links,
    records: &[Record<'_>],
    flags: &[u16],
    out: &mut StreamsOut,
) {
    let (mut low, mut high, mut mate_flags) = (Vec::new(), Vec::new(), Vec::new());
    let (mut mapq, mut mate_mapq) = (Vec::new(), Vec::new());
    for (index, record) in records.iter().enumerate() {
        let stored = |index: usize| match links.mate(index) {
            Some(_) => flags[index] & !(MATE_REVERSE | MATE_UNMAPPED),
            None => flags[index],
        };
        if let Some(upper) = links.upper[index] {
            let upper = upper as usize;
            varint::put(&mut mate_flags, u64::from(stored(index) ^ expected_flags(flags[upper])));
            mate_mapq.push(record.mapping_quality().wrapping_sub(records[upper].mapping_quality()));
        } else {
            let [low_byte, high_byte] = stored(index).to_le_bytes();
            low.push(low_byte);
            high.push(high_byte);
            mapq.push(record.mapping_quality());
        }
    }
    out.set(series::FLAGS_LOW, low);
    out.set(series::FLAGS_HIGH, high);
    out.set(series::MATE_FLAGS, mate_flags);
    out.set(series::MAPQ, mapq);
    out.set(series::MATE_MAPQ, mate_mapq);
}

/// Reads the flags of all records.
pub(super) fn decode_flags(streams: &StreamsIn, links: &Links) -> Result<Vec<u16>> {
    let count = links.lower.len();
    let mut low = Cursor::new(streams.get(series::FLAGS_LOW), "flags (low)");
    let mut high = Cursor::new(streams.get(series::FLAGS_HIGH), "flags (high)");
    let mut mates = Cursor::new(streams.get(series::MATE_FLAGS), "mate flags");
    let mut flags: Vec<u16> = Vec::with_capacity(count);
    for index in 0..count {
        flags.push(match links.upper[index] {
            Some(upper) => {
                let expected = expected_flags(flags[upper as usize]);
                let flags = expected ^ mates.number::<u16>()?;
                if flags & (MATE_REVERSE | MATE_UNMAPPED) != 0 {
                    return Err(Error::corrupt("a linked mate states what it should leave out"));
                }
                flags
            }
            None => u16::from_le_bytes([low.byte()?, high.byte()?]),
        });
    }
    low.finish()?;
    high.finish()?;
    mates.finish()?;
    for index in 0..count {
        if let Some(mate) = links.mate(index) {
            flags[index] |= mate_bits(flags[mate]);
        }
    }
    Ok(flags)
}

/// Reads the mapping qualities of all records.
pub(super) fn decode_mapq(streams: &StreamsIn, links: &Links) -> Result<Vec<u8>> {
    let mut own = Cursor::new(streams.get(series::MAPQ), "mapping quality");
    let mut mates = Cursor::new(streams.get(series::MATE_MAPQ), "mate mapping quality");
    let mut mapq: Vec<u8> = Vec::with_capacity(links.upper.len());
    for upper in &links.upper {
        mapq.push(match upper {
            Some(upper) => mapq[*upper as usize].wrapping_add(mates.byte()?),
            None => own.byte()?,
        });
    }
    own.finish()?;
    mates.finish()?;
    Ok(mapq)
}

/// Mate contig, mate position and template length of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MateFields {
    pub(super) contig: i32,
    pub(super) position: i32,
    pub(super) tlen: i32,
}

/// Reads the mate fields of all records.
pub(super) fn decode_fields(
    streams: &StreamsIn,
    core: &Core,
    links: &Links,
    flags: &[u16],
) -> Result<Vec<MateFields>> {
    let mut contigs = Cursor::new(streams.get(series::MATE_CONTIG), "mate contig");
    let mut positions = Cursor::new(streams.get(series::MATE_POSITION), "mate position");
    let mut rules = Cursor::new(streams.get(series::TLEN_RULE), "template length rule");
    let mut tlens = Cursor::new(streams.get(series::TLEN), "template length");
    let place = |index: usize| MateFields {
        contig: core.contig[index],
        position: core.position[index],
        tlen: 0,
    };
    let mut fields = vec![MateFields { contig: -1, position: -1, tlen: 0 }; core.len()];
    for index in 0..core.len() {
        if links.upper[index].is_some() {
            continue;
        }
        if let Some(lower) = links.lower[index] {
            let lower = lower as usize;
            let rule = rules.byte()?;
            let rule = *TlenRule::ALL
                .get(usize::from(rule))
                .ok_or_else(|| Error::corrupt(format!("template length rule {rule} is unknown")))?;
            let (upper_tlen, lower_tlen) = match rule {
                TlenRule::Opposite => {
                    let tlen: i32 = tlens.signed()?;
                    (tlen, tlen.wrapping_neg())
                }
                TlenRule::Stated => (tlens.signed()?, tlens.signed()?),
                rule => rule
                    .derive(core, flags, index, lower)
                    .ok_or_else(|| Error::corrupt("a template length cannot be derived"))?,
            };
            fields[index] = MateFields { tlen: upper_tlen, ..place(lower) };
            fields[lower] = MateFields { tlen: lower_tlen, ..place(index) };
            continue;
        }
        let (contig, base) = match contigs.varint()? {
            0 => (-1, -1),
            1 => (core.contig[index], i64::from(core.position[index])),
            other => {
                let id = u32::try_from(other - 2)
                    .map_err(|_| Error::corrupt("a mate's contig id is out of bounds"))?;
                (id as i32, -1)
            }
        };
        let signed = |sum: Option<i64>| {
            sum.and_then(|sum| i32::try_from(sum).ok())
                .ok_or_else(|| Error::corrupt("a mate field is outside 32 bits"))
        };
        let position = signed(positions.zigzag()?.checked_add(base))?;
        let estimate = estimated_tlen(core, index, contig, position);
        let tlen = signed(tlens.zigzag()?.checked_add(estimate))?;
        fields[index] = MateFields { contig, position, tlen };
    }
    contigs.finish()?;
    positions.finish()?;
    rules.finish()?;
    tlens.finish()?;
    Ok(fields)
}
