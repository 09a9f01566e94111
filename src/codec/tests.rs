use super::*;
use proptest::prelude::*;

const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Default, Effort::Archive];
const NATURES: [Nature; 5] =
    [Nature::Bytes, Nature::Symbols, Nature::Text, Nature::Numbers(2), Nature::Numbers(4)];

fn check(data: &[u8]) {
    for effort in EFFORTS {
        for nature in NATURES {
            let coded = encode_as(data, nature, effort);
            assert!(coded.bytes.len() <= data.len());
            assert_eq!(Codec::from_u8(coded.codec as u8).unwrap(), coded.codec);
            assert_eq!(decode(coded.codec, &coded.bytes, data.len()).unwrap(), data);
            check_one_more(data, &coded);
        }
    }
}

/// A length that is one too long is noticed where a value takes bytes of its own. A constant takes
/// none, and a likely value may take none of an arithmetic code: then all others come back.
fn check_one_more(data: &[u8], coded: &Coded) {
    let length = data.len() + 1;
    let Ok(more) = decode(coded.codec, &coded.bytes, length) else { return };
    // The model for a stream of another power of two is another.
    let is_same_model = coded.codec == Codec::Constant || !length.is_power_of_two();
    assert!(data.is_empty() || matches!(coded.codec, Codec::Constant | Codec::Order2));
    assert!(!is_same_model || more.starts_with(data));
}

#[test]
fn test_encode_of_empty_and_constant_streams_is_tiny() {
    for effort in EFFORTS {
        assert_eq!(encode(&[], effort).bytes.len(), 0);
        assert_eq!(encode(&[9; 100_000], effort), Coded { codec: Codec::Constant, bytes: vec![9] });
    }
    check(&[]);
    check(&[9; 1000]);
}

#[test]
fn test_encode_finds_repeats_and_skew() {
    let repeats: Vec<u8> = (0..50_000u32).map(|i| (i % 1000 * 7919 / 13) as u8).collect();
    assert_eq!(encode(&repeats, Effort::Default).codec, Codec::Zstd);
    check(&repeats);
    let mut x = 1u32;
    let skewed: Vec<u8> = (0..50_000)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 16).leading_zeros() as u8
        })
        .collect();
    assert_eq!(encode(&skewed, Effort::Default).codec, Codec::Rans);
    check(&skewed);
}

proptest! {
    #[test]
    fn test_encode_decode_round_trip(data in proptest::collection::vec(any::<u8>(), 0..6000)) {
        check(&data);
        let few: Vec<u8> = data.iter().map(|b| b % 5).collect();
        check(&few);
    }

    #[test]
    fn test_decode_never_panics(number in 0u8..9, bytes: Vec<u8>, raw_len in 0usize..10_000) {
        let raw = Codec::from_u8(number).and_then(|codec| decode(codec, &bytes, raw_len));
        if let Ok(raw) = raw {
            prop_assert_eq!(raw.len(), raw_len);
        }
    }
}
