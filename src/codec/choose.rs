//! Choosing a codec: by counts where they tell enough, by trial among the rest.

use super::rans::Forms;
use super::{Codec, Coded, Effort, entropy, order2, planes, rans, zstd};

/// What the caller knows of a stream, so that hopeless trials are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Nothing.
    Bytes,
    /// Symbols with local statistics whose repeats are short: entropy coding, no zstd.
    Symbols,
    /// Text and records, whose repeats matter more than their symbols.
    Text,
    /// Little-endian numbers of this many bytes: as bytes, or each byte's place apart.
    Numbers(u8),
}

/// Below this length everything is tried.
const SMALL: usize = 4 << 10;
/// Above this length, zstd is first tried on a part of [`SAMPLE`] bytes.
const SAMPLED_FROM: usize = 128 << 10;
const SAMPLE: usize = 32 << 10;

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
        return Coded { codec: Codec::Constant, bytes: vec![first] }.credible(data);
    }
    let mut best = Best { coded: None, least: data.len() };
    let small = data.len() < SMALL;
    if small || nature != Nature::Text || effort > Effort::Fast {
        let forms = if effort == Effort::Fast { Forms::Quick } else { Forms::All };
        best.offer(Codec::Rans, rans::encode(data, &counts, forms));
    }
    if let Nature::Numbers(width @ 2..) = nature {
        best.offer(Codec::Planes, planes::encode(data, width, effort));
    }
    let repeats = match nature {
        Nature::Symbols => small,
        Nature::Text => true,
        Nature::Bytes | Nature::Numbers(_) => zstd_may_win(data, best.least),
    };
    if repeats {
        let level = match effort {
            Effort::Fast => 1,
            Effort::Default => 3,
            Effort::Archive => 19,
        };
        best.offer(Codec::Zstd, zstd::encode(data, level));
    }
    // Symbols have models of their own where such time is well spent: see `quality`.
    if effort == Effort::Archive && nature != Nature::Symbols {
        best.offer(Codec::Order2, order2::encode(data));
    }
    let raw = || Coded { codec: Codec::Raw, bytes: data.to_vec() };
    best.coded.map_or_else(raw, |coded| coded.credible(data))
}

/// The smallest form so far.
struct Best {
    coded: Option<Coded>,
    least: usize,
}

impl Best {
    fn offer(&mut self, codec: Codec, bytes: Option<Vec<u8>>) {
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() < self.least) {
            self.least = bytes.len();
            self.coded = Some(Coded { codec, bytes });
        }
    }
}

/// Whether a part of `data` is nearly as small by zstd as the whole is otherwise.
fn zstd_may_win(data: &[u8], least: usize) -> bool {
    if data.len() < SAMPLED_FROM {
        return true;
    }
    let start = (data.len() - SAMPLE) / 2;
    let sample = data.get(start..start + SAMPLE).unwrap_or_default();
    // Repeats from farther away than the part is long are allowed for by the quarter.
    let expected = (least as u64 * SAMPLE as u64 / data.len() as u64) * 5 / 4;
    zstd::encode(sample, 1).is_some_and(|bytes| bytes.len() as u64 <= expected)
}
