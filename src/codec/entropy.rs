//! What a stream would cost, from counts alone, in integers: the same answer on every machine.

/// Bits of fraction in the costs of this module.
const FRACTION: u32 = 16;

/// log2(1 + i/256) with 16 bits of fraction, one entry more than the 256 steps.
const LOG2: [u32; 257] = log2_table();

/// Each digit of a binary logarithm is found by squaring: the square passes 2 where the digit is 1.
const fn log2_table() -> [u32; 257] {
    let mut table = [0; 257];
    let mut i = 0;
    while i < 256 {
        let mut x = (1u128 << 60) + ((i as u128) << 52);
        let mut log = 0;
        let mut digit = 0;
        while digit < FRACTION {
            x = (x * x) >> 60;
            log <<= 1;
            if x >= 1 << 61 {
                log |= 1;
                x >>= 1;
            }
            digit += 1;
        }
        table[i] = log;
        i += 1;
    }
    table[256] = 1 << FRACTION;
    table
}

/// log2 of `x > 0` with 16 bits of fraction; 0 for 0.
fn log2(x: u32) -> u64 {
    let Some(whole) = x.checked_ilog2() else { return 0 };
    let mantissa = ((u64::from(x) << 31) >> whole) as u32; // 1.xxx with 31 bits of fraction
    let step = (mantissa >> 23 & 0xFF) as usize;
    let within = u64::from(mantissa & 0x7F_FFFF);
    let (low, high) = (u64::from(LOG2[step]), u64::from(LOG2[step + 1]));
    (u64::from(whole) << FRACTION) + low + (((high - low) * within) >> 23)
}

/// Bits that an ideal coder spends on symbols seen `counts` times, given only these counts.
pub(super) fn bits(counts: &[u32]) -> u64 {
    let mut total = 0u32;
    let mut sum = 0u64;
    for &count in counts {
        if count > 0 {
            total += count;
            sum += u64::from(count) * log2(count);
        }
    }
    (u64::from(total) * log2(total)).saturating_sub(sum) >> FRACTION
}

/// How often each byte value occurs.
pub(super) fn histogram(data: &[u8]) -> [u32; 256] {
    // Four tables, so that runs of one value do not wait for their own last increment.
    let mut tables = [[0u32; 256]; 4];
    let mut groups = data.chunks_exact(4);
    for group in &mut groups {
        for (table, &byte) in tables.iter_mut().zip(group) {
            table[usize::from(byte)] += 1;
        }
    }
    for &byte in groups.remainder() {
        tables[0][usize::from(byte)] += 1;
    }
    let [mut counts, b, c, d] = tables;
    for (i, count) in counts.iter_mut().enumerate() {
        *count += b[i] + c[i] + d[i];
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_log2_agrees_with_floating_point() {
        for x in (1..5000).chain([u32::MAX, u32::MAX / 3, 1 << 30]) {
            let expected = f64::from(x).log2() * 65536.0;
            assert!((log2(x) as f64 - expected).abs() < 3.0, "{x}");
        }
    }

    #[test]
    fn test_bits_of_even_and_constant_counts() {
        assert_eq!(bits(&[1000, 1000, 1000, 1000]), 8000);
        assert_eq!(bits(&[0, 77, 0]), 0);
        assert_eq!(bits(&[]), 0);
    }

    #[test]
    fn test_histogram_counts_every_byte() {
        let data: Vec<u8> = (0..1003u32).map(|i| (i * 7 % 256) as u8).collect();
        let counts = histogram(&data);
        for value in 0..=255u8 {
            let expected = data.iter().filter(|&&b| b == value).count();
            assert_eq!(counts[usize::from(value)] as usize, expected);
        }
    }
}
