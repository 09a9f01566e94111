//! Records on their way into order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::record::Alignment;
use crate::records::alignments::record::flags;

/// Mates on other contigs wait long, so that only so many may wait at once.
const MAX_FAR_MATES: usize = 2_000;

/// Records that wait for their turn, in buffers that are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    heap: BinaryHeap<Reverse<Turn>>,
    pub(super) buffers: Vec<Vec<u8>>,
    free: Vec<usize>,
    taken: Option<usize>,
    pushed: u64,
    far: usize,
}

/// As `samtools sort` orders: place, strand, and then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    place: (usize, u64),
    is_reverse: bool,
    ordinal: u64,
    buffer: usize,
    is_far: bool,
}

impl Waiting {
    pub(super) fn has_room_for_far(&self) -> bool {
        self.far < MAX_FAR_MATES
    }

    pub(super) fn push(
        &mut self,
        alignment: &Alignment,
        is_far: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let buffer = self.free.pop().unwrap_or_else(|| {
            self.buffers.push(Vec::new());
            self.buffers.len() - 1
        });
        self.buffers[buffer].clear();
        write(&mut self.buffers[buffer]);
        let is_placed = alignment.contig >= 0;
        let contig = if is_placed { alignment.contig as usize } else { usize::MAX };
        self.heap.push(Reverse(Turn {
            place: (contig, alignment.position.max(0) as u64),
            is_reverse: alignment.flags & flags::REVERSE != 0,
            ordinal: self.pushed,
            buffer,
            is_far,
        }));
        self.pushed += 1;
        self.far += usize::from(is_far);
    }

    /// The next record, if it stands before `horizon`; without a horizon, any.
    pub(super) fn pop_before(&mut self, horizon: Option<(usize, u64)>) -> Option<&[u8]> {
        self.free.extend(self.taken.take());
        let Reverse(turn) = *self.heap.peek()?;
        if horizon.is_some_and(|horizon| turn.place >= horizon) {
            return None;
        }
        self.heap.pop();
        self.far -= usize::from(turn.is_far);
        self.taken = Some(turn.buffer);
        self.buffers.get(turn.buffer).map(Vec::as_slice)
    }
}
