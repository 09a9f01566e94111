//! Numbers as VCF writes them, and back: which texts a typed value gives again, and how.
//!
//! An integer has one text. A float has many (`0.5`, `0.50`, `5e-1`), so each comes with a
//! [class](FloatClass): the rule that turns the value into the text it came from. A text that no
//! rule gives again is not typed at all; the caller keeps it as it is. The rules are part of the
//! format and never change under one version of it; `spec/vcs.md` states them.

/// The integer whose only text this is: no sign `+`, no leading zeros, no `-0`.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty()
        || digits.len() > 18
        || (digits[0] == b'0' && (digits.len() > 1 || negative))
    {
        return None;
    }
    let mut value = 0_i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(if negative { -value } else { value })
}

/// Appends the text of an integer.
#[inline]
pub fn push_integer(value: i64, out: &mut Vec<u8>) {
    let mut rest = value.unsigned_abs();
    if value < 0 {
        out.push(b'-');
    }
    if rest < 10 {
        out.push(b'0' + rest as u8);
        return;
    }
    let count = rest.ilog10() as usize + 1;
    let mut digits = [0_u8; 20];
    for digit in digits[..count].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // A copy of a fixed length takes a few instructions, one of any length a call.
    let end = out.len() + count;
    out.extend_from_slice(&digits);
    out.truncate(end);
}

/// How a float is written.
///
/// | code | rule |
/// |---|---|
/// | 0 | the fewest digits that give the value again, without an exponent |
/// | 1 | the same digits, as C's `%g` lays them out: with an exponent of two digits or more and a sign where the power of ten is below −4 or above 5 |
/// | 2 | the same digits, always with an exponent as in 1 |
/// | 3 | the same digits, with an upper-case `E`, at least one decimal and no padding: `1.0E-5` |
/// | 16 + n | n decimals, without an exponent |
/// | 64 + n | one digit, n decimals, and an exponent as in 1 |
/// | 128 + n | as 64 + n, with an upper-case `E` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatClass(pub u8);

impl FloatClass {
    /// The fewest digits, without an exponent.
    pub const PLAIN: Self = Self(0);
    const GENERAL: Self = Self(1);
    const EXPONENT: Self = Self(2);
    const JAVA: Self = Self(3);
    const FIXED: u8 = 16;
    const MOST_DECIMALS: usize = 40;
    const SCIENTIFIC: u8 = 64;
    const SCIENTIFIC_UPPER: u8 = 128;
}

/// A float of either width, which decides what the fewest digits are.
pub trait Float: Copy + PartialEq {
    /// How many significant decimal digits always survive.
    const DIGITS: usize;
    /// Rounds from the wider type.
    fn from_f64(value: f64) -> Self;
    /// Correctly rounded from text.
    fn parse(text: &str) -> Option<Self>;
    /// Whether it is a number.
    fn is_finite(self) -> bool;
    /// The fewest digits, as `d.ddde±x`.
    fn write_exponent(self, out: &mut String);
    /// Without an exponent, the fewest digits.
    fn write_plain(self, out: &mut String);
    /// With so many decimals.
    fn write_fixed(self, decimals: usize, out: &mut String);
    /// With an exponent and so many decimals.
    fn write_scientific(self, decimals: usize, out: &mut String);
}

macro_rules! float {
    ($type:ty, $digits:literal) => {
        // Writing into a string cannot fail.
        impl Float for $type {
            const DIGITS: usize = $digits;
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn is_finite(self) -> bool {
                <$type>::is_finite(self)
            }
            fn write_exponent(self, out: &mut String) {
                use std::fmt::Write as _;
                let _ = write!(out, "{self:e}");
            }
            fn write_plain(self, out: &mut String) {
                use std::fmt::Write as _;
                let _ = write!(out, "{self}");
            }
            fn write_fixed(self, decimals: usize, out: &mut String) {
                use std::fmt::Write as _;
                let _ = write!(out, "{self:.decimals$}");
            }
            fn write_scientific(self, decimals: usize, out: &mut String) {
                use std::fmt::Write as _;
                let _ = write!(out, "{self:.decimals$e}");
            }
        }
    };
}
float!(f32, 6);
float!(f64, 15);

const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// The value and class of a float's text; `None` where no class gives the text again. `last` is
/// the class of the value before, which is chosen again where it serves, so that classes come in
/// long runs.
pub fn parse_float<F: Float>(text: &[u8], last: FloatClass) -> Option<(F, FloatClass)> {
    if let Some(found) = parse_short(text, last) {
        return Some(found);
    }
    let text = std::str::from_utf8(text).ok()?;
    // Names of infinities and the like, and signs, are not written back as they were.
    if text.is_empty()
        || text.starts_with('+')
        || !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
    {
        return None;
    }
    let value = F::parse(text)?;
    if !value.is_finite() {
        return None;
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(text.as_bytes()[at])),
        None => (text, None),
    };
    let decimals = mantissa.find('.').map_or(0, |at| mantissa.len() - at - 1);
    let with = |base: u8| {
        (decimals <= FloatClass::MOST_DECIMALS).then_some(FloatClass(base + decimals as u8))
    };
    let candidates = match exponent {
        None => [Some(last), Some(FloatClass::PLAIN), with(FloatClass::FIXED), None],
        Some(b'e') => [
            Some(last),
            Some(FloatClass::GENERAL),
            Some(FloatClass::EXPONENT),
            with(FloatClass::SCIENTIFIC),
        ],
        Some(_) => [Some(last), Some(FloatClass::JAVA), with(FloatClass::SCIENTIFIC_UPPER), None],
    };
    let mut written = Vec::with_capacity(text.len());
    for class in candidates.into_iter().flatten() {
        written.clear();
        push_float(value, class, &mut written);
        if written == text.as_bytes() {
            return Some((value, class));
        }
    }
    None
}

/// The common case: few digits and no exponent, where the class follows from the shape of the text.
fn parse_short<F: Float>(text: &[u8], last: FloatClass) -> Option<(F, FloatClass)> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 17 {
        return None;
    }
    let (mut mantissa, mut significant, mut point) = (0_u64, 0, None);
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                significant += usize::from(mantissa != 0);
            }
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let whole = point.unwrap_or(digits.len());
    let is_canonical = whole > 0 && (digits[0] != b'0' || whole == 1);
    // More digits may not survive, and a negative zero has rules of its own.
    if !is_canonical || significant > F::DIGITS || (negative && mantissa == 0) {
        return None;
    }
    let decimals = point.map_or(0, |at| digits.len() - at - 1);
    if point.is_some() && decimals == 0 {
        return None;
    }
    let fixed = FloatClass(FloatClass::FIXED + decimals as u8);
    let ends_in_zero = decimals > 0 && digits.last() == Some(&b'0');
    let class = if ends_in_zero || last == fixed {
        fixed
    } else if last == FloatClass::GENERAL && is_general(digits, whole, mantissa) {
        FloatClass::GENERAL
    } else {
        FloatClass::PLAIN
    };
    let value = mantissa as f64 / POWERS[decimals];
    Some((F::from_f64(if negative { -value } else { value }), class))
}

/// Whether `%g` would write these digits without an exponent.
fn is_general(digits: &[u8], whole: usize, mantissa: u64) -> bool {
    if mantissa == 0 || digits[0] != b'0' {
        return whole <= 6;
    }
    let zeros = digits[2..].iter().take_while(|&&digit| digit == b'0').count();
    zeros <= 3
}

/// Appends the text that a class gives of a value.
pub fn push_float<F: Float>(value: F, class: FloatClass, out: &mut Vec<u8>) {
    let mut text = String::new();
    match class.0 {
        0 => value.write_plain(&mut text),
        1 | 2 => {
            value.write_exponent(&mut text);
            let power = power_of(&text);
            if class == FloatClass::GENERAL && (-4..6).contains(&power) {
                text.clear();
                value.write_plain(&mut text);
            } else {
                pad_exponent(&mut text);
            }
        }
        3 => {
            value.write_exponent(&mut text);
            if let Some(at) = text.find('e') {
                let point = if text[..at].contains('.') { "" } else { ".0" };
                text = format!("{}{point}E{}", &text[..at], &text[at + 1..]);
            }
        }
        code @ FloatClass::SCIENTIFIC_UPPER.. => {
            value.write_scientific(usize::from(code - FloatClass::SCIENTIFIC_UPPER), &mut text);
            pad_exponent(&mut text);
            text.make_ascii_uppercase();
        }
        code @ FloatClass::SCIENTIFIC.. => {
            value.write_scientific(usize::from(code - FloatClass::SCIENTIFIC), &mut text);
            pad_exponent(&mut text);
        }
        code => {
            let decimals = usize::from(code.saturating_sub(FloatClass::FIXED));
            value.write_fixed(decimals, &mut text);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn power_of(text: &str) -> i32 {
    text.find('e').and_then(|at| text[at + 1..].parse().ok()).unwrap_or(0)
}

/// `1e-5` becomes `1e-05`, `1e7` becomes `1e+07`.
fn pad_exponent(text: &mut String) {
    let Some(at) = text.find('e') else { return };
    let power = power_of(text);
    text.truncate(at);
    let sign = if power < 0 { '-' } else { '+' };
    *text += &format!("e{sign}{:02}", power.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written<F: Float>(text: &str, last: u8) -> Option<(String, u8)> {
        let (value, class) = parse_float::<F>(text.as_bytes(), FloatClass(last))?;
        let mut out = Vec::new();
        push_float(value, class, &mut out);
        Some((String::from_utf8(out).unwrap(), class.0))
    }

    #[test]
    fn test_float_classes_give_texts_again() {
        for text in [
            "0",
            "0.5",
            "100.000",
            "-0.03",
            "1e-10",
            "9.98e-05",
            "1.0E-5",
            "2.500e-01",
            "1E+05",
            "0.10",
            "-5.00",
            "123456",
            "1e+06",
            "0.000199681",
            "3.40282e+38",
        ] {
            for last in [0, 1, 2, 3, 17, 18, 67] {
                let (again, _) = written::<f32>(text, last).unwrap_or_else(|| panic!("{text}"));
                assert_eq!(again, text);
            }
        }
        for text in [
            "+1",
            ".5",
            "5.",
            "nan",
            "inf",
            "-inf",
            "1e5",
            "",
            "0x1",
            "00.5",
            "12345678.9",
            "1e400",
            "1_0",
        ] {
            assert_eq!(written::<f32>(text, 0), None, "{text}");
        }
        assert_eq!(written::<f64>("12345678.9", 0).unwrap().0, "12345678.9");
        assert_eq!(written::<f32>("-0.0", 0).unwrap(), ("-0.0".into(), 17));
        assert_eq!(written::<f32>("-0", 0).unwrap(), ("-0".into(), 0));
    }

    #[test]
    fn test_float_class_of_a_run_is_kept() {
        assert_eq!(written::<f32>("1.25", 18).unwrap().1, 18);
        assert_eq!(written::<f32>("1.25", 0).unwrap().1, 0);
        assert_eq!(written::<f32>("0.25", 1).unwrap().1, 1);
        assert_eq!(written::<f32>("0.00001", 1).unwrap().1, 0);
    }

    proptest! {
        #[test]
        fn test_float_text_is_given_again_or_refused(text in "-?[0-9]{0,9}(\\.[0-9]{0,9})?([eE][-+]?[0-9]{1,3})?", last in 0_u8..=160) {
            for got in [written::<f32>(&text, last), written::<f64>(&text, last)].into_iter().flatten() {
                prop_assert_eq!(&got.0, &text);
            }
        }

        #[test]
        fn test_integer_text_is_given_again_or_refused(text in "-?[0-9]{0,20}") {
            if let Some(value) = parse_integer(text.as_bytes()) {
                let mut out = Vec::new();
                push_integer(value, &mut out);
                prop_assert_eq!(out, text.as_bytes());
            }
        }

        #[test]
        fn test_every_value_has_a_class(value: f32) {
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:.3}"), format!("{value:.3e}")] {
                let fits = text.parse::<f32>().unwrap();
                if format!("{fits:.3}") == text || format!("{fits}") == text {
                    prop_assert!(written::<f32>(&text, 0).is_some() || text.contains('e'), "{}", text);
                }
            }
        }
    }
}
