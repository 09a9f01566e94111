//! Fuzz targets of the codecs; see [`crate::fuzzing`].

#[cfg(test)]
use super::order2;
use super::{Codec, Effort, Nature, decode, encode_as, names, quality};
use crate::fuzzing::{Choices, is_chosen};

/// Any bytes, as a stream: the codec, the length that is declared, then the stream.
pub(crate) fn codec(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, raw_len) = (choices.byte(), choices.number());
    let kinds = [Codec::Raw, Codec::Zstd, Codec::Rans, Codec::Constant, Codec::Planes];
    let kind = kinds[usize::from(kind) % kinds.len()];
    let found = decode(kind, choices.0, raw_len);
    assert!(found.is_err() || found.is_ok_and(|found| found.len() == raw_len));
}

/// Any bytes, as names: how many, their length together, then the stream.
pub(crate) fn names(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, raw_len) = (choices.byte(), choices.number());
    if kind & 1 == 0 {
        let found = decode(Codec::Names, choices.0, raw_len);
        assert!(found.is_err() || found.is_ok_and(|found| found.len() == raw_len));
        return;
    }
    let count = choices.number();
    if let Ok((bytes, lengths)) = names::decode(choices.0, count, raw_len) {
        let sum: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        assert_eq!((lengths.len(), sum), (count, bytes.len() as u64));
    }
}

/// Any bytes, as a stream of a codec with an adaptive model.
pub(crate) fn models(data: &[u8]) {
    let mut choices = Choices(data);
    let (kind, raw_len) = (choices.byte(), choices.number());
    if kind & 1 == 0 {
        let found = decode(Codec::Order2, choices.0, raw_len);
        assert!(found.is_err() || found.is_ok_and(|found| found.len() == raw_len));
        return;
    }
    let length = u32::from(choices.byte()).max(1);
    let lengths = vec![length; raw_len / 16 / length as usize];
    let selectors: Vec<u8> = (0..lengths.len()).map(|read| read as u8 & 1).collect();
    let total = lengths.len() * length as usize;
    let found = quality::decode(Codec::Quality, choices.0, &lengths, &selectors, total);
    assert!(found.is_err() || found.is_ok_and(|found| found.len() == total));
}

/// What is encoded comes back.
pub(crate) fn round_trip(data: &[u8]) {
    let mut choices = Choices(data);
    let kind = choices.byte();
    // Archiving takes a thousand times as long.
    let efforts = [Effort::Fast, Effort::Default, Effort::Archive];
    let effort = efforts[usize::from(kind % 3).min(if is_chosen(data) { 2 } else { 1 })];
    let repeats = 1 + usize::from(kind >> 6) * 5;
    let bytes = choices.0.repeat(repeats);
    let natures = [Nature::Bytes, Nature::Symbols, Nature::Text, Nature::Numbers(2)];
    if let Some(nature) = natures.get(usize::from(kind / 3 % 6)) {
        let coded = encode_as(&bytes, *nature, effort);
        let back = decode(coded.codec, &coded.bytes, bytes.len()).map_err(|e| e.to_string());
        assert_eq!(back, Ok(bytes));
    } else if kind / 3 % 6 == 4 {
        let lengths: Vec<u32> =
            bytes.split(|&byte| byte == b'\n').map(|n| n.len() as u32).collect();
        let joined: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b'\n').collect();
        let coded = names::encode(&joined, &lengths, effort);
        let back = names::decode(&coded, lengths.len(), joined.len()).map_err(|e| e.to_string());
        assert_eq!(back, Ok((joined, lengths)));
    } else {
        let qualities: Vec<u8> = bytes.iter().map(|byte| byte % 64).collect();
        let lengths: Vec<u32> = qualities.chunks(20).map(|read| read.len() as u32).collect();
        let coded = quality::encode(&qualities, &lengths, &[], effort);
        let back = quality::decode(coded.codec, &coded.bytes, &lengths, &[], qualities.len());
        assert_eq!(back.map_err(|e| e.to_string()), Ok(qualities));
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut all = Vec::new();
        let texts: [&[u8]; 4] = [
            b"ACGTACGTTTGACCA\0read:1:10\0read:1:11\0read:1:12\0read:1:10\0",
            &[7; 40],
            &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 9, 9, 9, 9],
            b"IIIIIIIIIHHHHGFEDDDDDDDDDDCBA@",
        ];
        for text in texts {
            for kind in 0..=255 {
                if kind % 7 == 0 {
                    all.push(("codec_round_trip", [&[kind], text].concat()));
                }
            }
            for effort in [Effort::Fast, Effort::Default, Effort::Archive] {
                let long = text.repeat(20);
                let length = (long.len() as u16).to_le_bytes();
                for nature in [Nature::Bytes, Nature::Symbols, Nature::Text, Nature::Numbers(4)] {
                    let coded = encode_as(&long, nature, effort);
                    let kinds =
                        [Codec::Raw, Codec::Zstd, Codec::Rans, Codec::Constant, Codec::Planes];
                    let kind = kinds.iter().position(|kind| *kind == coded.codec);
                    let target = if kind.is_some() { "codec" } else { "codec_models" };
                    let kind = kind.unwrap_or(0) as u8;
                    all.push((target, [&[kind], &length[..], &coded.bytes].concat()));
                }
                if let Some(coded) = names::encode_list(&long, effort) {
                    all.push(("codec_names", [&[0], &length[..], &coded].concat()));
                    let total = long.iter().filter(|&&byte| byte != 0).count();
                    let count = ((long.len() - total) as u16).to_le_bytes();
                    let mut rest = coded.as_slice();
                    crate::codec::varint::take(&mut rest).unwrap();
                    let total = (total as u16).to_le_bytes();
                    all.push(("codec_names", [&[1], &total[..], &count[..], rest].concat()));
                }
                if let Some(coded) = order2::encode(&long) {
                    all.push(("codec_models", [&[0], &length[..], &coded].concat()));
                }
                let lengths = vec![10; 16];
                let qualities: Vec<u8> =
                    long.iter().map(|byte| byte % 40).cycle().take(160).collect();
                let selectors: Vec<u8> = (0..16).map(|read| read & 1).collect();
                let coded = quality::encode(&qualities, &lengths, &selectors, effort);
                if coded.codec == Codec::Quality {
                    all.push(("codec_models", [&[1, 0, 10, 10][..], &coded.bytes].concat()));
                }
            }
        }
        all
    }
}
