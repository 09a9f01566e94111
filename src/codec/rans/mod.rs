//! rANS: entropy coding with static tables, after the Nx16 codec of the CRAM codecs specification
//! (J. Bonfield, GA4GH) and J. Duda, "Asymmetric numeral systems", 2013. The bytes are our own,
//! described in `spec/codecs.md`.

mod coder;
mod order0;
mod order1;
mod pack;
mod table;

use super::bytes::take_u8;
use super::entropy;
use crate::error::{Error, Result};
use order1::Pairs;
pub(super) use table::Alphabet;

/// Flag of a stream whose tables depend on the preceding symbol.
const ORDER_1: u8 = 1;
/// Flag of a stream with 32 states rather than 4.
const WIDE: u8 = 2;
/// Flag of a stream whose symbols are packed.
const PACKED: u8 = 4;

/// From this length on, 32 states: they take 112 bytes more, and go several times as fast.
const WIDE_FROM: usize = 8 << 10;

/// Streams longer than this are not coded: counts are 32 bits wide.
const MAX_LEN: usize = 1 << 30;

/// Codes `data` by the cheapest combination of order and packing, judged by counts alone. `None`
/// where rANS cannot win: fewer than two different symbols, or too long a stream.
pub(super) fn encode(data: &[u8], counts: &[u32; 256]) -> Option<Vec<u8>> {
    if data.len() > MAX_LEN {
        return None;
    }
    let alphabet = Alphabet::of(counts);
    if alphabet.len() < 2 {
        return None;
    }
    let plain = Plan::of(data, counts);
    if alphabet.len() > 16 {
        let mut out = vec![0];
        out[0] = plain.encode(data, counts, &mut out);
        return Some(out);
    }
    let packed = pack::pack(data, &alphabet);
    let packed_counts = entropy::histogram(&packed);
    let packed_plan = Plan::of(&packed, &packed_counts);
    let mut out = vec![0];
    if packed_plan.estimate <= plain.estimate {
        alphabet.write(&mut out);
        out[0] = PACKED | packed_plan.encode(&packed, &packed_counts, &mut out);
    } else {
        out[0] = plain.encode(data, counts, &mut out);
    }
    Some(out)
}

/// How to code a stream, and what that costs.
struct Plan {
    pairs: Option<Pairs>,
    estimate: usize,
}

impl Plan {
    fn of(data: &[u8], counts: &[u32; 256]) -> Self {
        let symbols = counts.iter().filter(|&&c| c > 0).count();
        let order0 = (entropy::bits(counts) / 8) as usize + 2 * symbols;
        // A pair table that could not pay for itself is not counted.
        if data.len() < 64 {
            return Self { pairs: None, estimate: order0 };
        }
        let pairs = if is_wide(data.len()) {
            Pairs::count::<32>(data, counts)
        } else {
            Pairs::count::<4>(data, counts)
        };
        let order1 = pairs.estimate();
        if order1 < order0 {
            Self { pairs: Some(pairs), estimate: order1 }
        } else {
            Self { pairs: None, estimate: order0 }
        }
    }

    /// Appends the coded stream; returns its flags.
    fn encode(&self, data: &[u8], counts: &[u32; 256], out: &mut Vec<u8>) -> u8 {
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

fn is_wide(len: usize) -> bool {
    len >= WIDE_FROM
}

/// Decodes `raw_len` bytes.
pub(super) fn decode(mut bytes: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let flags = take_u8(&mut bytes)?;
    if flags & !(ORDER_1 | WIDE | PACKED) != 0 {
        return Err(Error::corrupt("unknown flags of a rANS stream").found(flags));
    }
    let mut out = vec![0; raw_len];
    if flags & PACKED == 0 {
        decode_states(flags, bytes, &mut out)?;
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
    decode_states(flags, bytes, &mut packed)?;
    pack::unpack(&packed, &alphabet, &mut out)?;
    Ok(out)
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
        if let Some(coded) = encode(data, &entropy::histogram(data)) {
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
        assert!(encode(&[], &[0; 256]).is_none());
        assert!(encode(&[7; 100], &entropy::histogram(&[7; 100])).is_none());
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
        fn test_decode_never_panics(flags in 0u8..8, tail: Vec<u8>, raw_len in 0usize..5000) {
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
            let mut coded = encode(&data, &entropy::histogram(&data)).unwrap();
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
