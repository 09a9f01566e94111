//! The adaptive model of qualities: what was seen after similar qualities, at similar places.

use crate::codec::adaptive::{BitCoder, Counter, FRESH, INPUTS, Logistic, code_bit};

use super::tree::Tree;

/// Contexts of a symbol.
const CONTEXTS: usize = 6;
/// Slots of each context's table, as a power of two.
const SLOTS_LOG: [u32; CONTEXTS] = [9, 11, 12, 11, 12, 12];
const RATE: f32 = 0.004;

/// Predicts the qualities of one block, read after read.
pub(super) struct Model<'t> {
    tree: &'t Tree,
    /// Nodes of the tree, rounded up to a power of two, as its logarithm.
    nodes_log: u32,
    tables: [Vec<Counter>; CONTEXTS],
    weights: Vec<[f32; INPUTS]>,
    logistic: Logistic,
}

impl<'t> Model<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        let nodes_log = tree.nodes().next_power_of_two().ilog2();
        let mut initial = [0.3; INPUTS];
        initial[CONTEXTS..].fill(0.0);
        Self {
            tree,
            nodes_log,
            tables: SLOTS_LOG.map(|log| vec![FRESH; 1 << (log + nodes_log)]),
            weights: vec![initial; 1 << nodes_log],
            logistic: Logistic::new(),
        }
    }

    /// Codes the qualities of one read, as ranks of the alphabet.
    pub(super) fn code_read<C: BitCoder>(&mut self, coder: &mut C, ranks: &mut [u8], selector: u8) {
        let selector = u32::from(selector & 1);
        let (mut q1, mut q2, mut q3) = (0u32, 0u32, 0u32);
        let mut wander = 0u32;
        let mut sum = 0u32;
        for (position, rank) in (0u32..).zip(ranks.iter_mut()) {
            let mean = sum.checked_div(position).unwrap_or(0);
            let highest = q2.max(q3);
            let contexts = [
                q1 | (selector << 8),
                q1 | q2 << 8,
                q1 | q2 << 8 | q3 << 16,
                q1 | (position.min(511) >> 1) << 8 | selector << 24,
                q1 | highest << 8 | (wander >> 3).min(31) << 16 | u32::from(q2 == q3) << 24,
                q1 | mean << 8 | (position.min(255) >> 4) << 16,
            ];
            *rank = self.code_rank(coder, *rank, contexts);
            let q = u32::from(*rank);
            wander = wander.saturating_add(q.abs_diff(q1));
            sum = sum.saturating_add(q);
            (q3, q2, q1) = (q2, q1, q);
        }
    }

    #[inline(always)]
    fn code_rank<C: BitCoder>(&mut self, coder: &mut C, rank: u8, contexts: [u32; CONTEXTS]) -> u8 {
        let [t0, t1, t2, t3, t4, t5] = &mut self.tables;
        let slot = |i: usize| -> usize {
            let hash = contexts[i].wrapping_mul(0x9E37_79B1);
            ((hash >> (32 - SLOTS_LOG[i])) << self.nodes_log) as usize
        };
        let nodes = 1usize << self.nodes_log;
        fn row(table: &mut [Counter], slot: usize, nodes: usize) -> &mut [Counter] {
            table.get_mut(slot..slot + nodes).unwrap_or_default()
        }
        let r0 = row(t0, slot(0), nodes);
        let r1 = row(t1, slot(1), nodes);
        let r2 = row(t2, slot(2), nodes);
        let r3 = row(t3, slot(3), nodes);
        let r4 = row(t4, slot(4), nodes);
        let r5 = row(t5, slot(5), nodes);
        let logistic = &self.logistic;
        let weights = &mut self.weights;
        self.tree.walk(rank, |node, bit| {
            let counters = [
                &mut r0[node],
                &mut r1[node],
                &mut r2[node],
                &mut r3[node],
                &mut r4[node],
                &mut r5[node],
            ];
            code_bit(coder, bit, logistic, counters, &mut weights[node], RATE)
        })
    }
}
