//! The asymmetric numeral system itself: how one symbol enters and leaves a state.
//!
//! A state is a number in 2^15 ≤ x < 2^31. Coding a symbol of frequency f out of 2^shift, that
//! starts at c, maps x to (x / f) · 2^shift + c + x mod f; before that, while x ≥ f · 2^(31 -
//! shift), its lower 16 bits move to the output. Decoding runs the other way, so the encoder
//! starts from the end.

use crate::codec::bytes::{cut_off, take_slice};
use crate::error::{Error, Result};

/// The least value of a state, and what every encoder starts from.
pub(super) const LOWEST: u32 = 1 << 15;

/// What the encoder needs to know about a symbol; division is by a multiplication.
#[derive(Clone, Copy, Default)]
pub(super) struct EncoderSymbol {
    limit: u32,
    reciprocal: u32,
    bias: u32,
    complement: u16,
    reciprocal_shift: u16,
}

impl EncoderSymbol {
    /// A symbol that owns `frequency ≥ 1` slots from `start` on, out of `1 << shift`.
    pub(super) fn new(start: u32, frequency: u32, shift: u32) -> Self {
        let total = 1u32 << shift;
        let limit = frequency << (31 - shift);
        let complement = (total - frequency) as u16;
        if frequency < 2 {
            // x / 1 by reciprocal: (x · (2^32 - 1)) >> 32 is x - 1, made up for in the bias.
            let bias = start + total - 1;
            return Self { limit, reciprocal: u32::MAX, bias, complement, reciprocal_shift: 32 };
        }
        let log = (frequency - 1).ilog2() + 1;
        let reciprocal = (1u64 << (log + 31)).div_ceil(u64::from(frequency));
        Self {
            limit,
            reciprocal: reciprocal as u32,
            bias: start,
            complement,
            reciprocal_shift: (log + 31) as u16,
        }
    }

    /// Pushes the symbol on `state`; `room` is filled from its end, `free` slots being left.
    #[inline(always)]
    pub(super) fn push<const N: usize>(
        self,
        state: &mut u32,
        room: &mut [u16; N],
        free: &mut usize,
    ) {
        let mut x = *state;
        let full = x >= self.limit;
        room[free.wrapping_sub(1) % N] = x as u16;
        *free = free.wrapping_sub(usize::from(full));
        x = if full { x >> 16 } else { x };
        let quotient =
            ((u64::from(x) * u64::from(self.reciprocal)) >> (self.reciprocal_shift & 63)) as u32;
        *state = x
            .wrapping_add(self.bias)
            .wrapping_add(quotient.wrapping_mul(u32::from(self.complement)));
    }
}

/// A decoding slot: rank in bits 24–31, frequency less one in 12–23, offset within the symbol's
/// slots in 0–11.
pub(super) type Slot = u32;

/// Fills the slots of one row from frequencies that sum to `slots.len()`.
pub(super) fn fill_slots(frequencies: &[u16], slots: &mut [Slot]) {
    let mut rest = slots;
    for (rank, &frequency) in (0u32..).zip(frequencies) {
        let Some((own, tail)) = rest.split_at_mut_checked(usize::from(frequency)) else { return };
        let fixed = rank << 24 | (u32::from(frequency).wrapping_sub(1) & 0xFFF) << 12;
        for (offset, slot) in (0u32..).zip(own) {
            *slot = fixed | offset;
        }
        rest = tail;
    }
}

/// Takes the symbol of `slot` off `state`, refilling it from `words`, `used` of which are spent.
/// Returns the symbol's rank.
#[inline(always)]
pub(super) fn pop<const N: usize>(
    slot: Slot,
    shift: u32,
    state: &mut u32,
    words: &[u16; N],
    used: &mut usize,
) -> u8 {
    let quotient = *state >> shift;
    let x = (slot >> 12 & 0xFFF)
        .wrapping_mul(quotient)
        .wrapping_add(quotient)
        .wrapping_add(slot & 0xFFF);
    let low = x < LOWEST;
    let refilled = x << 16 | u32::from(words[*used % N]);
    *used += usize::from(low);
    *state = if low { refilled } else { x };
    (slot >> 24) as u8
}

/// What the encoder writes: words in reverse, then the states that the decoder starts from.
pub(super) struct Words {
    words: Vec<u16>,
    free: usize,
}

impl Words {
    /// Room for `symbols` symbols: each writes at most one word.
    pub(super) fn with_room_for(symbols: usize) -> Self {
        Self { words: vec![0; symbols], free: symbols }
    }

    /// Lends the last `N` free places to `fill`, which says how many of them it left free.
    #[inline(always)]
    pub(super) fn fill<const N: usize>(&mut self, fill: impl FnOnce(&mut [u16; N]) -> usize) {
        if let Some(room) = self.words.get_mut(..self.free).and_then(<[u16]>::last_chunk_mut::<N>) {
            let left = fill(room);
            self.free = self.free - N + left.min(N);
        }
    }

    /// Appends states, then words, little-endian.
    pub(super) fn finish(self, states: &[u32], out: &mut Vec<u8>) {
        let words = self.words.get(self.free..).unwrap_or_default();
        out.reserve(4 * states.len() + 2 * words.len());
        out.extend(states.iter().flat_map(|state| state.to_le_bytes()));
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
}

/// The decoder's words, padded so that a group of `N` symbols may always look at `N` words.
pub(super) struct Source {
    words: Vec<u16>,
    position: usize,
    len: usize,
}

impl Source {
    /// Splits a stream's tail into `N` states and the words after them.
    pub(super) fn open<const N: usize>(mut bytes: &[u8]) -> Result<([u32; N], Self)> {
        let mut states = [0; N];
        for state in &mut states {
            let raw = take_slice(&mut bytes, 4)?.first_chunk().ok_or_else(cut_off)?;
            *state = u32::from_le_bytes(*raw);
            if !(LOWEST..1 << 31).contains(state) {
                return Err(Error::corrupt("rANS state is out of range"));
            }
        }
        if !bytes.len().is_multiple_of(2) {
            return Err(Error::corrupt("rANS words end in half a word"));
        }
        let len = bytes.len() / 2;
        let mut words = Vec::with_capacity(len + N);
        words.extend(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])));
        words.resize(len + N, 0);
        Ok((states, Self { words, position: 0, len }))
    }

    /// Lends the next `N` words to `read`, which says how many it used.
    #[inline(always)]
    pub(super) fn read<const N: usize>(
        &mut self,
        read: impl FnOnce(&[u16; N]) -> usize,
    ) -> Result<()> {
        let words = self.words.get(self.position..).and_then(<[u16]>::first_chunk::<N>);
        self.position += read(words.ok_or_else(cut_off)?);
        Ok(())
    }

    /// Checks that the stream came back to where the encoder started.
    pub(super) fn finish(self, states: &[u32]) -> Result<()> {
        if self.position != self.len {
            return Err(Error::corrupt("rANS stream has another number of words")
                .expected(self.position)
                .found(self.len));
        }
        if states.iter().any(|&state| state != LOWEST) {
            return Err(Error::corrupt("rANS stream does not end in its initial state"));
        }
        Ok(())
    }
}
