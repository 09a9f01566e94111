//! What an expression says of a record.
//!
//! Values of a field that a record lacks are no values at all; a value that is missing is one that
//! compares as the tables of [`Missing`] say. Numbers are compared as floats of 32 bits, unless one
//! is above 2^24.

use std::borrow::Cow;

use super::lex::{Comparison, Logic, Operator};
use super::node::{Condition, Names, Numeric, Samples, Textual};
use super::record::{MISSING, Record, is_missing};
use super::{text, values};
use crate::error::{Error, Result};

/// What holds of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the condition holds at the site.
    pub site: bool,
    /// For which samples it holds; `None` if it is on sites only.
    pub samples: Option<Vec<bool>>,
}

/// Numbers of a site, or of samples, `width` of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    pub(super) width: usize,
}

/// The text of a site, or of each sample, if there is one.
pub(super) enum Texts<'r> {
    Site(Option<Cow<'r, [u8]>>),
    Samples(Option<Vec<Cow<'r, [u8]>>>),
}

/// Whether a comparison holds where one side, or both, are missing.
#[derive(Clone, Copy)]
struct Missing {
    one: bool,
    both: bool,
}

impl Missing {
    fn of(op: Comparison) -> Self {
        match op {
            Comparison::Equal | Comparison::Like => Self { one: false, both: true },
            Comparison::NotEqual | Comparison::NotLike => Self { one: true, both: false },
            _ => Self { one: false, both: false },
        }
    }

    /// Where so many sides are missing.
    fn holds(self, sides: usize) -> bool {
        match sides {
            0 => false,
            1 => self.one,
            _ => self.both,
        }
    }

    /// Whether neither ever holds.
    fn is_never(self) -> bool {
        !self.one && !self.both
    }
}

impl Outcome {
    fn new(samples: Option<&Samples>) -> Self {
        Self { site: false, samples: samples.map(|samples| vec![false; samples.len()]) }
    }

    /// Decides each sample that counts; the site holds if any does.
    fn decide(&mut self, counted: &Samples, mut holds: impl FnMut(usize) -> bool) {
        let Some(samples) = &mut self.samples else { return };
        for (at, (held, &counts)) in samples.iter_mut().zip(&**counted).enumerate() {
            if counts && holds(at) {
                *held = true;
                self.site = true;
            }
        }
    }
}

pub(super) fn condition(condition: &Condition, record: &Record<'_>) -> Result<Outcome> {
    match condition {
        Condition::Chain { of, links, .. } => {
            let Some((last, before)) = of.split_last() else {
                return Err(Error::internal("an empty chain of conditions"));
            };
            let mut outcome = self::condition(last, record)?;
            for (part, &link) in before.iter().zip(links).rev() {
                outcome = join(link, self::condition(part, record)?, outcome);
            }
            Ok(outcome)
        }
        Condition::Numbers { op, left, right, samples } => {
            let (a, b) = (values::numbers(left, record)?, values::numbers(right, record)?);
            compare(*op, (left.samples(), &a), (right.samples(), &b), samples.as_ref())
        }
        Condition::Texts { wanted, left, right, samples } => {
            let (a, b) = (text::texts(left, record), text::texts(right, record));
            Ok(compare_texts(*wanted, &a, &b, samples.as_ref()))
        }
        Condition::Search { wanted, text, pattern, is_missing, samples } => {
            let missing = Missing::of(if *wanted { Comparison::Like } else { Comparison::NotLike });
            let absent = missing.holds(1 + usize::from(*is_missing));
            let found = |text: &[u8]| {
                items(text).any(|item| {
                    (item == b"." && missing.one) || (pattern.is_match(item) == *wanted)
                })
            };
            let mut outcome = Outcome::new(samples.as_ref());
            match (text::texts(text, record), samples) {
                (Texts::Site(Some(text)), _) => outcome.site = found(&text),
                (Texts::Site(None), _) => outcome.site = absent,
                (Texts::Samples(Some(texts)), Some(samples)) => {
                    outcome.decide(samples, |at| texts.get(at).is_some_and(|text| found(text)));
                }
                (Texts::Samples(_), Some(samples)) => outcome.decide(samples, |_| absent),
                (Texts::Samples(_), None) => outcome.site = absent,
            }
            Ok(outcome)
        }
        Condition::Type { op, kinds } => {
            let found = match record.kinds() {
                0 => super::variable::kind::REF,
                kinds => kinds,
            };
            let site = match op {
                Comparison::Equal => found == *kinds,
                Comparison::NotEqual => found != *kinds,
                Comparison::Like => found & kinds != 0,
                _ => found & kinds == 0,
            };
            Ok(Outcome { site, samples: None })
        }
        Condition::Filter { op, names } => {
            Ok(Outcome { site: filter(*op, names, record.filter()), samples: None })
        }
        Condition::Id { wanted, names } => {
            let id = record.id();
            let found = match names {
                Names::One(name) => id == name.as_bytes(),
                Names::Listed(list) => std::str::from_utf8(id).is_ok_and(|id| list.contains(id)),
                Names::Like(pattern) => pattern.is_match(id),
            };
            Ok(Outcome { site: found == *wanted, samples: None })
        }
    }
}

/// Whether FILTER is as asked; no names stand for `.`.
pub(super) fn filter(op: Comparison, names: &[String], text: &[u8]) -> bool {
    let found: Vec<&[u8]> = match text {
        b"." | b"" => Vec::new(),
        text => text.split(|&byte| byte == b';').collect(),
    };
    let all_there = names.iter().all(|name| found.contains(&name.as_bytes()));
    let is_equal = names.len() == found.len() && all_there;
    let is_like = if names.is_empty() { found.is_empty() } else { all_there };
    match op {
        Comparison::Equal => is_equal,
        Comparison::NotEqual => !is_equal,
        Comparison::Like => is_like,
        _ => !is_like,
    }
}

fn join(link: Logic, left: Outcome, right: Outcome) -> Outcome {
    let is_and = matches!(link, Logic::And | Logic::SiteAnd);
    let site = if is_and { left.site && right.site } else { left.site || right.site };
    let none = |samples: usize| Outcome { site: false, samples: Some(vec![false; samples]) };
    match (left.samples, right.samples) {
        (None, None) => Outcome { site, samples: None },
        (Some(samples), None) | (None, Some(samples)) if !site => none(samples.len()),
        (Some(samples), None) => one_sided(link, samples, right.site),
        (None, Some(samples)) => one_sided(link, samples, left.site),
        (Some(left), Some(_)) if !site => none(left.len()),
        (Some(left), Some(right)) => {
            let both = |of: fn(bool, bool) -> bool| -> Vec<bool> {
                left.iter().zip(&right).map(|(&a, &b)| of(a, b)).collect()
            };
            match link {
                Logic::And => {
                    let samples = both(|a, b| a && b);
                    Outcome { site: samples.contains(&true), samples: Some(samples) }
                }
                Logic::SiteAnd | Logic::Or => Outcome { site, samples: Some(both(|a, b| a || b)) },
                Logic::SiteOr => Outcome { site, samples: Some(vec![true; left.len()]) },
            }
        }
    }
}

/// Where the site holds, and one side tells samples and the other the site only.
fn one_sided(link: Logic, samples: Vec<bool>, other_site: bool) -> Outcome {
    let samples = match link {
        Logic::SiteOr if other_site => vec![true; samples.len()],
        _ => samples,
    };
    Outcome { site: true, samples: Some(samples) }
}

/// Compares two numbers as bcftools does.
pub(super) fn holds(op: Comparison, a: f64, b: f64) -> bool {
    const EXACT_IN_32_BITS: f64 = 16_777_216.0;
    let (a, b) = match a > EXACT_IN_32_BITS || b > EXACT_IN_32_BITS {
        true => (a, b),
        false => (f64::from(a as f32), f64::from(b as f32)),
    };
    match op {
        Comparison::Equal | Comparison::Like => a == b,
        Comparison::NotEqual | Comparison::NotLike => a != b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

type Side<'a> = (Option<&'a Samples>, &'a Numbers);

fn compare(
    op: Comparison,
    (left_samples, a): Side<'_>,
    (right_samples, b): Side<'_>,
    samples: Option<&Samples>,
) -> Result<Outcome> {
    let missing = Missing::of(op);
    let pair = |a: f64, b: f64| match usize::from(is_missing(a)) + usize::from(is_missing(b)) {
        0 => holds(op, a, b),
        sides => missing.holds(sides),
    };
    let mut outcome = Outcome::new(samples);
    let Some(samples) = samples else {
        outcome.site = match (&a.values[..], &b.values[..]) {
            ([], []) => missing.both,
            ([], values) | (values, []) => {
                values.iter().any(|&v| missing.holds(1 + usize::from(is_missing(v))))
            }
            (a, b) => a.iter().any(|&a| b.iter().any(|&b| pair(a, b))),
        };
        return Ok(outcome);
    };
    match (a.values.is_empty(), b.values.is_empty()) {
        (true, true) => outcome.decide(samples, |_| missing.both),
        (false, false) => match (left_samples, right_samples) {
            (Some(_), Some(_)) => {
                if a.width != b.width {
                    return Err(Error::usage(format!(
                        "fields with {} and {} values per sample cannot be compared",
                        a.width, b.width
                    ))
                    .help("choose one of each by a subscript, as in FMT/AD[*:1]"));
                }
                outcome.decide(samples, |at| {
                    let (a, b) = (sample(a, at), sample(b, at));
                    a.iter()
                        .zip(b)
                        .any(|(&a, &b)| !(missing.is_never() && is_missing(a)) && pair(a, b))
                });
            }
            (Some(_), None) => outcome.decide(samples, |at| {
                sample(a, at).iter().any(|&a| b.values.iter().any(|&b| pair(a, b)))
            }),
            _ => outcome.decide(samples, |at| {
                sample(b, at).iter().any(|&b| a.values.iter().any(|&a| pair(a, b)))
            }),
        },
        (no_left, _) => {
            let (side, values) = if no_left { (right_samples, b) } else { (left_samples, a) };
            let any_missing =
                |values: &[f64]| 1 + usize::from(values.iter().any(|&v| is_missing(v)));
            match side {
                None => {
                    let sides = any_missing(&values.values);
                    outcome.decide(samples, |_| missing.holds(sides));
                }
                Some(_) => {
                    outcome.decide(samples, |at| missing.holds(any_missing(sample(values, at))))
                }
            }
        }
    }
    Ok(outcome)
}

/// The values of a sample.
pub(super) fn sample(numbers: &Numbers, at: usize) -> &[f64] {
    let start = at.saturating_mul(numbers.width);
    numbers.values.get(start..start.saturating_add(numbers.width)).unwrap_or_default()
}

fn compare_texts(
    wanted: bool,
    left: &Texts<'_>,
    right: &Texts<'_>,
    samples: Option<&Samples>,
) -> Outcome {
    let missing = Missing::of(if wanted { Comparison::Equal } else { Comparison::NotEqual });
    let pair = |a: &[u8], b: &[u8]| match usize::from(a == b".") + usize::from(b == b".") {
        0 => (a == b) == wanted,
        sides => missing.holds(sides),
    };
    let both = |a: &[u8], b: &[u8]| items(a).any(|a| items(b).any(|b| pair(a, b)));
    let alone = |text: &[u8]| missing.holds(1 + usize::from(items(text).any(|item| item == b".")));
    let mut outcome = Outcome::new(samples);
    match (left, right) {
        (Texts::Site(a), Texts::Site(b)) => {
            outcome.site = match (a, b) {
                (None, None) => missing.both,
                (Some(text), None) | (None, Some(text)) => alone(text),
                (Some(a), Some(b)) => both(a, b),
            };
        }
        (Texts::Samples(texts), Texts::Site(other))
        | (Texts::Site(other), Texts::Samples(texts)) => {
            let Some(samples) = samples else {
                return compare_texts(
                    wanted,
                    &Texts::Site(None),
                    &Texts::Site(other.clone()),
                    None,
                );
            };
            outcome.decide(samples, |at| match (texts, other) {
                (None, None) => missing.both,
                (None, Some(text)) => alone(text),
                (Some(texts), other) => texts.get(at).is_some_and(|text| match other {
                    Some(other) => both(text, other),
                    None => alone(text),
                }),
            });
        }
        // The parser lets no two texts of samples meet.
        (Texts::Samples(_), Texts::Samples(_)) => {}
    }
    outcome
}

fn items(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',')
}

/// Computes from right to left.
pub(super) fn arithmetic(
    of: &[Numeric],
    operators: &[Operator],
    record: &Record<'_>,
) -> Result<Numbers> {
    let Some((last, before)) = of.split_last() else {
        return Err(Error::internal("an empty chain of numbers"));
    };
    let mut right = values::numbers(last, record)?;
    let mut right_sampled = last.samples().is_some();
    for (part, &operator) in before.iter().zip(operators).rev() {
        let left = values::numbers(part, record)?;
        let left_sampled = part.samples().is_some();
        right = combine(operator, (left_sampled, &left), (right_sampled, &right))?;
        right_sampled |= left_sampled;
    }
    Ok(right)
}

fn combine(
    operator: Operator,
    (left_sampled, a): (bool, &Numbers),
    (right_sampled, b): (bool, &Numbers),
) -> Result<Numbers> {
    if a.values.is_empty() || b.values.is_empty() {
        return Ok(Numbers::default());
    }
    let lengths = |a: usize, b: usize| {
        Error::usage(format!("{a} and {b} values cannot be computed with one another"))
            .help("choose one by a subscript, as in INFO/AC[0]")
    };
    // How many values go with how many: of the site, or of each sample.
    let (a_len, b_len) = match (left_sampled, right_sampled) {
        (true, true) => (a.width, b.width),
        (true, false) if b.values.len() != 1 => return Err(lengths(a.width, b.values.len())),
        (false, true) if a.values.len() != 1 => return Err(lengths(a.values.len(), b.width)),
        _ => (a.values.len(), b.values.len()),
    };
    if a_len != b_len && a_len != 1 && b_len != 1 {
        return Err(lengths(a_len, b_len));
    }
    let width = a_len.max(b_len);
    let count = match (left_sampled, right_sampled) {
        (true, true) => (a.values.len() / a.width.max(1)) * width,
        _ => a.values.len().max(b.values.len()),
    };
    let pick = |numbers: &Numbers, len: usize, sampled: bool, at: usize| {
        let index = match (sampled, len) {
            _ if numbers.values.len() == 1 => 0,
            (true, 1) if left_sampled && right_sampled => at / width,
            _ => at,
        };
        numbers.values.get(index).copied().unwrap_or(MISSING)
    };
    let mut any = false;
    let values: Vec<f64> = (0..count)
        .map(|at| {
            let (x, y) = (pick(a, a_len, left_sampled, at), pick(b, b_len, right_sampled, at));
            if is_missing(x) || is_missing(y) {
                return MISSING;
            }
            any = true;
            apply(operator, x, y)
        })
        .collect();
    if !any {
        return Ok(Numbers::default());
    }
    let width = match (left_sampled, right_sampled) {
        (true, true) => width,
        (true, false) => a.width,
        (false, true) => b.width,
        (false, false) => values.len(),
    };
    Ok(Numbers { values, width })
}

fn apply(operator: Operator, x: f64, y: f64) -> f64 {
    match operator {
        Operator::Add => x + y,
        Operator::Subtract => x - y,
        Operator::Multiply => x * y,
        Operator::Divide => x / y,
        // Of whole numbers; there is no remainder of nothing.
        Operator::Remainder => (x as i32).checked_rem(y as i32).map_or(MISSING, f64::from),
    }
}

/// The number of samples that a condition holds for.
pub(super) fn passing(of: &Condition, fraction: bool, record: &Record<'_>) -> Result<f64> {
    let samples = condition(of, record)?.samples.unwrap_or_default();
    let count = samples.iter().filter(|&&holds| holds).count() as f64;
    Ok(match fraction {
        true if samples.is_empty() => 0.0,
        true => count / samples.len() as f64,
        false => count,
    })
}

/// Whether texts stand for numbers of samples.
pub(super) fn text_count(textual: &Textual, record: &Record<'_>) -> f64 {
    match text::texts(textual, record) {
        Texts::Site(Some(text)) => (1 + memchr::memchr_iter(b',', &text).count()) as f64,
        _ => 0.0,
    }
}
