//! A binary tree of symbols, frequent ones near its root: few decisions for most symbols.

/// Huffman's tree over ranks 0 … n-1, with canonical codes.
pub(super) struct Tree {
    /// Code and its length for each rank.
    codes: Vec<(u32, u32)>,
    /// Where a 0 or a 1 leads: to a node, or, from [`LEAF`] on, to a rank.
    children: Vec<[u16; 2]>,
}

const LEAF: u16 = 0x8000;

impl Tree {
    /// The code length of each rank, for ranks that occur `counts` times.
    pub(super) fn lengths(counts: &[u32]) -> Vec<u8> {
        let n = counts.len();
        let mut weights: Vec<u64> = counts.iter().map(|&c| u64::from(c)).collect();
        let mut parents = vec![usize::MAX; n];
        let mut roots: Vec<usize> = (0..n).collect();
        while roots.len() > 1 {
            // Descending, so that the two lightest come off the end; ties go by number.
            roots.sort_by_key(|&i| std::cmp::Reverse((weights[i], i)));
            let parent = weights.len();
            let mut sum = 0;
            for child in roots.split_off(roots.len() - 2) {
                parents[child] = parent;
                sum += weights[child];
            }
            weights.push(sum);
            parents.push(usize::MAX);
            roots.push(parent);
        }
        let depth = |mut i: usize| {
            let mut depth = 0;
            while let Some(&parent) = parents.get(i).filter(|&&p| p != usize::MAX) {
                depth += 1;
                i = parent;
            }
            depth
        };
        (0..n).map(depth).collect()
    }

    /// The tree of these code lengths; `None` if they are not those of a complete code.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        if lengths.len() < 2 || lengths.len() > 256 || lengths.iter().any(|&l| l == 0 || l > 31) {
            return None;
        }
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&rank| (lengths[rank], rank));
        let mut codes = vec![(0, 0); lengths.len()];
        let mut children = vec![[0u16; 2]];
        let mut next = 0u64; // the next code, left-aligned to 32 bits
        for &rank in &order {
            let length = u32::from(lengths[rank]);
            if next >= 1 << 32 {
                return None;
            }
            let code = (next >> (32 - length)) as u32;
            codes[rank] = (code, length);
            next += 1 << (32 - length);
            let mut node = 0;
            for place in (0..length).rev() {
                let side = (code >> place & 1) as usize;
                if place == 0 {
                    children[node][side] = LEAF | rank as u16;
                } else if children[node][side] == 0 {
                    children.push([0; 2]);
                    let new = children.len() - 1;
                    children[node][side] = new as u16;
                    node = new;
                } else {
                    node = usize::from(children[node][side]);
                }
            }
        }
        (next == 1 << 32).then_some(Self { codes, children })
    }

    /// Inner nodes: one less than there are ranks.
    pub(super) fn nodes(&self) -> usize {
        self.children.len()
    }

    /// Walks from the root to a leaf and returns its rank. At each node `decide` is told the way to
    /// `rank`, and says which way to go.
    #[inline(always)]
    pub(super) fn walk(&self, rank: u8, mut decide: impl FnMut(usize, bool) -> bool) -> u8 {
        let (code, mut place) = self.codes.get(usize::from(rank)).copied().unwrap_or_default();
        let mut node = 0;
        loop {
            place = place.wrapping_sub(1);
            let bit = decide(usize::from(node), code >> (place & 31) & 1 != 0);
            let next = self.children[usize::from(node)][usize::from(bit)];
            if next >= LEAF {
                return next as u8;
            }
            node = next;
        }
    }
}
