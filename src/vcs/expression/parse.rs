//! From the words of an expression to its tree.

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::lex::{Comparison, Logic, Operator, Token, Word, fault, words};
use super::node::{Class, Condition, Names, Numeric, Reduction, Samples, Textual, union};
use super::variable;
use crate::error::{Error, Result};

/// Brackets within each other: a bound for the stack.
const MAX_DEPTH: usize = 64;

/// Reads a file that an expression names.
pub type ReadList<'a> = dyn Fn(&str) -> Result<String> + 'a;

/// A part that may still become one thing or another.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Condition(Condition),
    Numeric(Numeric),
    Textual(Textual),
    /// The kinds of a variant.
    Type,
    Filter,
    Id,
    /// What a file lists.
    List(Arc<std::collections::HashSet<String>>),
}

pub(super) struct Parser<'a> {
    words: Vec<Word>,
    at: usize,
    depth: usize,
    end: usize,
    pub(super) dictionary: &'a Dictionary,
    pub(super) read: &'a ReadList<'a>,
}

/// The condition that a text is.
pub(super) fn parse(text: &str, dictionary: &Dictionary, read: &ReadList<'_>) -> Result<Condition> {
    let words = words(text)?;
    if words.is_empty() {
        return Err(fault("the expression is empty", 0).help("as in: QUAL>30 && GT=\"het\""));
    }
    let mut parser = Parser { words, at: 0, depth: 0, end: text.len(), dictionary, read };
    let term = parser.alternatives()?;
    if let Some(word) = parser.words.get(parser.at) {
        let message = match word.token {
            Token::Close => "a bracket is closed that was not opened",
            _ => "the expression does not go on like this",
        };
        return Err(fault(message, word.at).expected("an operator, or the end"));
    }
    condition_of(term, 0)
}

impl Parser<'_> {
    fn token(&self) -> Option<&Token> {
        self.words.get(self.at).map(|word| &word.token)
    }

    /// The byte where the next word begins.
    fn place(&self) -> usize {
        self.words.get(self.at).map_or(self.end, |word| word.at)
    }

    /// `a | b || c`: joined from right to left, as all operators of one rank are.
    fn alternatives(&mut self) -> Result<Term> {
        self.chain(&[Logic::Or, Logic::SiteOr], |parser| {
            parser.chain(&[Logic::And, Logic::SiteAnd], Self::comparison)
        })
    }

    fn chain(
        &mut self,
        joined_by: &[Logic],
        mut next: impl FnMut(&mut Self) -> Result<Term>,
    ) -> Result<Term> {
        let mut at = self.place();
        let first = next(self)?;
        let mut chain: Option<(Vec<Condition>, Vec<Logic>)> = None;
        let mut single = Some(first);
        while let Some(&Token::Logic(logic)) = self.token()
            && joined_by.contains(&logic)
        {
            let (of, links) = chain.get_or_insert_default();
            if let Some(first) = single.take() {
                of.push(condition_of(first, at)?);
            }
            self.at += 1;
            at = self.place();
            links.push(logic);
            let following = next(self)?;
            of.push(condition_of(following, at)?);
        }
        match (single, chain) {
            (Some(term), _) => Ok(term),
            (None, Some((of, links))) => {
                let samples = of.iter().fold(None, |all, of| union(all.as_ref(), of.samples()));
                Ok(Term::Condition(Condition::Chain { of, links, samples }))
            }
            (None, None) => Err(Error::internal("a chain without its links")),
        }
    }

    fn comparison(&mut self) -> Result<Term> {
        let left = self.sum()?;
        let at = self.place();
        let Some(&Token::Compare(op)) = self.token() else { return Ok(left) };
        self.at += 1;
        let right = self.sum()?;
        if matches!(self.token(), Some(Token::Compare(_))) {
            return Err(fault("comparisons do not chain", self.place())
                .help("join two by &&, as in: 10<QUAL && QUAL<40"));
        }
        compare(op, left, right, at, self.dictionary).map(Term::Condition)
    }

    fn sum(&mut self) -> Result<Term> {
        self.arithmetic(&[Operator::Add, Operator::Subtract], Self::product)
    }

    fn product(&mut self) -> Result<Term> {
        let operators = [Operator::Multiply, Operator::Divide, Operator::Remainder];
        self.arithmetic(&operators, Self::primary)
    }

    fn arithmetic(
        &mut self,
        of_rank: &[Operator],
        next: impl Fn(&mut Self) -> Result<Term>,
    ) -> Result<Term> {
        let mut at = self.place();
        let (mut of, mut operators) = (Vec::new(), Vec::new());
        // A sign is a factor of -1 before what follows.
        while self.token() == Some(&Token::Arithmetic(Operator::Subtract))
            && of_rank.contains(&Operator::Multiply)
        {
            self.at += 1;
            of.push(Numeric::Constant(-1.0));
            operators.push(Operator::Multiply);
        }
        let mut term = next(self)?;
        loop {
            let operator = match self.token() {
                Some(&Token::Arithmetic(operator)) if of_rank.contains(&operator) => operator,
                _ if operators.is_empty() => return Ok(term),
                _ => break,
            };
            let place = self.place();
            if let Some(before) = operators.last() {
                check_order(*before, operator, place)?;
            }
            of.push(numeric_of(term, at)?);
            operators.push(operator);
            self.at += 1;
            at = self.place();
            while self.token() == Some(&Token::Arithmetic(Operator::Subtract))
                && of_rank.contains(&Operator::Multiply)
            {
                self.at += 1;
                of.push(Numeric::Constant(-1.0));
                operators.push(Operator::Multiply);
            }
            term = next(self)?;
        }
        of.push(numeric_of(term, at)?);
        let samples = of.iter().fold(None, |all, of| union(all.as_ref(), of.samples()));
        Ok(Term::Numeric(Numeric::Arithmetic { of, operators, samples }))
    }

    fn primary(&mut self) -> Result<Term> {
        let at = self.place();
        let Some(token) = self.token().cloned() else {
            return Err(fault("the expression ends too early", at).expected("a value"));
        };
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Term::Numeric(Numeric::Constant(number))),
            Token::Text(text) => Ok(Term::Textual(Textual::Constant(text))),
            Token::File(file) => {
                let text = (self.read)(&file)?;
                let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
                Ok(Term::List(Arc::new(text.lines().filter_map(first).collect())))
            }
            Token::Name(name) if self.token() == Some(&Token::Open) => {
                // Said before its arguments are looked at, of which more may be wrong.
                let upper = name.to_ascii_uppercase();
                if reduction(&upper).is_none() && !OTHER_FUNCTIONS.contains(&upper.as_str()) {
                    return Err(unknown_function(&name, at));
                }
                let of = self.bracketed()?;
                function(&name, of, at, self.dictionary.samples.is_empty())
            }
            Token::Name(name) => variable::resolve(&name, at, self.dictionary, self.read),
            Token::Open => {
                self.at -= 1;
                self.bracketed()
            }
            _ => Err(fault("an operator without a value before it", at).expected("a value")),
        }
    }

    fn bracketed(&mut self) -> Result<Term> {
        let at = self.place();
        if self.depth == MAX_DEPTH {
            return Err(fault(format!("more than {MAX_DEPTH} brackets within each other"), at));
        }
        self.depth += 1;
        self.at += 1;
        let term = self.alternatives()?;
        self.depth -= 1;
        if self.token() != Some(&Token::Close) {
            return Err(fault("a bracket is not closed", at));
        }
        self.at += 1;
        Ok(term)
    }
}

/// bcftools computes `a-b-c` as `a-(b-c)`; where that is not what is meant, nobody should be left to
/// find out.
fn check_order(before: Operator, after: Operator, at: usize) -> Result<()> {
    let is_same = match before {
        Operator::Add => true,
        Operator::Multiply => after != Operator::Remainder,
        Operator::Subtract | Operator::Divide | Operator::Remainder => false,
    };
    if is_same {
        return Ok(());
    }
    Err(fault("bcftools computes operators of one rank from right to left", at)
        .help("write brackets: (a-b)-c, or a-(b-c)"))
}

fn condition_of(term: Term, at: usize) -> Result<Condition> {
    match term {
        Term::Condition(condition) => Ok(condition),
        Term::Numeric(Numeric::Flag(key)) => Err(fault("a flag alone is no condition", at)
            .help(format!("write {key}=1, or {key}=0 for its absence"))),
        _ => Err(fault("a value is no condition", at).help("compare it, as in: QUAL>30")),
    }
}

fn numeric_of(term: Term, at: usize) -> Result<Numeric> {
    match term {
        Term::Numeric(numeric) => Ok(numeric),
        Term::Condition(_) => Err(fault("whether something holds is no number", at)
            .help("N_PASS(…) and COUNT(…) count the samples that a condition holds for")),
        _ => Err(fault("a text is no number", at)),
    }
}

fn compare(
    op: Comparison,
    left: Term,
    right: Term,
    at: usize,
    dictionary: &Dictionary,
) -> Result<Condition> {
    let wanted = match op {
        Comparison::Equal | Comparison::Like => Some(true),
        Comparison::NotEqual | Comparison::NotLike => Some(false),
        _ => None,
    };
    let is_pattern = matches!(op, Comparison::Like | Comparison::NotLike);
    let (left, right) = match (left, right) {
        // The text may stand on either side.
        (constant @ Term::Textual(Textual::Constant(_)), field) if !is_pattern => (field, constant),
        (list @ Term::List(_), field) => (field, list),
        sides => sides,
    };
    let texts_only = || fault("texts are equal or alike, or not", at).expected("one of = != ~ !~");
    match (left, right) {
        (Term::Type, Term::Textual(Textual::Constant(name))) => {
            wanted.ok_or_else(texts_only)?;
            let kinds = variable::kinds_of(&name).ok_or_else(|| {
                fault("there is no such TYPE", at)
                    .expected("snp, indel, mnp, other, bnd, overlap or ref")
                    .found(format!("{name:?}"))
            })?;
            Ok(Condition::Type { op, kinds })
        }
        (Term::Filter, Term::Textual(Textual::Constant(text))) => {
            wanted.ok_or_else(texts_only)?;
            let names: Vec<String> = text
                .split(';')
                .filter(|name| *name != "." && !name.is_empty())
                .map(str::to_owned)
                .collect();
            if let Some(other) = names.iter().find(|name| !dictionary.filters.contains(*name)) {
                return Err(fault(format!("the header declares no FILTER {other:?}"), at));
            }
            if !names.is_empty() && text.split(';').any(|name| name == ".") {
                return Err(fault("FILTER is missing, or has names, but not both", at));
            }
            Ok(Condition::Filter { op, names })
        }
        (Term::Id, Term::List(list)) if !is_pattern => {
            let wanted = wanted.ok_or_else(texts_only)?;
            Ok(Condition::Id { wanted, names: Names::Listed(list) })
        }
        (Term::Id, Term::Textual(Textual::Constant(text))) => {
            let wanted = wanted.ok_or_else(texts_only)?;
            let names = match is_pattern {
                true => Names::Like(pattern(&text, at)?),
                false => Names::One(text),
            };
            Ok(Condition::Id { wanted, names })
        }
        (_, Term::List(_)) => {
            Err(fault("a file of names is for ID only", at).help("as in: ID=@names.txt"))
        }
        (Term::Type | Term::Filter | Term::Id, _) => {
            Err(fault("TYPE, FILTER and ID are compared with a text in quotes", at))
        }
        (Term::Textual(text), Term::Textual(Textual::Constant(constant))) if is_pattern => {
            let samples = text.samples().cloned();
            let wanted = wanted.ok_or_else(texts_only)?;
            let (text, constant) = variable::with_class(text, &constant);
            let pattern = pattern(&constant, at)?;
            let is_missing = constant.split(',').any(|item| item == ".");
            Ok(Condition::Search { wanted, text, pattern, is_missing, samples })
        }
        _ if is_pattern => Err(fault("a pattern is for a text, and stands in quotes after it", at)),
        (Term::Textual(left), Term::Textual(right)) => texts(wanted, left, right, at),
        (Term::Numeric(left), Term::Textual(Textual::Constant(text))) if text == "." => {
            if !matches!(left, Numeric::Quality | Numeric::Info { .. } | Numeric::Format { .. }) {
                return Err(fault("only QUAL and fields are compared with \".\"", at));
            }
            wanted.ok_or_else(|| fault("\".\" is equal, or not", at).expected("= or !="))?;
            let samples = left.samples().cloned();
            Ok(Condition::Numbers { op, left, right: Numeric::Missing, samples })
        }
        (Term::Numeric(left), Term::Numeric(right)) => {
            let samples = match (left.samples(), right.samples()) {
                (Some(left), Some(right)) => {
                    Some(left.iter().zip(&**right).map(|(a, b)| a & b).collect())
                }
                (one, other) => one.or(other).cloned(),
            };
            Ok(Condition::Numbers { op, left, right, samples })
        }
        (Term::Condition(_), _) | (_, Term::Condition(_)) => {
            Err(fault("whether something holds cannot be compared", at)
                .help("N_PASS(…) and COUNT(…) count the samples that a condition holds for"))
        }
        _ => Err(fault("a text cannot be compared with a number", at)
            .help("a field that the header declares as String is compared with a text in quotes")),
    }
}

fn texts(wanted: Option<bool>, left: Textual, right: Textual, at: usize) -> Result<Condition> {
    let wanted = wanted.ok_or_else(|| {
        fault("texts are equal or alike, or not", at).expected("one of = != ~ !~")
    })?;
    let is_genotype = |text: &Textual| matches!(text, Textual::Genotype { .. });
    if (left.samples().is_some() && right.samples().is_some())
        || (is_genotype(&left) && !matches!(right, Textual::Constant(_)))
        || is_genotype(&right)
    {
        return Err(fault("texts of samples are compared with a text in quotes only", at));
    }
    let samples = union(left.samples(), right.samples());
    let (left, right) = match right {
        Textual::Constant(constant) => {
            let (left, constant) = variable::with_class(left, &constant);
            (left, Textual::Constant(constant))
        }
        right => (left, right),
    };
    Ok(Condition::Texts { wanted, left, right, samples })
}

/// A basic regular expression; `/i` at its end ignores the case.
fn pattern(text: &str, at: usize) -> Result<regex::bytes::Regex> {
    let (body, ignore_case) = match text.strip_suffix("/i") {
        Some(body) if !body.is_empty() && !body.ends_with('\\') => (body, true),
        _ => (text, false),
    };
    crate::posix::compile_basic(body.as_bytes(), ignore_case).map_err(|found| {
        fault(format!("the pattern {body:?} is wrong"), at)
            .expected("a POSIX basic regular expression")
            .found(found)
    })
}

/// Functions that do not make one number of several.
const OTHER_FUNCTIONS: [&str; 5] = ["ABS", "COUNT", "STRLEN", "N_PASS", "F_PASS"];

fn unknown_function(name: &str, at: usize) -> Error {
    fault(format!("the function {name}() is not supported"), at).help(
        "known are MAX MIN AVG MEAN MEDIAN STDEV SUM (each with SMPL_ or s before it), \
         ABS, COUNT, STRLEN, N_PASS and F_PASS",
    )
}

/// What a function makes of several numbers, and whether it does so for each sample.
fn reduction(upper: &str) -> Option<(Reduction, bool)> {
    let how = |name: &str| {
        Some(match name {
            "MAX" => Reduction::Max,
            "MIN" => Reduction::Min,
            "AVG" | "MEAN" => Reduction::Mean,
            "MEDIAN" => Reduction::Median,
            "STDEV" => Reduction::Deviation,
            "SUM" => Reduction::Sum,
            _ => return None,
        })
    };
    let per_sample = || upper.strip_prefix("SMPL_").or_else(|| upper.strip_prefix('S'));
    how(upper).map(|how| (how, false)).or_else(|| Some((how(per_sample()?)?, true)))
}

fn function(name: &str, of: Term, at: usize, without_samples: bool) -> Result<Term> {
    let upper = name.to_ascii_uppercase();
    let numbers_only = || fault(format!("{name}() is for numbers"), at);
    if let Some((how, per_sample)) = reduction(&upper) {
        let Term::Numeric(of) = of else { return Err(numbers_only()) };
        if per_sample && of.samples().is_none() {
            return Err(fault(format!("{name}() is for fields of FORMAT"), at)
                .help("leave the prefix out for fields of INFO"));
        }
        return Ok(Term::Numeric(Numeric::Reduce { how, per_sample, of: Box::new(of) }));
    }
    let numeric = match (upper.as_str(), of) {
        ("ABS", Term::Numeric(of)) => Numeric::Absolute(Box::new(of)),
        ("ABS", _) => return Err(numbers_only()),
        ("STRLEN", Term::Textual(of)) if of.samples().is_none() => Numeric::Length(of),
        ("STRLEN", _) => {
            return Err(fault("STRLEN() is for texts of sites", at)
                .help("as in: STRLEN(REF), STRLEN(ALT[0]), STRLEN(INFO/X)"));
        }
        ("COUNT", Term::Condition(of)) if of.samples().is_some() || without_samples => {
            Numeric::Passing { fraction: false, of: Box::new(of) }
        }
        ("COUNT", Term::Textual(of)) if of.samples().is_none() => Numeric::CountTexts(of),
        ("COUNT", Term::Numeric(of))
            if of.samples().is_none() || matches!(of, Numeric::Format { .. }) =>
        {
            Numeric::Count(Box::new(of))
        }
        ("COUNT", _) => {
            return Err(fault("COUNT() counts values of a field, or samples", at)
                .help("as in: COUNT(INFO/AF), COUNT(GT=\"het\")"));
        }
        ("N_PASS" | "F_PASS", Term::Condition(of)) if of.samples().is_some() => {
            Numeric::Passing { fraction: upper == "F_PASS", of: Box::new(of) }
        }
        ("N_PASS" | "F_PASS", _) => {
            return Err(fault(format!("{upper}() is for conditions on samples"), at)
                .help("as in: N_PASS(FMT/DP>10)"));
        }
        _ => return Err(unknown_function(name, at)),
    };
    Ok(Term::Numeric(numeric))
}

/// The class of genotypes that a word means, and the word as it is compared.
pub(super) fn class_of(word: &str) -> Option<(Class, &'static str)> {
    let lower = word.to_ascii_lowercase();
    Some(match (word, lower.as_str()) {
        (_, "hom") => (Class::Zygosity, "hom"),
        (_, "het") => (Class::Zygosity, "het"),
        (_, "hap") => (Class::Zygosity, "hap"),
        (_, "mis") => (Class::Presence, "mis"),
        (_, "ref") => (Class::Presence, "ref"),
        (_, "alt") => (Class::Presence, "alt"),
        (_, "rr") => (Class::Alleles, "rr"),
        (_, "ra" | "ar") => (Class::Alleles, "ra"),
        ("aA" | "Aa", _) => (Class::Alleles, "aA"),
        (_, "aa") => (Class::Alleles, "aa"),
        (_, "a") => (Class::Alleles, "a"),
        (_, "r") => (Class::Alleles, "r"),
        _ => return None,
    })
}

/// Marks the samples of a list of names.
pub(super) fn marks(dictionary: &Dictionary, chosen: impl Fn(usize) -> bool) -> Samples {
    (0..dictionary.samples.len()).map(chosen).collect()
}
