//! Choosing a codec: by counts where they tell enough, by trial among the rest.

use super::rans::Forms;
use super::{Codec, Coded, Effort, entropy, rans, zstd};

/// What the caller knows of a stream, so that hopeless trials are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Nothing.
    Bytes,
    /// Symbols with local statistics and few repeats longer than a few symbols: entropy coding,
    /// zstd only where runs make it plausible.
    Symbols,
    /// Text and records, whose repeats matter more than their symbols.
    Text,
}

/// Below this length everything is tried.
const SMALL: usize = 4 << 10;

/// Codes `data` as the smallest form within the effort.
pub fn encode(data: &[u8], effort: Effort) -> Coded {
    encode_as(data, Nature::Bytes, effort)
}

/// As [`encode`], with the caller's knowledge of the data.
pub fn encode_as(data: &[u8], nature: Nature, effort: Effort) -> Coded {
    let Some(&first) = data.first() else {
        return Coded { codec: Codec::Raw, bytes: Vec::new() };
    };
    let counts = entropy::histogram(data);
    if counts[usize::from(first)] as usize == data.len() {
        return Coded { codec: Codec::Constant, bytes: vec![first] };
    }
    let mut best = Coded { codec: Codec::Raw, bytes: data.to_vec() };
    let mut offer = |codec, bytes: Option<Vec<u8>>| {
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() < best.bytes.len()) {
            best = Coded { codec, bytes };
        }
    };
    if nature != Nature::Text || effort > Effort::Fast || data.len() < SMALL {
        let forms = if effort == Effort::Fast { Forms::Quick } else { Forms::All };
        offer(Codec::Rans, rans::encode(data, &counts, forms));
    }
    if nature != Nature::Symbols || data.len() < SMALL {
        let level = match effort {
            Effort::Fast => 1,
            Effort::Default => 3,
            Effort::Archive => 19,
        };
        offer(Codec::Zstd, zstd::encode(data, level));
    }
    best
}
