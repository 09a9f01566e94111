//! Floating-point values as text, in htslib's manner.

/// Appends a value as htslib does: six significant digits as C's `%g` would have them, but between
/// 0.0001 and 999999 rounded half up from a fixed-point number, not half to even.
pub(crate) fn push_float(out: &mut Vec<u8>, value: f32) {
    let value = f64::from(value);
    if value == 0.0 {
        let zero: &[u8] = if value.is_sign_negative() { b"-0" } else { b"0" };
        return out.extend_from_slice(zero);
    }
    if value.is_nan() {
        let nan: &[u8] = if value.is_sign_negative() { b"-nan" } else { b"nan" };
        return out.extend_from_slice(nan);
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let value = value.abs();
    if value.is_infinite() {
        out.extend_from_slice(b"inf");
    } else if (0.0001..=999_999.0).contains(&value) {
        push_fixed(out, value);
    } else {
        push_general(out, value);
    }
}

/// `value` in ten-billionths, rounded at the sixth significant digit and cut there.
fn push_fixed(out: &mut Vec<u8>, value: f64) {
    const SCALE_DIGITS: usize = 10;
    let mut half = 5;
    let mut bound = 0.001;
    while value >= bound && half < 5_000_000_000 {
        half *= 10;
        bound *= 10.0;
    }
    let scaled = (value * 1e10) as u64 + half;
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    let mut rest = scaled;
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let count = buffer.len() - at;
    let digits = &buffer[at..at + 6];
    let start = out.len();
    if count <= SCALE_DIGITS {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', SCALE_DIGITS - count));
        out.extend_from_slice(digits);
    } else {
        let (whole, fraction) = digits.split_at((count - SCALE_DIGITS).min(6));
        out.extend_from_slice(whole);
        if fraction.is_empty() {
            return;
        }
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    cull_zeros(out, start);
}

/// C's `%g` for finite values above zero.
fn push_general(out: &mut Vec<u8>, value: f64) {
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let start = out.len();
    if (-4..6).contains(&exponent) {
        let decimals = (5 - exponent).max(0) as usize;
        out.extend_from_slice(format!("{value:.decimals$}").as_bytes());
        return cull_zeros(out, start);
    }
    out.extend_from_slice(mantissa.as_bytes());
    cull_zeros(out, start);
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
}

/// Removes zeros from the end of a number with a decimal point, and the point if it comes last.
fn cull_zeros(out: &mut Vec<u8>, start: usize) {
    if !out[start..].contains(&b'.') {
        return;
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

/// Reads a value of type `f` by the specification's pattern
/// `[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?`; `None` where it does not match or leaves the range of
/// 32 bits.
pub(crate) fn parse_float(text: &[u8]) -> Option<f32> {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let exponent_at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let mut parts = mantissa.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let last = parts.next().unwrap_or(whole);
    let all_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+"));
        let digits = digits.unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    if last.is_empty() || !all_digits(whole) || !all_digits(last) || !exponent_fits {
        return None;
    }
    let wide: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let value = wide as f32;
    let is_zero = mantissa.iter().all(|byte| matches!(byte, b'0' | b'.'));
    (value.is_finite() && (value != 0.0 || is_zero)).then_some(value)
}
