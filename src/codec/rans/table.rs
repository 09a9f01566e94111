//! Alphabets and frequency tables: scaling counts to a power of two, and their bytes.

use super::coder::Slot;
use crate::codec::bytes::take_u8;
use crate::codec::varint;
use crate::error::{Error, Result};

/// The symbols of a stream, ascending. Tables speak of ranks: positions in this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::codec) struct Alphabet {
    symbols: Vec<u8>,
}

impl Alphabet {
    /// The byte values with a count.
    pub(in crate::codec) fn of(counts: &[u32; 256]) -> Self {
        Self { symbols: (0..=255u8).filter(|&s| counts[usize::from(s)] > 0).collect() }
    }

    pub(in crate::codec) fn len(&self) -> usize {
        self.symbols.len()
    }

    pub(super) fn symbols(&self) -> &[u8] {
        &self.symbols
    }

    /// The symbol of each rank; zeros after the last.
    fn by_rank(&self) -> [u8; 256] {
        let mut table = [0; 256];
        table.iter_mut().zip(&self.symbols).for_each(|(slot, &symbol)| *slot = symbol);
        table
    }

    /// The rank of each symbol of `data`, all of which must belong to the alphabet.
    pub(in crate::codec) fn ranks(&self, data: &[u8]) -> Vec<u8> {
        let first = self.symbols.first().copied().unwrap_or(0);
        let last = self.symbols.last().copied().unwrap_or(0);
        if usize::from(last - first) + 1 == self.symbols.len() {
            return data.iter().map(|&symbol| symbol.wrapping_sub(first)).collect();
        }
        let mut table = [0u8; 256];
        for (rank, &symbol) in (0..=255u8).zip(&self.symbols) {
            table[usize::from(symbol)] = rank;
        }
        data.iter().map(|&symbol| table[usize::from(symbol)]).collect()
    }

    /// Replaces each rank by its symbol.
    pub(in crate::codec) fn restore(&self, ranks: &mut [u8]) {
        let first = self.symbols.first().copied().unwrap_or(0);
        let last = self.symbols.last().copied().unwrap_or(0);
        if usize::from(last - first) + 1 == self.symbols.len() {
            if first > 0 {
                ranks.iter_mut().for_each(|rank| *rank = rank.wrapping_add(first));
            }
            return;
        }
        let table = self.by_rank();
        ranks.iter_mut().for_each(|rank| *rank = table[usize::from(*rank)]);
    }

    /// As [`Self::restore`], for the ranks in decoding slots.
    pub(super) fn restore_slots(&self, slots: &mut [Slot]) {
        let table = self.by_rank();
        for slot in slots {
            let symbol = table[(*slot >> 24) as usize];
            *slot = *slot & 0xFF_FFFF | u32::from(symbol) << 24;
        }
    }

    /// Appends the number of runs of consecutive symbols, less one, then for each run the symbols
    /// skipped before it and its length less one.
    pub(in crate::codec) fn write(&self, out: &mut Vec<u8>) {
        let runs: Vec<&[u8]> = self.symbols.chunk_by(|a, b| b - a == 1).collect();
        out.push(runs.len().saturating_sub(1) as u8);
        let mut next = 0;
        for run in runs {
            out.push(run[0] - next);
            out.push((run.len() - 1) as u8);
            next = run[0].wrapping_add(run.len() as u8);
        }
    }

    pub(in crate::codec) fn read(bytes: &mut &[u8]) -> Result<Self> {
        let runs = usize::from(take_u8(bytes)?) + 1;
        let mut symbols = Vec::new();
        let mut next = 0usize;
        for _ in 0..runs {
            let first = next + usize::from(take_u8(bytes)?);
            let end = first + usize::from(take_u8(bytes)?) + 1;
            if end > 256 {
                return Err(Error::corrupt("alphabet of a rANS stream passes byte value 255"));
            }
            symbols.extend((first..end).map(|symbol| symbol as u8));
            next = end;
        }
        Ok(Self { symbols })
    }
}

/// Scales `counts` to frequencies that sum to `total` exactly, none of a symbol that occurs
/// being 0. All zero if nothing occurs. `total` must be at least the number of symbols that occur.
pub(super) fn normalise(counts: &[u32], total: u32, frequencies: &mut [u16]) {
    let sum: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    if sum == 0 {
        frequencies.fill(0);
        return;
    }
    let mut scaled_sum = 0u32;
    let mut most = 0;
    for (i, (&count, slot)) in counts.iter().zip(frequencies.iter_mut()).enumerate() {
        let scaled = (u64::from(count) * u64::from(total) + sum / 2) / sum;
        *slot = if count == 0 { 0 } else { scaled.max(1) as u16 };
        scaled_sum += u32::from(*slot);
        if count > counts[most] {
            most = i;
        }
    }
    if scaled_sum <= total {
        frequencies[most] += (total - scaled_sum) as u16;
        return;
    }
    // Raising rare symbols to 1 took too much: the others give it back in proportion.
    let mut excess = scaled_sum - total;
    while excess > 0 {
        let spare: u32 = frequencies.iter().map(|&f| u32::from(f.saturating_sub(1))).sum();
        let asked = excess;
        for slot in frequencies.iter_mut().filter(|slot| **slot > 1) {
            let share = (u32::from(*slot - 1) * asked / spare).min(excess);
            *slot -= share as u16;
            excess -= share;
        }
        if excess == asked {
            // Shares below 1 each: the most frequent give one each.
            let largest = frequencies.iter().copied().max().unwrap_or(0);
            for slot in frequencies.iter_mut().filter(|slot| **slot == largest) {
                let share = excess.min(1);
                *slot -= share as u16;
                excess -= share;
            }
        }
    }
}

/// The power of two to which a row of `sum` counts of `distinct` symbols is scaled for storage: no
/// finer than the counts are, so that rare contexts have short rows.
pub(super) fn stored_total(sum: u32, distinct: u32, shift: u32) -> u32 {
    sum.max(distinct).checked_next_power_of_two().unwrap_or(u32::MAX).min(1 << shift)
}

/// Appends frequencies: a varint each; after a 0, a byte saying how many more zeros follow.
pub(super) fn write_row(frequencies: &[u16], out: &mut Vec<u8>) {
    let mut rest = frequencies;
    while let [first, tail @ ..] = rest {
        varint::put(out, u64::from(*first));
        rest = tail;
        if *first == 0 {
            let zeros = tail.iter().take_while(|&&f| f == 0).take(255).count();
            out.push(zeros as u8);
            rest = &tail[zeros..];
        }
    }
}

/// Reads a row and scales it to `1 << shift`. An empty row (all zero) is `None`.
pub(super) fn read_row(bytes: &mut &[u8], shift: u32, row: &mut [u16]) -> Result<Option<()>> {
    let mut filled = 0;
    let mut sum = 0u32;
    while filled < row.len() {
        let frequency = varint::take_len(bytes, 1 << shift)?;
        row[filled] = frequency as u16;
        sum += frequency as u32;
        filled += 1;
        if frequency == 0 {
            let zeros = usize::from(take_u8(bytes)?);
            let Some(run) = row.get_mut(filled..filled + zeros) else {
                return Err(Error::corrupt("zeros pass the end of a frequency table"));
            };
            run.fill(0);
            filled += zeros;
        }
    }
    if sum == 0 {
        return Ok(None);
    }
    if !sum.is_power_of_two() || sum > 1 << shift {
        return Err(Error::corrupt("frequencies do not sum to a power of two")
            .expected(format_args!("at most {}", 1u32 << shift))
            .found(sum));
    }
    let scale = shift - sum.ilog2();
    row.iter_mut().for_each(|f| *f <<= scale);
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn test_normalise_sums_exactly_and_keeps_every_symbol(
            mut counts in proptest::collection::vec(0u32..1_000_000, 1..=256),
            rare in proptest::collection::vec(0usize..256, 0..250),
            shift in 8u32..=12,
        ) {
            for i in rare {
                let len = counts.len();
                counts[i % len] = 1;
            }
            let mut frequencies = vec![0; counts.len()];
            normalise(&counts, 1 << shift, &mut frequencies);
            let sum: u32 = frequencies.iter().map(|&f| u32::from(f)).sum();
            prop_assert_eq!(sum, if counts.iter().all(|&c| c == 0) { 0 } else { 1 << shift });
            for (&count, &frequency) in counts.iter().zip(&frequencies) {
                prop_assert_eq!(count == 0, frequency == 0);
            }
        }

        #[test]
        fn test_row_round_trip(counts in proptest::collection::vec(0u32..50, 1..=256)) {
            let sum = counts.iter().sum();
            let distinct = counts.iter().filter(|&&c| c > 0).count() as u32;
            let total = stored_total(sum, distinct, 10);
            let mut stored = vec![0; counts.len()];
            normalise(&counts, total, &mut stored);
            let mut bytes = Vec::new();
            write_row(&stored, &mut bytes);
            let mut row = vec![7; counts.len()];
            let mut rest = bytes.as_slice();
            let filled = read_row(&mut rest, 10, &mut row).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(filled.is_some(), sum > 0);
            let scale = if sum > 0 { 1024 / total as u16 } else { 1 };
            prop_assert!(row.iter().zip(&stored).all(|(&r, &s)| r == s * scale));
        }

        #[test]
        fn test_alphabet_round_trip(symbols: std::collections::BTreeSet<u8>) {
            prop_assume!(!symbols.is_empty());
            let mut counts = [0; 256];
            symbols.iter().for_each(|&s| counts[usize::from(s)] = 1);
            let alphabet = Alphabet::of(&counts);
            let mut bytes = Vec::new();
            alphabet.write(&mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Alphabet::read(&mut rest).unwrap(), alphabet.clone());
            prop_assert!(rest.is_empty());
            let data: Vec<u8> = symbols.into_iter().collect();
            let mut ranks = alphabet.ranks(&data);
            prop_assert!(ranks.iter().enumerate().all(|(i, &r)| i == usize::from(r)));
            alphabet.restore(&mut ranks);
            prop_assert_eq!(ranks, data);
        }
    }
}
