//! Order 1: a table for each preceding symbol. The stream is cut into `N` equal parts, one for each
//! state; what is left over (fewer than `N` symbols) belongs to the last state.

use super::coder::{LOWEST, Source, Words, pop};
use super::contexts::{self, Counts, Slots, WithTables, slot};
use super::table::Alphabet;
use crate::error::Result;

/// A stream as ranks of its alphabet, with the counts of each pair.
pub(super) struct Pairs {
    alphabet: Alphabet,
    ranks: Vec<u8>,
    counts: Counts,
}

impl Pairs {
    /// Counts the pairs of `data` as `N` states will see them.
    pub(super) fn count<const N: usize>(data: &[u8], counts: &[u32; 256]) -> Self {
        let alphabet = Alphabet::of(counts);
        let ranks = alphabet.ranks(data);
        let n = alphabet.len();
        // Two tables in turns, so that runs do not wait for their own last increment.
        let mut even = vec![0u32; n * n];
        let mut odd = vec![0u32; n * n];
        let part = data.len() / N;
        let mut add = |segment: &[u8]| {
            let Some((&first, rest)) = segment.split_first() else { return };
            even[usize::from(first)] += 1;
            let mut context = usize::from(first) * n;
            let mut pairs = rest.chunks_exact(2);
            for pair in &mut pairs {
                let (a, b) = (usize::from(pair[0]), usize::from(pair[1]));
                odd[context + a] += 1;
                even[a * n + b] += 1;
                context = b * n;
            }
            if let [last] = *pairs.remainder() {
                odd[context + usize::from(last)] += 1;
            }
        };
        if part > 0 {
            (0..N - 1).for_each(|lane| add(&ranks[lane * part..(lane + 1) * part]));
        }
        add(&ranks[(N - 1) * part..]);
        even.iter_mut().zip(&odd).for_each(|(count, more)| *count += more);
        Self { alphabet, ranks, counts: Counts::new(n, even) }
    }

    /// Estimated bytes of tables and words.
    pub(super) fn estimate(&self) -> usize {
        self.counts.estimate()
    }

    /// Appends alphabet, tables, states and words.
    pub(super) fn encode<const N: usize>(&self, out: &mut Vec<u8>) {
        self.alphabet.write(out);
        let tables = self.counts.write(out);
        let ranks = self.ranks.as_slice();
        let part = ranks.len() / N;
        let mut states = [LOWEST; N];
        let mut words = Words::with_room_for(ranks.len());
        // The tail continues the last part; without parts it is the last part.
        for i in (N * part..ranks.len()).rev() {
            let context = if i == 0 { 0 } else { ranks[i - 1] };
            words.fill::<1>(|room| {
                let mut free = 1;
                tables.symbol(context, ranks[i]).push(&mut states[N - 1], room, &mut free);
                free
            });
        }
        if part > 0 {
            let lanes: [&[u8]; N] =
                std::array::from_fn(|lane| &ranks[lane * part..(lane + 1) * part]);
            let mut current: [u8; N] = std::array::from_fn(|lane| lanes[lane][part - 1]);
            let mut push_all = |contexts: [u8; N]| {
                words.fill::<N>(|room| {
                    let mut free = N;
                    for lane in (0..N).rev() {
                        let symbol = tables.symbol(contexts[lane], current[lane]);
                        symbol.push(&mut states[lane], room, &mut free);
                    }
                    free
                });
                current = contexts;
            };
            for i in (1..part).rev() {
                push_all(std::array::from_fn(|lane| lanes[lane][i - 1]));
            }
            push_all([0; N]);
        }
        words.finish(&states, out);
    }
}

/// Reads what [`Pairs::encode`] wrote into `out`, which has the right length.
pub(super) fn decode<const N: usize>(mut bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let alphabet = Alphabet::read(&mut bytes)?;
    contexts::read(bytes, alphabet.len(), alphabet.len(), Ranks::<N>(out))?;
    alphabet.restore(out);
    Ok(())
}

struct Ranks<'a, const N: usize>(&'a mut [u8]);

impl<const N: usize> WithTables for Ranks<'_, N> {
    fn run<const SHIFT: u32>(self, bytes: &[u8], slots: &Slots) -> Result<()> {
        let out = self.0;
        let (mut states, mut source) = Source::open::<N>(bytes)?;
        let part = out.len() / N;
        let mut contexts = [0u8; N];
        for i in 0..part {
            source.read::<N>(|words| {
                let mut used = 0;
                for lane in 0..N {
                    let state = &mut states[lane];
                    let slot = slot::<SHIFT>(slots, contexts[lane], *state);
                    let rank = pop(slot, SHIFT, state, words, &mut used);
                    contexts[lane] = rank;
                    out[lane * part + i] = rank;
                }
                used
            })?;
        }
        for rank in &mut out[N * part..] {
            source.read::<1>(|words| {
                let mut used = 0;
                let state = &mut states[N - 1];
                let slot = slot::<SHIFT>(slots, contexts[N - 1], *state);
                *rank = pop(slot, SHIFT, state, words, &mut used);
                contexts[N - 1] = *rank;
                used
            })?;
        }
        source.finish(&states)
    }
}
