//! Which readable records are accepted.
//!
//! A file can be laid out correctly and still say nonsense. Strictly, a defect that one record or
//! the header alone shows is an error; leniently, such records are kept exactly as they are. Neither
//! way compares records with each other, but for the order that the header promises.

use std::collections::HashSet;

use super::header::SortOrder;
use super::{CigarOp, Header, Record, Tag, record::flags};
use crate::error::{Error, Result};

/// How much nonsense an input may contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// The rules of the SAM specification hold.
    #[default]
    Strict,
    /// Whatever can be represented exactly is kept.
    Lenient,
}

/// Checks the records of one file, in order.
#[derive(Debug)]
pub struct RecordChecks {
    contigs: i32,
    strict: Option<StrictChecks>,
}

#[derive(Debug)]
struct StrictChecks {
    read_groups: HashSet<Vec<u8>>,
    last_read_group: Vec<u8>,
    /// The contig (unplaced being the last) and position of the record before, where the header
    /// promises coordinate order.
    last_place: Option<(u32, i32)>,
    tag_names: Vec<[u8; 2]>,
}

impl RecordChecks {
    /// Checks for the records that follow `header`.
    pub fn new(header: &Header, validation: Validation) -> Self {
        let sorted = header.sort_order() == SortOrder::Coordinate;
        let strict = (validation == Validation::Strict).then(|| StrictChecks {
            read_groups: header.read_groups().iter().map(|group| group.id.clone()).collect(),
            last_read_group: Vec::new(),
            last_place: sorted.then_some((0, -1)),
            tag_names: Vec::new(),
        });
        Self { contigs: i32::try_from(header.contigs().len()).unwrap_or(i32::MAX), strict }
    }

    /// Checks the next record.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input): always when the record refers to a contig that
    /// the header does not have, or to a negative position; strictly, when it breaks a rule.
    pub fn check(&mut self, record: &Record<'_>) -> Result<()> {
        for (field, id) in [("RNAME", record.ref_id()), ("RNEXT", record.mate_ref_id())] {
            if !(-1..self.contigs).contains(&id) {
                return Err(Error::input(format!(
                    "{field} refers to a contig that the header does not have"
                ))
                .expected(format!("a number from -1 to {}", self.contigs - 1))
                .found(id)
                .help("the file is damaged, or its header was exchanged; make it again"));
            }
        }
        for (field, position) in [("POS", record.position()), ("PNEXT", record.mate_position())] {
            if position < -1 {
                return Err(Error::input(format!("{field} is negative"))
                    .found(position)
                    .help("the file is damaged; make it again"));
            }
        }
        match &mut self.strict {
            Some(strict) => strict.check(record).map_err(|error| {
                error.help("repair the record, or read the file leniently to keep it as it is")
            }),
            None => Ok(()),
        }
    }
}

impl StrictChecks {
    fn check(&mut self, record: &Record<'_>) -> Result<()> {
        if record.name().is_empty() {
            return Err(Error::input("the read name is empty").expected("a name, or *"));
        }
        if record.flags() & !0xfff != 0 {
            return Err(Error::input("FLAG has bits that the SAM specification reserves")
                .expected("at most 4095")
                .found(record.flags()));
        }
        check_cigar(record)?;
        self.check_tags(record)?;
        self.check_order(record)
    }

    fn check_tags(&mut self, record: &Record<'_>) -> Result<()> {
        self.tag_names.clear();
        // A bit for each name, or a few: most names are new, and need not be looked up.
        let mut seen = 0u64;
        for tag in record.tags() {
            let bit = 1 << ((u32::from(tag.name[0]) * 7 + u32::from(tag.name[1])) % 64);
            if seen & bit != 0 && self.tag_names.contains(&tag.name) {
                return Err(Error::input(format!("tag {} occurs twice", tag_name(&tag))));
            }
            seen |= bit;
            self.tag_names.push(tag.name);
            if tag.name == *b"RG" && !self.read_groups.is_empty() {
                self.check_read_group(&tag)?;
            }
        }
        Ok(())
    }

    fn check_read_group(&mut self, tag: &Tag<'_>) -> Result<()> {
        let id = tag.as_text().unwrap_or_default();
        if id == self.last_read_group {
            return Ok(());
        }
        if !self.read_groups.contains(id) {
            return Err(Error::input("the read group is not among the header's @RG lines")
                .found(format!("{:?}", String::from_utf8_lossy(id))));
        }
        self.last_read_group.clear();
        self.last_read_group.extend_from_slice(id);
        Ok(())
    }

    fn check_order(&mut self, record: &Record<'_>) -> Result<()> {
        let Some(last) = &mut self.last_place else { return Ok(()) };
        // As unsigned, -1 is the last contig; unplaced records are in no order among themselves.
        let contig = record.ref_id() as u32;
        let position = if record.ref_id() < 0 { -1 } else { record.position() };
        if (contig, position) < *last {
            return Err(Error::input("the header says SO:coordinate, but the records are not in that order")
                .expected(format!("contig {} from position {}", last.0, i64::from(last.1) + 1))
                .found(format!("contig {} at position {}", record.ref_id(), i64::from(position) + 1))
                .help("sort the file with `samtools sort`, or correct SO in its header with `samtools reheader`, or read it leniently"));
        }
        *last = (contig, position);
        Ok(())
    }
}

/// The CIGAR must cover the read, and clip it only at its ends (§1.4.6).
fn check_cigar(record: &Record<'_>) -> Result<()> {
    let ops = record.cigar();
    let count = ops.len();
    if count == 0 {
        return Ok(());
    }
    let is_hard = |op: Option<CigarOp>| op.is_some_and(|op| op.code() == 5);
    let mut read_length = 0u64;
    for (index, op) in ops.clone().enumerate() {
        if op.consumes_read() {
            read_length += u64::from(op.len());
        }
        let is_end = index == 0 || index == count - 1;
        let is_inner_end = || {
            index == 1 && is_hard(ops.clone().next())
                || index + 2 == count && is_hard(ops.clone().nth(count - 1))
        };
        if op.code() == 5 && !is_end || op.code() == 4 && !is_end && !is_inner_end() {
            return Err(Error::input("the CIGAR clips bases in the middle of the read")
                .found(format!("{}{} as operation {}", op.len(), op.letter() as char, index + 1)));
        }
    }
    let sequence_length = record.sequence_len() as u64;
    let is_mapped = record.flags() & flags::UNMAPPED == 0;
    if is_mapped && sequence_length > 0 && read_length != sequence_length {
        return Err(Error::input("CIGAR and SEQ are of different length")
            .expected(format!("{read_length} bases as in CIGAR"))
            .found(format!("{sequence_length} bases")));
    }
    Ok(())
}

fn tag_name(tag: &Tag<'_>) -> String {
    String::from_utf8_lossy(&tag.name).into_owned()
}
