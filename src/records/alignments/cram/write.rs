//! CRAM 3.0 files as a sink of records: a container for each slice, a block for each data series,
//! compressed with gzip or rANS, whichever is smaller.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::block::{ContainerHeader, Content, EOF_CONTAINER, GZIP, RANS_4X8, RAW, push_block};
use super::bytes::{push_itf8, push_ltf8};
use super::encode::{Encoder, NAME_STOP, Stream, TagStream, fixed_length};
use super::rans;
use crate::error::{Context, Error, Result};
use crate::records::alignments::sink::{Sink, write_failure};
use crate::records::alignments::{Header, RecordBatch};

/// A slice ends after this many records or bases, as in samtools.
const SLICE_RECORDS: usize = 10_000;
const SLICE_BASES: u64 = 5_000_000;

/// Where the content ids of tags begin: two for each, lengths and values.
const FIRST_TAG_ID: i32 = 100;

/// Slices on one contig name it; others have one for each record.
const MANY_CONTIGS: i32 = -2;

/// Numbers of encodings.
const EXTERNAL: i32 = 1;
const HUFFMAN: i32 = 3;
const ARRAY_LEN: i32 = 4;
const ARRAY_STOP: i32 = 5;

/// Writes CRAM.
pub(in crate::records::alignments) struct CramSink {
    out: Box<dyn Write + Send>,
    threads: usize,
    encoder: Encoder,
    records: u64,
}

impl CramSink {
    /// Writes the header.
    pub(in crate::records::alignments) fn new(
        mut out: Box<dyn Write + Send>,
        header: &Header,
        threads: usize,
    ) -> Result<Self> {
        let text = header.to_sam_text();
        let length = i32::try_from(text.len()).map_err(|_| {
            Error::unsupported("the header is longer than the 2,147,483,647 bytes of CRAM")
                .help("shorten its @PG and @CO lines")
        })?;
        let mut data = length.to_le_bytes().to_vec();
        data.extend_from_slice(&text);
        let mut body = Vec::new();
        let packed = gzip(&data).unwrap_or_default();
        push_block(&mut body, GZIP, Content::FileHeader, 0, data.len(), &packed);
        let mut bytes = b"CRAM\x03\x00".to_vec();
        bytes.extend_from_slice(&[0; 20]);
        let container =
            ContainerHeader { ref_id: 0, blocks: 1, landmarks: vec![0], ..Default::default() };
        container.push(&mut bytes, body.len());
        bytes.extend_from_slice(&body);
        out.write_all(&bytes).map_err(write_failure)?;
        Ok(Self { out, threads: threads.max(1), encoder: Encoder::default(), records: 0 })
    }

    fn flush_slice(&mut self) -> Result<()> {
        let encoder = std::mem::take(&mut self.encoder);
        if encoder.places.is_empty() {
            return Ok(());
        }
        let count = encoder.places.len();
        let first = self.records - count as u64;
        let container = container(encoder, first, self.threads)?;
        self.out.write_all(&container).map_err(write_failure)
    }
}

impl Sink for CramSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for record in batch.iter() {
            self.records += 1;
            self.encoder.push(&record).at(|| format!("record {}", self.records))?;
            if self.encoder.places.len() >= SLICE_RECORDS || self.encoder.bases >= SLICE_BASES {
                self.flush_slice()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush_slice()?;
        self.out.write_all(&EOF_CONTAINER).map_err(write_failure)?;
        self.out.flush().map_err(write_failure)
    }
}

/// A container of one slice, whose first record is number `first` of the file, from 0.
fn container(mut encoder: Encoder, first: u64, threads: usize) -> Result<Vec<u8>> {
    let place = Place::of(&encoder);
    let (count, bases) = (encoder.places.len() as i32, encoder.bases);
    encoder.push_places(place.sorted_from, place.ref_id == MANY_CONTIGS);
    let compression_header = compression_header(&encoder, place.sorted_from.is_some());
    let blocks = external_blocks(encoder);
    let packed = pack_all(&blocks, threads);

    let mut body = Vec::new();
    let raw_len = compression_header.len();
    push_block(&mut body, RAW, Content::CompressionHeader, 0, raw_len, &compression_header);
    let landmark = body.len() as i32;
    let slice_header = slice_header(&place, count, first, &blocks);
    push_block(&mut body, RAW, Content::SliceHeader, 0, slice_header.len(), &slice_header);
    push_block(&mut body, RAW, Content::Core, 0, 0, &[]);
    for ((id, raw), (method, data)) in blocks.iter().zip(&packed) {
        push_block(&mut body, *method, Content::External, *id, raw.len(), data);
    }
    if i32::try_from(body.len()).is_err() {
        return Err(Error::unsupported("10,000 records take more than 2 GiB in CRAM")
            .help("write BAM instead"));
    }
    let header = ContainerHeader {
        ref_id: place.ref_id,
        start: place.start,
        span: place.span,
        records: count,
        record_counter: first,
        bases,
        blocks: blocks.len() as i32 + 3,
        landmarks: vec![landmark],
    };
    let mut container = Vec::with_capacity(body.len() + 64);
    header.push(&mut container, body.len());
    container.extend_from_slice(&body);
    Ok(container)
}

/// Where the records of a slice lie.
struct Place {
    ref_id: i32,
    start: i32,
    span: i32,
    /// The first position, if positions on one contig only rise.
    sorted_from: Option<i32>,
}

impl Place {
    fn of(encoder: &Encoder) -> Self {
        let places = &encoder.places;
        let first = places.first().map_or(-1, |(ref_id, _)| *ref_id);
        let many = Self { ref_id: MANY_CONTIGS, start: 0, span: 0, sorted_from: None };
        if places.iter().any(|(ref_id, _)| *ref_id != first) {
            return many;
        }
        if first < 0 {
            return Self { ref_id: -1, ..many };
        }
        let start = places.iter().map(|(_, position)| *position).min().unwrap_or(0);
        let end = i32::try_from(encoder.end).unwrap_or(i32::MAX).max(start);
        if start < 1 {
            return many;
        }
        Self {
            ref_id: first,
            start,
            span: (end - start).saturating_add(1),
            sorted_from: places.is_sorted_by_key(|(_, position)| *position).then_some(start),
        }
    }
}

/// The blocks that are not empty, with their content ids.
fn external_blocks(encoder: Encoder) -> Vec<(i32, Vec<u8>)> {
    let (streams, tags) = encoder.into_streams();
    let streams = (1..).zip(streams);
    let tags = tags.into_iter().enumerate().flat_map(|(index, tag)| {
        let id = FIRST_TAG_ID + 2 * index as i32;
        [(id, tag.lengths), (id + 1, tag.values)]
    });
    streams.chain(tags).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

fn slice_header(place: &Place, count: i32, first: u64, blocks: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut header = Vec::new();
    for value in [place.ref_id, place.start, place.span, count] {
        push_itf8(&mut header, value);
    }
    push_ltf8(&mut header, first);
    push_itf8(&mut header, blocks.len() as i32 + 1);
    push_itf8(&mut header, blocks.len() as i32);
    for (id, _) in blocks {
        push_itf8(&mut header, *id);
    }
    // No embedded reference, and no digest of one.
    push_itf8(&mut header, -1);
    header.extend_from_slice(&[0; 16]);
    header
}

fn compression_header(encoder: &Encoder, has_position_deltas: bool) -> Vec<u8> {
    let mut dictionary = Vec::new();
    for line in &encoder.tag_lines {
        dictionary.extend_from_slice(line);
        dictionary.push(0);
    }
    let mut preserved = vec![b'R', b'N', 1, b'A', b'P', u8::from(has_position_deltas)];
    preserved.extend_from_slice(b"RR\x00SM\x1b\x1b\x1b\x1b\x1bTD");
    push_itf8(&mut preserved, dictionary.len() as i32);
    preserved.extend_from_slice(&dictionary);

    let mut header = Vec::new();
    push_map(&mut header, 5, &preserved);
    let (count, series) = series_map();
    push_map(&mut header, count, &series);
    let mut tags = Vec::new();
    for (index, TagStream { key: [a, b, kind], .. }) in encoder.tags.iter().enumerate() {
        push_itf8(&mut tags, i32::from_be_bytes([0, *a, *b, *kind]));
        let id = FIRST_TAG_ID + 2 * index as i32;
        let lengths = fixed_length(*kind).map_or_else(|| external(id), constant);
        tags.extend_from_slice(&encoding(ARRAY_LEN, &[lengths, external(id + 1)].concat()));
    }
    push_map(&mut header, encoder.tags.len(), &tags);
    header
}

/// The encodings of all series, and how many there are.
fn series_map() -> (usize, Vec<u8>) {
    let single = |stream: Stream| external(content_id(stream));
    let array = |lengths: Stream, contents: Stream| {
        encoding(ARRAY_LEN, &[single(lengths), single(contents)].concat())
    };
    let mut name_parameters = vec![NAME_STOP];
    push_itf8(&mut name_parameters, content_id(Stream::Name));
    let series: [(&[u8; 2], Vec<u8>); 25] = [
        (b"BF", single(Stream::BamFlags)),
        (b"CF", single(Stream::CramFlags)),
        (b"RI", single(Stream::RefId)),
        (b"RL", single(Stream::ReadLength)),
        (b"AP", single(Stream::Position)),
        // Read groups are kept among the tags, where their place is kept too.
        (b"RG", constant(-1)),
        (b"RN", encoding(ARRAY_STOP, &name_parameters)),
        // What the mate's flags say is in the record's own already.
        (b"MF", constant(0)),
        (b"NS", single(Stream::MateRefId)),
        (b"NP", single(Stream::MatePosition)),
        (b"TS", single(Stream::TemplateLength)),
        (b"TL", single(Stream::TagLine)),
        (b"FN", single(Stream::FeatureCount)),
        (b"FC", single(Stream::FeatureCode)),
        (b"FP", single(Stream::FeaturePosition)),
        (b"DL", single(Stream::DeletionLength)),
        (b"BB", array(Stream::BaseRunLength, Stream::BaseRun)),
        (b"IN", array(Stream::InsertionLength, Stream::Insertion)),
        (b"SC", array(Stream::SoftClipLength, Stream::SoftClip)),
        (b"RS", single(Stream::SkipLength)),
        (b"PD", single(Stream::Padding)),
        (b"HC", single(Stream::HardClip)),
        (b"MQ", single(Stream::MappingQuality)),
        (b"BA", single(Stream::Base)),
        (b"QS", single(Stream::Quality)),
    ];
    let mut map = Vec::new();
    for (key, encoding) in &series {
        map.extend_from_slice(*key);
        map.extend_from_slice(encoding);
    }
    (series.len(), map)
}

fn push_map(out: &mut Vec<u8>, count: usize, entries: &[u8]) {
    let mut map = Vec::new();
    push_itf8(&mut map, count as i32);
    map.extend_from_slice(entries);
    push_itf8(out, map.len() as i32);
    out.extend_from_slice(&map);
}

fn encoding(codec: i32, parameters: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_itf8(&mut bytes, codec);
    push_itf8(&mut bytes, parameters.len() as i32);
    bytes.extend_from_slice(parameters);
    bytes
}

fn external(id: i32) -> Vec<u8> {
    let mut parameters = Vec::new();
    push_itf8(&mut parameters, id);
    encoding(EXTERNAL, &parameters)
}

/// A Huffman code of a single symbol, which takes no bits.
fn constant(value: i32) -> Vec<u8> {
    let mut parameters = vec![1];
    push_itf8(&mut parameters, value);
    parameters.extend_from_slice(&[1, 0]);
    encoding(HUFFMAN, &parameters)
}

/// Compresses in the way that makes the data smallest. On qualities gzip is slow and never the
/// best; on bases it finds what reads have in common.
fn pack(id: i32, data: &[u8]) -> (u8, Vec<u8>) {
    let is_quality = id == content_id(Stream::Quality);
    let gzipped = if is_quality { None } else { gzip(data) };
    let candidates = [
        Some((RAW, data.to_vec())),
        gzipped.map(|packed| (GZIP, packed)),
        rans::encode_order_0(data).map(|packed| (RANS_4X8, packed)),
        rans::encode_order_1(data).map(|packed| (RANS_4X8, packed)),
    ];
    let smallest = candidates.into_iter().flatten().min_by_key(|(_, packed)| packed.len());
    smallest.unwrap_or_default()
}

fn gzip(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; if it did, another way would be found.
    encoder.write_all(data).and_then(|()| encoder.finish()).ok()
}

fn content_id(stream: Stream) -> i32 {
    stream as i32 + 1
}

/// Compresses all blocks on some threads; the result does not depend on how many.
fn pack_all(blocks: &[(i32, Vec<u8>)], threads: usize) -> Vec<(u8, Vec<u8>)> {
    // The longest first, so that no thread ends up alone with it.
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(blocks[*index].1.len()));
    let next = AtomicUsize::new(0);
    let packed: Vec<Mutex<(u8, Vec<u8>)>> = blocks.iter().map(|_| Mutex::default()).collect();
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (id, data) = &blocks[*index];
            if let Ok(mut slot) = packed[*index].lock() {
                *slot = pack(*id, data);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    packed.into_iter().map(|slot| slot.into_inner().unwrap_or_default()).collect()
}
