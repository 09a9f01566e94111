//! What an expression can be for a row group, from the ranges that the index has of it.

use super::eval;
use super::lex::{Comparison, Logic};
use super::node::{Condition, Numeric};
use crate::vcs::index::Quality;

/// Whether there may be records for which a condition holds, and for which it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May {
    /// It may hold.
    pub hold: bool,
    /// It may fail.
    pub fail: bool,
}

impl May {
    const ANY: Self = Self { hold: true, fail: true };
}

/// Values of a row group: their range, and whether some are missing.
struct Range {
    values: Option<(f64, f64)>,
    missing: bool,
}

/// What a condition can be, of sites.
pub(super) fn may(condition: &Condition, quality: &Quality) -> May {
    match condition {
        Condition::Chain { of, links, .. } => {
            let Some((last, before)) = of.split_last() else { return May::ANY };
            before.iter().zip(links).rev().fold(may(last, quality), |right, (part, link)| {
                let left = may(part, quality);
                match link {
                    // Samples decide in the end, so that what holds of both may fail together.
                    Logic::And if condition.samples().is_some() => {
                        May { hold: left.hold && right.hold, fail: true }
                    }
                    Logic::And | Logic::SiteAnd => {
                        May { hold: left.hold && right.hold, fail: left.fail || right.fail }
                    }
                    Logic::Or | Logic::SiteOr => {
                        May { hold: left.hold || right.hold, fail: left.fail && right.fail }
                    }
                }
            })
        }
        Condition::Numbers { op, left, right, samples: None } => match (left, right) {
            (left, Numeric::Constant(bound)) => compare(*op, range(left, quality), Some(*bound)),
            (left, Numeric::Missing) => compare(*op, range(left, quality), None),
            (Numeric::Constant(bound), right) => {
                compare(mirrored(*op), range(right, quality), Some(*bound))
            }
            _ => May::ANY,
        },
        Condition::Filter { op, names } => match &quality.filters {
            Some(texts) => {
                let holds = |text: &String| eval::filter(*op, names, text.as_bytes());
                May { hold: texts.iter().any(holds), fail: !texts.iter().all(holds) }
            }
            None => May::ANY,
        },
        _ => May::ANY,
    }
}

fn range(numeric: &Numeric, quality: &Quality) -> Option<Range> {
    match numeric {
        Numeric::Quality => Some(Range { values: quality.qual, missing: quality.qual_missing > 0 }),
        Numeric::Info { key, declaration, .. } if key == "DP" && declaration.is_single => {
            let values = quality.dp.map(|(least, most)| (least as f64, most as f64));
            // Without either the column was not looked at; what BCF cannot hold is missing there.
            let is_known = values.is_some() || quality.dp_missing > 0;
            let is_wide = values
                .is_some_and(|(a, b)| a < f64::from(i32::MIN) + 8.0 || b > f64::from(i32::MAX));
            is_known.then_some(Range { values, missing: quality.dp_missing > 0 || is_wide })
        }
        _ => None,
    }
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

/// Compares a range with a number, or with `.`.
fn compare(op: Comparison, range: Option<Range>, bound: Option<f64>) -> May {
    let Some(Range { values, missing }) = range else { return May::ANY };
    let Some(bound) = bound else {
        let (equal, other) = (missing, values.is_some());
        return match op {
            Comparison::Equal => May { hold: equal, fail: other },
            _ => May { hold: other, fail: equal },
        };
    };
    let Some((least, most)) = values else {
        return May { hold: op == Comparison::NotEqual, fail: op != Comparison::NotEqual };
    };
    // Comparisons in 32 and in 64 bits may differ; both count.
    let narrow = |x: f64| f64::from(x as f32);
    let any = |of: fn(f64, f64) -> bool, x: f64| of(x, bound) || of(narrow(x), narrow(bound));
    let may = match op {
        Comparison::Less => May { hold: any(|a, b| a < b, least), fail: any(|a, b| a >= b, most) },
        Comparison::LessOrEqual => {
            May { hold: any(|a, b| a <= b, least), fail: any(|a, b| a > b, most) }
        }
        Comparison::Greater => {
            May { hold: any(|a, b| a > b, most), fail: any(|a, b| a <= b, least) }
        }
        Comparison::GreaterOrEqual => {
            May { hold: any(|a, b| a >= b, most), fail: any(|a, b| a < b, least) }
        }
        Comparison::Equal | Comparison::NotEqual => {
            let may_equal = any(|a, b| a <= b, least) && any(|a, b| a >= b, most);
            let may_differ = least != most || least != bound;
            match op {
                Comparison::Equal => May { hold: may_equal, fail: may_differ },
                _ => May { hold: may_differ, fail: may_equal },
            }
        }
        Comparison::Like | Comparison::NotLike => May::ANY,
    };
    let holds_missing = op == Comparison::NotEqual;
    May {
        hold: may.hold || (missing && holds_missing),
        fail: may.fail || (missing && !holds_missing),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expression;
    use super::super::dictionary::Dictionary;
    use super::*;

    #[test]
    fn test_may_tells_what_ranges_rule_out() {
        let header = "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
            ##FORMAT=<ID=GQ,Number=1,Type=Integer,Description=\"x\">\n\
            ##FILTER=<ID=q10,Description=\"x\">\n";
        let dictionary = Dictionary::of_header(header, vec!["a".into()]);
        let quality = Quality {
            qual: Some((10.0, 29.9)),
            qual_missing: 0,
            dp: Some((5, 30)),
            dp_missing: 2,
            filters: Some(vec!["PASS".into(), "q10".into()]),
        };
        for (text, hold, fail) in [
            ("QUAL>30", false, true),
            ("QUAL>=29.9", true, true),
            ("QUAL<30", true, false),
            ("30>QUAL", true, false),
            ("QUAL=5", false, true),
            ("QUAL=\".\"", false, true),
            ("INFO/DP>30", false, true),
            ("INFO/DP<=30", true, true),
            ("INFO/DP!=\".\"", true, true),
            ("FILTER=\".\"", false, true),
            ("FILTER~\"q10\"", true, true),
            ("FILTER!=\".\"", true, false),
            ("QUAL>30 || INFO/DP>30", false, true),
            ("QUAL<30 && GQ>5", true, true),
            ("QUAL>30 & GQ>5", false, true),
            ("QUAL<30 | GQ>5", true, false),
            ("GQ>5", true, true),
            ("POS>5", true, true),
        ] {
            let expression = Expression::parse(text, &dictionary, &|_| Ok(String::new())).unwrap();
            assert_eq!(expression.may(&quality), May { hold, fail }, "{text}");
        }
    }
}
