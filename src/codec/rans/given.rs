//! Symbols whose contexts the decoder knows beforehand. Symbol `i` belongs to state `i % N`.

use super::coder::{LOWEST, Source, Words, pop};
use super::contexts::{self, Counts, Slots, WithTables, slot};
use super::table::Alphabet;
use crate::codec::entropy;
use crate::error::Result;

/// A stream as ranks of its alphabet, with the context of each symbol.
pub(super) struct Given {
    contexts: Vec<u8>,
    alphabet: Alphabet,
    ranks: Vec<u8>,
    counts: Counts,
}

impl Given {
    /// Counts `data`; `contexts` is as long, and all of it is below `limit`.
    pub(super) fn count(data: &[u8], contexts: Vec<u8>, limit: usize) -> Self {
        let alphabet = Alphabet::of(&entropy::histogram(data));
        let ranks = alphabet.ranks(data);
        let n = alphabet.len();
        let mut cells = vec![0u32; limit * n];
        for (&context, &rank) in contexts.iter().zip(&ranks) {
            cells[usize::from(context) * n + usize::from(rank)] += 1;
        }
        Self { contexts, alphabet, ranks, counts: Counts::new(n, cells) }
    }

    /// Estimated bytes of tables and words.
    pub(super) fn estimate(&self) -> usize {
        self.counts.estimate()
    }

    /// Appends alphabet, tables, states and words.
    pub(super) fn encode<const N: usize>(&self, out: &mut Vec<u8>) {
        self.alphabet.write(out);
        let tables = self.counts.write(out);
        let mut states = [LOWEST; N];
        let mut words = Words::with_room_for(self.ranks.len());
        let (groups, tail) = self.ranks.as_chunks::<N>();
        let (context_groups, context_tail) = self.contexts.as_chunks::<N>();
        for ((rank, context), state) in tail.iter().zip(context_tail).zip(&mut states).rev() {
            words.fill::<1>(|room| {
                let mut free = 1;
                tables.symbol(*context, *rank).push(state, room, &mut free);
                free
            });
        }
        for (group, contexts) in groups.iter().zip(context_groups).rev() {
            words.fill::<N>(|room| {
                let mut free = N;
                for lane in (0..N).rev() {
                    let symbol = tables.symbol(contexts[lane], group[lane]);
                    symbol.push(&mut states[lane], room, &mut free);
                }
                free
            });
        }
        words.finish(&states, out);
    }
}

/// Reads what [`Given::encode`] wrote into `out`, which is as long as `contexts`.
pub(super) fn decode<const N: usize>(
    mut bytes: &[u8],
    contexts: &[u8],
    limit: usize,
    out: &mut [u8],
) -> Result<()> {
    let alphabet = Alphabet::read(&mut bytes)?;
    let ranks = Ranks::<N> { contexts, out };
    contexts::read(bytes, limit, alphabet.len(), ranks)?;
    alphabet.restore(out);
    Ok(())
}

struct Ranks<'a, const N: usize> {
    contexts: &'a [u8],
    out: &'a mut [u8],
}

impl<const N: usize> WithTables for Ranks<'_, N> {
    fn run<const SHIFT: u32>(self, bytes: &[u8], slots: &Slots) -> Result<()> {
        let (mut states, mut source) = Source::open::<N>(bytes)?;
        let (groups, tail) = self.out.as_chunks_mut::<N>();
        let (context_groups, context_tail) = self.contexts.as_chunks::<N>();
        for (group, contexts) in groups.iter_mut().zip(context_groups) {
            source.read::<N>(|words| {
                let mut used = 0;
                for lane in 0..N {
                    let state = &mut states[lane];
                    let slot = slot::<SHIFT>(slots, contexts[lane], *state);
                    group[lane] = pop(slot, SHIFT, state, words, &mut used);
                }
                used
            })?;
        }
        source.read::<N>(|words| {
            let mut used = 0;
            for ((state, context), rank) in states.iter_mut().zip(context_tail).zip(tail) {
                let slot = slot::<SHIFT>(slots, *context, *state);
                *rank = pop(slot, SHIFT, state, words, &mut used);
            }
            used
        })?;
        source.finish(&states)
    }
}
