//! The value of an expression for one record.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{
    Binary, Compare, Fault, FilterContext, Function, Link, Node, Pattern, Unary, pattern as compile,
};
use crate::records::alignments::{Record, Tag};

/// A value, and whether it counts as true whatever it is: a tag that is there does.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    data: Data<'a>,
    is_true: bool,
}

#[derive(Clone, Debug)]
enum Data<'a> {
    /// A tag that is absent.
    Absent,
    /// NaN stands for the result of a calculation with what is absent.
    Number(f64),
    Text(Cow<'a, [u8]>),
    /// A `B` tag, of which only the presence can be asked.
    Array,
}

type Evaluated<'a> = Result<Value<'a>, Fault>;

pub(super) fn is_true(
    root: &Node,
    record: &Record<'_>,
    context: &FilterContext<'_>,
) -> Result<bool, Fault> {
    let value = evaluate(root, record, context)?;
    Ok(value.is_true || value.is_truthy())
}

fn evaluate<'a>(node: &'a Node, record: &Record<'a>, context: &FilterContext<'a>) -> Evaluated<'a> {
    let value = |node| evaluate(node, record, context);
    match node {
        Node::Number(number) => Ok(Value::number(*number)),
        Node::Text(text) => Ok(Value::text(text.as_slice())),
        Node::Variable(variable) => Ok(variable.value(record, context)),
        Node::Tag(name) => Ok(tag_value(*name, record)),
        Node::Unary { op, at, of } => unary(*op, *at, value(of)?),
        Node::Chain { first, rest } => rest.iter().try_fold(value(first)?, |left, link| {
            let Link { op, at, right } = link;
            binary(*op, *at, left, value(right)?)
        }),
        Node::Compare { op, at, left, right } => compare(*op, *at, &value(left)?, &value(right)?),
        Node::Search { wanted, at, text, pattern } => match pattern {
            Pattern::Fixed(pattern) => search(*wanted, *at, &value(text)?, pattern),
            Pattern::Computed(pattern) => {
                let (text, pattern) = (value(text)?, value(pattern)?);
                match &pattern.data {
                    Data::Absent => Ok(Value::undefined()),
                    Data::Text(pattern) => {
                        let pattern = compile(until_nul(pattern), *at)?;
                        search(*wanted, *at, &text, &pattern)
                    }
                    _ => Err(mismatch(*at, "text for a pattern", &pattern)),
                }
            }
        },
        Node::Call { function, at, arguments } => match arguments.as_slice() {
            [of] => call(*function, *at, value(of)?),
            [of, other] => call_with_two(*function, *at, value(of)?, value(other)?),
            _ => Err(Fault::new(*at, "a function with so many arguments is unknown")),
        },
    }
}

impl<'a> Value<'a> {
    pub(super) fn number(number: f64) -> Self {
        Self { data: Data::Number(number), is_true: false }
    }

    pub(super) fn text(text: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { data: Data::Text(text.into()), is_true: false }
    }

    fn undefined() -> Self {
        Self::number(f64::NAN)
    }

    /// The outcome of an operator that yields 0 or 1.
    fn truth(is_true: bool) -> Self {
        Self { data: Data::Number(f64::from(u8::from(is_true))), is_true }
    }

    /// The outcome of a calculation, which forgets that a tag was there.
    fn calculated(number: f64) -> Self {
        Self { data: Data::Number(number), is_true: number != 0.0 && !number.is_nan() }
    }

    fn is_defined(&self) -> bool {
        match self.data {
            Data::Absent => false,
            Data::Number(number) => !number.is_nan(),
            Data::Text(_) | Data::Array => true,
        }
    }

    fn exists(&self) -> bool {
        self.is_true || self.is_defined()
    }

    fn is_truthy(&self) -> bool {
        self.is_true
            || match self.data {
                Data::Absent => false,
                Data::Number(number) => number != 0.0 && !number.is_nan(),
                Data::Text(_) | Data::Array => true,
            }
    }

    fn with_data(self, data: Data<'a>) -> Self {
        Self { data, ..self }
    }

    fn kind(&self) -> &'static str {
        match self.data {
            Data::Absent => "a tag that is absent",
            Data::Number(_) => "a number",
            Data::Text(_) => "text",
            Data::Array => "an array (type B)",
        }
    }

    /// The number, or NaN where it is undefined.
    fn as_number(&self, at: usize) -> Result<f64, Fault> {
        match self.data {
            Data::Number(number) => Ok(number),
            Data::Absent => Ok(f64::NAN),
            Data::Text(_) | Data::Array => Err(mismatch(at, "a number", self)),
        }
    }
}

fn mismatch(at: usize, expected: &str, found: &Value<'_>) -> Fault {
    Fault::new(at, "a value of the wrong type").expected(expected).found(found.kind())
}

fn tag_value<'a>(name: [u8; 2], record: &Record<'a>) -> Value<'a> {
    // Readers turn the CG tag of a long CIGAR into the CIGAR, so that it is no tag any more.
    let tag = record.tag(name).filter(|_| name != *b"CG" || record.long_cigar().is_none());
    let Some(tag) = tag else { return Value { data: Data::Absent, is_true: false } };
    Value { data: tag_data(&tag), is_true: true }
}

fn tag_data<'a>(tag: &Tag<'a>) -> Data<'a> {
    match (tag.kind, tag.value) {
        (b'A', letter) => Data::Text(letter.into()),
        (b'f', &[b0, b1, b2, b3]) => Data::Number(f64::from(f32::from_le_bytes([b0, b1, b2, b3]))),
        (b'Z' | b'H', _) => Data::Text(super::super::text_of(tag).into()),
        _ => tag.as_int().map_or(Data::Array, |number| Data::Number(number as f64)),
    }
}

fn unary<'a>(op: Unary, at: usize, of: Value<'a>) -> Evaluated<'a> {
    if op == Unary::Not {
        return Ok(Value::truth(match of.data {
            _ if of.is_true => false,
            Data::Number(number) => number.is_nan() || whole(number) == 0,
            Data::Absent => true,
            Data::Text(_) | Data::Array => false,
        }));
    }
    if !of.is_defined() {
        return Ok(Value::undefined());
    }
    let number = of.as_number(at)?;
    Ok(Value::calculated(match op {
        Unary::Minus => -number,
        Unary::Complement => !whole(number) as f64,
        Unary::Plus | Unary::Not => number,
    }))
}

fn binary<'a>(op: Binary, at: usize, left: Value<'a>, right: Value<'a>) -> Evaluated<'a> {
    match op {
        Binary::And => {
            return Ok(if left.exists() && right.exists() {
                Value::truth(left.is_truthy() && right.is_truthy())
            } else {
                Value::truth(false)
            });
        }
        Binary::Or => return Ok(Value::truth(left.is_truthy() || right.is_truthy())),
        _ => {}
    }
    if !left.is_defined() || !right.is_defined() {
        return Ok(Value::undefined());
    }
    let (left, right) = (left.as_number(at)?, right.as_number(at)?);
    Ok(Value::calculated(match op {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        Binary::Remainder => {
            // Undefined too where cutting makes the divisor 0, which stops samtools.
            whole(left).checked_rem(whole(right)).map_or(f64::NAN, |rest| rest as f64)
        }
        Binary::BitAnd => (whole(left) & whole(right)) as f64,
        Binary::BitXor => (whole(left) ^ whole(right)) as f64,
        Binary::BitOr => (whole(left) | whole(right)) as f64,
        Binary::And | Binary::Or => f64::NAN,
    }))
}

/// Cut towards zero; beyond the range of 64 bits, its ends.
fn whole(number: f64) -> i64 {
    number as i64
}

fn compare<'a>(op: Compare, at: usize, left: &Value<'_>, right: &Value<'_>) -> Evaluated<'a> {
    for side in [left, right] {
        if matches!(side.data, Data::Array) {
            return Err(mismatch(at, "a number or text", side));
        }
    }
    if !left.is_defined() || !right.is_defined() {
        return Ok(Value::undefined());
    }
    let ordering = match (&left.data, &right.data) {
        (Data::Number(left), Data::Number(right)) => left.partial_cmp(right),
        // As C compares strings, for which qualities of 0 are an end.
        (Data::Text(left), Data::Text(right)) => Some(until_nul(left).cmp(until_nul(right))),
        _ => None,
    };
    Ok(Value::truth(match op {
        Compare::Greater => ordering.is_some_and(|ordering| ordering.is_gt()),
        Compare::GreaterOrEqual => ordering.is_some_and(|ordering| ordering.is_ge()),
        Compare::Less => ordering.is_some_and(|ordering| ordering.is_lt()),
        Compare::LessOrEqual => ordering.is_some_and(|ordering| ordering.is_le()),
        Compare::Equal => ordering.is_some_and(|ordering| ordering.is_eq()),
        Compare::NotEqual => !ordering.is_some_and(|ordering| ordering.is_eq()),
    }))
}

fn search<'a>(wanted: bool, at: usize, text: &Value<'_>, pattern: &Regex) -> Evaluated<'a> {
    match &text.data {
        Data::Text(text) => Ok(Value::truth(pattern.is_match(until_nul(text)) == wanted)),
        Data::Absent => Ok(Value::truth(false)),
        _ => Err(mismatch(at, "text to search for a pattern", text)),
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |end| &text[..end])
}

fn call<'a>(function: Function, at: usize, of: Value<'a>) -> Evaluated<'a> {
    let text = |of: &Value<'a>| match &of.data {
        Data::Text(text) => Ok(text.clone()),
        // As in samtools, an absent tag has length 0, and so an average of 0.
        Data::Absent => Ok(Cow::default()),
        _ => Err(mismatch(at, "text", of)),
    };
    // These leave the presence of a tag true, whatever the result.
    let number = match function {
        Function::Exists => return Ok(Value::truth(of.exists())),
        Function::Length => text(&of)?.len() as f64,
        Function::Min => text(&of)?.iter().min().map_or(f64::NAN, |&byte| f64::from(byte)),
        Function::Max => text(&of)?.iter().max().map_or(f64::NAN, |&byte| f64::from(byte)),
        Function::Avg => {
            let text = text(&of)?;
            let sum: u64 = text.iter().map(|&byte| u64::from(byte)).sum();
            sum as f64 / text.len().max(1) as f64
        }
        Function::Sqrt | Function::Log | Function::Exp => {
            // As in samtools, an absent tag is taken for 0 here.
            let number = if matches!(of.data, Data::Absent) { 0.0 } else { of.as_number(at)? };
            let result = match function {
                Function::Sqrt => number.sqrt(),
                Function::Log => number.ln(),
                _ => number.exp(),
            };
            if result.is_nan() {
                return Ok(Value::undefined());
            }
            result
        }
        Function::Pow | Function::Default => {
            return Err(Fault::new(at, "a second argument is missing"));
        }
    };
    Ok(of.with_data(Data::Number(number)))
}

fn call_with_two<'a>(
    function: Function,
    at: usize,
    of: Value<'a>,
    other: Value<'a>,
) -> Evaluated<'a> {
    match function {
        Function::Default => Ok(if of.exists() { of } else { other }),
        Function::Pow => {
            if !of.is_defined() || !other.is_defined() {
                return Ok(Value::undefined());
            }
            let power = of.as_number(at)?.powf(other.as_number(at)?);
            Ok(if power.is_nan() { Value::undefined() } else { of.with_data(Data::Number(power)) })
        }
        _ => Err(Fault::new(at, "only one argument is known")),
    }
}
