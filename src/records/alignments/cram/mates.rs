//! What mates in one slice know of each other, and so is not stored (CRAM specification §10.4), as
//! htslib 1.16 restores it.

use super::slice::CramRecord;
use crate::error::{Error, Result};
use crate::records::alignments::record::flags;

/// Bits of the series MF.
const MATE_IS_REVERSE: i32 = 1;
const MATE_IS_UNMAPPED: i32 = 2;

/// Fills in flags, mates' places and template lengths.
pub(super) fn resolve(records: &mut [CramRecord]) -> Result<()> {
    for index in 0..records.len() {
        match records[index].mate {
            Some(mate) => {
                if records[index].template_length.is_none() {
                    measure(records, index)?;
                }
                // The last of a chain has got its mate just now.
                let mate = records[index].mate.unwrap_or(mate);
                meet(records, index, mate);
            }
            None => state_mate(&mut records[index]),
        }
    }
    for record in records.iter_mut() {
        if record.explicit_length.is_some() {
            record.template_length = record.explicit_length;
        }
    }
    Ok(())
}

/// Closes the chain of segments that begins at `first`, and measures the template.
fn measure(records: &mut [CramRecord], first: usize) -> Result<()> {
    let mut chain = vec![first];
    let mut last = first;
    while let Some(next) = records[last].mate {
        if next <= last || next >= records.len() {
            return Err(Error::input("the mates of a slice refer to each other in a circle")
                .help("the file is damaged; make it again"));
        }
        chain.push(next);
        last = next;
    }
    records[last].mate = Some(first);
    let left = chain.iter().map(|index| records[*index].position).min().unwrap_or(0);
    let right = chain.iter().map(|index| records[*index].end).max().unwrap_or(0);
    let leftmost = chain.iter().filter(|index| records[**index].position == left).count();
    let is_on_one = chain.iter().all(|index| records[*index].ref_id == records[first].ref_id);
    for index in chain {
        let record = &mut records[index];
        let is_left =
            record.position == left && (leftmost == 1 || record.flags & flags::READ1 != 0);
        record.template_length = Some(match (is_on_one, is_left) {
            (false, _) => 0,
            (true, true) => right - left + 1,
            (true, false) => left - right - 1,
        });
    }
    Ok(())
}

fn meet(records: &mut [CramRecord], index: usize, mate: usize) {
    let (mate_position, mate_ref_id, mate_flags) =
        (records[mate].position, records[mate].ref_id, records[mate].flags);
    let record = &mut records[index];
    record.mate_position = mate_position;
    record.mate_ref_id = mate_ref_id;
    record.flags |= flags::PAIRED;
    if mate_flags & flags::UNMAPPED != 0 {
        record.flags |= flags::MATE_UNMAPPED;
    }
    if (mate_flags | record.flags) & flags::UNMAPPED != 0 {
        record.template_length = Some(0);
    }
    if mate_flags & flags::REVERSE != 0 {
        record.flags |= flags::MATE_REVERSE;
    }
}

/// The mate is elsewhere, and was described by the record itself.
fn state_mate(record: &mut CramRecord) {
    if record.mate_flags & MATE_IS_REVERSE != 0 {
        record.flags |= flags::PAIRED | flags::MATE_REVERSE;
    }
    if record.mate_flags & MATE_IS_UNMAPPED != 0 {
        record.flags |= flags::MATE_UNMAPPED;
    }
    if record.flags & flags::PAIRED == 0 {
        record.mate_ref_id = -1;
    }
    record.template_length.get_or_insert(0);
}
