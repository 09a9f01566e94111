//! CRAM files as a source of records.

use std::io::{BufReader, Read};

use super::block::{Block, ContainerHeader, Content, EOF_CONTAINER, check_crc, crc32};
use super::bytes::{Bytes, Numbers};
use super::reference::References;
use super::series::CompressionHeader;
use super::slice::{CramRecord, Records, Slice};

use crate::error::{Context, Error, Result};
use crate::records::alignments::record::{CigarOp, flags, reg2bin};
use crate::records::alignments::source::{Limit, Source, SourceOptions};
use crate::records::alignments::validate::RecordChecks;
use crate::records::alignments::{Header, RecordBatch, sam};
use crate::records::stream::{BUFFER_BYTES, Raw, read_failure};

/// Magic, version and file id.
const DEFINITION_BYTES: usize = 26;

/// A read group that some writers add for records without one.
const UNKNOWN_GROUP: &[u8] = b"UNKNOWN";

/// Reads CRAM.
pub(in crate::records::alignments) struct CramSource {
    input: Input,
    header: Header,
    contig_lengths: Vec<u64>,
    references: References,
    checks: RecordChecks,
    /// The records of a container, and how many have been handed out.
    decoded: RecordBatch,
    next: usize,
    records: u64,
    /// What names are made of where none are stored: the name of the file, as htslib does.
    name_prefix: Vec<u8>,
    is_finished: bool,
}

impl CramSource {
    /// Reads the header.
    pub(in crate::records::alignments) fn open(
        name: &str,
        raw: Raw,
        options: &SourceOptions,
    ) -> Result<Self> {
        let mut input = Input {
            name: name.to_owned(),
            reader: BufReader::with_capacity(BUFFER_BYTES, raw),
            position: 0,
        };
        read_definition(&mut input).map_err(|error| error.at(name))?;
        let first = input.container()?;
        let text = match &first {
            Some((_, body)) => file_header(body).at(|| "file header").at(|| name)?,
            None => Vec::new(),
        };
        let header = Header::parse_sam_text(&text, options.validation).at(|| name)?;
        let prefix = name.rsplit('/').next().unwrap_or(name);
        Ok(Self {
            contig_lengths: header.contigs().iter().map(|contig| contig.length).collect(),
            references: References::new(header.contigs(), options)?,
            checks: RecordChecks::new(&header, options.validation),
            header,
            decoded: RecordBatch::new(),
            next: 0,
            records: 0,
            name_prefix: prefix.as_bytes().to_vec(),
            is_finished: first.is_none(),
            input,
        })
    }

    /// Decodes the next container; `false` at the end of the file.
    fn decode_container(&mut self) -> Result<bool> {
        let start = self.input.position;
        self.decoded.clear();
        self.next = 0;
        let Some((header, body)) = self.input.container()? else { return Ok(false) };
        if header.records == 0 && header.landmarks.is_empty() {
            return Ok(true);
        }
        self.decode_slices(&header, &body)
            .map_err(|error| error.at(format!("container at byte {start}")).at(&self.input.name))?;
        Ok(true)
    }

    fn decode_slices(&mut self, header: &ContainerHeader, body: &[u8]) -> Result<()> {
        let mut bytes = Bytes(body);
        let compression = Block::read_as(&mut bytes, Content::CompressionHeader)
            .and_then(|block| CompressionHeader::parse(&block.decode()?))
            .at(|| "compression header")?;
        for (index, landmark) in header.landmarks.iter().enumerate() {
            let slice = usize::try_from(*landmark).ok().and_then(|at| body.get(at..));
            let slice = slice.ok_or_else(|| {
                Error::input("a slice lies outside its container")
                    .found(landmark)
                    .help("the file is damaged; make it again")
            })?;
            let records = Slice::read(&mut Bytes(slice))
                .and_then(|slice| {
                    slice.decode(&compression, &mut self.references, &self.contig_lengths)
                })
                .at(|| format!("slice {}", index + 1))?;
            self.push_records(&records)?;
        }
        Ok(())
    }

    fn push_records(&mut self, records: &Records) -> Result<()> {
        let Self { header, name_prefix, checks, decoded, .. } = self;
        for index in 0..records.list.len() {
            let number = self.records + 1;
            decoded
                .push_with(|out| push_record(out, records, index, header, name_prefix))
                .and_then(|()| checks.check(&decoded.get(decoded.len() - 1)))
                .at(|| format!("record {number}"))?;
            self.records += 1;
        }
        Ok(())
    }
}

impl Source for CramSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        batch.clear();
        while !limit.is_reached_by(batch) {
            if self.next < self.decoded.len() {
                batch.push_trusted(self.decoded.bytes(self.next));
                self.next += 1;
            } else if self.is_finished || !self.decode_container()? {
                self.is_finished = true;
                break;
            }
        }
        Ok(!batch.is_empty())
    }
}

/// Bytes of the file, container by container.
struct Input {
    name: String,
    reader: BufReader<Raw>,
    position: u64,
}

impl Input {
    /// Appends up to `count` bytes and says how many there were.
    fn read(&mut self, count: usize, out: &mut Vec<u8>) -> Result<usize> {
        let got = (&mut self.reader)
            .take(count as u64)
            .read_to_end(out)
            .map_err(|error| read_failure(&self.name, error))?;
        self.position += got as u64;
        Ok(got)
    }

    /// The next container's header and body; `None` after the end-of-file container.
    fn container(&mut self) -> Result<Option<(ContainerHeader, Vec<u8>)>> {
        let start = self.position;
        self.read_container()
            .map_err(|error| error.at(format!("container at byte {start}")).at(&self.name))
    }

    fn read_container(&mut self) -> Result<Option<(ContainerHeader, Vec<u8>)>> {
        let mut recorder = Recorder { input: self, seen: Vec::new() };
        let (header, len) = ContainerHeader::parse(&mut recorder)?;
        let computed = crc32(&recorder.seen);
        let stored = recorder.u32_le()?;
        let mut seen = recorder.seen;
        check_crc("a container's header", computed, stored)?;
        let mut body = Vec::new();
        if self.read(len, &mut body)? < len {
            return Err(no_end(false));
        }
        if len < EOF_CONTAINER.len() {
            seen.extend_from_slice(&body);
            if seen == EOF_CONTAINER {
                return self.check_end().map(|()| None);
            }
        }
        Ok(Some((header, body)))
    }

    fn check_end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        if self.read(1, &mut rest)? == 0 {
            return Ok(());
        }
        Err(Error::input("there is data after the end-of-file container")
            .help("remove it, or make the file again"))
    }
}

/// Reads numbers from a file and remembers their bytes for the checksum.
struct Recorder<'i> {
    input: &'i mut Input,
    seen: Vec<u8>,
}

impl Numbers for Recorder<'_> {
    fn u8(&mut self) -> Result<u8> {
        if self.input.read(1, &mut self.seen)? == 0 {
            return Err(no_end(self.seen.is_empty()));
        }
        Ok(self.seen[self.seen.len() - 1])
    }
}

fn no_end(at_border: bool) -> Error {
    let what = if at_border {
        "the file is truncated: it does not end in the CRAM end-of-file container"
    } else {
        "the file is truncated: it ends within a container"
    };
    Error::input(what).help("copy the file again, or make it again with the program that wrote it")
}

fn read_definition(input: &mut Input) -> Result<()> {
    let mut definition = Vec::new();
    if input.read(DEFINITION_BYTES, &mut definition)? < DEFINITION_BYTES {
        return Err(no_end(false));
    }
    let (major, minor) = (definition[4], definition[5]);
    match (major, minor) {
        (3, 0 | 1) => Ok(()),
        _ => Err(Error::unsupported(format!("CRAM {major}.{minor} cannot be read"))
            .expected("CRAM 3.0 or 3.1")
            .help("convert the file with `samtools view -O cram,version=3.0`")),
    }
}

/// The header's text: its length, then as many bytes.
fn file_header(body: &[u8]) -> Result<Vec<u8>> {
    let block = Block::read_as(&mut Bytes(body), Content::FileHeader)?.decode()?;
    let mut bytes = Bytes(&block);
    let len = bytes.u32_le()? as usize;
    let text = bytes.take(len)?;
    let padding = text.iter().rev().take_while(|byte| **byte == 0).count();
    Ok(text[..text.len() - padding].to_vec())
}

/// Appends a record in BAM's layout.
fn push_record(
    out: &mut Vec<u8>,
    records: &Records,
    index: usize,
    header: &Header,
    name_prefix: &[u8],
) -> Result<()> {
    let record = &records.list[index];
    let cigar = &records.cigars[record.cigar.clone()];
    let is_mapped = record.flags & flags::UNMAPPED == 0;
    let span: u64 = cigar
        .iter()
        .map(|op| CigarOp(*op))
        .filter(|op| op.consumes_reference())
        .map(|op| u64::from(op.len()))
        .sum();
    let position = place(record.position - 1)?;
    let counted = if is_mapped { span.max(1) } else { 1 };
    let bin = reg2bin(i64::from(position), i64::from(position) + counted as i64);
    let is_long = cigar.len() > 0xffff;
    let start = out.len();
    out.extend_from_slice(&record.ref_id.to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&[0, record.mapping_quality]);
    out.extend_from_slice(&bin.to_le_bytes());
    out.extend_from_slice(&(if is_long { 2 } else { cigar.len() as u16 }).to_le_bytes());
    out.extend_from_slice(&record.flags.to_le_bytes());
    out.extend_from_slice(&(record.bases.len() as u32).to_le_bytes());
    out.extend_from_slice(&record.mate_ref_id.to_le_bytes());
    out.extend_from_slice(&place(record.mate_position - 1)?.to_le_bytes());
    out.extend_from_slice(&place(record.template_length.unwrap_or(0))?.to_le_bytes());
    let name_start = out.len();
    push_name(out, records, index, name_prefix);
    out.push(0);
    let name_len = u8::try_from(out.len() - name_start).map_err(|_| {
        Error::unsupported("a generated read name is longer than 254 characters")
            .help("give the file a shorter name")
    })?;
    out[start + 8] = name_len;
    if is_long {
        let placeholder = [(record.bases.len() as u32) << 4 | 4, (span as u32) << 4 | 3];
        out.extend(placeholder.iter().flat_map(|op| op.to_le_bytes()));
    } else {
        out.extend(cigar.iter().flat_map(|op| op.to_le_bytes()));
    }
    push_bases(out, &records.sequences[record.bases.clone()]);
    out.extend_from_slice(&records.qualities[record.bases.clone()]);
    out.extend_from_slice(&records.tags[record.tags.clone()]);
    push_read_group(out, record, header)?;
    if is_long {
        out.extend_from_slice(b"CGBI");
        out.extend_from_slice(&(cigar.len() as u32).to_le_bytes());
        out.extend(cigar.iter().flat_map(|op| op.to_le_bytes()));
    }
    Ok(())
}

fn place(value: i64) -> Result<i32> {
    i32::try_from(value).map_err(|_| {
        Error::input("a position or length does not fit 32 bits")
            .found(value)
            .help("the file is damaged; make it again")
    })
}

/// The stored name, or the mate's, or one made from the file's name and the record's number.
fn push_name(out: &mut Vec<u8>, records: &Records, index: usize, prefix: &[u8]) {
    let record = &records.list[index];
    let mate = record.mate.and_then(|mate| records.list.get(mate));
    let stored = match mate {
        Some(mate) if record.name.is_empty() => mate.name.clone(),
        _ => record.name.clone(),
    };
    if !stored.is_empty() {
        return out.extend_from_slice(&records.names[stored]);
    }
    let first = record.mate.filter(|mate| *mate < index).unwrap_or(index);
    out.extend_from_slice(prefix);
    out.push(b':');
    sam::push_integer(out, records.counter.saturating_add(first as i64 + 1));
}

fn push_bases(out: &mut Vec<u8>, letters: &[u8]) {
    // As htslib reads letters: what is no IUPAC code is an unknown base.
    let code = |letter: u8| sam::BASE_CODES[usize::from(letter)].min(15);
    out.extend(
        letters
            .chunks(2)
            .map(|pair| code(pair[0]) << 4 | pair.get(1).map_or(0, |letter| code(*letter))),
    );
}

fn push_read_group(out: &mut Vec<u8>, record: &CramRecord, header: &Header) -> Result<()> {
    let groups = header.read_groups();
    if record.read_group == -1 {
        return Ok(());
    }
    let index = usize::try_from(record.read_group).ok().filter(|index| *index < groups.len());
    let Some(index) = index else {
        return Err(Error::input("a read group is not among the header's @RG lines")
            .expected(format!("a number from -1 to {}", groups.len() as i64 - 1))
            .found(record.read_group)
            .help("the file is damaged; make it again"));
    };
    let id = &groups[index].id;
    if index + 1 < groups.len() || id != UNKNOWN_GROUP {
        out.extend_from_slice(b"RGZ");
        out.extend_from_slice(id);
        out.push(0);
    }
    Ok(())
}
