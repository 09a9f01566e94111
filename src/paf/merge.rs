//! Records of an input among the chunks of a version: chunks that none of them falls into stay as
//! they are, the others are written anew with both, those that were there first on ties.

use std::collections::{BTreeSet, VecDeque};

use super::base::{Base, Block};
use super::chunk::Chunk;
use super::order::Ordered;
use super::partition::{Partitioner, Section};
use super::place::Place;
use super::tally::Tally;
use crate::error::{Context, Error, Result};
use crate::records::alignments::Record;
use crate::records::alignments::header::Renamed;

/// What comes next in the dataset.
pub(super) enum Step {
    /// Records that become a block.
    Section(Section),
    /// A chunk of the base, by its number.
    Keep(usize),
}

/// A record of the input that is next.
struct Held {
    place: Place,
    bytes: Vec<u8>,
    ordinal: u64,
}

/// A chunk of the base that is written anew.
struct Open {
    chunk: Chunk,
    number: usize,
    next_block: usize,
    block: Block,
    at: usize,
}

/// Records and chunks in order.
pub(super) struct Merge<'a> {
    base: &'a Base,
    input: Ordered<'a>,
    window: u64,
    /// The next of the input; none at its end.
    held: Option<Held>,
    next_chunk: usize,
    open: Option<Open>,
    run: Option<Partitioner>,
    ready: VecDeque<Step>,
    /// What chunks that do not stay as they are had.
    pub(super) gone: Tally,
    /// New records.
    pub(super) added: u64,
    /// Contigs that are redone and have had no record so far.
    missing: BTreeSet<i32>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(base: &'a Base, input: Ordered<'a>, window: u64) -> Result<Self> {
        let mut merge = Self {
            base,
            input,
            window,
            held: None,
            next_chunk: 0,
            open: None,
            run: None,
            ready: VecDeque::new(),
            gone: Tally::new(base.header.contigs().len()),
            added: 0,
            missing: base.redone.clone(),
        };
        merge.hold_next()?;
        Ok(merge)
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let new = self.held.as_ref().map(|held| held.place);
            if let Some(open) = &self.open {
                let old = (open.at < open.block.batch.len())
                    .then(|| Place::of(&open.block.batch.get(open.at)));
                match (old, new) {
                    (Some(old), Some(new)) if new < old => self.push_new()?,
                    (Some(_), _) => self.push_old(),
                    (None, _) => self.next_block()?,
                }
                continue;
            }
            let chunk = self.base.chunks.get(self.next_chunk);
            let extent = chunk.and_then(|(chunk, _)| chunk.extent());
            match (extent, new) {
                (None, Some(_)) => self.push_new()?,
                (None, None) => {
                    self.end_run();
                    if self.ready.is_empty() {
                        return Ok(None);
                    }
                }
                (Some(extent), _) if self.is_redone(extent.first, extent.last) => {
                    self.open_chunk()?;
                }
                (Some(extent), Some(new)) if new < extent.first => self.push_new()?,
                (Some(extent), Some(new)) if new < extent.last => self.open_chunk()?,
                (Some(_), _) => {
                    self.end_run();
                    self.ready.push_back(Step::Keep(self.next_chunk));
                    self.next_chunk += 1;
                }
            }
        }
    }

    /// Whether a chunk may have reads of a contig that is redone.
    fn is_redone(&self, first: Place, last: Place) -> bool {
        let contig = |place: Place| place.contig().map_or(i64::MAX, |contig| i64::from(contig.0));
        let range = contig(first)..=contig(last);
        self.base.redone.iter().any(|&redone| range.contains(&i64::from(redone)))
    }

    fn open_chunk(&mut self) -> Result<()> {
        let number = self.next_chunk;
        let chunk = self.base.open(number)?;
        let block = Block { batch: Default::default(), ordinals: Vec::new() };
        self.open = Some(Open { chunk, number, next_block: 0, block, at: 0 });
        self.next_chunk += 1;
        Ok(())
    }

    /// Goes on to the next block of the chunk that is open, or closes it.
    fn next_block(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.next_block == open.chunk.blocks.len() {
            self.open = None;
            return Ok(());
        }
        let (_, entry) = &self.base.chunks[open.number];
        open.block = self.base.decode(&open.chunk, open.next_block).at(|| &entry.path)?;
        open.block.batch.iter().for_each(|record| self.gone.add(&record));
        open.next_block += 1;
        open.at = 0;
        Ok(())
    }

    /// Passes the next record of the chunk that is open on, unless it is redone.
    fn push_old(&mut self) {
        let Some(open) = &mut self.open else { return };
        let record = open.block.batch.get(open.at);
        let ordinal = open.block.ordinals.get(open.at).copied();
        open.at += 1;
        if self.base.redone.contains(&record.ref_id()) {
            return;
        }
        let run = self.run.get_or_insert_with(|| Partitioner::new(self.window));
        self.ready.extend(run.push(&record, ordinal).map(Step::Section));
    }

    /// Passes the next record of the input on.
    fn push_new(&mut self) -> Result<()> {
        let Some(held) = &self.held else { return Ok(()) };
        let record = Record::trusted(&held.bytes)
            .ok_or_else(|| Error::internal("a record was changed on its way"))?;
        let ordinal = self.base.first_ordinal().map(|first| first + held.ordinal);
        let run = self.run.get_or_insert_with(|| Partitioner::new(self.window));
        self.ready.extend(run.push(&record, ordinal).map(Step::Section));
        self.added += 1;
        self.hold_next()
    }

    fn end_run(&mut self) {
        let last = self.run.take().and_then(Partitioner::finish);
        self.ready.extend(last.map(Step::Section));
    }

    /// Holds the next record of the input that is wanted.
    fn hold_next(&mut self) -> Result<()> {
        let mut bytes = self.held.take().map(|held| held.bytes).unwrap_or_default();
        while let Some((place, record, ordinal)) = self.input.next()? {
            let contig = place.ref_id();
            if !self.base.redone.is_empty() && !self.base.redone.contains(&contig) {
                continue;
            }
            self.missing.remove(&contig);
            bytes.clear();
            rename_program(record, &self.base.renamed, &mut bytes);
            self.held = Some(Held { place, bytes, ordinal });
            return Ok(());
        }
        let Some(&missing) = self.missing.first() else { return Ok(()) };
        let contig = self.base.header.contigs().iter().nth(missing as usize);
        let name = contig.map_or("a contig", |contig| contig.name.as_str());
        Err(Error::input(format!("the input has no reads on {name}"))
            .help("check the name of the contig"))
    }
}

/// Appends a record, with the new ID of the program in its `PG` tag.
fn rename_program(record: &[u8], renamed: &Renamed, out: &mut Vec<u8>) {
    let view = Record::trusted(record).filter(|_| !renamed.is_empty());
    let tag = view.and_then(|view| view.tag(*b"PG"));
    let new = tag.and_then(|tag| Some((tag.value, renamed.get(tag.as_text()?)?)));
    let (Some((value, new)), Some(view)) = (new, view) else {
        out.extend_from_slice(record);
        return;
    };
    let tags = view.tag_bytes();
    let mut before = record.len() - tags.len();
    for tag in view.tags() {
        // Name and type precede the value.
        before += 3;
        if tag.name == *b"PG" {
            break;
        }
        before += tag.value.len();
    }
    out.extend_from_slice(&record[..before]);
    out.extend_from_slice(new);
    out.push(0);
    out.extend_from_slice(&record[before + value.len()..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::alignments::{Limit, RecordBatch, SourceOptions, open};

    #[test]
    fn test_program_of_a_record_gets_its_new_id() {
        let sam =
            b"@SQ\tSN:1\tLN:9\nr\t0\t1\t7\t60\t2M\t*\t0\t0\tAC\tII\tNM:i:0\tPG:Z:bwa\tRG:Z:a\n";
        let mut source = open("x", Box::new(&sam[..]), &SourceOptions::default()).unwrap();
        let mut batch = RecordBatch::new();
        assert!(source.read(&mut batch, Limit::default()).unwrap());
        let renamed = Renamed::from([(b"bwa".to_vec(), b"bwa.12".to_vec())]);
        let mut out = Vec::new();
        rename_program(batch.bytes(0), &renamed, &mut out);
        let record = Record::new(&out).unwrap();
        assert_eq!(record.tag(*b"PG").unwrap().as_text(), Some(&b"bwa.12"[..]));
        assert_eq!(record.tag(*b"RG").unwrap().as_text(), Some(&b"a"[..]));
        assert_eq!(record.tags().count(), 3);
        out.clear();
        rename_program(batch.bytes(0), &Renamed::new(), &mut out);
        assert_eq!(out, batch.bytes(0));
    }
}
