//! Slices: the records of a container, field by field (CRAM specification §10), decoded to what
//! htslib 1.16 makes of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::block::{Block, Content};
use super::bytes::{Bytes, Numbers};
use super::encoding::{Arrays, Bits, Streams, Values};
use super::features::{self, Reference};
use super::reference;
use super::series::{CompressionHeader, Series};
use crate::error::{Context, Error, Result};
use crate::records::alignments::record::flags;

/// No slice has more records than this; htslib writes 10,000.
const MAX_RECORDS: usize = 1 << 22;

/// The bases, qualities, names and tags of a slice take at most this many bytes.
const MAX_SLICE_BYTES: usize = 1 << 30;

/// No read, and no value of a tag, is longer than this.
const MAX_VALUE_BYTES: usize = 1 << 26;

const MAX_NAME_BYTES: usize = 254;

/// The records come from several contigs.
const MANY_CONTIGS: i32 = -2;

/// A tag that htslib and io_lib keep to themselves: the read had no MD (1) or NM (2) to restore.
const DECODER_FLAGS: &[u8; 3] = b"cFC";

mod cram_flags {
    pub(super) const QUALITIES_AS_ARRAY: i32 = 0x1;
    pub(super) const DETACHED: i32 = 0x2;
    pub(super) const MATE_DOWNSTREAM: i32 = 0x4;
    pub(super) const NO_SEQUENCE: i32 = 0x8;
    pub(super) const EXPLICIT_LENGTH: i32 = 0x10;
}

/// The header of a slice.
#[derive(Clone, Debug)]
pub(super) struct SliceHeader {
    pub(super) ref_id: i32,
    /// 1-based.
    pub(super) start: i32,
    pub(super) span: i32,
    records: usize,
    record_counter: i64,
    blocks: usize,
    /// The content id of the block with the reference, or -1.
    embedded_reference: i32,
    /// All zero where it is not known.
    pub(super) md5: [u8; 16],
}

impl SliceHeader {
    fn parse(data: &[u8]) -> Result<Self> {
        let mut bytes = Bytes(data);
        let header = Self {
            ref_id: bytes.itf8()?,
            start: bytes.itf8()?,
            span: bytes.itf8()?,
            records: bytes.length()?,
            record_counter: bytes.ltf8()?,
            blocks: bytes.length()?,
            embedded_reference: {
                let ids = bytes.length()?;
                for _ in 0..ids {
                    bytes.itf8()?;
                }
                bytes.itf8()?
            },
            md5: {
                let mut md5 = [0; 16];
                md5.copy_from_slice(bytes.take(16)?);
                md5
            },
        };
        if header.records > MAX_RECORDS || header.start < 0 || header.span < 0 {
            return Err(Error::input("a slice's header is absurd")
                .found(format!("{} records from {}", header.records, header.start))
                .help("the file is damaged; make it again"));
        }
        Ok(header)
    }
}

/// Where sequences of contigs come from.
pub(super) trait ReferenceSource {
    /// The sequence of a contig in upper case.
    fn sequence(&mut self, ref_id: i32) -> Result<std::sync::Arc<Vec<u8>>>;
}

/// A slice with its blocks decompressed.
pub(super) struct Slice<'a> {
    pub(super) header: SliceHeader,
    core: Cow<'a, [u8]>,
    external: Vec<(i32, Cow<'a, [u8]>)>,
}

impl<'a> Slice<'a> {
    /// Reads a slice from its header block to its last block.
    pub(super) fn read(bytes: &mut Bytes<'a>) -> Result<Self> {
        let header = SliceHeader::parse(&Block::read_as(bytes, Content::SliceHeader)?.decode()?)
            .at(|| "slice header")?;
        let core = Block::read_as(bytes, Content::Core)?.decode()?;
        let mut external = Vec::new();
        for _ in 1..header.blocks {
            let block = Block::read_as(bytes, Content::External)?;
            let data = block.decode().at(|| format!("block {}", block.id))?;
            external.push((block.id, data));
        }
        Ok(Self { header, core, external })
    }

    /// The bases of the reference that the slice brings along.
    pub(super) fn embedded_reference(&self) -> Result<Option<&[u8]>> {
        let id = self.header.embedded_reference;
        if id < 0 || self.header.ref_id < 0 {
            return Ok(None);
        }
        let found = self.external.iter().find(|(of, _)| *of == id);
        let Some((_, bases)) = found.filter(|(_, bases)| bases.len() >= self.header.span as usize)
        else {
            return Err(Error::input("the embedded reference is missing or too short")
                .expected(format!("{} bases", self.header.span))
                .help("the file is damaged; make it again"));
        };
        Ok(Some(bases))
    }

    /// Decodes all records.
    pub(super) fn decode(
        &self,
        compression: &CompressionHeader,
        references: &mut dyn ReferenceSource,
        contig_lengths: &[u64],
    ) -> Result<Records> {
        let mut slots = HashMap::new();
        for (slot, (id, _)) in self.external.iter().enumerate() {
            slots.entry(*id).or_insert(slot);
        }
        let series = compression.series.bind(&slots, self.external.len());
        let mut external: Vec<_> = self.external.iter().map(|(_, data)| Bytes(data)).collect();
        external.push(Bytes(&[]));
        let mut decoder = Decoder {
            header: &self.header,
            compression,
            series,
            streams: Streams { core: Bits::new(&self.core), external },
            contig_lengths,
            last_position: i64::from(self.header.start),
            out: Records { counter: self.header.record_counter, ..Records::default() },
        };
        decoder.decode_all(self.embedded_reference()?, references)?;
        let mut records = decoder.out;
        super::mates::resolve(&mut records.list)?;
        Ok(records)
    }
}

/// The records of a slice, before they become BAM.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) list: Vec<CramRecord>,
    /// The number of the first one in the file.
    pub(super) counter: i64,
    pub(super) names: Vec<u8>,
    pub(super) sequences: Vec<u8>,
    pub(super) qualities: Vec<u8>,
    pub(super) cigars: Vec<u32>,
    pub(super) tags: Vec<u8>,
}

/// One record; ranges refer to the buffers of [`Records`].
#[derive(Debug)]
pub(super) struct CramRecord {
    pub(super) flags: u16,
    pub(super) ref_id: i32,
    /// 1-based.
    pub(super) position: i64,
    /// The last base on the reference, 1-based.
    pub(super) end: i64,
    pub(super) mapping_quality: u8,
    pub(super) read_group: i32,
    pub(super) mate_flags: i32,
    pub(super) mate_ref_id: i32,
    pub(super) mate_position: i64,
    /// The index of the mate in this slice.
    pub(super) mate: Option<usize>,
    /// `None` where it follows from the mates' places.
    pub(super) template_length: Option<i64>,
    /// What overrules the computed length.
    pub(super) explicit_length: Option<i64>,
    pub(super) name: Range<usize>,
    /// Of both sequences and qualities.
    pub(super) bases: Range<usize>,
    pub(super) cigar: Range<usize>,
    pub(super) tags: Range<usize>,
}

/// What is needed of a record only while it is decoded.
struct Traits {
    cram_flags: i32,
    read_length: usize,
    has_md: bool,
    has_nm: bool,
}

struct Decoder<'a> {
    header: &'a SliceHeader,
    compression: &'a CompressionHeader,
    series: Series,
    streams: Streams<'a>,
    contig_lengths: &'a [u64],
    last_position: i64,
    out: Records,
}

impl Decoder<'_> {
    fn decode_all(
        &mut self,
        embedded: Option<&[u8]>,
        references: &mut dyn ReferenceSource,
    ) -> Result<()> {
        let header = self.header;
        let needs_external = self.compression.needs_reference && embedded.is_none();
        let mut sequence = None;
        if let Some(bases) = embedded {
            check_md5(header, &bases[..header.span as usize], 0)?;
        }
        if needs_external && header.ref_id >= 0 {
            let whole = references.sequence(header.ref_id)?;
            check_md5(header, &whole, i64::from(header.start.max(1)) - 1)?;
            sequence = Some((header.ref_id, whole));
        }
        for index in 0..header.records {
            let place = || format!("record {} of the slice", index + 1);
            let (mut record, traits) = self.fields(index).at(place)?;
            if needs_external
                && record.ref_id >= 0
                && sequence.as_ref().is_none_or(|(id, _)| *id != record.ref_id)
            {
                sequence = Some((record.ref_id, references.sequence(record.ref_id)?));
            }
            let reference = match (embedded, &sequence) {
                (Some(bases), _) => Some(Reference { bases, start: i64::from(header.start) - 1 }),
                (None, Some((id, bases))) if *id == record.ref_id => {
                    Some(Reference { bases, start: 0 })
                }
                _ => None,
            };
            self.bases(&mut record, &traits, reference.as_ref()).at(place)?;
            self.check_size()?;
            self.out.list.push(record);
        }
        Ok(())
    }

    fn check_size(&self) -> Result<()> {
        let out = &self.out;
        let total = out.sequences.len() + out.qualities.len() + out.tags.len() + out.names.len();
        if total <= MAX_SLICE_BYTES {
            return Ok(());
        }
        Err(Error::unsupported("a slice holds more than 1 GiB of bases and tags")
            .help("write the file again with fewer records to a slice"))
    }

    /// Everything before the bases.
    fn fields(&mut self, index: usize) -> Result<(CramRecord, Traits)> {
        let bam_flags = self.int("BF", |s| &s.bam_flags)?;
        let flags =
            u16::try_from(bam_flags).ok().filter(|flags| *flags < 0x1000).ok_or_else(|| {
                Error::input("FLAG is out of range").found(bam_flags).help("make the file again")
            })?;
        let cram_flags = self.int("CF", |s| &s.cram_flags)?;
        let ref_id = match self.header.ref_id {
            MANY_CONTIGS => self.int("RI", |s| &s.ref_id)?,
            id => id,
        };
        let contigs = self.contig_lengths.len() as i64;
        if !(-1..contigs).contains(&i64::from(ref_id)) {
            return Err(Error::input("a record is on a contig that the header does not have")
                .found(ref_id)
                .help("the file is damaged; make it again"));
        }
        let length = self.int("RL", |s| &s.read_length)?;
        let read_length = usize::try_from(length).ok().filter(|length| *length <= MAX_VALUE_BYTES);
        let read_length = read_length.ok_or_else(|| {
            Error::input("a read's length is absurd").found(length).help("make the file again")
        })?;
        let mut position = i64::from(self.int("AP", |s| &s.position)?);
        if self.compression.has_position_deltas {
            position += self.last_position;
        }
        self.last_position = position;
        let read_group = self.int("RG", |s| &s.read_group)?;
        let mut record = CramRecord {
            flags,
            ref_id,
            position,
            end: position,
            mapping_quality: 0,
            read_group,
            mate_flags: 0,
            mate_ref_id: -1,
            mate_position: 0,
            mate: None,
            template_length: None,
            explicit_length: None,
            name: self.out.names.len()..self.out.names.len(),
            bases: 0..0,
            cigar: 0..0,
            tags: 0..0,
        };
        if self.compression.has_names {
            record.name = self.name()?;
        }
        self.mate(&mut record, cram_flags, index)?;
        let mut traits = Traits { cram_flags, read_length, has_md: false, has_nm: false };
        record.tags = self.tags(&mut traits)?;
        Ok((record, traits))
    }

    fn mate(&mut self, record: &mut CramRecord, cram_flags: i32, index: usize) -> Result<()> {
        if cram_flags & cram_flags::DETACHED != 0 {
            record.mate_flags = self.int("MF", |s| &s.mate_flags)?;
            if !self.compression.has_names {
                record.name = self.name()?;
            }
            record.mate_ref_id = self.int("NS", |s| &s.mate_ref_id)?;
            record.mate_position = i64::from(self.int("NP", |s| &s.mate_position)?);
            record.template_length = Some(i64::from(self.int("TS", |s| &s.template_length)?));
            return Ok(());
        }
        if cram_flags & cram_flags::MATE_DOWNSTREAM != 0 {
            let distance = self.int("NF", |s| &s.mate_distance)?;
            let mate = usize::try_from(distance).ok().map(|distance| index + 1 + distance);
            record.mate = mate.filter(|mate| *mate < self.header.records);
            if record.mate.is_none() {
                return Err(Error::input("a mate is outside its slice")
                    .found(format!("{distance} records further"))
                    .help("the file is damaged; make it again"));
            }
        }
        if cram_flags & cram_flags::EXPLICIT_LENGTH != 0 {
            record.explicit_length = Some(i64::from(self.int("TS", |s| &s.template_length)?));
        }
        Ok(())
    }

    fn name(&mut self) -> Result<Range<usize>> {
        let start = self.out.names.len();
        let encoding = required("RN", &self.series.name)?;
        encoding.read(&mut self.streams, MAX_NAME_BYTES, &mut self.out.names)?;
        Ok(start..self.out.names.len())
    }

    fn tags(&mut self, traits: &mut Traits) -> Result<Range<usize>> {
        let line = self.int("TL", |s| &s.tag_line)?;
        let start = self.out.tags.len();
        let names =
            usize::try_from(line).ok().and_then(|line| self.compression.tag_lines.get(line));
        let Some(names) = names else {
            return Err(Error::input("a record's list of tags is not in the dictionary")
                .found(line)
                .help("the file is damaged; make it again"));
        };
        for name in names {
            let encoding =
                self.series.tags.get(name).and_then(Option::as_ref).ok_or_else(|| {
                    Error::input(format!("tag {} has no encoding", String::from_utf8_lossy(name)))
                        .help("the file is damaged; make it again")
                })?;
            let tag_start = self.out.tags.len();
            self.out.tags.extend_from_slice(name);
            encoding.read(&mut self.streams, MAX_VALUE_BYTES, &mut self.out.tags)?;
            traits.has_md |= name.starts_with(b"MD");
            traits.has_nm |= name.starts_with(b"NM");
            if name == DECODER_FLAGS
                && let &[.., value] = &self.out.tags[tag_start + 3..]
            {
                traits.has_md |= value & 1 != 0;
                traits.has_nm |= value & 2 != 0;
                self.out.tags.truncate(tag_start);
            }
            self.check_size()?;
        }
        Ok(start..self.out.tags.len())
    }

    fn bases(
        &mut self,
        record: &mut CramRecord,
        traits: &Traits,
        reference: Option<&Reference<'_>>,
    ) -> Result<()> {
        let length = traits.read_length;
        let has_array = traits.cram_flags & cram_flags::QUALITIES_AS_ARRAY != 0;
        let has_sequence = traits.cram_flags & cram_flags::NO_SEQUENCE == 0;
        let may_make_tags = has_sequence && record.ref_id >= 0;
        let out = &mut self.out;
        let start = out.sequences.len();
        record.cigar = out.cigars.len()..out.cigars.len();
        if record.flags & flags::UNMAPPED == 0 {
            if record.position <= 0 {
                return Err(Error::input("a mapped record has no position")
                    .help("the file is damaged; make it again"));
            }
            out.sequences.resize(start + length, b'=');
            out.qualities.resize(start + length, 0xff);
            let contig_length = usize::try_from(record.ref_id)
                .ok()
                .and_then(|id| self.contig_lengths.get(id))
                .map_or(0, |length| *length as i64);
            record.end = features::decode(
                features::Read {
                    series: &self.series,
                    streams: &mut self.streams,
                    substitutions: &self.compression.substitutions,
                    reference,
                    contig_length,
                    position: record.position,
                    has_array,
                    lacks_md: may_make_tags && !traits.has_md,
                    lacks_nm: may_make_tags && !traits.has_nm,
                    sequence: &mut out.sequences[start..],
                    qualities: &mut out.qualities[start..],
                },
                &mut out.cigars,
                &mut out.tags,
            )?;
            record.cigar.end = out.cigars.len();
            record.tags.end = out.tags.len();
            record.mapping_quality = self.int("MQ", |s| &s.mapping_quality)? as u8;
        } else if length > 0 {
            let encoding = required("BA", &self.series.base)?;
            encoding.bytes(&mut self.streams, length, &mut out.sequences)?;
        }
        let out = &mut self.out;
        if has_array {
            out.qualities.truncate(start);
            let encoding = required("QS", &self.series.quality)?;
            encoding.bytes(&mut self.streams, length, &mut out.qualities)?;
        } else {
            out.qualities.resize(start + length, 0xff);
        }
        if !self.compression.qualities_in_order && record.flags & flags::REVERSE != 0 {
            out.qualities[start..].reverse();
        }
        record.bases = start..start + length;
        if !has_sequence {
            out.sequences.truncate(start);
            out.qualities.truncate(start);
            record.bases.end = start;
        }
        Ok(())
    }

    fn int(&mut self, name: &str, of: impl Fn(&Series) -> &Option<Values>) -> Result<i32> {
        required(name, of(&self.series))?.int(&mut self.streams).at(|| format!("series {name}"))
    }
}

/// The encoding of a series that the record needs.
pub(super) fn required<'a, E>(name: &str, encoding: &'a Option<E>) -> Result<&'a E> {
    encoding.as_ref().ok_or_else(|| {
        Error::input(format!("data series {name} has no encoding"))
            .help("the file is damaged; make it again")
    })
}

/// Arrays of a series that the record needs.
pub(super) fn required_arrays<'a>(name: &str, of: &'a Option<Arrays>) -> Result<&'a Arrays> {
    required(name, of)
}

/// Compares the stretch of reference that the slice was made with, which begins at `start` of
/// `bases`.
fn check_md5(header: &SliceHeader, bases: &[u8], start: i64) -> Result<()> {
    if header.md5 == [0; 16] || header.span == 0 {
        return Ok(());
    }
    let start = (start as usize).min(bases.len());
    let end = start.saturating_add(header.span as usize).min(bases.len());
    let found = reference::md5(&bases[start..end]);
    let expected = reference::hex(&header.md5);
    if found == expected {
        return Ok(());
    }
    Err(Error::input("the reference is not the one that the CRAM file was made with")
        .expected(format!("MD5 {expected} of {} bases from {}", header.span, header.start))
        .found(format!("MD5 {found}"))
        .help("name the right FASTA file with --reference"))
}
