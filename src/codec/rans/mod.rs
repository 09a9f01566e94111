//! rANS: entropy coding with static tables, after the Nx16 codec of the CRAM codecs specification
//! (J. Bonfield, GA4GH) and J. Duda, "Asymmetric numeral systems", 2013. The bytes are our own,
//! described in `spec/codecs.md`.

mod coder;
mod contexts;
mod given;
mod order0;
mod order1;
mod pack;
mod runs;
mod table;

use super::bytes::{take_slice, take_u8};
use super::{entropy, varint};
use crate::error::{Error, Result};
use given::Given;
use order1::Pairs;
pub(super) use table::Alphabet;

/// Flag of a stream whose tables depend on the preceding symbol.
const ORDER_1: u8 = 1;
/// Flag of a stream with 32 states rather than 4.
const WIDE: u8 = 2;
/// Flag of a stream whose symbols are packed.
const PACKED: u8 = 4;
/// Flag of a stream whose literals and runs are apart.
const RUNS: u8 = 8;

/// From this length on, 32 states: they take 112 bytes more, and go several times as fast.
const WIDE_FROM: usize = 8 << 10;

/// From this length on, fewer forms are considered.
const LONG: usize = 64 << 10;

/// Streams longer than this are not coded: counts are 32 bits wide.
const MAX_LEN: usize = 1 << 30;

/// Shorter streams do not pay for tables of pairs.
const MIN_PAIRS: usize = 64;

/// Cells that a table of pairs may have for each symbol of its stream.
const MOST_CELLS: usize = 2;

/// Which forms of a stream are considered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    /// Those that are fast to write.
    Quick,
    /// All.
    All,
}

/// Codes `data` in the cheapest form, judged by counts alone. `None` where rANS cannot win: fewer
/// than two different symbols, or too long a stream.
pub(super) fn encode(data: &[u8], counts: &[u32; 256], forms: Forms) -> Option<Vec<u8>> {
    if data.len() > MAX_LEN {
        return None;
    }
    let alphabet = Alphabet::of(counts);
    if alphabet.len() < 2 {
        return None;
    }
    let packed = (alphabet.len() <= 16).then(|| {
        let packed = pack::pack(data, &alphabet);
        let counts = entropy::histogram(&packed);
        let plan = Plan::of(&packed, &counts, forms);
        (packed, counts, plan)
    });
    // Long streams of 5 to 16 symbols are hardly ever shorter unpacked, and take twice the time.
    let plain = (packed.is_none() || alphabet.len() <= 4 || data.len() < LONG)
        .then(|| Plan::of(data, counts, forms));
    let mut out = vec![0];
    out[0] = match (packed, plain) {
        (Some((packed, counts, plan)), plain)
            if plain.as_ref().is_none_or(|plain| plan.estimate <= plain.estimate) =>
        {
            alphabet.write(&mut out);
            PACKED | plan.encode(&packed, &counts, &mut out)
        }
        (_, plain) => plain?.encode(data, counts, &mut out),
    };
    Some(out)
}

/// How to code a stream, and what that costs.
struct Plan {
    pairs: Option<Pairs>,
    runs: Option<RunPlan>,
    estimate: usize,
}

/// How to code a stream whose literals and runs are apart.
struct RunPlan {
    literals: Vec<u8>,
    repeats: Given,
    counts: [u32; 256],
    plan: Box<Plan>,
}

impl Plan {
    fn of(data: &[u8], counts: &[u32; 256], forms: Forms) -> Self {
        let mut plan = Self::without_runs(data, counts);
        if forms == Forms::All && data.len() >= MIN_PAIRS && runs::count(data) * 4 < data.len() * 3
        {
            let (literals, repeats) = runs::split(data);
            let counts = entropy::histogram(&literals);
            let literal_plan = Self::without_runs(&literals, &counts);
            let alphabet = Alphabet::of(&counts);
            let contexts = alphabet.ranks(&literals);
            let repeats = Given::count(&repeats, contexts, alphabet.len());
            let estimate = literal_plan.estimate + repeats.estimate();
            // Two streams take longer to read than one, so they must be worth it.
            if estimate + estimate / 128 < plan.estimate {
                let runs = RunPlan { literals, repeats, counts, plan: Box::new(literal_plan) };
                plan = Self { pairs: None, runs: Some(runs), estimate };
            }
        }
        plan
    }

    fn without_runs(data: &[u8], counts: &[u32; 256]) -> Self {
        let symbols = counts.iter().filter(|&&c| c > 0).count();
        let order0 = (entropy::bits(counts) / 8) as usize + 2 * symbols;
        // Nor do tables with more cells than symbols are there to fill them.
        if data.len() < MIN_PAIRS || symbols * symbols > MOST_CELLS * data.len() {
            return Self { pairs: None, runs: None, estimate: order0 };
        }
        let pairs = if is_wide(data.len()) {
            Pairs::count::<32>(data, counts)
        } else {
            Pairs::count::<4>(data, counts)
        };
        let order1 = pairs.estimate();
        if order1 < order0 {
            Self { pairs: Some(pairs), runs: None, estimate: order1 }
        } else {
            Self { pairs: None, runs: None, estimate: order0 }
        }
    }

    /// Appends the coded stream; returns its flags.
    fn encode(&self, data: &[u8], counts: &[u32; 256], out: &mut Vec<u8>) -> u8 {
        if let Some(runs) = &self.runs {
            return RUNS | runs.encode(out);
        }
        match (&self.pairs, is_wide(data.len())) {
            (None, false) => order0::encode::<4>(data, counts, out),
            (None, true) => order0::encode::<32>(data, counts, out),
            (Some(pairs), false) => pairs.encode::<4>(out),
            (Some(pairs), true) => pairs.encode::<32>(out),
        }
        let order = if self.pairs.is_some() { ORDER_1 } else { 0 };
        order | if is_wide(data.len()) { WIDE } else { 0 }
    }
}

impl RunPlan {
    fn encode(&self, out: &mut Vec<u8>) -> u8 {
        let mut coded = Vec::new();
        let flags = self.plan.encode(&self.literals, &self.counts, &mut coded);
        varint::put(out, self.literals.len() as u64);
        varint::put(out, coded.len() as u64);
        out.extend(coded);
        let repeats = &self.repeats;
        if flags & WIDE == 0 {
            repeats.encode::<4>(out)
        } else {
            repeats.encode::<32>(out)
        }
        flags
    }
}

fn is_wide(len: usize) -> bool {
    len >= WIDE_FROM
}

/// Decodes `raw_len` bytes.
pub(super) fn decode(mut bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let flags = take_u8(&mut bytes)?;
    if flags & !(ORDER_1 | WIDE | PACKED | RUNS) != 0 {
        return Err(Error::corrupt("unknown flags of a rANS stream").found(flags));
    }
    let mut out = vec![0; raw_len];
    if flags & PACKED == 0 {
        decode_runs(flags, bytes, &mut out)?;
        return Ok(out);
    }
    let alphabet = Alphabet::read(&mut bytes)?;
    let per_byte = pack::per_byte(alphabet.len());
    if per_byte == 1 {
        return Err(Error::corrupt("packed rANS stream has too many symbols")
            .expected("at most 16")
            .found(alphabet.len()));
    }
    let mut packed = vec![0; raw_len.div_ceil(per_byte)];
    decode_runs(flags, bytes, &mut packed)?;
    pack::unpack(&packed, &alphabet, &mut out)?;
    Ok(out)
}

fn decode_runs(flags: u8, mut bytes: &[u8], out: &mut [u8]) -> Result<()> {
    if flags & RUNS == 0 {
        return decode_states(flags, bytes, out);
    }
    let mut literals = vec![0; varint::take_len(&mut bytes, out.len())?];
    let left = bytes.len();
    let coded_len = varint::take_len(&mut bytes, left)?;
    let coded = take_slice(&mut bytes, coded_len)?;
    decode_states(flags, coded, &mut literals)?;
    // The stream of literals begins with their alphabet.
    let alphabet = Alphabet::read(&mut { coded })?;
    let contexts = alphabet.ranks(&literals);
    let mut repeats = vec![0; literals.len()];
    if flags & WIDE == 0 {
        given::decode::<4>(bytes, &contexts, alphabet.len(), &mut repeats)?;
    } else {
        given::decode::<32>(bytes, &contexts, alphabet.len(), &mut repeats)?;
    }
    runs::join(&literals, &repeats, out)
}

fn decode_states(flags: u8, bytes: &[u8], out: &mut [u8]) -> Result<()> {
    match (flags & ORDER_1 != 0, flags & WIDE != 0) {
        (false, false) => order0::decode::<4>(bytes, out),
        (false, true) => order0::decode::<32>(bytes, out),
        (true, false) => order1::decode::<4>(bytes, out),
        (true, true) => order1::decode::<32>(bytes, out),
    }
}

/// Codes `data` with 4 states at order 0, without a byte of flags.
fn encode_plain_order0(data: &[u8], out: &mut Vec<u8>) {
    order0::encode::<4>(data, &entropy::histogram(data), out);
}

fn decode_plain_order0(bytes: &[u8], out: &mut [u8]) -> Result<()> {
    order0::decode::<4>(bytes, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(data: &[u8]) {
        if let Some(coded) = encode(data, &entropy::histogram(data), Forms::All) {
            assert_eq!(decode(&coded, data.len()).unwrap(), data);
        }
    }

    /// Every form of the stream, whatever the estimates prefer.
    fn round_trip_forms(data: &[u8]) {
        let counts = entropy::histogram(data);
        let mut out = vec![0; data.len()];
        let mut check = |decode: fn(&[u8], &mut [u8]) -> Result<()>, coded: &[u8]| {
            out.fill(0xAA);
            decode(coded, &mut out).unwrap();
            assert_eq!(out, data);
        };
        let mut coded = Vec::new();
        order0::encode::<4>(data, &counts, &mut coded);
        check(order0::decode::<4>, &coded);
        coded.clear();
        order0::encode::<32>(data, &counts, &mut coded);
        check(order0::decode::<32>, &coded);
        coded.clear();
        Pairs::count::<4>(data, &counts).encode::<4>(&mut coded);
        check(order1::decode::<4>, &coded);
        coded.clear();
        Pairs::count::<32>(data, &counts).encode::<32>(&mut coded);
        check(order1::decode::<32>, &coded);
    }

    #[test]
    fn test_encode_leaves_constant_streams_to_others() {
        assert!(encode(&[], &[0; 256], Forms::All).is_none());
        assert!(encode(&[7; 100], &entropy::histogram(&[7; 100]), Forms::All).is_none());
    }

    #[test]
    fn test_round_trip_of_skewed_streams() {
        for len in [1, 3, 4, 31, 32, 33, 100, 8191, 8192, 100_003] {
            let mut data = vec![b'A'; len];
            round_trip_forms(&data);
            data[len / 2] = b'B';
            round_trip_forms(&data);
            round_trip(&data);
            data.iter_mut().enumerate().for_each(|(i, b)| *b = (i * i / 7 % 251) as u8);
            round_trip_forms(&data);
            round_trip(&data);
        }
    }

    proptest! {
        #[test]
        fn test_round_trip_of_any_bytes(data in proptest::collection::vec(any::<u8>(), 1..3000)) {
            round_trip_forms(&data);
            round_trip(&data);
        }

        #[test]
        fn test_round_trip_of_small_alphabets(
            symbols in proptest::collection::vec(any::<u8>(), 1..20),
            picks in proptest::collection::vec(any::<u8>(), 1..20_000),
        ) {
            let data: Vec<u8> =
                picks.iter().map(|&p| symbols[usize::from(p) % symbols.len()]).collect();
            round_trip_forms(&data);
            round_trip(&data);
        }

        #[test]
        fn test_decode_never_panics(flags in 0u8..16, tail: Vec<u8>, raw_len in 0usize..5000) {
            let mut bytes = vec![flags];
            bytes.extend(tail);
            let _ = decode(&bytes, raw_len);
        }

        #[test]
        fn test_decode_notices_or_survives_damage(
            seed in any::<u8>(),
            place in any::<proptest::sample::Index>(),
            flip in 1u8..=255,
            cut in any::<proptest::sample::Index>(),
        ) {
            let data: Vec<u8> = (0..9000u32).map(|i| (i.pow(2) / 77 % (3 + u32::from(seed % 60))) as u8).collect();
            let mut coded = encode(&data, &entropy::histogram(&data), Forms::All).unwrap();
            let kept = cut.index(coded.len());
            prop_assert!(decode(&coded[..kept], data.len()).is_err());
            let at = place.index(coded.len());
            coded[at] ^= flip;
            if let Ok(raw) = decode(&coded, data.len()) {
                prop_assert_eq!(raw.len(), data.len());
            }
        }
    }
}
