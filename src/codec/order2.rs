//! Any bytes, by an adaptive model of orders 0 to 3: for [`super::Effort::Archive`].

use super::adaptive::{BitCoder, Counter, Decoder, Encoder, FRESH, INPUTS, Logistic, code_bit};
use crate::error::Result;

/// Longer streams are left to faster codecs.
const MAX_LEN: usize = 4 << 20;

/// Slots of the order-2 and order-3 tables, as a power of two; each has 256 counters.
const SLOTS_LOG: u32 = 12;

/// The mixer's rate of change.
const RATE: f32 = 0.006;

/// The arithmetic code of `data`; `None` where that would take too long.
pub(super) fn encode(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() > MAX_LEN {
        return None;
    }
    let mut coder = Encoder::new();
    let mut model = Model::new(data.len());
    for &byte in data {
        model.code(&mut coder, byte);
    }
    Some(coder.finish())
}

pub(super) fn decode(bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let mut coder = Decoder::new(bytes);
    let mut model = Model::new(raw_len);
    let mut out = Vec::with_capacity(raw_len);
    for _ in 0..raw_len {
        out.push(model.code(&mut coder, 0));
        if coder.is_past_end() {
            break;
        }
    }
    coder.finish()?;
    Ok(out)
}

struct Model {
    order0: Vec<Counter>,
    order1: Vec<Counter>,
    order2: Vec<Counter>,
    order3: Vec<Counter>,
    slots_log: u32,
    weights: Vec<[f32; INPUTS]>,
    logistic: Logistic,
    /// The bytes before, the last in the lowest bits.
    history: u32,
}

impl Model {
    fn new(len: usize) -> Self {
        let mut initial = [0.0; INPUTS];
        initial[..4].fill(0.35);
        // Short streams do not fill a large table, only pay for it.
        let slots_log = len.checked_ilog2().unwrap_or(0).clamp(4, SLOTS_LOG);
        Self {
            order0: vec![FRESH; 256],
            order1: vec![FRESH; 256 * 256],
            order2: vec![FRESH; 256 << slots_log],
            order3: vec![FRESH; 256 << slots_log],
            slots_log,
            weights: vec![initial; 256],
            logistic: Logistic::new(),
            history: 0,
        }
    }

    fn code<C: BitCoder>(&mut self, coder: &mut C, byte: u8) -> u8 {
        let slot = |bytes: u32| {
            let hash = (self.history & bytes).wrapping_mul(0x9E37_79B1);
            ((hash >> (32 - self.slots_log)) as usize) << 8
        };
        let (slot2, slot3) = (slot(0xFFFF), slot(0xFF_FFFF));
        let slot1 = ((self.history & 0xFF) as usize) << 8;
        // The bits so far, behind a leading 1: 1 to 255.
        let mut node = 1usize;
        for place in (0..8).rev() {
            let bit = byte >> place & 1 != 0;
            let counters = [
                &mut self.order0[node],
                &mut self.order1[slot1 + node],
                &mut self.order2[slot2 + node],
                &mut self.order3[slot3 + node],
            ];
            let weights = &mut self.weights[node];
            let bit = code_bit(coder, bit, &self.logistic, counters, weights, RATE);
            node = (node << 1 | usize::from(bit)) & 0x1FF;
        }
        let byte = node as u8;
        self.history = self.history << 8 | u32::from(byte);
        byte
    }
}
