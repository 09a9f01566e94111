//! Order 0: one table for the whole stream. Symbol `i` belongs to state `i % N`.

use super::coder::{EncoderSymbol, LOWEST, Slot, Source, Words, fill_slots, pop};
use super::table::{Alphabet, normalise, read_row, stored_total, write_row};
use crate::error::{Error, Result};

/// Frequencies sum to `1 << SHIFT`.
pub(super) const SHIFT: u32 = 12;

/// Appends alphabet, table, states and words of `data`.
pub(super) fn encode<const N: usize>(data: &[u8], counts: &[u32; 256], out: &mut Vec<u8>) {
    let alphabet = Alphabet::of(counts);
    alphabet.write(out);
    let counts: Vec<u32> = counts.iter().copied().filter(|&c| c > 0).collect();
    let mut frequencies = vec![0; counts.len()];
    let total = stored_total(data.len() as u32, counts.len() as u32, SHIFT);
    normalise(&counts, total, &mut frequencies);
    write_row(&frequencies, out);

    let scale = SHIFT - total.ilog2();
    let mut table = [EncoderSymbol::default(); 256];
    let mut start = 0;
    for (symbol, &frequency) in alphabet.symbols().iter().zip(&frequencies) {
        let frequency = u32::from(frequency) << scale;
        table[usize::from(*symbol)] = EncoderSymbol::new(start, frequency, SHIFT);
        start += frequency;
    }

    let mut states = [LOWEST; N];
    let mut words = Words::with_room_for(data.len());
    let (groups, tail) = data.as_chunks::<N>();
    for (symbol, state) in tail.iter().zip(&mut states).rev() {
        words.fill::<1>(|room| {
            let mut free = 1;
            table[usize::from(*symbol)].push(state, room, &mut free);
            free
        });
    }
    for group in groups.iter().rev() {
        words.fill::<N>(|room| {
            let mut free = N;
            for lane in (0..N).rev() {
                table[usize::from(group[lane])].push(&mut states[lane], room, &mut free);
            }
            free
        });
    }
    words.finish(&states, out);
}

/// Reads what [`encode`] wrote into `out`, which has the right length.
pub(super) fn decode<const N: usize>(mut bytes: &[u8], out: &mut [u8]) -> Result<()> {
    let alphabet = Alphabet::read(&mut bytes)?;
    let mut frequencies = vec![0; alphabet.len()];
    if read_row(&mut bytes, SHIFT, &mut frequencies)?.is_none() {
        return Err(Error::corrupt("frequency table is empty"));
    }
    let mut slots = [0; 1 << SHIFT];
    fill_slots(&frequencies, &mut slots);
    alphabet.restore_slots(&mut slots);

    let (mut states, mut source) = Source::open::<N>(bytes)?;
    let slot = |state: u32| -> Slot { slots[(state & ((1 << SHIFT) - 1)) as usize] };
    let (groups, tail) = out.as_chunks_mut::<N>();
    for group in groups {
        source.read::<N>(|words| {
            let mut used = 0;
            for (state, symbol) in states.iter_mut().zip(group) {
                *symbol = pop(slot(*state), SHIFT, state, words, &mut used);
            }
            used
        })?;
    }
    source.read::<N>(|words| {
        let mut used = 0;
        for (state, symbol) in states.iter_mut().zip(tail) {
            *symbol = pop(slot(*state), SHIFT, state, words, &mut used);
        }
        used
    })?;
    source.finish(&states)
}
