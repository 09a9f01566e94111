//! FORMAT and the cells of samples.

use super::Kind;
use super::record::{State, column};
use super::value::{Count, plain_numbers};

impl State<'_, '_> {
    pub(super) fn check_samples(&mut self, format: &[u8], cells: &[u8], alts: usize) {
        let checker = self.checker;
        if self.format != format {
            self.format = format.to_vec();
            let keys = format.split(|&byte| byte == b':');
            self.format_rules = keys.map(|key| checker.format.find(key)).collect();
            self.format_odd = self.check_format(format);
        }
        for (kind, example) in std::mem::take(&mut self.format_odd) {
            self.add(kind, column::FORMAT, &example);
            self.format_odd.push((kind, example));
        }
        let rules = std::mem::take(&mut self.format_rules);
        let genotype = format == b"GT" || format.starts_with(b"GT:");
        let mut before: &[u8] = &[];
        let mut rest = Some(cells);
        let mut column = column::FIRST_SAMPLE;
        while let Some(text) = rest {
            if format == b"GT" && alts > 0 {
                let cells = regular_genotypes(text);
                column += cells as u64;
                rest = Some(&text[4 * cells..]);
            }
            let Some(text) = rest else { break };
            let cell = match memchr::memchr(b'\t', text) {
                Some(at) => {
                    rest = Some(&text[at + 1..]);
                    &text[..at]
                }
                None => {
                    rest = None;
                    text
                }
            };
            // Neighbours are often alike.
            if cell != before || cell.is_empty() {
                self.check_cell(cell, &rules, genotype, alts, column);
                before = cell;
            }
            column += 1;
        }
        self.format_rules = rules;
    }

    /// What is odd about a FORMAT, with the key that is.
    fn check_format(&self, format: &[u8]) -> Vec<(Kind, Vec<u8>)> {
        let checker = self.checker;
        let mut is_malformed = false;
        let mut odd = Vec::new();
        if format == b"." {
            return odd;
        }
        for (at, key) in format.split(|&byte| byte == b':').enumerate() {
            let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
            let is_key = key.first().is_some_and(is_start)
                && key.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
            is_malformed |= !is_key || (key == b"GT" && at > 0);
            let rule = self.format_rules.get(at).copied().flatten();
            if is_key && rule.is_none_or(|rule| !checker.format.list[rule].is_declared) {
                odd.push((Kind::FormatUndeclared, key.to_vec()));
            }
            if at > 0
                && format.split(|&byte| byte == b':').take(at.min(64)).any(|other| other == key)
            {
                odd.push((Kind::FormatDuplicate, key.to_vec()));
            }
        }
        // An interval around a copy number stands beside it.
        let has = |name: &[u8]| format.split(|&byte| byte == b':').any(|key| key == name);
        is_malformed |=
            memchr::memmem::find(format, b"CICN").is_some() && has(b"CICN") && !has(b"CN");
        if is_malformed {
            odd.push((Kind::Format, format.to_vec()));
        }
        odd
    }

    fn check_cell(
        &mut self,
        cell: &[u8],
        rules: &[Option<usize>],
        has_genotype: bool,
        alts: usize,
        column: u64,
    ) {
        let checker = self.checker;
        let mut rest = Some(cell);
        let mut ploidy = 2;
        for (at, &rule) in rules.iter().enumerate() {
            let Some(text) = rest else { return };
            let known = rule.map(|rule| &checker.format.list[rule]);
            if let Some(known) = known
                && (at > 0 || !has_genotype)
                && ploidy == 2
                && let Some((items, length)) = plain_numbers(text, known.kind, b':', true)
                && known.count.of(alts, 2).is_none_or(|count| count == items)
            {
                rest = text[length..].strip_prefix(b":");
                continue;
            }
            let value = match text.iter().position(|&byte| byte == b':') {
                Some(at) => {
                    rest = Some(&text[at + 1..]);
                    &text[..at]
                }
                None => {
                    rest = None;
                    text
                }
            };
            if at == 0 && has_genotype {
                ploidy = self.check_genotype(value, alts, column);
                continue;
            }
            if value == b"." {
                continue;
            }
            let Some(rule) = known else { continue };
            let count = match (ploidy, rule.count) {
                // Of a genotype that is missing the ploidy is not known.
                (0, Count::PerGenotype) => None,
                (ploidy, count) => count.of(alts, ploidy),
            };
            self.check_value(rule, value, count, column);
        }
        if rest.is_some() {
            self.add(Kind::CellLength, column, cell);
        }
    }

    /// Looks at a genotype; returns its ploidy, 0 for a lone `.`.
    fn check_genotype(&mut self, text: &[u8], alts: usize, column: u64) -> usize {
        // Two alleles below ten.
        if let &[a, b'/' | b'|', b] = text {
            let is_allele =
                |byte: u8| byte == b'.' || (byte >= b'0' && usize::from(byte - b'0') <= alts);
            if is_allele(a)
                && is_allele(b)
                && (a.is_ascii_digit() || a == b'.')
                && (b.is_ascii_digit() || b == b'.')
            {
                return 2;
            }
        }
        if text == b"." {
            return 0;
        }
        // VCF 4.4 lets the first allele say how it is phased.
        let body = match text {
            [b'/' | b'|', body @ ..] if self.checker.minor_version >= 4 => body,
            body => body,
        };
        let mut ploidy = 0;
        let (mut is_odd, mut is_beyond) = (false, false);
        for allele in body.split(|&byte| matches!(byte, b'/' | b'|')) {
            ploidy += 1;
            if allele == b"." {
                continue;
            }
            let number =
                std::str::from_utf8(allele).ok().and_then(|text| text.parse::<usize>().ok());
            match number.filter(|_| allele[0].is_ascii_digit()) {
                Some(number) => is_beyond |= number > alts,
                None => is_odd = true,
            }
        }
        if is_odd {
            self.add(Kind::Genotype, column, text);
        }
        if is_beyond {
            self.add(Kind::GenotypeAllele, column, text);
        }
        ploidy
    }
}

/// How many cells at the front of a text are diploid genotypes of the alleles 0 and 1, all with the
/// same separator: an even number, and not the last.
fn regular_genotypes(text: &[u8]) -> usize {
    const MASK: u64 = u64::from_le_bytes([0xfe, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe, 0xff]);
    const PHASED: u64 = u64::from_le_bytes(*b"0|0\t0|0\t");
    const UNPHASED: u64 = u64::from_le_bytes(*b"0/0\t0/0\t");
    let pairs = text.chunks_exact(8).take_while(|pair| {
        let bits = pair.first_chunk().map_or(0, |pair| u64::from_le_bytes(*pair)) & MASK;
        bits == PHASED || bits == UNPHASED
    });
    2 * pairs.count()
}
