//! From text to a tree, by recursive descent.

use super::variable::{self, Variable};
use super::{Binary, Compare, Fault, Function, Link, Node, Pattern, Unary, pattern as compile};

/// Parentheses, calls and right-hand sides within each other: a bound for the stack.
const MAX_DEPTH: usize = 100;

/// The functions and how many arguments each has.
const FUNCTIONS: [(&str, Function, usize); 10] = [
    ("avg", Function::Avg, 1),
    ("default", Function::Default, 2),
    ("exists", Function::Exists, 1),
    ("exp", Function::Exp, 1),
    ("length", Function::Length, 1),
    ("log", Function::Log, 1),
    ("max", Function::Max, 1),
    ("min", Function::Min, 1),
    ("pow", Function::Pow, 2),
    ("sqrt", Function::Sqrt, 1),
];

/// The operators of one precedence that associate to the left; for each, what may not follow it.
type Operators = &'static [(&'static str, &'static str, Binary)];

/// From the weakest binding to the strongest; comparisons stand between the first and the second.
const LEVELS: [Operators; 6] = [
    &[("&&", "", Binary::And), ("||", "", Binary::Or)],
    &[("|", "|", Binary::BitOr)],
    &[("^", "", Binary::BitXor)],
    &[("&", "&", Binary::BitAnd)],
    &[("+", "", Binary::Add), ("-", "", Binary::Subtract)],
    &[("*", "", Binary::Multiply), ("/", "", Binary::Divide), ("%", "", Binary::Remainder)],
];

type Parsed = Result<Node, Fault>;

pub(super) fn parse(text: &str) -> Parsed {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.expression()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(node)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn expression(&mut self) -> Parsed {
        self.deeper(|parser| parser.chain(0))
    }

    /// Operators of `LEVELS[level]` between what binds stronger.
    fn chain(&mut self, level: usize) -> Parsed {
        let operand = |parser: &mut Self| match level {
            0 => parser.equality(),
            _ if level + 1 < LEVELS.len() => parser.chain(level + 1),
            _ => parser.unary(),
        };
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some((at, op)) = self.operator(LEVELS[level]) {
            rest.push(Link { op, at, right: operand(self)? });
        }
        Ok(if rest.is_empty() { first } else { Node::Chain { first: Box::new(first), rest } })
    }

    fn operator(&mut self, operators: Operators) -> Option<(usize, Binary)> {
        self.skip_space();
        let at = self.at;
        let rest = &self.text[at..];
        let (symbol, _, op) = operators.iter().find(|(symbol, not_before, _)| {
            rest.strip_prefix(symbol)
                .is_some_and(|after| not_before.is_empty() || !after.starts_with(not_before))
        })?;
        self.at += symbol.len();
        Some((at, *op))
    }

    /// `==` and its like bind to the right.
    fn equality(&mut self) -> Parsed {
        let left = self.order()?;
        self.skip_space();
        let at = self.at;
        let rest = &self.text[at..];
        if let Some(wanted) = [("=~", true), ("!~", false)]
            .iter()
            .find_map(|(symbol, wanted)| rest.starts_with(symbol).then_some(*wanted))
        {
            self.at += 2;
            self.skip_space();
            let pattern_at = self.at;
            let pattern = match self.deeper(Self::equality)? {
                Node::Text(text) => Pattern::Fixed(compile(&text, pattern_at)?),
                other => Pattern::Computed(Box::new(other)),
            };
            return Ok(Node::Search { wanted, at, text: Box::new(left), pattern });
        }
        let op = match rest.as_bytes() {
            [b'=', b'=', ..] => Compare::Equal,
            [b'!', b'=', ..] => Compare::NotEqual,
            _ => return Ok(left),
        };
        self.at += 2;
        let right = self.deeper(Self::equality)?;
        Ok(Node::Compare { op, at, left: Box::new(left), right: Box::new(right) })
    }

    /// `<` and its like bind to the right.
    fn order(&mut self) -> Parsed {
        let left = self.chain(1)?;
        self.skip_space();
        let at = self.at;
        let (op, len) = match &self.text.as_bytes()[at..] {
            [b'>', b'=', ..] => (Compare::GreaterOrEqual, 2),
            [b'>', ..] => (Compare::Greater, 1),
            [b'<', b'=', ..] => (Compare::LessOrEqual, 2),
            [b'<', ..] => (Compare::Less, 1),
            _ => return Ok(left),
        };
        self.at += len;
        let right = self.deeper(Self::order)?;
        Ok(Node::Compare { op, at, left: Box::new(left), right: Box::new(right) })
    }

    fn unary(&mut self) -> Parsed {
        let op = match self.peek() {
            Some('+') => Unary::Plus,
            Some('-') => Unary::Minus,
            Some('!') => Unary::Not,
            Some('~') => Unary::Complement,
            _ => return self.simple(),
        };
        let at = self.at;
        self.at += 1;
        let of = Box::new(match op {
            Unary::Plus | Unary::Minus => self.deeper(Self::simple)?,
            Unary::Not | Unary::Complement => self.deeper(Self::unary)?,
        });
        Ok(Node::Unary { op, at, of })
    }

    fn simple(&mut self) -> Parsed {
        const EXPECTED: &str =
            "a number, text in double quotes, a variable, a tag as in [NM], a function or '('";
        match self.peek() {
            Some('(') => {
                let open = self.at;
                self.at += 1;
                let node = self.expression()?;
                self.close(open)?;
                Ok(node)
            }
            Some('"') => self.quoted(),
            Some('[') => self.tag(),
            Some('0'..='9' | '.' | '+' | '-') => match self.number() {
                Some(number) => Ok(Node::Number(number)),
                None => Err(self.unexpected(EXPECTED)),
            },
            Some(c) if c.is_ascii_alphabetic() => self.name(),
            _ => Err(self.unexpected(EXPECTED)),
        }
    }

    /// A decimal or hexadecimal number, with a sign where a unary operator stood before.
    fn number(&mut self) -> Option<f64> {
        let rest = &self.text[self.at..];
        let digits = rest.trim_start_matches(['+', '-']);
        if rest.len() - digits.len() > 1 {
            return None;
        }
        let sign = if rest.starts_with('-') { -1.0 } else { 1.0 };
        let bytes = digits.as_bytes();
        let count = |from: usize, is_digit: fn(&u8) -> bool| {
            bytes.iter().skip(from).take_while(|&byte| is_digit(byte)).count()
        };
        if let [b'0', b'x' | b'X', ..] = bytes {
            let len = count(2, u8::is_ascii_hexdigit);
            if len > 0 {
                self.at += rest.len() - digits.len() + 2 + len;
                let value = digits[2..2 + len].chars().filter_map(|c| c.to_digit(16));
                return Some(sign * value.fold(0.0, |sum, digit| sum * 16.0 + f64::from(digit)));
            }
        }
        let whole = count(0, u8::is_ascii_digit);
        let mut len = whole;
        if bytes.get(len) == Some(&b'.') {
            len += 1 + count(len + 1, u8::is_ascii_digit);
        }
        if len == 0 || &digits[..len] == "." {
            return None;
        }
        if let Some(b'e' | b'E') = bytes.get(len) {
            let signed = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            let exponent = count(len + 1 + signed, u8::is_ascii_digit);
            if exponent > 0 {
                len += 1 + signed + exponent;
            }
        }
        let number: f64 = digits[..len].parse().ok()?;
        self.at += rest.len() - digits.len() + len;
        Some(sign * number)
    }

    fn quoted(&mut self) -> Parsed {
        let open = self.at;
        let mut text = Vec::new();
        let mut bytes = self.text.bytes().enumerate().skip(open + 1);
        loop {
            let unclosed = || Fault::new(open, "text without its closing '\"'");
            let (at, byte) = bytes.next().ok_or_else(unclosed)?;
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Ok(Node::Text(text));
                }
                b'\\' => match bytes.next().ok_or_else(unclosed)?.1 {
                    byte @ (b'"' | b'\\') => text.push(byte),
                    b't' => text.push(b'\t'),
                    b'n' => text.push(b'\n'),
                    b'r' => text.push(b'\r'),
                    byte => text.extend([b'\\', byte]),
                },
                byte => text.push(byte),
            }
        }
    }

    fn tag(&mut self) -> Parsed {
        match self.text.as_bytes()[self.at..] {
            [_, first, second, b']', ..] if first.is_ascii() && second.is_ascii() => {
                self.at += 4;
                Ok(Node::Tag([first, second]))
            }
            _ => Err(self.unexpected("a tag: two characters in brackets, as in [NM]")),
        }
    }

    /// A variable or a function.
    fn name(&mut self) -> Parsed {
        let at = self.at;
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let rest = &self.text[at..];
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += name.len();
        let function = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        match function {
            Some(&(_, function, count)) => {
                if self.peek() != Some('(') {
                    return Err(self.unexpected(&format!("'(' after the function {name}")));
                }
                let open = self.at;
                self.at += 1;
                let mut arguments = vec![self.expression()?];
                while arguments.len() < count {
                    if self.peek() != Some(',') {
                        return Err(self.unexpected(&format!("',' and what {name} takes besides")));
                    }
                    self.at += 1;
                    arguments.push(self.expression()?);
                }
                self.close(open)?;
                Ok(Node::Call { function, at, arguments })
            }
            None => Variable::parse(name).map(Node::Variable).ok_or_else(|| unknown(at, name)),
        }
    }

    fn close(&mut self, open: usize) -> Result<(), Fault> {
        if self.peek() != Some(')') {
            let opened = self.text[..open].chars().count() + 1;
            return Err(
                self.unexpected(&format!("an operator, or ')' for the '(' at character {opened}"))
            );
        }
        self.at += 1;
        Ok(())
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth == MAX_DEPTH {
            return Err(Fault::new(self.at, "the expression is nested too deeply")
                .expected(format!("at most {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let node = parse(self);
        self.depth -= 1;
        node
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    /// The next character that is not white space, where the parser then stands.
    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.text[self.at..].chars().next()
    }

    fn unexpected(&mut self, expected: &str) -> Fault {
        let found = match self.peek() {
            None => "the end".into(),
            Some(_) => {
                let next: String = self.text[self.at..]
                    .chars()
                    .take_while(|c| !c.is_whitespace())
                    .take(20)
                    .collect();
                format!("'{next}'")
            }
        };
        Fault::new(self.at, "the expression cannot be read").expected(expected).found(found)
    }
}

fn unknown(at: usize, name: &str) -> Fault {
    let variables = variable::NAMES.iter().map(|(name, _)| *name);
    let functions = FUNCTIONS.iter().map(|(name, ..)| *name);
    let known: Vec<_> = variables.collect();
    let functions: Vec<_> = functions.collect();
    Fault::new(at, format!("{name:?} is unknown")).expected(format!(
        "one of the variables {}, or of the functions {}; tags stand in brackets, text in quotes",
        known.join(" "),
        functions.join(" ")
    ))
}
