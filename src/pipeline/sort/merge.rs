//! Merging sorted sources into one.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::collections::binary_heap::{BinaryHeap, PeekMut};

use super::Block;
use super::run::RunReader;
use crate::error::Result;

/// Records in order, in memory or in a file, at one of which it stands.
#[derive(Debug)]
pub(super) enum Source {
    Memory(BlockReader),
    File(RunReader),
}

/// Sorted blocks that continue each other.
#[derive(Debug)]
pub(super) struct BlockReader {
    blocks: VecDeque<Block>,
    /// One past the current record of the first block.
    next: usize,
}

impl BlockReader {
    pub(super) fn append(&mut self, block: Block) {
        self.blocks.push_back(block);
    }
}

impl Source {
    pub(super) fn memory(block: Block) -> Self {
        Self::Memory(BlockReader { blocks: VecDeque::from([block]), next: 0 })
    }

    /// Moves to the next record, at first to the first; false at the end.
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::File(reader) => reader.advance(),
            Self::Memory(reader) => {
                reader.next += 1;
                while let Some(block) = reader.blocks.front() {
                    if reader.next <= block.index.len() {
                        return Ok(true);
                    }
                    // Blocks are given back as they are used up.
                    reader.blocks.pop_front();
                    reader.next = 1;
                }
                Ok(false)
            }
        }
    }

    fn current(&self) -> Option<(u64, &[u8])> {
        match self {
            Self::File(reader) => reader.current(),
            Self::Memory(reader) => reader.blocks.front()?.record(reader.next.checked_sub(1)?),
        }
    }

    fn key(&self) -> Option<u64> {
        self.current().map(|(key, _)| key)
    }
}

/// The records of all sources in order; those of one key in the order of the sources.
#[derive(Debug)]
pub(super) struct Merge {
    sources: Vec<Source>,
    /// The key at which each source stands, and the source.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Whether the first head has been handed out already.
    is_taken: bool,
}

impl Merge {
    pub(super) fn new(mut sources: Vec<Source>) -> Result<Self> {
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (at, source) in sources.iter_mut().enumerate() {
            if source.advance()?
                && let Some(key) = source.key()
            {
                heads.push(Reverse((key, at)));
            }
        }
        Ok(Self { sources, heads, is_taken: false })
    }

    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        if self.is_taken
            && let Some(mut head) = self.heads.peek_mut()
        {
            let source = &mut self.sources[head.0.1];
            let key = if source.advance()? { source.key() } else { None };
            match key {
                Some(key) => head.0.0 = key,
                None => {
                    PeekMut::pop(head);
                }
            }
        }
        self.is_taken = true;
        Ok(self.heads.peek().and_then(|head| self.sources[head.0.1].current()))
    }
}
