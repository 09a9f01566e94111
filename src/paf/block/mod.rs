//! A block: some thousands of neighbouring records as one stream of bytes per kind of value.
//!
//! Nothing crosses a block, so that any block can be read alone. Values that follow from others are
//! left out, after checking that they do: mates from their links, bases from a reference inferred
//! from the reads, `MD` and `NM` from both. Whatever is unusual is stated as an exception, and
//! [`decode`] gives back every record to the last bit. `spec/paf.md` is normative.

mod bases;
mod codes;
mod core;
mod mates;
mod md;
mod needs;
mod reference;
pub mod series;
mod tags;
mod text;

use crate::codec::cursor::Cursor;
use crate::codec::varint;
use codes::Bases;
use core::Core;
use mates::{Links, MateFields};
use reference::Reference;
use series::{Series, StreamsIn, StreamsOut};

use needs::Needs;
pub(super) use needs::is_needed;

use crate::codec::{self, Codec, Coded, Effort, Nature};
use crate::error::{Error, Result};
use crate::records::alignments::fields::Fields;
use crate::records::alignments::record::flags::{READ2, UNMAPPED};
use crate::records::alignments::record::reg2bin;
use crate::records::alignments::{CigarOp, RecordBatch};

/// One coded stream of a block.
#[derive(Debug)]
pub struct CodedStream {
    /// Which series.
    pub series: Series,
    /// Its codec.
    pub codec: Codec,
    /// Bytes before coding.
    pub raw_len: usize,
    /// Bytes after coding.
    pub bytes: Vec<u8>,
}

/// Encodes a block of records, and their numbers in the input where these are given.
///
/// # Errors
///
/// [`Internal`](crate::error::ErrorKind::Internal) only.
pub fn encode(batch: &RecordBatch, ordinals: &[u64], effort: Effort) -> Result<Vec<CodedStream>> {
    let records: Vec<_> = batch.iter().collect();
    let mut out = StreamsOut::default();
    let core = Core::gather(&records);
    core.encode(&mut out);
    let links = mates::encode(&core, &records, &mut out);
    let read_bases = Bases::unpack(&records);
    let reference = Reference::infer(&core, &records, &read_bases);
    reference.encode(&mut out);
    let differing = bases::encode(&core, &records, &read_bases, &reference, &mut out);

    let mapq: Vec<u8> = records.iter().map(|record| record.mapping_quality()).collect();
    let basis = tags::Basis {
        core: &core,
        links: &links,
        mapq: &mapq,
        alignment: Some(tags::Alignment {
            bases: &read_bases,
            reference: &reference,
            differing: &differing,
        }),
    };
    tags::encode(&records, &basis, effort, &mut out)?;

    let (mut names, mut present, mut qualities) = (Vec::new(), Vec::new(), Vec::new());
    let mut bins = Vec::new();
    let mut last_bin = 0;
    for (index, record) in records.iter().enumerate() {
        if links.upper[index].is_none() {
            names.extend_from_slice(record.name());
            names.push(0);
        }
        let quality = record.qualities();
        let is_present = quality.iter().any(|&value| value != 0xff);
        present.push(u8::from(is_present));
        if is_present {
            qualities.extend_from_slice(quality);
        }
        if record.bin() != expected_bin(&core, index, record.flags()) {
            varint::put(&mut bins, (index - last_bin) as u64);
            bins.extend_from_slice(&record.bin().to_le_bytes());
            last_bin = index;
        }
    }
    out.set(series::ORDINAL, encode_ordinals(ordinals));
    out.set(series::NAME, names);
    out.set(series::QUAL_PRESENT, present.clone());
    out.set(series::QUAL, qualities);
    out.set(series::BIN, bins);

    let flags: Vec<u16> = records.iter().map(|record| record.flags()).collect();
    let reads = QualityReads::of(&present, &core, &flags);
    Ok(out
        .into_streams()
        .map(|(series, raw)| {
            let Coded { codec, bytes } = code(series, &raw, &reads, effort);
            CodedStream { series, codec, raw_len: raw.len(), bytes }
        })
        .collect())
}

fn encode_ordinals(ordinals: &[u64]) -> Vec<u8> {
    let mut steps = Vec::new();
    let mut last = 0;
    for &ordinal in ordinals {
        varint::put_signed(&mut steps, ordinal.wrapping_sub(last) as i64);
        last = ordinal;
    }
    steps
}

/// Reads the numbers of `count` records in the input from the raw bytes of their series.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where there are more or fewer.
pub fn decode_ordinals(raw: &[u8], count: usize) -> Result<Vec<u64>> {
    let mut steps = Cursor::new(raw, series::ORDINAL.name());
    let mut ordinals = Vec::with_capacity(count);
    let mut last = 0_u64;
    for _ in 0..count {
        last = last.wrapping_add(steps.zigzag()? as u64);
        ordinals.push(last);
    }
    steps.finish()?;
    Ok(ordinals)
}

/// The reads whose qualities are stored: how long each is, and whether it is a second read.
struct QualityReads {
    lens: Vec<u32>,
    is_second: Vec<u8>,
}

impl QualityReads {
    fn of(present: &[u8], core: &Core, flags: &[u16]) -> Self {
        let stored = || present.iter().enumerate().filter(|(_, present)| **present == 1);
        Self {
            lens: stored().map(|(index, _)| core.length[index]).collect(),
            is_second: stored().map(|(index, _)| u8::from(flags[index] & READ2 != 0)).collect(),
        }
    }
}

/// Codes one stream by what is known of its nature.
fn code(series: Series, raw: &[u8], reads: &QualityReads, effort: Effort) -> Coded {
    match series {
        series::QUAL => codec::quality::encode(raw, &reads.lens, &reads.is_second, effort),
        series::NAME => {
            let coded = codec::encode_as(raw, Nature::Text, Effort::Fast);
            match codec::names::encode_list(raw, effort) {
                Some(bytes) if bytes.len() < coded.bytes.len() => {
                    Coded { codec: Codec::Names, bytes }
                }
                _ => coded,
            }
        }
        _ => codec::encode_as(raw, tags::nature_of(series), effort),
    }
}

/// The bin that htslib computes: from the CIGAR's span, or one base for an unmapped read.
fn expected_bin(core: &Core, index: usize, flags: u16) -> u16 {
    let start = i64::from(core.position[index]);
    let unmapped = flags & UNMAPPED != 0;
    reg2bin(start, if unmapped { start + 1 } else { core.end[index] })
}

/// The coded streams of a block, as far as they have been fetched, and how to check the result.
#[derive(Debug)]
pub struct Coding<'a> {
    /// How many records.
    pub records: usize,
    /// Bytes of all records together, as BAM has them without `block_size`.
    pub raw_bytes: u64,
    /// Series, codec, raw length and coded bytes.
    pub streams: Vec<(Series, Codec, usize, &'a [u8])>,
}

/// Decodes a block as far as `fields` goes; fields outside come back blank.
///
/// # Errors
///
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) where streams contradict each other.
pub fn decode(coding: &Coding<'_>, fields: &Fields) -> Result<RecordBatch> {
    let needs = Needs::of(fields);
    let mut streams = StreamsIn::default();
    let mut coded_qualities = None;
    for &(series, codec, raw_len, bytes) in &coding.streams {
        if !is_needed(series, fields) {
            continue;
        }
        if raw_len as u64 > stream_limit(coding) {
            return Err(Error::corrupt(format!("stream {} is too long", series.name())));
        }
        if series == series::QUAL {
            coded_qualities = Some((codec, bytes, raw_len));
            continue;
        }
        let raw = codec::decode(codec, bytes, raw_len)
            .map_err(|error| error.at(format!("stream {}", series.name())))?;
        streams.add(series, raw)?;
    }
    let count = coding.records;
    let core = Core::decode(&streams, count)?;
    let bases: u64 = core.length.iter().map(|&length| u64::from(length)).sum();
    if bases > coding.raw_bytes {
        return Err(Error::corrupt("the reads of a block are longer than the block"));
    }
    let links = Links::decode(&streams, count)?;
    let flags = mates::decode_flags(&streams, &links)?;
    if let Some((codec, bytes, raw_len)) = coded_qualities {
        // How qualities are split into reads is known only now.
        let present = streams.get(series::QUAL_PRESENT);
        if present.len() != count {
            return Err(Error::corrupt("stream quality presence does not fit its records"));
        }
        let reads = QualityReads::of(present, &core, &flags);
        let raw = codec::quality::decode(codec, bytes, &reads.lens, &reads.is_second, raw_len)
            .map_err(|error| error.at(format!("stream {}", series::QUAL.name())))?;
        streams.add(series::QUAL, raw)?;
    }
    let mapq = if needs.mapping_quality {
        mates::decode_mapq(&streams, &links)?
    } else {
        vec![0xff; count]
    };
    let mate_fields = if needs.mate {
        mates::decode_fields(&streams, &core, &links, &flags)?
    } else {
        vec![MateFields { contig: -1, position: -1, tlen: 0 }; count]
    };
    let sequence = if needs.sequence { Some(Sequence::decode(&streams, &core)?) } else { None };
    let basis = tags::Basis {
        core: &core,
        links: &links,
        mapq: &mapq,
        alignment: sequence.as_ref().map(|sequence| tags::Alignment {
            bases: &sequence.bases,
            reference: &sequence.reference,
            differing: &sequence.differing,
        }),
    };
    Assembly {
        core: &core,
        links: &links,
        flags: &flags,
        mate_fields: &mate_fields,
        sequence: sequence.as_ref().filter(|_| needs.show_sequence),
        basis: &basis,
        streams: &streams,
        needs: &needs,
        limit: coding.raw_bytes,
    }
    .build(fields)
}

/// No stream is longer than what its block's records could fill: a byte each and some per record.
fn stream_limit(coding: &Coding<'_>) -> u64 {
    coding.raw_bytes * 2 + 64 * coding.records as u64 + 1_024
}

/// Bases of a block, and what they were read against.
struct Sequence {
    reference: Reference,
    bases: Bases,
    differing: Vec<u32>,
    padding: Vec<(usize, u8)>,
}

impl Sequence {
    fn decode(streams: &StreamsIn, core: &Core) -> Result<Self> {
        let reference = Reference::decode(streams, core)?;
        let (bases, differing) = bases::decode(streams, core, &reference)?;
        let padding = bases::decode_padding(streams, core.len())?;
        Ok(Self { reference, bases, differing, padding })
    }
}

/// Puts the columns of a block together into records.
struct Assembly<'a> {
    core: &'a Core,
    links: &'a Links,
    flags: &'a [u16],
    mate_fields: &'a [MateFields],
    sequence: Option<&'a Sequence>,
    basis: &'a tags::Basis<'a>,
    streams: &'a StreamsIn,
    needs: &'a Needs,
    limit: u64,
}

impl Assembly<'_> {
    fn build(&self, fields: &Fields) -> Result<RecordBatch> {
        let count = self.core.len();
        let names = if self.needs.name { Some(self.names()?) } else { None };
        let bins = self.bins()?;
        let mut bins = bins.iter().peekable();
        let mut padding = self.sequence.map_or(&[][..], |s| &s.padding).iter().peekable();
        let mut tags = if self.needs.tags {
            Some(tags::TagReader::new(self.streams, fields.tags())?)
        } else {
            None
        };
        let mut present = Cursor::new(self.streams.get(series::QUAL_PRESENT), "quality presence");
        let mut qualities = Cursor::new(self.streams.get(series::QUAL), "qualities");
        let mut batch = RecordBatch::with_capacity(count, self.limit.min(16 << 20) as usize);
        for index in 0..count {
            let bin = match bins.next_if(|(at, _)| *at == index) {
                Some(&(_, bin)) => bin,
                None => expected_bin(self.core, index, self.flags[index]),
            };
            let nibble = padding.next_if(|(at, _)| *at == index).map_or(0, |&(_, nibble)| nibble);
            let name: &[u8] = match &names {
                Some(names) => names[index],
                None => b"*",
            };
            batch.push_with(|out| {
                let start = out.len();
                self.put_fixed(index, name, bin, out)?;
                self.put_cigar(index, out);
                self.put_sequence(index, nibble, out);
                if self.needs.qualities {
                    let length = self.core.length[index] as usize;
                    if present.byte()? == 1 {
                        out.extend_from_slice(qualities.take(length)?);
                    } else {
                        out.resize(out.len() + length, 0xff);
                    }
                } else if self.sequence.is_some() {
                    out.resize(out.len() + self.core.length[index] as usize, 0xff);
                }
                if let Some(tags) = &mut tags {
                    tags.read(index, self.basis, start, self.limit, out)?;
                }
                self.put_long_cigar(index, out);
                Ok(())
            })?;
        }
        present.finish()?;
        qualities.finish()?;
        if let Some(tags) = tags {
            tags.finish()?;
        }
        Ok(batch)
    }

    /// The name of every record.
    fn names(&self) -> Result<Vec<&[u8]>> {
        let mut stored = Cursor::new(self.streams.get(series::NAME), "names");
        let mut names: Vec<&[u8]> = Vec::with_capacity(self.core.len());
        for upper in &self.links.upper {
            names.push(match upper {
                Some(upper) => names[*upper as usize],
                None => stored.until_nul()?,
            });
        }
        stored.finish()?;
        Ok(names)
    }

    fn bins(&self) -> Result<Vec<(usize, u16)>> {
        let mut stream = Cursor::new(self.streams.get(series::BIN), "bin exceptions");
        let mut bins = Vec::new();
        let mut index = 0_usize;
        while !stream.is_done() {
            index = index.saturating_add(stream.number()?);
            bins.push((index, u16::from_le_bytes([stream.byte()?, stream.byte()?])));
        }
        Ok(bins)
    }

    fn put_fixed(&self, index: usize, name: &[u8], bin: u16, out: &mut Vec<u8>) -> Result<()> {
        let core = self.core;
        let mate = self.mate_fields[index];
        let name_len = u8::try_from(name.len() + 1)
            .map_err(|_| Error::corrupt("a read name is longer than 254 bytes"))?;
        let ops = core.cigar(index).len();
        let stored_ops = u16::try_from(ops).unwrap_or(2);
        let length = if self.shows_length() { core.length[index] } else { 0 };
        out.extend_from_slice(&core.contig[index].to_le_bytes());
        out.extend_from_slice(&core.position[index].to_le_bytes());
        out.extend_from_slice(&[name_len, self.basis.mapq[index]]);
        out.extend_from_slice(&bin.to_le_bytes());
        out.extend_from_slice(&stored_ops.to_le_bytes());
        out.extend_from_slice(&self.flags[index].to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&mate.contig.to_le_bytes());
        out.extend_from_slice(&mate.position.to_le_bytes());
        out.extend_from_slice(&mate.tlen.to_le_bytes());
        out.extend_from_slice(name);
        out.push(0);
        Ok(())
    }

    /// Whether records state their read lengths: BAM has room for both bases and qualities then.
    fn shows_length(&self) -> bool {
        self.sequence.is_some() || self.needs.qualities
    }

    /// The CIGAR, or the placeholder of one that is too long for BAM's field (§4.2.2).
    fn put_cigar(&self, index: usize, out: &mut Vec<u8>) {
        let ops = self.core.cigar(index);
        if ops.len() <= usize::from(u16::MAX) {
            out.extend(ops.iter().flat_map(|op| op.0.to_le_bytes()));
            return;
        }
        let span: u64 =
            ops.iter().filter(|op| op.consumes_reference()).map(|op| u64::from(op.len())).sum();
        let length = if self.shows_length() { self.core.length[index] } else { 0 };
        for op in [CigarOp(length << 4 | 4), CigarOp((span as u32) << 4 | 3)] {
            out.extend_from_slice(&op.0.to_le_bytes());
        }
    }

    fn put_long_cigar(&self, index: usize, out: &mut Vec<u8>) {
        let ops = self.core.cigar(index);
        if ops.len() > usize::from(u16::MAX) {
            out.extend_from_slice(b"CGBI");
            out.extend_from_slice(&(ops.len() as u32).to_le_bytes());
            out.extend(ops.iter().flat_map(|op| op.0.to_le_bytes()));
        }
    }

    fn put_sequence(&self, index: usize, nibble: u8, out: &mut Vec<u8>) {
        match self.sequence {
            Some(sequence) => {
                sequence.bases.pack(index, out);
                if let Some(last) = out.last_mut().filter(|_| nibble != 0) {
                    *last |= nibble;
                }
            }
            None if self.needs.qualities => {
                let packed = (self.core.length[index] as usize).div_ceil(2);
                out.resize(out.len() + packed, 0xff);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
