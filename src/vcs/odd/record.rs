//! Records: what stands before the samples.

use std::collections::{HashMap, HashSet};

use super::alleles::{Recent, is_assembly, is_base, is_other_allele, symbol_of};
use super::header::{self, Structured};
use super::reserved;
use super::value::{Count, Fit, Type, fits, is_float, plain_numbers};
use super::{Kind, Odd};
use crate::vcs::group::Section;

/// The columns of a record, from 1.
pub(super) mod column {
    pub(in crate::vcs::odd) const CHROM: u64 = 1;
    pub(in crate::vcs::odd) const POS: u64 = 2;
    pub(in crate::vcs::odd) const ID: u64 = 3;
    pub(in crate::vcs::odd) const REF: u64 = 4;
    pub(in crate::vcs::odd) const ALT: u64 = 5;
    pub(in crate::vcs::odd) const QUAL: u64 = 6;
    pub(in crate::vcs::odd) const FILTER: u64 = 7;
    pub(in crate::vcs::odd) const INFO: u64 = 8;
    pub(in crate::vcs::odd) const FORMAT: u64 = 9;
    pub(in crate::vcs::odd) const FIRST_SAMPLE: u64 = 10;
}

/// Undeclared keys of a record among which duplicates are looked for.
const MOST_UNDECLARED: usize = 256;
/// Overlapping records that are compared.
const MOST_RECENT: usize = 16;

/// What a field should be.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) key: Vec<u8>,
    pub(super) kind: Type,
    pub(super) count: Count,
    pub(super) is_declared: bool,
    /// A count, which is not negative.
    is_count: bool,
    is_cigar: bool,
    is_end: bool,
}

/// Fields by key.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) list: Vec<Rule>,
    by_key: HashMap<Vec<u8>, usize>,
}

impl Rules {
    fn add(&mut self, rule: Rule) {
        if !self.by_key.contains_key(&rule.key) {
            self.by_key.insert(rule.key.clone(), self.list.len());
            self.list.push(rule);
        }
    }

    /// The rule of a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// The rule at the front of an entry, if it is the one of the record before, as it is in most.
    fn guess(&self, entry: &[u8], before: Option<usize>) -> Option<usize> {
        let key = &self.list.get(before?)?.key;
        let after = entry.strip_prefix(key.as_slice())?;
        matches!(after.first(), None | Some(b'=' | b';')).then_some(before?)
    }
}

/// Looks at the records of a file. It is made of the header, and shared by threads.
pub(in crate::vcs) struct Checker {
    info: Rules,
    pub(super) format: Rules,
    filters: HashSet<Vec<u8>>,
    contigs: HashSet<Vec<u8>>,
    symbolic: HashSet<Vec<u8>>,
    pub(super) minor_version: u32,
    samples: usize,
}

impl Checker {
    /// Reads a header; also what is odd about it.
    pub(in crate::vcs) fn new(header: &[u8], samples: usize) -> (Self, Odd) {
        let mut odd = Odd::default();
        header::check(header, &mut odd);
        let mut checker = Self {
            info: Rules::default(),
            format: Rules::default(),
            filters: HashSet::from([b"PASS".to_vec()]),
            contigs: HashSet::new(),
            symbolic: HashSet::from([b"*".to_vec()]),
            minor_version: header::version(header).unwrap_or(3),
            samples,
        };
        for line in String::from_utf8_lossy(header).lines() {
            let Some((class, body)) = line.strip_prefix("##").and_then(|l| l.split_once("=<"))
            else {
                continue;
            };
            let line = Structured::parse(body);
            let Some(id) = line.get("ID") else { continue };
            let id_bytes = id.as_bytes().to_vec();
            let rule = || Rule {
                key: id.as_bytes().to_vec(),
                kind: line.get("Type").and_then(Type::parse).unwrap_or(Type::String),
                count: line.get("Number").and_then(Count::parse).unwrap_or(Count::Any),
                is_declared: true,
                is_count: class == "INFO" && reserved::COUNTS.contains(&id),
                is_cigar: class == "INFO" && id == "CIGAR",
                is_end: class == "INFO" && id == "END",
            };
            match class {
                "INFO" => checker.info.add(rule()),
                "FORMAT" => checker.format.add(rule()),
                "FILTER" => drop(checker.filters.insert(id_bytes)),
                "contig" => drop(checker.contigs.insert(id_bytes)),
                "ALT" => drop(checker.symbolic.insert(id_bytes)),
                _ => {}
            }
        }
        for (rules, list) in
            [(&mut checker.info, reserved::INFO), (&mut checker.format, reserved::FORMAT)]
        {
            for field in list {
                rules.add(Rule {
                    key: field.id.as_bytes().to_vec(),
                    kind: field.types.first().copied().unwrap_or(Type::String),
                    count: field.count,
                    is_declared: false,
                    is_count: reserved::COUNTS.contains(&field.id),
                    is_cigar: field.id == "CIGAR",
                    is_end: field.id == "END",
                });
            }
        }
        (checker, odd)
    }

    /// Looks at the lines of a section. Lines are numbered from 0, by their place in the input where
    /// that was another, else in the section.
    pub(in crate::vcs) fn check(&self, section: &Section) -> Odd {
        let mut state = State {
            checker: self,
            odd: Odd::default(),
            line: 0,
            info: Vec::new(),
            seen: vec![usize::MAX; self.info.list.len()],
            format: Vec::new(),
            format_rules: Vec::new(),
            format_odd: Vec::new(),
            recent: Vec::new(),
        };
        for row in 0..section.len() {
            state.line = section.ordinals.get(row).map_or(row as u64, |&at| at.max(0) as u64);
            state.check_line(row, section.line(row), section.places[row].0);
        }
        state.odd
    }
}

/// What is known while lines of a section are looked at.
pub(super) struct State<'c, 'l> {
    pub(super) checker: &'c Checker,
    odd: Odd,
    /// The number of the line.
    line: u64,
    /// The rules of the keys of INFO of the line before.
    info: Vec<Option<usize>>,
    /// The row in which a key of INFO was there last.
    seen: Vec<usize>,
    /// The last FORMAT, and the rules of its keys.
    pub(super) format: Vec<u8>,
    pub(super) format_rules: Vec<Option<usize>>,
    /// What is odd about it.
    pub(super) format_odd: Vec<(Kind, Vec<u8>)>,
    /// Records whose bases may overlap those of the next.
    recent: Vec<Recent<'l>>,
}

/// What was found of ALT.
#[derive(Clone, Copy, Default)]
struct Alleles {
    alts: usize,
    has_symbolic: bool,
    /// A tandem repeat.
    has_repeat: bool,
}

impl<'l> State<'_, 'l> {
    pub(super) fn add(&mut self, kind: Kind, column: u64, example: &[u8]) {
        self.odd.add(kind, self.line, column, example);
    }

    fn check_line(&mut self, row: usize, line: &'l [u8], position: i64) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_ascii() && std::str::from_utf8(line).is_err() {
            self.add(Kind::Utf8, column::CHROM, line);
        }
        let mut rest = Some(line);
        let mut field = || match memchr::memchr(b'\t', rest?) {
            Some(at) => {
                let (field, after) = (&rest?[..at], &rest?[at + 1..]);
                rest = Some(after);
                Some(field)
            }
            None => rest.take(),
        };
        let mut next = || field().unwrap_or_default();
        let (chrom, pos, id) = (next(), next(), next());
        let (reference, alt, qual, filter, info) = (next(), next(), next(), next(), next());
        self.check_chrom(chrom);
        if pos.is_empty() || !pos.iter().all(u8::is_ascii_digit) {
            self.add(Kind::Pos, column::POS, pos);
        }
        if id != b"." {
            let is_odd = has_odd_entries(id, b';') || memchr::memchr(b' ', id).is_some();
            if is_odd {
                self.add(Kind::Id, column::ID, id);
            }
        }
        if reference.is_empty() || !reference.iter().all(|&byte| is_base(byte)) {
            self.add(Kind::Ref, column::REF, reference);
        }
        let alleles = self.check_alt(reference, alt);
        if qual != b"." && (!is_float(qual) || qual.starts_with(b"-")) {
            self.add(Kind::Qual, column::QUAL, qual);
        }
        self.check_filter(filter);
        self.check_info(row, info, position, alleles);
        // What symbolic alleles mean is in INFO, and may well be the same twice.
        if !alleles.has_symbolic {
            let end = position.saturating_add(reference.len() as i64 - 1);
            self.check_duplicate(Recent { position, end, reference, alt });
        }
        match (field(), rest) {
            (Some(format), Some(cells)) => self.check_samples(format, cells, alleles.alts),
            (Some(_), None) => {}
            _ if self.checker.samples > 0 => {
                self.add(Kind::SamplesMissing, column::FORMAT, b"");
            }
            _ => {}
        }
    }

    fn check_chrom(&mut self, chrom: &[u8]) {
        let contigs = &self.checker.contigs;
        let is_declared = contigs.contains(chrom);
        let is_forbidden =
            |&byte: &u8| !byte.is_ascii_graphic() || b"\\,\"'`()[]{}<>".contains(&byte);
        // Names such as HLA-A*01:01 are right once they are declared.
        let minor = self.checker.minor_version;
        let is_risky = |&byte: &u8| !is_declared && (byte == b'*' || (byte == b':' && minor < 4));
        if chrom.iter().any(|byte| is_forbidden(byte) || is_risky(byte)) && !is_assembly(chrom) {
            self.add(Kind::ChromCharacter, column::CHROM, chrom);
        }
        if !is_declared && !contigs.is_empty() {
            self.add(Kind::ContigUndeclared, column::CHROM, chrom);
        }
    }

    fn check_alt(&mut self, reference: &[u8], alt: &[u8]) -> Alleles {
        let mut found = Alleles::default();
        if alt == b"." {
            return found;
        }
        let mut is_double = false;
        for (at, allele) in alt.split(|&byte| byte == b',').enumerate() {
            found.alts += 1;
            let mut before = alt.split(|&byte| byte == b',').take(at.min(64));
            is_double |= allele.first() != Some(&b'<') && before.any(|other| other == allele);
            is_double |= allele.eq_ignore_ascii_case(reference);
            if !allele.is_empty() && allele.iter().all(|&byte| is_base(byte)) {
                continue;
            }
            match symbol_of(allele) {
                Some(symbol) => {
                    found.has_symbolic = true;
                    found.has_repeat |= symbol == b"CNV:TR";
                    let family = symbol.split(|&byte| byte == b':').next().unwrap_or_default();
                    let known = &self.checker.symbolic;
                    if !known.contains(symbol) && !known.contains(family) {
                        self.add(Kind::SymbolicUndeclared, column::ALT, allele);
                    }
                }
                None if is_other_allele(allele) => {}
                None => self.add(Kind::Alt, column::ALT, alt),
            }
        }
        if is_double {
            self.add(Kind::AltDuplicate, column::ALT, alt);
        }
        found
    }

    fn check_filter(&mut self, filter: &[u8]) {
        if matches!(filter, b"PASS" | b".") {
            return;
        }
        let mut is_odd = has_odd_entries(filter, b';') || filter.contains(&b' ');
        for name in filter.split(|&byte| byte == b';') {
            is_odd |= matches!(name, b"0" | b"PASS" | b".");
            if !self.checker.filters.contains(name) {
                self.add(Kind::FilterUndeclared, column::FILTER, name);
            }
        }
        if is_odd {
            self.add(Kind::Filter, column::FILTER, filter);
        }
    }

    fn check_info(&mut self, row: usize, info: &[u8], position: i64, alleles: Alleles) {
        if info == b"." {
            if alleles.has_symbolic {
                self.check_structural(info, alleles);
            }
            return;
        }
        let checker = self.checker;
        let mut rules = std::mem::take(&mut self.info);
        let mut is_malformed = checker.minor_version < 3 && memchr::memchr(b' ', info).is_some();
        let mut undeclared: Vec<&[u8]> = Vec::new();
        let mut rest = Some(info);
        let mut at = 0..;
        while let (Some(text), Some(at)) = (rest, at.next()) {
            let before = rules.get(at).copied().flatten();
            let mut rule = checker.info.guess(text, before);
            let end = match rule {
                Some(rule) => checker.info.list[rule].key.len(),
                None => memchr::memchr2(b'=', b';', text).unwrap_or(text.len()),
            };
            let (key, mut after) = text.split_at(end);
            // Most values are plain numbers, and of those nothing but how many is to be told.
            if let Some(known) = rule.map(|rule| &checker.info.list[rule])
                && let [b'=', value @ ..] = after
                && known.is_declared
                && !known.is_end
                && let Some((items, length)) =
                    plain_numbers(value, known.kind, b';', !known.is_count)
                && known.count.of(alleles.alts, 2).is_none_or(|count| count == items)
                && let Some(rule) = rule
                && std::mem::replace(&mut self.seen[rule], row) != row
            {
                rest = value[length..].strip_prefix(b";");
                continue;
            }
            let value = after.strip_prefix(b"=").map(|value| {
                let (value, next) =
                    value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
                after = next;
                value
            });
            rest = after.strip_prefix(b";");
            rule = rule.or_else(|| checker.info.find(key));
            match rules.get_mut(at) {
                Some(known) => *known = rule,
                None => rules.push(rule),
            }
            let Some(rule_at) = rule else {
                is_malformed |= key.is_empty();
                if !key.is_empty() {
                    self.add(Kind::InfoUndeclared, column::INFO, key);
                    if undeclared.contains(&key) {
                        self.add(Kind::InfoDuplicate, column::INFO, key);
                    }
                    if undeclared.len() < MOST_UNDECLARED {
                        undeclared.push(key);
                    }
                }
                continue;
            };
            let rule = &checker.info.list[rule_at];
            if !rule.is_declared {
                self.add(Kind::InfoUndeclared, column::INFO, key);
            }
            if std::mem::replace(&mut self.seen[rule_at], row) == row {
                self.add(Kind::InfoDuplicate, column::INFO, key);
            }
            match value {
                Some(value) if rule.kind != Type::Flag => {
                    self.check_value(rule, value, rule.count.of(alleles.alts, 2), column::INFO);
                    if rule.is_end {
                        self.check_end(value, position);
                    }
                }
                None if rule.kind == Type::Flag || rule.count == Count::Fixed(0) => {}
                _ => self.add(Kind::ValueMissing, column::INFO, key),
            }
        }
        self.info = rules;
        if is_malformed {
            self.add(Kind::Info, column::INFO, info);
        }
        if alleles.has_symbolic {
            self.check_structural(info, alleles);
        }
    }

    fn check_end(&mut self, value: &[u8], position: i64) {
        let end = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
        if end.is_some_and(|end| end < position) {
            self.add(Kind::End, column::INFO, value);
        }
    }

    /// What VCF 4.4 asks of structural variants.
    fn check_structural(&mut self, info: &[u8], alleles: Alleles) {
        if self.checker.minor_version < 4 {
            return;
        }
        let get = |key: &[u8]| {
            info.split(|&byte| byte == b';')
                .find_map(|entry| entry.strip_prefix(key)?.strip_prefix(b"="))
        };
        let items = |key: &[u8]| get(key).map(|value| value.split(|&byte| byte == b','));
        let length = |key: &[u8]| items(key).map(Iterator::count);
        let mut is_odd = match items(b"SVLEN") {
            Some(mut lengths) => lengths.any(|length| length.starts_with(b"-")),
            None => true,
        };
        if let Some(mut claims) = items(b"SVCLAIM") {
            is_odd |= claims.any(|claim| !matches!(claim, b"D" | b"J" | b"DJ" | b"."));
        }
        if let Some(repeats) = items(b"RN") {
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
            let total =
                repeats.map(|text| number(text).unwrap_or(1)).fold(0, usize::saturating_add);
            let differs = |key: &[u8], times: usize| {
                length(key).is_some_and(|length| length != total.saturating_mul(times))
            };
            is_odd |= differs(b"RUS", 1) || differs(b"RUL", 1) || differs(b"RUC", 1);
            is_odd |= differs(b"RB", 1) || differs(b"CIRB", 2) || differs(b"CIRUC", 2);
        }
        is_odd |= alleles.has_repeat && get(b"RUS").is_none() && get(b"RUL").is_none();
        if let (Some(units), Some(lengths)) = (items(b"RUS"), items(b"RUL")) {
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
            is_odd |= units.zip(lengths).any(|(unit, length)| number(length) != Some(unit.len()));
        }
        if is_odd {
            self.add(Kind::Structural, column::INFO, info);
        }
    }

    /// Looks for a record that says the same, at this place or in other words beside it.
    fn check_duplicate(&mut self, record: Recent<'l>) {
        self.recent.retain(|other| other.end >= record.position);
        if self.recent.iter().any(|other| other.says_the_same(&record)) {
            self.add(Kind::DuplicateRecord, column::POS, record.alt);
        }
        self.recent.push(record);
        // Where long records lie one over the other, only the last are compared.
        if self.recent.len() > MOST_RECENT {
            self.recent.remove(0);
        }
    }

    pub(super) fn check_value(
        &mut self,
        rule: &Rule,
        value: &[u8],
        count: Option<usize>,
        column: u64,
    ) {
        if value == b"." {
            return;
        }
        if value.is_empty() {
            // VCF 4.5 has lists of no items.
            if self.checker.minor_version < 5 || count.is_some() {
                self.add(Kind::ValueMissing, column, &rule.key);
            }
            return;
        }
        if rule.is_cigar && !value.split(|&byte| byte == b',').all(is_cigar) {
            self.add(Kind::ValueType, column, value);
        }
        let items = match rule.kind {
            Type::String | Type::Flag => match count {
                Some(_) => memchr::memchr_iter(b',', value).count() + 1,
                None => return,
            },
            kind => {
                let mut items = 0;
                for item in value.split(|&byte| byte == b',') {
                    items += 1;
                    if item == b"." {
                        continue;
                    }
                    match fits(kind, item) {
                        Fit::Yes if rule.is_count && item.starts_with(b"-") => {
                            self.add(Kind::Negative, column, value);
                        }
                        Fit::Yes => {}
                        Fit::WrongType => self.add(Kind::ValueType, column, value),
                        Fit::OutOfRange => self.add(Kind::IntegerRange, column, value),
                    }
                }
                items
            }
        };
        if count.is_some_and(|count| count != items) {
            self.add(Kind::ValueCount, column, value);
        }
    }
}

/// Whether an entry of a list is empty, or there twice.
fn has_odd_entries(list: &[u8], separator: u8) -> bool {
    if memchr::memchr(separator, list).is_none() {
        return list.is_empty();
    }
    let entries: Vec<&[u8]> = list.split(|&byte| byte == separator).collect();
    let mut distinct = HashSet::new();
    entries.iter().any(|entry| entry.is_empty() || !distinct.insert(entry))
}

/// Lengths, each with its operation.
fn is_cigar(item: &[u8]) -> bool {
    let is_operation = |byte: &u8| b"MIDNSHPX=".contains(byte);
    let mut lengths = item.split(is_operation);
    let ends = item.last().is_some_and(is_operation);
    let is_length = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    item == b"." || (ends && lengths.all(is_length))
}
