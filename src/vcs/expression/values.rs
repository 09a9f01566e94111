//! Numbers of a record.

use super::dictionary::{Declaration, Kind};
use super::eval::{self, Numbers, sample};
use super::node::{AlleleNumber, Elements, Numeric, Reduction, Samples, Textual};
use super::record::{self, MISSING, Record, alleles, is_missing};
use super::{eval::Texts, text};
use crate::error::Result;

/// The numbers that a part of an expression stands for.
pub(super) fn numbers(numeric: &Numeric, record: &Record<'_>) -> Result<Numbers> {
    let site = |values: Vec<f64>| Numbers { width: values.len(), values };
    Ok(match numeric {
        Numeric::Constant(number) => site(vec![*number]),
        Numeric::Missing => site(vec![MISSING]),
        Numeric::Quality => site(vec![record.quality()]),
        Numeric::Position => site(vec![record.position() as f64]),
        Numeric::AlternateCount => site(vec![record.alternates().count() as f64]),
        Numeric::IndelLength => {
            let length = record.reference().len();
            let change = |allele: &[u8]| match allele.len() == length {
                true => MISSING,
                false => allele.len() as f64 - length as f64,
            };
            site(record.alternates().map(change).collect())
        }
        Numeric::Uncalled { fraction } => site(uncalled(*fraction, record)),
        Numeric::Alleles { what, at } => site(allele_numbers(*what, *at, record)),
        Numeric::Flag(key) => site(vec![f64::from(u8::from(record.info(key).is_some()))]),
        Numeric::Info { key, declaration, elements } => {
            site(info(record.info(key).flatten(), *declaration, elements))
        }
        Numeric::Format { key, declaration, elements, samples } => {
            format(record.format(key), *declaration, elements, samples.len())
        }
        Numeric::Arithmetic { of, operators, .. } => eval::arithmetic(of, operators, record)?,
        Numeric::Reduce { how, per_sample, of } => {
            let numbers = numbers(of, record)?;
            match (of.samples(), per_sample) {
                (Some(samples), true) => {
                    let one = |at: usize| match samples[at] {
                        true => reduce(*how, sample(&numbers, at).to_vec()).unwrap_or(MISSING),
                        false => MISSING,
                    };
                    let values = match numbers.values.is_empty() {
                        true => Vec::new(),
                        false => (0..samples.len()).map(one).collect(),
                    };
                    Numbers { values, width: 1 }
                }
                (samples, _) => {
                    site(reduce(*how, counted(&numbers, samples)).into_iter().collect())
                }
            }
        }
        Numeric::Absolute(of) => {
            let mut numbers = numbers(of, record)?;
            for value in numbers.values.iter_mut().filter(|value| !is_missing(**value)) {
                *value = value.abs();
            }
            numbers
        }
        Numeric::Count(of) => {
            let numbers = numbers(of, record)?;
            let count = match of.samples() {
                Some(samples) => {
                    let values = counted(&numbers, Some(samples));
                    values.iter().filter(|value| !is_missing(**value)).count()
                }
                None => numbers.values.len(),
            };
            site(vec![count as f64])
        }
        Numeric::CountTexts(of) => site(vec![eval::text_count(of, record)]),
        Numeric::Passing { fraction, of } => site(vec![eval::passing(of, *fraction, record)?]),
        Numeric::Length(of) => site(lengths(of, record)),
    })
}

/// The values of the samples that count, or of the site.
fn counted(numbers: &Numbers, samples: Option<&Samples>) -> Vec<f64> {
    let Some(samples) = samples else { return numbers.values.clone() };
    let chosen = samples.iter().enumerate().filter(|(_, counts)| **counts);
    chosen.flat_map(|(at, _)| sample(numbers, at)).copied().collect()
}

/// One number of many, unless all are missing.
fn reduce(how: Reduction, mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| !is_missing(*value));
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    Some(match how {
        Reduction::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Reduction::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Reduction::Mean => mean(&values),
        Reduction::Sum => values.iter().sum(),
        Reduction::Median => {
            values.sort_by(f64::total_cmp);
            let half = values.len() / 2;
            match values.len() % 2 {
                1 => values[half],
                _ => (values[half - 1] + values[half]) * 0.5,
            }
        }
        Reduction::Deviation => {
            let mean = mean(&values);
            let squares = values.iter().map(|value| (value - mean) * (value - mean));
            (squares.sum::<f64>() / count).sqrt()
        }
    })
}

fn info(text: Option<&[u8]>, declaration: Declaration, elements: &Elements) -> Vec<f64> {
    let Some(text) = text else { return Vec::new() };
    let mut values = Vec::new();
    record::numbers(text, declaration.kind, &mut values);
    if declaration.is_single {
        return match values[..] {
            [one] if is_missing(one) => Vec::new(),
            [one] => vec![one],
            // A list where one value is declared counts as 0.
            _ => vec![0.0],
        };
    }
    let is_integer = declaration.kind == Kind::Integer;
    match (elements, &values[..]) {
        // A lone value is every element. If it is missing, bcftools sees what stands for that in
        // BCF, in 8 bits; of integers in lists, in 32.
        (Elements::One(_), [one]) if !is_missing(*one) => vec![*one],
        (Elements::One(_), [_]) => vec![if is_integer { -128.0 } else { f64::NAN }],
        (Elements::One(at), values) => {
            values.get(*at).copied().filter(|value| !is_missing(*value)).into_iter().collect()
        }
        (elements, values) => {
            let chosen = values.iter().enumerate().filter(|(at, _)| elements.has(*at));
            let value = |value: f64| match is_missing(value) && is_integer {
                true => f64::from(i32::MIN),
                false => value,
            };
            chosen.map(|(_, &number)| value(number)).collect()
        }
    }
}

fn format(
    texts: Option<Vec<&[u8]>>,
    declaration: Declaration,
    elements: &Elements,
    samples: usize,
) -> Numbers {
    let Some(texts) = texts else { return Numbers::default() };
    let mut values = Vec::new();
    let mut ends = Vec::with_capacity(texts.len());
    let mut most = 1;
    for text in texts.into_iter().take(samples) {
        let start = values.len();
        record::numbers(text, declaration.kind, &mut values);
        most = most.max(values.len() - start);
        ends.push(values.len());
    }
    if *elements == Elements::All && values.len() == ends.len() * most {
        return Numbers { values, width: most };
    }
    let chosen: Vec<usize> = match elements {
        Elements::One(at) => vec![*at],
        Elements::Listed { marked, open } => {
            let most = if *open { most } else { marked.len() };
            (0..most).filter(|&at| elements.has(at)).collect()
        }
        Elements::All => (0..most).collect(),
    };
    let width = chosen.len().max(1);
    let mut out = Vec::with_capacity(width * ends.len());
    let mut start = 0;
    for end in ends {
        let own = &values[start..end];
        out.extend(chosen.iter().map(|&at| own.get(at).copied().unwrap_or(MISSING)));
        if chosen.is_empty() {
            out.push(MISSING);
        }
        start = end;
    }
    Numbers { values: out, width }
}

fn uncalled(fraction: bool, record: &Record<'_>) -> Vec<f64> {
    let Some(texts) = record.format("GT") else {
        return if record.has_samples() { Vec::new() } else { vec![0.0] };
    };
    let count = texts.iter().filter(|text| alleles(text).any(|allele| allele.is_none())).count();
    vec![match fraction {
        true => count as f64 / texts.len() as f64,
        false => count as f64,
    }]
}

/// How often each allele is there, the reference first: from INFO, or from genotypes.
pub(in crate::vcs) fn allele_counts(record: &Record<'_>, from_info: bool) -> Option<Vec<i64>> {
    let alleles_of_site = record.alternates().count() + 1;
    let mut counts = vec![0_i64; alleles_of_site];
    let integers = |key: &str| -> Option<Vec<f64>> {
        let mut values = Vec::new();
        record::numbers(record.info(key).flatten()?, Kind::Integer, &mut values);
        Some(values)
    };
    if from_info
        && let (Some(alternates), Some(total)) = (integers("AC"), integers("AN"))
        && let [total] = total[..]
        && !is_missing(total)
    {
        if alternates.len() + 1 != alleles_of_site {
            return None;
        }
        for (count, value) in counts[1..].iter_mut().zip(&alternates) {
            *count = if is_missing(*value) { 0 } else { *value as i64 };
        }
        counts[0] = (total as i64 - counts[1..].iter().sum::<i64>()).max(0);
        return Some(counts);
    }
    for text in record.format("GT")? {
        for allele in alleles(text).flatten() {
            if let Some(count) = counts.get_mut(allele) {
                *count += 1;
            }
        }
    }
    Some(counts)
}

fn allele_numbers(what: AlleleNumber, at: Option<usize>, record: &Record<'_>) -> Vec<f64> {
    let counts = allele_counts(record, true).unwrap_or_default();
    let total = counts.iter().sum::<i64>() as f64;
    if what == AlleleNumber::Total {
        return vec![total];
    }
    if total == 0.0 {
        return Vec::new();
    }
    let number = |count: i64| {
        let count = count as f64;
        match what {
            AlleleNumber::Count | AlleleNumber::Total => count,
            AlleleNumber::MinorCount if count > total * 0.5 => total - count,
            AlleleNumber::MinorCount => count,
            AlleleNumber::Frequency => count / total,
            AlleleNumber::MinorFrequency if count / total > 0.5 => 1.0 - count / total,
            AlleleNumber::MinorFrequency => count / total,
        }
    };
    match at {
        Some(at) => vec![number(counts.get(at + 1).copied().unwrap_or(0))],
        None if counts.len() == 1 => vec![number(0)],
        None => counts[1..].iter().map(|&count| number(count)).collect(),
    }
}

/// Lengths of texts: of each value of a list, else of the whole.
fn lengths(of: &Textual, record: &Record<'_>) -> Vec<f64> {
    let Texts::Site(Some(text)) = text::texts(of, record) else { return Vec::new() };
    let is_list = match of {
        Textual::Alt(elements) => !matches!(elements, Elements::One(_)) && *text != *b".",
        Textual::Info { declaration, elements, .. } => {
            !declaration.is_single && !matches!(elements, Elements::One(_))
        }
        _ => false,
    };
    if is_list {
        return text.split(|&byte| byte == b',').map(|item| item.len() as f64).collect();
    }
    vec![if *text == *b"." { 0.0 } else { text.len() as f64 }]
}
