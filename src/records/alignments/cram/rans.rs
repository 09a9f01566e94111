//! The rANS 4x8 entropy coder of CRAM 3.0 (CRAM codecs specification §2).
//!
//! ```text
//! order:u8  compressed:u32  raw:u32  frequencies  4 states:u32 each  bytes
//! ```
//!
//! Symbol frequencies are scaled to 12 bits. Order 0 has one table, and symbol `i` goes to state
//! `i % 4`; order 1 has a table for each preceding byte, and each state takes a quarter of the data.

use super::bytes::{Bytes, Numbers};
use crate::error::{Error, Result};

/// Frequencies add up to one less than 12 bits can hold, as decoders of old expect.
const TOTAL: u64 = 4095;
const SCALE_BITS: u32 = 12;

/// States are kept at or above this.
const LOWER_BOUND: u32 = 1 << 23;

/// Longer data would not fit the header's 32 bits.
const MAX_LEN: usize = 1 << 30;

type Frequencies = [u32; 256];

/// Compresses with order 0; `None` for data without content or beyond 1 GiB.
pub(super) fn encode_order_0(data: &[u8]) -> Option<Vec<u8>> {
    if data.is_empty() || data.len() > MAX_LEN {
        return None;
    }
    let mut counts = [0; 256];
    for byte in data {
        counts[usize::from(*byte)] += 1;
    }
    let table = Table::new(&counts);
    let mut out = header(0);
    push_frequencies(&mut out, &table.frequencies);
    let mut coder = Coder::new();
    for (index, byte) in data.iter().enumerate().rev() {
        coder.put(index % 4, &table, *byte);
    }
    Some(finish(out, coder, data.len()))
}

/// Compresses with order 1; `None` for data too short to be quartered or beyond 1 GiB.
pub(super) fn encode_order_1(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() < 4 || data.len() > MAX_LEN {
        return None;
    }
    let quarter = data.len() / 4;
    let is_first = |index: usize| index.is_multiple_of(quarter) && index / quarter < 4;
    let context = |index: usize| if is_first(index) { 0 } else { usize::from(data[index - 1]) };
    let mut counts = vec![[0; 256]; 256];
    for (index, byte) in data.iter().enumerate() {
        counts[context(index)][usize::from(*byte)] += 1;
    }
    let tables: Vec<Option<Table>> = counts
        .iter()
        .map(|counts| counts.iter().any(|count| *count > 0).then(|| Table::new(counts)))
        .collect();
    let mut out = header(1);
    let mut run = 0;
    for (symbol, table) in tables.iter().enumerate() {
        let Some(table) = table else { continue };
        push_symbol(&mut out, symbol, &mut run, |other| tables[other].is_some());
        push_frequencies(&mut out, &table.frequencies);
    }
    out.push(0);

    let mut coder = Coder::new();
    let mut put = |state: usize, index: usize| {
        if let Some(table) = &tables[context(index)] {
            coder.put(state, table, data[index]);
        }
    };
    for index in (4 * quarter..data.len()).rev() {
        put(3, index);
    }
    for offset in (0..quarter).rev() {
        for state in (0..4).rev() {
            put(state, state * quarter + offset);
        }
    }
    Some(finish(out, coder, data.len()))
}

/// The order, and room for the two sizes.
fn header(order: u8) -> Vec<u8> {
    vec![order, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn finish(mut out: Vec<u8>, coder: Coder, raw_len: usize) -> Vec<u8> {
    coder.finish(&mut out);
    let compressed = (out.len() - 9) as u32;
    out[1..5].copy_from_slice(&compressed.to_le_bytes());
    out[5..9].copy_from_slice(&(raw_len as u32).to_le_bytes());
    out
}

/// Scaled frequencies, and where each symbol's range begins.
struct Table {
    frequencies: Frequencies,
    starts: [u32; 256],
}

impl Table {
    fn new(counts: &[u32; 256]) -> Self {
        let frequencies = scale(counts);
        let mut starts = [0; 256];
        let mut start = 0;
        for (slot, frequency) in starts.iter_mut().zip(&frequencies) {
            *slot = start;
            start += frequency;
        }
        Self { frequencies, starts }
    }
}

/// Scales counts to [`TOTAL`], keeping every symbol that occurs.
fn scale(counts: &[u32; 256]) -> Frequencies {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let mut scaled = [0; 256];
    for (slot, count) in scaled.iter_mut().zip(counts) {
        if *count > 0 {
            *slot = (u64::from(*count) * TOTAL / sum).max(1) as u32;
        }
    }
    // Rounding leaves a little over, or lifting rare symbols to 1 took a little too much: the
    // frequent ones make up for it.
    loop {
        let total: u64 = scaled.iter().map(|frequency| u64::from(*frequency)).sum();
        let most = (0..256).max_by_key(|symbol| scaled[*symbol]).unwrap_or(0);
        if total <= TOTAL {
            scaled[most] += (TOTAL - total) as u32;
            return scaled;
        }
        let excess = (total - TOTAL) as u32;
        scaled[most] -= excess.min(scaled[most] / 2);
    }
}

fn push_frequencies(out: &mut Vec<u8>, frequencies: &Frequencies) {
    let mut run = 0;
    for (symbol, frequency) in frequencies.iter().enumerate() {
        if *frequency == 0 {
            continue;
        }
        push_symbol(out, symbol, &mut run, |other| frequencies[other] > 0);
        if *frequency < 0x80 {
            out.push(*frequency as u8);
        } else {
            out.extend_from_slice(&[0x80 | (frequency >> 8) as u8, *frequency as u8]);
        }
    }
    out.push(0);
}

/// Writes a symbol; behind two neighbours, how many more follow without a gap, which are then not
/// written.
fn push_symbol(out: &mut Vec<u8>, symbol: usize, run: &mut usize, occurs: impl Fn(usize) -> bool) {
    if *run > 0 {
        *run -= 1;
        return;
    }
    out.push(symbol as u8);
    if symbol > 0 && occurs(symbol - 1) {
        *run = (symbol + 1..256).take_while(|next| occurs(*next)).count();
        out.push(*run as u8);
    }
}

/// Four interleaved states. Symbols go in last first, and so do the bytes come out.
struct Coder {
    states: [u32; 4],
    reversed: Vec<u8>,
}

impl Coder {
    fn new() -> Self {
        Self { states: [LOWER_BOUND; 4], reversed: Vec::new() }
    }

    fn put(&mut self, state: usize, table: &Table, symbol: u8) {
        let frequency = table.frequencies[usize::from(symbol)];
        let start = table.starts[usize::from(symbol)];
        let mut x = self.states[state];
        let upper_bound = (LOWER_BOUND >> SCALE_BITS << 8) * frequency;
        while x >= upper_bound {
            self.reversed.push(x as u8);
            x >>= 8;
        }
        self.states[state] = ((x / frequency) << SCALE_BITS) + x % frequency + start;
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        for state in self.states {
            out.extend_from_slice(&state.to_le_bytes());
        }
        self.reversed.reverse();
        out.extend_from_slice(&self.reversed);
    }
}

/// Decompresses data of either order to `raw_len` bytes.
///
/// # Errors
///
/// `Input` for data that no encoder makes, and for another length.
pub(super) fn decode(data: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let mut bytes = Bytes(data);
    let order = bytes.u8()?;
    let (compressed, raw) = (bytes.u32_le()? as usize, bytes.u32_le()? as usize);
    if raw != raw_len || compressed != bytes.0.len() {
        return Err(malformed("its sizes are wrong")
            .expected(format!("{} bytes for {raw_len}", bytes.0.len()))
            .found(format!("{compressed} for {raw}")));
    }
    match order {
        0 => decode_order_0(bytes, raw_len),
        1 => decode_order_1(bytes, raw_len),
        _ => Err(malformed("its order is neither 0 nor 1").found(order)),
    }
}

fn decode_order_0(mut bytes: Bytes<'_>, raw_len: usize) -> Result<Vec<u8>> {
    let ranges = Ranges::parse(&mut bytes)?;
    let mut decoder = Decoder::new(bytes)?;
    let mut out = vec![0; raw_len];
    for four in out.chunks_mut(4) {
        for (lane, byte) in four.iter_mut().enumerate() {
            *byte = decoder.next(lane, &ranges);
        }
    }
    decoder.finish()?;
    Ok(out)
}

fn decode_order_1(mut bytes: Bytes<'_>, raw_len: usize) -> Result<Vec<u8>> {
    // A context without frequencies has only values that belong to no symbol.
    let mut contexts = vec![Ranges::none()];
    let mut places = [0u16; 256];
    let mut symbols = Symbols::first(&mut bytes)?;
    loop {
        let place = &mut places[usize::from(symbols.symbol)];
        if *place != 0 {
            return Err(malformed("a context has two lists of frequencies"));
        }
        *place = contexts.len() as u16;
        contexts.push(Ranges::parse(&mut bytes)?);
        if !symbols.advance(&mut bytes)? {
            break;
        }
    }
    let mut decoder = Decoder::new(bytes)?;
    let mut out = vec![0; raw_len];
    let quarter = raw_len / 4;
    let mut last = [0; 4];
    let (quarters, rest) = out.split_at_mut(4 * quarter);
    for offset in 0..quarter {
        for lane in 0..4 {
            let ranges = &contexts[usize::from(places[usize::from(last[lane])])];
            last[lane] = decoder.next(lane, ranges);
            quarters[lane * quarter + offset] = last[lane];
        }
    }
    for byte in rest {
        let ranges = &contexts[usize::from(places[usize::from(last[3])])];
        last[3] = decoder.next(3, ranges);
        *byte = last[3];
    }
    decoder.finish()?;
    Ok(out)
}

/// The four states, and the bytes that refill them. What is wrong with the data is asked at the
/// end, so that nothing has to be asked for each symbol.
struct Decoder<'a> {
    states: [u32; 4],
    bytes: &'a [u8],
    at: usize,
    has_bad_state: bool,
}

impl<'a> Decoder<'a> {
    fn new(mut bytes: Bytes<'a>) -> Result<Self> {
        let states = [bytes.u32_le()?, bytes.u32_le()?, bytes.u32_le()?, bytes.u32_le()?];
        Ok(Self { states, bytes: bytes.0, at: 0, has_bad_state: false })
    }

    #[inline]
    fn next(&mut self, lane: usize, ranges: &Ranges) -> u8 {
        let state = self.states[lane];
        let low = state & ((1 << SCALE_BITS) - 1);
        let symbol = ranges.symbols[low as usize];
        let (frequency, start) = ranges.spans[usize::from(symbol)];
        // A value that belongs to no symbol lies beyond the range of symbol 0.
        let within = low.wrapping_sub(u32::from(start));
        self.has_bad_state |= within >= u32::from(frequency);
        let mut x = (u32::from(frequency) * (state >> SCALE_BITS)).wrapping_add(within);
        // Two bytes lift any state that a symbol leaves behind.
        for _ in 0..2 {
            if x < LOWER_BOUND {
                x = x << 8 | u32::from(self.bytes.get(self.at).copied().unwrap_or(0));
                self.at += 1;
            }
        }
        self.states[lane] = x;
        symbol
    }

    fn finish(self) -> Result<()> {
        if self.has_bad_state {
            return Err(malformed("a state has no symbol"));
        }
        if self.at > self.bytes.len() {
            return Err(malformed("it ends too early"));
        }
        Ok(())
    }
}

fn malformed(what: &str) -> Error {
    Error::input(format!("malformed rANS data: {what}")).help("the file is damaged; make it again")
}

/// The list of symbols that occur, as [`push_symbol`] writes it.
struct Symbols {
    symbol: u8,
    run: u8,
}

impl Symbols {
    fn first(bytes: &mut Bytes<'_>) -> Result<Self> {
        Ok(Self { symbol: bytes.u8()?, run: 0 })
    }

    /// Goes to the next symbol; `false` after the last.
    fn advance(&mut self, bytes: &mut Bytes<'_>) -> Result<bool> {
        if self.run > 0 {
            self.run -= 1;
            self.symbol = self
                .symbol
                .checked_add(1)
                .ok_or_else(|| malformed("a run of symbols goes beyond 255"))?;
            return Ok(true);
        }
        let next = bytes.u8()?;
        if self.symbol.checked_add(1) == Some(next) {
            self.run = bytes.u8()?;
        }
        self.symbol = next;
        Ok(next != 0)
    }
}

/// Which symbol each of the 4096 values of a state's low bits means.
struct Ranges {
    symbols: Box<[u8; 1 << SCALE_BITS]>,
    /// Frequency and start of each symbol.
    spans: Box<[(u16, u16); 256]>,
}

impl Ranges {
    /// No symbols.
    fn none() -> Self {
        Self { symbols: Box::new([0; 1 << SCALE_BITS]), spans: Box::new([(0, 0); 256]) }
    }

    fn parse(bytes: &mut Bytes<'_>) -> Result<Self> {
        let mut ranges = Self::none();
        let mut start = 0;
        let mut symbols = Symbols::first(bytes)?;
        loop {
            let mut frequency = u16::from(bytes.u8()?);
            if frequency >= 0x80 {
                frequency = (frequency & 0x7f) << 8 | u16::from(bytes.u8()?);
            }
            let end = start + usize::from(frequency);
            let slots = ranges
                .symbols
                .get_mut(start..end)
                .ok_or_else(|| malformed("frequencies add up to more than 4096"))?;
            slots.fill(symbols.symbol);
            ranges.spans[usize::from(symbols.symbol)] = (frequency, start as u16);
            start = end;
            if !symbols.advance(bytes)? {
                return Ok(ranges);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(data: &[u8]) {
        for encoded in [encode_order_0(data), encode_order_1(data)].into_iter().flatten() {
            assert!(decode(&encoded, data.len()).unwrap() == data, "order {}", encoded[0]);
        }
    }

    proptest! {
        #[test]
        fn test_data_comes_back(data in prop::collection::vec(any::<u8>(), 0..3000)) {
            check(&data);
        }

        #[test]
        fn test_data_of_few_symbols_comes_back(
            data in prop::collection::vec(prop_oneof![20 => Just(40u8), 1 => 0u8..9, 1 => 200u8..], 0..3000),
        ) {
            check(&data);
        }
    }

    proptest! {
        #[test]
        fn test_decode_survives_any_data(
            mut data in prop::collection::vec(any::<u8>(), 9..200), order in 0u8..2, raw_len in 0usize..300,
        ) {
            data[0] = order;
            let compressed = (data.len() - 9) as u32;
            data[1..5].copy_from_slice(&compressed.to_le_bytes());
            data[5..9].copy_from_slice(&(raw_len as u32).to_le_bytes());
            let _ = decode(&data, raw_len);
        }

        #[test]
        fn test_decode_survives_a_flipped_bit(
            data in prop::collection::vec(0u8..5, 4..200), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            for mut encoded in [encode_order_0(&data), encode_order_1(&data)].into_iter().flatten() {
                let at = at.index(encoded.len());
                encoded[at] ^= 1 << bit;
                let _ = decode(&encoded, data.len());
            }
        }
    }

    #[test]
    fn test_one_symbol_and_all_symbols_come_back() {
        check(&[7; 100]);
        check(&[0; 5]);
        let mut all: Vec<u8> = (0..=255).collect();
        all.extend([0; 1_000_000]);
        check(&all);
    }

    #[test]
    fn test_order_1_is_smaller_where_bytes_depend_on_each_other() {
        let data: Vec<u8> = (0..10_000u32).map(|i| (i % 7) as u8 * 9).collect();
        let order_0 = encode_order_0(&data).unwrap().len();
        assert!(encode_order_1(&data).unwrap().len() * 5 < order_0);
    }
}
