//! Tables for symbols whose probabilities depend on a context: one row of frequencies for each.

use std::cell::RefCell;

use super::coder::{EncoderSymbol, Slot, fill_slots};
use super::table::{normalise, read_row, stored_total, write_row};
use crate::codec::bytes::{take_slice, take_u8};
use crate::codec::{entropy, varint};
use crate::error::{Error, Result};

/// The precisions to which frequencies are scaled: coarse tables are shorter and faster.
const COARSE: u32 = 10;
const FINE: u32 = 12;

/// From this many symbols on, fine tables save more than they cost.
const FINE_FROM: usize = 20_000;

/// How often each symbol follows each context.
pub(super) struct Counts {
    symbols: usize,
    /// `cells[context * symbols + symbol]`
    cells: Vec<u32>,
}

impl Counts {
    pub(super) fn new(symbols: usize, cells: Vec<u32>) -> Self {
        Self { symbols, cells }
    }

    /// Estimated bytes of tables and words.
    pub(super) fn estimate(&self) -> usize {
        let mut bits = 0;
        let mut used = 0;
        for row in self.cells.chunks_exact(self.symbols) {
            bits += entropy::bits(row);
            used += row.iter().filter(|&&c| c > 0).count();
        }
        // A used cell of the tables costs about a byte, the zeros beside it included.
        (bits / 8) as usize + used + self.cells.len() / self.symbols
    }

    /// Appends the tables and returns the encoder's form of them.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> EncoderTables {
        let total: u64 = self.cells.iter().map(|&c| u64::from(c)).sum();
        let shift = if total < FINE_FROM as u64 { COARSE } else { FINE };
        out.push(shift as u8);
        let mut rows = Vec::new();
        let mut row = vec![0u16; self.symbols];
        let mut cells = vec![EncoderSymbol::default(); self.cells.len()];
        for (counts, cells) in
            self.cells.chunks_exact(self.symbols).zip(cells.chunks_exact_mut(self.symbols))
        {
            let sum: u32 = counts.iter().sum();
            let distinct = counts.iter().filter(|&&c| c > 0).count() as u32;
            let total = stored_total(sum, distinct, shift);
            normalise(counts, total, &mut row);
            write_row(&row, &mut rows);
            let scale = shift - total.ilog2();
            let mut start = 0;
            for (cell, &frequency) in cells.iter_mut().zip(&row) {
                let frequency = u32::from(frequency) << scale;
                *cell = EncoderSymbol::new(start, frequency.max(1), shift);
                start += frequency;
            }
        }
        write_rows(&rows, out);
        EncoderTables { symbols: self.symbols, cells }
    }
}

/// What the encoder needs to know of each symbol in each context.
pub(super) struct EncoderTables {
    symbols: usize,
    cells: Vec<EncoderSymbol>,
}

impl EncoderTables {
    #[inline(always)]
    pub(super) fn symbol(&self, context: u8, rank: u8) -> EncoderSymbol {
        self.cells[usize::from(context) * self.symbols + usize::from(rank)]
    }
}

/// Appends the rows' bytes, themselves coded where that is shorter.
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

/// Room for 256 contexts at the finest precision; only rows in use are touched.
pub(super) type Slots = [Slot; 256 << FINE];

thread_local! {
    static SLOTS: RefCell<Option<Box<Slots>>> = const { RefCell::new(None) };
}

/// What is done with decoding tables, for each precision.
pub(super) trait WithTables {
    fn run<const SHIFT: u32>(self, bytes: &[u8], slots: &Slots) -> Result<()>;
}

/// The slot for `state` in the row of `context`.
#[inline(always)]
pub(super) fn slot<const SHIFT: u32>(slots: &Slots, context: u8, state: u32) -> Slot {
    slots[usize::from(context) << SHIFT | (state & ((1 << SHIFT) - 1)) as usize]
}

/// Reads the tables of `symbols` symbols in `contexts` contexts, then lets `then` decode the rest.
pub(super) fn read<T: WithTables>(
    mut bytes: &[u8],
    contexts: usize,
    symbols: usize,
    then: T,
) -> Result<()> {
    let shift = u32::from(take_u8(&mut bytes)?);
    if shift != COARSE && shift != FINE {
        return Err(Error::corrupt("unknown precision of a rANS table").found(shift));
    }
    let rows = read_rows(&mut bytes, contexts * (2 * symbols + 2))?;
    SLOTS.with_borrow_mut(|held| {
        if held.is_none() {
            *held = vec![0; 256 << FINE].into_boxed_slice().try_into().ok();
        }
        let slots = held.as_deref_mut().ok_or_else(|| Error::internal("rANS tables are absent"))?;
        let mut rows = rows.as_slice();
        let mut row = vec![0; symbols];
        for slots in slots.chunks_exact_mut(1 << shift).take(contexts) {
            // An unused context is never met in a sound stream; a damaged one finds rank 0 there.
            if read_row(&mut rows, shift, &mut row)?.is_none() {
                row[0] = 1 << shift;
            }
            fill_slots(&row, slots);
        }
        if !rows.is_empty() {
            return Err(Error::corrupt("bytes are left after the frequency tables"));
        }
        if shift == COARSE {
            then.run::<COARSE>(bytes, slots)
        } else {
            then.run::<FINE>(bytes, slots)
        }
    })
}
