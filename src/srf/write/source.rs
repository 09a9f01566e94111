//! Cutting files into the records of one batch after the other.

use super::WriteOptions;
use super::base::Base;
use crate::error::{Error, Result};
use crate::records::reads::{Framed, Framer, Style};

/// Bytes of text of a batch: two neighbours, as a query fetches, then stay well below 1.5 MiB.
pub(super) const BATCH_TEXT: usize = 1_792 << 10;

/// Records of one batch.
pub(super) struct Section {
    pub(super) framed: Vec<Framed>,
    pub(super) fixed: [u32; 2],
    pub(super) starts_chunk: bool,
}

/// Cuts files into sections.
pub(super) struct Source {
    framers: Vec<Framer>,
    pub(super) styles: Vec<Style>,
    interleaved: bool,
    batch_rows: usize,
    chunk_rows: u64,
    /// Rows that the chunk may still take.
    room: u64,
    /// The lengths of the reads, once known and while they are equal.
    fixed: Option<[u32; 2]>,
}

impl Source {
    pub(super) fn new(
        framers: Vec<Framer>,
        options: &WriteOptions,
        base: Option<&Base>,
    ) -> Result<Self> {
        let Some(first) = framers.first() else {
            return Err(Error::usage("there is no input"));
        };
        if framers.iter().any(|framer| framer.kind() != first.kind()) {
            return Err(Error::input("one file is FASTQ and the other FASTA")
                .help("give two files of one kind"));
        }
        let is_paired = options.interleaved || framers.len() == 2;
        let mates = 1 + usize::from(is_paired);
        let mut styles: Vec<Style> = framers.iter().map(Framer::style).collect();
        styles.resize(mates, first.style());
        if let Some(base) = base {
            base.check_input(&styles)?;
            styles.clone_from(&base.details.styles);
        }
        let chunk_rows = (options.chunk_reads / mates as u64).max(1);
        Ok(Self {
            framers,
            styles,
            interleaved: options.interleaved,
            batch_rows: (options.batch_reads / mates).max(1),
            chunk_rows,
            room: 0,
            fixed: base.and_then(Base::fixed),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Section>> {
        let mut starts_chunk = self.room == 0;
        if starts_chunk {
            self.room = self.chunk_rows;
        }
        let rows = self.batch_rows.min(usize::try_from(self.room).unwrap_or(usize::MAX));
        let framed = match (self.interleaved, self.framers.as_mut_slice()) {
            (true, [only]) => {
                // Whole pairs: an odd number is the end of the file, or of the batch's bytes.
                match only.next_even(2 * rows, BATCH_TEXT)? {
                    Some(framed) => framed.deinterleave()?.to_vec(),
                    None => return Ok(None),
                }
            }
            (_, [only]) => match only.next(rows, BATCH_TEXT)? {
                Some(framed) => vec![framed],
                None => return Ok(None),
            },
            (_, [first, second]) => {
                let one = first.next(rows, BATCH_TEXT / 2)?;
                let wanted = one.as_ref().map_or(1, |one| one.frames.len());
                let two = second.next(wanted, usize::MAX)?;
                match (one, two) {
                    (None, None) => return Ok(None),
                    (Some(one), Some(two)) if one.frames.len() == two.frames.len() => {
                        vec![one, two]
                    }
                    (one, two) => return Err(unequal(first, second, one, two)),
                }
            }
            _ => return Err(Error::usage("reads come from one file, or from two")),
        };
        let now = lengths(&framed, &self.styles);
        let fixed = match self.fixed {
            None => now,
            Some(before) if before == now => before,
            Some([0, 0]) => [0, 0],
            Some(_) => {
                // Columns of the chunk so far cannot hold these: they begin another.
                starts_chunk = true;
                self.room = self.chunk_rows;
                [0, 0]
            }
        };
        self.fixed = Some(fixed);
        self.room = self.room.saturating_sub(framed[0].frames.len() as u64);
        Ok(Some(Section { framed, fixed, starts_chunk }))
    }
}

/// The one length of each file's reads; zeros unless all have one.
fn lengths(framed: &[Framed], styles: &[Style]) -> [u32; 2] {
    let mut fixed = [0; 2];
    for ((file, style), fixed) in framed.iter().zip(styles).zip(&mut fixed) {
        let length = file.frames.first().map_or(0, |frame| frame.length);
        if style.fasta || length == 0 || file.frames.iter().any(|frame| frame.length != length) {
            return [0, 0];
        }
        *fixed = length;
    }
    fixed
}

fn unequal(first: &Framer, second: &Framer, one: Option<Framed>, two: Option<Framed>) -> Error {
    let end = |framed: &Option<Framed>, framer: &Framer| {
        framed.as_ref().map_or(framer.records(), |f| f.first_record + f.frames.len() as u64)
    };
    let (ends_at, name) = match end(&one, first) < end(&two, second) {
        true => (end(&one, first), first.name()),
        false => (end(&two, second), second.name()),
    };
    Error::input(format!("{name} ends after record {ends_at}, and the other file goes on"))
        .expected("as many reads in both files")
        .help("the files are no pair, or one is cut short: get whole copies")
        .at(format!("record {}", ends_at + 1))
        .at(name)
}
