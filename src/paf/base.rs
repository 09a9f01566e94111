//! A version that reads are added to, or in which those of a contig are redone.

use std::collections::BTreeSet;

use super::chunk::{self, Chunk};
use super::index::ChunkRef;
use super::manifest::{self, Details};
use super::read;
use super::tally::Tally;
use super::write::WriteOptions;
use crate::codec::Effort;
use crate::dataset::{Change, ChunkEntry, Dataset, InputInfo};
use crate::error::{Context, Error, Result};
use crate::records::alignments::header::Renamed;
use crate::records::alignments::{Header, RecordBatch, Validation};

/// A version that a change keeps something of.
pub(super) struct Base {
    dataset: Dataset,
    details: Details,
    /// Of the version, united with that of the input.
    pub(super) header: Header,
    /// How programs that records of the input name are called now.
    pub(super) renamed: Renamed,
    /// The chunks in order.
    pub(super) chunks: Vec<(ChunkRef, ChunkEntry)>,
    /// The contigs that are redone.
    pub(super) redone: BTreeSet<i32>,
}

/// Records of a block and their numbers in the input, if they are kept.
pub(super) struct Block {
    pub(super) batch: RecordBatch,
    pub(super) ordinals: Vec<u64>,
}

impl Base {
    /// Fetches header and index of the version that `change` is based on, and unites its header
    /// with that of the input.
    pub(super) fn read(dataset: &Dataset, change: &Change, input: &Header) -> Result<Self> {
        let store = dataset.store();
        let place = || store.name("");
        let details = Details::read(dataset.manifest()).at(place)?;
        let object = dataset.manifest().objects_of(manifest::HEADER_KIND).next();
        let object =
            object.ok_or_else(|| Error::corrupt("the manifest lists no header")).at(place)?;
        let text =
            manifest::unpack_header(&dataset.read(object)?).at(|| store.name(&object.path))?;
        let contigs = details.dictionary().at(place)?;
        let list = contigs.iter().map(|c| (c.name.clone(), c.length)).collect();
        let own = Header::from_bam(&text, list, Validation::Lenient).at(place)?;
        check_dictionary(&own, input)?;
        let redone = match change {
            Change::Replace(names) => ordinals_of(names, &own)?,
            _ => BTreeSet::new(),
        };
        if !redone.is_empty() && details.keeps_input_order {
            return Err(Error::unsupported(
                "the dataset keeps the order of its input, in which a contig redone has no place",
            )
            .help("sort the whole by coordinate and convert it with --overwrite"));
        }
        let (header, renamed) = own.united_with(input)?;
        let index = read::fetch_index(store, &details)?;
        let entries = dataset.chunks()?;
        let is_same = |(chunk, entry): (&ChunkRef, &ChunkEntry)| {
            chunk.path == entry.path && !chunk.blocks.is_empty()
        };
        if index.len() != entries.len() || !index.iter().zip(entries.iter()).all(is_same) {
            return Err(
                Error::corrupt("the index lists other chunks than the manifest").at(place())
            );
        }
        let chunks = index.into_iter().zip(entries.iter().cloned()).collect();
        Ok(Self { dataset: dataset.clone(), details, header, renamed, chunks, redone })
    }

    /// The options of a conversion that must be those of the dataset.
    pub(super) fn adopted(&self, options: &WriteOptions, input: &Header) -> WriteOptions {
        let other = |sample: &str| self.details.sample.as_deref() != Some(sample);
        let sample = match self.header.sample() {
            Some(sample) => Some(sample.to_owned()),
            // Reads of two samples have none in common.
            None if input.sample().is_some_and(other) => None,
            None => self.details.sample.clone(),
        };
        WriteOptions {
            chunk_size: self.details.chunk_size,
            effort: match self.details.level.as_str() {
                "fast" => Effort::Fast,
                "archive" => Effort::Archive,
                _ => Effort::Default,
            },
            sample: options.sample.clone().or(sample),
            ..options.clone()
        }
    }

    /// The number of the first new record, where the order of the input is kept.
    pub(super) fn first_ordinal(&self) -> Option<u64> {
        self.details.keeps_input_order.then_some(self.details.read_count)
    }

    /// What the manifest counts.
    pub(super) fn tally(&self) -> Result<Tally> {
        Ok(Tally {
            reads: self.details.read_count,
            bases: self.details.statistics.get(manifest::BASES).copied().unwrap_or(0),
            flagstat: self.details.flagstat()?,
            contigs: self.details.contig_counts(),
        })
    }

    /// The inputs of the version, and another.
    pub(super) fn with(&self, input: &InputInfo) -> Vec<InputInfo> {
        let mut inputs = self.dataset.manifest().inputs.clone();
        inputs.push(input.clone());
        inputs
    }

    /// Fetches a chunk.
    pub(super) fn open(&self, number: usize) -> Result<Chunk> {
        let (_, entry) = &self.chunks[number];
        let place = || self.dataset.store().name(&entry.path);
        let bytes = self.dataset.read_chunk(entry)?;
        Ok(Chunk::parse(bytes.to_vec()).at(place)?.1)
    }

    /// Decodes a block of it.
    pub(super) fn decode(&self, chunk: &Chunk, block: usize) -> Result<Block> {
        let entry = &chunk.blocks[block];
        let batch = chunk.decode_block(entry)?;
        let ordinals = match self.details.keeps_input_order {
            false => Vec::new(),
            true => chunk::decode_ordinals(entry, |stream| {
                let start = usize::try_from(stream.offset).ok()?;
                chunk.bytes.get(start..start.checked_add(stream.len as usize)?)
            })?
            .filter(|ordinals| ordinals.len() == batch.len())
            .ok_or_else(|| Error::corrupt("a block does not say the order of its input"))?,
        };
        Ok(Block { batch, ordinals })
    }
}

/// Makes sure that reads were aligned to the same contigs.
fn check_dictionary(own: &Header, input: &Header) -> Result<()> {
    let (own, input) = (own.contigs(), input.contigs());
    let help =
        "align to the same reference, or bring the contigs in order with `samtools reheader`";
    if own.len() != input.len() {
        return Err(Error::input("the input has other contigs than the dataset")
            .expected(format!("{} contigs", own.len()))
            .found(format!("{} contigs", input.len()))
            .help(help));
    }
    for (own, input) in own.iter().zip(input.iter()) {
        let is_other_md5 = own.md5.is_some() && input.md5.is_some() && own.md5 != input.md5;
        if own.name != input.name || own.length != input.length || is_other_md5 {
            let text = |contig: &crate::genome::Contig| {
                let md5 = contig.md5.as_deref().filter(|_| is_other_md5).unwrap_or_default();
                format!("{:?} of {} bases {md5}", contig.name, contig.length).trim_end().to_owned()
            };
            return Err(Error::input("the input has other contigs than the dataset")
                .expected(text(own))
                .found(text(input))
                .help(help));
        }
    }
    Ok(())
}

fn ordinals_of(names: &[String], header: &Header) -> Result<BTreeSet<i32>> {
    let ordinal = |name: &String| {
        let found = header.contigs().iter().position(|contig| contig.name == *name);
        found.and_then(|at| i32::try_from(at).ok()).ok_or_else(|| {
            Error::usage(format!("the dataset has no contig {name:?}"))
                .help("'idxstats' lists its contigs")
        })
    };
    names.iter().map(ordinal).collect()
}
