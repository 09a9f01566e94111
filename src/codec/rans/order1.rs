//! Order 1: a table for each preceding symbol. The stream is cut into `N` equal parts, one for each
//! state; what is left over (fewer than `N` symbols) belongs to the last state.

use std::cell::RefCell;

use super::coder::{EncoderSymbol, LOWEST, Slot, Source, Words, fill_slots, pop};
use super::table::{Alphabet, normalise, read_row, stored_total, write_row};
use crate::codec::bytes::{take_slice, take_u8};
use crate::codec::{entropy, varint};
use crate::error::{Error, Result};

/// The precision to which frequencies are scaled: coarse tables are shorter and faster.
pub(super) const SHIFTS: [u32; 2] = [10, 12];

/// A stream as ranks of its alphabet, with the counts of each pair.
pub(super) struct Pairs {
    alphabet: Alphabet,
    ranks: Vec<u8>,
    /// `counts[context * n + rank]`
    counts: Vec<u32>,
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
            let Some((&first, _)) = segment.split_first() else { return };
            even[usize::from(first)] += 1;
            let mut context = usize::from(first) * n;
            let mut pairs = segment[1..].chunks_exact(2);
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
        Self { alphabet, ranks, counts: even }
    }

    /// Estimated bytes of table and words.
    pub(super) fn estimate(&self) -> usize {
        let n = self.alphabet.len();
        let mut bits = 0;
        let mut cells = 0;
        for row in self.counts.chunks_exact(n) {
            bits += entropy::bits(row);
            cells += row.iter().filter(|&&c| c > 0).count();
        }
        // A cell of the table costs about a byte, its zeros included.
        (bits / 8) as usize + cells + n
    }

    /// Appends alphabet, tables, states and words.
    pub(super) fn encode<const N: usize>(&self, out: &mut Vec<u8>) {
        let n = self.alphabet.len();
        self.alphabet.write(out);
        let shift = self.choose_shift();
        out.push(shift as u8);

        let mut rows = Vec::new();
        let mut row = vec![0u16; n];
        let mut table = vec![EncoderSymbol::default(); n * n];
        for (counts, symbols) in self.counts.chunks_exact(n).zip(table.chunks_exact_mut(n)) {
            let sum: u32 = counts.iter().sum();
            let distinct = counts.iter().filter(|&&c| c > 0).count() as u32;
            let total = stored_total(sum, distinct, shift);
            normalise(counts, total, &mut row);
            write_row(&row, &mut rows);
            let scale = shift - total.ilog2();
            let mut start = 0;
            for (symbol, &frequency) in symbols.iter_mut().zip(&row) {
                let frequency = u32::from(frequency) << scale;
                *symbol = EncoderSymbol::new(start, frequency.max(1), shift);
                start += frequency;
            }
        }
        write_rows(&rows, out);

        let mut states = [LOWEST; N];
        let mut words = Words::with_room_for(self.ranks.len());
        let part = self.ranks.len() / N;
        let symbol = |context: u8, rank: u8| table[usize::from(context) * n + usize::from(rank)];
        let context = |i: usize| if i == 0 { 0 } else { self.ranks[i - 1] };
        // The tail continues the last part; without parts it is the last part.
        let tail_start = N * part;
        for i in (tail_start..self.ranks.len()).rev() {
            words.fill::<1>(|room| {
                let mut free = 1;
                symbol(context(i), self.ranks[i]).push(&mut states[N - 1], room, &mut free);
                free
            });
        }
        if part > 0 {
            let mut current = [0u8; N];
            for lane in 0..N {
                current[lane] = self.ranks[lane * part + part - 1];
            }
            for i in (0..part).rev() {
                words.fill::<N>(|room| {
                    let mut free = N;
                    for lane in (0..N).rev() {
                        let context = if i == 0 { 0 } else { self.ranks[lane * part + i - 1] };
                        let symbol = symbol(context, current[lane]);
                        symbol.push(&mut states[lane], room, &mut free);
                        current[lane] = context;
                    }
                    free
                });
            }
        }
        words.finish(&states, out);
    }

    /// The fine tables where they save more than 1 %, or where there are few contexts.
    fn choose_shift(&self) -> u32 {
        let [coarse, fine] = SHIFTS;
        if self.ranks.len() < 20_000 {
            return coarse;
        }
        if self.alphabet.len() <= 8 { fine } else { coarse }
    }
}

/// Appends the tables' bytes, themselves coded where that is shorter.
fn write_rows(rows: &[u8], out: &mut Vec<u8>) {
    let mut coded = Vec::new();
    super::encode_plain_order0(rows, &mut coded);
    varint::put(out, rows.len() as u64);
    if coded.len() + 2 < rows.len() {
        varint::put(out, coded.len() as u64);
        out.extend(coded);
    } else {
        out.push(0);
        out.extend(rows);
    }
}

fn read_rows(bytes: &mut &[u8], limit: usize) -> Result<Vec<u8>> {
    let plain_len = varint::take_len(bytes, limit)?;
    match varint::take_len(bytes, limit)? {
        0 => Ok(take_slice(bytes, plain_len)?.to_vec()),
        coded_len => {
            let mut rows = vec![0; plain_len];
            super::decode_plain_order0(take_slice(bytes, coded_len)?, &mut rows)?;
            Ok(rows)
        }
    }
}

/// Decoding tables for the largest alphabet at the finest shift; only rows in use are touched.
type Tables = [Slot; 256 << 12];

thread_local! {
    static TABLES: RefCell<Option<Box<Tables>>> = const { RefCell::new(None) };
}

/// Reads what [`Pairs::encode`] wrote into `out`, which has the right length.
pub(super) fn decode<const N: usize>(mut bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let alphabet = Alphabet::read(&mut bytes)?;
    let n = alphabet.len();
    let shift = u32::from(take_u8(&mut bytes)?);
    if !SHIFTS.contains(&shift) {
        return Err(Error::corrupt("unknown precision of a rANS table").found(shift));
    }
    let rows = read_rows(&mut bytes, n * (2 * n + 2))?;
    TABLES.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = vec![0; 256 << 12].into_boxed_slice().try_into().ok();
        }
        let tables =
            slot.as_deref_mut().ok_or_else(|| Error::internal("rANS tables are absent"))?;
        let mut rows = rows.as_slice();
        let mut row = vec![0; n];
        for slots in tables.chunks_exact_mut(1 << shift).take(n) {
            // An unused context is never met in a sound stream; a damaged one finds rank 0 there.
            if read_row(&mut rows, shift, &mut row)?.is_none() {
                row[0] = 1 << shift;
            }
            fill_slots(&row, slots);
        }
        if !rows.is_empty() {
            return Err(Error::corrupt("bytes are left after the frequency tables"));
        }
        if shift == SHIFTS[0] {
            decode_ranks::<N, { SHIFTS[0] }>(bytes, tables, out)
        } else {
            decode_ranks::<N, { SHIFTS[1] }>(bytes, tables, out)
        }
    })?;
    alphabet.restore(out);
    Ok(())
}

fn decode_ranks<const N: usize, const SHIFT: u32>(
    bytes: &[u8],
    tables: &Tables,
    out: &mut [u8],
) -> Result<()> {
    let (mut states, mut source) = Source::open::<N>(bytes)?;
    let part = out.len() / N;
    let slot = |context: u8, state: u32| -> Slot {
        tables[usize::from(context) << SHIFT | (state & ((1 << SHIFT) - 1)) as usize]
    };
    let mut contexts = [0u8; N];
    for i in 0..part {
        source.read::<N>(|words| {
            let mut used = 0;
            for lane in 0..N {
                let state = &mut states[lane];
                let rank = pop(slot(contexts[lane], *state), SHIFT, state, words, &mut used);
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
            let context = &mut contexts[N - 1];
            *context = pop(slot(*context, *state), SHIFT, state, words, &mut used);
            *rank = *context;
            used
        })?;
    }
    source.finish(&states)
}
