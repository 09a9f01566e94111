use super::*;
use proptest::prelude::*;

fn round_trip<T: AsRef<[u8]>>(names: &[T]) -> usize {
    let joined: Vec<u8> = names.iter().flat_map(|n| n.as_ref()).copied().collect();
    let lens: Vec<u32> = names.iter().map(|n| n.as_ref().len() as u32).collect();
    let mut least = usize::MAX;
    for effort in [Effort::Fast, Effort::Default, Effort::Archive] {
        let bytes = encode(&joined, &lens, effort);
        let (decoded, decoded_lens) = decode(&bytes, lens.len(), joined.len()).unwrap();
        assert_eq!(decoded, joined);
        assert_eq!(decoded_lens, lens);
        least = least.min(bytes.len());
    }
    least
}

#[test]
fn test_round_trip_of_odd_lists() {
    round_trip::<&str>(&[]);
    round_trip(&[""]);
    round_trip(&["*"]);
    round_trip(&["*", "*", "*"]);
    round_trip(&["same1"; 1000]);
    round_trip(&["a", "", "b", "", ""]);
    round_trip(&["r007", "r07", "r7", "r0", "r00", "r000", "r"]);
    round_trip(&["18446744073709551615", "18446744073709551616", "0", "99999999999999999999999"]);
    round_trip(&[vec![b'x'; 254], vec![b'7'; 254], vec![1; 254], vec![b'!'; 300]]);
    round_trip(&["SRR1.1", "SRR1.2", "SRR1.3 extra", "SRR1.4/1", "~!@#$%^&*()"]);
    round_trip(&(1..=254u8).map(|b| vec![b]).collect::<Vec<_>>());
}

#[test]
fn test_platforms_names_become_small() {
    let mut x = 7u64;
    let mut random = |limit: u64| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 33) % limit
    };
    let illumina: Vec<String> = (0..5000)
        .map(|_| {
            let (lane, tile) = (1 + random(4), 1101 + 100 * random(6) + random(16));
            let (x, y) = (1000 + random(20_000), 1000 + random(100_000));
            format!("A00111:42:HXXDSXX:{lane}:{tile}:{x}:{y}")
        })
        .collect();
    // log2(4 · 96 · 20,000 · 100,000) bits are 4.94 bytes a name.
    assert!(round_trip(&illumina) < 5000 * 505 / 100 + 500, "{}", round_trip(&illumina));

    let pacbio: Vec<String> =
        (0..3000).map(|_| format!("m84011_220902_175841_s1/{}/ccs", random(1 << 28))).collect();
    assert!(round_trip(&pacbio) < 3000 * 36 / 10 + 300);

    let uuids: Vec<String> = (0..1000)
        .map(|_| {
            let hex = format!(
                "{:08x}{:08x}{:08x}{:08x}",
                random(1 << 31),
                random(1 << 31),
                random(1 << 31),
                random(1 << 31)
            );
            format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            )
        })
        .collect();
    assert!(round_trip(&uuids) < 1000 * 165 / 10);

    let counted: Vec<String> = (0..5000).map(|i| format!("read{i}")).collect();
    assert!(round_trip(&counted) < 150);

    let pairs: Vec<&String> = illumina[..1000].iter().flat_map(|name| [name, name]).collect();
    assert!(round_trip(&pairs) < 1000 * 53 / 10 + 300);
}

#[test]
fn test_decode_refuses_other_counts_and_lengths() {
    let bytes = encode(b"r1r2r3", &[2, 2, 2], Effort::Default);
    assert!(decode(&bytes, 3, 6).is_ok());
    assert!(decode(&bytes, 3, 5).is_err());
    assert!(decode(&bytes, 3, 7).is_err());
    assert!(decode(&bytes[..bytes.len() - 1], 3, 6).is_err());
}

proptest! {
    #[test]
    fn test_round_trip_of_any_names(
        names in proptest::collection::vec(proptest::collection::vec(1u8..=254, 0..20), 0..60),
    ) {
        round_trip(&names);
    }

    #[test]
    fn test_round_trip_of_structured_names(
        names in proptest::collection::vec("[ab]{0,2}[0-9]{0,3}[:_]{0,1}0{0,2}[0-9]{0,22}", 0..200),
    ) {
        round_trip(&names);
    }

    #[test]
    fn test_decode_never_panics(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        count in 0usize..40,
        raw_len in 0usize..400,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(&bytes, count, raw_len);
        let names: Vec<u8> = (0..30).flat_map(|i| format!("x:{:03}/{}", i * 37 % 11, i * i).into_bytes()).collect();
        let lens: Vec<u32> = (0..30).map(|i: u32| 6 + (i * i).checked_ilog10().unwrap_or(0) + 1).collect();
        let mut coded = encode(&names, &lens, Effort::Default);
        for (place, value) in places {
            let at = place.index(coded.len());
            coded[at] = value;
        }
        if let Ok((names, lens)) = decode(&coded, 30, names.len()) {
            prop_assert_eq!(lens.len(), 30);
            prop_assert_eq!(lens.iter().sum::<u32>() as usize, names.len());
        }
        let _ = decode(&coded, count, raw_len);
    }
}
