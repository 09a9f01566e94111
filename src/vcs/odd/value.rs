//! What a value should be, and whether it is.

/// `Type` of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    Float,
    Flag,
    Character,
    String,
}

impl Type {
    /// Reads it from the header.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Integer" => Self::Integer,
            "Float" => Self::Float,
            "Flag" => Self::Flag,
            "Character" => Self::Character,
            "String" => Self::String,
            _ => return None,
        })
    }
}

/// `Number` of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Fixed(u32),
    /// `A`.
    PerAlt,
    /// `R`.
    PerAllele,
    /// `G`.
    PerGenotype,
    /// `.`, and what depends on other fields.
    Any,
}

impl Count {
    /// Reads it from the header.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "A" => Self::PerAlt,
            "R" => Self::PerAllele,
            "G" => Self::PerGenotype,
            "." | "P" | "M" | "LA" | "LR" | "LG" => Self::Any,
            // What VCF before 4.2 wrote for an unknown number.
            "-1" => Self::Any,
            count => Self::Fixed(count.parse().ok().filter(|count| *count < 1 << 20)?),
        })
    }

    /// How many items a value of so many alternative alleles has; `None` where any number will do.
    pub(super) fn of(self, alts: usize, ploidy: usize) -> Option<usize> {
        match self {
            Self::Fixed(count) => Some(count as usize),
            // Without alternatives writers differ.
            Self::PerAlt => (alts > 0).then_some(alts),
            Self::PerAllele => Some(alts + 1),
            Self::PerGenotype if ploidy == 2 => Some((alts + 1) * (alts + 2) / 2),
            Self::PerGenotype => {
                // As many as there are multisets of alleles.
                let genotypes = (1..=ploidy).try_fold(1_usize, |sum, chosen| {
                    Some(sum.checked_mul(alts + chosen)? / chosen)
                });
                genotypes.filter(|_| ploidy > 0)
            }
            Self::Any => None,
        }
    }
}

/// How many numbers stand at the front of a text, with commas between, and how many bytes they are,
/// up to `end` or the end of the text: if they are as plain as most are, with few digits and no
/// exponent.
pub(super) fn plain_numbers(
    text: &[u8],
    kind: Type,
    end: u8,
    signed: bool,
) -> Option<(usize, usize)> {
    let is_float = match kind {
        Type::Integer => false,
        Type::Float => true,
        _ => return None,
    };
    let (mut items, mut digits, mut points, mut is_start) = (1, 0, 0, true);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' if is_float => points += 1,
            b'-' if signed && is_start => {}
            b',' if is_plain(digits, points) => {
                (items, digits, points, is_start) = (items + 1, 0, 0, true);
                continue;
            }
            _ if byte == end => return is_plain(digits, points).then_some((items, at)),
            _ => return None,
        }
        is_start = false;
    }
    is_plain(digits, points).then_some((items, text.len()))
}

fn is_plain(digits: usize, points: usize) -> bool {
    (1..10).contains(&digits) && points < 2
}

/// What became of looking at an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    WrongType,
    OutOfRange,
}

/// Whether an item, which is not `.`, is of a type.
pub(super) fn fits(kind: Type, item: &[u8]) -> Fit {
    let is_right = match kind {
        Type::Integer => return is_integer(item),
        Type::Float => is_float(item),
        Type::Character => item.len() == 1 || is_one_character(item),
        Type::String | Type::Flag => true,
    };
    if is_right { Fit::Yes } else { Fit::WrongType }
}

fn is_integer(item: &[u8]) -> Fit {
    let digits = match item {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Fit::WrongType;
    }
    if digits.len() < 10 {
        return Fit::Yes;
    }
    let value = std::str::from_utf8(item).ok().and_then(|text| text.parse::<i64>().ok());
    // BCF keeps the eight least for other uses.
    match value {
        Some(value) if (-0x7fff_fff8..=0x7fff_ffff).contains(&value) => Fit::Yes,
        _ => Fit::OutOfRange,
    }
}

/// Whether an item is a float: `[-+]?digits[.digits][e[-+]digits]`, NaN or infinity.
pub(super) fn is_float(item: &[u8]) -> bool {
    let unsigned = match item {
        [b'-' | b'+', rest @ ..] => rest,
        rest => rest,
    };
    let digits_of = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits_of(unsigned);
    let mut rest = &unsigned[whole..];
    let mut digits = whole;
    if let [b'.', after @ ..] = rest {
        let decimals = digits_of(after);
        digits += decimals;
        rest = &after[decimals..];
    }
    if digits == 0 {
        let lower = unsigned.to_ascii_lowercase();
        return matches!(lower.as_slice(), b"nan" | b"inf" | b"infinity");
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'-' | b'+', power @ ..] | [b'e' | b'E', power @ ..] => {
            !power.is_empty() && digits_of(power) == power.len()
        }
        _ => false,
    }
}

/// One character in UTF-8, or one that is percent-encoded.
fn is_one_character(item: &[u8]) -> bool {
    let is_encoded = item.len() == 3 && item[0] == b'%';
    is_encoded || std::str::from_utf8(item).is_ok_and(|text| text.chars().count() == 1)
}
